//! The recurrences.
//!
//! With `'` the derivative by the parameter, a function `y = f(u)` satisfies a differential equation, which is compared
//! coefficient by coefficient. The first coefficient of a result is given: it is computed by the function itself.

use smallvec::SmallVec;

use super::Taylor;
use crate::scalar::number::{literal, scale_of};
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
        y[k] = quotient(a, b, &y, k);
    }
    Taylor { c: y }
}

/// The coefficient `k` of `y = a / b` from those before.
fn quotient<T: Real, const K: usize>(a: Taylor<T, K>, b: Taylor<T, K>, y: &[T; K], k: usize) -> T {
    let sum = (1..=k).fold(a.c[k], |sum, j| sum - times(b.c[j], y[k - j]));
    if sum.is_exactly_zero() {
        T::zero()
    } else {
        sum / b.c[0]
    }
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

/// `y = u^a` for a constant `a`, from `u y' = a y u'`. All of it is built on the value, which must have its digits.
pub(super) fn power<T: Real, const K: usize>(u: Taylor<T, K>, a: T, value: T) -> Taylor<T, K> {
    // The equation holds for any multiple of u, and products with this one do not vanish or overflow early.
    let u = scaled(u, scale_of(u.c[0].primal()));
    let mut y = [T::zero(); K];
    y[0] = value;
    for k in 1..K {
        let sum = (1..=k).fold(T::zero(), |sum, j| {
            let weight = a * number::<T>(j) - number::<T>(k - j);
            // The value may be close to overflow, and the scaled `u` is not.
            if u.c[j].is_exactly_zero() {
                return sum;
            }
            sum + weight * u.c[j] * y[k - j]
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

/// A series times a constant.
fn scaled<T: Real, const K: usize>(x: Taylor<T, K>, scale: T::Plain) -> Taylor<T, K> {
    let scale = T::plain(scale);
    Taylor {
        c: x.c.map(|c| c * scale),
    }
}

/// The length `y` of a vector `x` away from the origin: `y' = p x'` with `p = x / y`, without squares.
pub(super) fn length<T: Real, const K: usize>(x: &[Taylor<T, K>], value: T) -> Taylor<T, K> {
    let mut y = Taylor::constant(value);
    let directions = x.iter().map(|x| Taylor::constant(x.c[0] / value));
    let mut directions: SmallVec<[Taylor<T, K>; 8]> = directions.collect();
    for k in 1..K {
        let pairs = x.iter().zip(&directions);
        y.c[k] = pairs.fold(T::zero(), |sum, (&x, &p)| sum + integrated(x, p, k));
        for (&x, p) in x.iter().zip(&mut directions) {
            p.c[k] = quotient(x, y, &p.c, k);
        }
    }
    y
}

/// The angle of the point `(b, a)`, not the origin: `y' = (b a' - a b') / r^2`.
pub(super) fn angle<T: Real, const K: usize>(
    a: Taylor<T, K>,
    b: Taylor<T, K>,
    value: T,
) -> Taylor<T, K> {
    let r = length(&[a, b], T::hypot(a.c[0], b.c[0]));
    // Near to 1, so that no product or square vanishes or overflows early.
    let scale = scale_of(r.c[0].primal());
    let (p, q) = (scaled(a, scale), scaled(b, scale));
    let coefficient = |k: usize| {
        (1..=k).fold(T::zero(), |sum, j| {
            let turned = times(a.c[j], q.c[k - j]) - times(b.c[j], p.c[k - j]);
            sum + number::<T>(j) * turned
        })
    };
    let turned = Taylor {
        c: std::array::from_fn(|k| {
            if k + 1 < K {
                coefficient(k + 1)
            } else {
                T::zero()
            }
        }),
    };
    let slope = turned / scaled(r, scale) / r;
    let mut y = Taylor::constant(value);
    for k in 1..K {
        y.c[k] = slope.c[k - 1] / number::<T>(k);
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
