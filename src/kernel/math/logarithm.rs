//! Logarithms.
//!
//! With `x = m 2^e`, `f = m - 1` and `s = f / (2 + f)`, `ln m = ln((1 + s) / (1 - s)) = 2 s + s^3 P(s^2)`. Written as
//! `f - (f^2 / 2 - s (f^2 / 2 + s^2 P(s^2)))`, only what is small is rounded before it meets `f` (fdlibm's `log`, Sun 1993).

use super::double::two_product;
use super::real::Real;
use super::{fma, polynomial, select};
use crate::element::Instructions;

/// What the logarithm needs to know about a type.
pub(super) trait Logarithm: Real {
    /// `P` in `ln((1 + s) / (1 - s)) = 2 s + s^3 P(s^2)`, for `s^2 < 0.03`.
    fn log_tail<L: Instructions>(z: Self) -> Self;
    /// A number from which on adding 1 makes no difference to the logarithm.
    const LARGE: Self;
}

impl Logarithm for f32 {
    const LARGE: f32 = 1e10;
    #[inline(always)]
    fn log_tail<L: Instructions>(z: f32) -> f32 {
        polynomial!(L, z, [0.666_667_76, 0.399_775_68, 0.298_714_64,])
    }
}

impl Logarithm for f64 {
    const LARGE: f64 = 1e20;
    #[inline(always)]
    fn log_tail<L: Instructions>(z: f64) -> f64 {
        polynomial!(
            L,
            z,
            [
                0.666_666_666_666_673_5,
                0.399_999_999_994_093_8,
                0.285_714_287_436_757_5,
                0.222_221_984_303_907_08,
                0.181_835_722_714_490_56,
                0.153_138_344_355_258_2,
                0.147_982_357_725_770_79,
            ]
        )
    }
}

/// `e ln 2 + ln(1 + f + rest)`, where `rest` is about a rounding error of `f`.
#[inline(always)]
fn assembled<L: Instructions, T: Real>(e: T, f: T, rest: T, tail: impl Fn(T) -> T) -> T {
    let s = f / (T::TWO + f);
    let z = s * s;
    let h = T::HALF * f * f;
    let inner = fma::<L, T>(z, tail(z), h);
    let low = fma::<L, T>(e, T::LN_2_LOW, rest);
    fma::<L, T>(e, T::LN_2_HIGH, f - (h - fma::<L, T>(s, inner, low)))
}

/// The logarithm of `x` where it is not that of a positive finite number; else `value`.
#[inline(always)]
fn at_edges<T: Real>(x: T, value: T) -> T {
    // Infinity and NaN are their own logarithms.
    let value = select(x < T::INFINITY, value, x);
    let below = select(x == T::ZERO, -T::INFINITY, T::NAN);
    select(x <= T::ZERO, below, value)
}

/// `ln x`
#[inline(always)]
pub(super) fn ln<L: Instructions, T: Logarithm>(x: T) -> T {
    let (m, e) = x.split();
    let value = assembled::<L, T>(e, m - T::ONE, T::NOTHING, T::log_tail::<L>);
    at_edges(x, value)
}

/// `ln(1 + x)`
#[inline(always)]
pub(super) fn log1p<L: Instructions, T: Logarithm>(x: T) -> T {
    log1p_sum::<L, T>(x, T::NOTHING)
}

/// `ln(1 + x + rest)`, where `rest` is about a rounding error of `x`.
#[inline(always)]
pub(super) fn log1p_sum<L: Instructions, T: Logarithm>(x: T, rest: T) -> T {
    let u = T::ONE + x;
    // What the sum has lost: by the larger of the two terms.
    let lost = select(x < T::ONE, x - (u - T::ONE), T::ONE - (u - x));
    let (m, e) = u.split();
    let lost = select(x < T::LARGE, (lost + rest) * u.split_scale(), T::ZERO);
    let f = (m - T::ONE) + lost;
    let rest = ((m - T::ONE) - f) + lost;
    let value = assembled::<L, T>(e, f, rest, T::log_tail::<L>);
    // At -1 and beyond u is 0 or negative, and its logarithm the right one.
    select(
        x > -T::ONE,
        select(x < T::INFINITY, value, x).with_sign_of(x),
        at_edges(u, value),
    )
}

/// `ln x` to about 44 bits, for results in `f32`; not for subnormal numbers.
#[inline(always)]
pub(super) fn ln_short<L: Instructions>(x: f64) -> f64 {
    let (m, e) = x.split();
    at_edges(
        x,
        fma::<L, f64>(e, f64::LN_2, ln_short_near_one::<L>(m - 1.0)),
    )
}

/// `ln(1 + f)` to about 44 bits, for `1 + f` in `[sqrt(1/2), sqrt(2))`.
#[inline(always)]
fn ln_short_near_one<L: Instructions>(f: f64) -> f64 {
    let s = f / (2.0 + f);
    let z = s * s;
    let tail = polynomial!(
        L,
        z,
        [
            0.666_666_666_758_468_5,
            0.399_999_956_046_038_66,
            0.285_721_111_462_234_33,
            0.221_760_992_392_506_2,
            0.195_855_264_607_418_8,
        ]
    );
    s * fma::<L, f64>(z, tail, 2.0)
}

/// `log2 x`
#[inline(always)]
pub(super) fn log2_f32<L: Instructions>(x: f32) -> f32 {
    let x = f64::from(x);
    let (m, e) = x.split();
    let value = fma::<L, f64>(ln_short_near_one::<L>(m - 1.0), f64::LOG2_E, e);
    at_edges(x, value) as f32
}

/// `log10 x`
#[inline(always)]
pub(super) fn log10_f32<L: Instructions>(x: f32) -> f32 {
    use std::f64::consts::{LOG10_2, LOG10_E};
    let x = f64::from(x);
    let (m, e) = x.split();
    let value = fma::<L, f64>(ln_short_near_one::<L>(m - 1.0), LOG10_E, e * LOG10_2);
    at_edges(x, value) as f32
}

/// The logarithm to a base: from `log2(base)^-1` as a sum, where the sum of the first part with an exponent is exact, and from
/// `1 / ln(base)` as a sum whose first part has 32 bits.
#[inline(always)]
fn log_to_base<L: Instructions>(x: f64, of_two: (f64, f64), of_e: (f64, f64)) -> f64 {
    let (m, e) = x.split();
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let h = 0.5 * f * f;
    let tail = s * fma::<L, f64>(z, f64::log_tail::<L>(z), h);
    // ln m in two parts, the first so short that its product with that of 1 / ln(base) is exact.
    let high = f64::from_bits((f - h).to_bits() & !0xffff_ffff);
    let low = ((f - high) - h) + tail;
    let main = e * of_two.0;
    let product = high * of_e.0;
    let rest = fma::<L, f64>(low + high, of_e.1, low * of_e.0) + e * of_two.1;
    let sum = main + product;
    let value = sum + (rest + ((main - sum) + product));
    at_edges(x, value)
}

/// `log2 x`
#[inline(always)]
pub(super) fn log2_f64<L: Instructions>(x: f64) -> f64 {
    log_to_base::<L>(
        x,
        (1.0, 0.0),
        (1.442_695_040_721_446_3, 1.675_171_316_488_651_2e-10),
    )
}

/// `log10 x`
#[inline(always)]
pub(super) fn log10_f64<L: Instructions>(x: f64) -> f64 {
    log_to_base::<L>(
        x,
        (0.301_029_995_663_952_83, 2.836_339_455_104_449_6e-14),
        (0.434_294_481_878_168_9, 2.508_294_671_164_527_5e-11),
    )
}

/// `ln x` of a positive finite number as a sum, with a relative error of about 2^-66.
#[inline(always)]
pub(super) fn ln_sum<L: Instructions>(x: f64) -> (f64, f64) {
    const THIRD: (f64, f64) = (1.0 / 3.0, 1.850_371_707_708_594e-17);
    const LN_2: (f64, f64) = (0.693_147_180_559_890_3, 5.497_923_018_708_371e-14);
    let (m, e) = x.split();
    let f = m - 1.0;
    // s = f / d, with the remainder of the division and what d = m + 1 has lost.
    let d = m + 1.0;
    let d_lost = f - (d - 2.0);
    let reciprocal = 1.0 / d;
    let s = f * reciprocal;
    let (product, lost) = two_product::<L>(s, d);
    let s_low = (((f - product) - lost) - s * d_lost) * reciprocal;
    // z = s^2
    let (z, z_low) = two_product::<L>(s, s);
    let z_low = fma::<L, f64>(2.0 * s, s_low, z_low);
    // ln m = 2 s (1 + w), w = z (1/3 + z P(z))
    let tail = z * polynomial!(
        L,
        z,
        [
            0.199_999_999_999_999_9,
            0.142_857_142_857_218_9,
            0.111_111_111_089_063_38,
            0.090_909_094_203_248_25,
            0.076_922_793_369_441_54,
            0.066_681_274_204_936_89,
            0.058_379_876_742_000_96,
            0.059_900_886_630_410_25,
        ]
    );
    let inner = THIRD.0 + tail;
    let inner_low = ((THIRD.0 - inner) + tail) + THIRD.1;
    let (w, w_low) = two_product::<L>(z, inner);
    let w_low = w_low + fma::<L, f64>(z, inner_low, z_low * inner);
    let (s, s_low) = (2.0 * s, 2.0 * s_low);
    let (u, u_low) = two_product::<L>(s, w);
    let u_low = u_low + fma::<L, f64>(s, w_low, s_low * w);
    let near = s + u;
    let near_low = ((s - near) + u) + (s_low + u_low);
    let main = e * LN_2.0;
    let high = main + near;
    let low = ((main - high) + near) + fma::<L, f64>(e, LN_2.1, near_low);
    (high, low)
}
