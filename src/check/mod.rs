//! Gradients checked against differences.
//!
//! A derivative that is wrong by a sign, a factor or a term still trains, badly. [`gradients`]
//! compares reverse mode with central differences, coordinate by coordinate, for first and second
//! derivatives, and reports where they differ.
//!
//! ```
//! use wengert::prelude::*;
//! use wengert::check;
//!
//! let x = Tensor::from([0.5, -1.0, 2.0]);
//! let w = Tensor::from([[1.0, 2.0, 3.0], [-1.0, 0.0, 1.0]]);
//! let report = check::gradients(|[w, x]| w.matmul(x).exp(), [&w, &x])?;
//! assert_eq!(report.comparisons().len(), 2 * (6 + 3)); // two orders, nine coordinates
//!
//! // A factor that reverse mode does not see.
//! let failure = check::gradients(|[x]| x * x.stop_gradient(), [&x]).unwrap_err();
//! assert_eq!(failure.report().failures().count(), 3 + 3);
//! # Ok::<(), check::Failure>(())
//! ```
//!
//! With the feature `proptest`, `tensors` is a strategy for the inputs of a property test.

mod difference;
mod problem;
mod report;
#[cfg(feature = "proptest")]
mod strategy;

pub use report::{Comparison, Failure, Report};
#[cfg(feature = "proptest")]
pub use strategy::tensors;

use crate::tape::Var;
use crate::tensor::Tensor;
use problem::Problem;

/// Compares first and second derivatives of `f` by reverse mode with central differences, with the
/// settings of [`Check::default`].
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
/// if reverse mode finds no path from the result to an input that changes it.
pub fn gradients<const N: usize>(
    f: impl Fn([Var<f64>; N]) -> Var<f64>,
    inputs: [&Tensor<f64>; N],
) -> Result<Report, Failure> {
    Check::default().gradients(f, inputs)
}

/// The settings of a check of gradients.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check::Check;
/// // The second derivative of |x| is 0, but that of its square is not.
/// let x = Tensor::from([0.5, -1.0]);
/// Check::new().order(1).gradients(|[x]| x.abs(), [&x])?;
/// Check::new().order(3).gradients(|[x]| x.abs() * x * x, [&x])?;
/// # Ok::<(), wengert::check::Failure>(())
/// ```
#[derive(Clone, Debug)]
pub struct Check {
    order: usize,
    relative: f64,
    absolute: f64,
    coordinates: usize,
}

impl Default for Check {
    /// First and second derivatives, a relative tolerance of 1e-6, an absolute one of 1e-8, and at
    /// most 256 coordinates of each input.
    fn default() -> Self {
        Check {
            order: 2,
            relative: 1e-6,
            absolute: 1e-8,
            coordinates: 256,
        }
    }
}

impl Check {
    /// The default settings.
    pub fn new() -> Self {
        Check::default()
    }

    /// The highest derivative that is compared; all lower ones are too.
    ///
    /// The derivative of order `n + 1` is that of the scalar product of the one of order `n` with
    /// random numbers, the same in every run.
    ///
    /// # Panics
    /// If the order is 0.
    #[track_caller]
    pub fn order(mut self, order: usize) -> Self {
        assert!(
            order > 0,
            "order: there is nothing to differentiate at order 0"
        );
        self.order = order;
        self
    }

    /// How far a derivative may be from its difference: `absolute + relative * max(|derivative|,
    /// |difference|)`, to which is added what the difference itself may be off.
    ///
    /// The error of the difference is an estimate from its extrapolation, of which no more than a
    /// ten-thousandth of the derivative is allowed for, and the rounding error of the function's
    /// values.
    pub fn tolerance(mut self, relative: f64, absolute: f64) -> Self {
        (self.relative, self.absolute) = (relative, absolute);
        self
    }

    /// The most coordinates of each input that are compared; of more, a random choice, the same in
    /// every run.
    pub fn coordinates(mut self, most: usize) -> Self {
        self.coordinates = most;
        self
    }

    /// Compares derivatives of `f` by reverse mode with central differences:
    /// [`gradients`](gradients()), with these settings.
    ///
    /// # Errors
    /// As [`gradients`](gradients()).
    pub fn gradients<const N: usize>(
        &self,
        f: impl Fn([Var<f64>; N]) -> Var<f64>,
        inputs: [&Tensor<f64>; N],
    ) -> Result<Report, Failure> {
        let mut problem = Problem::new(f, inputs);
        let reverse = problem.reverse(self.order);
        let mut comparisons = Vec::new();
        for (below, derivatives) in reverse.iter().enumerate() {
            for (input, derivative) in derivatives.iter().enumerate() {
                let derivative = derivative.as_ref().map(Tensor::to_vec);
                for position in problem.coordinates(input, self.coordinates) {
                    let difference = problem.difference(below, input, position);
                    comparisons.push(self.compare(
                        Comparison::at(below + 1, input, position, inputs[input].shape()),
                        derivative.as_ref().map(|d| d[position]),
                        difference,
                    ));
                }
            }
        }
        Report::new(comparisons).outcome()
    }

    fn compare(
        &self,
        place: Comparison,
        reverse: Option<f64>,
        difference: difference::Difference,
    ) -> Comparison {
        let derivative = reverse.unwrap_or(0.0);
        let size = derivative.abs().max(difference.value.abs());
        Comparison {
            reverse: derivative,
            reached: reverse.is_some(),
            difference: difference.value,
            tolerance: self.absolute
                + self.relative * size
                + (4.0 * difference.error).min(1e-4 * size)
                + 4.0 * difference.noise,
            ..place
        }
    }
}
