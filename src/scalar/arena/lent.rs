//! The tape of a scalar that is at hand without it.

use std::cell::Cell;
use std::mem::ManuallyDrop;

use super::super::real::Real;
use super::refusal::check;
use super::{Hold, arena};

impl<T: Real> Hold<T> {
    /// The hold of the live tape with this tag, for the time of one operation: it does not end when this is dropped.
    ///
    /// # Panics
    /// If there is no such tape in this thread, or it is in the middle of a sweep.
    #[track_caller]
    pub(in crate::scalar) fn lent(operation: &'static str, tag: u32) -> ManuallyDrop<Self> {
        check(operation, tag);
        ManuallyDrop::new(Hold {
            arena: arena(tag),
            tag: Cell::new(tag),
        })
    }
}
