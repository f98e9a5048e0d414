//! The number that records.

use super::arena;
use super::number::names::*;

/// A number that records how it came about, on a [`Tape`](super::Tape): reverse mode.
///
/// It is [`Copy`] and without lifetime, and has all that `num_traits::Float` asks for: numeric code that is generic over
/// it is differentiated as it stands. A number made of a plain one is a constant; operations on constants alone record nothing.
///
/// The handle holds a value, a node of the tape, and the derivative of the value by that node, the *weight*. A function of
/// one number, or of a number and a constant, or of two numbers that depend on the same node, only changes the weight. Other
/// functions of two numbers append a node. So the chain rule within such a run is multiplied in the order of computation,
/// which may differ from the textbook's in the last bit.
///
/// # Panics
/// An operation on scalars of two live tapes panics, and so does one on a scalar whose tape was reset or dropped or belongs
/// to another thread, as soon as it needs the tape. Operations that only change the weight do not need it, and notice
/// such a scalar in builds with debug assertions only.
///
/// ```
/// use wengert::scalar::Tape;
/// let tape = Tape::new();
/// let [x, y] = [tape.var(3.0), tape.var(4.0)];
/// let r = x.hypot(y);
/// assert_eq!(tape.gradient_of(r, &[x, y]), [0.6, 0.8]);
/// ```
#[derive(Clone, Copy)]
pub struct Scalar<T> {
    value: T,
    /// The derivative of the value by the node. Has no meaning in a constant.
    weight: T,
    node: u32,
    /// The tape; 0 for a constant.
    tag: u32,
}

impl<T: Real> Scalar<T> {
    /// A number that does not depend on anything: no tape is needed, and nothing is recorded.
    ///
    /// ```
    /// use wengert::scalar::Scalar;
    /// let x = Scalar::constant(2.0) * Scalar::constant(3.0);
    /// assert!(x.is_constant() && x == 6.0);
    /// ```
    #[inline]
    pub fn constant(value: T) -> Self {
        Scalar {
            value,
            weight: T::zero(),
            node: 0,
            tag: 0,
        }
    }

    /// The value. It may be read after the tape is gone, and in other threads.
    ///
    /// ```
    /// use wengert::scalar::{Scalar, Tape};
    /// let x = { Tape::new().var(2.0) };
    /// assert_eq!(x.value(), 2.0);
    /// ```
    #[inline]
    pub fn value(self) -> T {
        self.value
    }

    /// Whether it does not depend on a variable of a tape.
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let x = Tape::new().var(2.0);
    /// assert!(!x.is_constant() && x.floor().is_constant());
    /// ```
    #[inline]
    pub fn is_constant(self) -> bool {
        self.tag == 0
    }

    #[inline(always)]
    pub(super) fn active(value: T, node: u32, tag: u32) -> Self {
        Scalar {
            value,
            weight: T::one(),
            node,
            tag,
        }
    }

    /// A handle from its parts.
    #[inline(always)]
    pub(super) fn hung(value: T, weight: T, node: u32, tag: u32) -> Self {
        Scalar {
            value,
            weight,
            node,
            tag,
        }
    }

    #[inline(always)]
    pub(super) fn tag(self) -> u32 {
        self.tag
    }

    #[inline(always)]
    pub(super) fn node(self) -> u32 {
        self.node
    }

    #[inline(always)]
    pub(super) fn weight(self) -> T {
        self.weight
    }

    #[inline]
    fn has_no_effect(self) -> bool {
        self.tag == 0 && self.value.is_exactly_zero()
    }

    #[inline]
    fn is_same(self, other: Self) -> bool {
        self.tag == other.tag
            && self.value.is_identical(other.value)
            && (self.tag == 0 || self.node == other.node && self.weight.is_identical(other.weight))
    }
}

impl<T: Real> Number for Scalar<T> {
    type Inner = T;

    #[inline(always)]
    fn lift(value: T) -> Self {
        Scalar::constant(value)
    }
    #[inline(always)]
    fn inner(self) -> T {
        self.value
    }
    #[inline(always)]
    fn is_lifted(self) -> bool {
        self.tag == 0
    }
    #[inline(always)]
    #[track_caller]
    fn unary(self, function: Unary, value: T, partial: T) -> Self {
        arena::check_in_debug(|| function.name(), self.tag);
        Scalar {
            value,
            weight: self.weight * partial,
            ..self
        }
    }
    #[inline(always)]
    #[track_caller]
    fn binary(function: Binary, value: T, (a, da): (Self, T), (b, db): (Self, T)) -> Self {
        let tag = a.tag;
        if tag == b.tag {
            let (first, second) = (a.weight * da, b.weight * db);
            if a.node == b.node {
                // Both depend on one node, or both are constants.
                arena::check_in_debug(|| function.name(), tag);
                return Scalar {
                    value,
                    weight: first + second,
                    node: a.node,
                    tag,
                };
            }
            let node = arena::record(function.name(), tag, [a.node, b.node], [first, second]);
            Scalar {
                value,
                weight: T::one(),
                node,
                tag,
            }
        } else if b.tag == 0 {
            arena::check_in_debug(|| function.name(), tag);
            Scalar {
                value,
                weight: a.weight * da,
                ..a
            }
        } else if tag == 0 {
            arena::check_in_debug(|| function.name(), b.tag);
            Scalar {
                value,
                weight: b.weight * db,
                ..b
            }
        } else {
            arena::mixed(function.name(), tag, b.tag)
        }
    }
    #[inline(always)]
    #[track_caller]
    fn binary_left(function: Binary, value: T, (a, da): (Self, T), _: T) -> Self {
        arena::check_in_debug(|| function.name(), a.tag);
        Scalar {
            value,
            weight: a.weight * da,
            ..a
        }
    }
    #[inline(always)]
    #[track_caller]
    fn binary_right(function: Binary, value: T, _: T, (b, db): (Self, T)) -> Self {
        arena::check_in_debug(|| function.name(), b.tag);
        Scalar {
            value,
            weight: b.weight * db,
            ..b
        }
    }
    #[inline]
    #[track_caller]
    fn wide(value: T, n: usize, term: impl Fn(usize) -> (Self, T)) -> Self {
        Self::wide_named("custom", value, n, term)
    }
    #[inline]
    #[track_caller]
    fn wide_named(
        operation: &'static str,
        value: T,
        n: usize,
        term: impl Fn(usize) -> (Self, T),
    ) -> Self {
        let recorded = arena::record_wide(operation, n, |i| {
            let (x, partial) = term(i);
            [(x.tag, x.node, x.weight * partial)]
        });
        Scalar::wide_result(value, recorded)
    }
    #[inline]
    #[track_caller]
    fn pairs(value: T, n: usize, pair: impl Fn(usize) -> (Self, Self)) -> Self {
        let recorded = arena::record_wide("dot", n, |i| {
            let (a, b) = pair(i);
            [
                (a.tag, a.node, a.weight * b.value),
                (b.tag, b.node, b.weight * a.value),
            ]
        });
        Scalar::wide_result(value, recorded)
    }
}

impl<T: Real> Scalar<T> {
    #[inline]
    fn wide_result(value: T, recorded: Option<(u32, u32, T)>) -> Self {
        match recorded {
            Some((tag, node, weight)) => Scalar {
                value,
                weight,
                node,
                tag,
            },
            None => Scalar::constant(value),
        }
    }
}

impl<T: Real> Debug for Scalar<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Scalar");
        out.field("value", &self.value);
        if self.tag != 0 {
            out.field("node", &self.node).field("weight", &self.weight);
        }
        out.finish_non_exhaustive()
    }
}

number!([T: Real] Scalar<T>, T);
real!([T: Real] Scalar<T>, T);
