//! The affine layer.

use super::init::{self, Init};
use crate::element::Float;
use crate::param::Layer;
use crate::param::Param;
use crate::tape::Var;
use rand::Rng;

/// The affine function `y = x W^T + b` of the last axis; the axes before it stay as they are.
///
/// # Shapes
/// `x: [.., in]`, `weight: [out, in]`, `bias: [out]`, `y: [.., out]`.
///
/// ```
/// use wengert::prelude::*;
/// let mut layer = Linear::new(2, 3, &mut wengert::rng(0));
/// layer.weight.set(Tensor::from([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]));
/// layer.bias = None;
/// let tape = Tape::inference();
/// let x = tape.constant(&Tensor::from([2.0, 5.0]));
/// assert_eq!(layer.forward(x).value(), Tensor::from([2.0, 5.0, 7.0]));
/// ```
#[derive(Clone, Debug)]
pub struct Linear<T: Float = f32> {
    /// `W`, one row for each output.
    pub weight: Param<T>,
    /// `b`.
    pub bias: Option<Param<T>>,
}

crate::module!(impl<T: Float> Linear<T> { weight, bias });

/// Uniform over `-b..b` with `b = 1 / sqrt(inputs)`: what PyTorch starts weight and bias with.
fn default_init(inputs: usize) -> Init {
    if inputs == 0 {
        return init::zeros();
    }
    let bound = 1.0 / (inputs as f64).sqrt();
    init::uniform(-bound, bound)
}

impl<T: Float> Linear<T> {
    /// A layer that starts as PyTorch's does: weight and bias uniform over `-b..b` with
    /// `b = 1 / sqrt(inputs)`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let layer = Linear::<f32>::new(4, 3, &mut wengert::rng(0));
    /// assert!(layer.weight.value().iter().all(|w| w.abs() <= 0.5));
    /// ```
    pub fn new(inputs: usize, outputs: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        let init = default_init(inputs);
        Linear::with(inputs, outputs, init, Some(init), rng)
    }

    /// A layer without a bias; the weight is that of [`new`](Linear::new).
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let layer = Linear::<f32>::without_bias(4, 3, &mut wengert::rng(0));
    /// assert_eq!(layer.parameter_names(), ["weight"]);
    /// ```
    pub fn without_bias(inputs: usize, outputs: usize, rng: &mut (impl Rng + ?Sized)) -> Self {
        Linear::with(inputs, outputs, default_init(inputs), None, rng)
    }

    /// A layer with weight and bias of the given [kinds](crate::nn::init).
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let rng = &mut wengert::rng(0);
    /// let layer = Linear::<f32>::with(4, 3, init::xavier_normal(1.0), Some(init::zeros()), rng);
    /// assert_eq!(layer.bias.unwrap().value(), &Tensor::zeros([3]));
    /// ```
    ///
    /// # Panics
    /// If the numbers of an initializer make no distribution.
    #[track_caller]
    pub fn with(
        inputs: usize,
        outputs: usize,
        weight: Init,
        bias: Option<Init>,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        Linear {
            weight: Param::new(weight.tensor([outputs, inputs], rng)),
            bias: bias.map(|bias| Param::new(bias.tensor([outputs], rng))),
        }
    }
}

impl<T: Float> Layer<T> for Linear<T> {
    #[track_caller]
    fn forward(&self, x: Var<T>) -> Var<T> {
        let inputs = self.weight.shape()[1];
        let shape = x.tape().shape_of("Linear", x.erase());
        assert!(
            shape.last() == Some(&inputs),
            "Linear: input {shape} does not end in {inputs}"
        );
        let y = x.matmul_t(self.weight.on(x.tape()));
        match &self.bias {
            Some(bias) => y + bias.on(x.tape()),
            None => y,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Module, Tape, Tensor};

    fn layer() -> Linear<f64> {
        let mut layer = Linear::new(2, 3, &mut crate::rng(0));
        let weight = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
        layer.weight.set(Tensor::from(weight));
        layer
            .bias
            .as_mut()
            .unwrap()
            .set(Tensor::from([0.5, -0.5, 0.0]));
        layer
    }

    #[test]
    fn rows_times_columns_plus_bias() {
        let tape = Tape::new();
        let x = tape.constant(&Tensor::from([[1.0, -1.0], [2.0, 0.0]]));
        // NumPy: x @ w.T + b
        let expected = Tensor::from([[-0.5, -1.5, -1.0], [2.5, 5.5, 10.0]]);
        assert_eq!(layer().forward(x).value(), expected);
        assert_eq!(layer().forward(x.at(0, 1)).value(), expected.row(1));
    }

    #[test]
    fn leading_axes_stay() {
        let tape = Tape::new();
        for lead in [vec![], vec![4], vec![0], vec![2, 1, 3]] {
            let shape: Vec<usize> = lead.iter().copied().chain([2]).collect();
            let x = tape.constant(&Tensor::ones(shape));
            let expected: Vec<usize> = lead.iter().copied().chain([3]).collect();
            assert_eq!(layer().forward(x).value().shape(), &expected.into());
        }
    }

    #[test]
    fn the_gradient_is_that_of_the_formula() {
        let layer = layer();
        let x = Tensor::from([[1.0, -1.0], [2.0, 0.0]]);
        let step = crate::value_and_grad(&layer, |layer, tape| {
            let y = layer.forward(tape.constant(&x));
            (y * y).sum()
        });
        // NumPy: 2 y.T @ x and 2 y.sum(0)
        let weight = Tensor::from([[9.0, 1.0], [19.0, 3.0], [38.0, 2.0]]);
        assert_eq!(step.gradient(&layer.weight), Some(&weight));
        let bias = Tensor::from([4.0, 8.0, 18.0]);
        assert_eq!(step.gradient(layer.bias.as_ref().unwrap()), Some(&bias));
        // The optimizers pass over it as it lies.
        assert!(step.gradient(&layer.weight).unwrap().is_contiguous());
    }

    #[test]
    #[should_panic(expected = "Linear: input [4, 3] does not end in 2")]
    fn an_input_of_another_width_is_refused() {
        let tape = Tape::new();
        layer().forward(tape.constant(&Tensor::ones([4, 3])));
    }

    #[test]
    #[should_panic(expected = "Linear: input [] does not end in 2")]
    fn a_scalar_is_refused() {
        let tape = Tape::new();
        layer().forward(tape.constant(&Tensor::from(1.0)));
    }

    #[test]
    fn no_inputs_give_the_bias() {
        let layer = Linear::<f32>::new(0, 2, &mut crate::rng(0));
        let tape = Tape::new();
        let y = layer.forward(tape.constant(&Tensor::ones([3, 0])));
        assert_eq!(y.value(), Tensor::zeros([3, 2]));
        assert_eq!(layer.parameter_count(), 2);
    }
}
