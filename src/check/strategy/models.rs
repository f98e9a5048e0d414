//! Models of affine layers and activations.

use crate::activation::{
    Elu, Gelu, LeakyRelu, LogSigmoid, Mish, Relu, Sigmoid, Silu, Softplus, Tanh,
};
use crate::nn::{Linear, Sequential};
use crate::param::Param;
use crate::tensor::Tensor;
use proptest::collection::vec;
use proptest::strategy::Strategy;

/// Layers before the last one, and their sizes, at most.
const DEEPEST: usize = 3;
const WIDEST: usize = 4;

/// Parameters are whole multiples of `1 / PARTS` from -1 to 1.
const PARTS: i32 = 64;

/// An activation; a failing case shrinks to the first.
fn then(model: Sequential<f64>, activation: u8) -> Sequential<f64> {
    match activation % 10 {
        0 => model.then(Tanh),
        1 => model.then(Sigmoid),
        2 => model.then(Softplus),
        3 => model.then(Silu),
        4 => model.then(Gelu),
        5 => model.then(Mish),
        6 => model.then(LogSigmoid),
        7 => model.then(Elu::default()),
        8 => model.then(LeakyRelu::default()),
        _ => model.then(Relu),
    }
}

/// Random models from `inputs` to `outputs` numbers: up to three hidden [`Linear`] layers of up to four
/// units, each with an activation, and a last one without. They shrink to no hidden layers, or narrow
/// ones with `tanh`, and parameters of zero.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::prelude::*;
/// use wengert::check;
///
/// proptest! {
///     #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
///     # fn hidden(_ in 0..1) {}
///     fn my_loss(model in check::models(2, 1), x in check::tensors([3, 2], -2.0..2.0)) {
///         check::model(&model, |model, tape| model.forward(tape.constant(&x)).square().mean())?;
///     }
/// }
/// my_loss();
/// ```
pub fn models(inputs: usize, outputs: usize) -> impl Strategy<Value = Sequential<f64>> {
    let hidden = vec((1..=WIDEST, 0..10u8), 0..=DEEPEST);
    let widest = [inputs, outputs, WIDEST]
        .into_iter()
        .max()
        .unwrap_or(WIDEST);
    let most = (DEEPEST + 1) * (widest + 1) * widest;
    let numbers = vec(-PARTS..=PARTS, most);
    (hidden, numbers).prop_map(move |(hidden, numbers)| {
        let mut numbers = numbers.into_iter();
        let mut draw = || f64::from(numbers.next().unwrap_or_default()) / f64::from(PARTS);
        let mut linear = |inputs, outputs| Linear {
            weight: Param::new(Tensor::from_fn([outputs, inputs], |_| draw())),
            bias: Some(Param::new(Tensor::from_fn([outputs], |_| draw()))),
        };
        let mut model = Sequential::new();
        let mut width = inputs;
        for (units, activation) in hidden {
            model = then(model.then(linear(width, units)), activation);
            width = units;
        }
        model.then(linear(width, outputs))
    })
}
