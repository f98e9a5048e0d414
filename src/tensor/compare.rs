//! Comparing tensors, exactly and nearly.

use super::Tensor;
use crate::element::{Element, Number};

/// Equal shapes and equal elements. A NaN equals nothing.
impl<T: Element> PartialEq for Tensor<T> {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape()
            && match (self.as_slice(), other.as_slice()) {
                (Some(a), Some(b)) => a == b,
                _ => self.iter().eq(other),
            }
    }
}

impl<T: Number> Tensor<T> {
    /// Whether the shapes are equal and `|a - b| <= atol + rtol * |b|` for all elements `a` of
    /// `self` and `b` of `other`: NumPy's rule, without broadcasting. Equal infinities are close, a
    /// NaN is close to nothing.
    ///
    /// NumPy's own tolerances are `rtol = 1e-5` and `atol = 1e-8`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let (a, b) = (Tensor::from([1.0, 2.0]), Tensor::from([1.0, 2.000_01]));
    /// assert!(a.all_close(&b, 1e-5, 1e-8));
    /// assert!(!a.all_close(&b, 1e-6, 1e-8));
    /// ```
    pub fn all_close(&self, other: &Self, rtol: f64, atol: f64) -> bool {
        self.shape() == other.shape()
            && self.iter().zip(other).all(|(a, b)| {
                let (x, y) = (a.as_f64(), b.as_f64());
                a == b || y.is_finite() && (x - y).abs() <= atol + rtol * y.abs()
            })
    }

    /// The largest `|a - b|` over all pairs of elements: 0 for empty tensors and equal infinities,
    /// a NaN if an element is one.
    ///
    /// # Panics
    /// If the shapes differ.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from([1.0, 2.0]).max_abs_diff(&Tensor::from([1.5, 2.0])), 0.5);
    /// ```
    #[track_caller]
    pub fn max_abs_diff(&self, other: &Self) -> f64 {
        let (a, b) = (self.shape(), other.shape());
        assert!(a == b, "max_abs_diff: shapes {a} and {b} differ");
        self.iter()
            .zip(other)
            .map(|(a, b)| {
                if a == b {
                    0.0
                } else {
                    (a.as_f64() - b.as_f64()).abs()
                }
            })
            .fold(0.0, Number::larger)
    }
}

#[cfg(feature = "approx")]
mod approximate {
    use super::Tensor;
    use crate::element::Float;
    use approx::{AbsDiffEq, RelativeEq, UlpsEq};

    fn all<T: Float>(a: &Tensor<T>, b: &Tensor<T>, close: impl Fn(&T, &T) -> bool) -> bool {
        a.shape() == b.shape() && a.iter().zip(b).all(|(a, b)| close(&a, &b))
    }

    /// All pairs of elements; tensors of different shapes are not equal.
    impl<T: Float + AbsDiffEq<Epsilon: Clone>> AbsDiffEq for Tensor<T> {
        type Epsilon = T::Epsilon;

        fn default_epsilon() -> T::Epsilon {
            T::default_epsilon()
        }

        fn abs_diff_eq(&self, other: &Self, epsilon: T::Epsilon) -> bool {
            all(self, other, |a, b| a.abs_diff_eq(b, epsilon.clone()))
        }
    }

    /// All pairs of elements; tensors of different shapes are not equal.
    impl<T: Float + RelativeEq<Epsilon: Clone>> RelativeEq for Tensor<T> {
        fn default_max_relative() -> T::Epsilon {
            T::default_max_relative()
        }

        fn relative_eq(&self, other: &Self, epsilon: T::Epsilon, relative: T::Epsilon) -> bool {
            all(self, other, |a, b| {
                a.relative_eq(b, epsilon.clone(), relative.clone())
            })
        }
    }

    /// All pairs of elements; tensors of different shapes are not equal.
    impl<T: Float + UlpsEq<Epsilon: Clone>> UlpsEq for Tensor<T> {
        fn default_max_ulps() -> u32 {
            T::default_max_ulps()
        }

        fn ulps_eq(&self, other: &Self, epsilon: T::Epsilon, max_ulps: u32) -> bool {
            all(self, other, |a, b| a.ulps_eq(b, epsilon.clone(), max_ulps))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_looks_at_shape_and_elements_only() {
        let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(x, x.t().contiguous().t());
        assert_eq!(x.t(), Tensor::from([[1.0, 3.0], [2.0, 4.0]]));
        assert_ne!(x, x.flatten());
        assert_ne!(x, x.t());
        assert_eq!(Tensor::from(0.0), Tensor::from(-0.0));
        assert_ne!(Tensor::from(f32::NAN), Tensor::from(f32::NAN));
        assert_eq!(Tensor::from([1, 1]), Tensor::from(1).expand([2]));
        assert_eq!(Tensor::<f32>::zeros([0, 2]), Tensor::zeros([0, 2]));
        assert_ne!(Tensor::<f32>::zeros([0, 2]), Tensor::zeros([2, 0]));
    }

    #[test]
    fn all_close_is_numpys() {
        let close = |a: f64, b: f64| Tensor::from(a).all_close(&Tensor::from(b), 1e-5, 1e-8);
        // numpy.isclose on the same pairs.
        assert!(close(1e10, 1.00001e10) && !close(1e-7, 1e-8));
        assert!(close(1e-8, 1e-9) && close(f64::INFINITY, f64::INFINITY));
        assert!(!close(f64::INFINITY, f64::NEG_INFINITY) && !close(1.0, f64::INFINITY));
        assert!(!close(f64::NAN, f64::NAN) && !close(f64::INFINITY, 1.0));
        // The tolerance is relative to the second.
        let (a, b) = (Tensor::from(1.0), Tensor::from(2.0));
        assert!(a.all_close(&b, 0.5, 0.0) && !b.all_close(&a, 0.5, 0.0));
        assert!(!Tensor::from([1.0, 1.0]).all_close(&Tensor::from(1.0), 1.0, 1.0));
        assert!(Tensor::from([3]).all_close(&Tensor::from([4]), 0.0, 1.0));
    }

    #[test]
    fn max_abs_diff_of_edges() {
        let inf = f32::INFINITY;
        let diff = |a: [f32; 2], b: [f32; 2]| Tensor::from(a).max_abs_diff(&Tensor::from(b));
        assert_eq!(diff([1.0, -2.0], [1.5, 1.0]), 3.0);
        assert_eq!(diff([inf, 0.0], [inf, 0.0]), 0.0);
        assert_eq!(diff([inf, 0.0], [0.0, 0.0]), f64::INFINITY);
        assert!(diff([f32::NAN, 0.0], [0.0, 9.0]).is_nan());
        assert_eq!(
            Tensor::<f32>::zeros([0]).max_abs_diff(&Tensor::zeros([0])),
            0.0
        );
    }

    #[cfg(feature = "approx")]
    #[test]
    fn approx_macros_take_tensors() {
        use approx::{assert_abs_diff_eq, assert_abs_diff_ne, assert_relative_eq, assert_ulps_eq};
        let x = Tensor::from([[1.0f32, 1000.0]]);
        let y = Tensor::from([[1.0f32, 1000.1]]);
        assert_abs_diff_eq!(x, y, epsilon = 0.11);
        assert_abs_diff_ne!(x, y);
        assert_relative_eq!(x, y, max_relative = 1e-3);
        assert_ulps_eq!(x, x.map(|x| f32::from_bits(x.to_bits() + 3)));
        assert_abs_diff_ne!(x, x.flatten());
        assert_abs_diff_ne!(Tensor::from(f64::NAN), Tensor::from(f64::NAN));
    }
}
