//! The number that records what a sparse derivative needs: a graph, and derivatives of each step up to second order.

use std::any::Any;
use std::cell::{Cell, RefCell};

use super::dual::Dual;
use super::number::names::*;
use super::parts::real_by_parts;
use super::table::unary_table;

/// The number that [`jacobian_sparse`](super::jacobian_sparse) and [`hessian_sparse`](super::hessian_sparse) hand to their
/// functions. It records each step with its derivatives, and which of them are 0 whatever the values.
///
/// # Panics
/// An operation panics on numbers of two calls at once, after the call has returned, and in another thread.
#[derive(Clone, Copy)]
pub struct Patterned<T> {
    value: T,
    node: u32,
    /// The recording; 0 for a constant.
    tag: u64,
}

/// A recorded step of one or two operands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<T> {
    /// How many operands there are; 0 for a variable.
    pub(super) arity: u8,
    /// Which second derivatives may be other than 0.
    pub(super) curved: [bool; 3],
    pub(super) operands: [u32; 2],
    pub(super) partials: [T; 2],
    /// By the first operand twice, by both, by the second twice.
    pub(super) seconds: [T; 3],
}

/// A recording of this thread that is going on.
struct Recording {
    tag: u64,
    /// Whether second derivatives are wanted.
    seconds: bool,
    /// A `Vec<Link<T>>`.
    links: Box<dyn Any + Send>,
}

thread_local! {
    static RECORDINGS: RefCell<Vec<Recording>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// Ends a recording when dropped, by a panic too.
struct Guard(u64);

impl Drop for Guard {
    fn drop(&mut self) {
        RECORDINGS.with_borrow_mut(|all| all.retain(|r| r.tag != self.0));
    }
}

/// What a recording is written into, to be used again.
#[derive(Debug)]
pub(super) struct Record<T> {
    /// A `Vec<Link<T>>`, boxed as a recording of this thread holds it, so that nothing is allocated for it.
    links: Option<Box<dyn Any + Send>>,
    handles: Vec<Patterned<T>>,
}

impl<T: Real> Record<T> {
    pub(super) fn new() -> Self {
        Record {
            links: None,
            handles: Vec::new(),
        }
    }

    /// The links of the last call of [`run`](Record::run).
    pub(super) fn links(&self) -> &[Link<T>] {
        let links = self.links.as_ref();
        let links = links.and_then(|links| links.downcast_ref::<Vec<Link<T>>>());
        links.map_or(&[], Vec::as_slice)
    }

    /// Runs `f` on variables.
    #[track_caller]
    pub(super) fn run<R>(
        &mut self,
        x: &[T],
        seconds: bool,
        f: impl FnOnce(&[Patterned<T>]) -> R,
    ) -> R {
        let tag = fresh_tag();
        let zero = T::zero();
        let leaf = Link {
            arity: 0,
            curved: [false; 3],
            operands: [0; 2],
            partials: [zero; 2],
            seconds: [zero; 3],
        };
        let unused = self.links.take();
        let mut links = unused.unwrap_or_else(|| Box::new(Vec::<Link<T>>::new()));
        if let Some(links) = links.downcast_mut::<Vec<Link<T>>>() {
            links.clear();
            links.resize(x.len(), leaf);
        }
        self.handles.clear();
        let handles = (0..).zip(x);
        let handles = handles.map(|(node, &value)| Patterned { value, node, tag });
        self.handles.extend(handles);
        RECORDINGS.with_borrow_mut(|all| {
            all.push(Recording {
                tag,
                seconds,
                links,
            })
        });
        let guard = Guard(tag);
        let result = f(&self.handles);
        self.links = RECORDINGS.with_borrow_mut(|all| {
            let at = all.iter().position(|r| r.tag == tag);
            at.map(|at| all.swap_remove(at).links)
        });
        drop(guard);
        result
    }
}

/// Unique over threads: a number of the thread above, a count below.
fn fresh_tag() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static THREADS: AtomicU64 = AtomicU64::new(1);
    NEXT.with(|next| {
        if next.get() == 0 {
            next.set(THREADS.fetch_add(1, Ordering::Relaxed) << 40);
        }
        next.set(next.get() + 1);
        next.get()
    })
}

impl<T> Link<T> {
    /// Whether it depends on the same operands, in the same way, as another.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        (self.arity, self.curved, self.operands) == (other.arity, other.curved, other.operands)
    }

    /// The operands, each with the partial derivative by it.
    pub(super) fn edges(&self) -> impl Iterator<Item = (usize, &T)> {
        let n = usize::from(self.arity);
        let operands = self.operands[..n].iter().map(|&operand| operand as usize);
        operands.zip(&self.partials[..n])
    }
}

impl<T: Real> Patterned<T> {
    /// A number that does not depend on anything.
    #[inline]
    pub fn constant(value: T) -> Self {
        Patterned {
            value,
            node: 0,
            tag: 0,
        }
    }

    /// The value.
    #[inline]
    pub fn value(self) -> T {
        self.value
    }

    /// The step that it is the result of, if it is not a constant.
    pub(super) fn node(self) -> Option<u32> {
        (self.tag != 0).then_some(self.node)
    }

    fn has_no_effect(self) -> bool {
        self.tag == 0 && self.value.is_exactly_zero()
    }

    fn is_same(self, other: Self) -> bool {
        self.tag == other.tag && self.node == other.node && self.value.is_identical(other.value)
    }

    /// Appends a step; `seconds` is asked only if they are wanted.
    #[track_caller]
    fn append(self, value: T, link: Link<T>, seconds: impl FnOnce() -> [T; 3]) -> Self {
        let tag = self.tag;
        // Derivatives of a nested number record, too: before anything is borrowed.
        let wanted = RECORDINGS.with_borrow(|all| {
            let found = all.iter().rev().find(|r| r.tag == tag);
            found.map(|r| r.seconds && link.curved != [false; 3])
        });
        let seconds = match wanted {
            Some(true) => seconds(),
            Some(false) => [T::zero(); 3],
            None => panic!(
                "scalar: a number of a sparse derivative is used after the call has returned, or in another thread"
            ),
        };
        let node = RECORDINGS.with_borrow_mut(|all| {
            let recording = all.iter_mut().rev().find(|r| r.tag == tag)?;
            let links = recording.links.downcast_mut::<Vec<Link<T>>>()?;
            let node = u32::try_from(links.len()).ok()?;
            links.push(Link { seconds, ..link });
            Some(node)
        });
        match node {
            Some(node) => Patterned { value, node, tag },
            None => panic!("scalar: more than 2^32 steps"),
        }
    }

    #[track_caller]
    fn of_one(self, value: T, partial: T, curved: bool, second: impl FnOnce() -> T) -> Self {
        let zero = T::zero();
        let link = Link {
            arity: 1,
            curved: [curved, false, false],
            operands: [self.node; 2],
            partials: [partial, zero],
            seconds: [zero; 3],
        };
        self.append(value, link, || [second(), zero, zero])
    }
}

macro_rules! partials {
    (; |$x:ident, $y:ident| $($function:ident $name:ident $doc:literal ($value:expr) ($partial:expr);)*) => {
        /// The partial derivative of a function of one number, at `x` where its value is `y`.
        fn partial_of<T: Real>(function: Unary, $x: T, $y: T) -> T {
            match function {
                $(Unary::$function => $partial,)*
                Unary::Neg => -T::one(),
                Unary::Powi(n) => powi_partial($x, n),
                Unary::Polygamma(n) => $x.polygamma(n + 1),
            }
        }
    };
}
unary_table!(partials, ;);

fn is_linear(function: Unary) -> bool {
    use Unary::{Abs, Fract, Neg, Powi, ToDegrees, ToRadians};
    matches!(
        function,
        Neg | Abs | Fract | ToDegrees | ToRadians | Powi(0 | 1)
    )
}

/// Which second derivatives of a function of two numbers may be other than 0.
fn curvature(function: Binary) -> [bool; 3] {
    match function {
        Binary::Add | Binary::Sub | Binary::Rem | Binary::Max | Binary::Min => [false; 3],
        Binary::Mul => [false, true, false],
        Binary::Div => [false, true, true],
        Binary::Powf | Binary::Atan2 | Binary::Hypot => [true; 3],
    }
}

/// The second derivatives of a function of two numbers: the first derivatives on numbers with tangents.
fn seconds_of<T: Real>(function: Binary, a: T, b: T, value: T, partials: [T; 2]) -> [T; 3] {
    let (zero, one) = (T::zero(), T::one());
    let (x, y): (Dual<T, 2>, Dual<T, 2>) = (Dual::new(a, [one, zero]), Dual::new(b, [zero, one]));
    let v = Dual::new(value, partials);
    let (by_a, by_b) = match function {
        Binary::Add | Binary::Sub | Binary::Rem | Binary::Max | Binary::Min => return [zero; 3],
        Binary::Mul => return [zero, one, zero],
        Binary::Div => (y.recip(), -(v / y)),
        Binary::Powf => (powf_by_base(x, y), powf_by_exponent(x, y, v)),
        Binary::Atan2 => {
            let square = x * x + y * y;
            (y / square, -(x / square))
        }
        Binary::Hypot if value.primal().is_zero() => return [zero; 3],
        Binary::Hypot => (x / v, y / v),
    };
    [by_a.tangents()[0], by_a.tangents()[1], by_b.tangents()[1]]
}

impl<T: Real> Number for Patterned<T> {
    type Inner = T;

    #[inline]
    fn lift(value: T) -> Self {
        Patterned::constant(value)
    }
    #[inline]
    fn inner(self) -> T {
        self.value
    }
    #[inline]
    fn is_lifted(self) -> bool {
        self.tag == 0
    }
    #[track_caller]
    fn unary(self, function: Unary, value: T, partial: T) -> Self {
        if self.tag == 0 {
            return Patterned::constant(value);
        }
        self.of_one(value, partial, !is_linear(function), || {
            let x = Dual::variable(self.value);
            partial_of(function, x, Dual::new(value, [partial])).tangent()
        })
    }
    #[track_caller]
    fn binary(function: Binary, value: T, (a, da): (Self, T), (b, db): (Self, T)) -> Self {
        let curved = curvature(function);
        let seconds = || seconds_of(function, a.value, b.value, value, [da, db]);
        match (a.tag, b.tag) {
            (0, 0) => Patterned::constant(value),
            (_, 0) => a.of_one(value, da, curved[0], || {
                // The constant has no part in it: a power of a negative number has no derivative by the exponent.
                let fixed = Dual::constant(b.value);
                match function {
                    Binary::Powf => powf_by_base(Dual::variable(a.value), fixed).tangent(),
                    _ => seconds()[0],
                }
            }),
            (0, _) => b.of_one(value, db, curved[2], || seconds()[2]),
            (first, second) if first != second => {
                panic!("scalar: an operation on numbers of two sparse derivatives")
            }
            _ if a.node == b.node => a.of_one(value, da + db, curved != [false; 3], || {
                let [aa, ab, bb] = seconds();
                aa + ab + ab + bb
            }),
            _ => {
                let link = Link {
                    arity: 2,
                    curved,
                    operands: [a.node, b.node],
                    partials: [da, db],
                    seconds: [T::zero(); 3],
                };
                a.append(value, link, seconds)
            }
        }
    }
    #[track_caller]
    fn wide(value: T, _: usize, _: impl Fn(usize) -> (Self, T)) -> Self {
        unreachable!("functions of many numbers are taken apart: {value}")
    }
    #[track_caller]
    fn multiply_add(self, a: Self, b: Self, _: T) -> Self {
        self * a + b
    }
}

impl<T: Debug> Debug for Patterned<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patterned")
            .field("value", &self.value)
            .field("node", &(self.tag != 0).then_some(self.node))
            .finish()
    }
}

number!([T: Real] Patterned<T>, T);
real_by_parts!([T: Real] Patterned<T>, T);
