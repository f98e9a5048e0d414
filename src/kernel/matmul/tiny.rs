//! The smallest products, in which all that is not arithmetic shows: operands of any strides, where they lie.

use super::Matrix;
use super::lies_within;
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

/// A tiny product of matrices that lie in a known way, wherever they begin: in a small model it takes less time than to find
/// out again how it is done.
#[derive(Clone, Copy, Debug)]
pub struct Tiny {
    factors: [Matrix<'static, ()>; 2],
    needs: [usize; 2],
    call: unsafe fn(&Tiny, [*const u8; 2], *mut u8),
}

impl Tiny {
    /// `None` if the product is not tiny, or empty.
    pub(crate) fn of<T: Number>(a: Matrix<'static, ()>, b: Matrix<'static, ()>) -> Option<Tiny> {
        assert_eq!(a.columns, b.rows);
        let needs = |of: &Matrix<'_, ()>| {
            let reach = |size: usize, stride: isize| (size - 1) as isize * stride;
            let last =
                reach(of.rows, of.row_stride).max(0) + reach(of.columns, of.column_stride).max(0);
            of.offset.checked_add_signed(last)?.checked_add(1)
        };
        if a.rows * a.columns * b.columns == 0 || !is_tiny(&a, &b) {
            return None;
        }
        let tiny = Tiny {
            factors: [a, b],
            needs: [needs(&a)?, needs(&b)?],
            call: Self::call::<T>,
        };
        for (factor, len) in tiny.factors.iter().zip(tiny.needs) {
            let (sizes, strides) = (
                [factor.rows, factor.columns],
                [factor.row_stride, factor.column_stride],
            );
            assert!(lies_within(&sizes, &strides, factor.offset, len));
        }
        Some(tiny)
    }

    /// How many elements the factors must have from where they begin.
    pub(crate) fn needs(&self) -> [usize; 2] {
        self.needs
    }

    /// How many elements the product has.
    pub(crate) fn makes(&self) -> usize {
        self.factors[0].rows * self.factors[1].columns
    }

    /// # Safety
    /// Factors and product must be of the type that it was made for, and have as many elements as [`needs`](Tiny::needs) and
    /// [`makes`](Tiny::makes) say; the product must not overlap a factor.
    #[inline]
    pub(crate) unsafe fn run(&self, factors: [*const u8; 2], out: *mut u8) {
        // SAFETY: by this function's contract.
        unsafe { (self.call)(self, factors, out) };
    }

    unsafe fn call<T: Number>(&self, [a, b]: [*const u8; 2], out: *mut u8) {
        // SAFETY: by the contract of `run`.
        let (a, b, out) = unsafe {
            (
                std::slice::from_raw_parts(a.cast::<T>(), self.needs[0]),
                std::slice::from_raw_parts(b.cast::<T>(), self.needs[1]),
                std::slice::from_raw_parts_mut(out.cast::<T>(), self.makes()),
            )
        };
        let [x, y] = self.factors;
        product(&x.with_data(a), &y.with_data(b), out);
    }
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

#[cfg(test)]
mod tests {
    use super::super::matmul;
    use super::*;

    fn sides(
        offset: usize,
        [rows, columns]: [usize; 2],
        strides: [isize; 2],
    ) -> Matrix<'static, ()> {
        Matrix {
            data: &[],
            offset,
            rows,
            columns,
            row_stride: strides[0],
            column_stride: strides[1],
        }
    }

    #[test]
    fn a_prepared_product_is_the_product() {
        let data: Vec<f32> = (0..64).map(|i| (i * i % 17) as f32 - 8.0).collect();
        for (a, b) in [
            (sides(0, [4, 2], [2, 1]), sides(5, [2, 8], [8, 1])),
            (sides(3, [1, 8], [8, 1]), sides(0, [8, 1], [1, 9])),
            (sides(7, [3, 2], [-2, -1]), sides(1, [2, 3], [0, 5])),
        ] {
            let tiny = Tiny::of::<f32>(a, b).expect("a tiny product");
            let mut expected = vec![0.0; a.rows * b.columns];
            matmul(a.with_data(&data), b.with_data(&data), &mut expected);
            let mut found = vec![f32::NAN; tiny.makes()];
            let factors = tiny.needs().map(|len| data[..len].as_ptr().cast());
            // SAFETY: the data are longer than is needed, and the product has a place of its own.
            unsafe { tiny.run(factors, found.as_mut_ptr().cast()) };
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn only_tiny_products_are_prepared() {
        let of = |a, b| Tiny::of::<f32>(sides(0, a, [8, 1]), sides(0, b, [9, 1])).is_some();
        assert!(of([4, 8], [8, 8]));
        assert!(!of([5, 8], [8, 8]) && !of([4, 9], [9, 8]) && !of([4, 8], [8, 9]));
        assert!(!of([0, 8], [8, 8]) && !of([4, 0], [0, 8]));
    }
}
