//! Errors over the whole range, in units in the last place, and values at the edges, at every level of the processor.
//!
//! `WENGERT_POINTS=100 cargo test --release --lib kernel::math -- --nocapture` takes a hundred times as many points and prints
//! what it finds: the figures of `docs/numerics.md`.

mod edges;
mod reference;

use super::single;
use crate::element::{Functions, Fused};
use crate::kernel::dispatch::{at_every_level, simd};
use reference::{Double, scaled};

/// Points of a type, and what a function makes of them.
type Loop<T> = fn(&[T], &mut [T]);

/// A loop over a function.
macro_rules! each {
    ($t:ident, |$x:ident, $level:ident| $value:expr) => {{
        simd! {
            fn each<at $level>($x: &[$t], y: &mut [$t]) {
                for ($x, y) in $x.iter().copied().zip(y) {
                    *y = $value;
                }
            }
        }
        each as Loop<$t>
    }};
}
use each;

/// How many times as many points as usual.
fn more() -> usize {
    std::env::var("WENGERT_POINTS").map_or(1, |points| points.parse().expect("a number"))
}

/// Numbers without order: splitmix64 (Steele, Lea, Flood, 2014).
struct Mixed(u64);
impl Mixed {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / 9_007_199_254_740_992.0
    }
}

/// The worst point that was found.
#[derive(Clone, Copy, Debug, Default)]
struct Worst {
    error: f64,
    x: f64,
    y: f64,
    value: f64,
}

/// Prints the worst error at each level and checks it.
fn check(name: &str, bound: f64, worst: &[Worst]) {
    for (level, worst) in ["baseline", "AVX2", "AVX-512"].iter().zip(worst) {
        println!(
            "{name:14} {level:9} {:.3} at {:e} {:e}",
            worst.error, worst.x, worst.y
        );
        let Worst { error, x, y, value } = worst;
        assert!(
            *error <= bound,
            "{name} of {x:e}, {y:e} is {value:e} at level {level}: {error} units"
        );
    }
}

/// The distance of a value from the right one in units of the last place of the right one.
fn error_f32(value: f32, right: f64) -> f64 {
    // As if exponents had no end, the number after the largest is 2^128.
    let huge = 2f64.powi(128);
    let right_bounded = right.clamp(-huge, huge);
    if value.is_nan() || right.is_nan() {
        return if value.is_nan() && right.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    let value = f64::from(value).clamp(-huge, huge);
    if value == right_bounded {
        return 0.0;
    }
    let exponent = ((right_bounded.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    (value - right_bounded).abs() * 2f64.powi(23 - exponent.clamp(-126, 127))
}

/// The distance of a value from the right one, `right * 2^k`, in units of the last place of the right one.
fn error_f64(value: f64, (right, k): (Double, i32)) -> f64 {
    let rounded = scaled(right.0, k);
    if value == rounded && (rounded == 0.0 || rounded.is_infinite()) {
        return 0.0;
    }
    if !value.is_finite() || !right.0.is_finite() {
        // An infinity is right for what rounds to one, and 2^1024 otherwise.
        let close = value.is_infinite() && rounded.abs() > f64::MAX * (1.0 - f64::EPSILON);
        return if close { 1.0 } else { f64::INFINITY };
    }
    let exponent = ((right.0.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    let unit = (exponent + k).max(-1022) - 52 - k;
    let difference = (Double(scaled(value, -k), 0.0) - right).0.abs();
    scaled(difference, -unit)
}

/// The worst error of a function of `f32`, over a fine comb through all of them.
fn sweep(name: &str, f: Loop<f32>, right: fn(f64) -> f64) {
    const BLOCK: usize = 4096;
    let step = (4111 / more()).max(1) | 1;
    let results = at_every_level(|| {
        let mut worst = Worst::default();
        let (mut x, mut y) = ([0.0; BLOCK], [0.0; BLOCK]);
        let mut patterns = (0..=u32::MAX).step_by(step);
        loop {
            let mut count = 0;
            for (x, bits) in x.iter_mut().zip(&mut patterns) {
                *x = f32::from_bits(bits);
                count += 1;
            }
            f(&x[..count], &mut y[..count]);
            for (&x, &y) in x.iter().zip(&y).take(count) {
                let error = error_f32(y, right(f64::from(x)));
                if error > worst.error {
                    worst = Worst {
                        error,
                        x: f64::from(x),
                        y: 0.0,
                        value: f64::from(y),
                    };
                }
            }
            if count < BLOCK {
                return worst;
            }
        }
    });
    check(&format!("{name} f32"), 2.0, &results);
}

/// Numbers of `f64`: of all sizes, of the sizes of `interval`, from within it, and beside its ends.
fn points(count: usize, interval: [f64; 2], seed: u64) -> Vec<f64> {
    let mut mixed = Mixed(seed);
    let [low, high] = interval;
    let mut point = |i: usize| match i % 4 {
        0 => f64::from_bits(mixed.bits()),
        1 => {
            let end = if i % 8 < 4 { low } else { high };
            let size = 2f64.powf(-60.0 * mixed.unit());
            end * (1.0 + (mixed.unit() - 0.5) * size)
        }
        2 => {
            let end = if mixed.unit() < 0.5 { low } else { high };
            end * 2f64.powf(-40.0 * mixed.unit())
        }
        _ => low + (high - low) * mixed.unit(),
    };
    // Products of the smallest numbers are no longer exact: the references need some room. Those are checked elsewhere.
    (0..count * 2)
        .map(&mut point)
        .filter(|x| x.is_finite() && x.abs() > 1e-280)
        .take(count)
        .collect()
}

/// Points of two operands, and what a function makes of them.
type Loop2<T> = fn(&[T], &[T], &mut [T]);

/// A loop over a function of two operands.
macro_rules! each2 {
    ($t:ident, $function:ident) => {{
        simd! {
            fn each<at L>(x: &[$t], y: &[$t], z: &mut [$t]) {
                for ((x, y), z) in x.iter().zip(y).zip(z) {
                    *z = x.$function::<L>(*y);
                }
            }
        }
        each as Loop2<$t>
    }};
}

use each2;

/// The worst error of a function of two operands of `f64`.
fn sample2(name: &str, f: Loop2<f64>, x: &[f64], y: &[f64], right: fn(f64, f64) -> (Double, i32)) {
    let right: Vec<_> = x.iter().zip(y).map(|(&x, &y)| right(x, y)).collect();
    let results = at_every_level(|| {
        let mut z = vec![0.0; x.len()];
        f(x, y, &mut z);
        let mut worst = Worst::default();
        for (i, &value) in z.iter().enumerate() {
            let error = error_f64(value, right[i]);
            if error > worst.error {
                worst = Worst {
                    error,
                    x: x[i],
                    y: y[i],
                    value,
                };
            }
        }
        worst
    });
    check(&format!("{name} f64"), 2.0, &results);
}

/// The worst error of a function of two operands of `f32`.
fn sweep2(name: &str, f: Loop2<f32>, x: &[f32], y: &[f32], right: fn(f64, f64) -> f64) {
    let results = at_every_level(|| {
        let mut z = vec![0.0; x.len()];
        f(x, y, &mut z);
        let mut worst = Worst::default();
        for (i, &value) in z.iter().enumerate() {
            let (x, y) = (f64::from(x[i]), f64::from(y[i]));
            let error = error_f32(value, right(x, y));
            if error > worst.error {
                worst = Worst {
                    error,
                    x,
                    y,
                    value: f64::from(value),
                };
            }
        }
        worst
    });
    check(&format!("{name} f32"), 2.0, &results);
}

#[test]
fn pow() {
    // Bases of all sizes and around 1, with exponents that give results of all sizes.
    let count = 100_000 * more();
    let mut mixed = Mixed(2);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for i in 0..count {
        let base = match i % 3 {
            0 => f64::from_bits(mixed.bits() >> 1),
            1 => 1.0 + (mixed.unit() - 0.4) * 2f64.powf(-40.0 * mixed.unit()),
            _ => 3.0 * mixed.unit(),
        };
        let log = base.ln();
        let exponent = match i % 2 {
            0 => (mixed.unit() - 0.5) * 1500.0 / log,
            _ => (mixed.unit() - 0.5) * 20.0,
        };
        if base > 1e-300 && base.is_finite() && exponent.is_finite() {
            x.push(base);
            y.push(exponent);
        }
    }
    sample2(
        "pow",
        each2!(f64, pow_at),
        &x[..x.len() / 4],
        &y[..x.len() / 4],
        reference::pow,
    );
    let (mut x32, mut y32) = (Vec::new(), Vec::new());
    for i in 0..count {
        let base = match i % 3 {
            0 => f32::from_bits(mixed.bits() as u32),
            1 => (1.0 + (mixed.unit() - 0.4) * 2f64.powf(-23.0 * mixed.unit())) as f32,
            _ => (3.0 * mixed.unit()) as f32,
        };
        let exponent = match i % 4 {
            0 => ((mixed.unit() - 0.5) * 220.0 / f64::from(base.abs()).ln()) as f32,
            1 => ((mixed.unit() - 0.5) * 20.0) as f32,
            2 => ((mixed.unit() - 0.5) * 20.0).round() as f32,
            _ => f32::from_bits(mixed.bits() as u32),
        };
        x32.push(base);
        y32.push(exponent);
    }
    sweep2("pow", each2!(f32, pow_at), &x32, &y32, f64::powf);
}

#[test]
fn atan2() {
    let count = 20_000 * more();
    let mut mixed = Mixed(3);
    let (mut y, mut x) = (points(count, [-0.5, 2.0], 4), points(count, [-1.0, 1.0], 5));
    for i in 0..count {
        match i % 3 {
            // Quotients of all sizes that are numbers.
            0 => x[i] = y[i] * 2f64.powf(100.0 * (mixed.unit() - 0.5)),
            1 => x[i] = y[i] * (mixed.unit() - 0.5) * 8.0,
            _ => {
                y[i] = mixed.unit() - 0.5;
                x[i] = mixed.unit() - 0.5;
            }
        }
        if !x[i].is_normal() {
            x[i] = y[i];
        }
    }
    sample2("atan2", each2!(f64, atan2_at), &y, &x, |y, x| {
        (reference::atan2(y, x), 0)
    });
    let mut short = |_| match mixed.bits() {
        bits if bits % 2 == 0 => f32::from_bits((bits >> 32) as u32),
        bits => (bits >> 40) as f32 - 8e6,
    };
    let y: Vec<f32> = (0..10 * count).map(&mut short).collect();
    let x: Vec<f32> = (0..10 * count).map(&mut short).collect();
    sweep2("atan2", each2!(f32, atan2_at), &y, &x, f64::atan2);
}

/// The worst error of a function of `f64`.
fn sample(
    name: &str,
    f: Loop<f64>,
    interval: [f64; 2],
    within: fn(f64) -> bool,
    right: fn(f64) -> (Double, i32),
) {
    let mut x = points(20_000 * more(), interval, 1);
    x.retain(|&x| within(x));
    let right: Vec<_> = x.iter().map(|&x| right(x)).collect();
    let results = at_every_level(|| {
        let mut y = vec![0.0; x.len()];
        f(&x, &mut y);
        let mut worst = Worst::default();
        for (i, &y) in y.iter().enumerate() {
            let error = error_f64(y, right[i]);
            if error > worst.error {
                worst = Worst {
                    error,
                    x: x[i],
                    y: 0.0,
                    value: y,
                };
            }
        }
        worst
    });
    check(&format!("{name} f64"), 2.0, &results);
}

#[test]
fn a_sigmoid_by_itself() {
    let sigmoid = each!(f64, |x, _L| single::sigmoid(x));
    let near = |x: f64| x.abs() < 700.0;
    for interval in [[-700.0, 40.0], [-1.0, 1.0]] {
        sample(
            "sigmoid, single",
            sigmoid,
            interval,
            near,
            reference::sigmoid,
        );
    }
}

/// Tests of functions of one number: the loops, the reference of `f32`, and for `f64` an interval of interest, where the reference
/// holds, and the reference.
macro_rules! functions_of_one {
    ($($name:ident: |$x:ident, $level:ident| $value:expr, $short:expr, $interval:expr, $within:expr, $long:expr;)*) => {$(
        #[test]
        fn $name() {
            sweep(stringify!($name), each!(f32, |$x, $level| $value), $short);
            sample(stringify!($name), each!(f64, |$x, $level| $value), $interval, $within, $long);
        }
    )*};
}

functions_of_one! {
    exp: |x, L| x.exp_at::<L>(), f64::exp, [-745.2, 709.8], |_| true, |x| reference::exp(x.into());
    expm1: |x, L| x.expm1_at::<L>(), f64::exp_m1, [-40.0, 709.8], |x| x < 1e4, |x| (reference::expm1(x), 0);
    ln: |x, L| x.ln_at::<L>(), f64::ln, [0.5, 2.0], |x| x > 0.0, |x| (reference::ln(x.into()), 0);
    log1p: |x, L| x.log1p_at::<L>(), f64::ln_1p, [-1.0, 1.5], |x| x > -1.0, |x| (reference::log1p(x.into()), 0);
    log2: |x, L| x.log2_at::<L>(), f64::log2, [0.5, 2.0], |x| x > 0.0, |x| (reference::log2(x), 0);
    log10: |x, L| x.log10_at::<L>(), f64::log10, [0.5, 2.0], |x| x > 0.0, |x| (reference::log10(x), 0);
    sin: |x, L| if x.is_far() { x.sin_far() } else { x.sin_at::<L>() }, f64::sin, [-1e6, 3.2], |x| !x.is_far(), |x| (reference::sin(x), 0);
    cos: |x, L| if x.is_far() { x.cos_far() } else { x.cos_at::<L>() }, f64::cos, [-1e6, 1.6], |x| !x.is_far(), |x| (reference::cos(x), 0);
    tan: |x, L| if x.is_far() { x.tan_far() } else { x.tan_at::<L>() }, f64::tan, [-1e6, 1.6], |x| !x.is_far(), |x| (reference::tan(x), 0);
    asin: |x, L| x.asin_at::<L>(), f64::asin, [-1.0, 0.5], |x| x.abs() <= 1.0, |x| (reference::asin(x), 0);
    acos: |x, L| x.acos_at::<L>(), f64::acos, [-1.0, 1.0], |x| x.abs() <= 1.0, |x| (reference::acos(x), 0);
    atan: |x, L| x.atan_at::<L>(), f64::atan, [-0.5, 2.0], |_| true, |x| (reference::atan(x), 0);
    sinh: |x, L| x.sinh_at::<L>(), f64::sinh, [-710.5, 1.0], |_| true, reference::sinh;
    cosh: |x, L| x.cosh_at::<L>(), f64::cosh, [-710.5, 1.0], |_| true, reference::cosh;
    tanh: |x, L| x.tanh_at::<L>(), f64::tanh, [-0.57, 20.0], |_| true, |x| (reference::tanh(x), 0);
    asinh: |x, L| x.asinh_at::<L>(), |x| (x.abs() + x * x / (1.0 + (x * x + 1.0).sqrt())).ln_1p().copysign(x), [-2.0, 1.0], |_| true, |x| (reference::asinh(x), 0);
    acosh: |x, L| x.acosh_at::<L>(), |x| if x < 1.0 { f64::NAN } else { ((x - 1.0) + ((x - 1.0) * (x + 1.0)).sqrt()).ln_1p() }, [1.0, 2.0], |x| x >= 1.0, |x| (reference::acosh(x), 0);
    atanh: |x, L| x.atanh_at::<L>(), |x| (0.5 * (2.0 * x.abs() / (1.0 - x.abs())).ln_1p()).copysign(x), [-1.0, 0.5], |x| x.abs() < 1.0, |x| (reference::atanh(x), 0);
    erf: |x, L| x.erf_at::<L>(), |x| x.erf_at::<Fused>(), [-1.0, 6.0], |_| true, |x| (reference::erf(x), 0);
    erfc: |x, L| x.erfc_at::<L>(), |x| x.erfc_at::<Fused>(), [-1.0, 27.0], |_| true, reference::erfc;
    sigmoid: |x, L| x.sigmoid_at::<L>(), |x| 1.0 / (1.0 + (-x).exp()), [-745.0, 5.0], |_| true, reference::sigmoid;
    softplus: |x, L| x.softplus_at::<L>(), |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), [-745.0, 5.0], |_| true, reference::softplus;
}
