//! Products in two parts.

use crate::element::Instructions;

/// The product and its rounding error: by the fused product, or by halves (Dekker, 1971), for factors up to about 1e290.
#[inline(always)]
pub(super) fn two_product<L: Instructions>(a: f64, b: f64) -> (f64, f64) {
    if L::FMA {
        let product = a * b;
        return (product, a.mul_add(b, -product));
    }
    product_by_halves(a, b)
}

/// The same without the fused product.
#[inline(always)]
pub(super) const fn product_by_halves(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    let ((a_high, a_low), (b_high, b_low)) = (halves(a), halves(b));
    let error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    (product, error)
}

/// Two numbers of half as many digits (Veltkamp, 1968).
#[inline(always)]
const fn halves(x: f64) -> (f64, f64) {
    const SPLIT: f64 = 134_217_729.0; // 2^27 + 1
    let scaled = SPLIT * x;
    let high = scaled - (scaled - x);
    (high, x - high)
}
