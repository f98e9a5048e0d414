//! Forward mode: a number with its derivatives along some directions.

use super::number::names::*;

/// A number and its derivatives along `N` directions: forward mode.
///
/// `Dual` computes derivatives along with values, in one pass and without memory. It suits functions of few numbers; for
/// many there is [`Scalar`](super::Scalar). The two nest in either order.
///
/// A tangent of 0 stays 0, whatever it is multiplied by: a number that does not depend on the variables contributes
/// nothing, also where a partial derivative is infinite.
///
/// ```
/// use wengert::scalar::Dual;
/// let x = Dual::variable(2.0_f64);
/// let y = x * x * x;
/// assert_eq!((y.value(), y.tangent()), (8.0, 12.0));
///
/// let [x, y] = Dual::variables([3.0_f64, 4.0]);
/// assert_eq!(x.hypot(y).tangents(), [0.6, 0.8]);
/// ```
///
/// What a tangent is a derivative by is not written down. A number of another [`derivative`](super::derivative) that is being taken is
/// a constant to an inner one, and enters it as `Dual::constant(x.value())`; where the derivative of an inner derivative is
/// wanted, types are nested: `Dual<Dual<f64>>`. In builds with debug assertions numbers of two calls of `derivative` or `jvp` that
/// meet panic; in others their tangents would be added.
#[derive(Clone, Copy)]
pub struct Dual<T, const N: usize = 1> {
    value: T,
    tangents: [T; N],
    origin: Origin,
}

impl<T: Real> Dual<T> {
    /// A number whose derivative is 1.
    ///
    /// ```
    /// use wengert::scalar::Dual;
    /// assert_eq!((Dual::variable(3.0) * 2.0).tangent(), 2.0);
    /// ```
    #[inline]
    pub fn variable(value: T) -> Self {
        Dual::new(value, [T::one()])
    }

    /// The derivative.
    ///
    /// ```
    /// use wengert::scalar::Dual;
    /// assert_eq!(Dual::variable(3.0).powi(2).tangent(), 6.0);
    /// ```
    #[inline]
    pub fn tangent(self) -> T {
        self.tangents[0]
    }
}

impl<T: Real, const N: usize> Dual<T, N> {
    /// A number and its derivatives.
    ///
    /// ```
    /// use wengert::scalar::Dual;
    /// let x = Dual::new(3.0, [1.0, 10.0]);
    /// assert_eq!((x * x).tangents(), [6.0, 60.0]);
    /// ```
    #[inline]
    pub fn new(value: T, tangents: [T; N]) -> Self {
        Dual::of(value, tangents, Origin::NONE)
    }

    #[inline(always)]
    pub(super) fn of(value: T, tangents: [T; N], origin: Origin) -> Self {
        Dual {
            value,
            tangents,
            origin,
        }
    }

    /// Panics if it is a number of another call than `origin`.
    #[inline(always)]
    #[track_caller]
    pub(super) fn own(self, operation: &str, origin: Origin) -> Self {
        origin.with(operation, self.origin);
        self
    }

    /// A number whose derivatives are 0.
    ///
    /// ```
    /// use wengert::scalar::Dual;
    /// assert_eq!(Dual::<f64, 2>::constant(3.0).tangents(), [0.0, 0.0]);
    /// ```
    #[inline]
    pub fn constant(value: T) -> Self {
        Dual::new(value, [T::zero(); N])
    }

    /// Numbers that are each the variable of one direction.
    ///
    /// ```
    /// use wengert::scalar::Dual;
    /// let [x, y] = Dual::variables([3.0, 4.0]);
    /// assert_eq!((x * y).tangents(), [4.0, 3.0]);
    /// ```
    pub fn variables(values: [T; N]) -> [Self; N] {
        std::array::from_fn(|i| {
            let mut x = Dual::constant(values[i]);
            x.tangents[i] = T::one();
            x
        })
    }

    /// The value.
    ///
    /// ```
    /// use wengert::scalar::Dual;
    /// assert_eq!(Dual::variable(3.0).powi(2).value(), 9.0);
    /// ```
    #[inline]
    pub fn value(self) -> T {
        self.value
    }

    /// The derivatives, one along each direction.
    ///
    /// ```
    /// use wengert::scalar::Dual;
    /// let [x, y] = Dual::variables([3.0, 4.0]);
    /// assert_eq!((x - y * 2.0).tangents(), [1.0, -2.0]);
    /// ```
    #[inline]
    pub fn tangents(self) -> [T; N] {
        self.tangents
    }

    #[inline]
    fn has_no_effect(self) -> bool {
        self.value.is_exactly_zero() && self.tangents.iter().all(|t| t.is_exactly_zero())
    }

    #[inline]
    fn is_same(self, other: Self) -> bool {
        self.value.is_identical(other.value)
            && self
                .tangents
                .iter()
                .zip(&other.tangents)
                .all(|(a, b)| a.is_identical(*b))
    }
}

/// Which call of [`derivative`](super::derivative) or [`jvp`](super::jvp) a number belongs to, in builds with debug assertions.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Origin(#[cfg(debug_assertions)] u32);

impl Origin {
    /// No call: constants, and numbers that are made one by one.
    pub(super) const NONE: Origin = Origin(
        #[cfg(debug_assertions)]
        0,
    );

    /// Another one than before.
    #[inline]
    pub(super) fn fresh() -> Self {
        #[cfg(debug_assertions)]
        {
            use std::sync::atomic::{AtomicU32, Ordering};
            static NEXT: AtomicU32 = AtomicU32::new(1);
            Origin(NEXT.fetch_add(1, Ordering::Relaxed).max(1))
        }
        #[cfg(not(debug_assertions))]
        Origin()
    }

    /// That of a result of two numbers.
    #[inline(always)]
    #[track_caller]
    fn with(self, operation: &str, other: Self) -> Self {
        if self == Origin::NONE || self == other {
            return other;
        }
        assert!(
            other == Origin::NONE,
            "{operation}: numbers of two derivatives that are being taken; what is constant to one of them enters by its value"
        );
        self
    }
}

/// A tangent times a partial derivative, 0 if there is no tangent.
#[inline(always)]
fn times<T: Real>(tangent: T, partial: T) -> T {
    if tangent.is_exactly_zero() {
        T::zero()
    } else {
        tangent * partial
    }
}

impl<T: Real, const N: usize> Number for Dual<T, N> {
    type Inner = T;

    #[inline(always)]
    fn lift(value: T) -> Self {
        Dual::constant(value)
    }
    #[inline(always)]
    fn inner(self) -> T {
        self.value
    }
    #[inline(always)]
    fn is_lifted(self) -> bool {
        self.tangents.iter().all(|t| t.is_exactly_zero())
    }
    #[inline(always)]
    fn unary(self, _: Unary, value: T, partial: T) -> Self {
        let origin = self.origin;
        // Of numbers that have derivatives themselves, these may be infinite where the value is not.
        let tangents = if T::LEVEL == 0 && partial.is_finite() {
            self.tangents.map(|t| t * partial)
        } else {
            self.tangents.map(|t| times(t, partial))
        };
        Dual::of(value, tangents, origin)
    }
    #[inline(always)]
    #[track_caller]
    fn binary(function: Binary, value: T, (a, da): (Self, T), (b, db): (Self, T)) -> Self {
        let origin = a.origin.with(function.name(), b.origin);
        let tangents = if T::LEVEL == 0 && da.is_finite() && db.is_finite() {
            std::array::from_fn(|i| a.tangents[i] * da + b.tangents[i] * db)
        } else {
            std::array::from_fn(|i| times(a.tangents[i], da) + times(b.tangents[i], db))
        };
        Dual::of(value, tangents, origin)
    }
    #[inline(always)]
    fn binary_left(_: Binary, value: T, (a, da): (Self, T), _: T) -> Self {
        a.unary(Unary::Neg, value, da)
    }
    #[inline(always)]
    fn binary_right(_: Binary, value: T, _: T, (b, db): (Self, T)) -> Self {
        b.unary(Unary::Neg, value, db)
    }
    #[inline]
    #[track_caller]
    fn wide(
        operation: &'static str,
        value: T,
        n: usize,
        term: impl Fn(usize) -> (Self, T),
    ) -> Self {
        let mut tangents = [T::zero(); N];
        let mut origin = Origin::NONE;
        for i in 0..n {
            let (x, partial) = term(i);
            origin = origin.with(operation, x.origin);
            for (sum, &t) in tangents.iter_mut().zip(&x.tangents) {
                *sum += times(t, partial);
            }
        }
        Dual::of(value, tangents, origin)
    }
}

impl<T: Real, const N: usize> Debug for Dual<T, N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dual")
            .field("value", &self.value)
            .field("tangents", &self.tangents)
            .finish()
    }
}

number!([T: Real, const N: usize] Dual<T, N>, T);
real!([T: Real, const N: usize] Dual<T, N>, T);
