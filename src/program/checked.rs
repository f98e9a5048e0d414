//! Runs that find the first value that is not finite.

use super::execute::{Fault, Results, unique};
use super::fetch::Fetch;
use super::lower;
use super::nonfinite::{NonFinite, all_finite, in_order};
use super::plan::{Form, Given, Plan};
use crate::kernel::memory::Memory;
use crate::tape::{Graph, Op, TapeRef};
use crate::tensor::Pool;

/// Why a checked run stopped.
#[derive(Debug)]
pub(super) enum Trouble {
    Fault(Fault),
    NonFinite(NonFinite),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Trouble::Fault(fault)
    }
}

impl Trouble {
    pub fn describe(&self, graph: &Graph) -> String {
        match self {
            Trouble::Fault(fault) => graph.describe(fault),
            Trouble::NonFinite(found) => found.to_string(),
        }
    }
}

impl TapeRef {
    /// As [`run`](TapeRef::run), but finds the first node, in the order of recording, whose value is not finite.
    ///
    /// Nodes run one at a time, so it takes more time and memory; the values are the same to the bit. If a value that an earlier
    /// run left is not finite, what led to it is computed again from the leaves, to find where it began. Values of
    /// floating-point types are checked, tensors that were given among them, as a whole whatever part of them is used; numbers
    /// written in the program are not. An infinity is found as a NaN is, also one that is meant, such as the `-inf` of a mask
    /// before a softmax: use a large finite number there.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 0.0, 4.0]));
    /// let y = (x.ln() * 2.0).sum();
    /// let found = tape.run_checked(y).unwrap_err();
    /// assert_eq!((found.operation(), found.location().line()), ("ln", line!() - 2));
    /// assert_eq!((found.output().infinite(), found.first()), (1, &[1][..]));
    /// assert_eq!(found.inputs()[0].range(), Some((0.0, 4.0)));
    /// assert!((x + 1.0).ln().sum().value() == tape.run_checked((x + 1.0).ln().sum()).unwrap());
    /// ```
    ///
    /// # Errors
    /// The node that was found, the line that recorded it, and the range of its inputs. Then nothing is kept.
    ///
    /// # Panics
    /// As [`run`](TapeRef::run).
    #[track_caller]
    pub fn run_checked<F: Fetch>(self, variables: F) -> Result<F::Values, NonFinite> {
        let (arena, targets) = self.asked("run_checked", &variables);
        let outcome = {
            let mut graph = arena.graph.borrow_mut();
            match graph.execute_checked(&targets) {
                Err(Trouble::Fault(fault)) => Err(graph.describe(&fault)),
                Err(Trouble::NonFinite(found)) => return Err(found),
                Ok(()) => Ok(()),
            }
        };
        if let Err(message) = outcome {
            panic!("{message}");
        }
        Ok(variables.values())
    }

    /// Whether every run on this tape is a checked one ([`run_checked`](TapeRef::run_checked)): asking for a value then panics
    /// with the message of [`NonFinite`] if a value on the way to it is not finite. A reset does not change it.
    ///
    /// ```should_panic
    /// use wengert::prelude::*;
    /// let model = Linear::<f32>::new(2, 1, &mut wengert::rng(0));
    /// let x = Tensor::from([[1.0, 2.0]]);
    /// value_and_grad(&model, |model, tape| {
    ///     tape.check_values(true);
    ///     let y = model.forward(tape.constant(&x));
    ///     (y - y).ln().sum() // panics: ln: 0 NaN and 1 infinite among ..
    /// });
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn check_values(self, check: bool) {
        self.arena("check_values").graph.borrow_mut().checked = check;
    }
}

impl Graph {
    /// Computes the values of `targets`, unless one on the way is not finite.
    pub(super) fn execute_checked(&mut self, targets: &[u32]) -> Result<(), Trouble> {
        let (plan, _) = self.planned(targets, Form::Apart);
        let bad = self.first_given(&plan, targets);
        if let Some(node) = bad
            && !matches!(self.node(node).op, Op::Leaf)
        {
            return self.execute_from_leaves(targets, node);
        }
        let mut memory = Memory::default();
        let mut results = plan.room(&mut self.pool, &mut memory)?;
        self.pool.note(plan.within());
        let outcome = self.check(&plan, bad, &mut results, &mut memory);
        match outcome {
            Ok(()) => self.keep(&plan, &results),
            Err(_) => {
                let storages = results.into_iter().flatten();
                storages.for_each(|storage| self.pool.recycle(storage));
            }
        }
        outcome
    }

    /// The first of the values that are there, which a run would read or hand out, that is not finite; one that was computed
    /// before any that was given.
    fn first_given(&self, plan: &Plan, targets: &[u32]) -> Option<u32> {
        let given = plan.inputs.iter().filter_map(|given| match *given {
            Given::Value(node) => Some(node),
            Given::Number(_) => None,
        });
        let bad = given.chain(targets.iter().copied()).filter(|&node| {
            let Some(value) = &self.values[node as usize] else {
                return false;
            };
            let mut finite = true;
            let layout = value.layout_for(&self.node(node).shape);
            let this = self.node(node);
            if this.dtype.is_float() && !matches!(this.op, Op::Fill(_)) {
                in_order(value.storage.as_slice(), &layout, |elements| {
                    finite = all_finite(elements);
                });
            }
            !finite
        });
        bad.min_by_key(|&node| (matches!(self.node(node).op, Op::Leaf), node))
    }

    /// Runs as if no value was there but the leaves, to find what made `node`, the value of an earlier run, not finite.
    fn execute_from_leaves(&mut self, targets: &[u32], node: u32) -> Result<(), Trouble> {
        let mut saved = Vec::new();
        for at in 0..self.nodes.len() {
            if !matches!(self.nodes[at].op, Op::Leaf)
                && let Some(value) = self.values[at].take()
            {
                saved.push((at, value));
            }
        }
        let needed = self.needed(targets);
        let plan = lower::plan(
            self,
            &needed.order,
            |node| targets.contains(&node),
            Form::Apart,
        );
        let bad = self.first_given(&plan, targets);
        let mut memory = Memory::default();
        let results = plan.room(&mut Pool::default(), &mut memory);
        let outcome = match results {
            Ok(mut results) => self.check(&plan, bad, &mut results, &mut memory),
            Err(fault) => Err(fault.into()),
        };
        for (at, value) in saved {
            self.values[at] = Some(value);
        }
        // The same program gives the same values; but a kernel from outside may not.
        outcome.and_then(|()| Err(Trouble::NonFinite(self.found(node)?)))
    }

    /// Runs the steps of a plan that computes one node with each, up to the first whose value is not finite; `bad` is a leaf that
    /// is not.
    fn check(
        &self,
        plan: &Plan,
        bad: Option<u32>,
        results: &mut Results,
        memory: &mut Memory,
    ) -> Result<(), Trouble> {
        let inputs = plan.inputs.iter().map(|given| self.read(given));
        let written = results.iter_mut().map(unique);
        let mut frame = plan.frame(inputs, written, memory);
        for (at, step) in plan.steps.iter().enumerate() {
            let node = step.nodes[0];
            if bad.is_some_and(|bad| bad < node) {
                continue;
            }
            plan.step(at, &mut frame)?;
            let checked = self.node(node).dtype.is_float();
            if !checked || matches!(self.node(node).op, Op::Fill(_)) {
                continue;
            }
            let finite = all_finite(frame.written(at, 0));
            if !finite {
                return Err(Trouble::NonFinite(self.found(node)?));
            }
        }
        match bad {
            Some(leaf) => Err(Trouble::NonFinite(self.found(leaf)?)),
            None => Ok(()),
        }
    }
}
