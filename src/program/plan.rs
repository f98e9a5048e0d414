//! What a run computes, and which values outlive it.
//!
//! `Scratch::uses` counts, for each node, the readers that are still to run. A value whose count falls to zero is not needed
//! any more and its memory is taken back at once. Values that existed before the run, results that were asked for, and what a
//! backward pass to come will read are pinned: their count never gets there.

use crate::kernel::reduce::Reduction;
use crate::tape::{Graph, Op, Reads};

/// Added to the count of a value that must not be freed by the run.
pub(super) const PINNED: u32 = 1 << 31;

/// The extremes compare input and output to find where they are attained; a sum needs neither.
fn reduction_reads(reduction: Reduction) -> Reads {
    match reduction {
        Reduction::Sum => Reads::NOTHING,
        Reduction::Max | Reduction::Min => Reads::BOTH,
    }
}

impl Graph {
    /// Fills `scratch.order` with the nodes to compute, in order, and `scratch.uses` with the readers of each value.
    pub(super) fn plan(&mut self, targets: &[u32]) {
        let scratch = &mut self.scratch;
        if std::mem::replace(&mut scratch.running, true) {
            scratch.uses.clear();
        }
        scratch.uses.resize(self.nodes.len(), 0);
        scratch.order.clear();
        // Inputs come before what reads them, so one walk backwards from the last target meets every reader
        // of a node before the node; it ends when nothing is left that is needed and not computed.
        let mut pending = 0;
        for &target in targets {
            let uses = &mut scratch.uses[target as usize];
            pending += usize::from(*uses == 0 && self.values[target as usize].is_none());
            *uses |= PINNED;
        }
        let mut index = targets.iter().copied().max().unwrap_or(0);
        while pending > 0 {
            if scratch.uses[index as usize] != 0 && self.values[index as usize].is_none() {
                pending -= 1;
                scratch.order.push(index);
                for &input in &self.nodes[index as usize].inputs {
                    let uses = &mut scratch.uses[input as usize];
                    if *uses == 0 {
                        match self.values[input as usize] {
                            Some(_) => *uses = PINNED,
                            None => pending += 1,
                        }
                    }
                    *uses += 1;
                }
            }
            index = index.wrapping_sub(1);
        }
        scratch.order.reverse();
        if !self.differentiated && !self.inference {
            self.retain();
        }
    }

    /// Pins what the rules of the nodes to be computed would read.
    fn retain(&mut self) {
        for &index in &self.scratch.order {
            let node = &self.nodes[index as usize];
            if !node.tracked {
                continue;
            }
            let reads = match &node.op {
                Op::Leaf | Op::Fill(_) | Op::View(_) => Reads::NOTHING,
                Op::Elementwise(op) => op.reads,
                Op::Reduce(reduction, _) => reduction_reads(*reduction),
                Op::Call(op) => op.reads(),
            };
            if reads.output {
                self.scratch.uses[index as usize] |= PINNED;
            }
            if reads.inputs {
                for &input in &node.inputs {
                    // A number that is the same everywhere is read from its node.
                    if self.filled(input).is_none() {
                        self.scratch.uses[input as usize] |= PINNED;
                    }
                }
            }
        }
    }

    /// Puts the counts back to zero.
    pub(super) fn unplan(&mut self, targets: &[u32]) {
        let scratch = &mut self.scratch;
        scratch.running = false;
        for &target in targets {
            scratch.uses[target as usize] = 0;
        }
        for &index in &scratch.order {
            scratch.uses[index as usize] = 0;
            for &input in &self.nodes[index as usize].inputs {
                scratch.uses[input as usize] = 0;
            }
        }
    }
}
