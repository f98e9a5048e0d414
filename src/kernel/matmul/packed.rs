//! Large products: both operands are copied to where the loops read them in order (K. Goto and R. van de Geijn, "Anatomy of
//! high-performance matrix multiplication", 2008).
//!
//! One operand is packed whole, the left one if it has few rows, and of the other one some rows or columns at a time, with which a
//! part of the result is computed. Each thread packs for itself: what one thread has written lately another reads slowly. Only where
//! there are so many threads that all this packing would take long do they pack one copy together. Parts depend on the shape alone.

use super::pack::{PackLeft, PackRight, SLACK};
use super::skinny::nanoseconds;
use super::tile::{At, BLOCK, Target, tile};
use super::vector::{Lanes, Task, Vector};
use crate::kernel::dispatch::level;
use crate::kernel::scratch::scratch;
use crate::kernel::threads;

/// Columns that are packed together; a multiple of the width of every tile.
const STRIP: usize = 64;
/// Columns of the right operand that are packed at once.
const COLUMNS: usize = 2048;
/// Elements of the right operand that are packed at once: some megabytes, which the farthest cache holds.
const PACKED: usize = 1 << 20;
/// Rows of blocks are a multiple of this, and no more than four times as many; a multiple of the height of every tile.
const ROWS: usize = 12;
/// With no more rows than this, all of them are packed at once: with [`BLOCK`] terms they take a quarter of a megabyte at most.
const ALL_ROWS: usize = 256;
/// Elements of all rows that are packed at once: half a megabyte of `f32`, which the second cache holds.
const PACKED_ROWS: usize = 1 << 17;
/// Rows for each thread with which packing all of the right operand takes less than an eighth of the time.
const ROWS_OF_THREAD: usize = 64;

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
    sizes @ (rows, _, columns): (usize, usize, usize),
) {
    let target = Target::new(out, columns);
    // SAFETY: the caller's promise.
    unsafe {
        if rows <= ALL_ROWS && rows <= columns {
            by_columns(a, b, target, sizes);
        } else {
            by_rows(a, b, target, sizes);
        }
    }
}

/// The terms of each sum that are worked on together: as many blocks as `packed` elements of so many rows or columns have.
fn depth(inner: usize, across: usize, packed: usize) -> usize {
    inner.min((packed / across / BLOCK).max(1) * BLOCK)
}

/// A product with all rows of the left operand packed: parts are columns.
///
/// # Safety
/// That of [`product`].
unsafe fn by_columns<T: Lanes>(
    a: At<T>,
    b: At<T>,
    target: Target<T>,
    (rows, inner, columns): (usize, usize, usize),
) {
    let level = level();
    let height = rows.next_multiple_of(ROWS);
    let depth = depth(inner, height, PACKED_ROWS);
    for first in (0..inner).step_by(depth) {
        let inner = depth.min(inner - first);
        let work = nanoseconds(rows, inner, columns);
        threads::share(columns.div_ceil(STRIP), work, |strips| {
            let mut strips = strips.peekable();
            if strips.peek().is_none() {
                return;
            }
            scratch(height * inner + SLACK, |left| {
                let all = PackLeft {
                    a: a.from(0, first),
                    rows,
                    inner,
                    to: left,
                    height,
                };
                // SAFETY: the rows lie within `a`, and there is room for all of them.
                unsafe { T::run_at(level, all) };
                scratch(STRIP * BLOCK, |right| {
                    for strip in strips {
                        let j = strip * STRIP;
                        // SAFETY: the columns lie within `b` and the target, where each strip has its own; `left` was packed.
                        unsafe {
                            T::run_at(
                                level,
                                Columns {
                                    left,
                                    height,
                                    b: b.from(first, j),
                                    right,
                                    target: target.from(0, j).adding(first > 0),
                                    rows,
                                    inner,
                                    columns: STRIP.min(columns - j),
                                },
                            );
                        }
                    }
                });
            });
        });
    }
}

/// A product with columns of the right operand packed: parts are rows.
///
/// # Safety
/// That of [`product`].
unsafe fn by_rows<T: Lanes>(
    a: At<T>,
    b: At<T>,
    target: Target<T>,
    (rows, inner, columns): (usize, usize, usize),
) {
    let level = level();
    let width = columns.next_multiple_of(STRIP).min(COLUMNS);
    let depth = depth(inner, width, PACKED);
    let height = block_of_rows(rows);
    for j in (0..columns).step_by(COLUMNS) {
        let columns = COLUMNS.min(columns - j);
        for first in (0..inner).step_by(depth) {
            let inner = depth.min(inner - first);
            let strip = |strip: usize, to| {
                let right = PackRight {
                    b: b.from(first, j),
                    inner,
                    columns: strip * STRIP..columns.min((strip + 1) * STRIP),
                    to,
                    width,
                };
                // SAFETY: the strip lies within `b`, and its own part of the room is written.
                unsafe { T::run_at(level, right) };
            };
            let block = |block: usize, right| {
                let i = block * height;
                let rows = height.min(rows - i);
                scratch(height * BLOCK.min(inner) + SLACK, |left| {
                    // SAFETY: the rows lie within `a` and the target, where each block has its own; `right` was packed.
                    unsafe {
                        T::run_at(
                            level,
                            Rows {
                                a: a.from(i, first),
                                left,
                                right,
                                width,
                                target: target.from(i, j).adding(first > 0),
                                rows,
                                inner,
                                columns,
                            },
                        );
                    }
                });
            };
            let (strips, blocks) = (columns.div_ceil(STRIP), rows.div_ceil(height));
            let work = nanoseconds(rows, inner, columns);
            if threads::sharing(work) * ROWS_OF_THREAD <= rows {
                threads::share(blocks, work, |blocks| {
                    let mut blocks = blocks.peekable();
                    if blocks.peek().is_some() {
                        scratch(width * inner, |right| {
                            (0..strips).for_each(|k| strip(k, right));
                            blocks.for_each(|k| block(k, right));
                        });
                    }
                });
            } else {
                scratch(width * inner, |right| {
                    let right = Target {
                        place: right,
                        stride: 0,
                        add: false,
                    };
                    let packing = columns * inner / 4;
                    threads::each(strips, packing, |k| strip(k, right.place()));
                    threads::each(blocks, work, |k| block(k, right.place()));
                });
            }
        }
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
        for first in (0..self.inner).step_by(BLOCK) {
            let inner = BLOCK.min(self.inner - first);
            let left = PackLeft {
                a: self.a.from(0, first),
                rows: self.rows,
                inner,
                to: self.left,
                height: self.rows,
            };
            // SAFETY: the caller's promise; both operands are packed when they are multiplied.
            unsafe {
                left.run::<V>();
                let panels = Panels {
                    left: self.left,
                    right: self.right.add(first * self.width),
                    target: self.target.adding(first > 0),
                    rows: self.rows,
                    inner,
                    columns: self.columns,
                };
                panels.run::<V>();
            }
        }
    }
}

/// Some columns of the product.
struct Columns<T> {
    left: *const T,
    height: usize,
    b: At<T>,
    /// Room for a packed block of `b`.
    right: *mut T,
    target: Target<T>,
    rows: usize,
    inner: usize,
    columns: usize,
}

impl<T: Lanes> Task<T> for Columns<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        for first in (0..self.inner).step_by(BLOCK) {
            let inner = BLOCK.min(self.inner - first);
            let right = PackRight {
                b: self.b.from(first, 0),
                inner,
                columns: 0..self.columns,
                to: self.right,
                width: STRIP,
            };
            // SAFETY: the caller's promise; both operands are packed when they are multiplied.
            unsafe {
                right.run::<V>();
                let panels = Panels {
                    left: self.left.add(first * self.height),
                    right: self.right,
                    target: self.target.adding(first > 0),
                    rows: self.rows,
                    inner,
                    columns: self.columns,
                };
                panels.run::<V>();
            }
        }
    }
}

/// Packed operands, of no more terms than a block.
struct Panels<T> {
    left: *const T,
    right: *const T,
    target: Target<T>,
    rows: usize,
    inner: usize,
    columns: usize,
}

impl<T: Lanes> Panels<T> {
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

    #[inline(always)]
    unsafe fn by<V: Vector<T>, const M: usize>(&self) {
        let panel = 2 * V::LANES;
        let inner = self.inner;
        for j in (0..self.columns).step_by(panel) {
            let width = panel.min(self.columns - j);
            for i in (0..self.rows).step_by(M) {
                // SAFETY: the caller's promise.
                unsafe {
                    let a = At {
                        place: self.left.add(i * inner),
                        row_stride: 1,
                        column_stride: M as isize,
                    };
                    let b = At {
                        place: self.right.add(j * inner),
                        row_stride: panel as isize,
                        column_stride: 1,
                    };
                    let target = self.target.from(i, j);
                    let rows = M.min(self.rows - i);
                    if width > V::LANES {
                        let last = width - V::LANES;
                        tile::<T, V, M, 2, true>(inner, a, b, last, target, rows, T::ZERO);
                    } else {
                        tile::<T, V, M, 1, true>(inner, a, b, width, target, rows, T::ZERO);
                    }
                }
            }
        }
    }
}
