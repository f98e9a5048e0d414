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
                // SAFETY: the caller's promise.
                Plain(std::array::from_fn(|i| {
                    if i < count {
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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    /// Ones and zeros; read from place `n - count` on, they are the mask of the first `count` of `n` lanes.
    static MASKS_32: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    static MASKS_64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

    macro_rules! vector {
        (
            $vector:ty, $t:ty, $lanes:literal, $height:literal, $side:literal, $turn:ident, $splat:ident, $load:ident, $store:ident, $plus:ident, $fused:ident,
            |$from:ident, $count:ident| $load_first:expr,
            |$value:ident, $to:ident, $number:ident| $store_first:expr,
            |$all:ident| $sum:expr
        ) => {
            impl Vector<$t> for $vector {
                const LANES: usize = $lanes;
                const HEIGHT: usize = $height;
                const SIDE: usize = $side;

                #[inline(always)]
                unsafe fn turn(rows: &[*const $t; 8], to: *mut $t, step: usize) {
                    // SAFETY: the caller's promise.
                    unsafe { $turn(rows, to, step) }
                }
                #[inline(always)]
                unsafe fn splat(x: $t) -> Self {
                    // SAFETY: the processor has the instruction, here and below.
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                unsafe fn load(place: *const $t) -> Self {
                    // SAFETY: the caller's promise.
                    unsafe { $load(place) }
                }
                #[inline(always)]
                unsafe fn load_first($from: *const $t, $count: usize) -> Self {
                    // SAFETY: the caller's promise; lanes that are masked out are not touched.
                    unsafe { $load_first }
                }
                #[inline(always)]
                unsafe fn store(self, place: *mut $t) {
                    // SAFETY: the caller's promise.
                    unsafe { $store(place, self) }
                }
                #[inline(always)]
                unsafe fn store_first(self, $to: *mut $t, $number: usize) {
                    let $value = self;
                    // SAFETY: the caller's promise; lanes that are masked out are not touched.
                    unsafe { $store_first }
                }
                #[inline(always)]
                unsafe fn plus(self, other: Self) -> Self {
                    // SAFETY: as for `splat`.
                    unsafe { $plus(self, other) }
                }
                #[inline(always)]
                unsafe fn times_plus(self, factor: Self, term: Self) -> Self {
                    // SAFETY: as for `splat`.
                    unsafe { $fused(self, factor, term) }
                }
                #[inline(always)]
                unsafe fn sum(self) -> $t {
                    let $all = self;
                    // SAFETY: as for `splat`.
                    unsafe { $sum }
                }
            }
        };
    }

    #[inline(always)]
    unsafe fn mask_32(count: usize) -> __m256i {
        // SAFETY: at most 8 lanes are asked for, so that 8 numbers follow the place.
        unsafe { _mm256_loadu_si256(MASKS_32.as_ptr().add(8 - count.min(8)).cast()) }
    }

    #[inline(always)]
    unsafe fn mask_64(count: usize) -> __m256i {
        // SAFETY: at most 4 lanes are asked for, so that 4 numbers follow the place.
        unsafe { _mm256_loadu_si256(MASKS_64.as_ptr().add(4 - count.min(4)).cast()) }
    }

    /// Without masks: stores with them take some twenty cycles on older processors of AMD.
    #[inline(always)]
    unsafe fn store_32(x: __m256, to: *mut f32, count: usize) {
        // SAFETY: `count` numbers are written; the caller's processor has AVX2.
        unsafe {
            if count >= 8 {
                return _mm256_storeu_ps(to, x);
            }
            let (mut four, mut to) = (_mm256_castps256_ps128(x), to);
            if count & 4 != 0 {
                _mm_storeu_ps(to, four);
                (four, to) = (_mm256_extractf128_ps::<1>(x), to.add(4));
            }
            if count & 2 != 0 {
                _mm_storel_pd(to.cast(), _mm_castps_pd(four));
                (four, to) = (_mm_movehl_ps(four, four), to.add(2));
            }
            if count & 1 != 0 {
                _mm_store_ss(to, four);
            }
        }
    }

    #[inline(always)]
    unsafe fn store_64(x: __m256d, to: *mut f64, count: usize) {
        // SAFETY: as above.
        unsafe {
            if count >= 4 {
                return _mm256_storeu_pd(to, x);
            }
            let (mut two, mut to) = (_mm256_castpd256_pd128(x), to);
            if count & 2 != 0 {
                _mm_storeu_pd(to, two);
                (two, to) = (_mm256_extractf128_pd::<1>(x), to.add(2));
            }
            if count & 1 != 0 {
                _mm_store_sd(to, two);
            }
        }
    }

    #[inline(always)]
    unsafe fn turn_32(rows: &[*const f32; 8], to: *mut f32, step: usize) {
        // SAFETY: eight numbers are read from each row and eight times eight written; the caller's processor has AVX2.
        unsafe {
            let r = rows.map(|row| _mm256_loadu_ps(row));
            let four = |i: usize| {
                let (a, b) = (
                    _mm256_unpacklo_ps(r[i], r[i + 1]),
                    _mm256_unpackhi_ps(r[i], r[i + 1]),
                );
                let (c, d) = (
                    _mm256_unpacklo_ps(r[i + 2], r[i + 3]),
                    _mm256_unpackhi_ps(r[i + 2], r[i + 3]),
                );
                [
                    _mm256_shuffle_ps::<0x44>(a, c),
                    _mm256_shuffle_ps::<0xEE>(a, c),
                    _mm256_shuffle_ps::<0x44>(b, d),
                    _mm256_shuffle_ps::<0xEE>(b, d),
                ]
            };
            let (upper, lower) = (four(0), four(4));
            for i in 0..4 {
                _mm256_storeu_ps(
                    to.add(i * step),
                    _mm256_permute2f128_ps::<0x20>(upper[i], lower[i]),
                );
            }
            for i in 0..4 {
                _mm256_storeu_ps(
                    to.add((i + 4) * step),
                    _mm256_permute2f128_ps::<0x31>(upper[i], lower[i]),
                );
            }
        }
    }

    #[inline(always)]
    unsafe fn turn_64(rows: &[*const f64; 8], to: *mut f64, step: usize) {
        // SAFETY: as above, with four for eight.
        unsafe {
            let r: [__m256d; 4] = std::array::from_fn(|i| _mm256_loadu_pd(rows[i]));
            let upper = [
                _mm256_unpacklo_pd(r[0], r[1]),
                _mm256_unpackhi_pd(r[0], r[1]),
            ];
            let lower = [
                _mm256_unpacklo_pd(r[2], r[3]),
                _mm256_unpackhi_pd(r[2], r[3]),
            ];
            for i in 0..2 {
                _mm256_storeu_pd(
                    to.add(i * step),
                    _mm256_permute2f128_pd::<0x20>(upper[i], lower[i]),
                );
            }
            for i in 0..2 {
                _mm256_storeu_pd(
                    to.add((i + 2) * step),
                    _mm256_permute2f128_pd::<0x31>(upper[i], lower[i]),
                );
            }
        }
    }

    #[inline(always)]
    unsafe fn sum_32(x: __m256) -> f32 {
        // SAFETY: the caller's processor has AVX2.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    unsafe fn sum_64(x: __m256d) -> f64 {
        // SAFETY: the caller's processor has AVX2.
        unsafe {
            let two = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd::<1>(x));
            _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
        }
    }

    vector!(
        __m256,
        f32,
        8,
        6,
        8,
        turn_32,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_fmadd_ps,
        |from, count| _mm256_maskload_ps(from, mask_32(count)),
        |value, to, count| store_32(value, to, count),
        |all| sum_32(all)
    );
    vector!(
        __m256d,
        f64,
        4,
        6,
        4,
        turn_64,
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_add_pd,
        _mm256_fmadd_pd,
        |from, count| _mm256_maskload_pd(from, mask_64(count)),
        |value, to, count| store_64(value, to, count),
        |all| sum_64(all)
    );
    vector!(
        __m512,
        f32,
        16,
        12,
        8,
        turn_32,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_fmadd_ps,
        |from, count| _mm512_maskz_loadu_ps(
            (u16::MAX >> (16 - count.clamp(1, 16))) as __mmask16,
            from
        ),
        |value, to, count| _mm512_mask_storeu_ps(
            to,
            (u16::MAX >> (16 - count.clamp(1, 16))) as __mmask16,
            value
        ),
        |all| sum_32(_mm256_add_ps(
            _mm512_castps512_ps256(all),
            _mm512_extractf32x8_ps::<1>(all)
        ))
    );
    vector!(
        __m512d,
        f64,
        8,
        12,
        4,
        turn_64,
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_add_pd,
        _mm512_fmadd_pd,
        |from, count| _mm512_maskz_loadu_pd((u8::MAX >> (8 - count.clamp(1, 8))) as __mmask8, from),
        |value, to, count| _mm512_mask_storeu_pd(
            to,
            (u8::MAX >> (8 - count.clamp(1, 8))) as __mmask8,
            value
        ),
        |all| sum_64(_mm256_add_pd(
            _mm512_castpd512_pd256(all),
            _mm512_extractf64x4_pd::<1>(all)
        ))
    );
}

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
