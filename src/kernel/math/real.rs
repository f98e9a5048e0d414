//! What the functions are written in: arithmetic, and the bits of a number, for both types.

use crate::element::Instructions;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A floating-point type and its representation.
pub(super) trait Real:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// An exponent of 2, biased, with anything before its digits.
    type Exponent: Copy;
    const ZERO: Self;
    /// The zero that leaves every number as it is, so that its addition is no instruction.
    const NOTHING: Self;
    const QUARTER: Self;
    const HALF: Self;
    const ONE: Self;
    const TWO: Self;
    const INFINITY: Self;
    /// 1.5 times the number from which on numbers have no fraction.
    const SHIFT: Self;
    /// Numbers from here on have no fraction: 2^23 or 2^52.
    const LARGEST_FRACTION: Self;
    const NAN: Self;
    const LN_2: Self;
    const LOG2_E: Self;
    /// The leading bits of ln 2, so few that a product with an exponent is exact.
    const LN_2_HIGH: Self;
    /// The rest of ln 2.
    const LN_2_LOW: Self;

    /// `self * b + c`, rounded once.
    fn fused(self, b: Self, c: Self) -> Self;
    fn magnitude(self) -> Self;
    fn with_sign_of(self, sign: Self) -> Self;
    /// The same for a number that is not negative, which is an instruction less.
    fn given_sign_of(self, sign: Self) -> Self;
    fn undefined(self) -> bool;
    /// The integer nearest to a multiple of a number: as a number, and as an integer in the last bits, if it has fewer bits than the
    /// type has digits.
    fn nearest<L: Instructions>(self, factor: Self) -> (Self, Self::Exponent);
    /// The same for an exponent, which is made ready for what follows.
    fn nearest_exponent<L: Instructions>(self, factor: Self) -> (Self, Self::Exponent);
    /// `2^(k - less)` for exponents of normal numbers.
    fn power_of_two(k: Self::Exponent, less: u8) -> Self;
    /// Two powers of 2, both normal numbers, the product of which is `2^k`, for any `k` that is not beyond the type by more than
    /// a few bits. What is of size 1 is multiplied by the first exactly.
    fn powers(k: Self::Exponent) -> (Self, Self);
    /// `k - 1`
    fn less_one(k: Self::Exponent) -> Self::Exponent;
    /// `m` and `e` with `self = m 2^e`, where `m` is in `[sqrt(1/2), sqrt(2))`, of a positive finite number.
    fn split(self) -> (Self, Self);
    /// `2^-e` for the `e` of [`split`](Real::split), if both are normal numbers.
    fn split_scale(self) -> Self;
}

macro_rules! real {
    ($t:ident, $bits:ident, digits: $digits:literal, ln_2: $high:literal + $low:literal) => {
        impl Real for $t {
            type Exponent = $bits;
            const ZERO: $t = 0.0;
            const NOTHING: $t = -0.0;
            const QUARTER: $t = 0.25;
            const HALF: $t = 0.5;
            const ONE: $t = 1.0;
            const TWO: $t = 2.0;
            const INFINITY: $t = $t::INFINITY;
            const SHIFT: $t = (3u64 << ($digits - 1)) as $t;
            const LARGEST_FRACTION: $t = (1u64 << $digits) as $t;
            const NAN: $t = $t::NAN;
            const LN_2: $t = std::$t::consts::LN_2;
            const LOG2_E: $t = std::$t::consts::LOG2_E;
            const LN_2_HIGH: $t = $high;
            const LN_2_LOW: $t = $low;

            #[inline(always)]
            fn fused(self, b: $t, c: $t) -> $t {
                self.mul_add(b, c)
            }
            #[inline(always)]
            fn magnitude(self) -> $t {
                self.abs()
            }
            #[inline(always)]
            fn with_sign_of(self, sign: $t) -> $t {
                self.copysign(sign)
            }
            #[inline(always)]
            fn given_sign_of(self, sign: $t) -> $t {
                $t::from_bits(self.to_bits() | (sign.to_bits() & (-0.0 as $t).to_bits()))
            }
            #[inline(always)]
            fn undefined(self) -> bool {
                self.is_nan()
            }
            #[inline(always)]
            fn nearest<L: Instructions>(self, factor: $t) -> ($t, $bits) {
                // Beside 1.5 * 2^23 (2^52) there is no room for a fraction: the sum is rounded to an integer, which stands in its
                // last bits.
                let shifted = super::fma::<L, $t>(self, factor, Self::SHIFT);
                (shifted - Self::SHIFT, shifted.to_bits())
            }
            #[inline(always)]
            fn nearest_exponent<L: Instructions>(self, factor: $t) -> ($t, $bits) {
                // An exponent k stands in the last bits as k plus twice the bias, which is positive; shifts to the left drop what
                // is before it.
                const SHIFT: $t = $t::SHIFT + 2.0 * ($t::MAX_EXP - 1) as $t;
                let shifted = super::fma::<L, $t>(self, factor, SHIFT);
                (shifted - SHIFT, shifted.to_bits())
            }
            #[inline(always)]
            fn power_of_two(k: $bits, less: u8) -> $t {
                const BIAS: $bits = $t::MAX_EXP as $bits - 1;
                $t::from_bits((k << $digits).wrapping_sub((BIAS + less as $bits) << $digits))
            }
            #[inline(always)]
            fn powers(k: $bits) -> ($t, $t) {
                // Of half of k, rounded down, and of the rest, each plus the bias.
                let first = (k >> 1) << $digits;
                let second = (k << $digits).wrapping_sub(first);
                ($t::from_bits(first), $t::from_bits(second))
            }
            #[inline(always)]
            fn less_one(k: $bits) -> $bits {
                k.wrapping_sub(1)
            }
            #[inline(always)]
            fn split(self) -> ($t, $t) {
                // Counted from sqrt(1/2) instead of 1/2, mantissas carry into the exponent where the next power of two is nearer.
                const ROOT: $bits = std::$t::consts::FRAC_1_SQRT_2.to_bits();
                const ONE: $bits = (1.0 as $t).to_bits();
                const FRACTION: $bits = (1 << $digits) - 1;
                // Integers up to this size stand in the last bits of their sum with it.
                const SHIFT: $t = $t::LARGEST_FRACTION;
                const BIAS: $t = $t::MAX_EXP as $t - 1.0;
                let subnormal = self < $t::MIN_POSITIVE;
                let normal = super::select(subnormal, self * SHIFT, self);
                let more = super::select(subnormal, SHIFT + BIAS + $digits as $t, SHIFT + BIAS);
                let shifted = normal.to_bits().wrapping_add(ONE - ROOT);
                let exponent = $t::from_bits((shifted >> $digits) | SHIFT.to_bits());
                (
                    $t::from_bits((shifted & FRACTION).wrapping_add(ROOT)),
                    exponent - more,
                )
            }
            #[inline(always)]
            fn split_scale(self) -> $t {
                const ROOT: $bits = std::$t::consts::FRAC_1_SQRT_2.to_bits();
                const ONE: $bits = (1.0 as $t).to_bits();
                const FRACTION: $bits = (1 << $digits) - 1;
                let shifted = self.to_bits().wrapping_add(ONE - ROOT);
                $t::from_bits((2 * ONE).wrapping_sub(shifted & !FRACTION))
            }
        }
    };
}
// The first 15 and 32 bits of ln 2, and the rest.
real!(f32, u32, digits: 23, ln_2: 0.693_145_75 + 1.428_606_8e-6);
real!(f64, u64, digits: 52, ln_2: 0.693_147_180_369_123_8 + 1.908_214_929_270_587_7e-10);
