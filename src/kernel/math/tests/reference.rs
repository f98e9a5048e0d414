//! The functions to about 100 bits, by sums of two numbers and textbook series: slow, and independent of what they are to test.

use std::f64::consts;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The sum of two numbers, the second within half a unit of the last place of the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Double(pub f64, pub f64);

const LN_2: Double = Double(consts::LN_2, 2.319_046_813_846_299_6e-17);
const LN_10: Double = Double(consts::LN_10, -2.170_756_223_382_249_4e-16);
const PI: Double = Double(consts::PI, 1.224_646_799_147_353_2e-16);
/// `sqrt(pi)`
const ROOT_PI: Double = Double(1.772_453_850_905_516, -7.666_586_499_825_799e-17);
/// `pi / 2` in three parts.
const QUARTER: [f64; 3] = [
    consts::FRAC_PI_2,
    6.123_233_995_736_766e-17,
    -1.497_384_904_859_169_8e-33,
];

fn two_sum(a: f64, b: f64) -> Double {
    let sum = a + b;
    let added = sum - a;
    Double(sum, (a - (sum - added)) + (b - added))
}

fn two_product(a: f64, b: f64) -> Double {
    let product = a * b;
    Double(product, a.mul_add(b, -product))
}

impl From<f64> for Double {
    fn from(x: f64) -> Double {
        Double(x, 0.0)
    }
}

impl Neg for Double {
    type Output = Double;
    fn neg(self) -> Double {
        Double(-self.0, -self.1)
    }
}

impl<D: Into<Double>> Add<D> for Double {
    type Output = Double;
    fn add(self, other: D) -> Double {
        let other = other.into();
        let (high, low) = (two_sum(self.0, other.0), two_sum(self.1, other.1));
        let sum = two_sum(high.0, high.1 + low.0);
        two_sum(sum.0, sum.1 + low.1)
    }
}

impl<D: Into<Double>> Sub<D> for Double {
    type Output = Double;
    fn sub(self, other: D) -> Double {
        self + -other.into()
    }
}

impl<D: Into<Double>> Mul<D> for Double {
    type Output = Double;
    fn mul(self, other: D) -> Double {
        let other = other.into();
        let product = two_product(self.0, other.0);
        two_sum(product.0, product.1 + (self.0 * other.1 + self.1 * other.0))
    }
}

impl<D: Into<Double>> Div<D> for Double {
    type Output = Double;
    fn div(self, other: D) -> Double {
        let other = other.into();
        let first = self.0 / other.0;
        if !first.is_finite() || first == 0.0 {
            return Double(first, 0.0);
        }
        let rest = self - other * first;
        let second = rest.0 / other.0;
        let rest = rest - other * second;
        Double(first, 0.0) + second + rest.0 / other.0
    }
}

fn sqrt(x: Double) -> Double {
    let first = x.0.sqrt();
    if first == 0.0 || !first.is_finite() {
        return Double(first, 0.0);
    }
    Double(first, 0.0) + (x - two_product(first, first)) / (2.0 * first)
}

/// The sum of numbers, however they cancel.
fn sum(mut terms: [f64; 6]) -> Double {
    for _ in 0..6 {
        for i in 1..6 {
            let pair = two_sum(terms[i], terms[i - 1]);
            (terms[i], terms[i - 1]) = (pair.0, pair.1);
        }
    }
    Double(terms[5], 0.0) + terms[4] + terms[3]
}

/// `e^r - 1` for small `r`: the series for a 64th of it, squared six times.
fn expm1_small(r: Double) -> Double {
    let r = r * (1.0 / 64.0);
    let mut series = Double(1.0, 0.0);
    for n in (2..=14).rev() {
        series = series * r / f64::from(n) + 1.0;
    }
    let mut y = series * r;
    for _ in 0..6 {
        y = y * 2.0 + y * y;
    }
    y
}

/// `e^x = y 2^k`
pub(super) fn exp(x: Double) -> (Double, i32) {
    if !x.0.is_finite() || x.0.abs() > 1e4 {
        return (x.0.exp().into(), 0);
    }
    let k = (x.0 / LN_2.0).round();
    (expm1_small(x - LN_2 * k) + 1.0, k as i32)
}

/// `e^x`, if it is neither subnormal nor infinite.
fn exp_plain(x: Double) -> Double {
    let (y, k) = exp(x);
    Double(scaled(y.0, k), scaled(y.1, k))
}

/// `x 2^k`
pub(super) fn scaled(x: f64, k: i32) -> f64 {
    let half = k / 2;
    x * 2f64.powi(half) * 2f64.powi(k - half)
}

pub(super) fn expm1(x: f64) -> Double {
    if x.abs() < 0.3 {
        expm1_small(x.into())
    } else if x > 0.0 {
        // So that the largest results do not overflow on the way.
        let (y, k) = exp(x.into());
        let y = y - scaled(1.0, -k.min(1000));
        Double(scaled(y.0, k), scaled(y.1, k))
    } else {
        exp_plain(x.max(-100.0).into()) - 1.0
    }
}

/// `ln(1 + f)`
pub(super) fn log1p(f: Double) -> Double {
    if f.0.abs() > 1e-3 {
        return ln(f + 1.0);
    }
    let s = f / (f + 2.0);
    let z = s * s;
    let mut series = Double(0.0, 0.0);
    for n in (0..=6).rev() {
        series = series * z + Double(2.0, 0.0) / f64::from(2 * n + 1);
    }
    series * s
}

pub(super) fn ln(x: Double) -> Double {
    if (x.0 - 1.0).abs() < 1e-3 {
        return log1p(x - 1.0);
    }
    // A power of 2 is taken out, so that nothing overflows.
    let (m, k) = parts(x.0);
    let x = Double(m, scaled(x.1, -k));
    let first = m.ln();
    let e = x * exp_plain(Double(-first, 0.0)) - 1.0;
    LN_2 * f64::from(k) + (e - e * e * 0.5 + first)
}

/// `m` in `[1, 2)` and `k` with `x = m 2^k`.
fn parts(x: f64) -> (f64, i32) {
    let (x, more) = if x < f64::MIN_POSITIVE {
        (x * 2f64.powi(60), -60)
    } else {
        (x, 0)
    };
    let k = (x.to_bits() >> 52) as i32 - 1023;
    (scaled(x, -k), k + more)
}

pub(super) fn log2(x: f64) -> Double {
    ln(x.into()) / LN_2
}

pub(super) fn log10(x: f64) -> Double {
    ln(x.into()) / LN_10
}

/// `x^y` of a positive `x`.
pub(super) fn pow(x: f64, y: f64) -> (Double, i32) {
    exp(ln(x.into()) * y)
}

/// Sine and cosine of an angle up to about 2^21.
fn sin_cos(x: f64) -> (Double, Double) {
    let n = (x / QUARTER[0]).round();
    let (a, b) = (two_product(n, -QUARTER[0]), two_product(n, -QUARTER[1]));
    let r = sum([n * -QUARTER[2], b.1, a.1, b.0, a.0, x]);
    let z = r * r;
    let (mut sine, mut cosine) = (Double(1.0, 0.0), Double(1.0, 0.0));
    for n in (1..=14).rev() {
        let n = f64::from(2 * n);
        sine = sine * z / -(n * (n + 1.0)) + 1.0;
        cosine = cosine * z / -(n * (n - 1.0)) + 1.0;
    }
    let sine = sine * r;
    match (n as i64).rem_euclid(4) {
        0 => (sine, cosine),
        1 => (cosine, -sine),
        2 => (-sine, -cosine),
        _ => (-cosine, sine),
    }
}

pub(super) fn sin(x: f64) -> Double {
    sin_cos(x).0
}

pub(super) fn cos(x: f64) -> Double {
    sin_cos(x).1
}

pub(super) fn tan(x: f64) -> Double {
    let (sine, cosine) = sin_cos(x);
    sine / cosine
}

/// The arc tangent of `y / x`, both positive: what is missing of the tangent of a first guess.
fn angle(y: Double, x: Double) -> Double {
    let first = y.0.atan2(x.0);
    let (sine, cosine) = sin_cos(first);
    (y * cosine - x * sine) / (x * cosine + y * sine) + first
}

pub(super) fn atan(x: f64) -> Double {
    angle(x.abs().into(), 1.0.into()) * x.signum()
}

/// The angle of a point that is not on an axis.
pub(super) fn atan2(y: f64, x: f64) -> Double {
    // Neither products overflow nor vanish.
    let scale = 2f64.powi(-parts(y.abs().max(x.abs())).1);
    let first = angle((y.abs() * scale).into(), (x.abs() * scale).into());
    (if x < 0.0 { PI - first } else { first }) * y.signum()
}

pub(super) fn asin(x: f64) -> Double {
    let a = Double(x.abs(), 0.0);
    angle(a, sqrt((-a + 1.0) * (a + 1.0))) * x.signum()
}

pub(super) fn acos(x: f64) -> Double {
    let x = Double(x, 0.0);
    angle(sqrt(-x + 1.0), sqrt(x + 1.0)) * 2.0
}

/// `sinh x = y 2^k`
pub(super) fn sinh(x: f64) -> (Double, i32) {
    if x.abs() > 1e4 {
        return (x.sinh().into(), 0);
    }
    if x.abs() > 40.0 {
        let (y, k) = exp(x.abs().into());
        return (y * x.signum(), k - 1);
    }
    let y = expm1(x);
    ((y + y / (y + 1.0)) * 0.5, 0)
}

/// `cosh x = y 2^k`
pub(super) fn cosh(x: f64) -> (Double, i32) {
    if x.abs() > 1e4 {
        return (x.cosh().into(), 0);
    }
    let (y, k) = exp(x.abs().into());
    if x.abs() > 40.0 {
        return (y, k - 1);
    }
    let y = exp_plain(x.into());
    ((y + Double(1.0, 0.0) / y) * 0.5, 0)
}

pub(super) fn tanh(x: f64) -> Double {
    let y = expm1(2.0 * x.clamp(-100.0, 100.0));
    y / (y + 2.0)
}

pub(super) fn asinh(x: f64) -> Double {
    let a = Double(x.abs(), 0.0);
    let y = if a.0 > 1e9 {
        ln(a) + LN_2 + 0.25 / a.0 / a.0
    } else {
        log1p(a + a * a / (sqrt(a * a + 1.0) + 1.0))
    };
    y * x.signum()
}

pub(super) fn acosh(x: f64) -> Double {
    if x > 1e9 {
        return ln(x.into()) + LN_2 - 0.25 / x / x;
    }
    let t = Double(x, 0.0) - 1.0;
    log1p(t + sqrt(t * (t + 2.0)))
}

pub(super) fn atanh(x: f64) -> Double {
    let a = Double(x.abs(), 0.0);
    log1p(a * 2.0 / (-a + 1.0)) * (0.5 * x.signum())
}

/// `1 / (1 + e^-x) = y 2^k`
pub(super) fn sigmoid(x: f64) -> (Double, i32) {
    if x < -40.0 {
        return exp(x.into());
    }
    let e = exp_plain((-x.min(200.0)).into());
    (Double(1.0, 0.0) / (e + 1.0), 0)
}

/// `ln(1 + e^x) = y 2^k`
pub(super) fn softplus(x: f64) -> (Double, i32) {
    if x < -40.0 {
        // e - e^2 / 2
        let (y, k) = exp(x.into());
        return (y - y * scaled(y.0, k) * 0.5, k);
    }
    let e = exp_plain((-x.abs()).max(-200.0).into());
    (log1p(e) + x.max(0.0), 0)
}

/// The error function up to 3: `e^-x^2` times a series of positive terms.
fn erf_series(a: Double) -> Double {
    let z = a * a;
    let mut term = a * 2.0 / ROOT_PI;
    let mut sum = term;
    let mut n = 3.0;
    while term.0 > sum.0 * 1e-33 {
        term = term * z * 2.0 / n;
        sum = sum + term;
        n += 2.0;
    }
    sum * exp_plain(-z)
}

/// `erfc a = y 2^k` from 3 on, by its continued fraction.
fn erfc_fraction(a: Double) -> (Double, i32) {
    let z = a * a;
    let mut fraction = a;
    // Enough terms for the smallest a, which converges most slowly.
    let terms = if a.0 < 6.0 { 400 } else { 150 };
    for n in (1..=terms).rev() {
        fraction = Double(0.5 * f64::from(n), 0.0) / fraction + a;
    }
    let (y, k) = exp(-z);
    (y / (fraction * ROOT_PI), k)
}

pub(super) fn erf(x: f64) -> Double {
    let a = Double(x.abs().min(10.0), 0.0);
    let y = if a.0 < 3.0 {
        erf_series(a)
    } else {
        let (y, k) = erfc_fraction(a);
        -Double(scaled(y.0, k), scaled(y.1, k)) + 1.0
    };
    y * x.signum()
}

/// `erfc x = y 2^k`
pub(super) fn erfc(x: f64) -> (Double, i32) {
    if x >= 3.0 {
        erfc_fraction(x.min(40.0).into())
    } else {
        (-erf(x) + 1.0, 0)
    }
}
