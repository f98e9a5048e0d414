//! The memory of a tensor: a fixed number of elements, aligned for vector instructions.

use crate::element::Element;
use crate::error::OutOfMemory;
use std::alloc::{self, Layout};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A cache line, and the widest vector register.
const ALIGNMENT: usize = 64;

/// What the system gives fresh zeros for without writing them: for more it writes them one by one, so that a large buffer would be
/// written twice.
const GIVEN: usize = 16;

/// A buffer of initialized elements. Its length may be set to anything up to its capacity, so that one buffer can serve
/// tensors of several sizes.
pub(crate) struct Storage<T> {
    pointer: NonNull<T>,
    len: usize,
    capacity: usize,
    /// Bytes of the allocation before the first element.
    before: usize,
}

// SAFETY: a `Storage` owns its elements exclusively, as a `Vec<T>` does; elements are plain numbers.
unsafe impl<T: Element> Send for Storage<T> {}
// SAFETY: as above; a shared reference gives only `&[T]`.
unsafe impl<T: Element> Sync for Storage<T> {}

impl<T> Storage<T> {
    /// The memory of so many elements, wherever in it the first is aligned; `None` if it cannot be addressed.
    fn layout(capacity: usize) -> Option<Layout> {
        let bytes = Layout::array::<T>(capacity).ok()?.size();
        Layout::from_size_align(bytes.checked_add(ALIGNMENT)?, GIVEN).ok()
    }
}

impl<T: Element> Storage<T> {
    /// `len` zeros, with room for `capacity` elements.
    ///
    /// # Panics
    /// If they cannot be allocated.
    #[track_caller]
    pub fn zeroed(len: usize, capacity: usize) -> Self {
        match Self::try_zeroed(len, capacity) {
            Ok(storage) => storage,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`zeroed`](Storage::zeroed), but says so if there is not as much memory.
    pub fn try_zeroed(len: usize, capacity: usize) -> Result<Self, OutOfMemory> {
        assert!(len <= capacity);
        if capacity == 0 {
            return Ok(Storage {
                pointer: NonNull::dangling(),
                len: 0,
                capacity: 0,
                before: 0,
            });
        }
        let error = OutOfMemory {
            bytes: capacity.saturating_mul(size_of::<T>()),
        };
        let layout = Self::layout(capacity).ok_or(error)?;
        // SAFETY: the layout has a size above zero. All bits zero is a valid value of every `Element`
        // (0.0, 0, false), so the whole capacity is initialized.
        let raw = unsafe { alloc::alloc_zeroed(layout) };
        let raw = NonNull::new(raw).ok_or(error)?;
        let before = raw.align_offset(ALIGNMENT);
        // SAFETY: the next multiple of `ALIGNMENT` is less than `ALIGNMENT` bytes away, and the layout has so many beyond the elements.
        let pointer = unsafe { raw.add(before) }.cast();
        Ok(Storage {
            pointer,
            len,
            capacity,
            before,
        })
    }

    /// A copy of a slice.
    ///
    /// # Panics
    /// If it cannot be allocated.
    #[track_caller]
    pub fn copy_of(elements: &[T]) -> Self {
        let mut storage = Storage::zeroed(elements.len(), elements.len());
        storage.copy_from_slice(elements);
        storage
    }

    /// The number of elements there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Changes the length; what lies between the old and the new end is whatever was there before.
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.capacity);
        self.len = len;
    }
}

impl<T> Drop for Storage<T> {
    fn drop(&mut self) {
        if let (1.., Some(layout)) = (self.capacity, Self::layout(self.capacity)) {
            // SAFETY: allocated in `try_zeroed` with this very layout, so many bytes before the first element; elements need no drop.
            unsafe { alloc::dealloc(self.pointer.cast::<u8>().sub(self.before).as_ptr(), layout) }
        }
    }
}

impl<T> Deref for Storage<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `pointer` is valid for `capacity >= len` elements, all initialized since `try_zeroed`,
        // or dangling (and aligned) with `len == 0`.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Storage<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` makes the borrow exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.len) }
    }
}

impl<T: Element> Clone for Storage<T> {
    fn clone(&self) -> Self {
        Storage::copy_of(self)
    }
}

impl<T> fmt::Debug for Storage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({} of {})", self.len, self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn buffers_are_aligned_zeroed_and_resizable_within_their_capacity() {
        let mut storage = Storage::<f32>::zeroed(3, 10);
        assert_eq!(storage.as_ptr() as usize % ALIGNMENT, 0);
        assert_eq!(&storage[..], [0.0; 3]);
        storage[2] = 5.0;
        storage.set_len(10);
        assert_eq!(storage[2..4], [5.0, 0.0]);
        assert!(Storage::<bool>::zeroed(0, 0)[..].is_empty());
        for len in [1, 7, 1000, 1 << 20] {
            let [a, b] = [0, len].map(|more| Storage::<f64>::zeroed(len, len + more));
            assert_eq!((a.as_ptr() as usize | b.as_ptr() as usize) % ALIGNMENT, 0);
            assert!(a.iter().chain(&b[..]).all(|&x| x == 0.0));
        }
        assert_eq!(&storage.clone()[..], &storage[..]);
    }

    #[test]
    fn what_cannot_be_allocated_is_said() {
        // An allocation that nobody looks at may be left out.
        let bytes = |len| black_box(Storage::<f32>::try_zeroed(0, len)).map(|s| s.capacity());
        assert_eq!(bytes(3), Ok(3));
        assert_eq!(bytes(1 << 50), Err(OutOfMemory { bytes: 1 << 52 }));
        assert_eq!(bytes(usize::MAX), Err(OutOfMemory { bytes: usize::MAX }));
        let error = OutOfMemory { bytes: 1 << 52 }.to_string();
        assert_eq!(error, "4503599627370496 bytes cannot be allocated");
    }
}
