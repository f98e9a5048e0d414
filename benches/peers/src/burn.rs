//! The workloads in burn, on its CPU backend Flex.

use crate::data::{self, Outcome, Workloads};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::nn::loss::{BinaryCrossEntropyLossConfig, CrossEntropyLossConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};

pub const WORKLOADS: Workloads = &[
    ("xor_mlp", || Box::new(xor_mlp())),
    ("mlp_mnist", || Box::new(mlp_mnist())),
    ("elementwise_1m", || Box::new(elementwise_1m())),
    ("matmul_1024", || Box::new(matmul_1024())),
    ("softmax_ce_32k", || Box::new(softmax_ce_32k())),
    ("layernorm", || Box::new(layernorm())),
    ("small_ops", || Box::new(small_ops())),
];

fn device() -> Device {
    Device::flex().autodiff()
}

fn tensor<const D: usize>(shape: [usize; D], elements: Vec<f32>) -> Tensor<D> {
    Tensor::from_data(TensorData::new(elements, shape), &device())
}

fn labels(count: usize, classes: usize) -> Tensor<1, Int> {
    let labels: Vec<i64> = data::labels(count, 2, classes)
        .into_iter()
        .map(i64::from)
        .collect();
    Tensor::from_data(TensorData::new(labels, [count]), &device())
}

fn element<const D: usize>(tensor: &Tensor<D>, index: [usize; D]) -> f32 {
    let one = tensor.clone().slice(index.map(|i| i..i + 1));
    scalar(one)
}

fn scalar<const D: usize>(tensor: Tensor<D>) -> f32 {
    tensor.into_data().as_slice().expect("numbers of 32 bits")[0]
}

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn new(sizes: &[usize]) -> Self {
        let layer = |layer| {
            let (weight, bias) = data::layer(sizes, layer);
            let weight = tensor([sizes[layer + 1], sizes[layer]], weight);
            // The weight of a linear layer is `[inputs, outputs]` here, and lies so in memory.
            let weight = weight.transpose().into_data();
            let weight = Tensor::from_data(weight, &device());
            Linear {
                weight: Param::from_tensor(weight),
                bias: Some(Param::from_tensor(tensor([sizes[layer + 1]], bias))),
            }
        };
        Mlp {
            layers: (0..sizes.len() - 1).map(layer).collect(),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let mut y = self.layers[0].forward(x);
        for layer in &self.layers[1..] {
            y = layer.forward(activation::relu(y));
        }
        y
    }
}

/// A training step: `loss` of the model, its gradients, Adam.
fn training(model: Mlp, lr: f64, loss: impl Fn(&Mlp) -> Tensor<1>) -> impl FnMut() -> Outcome {
    let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
    let mut model = Some(model);
    move || {
        let before = model.take().expect("the model of the step before");
        let loss = loss(&before);
        let gradients = GradientsParams::from_grads(loss.backward(), &before);
        model = Some(adam.step(lr, before, gradients));
        Outcome {
            loss: scalar(loss),
            gradient: [0.0; 3],
        }
    }
}

fn xor_mlp() -> impl FnMut() -> Outcome {
    let x = tensor([4, 2], data::XOR_INPUTS.to_vec());
    let y = tensor([4, 1], data::XOR_TARGETS.to_vec()).int();
    let loss = BinaryCrossEntropyLossConfig::new()
        .with_logits(true)
        .init(&device());
    training(Mlp::new(&data::XOR_SIZES), data::XOR_RATE, move |model| {
        loss.forward(model.forward(x.clone()), y.clone())
    })
}

fn mlp_mnist() -> impl FnMut() -> Outcome {
    let [inputs, .., classes] = data::MNIST_SIZES;
    let pixels = data::uniform(data::MNIST_BATCH * inputs, 1, 0.0, 1.0);
    let x = tensor([data::MNIST_BATCH, inputs], pixels);
    let y = labels(data::MNIST_BATCH, classes);
    let loss = CrossEntropyLossConfig::new().init(&device());
    training(
        Mlp::new(&data::MNIST_SIZES),
        data::MNIST_RATE,
        move |model| loss.forward(model.forward(x.clone()), y.clone()),
    )
}

fn elementwise_1m() -> impl FnMut() -> Outcome {
    let elements = data::uniform(data::ELEMENTS, 1, -2.0, 2.0);
    let start = tensor([data::ELEMENTS], elements);
    move || {
        let x = start.clone().require_grad();
        let left = (x.clone() * data::A + data::B).tanh() * activation::sigmoid(x.clone());
        let loss = (left + x.clone().square().neg().exp()).sum();
        let mut gradients = loss.backward();
        let dx = x.grad_remove(&mut gradients).expect("a gradient");
        Outcome {
            loss: scalar(loss),
            gradient: [element(&dx, [3]), element(&dx, [5]), element(&dx, [7])],
        }
    }
}

fn matmul_1024() -> impl FnMut() -> Outcome {
    const N: usize = data::MATRIX;
    let matrix = |seed| tensor([N, N], data::uniform(N * N, seed, 0.0, 1.0));
    let [a, b, w] = [1, 2, 3].map(matrix);
    move || {
        let (a, b) = (a.clone().require_grad(), b.clone().require_grad());
        let loss = (a.clone().matmul(b.clone()) * w.clone()).sum();
        let mut gradients = loss.backward();
        let da = a.grad_remove(&mut gradients).expect("a gradient");
        let db = b.grad_remove(&mut gradients).expect("a gradient");
        Outcome {
            loss: scalar(loss),
            gradient: [element(&da, [3, 5]), element(&db, [5, 3]), 0.0],
        }
    }
}

fn softmax_ce_32k() -> impl FnMut() -> Outcome {
    let numbers = data::uniform(data::ITEMS * data::CLASSES, 1, -4.0, 4.0);
    let start = tensor([data::ITEMS, data::CLASSES], numbers);
    let y = labels(data::ITEMS, data::CLASSES);
    let label = data::labels(data::ITEMS, 2, data::CLASSES)[0] as usize;
    let cross_entropy = CrossEntropyLossConfig::new().init(&device());
    move || {
        let logits = start.clone().require_grad();
        let loss = cross_entropy.forward(logits.clone(), y.clone());
        let mut gradients = loss.backward();
        let dx = logits.grad_remove(&mut gradients).expect("a gradient");
        let gradient = [[0, label], [3, 5], [7, 9]].map(|index| element(&dx, index));
        Outcome {
            loss: scalar(loss),
            gradient,
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
    let gamma = tensor([1, features], data::uniform(features, 3, 0.5, 1.5));
    let beta = tensor([1, features], data::uniform(features, 4, 0.0, 1.0));
    move || {
        let x = x.clone().require_grad();
        let gamma = gamma.clone().require_grad();
        let beta = beta.clone().require_grad();
        let centered = x.clone() - x.clone().mean_dim(1);
        let variance = centered.clone().square().mean_dim(1);
        let y = centered / (variance + data::EPSILON).sqrt() * gamma.clone() + beta.clone();
        let loss = (y * w.clone()).sum();
        let mut gradients = loss.backward();
        let dx = x.grad_remove(&mut gradients).expect("a gradient");
        let dgamma = gamma.grad_remove(&mut gradients).expect("a gradient");
        let dbeta = beta.grad_remove(&mut gradients).expect("a gradient");
        let gradient = [
            element(&dx, [3, 5]),
            element(&dgamma, [0, 5]),
            element(&dbeta, [0, 7]),
        ];
        Outcome {
            loss: scalar(loss),
            gradient,
        }
    }
}

fn small_ops() -> impl FnMut() -> Outcome {
    let start = tensor([8], vec![1.0; 8]);
    move || {
        let x = start.clone().require_grad();
        let mut y = x.clone();
        for _ in 0..data::CHAIN {
            y = y * data::FACTOR;
            y = y + data::SUMMAND;
        }
        let loss = y.sum();
        let mut gradients = loss.backward();
        let dx = x.grad_remove(&mut gradients).expect("a gradient");
        let dx = dx.into_data();
        let dx: &[f32] = dx.as_slice().expect("numbers of 32 bits");
        Outcome {
            loss: scalar(loss),
            gradient: [dx[0], dx[3], dx[7]],
        }
    }
}
