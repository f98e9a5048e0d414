//! The memory of a run: one block, of which values take regions for as long as they are needed.

use super::pass::Line;
use crate::element::Dtype;

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

/// Memory for regions.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(super) numbers: Vec<Line>,
    pub(super) truths: Vec<bool>,
}

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
}
