//! Hyperbolic functions and their inverses.

use super::exponential::{
    Exponential, at_most, grown, reduced, reduced_back_f32, reduced_back_f64,
};
use super::logarithm::{ln_short, log1p, log1p_sum};
use super::real::Real;
use super::{fma, polynomial, select};
use crate::element::Instructions;

/// What hyperbolic functions need to know about a type.
pub(super) trait Hyperbolic: Exponential {
    /// From here on the hyperbolic tangent is 1.
    const SATURATED: Self;
    /// From here on the hyperbolic sine and cosine are infinite.
    const BEYOND: Self;
    /// `p / 2` and `k` for which `e^-2a = 2^k (1 + p)`.
    fn reduced_back<L: Instructions>(a: Self) -> (Self, Self::Exponent);
    /// `P` in `sinh a = a + a^3 P(a^2)`, for `a < 1`.
    fn sinh_tail<L: Instructions>(z: Self) -> Self;
}

impl Hyperbolic for f32 {
    const SATURATED: f32 = 10.0;
    const BEYOND: f32 = 90.0;
    #[inline(always)]
    fn reduced_back<L: Instructions>(a: f32) -> (f32, u32) {
        reduced_back_f32::<L>(a)
    }
    #[inline(always)]
    fn sinh_tail<L: Instructions>(z: f32) -> f32 {
        polynomial!(
            L,
            z,
            [
                0.166_666_67,
                0.008_333_310_5,
                0.000_198_428_96,
                2.782_211_8e-6,
            ]
        )
    }
}

impl Hyperbolic for f64 {
    const SATURATED: f64 = 20.0;
    const BEYOND: f64 = 711.0;
    #[inline(always)]
    fn reduced_back<L: Instructions>(a: f64) -> (f64, u64) {
        reduced_back_f64::<L>(a)
    }
    #[inline(always)]
    fn sinh_tail<L: Instructions>(z: f64) -> f64 {
        polynomial!(
            L,
            z,
            [
                0.166_666_666_666_666_69,
                0.008_333_333_333_332_912,
                0.000_198_412_698_415_934_13,
                2.755_731_910_674_210_3e-6,
                2.505_213_101_075_644_5e-8,
                1.605_665_692_409_607_6e-10,
                7.776_719_894_194_882e-13,
            ]
        )
    }
}

/// `tanh a = (1 - e^-2a) / (1 + e^-2a)`
#[inline(always)]
pub(super) fn tanh<L: Instructions, T: Hyperbolic>(x: T) -> T {
    let a = at_most(x.magnitude(), T::SATURATED);
    let (p, k) = T::reduced_back::<L>(a);
    // Both halved, and both rounded once: 1 - 2^k and 1 + 2^k are exact wherever the result is not 1.
    let scale = T::power_of_two(k, 0);
    let above = fma::<L, T>(-scale, p, fma::<L, T>(-scale, T::HALF, T::HALF));
    let below = fma::<L, T>(scale, p, fma::<L, T>(scale, T::HALF, T::HALF));
    (above / below).given_sign_of(x)
}

/// `e^a / 2`, and its reciprocal divided by 4, for `a = |x|`: the hyperbolic sine and cosine are difference and sum.
#[inline(always)]
fn halves<L: Instructions, T: Hyperbolic>(a: T) -> (T, T) {
    let (p, k) = reduced::<L, T>(at_most(a, T::BEYOND));
    let rising = grown::<L, T>(p, T::less_one(k));
    (rising, T::QUARTER / rising)
}

/// `(e^x - e^-x) / 2`
#[inline(always)]
pub(super) fn sinh<L: Instructions, T: Hyperbolic>(x: T) -> T {
    let a = x.magnitude();
    let (rising, falling) = halves::<L, T>(a);
    let z = a * a;
    let near = fma::<L, T>(a * z, T::sinh_tail::<L>(z), a);
    select(a < T::ONE, near, rising - falling).with_sign_of(x)
}

/// `(e^x + e^-x) / 2`
#[inline(always)]
pub(super) fn cosh<L: Instructions, T: Hyperbolic>(x: T) -> T {
    let (rising, falling) = halves::<L, T>(x.magnitude());
    rising + falling
}

/// Below this size the inverses of `f32` take two terms of their series: the logarithm of a number so near to 1 would not have
/// enough digits.
const NEAR_ZERO: f64 = 1.0 / 4096.0;

/// `ln(x + sqrt(x^2 + 1))`
#[inline(always)]
pub(super) fn asinh_f32<L: Instructions>(x: f32) -> f32 {
    let a = f64::from(x).abs();
    let z = a * a;
    let near = a - a * z * (1.0 / 6.0);
    let far = ln_short::<L>(a + (z + 1.0).sqrt());
    (select(a < NEAR_ZERO, near, far) as f32).copysign(x)
}

/// `ln(x + sqrt(x^2 - 1))`
#[inline(always)]
pub(super) fn acosh_f32<L: Instructions>(x: f32) -> f32 {
    let x = f64::from(x);
    let value = ln_short::<L>(x + (x * x - 1.0).sqrt());
    select(x < 1.0, f64::NAN, value) as f32
}

/// `ln((1 + x) / (1 - x)) / 2`
#[inline(always)]
pub(super) fn atanh_f32<L: Instructions>(x: f32) -> f32 {
    let a = f64::from(x).abs();
    let near = a + a * a * a * (1.0 / 3.0);
    let far = 0.5 * ln_short::<L>((1.0 + a) / (1.0 - a));
    (select(a < NEAR_ZERO, near, far) as f32).copysign(x)
}

/// From here on adding 1 makes no difference, while the square is far from an overflow.
const LARGE: f64 = 1e18;

/// `ln(1 + a + a^2 / (1 + sqrt(a^2 + 1)))`
#[inline(always)]
pub(super) fn asinh_f64<L: Instructions>(x: f64) -> f64 {
    let a = x.abs();
    let z = a * a;
    let large = a > LARGE;
    let y = select(large, a, a + z / (1.0 + (z + 1.0).sqrt()));
    (log1p::<L, f64>(y) + select(large, f64::LN_2, 0.0)).copysign(x)
}

/// `ln(1 + t + sqrt(2 t + t^2))` with `t = x - 1`
#[inline(always)]
pub(super) fn acosh_f64<L: Instructions>(x: f64) -> f64 {
    let t = x - 1.0;
    let root = fma::<L, f64>(t, t, t + t).sqrt();
    let sum = t + root;
    // What the sum has lost; the root is the larger term where that matters, and of the same size beyond.
    let lost = (root - sum) + t;
    let large = x > LARGE;
    let (y, lost) = (select(large, x, sum), select(large, 0.0, lost));
    let value = log1p_sum::<L, f64>(y, lost) + select(large, f64::LN_2, 0.0);
    select(x < 1.0, f64::NAN, value)
}

/// `ln(1 + 2 a / (1 - a)) / 2`
#[inline(always)]
pub(super) fn atanh_f64<L: Instructions>(x: f64) -> f64 {
    let a = x.abs();
    let twice = a + a;
    let rest = 1.0 - a;
    let y = select(a < 0.5, twice + twice * a / rest, twice / rest);
    (0.5 * log1p::<L, f64>(y)).copysign(x)
}
