//! Everything a number has, from a few hooks.
//!
//! A number type implements [`Number`] and names itself in [`number!`]; methods, operators and the traits of `num_traits`
//! follow.

mod methods;
mod operators;
mod traits;
mod wide;

use std::cmp::Ordering;

use num_traits::{Float, One, Zero};

use super::real::{Plain, Real};
use super::table::{Binary, Question, Step, Unary};

/// What the macros of this file refer to: `use super::number::names::*` before [`number!`].
pub(crate) mod names {
    pub(crate) use std::cmp::Ordering;
    pub(crate) use std::fmt::{self, Debug, Display, Formatter};
    pub(crate) use std::iter::{Product, Sum};
    pub(crate) use std::num::FpCategory;
    pub(crate) use std::ops::{
        Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign,
    };

    pub(crate) use num_traits::{One, Zero};

    pub(crate) use super::super::real::{Plain, Real};
    pub(crate) use super::super::table::{Binary, Question, Step, Unary};
    pub(crate) use super::{
        Number, literal, number, one_minus_square, powf_by_base, powf_by_exponent, powi_partial,
        real, scale_of, sign, unary_methods,
    };
}

/// The hooks.
pub(crate) trait Number: Copy {
    /// What values and partial derivatives are.
    type Inner: Real;

    /// A number that does not depend on anything.
    fn lift(value: Self::Inner) -> Self;

    /// The value.
    fn inner(self) -> Self::Inner;

    /// Whether it is known not to depend on anything: some work may be left out.
    fn is_lifted(self) -> bool;

    /// A function of one number: its value and its partial derivative.
    fn unary(self, function: Unary, value: Self::Inner, partial: Self::Inner) -> Self;

    /// A function of two numbers.
    fn binary(
        function: Binary,
        value: Self::Inner,
        a: (Self, Self::Inner),
        b: (Self, Self::Inner),
    ) -> Self;

    /// A function of two numbers of which the second is a constant.
    #[track_caller]
    #[inline(always)]
    fn binary_left(
        function: Binary,
        value: Self::Inner,
        a: (Self, Self::Inner),
        b: Self::Inner,
    ) -> Self {
        Self::binary(function, value, a, (Self::lift(b), Self::Inner::zero()))
    }

    /// A function of two numbers of which the first is a constant.
    #[track_caller]
    #[inline(always)]
    fn binary_right(
        function: Binary,
        value: Self::Inner,
        a: Self::Inner,
        b: (Self, Self::Inner),
    ) -> Self {
        Self::binary(function, value, (Self::lift(a), Self::Inner::zero()), b)
    }

    /// A function of `n` numbers, with its name for messages: its value, and each with its partial derivative. Terms are asked for in
    /// their order, from the first on, perhaps in several passes.
    fn wide(
        operation: &'static str,
        value: Self::Inner,
        n: usize,
        term: impl Fn(usize) -> (Self, Self::Inner),
    ) -> Self;

    /// Panics if `n` numbers cannot be recorded together, with the name of the function of all of them.
    #[inline(always)]
    #[track_caller]
    fn check_all(_: &'static str, _: usize, _: impl Fn(usize) -> Self) {}

    /// The scalar product of `n` pairs.
    #[inline(always)]
    #[track_caller]
    fn pairs(n: usize, pair: impl Fn(usize) -> (Self, Self)) -> Self {
        let value = Self::Inner::dot_by(n, |i| {
            let (a, b) = pair(i);
            (a.inner(), b.inner())
        });
        Self::wide("dot", value, 2 * n, |i| {
            let (a, b) = pair(i / 2);
            if i % 2 == 0 {
                (a, b.inner())
            } else {
                (b, a.inner())
            }
        })
    }

    /// A step function of one number, whose derivative is 0.
    #[inline(always)]
    #[track_caller]
    fn step(self, _: Step, value: Self::Inner) -> Self {
        Self::lift(value)
    }

    /// Takes note that a program may depend on the answer to a question about the value.
    #[inline(always)]
    #[track_caller]
    fn observe(self, _: Question) {}

    /// `self * a + b`.
    #[inline(always)]
    #[track_caller]
    fn multiply_add(self, a: Self, b: Self, value: Self::Inner) -> Self {
        let (x, y) = (self.inner(), a.inner());
        Self::wide("mul_add", value, 3, |i| match i {
            0 => (self, y),
            1 => (a, x),
            _ => (b, Self::Inner::one()),
        })
    }

    /// The larger number; half of each at a tie; the other one if one is NaN.
    #[inline(always)]
    #[track_caller]
    fn larger(self, other: Self) -> Self {
        match self.compare(other) {
            Some(Ordering::Greater) => self,
            Some(Ordering::Less) => other,
            Some(Ordering::Equal) => {
                let half = literal::<Self::Inner>(0.5);
                let value = self.inner().max(other.inner());
                Self::binary(Binary::Max, value, (self, half), (other, half))
            }
            None if self.inner().is_nan() => other,
            None => self,
        }
    }

    /// The smaller number, likewise.
    #[inline(always)]
    #[track_caller]
    fn smaller(self, other: Self) -> Self {
        match self.compare(other) {
            Some(Ordering::Less) => self,
            Some(Ordering::Greater) => other,
            Some(Ordering::Equal) => {
                let half = literal::<Self::Inner>(0.5);
                let value = self.inner().min(other.inner());
                Self::binary(Binary::Min, value, (self, half), (other, half))
            }
            None if self.inner().is_nan() => other,
            None => self,
        }
    }

    /// A comparison of values.
    #[inline(always)]
    #[track_caller]
    fn compare(self, other: Self) -> Option<Ordering> {
        self.inner().partial_cmp(&other.inner())
    }

    /// Whether values are equal.
    #[inline(always)]
    #[track_caller]
    fn equals(self, other: Self) -> bool {
        self.inner() == other.inner()
    }
}

/// A constant of any type.
#[inline(always)]
pub(crate) fn literal<T: Real>(x: f64) -> T {
    T::plain(T::Plain::nearest(x))
}

/// A power of two that takes a number near to 1, as far as the power and its reciprocal keep clear of overflow and underflow.
/// Products with it are exact.
pub(crate) fn scale_of<P: Plain>(x: P) -> P {
    let least = P::min_positive_value() / P::epsilon();
    let size = x.abs().max(least).min(least.recip());
    let power = size.log2().round().to_i32().unwrap_or_default();
    P::nearest(2.0).powi(-power)
}

/// -1, 0 or 1: the derivative of the absolute value.
#[inline(always)]
pub(crate) fn sign<T: Real>(x: T) -> T {
    // By comparisons, which a program that is replayed can answer anew.
    let zero = T::zero();
    if x > zero {
        T::one()
    } else if x < zero {
        -T::one()
    } else if x == zero {
        zero
    } else {
        T::nan()
    }
}

/// The partial derivative `n x^(n - 1)` of a power.
#[inline(always)]
pub(crate) fn powi_partial<T: Real>(x: T, n: i32) -> T {
    match n {
        0 => T::zero(),
        1 => T::one(),
        2 => x + x,
        i32::MIN => literal::<T>(f64::from(n)) * x.powi(n) / x,
        _ => literal::<T>(f64::from(n)) * x.powi(n - 1),
    }
}

/// `1 - x^2`, with all digits close to -1 and 1.
#[inline(always)]
pub(crate) fn one_minus_square<T: Real>(x: T) -> T {
    let one = T::one();
    if T::LEVEL > 0 {
        // The derivative of the product below is a difference of two numbers close to 1 where it is close to 0.
        (-x).mul_add(x, one)
    } else {
        (one - x) * (one + x)
    }
}

/// The partial derivatives of `x^y`, by `x` and by `y`.
#[inline(always)]
pub(crate) fn powf_by_base<T: Real>(x: T, y: T) -> T {
    let zero = T::zero();
    // Where 0 meets an infinite power: it is 0 everywhere else where `y` is.
    if y.is_exactly_zero() || T::LEVEL > 0 && y == zero && x == zero {
        zero
    } else {
        y * x.powf(y - T::one())
    }
}

/// See [`powf_by_base`]. At `x = 0` the limit, 0, for `y >= 0`.
#[inline(always)]
pub(crate) fn powf_by_exponent<T: Real>(x: T, y: T, value: T) -> T {
    let zero = T::zero();
    if x == zero && y >= zero {
        zero
    } else {
        value * x.ln()
    }
}

/// Implements everything for one number type: `number!([generics] Type<T>, T)`, where the inner type must be called `T`.
macro_rules! number {
    ([$($generics:tt)*] $number:ty, $inner:ty) => {
        $crate::scalar::number::methods!([$($generics)*] $number, $inner);
        $crate::scalar::number::operators!([$($generics)*] $number, $inner);
        $crate::scalar::number::traits!([$($generics)*] $number, $inner);
        impl<$($generics)*> $crate::scalar::real::sealed::Sealed for $number {}
    };
}
pub(crate) use methods::{classify, methods, unary_methods};
pub(crate) use number;
pub(crate) use operators::{comparisons, equalities, operator, operators};
pub(crate) use traits::{constants, float_constants, forward, traits};
pub(crate) use wide::{basics, real};
