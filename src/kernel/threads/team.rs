//! Parts of one piece of work, taken in turn by the thread that has the work and by those of the pool that come to help.
//!
//! The thread does not hand its work over and sleep, as with `rayon::join` from outside the pool: waking takes as long as many a
//! kernel. It begins at once, and at the end waits for those only who are at a part. Who comes later finds nothing to do.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A part of the work, by its number.
type Part<'a> = dyn Fn(usize) + Sync + 'a;

/// Those who work on the same parts.
struct Team {
    parts: usize,
    /// The number of threads that may take parts.
    threads: usize,
    /// The part that is taken next.
    next: AtomicUsize,
    /// How many helpers may still be called.
    uncalled: AtomicUsize,
    /// How many helpers may be at a part.
    helping: AtomicUsize,
    part: *const Part<'static>,
    /// What the first part that panicked did so with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `part` points to what is `Sync`, and is followed only as `take` says; everything else is `Sync` and `Send` itself.
unsafe impl Sync for Team {}
// SAFETY: as above.
unsafe impl Send for Team {}

thread_local! {
    /// The team of the last work, to be used again.
    static LAST: Cell<Option<Arc<Team>>> = const { Cell::new(None) };
}

/// Calls `part` with each number below `parts`, on this thread and those of the pool. A panic of a part comes out here once nobody
/// is at a part any more.
pub(super) fn spread(parts: usize, part: &Part<'_>) {
    // SAFETY: the lifetime is forgotten. No helper follows the pointer once this function has returned, see `take`.
    let part: *const Part<'static> = unsafe { std::mem::transmute(std::ptr::from_ref(part)) };
    let threads = rayon::current_num_threads();
    let fresh = Team {
        parts,
        threads,
        next: AtomicUsize::new(0),
        uncalled: AtomicUsize::new((threads - 1).min(parts - 1)),
        helping: AtomicUsize::new(0),
        part,
        panic: Mutex::new(None),
    };
    let mut team = LAST.take();
    let team = match team.as_mut().and_then(Arc::get_mut) {
        Some(last) => {
            *last = fresh;
            team.expect("there is one")
        }
        None => Arc::new(fresh),
    };
    team.call();
    team.take();
    let mut waited = 0;
    while team.helping.load(Ordering::Acquire) > 0 {
        // A helper may have to wait for a processor.
        if waited < 1 << 10 {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
        waited += 1;
    }
    let panic = team.panic.lock();
    let panic = panic.unwrap_or_else(PoisonError::into_inner).take();
    LAST.set(Some(team));
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

impl Team {
    /// Calls a helper, if there are parts for one. It calls two others: to wake all would take the owner long, and in vain where there
    /// are more threads than processors.
    fn call(self: &Arc<Self>) {
        let one_less = |uncalled: usize| uncalled.checked_sub(1);
        let relaxed = Ordering::Relaxed;
        if self.next.load(relaxed) < self.parts
            && self
                .uncalled
                .fetch_update(relaxed, relaxed, one_less)
                .is_ok()
        {
            let team = self.clone();
            rayon::spawn(move || {
                team.call();
                team.call();
                team.help();
            });
        }
    }

    /// Takes parts until there are none: several neighbors at once while there are many, since they often lie side by side in
    /// memory, and single ones in the end, so that no thread waits long for another.
    ///
    /// Whoever gets parts from `next` may call them: the owner of the work returns only after it has seen that there are none, and
    /// then that nobody is helping. A helper that got a part before that had said so before it got it, which the owner sees, since
    /// `next` hands on what was known; one that asks later gets none.
    fn take(&self) {
        loop {
            let share = |first: usize| ((self.parts - first) / (2 * self.threads)).max(1);
            let after = |first: usize| (first < self.parts).then(|| first + share(first));
            let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
            let Ok(first) = self.next.fetch_update(success, failure, after) else {
                return;
            };
            let numbers = first..first + share(first);
            // SAFETY: as above, the work is still there.
            let part = unsafe { &*self.part };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| numbers.for_each(part))) {
                let first = self.panic.lock();
                let mut first = first.unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(panic);
                self.next.fetch_max(self.parts, Ordering::AcqRel);
            }
        }
    }

    fn help(&self) {
        self.helping.fetch_add(1, Ordering::Relaxed);
        self.take();
        self.helping.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::threads::pools;

    /// How often each of some parts was called.
    fn counts(parts: usize, part: impl Fn(usize) + Sync) -> Vec<usize> {
        let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
        spread(parts, &|i| {
            counts[i].fetch_add(1, Ordering::Relaxed);
            part(i);
        });
        counts.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn every_part_is_called_once_by_any_number_of_threads() {
        for pool in pools() {
            pool.install(|| {
                for parts in (1..40).chain([1000]) {
                    assert_eq!(counts(parts, |_| {}), vec![1; parts]);
                }
            });
        }
    }

    #[test]
    fn parts_may_have_parts() {
        for pool in pools() {
            let inner = || assert_eq!(counts(9, |_| {}), [1; 9]);
            pool.install(|| assert_eq!(counts(20, |_| inner()), [1; 20]));
        }
    }

    #[test]
    fn many_owners_share_a_pool() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 1..200 {
                        assert_eq!(counts(round, |_| {}), vec![1; round]);
                    }
                });
            }
        });
    }

    #[test]
    fn the_first_panic_comes_out_and_the_next_work_is_done() {
        for pool in pools() {
            pool.install(|| {
                let outcome = catch_unwind(|| counts(50, |i| assert!(i % 7 != 3, "part {i}")));
                let panic = outcome.expect_err("a part panics");
                let message = panic.downcast_ref::<String>().expect("a message");
                assert!(message.starts_with("part "), "{message}");
                assert_eq!(counts(50, |_| {}), [1; 50]);
            });
        }
    }
}
