//! Work in fixed parts on the threads of the pool.
//!
//! How work is cut depends on its size alone, never on the number of threads, and no part depends on another: so any number of
//! threads gives the same bits. Without the feature `parallel`, or in a pool of one thread, the parts run one after the other.

#[cfg(feature = "parallel")]
mod crew;
#[cfg(feature = "parallel")]
mod team;

/// Nanoseconds of work below which waking other threads does not pay.
pub(crate) const WORTHWHILE: usize = 40_000;
/// Nanoseconds of work for which one more thread is called: where there are many threads, to call them all would take longer than a
/// small work itself.
#[cfg(feature = "parallel")]
const OF_ONE: usize = WORTHWHILE / 2;

/// Whether work of about so many nanoseconds is worth more than one thread, and there is more than one.
#[inline]
pub(crate) fn worthwhile(nanoseconds: usize) -> bool {
    nanoseconds >= WORTHWHILE && several()
}

#[cfg(feature = "parallel")]
fn several() -> bool {
    rayon::current_num_threads() > 1
}

#[cfg(not(feature = "parallel"))]
fn several() -> bool {
    false
}

/// How many threads would share work of about so many nanoseconds.
pub(crate) fn sharing(nanoseconds: usize) -> usize {
    #[cfg(feature = "parallel")]
    if worthwhile(nanoseconds) {
        return team::threads(nanoseconds);
    }
    let _ = nanoseconds;
    1
}

/// Calls `part` with each number below `parts`, on several threads if the work as a whole, of about so many nanoseconds,
/// is [`worthwhile`]. A panic of a part comes out here, once the others have ended.
#[inline]
pub(crate) fn each(parts: usize, nanoseconds: usize, part: impl Fn(usize) + Sync) {
    #[cfg(feature = "parallel")]
    if parts > 1 && worthwhile(nanoseconds) {
        return team::spread(parts, nanoseconds, &|numbers| numbers.for_each(&part));
    }
    let _ = nanoseconds;
    (0..parts).for_each(part);
}

/// As [`each`], with what a thread makes once for all its parts: `work` is called on each thread with the numbers of those.
#[inline]
pub(crate) fn share(
    parts: usize,
    nanoseconds: usize,
    work: impl Fn(&mut dyn Iterator<Item = usize>) + Sync,
) {
    #[cfg(feature = "parallel")]
    if parts > 1 && worthwhile(nanoseconds) {
        return team::spread(parts, nanoseconds, &work);
    }
    let _ = nanoseconds;
    work(&mut (0..parts));
}

/// As [`each`], over pieces of `len` elements of a slice (the last may be shorter).
#[inline]
pub(crate) fn each_chunk<T: Send>(
    elements: &mut [T],
    len: usize,
    nanoseconds: usize,
    part: impl Fn(usize, &mut [T]) + Sync,
) {
    let all = elements.len();
    let pieces = Pieces(elements.as_mut_ptr());
    each(all.div_ceil(len), nanoseconds, |i| {
        // SAFETY: pieces with different numbers have different elements of the slice, which is borrowed until all are done; each
        // number comes once.
        let piece = unsafe { pieces.piece(i * len..all.min((i + 1) * len)) };
        part(i, piece);
    });
}

/// The elements of a slice, whose pieces go to several threads.
struct Pieces<T>(*mut T);
// SAFETY: each piece is given to one thread, which has it alone.
unsafe impl<T: Send> Sync for Pieces<T> {}

impl<T> Pieces<T> {
    /// # Safety
    /// The elements must be there, and nobody else have any of them.
    #[allow(clippy::mut_from_ref)]
    unsafe fn piece(&self, elements: std::ops::Range<usize>) -> &mut [T] {
        // SAFETY: by this function's contract.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(elements.start), elements.len()) }
    }
}

/// Pools of one, two, three and sixteen threads, which must all give the same bits.
#[cfg(all(test, feature = "parallel"))]
pub(crate) fn pools() -> [rayon::ThreadPool; 4] {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    [1, 2, 3, 16].map(|threads| pool(threads).expect("a pool"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_part_runs_once() {
        for nanoseconds in [0, usize::MAX] {
            let counts: [AtomicUsize; 37] = std::array::from_fn(|_| AtomicUsize::new(0));
            each(37, nanoseconds, |i| {
                counts[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
            let mut elements = [0; 100];
            each_chunk(&mut elements, 7, nanoseconds, |i, chunk| chunk.fill(i));
            let expected: Vec<usize> = (0..100).map(|k| k / 7).collect();
            assert_eq!(elements[..], expected);
        }
    }

    #[test]
    fn a_panic_of_a_part_comes_out_and_spoils_nothing() {
        let outcome = std::panic::catch_unwind(|| {
            each(8, usize::MAX, |i| assert!(i != 5, "part 5"));
        });
        assert!(outcome.is_err());
        each(8, usize::MAX, |_| {});
    }
}
