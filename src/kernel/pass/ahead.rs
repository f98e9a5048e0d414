//! Asks for the next block of inputs and outputs while this one is computed.
//!
//! A pass that sweeps a block several times reads memory in bursts, and computes without reading in between; processors that
//! look ahead by themselves stop at the end of a page. So a few lines are asked for beside each instruction.

use crate::kernel::stream::{LINE, ask_for};
use smallvec::SmallVec;

/// Memory that the next block reads, or writes.
#[derive(Clone, Copy)]
struct Wanted {
    next: *const u8,
    lines: usize,
    written: bool,
}

/// What is not asked for yet.
#[derive(Default)]
pub(super) struct Ahead {
    wanted: SmallVec<[Wanted; 4]>,
    /// Lines to ask for beside each instruction.
    together: usize,
}

impl Ahead {
    /// Forgets what was wanted before.
    pub fn clear(&mut self) {
        self.wanted.clear();
        self.together = 0;
    }

    /// Adds so many bytes, to be asked for beside so many instructions. Nothing need be there.
    pub fn want(&mut self, first: *const u8, bytes: usize, written: bool, instructions: usize) {
        let lines = bytes.div_ceil(LINE);
        self.wanted.push(Wanted {
            next: first,
            lines,
            written,
        });
        self.together += lines.div_ceil(instructions);
    }

    /// Asks for the next lines.
    #[inline]
    pub fn ask(&mut self) {
        let mut left = self.together;
        while left > 0
            && let Some(wanted) = self.wanted.last_mut()
        {
            let lines = left.min(wanted.lines);
            for _ in 0..lines {
                ask_for(wanted.next, wanted.written);
                wanted.next = wanted.next.wrapping_add(LINE);
            }
            left -= lines;
            wanted.lines -= lines;
            if wanted.lines == 0 {
                self.wanted.pop();
            }
        }
    }
}
