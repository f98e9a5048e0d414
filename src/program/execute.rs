//! Runs the steps of a plan.

use super::plan::{Place, Plan, Work};
use super::value::{copy, reduce_any};
use crate::element::{Slice, SliceMut};
use crate::kernel::memory::Memory;
use crate::kernel::script::{self, Frame, Script};
use crate::tape::{Input, Output};
use crate::tensor::AnyStorage;
use smallvec::SmallVec;
use std::panic::Location;

/// Why a run could not compute a node.
#[derive(Debug)]
pub(crate) struct Fault {
    pub node: u32,
    pub message: String,
}

impl Fault {
    /// Says which operation failed, and the line that recorded it.
    pub fn describe(&self, name: &str, location: &Location<'_>) -> String {
        format!("{name}: {} (recorded at {location})", self.message)
    }
}

/// The values that outlive a run.
pub(crate) type Results = SmallVec<[Option<AnyStorage>; 8]>;

/// The elements of a result, to be written.
///
/// # Panics
/// If somebody else can see them.
pub(crate) fn unique(result: &mut Option<AnyStorage>) -> SliceMut<'_> {
    let unique = result.as_mut().and_then(AnyStorage::unique);
    unique.expect("a result that nobody else can see")
}

impl Plan {
    /// What the steps read and write, checked when it is first asked for.
    pub fn script(&self) -> &Script {
        self.script.get_or_init(|| {
            let inputs = self.inputs.len();
            let place = |place: &Place| match *place {
                Place::Temporary(region) => script::Place::Memory(region),
                Place::Input(input) => {
                    script::Place::Outside(input as usize, self.given[input as usize].dtype)
                }
                Place::Result(result) => {
                    let dtype = self.results[result as usize].dtype;
                    script::Place::Outside(inputs + result as usize, dtype)
                }
            };
            let places =
                |of: &[Place]| -> SmallVec<[script::Place; 8]> { of.iter().map(place).collect() };
            let mut script = Script::new(self.numbers, self.truths, inputs + self.results.len());
            for step in &self.steps {
                let (reads, writes) = (places(&step.reads), places(&step.writes));
                match &step.work {
                    Work::Pass(pass) => {
                        let (start, bytes) = step.work_memory;
                        let work = start..start + bytes;
                        script.pass(pass, &reads, &step.overwritten, &writes, work);
                    }
                    Work::Call { operation, layouts } => {
                        let tiny = operation.tiny(writes[0].dtype(), layouts);
                        match (tiny, &reads[..]) {
                            (Some(tiny), &[a, b]) => script.product(tiny, [a, b], writes[0]),
                            _ => script.other(&reads, &step.overwritten, &writes),
                        }
                    }
                    Work::Reduce { .. } | Work::Copy { .. } => {
                        script.other(&reads, &step.overwritten, &writes)
                    }
                }
            }
            script
        })
    }

    /// The plan with what it works on.
    ///
    /// # Panics
    /// If inputs and results are not those of the plan.
    pub fn frame<'r, 'w: 'r>(
        &'r self,
        inputs: impl Iterator<Item = Slice<'r>>,
        results: impl Iterator<Item = SliceMut<'w>>,
        memory: &'r mut Memory,
    ) -> Frame<'r> {
        self.script().frame(memory, inputs, results)
    }

    /// Runs all steps.
    pub fn execute<'r, 'w: 'r>(
        &'r self,
        inputs: impl Iterator<Item = Slice<'r>>,
        results: impl Iterator<Item = SliceMut<'w>>,
        memory: &'r mut Memory,
    ) -> Result<(), Fault> {
        let mut frame = self.frame(inputs, results, memory);
        for step in 0..self.steps.len() {
            self.step(step, &mut frame)?;
        }
        Ok(())
    }

    /// Runs a step.
    #[inline]
    pub fn step(&self, step: usize, frame: &mut Frame<'_>) -> Result<(), Fault> {
        if frame.run(step) {
            return Ok(());
        }
        let (reads, mut writes) = frame.borrow(step);
        let Some(out) = writes.pop() else {
            unreachable!("a step without a result")
        };
        let step = &self.steps[step];
        let outcome = match &step.work {
            Work::Pass(_) => unreachable!("a pass is run by the frame"),
            Work::Reduce { kind, axes, layout } => reduce_any(*kind, reads[0], layout, axes, out),
            Work::Copy { layout } => {
                copy(reads[0], layout, out);
                Ok(())
            }
            Work::Call { operation, layouts } => {
                let mut inputs: SmallVec<[Input<'_>; 3]> = SmallVec::new();
                for (data, layout) in reads.iter().zip(layouts) {
                    inputs.push(Input {
                        data: *data,
                        layout,
                    });
                }
                let overwrites = step.overwritten.iter().any(Option::is_some);
                operation.forward(
                    &inputs,
                    Output {
                        data: out,
                        overwrites,
                    },
                )
            }
        };
        outcome.map_err(|message| Fault {
            node: step.nodes[0],
            message,
        })
    }
}
