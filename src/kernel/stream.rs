//! Memory past and ahead of the caches.
//!
//! Results so large that none of them would still be in a cache when somebody reads them are written past it. An ordinary store first
//! reads the line that it changes. A streamed one does not, so that as many bytes take less time.

/// Results of so many bytes are more than the caches of most processors hold.
pub(super) const FAR: usize = 1 << 26;

/// Bytes of a line of the caches of most processors.
pub(super) const LINE: usize = 64;

/// Asks for the line of an address that will be read soon, or written. Nothing need be there.
#[inline(always)]
pub(crate) fn ask_for(at: *const u8, written: bool) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: instructions that change no memory and never fault; processors that do not know the second do nothing.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T0, _mm_prefetch};
        if written {
            _mm_prefetch::<_MM_HINT_ET0>(at.cast());
        } else {
            _mm_prefetch::<_MM_HINT_T0>(at.cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (at, written);
}

/// Copies bytes past the caches, where there are instructions for it.
///
/// # Safety
/// `from` must be valid for reading and `to` for writing so many bytes, and the two must not overlap. Before another thread reads
/// what was written, this one must call [`settle`].
pub(super) unsafe fn stream(from: *const u8, to: *mut u8, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
        const VECTOR: usize = size_of::<__m128i>();
        let head = to.align_offset(LINE).min(bytes);
        let lines = (bytes - head) / LINE;
        // SAFETY: by this function's contract; all of it lies within `bytes`, and lines begin where the alignment says. Streaming
        // stores are instructions of every processor of this target.
        unsafe {
            std::ptr::copy_nonoverlapping(from, to, head);
            for line in 0..lines {
                for part in 0..LINE / VECTOR {
                    let at = head + line * LINE + part * VECTOR;
                    let vector = _mm_loadu_si128(from.add(at).cast());
                    _mm_stream_si128(to.add(at).cast(), vector);
                }
            }
            let rest = head + lines * LINE;
            std::ptr::copy_nonoverlapping(from.add(rest), to.add(rest), bytes - rest);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: by this function's contract.
    unsafe {
        std::ptr::copy_nonoverlapping(from, to, bytes);
    }
}

/// Makes what this thread has streamed visible to the others before anything that it writes later.
pub(super) fn settle() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: an instruction of every processor of this target, which changes no memory.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_copied_and_none_beside() {
        let from: Vec<u8> = (0..400).map(|i| (i % 251) as u8 + 1).collect();
        for start in 0..70 {
            for bytes in [0, 1, 15, 16, 63, 64, 65, 127, 128, 200, 300] {
                let mut to = vec![0; 400];
                // SAFETY: both have so many bytes, and are different vectors.
                unsafe { stream(from.as_ptr(), to.as_mut_ptr().add(start), bytes) };
                settle();
                assert_eq!(to[start..start + bytes], from[..bytes]);
                assert!(
                    to[..start]
                        .iter()
                        .chain(&to[start + bytes..])
                        .all(|&b| b == 0)
                );
            }
        }
    }
}
