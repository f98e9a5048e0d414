//! The memory of a run: one block, of which values take regions for as long as they are needed.

use super::pass::{Line, Span};
use crate::element::Dtype;
use crate::error::OutOfMemory;

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
    pub fn bytes(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.len * self.dtype.size()
    }

    pub fn meets(&self, other: &Region) -> bool {
        let apart = (self.dtype == Dtype::Bool) != (other.dtype == Dtype::Bool);
        let (a, b) = (self.bytes(), other.bytes());
        !apart && a.start < b.end && b.start < a.end
    }
}

/// Where the memories of a run begin, and the values outside of it.
#[derive(Debug, Default)]
pub(super) struct Bases(pub Vec<Span>);
// SAFETY: what they point to is reached through a frame alone, which writes them anew and has borrowed all of it.
unsafe impl Send for Bases {}
// SAFETY: as above.
unsafe impl Sync for Bases {}

/// Memory for regions.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(super) numbers: Vec<Line>,
    pub(super) truths: Vec<bool>,
    pub(super) bases: Bases,
}

impl Memory {
    /// Makes room for so many bytes of numbers and so many truth values; what was there is gone if there was less.
    pub fn reserve(&mut self, numbers: usize, truths: usize) -> Result<(), OutOfMemory> {
        fn grow<T: Copy + Default>(all: &mut Vec<T>, len: usize) -> Result<(), OutOfMemory> {
            if all.len() < len {
                // Nothing is copied, and the old memory is free before there is a new one.
                *all = Vec::new();
                let bytes = len.saturating_mul(size_of::<T>());
                let reserved = all.try_reserve_exact(len);
                reserved.map_err(|_| OutOfMemory { bytes })?;
                all.resize(len, T::default());
            }
            Ok(())
        }
        grow(&mut self.numbers, numbers.div_ceil(ALIGNMENT))?;
        grow(&mut self.truths, truths)
    }

    /// Whether there is room for so many bytes of numbers and so many truth values.
    #[inline]
    pub fn has_room(&self, numbers: usize, truths: usize) -> bool {
        self.numbers.len() >= numbers.div_ceil(ALIGNMENT) && self.truths.len() >= truths
    }
}
