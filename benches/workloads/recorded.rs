//! The workloads in wengert, recorded anew at every step.

use crate::data::{self, Outcome, Workloads};
use wengert::prelude::*;

pub const WORKLOADS: Workloads = &[
    ("xor_mlp", || Box::new(xor_mlp())),
    ("mlp_mnist", || Box::new(mlp_mnist())),
    ("elementwise_1m", || Box::new(elementwise_1m())),
    ("matmul_1024", || Box::new(matmul_1024())),
    ("softmax_ce_32k", || Box::new(softmax_ce_32k())),
    ("layernorm", || Box::new(layernorm())),
    ("small_ops", || Box::new(small_ops())),
];

pub fn tensor(shape: impl Into<Shape>, elements: Vec<f32>) -> Tensor {
    Tensor::from_vec(shape, elements).expect("as many elements as the shape has")
}

pub fn labels(count: usize, classes: usize) -> Tensor<i64> {
    let labels = data::labels(count, 2, classes).into_iter().map(i64::from);
    Tensor::from_vec([count], labels.collect()).expect("one axis")
}

pub fn linear(sizes: &[usize], layer: usize) -> Linear {
    let (weight, bias) = data::layer(sizes, layer);
    Linear {
        weight: Param::new(tensor([sizes[layer + 1], sizes[layer]], weight)),
        bias: Some(Param::new(tensor([sizes[layer + 1]], bias))),
    }
}

/// A training step gives no gradients away: what came of them shows in the losses of the next.
pub fn trained(loss: f32) -> Outcome {
    Outcome {
        loss,
        gradient: [0.0; 3],
    }
}

fn xor_mlp() -> impl FnMut() -> Outcome {
    let x = tensor([4, 2], data::XOR_INPUTS.to_vec());
    let y = tensor([4, 1], data::XOR_TARGETS.to_vec());
    let mut model = wengert::sequential![
        linear(&data::XOR_SIZES, 0),
        activation::Relu,
        linear(&data::XOR_SIZES, 1),
    ];
    let mut adam = Adam::new(data::XOR_RATE);
    move || {
        let step = value_and_grad(&model, |model, tape| {
            let logits = model.forward(tape.constant(&x));
            loss::binary_cross_entropy_with_logits(logits, tape.constant(&y))
        });
        adam.step(&mut model, &step);
        trained(step.value())
    }
}

fn mlp_mnist() -> impl FnMut() -> Outcome {
    let [inputs, .., classes] = data::MNIST_SIZES;
    let pixels = data::uniform(data::MNIST_BATCH * inputs, 1, 0.0, 1.0);
    let x = tensor([data::MNIST_BATCH, inputs], pixels);
    let y = labels(data::MNIST_BATCH, classes);
    let mut model = wengert::sequential![
        linear(&data::MNIST_SIZES, 0),
        activation::Relu,
        linear(&data::MNIST_SIZES, 1),
        activation::Relu,
        linear(&data::MNIST_SIZES, 2),
    ];
    let mut adam = Adam::new(data::MNIST_RATE);
    move || {
        let step = value_and_grad(&model, |model, tape| {
            loss::cross_entropy(model.forward(tape.constant(&x)), tape.constant(&y))
        });
        adam.step(&mut model, &step);
        trained(step.value())
    }
}

fn elementwise_1m() -> impl FnMut() -> Outcome {
    let start = tensor(
        [data::ELEMENTS],
        data::uniform(data::ELEMENTS, 1, -2.0, 2.0),
    );
    let mut tape = Tape::new();
    move || {
        tape.reset();
        let x = tape.leaf(&start);
        let loss = curves(x);
        let (loss, dx) = tape.run((loss, loss.gradient(x)));
        Outcome {
            loss: loss.item(),
            gradient: [dx[[3]], dx[[5]], dx[[7]]],
        }
    }
}

fn matmul_1024() -> impl FnMut() -> Outcome {
    let matrix = |seed| {
        let elements = data::uniform(data::MATRIX * data::MATRIX, seed, 0.0, 1.0);
        tensor([data::MATRIX, data::MATRIX], elements)
    };
    let [a, b, w] = [1, 2, 3].map(matrix);
    let mut tape = Tape::new();
    move || {
        tape.reset();
        let (a, b) = (tape.leaf(&a), tape.leaf(&b));
        let loss = (a.matmul(b) * tape.constant(&w)).sum();
        let (loss, [da, db]) = tape.run((loss, loss.gradients([a, b])));
        Outcome {
            loss: loss.item(),
            gradient: [da[[3, 5]], db[[5, 3]], 0.0],
        }
    }
}

fn softmax_ce_32k() -> impl FnMut() -> Outcome {
    let numbers = data::uniform(data::ITEMS * data::CLASSES, 1, -4.0, 4.0);
    let logits = tensor([data::ITEMS, data::CLASSES], numbers);
    let y = labels(data::ITEMS, data::CLASSES);
    let label = y[[0]] as usize;
    let mut tape = Tape::new();
    move || {
        tape.reset();
        let logits = tape.leaf(&logits);
        let loss = loss::cross_entropy(logits, tape.constant(&y));
        let (loss, dx) = tape.run((loss, loss.gradient(logits)));
        Outcome {
            loss: loss.item(),
            gradient: [dx[[0, label]], dx[[3, 5]], dx[[7, 9]]],
        }
    }
}

fn layernorm() -> impl FnMut() -> Outcome {
    let (rows, features) = (data::ROWS, data::FEATURES);
    let table = |seed, low| {
        tensor(
            [rows, features],
            data::uniform(rows * features, seed, low, 1.0),
        )
    };
    let (x, w) = (table(1, -1.0), table(2, 0.0));
    let gamma = tensor([features], data::uniform(features, 3, 0.5, 1.5));
    let beta = tensor([features], data::uniform(features, 4, 0.0, 1.0));
    let mut tape = Tape::new();
    move || {
        tape.reset();
        let (x, gamma, beta) = (tape.leaf(&x), tape.leaf(&gamma), tape.leaf(&beta));
        let loss = (normalized(x, gamma, beta) * tape.constant(&w)).sum();
        let gradients = loss.gradients([x, gamma, beta]);
        let (loss, [dx, dgamma, dbeta]) = tape.run((loss, gradients));
        Outcome {
            loss: loss.item(),
            gradient: [dx[[3, 5]], dgamma[[5]], dbeta[[7]]],
        }
    }
}

fn small_ops() -> impl FnMut() -> Outcome {
    let start = Tensor::<f32>::ones([8]);
    let mut tape = Tape::new();
    move || {
        tape.reset();
        let x = tape.leaf(&start);
        let loss = chain(x);
        let (loss, dx) = tape.run((loss, loss.gradient(x)));
        Outcome {
            loss: loss.item(),
            gradient: [dx[[0]], dx[[3]], dx[[7]]],
        }
    }
}

/// The sum of `tanh(a x + b) sigmoid(x) + exp(-x^2)`.
pub fn curves(x: Var) -> Var {
    ((x * data::A + data::B).tanh() * x.sigmoid() + (-x.square()).exp()).sum()
}

/// Layer normalization, composed.
pub fn normalized(x: Var, gamma: Var, beta: Var) -> Var {
    let centered = x - x.mean_keepdim(-1);
    let variance = centered.square().mean_keepdim(-1);
    centered * (variance + data::EPSILON).rsqrt() * gamma + beta
}

/// The sum of what a chain of products and sums makes of `x`.
pub fn chain(x: Var) -> Var {
    let mut y = x;
    for _ in 0..data::CHAIN {
        y *= data::FACTOR;
        y += data::SUMMAND;
    }
    y.sum()
}
