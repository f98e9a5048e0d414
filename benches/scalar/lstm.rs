//! The long short-term memory of ADBench (Srajer, Kukelova and Fitzgibbon, 2018): two layers of 14 units without links between
//! units, over a text of 1,024 characters of 14 bits; the negative log-likelihood of each next character.
//!
//! A layer is computed in the order of the suite's first version: all gates, then the cells, then the hidden values. (A later version
//! takes one unit after the other. The numbers are the same, but a processor finds less to do at a time, since the hyperbolic tangent
//! of a cell waits for its gates.)

use std::time::Duration;

use crate::data::Generator;
use crate::workload::{Form, Number, Run, Workload, one_function};

/// Bits of a character, and units of a layer.
const B: usize = 14;
const LAYERS: usize = 2;
/// Numbers of a layer: weights of the forget, input and output gates and of the change, then their biases.
const LAYER: usize = 8 * B;
/// Where the weights of the input, of the output, and the biases of the output begin.
const EXTRA: usize = LAYERS * LAYER;

#[derive(Debug)]
pub struct Lstm {
    text: Vec<[f64; B]>,
    /// Hidden values and cells at the start, layer by layer.
    state: [[[f64; B]; 2]; LAYERS],
    x: Vec<f64>,
}

impl Lstm {
    pub fn new(characters: usize) -> Self {
        let mut generator = Generator::new(4);
        let x = generator.normals(EXTRA + 3 * B, 0.5);
        let state = std::array::from_fn(|_| {
            std::array::from_fn(|_| std::array::from_fn(|_| 0.5 * generator.normal()))
        });
        let text = (0..characters)
            .map(|_| std::array::from_fn(|_| f64::from(generator.uniform() < 0.5)))
            .collect();
        Lstm { text, state, x }
    }

    /// The number of predictions.
    fn predictions(&self) -> usize {
        self.text.len() - 1
    }

    /// What the sum of log-likelihoods is multiplied by.
    fn scale(&self) -> f64 {
        -((self.predictions() * B) as f64).recip()
    }
}

fn sigmoid<S: Number>(x: S, form: Form) -> S {
    match form {
        Form::Source => ((-x).exp() + 1.0).recip(),
        Form::Nary => x.sigmoid(),
    }
}

fn function<S: Number>(x: &[S], lstm: &Lstm, form: Form) -> S {
    let (layers, extra) = x.split_at(EXTRA);
    let mut state = lstm.state.map(|s| s.map(|s| s.map(S::plain)));
    let [mut forget, mut enter, mut leave, mut change] = [[S::zero(); B]; 4];
    let mut total = S::zero();
    for pair in lstm.text.windows(2) {
        let first = std::array::from_fn(|i| extra[i] * pair[0][i]);
        let mut input: &[S; B] = &first;
        for ([hidden, cell], p) in state.iter_mut().zip(layers.chunks_exact(LAYER)) {
            for i in 0..B {
                let gate = |x: S, gate: usize| x * p[gate * B + i] + p[(4 + gate) * B + i];
                forget[i] = sigmoid(gate(input[i], 0), form);
                enter[i] = sigmoid(gate(hidden[i], 1), form);
                leave[i] = sigmoid(gate(input[i], 2), form);
                change[i] = gate(hidden[i], 3).tanh();
            }
            for i in 0..B {
                cell[i] = match form {
                    Form::Source => cell[i] * forget[i] + enter[i] * change[i],
                    Form::Nary => {
                        wengert::scalar::dot(&[cell[i], enter[i]], &[forget[i], change[i]])
                    }
                };
            }
            for i in 0..B {
                hidden[i] = leave[i] * cell[i].tanh();
            }
            input = hidden;
        }
        let output: [S; B] = std::array::from_fn(|i| input[i] * extra[B + i] + extra[2 * B + i]);
        let sum = match form {
            Form::Source => output.iter().fold(S::zero(), |sum, y| sum + y.exp()),
            Form::Nary => wengert::scalar::sum(&output.map(|y| y.exp())),
        };
        let normalizer = (sum + 2.0).ln();
        if form == Form::Nary {
            let count = pair[1].iter().sum::<f64>();
            total += wengert::scalar::linear_combination(&pair[1], &output) - normalizer * count;
        } else {
            for i in 0..B {
                total += (output[i] - normalizer) * pair[1][i];
            }
        }
    }
    total * lstm.scale()
}

/// What the sweep back needs of one unit at one time.
#[derive(Clone, Copy, Default)]
struct Unit {
    input: f64,
    hidden: f64,
    cell: f64,
    forget: f64,
    enter: f64,
    leave: f64,
    change: f64,
    /// The hyperbolic tangent of the new cell.
    shown: f64,
}

impl Workload for Lstm {
    fn name(&self) -> &'static str {
        "lstm"
    }

    /// A unit has 3 gates with 6, the change with 3, the cell with 3 and the hidden value with 2.
    fn operations(&self) -> usize {
        let layers = LAYERS * B * (3 * 6 + 3 + 3 + 2);
        let output = 2 * B + (2 * B + 2) + B + 2 * B;
        self.predictions() * (B + layers + output) + 1
    }

    fn point(&self) -> &[f64] {
        &self.x
    }

    fn plain(&self) -> f64 {
        function(&self.x, self, Form::Source)
    }

    fn by_hand(&self, gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let (layers, extra) = self.x.split_at(EXTRA);
        let mut state = self.state;
        let mut record = vec![[[Unit::default(); B]; LAYERS]; self.predictions()];
        let mut outputs = vec![([0.0; B], [0.0; B]); self.predictions()];
        let mut total = 0.0;
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        for (t, pair) in self.text.windows(2).enumerate() {
            let mut input: [f64; B] = std::array::from_fn(|i| extra[i] * pair[0][i]);
            for (l, p) in layers.chunks_exact(LAYER).enumerate() {
                let [hidden, cell] = &mut state[l];
                let units = &mut record[t][l];
                for (i, unit) in units.iter_mut().enumerate() {
                    let gate = |x: f64, gate: usize| x * p[gate * B + i] + p[(4 + gate) * B + i];
                    *unit = Unit {
                        input: input[i],
                        hidden: hidden[i],
                        cell: cell[i],
                        forget: sigmoid(gate(input[i], 0)),
                        enter: sigmoid(gate(hidden[i], 1)),
                        leave: sigmoid(gate(input[i], 2)),
                        change: gate(hidden[i], 3).tanh(),
                        shown: 0.0,
                    };
                }
                for (cell, unit) in cell.iter_mut().zip(&*units) {
                    *cell = *cell * unit.forget + unit.enter * unit.change;
                }
                for i in 0..B {
                    units[i].shown = cell[i].tanh();
                    hidden[i] = units[i].leave * units[i].shown;
                }
                input = *hidden;
            }
            let y: [f64; B] = std::array::from_fn(|i| input[i] * extra[B + i] + extra[2 * B + i]);
            let exponentials = y.map(f64::exp);
            let sum = exponentials.iter().sum::<f64>() + 2.0;
            let normalizer = sum.ln();
            let count: f64 = pair[1].iter().sum();
            // The cotangent of the output, before the factor of the whole sum.
            let by_output = std::array::from_fn(|i| pair[1][i] - count * exponentials[i] / sum);
            total += (0..B)
                .map(|i| (y[i] - normalizer) * pair[1][i])
                .sum::<f64>();
            outputs[t] = (input, by_output);
        }
        let (by_layers, by_extra) = gradient.split_at_mut(EXTRA);
        let mut by_state = [[[0.0; B]; 2]; LAYERS];
        for (t, character) in self.text[..self.predictions()].iter().enumerate().rev() {
            let (last, by_output) = &outputs[t];
            let mut below: [f64; B] = std::array::from_fn(|i| {
                let c = by_output[i] * self.scale();
                by_extra[B + i] += c * last[i];
                by_extra[2 * B + i] += c;
                c * extra[B + i]
            });
            for l in (0..LAYERS).rev() {
                let p = &layers[l * LAYER..(l + 1) * LAYER];
                let by_p = &mut by_layers[l * LAYER..(l + 1) * LAYER];
                let [by_hidden, by_cell] = &mut by_state[l];
                for i in 0..B {
                    let unit = &record[t][l][i];
                    let by_shown = below[i] + by_hidden[i];
                    let by_new =
                        by_cell[i] + by_shown * unit.leave * (1.0 - unit.shown * unit.shown);
                    let slope = |y: f64| y * (1.0 - y);
                    // Cotangents of what the four gates are functions of.
                    let gates = [
                        by_new * unit.cell * slope(unit.forget),
                        by_new * unit.change * slope(unit.enter),
                        by_shown * unit.shown * slope(unit.leave),
                        by_new * unit.enter * (1.0 - unit.change * unit.change),
                    ];
                    let inputs = [unit.input, unit.hidden, unit.input, unit.hidden];
                    for g in 0..4 {
                        by_p[g * B + i] += gates[g] * inputs[g];
                        by_p[(4 + g) * B + i] += gates[g];
                    }
                    by_cell[i] = by_new * unit.forget;
                    by_hidden[i] = gates[1] * p[B + i] + gates[3] * p[3 * B + i];
                    below[i] = gates[0] * p[i] + gates[2] * p[2 * B + i];
                }
            }
            for i in 0..B {
                by_extra[i] += below[i] * character[i];
            }
        }
        total * self.scale()
    }

    one_function!();
}
