//! Vectors of numbers, as wide as the processor's registers, for the loops of matrix products.
//!
//! Loops over arrays would be compiled to the same instructions only by luck: an accumulator that is kept in memory instead of a
//! register costs most of the speed. On other processors arrays must do.

use crate::element::Number;
use crate::kernel::dispatch::{Level, level};

/// Several numbers that are worked on at once.
///
/// # Safety of its functions
/// The processor must have the instructions (see [`run`]). What is read or written lies in the first [`LANES`](Vector::LANES)
/// numbers from the place on, or the first `count` of them.
pub(super) trait Vector<T>: Copy {
    /// How many numbers.
    const LANES: usize;
    /// Rows of a tile of two vectors each that leaves registers free for the operands.
    const HEIGHT: usize;

    unsafe fn splat(x: T) -> Self;
    unsafe fn load(place: *const T) -> Self;
    /// The first `count` numbers, and zeros. `count` is at least 1.
    unsafe fn load_first(place: *const T, count: usize) -> Self;
    unsafe fn store(self, place: *mut T);
    /// Writes the first `count` numbers, of which there is at least 1.
    unsafe fn store_first(self, place: *mut T, count: usize);
    unsafe fn plus(self, other: Self) -> Self;
    /// `self * factor + term`, rounded once where the processor can do that.
    unsafe fn times_plus(self, factor: Self, term: Self) -> Self;
    /// The side of a square that [`turn`](Vector::turn) turns; at most 8.
    const SIDE: usize;
    /// Reads [`SIDE`](Vector::SIDE) numbers from each of as many places, and writes the first of each at `to`, the second of each
    /// `step` numbers further on, and so on.
    unsafe fn turn(rows: &[*const T; 8], to: *mut T, step: usize);
    /// The sum of all numbers, in pairs: those half a vector apart, then a quarter, and so on.
    unsafe fn sum(self) -> T;
}

/// Work that is compiled for each kind of vector; `run` and all it calls must be `#[inline(always)]`.
pub(super) trait Task<T> {
    /// # Safety
    /// The processor must have the instructions of `V`; and what the task itself asks for.
    unsafe fn run<V: Vector<T>>(self);
}

/// Numbers that there are vectors of.
pub(super) trait Lanes: Number {
    /// Runs a task with the best vectors of this processor.
    ///
    /// # Safety
    /// What the task itself asks for.
    #[inline(always)]
    unsafe fn run(task: impl Task<Self>) {
        // SAFETY: the level is that of this processor; the rest is the caller's promise.
        unsafe { Self::run_at(level(), task) }
    }

    /// Runs a task with the vectors of a level: tasks that hand data to each other must agree on one.
    ///
    /// # Safety
    /// [`level`] has returned this level; and what the task itself asks for.
    unsafe fn run_at(level: Level, task: impl Task<Self>);
}

/// An array in place of a vector.
#[derive(Clone, Copy)]
pub(super) struct Plain<T, const N: usize>([T; N]);

/// Whether a fused multiplication and addition is one instruction without asking the processor.
const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

macro_rules! plain {
    ($t:ty, $n:literal, $fused:expr) => {
        impl Vector<$t> for Plain<$t, $n> {
            const LANES: usize = $n;
            const HEIGHT: usize = 6;
            const SIDE: usize = 4;

            #[inline(always)]
            unsafe fn turn(rows: &[*const $t; 8], to: *mut $t, step: usize) {
                // SAFETY: the caller's promise; an array is aligned as its elements are.
                unsafe {
                    let rows: [[$t; 4]; 4] = std::array::from_fn(|r| *rows[r].cast());
                    for c in 0..4 {
                        *to.add(c * step).cast() = [rows[0][c], rows[1][c], rows[2][c], rows[3][c]];
                    }
                }
            }

            #[inline(always)]
            unsafe fn splat(x: $t) -> Self {
                Plain([x; $n])
            }
            #[inline(always)]
            unsafe fn load(place: *const $t) -> Self {
                // SAFETY: the caller's promise; an array is aligned as its elements are.
                Plain(unsafe { *place.cast() })
            }
            #[inline(always)]
            unsafe fn load_first(place: *const $t, count: usize) -> Self {
                Plain(std::array::from_fn(|i| {
                    if i < count {
                        // SAFETY: the caller's promise.
                        unsafe { *place.add(i) }
                    } else {
                        <$t>::default()
                    }
                }))
            }
            #[inline(always)]
            unsafe fn store(self, place: *mut $t) {
                // SAFETY: the caller's promise.
                unsafe { *place.cast() = self.0 }
            }
            #[inline(always)]
            unsafe fn store_first(self, place: *mut $t, count: usize) {
                for i in 0..count.min($n) {
                    // SAFETY: the caller's promise.
                    unsafe { *place.add(i) = self.0[i] }
                }
            }
            #[inline(always)]
            unsafe fn plus(self, other: Self) -> Self {
                Plain(std::array::from_fn(|i| Number::plus(self.0[i], other.0[i])))
            }
            #[inline(always)]
            unsafe fn times_plus(self, factor: Self, term: Self) -> Self {
                let fused: fn($t, $t, $t) -> $t = $fused;
                Plain(std::array::from_fn(|i| {
                    fused(self.0[i], factor.0[i], term.0[i])
                }))
            }
            #[inline(always)]
            unsafe fn sum(self) -> $t {
                let mut lanes = self.0;
                let mut half = $n / 2;
                while half > 0 {
                    for i in 0..half {
                        lanes[i] = Number::plus(lanes[i], lanes[i + half]);
                    }
                    half /= 2;
                }
                lanes[0]
            }
        }
    };
}
plain!(f32, 4, |a, b, c| if FUSED {
    a.mul_add(b, c)
} else {
    a * b + c
});
plain!(f64, 2, |a, b, c| if FUSED {
    a.mul_add(b, c)
} else {
    a * b + c
});
plain!(i64, 4, |a, b, c| a.times(b).plus(c));

macro_rules! lanes {
    ($t:ty, $plain:ty, $avx2:ident, $avx512:ident) => {
        impl Lanes for $t {
            #[inline]
            unsafe fn run_at(level: Level, task: impl Task<Self>) {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,fma")]
                unsafe fn avx2(task: impl Task<$t>) {
                    // SAFETY: this function has the instructions; the rest is the caller's promise.
                    unsafe { task.run::<std::arch::x86_64::$avx2>() }
                }
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
                unsafe fn avx512(task: impl Task<$t>) {
                    // SAFETY: as above.
                    unsafe { task.run::<std::arch::x86_64::$avx512>() }
                }
                // SAFETY: the level was found on this processor; the rest is the caller's promise.
                unsafe {
                    match level {
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx512 => avx512(task),
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx2 => avx2(task),
                        _ => task.run::<$plain>(),
                    }
                }
            }
        }
    };
}
lanes!(f32, Plain<f32, 4>, __m256, __m512);
lanes!(f64, Plain<f64, 2>, __m256d, __m512d);

impl Lanes for i64 {
    #[inline]
    unsafe fn run_at(level: Level, task: impl Task<Self>) {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        unsafe fn avx2(task: impl Task<i64>) {
            // SAFETY: the caller's promise.
            unsafe { task.run::<Plain<i64, 4>>() }
        }
        // SAFETY: the level was found on this processor; the rest is the caller's promise.
        unsafe {
            match level {
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 | Level::Avx512 => avx2(task),
                _ => task.run::<Plain<i64, 4>>(),
            }
        }
    }
}
