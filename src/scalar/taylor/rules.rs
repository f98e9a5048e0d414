//! The recurrences.
//!
//! With `'` the derivative by the parameter, a function `y = f(u)` satisfies a differential equation, which is compared
//! coefficient by coefficient. The first coefficient of a result is given: it is computed by the function itself.

use super::Taylor;
use crate::scalar::number::literal;
use crate::scalar::real::Real;

/// A number of terms as a constant.
#[inline]
fn number<T: Real>(k: usize) -> T {
    literal::<T>(k as f64)
}

/// A product that is 0 if the first factor is: a coefficient that is not there has no effect through an infinite derivative.
#[inline]
fn times<T: Real>(x: T, y: T) -> T {
    if x.is_exactly_zero() {
        T::zero()
    } else {
        x * y
    }
}

/// `a da + b db`, except for the value.
pub(super) fn linear<T: Real, const K: usize>(
    value: T,
    (a, da): (Taylor<T, K>, T),
    (b, db): (Taylor<T, K>, T),
) -> Taylor<T, K> {
    let c = std::array::from_fn(|k| match k {
        0 => value,
        _ => times(a.c[k], da) + times(b.c[k], db),
    });
    Taylor { c }
}

/// `a b`
#[inline]
pub(super) fn multiplied<T: Real, const K: usize>(
    a: Taylor<T, K>,
    b: Taylor<T, K>,
) -> Taylor<T, K> {
    let c =
        std::array::from_fn(|k| (1..=k).fold(a.c[0] * b.c[k], |sum, j| sum + a.c[j] * b.c[k - j]));
    Taylor { c }
}

/// `y = a / b`, from `y b = a`.
pub(super) fn divided<T: Real, const K: usize>(
    a: Taylor<T, K>,
    b: Taylor<T, K>,
    value: T,
) -> Taylor<T, K> {
    let mut y = [T::zero(); K];
    y[0] = value;
    for k in 1..K {
        let sum = (1..=k).fold(a.c[k], |sum, j| sum - times(b.c[j], y[k - j]));
        y[k] = times(sum, b.c[0].recip());
    }
    Taylor { c: y }
}

/// `y = sqrt u`, from `y^2 = u`.
pub(super) fn root<T: Real, const K: usize>(u: Taylor<T, K>, value: T) -> Taylor<T, K> {
    let mut y = [T::zero(); K];
    y[0] = value;
    let half = (value + value).recip();
    for k in 1..K {
        let sum = (1..k).fold(u.c[k], |sum, j| sum - y[j] * y[k - j]);
        y[k] = times(sum, half);
    }
    Taylor { c: y }
}

/// `y = u^a` for a constant `a`, from `u y' = a y u'`.
pub(super) fn power<T: Real, const K: usize>(u: Taylor<T, K>, a: T, value: T) -> Taylor<T, K> {
    let mut y = [T::zero(); K];
    y[0] = value;
    for k in 1..K {
        let sum = (1..=k).fold(T::zero(), |sum, j| {
            let weight = a * number::<T>(j) - number::<T>(k - j);
            sum + times(u.c[j], weight * y[k - j])
        });
        y[k] = times(sum, (number::<T>(k) * u.c[0]).recip());
    }
    Taylor { c: y }
}

/// `y = exp u`, or a multiple of it, from `y' = y u'`.
pub(super) fn exponential<T: Real, const K: usize>(u: Taylor<T, K>, value: T) -> Taylor<T, K> {
    solved(u, value, |y| y)
}

/// The solution of `y' = g(y) u'`. A coefficient of `g(y)` may depend on those of `y` up to its own.
pub(super) fn solved<T: Real, const K: usize>(
    u: Taylor<T, K>,
    value: T,
    g: impl Fn(Taylor<T, K>) -> Taylor<T, K>,
) -> Taylor<T, K> {
    let mut y = Taylor::constant(value);
    for k in 1..K {
        // The coefficients of `y` from k on are still 0, and those of `g(y)` from k on are not used.
        y.c[k] = integrated(u, g(y), k);
    }
    y
}

/// The coefficient `k` of the integral of `g u'`.
fn integrated<T: Real, const K: usize>(u: Taylor<T, K>, g: Taylor<T, K>, k: usize) -> T {
    let sum = (1..=k).fold(T::zero(), |sum, j| {
        sum + times(u.c[j], number::<T>(j) * g.c[k - j])
    });
    sum / number::<T>(k)
}

/// `f(u)` from the Taylor coefficients of `f` at the value of `u`, by Horner's rule.
pub(super) fn composed<T: Real, const K: usize>(
    u: Taylor<T, K>,
    coefficient: impl FnMut(usize) -> T,
) -> Taylor<T, K> {
    let f: [T; K] = {
        let mut coefficient = coefficient;
        std::array::from_fn(&mut coefficient)
    };
    let mut y = Taylor::constant(f[K - 1]);
    for k in (0..K - 1).rev() {
        // y (u - u_0) + f_k
        let c = std::array::from_fn(|i| match i {
            0 => f[k],
            _ => (1..=i).fold(T::zero(), |sum, j| sum + times(u.c[j], y.c[i - j])),
        });
        y = Taylor { c };
    }
    y
}

/// The angle of the point `(b, a)`: `y' = (b a' - a b') / (a^2 + b^2)`.
pub(super) fn angle<T: Real, const K: usize>(
    a: Taylor<T, K>,
    b: Taylor<T, K>,
    value: T,
) -> Taylor<T, K> {
    let square = a * a + b * b;
    let (by_a, by_b) = (b / square, a / square);
    let mut y = Taylor::constant(value);
    for k in 1..K {
        y.c[k] = integrated(a, by_a, k) - integrated(b, by_b, k);
    }
    y
}

impl<T: Real, const K: usize> Taylor<T, K> {
    /// Sine and cosine: `s' = c u'` and `c' = -s u'`.
    pub(super) fn circular(self, sin: T, cos: T) -> (Self, Self) {
        let (mut s, mut c) = (Taylor::constant(sin), Taylor::constant(cos));
        for k in 1..K {
            (s.c[k], c.c[k]) = (integrated(self, c, k), -integrated(self, s, k));
        }
        (s, c)
    }

    /// Hyperbolic sine and cosine: `s' = c u'` and `c' = s u'`.
    pub(super) fn hyperbolic(self, sinh: T, cosh: T) -> (Self, Self) {
        let (mut s, mut c) = (Taylor::constant(sinh), Taylor::constant(cosh));
        for k in 1..K {
            (s.c[k], c.c[k]) = (integrated(self, c, k), integrated(self, s, k));
        }
        (s, c)
    }
}
