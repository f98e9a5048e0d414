//! The workloads in candle, on its CPU backend.

use crate::data::{self, Outcome, Workloads};
use candle_core::{D, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Linear, Module, Optimizer, ParamsAdamW, loss, ops};

pub const WORKLOADS: Workloads = &[
    ("xor_mlp", || repeat(xor_mlp())),
    ("mlp_mnist", || repeat(mlp_mnist())),
    ("elementwise_1m", || repeat(elementwise_1m())),
    ("matmul_1024", || repeat(matmul_1024())),
    ("softmax_ce_32k", || repeat(softmax_ce_32k())),
    ("layernorm", || repeat(layernorm())),
    ("small_ops", || repeat(small_ops())),
];

/// A workload whose errors, of which there should be none, end the program.
fn repeat<F: FnMut() -> Result<Outcome> + 'static>(
    workload: Result<F>,
) -> Box<dyn FnMut() -> Outcome> {
    let mut run = workload.expect("candle: setup");
    Box::new(move || run().expect("candle: run"))
}

fn tensor(shape: &[usize], elements: Vec<f32>) -> Result<Tensor> {
    Tensor::from_vec(elements, shape, &Device::Cpu)
}

fn var(shape: &[usize], elements: Vec<f32>) -> Result<Var> {
    Var::from_tensor(&tensor(shape, elements)?)
}

fn element(tensor: &Tensor, index: &[usize]) -> Result<f32> {
    let mut at = tensor.clone();
    for &i in index {
        at = at.get(i)?;
    }
    at.to_scalar()
}

/// The layers of a model, and their parameters for the optimizer.
fn layers(sizes: &[usize]) -> Result<(Vec<Linear>, Vec<Var>)> {
    let (mut layers, mut parameters) = (Vec::new(), Vec::new());
    for layer in 0..sizes.len() - 1 {
        let (weight, bias) = data::layer(sizes, layer);
        let weight = var(&[sizes[layer + 1], sizes[layer]], weight)?;
        let bias = var(&[sizes[layer + 1]], bias)?;
        let linear = Linear::new(weight.as_tensor().clone(), Some(bias.as_tensor().clone()));
        layers.push(linear);
        parameters.extend([weight, bias]);
    }
    Ok((layers, parameters))
}

/// Adam is AdamW without decay of the weights.
fn adam(parameters: Vec<Var>, lr: f64) -> Result<AdamW> {
    let params = ParamsAdamW {
        lr,
        weight_decay: 0.0,
        ..Default::default()
    };
    AdamW::new(parameters, params)
}

fn forward(layers: &[Linear], x: &Tensor) -> Result<Tensor> {
    let mut y = layers[0].forward(x)?;
    for layer in &layers[1..] {
        y = layer.forward(&y.relu()?)?;
    }
    Ok(y)
}

fn trained(loss: &Tensor) -> Result<Outcome> {
    Ok(Outcome {
        loss: loss.to_scalar()?,
        gradient: [0.0; 3],
    })
}

fn xor_mlp() -> Result<impl FnMut() -> Result<Outcome>> {
    let x = tensor(&[4, 2], data::XOR_INPUTS.to_vec())?;
    let y = tensor(&[4, 1], data::XOR_TARGETS.to_vec())?;
    let (layers, parameters) = layers(&data::XOR_SIZES)?;
    let mut adam = adam(parameters, data::XOR_RATE)?;
    Ok(move || {
        let logits = forward(&layers, &x)?;
        let loss = loss::binary_cross_entropy_with_logit(&logits, &y)?;
        adam.backward_step(&loss)?;
        trained(&loss)
    })
}

fn mlp_mnist() -> Result<impl FnMut() -> Result<Outcome>> {
    let [inputs, .., classes] = data::MNIST_SIZES;
    let pixels = data::uniform(data::MNIST_BATCH * inputs, 1, 0.0, 1.0);
    let x = tensor(&[data::MNIST_BATCH, inputs], pixels)?;
    let y = data::labels(data::MNIST_BATCH, 2, classes);
    let y = Tensor::from_vec(y, data::MNIST_BATCH, &Device::Cpu)?;
    let (layers, parameters) = layers(&data::MNIST_SIZES)?;
    let mut adam = adam(parameters, data::MNIST_RATE)?;
    Ok(move || {
        let loss = loss::cross_entropy(&forward(&layers, &x)?, &y)?;
        adam.backward_step(&loss)?;
        trained(&loss)
    })
}

fn elementwise_1m() -> Result<impl FnMut() -> Result<Outcome>> {
    let elements = data::uniform(data::ELEMENTS, 1, -2.0, 2.0);
    let x = var(&[data::ELEMENTS], elements)?;
    Ok(move || {
        let left = (x.affine(data::A.into(), data::B.into())?.tanh()? * ops::sigmoid(&x)?)?;
        let loss = (left + x.sqr()?.neg()?.exp()?)?.sum_all()?;
        let mut gradients = loss.backward()?;
        let dx = gradients.remove(&x).expect("a gradient");
        Ok(Outcome {
            loss: loss.to_scalar()?,
            gradient: [
                element(&dx, &[3])?,
                element(&dx, &[5])?,
                element(&dx, &[7])?,
            ],
        })
    })
}

fn matmul_1024() -> Result<impl FnMut() -> Result<Outcome>> {
    const N: usize = data::MATRIX;
    let matrix = |seed| data::uniform(N * N, seed, 0.0, 1.0);
    let (a, b) = (var(&[N, N], matrix(1))?, var(&[N, N], matrix(2))?);
    let w = tensor(&[N, N], matrix(3))?;
    Ok(move || {
        let loss = (a.matmul(&b)? * &w)?.sum_all()?;
        let gradients = loss.backward()?;
        let da = gradients.get(&a).expect("a gradient");
        let db = gradients.get(&b).expect("a gradient");
        Ok(Outcome {
            loss: loss.to_scalar()?,
            gradient: [element(da, &[3, 5])?, element(db, &[5, 3])?, 0.0],
        })
    })
}

fn softmax_ce_32k() -> Result<impl FnMut() -> Result<Outcome>> {
    let numbers = data::uniform(data::ITEMS * data::CLASSES, 1, -4.0, 4.0);
    let logits = var(&[data::ITEMS, data::CLASSES], numbers)?;
    let labels = data::labels(data::ITEMS, 2, data::CLASSES);
    let label = labels[0] as usize;
    let y = Tensor::from_vec(labels, data::ITEMS, &Device::Cpu)?;
    Ok(move || {
        let loss = loss::cross_entropy(&logits, &y)?;
        let gradients = loss.backward()?;
        let dx = gradients.get(&logits).expect("a gradient");
        let gradient = [
            element(dx, &[0, label])?,
            element(dx, &[3, 5])?,
            element(dx, &[7, 9])?,
        ];
        Ok(Outcome {
            loss: loss.to_scalar()?,
            gradient,
        })
    })
}

fn layernorm() -> Result<impl FnMut() -> Result<Outcome>> {
    let (rows, features) = (data::ROWS, data::FEATURES);
    let table = |seed, low| data::uniform(rows * features, seed, low, 1.0);
    let x = var(&[rows, features], table(1, -1.0))?;
    let w = tensor(&[rows, features], table(2, 0.0))?;
    let gamma = var(&[features], data::uniform(features, 3, 0.5, 1.5))?;
    let beta = var(&[features], data::uniform(features, 4, 0.0, 1.0))?;
    Ok(move || {
        let centered = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centered.sqr()?.mean_keepdim(D::Minus1)?;
        let deviation = (variance + f64::from(data::EPSILON))?.sqrt()?;
        let y = centered.broadcast_div(&deviation)?;
        let y = y.broadcast_mul(&gamma)?.broadcast_add(&beta)?;
        let loss = (y * &w)?.sum_all()?;
        let gradients = loss.backward()?;
        let of = |variable, index: &[usize]| {
            element(gradients.get(variable).expect("a gradient"), index)
        };
        Ok(Outcome {
            loss: loss.to_scalar()?,
            gradient: [of(&x, &[3, 5])?, of(&gamma, &[5])?, of(&beta, &[7])?],
        })
    })
}

fn small_ops() -> Result<impl FnMut() -> Result<Outcome>> {
    let x = var(&[8], vec![1.0; 8])?;
    let (factor, summand) = (f64::from(data::FACTOR), f64::from(data::SUMMAND));
    Ok(move || {
        let mut y = x.as_tensor().clone();
        for _ in 0..data::CHAIN {
            y = (y * factor)?;
            y = (y + summand)?;
        }
        let loss = y.sum_all()?;
        let gradients = loss.backward()?;
        let dx: Vec<f32> = gradients.get(&x).expect("a gradient").to_vec1()?;
        Ok(Outcome {
            loss: loss.to_scalar()?,
            gradient: [dx[0], dx[3], dx[7]],
        })
    })
}
