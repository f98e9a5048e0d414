//! The traits of `ndarray`: arrays of numbers that are differentiated.

use ::ndarray::{NdFloat, ScalarOperand};
use std::fmt::{LowerExp, UpperExp};

use super::active::Scalar;
use super::dual::Dual;
use super::real::Real;

/// An array of scalars has operators with one scalar on its right.
///
/// ```
/// use ndarray::{Array1, array};
/// use wengert::scalar;
///
/// let a = array![[2.0, 1.0], [1.0, 3.0]];
/// let (value, gradient) = scalar::gradient(
///     |x| {
///         let x = Array1::from(x.to_vec());
///         let a = a.mapv(scalar::Scalar::from);
///         x.dot(&a.dot(&x)) * 0.5
///     },
///     &[1.0, -2.0],
/// );
/// assert_eq!(value, 5.0);
/// assert_eq!(gradient, [0.0, -5.0]);
/// ```
impl<T: Real> ScalarOperand for Scalar<T> {}

impl<T: Real, const N: usize> ScalarOperand for Dual<T, N> {}

impl<T: Real + LowerExp + UpperExp> NdFloat for Scalar<T> {}

impl<T: Real + LowerExp + UpperExp, const N: usize> NdFloat for Dual<T, N> {}

#[cfg(test)]
mod tests {
    use super::super::{derivative, gradient};
    use super::*;
    use ::ndarray::{Array1, Array2, Axis, array};

    /// Any function of `ndarray` that asks for a float.
    fn softmax_entropy<A: NdFloat>(x: &Array1<A>) -> A {
        let largest = x.fold(A::neg_infinity(), |m, &v| m.max(v));
        let e = x.mapv(|v| (v - largest).exp());
        let p = &e / e.sum();
        -(&p * &p.mapv(A::ln)).sum()
    }

    #[test]
    fn a_generic_function_is_differentiated() {
        let x: [f64; 4] = [0.3, -1.2, 0.7, 2.0];
        let (value, g) = gradient(|x| softmax_entropy(&Array1::from(x.to_vec())), &x);
        let plain = Array1::from(x.to_vec());
        assert!((value - softmax_entropy(&plain)).abs() < 1e-15);
        // d H / d x_i = -p_i (ln p_i + H)
        let e = plain.mapv(f64::exp);
        let p = &e / e.sum();
        for i in 0..4 {
            assert!((g[i] + p[i] * (p[i].ln() + value)).abs() < 1e-14);
        }
    }

    #[test]
    fn products_and_reductions() {
        // f(X) = sum over rows of (X w)^2: gradient 2 (X w) w'.
        let x = [1.0, 2.0, -1.0, 0.5, 3.0, 4.0];
        let w = array![2.0_f64, -1.0, 0.25];
        let (value, g) = gradient(
            |x| {
                let x = Array2::from_shape_vec((2, 3), x.to_vec()).expect("six numbers");
                let y = x.dot(&w.mapv(Scalar::from));
                (&y * &y).sum_axis(Axis(0)).into_scalar()
            },
            &x,
        );
        let rows = [-0.25, 1.0 - 3.0 + 1.0];
        assert_eq!(value, rows[0] * rows[0] + rows[1] * rows[1]);
        for (i, row) in rows.iter().enumerate() {
            for j in 0..3 {
                assert_eq!(g[i * 3 + j], 2.0 * row * w[j]);
            }
        }
    }

    #[test]
    fn operators_with_one_number() {
        let (value, slope) = derivative(
            |t| {
                let a = array![1.0, 2.0, 3.0].mapv(Dual::from);
                ((&a * t + t) / t.exp() - 1.0).sum()
            },
            0.5_f64,
        );
        // sum (a + 1) t e^-t - 1 = 9 t e^-t - 3
        let e = (-0.5_f64).exp();
        assert!((value - (4.5 * e - 3.0)).abs() < 1e-15);
        assert!((slope - 4.5 * e).abs() < 1e-14);
    }

    #[test]
    fn formats_with_an_exponent() {
        assert_eq!(format!("{:.1e}", Scalar::constant(1500.0)), "1.5e3");
        assert_eq!(format!("{:E}", Dual::variable(0.25)), "2.5E-1");
    }
}
