//! The workloads in dfdx, on its CPU device.

use crate::data::{self, Outcome, Workloads};
use dfdx::optim::Adam;
use dfdx::prelude::*;

pub const WORKLOADS: Workloads = &[
    ("xor_mlp", || Box::new(xor_mlp())),
    ("mlp_mnist", || Box::new(mlp_mnist())),
    ("elementwise_1m", || Box::new(elementwise_1m())),
    ("matmul_1024", || Box::new(matmul_1024())),
    ("softmax_ce_32k", || Box::new(softmax_ce_32k())),
    ("layernorm", || Box::new(layernorm())),
    ("small_ops", || Box::new(small_ops())),
];

type Built<const I: usize, const O: usize> = dfdx::nn::modules::Linear<I, O, f32, Cpu>;

fn fill<const I: usize, const O: usize>(
    linear: &mut Built<I, O>,
    (weight, bias): (Vec<f32>, Vec<f32>),
) {
    linear.weight.copy_from(&weight);
    linear.bias.copy_from(&bias);
}

fn device() -> Cpu {
    // As the examples of dfdx do: subnormal numbers are slow.
    dfdx::flush_denormals_to_zero();
    Cpu::default()
}

fn adam_config(lr: f64) -> AdamConfig {
    AdamConfig {
        lr,
        ..Default::default()
    }
}

fn trained(loss: f32) -> Outcome {
    Outcome {
        loss,
        gradient: [0.0; 3],
    }
}

fn xor_mlp() -> impl FnMut() -> Outcome {
    type Mlp = ((Linear<2, 4>, ReLU), Linear<4, 1>);
    let device = device();
    let x: Tensor<Rank2<4, 2>, f32, _> = device.tensor(data::XOR_INPUTS.to_vec());
    let y: Tensor<Rank2<4, 1>, f32, _> = device.tensor(data::XOR_TARGETS.to_vec());
    let mut model = device.build_module::<Mlp, f32>();
    fill(&mut model.0.0, data::layer(&data::XOR_SIZES, 0));
    fill(&mut model.1, data::layer(&data::XOR_SIZES, 1));
    let mut adam = Adam::new(&model, adam_config(data::XOR_RATE));
    let mut spare = Some(model.alloc_grads());
    move || {
        let gradients = spare.take().expect("the gradients of the step before");
        let logits = model.forward_mut(x.trace(gradients));
        let loss = binary_cross_entropy_with_logits_loss(logits, y.clone());
        let value = loss.array();
        let mut gradients = loss.backward();
        adam.update(&mut model, &gradients)
            .expect("no unused parameter");
        model.zero_grads(&mut gradients);
        spare = Some(gradients);
        trained(value)
    }
}

fn mlp_mnist() -> impl FnMut() -> Outcome {
    type Mlp = (
        (Linear<784, 512>, ReLU),
        (Linear<512, 512>, ReLU),
        Linear<512, 10>,
    );
    let [inputs, .., classes] = data::MNIST_SIZES;
    let device = device();
    let pixels = data::uniform(data::MNIST_BATCH * inputs, 1, 0.0, 1.0);
    let x: Tensor<Rank2<{ data::MNIST_BATCH }, 784>, f32, _> = device.tensor(pixels);
    // The loss takes rows of probabilities.
    let mut rows = vec![0.0; data::MNIST_BATCH * classes];
    for (row, label) in data::labels(data::MNIST_BATCH, 2, classes)
        .into_iter()
        .enumerate()
    {
        rows[row * classes + label as usize] = 1.0;
    }
    let y: Tensor<Rank2<{ data::MNIST_BATCH }, 10>, f32, _> = device.tensor(rows);
    let mut model = device.build_module::<Mlp, f32>();
    fill(&mut model.0.0, data::layer(&data::MNIST_SIZES, 0));
    fill(&mut model.1.0, data::layer(&data::MNIST_SIZES, 1));
    fill(&mut model.2, data::layer(&data::MNIST_SIZES, 2));
    let mut adam = Adam::new(&model, adam_config(data::MNIST_RATE));
    let mut spare = Some(model.alloc_grads());
    move || {
        let gradients = spare.take().expect("the gradients of the step before");
        let logits = model.forward_mut(x.trace(gradients));
        let loss = cross_entropy_with_logits_loss(logits, y.clone());
        let value = loss.array();
        let mut gradients = loss.backward();
        adam.update(&mut model, &gradients)
            .expect("no unused parameter");
        model.zero_grads(&mut gradients);
        spare = Some(gradients);
        trained(value)
    }
}

fn elementwise_1m() -> impl FnMut() -> Outcome {
    let elements = data::uniform(data::ELEMENTS, 1, -2.0, 2.0);
    let x: Tensor<Rank1<{ data::ELEMENTS }>, f32, _> = device().tensor(elements);
    move || {
        let left = (x.leaky_trace() * data::A + data::B).tanh() * x.leaky_trace().sigmoid();
        let loss = (left + x.leaky_trace().square().negate().exp()).sum();
        let value = loss.array();
        let dx = loss.backward().get(&x);
        Outcome {
            loss: value,
            gradient: [dx[[3]], dx[[5]], dx[[7]]],
        }
    }
}

fn matmul_1024() -> impl FnMut() -> Outcome {
    type Matrix = Tensor<Rank2<{ data::MATRIX }, { data::MATRIX }>, f32, Cpu>;
    let device = device();
    let matrix = |seed| data::uniform(data::MATRIX * data::MATRIX, seed, 0.0, 1.0);
    let [a, b, w]: [Matrix; 3] = [1, 2, 3].map(|seed| device.tensor(matrix(seed)));
    move || {
        let loss = (a.leaky_trace().matmul(b.clone()) * w.clone()).sum();
        let value = loss.array();
        let gradients = loss.backward();
        let (da, db) = (gradients.get(&a), gradients.get(&b));
        Outcome {
            loss: value,
            gradient: [da[[3, 5]], db[[5, 3]], 0.0],
        }
    }
}

fn softmax_ce_32k() -> impl FnMut() -> Outcome {
    let device = device();
    let numbers = data::uniform(data::ITEMS * data::CLASSES, 1, -4.0, 4.0);
    let x: Tensor<Rank2<{ data::ITEMS }, { data::CLASSES }>, f32, _> = device.tensor(numbers);
    let labels: Vec<usize> = data::labels(data::ITEMS, 2, data::CLASSES)
        .into_iter()
        .map(|label| label as usize)
        .collect();
    let label = labels[0];
    let y: Tensor<Rank1<{ data::ITEMS }>, usize, _> = device.tensor(labels);
    move || {
        let picked = x.leaky_trace().log_softmax::<Axis<1>>().select(y.clone());
        let loss = picked.mean().negate();
        let value = loss.array();
        let dx = loss.backward().get(&x);
        Outcome {
            loss: value,
            gradient: [dx[[0, label]], dx[[3, 5]], dx[[7, 9]]],
        }
    }
}

fn layernorm() -> impl FnMut() -> Outcome {
    type Table = Tensor<Rank2<{ data::ROWS }, { data::FEATURES }>, f32, Cpu>;
    type Row = Tensor<Rank1<{ data::FEATURES }>, f32, Cpu>;
    let device = device();
    let table = |seed, low| data::uniform(data::ROWS * data::FEATURES, seed, low, 1.0);
    let x: Table = device.tensor(table(1, -1.0));
    let w: Table = device.tensor(table(2, 0.0));
    let gamma: Row = device.tensor(data::uniform(data::FEATURES, 3, 0.5, 1.5));
    let beta: Row = device.tensor(data::uniform(data::FEATURES, 4, 0.0, 1.0));
    move || {
        let normalized = x.leaky_trace().normalize::<Axis<1>>(data::EPSILON);
        let gamma_rows = gamma.leaky_trace().broadcast_like(&normalized);
        let y = gamma_rows * normalized;
        let beta_rows = beta.leaky_trace().broadcast_like(&y);
        let loss = ((beta_rows + y) * w.clone()).sum();
        let value = loss.array();
        let gradients = loss.backward();
        let dx = gradients.get(&x);
        let (dgamma, dbeta) = (gradients.get(&gamma), gradients.get(&beta));
        Outcome {
            loss: value,
            gradient: [dx[[3, 5]], dgamma[[5]], dbeta[[7]]],
        }
    }
}

fn small_ops() -> impl FnMut() -> Outcome {
    let x: Tensor<Rank1<8>, f32, _> = device().ones();
    move || {
        let mut y = x.leaky_trace();
        for _ in 0..data::CHAIN {
            y = y * data::FACTOR;
            y = y + data::SUMMAND;
        }
        let loss = y.sum();
        let value = loss.array();
        let dx = loss.backward().get(&x).array();
        Outcome {
            loss: value,
            gradient: [dx[0], dx[3], dx[7]],
        }
    }
}
