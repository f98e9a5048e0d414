//! The vectors of x86 processors: AVX2 with FMA, and AVX-512.

use super::vector::Vector;
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
    |from, count| _mm512_maskz_loadu_ps((u16::MAX >> (16 - count.clamp(1, 16))) as __mmask16, from),
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
