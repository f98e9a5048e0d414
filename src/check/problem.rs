//! A function and a point: its derivatives by reverse mode, and by differences.

use super::difference::{Change, Difference, derivative};
use crate::random::rng;
use crate::shape::Shape;
use crate::tape::{Tape, TapeRef, Var};
use crate::tensor::Tensor;
use rand::Rng;
use rand::seq::index;

/// A function with the inputs at which it is checked.
///
/// Level 0 is the function itself; level `n + 1` are its derivatives with respect to the inputs, of
/// the scalar product of level `n` with fixed random weights.
pub(super) struct Problem<'a, F, const N: usize> {
    f: F,
    inputs: [&'a Tensor<f64>; N],
    tape: Tape,
}

impl<'a, F: Fn([Var<f64>; N]) -> Var<f64>, const N: usize> Problem<'a, F, N> {
    pub fn new(f: F, inputs: [&'a Tensor<f64>; N]) -> Self {
        Problem {
            f,
            inputs,
            tape: Tape::new(),
        }
    }

    /// The derivatives of each order from 1 to `order` with respect to each input; `None` where
    /// reverse mode finds no path.
    pub fn reverse(&mut self, order: usize) -> Vec<[Option<Tensor<f64>>; N]> {
        self.tape.reset();
        let (_, derivatives) = record(&self.f, *self.tape, &self.inputs, order);
        let found: Vec<Var<f64>> = derivatives.iter().flatten().copied().flatten().collect();
        let mut values = self.tape.run(found).into_iter();
        let valued = |level: Derivatives<N>| level.map(|d| d.and_then(|_| values.next()));
        derivatives.into_iter().map(valued).collect()
    }

    /// The derivative of the weighted sum of a level with respect to one coordinate of an input, by
    /// differences.
    pub fn difference(&mut self, level: usize, input: usize, position: usize) -> Difference {
        let moved = self.inputs[input].contiguous();
        let x = moved.to_vec()[position];
        derivative(x, |above, below| {
            let [above, below] = [above, below].map(|x| {
                let mut moved = moved.clone();
                moved.as_mut_slice()[position] = x;
                let mut inputs = self.inputs;
                inputs[input] = &moved;
                self.tape.reset();
                let (outputs, _) = record(&self.f, *self.tape, &inputs, level);
                let weighted: Vec<_> = outputs.iter().map(|o| o.weights.clone()).collect();
                let values = self
                    .tape
                    .run(outputs.iter().map(|o| o.value).collect::<Vec<_>>());
                (weighted, values)
            });
            let mut change = Change {
                sum: 0.0,
                magnitude: 0.0,
            };
            for (k, weights) in above.0.iter().enumerate() {
                let pairs = above.1[k].iter().zip(&below.1[k]);
                for (w, (a, b)) in weights.iter().zip(pairs) {
                    // What did not change adds nothing, not even a rounding error.
                    if a != b {
                        change.sum += w * (a - b);
                        change.magnitude += w.abs() * (a.abs() + b.abs());
                    }
                }
            }
            change
        })
    }

    /// The positions of an input, in row-major order, that are compared: all, or a random choice of
    /// `most`.
    pub fn coordinates(&self, input: usize, most: usize) -> Vec<usize> {
        let len = self.inputs[input].len();
        if len <= most {
            return (0..len).collect();
        }
        let mut chosen = index::sample(&mut rng(input as u64), len, most).into_vec();
        chosen.sort_unstable();
        chosen
    }
}

/// A result of a level, and what it is multiplied with.
struct Weighted {
    weights: Tensor<f64>,
    value: Var<f64>,
}

/// The derivatives with respect to each input; `None` where reverse mode finds no path.
type Derivatives<const N: usize> = [Option<Var<f64>>; N];

/// Records a level, and the derivatives of all levels below it.
fn record<const N: usize>(
    f: &impl Fn([Var<f64>; N]) -> Var<f64>,
    tape: TapeRef,
    inputs: &[&Tensor<f64>; N],
    level: usize,
) -> (Vec<Weighted>, Vec<Derivatives<N>>) {
    let variables = inputs.map(|input| tape.leaf(input));
    let value = f(variables);
    let mut outputs = vec![weighted(value, 0)];
    let mut derivatives = Vec::new();
    for order in 1..=level {
        let terms = outputs
            .iter()
            .map(|o| (tape.constant(&o.weights) * o.value).sum());
        let found = match terms.reduce(|a, b| a + b) {
            Some(sum) => sum.vjp(tape.number(1.0), variables),
            None => [None; N],
        };
        let reached = found.iter().enumerate();
        outputs = reached
            .filter_map(|(k, d)| Some(weighted((*d)?, (order * N + k + 1) as u64)))
            .collect();
        derivatives.push(found);
    }
    (outputs, derivatives)
}

/// A value with its weights: magnitudes from 0.5 to 1.5 of either sign, so that none vanishes; one
/// for a scalar.
fn weighted(value: Var<f64>, seed: u64) -> Weighted {
    let shape: Shape = value.shape();
    let weights = if shape.rank() == 0 {
        Tensor::scalar(1.0)
    } else {
        let mut rng = rng(seed);
        let mut draw = || {
            let bits = rng.next_u64();
            let magnitude = 0.5 + (bits >> 11) as f64 / (1u64 << 53) as f64;
            if bits & 1 == 0 { magnitude } else { -magnitude }
        };
        Tensor::from_fn(shape, |_| draw())
    };
    Weighted { weights, value }
}
