//! Matrix products of strided matrices.
//!
//! Every path looks at the operands where they lie or copies them, whatever costs less; which one it is depends on the shape and
//! the strides alone. An element of the result is the sum of its terms in order, added by fused multiplications where the processor
//! has them, and cut in blocks of [`BLOCK`](tile::BLOCK) terms; but in products of contiguous rows and columns with few rows, where
//! several partial sums run side by side. How the result is cut for threads changes nothing, so that any number of threads gives
//! the same bits.

mod packed;
mod skinny;
mod tile;
mod tiny;
mod vector;

use super::threads;
use super::walk::lies_within;
use crate::element::{Any, Number, Slices, SlicesMut};
use packed::{RIGHT, SLACK, Turn, block_of_rows, scratch};
use skinny::{Dots, Row, nanoseconds};
use tile::{At, Direct, Target};
use vector::Lanes;

/// A matrix in a slice: element `(i, j)` lies at `offset + i * row_stride + j * column_stride`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a, T> {
    /// The slice.
    pub data: &'a [T],
    /// The place of element `(0, 0)`.
    pub offset: usize,
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
    /// The distance between neighbors in a column; may be negative or 0.
    pub row_stride: isize,
    /// The distance between neighbors in a row; may be negative or 0.
    pub column_stride: isize,
}

impl<'a, T> Matrix<'a, T> {
    #[inline(always)]
    fn with_data<U>(self, data: &'a [U]) -> Matrix<'a, U> {
        let Matrix {
            offset,
            rows,
            columns,
            row_stride,
            column_stride,
            ..
        } = self;
        Matrix {
            data,
            offset,
            rows,
            columns,
            row_stride,
            column_stride,
        }
    }

    /// Asserts that every element lies within the slice.
    #[inline(always)]
    fn assert_within(&self) {
        let (sizes, strides) = (
            [self.rows, self.columns],
            [self.row_stride, self.column_stride],
        );
        assert!(
            lies_within(&sizes, &strides, self.offset, self.data.len()),
            "a matrix reaches beyond its slice"
        );
    }

    /// The place of an element.
    #[inline(always)]
    fn place(&self, i: usize, j: usize) -> usize {
        self.offset
            .wrapping_add_signed(i as isize * self.row_stride + j as isize * self.column_stride)
    }

    /// The same, as a place in memory.
    fn at(&self) -> At<T> {
        At {
            place: self.data.as_ptr().wrapping_add(self.offset),
            row_stride: self.row_stride,
            column_stride: self.column_stride,
        }
    }
}

/// What is done to complete rows of a product: called with the number of the first one and the rows themselves.
///
/// Every row is handed over exactly once, in a block of whole rows that has just been computed, by the thread that computed it
/// where rows are computed as a whole. Calls may come from several threads at once and in any order. Where rows are cut depends on
/// the shape, never on the number of threads; what is done to a row should not depend on the others in the block.
pub(crate) type After<'a, T> = &'a (dyn Fn(usize, &mut [T]) + Sync);

/// The product `a b`, in row-major order without gaps; all of `out` is overwritten. Then `after`, if given, has all rows.
pub(crate) fn matmul<T: Number>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: &mut [T],
    after: Option<After<'_, T>>,
) {
    a.assert_within();
    b.assert_within();
    assert_eq!(a.columns, b.rows);
    assert_eq!(Some(out.len()), a.rows.checked_mul(b.columns));
    if out.is_empty() || a.columns == 0 {
        out.fill(T::ZERO);
        return finish(out, b.columns, after);
    }
    if tiny::is_tiny(&a, &b) {
        tiny::product(&a, &b, out);
        return finish(out, b.columns, after);
    }
    macro_rules! of_type {
        ($variant:ident, $x:ident, $y:ident, $out:ident) => {{
            let (a, b) = (a.with_data($x), b.with_data($y));
            let Some(after) = after else {
                return product(&a, &b, $out, None);
            };
            product(
                &a,
                &b,
                $out,
                Some(&|first, rows| {
                    if let Some(rows) = T::restore::<SlicesMut>(Any::$variant(rows)) {
                        after(first, rows);
                    }
                }),
            )
        }};
    }
    match (
        T::erase::<Slices>(a.data),
        T::erase::<Slices>(b.data),
        T::erase::<SlicesMut>(out),
    ) {
        (Any::F32(x), Any::F32(y), Any::F32(out)) => of_type!(F32, x, y, out),
        (Any::F64(x), Any::F64(y), Any::F64(out)) => of_type!(F64, x, y, out),
        (Any::I64(x), Any::I64(y), Any::I64(out)) => of_type!(I64, x, y, out),
        _ => unreachable!("three slices of one type of numbers"),
    }
}

/// Products of as many pairs of matrices of one shape as `out` has room for, one after the other in `out`. Rows are numbered through
/// for `after`.
pub(crate) fn matmul_batch<'a, T: Number>(
    count: usize,
    factors: &(dyn Fn(usize) -> [Matrix<'a, T>; 2] + Sync),
    out: &mut [T],
    after: Option<After<'_, T>>,
) {
    if out.is_empty() {
        return;
    }
    let [a, b] = factors(0);
    let (rows, size) = (a.rows, a.rows * b.columns);
    assert_eq!(Some(out.len()), size.checked_mul(count));
    let each = nanoseconds(a.rows, a.columns, b.columns);
    // Parts of some products that are worth a thread's while.
    let together = (threads::WORTHWHILE / 2 / each.max(1)).clamp(1, count);
    threads::each_chunk(
        out,
        together * size,
        each.saturating_mul(count),
        |part, out| {
            for (i, out) in out.chunks_exact_mut(size).enumerate() {
                let i = part * together + i;
                let [a, b] = factors(i);
                match after {
                    None => matmul(a, b, out, None),
                    Some(after) => {
                        matmul(a, b, out, Some(&|first, out| after(i * rows + first, out)))
                    }
                }
            }
        },
    );
}

/// Hands all rows to `after`, if there is one.
fn finish<T: Send>(out: &mut [T], columns: usize, after: Option<After<'_, T>>) {
    if let (Some(after), false) = (after, out.is_empty()) {
        let rows = (4096 / columns).max(1);
        threads::each_chunk(out, rows * columns, out.len(), |block, out| {
            after(block * rows, out)
        });
    }
}

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
fn product<T: Lanes>(
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

#[cfg(test)]
mod tests;
