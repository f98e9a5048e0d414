//! Runs the steps of a plan.

use super::plan::{Place, Plan, Step, Work};
use super::value::{copy, reduce_any};
use crate::element::{Slice, SliceMut};
use crate::kernel::memory::{Memory, Region};
use crate::kernel::pass::Given;
use crate::tape::{Input, Output};
use crate::tensor::{AnyStorage, Pool};
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

/// The values that outlive a run, while it goes on.
pub(crate) type Results = SmallVec<[Option<AnyStorage>; 8]>;

/// What a run works with.
pub(crate) struct Frame<'f, 'i> {
    pub inputs: &'f [Slice<'i>],
    pub results: &'f mut Results,
    pub memory: &'f mut Memory,
}

impl Plan {
    /// Buffers for the values that outlive a run.
    pub fn results(&self, pool: &mut Pool) -> Results {
        let mut results = Results::new();
        self.results_but(pool, &mut results, |_| false);
        results
    }

    /// As [`results`](Plan::results), into a list that is kept, and but for those that are put there otherwise.
    pub fn results_but(
        &self,
        pool: &mut Pool,
        results: &mut Results,
        otherwise: impl Fn(usize) -> bool,
    ) {
        results.clear();
        for (result, kept) in self.results.iter().enumerate() {
            let fresh = !otherwise(result);
            results.push(fresh.then(|| pool.acquire(kept.dtype, kept.len)));
        }
    }

    /// Runs all steps.
    pub fn execute(&self, frame: &mut Frame<'_, '_>) -> Result<(), Fault> {
        frame.memory.reserve(self.numbers, self.truths);
        for step in &self.steps {
            step.run(frame)?;
        }
        Ok(())
    }
}

impl Step {
    /// Runs the step.
    pub fn run(&self, frame: &mut Frame<'_, '_>) -> Result<(), Fault> {
        let mut read: SmallVec<[Region; 8]> = SmallVec::new();
        let mut written: SmallVec<[Region; 4]> = SmallVec::new();
        for (place, overwritten) in self.reads.iter().zip(&self.overwritten) {
            if let (Place::Temporary(region), None) = (place, overwritten) {
                read.push(*region);
            }
        }
        let mut taken: SmallVec<[(u32, AnyStorage); 2]> = SmallVec::new();
        for place in &self.writes {
            match *place {
                Place::Temporary(region) => written.push(region),
                Place::Result(result) => {
                    let storage = frame.results[result as usize].take();
                    taken.push((result, storage.expect("a result is written once")));
                }
                Place::Input(_) => unreachable!("an input is written"),
            }
        }
        let outcome = {
            let (start, bytes) = self.work_memory;
            let (read, written, work) = frame.memory.borrow(&read, &written, start..start + bytes);
            let mut read = read.into_iter();
            let mut inputs: SmallVec<[Given<'_>; 8]> = SmallVec::new();
            for (place, overwritten) in self.reads.iter().zip(&self.overwritten) {
                inputs.push(match (place, overwritten) {
                    (_, Some(output)) => Given::Overwritten(*output as usize),
                    (Place::Input(input), None) => {
                        Given::Elements(frame.inputs[*input as usize].briefly())
                    }
                    (Place::Temporary(_), None) => {
                        Given::Elements(read.next().expect("borrowed above"))
                    }
                    (Place::Result(result), None) => {
                        let storage = frame.results[*result as usize].as_ref();
                        Given::Elements(storage.expect("written before it is read").as_slice())
                    }
                });
            }
            let (mut written, mut storages) = (written.into_iter(), taken.iter_mut());
            let mut outputs: SmallVec<[SliceMut<'_>; 4]> = SmallVec::new();
            for place in &self.writes {
                outputs.push(match place {
                    Place::Temporary(_) => written.next().expect("borrowed above"),
                    _ => {
                        let (_, storage) = storages.next().expect("taken above");
                        storage.unique().expect("a result that nobody else can see")
                    }
                });
            }
            self.work.run(&inputs, outputs, work)
        };
        for (result, storage) in taken {
            frame.results[result as usize] = Some(storage);
        }
        outcome.map_err(|message| Fault {
            node: self.nodes[0],
            message,
        })
    }
}

impl Work {
    fn run(
        &self,
        inputs: &[Given<'_>],
        mut outputs: SmallVec<[SliceMut<'_>; 4]>,
        work: &mut [crate::kernel::pass::Line],
    ) -> Result<(), String> {
        if let Work::Pass(pass) = self {
            pass.run(inputs, &mut outputs, work);
            return Ok(());
        }
        let slice = |k: usize| match inputs[k] {
            Given::Elements(slice) => slice,
            Given::Overwritten(_) => unreachable!("only passes overwrite"),
        };
        let Some(out) = outputs.pop() else {
            unreachable!("a step without a result")
        };
        match self {
            Work::Pass(_) => {}
            Work::Reduce { kind, axes, layout } => reduce_any(*kind, slice(0), layout, axes, out)?,
            Work::Copy { layout } => copy(slice(0), layout, out),
            Work::Call { operation, layouts } => {
                let input = |(k, layout): (usize, &crate::shape::Layout)| Input {
                    data: slice(k),
                    layout: layout.clone(),
                };
                let mut inputs: SmallVec<[Input<'_>; 3]> = SmallVec::new();
                for layout in layouts.iter().enumerate() {
                    inputs.push(input(layout));
                }
                operation.forward(&inputs, Output { data: out })?;
            }
        }
        Ok(())
    }
}
