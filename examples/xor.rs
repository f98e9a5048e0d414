//! The exclusive or, learned by a network of four hidden units: the classic first program.
//!
//! Run with `cargo run --release --example xor`.

use wengert::prelude::*;

const EPOCHS: usize = 1000;
const RATE: f64 = 0.01;
/// The seed whose run is shown.
const SEED: u64 = 1;

#[derive(Debug)]
struct Mlp {
    hidden: Linear,
    output: Linear,
}
wengert::module!(Mlp { hidden, output });

impl Layer for Mlp {
    fn forward(&self, x: Var) -> Var {
        self.output.forward(self.hidden.forward(x).relu()).sigmoid()
    }
}

/// Trains a network that starts from `seed`; returns it with its loss after each epoch.
fn train(seed: u64, x: &Tensor, y: &Tensor) -> (Mlp, Vec<f32>) {
    let mut rng = wengert::rng(seed);
    let mut model = Mlp {
        hidden: Linear::new(2, 4, &mut rng),
        output: Linear::new(4, 1, &mut rng),
    };
    let mut adam = Adam::new(RATE);
    let mut losses = Vec::new();
    for _ in 0..EPOCHS {
        let step = value_and_grad(&model, |model, tape| {
            loss::binary_cross_entropy(model.forward(tape.constant(x)), tape.constant(y))
        });
        losses.push(step.value());
        adam.step(&mut model, &step);
    }
    (model, losses)
}

fn predict(model: &Mlp, x: &Tensor) -> Tensor {
    let tape = Tape::inference();
    model.forward(tape.constant(x)).value()
}

/// The share of rows where the prediction, rounded, is the label.
fn accuracy(predictions: &Tensor, y: &Tensor) -> f32 {
    let right = predictions
        .iter()
        .zip(y.iter())
        .filter(|(p, y)| p.round() == *y)
        .count();
    right as f32 / y.len() as f32
}

fn main() {
    let x = Tensor::from([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let y = Tensor::from([[0.0], [1.0], [1.0], [0.0]]);

    let (model, losses) = train(SEED, &x, &y);
    for epoch in [1, 10, 100, 300, EPOCHS] {
        println!("epoch {epoch:>4}   loss {:.6}", losses[epoch - 1]);
    }
    let predictions = predict(&model, &x);
    for (row, (p, y)) in x.rows().zip(predictions.iter().zip(y.iter())) {
        println!("{} xor {} = {p:.4}   label {y}", row[[0]], row[[1]]);
    }
    let reached = accuracy(&predictions, &y);
    println!("accuracy {reached} from seed {SEED}");
    assert_eq!(reached, 1.0);

    // Four rectifiers can start, or end, where some of them are zero for every input: not every start arrives.
    let seeds = 20;
    let arrived = (0..seeds)
        .filter(|&seed| accuracy(&predict(&train(seed, &x, &y).0, &x), &y) == 1.0)
        .count();
    println!("{arrived} of {seeds} seeds reach accuracy 1");
}
