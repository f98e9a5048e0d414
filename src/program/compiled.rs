//! A plan apart from the tape it was made on: what it reads is found without one.

use super::execute::{Fault, Results, unique};
use super::plan::{Form, Given, Place, Plan};
use crate::element::{AnyNumber, Element, Numbers, Slice, SliceMut, with_any, with_dtype};
use crate::error::{Error, ErrorKind};
use crate::kernel::memory::Memory;
use crate::shape::{Layout, Shape};
use crate::tape::{Graph, Op};
use crate::tensor::{AnyStorage, AnyTensor, Buffer, Pool, Storage, Storages, Tensor, Tensors};
use smallvec::SmallVec;
use std::sync::Arc;

/// Where an input of the plan comes from.
#[derive(Clone, Debug)]
enum Source {
    /// The input with this number.
    Input(usize),
    /// The parameter with this number.
    Parameter(usize),
    /// A tensor that was recorded as it was.
    Constant(AnyStorage),
    Number(AnyNumber),
    /// The seed of the random numbers.
    Seed,
}

/// A parameter as it was bound: its identity, that of what it is a clone of, and its shape.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub id: u64,
    pub origin: u64,
    pub shape: Shape,
}

/// A plan that can run on any thread.
#[derive(Debug)]
pub(crate) struct Compiled {
    plan: Plan,
    sources: Vec<Source>,
    /// For each target: its shape, and where it is.
    targets: Vec<Target>,
    /// The parameters by number.
    pub parameters: Vec<Bound>,
    /// The seed that it was recorded with.
    pub seed: u64,
}

#[derive(Debug)]
struct Target {
    shape: Shape,
    place: Place,
    layout: Option<Layout>,
}

/// Memory that runs work in, kept from run to run.
#[derive(Default)]
pub(crate) struct Scratch {
    pub memory: Memory,
    pub pool: Pool,
    /// The results of the last run. Once the caller has dropped them they are used again: memory that was just freed comes
    /// back from the system page by page, and zeroed.
    results: Results,
}

/// A value with its elements in row-major order from the start of its storage.
fn plain(buffer: &Buffer, shape: &Shape) -> Buffer {
    if buffer.layout.is_none() {
        return buffer.clone();
    }
    let layout = buffer.layout_for(shape);
    let size = shape.size();
    with_dtype!(buffer.storage.dtype(), T => {
        let mut storage = Storage::<T>::zeroed(size, size);
        super::value::copy(buffer.storage.as_slice(), &layout, T::erase(&mut storage[..]));
        Buffer::plain(T::erase::<Storages>(Arc::new(storage)))
    })
}

/// The key of the tape that has a seed.
fn key(seed: u64) -> AnyNumber {
    i64::erase::<Numbers>(seed as i64)
}

/// A copy of elements in a storage of its own.
fn erased<T: Element>(elements: &[T]) -> AnyStorage {
    T::erase::<Storages>(Arc::new(Storage::copy_of(elements)))
}

impl Compiled {
    /// Compiles the computation of `targets`, of which `inputs` are given anew for each run, as parameters can be.
    pub fn new(graph: &mut Graph, targets: &[u32], inputs: &[u32], form: Form) -> Self {
        // No backward pass will follow on this tape: nothing is kept for it.
        graph.inference = true;
        let mut parameters = Vec::new();
        for k in 0..graph.bindings.len() {
            let (id, leaf) = graph.bindings[k];
            let shape = Shape::clone(&graph.nodes[leaf as usize].shape);
            if let Some(value) = graph.values[leaf as usize].take() {
                graph.values[leaf as usize] = Some(plain(&value, &shape));
            }
            let origin = graph.origins[k];
            parameters.push(Bound { id, origin, shape });
        }
        let (mut plan, _) = graph.planned(targets, form);
        let place = |&target: &u32| {
            let shape = Shape::clone(&graph.nodes[target as usize].shape);
            let fetched = plan.fetched.iter().find(|fetched| fetched.node == target);
            let (place, layout) = match fetched {
                Some(fetched) => (fetched.place, fetched.layout.clone()),
                // An input, a parameter or a constant: it is not computed.
                None => {
                    let known = plan
                        .inputs
                        .iter()
                        .position(|&given| given == Given::Value(target));
                    let input = known.unwrap_or_else(|| {
                        plan.inputs.push(Given::Value(target));
                        plan.inputs.len() - 1
                    });
                    let value = graph.values[target as usize].as_ref();
                    let layout = value.and_then(|value| value.layout.as_deref().cloned());
                    (Place::Input(input as u32), layout)
                }
            };
            Target {
                shape,
                place,
                layout,
            }
        };
        let targets = targets.iter().map(place).collect();
        let source = |given: &Given| match *given {
            Given::Value(node) => {
                if let Some(k) = inputs.iter().position(|&input| input == node) {
                    Source::Input(k)
                } else if let Some(k) = graph.bindings.iter().position(|b| b.1 == node) {
                    Source::Parameter(k)
                } else {
                    let value = graph.values[node as usize].as_ref();
                    Source::Constant(value.expect("a value that is there").storage.clone())
                }
            }
            Given::Number(node) if graph.seed_of(node).is_some() => Source::Seed,
            Given::Number(node) => match &graph.nodes[node as usize].op {
                Op::Fill(number) => Source::Number(*number),
                op => unreachable!("{} is no number", op.name()),
            },
        };
        Compiled {
            sources: plan.inputs.iter().map(source).collect(),
            plan,
            targets,
            parameters,
            seed: graph.random.seed(),
        }
    }

    /// Lets the value of a target take the place of an input: the number of the result that it is then, which must hold the
    /// input before a run. `None` if it cannot.
    pub fn overwrite(&mut self, target: usize, input: usize) -> Option<usize> {
        let Place::Result(result) = self.targets[target].place else {
            return None;
        };
        let is_input = |source: &Source| matches!(source, Source::Input(k) if *k == input);
        let read = self.sources.iter().position(is_input)?;
        let alone = self
            .targets
            .iter()
            .filter(|t| t.place == Place::Result(result))
            .count()
            == 1;
        let whole = self.targets[target].layout.is_none();
        let can = alone && whole && self.plan.overwrite(result, read as u32);
        can.then_some(result as usize)
    }

    /// What a source is in a run.
    #[inline]
    fn slice<'s>(
        source: &'s Source,
        inputs: &'s [Slice<'_>],
        parameters: &'s [AnyStorage],
        seed: &'s AnyNumber,
    ) -> Slice<'s> {
        match source {
            &Source::Input(k) => inputs[k].briefly(),
            &Source::Parameter(k) => parameters[k].as_slice(),
            Source::Constant(storage) => storage.as_slice(),
            Source::Number(number) => number.as_slice(),
            Source::Seed => seed.as_slice(),
        }
    }

    /// Runs it into results that were put in place before: afterwards they are the values of targets.
    pub fn run_over<'w>(
        &self,
        inputs: &[Slice<'_>],
        parameters: &[AnyStorage],
        seed: u64,
        results: impl Iterator<Item = SliceMut<'w>>,
        memory: &mut Memory,
    ) -> Result<(), String> {
        let seed = key(seed);
        let given = self.sources.iter();
        let given = given.map(|source| Self::slice(source, inputs, parameters, &seed));
        let outcome = self.plan.execute(given, results, memory);
        outcome.map_err(|fault| self.describe(&fault))
    }

    /// The result that a target is, if it is computed.
    pub fn result(&self, target: usize) -> Option<usize> {
        match self.targets[target].place {
            Place::Result(result) => Some(result as usize),
            _ => None,
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs it: the values of the targets.
    pub fn run(
        &self,
        inputs: &[Slice<'_>],
        parameters: &[AnyStorage],
        seed: u64,
        scratch: &mut Scratch,
    ) -> Result<SmallVec<[AnyTensor; 4]>, Error> {
        let Scratch {
            memory,
            pool,
            results,
        } = scratch;
        let room = self.plan.renew(pool, memory, results, &[]);
        room.map_err(|fault| self.no_room(&fault))?;
        let written = results.iter_mut().map(unique);
        let outcome = self.run_over(inputs, parameters, seed, written, memory);
        outcome.map_err(|message| Error::new(ErrorKind::Range, message))?;
        let seed = key(seed);
        let fetch = |target: &Target| {
            let storage = match target.place {
                Place::Result(result) => results[result as usize]
                    .clone()
                    .expect("a result that was written"),
                Place::Input(input) => {
                    let source = &self.sources[input as usize];
                    let source = Self::slice(source, inputs, parameters, &seed);
                    with_any!(source, elements => erased(elements))
                }
                Place::Temporary(_) => unreachable!("a target has storage of its own"),
            };
            let layout = match &target.layout {
                Some(layout) => layout.clone(),
                None => Layout::contiguous(target.shape.clone()),
            };
            with_dtype!(storage.dtype(), T => {
                let storage = T::restore::<Storages>(storage).expect("the type that was matched");
                T::erase::<Tensors>(Tensor::from_parts(storage, layout))
            })
        };
        Ok(self.targets.iter().map(fetch).collect())
    }

    /// Says that there is no room for a run.
    pub fn no_room(&self, fault: &Fault) -> Error {
        Error::new(ErrorKind::Memory, self.describe(fault))
    }

    /// Says which operation failed, and the line that recorded it.
    pub fn describe(&self, fault: &Fault) -> String {
        match self.plan.named(fault.node) {
            Some(named) => fault.describe(named.name, named.location),
            None => fault.message.clone(),
        }
    }
}
