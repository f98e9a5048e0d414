//! What a processor makes a difference of: two numbers in one register, and where loops lie.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m128d, _mm_cvtsd_f64, _mm_set_pd, _mm_unpackhi_pd};
use std::fmt::Debug;

/// Two numbers that are kept together.
pub trait Couple<T>: Copy + Debug + Send + Sync + 'static {
    /// Two numbers.
    fn of(first: T, second: T) -> Self;
    /// The first.
    fn first(self) -> T;
    /// The second.
    fn second(self) -> T;
}

impl<T: Copy + Debug + Send + Sync + 'static> Couple<T> for [T; 2] {
    #[inline(always)]
    fn of(first: T, second: T) -> Self {
        [first, second]
    }
    #[inline(always)]
    fn first(self) -> T {
        self[0]
    }
    #[inline(always)]
    fn second(self) -> T {
        self[1]
    }
}

/// Two numbers in one register of the processor, written to memory and read at once.
///
/// The processor hands on what was just written only to a load that lies within one store. A handle is copied in pieces of
/// 16 bytes: were its two numbers written one by one, each copy would wait until they have arrived in the cache.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub struct Doubles(__m128d);

#[cfg(target_arch = "x86_64")]
impl Couple<f64> for Doubles {
    #[inline(always)]
    fn of(first: f64, second: f64) -> Self {
        // SAFETY: SSE2 is part of every processor of this architecture.
        Doubles(unsafe { _mm_set_pd(second, first) })
    }
    #[inline(always)]
    fn first(self) -> f64 {
        // SAFETY: as in `of`.
        unsafe { _mm_cvtsd_f64(self.0) }
    }
    #[inline(always)]
    fn second(self) -> f64 {
        // SAFETY: as in `of`.
        unsafe { _mm_cvtsd_f64(_mm_unpackhi_pd(self.0, self.0)) }
    }
}

/// Two numbers.
#[cfg(not(target_arch = "x86_64"))]
pub type Doubles = [f64; 2];

/// Lets the code that follows begin at a line of the cache: how long loops take should not depend on where code around them happens to
/// end.
#[inline(always)]
pub(crate) fn align() {
    // Miri knows no assembler.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a directive to the assembler, which puts instructions that do nothing before the next one.
    unsafe {
        std::arch::asm!(".p2align 6", options(nomem, nostack, preserves_flags));
    }
}
