//! Parts of one piece of work, taken in turn by the thread that has the work and by those that come to help.
//!
//! The thread does not hand its work over and sleep, as with `rayon::join` from outside the pool: waking takes as long as many a
//! kernel. It begins at once, and at the end waits for those only who are at a part. Who comes later finds nothing to do.

use super::{OF_ONE, crew};
use std::array::from_fn;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What each thread does: the parts whose numbers it is given, which are its own alone.
pub(super) type Work<'a> = dyn Fn(&mut dyn Iterator<Item = usize>) + Sync + 'a;

/// Into so many stretches parts are divided at most.
const STRETCHES: usize = 16;

/// The parts that several threads take.
///
/// They are divided into a stretch for each thread, which it takes before it helps with those of others: then what it has written in
/// one piece of work it has at hand in the next, where parts with the same numbers often read it.
pub(super) struct Parts<'a> {
    count: usize,
    /// The number of threads that take them, at most.
    threads: usize,
    /// Of each stretch, the part that is taken next.
    next: [AtomicUsize; STRETCHES],
    work: &'a Work<'a>,
}

/// Calls `work`, of about so many nanoseconds, for parts with each number below `count`, on this thread and on others: those of the
/// pool if it is of one, else those of the crew. A panic comes out here once nobody is at a part any more. Neither way allocates.
pub(super) fn spread(count: usize, nanoseconds: usize, work: &Work<'_>) {
    let parts = Parts::new(count, threads(nanoseconds), work);
    let helpers = parts.threads - 1;
    if rayon::current_thread_index().is_some() {
        parts.take_with(helpers);
    } else {
        crew::take(&parts, helpers);
    }
}

/// How many threads take parts of work of about so many nanoseconds.
pub(super) fn threads(nanoseconds: usize) -> usize {
    let threads = rayon::current_num_threads().min(1 + nanoseconds / OF_ONE);
    if threads == 1 || rayon::current_thread_index().is_some() {
        threads
    } else {
        // More of our own than there are processors would only get into each other's way.
        threads.min(crew::processors())
    }
}

impl<'a> Parts<'a> {
    pub(super) fn new(count: usize, threads: usize, work: &'a Work<'a>) -> Self {
        let threads = threads.min(count);
        let first = |stretch| count * stretch / threads.min(STRETCHES);
        Parts {
            count,
            threads,
            next: from_fn(|stretch| AtomicUsize::new(first(stretch).min(count))),
            work,
        }
    }

    fn stretches(&self) -> usize {
        self.threads.min(STRETCHES)
    }

    /// Where a stretch ends.
    fn end(&self, stretch: usize) -> usize {
        self.count * (stretch + 1) / self.stretches()
    }

    /// Takes parts on this thread of a pool, and on up to `helpers` others of it. Each that comes calls others in turn: for one thread
    /// to wake all would take it long.
    fn take_with(&self, helpers: usize) {
        if helpers == 0 || !self.are_left() {
            return self.take(rayon::current_thread_index().unwrap_or(0));
        }
        let later = helpers / 2;
        rayon::join(
            || self.take_with(helpers - 1 - later),
            || self.take_with(later),
        );
    }

    /// Whether there are parts that nobody has taken.
    pub(super) fn are_left(&self) -> bool {
        let mut next = self.next[..self.stretches()].iter().enumerate();
        next.any(|(k, next)| next.load(Ordering::Relaxed) < self.end(k))
    }

    /// Takes parts until there are none, first of the stretch of this thread, which has a number. After a panic no more are taken.
    pub(super) fn take(&self, thread: usize) {
        let rest = Rest(self);
        (self.work)(&mut Taken {
            parts: self,
            own: thread,
            finished: 0,
            now: 0..0,
        });
        std::mem::forget(rest);
    }
}

/// The numbers of the parts that one thread takes: several neighbors at once while there are many, since they often lie side by
/// side in memory, and single ones in the end, so that no thread waits long for another.
struct Taken<'a> {
    parts: &'a Parts<'a>,
    /// The number of the thread.
    own: usize,
    /// Stretches of which nothing is left, from its own on.
    finished: usize,
    now: Range<usize>,
}

impl Iterator for Taken<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.now.is_empty() && self.finished < self.parts.stretches() {
            let stretch = (self.own + self.finished) % self.parts.stretches();
            let end = self.parts.end(stretch);
            let after = |first: usize| first + ((end - first) / 2).max(1);
            let taken = |first: usize| (first < end).then(|| after(first));
            let (next, relaxed) = (&self.parts.next[stretch], Ordering::Relaxed);
            match next.fetch_update(relaxed, relaxed, taken) {
                Ok(first) => self.now = first..after(first),
                Err(_) => self.finished += 1,
            }
        }
        self.now.next()
    }
}

/// Takes away the parts that are left when one has panicked.
struct Rest<'a>(&'a Parts<'a>);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        for next in &self.0.next {
            next.fetch_max(self.0.count, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::threads::pools;
    use std::collections::HashSet;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;
    use std::time::{Duration, Instant};

    type Way = Box<dyn Fn(usize, &Work<'_>) + Sync>;

    /// Ways to spread parts, with the number of threads: in pools, and outside of them.
    fn ways() -> Vec<(usize, Way)> {
        let in_pool = |pool: rayon::ThreadPool| -> (usize, Way) {
            let threads = pool.current_num_threads();
            let way = move |count: usize, work: &Work<'_>| {
                pool.install(|| spread(count, usize::MAX, work))
            };
            (threads, Box::new(way))
        };
        let with_crew = |helpers| -> (usize, Way) { (helpers + 1, Box::new(crew(helpers))) };
        let pools = pools().into_iter().map(in_pool);
        pools.chain([0, 1, 2, 15].map(with_crew)).collect()
    }

    fn crew(helpers: usize) -> impl Fn(usize, &Work<'_>) {
        move |count, work| crew::take(&Parts::new(count, helpers + 1, work), helpers)
    }

    /// How often each of some parts was called.
    fn counts(
        way: &impl Fn(usize, &Work<'_>),
        count: usize,
        part: impl Fn(usize) + Sync,
    ) -> Vec<usize> {
        let counts: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        way(count, &|numbers| {
            for i in numbers {
                counts[i].fetch_add(1, Ordering::Relaxed);
                part(i);
            }
        });
        counts.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn every_part_is_called_once_by_any_number_of_threads() {
        for (_, way) in ways() {
            for count in (1..40).chain([1000]) {
                assert_eq!(counts(&way, count, |_| {}), vec![1; count]);
            }
        }
    }

    #[test]
    fn others_help() {
        for (threads, way) in ways() {
            let seen = Mutex::new(HashSet::new());
            let start = Instant::now();
            counts(&way, 40, |_| {
                // Nobody goes on before there are two, unless that takes very long.
                loop {
                    let mut seen = seen.lock().expect("nobody panics");
                    seen.insert(std::thread::current().id());
                    if seen.len() >= threads.min(2) || start.elapsed() > Duration::from_secs(20) {
                        break;
                    }
                    drop(seen);
                    std::thread::yield_now();
                }
            });
            let seen = seen.into_inner().expect("nobody panics").len();
            assert!((threads.min(2)..=threads).contains(&seen), "{seen}");
        }
    }

    #[test]
    fn parts_may_have_parts() {
        for (_, way) in ways() {
            let inner = || assert_eq!(counts(&way, 9, |_| {}), [1; 9]);
            assert_eq!(counts(&way, 20, |_| inner()), [1; 20]);
            let spread = |count: usize, work: &Work<'_>| spread(count, usize::MAX, work);
            let inner = || assert_eq!(counts(&spread, 9, |_| {}), [1; 9]);
            assert_eq!(counts(&way, 20, |_| inner()), [1; 20]);
        }
    }

    #[test]
    fn many_owners_work_at_once() {
        std::thread::scope(|scope| {
            for helpers in 0..5 {
                scope.spawn(move || {
                    for round in 1..200 {
                        assert_eq!(counts(&crew(helpers), round, |_| {}), vec![1; round]);
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_comes_out_and_the_next_work_is_done() {
        for (_, way) in ways() {
            let way = AssertUnwindSafe(way);
            let outcome = catch_unwind(|| counts(&*way, 50, |i| assert!(i % 7 != 3, "part {i}")));
            let panic = outcome.expect_err("a part panics");
            let message = panic.downcast_ref::<String>().expect("a message");
            assert!(message.starts_with("part "), "{message}");
            assert_eq!(counts(&*way, 50, |_| {}), [1; 50]);
        }
    }
}
