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
///
/// # Lines of the program
/// What a layer of the crate records is attributed to the line that calls it, that of a layer of yours to the lines in its `forward`.
/// A call of a trait object carries no line: `layer.forward(x)` of a plain `&dyn Layer` that is a layer of the crate is attributed to
/// a line of the crate. Behind a `Box`, in a [`Sequential`](crate::Sequential), and behind one more reference it is found:
///
/// ```
/// use wengert::prelude::*;
/// let layer: &dyn Layer = &activation::Relu;
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from([-1.0, 2.0]));
/// (&layer).forward(x);
/// assert!(tape.to_string().contains(&format!("{}:{}", file!(), line!() - 1)));
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

impl<T: Float, L: Layer<T> + ?Sized> Layer<T> for &L {
    #[track_caller]
    fn forward(&self, x: Var<T>) -> Var<T> {
        (**self).applied(x)
    }
}
