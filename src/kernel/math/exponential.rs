//! The exponential and what is made of one: `e^x - 1`, the sigmoid, softplus.

use super::real::Real;
use super::{fma, polynomial, select};
use crate::element::Instructions;

/// What the exponential needs to know about a type.
pub(super) trait Exponential: Real {
    /// From here on the exponential is infinite.
    const OVERFLOWS: Self;
    /// From here on, downwards, it is 0.
    const VANISHES: Self;
    /// From here on, downwards, `e^x - 1` is -1.
    const SATURATES: Self;
    /// A power of 2, and the exponent of its reciprocal, by which results of exponentials are divided lest they overflow.
    const REDUCED: Self;
    const REDUCTION: u8;
    /// `q` in `e^r = 1 + r + r^2 q(r)`, for half of ln 2 on both sides of 0.
    fn exp_tail<L: Instructions>(r: Self) -> Self;
    /// `P` in `ln((1 + s) / (1 - s)) = 2 s + s^3 P(s^2)`, for `s <= 1/3`.
    fn softplus_tail<L: Instructions>(z: Self) -> Self;
}

/// The coefficients of `q` in `e^r = 1 + r + r^2 q(r)`.
const EXP_F32: [f32; 5] = [
    0.499_999_97,
    0.166_665_39,
    0.041_667_745,
    0.008_367_14,
    0.001_383_688_4,
];

impl Exponential for f32 {
    const OVERFLOWS: f32 = 89.0;
    const VANISHES: f32 = -104.0;
    const SATURATES: f32 = -20.0;
    const REDUCED: f32 = 1.0 / (1u64 << 32) as f32;
    const REDUCTION: u8 = 32;
    #[inline(always)]
    fn exp_tail<L: Instructions>(r: f32) -> f32 {
        let [c0, c1, c2, c3, c4] = EXP_F32;
        polynomial!(L, r, [c0, c1, c2, c3, c4])
    }
    #[inline(always)]
    fn softplus_tail<L: Instructions>(z: f32) -> f32 {
        polynomial!(
            L,
            z,
            [
                0.666_666_75,
                0.399_989_46,
                0.286_158_1,
                0.214_318_56,
                0.243_096_99,
            ]
        )
    }
}

impl Exponential for f64 {
    const OVERFLOWS: f64 = 710.0;
    const VANISHES: f64 = -746.0;
    const SATURATES: f64 = -40.0;
    const REDUCED: f64 = 1.0 / (1u128 << 64) as f64;
    const REDUCTION: u8 = 64;
    #[inline(always)]
    fn exp_tail<L: Instructions>(r: f64) -> f64 {
        polynomial!(
            L,
            r,
            [
                0.5,
                0.166_666_666_666_666_77,
                0.041_666_666_666_666_685,
                0.008_333_333_333_321_799,
                0.001_388_888_888_889_408_5,
                0.000_198_412_698_853_378_02,
                2.480_158_727_751_676_7e-5,
                2.755_724_514_837_749_4e-6,
                2.755_733_125_455_686_5e-7,
                2.510_869_161_758_292e-8,
                2.089_326_422_802_929_7e-9,
            ]
        )
    }
    #[inline(always)]
    fn softplus_tail<L: Instructions>(z: f64) -> f64 {
        polynomial!(
            L,
            z,
            [
                0.666_666_666_666_666_7,
                0.399_999_999_999_953_5,
                0.285_714_285_723_415_34,
                0.222_222_221_362_645_77,
                0.181_818_227_921_843_16,
                0.153_844_618_187_062_94,
                0.133_366_512_550_098_35,
                0.117_175_165_541_646_8,
                0.109_626_491_233_279_71,
                0.070_299_341_968_134_12,
                0.164_119_466_845_469_52,
            ]
        )
    }
}

/// `x`, but at most `high`; a NaN stays one.
#[inline(always)]
pub(super) fn at_most<T: Real>(x: T, high: T) -> T {
    select(high < x, high, x)
}

/// `x`, but at least `low`; a NaN stays one.
#[inline(always)]
pub(super) fn at_least<T: Real>(x: T, low: T) -> T {
    select(low > x, low, x)
}

/// `p` and `k` for which `e^x = 2^k (1 + p)` with `p` as near to 0 as can be. In two steps, the first of which is exact (Cody and
/// Waite, 1980).
#[inline(always)]
pub(super) fn reduced<L: Instructions, T: Exponential>(x: T) -> (T, T::Exponent) {
    let (n, k) = x.nearest_exponent::<L>(T::LOG2_E);
    let r = fma::<L, T>(n, -T::LN_2_HIGH, x);
    let r = fma::<L, T>(n, -T::LN_2_LOW, r);
    (fma::<L, T>(r * r, T::exp_tail::<L>(r), r), k)
}

/// `p / 2` and `k` for which `e^-2a = 2^k (1 + p)`: with the factors in the coefficients.
#[inline(always)]
pub(super) fn reduced_back_f32<L: Instructions>(a: f32) -> (f32, u32) {
    let (n, k) = a.nearest_exponent::<L>(-2.0 * f32::LOG2_E);
    let u = fma::<L, f32>(n, 0.5 * f32::LN_2_HIGH, a);
    let u = fma::<L, f32>(n, 0.5 * f32::LN_2_LOW, u);
    let [c0, c1, c2, c3, c4] = EXP_F32;
    let tail = polynomial!(L, u, [2.0 * c0, -4.0 * c1, 8.0 * c2, -16.0 * c3, 32.0 * c4]);
    (fma::<L, f32>(u * u, tail, -u), k)
}

/// The same, with what the reduction loses carried along.
#[inline(always)]
pub(super) fn reduced_back_f64<L: Instructions>(a: f64) -> (f64, u64) {
    let (p, k, _) = reduced_exactly::<L, f64>(-2.0 * a);
    (0.5 * p, k)
}

/// The same as [`reduced`], and `k` as a number, with what the second step loses carried along.
#[inline(always)]
pub(super) fn reduced_exactly<L: Instructions, T: Exponential>(x: T) -> (T, T::Exponent, T) {
    let (r, lost, k, n) = remainder::<L, T>(x);
    (r + fma::<L, T>(r * r, T::exp_tail::<L>(r), lost), k, n)
}

/// `x` less `k ln 2`, what its rounding has lost, `k`, and `k` as a number.
#[inline(always)]
fn remainder<L: Instructions, T: Exponential>(x: T) -> (T, T, T::Exponent, T) {
    let (n, k) = x.nearest_exponent::<L>(T::LOG2_E);
    let first = fma::<L, T>(n, -T::LN_2_HIGH, x);
    let r = fma::<L, T>(n, -T::LN_2_LOW, first);
    (r, fma::<L, T>(n, -T::LN_2_LOW, first - r), k, n)
}

/// `p` and `k` for which `e^(x + rest) = 2^k (1 + p)`, for a small `rest`.
#[inline(always)]
pub(super) fn reduced_sum<L: Instructions, T: Exponential>(x: T, rest: T) -> (T, T::Exponent) {
    let (first, lost, k, _) = remainder::<L, T>(x);
    let rest = lost + rest;
    let r = first + rest;
    let lost = (first - r) + rest;
    (r + fma::<L, T>(r * r, T::exp_tail::<L>(r), lost), k)
}

/// `2^k (1 + p)`
#[inline(always)]
pub(super) fn grown<L: Instructions, T: Exponential>(p: T, k: T::Exponent) -> T {
    let (first, second) = T::powers(k);
    fma::<L, T>(first, p, first) * second
}

/// `e^(x + rest)` for a small `rest`.
#[inline(always)]
pub(super) fn exp_sum<L: Instructions, T: Exponential>(x: T, rest: T) -> T {
    let (p, k) = reduced_sum::<L, T>(x, rest);
    grown::<L, T>(p, k)
}

/// `e^x`
#[inline(always)]
pub(super) fn exp<L: Instructions, T: Exponential>(x: T) -> T {
    let x = at_least(at_most(x, T::OVERFLOWS), T::VANISHES);
    let (p, k) = reduced::<L, T>(x);
    grown::<L, T>(p, k)
}

/// `e^x - 1`
#[inline(always)]
pub(super) fn expm1<L: Instructions, T: Exponential>(x: T) -> T {
    let clamped = at_least(at_most(x, T::OVERFLOWS), T::SATURATES);
    let (p, k, n) = reduced_exactly::<L, T>(clamped);
    // Half of the result, since 2^k overflows a step before the result does.
    let scale = T::power_of_two(k, 1);
    let half = fma::<L, T>(scale, p, scale - T::HALF);
    select(n == T::ZERO, p, half + half).with_sign_of(x)
}

/// `1 / (1 + e^-x)`
#[inline(always)]
pub(super) fn sigmoid<L: Instructions, T: Exponential>(x: T) -> T {
    let a = at_least(at_most(-x, -T::VANISHES), T::SATURATES);
    let (p, k) = reduced::<L, T>(a);
    // 1 + e^a = (1 + 2^k) + 2^k p, with what the first sum loses. All of it is divided by a power of 2, since 2^k may overflow
    // where the result does not yet vanish.
    let one = T::REDUCED;
    let scale = T::power_of_two(k, T::REDUCTION);
    let sum = one + scale;
    let lost = one - (sum - scale);
    one / (sum + fma::<L, T>(scale, p, lost))
}

/// `ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)`
#[inline(always)]
pub(super) fn softplus<L: Instructions, T: Exponential>(x: T) -> T {
    let (p, k, _) = reduced_exactly::<L, T>(at_least(-x.magnitude(), T::VANISHES));
    let f = grown::<L, T>(p, k);
    // The logarithm as in `logarithm`, but as f is at most 1, without taking a power of 2 out.
    let s = f / (T::TWO + f);
    let z = s * s;
    let h = T::HALF * f * f;
    // ln(1 + f) = f - smaller: f is added to x first, with what the sum has lost.
    let smaller = h - s * fma::<L, T>(z, T::softplus_tail::<L>(z), h);
    let x = select(x > T::ZERO, x, T::ZERO);
    let sum = x + f;
    let added = sum - x;
    let lost = (x - (sum - added)) + (f - added);
    sum - select(x < T::INFINITY, smaller - lost, T::ZERO)
}

/// `e^x` to about 37 bits, for results in `f32` and `x` up to 700 in size.
#[inline(always)]
pub(super) fn exp_short<L: Instructions>(x: f64) -> f64 {
    let (n, k) = x.nearest_exponent::<L>(f64::LOG2_E);
    let r = fma::<L, f64>(n, -f64::LN_2, x);
    let tail = polynomial!(
        L,
        r,
        [
            0.500_000_000_010_568_4,
            0.166_666_667_543_872_7,
            0.041_666_665_951_213_33,
            0.008_333_288_969_902_632,
            0.001_388_898_562_816_658_5,
            0.000_199_049_720_913_546_7,
            2.479_615_147_414_803_5e-5,
        ]
    );
    fma::<L, f64>(r * r, tail, 1.0 + r) * f64::power_of_two(k, 0)
}
