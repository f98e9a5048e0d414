//! The sigmoid of a number by itself, from a table.
//!
//! What makes a loop over many numbers fast, a long series without branches, makes one number slow. A table of powers of two at
//! equal distances leaves a short series between them (P. T. P. Tang, "Table-driven implementation of the exponential function
//! in IEEE floating-point arithmetic", 1989). There are no fused products: the bits are the same everywhere.

use super::double::product_by_halves;
use super::real::Real;
use crate::element::{Baseline, Functions};
use std::f64::consts::LN_2;

/// A number far smaller, added to it, is rounded to an integer that stands in the last bits.
const SHIFT: f64 = <f64 as Real>::SHIFT;

/// How many parts an octave has: `2^LOG_PARTS`.
const PARTS: usize = 128;
const LOG_PARTS: u32 = PARTS.ilog2();

/// Of `2^(i / PARTS)` what its rounding has lost, as a part of it, and the bits, less `i` where a part of an octave stands to the right
/// of the whole ones: so that both are added at once.
static POWERS: [(f64, u64); PARTS] = {
    // The root of which all are powers, as a sum of two numbers.
    let root = [1.005_429_901_112_802_7, 9.499_186_535_455_032e-17];
    let mut table = [(0.0, 0); PARTS];
    let mut power = [1.0, 0.0];
    let mut i = 0;
    while i < PARTS {
        let bits = f64::to_bits(power[0]) - ((i as u64) << (52 - LOG_PARTS));
        table[i] = (power[1] / power[0], bits);
        power = product(power, root);
        i += 1;
    }
    table
};

/// `ln 2 / PARTS`, of which the first has so few digits that its products with exponents are exact.
const STEP: [f64; 2] = [0.005_415_212_348_452_769, -3.281_964_900_532_097_3e-13];

/// `1 / (1 + e^-x)`, with an error of at most 2.01 units in the last place: half of one by the exponential, one by the sum, half by the
/// quotient.
///
/// Out of line, as a function of the standard library is: functions around it stay small enough to be put in line.
#[inline(never)]
pub(crate) fn sigmoid(x: f64) -> f64 {
    // Neither the exponential nor any power of two on the way is subnormal or infinite.
    if x.abs() < 700.0 {
        return 1.0 / (1.0 + exp(-x));
    }
    Functions::sigmoid_at::<Baseline>(x)
}

/// `e^x` for `x` between -700 and 700, with an error of at most 0.51 units in the last place.
#[inline(always)]
fn exp(x: f64) -> f64 {
    let shifted = x * (PARTS as f64 / LN_2) + SHIFT;
    let (n, bits) = (shifted - SHIFT, shifted.to_bits());
    let r = (x - n * STEP[0]) - n * STEP[1];
    let (lost, power) = POWERS[bits as usize % PARTS];
    let power = f64::from_bits(power.wrapping_add(bits << (52 - LOG_PARTS)));
    let z = r * r;
    let more = r + z * ((0.5 + r * (1.0 / 6.0)) + z * (1.0 / 24.0 + r * (1.0 / 120.0)));
    power + power * (lost + more)
}

/// The product of two sums, again as one of which the second is below the last digit of the first.
const fn product([a, a_low]: [f64; 2], [b, b_low]: [f64; 2]) -> [f64; 2] {
    let (near, lost) = product_by_halves(a, b);
    let rest = lost + (a * b_low + a_low * b);
    let sum = near + rest;
    [sum, (near - sum) + rest]
}
