//! Where the numbers of tapes are.
//!
//! The tape that was recorded on last is *attached*: its tag, its number of nodes and their place are at a fixed address of
//! thread-local memory, and an operation looks at nothing else. The numbers of an attached tape's slot are out of date until
//! it is [detached](detach), which whoever looks at a slot does first. Number types that nest have places of their own, since
//! an operation of the outer one records on tapes of both.

use std::cell::Cell;

use super::super::real::Real;
use super::refusal::check;
use super::tags::slot_of;
use super::{SLOTS, attached};

/// Where a live tape's numbers are while another one is recorded on.
pub(super) struct Slot {
    /// The tag of the live tape; 0 if there is none or it must not grow now.
    pub(super) tag: Cell<u32>,
    /// Number of nodes.
    pub(super) len: Cell<u32>,
    /// How many of them are entries of wide nodes.
    pub(super) entries: Cell<u32>,
    /// Number of nodes there is room for.
    pub(super) capacity: Cell<u32>,
    /// The nodes.
    pub(super) base: Cell<*mut u8>,
    /// The `Arena<T>`, where `T` is the type of the slot.
    pub(super) arena: Cell<*mut u8>,
}

impl Slot {
    const fn new() -> Self {
        Slot {
            tag: Cell::new(0),
            len: Cell::new(0),
            entries: Cell::new(0),
            capacity: Cell::new(0),
            base: Cell::new(std::ptr::null_mut()),
            arena: Cell::new(std::ptr::null_mut()),
        }
    }
}

/// A copy of a slot that is ahead of it.
pub(super) struct Attached {
    /// The tag above, the number of nodes below; 0 if no tape is attached.
    pub(super) next: Cell<u64>,
    /// The tag above, the number of nodes there is room for below; 0 likewise.
    pub(super) limit: Cell<u64>,
    entries: Cell<u32>,
    pub(super) base: Cell<*mut u8>,
}

impl Attached {
    const fn new() -> Self {
        Attached {
            next: Cell::new(0),
            limit: Cell::new(0),
            entries: Cell::new(0),
            base: Cell::new(std::ptr::null_mut()),
        }
    }

    /// The tag of the tape; 0 if there is none.
    #[inline(always)]
    pub(super) fn tag(&self) -> u32 {
        (self.next.get() >> 32) as u32
    }

    #[inline(always)]
    pub(super) fn len(&self) -> u32 {
        self.next.get() as u32
    }

    #[inline(always)]
    pub(super) fn capacity(&self) -> u32 {
        self.limit.get() as u32
    }

    /// Makes nodes that are written part of the tape, of which some are entries of wide ones.
    #[inline(always)]
    pub(super) fn commit(&self, next: u64, entries: u32) {
        self.next.set(next);
        self.entries.set(self.entries.get() + entries);
    }
}

/// A tag and a node in one number.
#[inline(always)]
pub(in crate::scalar) fn id(tag: u32, node: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(node)
}

/// Of a node of the tape whose next node this is, a number whose upper half is all ones; of anything else, another one.
///
/// The upper half of the difference is that of the tags, less one if the lower half borrows. It is -1 if the tags are equal and the node
/// is lower, or if the tags differ by one; but all tags are even.
#[inline(always)]
pub(super) fn below(next: u64, id: u64) -> u64 {
    id.wrapping_sub(next)
}

/// Whether all were nodes of the tape, of which this is what [`below`] said, joined by "and".
#[inline(always)]
pub(super) fn are_below(joined: u64) -> bool {
    joined >= !u64::from(u32::MAX)
}

/// Levels of nesting with a place of their own; deeper ones share the last.
pub(super) const LEVELS: usize = 4;

thread_local! {
    // No destructors and constant initial values: an access is a load relative to the thread pointer.
    pub(super) static TABLE: [Slot; SLOTS] = const { [const { Slot::new() }; SLOTS] };
    pub(super) static ATTACHED: [Attached; LEVELS] = const { [const { Attached::new() }; LEVELS] };
}

/// Brings the slot of the tape attached in the place of `T` up to date, and leaves the place empty.
pub(super) fn detach<T: Real>() {
    let at = attached::<T>();
    let tag = at.tag();
    if tag == 0 {
        return;
    }
    TABLE.with(|table| {
        let slot = &table[slot_of(tag)];
        slot.len.set(at.len());
        slot.entries.set(at.entries.get());
    });
    at.next.set(0);
    at.limit.set(0);
}

/// Attaches the live tape with this tag.
#[track_caller]
pub(super) fn attach<T: Real>(operation: &'static str, tag: u32) {
    check(operation, tag);
    detach::<T>();
    let at = attached::<T>();
    TABLE.with(|table| {
        let slot = &table[slot_of(tag)];
        at.next.set(id(tag, slot.len.get()));
        at.limit.set(id(tag, slot.capacity.get()));
        at.entries.set(slot.entries.get());
        at.base.set(slot.base.get());
    });
}
