//! Activation functions as layers, for a [`Sequential`](crate::nn::Sequential) or a model whose
//! activation is chosen at run time. Each is a method of [`Var`], too, and has its
//! formula and derivative there.

use crate::element::Float;
use crate::param::Layer;
use crate::tape::Var;

/// Layers that apply a method of a variable without further arguments.
macro_rules! plain {
    ($($layer:ident, $method:ident;)*) => {$(
        #[doc = concat!("[`Var::", stringify!($method), "`] as a layer.")]
        ///
        /// ```
        /// use wengert::prelude::*;
        /// let tape = Tape::inference();
        /// let x = tape.constant(&Tensor::from([-1.0, 0.0, 2.0]));
        #[doc = concat!("let y = activation::", stringify!($layer), ".forward(x);")]
        #[doc = concat!("assert_eq!(y.value(), x.", stringify!($method), "().value());")]
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $layer;
        crate::module!($layer {});

        impl<T: Float> Layer<T> for $layer {
            #[track_caller]
            fn forward(&self, x: Var<T>) -> Var<T> {
                x.$method()
            }
        }
    )*};
}
plain! {
    Gelu, gelu;
    GeluTanh, gelu_tanh;
    LogSigmoid, log_sigmoid;
    Mish, mish;
    Relu, relu;
    Selu, selu;
    Sigmoid, sigmoid;
    Silu, silu;
    Softplus, softplus;
    Tanh, tanh;
}

/// [`Var::leaky_relu`] as a layer.
///
/// ```
/// use wengert::prelude::*;
/// let tape = Tape::inference();
/// let x = tape.constant(&Tensor::from([-1.0, 2.0]));
/// let y = activation::LeakyRelu { slope: 0.5 }.forward(x);
/// assert_eq!(y.value(), Tensor::from([-0.5, 2.0]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakyRelu {
    /// The slope for negative numbers.
    pub slope: f64,
}
crate::module!(LeakyRelu {});

/// The slope that PyTorch starts from: 0.01.
impl Default for LeakyRelu {
    fn default() -> Self {
        LeakyRelu { slope: 0.01 }
    }
}

impl<T: Float> Layer<T> for LeakyRelu {
    #[track_caller]
    fn forward(&self, x: Var<T>) -> Var<T> {
        x.leaky_relu(T::of(self.slope))
    }
}

/// [`Var::elu`] as a layer.
///
/// ```
/// use wengert::prelude::*;
/// let tape = Tape::inference();
/// let x = tape.constant(&Tensor::from([f32::NEG_INFINITY, 2.0]));
/// let y = activation::Elu { alpha: 0.5 }.forward(x);
/// assert_eq!(y.value(), Tensor::from([-0.5, 2.0]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elu {
    /// Minus the value at negative infinity.
    pub alpha: f64,
}
crate::module!(Elu {});

/// An `alpha` of 1.
impl Default for Elu {
    fn default() -> Self {
        Elu { alpha: 1.0 }
    }
}

impl<T: Float> Layer<T> for Elu {
    #[track_caller]
    fn forward(&self, x: Var<T>) -> Var<T> {
        x.elu(T::of(self.alpha))
    }
}

/// [`Var::softmax`] as a layer.
///
/// ```
/// use wengert::prelude::*;
/// let tape = Tape::inference();
/// let x = tape.constant(&Tensor::from([[0.0, 0.0], [1.0, 1.0]]));
/// let y = activation::Softmax { axis: -1 }.forward(x);
/// assert_eq!(y.value(), Tensor::full([2, 2], 0.5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// The axis along which the results sum to 1.
    pub axis: isize,
}
crate::module!(Softmax {});

impl<T: Float> Layer<T> for Softmax {
    #[track_caller]
    fn forward(&self, x: Var<T>) -> Var<T> {
        x.softmax(self.axis)
    }
}

/// [`Var::log_softmax`] as a layer.
///
/// ```
/// use wengert::prelude::*;
/// let tape = Tape::inference();
/// let x = tape.constant(&Tensor::from([0.0, -1000.0]));
/// let y = activation::LogSoftmax { axis: -1 }.forward(x);
/// assert_eq!(y.value(), Tensor::from([0.0, -1000.0]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSoftmax {
    /// The axis along which the exponentials of the results sum to 1.
    pub axis: isize,
}
crate::module!(LogSoftmax {});

impl<T: Float> Layer<T> for LogSoftmax {
    #[track_caller]
    fn forward(&self, x: Var<T>) -> Var<T> {
        x.log_softmax(self.axis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tape, Tensor, nn::Sequential};

    #[test]
    fn layers_with_numbers_use_them() {
        let tape = Tape::new();
        let x = tape.constant(&Tensor::from([[-2.0, 1.0], [0.5, -1.0]]));
        let cases: [(Sequential<f64>, Var<f64>); 4] = [
            (crate::sequential![LeakyRelu::default()], x.leaky_relu(0.01)),
            (crate::sequential![Elu::default()], x.elu(1.0)),
            (crate::sequential![Softmax { axis: 0 }], x.softmax(0)),
            (crate::sequential![LogSoftmax { axis: 0 }], x.log_softmax(0)),
        ];
        for (layer, expected) in cases {
            assert_eq!(layer.forward(x).value(), expected.value(), "{layer:?}");
        }
    }
}
