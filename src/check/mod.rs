//! Gradients tested, and what else can be wrong with them.
//!
//! A derivative that is wrong by a sign, a factor or a term still trains, badly.
//!
//! - [`gradients`] compares reverse mode with central differences, coordinate by coordinate, and with
//!   forward mode, for first and second derivatives; [`model`] does so for the parameters of a model,
//!   [`operation`] for an operation of your own, [`scalar()`] for a function of numbers. They give a
//!   [`Report`], or a [`Failure`] that works with `?`.
//!
//! ```
//! use wengert::prelude::*;
//! use wengert::check;
//!
//! let x = Tensor::from([0.5, -1.0, 2.0]);
//! let w = Tensor::from([[1.0, 2.0, 3.0], [-1.0, 0.0, 1.0]]);
//! let report = check::gradients(|[w, x]| w.matmul(x).exp(), [&w, &x])?;
//! // Two orders; nine coordinates against differences, two inputs against forward mode.
//! assert_eq!(report.comparisons().len(), 2 * (6 + 3 + 2));
//!
//! // A factor that reverse mode does not see.
//! let failure = check::gradients(|[x]| x * x.stop_gradient(), [&x]).unwrap_err();
//! assert_eq!(failure.report().failures().count(), 3 + 3);
//! # Ok::<(), check::Failure>(())
//! ```
//!
//! - [`reachability`] names the parameters that no gradient reaches, and the lines where the way to them
//!   is cut.
//! - [`numerics`] names the lines where a program or its gradient overflows, makes a NaN or loses all
//!   digits.
//!
//! With the feature `proptest` there are strategies for the inputs of property tests, for models and
//! for whole programs.

mod difference;
mod model;
mod noise;
mod numerics;
mod operation;
mod problem;
mod reachability;
mod report;
mod settings;
#[cfg(feature = "proptest")]
mod strategy;

pub use model::model;
pub use numerics::{Trouble, TroubleKind, Troubles, model_numerics, numerics};
pub use operation::{Arguments, operation};
pub use reachability::{Cut, CutKind, Dependence, Reach, Reachability, Unreachable, reachability};
pub use report::{Comparison, Failure, Method, Report, Verdict};
pub use settings::{Check, scalar};
#[cfg(feature = "proptest")]
pub use strategy::{
    Programs, RandomProgram, broadcastable, broadcastable_tensors, labels, models, one_hot,
    positive_definite, programs, property, shapes, tensors, tensors_away, well_conditioned,
};

use crate::tape::Var;
use crate::tensor::Tensor;

/// Compares first and second derivatives of `f` by reverse mode with central differences and with
/// forward mode, with the settings of [`Check::default`].
///
/// Steps of the differences are chosen for each coordinate, and extrapolated. Forward mode is compared
/// by the adjoint identity `<J^T w, v> = <w, J v>`, which needs no step; as it is made of the same
/// rules, it shows a rule that is not linear in its cotangent, not one that is wrong by a factor.
///
/// Where `f` has a kink, as `relu` at 0 or a maximum with a tie, the slopes on both sides stay apart
/// however small the step. There is no derivative to agree with then: the comparison neither passes
/// nor fails, and [`Report::kinks`] lists it. The same goes for a function that changes faster than the
/// smallest step can show, which is about `4e-9 max(|x|, 1)`, and where a kink is nearer than a few of
/// these.
///
/// `f` is recorded anew for each point, so it may be any function of its variables that has one
/// value for one input: randomness must be seeded inside. Its result may have any shape: it is
/// contracted with random numbers, the same in every run.
///
/// ```
/// use wengert::prelude::*;
/// let x = Tensor::from([[0.5, -1.0], [2.0, 0.0]]);
/// wengert::check::gradients(|[x]| (x * x).sum_axes(0).exp(), [&x])?;
/// # Ok::<(), wengert::check::Failure>(())
/// ```
///
/// # Errors
/// If a derivative differs from its difference by more than the tolerance, or either is not finite;
/// if reverse mode finds no path from the result to an input that changes it; if `f` gives another value
/// when it is recorded again.
///
/// # Panics
/// Where `f` does; if it gives a variable of another tape.
#[track_caller]
pub fn gradients<const N: usize>(
    f: impl Fn([Var<f64>; N]) -> Var<f64>,
    inputs: [&Tensor<f64>; N],
) -> Result<Report, Failure> {
    Check::default().gradients(f, inputs)
}
