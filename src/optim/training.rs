//! A whole training step as one program: forward, backward and the update of every parameter.

use super::Stepping;
use super::engine::Engine;
use super::lent::{Exchange, Lent};
use super::rule::Rule;
use crate::element::{
    Any, Element, Family, Float, Number, Slice, SliceMut, Slices, with_any, with_float,
};
use crate::error::{Error, ErrorKind};
use crate::op;
use crate::param::{Module, ParamRef, Segment, Visitor, each, join};
use crate::program::{Compiled, Form, Inputs, Results, Scratch, unique};
use crate::tape::{AnyVar, Tape, Var, seed_at};
use crate::tensor::Storages;
use crate::transform::pull_back;
use smallvec::SmallVec;
use std::any::Any as AnyType;
use std::fmt;
use std::panic::Location;

/// A training step that is recorded once for each size of batch, and then run without recording: the loss, its gradients, and the
/// optimizer's update, in which parameters and their state are overwritten where they lie.
///
/// What it does to the model is what [`value_and_grad`](crate::value_and_grad) and [`Optimizer::step`](crate::Optimizer::step) do.
/// Random numbers are new at each step: see [`seed`](TrainingProgram::seed).
///
/// ```
/// use wengert::prelude::*;
/// # fn main() -> Result<(), Error> {
/// let x = Tensor::from([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
/// let y = Tensor::from([[0.0], [1.0], [1.0], [1.0]]);
/// let mut model = Linear::new(2, 1, &mut wengert::rng(0));
/// let mut adam = Adam::new(0.1);
/// let inputs = (ProgramInput::batch([2]), ProgramInput::batch([1]));
/// let mut program = TrainingProgram::new(inputs, |model: &Linear, (x, y)| {
///     loss::binary_cross_entropy_with_logits(model.forward(x), y)
/// });
/// let first = program.run(&mut model, &mut adam, (&x, &y))?;
/// for _ in 0..100 {
///     program.run(&mut model, &mut adam, (&x, &y))?;
/// }
/// assert!(program.run(&mut model, &mut adam, (&x, &y))? < 0.3 * first);
/// # Ok(())
/// # }
/// ```
pub struct TrainingProgram<I, F> {
    inputs: I,
    /// Who made it: to that line inputs belong.
    location: &'static Location<'static>,
    loss: F,
    recorded: Vec<Recorded>,
    scratch: Scratch,
    /// The seed, if it is not the recorded one, and the number of steps made.
    seed: Option<u64>,
    steps: u64,
}

/// A step for one size of batch.
struct Recorded {
    batch: Option<usize>,
    compiled: Compiled,
    /// The parameters that it reads, in the order of the visit.
    params: Vec<Known>,
    /// For each group of parameters that have made equally many steps: the place of one of its trained parameters.
    moments: Vec<usize>,
    /// The numbers of each moment in each type that its parameters have.
    numbers: Vec<(usize, Any<Lists>)>,
    /// For each result: whether it overwrites a parameter or its state.
    in_place: Vec<bool>,
    /// The others.
    results: Results,
}

struct Lists;
impl Family for Lists {
    type Of<T: Element> = SmallVec<[T; 8]>;
}

/// A parameter of a recorded step.
pub(super) struct Known {
    pub id: u64,
    /// What is trained, and how.
    pub trained: Option<Trained>,
}

pub(super) struct Trained {
    moment: usize,
    form: Box<dyn AnyType + Send>,
    /// For the parameter and its state: the result that it is.
    pub results: SmallVec<[(usize, bool); 4]>,
}

impl Known {
    /// Whether something of it cannot be overwritten where it lies.
    fn is_exchanged(&self) -> bool {
        let trained = self.trained.iter();
        trained
            .flat_map(|t| &t.results)
            .any(|&(_, in_place)| !in_place)
    }
}

impl<I: Inputs, F> TrainingProgram<I, F> {
    /// A step that makes the loss smaller, a scalar that `loss` records from the model and the inputs. It is recorded when it first
    /// runs.
    #[track_caller]
    pub fn new<M, T>(inputs: I, loss: F) -> Self
    where
        M: Module,
        T: Float,
        F: Fn(&M, I::Vars) -> Var<T>,
    {
        TrainingProgram {
            inputs,
            location: Location::caller(),
            loss,
            recorded: Vec::new(),
            scratch: Scratch::default(),
            seed: None,
            steps: 0,
        }
    }

    /// Sets the seed of the random numbers. Step number `n`, the first being 0, draws those of a tape with the seed
    /// [`seed_at(seed, n)`](crate::seed_at). Otherwise it is the [seed](crate::TapeRef::seed) that the loss is recorded with.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// # fn main() -> Result<(), Error> {
    /// let x = Tensor::<f32>::ones([4, 8]);
    /// let mut model = Linear::new(8, 1, &mut wengert::rng(0));
    /// let (mut same, mut sgd) = (model.clone(), Sgd::new(0.1));
    /// let mut program = TrainingProgram::new([ProgramInput::batch([8])], |model: &Linear, [x]: [Var; 1]| {
    ///     model.forward(x.dropout(0.5)).square().mean()
    /// });
    /// program = program.seed(7);
    /// for step in 0..3 {
    ///     let loss: f32 = program.run(&mut model, &mut sgd, [&x])?;
    ///     // The same, recorded at each step.
    ///     let gradients = value_and_grad(&same, |model, tape| {
    ///         tape.seed(seed_at(7, step));
    ///         model.forward(tape.constant(&x).dropout(0.5)).square().mean()
    ///     });
    ///     assert_eq!(loss, gradients.value());
    ///     Sgd::new(0.1).step(&mut same, &gradients);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The number of steps made: what the next one draws its random numbers by.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Goes on as after so many steps, as far as random numbers are concerned: for a training that is resumed.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let loss = |model: &Linear, [x]: [Var; 1]| model.forward(x.dropout(0.5)).square().mean();
    /// let mut program = TrainingProgram::new([ProgramInput::batch([8])], loss);
    /// program.set_steps(1000);
    /// assert_eq!(program.steps(), 1000);
    /// ```
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Makes a step: the loss before it.
    ///
    /// # Panics
    /// Where recording does: if the loss is no scalar, or does not depend on a parameter that is to be trained.
    ///
    /// # Errors
    /// If a tensor does not have the shape of its input, an index that an operation is given is out of range, or there is not as
    /// much memory as the values of the run take; then the model stays as it was.
    #[track_caller]
    pub fn run<M, T, O>(
        &mut self,
        model: &mut M,
        optimizer: &mut O,
        tensors: I::Tensors<'_>,
    ) -> Result<T, Error>
    where
        M: Module,
        T: Float,
        O: Stepping,
        F: Fn(&M, I::Vars) -> Var<T>,
    {
        let engine = optimizer.engine();
        if let Some(fault) = engine.fault() {
            panic!("{}: {fault}", O::Rule::NAME);
        }
        let TrainingProgram {
            inputs,
            location,
            loss,
            recorded,
            scratch,
            seed,
            steps,
        } = self;
        inputs.given(tensors, |slices, batch| {
            let known = recorded.iter().position(|r| r.batch == batch);
            let known = match known.filter(|&at| recorded[at].serves(model, engine)) {
                Some(at) => at,
                None => {
                    recorded.retain(|r| r.batch != batch);
                    let fresh = Recorded::new((inputs, location), batch, model, engine, loss)?;
                    recorded.push(fresh);
                    recorded.len() - 1
                }
            };
            let step = &mut recorded[known];
            let seed = seed_at(seed.unwrap_or(step.compiled.seed), *steps);
            let loss = step.run(model, engine, slices, seed, scratch)?;
            *steps += 1;
            Ok(loss)
        })
    }
}

impl Recorded {
    fn new<I: Inputs, M: Module, T: Float, R: Rule>(
        (inputs, location): (&I, &'static Location<'static>),
        batch: Option<usize>,
        model: &M,
        engine: &mut Engine<R>,
        loss: &impl Fn(&M, I::Vars) -> Var<T>,
    ) -> Result<Self, Error> {
        let tape = Tape::new();
        let (vars, leaves) = inputs.begin(*tape, batch.unwrap_or(0), location);
        let loss = loss(model, vars);
        assert!(
            loss.tape() == *tape,
            "training: the loss is a variable of another tape"
        );
        let shape = loss.shape();
        assert!(
            shape.rank() == 0,
            "training: the loss has shape {shape}, but must be a scalar: take its mean"
        );
        let bindings = tape.arena("training").graph.borrow().bindings.clone();
        // The parameters that were used, and the names of those that are trained but were not.
        let mut found = Vec::new();
        let mut unused = Vec::new();
        each(model, |path, param| {
            let (id, trainable) = with_any!(param, p => (p.id(), p.is_trainable()));
            match bindings.iter().find(|binding| binding.0 == id) {
                Some(&(_, leaf)) => found.push((id, leaf, trainable, path.clone())),
                None if trainable => unused.push(join(path)),
                None => {}
            }
        });
        let wanted: Vec<AnyVar> = found
            .iter()
            .filter(|f| f.2)
            .map(|f| tape.var(f.1))
            .collect();
        let gradients = match &wanted[..] {
            [] => SmallVec::new(),
            wanted => pull_back(loss.erase(), op::seed(loss.erase()), wanted),
        };
        let unreached = found
            .iter()
            .filter(|f| f.2)
            .zip(&gradients)
            .filter(|(_, g)| g.is_none());
        let unreached: Vec<String> = unused
            .into_iter()
            .chain(unreached.map(|(f, _)| join(&f.3)))
            .collect();
        assert!(
            unreached.is_empty(),
            "{}: the loss does not depend on {}: freeze what is not to be trained",
            R::NAME,
            unreached.join(", ")
        );
        // The leaves that a run is given, in this order: inputs, parameters, state, numbers.
        let mut given = leaves.clone();
        given.extend(found.iter().map(|f| f.1));
        let mut targets = vec![loss.erase().index];
        let mut updates: Vec<(usize, usize, usize)> = Vec::new();
        let mut moments: Vec<((Option<usize>, u64), usize)> = Vec::new();
        let mut numbers: Vec<(usize, Any<Lists>)> = Vec::new();
        let mut number_leaves: Vec<AnyVar> = Vec::new();
        let mut params = Vec::new();
        let mut gradient = gradients.iter().flatten();
        for (at, (id, leaf, trainable, path)) in found.iter().enumerate() {
            if !trainable {
                params.push(Known {
                    id: *id,
                    trained: None,
                });
                continue;
            }
            let Some(gradient) = gradient.next() else {
                unreachable!("a gradient for each trained parameter")
            };
            let parameter = tape.var(*leaf);
            with_float!(parameter.dtype(), U => {
                let parameter: Var<U> = parameter.assume();
                let shape = parameter.shape();
                let slot = engine
                    .slot_of::<U>(*id, shape.size(), path, params.len())
                    .map_err(|message| Error::new(ErrorKind::Shape, format!("{}: {message}", R::NAME)))?;
                let moment = engine.moment(slot);
                let m = moments.iter().position(|known| known.0 == moment).unwrap_or_else(|| {
                    moments.push((moment, at));
                    moments.len() - 1
                });
                let count = engine.numbers(slot).len();
                let known = numbers.iter().position(|n| n.0 == m && n.1.dtype() == U::DTYPE);
                let of = known.unwrap_or_else(|| {
                    numbers.push((m, U::erase::<Lists>(SmallVec::new())));
                    number_leaves.push(tape.awaited::<U>(&crate::Shape::from([count])).erase());
                    numbers.len() - 1
                });
                let list: Var<U> = number_leaves[of].assume();
                let vars: Vec<Var<U>> = (0..count).map(|k| list.at(0, k as isize)).collect();
                let buffers = engine.slots[slot].state::<U>().len();
                let state: Vec<Var<U>> = (0..buffers).map(|_| tape.awaited::<U>(&shape)).collect();
                let updated = engine.record(slot, parameter, gradient.assume(), &state, &vars);
                let first = targets.len();
                targets.push(updated.parameter.erase().index);
                updates.push((first, leaves.len() + at, at));
                for (k, (old, new)) in state.iter().zip(&updated.state).enumerate() {
                    targets.push(new.erase().index);
                    updates.push((first + 1 + k, given.len(), at));
                    given.push(old.erase().index);
                }
                params.push(Known {
                    id: *id,
                    trained: Some(Trained {
                        moment: m,
                        form: Box::new(engine.form(slot)),
                        results: SmallVec::new(),
                    }),
                });
            });
        }
        given.extend(number_leaves.iter().map(|leaf| leaf.index));
        let arena = tape.arena("training");
        let mut graph = arena.graph.borrow_mut();
        let mut compiled = Compiled::new(&mut graph, &targets, &given, Form::InPlace);
        let mut in_place = vec![false; compiled.plan().results.len()];
        for (target, input, at) in updates {
            let overwrites = compiled.overwrite(target, input).is_some();
            let result = compiled.result(target).expect("an update is computed");
            in_place[result] = overwrites;
            if let Some(trained) = &mut params[at].trained {
                trained.results.push((result, overwrites));
            }
        }
        Ok(Recorded {
            batch,
            compiled,
            params,
            moments: moments.into_iter().map(|(_, at)| at).collect(),
            numbers,
            in_place,
            results: Results::new(),
        })
    }
}

/// Whether a model has the parameters of a recorded step.
struct Same<'r, R: Rule> {
    recorded: &'r Recorded,
    engine: &'r Engine<R>,
    next: usize,
    same: bool,
}

impl<'a, R: Rule> Visitor<'a> for Same<'_, R> {
    fn enter(&mut self, _segment: Segment) {}
    fn leave(&mut self) {}
    fn param(&mut self, param: ParamRef<'a>) {
        let (id, trainable) = with_any!(param, p => (p.id(), p.is_trainable()));
        let known = self
            .recorded
            .params
            .get(self.next)
            .filter(|known| known.id == id);
        let Some(known) = known else {
            self.same &= !trainable;
            return;
        };
        self.same &= trainable == known.trained.is_some();
        if let Some(trained) = &known.trained {
            self.same &= self.trains(id, trained);
        }
        self.next += 1;
    }
}

impl<R: Rule> Same<'_, R> {
    /// Whether the optimizer does with a parameter what was recorded.
    fn trains(&self, id: u64, trained: &Trained) -> bool {
        let Some(slot) = self.engine.known(id, self.next) else {
            return false;
        };
        let first = self.recorded.params[self.recorded.moments[trained.moment]].id;
        let first = self
            .engine
            .known(first, self.recorded.moments[trained.moment]);
        let together =
            first.is_some_and(|first| self.engine.moment(first) == self.engine.moment(slot));
        together && trained.form.downcast_ref() == Some(&self.engine.form(slot))
    }
}

impl Recorded {
    /// Whether it is the step of this model and optimizer.
    fn serves<R: Rule>(&self, model: &impl Module, engine: &Engine<R>) -> bool {
        let mut same = Same {
            recorded: self,
            engine,
            next: 0,
            same: true,
        };
        model.visit(&mut same);
        same.same && same.next == self.params.len()
    }

    fn run<T: Float, R: Rule>(
        &mut self,
        model: &mut impl Module,
        engine: &mut Engine<R>,
        inputs: &[Slice<'_>],
        seed: u64,
        scratch: &mut Scratch,
    ) -> Result<T, Error> {
        for (m, list) in &mut self.numbers {
            let at = self.moments[*m];
            let Some(slot) = engine.known(self.params[at].id, at) else {
                unreachable!("the slot of a parameter that is trained")
            };
            let numbers = engine.numbers(slot);
            with_float!(list.dtype(), U => if let Some(list) = U::peek_mut::<Lists>(list) {
                list.clear();
                list.extend(numbers.iter().map(|&number| U::of(number)));
            });
        }
        let Recorded {
            compiled,
            params,
            in_place,
            results,
            numbers,
            ..
        } = self;
        let Scratch { memory, pool, .. } = scratch;
        let room = compiled.plan().renew(pool, memory, results, in_place);
        room.map_err(|fault| compiled.no_room(&fault))?;
        let outcome =
            {
                // Inputs, parameters, their state, numbers: as they were recorded.
                let trained = params.iter().filter_map(|known| known.trained.as_ref());
                let states: usize = trained.map(|trained| trained.results.len() - 1).sum();
                let mut given: SmallVec<[Slice<'_>; 64]> = SmallVec::new();
                given.extend(inputs.iter().map(|slice| slice.briefly()));
                given.resize(inputs.len() + params.len() + states, Slice::F32(&[]));
                given.extend(numbers.iter().map(
                    |(_, list)| with_any!(list, list => Element::erase::<Slices<'_>>(&list[..])),
                ));
                let mut written: SmallVec<[Option<SliceMut<'_>>; 32]> = SmallVec::new();
                written.resize_with(in_place.len(), || None);
                let read = &mut given[inputs.len()..];
                model.visit_mut(&mut Lent::new(
                    params,
                    &mut engine.slots,
                    read,
                    &mut written,
                ));
                let written = written.iter_mut().zip(results.iter_mut());
                let written = written.map(|(lent, own)| lent.take().unwrap_or_else(|| unique(own)));
                compiled.run_over(&given, &[], seed, written, memory)
            };
        outcome.map_err(|message| Error::new(ErrorKind::Range, message))?;
        if params.iter().any(Known::is_exchanged) {
            model.visit_mut(&mut Exchange::new(params, &mut engine.slots, results));
        }
        for (at, known) in params.iter().enumerate() {
            if let (Some(_), Some(slot)) = (&known.trained, engine.known(known.id, at)) {
                engine.slots[slot].time += 1;
            }
        }
        let loss = compiled.result(0).and_then(|r| results[r].as_ref());
        let loss = loss.and_then(|storage| T::peek::<Storages>(storage));
        Ok(loss.map_or_else(T::nan, |storage| storage[0]))
    }
}

impl<I: fmt::Debug, F> fmt::Debug for TrainingProgram<I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TrainingProgram");
        shown.field("inputs", &self.inputs).finish_non_exhaustive()
    }
}
