//! Exponential and hyperbolic tangent of one number, from tables: without calls, and nearly always rounded correctly.
//!
//! The library's functions differ from one system and processor to another, and `tanh` takes them several branches that no processor
//! foretells. These take a table of values at equal distances and a few terms of a series between them (P. T. P. Tang, "Table-driven
//! implementation of the exponential function in IEEE floating-point arithmetic", 1989), without fused products: the same bits
//! everywhere. Tables are made when the crate is compiled.

use super::double::product_by_halves;
use super::real::Real;
use std::f64::consts::LN_2;

/// A number as a sum of two, of which the second is below the last digit of the first.
type Sum = [f64; 2];

/// A number far smaller, added to it, is rounded to an integer that stands in the last bits.
const SHIFT: f64 = <f64 as Real>::SHIFT;

/// How many parts an octave of the exponential has: `2^LOG_PARTS`.
const PARTS: usize = 128;
const LOG_PARTS: u32 = PARTS.ilog2();
/// Of `2^(i / PARTS)` what its rounding has lost, as a part of it, and the bits, less `i` where a part of an octave stands to the right
/// of the whole ones: so that both can be added at once.
static POWERS: [(f64, u64); PARTS] = {
    let root = [1.005_429_901_112_802_7, 9.499_186_535_455_032e-17];
    let mut table = [(0.0, 0); PARTS];
    let mut power: Sum = [1.0, 0.0];
    let mut i = 0;
    while i < PARTS {
        table[i] = (
            power[1] / power[0],
            power[0].to_bits() - ((i as u64) << (52 - LOG_PARTS)),
        );
        power = product(power, root);
        i += 1;
    }
    table
};
/// `ln 2 / PARTS`, of which the first has so few digits that its products with exponents are exact.
const STEP: Sum = [0.005_415_212_348_452_769, -3.281_964_900_532_097_3e-13];

/// How many parts a unit of the argument of the hyperbolic tangent has.
const CUTS: f64 = 32.0;
/// From here on the hyperbolic tangent is 1.
const SATURATED: f64 = 20.0;
/// `tanh(i / CUTS)`, by the addition theorem.
static TANGENTS: [Sum; 641] = {
    let first = [0.031_239_831_446_031_256, 5.446_619_868_927_016e-19];
    let mut table = [[0.0, 0.0]; 641];
    let mut i = 1;
    while i < table.len() {
        let last = table[i - 1];
        table[i] = quotient(sum(last, first), sum([1.0, 0.0], product(last, first)));
        i += 1;
    }
    table
};

/// `e^x`, with an error of at most 0.51 units in the last place.
#[inline]
pub(crate) fn exp(x: f64) -> f64 {
    // Neither it nor any power of two on the way is subnormal or infinite.
    if x.abs() < 700.0 {
        let shifted = x * (PARTS as f64 / LN_2) + SHIFT;
        let (n, bits) = (shifted - SHIFT, shifted.to_bits());
        let r = (x - n * STEP[0]) - n * STEP[1];
        let (lost, power) = POWERS[bits as usize % PARTS];
        let power = f64::from_bits(power.wrapping_add(bits << (52 - LOG_PARTS)));
        let z = r * r;
        let more = r + z * ((0.5 + r * (1.0 / 6.0)) + z * (1.0 / 24.0 + r * (1.0 / 120.0)));
        return power + power * (lost + more);
    }
    x.exp()
}

/// The hyperbolic tangent, with an error of at most 0.55 units in the last place.
#[inline]
pub(crate) fn tanh(x: f64) -> f64 {
    // A NaN is passed on, and finds its way to some place of the table.
    let a = if x.abs() > SATURATED {
        SATURATED
    } else {
        x.abs()
    };
    let shifted = a * CUTS + SHIFT;
    let r = a - (shifted - SHIFT) * (1.0 / CUTS);
    let [high, low] = TANGENTS[(shifted.to_bits() % 1024).min(640) as usize];
    // The series of the rest, and the addition theorem: `T + r` and a small remainder.
    let z = r * r;
    let bend =
        r * z * ((-1.0 / 3.0 + z * (2.0 / 15.0)) - z * z * (17.0 / 315.0 - z * (62.0 / 2835.0)));
    let t = r + bend;
    let both = t * high;
    let rest = bend - both * (high + t) / (1.0 + both);
    let near = high + r;
    let lost = (high - near) + r;
    (near + (lost + low + rest)).copysign(x)
}

/// The sum, rounded to two numbers.
const fn sum([a, lower_a]: Sum, [b, lower_b]: Sum) -> Sum {
    let near = a + b;
    let part = near - a;
    let lost = (a - (near - part)) + (b - part);
    settled(near, lost + (lower_a + lower_b))
}

/// The product, likewise.
const fn product([a, lower_a]: Sum, [b, lower_b]: Sum) -> Sum {
    let (near, lost) = product_by_halves(a, b);
    settled(near, lost + (a * lower_b + lower_a * b))
}

/// The quotient, likewise.
const fn quotient(a: Sum, b: Sum) -> Sum {
    let first = a[0] / b[0];
    let [p, q] = product([first, 0.0], b);
    let rest = sum(a, [-p, -q]);
    settled(first, rest[0] / b[0])
}

/// Two numbers whose second is below the last digit of the first.
const fn settled(a: f64, b: f64) -> Sum {
    let near = a + b;
    [near, (a - near) + b]
}
