//! Buffers that come back: the memory of intermediate values.

use super::Storage;
use crate::element::{Any, Dtype, Element, Family, Slice, SliceMut, with_any, with_dtype};
use crate::error::OutOfMemory;
use std::sync::Arc;

/// Shared storages: the family behind [`AnyStorage`].
#[derive(Debug)]
pub(crate) struct Storages;
impl Family for Storages {
    type Of<T: Element> = Arc<Storage<T>>;
}
/// A shared storage of any element type.
pub(crate) type AnyStorage = Any<Storages>;

impl AnyStorage {
    /// All elements.
    #[inline]
    pub fn as_slice(&self) -> Slice<'_> {
        match self {
            Any::F32(s) => Any::F32(&s[..]),
            Any::F64(s) => Any::F64(&s[..]),
            Any::I64(s) => Any::I64(&s[..]),
            Any::Bool(s) => Any::Bool(&s[..]),
        }
    }

    /// All elements, to be changed; `None` while anyone else can see them.
    #[inline]
    pub fn unique(&mut self) -> Option<SliceMut<'_>> {
        Some(match self {
            Any::F32(s) => Any::F32(&mut Arc::get_mut(s)?[..]),
            Any::F64(s) => Any::F64(&mut Arc::get_mut(s)?[..]),
            Any::I64(s) => Any::I64(&mut Arc::get_mut(s)?[..]),
            Any::Bool(s) => Any::Bool(&mut Arc::get_mut(s)?[..]),
        })
    }

    /// Whether nobody else can see the elements.
    // There are no weak references, so the count says it; `Arc::get_mut` would lock. Who writes asks `unique` all the same.
    #[inline]
    pub fn is_unique(&self) -> bool {
        with_any!(self, s => Arc::strong_count(s) == 1)
    }
}

/// Four size classes an octave: at most a quarter of a buffer is unused.
const CLASSES: usize = 4 * usize::BITS as usize;

/// The class of a length, and the capacity that serves the whole class.
fn size_class(len: usize) -> (usize, usize) {
    if len <= 8 {
        return (0, 8);
    }
    let octave = usize::BITS as usize - 1 - (len - 1).leading_zeros() as usize;
    let quarter = 1usize << (octave - 2);
    let quarters = (len - 1 - (1 << octave)) / quarter + 1;
    (4 * octave + quarters, (1 << octave) + quarters * quarter)
}

/// The free buffers of one element type and size class.
#[derive(Default)]
struct Shelf {
    free: Vec<AnyStorage>,
    /// The fewest free buffers there have been since idle ones were freed last: so many were never needed.
    idle: usize,
}

/// Cycles after which buffers that none of them needed are freed. More than one: programs take turns at training, validation and
/// others, and memory that comes fresh from the system costs many times what it costs to write it.
const CYCLES: usize = 8;

/// Free buffers by element type and size, and the number of bytes handed out.
///
/// A cycle is from reset to reset of a tape. The pool keeps what one of the last [`CYCLES`] needed, and frees the rest.
#[derive(Default)]
pub(crate) struct Pool {
    shelves: [Vec<Shelf>; 4],
    cycles: usize,
    live: usize,
    peak: usize,
}

impl Pool {
    /// A buffer of `len` elements that nobody else can see; what they are is not defined.
    pub fn acquire(&mut self, dtype: Dtype, len: usize) -> Result<AnyStorage, OutOfMemory> {
        let (class, capacity) = size_class(len);
        if let Some(shelf) = self.shelves[dtype as usize].get_mut(class)
            && let Some(mut storage) = shelf.free.pop()
        {
            shelf.idle = shelf.idle.min(shelf.free.len());
            with_any!(&mut storage, s => if s.len() != len && let Some(s) = Arc::get_mut(s) { s.set_len(len) });
            self.hand_out(capacity * dtype.size());
            return Ok(storage);
        }
        let storage = with_dtype!(dtype, T => {
            T::erase::<Storages>(Arc::new(Storage::<T>::try_zeroed(len, capacity)?))
        });
        self.hand_out(capacity * dtype.size());
        Ok(storage)
    }

    #[inline]
    fn hand_out(&mut self, bytes: usize) {
        self.live += bytes;
        self.peak = self.peak.max(self.live);
    }

    /// Notes that so many bytes are in use besides, for a while.
    pub fn note(&mut self, bytes: usize) {
        self.peak = self.peak.max(self.live.saturating_add(bytes));
    }

    /// Takes any buffer whose capacity is that of a size class, if nobody else can see it any more.
    pub fn recycle(&mut self, storage: AnyStorage) {
        let capacity = with_any!(&storage, s => s.capacity());
        let (class, exact) = size_class(capacity);
        if capacity != exact || !storage.is_unique() {
            return;
        }
        let shelves = &mut self.shelves[storage.dtype() as usize];
        if shelves.len() <= class {
            shelves.resize_with((class + 1).min(CLASSES), Shelf::default);
        }
        shelves[class].free.push(storage);
    }

    /// Ends a cycle, in which nothing is in use any more: counts anew, and every [`CYCLES`] frees the buffers that none of them used.
    pub fn end_cycle(&mut self) {
        self.live = 0;
        self.peak = 0;
        self.cycles += 1;
        if !self.cycles.is_multiple_of(CYCLES) {
            return;
        }
        for shelf in self.shelves.iter_mut().flatten() {
            let idle = shelf.idle.min(shelf.free.len());
            if idle > 0 {
                shelf.free.drain(..idle);
            }
            shelf.idle = shelf.free.len();
        }
    }

    /// The most bytes that were in use at once since the last [`end_cycle`](Pool::end_cycle).
    pub fn peak(&self) -> usize {
        self.peak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_their_lengths_and_waste_little() {
        let mut last = 0;
        for len in 1..100_000 {
            let (class, capacity) = size_class(len);
            assert!(
                capacity >= len && (len <= 8 || capacity * 4 <= len * 5),
                "{len}: {capacity}"
            );
            assert_eq!(size_class(capacity), (class, capacity), "{len}");
            assert!(class >= last);
            last = class;
        }
    }

    #[test]
    fn buffers_come_back_and_idle_ones_go() {
        let mut pool = Pool::default();
        let acquire = |pool: &mut Pool, len| pool.acquire(Dtype::F32, len).expect("memory");
        let first = acquire(&mut pool, 100);
        let second = acquire(&mut pool, 100);
        let shared = first.clone();
        pool.recycle(first); // someone else can see it: it must not be handed out again
        pool.recycle(second);
        assert_eq!(
            pool.shelves[Dtype::F32 as usize]
                .iter()
                .map(|s| s.free.len())
                .sum::<usize>(),
            1
        );
        assert_eq!(with_any!(&shared, s => s.len()), 100);
        let third = acquire(&mut pool, 97);
        assert_eq!(with_any!(&third, s => s.len()), 97);
        pool.recycle(third);
        let free = |pool: &Pool| {
            let shelves = pool.shelves[Dtype::F32 as usize].iter();
            shelves.map(|s| s.free.len()).sum::<usize>()
        };
        // A buffer that every other cycle needs is kept, one that no cycle needs is not.
        for _ in 0..2 * CYCLES {
            pool.end_cycle();
            let again = acquire(&mut pool, 100);
            pool.recycle(again);
            pool.end_cycle();
            assert_eq!(free(&pool), 1);
        }
        (0..2 * CYCLES).for_each(|_| pool.end_cycle());
        assert_eq!(free(&pool), 0);
    }
}
