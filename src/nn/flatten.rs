//! Layers that change nothing but the shape.

use crate::element::Float;
use crate::param::Layer;
use crate::tape::Var;

/// Makes one axis of all axes but the first, which counts the items of a batch.
///
/// # Shapes
/// `[n, a, b, ..] -> [n, a b ..]`; `[n] -> [n, 1]`.
///
/// ```
/// use wengert::nn::Flatten;
/// use wengert::prelude::*;
/// let tape = Tape::inference();
/// let x = tape.constant(&Tensor::<f32>::ones([2, 3, 4]));
/// assert_eq!(Flatten.forward(x).shape(), Shape::from([2, 12]));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flatten;
crate::module!(Flatten {});

impl<T: Float> Layer<T> for Flatten {
    #[track_caller]
    fn forward(&self, x: Var<T>) -> Var<T> {
        let shape = x.shape();
        assert!(
            shape.rank() > 0,
            "Flatten: a scalar has no axis for the items of a batch"
        );
        let rest: usize = shape[1..].iter().product();
        x.reshape([shape[0], rest])
    }
}

/// Gives back its input.
///
/// ```
/// use wengert::nn::Identity;
/// use wengert::prelude::*;
/// let tape = Tape::inference();
/// let x = tape.constant(&Tensor::from([1.0, 2.0]));
/// assert_eq!(Identity.forward(x).value(), Tensor::from([1.0, 2.0]));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity;
crate::module!(Identity {});

impl<T: Float> Layer<T> for Identity {
    #[track_caller]
    fn forward(&self, x: Var<T>) -> Var<T> {
        x
    }
}
