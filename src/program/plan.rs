//! What a run does, step by step: made once for a program, used as often as it runs.

use crate::element::Dtype;
use crate::kernel::memory::Region;
use crate::kernel::pass::Pass;
use crate::kernel::reduce::Reduction;
use crate::kernel::script::Script;
use crate::shape::{Layout, Shape};
use crate::tape::Called;
use smallvec::SmallVec;
use std::panic::Location;
use std::sync::{Arc, OnceLock};

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// One that was there before the run.
    Input(u32),
    Temporary(Region),
    /// One that outlives the run.
    Result(u32),
}

/// What is there before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The value of a node.
    Value(u32),
    /// The number that a node holds everywhere.
    Number(u32),
}

impl Given {
    pub fn node(self) -> u32 {
        match self {
            Given::Value(node) | Given::Number(node) => node,
        }
    }
}

/// A value that outlives the run.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub dtype: Dtype,
    pub len: usize,
}

/// A node whose value is asked for or kept: where it is, and how it lies there.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub node: u32,
    pub place: Place,
    pub layout: Option<Layout>,
}

/// What a plan is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nodes run together where they can, and values within the run may lie where results will be.
    Fused,
    /// As `Fused`, but results have their places to themselves: something else may be there before they are written.
    InPlace,
    /// Each node is a step of its own.
    Apart,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// A fused pass.
    Pass(Arc<Pass>),
    /// A reduction of a single value.
    Reduce {
        kind: Reduction,
        axes: Shape,
        layout: Layout,
    },
    /// The elements of a layout in row-major order.
    Copy { layout: Layout },
    /// An operation with a kernel of its own.
    Call {
        operation: Called,
        layouts: SmallVec<[Layout; 3]>,
    },
}

/// A step of a run.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub work: Work,
    pub reads: SmallVec<[Place; 4]>,
    /// For each value that is read: the output that overwrites it.
    pub overwritten: SmallVec<[Option<u16>; 4]>,
    pub writes: SmallVec<[Place; 2]>,
    /// Bytes of working memory, and where they begin.
    pub work_memory: (usize, usize),
    /// The nodes it computes.
    pub nodes: SmallVec<[u32; 4]>,
}

/// A node as listings and messages name it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub node: u32,
    pub name: &'static str,
    pub dtype: Dtype,
    pub shape: Shape,
    pub location: &'static Location<'static>,
    /// How many elements its computation goes over: those of the result, or of the largest operand.
    pub extent: usize,
}

/// The steps of a run, and the memory they need.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub steps: Vec<Step>,
    pub inputs: Vec<Given>,
    /// The node of each input.
    pub given: Vec<Named>,
    pub results: Vec<Kept>,
    pub fetched: Vec<Fetched>,
    /// Bytes of numbers and of truth values that values within the run take at once.
    pub numbers: usize,
    pub truths: usize,
    /// The nodes that are computed.
    pub named: Vec<Named>,
    /// What the steps read and write, once it is checked.
    pub script: OnceLock<Script>,
}

impl Plan {
    /// The most bytes that values of a run take at once, those that outlive it included.
    pub fn peak(&self) -> usize {
        let kept = |kept: &Kept| kept.len * kept.dtype.size();
        let kept = self.results.iter().map(kept);
        kept.fold(self.within(), usize::saturating_add)
    }

    /// The most bytes that values within a run take at once.
    pub fn within(&self) -> usize {
        self.numbers.saturating_add(self.truths)
    }

    /// Lets a result take the place of an input: the run finds the input where the result will be. Returns whether it can: no step
    /// may read the input after the result is written.
    pub fn overwrite(&mut self, result: u32, input: u32) -> bool {
        let (old, new) = (Place::Input(input), Place::Result(result));
        debug_assert!(self.script.get().is_none(), "a plan that ran");
        let mut writers = (0..self.steps.len()).filter(|&at| self.steps[at].writes.contains(&new));
        // If there are several, other values lie there before.
        let (Some(writer), None) = (writers.next(), writers.next()) else {
            return false;
        };
        let last = self
            .steps
            .iter()
            .rposition(|step| step.reads.contains(&old));
        let fetched = self.fetched.iter().any(|fetched| fetched.place == old);
        // What can fail must come before anything is overwritten.
        let mut later = self.steps[writer + 1..].iter();
        let fails = later.any(
            |step| matches!(&step.work, Work::Call { operation, .. } if !operation.never_fails()),
        );
        if fails || fetched || last.is_none_or(|last| last > writer) {
            return false;
        }
        if last == Some(writer) {
            let step = &mut self.steps[writer];
            let output = step
                .writes
                .iter()
                .position(|&place| place == new)
                .unwrap_or_default();
            let mut reads = (0..step.reads.len()).filter(|&k| step.reads[k] == old);
            let (Some(read), None, Work::Pass(pass)) = (reads.next(), reads.next(), &step.work)
            else {
                return false;
            };
            let taken = step.overwritten.contains(&Some(output as u16));
            if taken || !pass.overwrites().contains(&(output, read)) {
                return false;
            }
            step.overwritten[read] = Some(output as u16);
        }
        for step in &mut self.steps[..writer] {
            step.reads
                .iter_mut()
                .filter(|place| **place == old)
                .for_each(|place| *place = new);
        }
        true
    }

    /// A node that the plan computes.
    pub fn named(&self, node: u32) -> Option<&Named> {
        let at = self.named.binary_search_by_key(&node, |named| named.node);
        at.ok().map(|at| &self.named[at])
    }
}
