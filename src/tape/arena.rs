//! Tapes, and the arenas that their nodes live in.
//!
//! A handle names an arena by its slot in a table of the thread and carries the generation in which it was made. Arenas are
//! recycled, never freed under a handle, and a handle cannot leave its thread, so it can always be looked at; one of an
//! earlier generation is caught.

use super::node::{Node, SharedShape};
use crate::element::{Dtype, Element};
use crate::kernel::elementwise::Workspace;
use crate::tensor::{AnyStorage, Buffer, Pool};
use std::any::Any;
use std::cell::{Cell, RefCell};
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
    /// Parameters and their leaves.
    pub bindings: Vec<(u64, u32)>,
    /// The shapes recorded last, by a hash of their sizes: most nodes have one of a few. They outlive a reset.
    pub shapes: [Option<SharedShape>; SHAPES],
    /// The numbers recorded last, by a hash of their bits: a loop writes the same ones again and again.
    pub numbers: [Option<(u64, Dtype, u32)>; NUMBERS],
    /// The line that the nodes being recorded are attributed to, if not the caller's: nodes of a gradient belong to the
    /// line of the operation they differentiate.
    pub attributed: Option<&'static Location<'static>>,
    pub pool: Pool,
    pub workspace: Workspace,
    /// What the executor keeps from run to run.
    pub plans: Option<Box<dyn Any>>,
}

/// How many recorded shapes a tape remembers.
pub(super) const SHAPES: usize = 32;

/// How many recorded numbers a tape remembers.
pub(super) const NUMBERS: usize = 8;

impl Graph {
    fn clear(&mut self) {
        self.nodes.clear();
        for value in self.values.drain(..).flatten() {
            self.pool.recycle(value.storage);
        }
        self.pool.end_cycle();
        self.bindings.clear();
        self.numbers = [None; NUMBERS];
        self.differentiated = false;
        self.inference = false;
        self.recording = false;
        self.attributed = None;
    }

    /// Forgets the nodes from number `len` on, to which no handle was given out.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.nodes.truncate(len);
        self.values.truncate(len);
        for number in &mut self.numbers {
            if number.is_some_and(|(_, _, index)| index as usize >= len) {
                *number = None;
            }
        }
    }
}

/// A place for the nodes of one tape after another.
pub(crate) struct Arena {
    generation: Cell<u32>,
    pub graph: RefCell<Graph>,
}

/// The arenas of a thread, and which of them no tape uses.
struct Arenas {
    all: Vec<Rc<Arena>>,
    free: Vec<u32>,
}

thread_local! {
    static ARENAS: RefCell<Arenas> = const { RefCell::new(Arenas { all: Vec::new(), free: Vec::new() }) };
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
    pub(crate) fn live(self) -> Option<Rc<Arena>> {
        let arena = ARENAS.with(|arenas| arenas.borrow().all[self.slot as usize].clone());
        (arena.generation.get() == self.generation).then_some(arena)
    }

    /// The arena; panics at the caller's line if the tape was reset or dropped.
    #[inline]
    #[track_caller]
    pub(crate) fn arena(self, operation: &str) -> Rc<Arena> {
        match self.live() {
            Some(arena) => arena,
            None => panic!("{operation}: the variable's tape was reset or dropped"),
        }
    }
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
        let (slot, arena) = ARENAS.with(|arenas| {
            let mut arenas = arenas.borrow_mut();
            let slot = arenas.free.pop().unwrap_or_else(|| {
                arenas.all.push(Rc::new(Arena {
                    generation: Cell::new(0),
                    graph: RefCell::default(),
                }));
                (arenas.all.len() - 1) as u32
            });
            (slot, arenas.all[slot as usize].clone())
        });
        Tape {
            handle: TapeRef {
                slot,
                generation: arena.generation.get(),
                not_send: PhantomData,
            },
        }
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
        tape.handle.arena("inference").graph.borrow_mut().inference = true;
        tape
    }

    /// Forgets every node, keeping the memory for the next ones. The variables made so far become invalid.
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
            let inference = arena.graph.borrow().inference;
            self.handle.generation = retire(&arena);
            arena.graph.borrow_mut().inference = inference;
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
        // While the thread ends, the table may be gone already, and the arenas with it.
        let _ = ARENAS.try_with(|arenas| {
            let arena = arenas.borrow().all[self.handle.slot as usize].clone();
            retire(&arena);
            arenas.borrow_mut().free.push(self.handle.slot);
        });
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
        self.arena("len").graph.borrow().nodes.len()
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
        self.arena("peak_bytes").graph.borrow().pool.peak()
    }

    /// Says whether a program is being recorded.
    pub(crate) fn set_recording(self, recording: bool) {
        self.arena("program").graph.borrow_mut().recording = recording;
    }

    /// The leaf that a parameter was bound to on this tape.
    pub(crate) fn binding(self, id: u64) -> Option<u32> {
        let arena = self.live()?;
        let graph = arena.graph.borrow();
        graph
            .bindings
            .iter()
            .find(|&&(bound, _)| bound == id)
            .map(|&(_, index)| index)
    }

    /// Binds a parameter to its leaf on this tape.
    #[track_caller]
    pub(crate) fn bind(self, id: u64, index: u32) {
        let arena = self.arena("parameter");
        arena.graph.borrow_mut().bindings.push((id, index));
    }
}

/// Gives buffers back to the memory that the next tape of this thread will start with, as far as nobody else can see them.
pub(crate) fn recycle(storages: impl Iterator<Item = AnyStorage>) {
    // While the thread ends, the table may be gone already; then the buffers go too.
    let _ = ARENAS.try_with(|arenas| {
        let arenas = arenas.borrow();
        if let Some(&slot) = arenas.free.last()
            && let Ok(mut graph) = arenas.all[slot as usize].graph.try_borrow_mut()
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
