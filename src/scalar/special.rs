//! Special functions of machine numbers: the error function and the family of the gamma function.
//!
//! Errors are a few units in the last place, relative to the value; of `ln_gamma` and `polygamma` relative to the larger
//! terms of the value where it is near to one of its zeros at negative arguments. Constants are from 60-digit arithmetic
//! unless a source is named.

use std::f64::consts::PI;

use crate::element::{Baseline, Functions};

/// The error function `2 / sqrt(pi)` times the integral of `exp(-t^2)` from 0 to `x`.
pub(crate) fn erf(x: f64) -> f64 {
    x.erf_at::<Baseline>()
}

/// `1 - erf(x)`, without cancellation.
pub(crate) fn erfc(x: f64) -> f64 {
    x.erfc_at::<Baseline>()
}

/// The gamma function. As in C, it is infinite at 0, with the sign of the zero, and NaN at negative integers and at minus
/// infinity.
pub(crate) fn gamma(x: f64) -> f64 {
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x == 0.0 {
        return x.recip();
    }
    if x == x.floor() {
        if x < 0.0 {
            return f64::NAN;
        }
        // Factorials up to here are exact.
        if x <= 23.0 {
            return (1..x as u32).map(f64::from).product();
        }
    }
    // Beyond, values overflow, or vanish.
    if x > 171.7 {
        return f64::INFINITY;
    }
    if x < -184.0 {
        return if x.floor() % 2.0 == 0.0 { 0.0 } else { -0.0 };
    }
    let a = x.abs();
    if a < 1e-16 {
        return x.recip();
    }
    // For a > 0 it is y^(a - 1/2) e^-y S(a), with y = a + g - 1/2. What the sum y loses is made good to first order: the
    // logarithm of the product changes by (a - 1/2) / y - 1 = -g / y.
    let y = a + (LANCZOS_G - 0.5);
    let lost = if a > LANCZOS_G - 0.5 {
        (a - y) + (LANCZOS_G - 0.5)
    } else {
        (LANCZOS_G - 0.5 - y) + a
    };
    let correction = 1.0 - lost * LANCZOS_G / y;
    let s = lanczos_sum(a) * correction;
    // The square root of the power, since the power itself overflows before the value does.
    let root = y.powf(0.5 * (a - 0.5));
    if x > 0.0 {
        s * (-y).exp() * root * root
    } else {
        // gamma(-a) = -pi / (a sin(pi a) gamma(a))
        -PI / (a * sin_pi(a) * s) * y.exp() / root / root
    }
}

/// The logarithm of the absolute value of the gamma function. Infinite at 0, at negative integers, and at either infinity.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.is_infinite() || x == x.floor() && x <= 0.0 {
        return f64::INFINITY;
    }
    let a = x.abs();
    if a < 1e-17 {
        return -a.ln();
    }
    if x < 0.0 {
        // |gamma(-a)| = pi / (a |sin(pi a)| gamma(a))
        return (PI / (a * sin_pi(a)).abs()).ln() - ln_gamma(a);
    }
    if x < 0.5 {
        near_two(x) - x.ln_1p() - x.ln()
    } else if x < 1.5 {
        let t = x - 1.0;
        near_two(t) - t.ln_1p()
    } else if x < 2.5 {
        near_two(x - 2.0)
    } else if x < 8.0 {
        // Down to [3/2, 5/2) by gamma(x) = (x - 1) gamma(x - 1).
        let (mut y, mut product) = (x, 1.0);
        while y >= 2.5 {
            y -= 1.0;
            product *= y;
        }
        near_two(y - 2.0) + product.ln()
    } else {
        /// `ln(2 pi) / 2`
        const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;
        let tail = if x < 1e17 {
            polynomial((x * x).recip(), &STIRLING) / x
        } else {
            0.0
        };
        // (x - 1/2) (ln x - 1) + (ln(2 pi) - 1) / 2, in an order that does not overflow early.
        (x - 0.5) * (x.ln() - 1.0) + ((HALF_LN_TAU - 0.5) + tail)
    }
}

/// `ln gamma(2 + t)` for `|t| <= 1/2`.
fn near_two(t: f64) -> f64 {
    t * polynomial(t, &LN_GAMMA_AT_2)
}

/// The derivative of order `n` of the digamma function, which is the logarithmic derivative of the gamma function.
///
/// At its poles it is infinite where both sides agree or a signed zero tells the side, and else NaN. At minus infinity it is
/// NaN.
pub(crate) fn polygamma(n: u32, x: f64) -> f64 {
    if x.is_nan() || x == f64::NEG_INFINITY {
        return f64::NAN;
    }
    if x == f64::INFINITY {
        return if n == 0 { x } else { 0.0 };
    }
    if x <= 0.0 && x == x.floor() {
        return match (n % 2, x == 0.0) {
            (1, _) => f64::INFINITY,
            (_, true) => -x.recip(),
            _ => f64::NAN,
        };
    }
    if n == 0 {
        return digamma(x);
    }
    // psi_n(x) = (-1)^(n + 1) n! zeta(n + 1, x)
    let sign = if n.is_multiple_of(2) { -1.0 } else { 1.0 };
    if x > 0.0 {
        return sign * hurwitz(n, x);
    }
    // psi_n(x) = (-1)^n psi_n(1 - x) - pi d^n/dx^n cot(pi x)
    -hurwitz(n, 1.0 - x) - cotangent_derivative(n, x)
}

fn digamma(x: f64) -> f64 {
    /// The positive zero, in two parts.
    const ZERO: (f64, f64) = (1.461_632_144_968_362_2, 9.549_995_429_965_697e-17);
    // Beside the pole nothing else is left, and the reciprocal may overflow.
    if x.abs() < 1e-17 {
        return -x.recip();
    }
    if x < 0.0 {
        return digamma(1.0 - x) - PI / tan_pi(x);
    }
    let t = (x - ZERO.0) - ZERO.1;
    if t.abs() < 0.25 {
        return t * polynomial(t, &DIGAMMA_AT_ZERO);
    }
    // Up by psi(x) = psi(x + 1) - 1 / x.
    let (mut y, mut sum, mut lost) = (x, 0.0, 0.0);
    while y < 8.0 {
        let term = y.recip();
        let next = sum + term;
        lost += if sum > term {
            (sum - next) + term
        } else {
            (term - next) + sum
        };
        sum = next;
        y += 1.0;
    }
    let square = (y * y).recip();
    let tail = 0.5 / y + square * polynomial(square, &DIGAMMA_TAIL);
    (y.ln() - sum) - (lost + tail)
}

/// `n! zeta(n + 1, x) = sum_k n! / (x + k)^(n + 1)` for positive `x` and `n`: some terms, and Euler and Maclaurin's
/// formula for the rest.
fn hurwitz(n: u32, x: f64) -> f64 {
    // (n - 1)! / x^n, in an order that does not overflow before the result does.
    let leading = |x: f64| (1..n).fold(x.recip(), |p, i| p * (f64::from(i) / x));
    let order = f64::from(n);
    let end = 10.0 + order;
    let (mut y, mut sum) = (x, 0.0);
    while y < end {
        sum += leading(y) * (order / y);
        y += 1.0;
    }
    let square = (y * y).recip();
    let mut rising = 1.0;
    let mut series = 1.0 + order / (2.0 * y);
    for (k, b) in (0..).zip(&BERNOULLI_OVER_FACTORIAL) {
        // n (n + 1) … (n + 2 k + 1) / y^(2 k + 2)
        let k = f64::from(2 * k);
        rising *= (order + k) * (order + k + 1.0) * square;
        series += b * rising;
    }
    sum + leading(y) * series
}

/// `pi d^n/dx^n cot(pi x)`: a polynomial in the cotangent.
fn cotangent_derivative(n: u32, x: f64) -> f64 {
    let c = tan_pi(x).recip();
    // With c' = -pi (1 + c^2), a power c^k turns into -pi k (c^(k - 1) + c^(k + 1)).
    let mut coefficients = vec![0.0; n as usize + 2];
    coefficients[1] = PI;
    for order in 1..=n as usize {
        let mut next = vec![0.0; coefficients.len()];
        for k in 1..=order {
            let step = -PI * k as f64 * coefficients[k];
            next[k - 1] += step;
            next[k + 1] += step;
        }
        coefficients = next;
    }
    polynomial(c, &coefficients)
}

/// `sin(pi x)`, exactly 0 at integers.
fn sin_pi(x: f64) -> f64 {
    let n = x.round();
    let r = PI * (x - n);
    if n % 2.0 == 0.0 { r.sin() } else { -r.sin() }
}

/// `tan(pi x)`.
fn tan_pi(x: f64) -> f64 {
    let r = x - x.round();
    if r.abs() <= 0.25 {
        (PI * r).tan()
    } else {
        // Near the pole the distance to it is exact.
        (PI * (0.5 - r.abs())).tan().recip().copysign(r)
    }
}

/// A polynomial, the constant coefficient first.
fn polynomial(x: f64, coefficients: &[f64]) -> f64 {
    // Started from the last coefficient: 0 times an infinite `x` would make a NaN.
    let all = coefficients.iter().rev().copied();
    all.reduce(|sum, c| sum * x + c).unwrap_or_default()
}

/// Lanczos's sum for [`LANCZOS_G`]: of powers of `1 / x` where those of `x` are large.
fn lanczos_sum(x: f64) -> f64 {
    if x < 8.0 {
        polynomial(x, &LANCZOS.map(|c| c.0)) / polynomial(x, &LANCZOS.map(|c| c.1))
    } else {
        let (mut top, mut bottom) = (0.0, 0.0);
        for (a, b) in LANCZOS {
            top = top / x + a;
            bottom = bottom / x + b;
        }
        top / bottom
    }
}

/// The free parameter of the approximation of C. Lanczos (1964), as chosen by the Boost library for `f64`.
const LANCZOS_G: f64 = 6.024_680_040_776_73;

/// Numerator and denominator of the approximation of C. Lanczos, A precision approximation of the gamma function (1964), in
/// the rational form and with the coefficients of the Boost library (`lanczos13m53`, J. Maddock, 2006).
const LANCZOS: [(f64, f64); 13] = [
    (23_531_376_880.410_76, 0.0),
    (42_919_803_642.649_1, 39_916_800.0),
    (35_711_959_237.355_67, 120_543_840.0),
    (17_921_034_426.037_21, 150_917_976.0),
    (6_039_542_586.352_028, 105_258_076.0),
    (1_439_720_407.311_721_6, 45_995_730.0),
    (248_874_557.862_054_17, 13_339_535.0),
    (31_426_415.585_400_194, 2_637_558.0),
    (2_876_370.628_935_372_5, 357_423.0),
    (186_056.265_395_223_48, 32_670.0),
    (8_071.672_002_365_816, 1_925.0),
    (210.824_277_751_579_36, 66.0),
    (2.506_628_274_631_000_2, 1.0),
];

/// The Taylor coefficients of `ln gamma(2 + t) / t`: `1 - Euler's constant`, then `(-1)^k (zeta(k) - 1) / k` (Abramowitz
/// and Stegun, 1964, 6.1.33).
const LN_GAMMA_AT_2: [f64; 28] = [
    0.422_784_335_098_467_13,
    0.322_467_033_424_113_2,
    -0.067_352_301_053_198_1,
    0.020_580_808_427_784_546,
    -0.007_385_551_028_673_986,
    0.002_890_510_330_741_523_4,
    -0.001_192_753_911_703_261,
    0.000_509_669_524_743_042_5,
    -0.000_223_154_758_453_579_39,
    9.945_751_278_180_853e-05,
    -4.492_623_673_813_314e-05,
    2.050_721_277_567_069e-05,
    -9.439_488_275_268_397e-06,
    4.374_866_789_907_488e-06,
    -2.039_215_753_801_366e-06,
    9.551_412_130_407_42e-07,
    -4.492_469_198_764_566e-07,
    2.120_718_480_555_466_5e-07,
    -1.004_322_482_396_809_9e-07,
    4.769_810_169_363_980_4e-08,
    -2.271_109_460_894_316_4e-08,
    1.083_865_921_489_695_5e-08,
    -5.183_475_041_970_047e-09,
    2.483_674_543_802_478_5e-09,
    -1.192_140_140_586_091_2e-09,
    5.731_367_241_678_862e-10,
    -2.759_522_885_124_233_4e-10,
    1.330_476_437_424_449e-10,
];

/// The coefficients `B_2k / (2k (2k - 1))` of Stirling's series (Abramowitz and Stegun, 1964, 6.1.40).
const STIRLING: [f64; 9] = [
    0.083_333_333_333_333_33,
    -0.002_777_777_777_777_778,
    0.000_793_650_793_650_793_7,
    -0.000_595_238_095_238_095_3,
    0.000_841_750_841_750_841_7,
    -0.001_917_526_917_526_917_6,
    0.006_410_256_410_256_41,
    -0.029_550_653_594_771_242,
    0.179_644_372_368_830_57,
];

/// The Taylor coefficients of the digamma function at its positive zero, divided by the distance: `psi_k / k!`.
const DIGAMMA_AT_ZERO: [f64; 23] = [
    0.967_672_245_447_621_2,
    -0.442_763_168_983_592_1,
    0.258_499_760_955_651,
    -0.163_942_705_442_406_52,
    0.107_824_050_691_262_37,
    -0.072_199_561_256_454_71,
    0.048_804_288_164_143_11,
    -0.033_161_126_474_847_36,
    0.022_597_648_232_218_104,
    -0.015_424_765_904_948_96,
    0.010_538_791_616_612_175,
    -0.007_204_534_386_356_869,
    0.004_926_781_395_729_853,
    -0.003_369_801_655_439_328,
    0.002_305_126_326_734_928,
    -0.001_576_936_771_430_197_2,
    0.001_078_825_201_916_296_7,
    -0.000_738_070_938_996_005_2,
    0.000_504_953_265_834_602,
    -0.000_345_468_025_106_307_7,
    0.000_236_356_015_640_270_53,
    -0.000_161_706_220_919_748_03,
    0.000_110_633_727_687_474_1,
];

/// The coefficients `B_2k / 2k` of the asymptotic series (Abramowitz and Stegun, 1964, 6.3.18).
const DIGAMMA_TAIL: [f64; 11] = [
    0.083_333_333_333_333_33,
    -0.008_333_333_333_333_333,
    0.003_968_253_968_253_968,
    -0.004_166_666_666_666_667,
    0.007_575_757_575_757_576,
    -0.021_092_796_092_796_094,
    0.083_333_333_333_333_33,
    -0.443_259_803_921_568_6,
    3.053_954_330_270_119_8,
    -26.456_212_121_212_122,
    281.460_144_927_536_25,
];

/// `B_2k / (2k)!`
const BERNOULLI_OVER_FACTORIAL: [f64; 20] = [
    0.083_333_333_333_333_33,
    -0.001_388_888_888_888_889,
    3.306_878_306_878_307e-05,
    -8.267_195_767_195_768e-07,
    2.087_675_698_786_81e-08,
    -5.284_190_138_687_493e-10,
    1.338_253_653_068_467_9e-11,
    -3.389_680_296_322_582_7e-13,
    8.586_062_056_277_845e-15,
    -2.174_868_698_558_062e-16,
    5.509_002_828_360_229_5e-18,
    -1.395_446_468_581_252_2e-19,
    3.534_707_039_629_467e-21,
    -8.953_517_427_037_546e-23,
    2.267_952_452_337_683e-24,
    -5.744_790_668_872_202e-26,
    1.455_172_475_614_865e-27,
    -3.685_994_940_665_310_3e-29,
    9.336_734_257_095_045e-31,
    -2.365_022_415_700_63e-32,
];

#[cfg(test)]
mod tests;
