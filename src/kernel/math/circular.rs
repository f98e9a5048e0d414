//! Sine, cosine and tangent.
//!
//! An angle is brought to within an eighth of a turn of a multiple of a quarter turn, by subtracting `pi / 2` in parts whose
//! products with that multiple are exact (Cody and Waite, 1980). Where the multiple has too many digits for that, the angle is far.

use super::double::two_product;
use super::real::Real;
use super::{far, fma, polynomial, select};
use crate::element::{Baseline, Instructions};
use std::f64::consts::FRAC_2_PI;

/// A bound of angles that are not far.
pub(super) const FAR_F32: f32 = 8_388_608.0; // 2^23
/// A bound of angles that are not far.
pub(super) const FAR_F64: f64 = 1_048_576.0; // 2^20

/// Sine and cosine of an angle less a number of quarter turns, and that number, for results in `f32`.
#[inline(always)]
fn parts_short<L: Instructions>(x: f32) -> (f64, f64, u64) {
    /// The first 30 bits of `pi / 2`, and the rest.
    const QUARTER: (f64, f64) = (1.570_796_325_802_803, 9.920_935_796_805_404e-10);
    let x = f64::from(x);
    let (n, quarters) = x.nearest::<L>(FRAC_2_PI);
    let r = fma::<L, f64>(n, -QUARTER.0, x);
    let r = fma::<L, f64>(n, -QUARTER.1, r);
    let z = r * r;
    let sine = polynomial!(
        L,
        z,
        [
            1.0,
            -0.166_666_666_414_267_5,
            0.008_333_329_361_742_631,
            -0.000_198_393_269_942_281,
            2.718_236_469_503_064e-6,
        ]
    );
    let cosine = polynomial!(
        L,
        z,
        [
            1.0,
            -0.499_999_996_919_570_8,
            0.041_666_620_061_188_32,
            -0.001_388_667_231_096_356_8,
            2.438_269_620_853_463_5e-5,
        ]
    );
    (r * sine, cosine, quarters)
}

/// `a - b`, and what it has lost (Knuth, 1969).
#[inline(always)]
fn difference(a: f64, b: f64) -> (f64, f64) {
    let difference = a - b;
    let taken = a - difference;
    (difference, (a - (difference + taken)) + (taken - b))
}

/// An angle less a number of quarter turns, as a sum, and that number; unless the angle is far.
#[inline(always)]
fn reduced<L: Instructions>(x: f64) -> (f64, f64, u64) {
    /// `pi / 2`, 33 bits at a time, and the rest.
    const QUARTER: [f64; 4] = [
        1.570_796_326_734_125_6,
        6.077_100_506_303_966e-11,
        2.022_266_248_711_166_5e-21,
        8.478_427_660_368_9e-32,
    ];
    let (n, quarters) = x.nearest::<L>(FRAC_2_PI);
    // The angle as a sum: each difference with what it has lost.
    let first = x - n * QUARTER[0];
    let (second, second_lost) = difference(first, n * QUARTER[1]);
    let (third, third_lost) = difference(second, n * QUARTER[2]);
    let rest = (second_lost + third_lost) - n * QUARTER[3];
    // Without the sum where nothing was subtracted, since it would take the sign of a zero.
    let r = select(n == 0.0, x, third + rest);
    (r, (third - r) + rest, quarters)
}

/// Sine and cosine of `r + low`, each with what its rounding has lost.
#[inline(always)]
fn parts<L: Instructions>(r: f64, low: f64) -> ([f64; 2], [f64; 2]) {
    let z = r * r;
    let h = 0.5 * z;
    let cube = z * r;
    let sine_tail = polynomial!(
        L,
        z,
        [
            -0.166_666_666_666_666_32,
            0.008_333_333_333_322_455,
            -0.000_198_412_698_297_870_61,
            2.755_731_366_864_411_3e-6,
            -2.505_075_235_767_168_3e-8,
            1.589_635_823_891_371e-10,
        ]
    );
    // sin(r + low) = sin r + low cos r
    let sine_rest = fma::<L, f64>(cube, sine_tail, low * (1.0 - h));
    let sine = r + sine_rest;
    let cosine_tail = polynomial!(
        L,
        z,
        [
            0.041_666_666_666_666_595,
            -0.001_388_888_888_887_331_6,
            2.480_158_728_897_286_7e-5,
            -2.755_731_420_544_584_4e-7,
            2.087_570_345_618_705_7e-9,
            -1.135_863_267_569_266_8e-11,
        ]
    );
    let most = 1.0 - h;
    let cosine_rest = ((1.0 - most) - h) + (z * z * cosine_tail - r * low);
    let cosine = most + cosine_rest;
    (
        [sine.copysign(r), (r - sine) + sine_rest],
        [cosine, (most - cosine) + cosine_rest],
    )
}

/// The sine of an angle of so many quarter turns more than the one whose sine and cosine are given.
#[inline(always)]
fn turned((sine, cosine, quarters): (f64, f64, u64), more: u64) -> f64 {
    let quarters = quarters.wrapping_add(more);
    let value = select(quarters & 1 == 0, sine, cosine);
    f64::from_bits(value.to_bits() ^ ((quarters & 2) << 62))
}

/// `sin x`, unless `x` is far.
#[inline(always)]
pub(super) fn sin_f32<L: Instructions>(x: f32) -> f32 {
    turned(parts_short::<L>(x), 0) as f32
}

/// `cos x`, unless `x` is far.
#[inline(always)]
pub(super) fn cos_f32<L: Instructions>(x: f32) -> f32 {
    turned(parts_short::<L>(x), 1) as f32
}

/// `tan x`, unless `x` is far.
#[inline(always)]
pub(super) fn tan_f32<L: Instructions>(x: f32) -> f32 {
    let (sine, cosine, quarters) = parts_short::<L>(x);
    let even = quarters & 1 == 0;
    (select(even, sine, cosine) / select(even, cosine, -sine)) as f32
}

/// The sine of an angle of some quarter turns more than it was reduced to.
#[inline(always)]
fn sine_of<L: Instructions>((r, low, quarters): (f64, f64, u64), more: u64) -> f64 {
    let ([sine, _], [cosine, _]) = parts::<L>(r, low);
    turned((sine, cosine, quarters), more)
}

/// The tangent of a reduced angle.
#[inline(always)]
fn tangent_of<L: Instructions>((r, low, quarters): (f64, f64, u64)) -> f64 {
    let (sine, cosine) = parts::<L>(r, low);
    let even = quarters & 1 == 0;
    let top = [
        select(even, sine[0], cosine[0]),
        select(even, sine[1], cosine[1]),
    ];
    let bottom = [
        select(even, cosine[0], -sine[0]),
        select(even, cosine[1], -sine[1]),
    ];
    // The quotient of the leading parts, and its correction.
    let reciprocal = 1.0 / bottom[0];
    let q = top[0] * reciprocal;
    let (product, lost) = two_product::<L>(q, bottom[0]);
    let rest = ((top[0] - product) - lost) + (top[1] - q * bottom[1]);
    (q + rest * reciprocal).copysign(q)
}

/// `sin x`, unless `x` is far.
#[inline(always)]
pub(super) fn sin_f64<L: Instructions>(x: f64) -> f64 {
    sine_of::<L>(reduced::<L>(x), 0)
}

/// `cos x`, unless `x` is far.
#[inline(always)]
pub(super) fn cos_f64<L: Instructions>(x: f64) -> f64 {
    sine_of::<L>(reduced::<L>(x), 1)
}

/// `tan x`, unless `x` is far.
#[inline(always)]
pub(super) fn tan_f64<L: Instructions>(x: f64) -> f64 {
    tangent_of::<L>(reduced::<L>(x))
}

/// `sin x` of an `x` that is far.
pub(super) fn sin_far(x: f64) -> f64 {
    sine_of::<Baseline>(far::reduced(x), 0)
}

/// `cos x` of an `x` that is far.
pub(super) fn cos_far(x: f64) -> f64 {
    sine_of::<Baseline>(far::reduced(x), 1)
}

/// `tan x` of an `x` that is far.
pub(super) fn tan_far(x: f64) -> f64 {
    tangent_of::<Baseline>(far::reduced(x))
}
