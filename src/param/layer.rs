//! What a model is built of.

use crate::element::Float;
use crate::tape::Var;

/// A function of one variable, with or without parameters.
///
/// It records what it does on the tape of its input; parameters come onto that tape by
/// [`Param::on`](crate::Param::on).
///
/// ```
/// use wengert::prelude::*;
/// struct Scale { factor: Param }
/// wengert::module!(Scale { factor });
/// impl Layer for Scale {
///     fn forward(&self, x: Var) -> Var {
///         x * self.factor.on(x.tape())
///     }
/// }
///
/// let scale = Scale { factor: Param::new(Tensor::from(3.0)) };
/// let tape = Tape::inference();
/// let x = tape.constant(&Tensor::from([1.0, 2.0]));
/// assert_eq!(scale.forward(x).value(), Tensor::from([3.0, 6.0]));
/// ```
pub trait Layer<T: Float = f32> {
    /// Records the function of `x`.
    ///
    /// # Panics
    /// If the shape of `x` does not fit, or its tape was reset or dropped.
    fn forward(&self, x: Var<T>) -> Var<T>;

    /// As [`forward`](Layer::forward), also of a layer of which only the trait is known. The layers of the crate record at the
    /// line that calls them; that gets through a trait object only if the trait itself says so. It must not say so of
    /// `forward`, or what a layer of the user's own does would be recorded at the line that calls it as well.
    #[doc(hidden)]
    #[track_caller]
    fn applied(&self, x: Var<T>) -> Var<T> {
        self.forward(x)
    }
}

impl<T: Float, L: Layer<T> + ?Sized> Layer<T> for Box<L> {
    #[track_caller]
    fn forward(&self, x: Var<T>) -> Var<T> {
        (**self).applied(x)
    }
}
