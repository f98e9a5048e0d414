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
type Recorded<T> = Program<Vec<Input<T>>, Var<T>>;

/// A function from a tensor to a tensor, recorded as a [`Program`], that takes and gives scalars: one node of their tape.
///
/// [`call`](TensorFunction::call) is generic over what numbers it is given, so the function has its place in code that
/// is generic itself, and in `gradient`, `jvp`, `vjp`, `jacobian`, `hvp` and `hessian` of [`scalar`](crate::scalar).
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
/// tangents, forward mode by the reverse of the reverse. Each of these is recorded when it is first needed.
pub struct TensorFunction<T: Float + Plain = f64> {
    programs: Arc<Programs<T>>,
}

/// The function, and its derivatives as they came to be needed.
struct Programs<T: Float + Plain> {
    function: Arc<Function<T>>,
    shape: Shape,
    value: Recorded<T>,
    outputs: Shape,
    /// `u -> J(x)^T u`, of `x` and `u`.
    pulled: OnceLock<Recorded<T>>,
    /// `v -> J(x) v`, of `x` and `v`.
    pushed: OnceLock<Recorded<T>>,
    /// The derivative of `J(x)^T u` along `(v, w)`, of `x`, `u`, `v` and `w`.
    curved: OnceLock<Recorded<T>>,
}

/// `J(x)^T u`.
#[track_caller]
fn pull<T: Float>(f: &Function<T>, x: Var<T>, u: Var<T>) -> Var<T> {
    let (_, pull_back) = vjp(f, x);
    pull_back(u)
}

#[track_caller]
fn sound<R>(outcome: Result<R, Error>) -> R {
    match outcome {
        Ok(found) => found,
        Err(error) => panic!("tensor function: {error}"),
    }
}

impl<T: Float + Plain> Programs<T> {
    #[track_caller]
    fn derivative<'a>(
        &'a self,
        place: &'a OnceLock<Recorded<T>>,
        shapes: &[&Shape],
        derivative: impl Fn(&Function<T>, &[Var<T>]) -> Var<T> + Send + Sync + 'static,
    ) -> &'a Recorded<T> {
        place.get_or_init(|| {
            let function = self.function.clone();
            let inputs = shapes.iter().map(|&shape| Input::new(shape)).collect();
            let program = Program::record(inputs, move |inputs: Vec<Var<T>>| {
                derivative(&*function, &inputs)
            });
            sound(program).boxed()
        })
    }

    #[track_caller]
    fn run(&self, program: &Recorded<T>, inputs: &[(&Shape, Vec<T>)]) -> Vec<T> {
        let tensors = inputs
            .iter()
            .map(|(shape, elements)| sound(Tensor::from_slice((*shape).clone(), elements)));
        let tensors: Vec<Tensor<T>> = tensors.collect();
        let tensors: Vec<&Tensor<T>> = tensors.iter().collect();
        sound(program.run(&tensors)).to_vec()
    }

    #[track_caller]
    fn value(&self, x: Vec<T>) -> Vec<T> {
        self.run(&self.value, &[(&self.shape, x)])
    }

    #[track_caller]
    fn pulled(&self, x: Vec<T>, u: Vec<T>) -> Vec<T> {
        let (shape, outputs) = (&self.shape, &self.outputs);
        let shapes = [shape, outputs];
        let program = self.derivative(&self.pulled, &shapes, |f, z| pull(f, z[0], z[1]));
        self.run(program, &[(shape, x), (outputs, u)])
    }

    #[track_caller]
    fn pushed(&self, x: Vec<T>, v: Vec<T>) -> Vec<T> {
        let shape = &self.shape;
        let shapes = [shape, shape];
        let program = self.derivative(&self.pushed, &shapes, |f, z| jvp(f, z[0], z[1]).1);
        self.run(program, &[(shape, x), (shape, v)])
    }

    #[track_caller]
    fn curved(&self, x: Vec<T>, u: Vec<T>, v: Vec<T>, w: Vec<T>) -> Vec<T> {
        let (shape, outputs) = (&self.shape, &self.outputs);
        let shapes = [shape, outputs, shape, outputs];
        let program = self.derivative(&self.curved, &shapes, |f, z| {
            let gradient = |[x, u]: [Var<T>; 2]| pull(f, x, u);
            jvp(gradient, [z[0], z[1]], [z[2], z[3]]).1
        });
        let inputs = [(shape, x), (outputs, u), (shape, v), (outputs, w)];
        self.run(program, &inputs)
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
        let programs = Programs {
            function,
            shape,
            value: value.boxed(),
            outputs,
            pulled: OnceLock::new(),
            pushed: OnceLock::new(),
            curved: OnceLock::new(),
        };
        Ok(TensorFunction {
            programs: Arc::new(programs),
        })
    }

    /// The results for these numbers, both in row-major order: of plain ones, of [`Dual`]s, of [`Scalar`]s, which
    /// get one node, and of [`Scalar`]s of [`Dual`]s.
    ///
    /// # Panics
    /// If there are not as many numbers as the tensor has elements, or scalars are of two tapes; if values cannot be
    /// used in the program, such as an index out of range. A sweep panics for a function that cannot be differentiated.
    #[track_caller]
    pub fn call<S: Through<T>>(&self, x: &[S]) -> Vec<S> {
        let (given, shape) = (x.len(), &self.programs.shape);
        assert!(
            given == shape.size(),
            "tensor function: {given} numbers were given, but the input has shape {shape}"
        );
        S::through(self, x)
    }
}

impl<T: Float + Plain> fmt::Debug for TensorFunction<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TensorFunction")
            .field("shape", &self.programs.shape)
            .field("outputs", &self.programs.outputs)
            .finish_non_exhaustive()
    }
}

/// A number that passes through a [`TensorFunction`] of elements of type `T`: `T`, [`Dual`], [`Scalar`], and [`Scalar`] of
/// [`Dual`].
pub trait Through<T: Float + Plain>: Real {
    /// The results of the function.
    #[doc(hidden)]
    #[track_caller]
    fn through(function: &TensorFunction<T>, x: &[Self]) -> Vec<Self>;
}

impl<T: Float + Plain> Through<T> for T {
    #[track_caller]
    fn through(function: &TensorFunction<T>, x: &[T]) -> Vec<T> {
        function.programs.value(x.to_vec())
    }
}

fn values<T: Real, const N: usize>(x: &[Dual<T, N>]) -> Vec<T> {
    x.iter().map(|x| x.value()).collect()
}

/// The tangents along one direction.
fn tangents<T: Real, const N: usize>(x: &[Dual<T, N>], k: usize) -> Vec<T> {
    x.iter().map(|x| x.tangents()[k]).collect()
}

/// Numbers from their values and what they change by along each direction.
fn duals<T: Real, const N: usize>(
    values: Vec<T>,
    along: impl Fn(usize) -> Option<Vec<T>>,
) -> Vec<Dual<T, N>> {
    let mut tangents = vec![[T::zero(); N]; values.len()];
    for k in 0..N {
        let found = along(k).into_iter().flatten();
        for (tangents, found) in tangents.iter_mut().zip(found) {
            tangents[k] = found;
        }
    }
    let pairs = values.into_iter().zip(tangents);
    pairs
        .map(|(value, tangents)| Dual::new(value, tangents))
        .collect()
}

fn all_zero<T: Plain>(x: &[T]) -> bool {
    x.iter().all(|x| x.is_zero())
}

impl<T: Float + Plain, const N: usize> Through<T> for Dual<T, N> {
    #[track_caller]
    fn through(function: &TensorFunction<T>, x: &[Self]) -> Vec<Self> {
        let programs = &function.programs;
        let at = values(x);
        duals(programs.value(at.clone()), |k| {
            let direction = tangents(x, k);
            (!all_zero(&direction)).then(|| programs.pushed(at.clone(), direction))
        })
    }
}

impl<T: Float + Plain> Through<T> for Scalar<T> {
    #[track_caller]
    fn through(function: &TensorFunction<T>, x: &[Self]) -> Vec<Self> {
        let programs = function.programs.clone();
        let at: Vec<T> = x.iter().map(|x| x.value()).collect();
        let y = programs.value(at.clone());
        custom_vjp(x, &y, move |cotangents, out| {
            out.copy_from_slice(&programs.pulled(at.clone(), cotangents.to_vec()));
        })
    }
}

impl<T: Float + Plain, const N: usize> Through<T> for Scalar<Dual<T, N>> {
    #[track_caller]
    fn through(function: &TensorFunction<T>, x: &[Self]) -> Vec<Self> {
        let x_dual: Vec<Dual<T, N>> = x.iter().map(|x| x.value()).collect();
        let y = Dual::through(function, &x_dual);
        let programs = function.programs.clone();
        custom_vjp(x, &y, move |cotangents, out| {
            let (at, u) = (values(&x_dual), values(cotangents));
            let gradient = programs.pulled(at.clone(), u.clone());
            let found = duals(gradient, |k| {
                let (v, w) = (tangents(&x_dual, k), tangents(cotangents, k));
                let still = all_zero(&v) && all_zero(&w);
                (!still).then(|| programs.curved(at.clone(), u.clone(), v, w))
            });
            out.copy_from_slice(&found);
        })
    }
}
