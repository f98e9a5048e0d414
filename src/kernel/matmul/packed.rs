//! Large products: both operands are copied to where the loops read them in order (K. Goto and R. van de Geijn, "Anatomy of
//! high-performance matrix multiplication", 2008).
//!
//! The right operand is packed once, by all threads; then every block of rows of the result is computed by one thread, which packs
//! its rows of the left operand. Blocks depend on the shape alone.

use super::skinny::nanoseconds;
use super::tile::{At, BLOCK, Target, tile};
use super::vector::{Lanes, Task, Vector};
use crate::kernel::dispatch::level;
use crate::kernel::threads;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::thread::LocalKey;

/// Columns that are packed together; a multiple of the width of every tile.
const STRIP: usize = 64;
/// Columns of the right operand that are packed at once.
const COLUMNS: usize = 2048;
/// Elements of the right operand that are packed at once: some megabytes, which the farthest cache holds.
const PACKED: usize = 1 << 20;
/// Rows of blocks are a multiple of this, and no more than four times as many; a multiple of the height of every tile.
const ROWS: usize = 12;

/// Rows that one thread computes at a time: enough parts for many threads, if there are enough rows.
pub(super) fn block_of_rows(rows: usize) -> usize {
    rows.div_ceil(32).next_multiple_of(ROWS).min(4 * ROWS)
}

/// The product of matrices of any strides into contiguous rows.
///
/// # Safety
/// The places must be those of matrices of these sizes; `target` may be written, by this call alone. No size may be 0.
pub(super) unsafe fn product<T: Lanes>(
    a: At<T>,
    b: At<T>,
    out: &mut [T],
    (rows, inner, columns): (usize, usize, usize),
) {
    let width = columns.next_multiple_of(STRIP).min(COLUMNS);
    let depth = (PACKED / width / BLOCK).max(1) * BLOCK;
    let depth = depth.min(inner);
    let height = block_of_rows(rows);
    let level = level();
    let target = Target {
        place: out.as_mut_ptr(),
        stride: columns,
        add: false,
    };
    scratch(&RIGHT, width * depth, |right| {
        let right = Target {
            place: right,
            stride: 0,
            add: false,
        };
        for j in (0..columns).step_by(COLUMNS) {
            let columns_now = COLUMNS.min(columns - j);
            for first in (0..inner).step_by(depth) {
                let inner_now = depth.min(inner - first);
                let strips = columns_now.div_ceil(STRIP);
                threads::each(strips, columns_now * inner_now / 4, |strip| {
                    // SAFETY: the strip lies within `b`, and its own part of the buffer is written.
                    unsafe {
                        T::run_at(
                            level,
                            PackRight {
                                b: b.from(first, j),
                                inner: inner_now,
                                columns: strip * STRIP..columns_now.min((strip + 1) * STRIP),
                                to: right.place(),
                                width,
                            },
                        );
                    }
                });
                let work = nanoseconds(rows, inner_now, columns_now);
                threads::each(rows.div_ceil(height), work, |block| {
                    let i = block * height;
                    let rows = height.min(rows - i);
                    scratch(&LEFT, height * BLOCK.min(inner_now) + SLACK, |left| {
                        // SAFETY: the rows lie within `a` and the target, where each block has its own; `right` was packed.
                        unsafe {
                            T::run_at(
                                level,
                                Rows {
                                    a: a.from(i, first),
                                    left,
                                    right: right.place(),
                                    width,
                                    target: Target {
                                        add: first > 0,
                                        ..target.from(i, j)
                                    },
                                    rows,
                                    inner: inner_now,
                                    columns: columns_now,
                                },
                            );
                        }
                    });
                });
            }
        }
    });
}

/// Copies columns of `b` to panels as wide as a tile; within blocks of the inner axis, panels follow each other.
struct PackRight<T> {
    b: At<T>,
    inner: usize,
    columns: std::ops::Range<usize>,
    to: *mut T,
    /// The columns of all panels.
    width: usize,
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

/// A block of rows of the product.
struct Rows<T> {
    a: At<T>,
    /// Room for the packed block of `a`.
    left: *mut T,
    right: *const T,
    width: usize,
    target: Target<T>,
    rows: usize,
    inner: usize,
    columns: usize,
}

impl<T: Lanes> Task<T> for Rows<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        // SAFETY: the caller's promise.
        unsafe {
            if V::HEIGHT == 12 {
                self.by::<V, 12>();
            } else {
                self.by::<V, 6>();
            }
        }
    }
}

impl<T: Lanes> Rows<T> {
    #[inline(always)]
    unsafe fn by<V: Vector<T>, const M: usize>(&self) {
        let panel = 2 * V::LANES;
        for first in (0..self.inner).step_by(BLOCK) {
            let inner = BLOCK.min(self.inner - first);
            let add = self.target.add || first > 0;
            for i in (0..self.rows).step_by(M) {
                let count = M.min(self.rows - i);
                // SAFETY: the caller's promise.
                unsafe {
                    interleave::<T, V>(
                        self.a.from(i, first),
                        count,
                        inner,
                        self.left.add(i * inner),
                        M,
                    );
                }
            }
            for j in (0..self.columns).step_by(panel) {
                let width = panel.min(self.columns - j);
                for i in (0..self.rows).step_by(M) {
                    // SAFETY: both panels have been packed; the caller's promise.
                    unsafe {
                        let a = At {
                            place: self.left.add(i * inner).cast_const(),
                            row_stride: 1,
                            column_stride: M as isize,
                        };
                        let b = At {
                            place: self.right.add(first * self.width + j * inner),
                            row_stride: panel as isize,
                            column_stride: 1,
                        };
                        let target = Target {
                            add,
                            ..self.target.from(i, j)
                        };
                        let rows = M.min(self.rows - i);
                        if width > V::LANES {
                            tile::<T, V, M, 2, true>(
                                inner,
                                a,
                                b,
                                width - V::LANES,
                                target,
                                rows,
                                T::ZERO,
                            );
                        } else {
                            tile::<T, V, M, 1, true>(inner, a, b, width, target, rows, T::ZERO);
                        }
                    }
                }
            }
        }
    }
}

/// Memory by the line of a cache.
#[repr(align(64))]
#[derive(Clone, Copy)]
pub(super) struct Line {
    _bytes: [u8; 64],
}

pub(super) type Lines = Cell<Vec<MaybeUninit<Line>>>;
thread_local! {
    /// Room that a thread keeps for packed blocks of left operands.
    pub(super) static LEFT: Lines = const { Cell::new(Vec::new()) };
    /// The same for right operands.
    pub(super) static RIGHT: Lines = const { Cell::new(Vec::new()) };
}

/// Calls `f` with room for `len` elements, not initialized, that the thread keeps for the next call. Calls may nest: an inner one
/// finds the room taken and makes its own.
pub(super) fn scratch<T>(of: &'static LocalKey<Lines>, len: usize, f: impl FnOnce(*mut T)) {
    let mut lines = of.take();
    lines.clear();
    lines.reserve((len * size_of::<T>()).div_ceil(size_of::<Line>()));
    f(lines.as_mut_ptr().cast());
    of.set(lines);
}
