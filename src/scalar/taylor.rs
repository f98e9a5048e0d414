//! Truncated Taylor series: derivatives of any order along a direction, in one pass.

mod rules;

use smallvec::SmallVec;

use super::number::names::*;
use super::parts::{log_sum_exp, real_by_parts};
use rules::{
    angle, composed, divided, exponential, length, linear, multiplied, power, root, solved,
};

/// A function of one parameter `t`, as the first `K` coefficients of its Taylor series at `t = 0`: the value, the
/// derivative, half the second derivative, ….
///
/// Arithmetic on it is that of series, truncated: each elementary function has a recurrence of `K^2` steps, in a few cases
/// `K^3`, where nested numbers of first order would take `2^K`. At kinks the series is that of the branch taken, as for the other number types.
///
/// # Source
/// A. Griewank and A. Walther, Evaluating Derivatives (2nd edition, 2008), chapter 13.
///
/// ```
/// use wengert::scalar::Taylor;
/// let t = Taylor::<f64, 5>::variable(0.0);
/// assert_eq!((1.0 / (1.0 - t)).coefficients(), [1.0, 1.0, 1.0, 1.0, 1.0]);
/// assert_eq!((1.0 / (1.0 - t)).derivatives(), [1.0, 1.0, 2.0, 6.0, 24.0]);
/// ```
#[derive(Clone, Copy)]
pub struct Taylor<T, const K: usize> {
    c: [T; K],
}

impl<T: Real, const K: usize> Taylor<T, K> {
    /// The series with these coefficients.
    ///
    /// ```
    /// use wengert::scalar::Taylor;
    /// // (1 + 2 t) (1 + 2 t) = 1 + 4 t + 4 t^2
    /// let x = Taylor::new([1.0, 2.0, 0.0]);
    /// assert_eq!((x * x).coefficients(), [1.0, 4.0, 4.0]);
    /// ```
    #[inline]
    pub fn new(coefficients: [T; K]) -> Self {
        const { assert!(K > 0, "a series has a value") };
        Taylor { c: coefficients }
    }

    /// A series without higher coefficients.
    ///
    /// ```
    /// use wengert::scalar::Taylor;
    /// assert_eq!(Taylor::<f64, 3>::constant(2.0).exp().derivatives()[1..], [0.0, 0.0]);
    /// ```
    #[inline]
    pub fn constant(value: T) -> Self {
        let mut c = [T::zero(); K];
        c[0] = value;
        Taylor::new(c)
    }

    /// `value + t`.
    ///
    /// ```
    /// use wengert::scalar::Taylor;
    /// let x = Taylor::<f64, 4>::variable(2.0);
    /// assert_eq!((x * x * x).derivatives(), [8.0, 12.0, 12.0, 6.0]);
    /// ```
    #[inline]
    pub fn variable(value: T) -> Self {
        Taylor::along(value, T::one())
    }

    /// `value + slope t`.
    #[inline]
    fn along(value: T, slope: T) -> Self {
        let mut x = Taylor::constant(value);
        if let Some(first) = x.c.get_mut(1) {
            *first = slope;
        }
        x
    }

    /// The value at `t = 0`.
    ///
    /// ```
    /// use wengert::scalar::Taylor;
    /// assert_eq!(Taylor::<f64, 3>::variable(2.0).recip().value(), 0.5);
    /// ```
    #[inline]
    pub fn value(self) -> T {
        self.c[0]
    }

    /// The coefficients.
    ///
    /// ```
    /// use wengert::scalar::Taylor;
    /// let x = Taylor::<f64, 4>::variable(0.0);
    /// assert_eq!((-x + 1.0).recip().coefficients(), [1.0; 4]);
    /// ```
    #[inline]
    pub fn coefficients(self) -> [T; K] {
        self.c
    }

    /// The derivatives of order 0 to `K - 1`: the coefficients, times factorials.
    ///
    /// ```
    /// use wengert::scalar::Taylor;
    /// assert_eq!(Taylor::<f64, 4>::variable(0.0).sin().derivatives(), [0.0, 1.0, 0.0, -1.0]);
    /// ```
    pub fn derivatives(self) -> [T; K] {
        let mut factorial = T::one();
        std::array::from_fn(|k| {
            if k > 1 {
                factorial *= literal::<T>(k as f64);
            }
            self.c[k] * factorial
        })
    }

    /// The same series from the first order on, with another value.
    #[inline]
    fn with_value(mut self, value: T) -> Self {
        self.c[0] = value;
        self
    }

    fn has_no_effect(self) -> bool {
        self.c.iter().all(|c| c.is_exactly_zero())
    }

    fn is_same(self, other: Self) -> bool {
        let mut pairs = self.c.iter().zip(&other.c);
        pairs.all(|(a, b)| a.is_identical(*b))
    }
}

/// The derivatives of order 0 to `K - 1` of a function along a direction: those of `f(x + t direction)` by `t` at `t = 0`.
///
/// They are derivatives, not coefficients of the series: the last is that of order `K - 1`, not divided by a factorial.
///
/// # Panics
/// If `direction` is not as long as `x`.
///
/// ```
/// let derivatives = wengert::scalar::taylor::<f64, 4>(|x| x[0] * x[0] * x[1], &[3.0, 4.0], &[1.0, 1.0]);
/// assert_eq!(derivatives, [36.0, 33.0, 20.0, 6.0]);
/// ```
#[track_caller]
pub fn taylor<T: Real, const K: usize>(
    f: impl FnOnce(&[Taylor<T, K>]) -> Taylor<T, K>,
    x: &[T],
    direction: &[T],
) -> [T; K] {
    assert!(
        x.len() == direction.len(),
        "taylor: {} variables and a direction of {}",
        x.len(),
        direction.len()
    );
    let pairs = x.iter().zip(direction);
    let x: SmallVec<[Taylor<T, K>; 8]> = pairs.map(|(&x, &d)| Taylor::along(x, d)).collect();
    f(&x).derivatives()
}

impl<T: Real, const K: usize> Number for Taylor<T, K> {
    type Inner = T;

    #[inline]
    fn lift(value: T) -> Self {
        Taylor::constant(value)
    }
    #[inline]
    fn inner(self) -> T {
        self.c[0]
    }
    fn is_lifted(self) -> bool {
        self.c[1..].iter().all(|c| c.is_exactly_zero())
    }
    fn unary(self, function: Unary, value: T, partial: T) -> Self {
        if self.is_lifted() {
            return Taylor::constant(value);
        }
        let one = Self::one();
        // The function of which this series is the derivative by its argument.
        let integral = |slope: Self| solved(self, value, |_| slope.with_value(partial));
        match function {
            Unary::Neg | Unary::Abs | Unary::ToDegrees | Unary::ToRadians | Unary::Fract => {
                linear(value, (self, partial), (one, T::zero()))
            }
            Unary::Recip => divided(one, self, value),
            Unary::Sqrt => root(self, value),
            Unary::Cbrt => self.raised(literal::<T>(3.0).recip(), value),
            Unary::Exp => exponential(self, value),
            Unary::Exp2 => exponential(self * Self::lift(T::LN_2()), value),
            Unary::ExpM1 => exponential(self, partial).with_value(value),
            Unary::Ln => integral(self.recip()),
            Unary::Log2 => integral((self * Self::lift(T::LN_2())).recip()),
            Unary::Log10 => integral((self * Self::lift(T::LN_10())).recip()),
            Unary::Ln1p => integral((one + self).recip()),
            Unary::Sin => self.circular(value, partial).0,
            Unary::Cos => self.circular(-partial, value).1,
            Unary::Tan => solved(self, value, |y| one + y * y),
            Unary::Asin => integral(one_minus_square(self).sqrt().recip()),
            Unary::Acos => integral(-one_minus_square(self).sqrt().recip()),
            Unary::Atan => integral((one + self * self).recip()),
            Unary::Sinh => self.hyperbolic(value, partial).0,
            Unary::Cosh => self.hyperbolic(partial, value).1,
            Unary::Tanh => solved(self, value, one_minus_square),
            Unary::Asinh => integral((one + self * self).sqrt().recip()),
            Unary::Acosh => integral(((self - one).sqrt() * (self + one).sqrt()).recip()),
            Unary::Atanh => integral(one_minus_square(self).recip()),
            Unary::Erf => integral(Self::lift(T::FRAC_2_SQRT_PI()) * (-(self * self)).exp()),
            Unary::Erfc => integral(-Self::lift(T::FRAC_2_SQRT_PI()) * (-(self * self)).exp()),
            Unary::Gamma => exponential(self.ln_gamma(), value),
            Unary::LnGamma => integral(self.digamma()),
            Unary::Sigmoid => solved(self, value, |y| y * (one - y)),
            Unary::Softplus => integral(self.sigmoid()),
            Unary::Powi(n) => self.raised(literal::<T>(f64::from(n)), value),
            Unary::Polygamma(n) => {
                let mut factorial = T::one();
                composed(self, |k| {
                    factorial *= literal::<T>(k.max(1) as f64);
                    self.c[0].polygamma(n + k as u32) / factorial
                })
            }
        }
    }
    #[track_caller]
    fn binary(function: Binary, value: T, (a, da): (Self, T), (b, db): (Self, T)) -> Self {
        match function {
            // A constant has no coefficients to multiply an infinite value with.
            Binary::Mul if a.is_lifted() || b.is_lifted() => linear(value, (a, da), (b, db)),
            Binary::Mul => multiplied(a, b),
            Binary::Div => divided(a, b, value),
            Binary::Powf if b.is_lifted() => a.raised(b.c[0], value),
            // At 0 the slopes by the exponent vanish.
            Binary::Powf if a.c[0].primal().is_zero() && b.c[0].primal() >= Zero::zero() => {
                a.raised(b.c[0], value)
            }
            Binary::Powf => exponential(a.ln() * b, value),
            Binary::Atan2 | Binary::Hypot
                if a.c[0].primal().is_zero() && b.c[0].primal().is_zero() =>
            {
                linear(value, (a, da), (b, db))
            }
            Binary::Atan2 => angle(a, b, value),
            Binary::Hypot => length(&[a, b], value),
            _ => linear(value, (a, da), (b, db)),
        }
    }
    fn wide(_: &str, value: T, _: usize, _: impl Fn(usize) -> (Self, T)) -> Self {
        unreachable!("functions of many numbers are taken apart: {value}")
    }
    #[track_caller]
    fn multiply_add(self, a: Self, b: Self, value: T) -> Self {
        (self * a + b).with_value(value)
    }
}

impl<T: Real, const K: usize> Taylor<T, K> {
    /// A power with a constant exponent.
    fn raised(self, exponent: T, value: T) -> Self {
        if self.is_lifted() || exponent.is_exactly_zero() {
            return Self::lift(value);
        }
        if num_traits::Float::is_normal(value.primal()) {
            return power(self, exponent, value);
        }
        // The value has lost its digits, which the derivatives may have: each is a power itself.
        let mut binomial = T::one();
        composed(self, |k| {
            let order = literal::<T>(k as f64);
            if k > 0 {
                binomial *= (exponent - order + T::one()) / order;
            }
            if binomial.is_exactly_zero() {
                T::zero()
            } else {
                binomial * self.c[0].powf(exponent - order)
            }
        })
        .with_value(value)
    }
}

impl<T: Real, const K: usize> Debug for Taylor<T, K> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taylor")
            .field("coefficients", &self.c)
            .finish()
    }
}

number!([T: Real, const K: usize] Taylor<T, K>, T);
real_by_parts! {
    [T: Real, const K: usize] Taylor<T, K>, T;
    fn norm_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
        let x: SmallVec<[Self; 8]> = (0..n).map(term).collect();
        let value = T::norm_by(n, |i| x[i].c[0]);
        // As for the other number types, there is no derivative at the origin.
        if value.primal().is_zero() {
            return Self::zero();
        }
        length(&x, value)
    }
    fn log_sum_exp_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
        log_sum_exp(n, term)
    }
}

#[cfg(test)]
mod tests;
