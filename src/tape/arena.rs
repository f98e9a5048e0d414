//! Tapes, and the arenas that their nodes live in.
//!
//! A handle names an arena by its slot in a table of the thread and carries the generation in which it was made. Arenas are
//! recycled, never freed before the thread ends, and a handle cannot leave its thread, so it can always be looked at; one of
//! an earlier generation is caught.

use super::node::{Node, Operations, SharedShape};
use super::random::Randomness;
use super::rewrite::Again;
use super::var::AnyVar;
use crate::element::{Dtype, Element};
use crate::tensor::{AnyStorage, Buffer, Pool};
use std::any::Any;
use std::cell::{Cell, Ref, RefCell, RefMut};
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;

/// Everything a tape holds.
#[derive(Default)]
pub(crate) struct Graph {
    pub nodes: Vec<Node>,
    /// The values computed so far, and those of the leaves.
    pub values: Vec<Option<Buffer>>,
    /// Whether gradients were recorded: then nothing is kept for a backward pass to come.
    pub differentiated: bool,
    /// Whether gradients will never be asked for: leaves are constants.
    pub inference: bool,
    /// Whether a program is being recorded: its inputs have no values.
    pub recording: bool,
    /// Whether a run fails where a value is not finite.
    pub checked: bool,
    /// Parameters and their leaves.
    pub bindings: Vec<(u64, u32)>,
    /// What the parameters are clones of.
    pub origins: Vec<u64>,
    /// The shapes recorded last, two for each hash of their sizes: most nodes have one of a few. They outlive a reset.
    pub shapes: [[Option<SharedShape>; 2]; SHAPES],
    /// The operations recorded last.
    pub operations: Operations,
    /// The numbers recorded last, by a hash of their bits: a loop writes the same ones again and again.
    pub numbers: [Option<KnownNumber>; NUMBERS],
    /// The line that the nodes being recorded are attributed to, if not the caller's, and whether they are recorded by
    /// differentiating: nodes of a gradient belong to the line of the operation they differentiate.
    pub attributed: Option<(&'static Location<'static>, bool)>,
    /// Functions that cotangents go through on their way back, by node.
    pub hooks: Vec<(u32, Hook)>,
    /// Nodes that are copies and whose hooks or rules may hold variables of what was copied, each with the copies that led to it.
    pub copies: Vec<(u32, Vec<Rc<Again>>)>,
    /// Rules that users gave for parts of a program, by number.
    pub rules: Vec<UserRule>,
    /// The functions that are being recorded for one example of a batch, the outermost first.
    pub batches: Vec<Examples>,
    /// Whether the cotangents of the walk under way stand for values that are put in their place later.
    pub symbolic: bool,
    /// What random numbers are drawn with.
    pub random: Randomness,
    pub pool: Pool,
    /// What a walk backwards knows of the cotangent of each node, kept for the next one.
    pub cotangents: Vec<Cotangent>,
    /// What the executor keeps from run to run.
    pub plans: Option<Box<dyn Any>>,
}

/// A batch whose function is being recorded for one example.
#[derive(Clone)]
pub(crate) struct Examples {
    pub size: usize,
    /// What stands for one example, and all of them.
    pub pairs: Vec<(AnyVar, AnyVar)>,
    /// Its number among the functions that have keys of their own for random numbers, and whether that of an example is a pair.
    pub key: (usize, bool),
}

/// What makes one cotangent of another.
pub(crate) type Hook = Rc<dyn Fn(AnyVar) -> AnyVar>;

/// What makes the cotangents of inputs of these, the value and its cotangent.
pub(crate) type UserRule = Rc<dyn Fn(&[AnyVar], AnyVar, AnyVar) -> Vec<AnyVar>>;

/// A number that was recorded: its bits, and its node.
#[derive(Clone, Copy)]
pub(crate) struct KnownNumber {
    pub bits: u64,
    pub dtype: Dtype,
    pub index: u32,
}

/// How many pairs of recorded shapes a tape remembers.
pub(super) const SHAPES: usize = 32;

/// How many recorded numbers a tape remembers.
pub(super) const NUMBERS: usize = 8;

/// What is known of the cotangent of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cotangent {
    /// The node does not depend on what derivatives are wanted of.
    Unrelated,
    /// No path leads here yet.
    Absent,
    /// It is zero, without a node that says so: nothing needs to be recorded further back.
    Zero,
    /// It is this node.
    Given(u32),
}

impl Graph {
    fn clear(&mut self) {
        self.nodes.clear();
        for value in self.values.drain(..).flatten() {
            self.pool.recycle(value.storage);
        }
        self.pool.end_cycle();
        self.bindings.clear();
        self.origins.clear();
        self.numbers = [None; NUMBERS];
        self.differentiated = false;
        self.inference = false;
        self.recording = false;
        self.checked = false;
        self.attributed = None;
        self.hooks.clear();
        self.copies.clear();
        self.rules.clear();
        self.batches.clear();
        self.symbolic = false;
        self.random = Randomness::default();
    }

    /// Forgets the nodes from number `len` on, to which no handle was given out.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.nodes.truncate(len);
        self.values.truncate(len);
        self.hooks.retain(|(node, _)| (*node as usize) < len);
        self.random.truncate(len);
        self.copies.retain(|(node, _)| (*node as usize) < len);
        for number in &mut self.numbers {
            if number.is_some_and(|known| known.index as usize >= len) {
                *number = None;
            }
        }
    }
}

/// A place for the nodes of one tape after another.
#[derive(Default)]
pub(crate) struct Arena {
    generation: Cell<u32>,
    pub graph: RefCell<Graph>,
}

/// The arenas of a thread, and which of them no tape uses.
struct Arenas {
    /// Made by `Box::into_raw` and owned by this table.
    all: Vec<*const Arena>,
    free: Vec<u32>,
}

/// How many arenas of a thread are found by a glance.
const NEAR: usize = 16;

thread_local! {
    static ARENAS: RefCell<Arenas> = const { RefCell::new(Arenas { all: Vec::new(), free: Vec::new() }) };
    /// The first arenas of [`ARENAS`] once more. Every recorded operation looks here, and a thread-local variable without a
    /// destructor is found without asking whether it is still there.
    static NEAREST: [Cell<Option<&'static Arena>>; NEAR] = const { [const { Cell::new(None) }; NEAR] };
}

impl Arenas {
    /// The arena of a slot.
    ///
    /// The reference stays within calls of this crate: it must be kept in nothing that outlives them.
    fn get(&self, slot: u32) -> Option<&'static Arena> {
        let arena = *self.all.get(slot as usize)?;
        // SAFETY: the pointer came from `Box::into_raw`, and only `drop` below frees it: when the thread ends. No call of this
        // crate is under way then that would go on to use the reference: the destructors of thread-local variables run one
        // after another, after everything else that the thread runs.
        Some(unsafe { &*arena })
    }

    /// A slot that no tape uses.
    fn take(&mut self) -> u32 {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        let slot = self.all.len() as u32;
        self.all.push(Box::into_raw(Box::default()));
        NEAREST.with(|nearest| {
            if let Some(near) = nearest.get(slot as usize) {
                near.set(self.get(slot));
            }
        });
        slot
    }
}

impl Drop for Arenas {
    fn drop(&mut self) {
        // From here on no handle leads to an arena: this table is not found any more while it is being dropped.
        NEAREST.with(|nearest| nearest.iter().for_each(|near| near.set(None)));
        for arena in self.all.drain(..) {
            // SAFETY: the pointer came from `Box::into_raw`. If the thread ends by `std::process::exit` in the middle of a call
            // of this crate that has the graph borrowed, the memory stays as it is; any other call has no reference that it
            // will use again, since `exit` does not return.
            unsafe {
                if (*arena).graph.try_borrow_mut().is_ok() {
                    drop(Box::from_raw(arena.cast_mut()));
                }
            }
        }
    }
}

/// A handle of a tape: `Copy`, as its [`Var`](super::Var)s are. It does not keep the tape alive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TapeRef {
    slot: u32,
    generation: u32,
    // The arena belongs to the thread.
    not_send: PhantomData<*const ()>,
}

impl TapeRef {
    /// The arena, if the tape was neither reset nor dropped.
    #[inline]
    pub(crate) fn live(self) -> Option<&'static Arena> {
        self.find()
            .filter(|arena| arena.generation.get() == self.generation)
    }

    /// The arena, whatever generation lives in it; `None` while the thread ends.
    #[inline]
    fn find(self) -> Option<&'static Arena> {
        let near = NEAREST.with(|nearest| nearest.get(self.slot as usize).map(Cell::get));
        near.unwrap_or_else(|| far(self.slot))
    }

    /// The arena; panics at the caller's line if the tape was reset or dropped.
    #[inline]
    #[track_caller]
    pub(crate) fn arena(self, operation: &str) -> &'static Arena {
        match self.live() {
            Some(arena) => arena,
            None => gone(operation),
        }
    }

    /// What the tape holds, to be looked at; panics at the caller's line if the tape was reset or dropped.
    #[inline]
    #[track_caller]
    pub(crate) fn graph(self, operation: &str) -> Ref<'static, Graph> {
        self.arena(operation).graph.borrow()
    }

    /// What the tape holds, to be changed; panics at the caller's line if the tape was reset or dropped.
    #[inline]
    #[track_caller]
    pub(crate) fn graph_mut(self, operation: &str) -> RefMut<'static, Graph> {
        self.arena(operation).graph.borrow_mut()
    }
}

/// An arena that is not among the nearest; `None` while the thread ends.
#[cold]
#[inline(never)]
fn far(slot: u32) -> Option<&'static Arena> {
    ARENAS
        .try_with(|arenas| arenas.borrow().get(slot))
        .ok()
        .flatten()
}

#[cold]
#[inline(never)]
#[track_caller]
fn gone(operation: &str) -> ! {
    panic!("{operation}: the variable's tape was reset or dropped")
}

impl std::fmt::Debug for TapeRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tape {} generation {}", self.slot, self.generation)
    }
}

/// A record of operations on tensors: a program that can be differentiated and run.
///
/// The operations are methods of [`Var`](super::Var); the tape makes the first ones. Dropping or resetting a tape ends the
/// life of its variables: using one afterwards panics.
///
/// ```
/// use wengert::prelude::*;
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0]));
/// let y = (x * x).sum();
/// assert_eq!(y.value().item(), 14.0);
/// assert_eq!(y.gradient(x).value(), Tensor::from([2.0, 4.0, 6.0]));
/// ```
#[derive(Debug)]
pub struct Tape {
    handle: TapeRef,
}

impl Tape {
    /// An empty tape.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let slot = ARENAS.with(|arenas| arenas.borrow_mut().take());
        let mut handle = TapeRef {
            slot,
            generation: 0,
            not_send: PhantomData,
        };
        if let Some(arena) = handle.find() {
            handle.generation = arena.generation.get();
        }
        Tape { handle }
    }

    /// An empty tape of which no gradient will be asked: its leaves are constants, and no value is kept for a backward pass.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::inference();
    /// let x = tape.leaf(&Tensor::from([0.0]));
    /// assert_eq!(x.exp().value(), Tensor::from([1.0]));
    /// ```
    pub fn inference() -> Self {
        let tape = Tape::new();
        tape.handle.graph_mut("inference").inference = true;
        tape
    }

    /// Forgets every node, keeping the memory for the next ones. The variables made so far become invalid. What the tape was set to
    /// do stays: its [`seed`](TapeRef::seed) too, with which the same numbers are drawn again.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let mut tape = Tape::new();
    /// tape.leaf(&Tensor::from([1.0]));
    /// tape.reset();
    /// assert!(tape.is_empty());
    /// ```
    pub fn reset(&mut self) {
        if let Some(arena) = self.handle.live() {
            let graph = arena.graph.borrow();
            let (inference, checked) = (graph.inference, graph.checked);
            let random = graph.random.afresh();
            drop(graph);
            self.handle.generation = retire(arena);
            let mut graph = arena.graph.borrow_mut();
            (graph.inference, graph.checked) = (inference, checked);
            graph.random = random;
        }
    }
}

/// Empties an arena and starts its next generation.
fn retire(arena: &Arena) -> u32 {
    let next = arena.generation.get().wrapping_add(1);
    arena.generation.set(next);
    arena.graph.borrow_mut().clear();
    next
}

impl Drop for Tape {
    fn drop(&mut self) {
        if let Some(arena) = self.handle.live() {
            retire(arena);
            // While the thread ends, the table may be gone already, and the arenas with it.
            let _ = ARENAS.try_with(|arenas| arenas.borrow_mut().free.push(self.handle.slot));
        }
    }
}

impl std::ops::Deref for Tape {
    type Target = TapeRef;
    #[inline]
    fn deref(&self) -> &TapeRef {
        &self.handle
    }
}

impl TapeRef {
    /// The number of nodes recorded.
    #[track_caller]
    pub fn len(self) -> usize {
        self.graph("len").nodes.len()
    }

    /// Whether nothing is recorded.
    #[track_caller]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The most bytes that intermediate values and results took at once since the tape was made or reset.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::inference();
    /// let x = tape.leaf(&Tensor::<f32>::ones([1024]));
    /// x.exp().exp().exp().exp().value();
    /// assert_eq!(tape.peak_bytes(), 4096); // each result overwrites the one before
    /// ```
    #[track_caller]
    pub fn peak_bytes(self) -> usize {
        self.graph("peak_bytes").pool.peak()
    }

    /// Says whether a program is being recorded.
    pub(crate) fn set_recording(self, recording: bool) {
        self.arena("program").graph.borrow_mut().recording = recording;
    }
}

/// Gives buffers back to the memory that the next tape of this thread will start with, as far as nobody else can see them.
pub(crate) fn recycle(storages: impl Iterator<Item = AnyStorage>) {
    // While the thread ends, the table may be gone already; then the buffers go too.
    let _ = ARENAS.try_with(|arenas| {
        let arenas = arenas.borrow();
        if let Some(&slot) = arenas.free.last()
            && let Some(arena) = arenas.get(slot)
            && let Ok(mut graph) = arena.graph.try_borrow_mut()
        {
            storages.for_each(|storage| graph.pool.recycle(storage));
        }
    });
}

/// An element type, as a marker that does not cross threads.
pub(crate) type Marker<T> = PhantomData<(T, *const ())>;

/// A marker of an element type.
pub(crate) const fn marker<T: Element>() -> Marker<T> {
    PhantomData
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn tapes_are_found_however_many_there_are() {
        let tapes: Vec<Tape> = (0..3 * NEAR).map(|_| Tape::new()).collect();
        let leaves: Vec<_> = (0..tapes.len())
            .map(|i| tapes[i].leaf(&Tensor::from([i as f32])))
            .collect();
        for (i, leaf) in leaves.iter().enumerate() {
            assert_eq!((*leaf + 1.0).value(), Tensor::from([i as f32 + 1.0]));
        }
        drop(tapes);
        assert!(leaves.iter().all(|leaf| leaf.tape.live().is_none()));
        // Their places are used again, and the old handles do not lead there.
        let again: Vec<Tape> = (0..3 * NEAR).map(|_| Tape::new()).collect();
        assert!(again.iter().all(|tape| tape.live().is_some()));
        assert!(leaves.iter().all(|leaf| leaf.tape.live().is_none()));
    }

    #[test]
    fn a_handle_that_outlives_the_arenas_of_its_thread_leads_nowhere() {
        struct Late(Cell<Option<(Tape, crate::Var)>>);
        impl Drop for Late {
            fn drop(&mut self) {
                let (tape, x) = self.0.take().expect("set below");
                // Destructors run last made, first dropped: the arenas were made after this.
                assert!(tape.live().is_none());
                let used = catch_unwind(AssertUnwindSafe(|| x + 1.0));
                let message = used.expect_err("the tape is gone");
                let message = message.downcast_ref::<String>().expect("a message");
                assert_eq!(message, "add: the variable's tape was reset or dropped");
                DONE.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        }
        static DONE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
        thread_local!(static LATE: Late = const { Late(Cell::new(None)) });
        let thread = std::thread::spawn(|| {
            LATE.with(|late| late.0.set(None));
            let tape = Tape::new();
            let x = tape.leaf(&Tensor::from([1.0]));
            LATE.with(|late| late.0.set(Some((tape, x))));
        });
        assert!(thread.join().is_ok());
        assert!(DONE.load(std::sync::atomic::Ordering::SeqCst));
    }
}
