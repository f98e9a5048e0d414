//! The memory of a run: one block, of which values take regions for as long as they are needed.

use super::pass::Line;
use crate::element::{Dtype, Element, Slice, SliceMut, with_dtype};
use smallvec::SmallVec;

/// Regions begin at cache lines.
pub(crate) const ALIGNMENT: usize = size_of::<Line>();

/// The place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub dtype: Dtype,
    /// Bytes from the start of the memory, a multiple of [`ALIGNMENT`]. Truth values have a memory of their own: any bytes
    /// are a number, but not any byte is a truth value.
    pub start: usize,
    /// Elements.
    pub len: usize,
}

impl Region {
    fn bytes(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.len * self.dtype.size()
    }

    fn meets(&self, other: &Region) -> bool {
        let apart = (self.dtype == Dtype::Bool) != (other.dtype == Dtype::Bool);
        let (a, b) = (self.bytes(), other.bytes());
        !apart && a.start < b.end && b.start < a.end
    }
}

/// Memory for regions.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    numbers: Vec<Line>,
    truths: Vec<bool>,
}

/// The regions that a step reads and writes.
pub(crate) type Borrowed<'m> = (
    SmallVec<[Slice<'m>; 8]>,
    SmallVec<[SliceMut<'m>; 4]>,
    &'m mut [Line],
);

impl Memory {
    /// Makes room for so many bytes of numbers and so many truth values.
    pub fn reserve(&mut self, numbers: usize, truths: usize) {
        let lines = numbers.div_ceil(ALIGNMENT);
        if self.numbers.len() < lines {
            self.numbers.resize(lines, Line::default());
        }
        if self.truths.len() < truths {
            self.truths.resize(truths, false);
        }
    }

    /// Borrows regions for reading, others for writing, and `work` bytes from `work_start` on.
    ///
    /// # Panics
    /// If a region that is written meets another, or one lies outside of the memory.
    pub fn borrow(
        &mut self,
        reads: &[Region],
        writes: &[Region],
        work: std::ops::Range<usize>,
    ) -> Borrowed<'_> {
        let (numbers, truths) = (self.numbers.len() * ALIGNMENT, self.truths.len());
        for region in reads.iter().chain(writes) {
            let size = if region.dtype == Dtype::Bool {
                truths
            } else {
                numbers
            };
            assert!(
                region.bytes().end <= size && region.start.is_multiple_of(ALIGNMENT),
                "a region outside of the memory"
            );
        }
        assert!(work.end <= numbers && work.start.is_multiple_of(ALIGNMENT));
        let work_region = Region {
            dtype: Dtype::I64,
            start: work.start,
            len: work.len().div_ceil(8),
        };
        for (k, region) in writes.iter().enumerate() {
            let others = writes[k + 1..].iter().chain(reads).chain([&work_region]);
            assert!(
                !others.into_iter().any(|other| other.meets(region)),
                "regions that meet"
            );
        }
        assert!(
            !reads.iter().any(|region| region.meets(&work_region)),
            "regions that meet"
        );
        let numbers: *mut u8 = self.numbers.as_mut_ptr().cast();
        let truths: *mut u8 = self.truths.as_mut_ptr().cast();
        let pointer = |region: &Region| {
            let memory = if region.dtype == Dtype::Bool {
                truths
            } else {
                numbers
            };
            // Never read nor written beyond the memory: that was asserted.
            memory.wrapping_add(region.start)
        };
        // Pushed one by one: collecting into a `SmallVec` costs more than small steps do.
        let mut slices: SmallVec<[Slice<'_>; 8]> = SmallVec::new();
        for region in reads {
            slices.push(with_dtype!(region.dtype, T => {
                // SAFETY: the region lies within the memory and is aligned to a cache line; its bytes are initialized and valid
                // elements (any bytes are numbers, truth values have their own memory); no region that is written meets it.
                T::erase(unsafe { std::slice::from_raw_parts(pointer(region).cast::<T>(), region.len) })
            }));
        }
        let mut outputs: SmallVec<[SliceMut<'_>; 4]> = SmallVec::new();
        for region in writes {
            outputs.push(with_dtype!(region.dtype, T => {
                // SAFETY: as above, and no other region meets one that is written, so the borrow is exclusive.
                T::erase(unsafe { std::slice::from_raw_parts_mut(pointer(region).cast::<T>(), region.len) })
            }));
        }
        // SAFETY: the working memory lies within the memory, is made of whole lines, and meets no region.
        let work = unsafe {
            std::slice::from_raw_parts_mut(
                numbers.wrapping_add(work.start).cast::<Line>(),
                work.len() / ALIGNMENT,
            )
        };
        (slices, outputs, work)
    }
}
