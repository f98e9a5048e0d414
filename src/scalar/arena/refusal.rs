//! Scalars that an operation must not use: what is checked, and what the panics say.

use super::super::real::Real;
use super::super::table::Name;
use super::tags::slot_of;
use super::{TABLE, attached};

/// Panics unless `tag` is that of a live tape of this thread that may grow.
#[inline(always)]
#[track_caller]
pub(in crate::scalar) fn check(operation: &'static str, tag: u32) {
    if !TABLE.with(|table| table[slot_of(tag)].tag.get() == tag) {
        stale(operation, tag);
    }
}

/// Panics unless `tag` is 0, that of a constant, or that of a live tape: where nothing is recorded and the tape is not needed.
///
/// A scalar of the attached tape is told by one comparison. The rest is out of line and takes few arguments, so that functions around
/// it stay small enough to be put in line.
#[inline(always)]
#[track_caller]
pub(in crate::scalar) fn check_alone<T: Real>(operation: Name, tag: u32) {
    if attached::<T>().tag() != tag {
        check_slowly(operation, tag);
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn check_slowly(operation: Name, tag: u32) {
    if tag != 0 {
        check(operation, tag);
    }
}

#[cold]
#[track_caller]
fn stale(operation: &'static str, tag: u32) -> ! {
    let slot = slot_of(tag);
    let arena = TABLE.with(|table| (table[slot].tag.get(), table[slot].arena.get()));
    if arena.0 == 0 && !arena.1.is_null() {
        panic!(
            "{operation}: the tape is in the middle of its sweep; a rule works on plain numbers"
        );
    }
    panic!("{operation}: the tape of the scalar was reset or dropped, or is one of another thread");
}

/// Panics: two tapes met.
#[cold]
#[inline(never)]
#[track_caller]
pub(in crate::scalar) fn mixed(operation: &'static str, a: u32, b: u32) -> ! {
    for tag in [a, b] {
        if !TABLE.with(|table| table[slot_of(tag)].tag.get() == tag) {
            stale(operation, tag);
        }
    }
    panic!(
        "{operation}: scalars of two tapes; what is constant to one of them enters by its value"
    );
}

/// Panics: a scalar's tag is right, and its node is not.
#[cold]
#[inline(never)]
#[track_caller]
pub(in crate::scalar) fn reused_tag(operation: &'static str) -> ! {
    panic!("{operation}: a scalar of a tape that was reset 2^24 tapes ago was used");
}
