//! The smallest products, in which all that is not arithmetic shows: operands of any strides, where they lie.

use super::Matrix;
use crate::element::Number;
use crate::kernel::dispatch::simd;

/// Rows of a tile.
const HEIGHT: usize = 4;
/// Columns of a tile.
const WIDTH: usize = 8;

/// Whether a product is one tile of a few terms.
#[inline(always)]
pub(super) fn is_tiny<T>(a: &Matrix<'_, T>, b: &Matrix<'_, T>) -> bool {
    a.rows <= HEIGHT && b.columns <= WIDTH && a.columns <= 8
}

simd! {
    /// The product of matrices that lie within their slices; it must be tiny, and no size 0.
    pub(super) fn product<T: Number>(a: &Matrix<'_, T>, b: &Matrix<'_, T>, out: &mut [T]) {
        let sums = tile::<T>(a, b);
        for (sums, out) in sums.iter().zip(out.chunks_exact_mut(b.columns)) {
            store(sums, out);
        }
    }
}

/// The tile. The last row or column stands in for those that are missing, so that every tile is computed by the same
/// instructions.
#[inline(always)]
fn tile<T: Number>(a: &Matrix<'_, T>, b: &Matrix<'_, T>) -> [[T; WIDTH]; HEIGHT] {
    let left: [usize; HEIGHT] = std::array::from_fn(|r| a.place(r.min(a.rows - 1), 0));
    let right: [usize; WIDTH] = std::array::from_fn(|c| b.place(0, c.min(b.columns - 1)));
    let mut sums = [[T::ZERO; WIDTH]; HEIGHT];
    for p in 0..a.columns {
        let row: [T; WIDTH] = std::array::from_fn(|c| {
            // SAFETY: the place of an element of `b` in row `p`: `b.rows` is `a.columns`.
            unsafe { *b.data.get_unchecked(step(right[c], p, b.row_stride)) }
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
