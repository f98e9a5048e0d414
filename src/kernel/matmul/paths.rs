//! Which way a product goes, and how it is cut for threads.

use super::packed::{self, RIGHT, SLACK, Turn, block_of_rows, scratch};
use super::skinny::{Dots, Row, nanoseconds};
use super::tile::{At, Direct, Target};
use super::vector::Lanes;
use super::{After, Matrix, finish};
use crate::kernel::threads;

/// Products of no more multiplications are computed without looking for the best way.
const TINY: usize = 1 << 13;
/// Products of no more multiplications go without packed copies, on one thread.
const SMALL: usize = 1 << 21;
/// With no more rows than this, packed copies of the right operand do not pay.
const FEW: usize = 24;
/// With no more rows than this, sums of products of contiguous rows and columns are faster than turning them.
const FEW_TURNED: usize = 64;
/// With no more columns than this, most of each vector would be empty.
const NARROW: usize = 4;

/// The product of matrices that lie within their slices, none of whose sizes is 0.
pub(super) fn product<T: Lanes>(
    a: &Matrix<'_, T>,
    b: &Matrix<'_, T>,
    out: &mut [T],
    after: Option<After<'_, T>>,
) {
    let (rows, inner, columns) = (a.rows, a.columns, b.columns);
    let (a, b) = (a.at(), b.at());
    let small = rows.saturating_mul(inner).saturating_mul(columns) <= SMALL;
    let by_rows = b.column_stride == 1;
    let by_dots = a.column_stride == 1 && b.row_stride == 1;
    let tiny = rows.saturating_mul(inner).saturating_mul(columns) <= TINY;
    if tiny && rows > 1 && columns > 1 && (by_rows || !by_dots || rows >= 4) {
        // The most frequent in small models, where all that is not arithmetic shows.
        let target = Target {
            place: out.as_mut_ptr(),
            stride: columns,
            add: false,
        };
        // SAFETY: the operands lie within their slices, and `out` has room for the product.
        let direct = |b: At<T>| unsafe {
            if columns * size_of::<T>() <= 32 {
                T::run(Direct::<T, 1> {
                    a,
                    b,
                    target,
                    rows,
                    inner,
                    columns,
                });
            } else {
                T::run(Direct::<T, 2> {
                    a,
                    b,
                    target,
                    rows,
                    inner,
                    columns,
                });
            }
        };
        if by_rows {
            direct(b);
        } else {
            // SAFETY: as above.
            unsafe { turned(b, inner, columns, direct) };
        }
        if let Some(after) = after {
            after(0, out);
        }
        return;
    }
    // SAFETY: as above.
    unsafe {
        if rows == 1 && row(a, b, inner, out) || columns == 1 && row(b.t(), a.t(), inner, out) {
            finish(out, columns, after);
        } else if by_dots && (rows < 4 || rows <= FEW_TURNED && inner >= 256) {
            in_columns(out, (rows, inner, columns), after, &|j, columns, target| {
                T::run(Dots {
                    a,
                    b: b.from(0, j),
                    target,
                    rows,
                    inner,
                    columns,
                });
            });
        } else if columns <= NARROW && a.column_stride == 1 && rows >= 8 && inner >= 16 {
            scratch(&RIGHT, inner * columns + SLACK, |right| {
                T::run(Turn {
                    from: b,
                    rows: inner,
                    columns,
                    to: right,
                });
                let b = At {
                    place: right.cast_const(),
                    row_stride: 1,
                    column_stride: inner as isize,
                };
                in_rows(out, (rows, inner, columns), after, &|i, rows, target| {
                    T::run(Dots {
                        a: a.from(i, 0),
                        b,
                        target,
                        rows,
                        inner,
                        columns,
                    });
                });
            });
        } else if by_rows
            && (columns <= NARROW * 8
                || small && rows > FEW && (a.column_stride == 1 || rows <= 64))
        {
            in_rows(out, (rows, inner, columns), after, &|i, rows, target| {
                T::run(Direct::<T, 2> {
                    a: a.from(i, 0),
                    b,
                    target,
                    rows,
                    inner,
                    columns,
                });
            });
        } else if by_rows && rows <= FEW {
            in_columns(out, (rows, inner, columns), after, &|j, columns, target| {
                T::run(Direct::<T, 2> {
                    a,
                    b: b.from(0, j),
                    target,
                    rows,
                    inner,
                    columns,
                });
            });
        } else if small {
            turned(b, inner, columns, |b| {
                in_rows(out, (rows, inner, columns), after, &|i, rows, target| {
                    T::run(Direct::<T, 2> {
                        a: a.from(i, 0),
                        b,
                        target,
                        rows,
                        inner,
                        columns,
                    });
                });
            });
        } else {
            packed::product(a, b, out, (rows, inner, columns), after);
        }
    }
}

/// Calls `f` with a copy of `b` whose rows are contiguous.
///
/// # Safety
/// The matrix must have so many rows and columns.
unsafe fn turned<T: Lanes>(b: At<T>, rows: usize, columns: usize, f: impl FnOnce(At<T>)) {
    scratch(&RIGHT, rows * columns + SLACK, |right| {
        // SAFETY: the caller's promise; there is room for the copy.
        unsafe {
            T::run(Turn {
                from: b.t(),
                rows: columns,
                columns: rows,
                to: right,
            })
        };
        f(At {
            place: right.cast_const(),
            row_stride: columns as isize,
            column_stride: 1,
        });
    });
}

/// What a path does for some rows or columns: with the first of them, their number and their place in the result.
type Part<'a, T> = &'a (dyn Fn(usize, usize, Target<T>) + Sync);

/// Computes a product by blocks of rows, if it is large, and hands each to `after`.
fn in_rows<T: Lanes>(
    out: &mut [T],
    (rows, inner, columns): (usize, usize, usize),
    after: Option<After<'_, T>>,
    part: Part<'_, T>,
) {
    let work = nanoseconds(rows, inner, columns);
    let height = if work < threads::WORTHWHILE {
        rows
    } else {
        block_of_rows(rows)
    };
    threads::each_chunk(out, height * columns, work, |block, out| {
        let target = Target {
            place: out.as_mut_ptr(),
            stride: columns,
            add: false,
        };
        part(block * height, out.len() / columns, target);
        if let Some(after) = after {
            after(block * height, out);
        }
    });
}

/// Computes a product by blocks of columns, if it is large, and then hands the rows to `after`.
fn in_columns<T: Lanes>(
    out: &mut [T],
    (rows, inner, columns): (usize, usize, usize),
    after: Option<After<'_, T>>,
    part: Part<'_, T>,
) {
    // A multiple of the width of every tile.
    const WIDTH: usize = 96;
    let work = nanoseconds(rows, inner, columns);
    let width = if work < threads::WORTHWHILE {
        columns
    } else {
        WIDTH
    };
    let target = Target {
        place: out.as_mut_ptr(),
        stride: columns,
        add: false,
    };
    threads::each(columns.div_ceil(width), work, |block| {
        let j = block * width;
        part(j, width.min(columns - j), target.from(0, j));
    });
    finish(out, columns, after);
}

/// A row vector times a matrix; `false` if neither rows nor columns of the matrix are contiguous.
///
/// # Safety
/// `a` has one row of `inner` elements and `b` as many rows, of as many columns as `out` has elements.
unsafe fn row<T: Lanes>(a: At<T>, b: At<T>, inner: usize, out: &mut [T]) -> bool {
    let columns = out.len();
    let work = inner.saturating_mul(columns) / 8;
    if b.column_stride == 1 || columns == 1 && b.row_stride != 1 {
        threads::each_chunk(out, 512, work, |chunk, out| {
            // SAFETY: the caller's promise, for some of the columns.
            unsafe {
                T::run(Row {
                    a,
                    b: b.from(0, 512 * chunk),
                    out: out.as_mut_ptr(),
                    inner,
                    columns: out.len(),
                });
            }
        });
        true
    } else if b.row_stride == 1 && a.column_stride == 1 {
        threads::each_chunk(out, 64, work, |chunk, out| {
            let target = Target {
                place: out.as_mut_ptr(),
                stride: 0,
                add: false,
            };
            // SAFETY: as above.
            unsafe {
                T::run(Dots {
                    a,
                    b: b.from(0, 64 * chunk),
                    target,
                    rows: 1,
                    inner,
                    columns: out.len(),
                });
            }
        });
        true
    } else {
        false
    }
}
