//! The settings of a check of gradients, and the check itself.

mod scalar;

pub use scalar::scalar;

use super::difference::{Difference, Precision};
use super::problem::{Derivative, Point, Problem, Recording};
use super::report::{Comparison, Failure, Method, Report, index_of};
use crate::Element;
use crate::tape::{TapeRef, Var};
use crate::tensor::{AnyTensor, Tensor, Tensors};

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
    pub(super) order: usize,
    relative: f64,
    absolute: f64,
    coordinates: usize,
    names: Vec<String>,
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
            names: Vec::new(),
        }
    }
}

impl Check {
    /// The default settings.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::Check;
    /// let x = Tensor::from([0.5, -1.0]);
    /// let report = Check::new().gradients(|[x]| x.exp(), [&x])?;
    /// // First and second derivatives.
    /// assert!(report.comparisons().iter().all(|c| c.order == 1 || c.order == 2));
    /// # Ok::<(), wengert::check::Failure>(())
    /// ```
    pub fn new() -> Self {
        Check::default()
    }

    /// The highest derivative that is compared; all lower ones are too.
    ///
    /// The derivative of order `n + 1` is that of the scalar product of the one of order `n` with
    /// random numbers, the same in every run.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::Check;
    /// let x = Tensor::from([0.5]);
    /// let report = Check::new().order(3).gradients(|[x]| x.exp(), [&x])?;
    /// assert_eq!(report.comparisons().iter().map(|c| c.order).max(), Some(3));
    /// # Ok::<(), wengert::check::Failure>(())
    /// ```
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

    /// How far a derivative may be from what it is compared with: `absolute + relative *
    /// max(|derivative|, |reference|)`, to which is added what the reference itself may be off.
    ///
    /// The error of a difference is an estimate from its extrapolation, of which no more than a
    /// ten-thousandth of the derivative, or of the slopes beside the point, is allowed for, and the rounding error of the function's
    /// values. A function that computes in `f32` is allowed at least 2e-3 and 1e-4.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::Check;
    /// // A derivative that is off by a thousandth.
    /// let off = |[x]: [Var<f64>; 1]| (x * x).on_cotangent(|ct| ct * 1.001);
    /// let x = Tensor::from([2.0]);
    /// assert!(Check::new().gradients(off, [&x]).is_err());
    /// assert!(Check::new().tolerance(1e-2, 0.0).gradients(off, [&x]).is_ok());
    /// ```
    pub fn tolerance(mut self, relative: f64, absolute: f64) -> Self {
        (self.relative, self.absolute) = (relative, absolute);
        self
    }

    /// The most coordinates of each input that are compared; of more, a random choice, the same in
    /// every run.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::Check;
    /// let x = Tensor::ones([1000]);
    /// let report = Check::new().order(1).coordinates(5).gradients(|[x]| x.exp(), [&x])?;
    /// assert_eq!(report.comparisons().len(), 5 + 1);
    /// # Ok::<(), wengert::check::Failure>(())
    /// ```
    pub fn coordinates(mut self, most: usize) -> Self {
        self.coordinates = most;
        self
    }

    /// The names of the inputs in the report.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::Check;
    /// let (w, x) = (Tensor::from([2.0]), Tensor::from([3.0]));
    /// let f = |[w, x]: [Var<f64>; 2]| w * x.stop_gradient();
    /// let failure = Check::new().names(["w", "x"]).gradients(f, [&w, &x]).unwrap_err();
    /// assert!(failure.to_string().contains("path cut: x changes the result"));
    /// ```
    pub fn names<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        self.names = names.into_iter().map(str::to_string).collect();
        self
    }

    /// Compares derivatives of `f` by reverse mode with differences and with forward mode:
    /// [`gradients`](super::gradients()), with these settings.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::Check;
    /// let (a, b) = (Tensor::from([0.5, -1.0]), Tensor::from([2.0, 3.0]));
    /// let report = Check::new().order(1).gradients(|[a, b]| a * b, [&a, &b])?;
    /// assert!(report.comparisons().iter().all(|c| c.order == 1 && c.agrees()));
    /// # Ok::<(), wengert::check::Failure>(())
    /// ```
    ///
    /// # Errors
    /// As [`gradients`](super::gradients()).
    ///
    /// # Panics
    /// As [`gradients`](super::gradients()).
    #[track_caller]
    pub fn gradients<const N: usize>(
        &self,
        f: impl Fn([Var<f64>; N]) -> Var<f64>,
        inputs: [&Tensor<f64>; N],
    ) -> Result<Report, Failure> {
        let inputs = inputs.map(Clone::clone);
        self.gradients_of(|x| f(std::array::from_fn(|k| x[k])), &inputs)
    }

    /// As [`gradients`](Check::gradients), for a number of inputs that is known at run time only.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::Check;
    /// let inputs = vec![Tensor::from([0.5, 2.0]); 3];
    /// Check::new().gradients_of(|x| Var::concat(x, 0).exp(), &inputs)?;
    /// # Ok::<(), wengert::check::Failure>(())
    /// ```
    ///
    /// # Errors
    /// As [`gradients`](super::gradients()).
    ///
    /// # Panics
    /// As [`gradients`](super::gradients()).
    #[track_caller]
    pub fn gradients_of(
        &self,
        f: impl Fn(&[Var<f64>]) -> Var<f64>,
        inputs: &[Tensor<f64>],
    ) -> Result<Report, Failure> {
        let record = |tape: TapeRef, values: &[AnyTensor]| {
            let leaf = |value: &AnyTensor| match value {
                AnyTensor::F64(value) => tape.leaf(value),
                other => unreachable!("an input of type {}", other.dtype()),
            };
            let leaves: Vec<Var<f64>> = values.iter().map(leaf).collect();
            (
                f(&leaves).erase(),
                leaves.into_iter().map(Var::erase).collect(),
            )
        };
        let point = |(k, input): (usize, &Tensor<f64>)| Point {
            name: self.name(k),
            value: f64::erase::<Tensors>(input.clone()),
        };
        let points = inputs.iter().enumerate().map(point).collect();
        self.compare(&record, points, Vec::new())
    }

    /// The name of input number `k`.
    pub(super) fn name(&self, k: usize) -> String {
        let name = self.names.get(k).cloned();
        name.unwrap_or_else(|| format!("input {k}"))
    }

    /// Compares all derivatives of a function, whose result is of the tape it is given; `faults` of it are known already.
    #[track_caller]
    pub(super) fn compare(
        &self,
        function: Recording<'_>,
        points: Vec<Point>,
        mut faults: Vec<String>,
    ) -> Result<Report, Failure> {
        let mut problem = Problem::new(function, points);
        if !problem.repeats() {
            faults.push(
                "the function gives another value when it is recorded again;\n  \
                 what is random in it needs a seed"
                    .into(),
            );
        }
        let precision = problem.precision;
        let mut comparisons = Vec::new();
        let derivatives = problem.derivatives(self.order);
        for (below, found) in derivatives.into_iter().enumerate() {
            for (input, derivative) in found.into_iter().enumerate() {
                let Derivative { reverse, along } = derivative;
                let point = &problem.points()[input];
                let (name, shape) = (point.name.clone(), point.shape().clone());
                let compared = |method, index| Comparison {
                    order: below + 1,
                    input,
                    name: name.clone(),
                    index,
                    method,
                    reverse: 0.0,
                    reached: reverse.is_some(),
                    reference: 0.0,
                    tolerance: 0.0,
                    kink: None,
                };
                if let Some((reverse, forward, size)) = along {
                    let rounding = 64.0 * precision.epsilon * size;
                    let allowed = self.allowed(&precision, reverse, forward) + rounding;
                    comparisons.push(Comparison {
                        reverse,
                        reference: forward,
                        tolerance: allowed,
                        ..compared(Method::Forward, Vec::new())
                    });
                }
                for position in problem.coordinates(input, self.coordinates) {
                    let derivative = reverse.as_ref().map_or(0.0, |r| r[position]);
                    let difference = problem.difference(below, input, position);
                    let place = compared(Method::Difference, index_of(position, &shape));
                    comparisons.push(self.beside(&difference, derivative, &precision, place));
                }
            }
        }
        Report::new(comparisons, faults).outcome()
    }

    /// The comparison of a derivative by reverse mode with a difference, at a place.
    fn beside(
        &self,
        difference: &Difference,
        reverse: f64,
        precision: &Precision,
        place: Comparison,
    ) -> Comparison {
        let allowed = self.allowed(precision, reverse, difference.value);
        Comparison {
            reverse,
            reference: difference.value,
            tolerance: allowed + doubt(difference, reverse),
            kink: difference.kink,
            ..place
        }
    }

    /// How far two numbers that should be the same may be apart.
    pub(super) fn allowed(&self, precision: &Precision, a: f64, b: f64) -> f64 {
        let (mut relative, mut absolute) = (self.relative, self.absolute);
        if precision.epsilon > f64::EPSILON {
            (relative, absolute) = (relative.max(2e-3), absolute.max(1e-4));
        }
        absolute + relative * a.abs().max(b.abs())
    }
}

/// How far a difference may be off itself.
///
/// Where the second derivative jumps, as that of `x relu(x)` at 0, differences converge with the step only: the derivative is 0
/// there, and the difference is not.
fn doubt(difference: &Difference, derivative: f64) -> f64 {
    let most = difference.tolerable(derivative.abs());
    (4.0 * difference.error).min(most) + 4.0 * difference.noise
}
