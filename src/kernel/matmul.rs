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
    if a.rows <= HEIGHT && b.columns <= WIDTH && a.columns <= 8 {
        return one_tile(&a, &b, out);
    }
    if is_small(&a, &b) {
        return tiles(&a, &b, out);
    }
    match (
        T::erase::<Slices>(a.data),
        T::erase::<Slices>(b.data),
        T::erase::<SlicesMut>(out),
    ) {
        (Any::F32(x), Any::F32(y), Any::F32(out)) => gemm_f32(a.with_data(x), b.with_data(y), out),
        (Any::F64(x), Any::F64(y), Any::F64(out)) => gemm_f64(a.with_data(x), b.with_data(y), out),
        _ => tiles(&a, &b, out),
    }
}

/// Whether the tiles below were measured to be faster than the crate `gemm`.
fn is_small<T>(a: &Matrix<'_, T>, b: &Matrix<'_, T>) -> bool {
    let (rows, inner, columns) = (a.rows, a.columns, b.columns);
    // Inner products of contiguous vectors, and outer products: it has kernels for them.
    let dots =
        a.column_stride == 1 && b.row_stride == 1 && inner >= 8 && inner >= 2 * rows.min(columns);
    let outer = inner <= 2 && b.column_stride == 1 && columns >= 8 && rows * columns >= 256;
    let volume = rows
        .next_multiple_of(HEIGHT)
        .saturating_mul(inner)
        .saturating_mul(columns.next_multiple_of(WIDTH));
    volume <= 4096 && !dots && !outer
}

macro_rules! gemm {
    ($name:ident, $t:ty, $gemm:path) => {
        /// The product by the crate `gemm`. The matrices must have been found to lie within their slices.
        fn $name(mut a: Matrix<'_, $t>, mut b: Matrix<'_, $t>, out: &mut [$t]) {
            // For a few rows times contiguous columns, it is slower than for each row alone.
            let few = (2..=6).contains(&a.rows) && a.columns * b.columns >= 1 << 14;
            if few && a.column_stride == 1 && b.row_stride == 1 {
                for (i, out) in out.chunks_exact_mut(b.columns).enumerate() {
                    $name(
                        Matrix {
                            offset: a.place(i, 0),
                            rows: 1,
                            ..a
                        },
                        b,
                        out,
                    );
                }
                return;
            }
            // Its kernels want contiguous columns in the result: the problem is handed over transposed. They also want the
            // left operand, now `b`, walked forwards along the inner axis.
            if b.row_stride < 0 {
                a = Matrix {
                    offset: a.place(0, a.columns - 1),
                    column_stride: -a.column_stride,
                    ..a
                };
                b = Matrix {
                    offset: b.place(b.rows - 1, 0),
                    row_stride: -b.row_stride,
                    ..b
                };
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
    /// The product where it is one tile, as `tiles` without loops: the smallest products are mostly overhead.
    fn one_tile<T: Number>(a: &Matrix<'_, T>, b: &Matrix<'_, T>, out: &mut [T]) {
        let sums = tile::<T, false>(a, b, 0, 0);
        for (sums, out) in sums.iter().zip(out.chunks_exact_mut(b.columns)) {
            store(sums, out);
        }
    }
}

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
fn tile<T: Number, const WHOLE: bool>(
    a: &Matrix<'_, T>,
    b: &Matrix<'_, T>,
    i: usize,
    j: usize,
) -> [[T; WIDTH]; HEIGHT] {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::dispatch::at_every_level;
    use crate::kernel::sample;
    use crate::shape::{Layout, Shape};
    use rand::RngExt;

    fn matrix<'a, T>(data: &'a [T], layout: &Layout) -> Matrix<'a, T> {
        let (shape, strides) = (layout.shape(), layout.strides());
        Matrix {
            data,
            offset: layout.offset(),
            rows: shape[0],
            columns: shape[1],
            row_stride: strides[0],
            column_stride: strides[1],
        }
    }

    /// Compares with the definition, in whole numbers so small that every float is exact.
    fn check<T: Number>(a: &[i64], a_layout: &Layout, b: &[i64], b_layout: &Layout) {
        let (rows, inner, columns) = (
            a_layout.shape()[0],
            a_layout.shape()[1],
            b_layout.shape()[1],
        );
        let mut expected = Vec::new();
        for i in 0..rows {
            for j in 0..columns {
                let terms = (0..inner)
                    .map(|k| a[a_layout.position(&[i, k])] * b[b_layout.position(&[k, j])]);
                expected.push(T::of(terms.sum::<i64>() as f64));
            }
        }
        let convert = |x: &[i64]| x.iter().map(|&x| T::of(x as f64)).collect::<Vec<_>>();
        let mut out = vec![T::of(77.0); rows * columns];
        matmul(
            matrix(&convert(a), a_layout),
            matrix(&convert(b), b_layout),
            &mut out,
        );
        assert_eq!(out, expected, "{a_layout:?} {b_layout:?}");
    }

    #[test]
    fn products_of_any_strides() {
        let mut rng = sample::generator(5);
        for round in 0..3000 {
            let mut size = || match round % 3 {
                _ if rng.random_ratio(1, 40) => 0,
                0 => rng.random_range(1..10),
                1 => rng.random_range(1..30),
                _ => [1, 2, 3, 8, 17, 40, 130, 150][rng.random_range(0..8)],
            };
            let (rows, inner, columns) = (size(), size(), size());
            let (a_layout, a_len) = sample::layout(&mut rng, &Shape::from([rows, inner]), true);
            let (b_layout, b_len) = sample::layout(&mut rng, &Shape::from([inner, columns]), true);
            let mut numbers = |len| {
                (0..len)
                    .map(|_| rng.random_range(-9..=9))
                    .collect::<Vec<i64>>()
            };
            let (a, b) = (numbers(a_len), numbers(b_len));
            check::<f32>(&a, &a_layout, &b, &b_layout);
            check::<f64>(&a, &a_layout, &b, &b_layout);
            check::<i64>(&a, &a_layout, &b, &b_layout);
        }
    }

    #[test]
    fn large_products_of_transposed_and_flipped_matrices() {
        let mut rng = sample::generator(6);
        let mut numbers = |len| {
            (0..len)
                .map(|_| rng.random_range(-9..=9))
                .collect::<Vec<i64>>()
        };
        for (rows, inner, columns) in [
            (128, 300, 65),
            (70, 600, 10),
            (1, 700, 300),
            (300, 700, 1),
            (257, 2, 129),
        ] {
            let (a, b) = (numbers(rows * inner), numbers(inner * columns));
            let plain = Layout::contiguous(Shape::from([rows, inner]));
            let turned = Layout::contiguous(Shape::from([inner, rows])).permute(&[1, 0]);
            let flipped = plain.slice(1, inner - 1, inner, -1);
            let lefts = [plain, turned, flipped];
            let plain = Layout::contiguous(Shape::from([inner, columns]));
            let turned = Layout::contiguous(Shape::from([columns, inner])).permute(&[1, 0]);
            let flipped = plain.slice(0, inner - 1, inner, -1);
            let row = plain.slice(0, 1, 1, 1).expand(plain.shape());
            for right in [plain, turned, flipped, row] {
                for left in &lefts {
                    check::<f32>(&a, left, &b, &right);
                    check::<f64>(&a, left, &b, &right);
                }
            }
        }
    }

    #[test]
    fn nothing_summed_is_zero_and_what_was_there_does_not_matter() {
        let (a, b) = (
            Layout::contiguous(Shape::from([2, 0])),
            Layout::contiguous(Shape::from([0, 3])),
        );
        let mut out = [f32::NAN; 6];
        matmul(matrix(&[], &a), matrix(&[], &b), &mut out);
        assert_eq!(out, [0.0; 6]);
        for n in [3, 50] {
            let layout = Layout::contiguous(Shape::from([n, n]));
            let ones = vec![1.0f64; n * n];
            let mut out = vec![f64::NAN; n * n];
            matmul(matrix(&ones, &layout), matrix(&ones, &layout), &mut out);
            assert_eq!(out, vec![n as f64; n * n]);
        }
    }

    #[test]
    fn an_infinity_or_nan_stays_in_its_row_and_column() {
        for n in [2, 3, 9, 33] {
            let layout = Layout::contiguous(Shape::from([n, n]));
            let mut a = vec![1.0f32; n * n];
            a[n * n - 1] = f32::NAN;
            let mut b = vec![1.0f32; n * n];
            b[n * n - 1] = f32::INFINITY;
            let mut out = vec![0.0; n * n];
            matmul(matrix(&a, &layout), matrix(&b, &layout), &mut out);
            for (flat, x) in out.iter().enumerate() {
                match (flat / n == n - 1, flat % n == n - 1) {
                    (true, _) => assert!(x.is_nan()),
                    (false, true) => assert_eq!(*x, f32::INFINITY),
                    _ => assert_eq!(*x, n as f32),
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let mut rng = sample::generator(11);
        for (rows, inner, columns) in [(3, 5, 7), (9, 12, 17), (4, 8, 8)] {
            let mut numbers = |len| {
                (0..len)
                    .map(|_| rng.random_range(-1.0..1.0))
                    .collect::<Vec<f32>>()
            };
            let (a, b) = (numbers(rows * inner), numbers(inner * columns));
            let a_layout = Layout::contiguous(Shape::from([rows, inner]));
            let b_layout = Layout::contiguous(Shape::from([inner, columns]));
            let [first, others @ ..] = &at_every_level(|| {
                let mut out = vec![0.0; rows * columns];
                matmul(matrix(&a, &a_layout), matrix(&b, &b_layout), &mut out);
                out
            })[..] else {
                panic!("there is always the baseline")
            };
            assert!(others.iter().all(|other| other == first));
        }
    }

    #[test]
    fn integers_wrap_around() {
        let layout = Layout::contiguous(Shape::from([1, 1]));
        let mut out = [0];
        matmul(
            matrix(&[i64::MAX], &layout),
            matrix(&[2], &layout),
            &mut out,
        );
        assert_eq!(out, [-2]);
    }

    #[test]
    #[should_panic(expected = "beyond its slice")]
    fn a_matrix_beyond_its_slice_is_refused() {
        let layout = Layout::contiguous(Shape::from([2, 3]));
        matmul(
            matrix(&[1.0f32; 5], &layout),
            matrix(&[1.0; 6], &layout.permute(&[1, 0])),
            &mut [0.0; 4],
        );
    }
}
