//! Copies of operands in the order in which loops over tiles read them.

use super::tile::{At, BLOCK};
use super::vector::{Lanes, Task, Vector};

/// Copies rows of `a` to panels as high as a tile; within blocks of the inner axis, panels follow each other.
pub(super) struct PackLeft<T> {
    pub a: At<T>,
    pub rows: usize,
    pub inner: usize,
    pub to: *mut T,
    /// The rows of all panels.
    pub height: usize,
}

impl<T: Lanes> Task<T> for PackLeft<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        for first in (0..self.inner).step_by(BLOCK) {
            let inner = BLOCK.min(self.inner - first);
            for i in (0..self.rows).step_by(V::HEIGHT) {
                let count = V::HEIGHT.min(self.rows - i);
                // SAFETY: the caller's promise.
                unsafe {
                    let to = self.to.add(first * self.height + i * inner);
                    interleave::<T, V>(self.a.from(i, first), count, inner, to, V::HEIGHT);
                }
            }
        }
    }
}

/// Copies columns of `b` to panels as wide as a tile; within blocks of the inner axis, panels follow each other.
pub(super) struct PackRight<T> {
    pub b: At<T>,
    pub inner: usize,
    pub columns: std::ops::Range<usize>,
    pub to: *mut T,
    /// The columns of all panels.
    pub width: usize,
}

impl<T: Lanes> Task<T> for PackRight<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let panel = 2 * V::LANES;
        for first in (0..self.inner).step_by(BLOCK) {
            let inner = BLOCK.min(self.inner - first);
            for j in self.columns.clone().step_by(panel) {
                let count = panel.min(self.columns.end - j);
                // SAFETY: the caller's promise.
                unsafe {
                    let to = self.to.add(first * self.width + j * inner);
                    let from = self.b.from(first, j);
                    interleave::<T, V>(from.t(), count, inner, to, panel);
                }
            }
        }
    }
}

/// Copies `count` rows of `inner` elements so that those in a column become neighbors, at a distance of `step` from those in the
/// next. Copies of the last row stand in for those that are missing from `step` rows.
///
/// # Safety
/// The rows must be there, at least one, and room for `step * inner` elements and [`SLACK`] more.
#[inline(always)]
pub(super) unsafe fn interleave<T: Copy, V: Vector<T>>(
    from: At<T>,
    count: usize,
    inner: usize,
    to: *mut T,
    step: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if from.row_stride == 1 && count == step {
            for p in 0..inner {
                std::ptr::copy_nonoverlapping(from.from(0, p).place, to.add(p * step), step);
            }
            return;
        }
        let row = |i: usize| from.from(i.min(count - 1), 0);
        let whole = if from.column_stride == 1 {
            inner - inner % V::SIDE
        } else {
            0
        };
        if whole > 0 {
            // A square that is wider than what is left of a column overwrites the start of the next column, which is written
            // after it: the last squares come first.
            for i in (0..step).step_by(V::SIDE).rev() {
                let rows: [*const T; 8] = std::array::from_fn(|r| row(i + r).place);
                for p in (0..whole).step_by(V::SIDE) {
                    V::turn(
                        &rows.map(|row| row.wrapping_add(p)),
                        to.add(p * step + i),
                        step,
                    );
                }
            }
        }
        for i in 0..step {
            let row = row(i);
            for p in whole..inner {
                *to.add(p * step + i) = *row.from(0, p).place;
            }
        }
    }
}

/// Elements that [`interleave`] may write beyond the last, but does not mean to.
pub(super) const SLACK: usize = 8;

/// Copies a matrix so that its columns are contiguous.
pub(super) struct Turn<T> {
    pub from: At<T>,
    pub rows: usize,
    pub columns: usize,
    /// Room for all elements and [`SLACK`] more.
    pub to: *mut T,
}

impl<T: Lanes> Task<T> for Turn<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        // SAFETY: the caller's promise.
        unsafe { interleave::<T, V>(self.from, self.rows, self.columns, self.to, self.rows) }
    }
}
