//! Functions of many numbers that are recorded as one node.

use super::real::Real;

/// The scalar product `sum_i a_i b_i`.
///
/// # Panics
/// If the slices are not of one length.
///
/// ```
/// use wengert::scalar::{self, Tape};
/// let tape = Tape::new();
/// let x = tape.vars(&[1.0, 2.0, 3.0]);
/// let y = scalar::dot(&x, &x);
/// assert_eq!(tape.nodes(), 4);
/// assert_eq!(tape.gradient_of(y, &x), [2.0, 4.0, 6.0]);
/// ```
#[inline]
#[track_caller]
pub fn dot<S: Real>(a: &[S], b: &[S]) -> S {
    assert!(
        a.len() == b.len(),
        "dot: lengths differ: {} and {}",
        a.len(),
        b.len()
    );
    S::dot_by(a.len(), |i| (a[i], b[i]))
}

/// The sum of numbers.
///
/// ```
/// assert_eq!(wengert::scalar::sum(&[1.0, 2.0, 3.0]), 6.0);
/// ```
#[inline]
#[track_caller]
pub fn sum<S: Real>(terms: &[S]) -> S {
    S::sum_by(terms.len(), |i| terms[i])
}

/// The sum `sum_i k_i x_i` with constant coefficients.
///
/// # Panics
/// If the slices are not of one length.
///
/// ```
/// use wengert::scalar::{self, Dual};
/// let x = Dual::variables([3.0, 4.0]);
/// assert_eq!(scalar::linear_combination(&[2.0, -1.0], &x).tangents(), [2.0, -1.0]);
/// ```
#[inline]
#[track_caller]
pub fn linear_combination<S: Real>(coefficients: &[S::Plain], x: &[S]) -> S {
    assert!(
        coefficients.len() == x.len(),
        "linear_combination: {} coefficients and {} numbers",
        coefficients.len(),
        x.len()
    );
    S::combine_by(x.len(), |i| (coefficients[i], x[i]))
}

/// The length `sqrt(sum_i x_i^2)`, without overflow.
///
/// # Derivative
/// `x_i / norm`; at the origin 0.
///
/// ```
/// let norm = wengert::scalar::norm(&[3.0e200_f64, 4.0e200]);
/// assert!((norm / 5.0e200 - 1.0).abs() < 1e-15);
/// ```
#[inline]
#[track_caller]
pub fn norm<S: Real>(x: &[S]) -> S {
    S::norm_by(x.len(), |i| x[i])
}

/// `ln sum_i exp(x_i)`, without overflow. Of nothing it is minus infinity.
///
/// # Derivative
/// `exp(x_i - value)`.
///
/// ```
/// assert_eq!(wengert::scalar::log_sum_exp(&[1000.0_f64, 1000.0]), 1000.0 + 2.0_f64.ln());
/// ```
#[inline]
#[track_caller]
pub fn log_sum_exp<S: Real>(x: &[S]) -> S {
    S::log_sum_exp_by(x.len(), |i| x[i])
}

/// The polynomial `sum_i c_i x^i`, by Horner's rule.
///
/// ```
/// use wengert::scalar::{self, Dual};
/// let coefficients = [1.0, 2.0, 3.0].map(Dual::constant);
/// let y = scalar::polynomial(&coefficients, Dual::variable(2.0));
/// assert_eq!((y.value(), y.tangent()), (17.0, 14.0));
/// ```
#[inline]
#[track_caller]
pub fn polynomial<S: Real>(coefficients: &[S], x: S) -> S {
    S::polynomial_by(x, coefficients.len(), |i| coefficients[i])
}
