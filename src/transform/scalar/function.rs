//! A function of tensors that scalars pass through.

use super::super::forward::{jvp, vjp};
use crate::element::Float;
use crate::error::Error;
use crate::program::{Input, Program};
use crate::scalar::{Dual, Plain, Real, Scalar, custom_vjp};
use crate::shape::Shape;
use crate::tape::Var;
use crate::tensor::Tensor;
use std::fmt;
use std::sync::{Arc, OnceLock};

type Function<T> = dyn Fn(Var<T>) -> Var<T> + Send + Sync;

/// A function from a tensor to a tensor, recorded as a [`Program`], that takes and gives scalars: one node of their tape.
///
/// [`call`](TensorFunction::call) is generic over what numbers it is given, so the function has its place in code that
/// is generic itself, and in `gradient`, `jvp`, `vjp`, `jacobian`, `hvp` and `hessian` of [`scalar`](crate::scalar). Numbers nest
/// as deeply as a derivative of any order needs.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::TensorFunction;
/// use wengert::scalar;
///
/// let quadratic = TensorFunction::<f64>::record([2], |x| {
///     let a = x.tape().constant(&Tensor::from([[2.0, 1.0], [1.0, 4.0]]));
///     (a.matmul(x) * x).sum()
/// })?;
/// // The variables enter as (p, p q), and the result goes on.
/// let f = |p: &[scalar::Scalar<f64>]| quadratic.call(&[p[0], p[0] * p[1]])[0].sqrt();
/// let (value, gradient) = scalar::gradient(f, &[1.0, 3.0]);
/// // p sqrt(2 + 2 q + 4 q^2)
/// let root = 44.0_f64.sqrt();
/// assert_eq!(value, root);
/// assert!((gradient[0] - root).abs() < 1e-14 && (gradient[1] - 13.0 / root).abs() < 1e-14);
/// # Ok::<(), Error>(())
/// ```
///
/// Models keep the parameters that they have when the program is recorded.
///
/// # Derivative
/// The gradient that the tape of tensors records, run once in each sweep that needs it. For numbers that carry
/// tangents, forward mode by the reverse of the reverse. Each of these is a function of tensors as well, which is recorded when it is
/// first needed, and differentiated in the same way for numbers that are nested.
pub struct TensorFunction<T: Float + Plain = f64> {
    recorded: Arc<Recorded<T>>,
}

/// The function, and its derivatives as they came to be needed.
struct Recorded<T: Float + Plain> {
    function: Arc<Function<T>>,
    shape: Shape,
    value: Program<Vec<Input<T>>, Var<T>>,
    outputs: Shape,
    /// `J(x)^T u`, of the elements of `x` followed by those of `u`.
    pulled: OnceLock<TensorFunction<T>>,
    /// `J(x) v`, of the elements of `x` followed by those of `v`.
    pushed: OnceLock<TensorFunction<T>>,
}

#[track_caller]
fn sound<R>(outcome: Result<R, Error>) -> R {
    match outcome {
        Ok(found) => found,
        Err(error) => panic!("tensor function: {error}"),
    }
}

impl<T: Float + Plain> Recorded<T> {
    #[track_caller]
    fn value(&self, x: &[T]) -> Vec<T> {
        let x = sound(Tensor::from_slice(self.shape.clone(), x));
        sound(self.value.run(&[&x])).to_vec()
    }

    /// A function of this one's input and of another tensor.
    #[track_caller]
    fn derived(
        &self,
        other: &Shape,
        derivative: impl Fn(&Function<T>, Var<T>, Var<T>) -> Var<T> + Send + Sync + 'static,
    ) -> TensorFunction<T> {
        let (function, shapes) = (self.function.clone(), [self.shape.clone(), other.clone()]);
        let size = self.shape.size() + other.size();
        sound(TensorFunction::record([size], move |both| {
            let [x, other] = both.unpack(&shapes)[..] else {
                unreachable!("two shapes")
            };
            derivative(&*function, x, other)
        }))
    }

    #[track_caller]
    fn pulled(&self) -> &TensorFunction<T> {
        let pull = |f: &Function<T>, x, u| vjp(f, x).1(u);
        self.pulled
            .get_or_init(|| self.derived(&self.outputs, pull))
    }

    #[track_caller]
    fn pushed(&self) -> &TensorFunction<T> {
        let push = |f: &Function<T>, x, v| jvp(f, x, v).1;
        self.pushed.get_or_init(|| self.derived(&self.shape, push))
    }
}

impl<T: Float + Plain> TensorFunction<T> {
    /// Records a function of a tensor of the given shape.
    ///
    /// # Panics
    /// Wherever `function` does.
    ///
    /// # Errors
    /// If the shape has more elements than can be counted.
    #[track_caller]
    pub fn record(
        shape: impl Into<Shape>,
        function: impl Fn(Var<T>) -> Var<T> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let shape = shape.into();
        let function: Arc<Function<T>> = Arc::new(function);
        let recorded = function.clone();
        let result = Arc::new(OnceLock::new());
        let noted = result.clone();
        let value = Program::record(vec![Input::new(&shape)], move |x: Vec<Var<T>>| {
            let y = recorded(x[0]);
            noted.get_or_init(|| y.shape());
            y
        })?;
        let outputs = match result.get() {
            Some(shape) => Shape::clone(shape),
            None => unreachable!("recording calls the function"),
        };
        let recorded = Recorded {
            function,
            shape,
            value: value.boxed(),
            outputs,
            pulled: OnceLock::new(),
            pushed: OnceLock::new(),
        };
        Ok(TensorFunction {
            recorded: Arc::new(recorded),
        })
    }

    /// The results for these numbers, both in row-major order: of plain ones, of [`Dual`]s, of [`Scalar`]s, which
    /// get one node, and of any nesting of these.
    ///
    /// ```
    /// use wengert::TensorFunction;
    /// use wengert::scalar::Dual;
    ///
    /// let cube = TensorFunction::<f64>::record([1], |x| x * x * x)?;
    /// // Second derivatives are the tangents of tangents.
    /// let x = Dual::variable(Dual::variable(2.0));
    /// assert_eq!(cube.call(&[x])[0].tangent().tangent(), 12.0);
    /// # Ok::<(), wengert::Error>(())
    /// ```
    ///
    /// # Panics
    /// If there are not as many numbers as the tensor has elements, or scalars are of two tapes; if values cannot be
    /// used in the program, such as an index out of range. A sweep panics for a function that cannot be differentiated.
    #[track_caller]
    pub fn call<S: Through<T>>(&self, x: &[S]) -> Vec<S> {
        let (given, shape) = (x.len(), &self.recorded.shape);
        assert!(
            given == shape.size(),
            "tensor function: {given} numbers were given, but the input has shape {shape}"
        );
        S::through(self, x)
    }
}

impl<T: Float + Plain> Clone for TensorFunction<T> {
    /// The same programs.
    fn clone(&self) -> Self {
        TensorFunction {
            recorded: self.recorded.clone(),
        }
    }
}

impl<T: Float + Plain> fmt::Debug for TensorFunction<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TensorFunction")
            .field("shape", &self.recorded.shape)
            .field("outputs", &self.recorded.outputs)
            .finish_non_exhaustive()
    }
}

/// A number that passes through a [`TensorFunction`] of elements of type `T`: `T`, and a [`Dual`] or a [`Scalar`] of one that does.
///
/// ```
/// use wengert::TensorFunction;
/// use wengert::scalar::{self, Dual};
/// use wengert::transform::Through;
///
/// fn twice<S: Through<f64>>(f: &TensorFunction<f64>, x: S) -> S {
///     f.call(&f.call(&[x]))[0]
/// }
/// let square = TensorFunction::<f64>::record([1], |x| x * x)?;
/// assert_eq!(twice(&square, 3.0), 81.0);
/// assert_eq!(twice(&square, Dual::variable(3.0)).tangent(), 108.0);
/// assert_eq!(scalar::gradient(|x| twice(&square, x[0]), &[3.0]).1, [108.0]);
/// # Ok::<(), wengert::Error>(())
/// ```
pub trait Through<T: Float + Plain>: Real {
    /// The results of the function.
    #[doc(hidden)]
    #[track_caller]
    fn through(function: &TensorFunction<T>, x: &[Self]) -> Vec<Self>;

    /// Whether it is 0 with all its derivatives.
    #[doc(hidden)]
    fn vanishes(&self) -> bool;
}

impl<T: Float + Plain> Through<T> for T {
    #[track_caller]
    fn through(function: &TensorFunction<T>, x: &[T]) -> Vec<T> {
        function.recorded.value(x)
    }

    fn vanishes(&self) -> bool {
        self.is_zero()
    }
}

impl<T: Float + Plain, S: Through<T>, const N: usize> Through<T> for Dual<S, N> {
    #[track_caller]
    fn through(function: &TensorFunction<T>, x: &[Self]) -> Vec<Self> {
        let at: Vec<S> = x.iter().map(|x| x.value()).collect();
        let values = S::through(function, &at);
        let mut tangents = vec![[S::zero(); N]; values.len()];
        for k in 0..N {
            let direction: Vec<S> = x.iter().map(|x| x.tangents()[k]).collect();
            if direction.iter().all(S::vanishes) {
                continue;
            }
            let both = [&at[..], &direction].concat();
            let found = S::through(function.recorded.pushed(), &both);
            for (tangents, found) in tangents.iter_mut().zip(found) {
                tangents[k] = found;
            }
        }
        let pairs = values.into_iter().zip(tangents);
        pairs
            .map(|(value, tangents)| Dual::new(value, tangents))
            .collect()
    }

    fn vanishes(&self) -> bool {
        self.value().vanishes() && self.tangents().iter().all(S::vanishes)
    }
}

impl<T: Float + Plain, S: Through<T>> Through<T> for Scalar<S> {
    #[track_caller]
    fn through(function: &TensorFunction<T>, x: &[Self]) -> Vec<Self> {
        let at: Vec<S> = x.iter().map(|x| x.value()).collect();
        let y = S::through(function, &at);
        let function = function.clone();
        custom_vjp(x, &y, move |cotangents, out| {
            let both = [&at[..], cotangents].concat();
            out.copy_from_slice(&S::through(function.recorded.pulled(), &both));
        })
    }

    fn vanishes(&self) -> bool {
        self.is_constant() && self.value().vanishes()
    }
}
