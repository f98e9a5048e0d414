//! What is being recorded in a thread, found by the tag that each of its numbers carries.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::LocalKey;

/// The recordings of a thread that are under way, one within another.
#[derive(Debug)]
pub(super) struct Recordings<R>(RefCell<Vec<(u64, R)>>);

impl<R> Recordings<R> {
    pub(super) const fn new() -> Self {
        Recordings(RefCell::new(Vec::new()))
    }
}

/// Applies a function to the recording with a tag; `None` if it has ended or is one of another thread. The function must not
/// record itself.
#[inline]
pub(super) fn within<R, Y>(
    recordings: &'static LocalKey<Recordings<R>>,
    tag: u64,
    f: impl FnOnce(&mut R) -> Y,
) -> Option<Y> {
    recordings.with(|all| {
        let mut all = all.0.borrow_mut();
        let (_, found) = all.iter_mut().rev().find(|(own, _)| *own == tag)?;
        Some(f(found))
    })
}

/// A recording under way: it ends when this is dropped, by a panic too.
pub(super) struct Ongoing<R: 'static> {
    recordings: &'static LocalKey<Recordings<R>>,
    tag: u64,
}

impl<R> Ongoing<R> {
    pub(super) fn begin(recordings: &'static LocalKey<Recordings<R>>, recording: R) -> Self {
        let tag = fresh_tag();
        recordings.with(|all| all.0.borrow_mut().push((tag, recording)));
        Ongoing { recordings, tag }
    }

    /// The tag of its numbers; that of constants is 0.
    pub(super) fn tag(&self) -> u64 {
        self.tag
    }

    /// Ends it, and gives what was recorded.
    pub(super) fn end(self) -> Option<R> {
        self.take()
    }

    fn take(&self) -> Option<R> {
        let found = self.recordings.try_with(|all| {
            let mut all = all.0.borrow_mut();
            let at = all.iter().position(|(own, _)| *own == self.tag)?;
            Some(all.remove(at).1)
        });
        found.ok().flatten()
    }
}

impl<R> Drop for Ongoing<R> {
    fn drop(&mut self) {
        self.take();
    }
}

/// Unique over threads, from which numbers may come: a number of the thread above, a count below.
fn fresh_tag() -> u64 {
    static THREADS: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static NEXT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    if NEXT.get() == 0 {
        NEXT.set(THREADS.fetch_add(1, Ordering::Relaxed) << 40);
    }
    NEXT.set(NEXT.get() + 1);
    NEXT.get()
}
