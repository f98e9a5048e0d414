//! The planned executor: one kernel a node, every buffer freed at its last use or overwritten in place.

use super::plan::PINNED;
use super::value::{Fault, evaluate, input, see};
use crate::element::SliceMut;
use crate::kernel::elementwise::{self, OPERANDS, Operand};
use crate::shape::Layout;
use crate::tape::{Elementwise, Graph, Input, Op};
use crate::tensor::{AnyStorage, Buffer};
use smallvec::SmallVec;

/// A buffer that was just made or taken over: nobody else can see it.
fn unshared(storage: &mut AnyStorage) -> SliceMut<'_> {
    storage.unique().expect("a result that nobody else can see")
}

impl Graph {
    /// Computes the values of `targets`, and nothing that they do not need.
    pub(super) fn execute(&mut self, targets: &[u32]) -> Result<(), Fault> {
        // Most often a value that is asked for again is there already.
        if targets.iter().all(|&t| self.values[t as usize].is_some()) {
            return Ok(());
        }
        self.plan(targets);
        let order = std::mem::take(&mut self.scratch.order);
        let mut outcome = Ok(());
        for &index in &order {
            match self.compute(index) {
                Ok(value) => self.values[index as usize] = value,
                Err(message) => {
                    outcome = Err(Fault::new(index, message));
                    break;
                }
            }
            self.free_inputs(index);
        }
        self.scratch.order = order;
        self.unplan(targets);
        outcome
    }

    /// Counts one reader less for each input, and takes back the memory of those that have none left.
    fn free_inputs(&mut self, index: u32) {
        for &input in &self.nodes[index as usize].inputs {
            let uses = &mut self.scratch.uses[input as usize];
            *uses -= 1;
            if *uses == 0
                && let Some(value) = self.values[input as usize].take()
            {
                self.pool.release(value.storage);
            }
        }
    }

    /// The value of a node whose inputs are there; `None` for a number that its readers take from the node itself.
    fn compute(&mut self, index: u32) -> Result<Option<Buffer>, String> {
        let node = &self.nodes[index as usize];
        match &node.op {
            Op::Elementwise(op) => return Ok(Some(self.pass(op, index))),
            Op::Fill(_) if self.scratch.uses[index as usize] & PINNED == 0 => return Ok(None),
            Op::View(view) => {
                let source = node.inputs[0] as usize;
                if let Some(value) = &self.values[source]
                    && let Some(seen) = see(view, node, &self.nodes[source], value)
                {
                    return Ok(Some(seen));
                }
            }
            _ => {}
        }
        let mut storage = self.pool.acquire(node.dtype, node.shape.size());
        let mut inputs: SmallVec<[Input<'_>; 3]> = SmallVec::new();
        for &i in &node.inputs {
            inputs.push(input(
                &self.nodes[i as usize],
                self.values[i as usize].as_ref(),
            ));
        }
        evaluate(node, &inputs, unshared(&mut storage))?;
        Ok(Some(Buffer::plain(storage)))
    }

    fn pass(&mut self, op: &Elementwise, index: u32) -> Buffer {
        let overwritten = self.overwritable(index);
        let node = &self.nodes[index as usize];
        let mut storage =
            match overwritten.and_then(|k| self.values[node.inputs[k] as usize].take()) {
                Some(value) => value.storage,
                None => self.pool.acquire(node.dtype, node.shape.size()),
            };
        // Layouts are needed only for operands that are broadcast or strided.
        let mut layouts: SmallVec<[Layout; 1]> = SmallVec::new();
        for &i in &node.inputs {
            let source = &self.nodes[i as usize];
            if let Some(value) = &self.values[i as usize]
                && (value.layout.is_some() || source.shape != node.shape)
            {
                layouts.push(value.layout_for(&source.shape).expand(&node.shape));
            }
        }
        let mut layouts = layouts.iter();
        let mut operands: [Operand<'_>; OPERANDS] = [Operand::Overwritten; OPERANDS];
        for (k, &i) in node.inputs.iter().enumerate() {
            let source = &self.nodes[i as usize];
            operands[k] = match &self.values[i as usize] {
                Some(value) if value.layout.is_some() || source.shape != node.shape => {
                    match layouts.next() {
                        Some(layout) => Operand::Strided(value.storage.as_slice(), layout),
                        None => unreachable!("a layout was made for each such operand"),
                    }
                }
                Some(value) => Operand::Plain(value.storage.as_slice()),
                None if Some(k) == overwritten => Operand::Overwritten,
                None => match &source.op {
                    Op::Fill(number) => Operand::Single(number.as_slice()),
                    op => unreachable!("{} is read before it is computed", op.name()),
                },
            };
        }
        let operands = &operands[..node.inputs.len()];
        elementwise::run(
            &op.kernel,
            operands,
            unshared(&mut storage),
            &mut self.workspace,
        );
        Buffer::plain(storage)
    }

    /// The operand that an elementwise node can overwrite with its result: one that has no other reader, lies as the result
    /// will, and is seen by nobody else.
    fn overwritable(&self, index: u32) -> Option<usize> {
        let node = &self.nodes[index as usize];
        let size = node.shape.size();
        (0..node.inputs.len()).find(|&k| {
            let i = node.inputs[k] as usize;
            self.scratch.uses[i] == 1
                && self.nodes[i].dtype == node.dtype
                && self.nodes[i].shape == node.shape
                && self.values[i].as_ref().is_some_and(|v| {
                    // A view of the first part of a longer buffer lies plain too, but cannot become the result.
                    v.layout.is_none()
                        && v.storage.as_slice().len() == size
                        && v.storage.is_unique()
                })
        })
    }
}
