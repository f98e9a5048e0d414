//! Hot loops compiled for several instruction sets, one of which is chosen at run time.

pub(crate) use crate::element::{Baseline, Fused, Instructions};
use std::sync::atomic::{AtomicU8, Ordering};

/// The instruction sets that loops are compiled for, each of which includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What every processor of the target has.
    Baseline,
    /// AVX2 and FMA: 256-bit vectors.
    Avx2,
    /// AVX-512 (F, BW, DQ, VL): 512-bit vectors.
    Avx512,
}

/// The level plus one; 0 until it is known.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// The best level of this processor.
#[inline]
pub(crate) fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        1 => Level::Baseline,
        2 => Level::Avx2,
        3 => Level::Avx512,
        _ => {
            let level = detect();
            LEVEL.store(level as u8 + 1, Ordering::Relaxed);
            level
        }
    }
}

#[cold]
fn detect() -> Level {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        return if wide { Level::Avx512 } else { Level::Avx2 };
    }
    Level::Baseline
}

/// Defines a function whose body is compiled once for each [`Level`], with a wrapper that calls the best one.
///
/// Whatever the body calls must be `#[inline(always)]`, or it stays compiled for the baseline. Products and sums are never
/// contracted to fused ones, so that all levels give the same bits. A body that wants fused ones where they are instructions names
/// a type parameter, `fn name<at L, ..>`, which stands for the [`Instructions`] of the level.
macro_rules! simd {
    ($(#[$meta:meta])* $vis:vis fn $name:ident <at $level:ident $(, $generic:ident: $bound:path)* $(,)?>
        ($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        #[inline]
        $vis fn $name <$($generic: $bound),*> ($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body <$level: $crate::kernel::dispatch::Instructions $(, $generic: $bound)*> ($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2 <$($generic: $bound),*> ($($arg: $type),*) $(-> $result)? {
                body::<$crate::kernel::dispatch::Fused $(, $generic)*>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512 <$($generic: $bound),*> ($($arg: $type),*) $(-> $result)? {
                body::<$crate::kernel::dispatch::Fused $(, $generic)*>($($arg),*)
            }

            match $crate::kernel::dispatch::level() {
                #[cfg(target_arch = "x86_64")]
                $crate::kernel::dispatch::Level::Avx512 => {
                    // SAFETY: `level` found these instruction sets on this processor.
                    unsafe { avx512::<$($generic),*>($($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::kernel::dispatch::Level::Avx2 => {
                    // SAFETY: as above.
                    unsafe { avx2::<$($generic),*>($($arg),*) }
                }
                _ => body::<$crate::kernel::dispatch::Baseline $(, $generic)*>($($arg),*),
            }
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$($generic:ident: $bound:path),+>)?
        ($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        #[inline]
        $vis fn $name $(<$($generic: $bound),+>)? ($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body $(<$($generic: $bound),+>)? ($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2 $(<$($generic: $bound),+>)? ($($arg: $type),*) $(-> $result)? {
                body $(::<$($generic),+>)? ($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512 $(<$($generic: $bound),+>)? ($($arg: $type),*) $(-> $result)? {
                body $(::<$($generic),+>)? ($($arg),*)
            }

            match $crate::kernel::dispatch::level() {
                #[cfg(target_arch = "x86_64")]
                $crate::kernel::dispatch::Level::Avx512 => {
                    // SAFETY: `level` found these instruction sets on this processor.
                    unsafe { avx512 $(::<$($generic),+>)? ($($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::kernel::dispatch::Level::Avx2 => {
                    // SAFETY: as above.
                    unsafe { avx2 $(::<$($generic),+>)? ($($arg),*) }
                }
                _ => body $(::<$($generic),+>)? ($($arg),*),
            }
        }
    };
}
pub(crate) use simd;

/// What a function returns at each level that this processor has, lowest first. Threads that run meanwhile may work at a
/// lower level than they could.
#[cfg(test)]
pub(crate) fn at_every_level<R>(mut f: impl FnMut() -> R) -> Vec<R> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let results = [Level::Baseline, Level::Avx2, Level::Avx512]
        .into_iter()
        .filter(|&level| level <= detect())
        .map(|level| {
            LEVEL.store(level as u8 + 1, Ordering::Relaxed);
            f()
        });
    let results = results.collect();
    LEVEL.store(0, Ordering::Relaxed);
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    simd! {
        /// A product and a sum: fused, they would be rounded once instead of twice.
        fn product_and_sum<T: crate::element::Number>(x: &[T], y: &mut [T]) {
            for (x, y) in x.iter().zip(y) {
                *y = x.times(*x).plus(*y);
            }
        }
    }

    #[test]
    fn products_and_sums_are_not_fused_at_any_level() {
        let x = 1.0 + f32::EPSILON;
        let separate = x * x - (1.0 + 2.0 * f32::EPSILON);
        assert_ne!(x.mul_add(x, -(1.0 + 2.0 * f32::EPSILON)), separate);
        for results in at_every_level(|| {
            let mut y = [-(1.0 + 2.0 * f32::EPSILON); 40];
            product_and_sum(&[x; 40], &mut y);
            y
        }) {
            assert_eq!(results, [separate; 40]);
        }
    }
}
