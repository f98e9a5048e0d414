//! What an operation on scalars appends to.
//!
//! The tape that was recorded on last is *attached*: its tag, its number of nodes and their place are at a fixed address of
//! thread-local memory, and an operation looks at nothing else. The numbers of an attached tape's slot are out of date until
//! it is [detached](detach), which whoever looks at a slot does first. Number types that nest have places of their own, since
//! an operation of the outer one records on tapes of both.

use std::cell::Cell;
use std::marker::PhantomData;

use super::super::real::Real;
use super::super::table::Binary;
use super::refusal::{check, mixed};
use super::{MAX_NODES, Node, SLOTS, arena};

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
    next: Cell<u64>,
    /// The tag above, the number of nodes there is room for below; 0 likewise.
    limit: Cell<u64>,
    entries: Cell<u32>,
    base: Cell<*mut u8>,
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
    fn len(&self) -> u32 {
        self.next.get() as u32
    }

    #[inline(always)]
    fn capacity(&self) -> u32 {
        self.limit.get() as u32
    }

    /// Where the node goes that is the next one.
    #[inline(always)]
    fn place<T>(&self, next: u64) -> *mut Node<T> {
        // SAFETY: tags are only given to tapes of `T` whose slot is of type `T`, and what is attached under a tag is a copy
        // of that slot: `base` points to room for `capacity` nodes of `T`, and `len` is at most that.
        unsafe { self.base.get().cast::<Node<T>>().add(next as u32 as usize) }
    }

    /// Makes nodes that are written part of the tape, of which some are entries of wide ones.
    #[inline(always)]
    pub(super) fn commit(&self, len: u32, entries: u32) {
        self.next.set(id(self.tag(), len));
        self.entries.set(self.entries.get() + entries);
    }
}

/// A tag and a node in one number.
#[inline(always)]
pub(in crate::scalar) fn id(tag: u32, node: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(node)
}

/// Levels of nesting with a place of their own; deeper ones share the last.
const LEVELS: usize = 4;

thread_local! {
    // No destructors and constant initial values: an access is a load relative to the thread pointer.
    pub(super) static TABLE: [Slot; SLOTS] = const { [const { Slot::new() }; SLOTS] };
    static ATTACHED: [Attached; LEVELS] = const { [const { Attached::new() }; LEVELS] };
}

/// The place of tapes of `T`: for the time of one call, and not to be kept.
#[inline(always)]
pub(super) fn attached<T: Real>() -> &'static Attached {
    let places = ATTACHED.with(std::ptr::from_ref);
    // SAFETY: it has no destructor and lives as long as the thread, which the reference does not leave: what it refers to
    // cannot be shared with another thread.
    let places = unsafe { &*places };
    &places[T::LEVEL.min(LEVELS - 1)]
}

/// Brings the slot of the tape attached in the place of `T` up to date, and leaves the place empty.
pub(super) fn detach<T: Real>() {
    let at = attached::<T>();
    let tag = at.tag();
    if tag == 0 {
        return;
    }
    TABLE.with(|table| {
        let slot = &table[tag as usize % SLOTS];
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
        let slot = &table[tag as usize % SLOTS];
        at.next.set(id(tag, slot.len.get()));
        at.limit.set(id(tag, slot.capacity.get()));
        at.entries.set(slot.entries.get());
        at.base.set(slot.base.get());
    });
}

/// Records a node of two operands; its index.
#[inline(always)]
#[track_caller]
pub(super) fn record<T: Real>(
    operation: &'static str,
    tag: u32,
    operands: [u32; 2],
    partials: [T; 2],
) -> u32 {
    let at = attached::<T>();
    if at.tag() != tag || at.next.get() >= at.limit.get() {
        reserve_slowly::<T>(operation, tag, 1);
    }
    Ready(at, PhantomData).record(operands, partials) as u32
}

/// The attached tape, with room for one more node.
pub(in crate::scalar) struct Ready<T>(&'static Attached, PhantomData<T>);

impl<T: Real> Ready<T> {
    /// The attached tape, if both operands are of it, and different nodes: of three comparisons.
    #[inline(always)]
    pub(in crate::scalar) fn for_pair(a: u64, b: u64) -> Option<Self> {
        let at = attached::<T>();
        let next = at.next.get();
        let foreign = ((a ^ next) | (b ^ next)) >> 32 != 0;
        (!foreign && a != b && next < at.limit.get()).then_some(Ready(at, PhantomData))
    }

    /// Makes ready what is not: the tape is not attached, or has no room. Panics if operands, neither of which is a constant,
    /// are of two tapes.
    #[inline(always)]
    #[track_caller]
    pub(in crate::scalar) fn make(function: Binary, a: u64, b: u64) -> Self {
        // Without a result: what an operation has at hand need not be saved on the usual way.
        make_ready::<T>(function, a, b);
        Ready(attached::<T>(), PhantomData)
    }

    /// Records a node of two operands; tag and node.
    #[inline(always)]
    pub(in crate::scalar) fn record(self, operands: [u32; 2], [first, second]: [T; 2]) -> u64 {
        let next = self.0.next.get();
        // SAFETY: there is room for one more node, in whichever way this was made.
        unsafe {
            self.0.place::<T>(next).write(Node {
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
    let (a, b) = ((a >> 32) as u32, (b >> 32) as u32);
    if a != b {
        mixed(function.name(), a, b);
    }
    reserve_slowly::<T>(function.name(), a, 1);
}

/// Attaches the tape with this tag, with room for some more nodes. The number of nodes, and the place of the next one.
#[inline(always)]
#[track_caller]
pub(super) fn reserve<T: Real>(
    operation: &'static str,
    tag: u32,
    more: usize,
) -> (u32, *mut Node<T>) {
    let at = attached::<T>();
    let room = (at.capacity() - at.len()) as usize;
    if at.tag() != tag || more > room {
        reserve_slowly::<T>(operation, tag, more);
    }
    (at.len(), at.place(at.next.get()))
}

/// [`reserve`] where there is no room or the tape is not attached.
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
        let slot = &table[tag as usize % SLOTS];
        // SAFETY: the arena lives as long as its tag is in the slot, and no other reference to it is held: references
        // are made for the time of one call of this module that runs no foreign code.
        let nodes = unsafe { &mut (*arena::<T>(tag).as_ptr()).nodes };
        // SAFETY: the first `len` nodes are written, and `len <= capacity`. The length is only set for the time of the
        // reallocation, which copies that many.
        unsafe { nodes.set_len(len) };
        nodes.reserve_exact(wanted - len);
        slot.base.set(nodes.as_mut_ptr().cast());
        slot.capacity.set(nodes.capacity().min(most) as u32);
        nodes.clear();
    });
    attach::<T>(operation, tag);
}
