//! Functions of numbers, checked.

use super::super::difference::{Change, Precision, derivative};
use super::super::problem::{chosen, numbers};
use super::super::report::{Comparison, Failure, Method, Report};
use super::Check;
use crate::scalar::{self, Curved, Dual, Scalar};

/// The value of a [`Curved`] number, which carries tangents.
type Number = Dual<f64, 4>;

/// Compares the gradient of a function of numbers, and its Hessian, by reverse mode with central differences and with forward
/// mode, with the settings of [`Check::default`].
///
/// One closure over [`Curved`] numbers serves for the value, the gradient and the Hessian; a function that is generic over
/// [`Real`](crate::scalar::Real) can be handed over as it is. What can be wrong is a rule of one's own
/// ([`Tape::custom`](crate::scalar::Tape::custom), [`custom_vjp`](crate::scalar::custom_vjp)), or a way around
/// derivatives, such as computing with values alone.
///
/// Second derivatives are those of the scalar product of the gradient with fixed random numbers, as for
/// [`gradients`](crate::check::gradients()). Forward mode is compared along a random direction. Kinks are reported as such.
///
/// ```
/// use wengert::check;
/// use wengert::scalar::{self, Real, Scalar};
///
/// fn potential<S: Real>(x: &[S]) -> S {
///     scalar::norm(x).recip() + (x[0] * x[1]).erf()
/// }
/// let report = check::scalar(potential, &[0.5, 1.0, -2.0])?;
/// // Two orders; three coordinates against differences, and forward mode.
/// assert_eq!(report.comparisons().len(), 2 * (3 + 1));
///
/// // A factor that reverse mode does not see.
/// let failure = check::scalar(|x| x[0] * Scalar::constant(x[0].value()), &[3.0]).unwrap_err();
/// assert_eq!(failure.report().failures().next().unwrap().name, "x");
/// # Ok::<(), check::Failure>(())
/// ```
///
/// ```
/// use wengert::check::Check;
/// let report = Check::new().order(1).scalar(|x| (x[0] * x[1]).sin(), &[0.5, 2.0])?;
/// assert!(report.comparisons().iter().all(|c| c.order == 1 && c.agrees()));
/// # Ok::<(), wengert::check::Failure>(())
/// ```
///
/// # Errors
/// If a derivative differs from its difference by more than the tolerance, or either is not finite.
///
/// # Panics
/// Where `f` does.
#[track_caller]
pub fn scalar(f: impl Fn(&[Curved<f64>]) -> Curved<f64>, x: &[f64]) -> Result<Report, Failure> {
    Check::default().scalar(f, x)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// How a weighted sum changes.
fn change(weights: &[f64], to: &[f64], from: &[f64]) -> Change {
    let pairs = weights.iter().zip(to.iter().zip(from));
    pairs.fold(Change::NONE, |change, (&weight, (&to, &from))| {
        change.and(weight, to, from)
    })
}

/// Numbers with one tangent each.
fn along(x: &[f64], direction: &[f64]) -> Vec<Number> {
    let pairs = x.iter().zip(direction);
    pairs
        .map(|(&x, &v)| Dual::new(x, [v, 0.0, 0.0, 0.0]))
        .collect()
}

impl Check {
    /// Compares derivatives of a function of numbers: [`scalar`](crate::check::scalar()), with these settings. A name that was
    /// given is that of the array.
    ///
    /// # Errors
    /// As [`scalar`](crate::check::scalar()).
    ///
    /// # Panics
    /// If the order is higher than 2, and where `f` panics.
    #[track_caller]
    pub fn scalar(
        &self,
        f: impl Fn(&[Curved<f64>]) -> Curved<f64>,
        x: &[f64],
    ) -> Result<Report, Failure> {
        assert!(
            self.order <= 2,
            "scalar: derivatives of order 1 and 2 are compared, not of order {}",
            self.order
        );
        // Constants record nothing: plain evaluation, and forward mode.
        let forward = |x: &[Number]| {
            let x: Vec<Curved<f64>> = x.iter().map(|&x| Scalar::constant(x)).collect();
            f(&x).value()
        };
        let gradient = |x: &[Number]| scalar::gradient(&f, x).1;
        let plain = |x: &[f64]| -> Vec<Number> { x.iter().map(|&x| Dual::constant(x)).collect() };
        let gradient_at = |x: &[f64]| -> Vec<f64> {
            let found = gradient(&plain(x));
            found.into_iter().map(Dual::value).collect()
        };
        let weights = |seed| -> Vec<f64> {
            let mut number = numbers(seed);
            x.iter().map(|_| number()).collect()
        };
        let (w, v) = (weights(1), weights(2));
        let mut comparisons = Vec::new();
        let slope = gradient_at(x);
        let pushed = forward(&along(x, &v)).tangents()[0];
        self.compare_level(
            &mut comparisons,
            1,
            (x, &slope, &v, pushed),
            |x| vec![forward(&plain(x)).value()],
            &[1.0],
        );
        if self.order == 2 {
            let tangents = |direction: &[f64]| -> Vec<f64> {
                let found = gradient(&along(x, direction));
                found.into_iter().map(|g| g.tangents()[0]).collect()
            };
            // The Hessian is symmetric: <H w, v> = <w, H v>.
            let (product, pushed) = (tangents(&w), dot(&w, &tangents(&v)));
            let level = (x, &product[..], &v[..], pushed);
            self.compare_level(&mut comparisons, 2, level, gradient_at, &w);
        }
        Report::new(comparisons, Vec::new()).outcome()
    }

    /// The derivatives of a level by reverse mode, at a point, against the level's differences; and along a direction against
    /// forward mode.
    fn compare_level(
        &self,
        comparisons: &mut Vec<Comparison>,
        order: usize,
        (x, reverse, direction, pushed): (&[f64], &[f64], &[f64], f64),
        level: impl Fn(&[f64]) -> Vec<f64>,
        weights: &[f64],
    ) {
        let precision = Precision::DOUBLE;
        let name = self.names.first().map_or("x", String::as_str);
        let compared = |method, index| Comparison {
            order,
            input: 0,
            name: name.to_string(),
            index,
            method,
            reverse: 0.0,
            reached: true,
            reference: 0.0,
            tolerance: 0.0,
            kink: None,
        };
        let terms = reverse.iter().zip(direction).map(|(a, b)| (a * b).abs());
        let rounding = 64.0 * precision.epsilon * terms.sum::<f64>();
        let pulled = dot(reverse, direction);
        comparisons.push(Comparison {
            reverse: pulled,
            reference: pushed,
            tolerance: self.allowed(&precision, pulled, pushed) + rounding,
            ..compared(Method::Forward, Vec::new())
        });
        let here = level(x);
        let mut moved = x.to_vec();
        for position in chosen(x.len(), self.coordinates, 0) {
            let at = |x| {
                moved[position] = x;
                level(&moved)
            };
            let to = |to: &Vec<f64>, from: &Vec<f64>| change(weights, to, from);
            let difference = derivative(x[position], &precision, &here, at, to);
            moved[position] = x[position];
            let place = compared(Method::Difference, vec![position]);
            comparisons.push(self.beside(&difference, reverse[position], &precision, place));
        }
    }
}
