//! The workloads in wengert as programs: recorded once, run again and again.

use crate::data::{self, Outcome, Workloads};
use crate::recorded::{chain, curves, labels, linear, normalized, tensor, trained};
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

const RIGHT: &str = "inputs of the shapes that were recorded";

fn xor_mlp() -> impl FnMut() -> Outcome {
    let x = tensor([4, 2], data::XOR_INPUTS.to_vec());
    let y = tensor([4, 1], data::XOR_TARGETS.to_vec());
    let mut model = wengert::sequential![
        linear(&data::XOR_SIZES, 0),
        activation::Relu,
        linear(&data::XOR_SIZES, 1),
    ];
    let mut adam = Adam::new(data::XOR_RATE);
    let inputs = (ProgramInput::batch([2]), ProgramInput::batch([1]));
    let mut program = TrainingProgram::new(inputs, |model: &Sequential, (x, y)| {
        loss::binary_cross_entropy_with_logits(model.forward(x), y)
    });
    move || trained(program.run(&mut model, &mut adam, (&x, &y)).expect(RIGHT))
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
    let inputs = (
        ProgramInput::batch([inputs]),
        ProgramInput::<i64>::batch([]),
    );
    let mut program = TrainingProgram::new(inputs, |model: &Sequential, (x, y)| {
        loss::cross_entropy(model.forward(x), y)
    });
    move || trained(program.run(&mut model, &mut adam, (&x, &y)).expect(RIGHT))
}

fn elementwise_1m() -> impl FnMut() -> Outcome {
    let x = tensor(
        [data::ELEMENTS],
        data::uniform(data::ELEMENTS, 1, -2.0, 2.0),
    );
    let program = Program::record([ProgramInput::new([data::ELEMENTS])], |[x]| {
        let loss = curves(x);
        (loss, loss.gradient(x))
    });
    let program = program.expect(RIGHT);
    move || {
        let (loss, dx) = program.run([&x]).expect(RIGHT);
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
    let square = || ProgramInput::new([data::MATRIX, data::MATRIX]);
    let program = Program::record([square(), square(), square()], |[a, b, w]| {
        let loss = (a.matmul(b) * w).sum();
        (loss, loss.gradients([a, b]))
    });
    let program = program.expect(RIGHT);
    move || {
        let (loss, [da, db]) = program.run([&a, &b, &w]).expect(RIGHT);
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
    let inputs = (
        ProgramInput::<f32>::batch([data::CLASSES]),
        ProgramInput::<i64>::batch([]),
    );
    let program = Program::record(inputs, |(logits, y)| {
        let loss = loss::cross_entropy(logits, y);
        (loss, loss.gradient(logits))
    });
    let program = program.expect(RIGHT);
    move || {
        let (loss, dx) = program.run((&logits, &y)).expect(RIGHT);
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
    let inputs = [
        ProgramInput::new([rows, features]),
        ProgramInput::new([features]),
        ProgramInput::new([features]),
        ProgramInput::new([rows, features]),
    ];
    let program = Program::record(inputs, |[x, gamma, beta, w]| {
        let loss = (normalized(x, gamma, beta) * w).sum();
        (loss, loss.gradients([x, gamma, beta]))
    });
    let program = program.expect(RIGHT);
    move || {
        let (loss, [dx, dgamma, dbeta]) = program.run([&x, &gamma, &beta, &w]).expect(RIGHT);
        Outcome {
            loss: loss.item(),
            gradient: [dx[[3, 5]], dgamma[[5]], dbeta[[7]]],
        }
    }
}

fn small_ops() -> impl FnMut() -> Outcome {
    let x = Tensor::<f32>::ones([8]);
    let program = Program::record([ProgramInput::new([8])], |[x]| {
        let loss = chain(x);
        (loss, loss.gradient(x))
    });
    let program = program.expect(RIGHT);
    move || {
        let (loss, dx) = program.run([&x]).expect(RIGHT);
        Outcome {
            loss: loss.item(),
            gradient: [dx[[0]], dx[[3]], dx[[7]]],
        }
    }
}
