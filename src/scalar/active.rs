//! The number that records.

use std::cell::Cell;

use super::arena::{self, Ready};
use super::number::names::*;
use crate::kernel::processor::Couple;

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
/// to another thread.
///
/// ```
/// use wengert::scalar::Tape;
/// let tape = Tape::new();
/// let [x, y] = [tape.var(3.0), tape.var(4.0)];
/// let r = x.hypot(y);
/// assert_eq!(tape.gradient_of(r, &[x, y]), [0.6, 0.8]);
/// ```
// Three words of `f64`: a couple alone would be aligned to 16 bytes.
#[repr(C, packed(8))]
pub struct Scalar<T: Real> {
    /// The value, and its derivative by the node, the weight, which has no meaning in a constant.
    both: T::Couple,
    /// The tag of the tape above, the node below; 0 for a constant. One number, since handles are copied through memory.
    id: u64,
}

impl<T: Real> Clone for Scalar<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Real> Copy for Scalar<T> {}

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
        Scalar::with(value, T::zero(), 0)
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
        self.both.first()
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
        self.id == 0
    }

    #[inline(always)]
    pub(super) fn active(value: T, node: u32, tag: u32) -> Self {
        Scalar::with(value, T::one(), arena::id(tag, node))
    }

    /// A handle from its parts.
    #[inline(always)]
    pub(super) fn hung(value: T, weight: T, node: u32, tag: u32) -> Self {
        Scalar::with(value, weight, arena::id(tag, node))
    }

    #[inline(always)]
    pub(super) fn id(self) -> u64 {
        self.id
    }

    #[inline(always)]
    pub(super) fn tag(self) -> u32 {
        (self.id >> 32) as u32
    }

    #[inline(always)]
    pub(super) fn node(self) -> u32 {
        self.id as u32
    }

    #[inline(always)]
    pub(super) fn weight(self) -> T {
        self.both.second()
    }

    #[inline(always)]
    fn with(value: T, weight: T, id: u64) -> Self {
        Scalar {
            both: Couple::of(value, weight),
            id,
        }
    }

    /// Whether it is a variable of this value, if its node is that of one.
    #[inline(always)]
    pub(super) fn is_leaf(self, value: T) -> bool {
        self.value().is_identical(value) && self.weight().is_identical(T::one())
    }

    #[inline]
    fn has_no_effect(self) -> bool {
        self.id == 0 && self.value().is_exactly_zero()
    }

    #[inline]
    fn is_same(self, other: Self) -> bool {
        self.id == other.id
            && self.value().is_identical(other.value())
            && (self.id == 0 || self.weight().is_identical(other.weight()))
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
        self.value()
    }
    #[inline(always)]
    fn is_lifted(self) -> bool {
        self.id == 0
    }
    #[inline(always)]
    #[track_caller]
    fn unary(self, function: Unary, value: T, partial: T) -> Self {
        arena::check_alone::<T>(function.name(), self.tag());
        Scalar::with(value, self.weight() * partial, self.id)
    }
    #[inline(always)]
    #[track_caller]
    fn binary(function: Binary, value: T, (a, da): (Self, T), (b, db): (Self, T)) -> Self {
        let (first, second) = (a.weight() * da, b.weight() * db);
        let ready = match Ready::for_pair(a.id, b.id) {
            Some(ready) => ready,
            None => {
                let without = if a.id == b.id {
                    // Both depend on one node, or both are constants.
                    Some((a.id, first + second))
                } else if b.id == 0 {
                    Some((a.id, first))
                } else if a.id == 0 {
                    Some((b.id, second))
                } else {
                    None
                };
                if let Some((id, weight)) = without {
                    arena::check_alone::<T>(function.name(), (id >> 32) as u32);
                    return Scalar::with(value, weight, id);
                }
                Ready::make(function, a.id, b.id)
            }
        };
        Scalar::with(
            value,
            T::one(),
            ready.record([a.node(), b.node()], [first, second]),
        )
    }
    #[inline(always)]
    #[track_caller]
    fn binary_left(function: Binary, value: T, (a, da): (Self, T), _: T) -> Self {
        arena::check_alone::<T>(function.name(), a.tag());
        Scalar::with(value, a.weight() * da, a.id)
    }
    #[inline(always)]
    #[track_caller]
    fn binary_right(function: Binary, value: T, _: T, (b, db): (Self, T)) -> Self {
        arena::check_alone::<T>(function.name(), b.tag());
        Scalar::with(value, b.weight() * db, b.id)
    }
    #[inline]
    #[track_caller]
    fn wide(
        operation: &'static str,
        value: T,
        n: usize,
        term: impl Fn(usize) -> (Self, T),
    ) -> Self {
        let edge = |i| {
            let (x, partial) = term(i);
            (x.id, x.weight() * partial)
        };
        let recorded = arena::record_wide(
            operation,
            n,
            |i| term(i).0.tag(),
            |i| [edge(2 * i), edge(2 * i + 1)],
            || edge(n - 1),
        );
        Scalar::wide_result(value, recorded)
    }
    #[inline(always)]
    #[track_caller]
    fn pairs(n: usize, pair: impl Fn(usize) -> (Self, Self)) -> Self {
        // Of machine numbers the value is found on the way, in the order of `dot_by`. Other types may record meanwhile.
        let machine = T::LEVEL == 0;
        let sum = Cell::new(T::zero());
        let recorded = arena::record_wide(
            "dot",
            2 * n,
            |i| {
                let (a, b) = pair(i / 2);
                if i % 2 == 0 { a.tag() } else { b.tag() }
            },
            |i| {
                let (a, b) = pair(i);
                if machine {
                    sum.set(sum.get() + a.value() * b.value());
                }
                [
                    (a.id, a.weight() * b.value()),
                    (b.id, b.weight() * a.value()),
                ]
            },
            || unreachable!("an even number of operands"),
        );
        let value = if machine && recorded.is_some() {
            sum.get()
        } else {
            T::dot_by(n, |i| {
                let (a, b) = pair(i);
                (a.value(), b.value())
            })
        };
        Scalar::wide_result(value, recorded)
    }
}

impl<T: Real> Scalar<T> {
    #[inline]
    fn wide_result(value: T, recorded: Option<arena::Recorded<T>>) -> Self {
        match recorded {
            Some((id, weight)) => Scalar::with(value, weight, id),
            None => Scalar::constant(value),
        }
    }
}

impl<T: Real> Debug for Scalar<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Scalar");
        out.field("value", &self.value());
        if self.id != 0 {
            out.field("node", &self.node())
                .field("weight", &self.weight());
        }
        out.finish_non_exhaustive()
    }
}

number!([T: Real] Scalar<T>, T);
real!([T: Real] Scalar<T>, T);
