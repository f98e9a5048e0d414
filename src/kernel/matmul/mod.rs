//! Matrix products of strided matrices.
//!
//! Every path looks at the operands where they lie or copies them, whatever costs less; which one it is depends on the shape and
//! the strides alone. An element of the result is the sum of its terms in order, added by fused multiplications where the processor
//! has them, and cut in blocks of [`BLOCK`](tile::BLOCK) terms; but in products of contiguous rows and columns with few rows, where
//! several partial sums run side by side. How the result is cut for threads changes nothing, so that any number of threads gives
//! the same bits.

mod pack;
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
pub use tiny::Tiny;

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

/// The product `a b`, in row-major order without gaps; all of `out` is overwritten.
pub(crate) fn matmul<T: Number>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T]) {
    a.assert_within();
    b.assert_within();
    assert_eq!(a.columns, b.rows);
    assert_eq!(Some(out.len()), a.rows.checked_mul(b.columns));
    if out.is_empty() || a.columns == 0 {
        return out.fill(T::ZERO);
    }
    if tiny::is_tiny(&a, &b) {
        return tiny::product(&a, &b, out);
    }
    match (
        T::erase::<Slices>(a.data),
        T::erase::<Slices>(b.data),
        T::erase::<SlicesMut>(out),
    ) {
        (Any::F32(x), Any::F32(y), Any::F32(out)) => product(&a.with_data(x), &b.with_data(y), out),
        (Any::F64(x), Any::F64(y), Any::F64(out)) => product(&a.with_data(x), &b.with_data(y), out),
        (Any::I64(x), Any::I64(y), Any::I64(out)) => product(&a.with_data(x), &b.with_data(y), out),
        _ => unreachable!("three slices of one type of numbers"),
    }
}

/// Products of as many pairs of matrices of one shape as `out` has room for, one after the other in `out`.
pub(crate) fn matmul_batch<'a, T: Number>(
    count: usize,
    factors: &(dyn Fn(usize) -> [Matrix<'a, T>; 2] + Sync),
    out: &mut [T],
) {
    if out.is_empty() {
        return;
    }
    let [a, b] = factors(0);
    let size = a.rows * b.columns;
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
                matmul(a, b, out);
            }
        },
    );
}

#[cfg(test)]
mod tests;
