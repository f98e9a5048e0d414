//! Products with a side so short that copying an operand would cost more than it saves: vectors times matrices, and sums of
//! products of contiguous rows and columns.

use super::tile::{At, Target};
use super::vector::{Lanes, Task, Vector};
use std::array::from_fn;

/// About how long a product takes on one thread.
#[inline]
pub(super) fn nanoseconds(rows: usize, inner: usize, columns: usize) -> usize {
    rows.saturating_mul(inner).saturating_mul(columns) / 40
}

/// A row vector times a matrix of contiguous rows: rows of the matrix are added up, some at once.
pub(super) struct Row<T> {
    /// One row.
    pub a: At<T>,
    pub b: At<T>,
    pub out: *mut T,
    pub inner: usize,
    pub columns: usize,
}

impl<T: Lanes> Task<T> for Row<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let mut p = 0;
        // SAFETY: the caller's promise; no more rows than are left.
        unsafe {
            while self.inner - p >= 8 {
                p += self.add::<V, 8>(p);
            }
            if self.inner - p >= 4 {
                p += self.add::<V, 4>(p);
            }
            while self.inner > p {
                p += self.add::<V, 1>(p);
            }
        }
    }
}

impl<T: Lanes> Row<T> {
    /// Adds rows `p..p + M`.
    #[inline(always)]
    unsafe fn add<V: Vector<T>, const M: usize>(&self, p: usize) -> usize {
        // SAFETY: the caller's promise.
        unsafe {
            let x: [V; M] = from_fn(|r| V::splat(*self.a.from(0, p + r).place));
            let rows: [*const T; M] = from_fn(|r| self.b.from(p + r, 0).place);
            let mut j = 0;
            while j + V::LANES <= self.columns {
                let out = self.out.add(j);
                let mut sum = if p == 0 {
                    V::splat(T::ZERO)
                } else {
                    V::load(out)
                };
                for r in 0..M {
                    sum = x[r].times_plus(V::load(rows[r].add(j)), sum);
                }
                sum.store(out);
                j += V::LANES;
            }
            if j < self.columns {
                let (out, last) = (self.out.add(j), self.columns - j);
                let mut sum = if p == 0 {
                    V::splat(T::ZERO)
                } else {
                    V::load_first(out, last)
                };
                for r in 0..M {
                    sum = x[r].times_plus(V::load_first(rows[r].add(j), last), sum);
                }
                sum.store_first(out, last);
            }
        }
        M
    }
}

/// The product of contiguous rows of `a` and contiguous columns of `b`: each sum is kept in a vector of partial sums.
pub(super) struct Dots<T> {
    pub a: At<T>,
    pub b: At<T>,
    pub target: Target<T>,
    pub rows: usize,
    pub inner: usize,
    pub columns: usize,
}

impl<T: Lanes> Task<T> for Dots<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let (rows, columns) = (self.rows, self.columns);
        let mut j = 0;
        // SAFETY: the caller's promise; no more rows and columns than are left.
        unsafe {
            while columns - j >= 3 && rows >= 4 {
                let mut i = 0;
                while rows - i >= 4 {
                    self.block::<V, 4, 3>(i, j);
                    i += 4;
                }
                while rows > i {
                    self.block::<V, 1, 3>(i, j);
                    i += 1;
                }
                j += 3;
            }
            while columns - j >= 4 {
                let mut i = 0;
                while rows - i >= 2 {
                    self.block::<V, 2, 4>(i, j);
                    i += 2;
                }
                if rows > i {
                    self.block::<V, 1, 4>(i, j);
                }
                j += 4;
            }
            while columns > j {
                let mut i = 0;
                while rows - i >= 4 {
                    self.block::<V, 4, 1>(i, j);
                    i += 4;
                }
                while rows > i {
                    self.block::<V, 1, 1>(i, j);
                    i += 1;
                }
                j += 1;
            }
        }
    }
}

impl<T: Lanes> Dots<T> {
    #[inline(always)]
    unsafe fn block<V: Vector<T>, const M: usize, const N: usize>(&self, i: usize, j: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let a: [*const T; M] = from_fn(|r| self.a.from(i + r, 0).place);
            let b: [*const T; N] = from_fn(|c| self.b.from(0, j + c).place);
            let mut sums = [[V::splat(T::ZERO); N]; M];
            let mut p = 0;
            while p + V::LANES <= self.inner {
                let y: [V; N] = from_fn(|c| V::load(b[c].add(p)));
                for r in 0..M {
                    let x = V::load(a[r].add(p));
                    for c in 0..N {
                        sums[r][c] = x.times_plus(y[c], sums[r][c]);
                    }
                }
                p += V::LANES;
            }
            if p < self.inner {
                let last = self.inner - p;
                let y: [V; N] = from_fn(|c| V::load_first(b[c].add(p), last));
                for r in 0..M {
                    let x = V::load_first(a[r].add(p), last);
                    for c in 0..N {
                        sums[r][c] = x.times_plus(y[c], sums[r][c]);
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (c, sum) in sums.iter().enumerate() {
                    *self.target.from(i + r, j + c).place = sum.sum();
                }
            }
        }
    }
}
