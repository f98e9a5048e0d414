//! Matrix products of strided matrices.
//!
//! Every path looks at the operands where they lie or copies them, whatever costs less; which one it is depends on the shape and
//! the strides alone. An element of the result is the sum of its terms in order, added by fused multiplications where the processor
//! has them, and cut in blocks of [`BLOCK`](tile::BLOCK) terms; but in products of contiguous rows and columns with few rows, where
//! several partial sums run side by side. How the result is cut for threads changes nothing, so that any number of threads gives
//! the same bits.

mod packed;
mod paths;
mod skinny;
mod tile;
mod tiny;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::threads;
use super::walk::lies_within;
use crate::element::{Any, Number, Slices, SlicesMut};
use paths::product;
use skinny::nanoseconds;
use tile::At;

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

#[cfg(test)]
mod tests;
