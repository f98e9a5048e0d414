//! What a number must do to be differentiated, and the two machine types.

use std::fmt::{Debug, Display};
use std::iter::{Product, Sum};

use num_traits::{Float, FloatConst, FromPrimitive, NumAssign};

use super::special;
use crate::kernel::math::single;
use crate::kernel::processor::{Couple, Doubles};

pub(crate) mod sealed {
    /// Keeps [`Real`](super::Real) to the types of this crate.
    pub trait Sealed {}
}

/// A machine number: `f32` or `f64`.
///
/// Operators of [`Scalar`](super::Scalar) and [`Dual`](super::Dual) take it on either side, however deep the types are nested.
///
/// ```
/// use wengert::scalar::{Dual, Plain};
/// fn half<T: Plain>(x: Dual<T>) -> Dual<T> {
///     x * T::nearest(0.5)
/// }
/// assert_eq!(half(Dual::variable(3.0_f32)).tangent(), 0.5);
/// ```
pub trait Plain: Real<Plain = Self> {
    /// The nearest number of this type.
    fn nearest(x: f64) -> Self;
}

/// A real number in the sense of this module: `f32`, `f64`, [`Dual`](super::Dual), [`Scalar`](super::Scalar), and any nesting of them.
///
/// Beyond [`Float`] it has the special functions, and [`Plain`] constants without an `Option`. Functions of many
/// numbers that record one node stand beside it: [`dot`](super::dot), [`sum`](super::sum), [`norm`](super::norm), …
///
/// ```
/// use wengert::scalar::{Dual, Real};
/// fn swish<S: Real>(x: S) -> S {
///     x * x.sigmoid()
/// }
/// assert_eq!(swish(0.0_f64), 0.0);
/// assert_eq!(swish(Dual::variable(0.0_f64)).tangent(), 0.5);
/// ```
pub trait Real:
    Float
    + FloatConst
    + FromPrimitive
    + NumAssign
    + Sum
    + Product
    + Debug
    + Display
    + Default
    + Send
    + Sync
    + 'static
    + sealed::Sealed
{
    /// The machine number at the bottom.
    type Plain: Plain;

    /// Two of them.
    #[doc(hidden)]
    type Couple: Couple<Self>;

    /// How many types of this module are nested in it: 0 of a machine number.
    #[doc(hidden)]
    const LEVEL: usize;

    /// A constant.
    fn plain(x: Self::Plain) -> Self;

    /// The value, without derivatives.
    fn primal(self) -> Self::Plain;

    /// The error function.
    fn erf(self) -> Self;

    /// The complement `1 - erf(x)`, without cancellation.
    fn erfc(self) -> Self;

    /// The gamma function.
    fn gamma(self) -> Self;

    /// The logarithm of the absolute value of the gamma function.
    fn ln_gamma(self) -> Self;

    /// The derivative of order `n` of the digamma function.
    fn polygamma(self, n: u32) -> Self;

    /// The logarithmic derivative of the gamma function.
    #[track_caller]
    fn digamma(self) -> Self {
        self.polygamma(0)
    }

    /// The logistic function `1 / (1 + exp(-x))`.
    fn sigmoid(self) -> Self;

    /// `ln(1 + exp(x))`.
    fn softplus(self) -> Self;

    /// Whether it is 0 and so are all its derivatives: what may be left out of a product.
    #[doc(hidden)]
    fn is_exactly_zero(self) -> bool;

    /// Whether both are the same number, with the same derivatives, to the bit.
    #[doc(hidden)]
    fn is_identical(self, other: Self) -> bool;

    /// `sum_i a_i b_i` of `n` pairs.
    #[doc(hidden)]
    fn dot_by(n: usize, pair: impl Fn(usize) -> (Self, Self)) -> Self;

    /// `sum_i k_i x_i` of `n` pairs.
    #[doc(hidden)]
    fn combine_by(n: usize, pair: impl Fn(usize) -> (Self::Plain, Self)) -> Self;

    /// The sum of `n` numbers.
    #[doc(hidden)]
    fn sum_by(n: usize, term: impl Fn(usize) -> Self) -> Self;

    /// The square root of the sum of `n` squares.
    #[doc(hidden)]
    fn norm_by(n: usize, term: impl Fn(usize) -> Self) -> Self;

    /// `ln sum_i exp(x_i)`.
    #[doc(hidden)]
    fn log_sum_exp_by(n: usize, term: impl Fn(usize) -> Self) -> Self;

    /// `sum_i c_i x^i`.
    #[doc(hidden)]
    fn polynomial_by(x: Self, n: usize, coefficient: impl Fn(usize) -> Self) -> Self;
}

macro_rules! machine_number {
    ($t:ty, $couple:ty, $scale:expr) => {
        impl sealed::Sealed for $t {}

        impl Plain for $t {
            #[inline(always)]
            fn nearest(x: f64) -> Self {
                x as $t
            }
        }

        impl Real for $t {
            type Plain = $t;
            type Couple = $couple;
            const LEVEL: usize = 0;

            #[inline(always)]
            fn plain(x: $t) -> $t {
                x
            }
            #[inline(always)]
            fn primal(self) -> $t {
                self
            }
            fn erf(self) -> $t {
                special::erf(self as f64) as $t
            }
            fn erfc(self) -> $t {
                special::erfc(self as f64) as $t
            }
            fn gamma(self) -> $t {
                special::gamma(self as f64) as $t
            }
            fn ln_gamma(self) -> $t {
                special::ln_gamma(self as f64) as $t
            }
            fn polygamma(self, n: u32) -> $t {
                special::polygamma(n, self as f64) as $t
            }
            #[inline]
            fn sigmoid(self) -> $t {
                single::sigmoid(self.into()) as $t
            }
            fn softplus(self) -> $t {
                if self.is_nan() {
                    return self;
                }
                self.max(0.0) + (-self.abs()).exp().ln_1p()
            }
            #[inline(always)]
            fn is_exactly_zero(self) -> bool {
                self == 0.0
            }
            #[inline(always)]
            fn is_identical(self, other: $t) -> bool {
                self.to_bits() == other.to_bits()
            }
            #[inline(always)]
            fn dot_by(n: usize, pair: impl Fn(usize) -> ($t, $t)) -> $t {
                (0..n).fold(0.0, |s, i| {
                    let (a, b) = pair(i);
                    s + a * b
                })
            }
            #[inline(always)]
            fn combine_by(n: usize, pair: impl Fn(usize) -> ($t, $t)) -> $t {
                Self::dot_by(n, pair)
            }
            #[inline(always)]
            fn sum_by(n: usize, term: impl Fn(usize) -> $t) -> $t {
                (0..n).fold(0.0, |s, i| s + term(i))
            }
            fn norm_by(n: usize, term: impl Fn(usize) -> $t) -> $t {
                let squares = (0..n).fold(0.0, |s, i| s + term(i) * term(i));
                let small = <$t>::MIN_POSITIVE / <$t>::EPSILON;
                if squares.is_nan() || (small..<$t>::INFINITY).contains(&squares) {
                    return squares.sqrt();
                }
                // Squares overflow or lose digits: scale by a power of two, which is exact.
                let scale = if squares < 1.0 { $scale } else { 1.0 / $scale };
                let scaled = (0..n).fold(0.0, |s: $t, i| s + (term(i) * scale).powi(2));
                scaled.sqrt() / scale
            }
            fn log_sum_exp_by(n: usize, term: impl Fn(usize) -> $t) -> $t {
                let largest = (0..n).fold(<$t>::NEG_INFINITY, |m, i| m.max(term(i)));
                let shift = if largest.is_finite() { largest } else { 0.0 };
                (0..n)
                    .fold(0.0, |s: $t, i| s + (term(i) - shift).exp())
                    .ln()
                    + shift
            }
            #[inline(always)]
            fn polynomial_by(x: $t, n: usize, coefficient: impl Fn(usize) -> $t) -> $t {
                // Started from the last coefficient: 0 times an infinite `x` would make a NaN.
                let Some(last) = n.checked_sub(1) else {
                    return 0.0;
                };
                (0..last)
                    .rev()
                    .fold(coefficient(last), |s, i| s * x + coefficient(i))
            }
        }
    };
}

machine_number!(f32, [f32; 2], 2.0_f32.powi(100));
machine_number!(f64, Doubles, 2.0_f64.powi(600));
