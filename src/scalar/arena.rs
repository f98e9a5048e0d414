//! The memory of tapes: slots, nodes, and the sweep. The only place of `unsafe` in this module.
//!
//! A live tape holds one of 128 *slots*. A slot's number belongs to one number type for the whole process (see
//! [`tags`]), and each thread has its own table of slots. A *tag* is a slot's number in its low bits and a
//! generation above, and generations are drawn from one counter of the process: a scalar of a tape that was reset or
//! dropped, or of another thread, does not match the tag in its slot.
//!
//! The tape recorded on last is *attached*: an operation on it looks at a copy of the slot at a fixed address, see
//! [`slots`]. A function of many numbers is a wide node, whose operands are in the nodes before it, see [`wide`]; a
//! [`sweep`] goes back through one sequence of nodes.
//!
//! After 2^24 generations tags repeat. A stale scalar might then match, and its node index mean another node or none at
//! all; so an operation sees to it that its operands are earlier nodes, with the comparison that looks at their tags (see
//! [`slots::below`]), and the sweep relies on that.

mod forward;
mod lent;
mod recording;
mod refusal;
mod side;
mod slots;
mod sweep;
mod tags;
#[cfg(test)]
mod tests;
mod wide;

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::active::Scalar;
use super::real::Real;
use super::table::Binary;
use crate::kernel::stream::ask_for;
use refusal::reused_tag;
pub(super) use refusal::{check_alone, mixed};
pub(super) use side::Rule;
use side::{Call, Special};
pub(super) use slots::id;
use slots::{ATTACHED, Attached, LEVELS, Slot, TABLE, are_below, attach, below, detach};
use sweep::{give, idle};
use tags::{fresh_tag, slot_of, slot_of_type, tag_of};
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

impl<T: Real> Node<T> {
    fn leaf(value: T) -> Self {
        Node {
            operands: [SPECIAL, LEAF],
            first: value,
            second: T::zero(),
        }
    }
}

/// How many bytes ahead of a sweep the memory of nodes is asked for.
const AHEAD: usize = 1152;

/// An arena of a dropped tape: its number type and its slot.
type Idle = (TypeId, usize, Box<dyn Any>);

thread_local! {
    /// Arenas of dropped tapes. They are gone where another thread-local value is dropped after them.
    static FREE: RefCell<Vec<Idle>> = const { RefCell::new(Vec::new()) };
    /// Slots that this thread has taken, by number.
    static TAKEN: Cell<u128> = const { Cell::new(0) };
}

/// Nodes of one tape and what belongs to them.
struct Arena<T: Real> {
    /// How many are recorded is in the slot; the length here only says that so many are initialized.
    nodes: Vec<Node<T>>,
    /// 0 between sweeps.
    adjoints: Vec<T>,
    specials: Vec<Special<T>>,
    calls: Vec<Call<T>>,
    /// The values of the variables that the nodes begin with.
    leaves: Vec<T>,
    /// Buffers of handles, for functions of slices.
    handles: Vec<Vec<Scalar<T>>>,
    /// A buffer for the tangents of a forward sweep.
    buffer: Vec<T>,
    /// Nodes beyond those whose adjoint a sweep does not clear: leaves and watched ones.
    kept: Vec<u32>,
}

impl<T: Real> Arena<T> {
    fn new() -> Self {
        Arena {
            nodes: Vec::new(),
            adjoints: Vec::new(),
            specials: Vec::new(),
            calls: Vec::new(),
            leaves: Vec::new(),
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

/// The place of tapes of `T`: for the time of one call, and not to be kept.
#[inline(always)]
fn attached<T: Real>() -> &'static Attached {
    let places = ATTACHED.with(std::ptr::from_ref);
    // SAFETY: it has no destructor and lives as long as the thread, which the reference does not leave: what it refers to
    // cannot be shared with another thread.
    let places = unsafe { &*places };
    &places[T::LEVEL.min(LEVELS - 1)]
}

/// Records a node of two operands; its index.
#[inline(always)]
#[track_caller]
fn record<T: Real>(operation: &'static str, tag: u32, operands: [u32; 2], partials: [T; 2]) -> u32 {
    let at = attached::<T>();
    if at.tag() != tag || at.next.get() >= at.limit.get() {
        reserve_slowly::<T>(operation, tag, 1);
    }
    Ready(at, PhantomData).record(operands, partials) as u32
}

/// The attached tape, with room for one more node.
pub(super) struct Ready<T>(&'static Attached, PhantomData<T>);

impl<T: Real> Ready<T> {
    /// The attached tape, if both operands are of it, and different nodes: of three comparisons.
    #[inline(always)]
    pub(super) fn for_pair(a: u64, b: u64) -> Option<Self> {
        let at = attached::<T>();
        let next = at.next.get();
        (are_below(below(next, a) & below(next, b)) && a != b && next < at.limit.get())
            .then_some(Ready(at, PhantomData))
    }

    /// Makes ready what is not: the tape is not attached, or has no room. Panics if operands, neither of which is a constant,
    /// are of two tapes.
    #[inline(always)]
    #[track_caller]
    pub(super) fn make(function: Binary, a: u64, b: u64) -> Self {
        // Without a result: what an operation has at hand need not be saved on the usual way.
        make_ready::<T>(function, a, b);
        Ready(attached::<T>(), PhantomData)
    }

    /// Records a node of two operands; tag and node.
    #[inline(always)]
    pub(super) fn record(self, operands: [u32; 2], [first, second]: [T; 2]) -> u64 {
        let next = self.0.next.get();
        // SAFETY: tags are only given to tapes of `T` whose slot is of type `T`, and what is attached under a tag is a copy
        // of that slot: `base` points to room for `capacity` nodes of `T`. There is room for one more, in whichever way this
        // was made.
        unsafe {
            let base = self.0.base.get().cast::<Node<T>>();
            base.add(next as u32 as usize).write(Node {
                operands,
                first,
                second,
            });
        }
        self.0.next.set(next + 1);
        next
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn make_ready<T: Real>(function: Binary, a: u64, b: u64) {
    let [tag, other] = [a, b].map(|id| (id >> 32) as u32);
    if tag != other {
        mixed(function.name(), tag, other);
    }
    reserve_slowly::<T>(function.name(), tag, 1);
    let next = attached::<T>().next.get();
    if !are_below(below(next, a) & below(next, b)) {
        reused_tag(function.name());
    }
}

/// Room for nodes after those of a tape. What is put there is not part of the tape until it is [committed](Room::commit).
struct Room<T> {
    place: *mut Node<T>,
    size: usize,
    filled: usize,
    /// The tag of the tape, and the index of the first node.
    next: u64,
    operation: &'static str,
}

impl<T: Real> Room<T> {
    /// Attaches the tape with this tag, with room for some more nodes.
    #[inline(always)]
    #[track_caller]
    fn reserve(operation: &'static str, tag: u32, size: usize) -> Self {
        let at = attached::<T>();
        if at.tag() != tag || size > (at.capacity() - at.len()) as usize {
            reserve_slowly::<T>(operation, tag, size);
        }
        Room {
            // SAFETY: see `Ready::record`; `len` is at most the capacity.
            place: unsafe { at.base.get().cast::<Node<T>>().add(at.len() as usize) },
            size,
            filled: 0,
            next: at.next.get(),
            operation,
        }
    }

    /// The index of the first node.
    #[inline(always)]
    fn start(&self) -> u32 {
        self.next as u32
    }

    /// Makes nodes part of the tape that are not put here, but are what they are, all among the `initialized` first ones.
    #[track_caller]
    fn commit_any(mut self, count: usize, initialized: usize) {
        assert!(count <= self.size && self.start() as usize + count <= initialized);
        self.filled = count;
        self.commit(0);
    }

    /// Puts a node after those that were put here before.
    #[inline(always)]
    fn put(&mut self, operands: [u32; 2], [first, second]: [T; 2]) {
        self.fill(1, |_| Node {
            operands,
            first,
            second,
        });
    }

    /// Puts nodes after those that were put here before.
    #[inline(always)]
    fn fill(&mut self, count: usize, mut node: impl FnMut(usize) -> Node<T>) {
        assert!(count <= self.size - self.filled);
        // SAFETY: as was just asserted. What computes the partial derivatives may record on tapes of other number types
        // meanwhile; that does not move the nodes of this one.
        let place = unsafe { self.place.add(self.filled) };
        for i in 0..count {
            let node = node(i);
            // SAFETY: as above.
            unsafe { place.add(i).write(node) };
        }
        self.filled += count;
    }

    /// The nodes put here.
    fn nodes(&mut self) -> &mut [Node<T>] {
        // SAFETY: as many were written, and nothing else refers to them: they are not part of the tape.
        unsafe { std::slice::from_raw_parts_mut(self.place, self.filled) }
    }

    /// Makes the nodes part of the tape, of which some are entries of a wide one.
    #[inline(always)]
    #[track_caller]
    fn commit(self, entries: u32) {
        let at = attached::<T>();
        // Partial derivatives of a type that shares the place may have been recorded meanwhile.
        let tag = (self.next >> 32) as u32;
        if at.tag() != tag {
            attach::<T>(self.operation, tag);
        }
        at.commit(self.next + self.filled as u64, entries);
    }
}

/// [`Room::reserve`] where there is no room or the tape is not attached.
#[cold]
#[inline(never)]
#[track_caller]
fn reserve_slowly<T: Real>(operation: &'static str, tag: u32, more: usize) {
    attach::<T>(operation, tag);
    let at = attached::<T>();
    let (len, capacity) = (at.len() as usize, at.capacity());
    if more <= capacity as usize - len {
        return;
    }
    let most = MAX_NODES as usize;
    assert!(
        more <= most - len,
        "{operation}: a tape holds at most 2^32 - 2 nodes"
    );
    detach::<T>();
    let wanted = (u64::from(capacity) * 2).clamp(1024, u64::from(MAX_NODES)) as usize;
    let wanted = wanted.max(len + more);
    TABLE.with(|table| {
        let slot = &table[slot_of(tag)];
        // SAFETY: the arena lives as long as its tag is in the slot, and no other reference to it is held: references
        // are made for the time of one call of this module that runs no foreign code.
        let nodes = unsafe { &mut (*arena::<T>(tag).as_ptr()).nodes };
        // SAFETY: those recorded are initialized, and there is room for them.
        unsafe { nodes.set_len(len.max(nodes.len())) };
        nodes.reserve_exact(wanted - nodes.len());
        slot.base.set(nodes.as_mut_ptr().cast());
        slot.capacity.set(nodes.capacity().min(most) as u32);
    });
    attach::<T>(operation, tag);
}

/// The arena of a live tape. The caller has compared the tag.
fn arena<T: Real>(tag: u32) -> NonNull<Arena<T>> {
    let arena = TABLE.with(|table| table[slot_of(tag)].arena.get());
    match NonNull::new(arena.cast()) {
        Some(arena) => arena,
        None => unreachable!("a slot with a tag has an arena"),
    }
}

impl<T: Real> Hold<T> {
    #[track_caller]
    pub(super) fn new() -> Self {
        let dropped = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            let id = TypeId::of::<T>();
            // The last one is the one whose memory is likely still in the cache.
            let i = free.iter().rposition(|entry| entry.0 == id)?;
            let (_, slot, arena) = free.swap_remove(i);
            Some((slot, arena.downcast::<Arena<T>>().ok()?))
        });
        let (slot, arena) = match dropped {
            Ok(Some(dropped)) => dropped,
            _ => {
                let slot = slot_of_type::<T>(TAKEN.get());
                TAKEN.set(TAKEN.get() | 1 << slot);
                (slot, Box::new(Arena::new()))
            }
        };
        let arena = NonNull::from(Box::leak(arena));
        let hold = Hold {
            arena,
            tag: Cell::new(tag_of(slot, 0)),
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
        TABLE.with(|table| f(&table[slot_of(self.tag.get())]))
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
        // SAFETY: as many nodes are initialized as the slot says, and they stay where they are until more are recorded.
        self.slot(|slot| unsafe {
            std::slice::from_raw_parts(slot.base.get().cast::<Node<T>>(), slot.len.get() as usize)
        })
    }

    /// Forgets all nodes and keeps the memory.
    #[track_caller]
    pub(super) fn reset(&self) {
        check_idle(self);
        let tag = fresh_tag(slot_of(self.tag.get()));
        let arena = self.arena();
        arena.specials.clear();
        let calls = std::mem::take(&mut arena.calls);
        arena.leaves.clear();
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
        let slot = slot_of(self.tag.get());
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
        arena.leaves.clear();
        // In the destructor of another thread-local value the pool may be gone: then the memory is freed.
        if FREE
            .try_with(|free| free.borrow_mut().push((TypeId::of::<T>(), slot, arena)))
            .is_err()
        {
            TAKEN.set(TAKEN.get() & !(1 << slot));
        }
        drop(calls);
    }
}

/// Asks for the memory of nodes that a sweep comes to after this one.
#[inline(always)]
fn ask_ahead<T>(node: *const Node<T>) {
    ask_for(node.cast::<u8>().wrapping_sub(AHEAD), false);
}

/// Goes back over pairs, from the node before `end` on, whose adjoint is given: to the first node, or one that is not a
/// pair. Where it ended, and the adjoint of the node before that.
///
/// If `CHECKED`, an adjoint of 0 goes no further. Else one may that the node after has just written: to look at each costs a branch
/// that is hard to foretell.
#[inline(always)]
fn back_pairs<T: Real, const L: usize, const CHECKED: bool>(
    nodes: &[Node<T>],
    first: usize,
    end: usize,
    mut adjoint: [T; L],
    adjoints: &mut [[T; L]],
) -> (usize, [T; L]) {
    assert!(0 < end && end <= nodes.len() && nodes.len() == adjoints.len());
    let mut k = end - 1;
    // SAFETY: `k` was compared with the length.
    let mut at = unsafe { nodes.as_ptr().add(k) };
    // The operands of the pair at `k`. They come before it, and nothing else looks like that. (An entry of a wide node does, but a
    // sweep comes to the node before.)
    let pair = |at: *const Node<T>, k: usize| {
        ask_ahead(at);
        if k < first {
            return None;
        }
        // SAFETY: `at` is the place of node `k`, and both only decrease.
        let node = unsafe { &*at };
        let [i, j] = node.operands.map(|operand| operand as usize);
        (i < k).then_some((node, i, j))
    };
    'look: loop {
        while idle(adjoint) {
            if pair(at, k).is_none() {
                return (k + 1, adjoint);
            }
            (k, at) = (k - 1, at.wrapping_sub(1));
            // SAFETY: less than what was in range.
            adjoint = unsafe { *adjoints.get_unchecked(k) };
        }
        loop {
            let Some((node, i, j)) = pair(at, k) else {
                return (k + 1, adjoint);
            };
            // SAFETY: the operands of a pair are earlier nodes, as was seen to when it was recorded. (An entry of a wide node, to which
            // only a stale scalar can lead, may also name that node, which is on the tape.)
            let by_first = unsafe {
                *adjoints.get_unchecked_mut(k) = [T::zero(); L];
                let at = adjoints.get_unchecked_mut(i);
                give::<T, L, CHECKED>(at, adjoint, node.first);
                let by_first = *at;
                let at = adjoints.get_unchecked_mut(j);
                give::<T, L, CHECKED>(at, adjoint, node.second);
                adjoint = *at;
                by_first
            };
            (k, at) = (k - 1, at.wrapping_sub(1));
            if j != k {
                adjoint = by_first;
                if i != k {
                    break;
                }
            }
            if CHECKED && idle(adjoint) {
                continue 'look;
            }
        }
        // SAFETY: less than what was in range.
        adjoint = unsafe { *adjoints.get_unchecked(k) };
    }
}

/// Serves the operands of a wide node, which are in the entries before it; the index of the first of them.
#[inline(always)]
fn back_wide<T: Real, const L: usize, const CHECKED: bool>(
    nodes: &[Node<T>],
    k: usize,
    entries: usize,
    adjoint: [T; L],
    adjoints: &mut [[T; L]],
) -> usize {
    let start = k - entries;
    if idle(adjoint) {
        return start;
    }
    // The last ones first, as the whole sweep goes through memory.
    for node in nodes[start..k].iter().rev() {
        ask_ahead(node);
        let (i, j) = (node.operands[0] as usize, node.operands[1] as usize);
        // SAFETY: operands of entries are nodes before them, or `k`, as was seen to when they were recorded.
        unsafe {
            give::<T, L, CHECKED>(adjoints.get_unchecked_mut(i), adjoint, node.first);
            give::<T, L, CHECKED>(adjoints.get_unchecked_mut(j), adjoint, node.second);
        }
    }
    adjoints[k] = [T::zero(); L];
    start
}
