//! The memory of tapes: slots, nodes, and the sweep. The only place of `unsafe` in this module.
//!
//! A live tape holds one of 128 *slots*. A slot's number belongs to one number type for the whole process (see
//! [`tags`]), and each thread has its own table of slots. A *tag* is a slot's number in its low bits and a
//! generation above, and generations are drawn from one counter of the process: a scalar of a tape that was reset or
//! dropped, or of another thread, does not match the tag in its slot.
//!
//! The tape recorded on last is *attached*: an operation on it looks at a copy of the slot at a fixed address, see
//! [`recorder`]. A function of many numbers is a wide node, whose operands are in the nodes before it, see [`wide`]; a
//! [`sweep`] goes back through one sequence of nodes.
//!
//! After 2^25 generations tags repeat. A stale scalar might then match, and its node index mean another node or none at
//! all; so the sweep, which already compares indices to tell wide nodes from others, relies on nothing it has not compared.

mod forward;
mod lent;
mod recorder;
mod recording;
mod refusal;
mod side;
mod sweep;
mod tags;
#[cfg(test)]
mod tests;
mod wide;

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ptr::NonNull;

use super::active::Scalar;
use super::real::Real;
pub(super) use recorder::{Ready, id};
use recorder::{Slot, TABLE, attach, attached, detach};
pub(super) use refusal::{check_in_debug, mixed};
pub(super) use side::Rule;
use side::{Call, Special};
use tags::{fresh_tag, slot_of_type};
pub(super) use wide::{Recorded, record_wide};

/// How many bits of a tag are the slot.
const SLOT_BITS: u32 = 7;
/// How many slots there are.
const SLOTS: usize = 1 << SLOT_BITS;
/// The largest number of nodes.
const MAX_NODES: u32 = u32::MAX - 1;

/// The first operand of a node that is not a pair.
const SPECIAL: u32 = u32::MAX;
/// The second operand of a variable.
const LEAF: u32 = u32::MAX;
/// The first operand of a wide node. As many nodes before it as the second says are its *entries*: two operands each.
const WIDE: u32 = u32::MAX - 1;

/// A recorded operation: two operands and the partial derivatives by them.
#[derive(Clone, Copy)]
struct Node<T> {
    /// Two earlier nodes; or [`SPECIAL`], and [`LEAF`] or an index of [`Arena::specials`].
    operands: [u32; 2],
    /// The partial derivative by the first; of a leaf, its value.
    first: T,
    /// The partial derivative by the second.
    second: T,
}

/// What is free in a thread: arenas of dropped tapes, with their slots, and unused generations.
struct Free {
    arenas: Vec<(TypeId, usize, Box<dyn Any>)>,
    /// Slots that this thread has taken, by number.
    taken: u128,
}

thread_local! {
    static FREE: RefCell<Free> = const { RefCell::new(Free { arenas: Vec::new(), taken: 0 }) };
}

/// Nodes of one tape and what belongs to them.
struct Arena<T> {
    /// Only its capacity is used: the number of nodes is in the slot.
    nodes: Vec<Node<T>>,
    /// 0 between sweeps.
    adjoints: Vec<T>,
    specials: Vec<Special<T>>,
    calls: Vec<Call<T>>,
    /// How many nodes from the first on are leaves.
    leaves: u32,
    /// Buffers of handles, for functions of slices.
    handles: Vec<Vec<Scalar<T>>>,
    /// A buffer for the tangents of a forward sweep.
    buffer: Vec<T>,
    /// Nodes beyond those whose adjoint a sweep does not clear: leaves and watched ones.
    kept: Vec<u32>,
}

impl<T> Arena<T> {
    fn new() -> Self {
        Arena {
            nodes: Vec::new(),
            adjoints: Vec::new(),
            specials: Vec::new(),
            calls: Vec::new(),
            leaves: 0,
            handles: Vec::new(),
            buffer: Vec::new(),
            kept: Vec::new(),
        }
    }
}

/// A live tape's hold on its slot.
pub(super) struct Hold<T: Real> {
    arena: NonNull<Arena<T>>,
    tag: Cell<u32>,
}

impl<T: Real> fmt::Debug for Hold<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("tag", &self.tag.get())
            .finish()
    }
}

/// The arena of a live tape. The caller has compared the tag.
fn arena<T: Real>(tag: u32) -> NonNull<Arena<T>> {
    let arena = TABLE.with(|table| table[tag as usize % SLOTS].arena.get());
    match NonNull::new(arena.cast()) {
        Some(arena) => arena,
        None => unreachable!("a slot with a tag has an arena"),
    }
}

impl<T: Real> Hold<T> {
    #[track_caller]
    pub(super) fn new() -> Self {
        let dropped = FREE.with_borrow_mut(|free| {
            let id = TypeId::of::<T>();
            // The last one is the one whose memory is likely still in the cache.
            let i = free.arenas.iter().rposition(|entry| entry.0 == id)?;
            let (_, slot, arena) = free.arenas.swap_remove(i);
            Some((slot, arena.downcast::<Arena<T>>().ok()?))
        });
        let (slot, arena) = match dropped {
            Some(dropped) => dropped,
            None => {
                let slot = slot_of_type::<T>(FREE.with_borrow(|free| free.taken));
                FREE.with_borrow_mut(|free| free.taken |= 1 << slot);
                (slot, Box::new(Arena::new()))
            }
        };
        let arena = NonNull::from(Box::leak(arena));
        let hold = Hold {
            arena,
            tag: Cell::new(slot as u32),
        };
        TABLE.with(|table| {
            let slot = &table[slot];
            slot.arena.set(arena.as_ptr().cast());
            // SAFETY: just made from a box, and referred to by nothing else.
            let nodes = unsafe { &mut (*arena.as_ptr()).nodes };
            slot.base.set(nodes.as_mut_ptr().cast());
            slot.capacity
                .set(nodes.capacity().min(MAX_NODES as usize) as u32);
        });
        hold.reset();
        hold
    }

    pub(super) fn tag(&self) -> u32 {
        self.tag.get()
    }

    /// Panics unless a scalar with this tag is one of this tape's.
    #[inline]
    #[track_caller]
    pub(super) fn own(&self, operation: &'static str, tag: u32) {
        if tag != self.tag.get() {
            mixed(operation, self.tag.get(), tag);
        }
    }

    /// The slot, with the tape detached.
    fn slot<R>(&self, f: impl FnOnce(&Slot) -> R) -> R {
        if attached::<T>().tag() == self.tag.get() {
            detach::<T>();
        }
        TABLE.with(|table| f(&table[self.tag.get() as usize % SLOTS]))
    }

    /// The arena. Not to be held over anything that records.
    #[allow(clippy::mut_from_ref)]
    fn arena(&self) -> &mut Arena<T> {
        // SAFETY: the tape owns the arena until it is dropped, it is used by one thread, and no function of this file
        // holds such a reference while another one is made: none of them runs foreign code meanwhile. (The rules that a
        // sweep calls are that; it takes what it needs out of the arena first.)
        unsafe { &mut *self.arena.as_ptr() }
    }

    /// The nodes recorded. Not to be held over anything that records.
    fn written(&self) -> &[Node<T>] {
        // SAFETY: as many nodes are written as the slot says, and they stay where they are until more are recorded.
        self.slot(|slot| unsafe {
            std::slice::from_raw_parts(slot.base.get().cast::<Node<T>>(), slot.len.get() as usize)
        })
    }

    /// Forgets all nodes and keeps the memory.
    #[track_caller]
    pub(super) fn reset(&self) {
        check_idle(self);
        let tag = fresh_tag(self.tag.get() as usize % SLOTS);
        let arena = self.arena();
        arena.specials.clear();
        let calls = std::mem::take(&mut arena.calls);
        arena.leaves = 0;
        arena.kept.clear();
        self.slot(|slot| {
            slot.tag.set(tag);
            slot.len.set(0);
            slot.entries.set(0);
        });
        self.tag.set(tag);
        attach::<T>("reset", tag);
        // What rules own is dropped last: it may be anything.
        drop(calls);
    }

    /// The number of nodes, where a wide one counts as one.
    pub(super) fn nodes(&self) -> usize {
        self.slot(|slot| (slot.len.get() - slot.entries.get()) as usize)
    }

    fn len(&self) -> usize {
        self.slot(|slot| slot.len.get() as usize)
    }
}

/// Panics in the middle of a sweep of the tape.
#[track_caller]
fn check_idle<T: Real>(hold: &Hold<T>) {
    let busy = hold.slot(|slot| slot.tag.get() == 0 && slot.len.get() != 0);
    assert!(
        !busy,
        "Tape: used by a rule in the middle of the tape's own sweep"
    );
}

impl<T: Real> Drop for Hold<T> {
    fn drop(&mut self) {
        let slot = self.tag.get() as usize % SLOTS;
        self.slot(|slot| {
            slot.tag.set(0);
            slot.len.set(0);
            slot.entries.set(0);
            slot.capacity.set(0);
            slot.base.set(std::ptr::null_mut());
            slot.arena.set(std::ptr::null_mut());
        });
        // SAFETY: made from a box in `new`, and the slot no longer points to it.
        let mut arena = unsafe { Box::from_raw(self.arena.as_ptr()) };
        let calls = std::mem::take(&mut arena.calls);
        arena.specials.clear();
        arena.kept.clear();
        arena.leaves = 0;
        // In the destructor of another thread-local value the pool may be gone: then the memory is freed.
        let _ = FREE.try_with(|free| {
            free.borrow_mut()
                .arenas
                .push((TypeId::of::<T>(), slot, arena));
        });
        drop(calls);
    }
}
