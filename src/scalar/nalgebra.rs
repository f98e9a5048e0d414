//! The traits of `nalgebra`: matrices of numbers that are differentiated.
//!
//! What is generic over a real field there (products, inverses, decompositions, rotations, …) takes
//! [`Scalar`] and [`Dual`]. Decompositions that iterate stop when the values have converged. The
//! derivatives follow those of full matrices with well separated singular values or eigenvalues to
//! nearly all digits. They are wrong, and may be finite all the same, where the iteration leaves
//! out what is negligible in the values: entries beside the diagonal of less than some `1e-8` of
//! those on it have cost eight digits of derivatives, and all of them at `1e-16`. Where two
//! eigenvalues are equal, their vectors have no derivative.
//!
//! `nalgebra` computes a norm as the square root of a sum of squares. At the origin that has no
//! derivative (NaN), unlike [`norm`](super::norm), whose derivative there is 0; nor has a reflection
//! of a column of zeros.
//!
//! Where it returns a constant at a point, the derivatives there are 0, although the function has
//! others: a rotation by a vector of length 0 (`from_scaled_axis`), the vector of a rotation by 0
//! (`scaled_axis`), and the second derivatives of `sinc` and `sinhc` at 0. Start a fit of rotations
//! a little off, or write the function out.
//!
//! ```
//! use nalgebra::{Matrix2, Vector2};
//! use wengert::scalar;
//!
//! // The solution of a linear system, by the four entries of its matrix.
//! let (values, jacobian) = scalar::jacobian(
//!     |a| {
//!         let a = Matrix2::new(a[0], a[1], a[2], a[3]);
//!         let b = Vector2::new(3.0, 5.0).map(scalar::Scalar::from);
//!         a.lu().solve(&b).expect("a regular matrix").iter().copied().collect()
//!     },
//!     &[1.0, 0.0, 0.0, 2.0],
//! );
//! assert_eq!(values, [3.0, 2.5]);
//! assert_eq!(jacobian, [-3.0, -2.5, 0.0, 0.0, 0.0, 0.0, -1.5, -1.25]);
//! ```

use ::nalgebra::{ComplexField, Field, RealField, SimdValue};
use simba::scalar::SubsetOf;

use super::active::Scalar;
use super::dual::Dual;
use super::number::literal;
use super::real::Real;

/// Methods of the same name and arguments as an inherent one.
macro_rules! inherent {
    ($($name:ident($($argument:ident),*);)*) => {
        $(
            #[inline]
            #[track_caller]
            fn $name(self $(, $argument: Self)*) -> Self {
                Self::$name(self $(, $argument)*)
            }
        )*
    };
}

/// Constants, each under its name here and that of `num_traits`.
macro_rules! constants {
    ($($name:ident $of:ident;)*) => {
        $(
            #[inline]
            fn $name() -> Self {
                <Self as num_traits::FloatConst>::$of()
            }
        )*
    };
}

/// Writes a machine number as a subset of a number type: constants in, values out.
macro_rules! subset {
    ([$($generics:tt)*] $number:ty, $plain:ty) => {
        impl<$($generics)*> SubsetOf<$number> for $plain {
            #[inline]
            fn to_superset(&self) -> $number {
                literal(f64::from(*self))
            }
            #[inline]
            fn from_superset_unchecked(element: &$number) -> Self {
                num_traits::ToPrimitive::to_f64(element).map_or(<$plain>::NAN, |x| x as $plain)
            }
            /// The value of any number: `nalgebra` reads norms out so, to choose the order of an
            /// approximation.
            #[inline]
            fn is_in_subset(_: &$number) -> bool {
                true
            }
        }
    };
}

/// Implements everything for one number type.
macro_rules! field {
    ([$($generics:tt)*] $number:ty, $inner:ty) => {
        subset!([$($generics)*] $number, f32);
        subset!([$($generics)*] $number, f64);

        impl<$($generics)*> SubsetOf<$number> for $number {
            #[inline]
            fn to_superset(&self) -> Self {
                *self
            }
            #[inline]
            fn from_superset_unchecked(element: &Self) -> Self {
                *element
            }
            #[inline]
            fn is_in_subset(_: &Self) -> bool {
                true
            }
        }

        impl<$($generics)*> Field for $number {}

        impl<$($generics)*> SimdValue for $number {
            const LANES: usize = 1;
            type Element = Self;
            type SimdBool = bool;
            #[inline(always)]
            fn splat(x: Self) -> Self {
                x
            }
            #[inline(always)]
            fn extract(&self, _: usize) -> Self {
                *self
            }
            // The trait marks these two; nothing in them can go wrong.
            #[inline(always)]
            unsafe fn extract_unchecked(&self, _: usize) -> Self {
                *self
            }
            #[inline(always)]
            fn replace(&mut self, _: usize, x: Self) {
                *self = x;
            }
            #[inline(always)]
            unsafe fn replace_unchecked(&mut self, _: usize, x: Self) {
                *self = x;
            }
            #[inline(always)]
            fn select(self, condition: bool, other: Self) -> Self {
                if condition { self } else { other }
            }
        }

        impl<$($generics)*> ComplexField for $number
        where
            $inner: RealField,
        {
            type RealField = Self;

            inherent! {
                floor();
                ceil();
                round();
                trunc();
                fract();
                abs();
                signum();
                recip();
                sqrt();
                cbrt();
                exp();
                exp2();
                exp_m1();
                ln();
                log2();
                log10();
                ln_1p();
                sin();
                cos();
                tan();
                asin();
                acos();
                atan();
                sinh();
                cosh();
                tanh();
                asinh();
                acosh();
                atanh();
                powf(exponent);
                log(base);
                hypot(other);
                mul_add(a, b);
            }
            #[inline]
            fn from_real(x: Self) -> Self {
                x
            }
            #[inline]
            fn real(self) -> Self {
                self
            }
            #[inline]
            fn imaginary(self) -> Self {
                Self::default()
            }
            #[inline]
            fn modulus(self) -> Self {
                Self::abs(self)
            }
            #[inline]
            #[track_caller]
            fn modulus_squared(self) -> Self {
                self * self
            }
            /// 0 or pi: a constant.
            #[inline]
            fn argument(self) -> Self {
                if self >= Self::default() { Self::default() } else { RealField::pi() }
            }
            #[inline]
            fn norm1(self) -> Self {
                Self::abs(self)
            }
            #[inline]
            fn to_exp(self) -> (Self, Self) {
                let one = <Self as num_traits::One>::one();
                if self >= Self::default() { (self, one) } else { (-self, -one) }
            }
            #[inline]
            #[track_caller]
            fn scale(self, factor: Self) -> Self {
                self * factor
            }
            #[inline]
            #[track_caller]
            fn unscale(self, factor: Self) -> Self {
                self / factor
            }
            #[inline]
            fn conjugate(self) -> Self {
                self
            }
            #[inline]
            fn sin_cos(self) -> (Self, Self) {
                Self::sin_cos(self)
            }
            #[inline]
            fn powi(self, n: i32) -> Self {
                Self::powi(self, n)
            }
            #[inline]
            #[track_caller]
            fn powc(self, exponent: Self) -> Self {
                Self::powf(self, exponent)
            }
            #[inline]
            fn is_finite(&self) -> bool {
                Self::is_finite(*self)
            }
            #[inline]
            fn try_sqrt(self) -> Option<Self> {
                (self >= Self::default()).then(|| Self::sqrt(self))
            }
        }

        impl<$($generics)*> RealField for $number
        where
            $inner: RealField,
        {
            inherent! {
                max(other);
                min(other);
                atan2(x);
                copysign(sign);
            }
            /// As that of `f64` here, which does not look at the order of the bounds.
            #[inline]
            fn clamp(self, low: Self, high: Self) -> Self {
                if self < low {
                    low
                } else if self > high {
                    high
                } else {
                    self
                }
            }
            #[inline]
            fn is_sign_positive(&self) -> bool {
                Self::is_sign_positive(*self)
            }
            #[inline]
            fn is_sign_negative(&self) -> bool {
                Self::is_sign_negative(*self)
            }
            fn min_value() -> Option<Self> {
                Some(<Self as num_traits::Float>::min_value())
            }
            fn max_value() -> Option<Self> {
                Some(<Self as num_traits::Float>::max_value())
            }
            constants! {
                pi PI;
                two_pi TAU;
                frac_pi_2 FRAC_PI_2;
                frac_pi_3 FRAC_PI_3;
                frac_pi_4 FRAC_PI_4;
                frac_pi_6 FRAC_PI_6;
                frac_pi_8 FRAC_PI_8;
                frac_1_pi FRAC_1_PI;
                frac_2_pi FRAC_2_PI;
                frac_2_sqrt_pi FRAC_2_SQRT_PI;
                e E;
                log2_e LOG2_E;
                log10_e LOG10_E;
                ln_2 LN_2;
                ln_10 LN_10;
            }
        }
    };
}

field!([T: Real] Scalar<T>, T);
field!([T: Real, const N: usize] Dual<T, N>, T);

#[cfg(test)]
mod tests;
