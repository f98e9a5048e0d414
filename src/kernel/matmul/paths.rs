//! Which way a product goes, and how it is cut for threads.

use super::Matrix;
use super::pack::{SLACK, Turn};
use super::packed::{self, block_of_rows};
use super::skinny::{Dots, Row, nanoseconds};
use super::tile::{At, Direct, Target};
use super::vector::Lanes;
use crate::kernel::scratch::scratch;
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
pub(super) fn product<T: Lanes>(a: &Matrix<'_, T>, b: &Matrix<'_, T>, out: &mut [T]) {
    let sizes @ (rows, inner, columns) = (a.rows, a.columns, b.columns);
    let (a, b) = (a.at(), b.at());
    let work = rows.saturating_mul(inner).saturating_mul(columns);
    let small = work <= SMALL;
    let by_rows = b.column_stride == 1;
    let by_dots = a.column_stride == 1 && b.row_stride == 1;
    if work <= TINY && rows > 1 && columns > 1 && (by_rows || !by_dots || rows >= 4) {
        // The most frequent in small models, where all that is not arithmetic shows.
        let target = Target::new(out, columns);
        // SAFETY: the operands lie within their slices, and `out` has room for the product.
        let narrow = |b| unsafe { direct::<T, 1>(a, b, target, sizes) };
        // SAFETY: as above.
        let wide = |b| unsafe { direct::<T, 2>(a, b, target, sizes) };
        // SAFETY: as above.
        unsafe {
            match (by_rows, columns * size_of::<T>() <= 32) {
                (true, true) => narrow(b),
                (true, false) => wide(b),
                (false, true) => turned(b, inner, columns, narrow),
                (false, false) => turned(b, inner, columns, wide),
            }
        }
        return;
    }
    // SAFETY: as above.
    unsafe {
        if rows == 1 && row(a, b, inner, out) || columns == 1 && row(b.t(), a.t(), inner, out) {
            // A vector times a matrix.
        } else if by_dots && (rows < 4 || rows <= FEW_TURNED && inner >= 256) {
            in_columns(out, sizes, &|j, columns, target| {
                dots(a, b.from(0, j), target, (rows, inner, columns));
            });
        } else if columns <= NARROW && a.column_stride == 1 && rows >= 8 && inner >= 16 {
            turned(b.t(), columns, inner, |b| {
                in_rows(out, sizes, &|i, rows, target| {
                    dots(a.from(i, 0), b.t(), target, (rows, inner, columns));
                });
            });
        } else if by_rows
            && (columns <= NARROW * 8
                || small && rows > FEW && (a.column_stride == 1 || rows <= 64))
        {
            directly(a, b, out, sizes);
        } else if by_rows && rows <= FEW {
            in_columns(out, sizes, &|j, columns, target| {
                direct::<T, 2>(a, b.from(0, j), target, (rows, inner, columns));
            });
        } else if small {
            turned(b, inner, columns, |b| directly(a, b, out, sizes));
        } else {
            packed::product(a, b, out, sizes);
        }
    }
}

/// The product of some rows and columns, of matrices where they lie.
///
/// # Safety
/// The operands and the target have so many rows, terms and columns; the rows of `b` are contiguous.
#[inline(always)]
unsafe fn direct<T: Lanes, const N: usize>(
    a: At<T>,
    b: At<T>,
    target: Target<T>,
    (rows, inner, columns): Sizes,
) {
    // SAFETY: the caller's promise.
    unsafe {
        T::run(Direct::<T, N> {
            a,
            b,
            target,
            rows,
            inner,
            columns,
        });
    }
}

/// As [`direct`], of contiguous rows of `a` and contiguous columns of `b`.
///
/// # Safety
/// The operands and the target have so many rows, terms and columns, which lie so.
#[inline(always)]
unsafe fn dots<T: Lanes>(a: At<T>, b: At<T>, target: Target<T>, (rows, inner, columns): Sizes) {
    // SAFETY: the caller's promise.
    unsafe {
        T::run(Dots {
            a,
            b,
            target,
            rows,
            inner,
            columns,
        });
    }
}

/// A whole product by [`direct`].
///
/// # Safety
/// As [`direct`]; `out` has room for the product.
unsafe fn directly<T: Lanes>(a: At<T>, b: At<T>, out: &mut [T], sizes: Sizes) {
    let (_, inner, columns) = sizes;
    // SAFETY: the caller's promise, for some of the rows.
    in_rows(out, sizes, &|i, rows, target| unsafe {
        direct::<T, 2>(a.from(i, 0), b, target, (rows, inner, columns));
    });
}

/// Calls `f` with a copy of `b` whose rows are contiguous.
///
/// # Safety
/// The matrix must have so many rows and columns.
unsafe fn turned<T: Lanes>(b: At<T>, rows: usize, columns: usize, f: impl FnOnce(At<T>)) {
    scratch(rows * columns + SLACK, |right: *mut T| {
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

/// Rows, terms of each sum, columns.
type Sizes = (usize, usize, usize);

/// What a path does for some rows or columns: with the first of them, their number and their place in the result.
type Part<'a, T> = &'a (dyn Fn(usize, usize, Target<T>) + Sync);

/// Computes a product by blocks of rows, if it is large.
fn in_rows<T: Lanes>(out: &mut [T], (rows, inner, columns): Sizes, part: Part<'_, T>) {
    let work = nanoseconds(rows, inner, columns);
    let height = if work < threads::WORTHWHILE {
        rows
    } else {
        block_of_rows(rows)
    };
    threads::each_chunk(out, height * columns, work, |block, out| {
        let target = Target::new(out, columns);
        part(block * height, out.len() / columns, target);
    });
}

/// Computes a product by blocks of columns, if it is large.
fn in_columns<T: Lanes>(out: &mut [T], (rows, inner, columns): Sizes, part: Part<'_, T>) {
    // A multiple of the width of every tile.
    const WIDTH: usize = 96;
    let work = nanoseconds(rows, inner, columns);
    let width = if work < threads::WORTHWHILE {
        columns
    } else {
        WIDTH
    };
    let target = Target::new(out, columns);
    threads::each(columns.div_ceil(width), work, |block| {
        let j = block * width;
        part(j, width.min(columns - j), target.from(0, j));
    });
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
            let target = Target::new(out, 0);
            // SAFETY: as above.
            unsafe { dots(a, b.from(0, 64 * chunk), target, (1, inner, out.len())) };
        });
        true
    } else {
        false
    }
}
