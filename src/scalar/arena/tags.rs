//! Numbers of slots and generations of tags, unique over the process.

use std::any::{TypeId, type_name};
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{SLOT_BITS, SLOTS};

/// How many slots a type of number may have.
const SLOTS_OF_TYPE: usize = SLOTS / 2;

thread_local! {
    /// Unused generations of this thread.
    pub(super) static GENERATIONS: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
}

/// The number type of each slot, the same in all threads.
static TYPES: Mutex<Vec<TypeId>> = Mutex::new(Vec::new());

/// A tag for a slot that no scalar has.
pub(super) fn fresh_tag(slot: usize) -> u32 {
    const BLOCK: u32 = 256;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (mut next, mut end) = GENERATIONS.get();
    if next == end {
        next = NEXT.fetch_add(BLOCK, Ordering::Relaxed);
        end = next.wrapping_add(BLOCK);
    }
    GENERATIONS.set((next.wrapping_add(1), end));
    // Generation 0 would make the tag of slot 0 that of constants.
    if tag_of(0, next) == 0 {
        fresh_tag(slot)
    } else {
        tag_of(slot, next)
    }
}

/// A tag. All are even: no two differ by one, see [`below`](super::slots::below).
pub(super) fn tag_of(slot: usize, generation: u32) -> u32 {
    (generation << SLOT_BITS | slot as u32) << 1
}

/// The slot of a tag.
#[inline(always)]
pub(super) fn slot_of(tag: u32) -> usize {
    (tag >> 1) as usize % SLOTS
}

/// A slot of the type that this thread has not taken.
#[track_caller]
pub(super) fn slot_of_type<T: 'static>(taken: u128) -> usize {
    let mut types = TYPES
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let id = TypeId::of::<T>();
    let known = (0..types.len()).find(|&i| types[i] == id && taken >> i & 1 == 0);
    if let Some(slot) = known {
        return slot;
    }
    // One type must not take what all the others need: a slot stays with its type.
    let of_type = types.iter().filter(|&&other| other == id).count();
    let name = type_name::<T>();
    if of_type == SLOTS_OF_TYPE {
        drop(types);
        panic!("Tape: more than {SLOTS_OF_TYPE} tapes of {name} are alive in a thread");
    }
    if types.len() == SLOTS {
        drop(types);
        panic!(
            "Tape: no room for one more tape of {name}: a process has room for {SLOTS} tapes in a thread, which stays with the types of \
             number that were first to need it"
        );
    }
    types.push(id);
    types.len() - 1
}
