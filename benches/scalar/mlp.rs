//! A network 16-64-64-1 with tanh by loops over scalars: the sum of squared errors of a batch of 8, by all weights and biases.

use std::time::Duration;

use crate::data::Generator;
use crate::workload::{Form, Number, Run, Workload, one_function};

const SIZES: [usize; 4] = [16, 64, 64, 1];
const LARGEST: usize = 64;

#[derive(Debug)]
pub struct Mlp {
    inputs: Vec<[f64; SIZES[0]]>,
    targets: Vec<f64>,
    /// Layer by layer: for each unit its weights, then its bias.
    x: Vec<f64>,
}

impl Mlp {
    pub fn new(batch: usize) -> Self {
        let mut generator = Generator::new(6);
        let x = SIZES
            .windows(2)
            .flat_map(|s| generator.normals((s[0] + 1) * s[1], (s[0] as f64).sqrt().recip()))
            .collect();
        let inputs = (0..batch)
            .map(|_| std::array::from_fn(|_| generator.normal()))
            .collect();
        let targets = generator.normals(batch, 1.0);
        Mlp { inputs, targets, x }
    }
}

fn function<S: Number>(x: &[S], mlp: &Mlp, form: Form) -> S {
    let mut loss = S::zero();
    for (input, &target) in mlp.inputs.iter().zip(&mlp.targets) {
        let mut current = [S::zero(); LARGEST];
        let mut parameters = x;
        for (layer, sizes) in SIZES.windows(2).enumerate() {
            let mut next = [S::zero(); LARGEST];
            for next in &mut next[..sizes[1]] {
                let (unit, rest) = parameters.split_at(sizes[0] + 1);
                parameters = rest;
                let (weights, bias) = (&unit[..sizes[0]], unit[sizes[0]]);
                let sum = match (layer, form) {
                    (0, Form::Source) => weights
                        .iter()
                        .zip(input)
                        .fold(bias, |sum, (&w, &x)| sum + w * x),
                    (0, Form::Nary) => bias + wengert::scalar::linear_combination(input, weights),
                    (_, Form::Source) => weights
                        .iter()
                        .zip(&current)
                        .fold(bias, |sum, (&w, &x)| sum + w * x),
                    (_, Form::Nary) => bias + wengert::scalar::dot(weights, &current[..sizes[0]]),
                };
                *next = if layer < 2 { sum.tanh() } else { sum };
            }
            current = next;
        }
        let error = current[0] - target;
        loss += error * error;
    }
    loss
}

impl Workload for Mlp {
    fn name(&self) -> &'static str {
        "mlp"
    }

    /// A product and a sum for each weight, a tanh for each hidden unit, and 3 for the loss, for each member of the batch.
    fn operations(&self) -> usize {
        let weights: usize = SIZES.windows(2).map(|s| s[0] * s[1]).sum();
        self.inputs.len() * (2 * weights + SIZES[1] + SIZES[2] + 3)
    }

    fn point(&self) -> &[f64] {
        &self.x
    }

    fn plain(&self) -> f64 {
        function(&self.x, self, Form::Source)
    }

    fn by_hand(&self, gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let mut loss = 0.0;
        for (input, &target) in self.inputs.iter().zip(&self.targets) {
            let mut values = [[0.0; LARGEST]; 4];
            values[0][..input.len()].copy_from_slice(input);
            let mut offsets = [0; 3];
            let mut offset = 0;
            for layer in 0..3 {
                offsets[layer] = offset;
                let (n, units) = (SIZES[layer], SIZES[layer + 1]);
                let (before, after) = values.split_at_mut(layer + 1);
                for next in &mut after[0][..units] {
                    let unit = &self.x[offset..offset + n + 1];
                    let products = unit[..n].iter().zip(&before[layer]);
                    let sum = products.fold(unit[n], |sum, (w, x)| sum + w * x);
                    *next = if layer < 2 { sum.tanh() } else { sum };
                    offset += n + 1;
                }
            }
            let error = values[3][0] - target;
            loss += error * error;
            let mut cotangents = [0.0; LARGEST];
            cotangents[0] = 2.0 * error;
            for layer in (0..3).rev() {
                let (n, units) = (SIZES[layer], SIZES[layer + 1]);
                let mut below = [0.0; LARGEST];
                for (j, &cotangent) in cotangents[..units].iter().enumerate() {
                    let y = values[layer + 1][j];
                    let c = cotangent * if layer < 2 { 1.0 - y * y } else { 1.0 };
                    let unit = offsets[layer] + j * (n + 1);
                    let weights = &self.x[unit..unit + n];
                    let (by_weights, by_bias) = gradient[unit..=unit + n].split_at_mut(n);
                    for i in 0..n {
                        by_weights[i] += c * values[layer][i];
                        below[i] += c * weights[i];
                    }
                    by_bias[0] += c;
                }
                cotangents = below;
            }
        }
        loss
    }

    one_function!();
}
