//! Matrix products of strided matrices.
//!
//! Large products of floats are those of the crate `gemm`, which packs its operands, so that their strides cost little. Its
//! preparations cost more than a small product: those, and products of integers, are computed here.

use super::dispatch::simd;
use super::walk::lies_within;
use crate::element::{Any, Number, Slices, SlicesMut};
use gemm_common::Parallelism;

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
        let Matrix { offset, rows, columns, row_stride, column_stride, .. } = self;
        Matrix { data, offset, rows, columns, row_stride, column_stride }
    }

    /// Asserts that every element lies within the slice.
    #[inline(always)]
    fn assert_within(&self) {
        let (sizes, strides) = ([self.rows, self.columns], [self.row_stride, self.column_stride]);
        assert!(lies_within(&sizes, &strides, self.offset, self.data.len()), "a matrix reaches beyond its slice");
    }

    /// The place of an element.
    #[inline(always)]
    fn place(&self, i: usize, j: usize) -> usize {
        self.offset.wrapping_add_signed(i as isize * self.row_stride + j as isize * self.column_stride)
    }
}

/// Up to this many products of elements, with sizes rounded up to whole tiles, a product is computed here.
const SMALL: usize = 4096;

/// The product `a b`, in row-major order without gaps; all of `out` is overwritten.
pub(crate) fn matmul<T: Number>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T]) {
    a.assert_within();
    b.assert_within();
    assert_eq!(a.columns, b.rows);
    assert_eq!(Some(out.len()), a.rows.checked_mul(b.columns));
    if out.is_empty() || a.columns == 0 {
        return out.fill(T::ZERO);
    }
    let volume = a.rows.next_multiple_of(HEIGHT) * a.columns * b.columns.next_multiple_of(WIDTH);
    if volume <= SMALL {
        return tiles(&a, &b, out);
    }
    match (T::erase::<Slices>(a.data), T::erase::<Slices>(b.data), T::erase::<SlicesMut>(out)) {
        (Any::F32(x), Any::F32(y), Any::F32(out)) => gemm_f32(a.with_data(x), b.with_data(y), out),
        (Any::F64(x), Any::F64(y), Any::F64(out)) => gemm_f64(a.with_data(x), b.with_data(y), out),
        _ => tiles(&a, &b, out),
    }
}

macro_rules! gemm {
    ($name:ident, $t:ty, $gemm:path) => {
        /// The product by the crate `gemm`. The matrices must have been found to lie within their slices.
        fn $name(a: Matrix<'_, $t>, mut b: Matrix<'_, $t>, out: &mut [$t]) {
            // Its kernels want columns of the result to be contiguous: it is given the transposed problem. Where both
            // operands could be walked backwards along the inner axis, walking the left one forwards is faster.
            let mut a = a;
            if b.row_stride < 0 {
                a = Matrix { offset: a.place(0, a.columns - 1), column_stride: -a.column_stride, ..a };
                b = Matrix { offset: b.place(b.rows - 1, 0), row_stride: -b.row_stride, ..b };
            }
            // SAFETY: the caller has asserted that both operands lie within their slices and that `out` has
            // `a.rows * b.columns` elements; `gemm` reads and writes just the elements of the three matrices. `out` need
            // not be read, as the flag says.
            unsafe {
                $gemm()(
                    b.columns,
                    a.rows,
                    a.columns,
                    out.as_mut_ptr(),
                    b.columns as isize,
                    1,
                    false,
                    b.data.as_ptr().add(b.offset),
                    b.row_stride,
                    b.column_stride,
                    a.data.as_ptr().add(a.offset),
                    a.row_stride,
                    a.column_stride,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    Parallelism::None,
                );
            }
        }
    };
}
gemm!(gemm_f32, f32, gemm_f32::gemm::f32::get_gemm_fn);
gemm!(gemm_f64, f64, gemm_f64::gemm::f64::get_gemm_fn);

/// Rows of the result that are computed at once.
const HEIGHT: usize = 4;
/// Columns of the result that are computed at once.
const WIDTH: usize = 8;

simd! {
    /// The product, tile by tile. The matrices must lie within their slices, and none of the three sizes may be 0.
    fn tiles<T: Number>(a: &Matrix<'_, T>, b: &Matrix<'_, T>, out: &mut [T]) {
        for i in (0..a.rows).step_by(HEIGHT) {
            for j in (0..b.columns).step_by(WIDTH) {
                let sums = if b.column_stride == 1 && j + WIDTH <= b.columns {
                    tile::<T, true>(a, b, i, j)
                } else {
                    tile::<T, false>(a, b, i, j)
                };
                let width = WIDTH.min(b.columns - j);
                for (r, sums) in sums.iter().enumerate().take(a.rows - i) {
                    store(sums, &mut out[(i + r) * b.columns + j..][..width]);
                }
            }
        }
    }
}

/// The tile of the product that begins at element `(i, j)`; `WHOLE` if its rows of `b` are contiguous.
///
/// At the lower and the right edge, the last row or column stands in for those that are missing, so that every tile is
/// computed by the same instructions.
#[inline(always)]
fn tile<T: Number, const WHOLE: bool>(a: &Matrix<'_, T>, b: &Matrix<'_, T>, i: usize, j: usize) -> [[T; WIDTH]; HEIGHT] {
    let left: [usize; HEIGHT] = std::array::from_fn(|r| a.place((i + r).min(a.rows - 1), 0));
    let right: [usize; WIDTH] = std::array::from_fn(|c| b.place(0, (j + c).min(b.columns - 1)));
    let mut sums = [[T::ZERO; WIDTH]; HEIGHT];
    for p in 0..a.columns {
        let row: [T; WIDTH] = std::array::from_fn(|c| {
            let start = if WHOLE { right[0] + c } else { right[c] };
            // SAFETY: the place of an element of `b` in row `p`: `b.rows` is `a.columns`.
            unsafe { *b.data.get_unchecked(step(start, p, b.row_stride)) }
        });
        for r in 0..HEIGHT {
            // SAFETY: the place of an element of `a` in column `p`.
            let x = unsafe { *a.data.get_unchecked(step(left[r], p, a.column_stride)) };
            for c in 0..WIDTH {
                sums[r][c] = sums[r][c].plus(x.times(row[c]));
            }
        }
    }
    sums
}

#[inline(always)]
fn step(place: usize, count: usize, stride: isize) -> usize {
    place.wrapping_add_signed(count as isize * stride)
}

/// Copies as many numbers as `out` has. The usual lengths are loops of constant length, which need no call of `memcpy`.
#[inline(always)]
fn store<T: Number>(sums: &[T; WIDTH], out: &mut [T]) {
    match out.len() {
        WIDTH => out.copy_from_slice(sums),
        4 => out.copy_from_slice(&sums[..4]),
        1 => out[0] = sums[0],
        width => {
            for c in 0..WIDTH {
                if c < width {
                    out[c] = sums[c];
                }
            }
        }
    }
}
