//! The plans of a tape: one that was made for the same nodes is used again.

use super::execute::{Fault, Results, unique};
use super::needed::Targets;
use super::plan::{Form, Given, Place, Plan};
use crate::element::Slice;
use crate::kernel::memory::Memory;
use crate::shape::Layout;
use crate::tape::{Graph, NodeInputs, Op, SharedShape};
use crate::tensor::Buffer;
use std::rc::Rc;

/// How many plans a tape keeps.
const KEPT: usize = 16;

/// A node that a plan was made for.
struct Known {
    index: u32,
    op: Op,
    inputs: NodeInputs,
    shape: SharedShape,
}

/// A plan, and what it was made for.
struct Entry {
    targets: Targets,
    differentiated: bool,
    inference: bool,
    nodes: Vec<Known>,
    /// The nodes whose values were there, and how their elements lay.
    given: Vec<(u32, SharedShape, Option<Layout>)>,
    plan: Rc<Plan>,
}

/// Plans, those used last first, and the memory that runs work in.
#[derive(Default)]
pub(super) struct Plans {
    entries: Vec<Entry>,
    memory: Memory,
}

impl Entry {
    fn new(graph: &Graph, targets: &[u32]) -> Self {
        let (plan, order) = graph.planned(targets, Form::Fused);
        let known = |&index: &u32| {
            let node = &graph.nodes[index as usize];
            Known {
                index,
                op: node.op.clone(),
                inputs: node.inputs.clone(),
                shape: node.shape.clone(),
            }
        };
        let given = plan.inputs.iter().filter_map(|given| match *given {
            Given::Value(node) => {
                let value = graph.values[node as usize].as_ref()?;
                let shape = graph.nodes[node as usize].shape.clone();
                Some((node, shape, value.layout.as_deref().cloned()))
            }
            Given::Number(_) => None,
        });
        Entry {
            targets: Targets::from_slice(targets),
            differentiated: graph.differentiated,
            inference: graph.inference,
            nodes: order.iter().map(known).collect(),
            given: given.collect(),
            plan: Rc::new(plan),
        }
    }

    /// Whether the plan computes these targets on this tape.
    fn serves(&self, graph: &Graph, targets: &[u32]) -> bool {
        let same = |known: &Known| {
            let index = known.index as usize;
            graph.nodes.get(index).is_some_and(|node| {
                node.inputs == known.inputs
                    && node.shape == known.shape
                    && graph.values[index].is_none()
                    && node.op.is_same(&known.op)
            })
        };
        let lies = |(node, shape, layout): &(u32, SharedShape, Option<Layout>)| {
            let value = graph.values.get(*node as usize).and_then(Option::as_ref);
            value.is_some_and(|value| value.layout.as_deref() == layout.as_ref())
                && graph.nodes[*node as usize].shape == *shape
        };
        self.targets[..] == *targets
            && self.differentiated == graph.differentiated
            && self.inference == graph.inference
            && self.nodes.iter().all(same)
            && self.given.iter().all(lies)
    }
}

impl Plans {
    fn plan(&mut self, graph: &Graph, targets: &[u32]) -> Rc<Plan> {
        match self
            .entries
            .iter()
            .position(|entry| entry.serves(graph, targets))
        {
            Some(0) => {}
            Some(at) => self.entries[..=at].rotate_right(1),
            None => {
                self.entries.truncate(KEPT - 1);
                self.entries.insert(0, Entry::new(graph, targets));
            }
        }
        self.entries[0].plan.clone()
    }
}

impl Graph {
    /// Says which operation failed, and the line that recorded it.
    pub(super) fn describe(&self, fault: &Fault) -> String {
        let node = self.node(fault.node);
        fault.describe(node.op.name(), node.location)
    }

    /// Computes the values of `targets`, and nothing that they do not need.
    pub(super) fn execute(&mut self, targets: &[u32]) -> Result<(), Fault> {
        // Most often a value that is asked for again is there already.
        if targets.iter().all(|&t| self.values[t as usize].is_some()) {
            return Ok(());
        }
        // While a run goes on the plans are not with the tape, so that it can be read.
        let mut plans = self
            .plans
            .take()
            .and_then(|plans| plans.downcast::<Plans>().ok())
            .unwrap_or_default();
        let outcome = self.execute_with(&mut plans, targets);
        self.plans = Some(plans);
        outcome
    }

    /// The plan of computing `targets`, as it would run.
    pub(super) fn plan_of(&self, targets: &[u32]) -> Rc<Plan> {
        Entry::new(self, targets).plan
    }

    fn execute_with(&mut self, plans: &mut Plans, targets: &[u32]) -> Result<(), Fault> {
        let plan = plans.plan(self, targets);
        let mut results = plan.room(&mut self.pool, &mut plans.memory)?;
        self.pool.note(plan.within());
        let outcome = {
            let inputs = plan.inputs.iter().map(|given| self.read(given));
            let written = results.iter_mut().map(unique);
            plan.execute(inputs, written, &mut plans.memory)
        };
        if outcome.is_ok() {
            self.keep(&plan, &results);
        }
        outcome
    }

    /// Takes over the values that outlive a run.
    pub(super) fn keep(&mut self, plan: &Plan, results: &Results) {
        for fetched in &plan.fetched {
            let storage = match fetched.place {
                Place::Result(result) => results[result as usize]
                    .clone()
                    .expect("a result that was written"),
                Place::Input(input) => match plan.inputs[input as usize] {
                    Given::Value(node) => {
                        let value = self.values[node as usize].as_ref();
                        value.expect("a value that was there").storage.clone()
                    }
                    Given::Number(_) => unreachable!("a number is written out to be kept"),
                },
                Place::Temporary(_) => {
                    unreachable!("a value that is kept has storage of its own")
                }
            };
            self.values[fetched.node as usize] = Some(Buffer {
                storage,
                layout: fetched.layout.clone().map(Box::new),
            });
        }
    }

    /// What a step reads of the values that were there before the run.
    pub(super) fn read(&self, given: &Given) -> Slice<'_> {
        match *given {
            Given::Value(node) => {
                let value = self.values[node as usize].as_ref();
                value.expect("a value that is there").storage.as_slice()
            }
            Given::Number(node) => match &self.nodes[node as usize].op {
                Op::Fill(number) => number.as_slice(),
                op => unreachable!("{} is no number", op.name()),
            },
        }
    }
}
