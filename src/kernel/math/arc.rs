//! Arc sine, arc cosine, arc tangent.

use super::{fma, polynomial, select};
use crate::element::Instructions;
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

/// What `FRAC_PI_2` lacks of `pi / 2`.
const FRAC_PI_2_REST: f64 = 6.123_233_995_736_766e-17;

/// `P` in `asin s = s + s^3 P(s^2)` for `s <= 1/2`, for results in `f32`.
#[inline(always)]
fn asin_short<L: Instructions>(z: f64) -> f64 {
    polynomial!(
        L,
        z,
        [
            0.166_666_598_529_113_14,
            0.075_005_121_502_821_24,
            0.044_515_467_128_660_94,
            0.031_819_854_930_173_11,
            0.014_393_647_224_938_607,
            0.037_578_435_273_524_21,
        ]
    )
}

/// The same for results in `f64`.
#[inline(always)]
fn asin_long<L: Instructions>(z: f64) -> f64 {
    polynomial!(
        L,
        z,
        [
            0.166_666_666_666_667_63,
            0.074_999_999_999_701_3,
            0.044_642_857_175_253_25,
            0.030_381_942_676_922_19,
            0.022_372_215_858_264_637,
            0.017_351_596_374_999_934,
            0.013_981_007_857_365_405,
            0.011_397_381_715_754_043,
            0.010_788_818_219_687_381,
            0.003_674_102_383_030_659_5,
            0.021_785_951_438_762_32,
            -0.021_110_048_362_426_7,
            0.032_697_985_670_957_02,
        ]
    )
}

/// `P` in `atan s = s + s^3 P(s^2)` for `s <= 1/2`, for results in `f32`.
#[inline(always)]
fn atan_short<L: Instructions>(z: f64) -> f64 {
    polynomial!(
        L,
        z,
        [
            -0.333_333_329_367_370_7,
            0.199_999_584_120_231_36,
            -0.142_842_329_013_807_36,
            0.110_858_742_420_514_31,
            -0.088_570_691_889_718_64,
            0.064_592_690_738_790_36,
            -0.029_968_471_990_309_904,
        ]
    )
}

/// The same for results in `f64`.
#[inline(always)]
fn atan_long<L: Instructions>(z: f64) -> f64 {
    polynomial!(
        L,
        z,
        [
            -0.333_333_333_333_333_3,
            0.199_999_999_999_993_4,
            -0.142_857_142_856_318_73,
            0.111_111_111_059_06,
            -0.090_909_088_958_208_78,
            0.076_923_029_497_806_87,
            -0.066_665_877_294_531_22,
            0.058_814_224_288_201_5,
            -0.052_552_325_654_391_906,
            0.047_126_753_274_393_53,
            -0.041_247_923_624_382_16,
            0.032_693_726_884_861_13,
            -0.020_006_658_370_722_897,
            0.006_688_943_927_644_268,
        ]
    )
}

/// The arc sine of `|x|` up to 1/2, or half of the arc cosine from there on, in two parts; and which of them. From
/// `acos a = 2 asin sqrt((1 - a) / 2)`.
#[inline(always)]
fn asin_or_half_acos(x: f64, tail: impl Fn(f64) -> f64) -> (f64, f64, bool) {
    let a = x.abs();
    let beyond = a > 0.5;
    let z = select(beyond, (1.0 - a) * 0.5, a * a);
    let s = select(beyond, z.sqrt(), a);
    (s, s * z * tail(z), beyond)
}

#[inline(always)]
fn asin(x: f64, tail: impl Fn(f64) -> f64) -> f64 {
    let (s, more, beyond) = asin_or_half_acos(x, tail);
    // The difference with what it has lost.
    let difference = FRAC_PI_2 - 2.0 * s;
    let lost = (FRAC_PI_2 - difference) - 2.0 * s;
    let rest = difference + ((lost + FRAC_PI_2_REST) - 2.0 * more);
    select(beyond, rest, s + more).copysign(x)
}

#[inline(always)]
fn acos(x: f64, tail: impl Fn(f64) -> f64) -> f64 {
    let (s, more, beyond) = asin_or_half_acos(x, tail);
    let p = s + more;
    let inner = FRAC_PI_2 - (p.copysign(x) - FRAC_PI_2_REST);
    let outer = select(x < 0.0, PI - 2.0 * (p - FRAC_PI_2_REST), 2.0 * p);
    select(beyond, outer, inner)
}

/// The angle of the point `(x, y)`, for both not negative, in two parts: by that of a point near an axis or near the diagonal. In
/// the latter case `y - x` is exact.
#[inline(always)]
fn first_quadrant<L: Instructions>(y: f64, x: f64, tail: impl Fn(f64) -> f64) -> (f64, f64) {
    let (inclined, steep) = (y > 0.5 * x, y > 2.0 * x);
    let top = select(inclined, select(steep, -x, y - x), y);
    let bottom = select(inclined, select(steep, y, y + x), x);
    let base = select(inclined, select(steep, FRAC_PI_2, FRAC_PI_4), 0.0);
    let steeper = select(steep, FRAC_PI_2_REST, 0.5 * FRAC_PI_2_REST);
    let base_rest = select(inclined, steeper, 0.0);
    let t = top / bottom;
    let z = t * t;
    let tail = fma::<L, f64>(t * z, tail(z), base_rest);
    // Large before small: what the first sum loses is added to the rest.
    let sum = base + t;
    (sum, ((base - sum) + t) + tail)
}

#[inline(always)]
fn atan<L: Instructions>(x: f64, tail: impl Fn(f64) -> f64) -> f64 {
    let (angle, rest) = first_quadrant::<L>(x.abs(), 1.0, tail);
    (angle + rest).copysign(x)
}

#[inline(always)]
fn atan2<L: Instructions>(y: f64, x: f64, tail: impl Fn(f64) -> f64) -> f64 {
    let (a, b) = (y.abs(), x.abs());
    // Two zeros or two infinities are as (0, 1) and (1, 1); the rest is scaled so that no sum overflows.
    let infinite = (a == f64::INFINITY) & (b == f64::INFINITY);
    let scale = select((a > 1e300) | (b > 1e300), 0.25, 1.0);
    let top = select(infinite, 1.0, a * scale);
    let bottom = select(infinite | ((a == 0.0) & (b == 0.0)), 1.0, b * scale);
    let (angle, rest) = first_quadrant::<L>(top, bottom, tail);
    let behind = (PI - angle) + (2.0 * FRAC_PI_2_REST - rest);
    select(x.is_sign_negative(), behind, angle + rest).copysign(y)
}

/// `asin x`
#[inline(always)]
pub(super) fn asin_f32<L: Instructions>(x: f32) -> f32 {
    asin(f64::from(x), asin_short::<L>) as f32
}

/// `asin x`
#[inline(always)]
pub(super) fn asin_f64<L: Instructions>(x: f64) -> f64 {
    asin(x, asin_long::<L>)
}

/// `acos x`
#[inline(always)]
pub(super) fn acos_f32<L: Instructions>(x: f32) -> f32 {
    acos(f64::from(x), asin_short::<L>) as f32
}

/// `acos x`
#[inline(always)]
pub(super) fn acos_f64<L: Instructions>(x: f64) -> f64 {
    acos(x, asin_long::<L>)
}

/// `atan x`
#[inline(always)]
pub(super) fn atan_f32<L: Instructions>(x: f32) -> f32 {
    atan::<L>(f64::from(x), atan_short::<L>) as f32
}

/// `atan x`
#[inline(always)]
pub(super) fn atan_f64<L: Instructions>(x: f64) -> f64 {
    atan::<L>(x, atan_long::<L>)
}

/// The angle of the point `(x, y)`.
#[inline(always)]
pub(super) fn atan2_f32<L: Instructions>(y: f32, x: f32) -> f32 {
    atan2::<L>(f64::from(y), f64::from(x), atan_short::<L>) as f32
}

/// The angle of the point `(x, y)`.
#[inline(always)]
pub(super) fn atan2_f64<L: Instructions>(y: f64, x: f64) -> f64 {
    atan2::<L>(y, x, atan_long::<L>)
}
