//! The memory of tapes: slots, nodes, and the sweep. The only place of `unsafe` in this module.
//!
//! A live tape holds one of 128 *slots*. A slot's number belongs to one number type for the whole process (see
//! [`tags`]), and each thread has its own table of slots. A *tag* is a slot's number in its low bits and a
//! generation above, and generations are drawn from one counter of the process: a scalar of a tape that was reset or
//! dropped, or of another thread, does not match the tag in its slot. That is one comparison, the same that finds the tape.
//!
//! After 2^25 generations tags repeat. A stale scalar might then match, and its node index mean another node or none at
//! all; so the sweep, which already compares indices to tell wide nodes from others, relies on nothing it has not compared.

mod forward;
mod lent;
mod recording;
mod refusal;
mod side;
mod tags;
#[cfg(test)]
mod tests;

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ptr::NonNull;

use super::active::Scalar;
use super::real::Real;
use refusal::{check, reused_tag};
pub(super) use refusal::{check_in_debug, mixed};
pub(super) use side::Rule;
use side::{Call, Side, Special};
use tags::{fresh_tag, slot_of_type};

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

/// What a recording operation reads: kept apart from the arena, at a fixed address in thread-local memory.
struct Slot {
    /// The tag of the live tape; 0 if there is none or it must not grow now.
    tag: Cell<u32>,
    /// Number of nodes.
    len: Cell<u32>,
    /// Number of nodes there is room for.
    capacity: Cell<u32>,
    /// The nodes.
    base: Cell<*mut u8>,
    /// The `Arena<T>`, where `T` is the type of the slot.
    arena: Cell<*mut u8>,
}

impl Slot {
    const fn new() -> Self {
        Slot {
            tag: Cell::new(0),
            len: Cell::new(0),
            capacity: Cell::new(0),
            base: Cell::new(std::ptr::null_mut()),
            arena: Cell::new(std::ptr::null_mut()),
        }
    }
}

/// What is free in a thread: arenas of dropped tapes, with their slots, and unused generations.
struct Free {
    arenas: Vec<(TypeId, usize, Box<dyn Any>)>,
    /// Slots that this thread has taken, by number.
    taken: u128,
}

thread_local! {
    // No destructor and a constant initial value: an access is a load relative to the thread pointer.
    static TABLE: [Slot; SLOTS] = const { [const { Slot::new() }; SLOTS] };
    static FREE: RefCell<Free> = const { RefCell::new(Free { arenas: Vec::new(), taken: 0 }) };
}

/// Nodes of one tape and what belongs to them.
struct Arena<T> {
    /// Only its capacity is used: the number of nodes is in the slot.
    nodes: Vec<Node<T>>,
    /// 0 between sweeps.
    adjoints: Vec<T>,
    specials: Vec<Special<T>>,
    operands: Vec<u32>,
    partials: Vec<T>,
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
            operands: Vec::new(),
            partials: Vec::new(),
            calls: Vec::new(),
            leaves: 0,
            handles: Vec::new(),
            buffer: Vec::new(),
            kept: Vec::new(),
        }
    }
}

/// A node of the sweep's start: its index, and the adjoint.
pub(super) type Seed<T> = (u32, T);

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

/// Appends a pair, if `tag` is that of a live tape with room for it.
#[inline(always)]
fn append<T: Real>(tag: u32, operands: [u32; 2], [first, second]: [T; 2]) -> Option<u32> {
    TABLE.with(|table| {
        let slot = &table[tag as usize % SLOTS];
        let len = slot.len.get();
        if slot.tag.get() != tag || len >= slot.capacity.get() {
            return None;
        }
        // SAFETY: tags are only given to tapes of `T` whose slot is of type `T`, so `base` points to room for
        // `capacity` nodes of `T`, of which `len` is in range.
        unsafe {
            let node = slot.base.get().cast::<Node<T>>().add(len as usize);
            node.write(Node {
                operands,
                first,
                second,
            });
        }
        slot.len.set(len + 1);
        Some(len)
    })
}

/// Records an operation of two operands; the index of its node.
#[inline(always)]
#[track_caller]
pub(super) fn record<T: Real>(
    operation: &'static str,
    tag: u32,
    operands: [u32; 2],
    partials: [T; 2],
) -> u32 {
    match append(tag, operands, partials) {
        Some(node) => node,
        None => {
            let ([i, j], [first, second]) = (operands, partials);
            record_slowly(operation, tag, i, j, first, second)
        }
    }
}

/// [`record`] where there is no room or no tape.
#[cold]
#[inline(never)]
#[track_caller]
fn record_slowly<T: Real>(
    operation: &'static str,
    tag: u32,
    i: u32,
    j: u32,
    first: T,
    second: T,
) -> u32 {
    check(operation, tag);
    grow::<T>(operation, tag);
    match append(tag, [i, j], [first, second]) {
        Some(node) => node,
        None => unreachable!("a slot that has grown has room"),
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

/// Makes room for more nodes.
#[track_caller]
fn grow<T: Real>(operation: &'static str, tag: u32) {
    TABLE.with(|table| {
        let slot = &table[tag as usize % SLOTS];
        let (len, capacity) = (slot.len.get(), slot.capacity.get());
        assert!(
            capacity < MAX_NODES,
            "{operation}: a tape holds at most 2^32 - 2 nodes"
        );
        let wanted = (u64::from(capacity) * 2).clamp(1024, u64::from(MAX_NODES)) as usize;
        // SAFETY: the arena lives as long as its tag is in the slot, and no other reference to it is held: references
        // are made for the time of one call of this file that runs no foreign code.
        let nodes = unsafe { &mut (*arena::<T>(tag).as_ptr()).nodes };
        // SAFETY: the first `len` nodes are written, and `len <= capacity`. The length is only set for the time of the
        // reallocation, which copies that many.
        unsafe { nodes.set_len(len as usize) };
        nodes.reserve_exact(wanted - len as usize);
        slot.base.set(nodes.as_mut_ptr().cast());
        slot.capacity
            .set(nodes.capacity().min(MAX_NODES as usize) as u32);
        nodes.clear();
    });
}

/// Records an operation of many operands: node, and the weight that its value's handle has. `terms` gives the tag, the
/// node and the partial derivative of `K` at a time; tags of constants are 0.
#[inline]
#[track_caller]
pub(super) fn record_wide<T: Real, const K: usize>(
    operation: &'static str,
    n: usize,
    terms: impl Fn(usize) -> [(u32, u32, T); K],
) -> Option<(u32, u32, T)> {
    let mut tags = (0..n).flat_map(|i| terms(i).map(|term| term.0));
    let tag = tags.find(|&tag| tag != 0)?;
    check(operation, tag);
    // SAFETY: as in `grow`; `terms` reads scalars of this crate and computes with `T`, which never records on a tape of `T`.
    let arena = unsafe { &mut *arena::<T>(tag).as_ptr() };
    let start = arena.operands.len();
    arena.operands.reserve(n * K);
    arena.partials.reserve(n * K);
    let operands = arena.operands.spare_capacity_mut().as_mut_ptr();
    let partials = arena.partials.spare_capacity_mut().as_mut_ptr();
    // Without a branch for each term: what differs is looked at afterwards.
    let mut differing = 0;
    for i in 0..n {
        for (k, (other, node, partial)) in terms(i).into_iter().enumerate() {
            differing |= other ^ tag;
            // SAFETY: room for `n * K` more was reserved.
            unsafe {
                let operand = if other == tag { node } else { SPECIAL };
                operands.add(i * K + k).cast::<u32>().write(operand);
                partials.add(i * K + k).cast::<T>().write(partial);
            }
        }
    }
    if differing != 0 {
        for i in 0..n {
            for (other, ..) in terms(i) {
                if other != tag && other != 0 {
                    mixed(operation, tag, other);
                }
            }
        }
    }
    // SAFETY: as many were written.
    unsafe {
        arena.operands.set_len(start + n * K);
        arena.partials.set_len(start + n * K);
    }
    if differing != 0 {
        let mut to = start;
        for from in start..start + n * K {
            if arena.operands[from] != SPECIAL {
                arena.operands[to] = arena.operands[from];
                arena.partials[to] = arena.partials[from];
                to += 1;
            }
        }
        arena.operands.truncate(to);
        arena.partials.truncate(to);
    }
    let end = arena.operands.len();
    if end - start > 2 {
        let special = arena.specials.len() as u32;
        arena.specials.push(Special::Wide { start, end });
        let node = record(operation, tag, [SPECIAL, special], [T::zero(); 2]);
        return Some((tag, node, T::one()));
    }
    let (node, weight) = (arena.operands[start], arena.partials[start]);
    let second = (end - start == 2).then(|| (arena.operands[start + 1], arena.partials[start + 1]));
    arena.operands.truncate(start);
    arena.partials.truncate(start);
    match second {
        None => Some((tag, node, weight)),
        Some((other, partial)) if other == node => Some((tag, node, weight + partial)),
        Some((other, partial)) => {
            let node = record(operation, tag, [node, other], [weight, partial]);
            Some((tag, node, T::one()))
        }
    }
}

/// Sets the tag of a slot aside during a sweep, so that nothing is recorded under it.
struct Sweeping<'a>(&'a Slot, u32);

impl Drop for Sweeping<'_> {
    fn drop(&mut self) {
        self.0.tag.set(self.1);
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

    fn slot<R>(&self, f: impl FnOnce(&Slot) -> R) -> R {
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
        arena.operands.clear();
        arena.partials.clear();
        let calls = std::mem::take(&mut arena.calls);
        arena.leaves = 0;
        arena.kept.clear();
        self.tag.set(tag);
        self.slot(|slot| {
            slot.tag.set(tag);
            slot.len.set(0);
        });
        // What rules own is dropped last: it may be anything.
        drop(calls);
    }

    pub(super) fn nodes(&self) -> usize {
        self.slot(|slot| slot.len.get() as usize)
    }

    /// Sweeps back from the seeds, and lets `read` have the adjoints of variables and watched results.
    #[track_caller]
    pub(super) fn sweep<R>(
        &self,
        seeds: impl Iterator<Item = Seed<T>>,
        read: impl FnOnce(&[T]) -> R,
    ) -> R {
        check_idle(self);
        // Taken out, so that adjoints of a sweep that breaks off are not seen by the next.
        let mut adjoints = std::mem::take(&mut self.arena().adjoints);
        let len = self.nodes();
        if adjoints.len() < len {
            adjoints.resize(len, T::zero());
        }
        self.start(seeds, &mut adjoints[..len]);
        let result = read(&adjoints);
        let arena = self.arena();
        adjoints[..arena.leaves as usize].fill(T::zero());
        for &node in &arena.kept {
            adjoints[node as usize] = T::zero();
        }
        arena.adjoints = adjoints;
        result
    }

    #[track_caller]
    fn start(&self, seeds: impl Iterator<Item = Seed<T>>, adjoints: &mut [T]) {
        let mut top = 0;
        for (node, adjoint) in seeds {
            match adjoints.get_mut(node as usize) {
                Some(at) => *at += adjoint,
                None => reused_tag(),
            }
            top = top.max(node);
        }
        self.back(top, adjoints);
    }

    fn back(&self, top: u32, adjoints: &mut [T]) {
        let len = self.nodes();
        if top as usize >= len {
            return;
        }
        let first = self.arena().leaves;
        TABLE.with(|table| {
            let slot = &table[self.tag.get() as usize % SLOTS];
            slot.tag.set(0);
            let _sweeping = Sweeping(slot, self.tag.get());
            let side = Borrowed::take(self);
            let mut scratch = Vec::new();
            // Nothing is recorded while the tag is set aside.
            let nodes = self.written();
            let adjoints = &mut adjoints[..len];
            for k in (first..top + 1).rev() {
                // SAFETY: `k <= top < len`.
                let (node, adjoint) = unsafe {
                    (
                        nodes.get_unchecked(k as usize),
                        *adjoints.get_unchecked(k as usize),
                    )
                };
                let [i, j] = node.operands;
                // One comparison: a pair, and of earlier nodes.
                if i.max(j) < k {
                    // What the result does not depend on must not turn an infinite partial into a NaN.
                    if adjoint.is_exactly_zero() {
                        continue;
                    }
                    // SAFETY: `i`, `j` and `k` are below `len`.
                    unsafe {
                        *adjoints.get_unchecked_mut(k as usize) = T::zero();
                        let at = adjoints.get_unchecked_mut(i as usize);
                        *at += adjoint * node.first;
                        let at = adjoints.get_unchecked_mut(j as usize);
                        *at += adjoint * node.second;
                    }
                } else {
                    side.side.back(k, node, adjoints, &mut scratch);
                }
            }
        });
    }
}

/// Gives the [`Side`] back, also if a rule panics.
struct Borrowed<'a, T: Real> {
    hold: &'a Hold<T>,
    side: Side<T>,
}

impl<'a, T: Real> Borrowed<'a, T> {
    fn take(hold: &'a Hold<T>) -> Self {
        let arena = hold.arena();
        let side = Side {
            specials: std::mem::take(&mut arena.specials),
            operands: std::mem::take(&mut arena.operands),
            partials: std::mem::take(&mut arena.partials),
            calls: std::mem::take(&mut arena.calls),
        };
        Borrowed { hold, side }
    }
}

impl<T: Real> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        let arena = self.hold.arena();
        arena.specials = std::mem::take(&mut self.side.specials);
        arena.operands = std::mem::take(&mut self.side.operands);
        arena.partials = std::mem::take(&mut self.side.partials);
        arena.calls = std::mem::take(&mut self.side.calls);
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
            slot.capacity.set(0);
            slot.base.set(std::ptr::null_mut());
            slot.arena.set(std::ptr::null_mut());
        });
        // SAFETY: made from a box in `new`, and the slot no longer points to it.
        let mut arena = unsafe { Box::from_raw(self.arena.as_ptr()) };
        let calls = std::mem::take(&mut arena.calls);
        arena.specials.clear();
        arena.operands.clear();
        arena.partials.clear();
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
