//! Powers.

use super::double::two_product;
use super::exponential::{at_least, at_most, exp_short, exp_sum};
use super::logarithm::{ln_short, ln_sum};
use super::real::Real;
use super::select;
use crate::element::Instructions;

/// `x^y`
#[inline(always)]
pub(super) fn pow_f32<L: Instructions>(x: f32, y: f32) -> f32 {
    let t = f64::from(y) * ln_short::<L>(f64::from(x.abs()));
    let power = exp_short::<L>(at_least(at_most(t, 150.0), -150.0));
    with_cases(x, y, power as f32)
}

/// `x^y`
#[inline(always)]
pub(super) fn pow_f64<L: Instructions>(x: f64, y: f64) -> f64 {
    // From 2^66 on any power is 0, 1 or infinite: as if y were that.
    const LARGE: f64 = 7.378_697_629_483_821e19;
    let bounded = at_least(at_most(y, LARGE), -LARGE);
    let (high, low) = ln_sum::<L>(x.abs());
    let (t, t_low) = two_product::<L>(bounded, high);
    let t_low = t_low + bounded * low;
    let within = t.abs() < 746.0;
    let t = at_least(at_most(t, 710.0), -746.0);
    with_cases(x, y, exp_sum::<L, f64>(t, select(within, t_low, 0.0)))
}

/// The power `x^y` by the rules of C and IEEE 754, given that of the size of `x` for finite `y` and a size that is neither 0 nor
/// infinite.
#[inline(always)]
fn with_cases<T: Real>(x: T, y: T, power: T) -> T {
    let size = x.magnitude();
    let (zero, infinite) = (size == T::ZERO, size == T::INFINITY);
    let power = select(size == T::ONE, T::ONE, power);
    let extreme = select(zero == (y < T::ZERO), T::INFINITY, T::ZERO);
    let power = select(zero | infinite, extreme, power);
    // Beside this number there is no room for a fraction.
    let large = T::LARGEST_FRACTION;
    let exponent = y.magnitude();
    let half = T::HALF * exponent;
    let integer = (exponent >= large) | ((exponent + large) - large == exponent);
    let odd = integer & (half < large) & ((half + large) - large != half);
    let signed = select(odd, power.with_sign_of(x), power);
    let undefined = (x < T::ZERO) & !integer & !infinite;
    let value = select(undefined, T::NAN, signed);
    let value = select(x.undefined() | y.undefined(), x + y, value);
    select((x == T::ONE) | (y == T::ZERO), T::ONE, value)
}
