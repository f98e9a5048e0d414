//! Differentiation of ordinary numeric code: functions of many numbers, without tensors.
//!
//! Code that is generic over [`num_traits::Float`], or over [`Real`] with its further functions, is differentiated as it
//! stands. A closure says at which type it is run:
//!
//! ```
//! use wengert::scalar;
//! let (value, gradient) = scalar::gradient(|x| (x[0] * x[1]).sin() + x[0].powi(3), &[1.5, -0.5]);
//! assert_eq!(value, (-0.75_f64).sin() + 3.375);
//! assert_eq!(gradient[1], 1.5 * (-0.75_f64).cos());
//! ```
//!
//! # Numbers
//! - [`Scalar`] records operations on a [`Tape`], which is swept back: reverse mode, a gradient for the cost of a few
//!   evaluations, however many variables there are.
//! - [`Dual`] carries derivatives along one or several directions: forward mode, without memory. It suits few variables.
//! - [`Taylor`] carries a truncated series: derivatives of any order along one direction.
//! - [`Traced`] records a [`Program`] that is evaluated and differentiated at other inputs without the code.
//!
//! They nest in any order, and derivatives by the variables of one level are not confused with those of another. Two derivatives that
//! are taken at once at the same type must not share numbers: a number of the outer one enters the inner one by its value. (A
//! program is recorded of plain numbers.) A function written once serves all of them:
//!
//! ```
//! use wengert::scalar::{self, Dual, Real};
//! fn potential<S: Real>(x: &[S]) -> S {
//!     scalar::norm(x).recip() + (x[0] * x[1]).erf()
//! }
//! let at = [0.5_f64, 1.0, -2.0];
//! let (value, gradient) = scalar::gradient(potential, &at);
//! let forward = potential(&Dual::variables(at));
//! assert_eq!(value, potential(&at));
//! assert_eq!(forward.value(), value);
//! assert!((forward.tangents()[2] - gradient[2]).abs() < 1e-15);
//! ```
//!
//! # Functions
//! | | forward | reverse | both |
//! |---|---|---|---|
//! | first order | [`derivative`], [`jvp`] | [`gradient`], [`vjp`] | [`jacobian`], [`jacobian_sparse`] |
//! | second order | | | [`hvp`], [`hessian`], [`hessian_sparse`] |
//! | any order | [`taylor()`] | | nesting |
//!
//! [`custom_vjp`] records a function with a rule of your own, and a [`TensorFunction`](crate::TensorFunction) a function of tensors.
//!
//! Those named `…_into` write into buffers of the caller and allocate nothing once they have run. [`checkpointed`]
//! differentiates a long loop with memory for a few of its states.
//!
//! ```
//! use wengert::scalar;
//! let mut gradient = [0.0; 3];
//! let mut x = [1.0, 2.0, 3.0];
//! for _ in 0..200 {
//!     scalar::gradient_into(|x| scalar::dot(x, x), &x, &mut gradient);
//!     x.iter_mut().zip(&gradient).for_each(|(x, slope)| *x -= 0.1 * slope);
//! }
//! assert!(scalar::norm(&x) < 1e-12);
//! ```
//!
//! # Derivatives at singular points
//! They are what analysis says: infinite for `sqrt` at 0, 0 for `abs` at 0, half for each of two numbers at a tie of `max`. A
//! constant contributes nothing, also where a partial derivative is infinite or NaN.
//!
//! # Features
//! `nalgebra` makes [`Scalar`] and [`Dual`] fields of its matrices, and `ndarray` elements of its arrays.

mod active;
mod adjoints;
mod arena;
mod binomial;
mod checkpoint;
mod coloring;
mod dual;
mod gradient;
mod hessian;
mod jacobian;
#[cfg(feature = "nalgebra")]
mod nalgebra;
mod nary;
#[cfg(feature = "ndarray")]
mod ndarray;
mod number;
mod parts;
mod pattern;
mod patterned;
mod real;
mod recordings;
mod replay;
mod sparse;
mod special;
mod table;
mod tape;
mod taylor;

pub use active::Scalar;
pub use adjoints::Adjoints;
pub use binomial::{Action, Schedule};
pub use checkpoint::{LoopGradient, checkpointed};
pub use dual::Dual;
pub use gradient::{
    derivative, gradient, gradient_into, jvp, jvp_into, value_and_gradient, vjp, vjp_into,
};
pub use hessian::{Curved, hessian, hessian_into, hvp, hvp_into};
pub use jacobian::{jacobian, jacobian_into};
pub use nary::{dot, linear_combination, log_sum_exp, norm, polynomial, sum};
pub use patterned::Patterned;
pub use real::{Plain, Real};
pub use replay::{Diverged, Program, Traced};
pub use sparse::{Coordinates, SparseHessian, SparseJacobian, hessian_sparse, jacobian_sparse};
pub use tape::{Tape, custom_vjp};
pub use taylor::{Taylor, taylor};
