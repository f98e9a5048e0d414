//! Room that a thread keeps for what kernels need while they run.

use std::cell::RefCell;
use std::mem::MaybeUninit;

/// Memory by the line of a cache.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line {
    _bytes: [u8; 64],
}

type Room = Vec<MaybeUninit<Line>>;

thread_local! {
    /// Rooms that are not in use. What takes the last one gives it back last, so each finds the one that it had before.
    static ROOMS: RefCell<Vec<Room>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with room for `len` elements, not initialized, which begins at a cache line. Calls may nest.
pub(crate) fn scratch<T, R>(len: usize, f: impl FnOnce(*mut T) -> R) -> R {
    const { assert!(align_of::<T>() <= align_of::<Line>() && !std::mem::needs_drop::<T>()) }
    let mut room = ROOMS.with(|rooms| rooms.borrow_mut().pop().unwrap_or_default());
    room.clear();
    room.reserve((len * size_of::<T>()).div_ceil(size_of::<Line>()));
    let result = f(room.as_mut_ptr().cast());
    ROOMS.with(|rooms| rooms.borrow_mut().push(room));
    result
}

/// As [`scratch`], with elements that are all `value`.
pub(crate) fn filled<T: Copy, R>(len: usize, value: T, f: impl FnOnce(&mut [T]) -> R) -> R {
    scratch(len, |room: *mut T| {
        // SAFETY: there is room for so many elements, which are written before they are anything's.
        let elements = unsafe {
            (0..len).for_each(|i| room.add(i).write(value));
            std::slice::from_raw_parts_mut(room, len)
        };
        f(elements)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_nest_and_are_kept() {
        let places = || {
            filled(100, 1.0f64, |outer| {
                let outer_place = outer.as_ptr().addr();
                let inner_place = filled(1000, 2u8, |inner| {
                    inner.fill(3);
                    inner.as_ptr().addr()
                });
                assert_eq!(outer, [1.0; 100]);
                assert!(outer_place % 64 == 0 && inner_place % 64 == 0);
                [outer_place, inner_place]
            })
        };
        let first = places();
        assert_eq!(first, places());
        assert_ne!(first[0], first[1]);
        filled(0, 0u8, |nothing| assert_eq!(nothing, []));
    }
}
