//! A tile of a product, kept in registers; and small products, tile by tile, of operands where they lie.

use super::vector::{Lanes, Task, Vector};
use std::array::from_fn;

/// Terms of each sum that are added in turn. Their sums are then added in turn: rounding errors grow with this number and that of
/// the blocks, not with their product; and a block of a panel stays in the nearest cache.
pub(super) const BLOCK: usize = 256;

/// A matrix at a place in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    pub place: *const T,
    pub row_stride: isize,
    pub column_stride: isize,
}

// SAFETY: reading through the place is unsafe, and those who do see to it that no thread writes there.
unsafe impl<T: Sync> Send for At<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for At<T> {}

impl<T> At<T> {
    /// The matrix from element `(i, j)` on.
    #[inline(always)]
    pub fn from(self, i: usize, j: usize) -> Self {
        let step = i as isize * self.row_stride + j as isize * self.column_stride;
        At {
            place: self.place.wrapping_offset(step),
            ..self
        }
    }

    /// The same matrix with rows for columns.
    #[inline(always)]
    pub fn t(self) -> Self {
        At {
            place: self.place,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// Where a tile of the result goes: its place, the distance of rows, and whether it is added to what is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<T> {
    pub place: *mut T,
    pub stride: usize,
    pub add: bool,
}

// SAFETY: writing through the place is unsafe, and those who do see to it that threads write in different places.
unsafe impl<T: Send> Send for Target<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Target<T> {}

impl<T> Target<T> {
    /// The start of a slice, whose rows begin at a distance of `stride`.
    #[inline(always)]
    pub fn new(out: &mut [T], stride: usize) -> Self {
        Target {
            place: out.as_mut_ptr(),
            stride,
            add: false,
        }
    }

    /// The place. (A closure that names the field would capture it alone, and a pointer is not for several threads.)
    #[inline(always)]
    pub fn place(self) -> *mut T {
        self.place
    }

    /// The same, where what comes is added to what is there if so said, or if it was before.
    #[inline(always)]
    pub fn adding(self, add: bool) -> Self {
        Target {
            add: self.add || add,
            ..self
        }
    }

    #[inline(always)]
    pub fn from(self, i: usize, j: usize) -> Self {
        Target {
            place: self.place.wrapping_add(i * self.stride + j),
            ..self
        }
    }
}

/// The product of `M` rows of `a` and `N` vectors of columns of `b`, of whose last vector `last` are wanted. The rows of `b` are
/// contiguous, `WHOLE` if all of the last vector may be read. Only the first `rows` rows are written.
///
/// # Safety
/// The processor has the instructions of `V`; `a` has `M` rows and `inner` columns, `b` as many rows; the target has `rows` rows.
#[inline(always)]
pub(super) unsafe fn tile<
    T: Copy,
    V: Vector<T>,
    const M: usize,
    const N: usize,
    const WHOLE: bool,
>(
    inner: usize,
    a: At<T>,
    b: At<T>,
    last: usize,
    target: Target<T>,
    rows: usize,
    zero: T,
) {
    // SAFETY: by the caller's promise, the loop reads elements of `a` and `b` only, and writes to elements of the target.
    unsafe {
        let mut sums = [[V::splat(zero); N]; M];
        let (mut left, mut right) = (a.place, b.place);
        for _ in 0..inner {
            let row: [V; N] = from_fn(|n| {
                let place = right.wrapping_add(n * V::LANES);
                if WHOLE || n + 1 < N {
                    V::load(place)
                } else {
                    V::load_first(place, last)
                }
            });
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = V::splat(*left.wrapping_offset(r as isize * a.row_stride));
                for (sum, y) in sums.iter_mut().zip(row) {
                    *sum = x.times_plus(y, *sum);
                }
            }
            left = left.wrapping_offset(a.column_stride);
            right = right.wrapping_offset(b.row_stride);
        }
        for (r, sums) in sums.iter().enumerate() {
            if r == rows {
                break;
            }
            let out = target.from(r, 0).place;
            for (n, &sum) in sums.iter().enumerate() {
                let out = out.wrapping_add(n * V::LANES);
                if n + 1 < N || last == V::LANES {
                    let sum = if target.add {
                        V::load(out).plus(sum)
                    } else {
                        sum
                    };
                    sum.store(out);
                } else {
                    let sum = if target.add {
                        V::load_first(out, last).plus(sum)
                    } else {
                        sum
                    };
                    sum.store_first(out, last);
                }
            }
        }
    }
}

/// The product of `a` and a matrix `b` of contiguous rows, neither of which is copied, by `N` vectors of columns at a time: 1 or 2.
/// (The loops for 2 alone cost a product of few columns as much time as its arithmetic.)
pub(super) struct Direct<T, const N: usize> {
    pub a: At<T>,
    pub b: At<T>,
    pub target: Target<T>,
    pub rows: usize,
    pub inner: usize,
    pub columns: usize,
}

impl<T: Lanes, const N: usize> Task<T> for Direct<T, N> {
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        for first in (0..self.inner).step_by(BLOCK) {
            let inner = BLOCK.min(self.inner - first);
            let mut j = 0;
            while j < self.columns {
                let width = (N * V::LANES).min(self.columns - j);
                let panel = Panel {
                    a: self.a.from(0, first),
                    b: self.b.from(first, j),
                    target: Target {
                        add: self.target.add || first > 0,
                        ..self.target.from(0, j)
                    },
                    rows: self.rows,
                    inner,
                };
                // SAFETY: the caller's promise; the panel has as many columns as are said to be there.
                unsafe {
                    match (N > 1 && width > V::LANES, width.is_multiple_of(V::LANES)) {
                        (true, true) => panel.run::<V, 2, true>(V::LANES),
                        (true, false) => panel.run::<V, 2, false>(width - V::LANES),
                        (false, true) => panel.run::<V, 1, true>(V::LANES),
                        (false, false) => panel.run::<V, 1, false>(width),
                    }
                }
                j += width;
            }
        }
    }
}

/// Columns of a product that lie in one or two vectors.
#[derive(Clone, Copy)]
struct Panel<T> {
    a: At<T>,
    b: At<T>,
    target: Target<T>,
    rows: usize,
    inner: usize,
}

impl<T: Lanes> Panel<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T>, const N: usize, const WHOLE: bool>(self, last: usize) {
        let mut i = 0;
        // SAFETY: the caller's promise; each tile has no more rows than are left.
        unsafe {
            if V::HEIGHT == 12 && N == 2 {
                while self.rows - i >= 12 {
                    i += self.tile::<V, 12, N, WHOLE>(i, last);
                }
            }
            // One vector of columns leaves registers for more rows.
            while N == 1 && self.rows - i >= 8 {
                i += self.tile::<V, 8, N, WHOLE>(i, last);
            }
            while self.rows - i >= 6 && N == 2 {
                i += self.tile::<V, 6, N, WHOLE>(i, last);
            }
            while self.rows - i >= 4 {
                i += self.tile::<V, 4, N, WHOLE>(i, last);
            }
            if self.rows - i >= 2 {
                i += self.tile::<V, 2, N, WHOLE>(i, last);
            }
            if self.rows > i {
                self.tile::<V, 1, N, WHOLE>(i, last);
            }
        }
    }

    /// The tile whose first row is row `i`; returns its number of rows.
    #[inline(always)]
    unsafe fn tile<V: Vector<T>, const M: usize, const N: usize, const WHOLE: bool>(
        self,
        i: usize,
        last: usize,
    ) -> usize {
        let Panel {
            a,
            b,
            target,
            inner,
            ..
        } = self;
        // SAFETY: the caller's promise.
        unsafe {
            tile::<T, V, M, N, WHOLE>(inner, a.from(i, 0), b, last, target.from(i, 0), M, T::ZERO);
        }
        M
    }
}
