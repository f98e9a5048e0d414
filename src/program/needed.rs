//! Which nodes a run computes, and which of their values outlive it.

use super::fuse::Seen;
use super::lower;
use super::plan::{Form, Plan};
use crate::kernel::reduce::Reduction;
use crate::shape::{Layout, Shape};
use crate::tape::{Graph, Op, Reads, View};
use smallvec::SmallVec;

/// The extremes compare input and output to find where they are attained; a sum needs neither.
fn reduction_reads(reduction: Reduction) -> Reads {
    match reduction {
        Reduction::Sum => Reads::NOTHING,
        Reduction::Max | Reduction::Min => Reads::BOTH,
    }
}

/// The nodes of a run.
#[derive(Debug, Default)]
pub(super) struct Needed {
    /// Those to compute, in order.
    pub order: Vec<u32>,
    /// For each of them: whether its value is asked for, or kept for a backward pass to come.
    pub kept: Vec<bool>,
}

impl Graph {
    /// The plan of computing `targets`, and the nodes that it computes, in order.
    pub(super) fn planned(&self, targets: &[u32], form: Form) -> (Plan, Vec<u32>) {
        let Needed { order, kept } = self.needed(targets);
        let keeps = |node: u32| order.binary_search(&node).is_ok_and(|at| kept[at]);
        (lower::plan(self, &order, keeps, form), order)
    }

    /// The nodes that must be computed for the values of `targets`, and those whose values are to be kept.
    pub(super) fn needed(&self, targets: &[u32]) -> Needed {
        const NEEDED: u8 = 1;
        const KEPT: u8 = 2;
        let Some(&last) = targets.iter().max() else {
            return Needed::default();
        };
        // Inputs come before what reads them, so one walk backwards from the last target meets every reader
        // of a node before the node; it ends when nothing is left that is needed and not computed.
        let mut marks = vec![0u8; last as usize + 1];
        let mut pending = 0;
        let mut order = Vec::new();
        for &target in targets {
            let missing = !self.is_there(target);
            pending += usize::from(missing && marks[target as usize] == 0);
            marks[target as usize] |= NEEDED | KEPT;
        }
        let mut index = last;
        while pending > 0 {
            if marks[index as usize] != 0 && !self.is_there(index) {
                pending -= 1;
                order.push(index);
                for &input in &self.nodes[index as usize].inputs {
                    let missing = !self.is_there(input);
                    pending += usize::from(missing && marks[input as usize] == 0);
                    marks[input as usize] |= NEEDED;
                }
            }
            index = index.wrapping_sub(1);
        }
        order.reverse();
        if !self.differentiated && !self.inference {
            for &index in &order {
                self.retain(index, |kept| marks[kept as usize] |= KEPT);
            }
        }
        let kept = order
            .iter()
            .map(|&node| marks[node as usize] & KEPT != 0)
            .collect();
        Needed { order, kept }
    }

    /// Whether a node need not be computed: its value is there, or will be when a program runs.
    fn is_there(&self, node: u32) -> bool {
        self.values[node as usize].is_some() || matches!(self.nodes[node as usize].op, Op::Leaf)
    }

    /// Calls `keep` with the nodes whose values the rule of a node would read.
    fn retain(&self, index: u32, mut keep: impl FnMut(u32)) {
        let node = &self.nodes[index as usize];
        if !node.tracked {
            return;
        }
        let reads = match &node.op {
            Op::Leaf | Op::Fill(_) | Op::View(_) => Reads::NOTHING,
            Op::Elementwise(op) => op.reads,
            Op::Reduce(reduction, _) => reduction_reads(*reduction),
            Op::Call(op) => op.reads(),
        };
        if reads.output {
            keep(index);
        }
        if reads.inputs {
            for &input in &node.inputs {
                // A number that is the same everywhere is read from its node.
                if self.filled(input).is_none() {
                    keep(input);
                }
            }
        }
    }

    /// Where the elements of a node are, given where those of its inputs are.
    pub(super) fn seen_through<'s>(&self, node: u32, seen: impl FnOnce(u32) -> &'s Seen) -> Seen {
        let this = &self.nodes[node as usize];
        let itself = Seen {
            base: node,
            layout: None,
        };
        let Op::View(view) = &this.op else {
            return itself;
        };
        let source = this.inputs[0];
        let Seen { base, layout } = seen(source);
        let base = *base;
        if layout.is_none() && matches!(view, View::Alias | View::Reshape) {
            return Seen { base, layout: None };
        }
        let shape = &self.nodes[source as usize].shape;
        let layout = match layout {
            Some(layout) => layout.clone(),
            None => Layout::contiguous(Shape::clone(shape)),
        };
        match see(view, &this.shape, &layout) {
            Some(layout) => {
                let plain = layout.offset() == 0 && layout.is_contiguous();
                Seen {
                    base,
                    layout: (!plain).then_some(layout),
                }
            }
            // No layout of the elements of the source says it: they are copied.
            None => itself,
        }
    }
}

/// A view as a layout of the elements of its input; `None` where no layout can say it.
pub(super) fn see(view: &View, shape: &Shape, layout: &Layout) -> Option<Layout> {
    Some(match view {
        View::Alias => layout.clone(),
        View::Reshape => layout.reshape(shape)?,
        View::Permute(order) => layout.permute(order),
        View::Slice { axis, start, step } => layout.slice(*axis, *start, shape[*axis], *step),
        View::Expand => layout.expand(shape),
    })
}

/// The targets of a run.
pub(super) type Targets = SmallVec<[u32; 8]>;
