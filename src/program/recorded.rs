//! Programs: recorded once, run many times.

use super::compiled::{Bound, Compiled, Scratch};
use super::fetch::Outputs;
use super::input::Inputs;
use super::needed::Targets;
use super::plan::Form;
use crate::element::Slice;
use crate::error::{Error, ErrorKind};
use crate::shape::Shape;
use crate::tape::Tape;
use crate::tensor::AnyStorage;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// The size of the batch that a program with an open axis is recorded for at first, to find mistakes at once.
const TRIAL: usize = 2;

/// What a program boxes its function as: [`Program::boxed`].
pub type Recorder<I, O> = Box<dyn Fn(<I as Inputs>::Vars) -> O + Send + Sync>;

/// A computation that was recorded once, with a plan for each size of batch it has met: it runs without recording, planning or
/// allocating anything but its results. Any number of threads can run one program at once.
///
/// `O` is what the function returns: variables as for [`TapeRef::run`](crate::TapeRef::run). Parameters that it reads
/// ([`Param::on`](crate::Param::on)) are taken as they are when it is recorded, and again by
/// [`set_parameters`](Program::set_parameters); other tensors and numbers stay what they were.
///
/// ```
/// use wengert::prelude::*;
/// # fn main() -> Result<(), Error> {
/// let model = Linear::new(3, 2, &mut wengert::rng(0));
/// // The first axis is left open.
/// let program = Program::record([ProgramInput::new((None, 3))], |[x]| [model.forward(x).softmax(-1)])?;
/// for batch in [1, 4, 0] {
///     let x = Tensor::<f32>::ones([batch, 3]);
///     let [probabilities] = program.run([&x])?;
///     assert_eq!(probabilities.shape(), &Shape::from([batch, 2]));
/// }
/// let error = program.run([&Tensor::<f32>::ones([4, 5])]).unwrap_err();
/// assert_eq!(error.to_string(), "program: input 0 has shape [4, 5], but f32[_, 3] was recorded");
/// # Ok(())
/// # }
/// ```
///
/// Gradients are variables like others:
///
/// ```
/// use wengert::prelude::*;
/// # fn main() -> Result<(), Error> {
/// let program = Program::record([ProgramInput::<f64>::new([3])], |[x]| {
///     let y = (x * x).sum();
///     (y, y.gradient(x))
/// })?;
/// let (y, dx) = program.run([&Tensor::from([1.0, 2.0, 3.0])])?;
/// assert_eq!((y.item(), dx), (14.0, Tensor::from([2.0, 4.0, 6.0])));
/// # Ok(())
/// # }
/// ```
pub struct Program<I: Inputs, O: Outputs, F = Recorder<I, O>> {
    function: F,
    inputs: I,
    /// Who recorded it: to that line inputs belong.
    location: &'static Location<'static>,
    /// The plans by size of batch.
    plans: RwLock<Vec<(usize, Arc<Recorded<O>>)>>,
    /// The values of the parameters, by what they were bound as.
    parameters: RwLock<Vec<(u64, AnyStorage)>>,
    scratch: Mutex<Vec<Scratch>>,
    output: PhantomData<fn() -> O>,
}

/// A plan, and how its results are handed out.
struct Recorded<O: Outputs> {
    compiled: Compiled,
    arrangement: O::Arrangement,
}

/// A lock that a panic elsewhere left behind protects values that are replaced as a whole: they are whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<I: Inputs, O: Outputs, F: Fn(I::Vars) -> O> Program<I, O, F> {
    /// Records what `function` does with variables in place of its inputs. With an open axis it is called again for each new size
    /// of batch; the first time at once, for two items, so that mistakes are found here.
    ///
    /// # Panics
    /// Wherever `function` does; if it asks for a value ([`Var::value`](crate::Var::value)): inputs have none yet.
    ///
    /// # Errors
    /// If a shape has more elements than can be counted.
    #[track_caller]
    pub fn record(inputs: I, function: F) -> Result<Self, Error> {
        let mut open = false;
        let mut fault = None;
        inputs.describe(&mut |dtype, sizes| {
            open |= sizes.contains(&None);
            let shape: Shape = sizes.iter().map(|size| size.unwrap_or(TRIAL)).collect();
            let bytes = shape
                .checked_size()
                .and_then(|n| n.checked_mul(dtype.size()));
            if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
                fault = Some(format!("program: an input of shape {shape} is too large"));
            }
        });
        if let Some(message) = fault {
            return Err(Error::new(ErrorKind::Shape, message));
        }
        let program = Program {
            function,
            inputs,
            location: Location::caller(),
            plans: RwLock::new(Vec::new()),
            parameters: RwLock::new(Vec::new()),
            scratch: Mutex::new(Vec::new()),
            output: PhantomData,
        };
        let batch = if open { TRIAL } else { 0 };
        let recorded = program.record_for(batch);
        program.keep(batch, Arc::new(recorded));
        Ok(program)
    }

    fn record_for(&self, batch: usize) -> Recorded<O> {
        let tape = Tape::new();
        let (vars, leaves) = self.inputs.begin(*tape, batch, self.location);
        let outputs = (self.function)(vars);
        let mut targets = Targets::new();
        outputs.indices(&mut |of, index| {
            assert!(of == *tape, "program: a result is of another tape");
            targets.push(index);
        });
        let arena = tape.arena("program");
        let mut graph = arena.graph.borrow_mut();
        let compiled = Compiled::new(&mut graph, &targets, &leaves, Form::Fused);
        let mut known = self
            .parameters
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for &(id, leaf) in &graph.bindings {
            if let (None, Some(value)) = (
                known.iter().find(|(k, _)| *k == id),
                &graph.values[leaf as usize],
            ) {
                known.push((id, value.storage.clone()));
            }
        }
        Recorded {
            compiled,
            arrangement: outputs.arrangement(),
        }
    }

    fn keep(&self, batch: usize, recorded: Arc<Recorded<O>>) {
        let mut plans = self.plans.write().unwrap_or_else(PoisonError::into_inner);
        if plans.iter().all(|(known, _)| *known != batch) {
            plans.push((batch, recorded));
        }
    }

    /// The plan for a batch of this size.
    fn plan(&self, batch: usize) -> Result<Arc<Recorded<O>>, Error> {
        let known = {
            let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
            plans
                .iter()
                .find(|(known, _)| *known == batch)
                .map(|(_, plan)| plan.clone())
        };
        if let Some(plan) = known {
            return Ok(plan);
        }
        // What the function does with a size that comes from outside must not be a panic.
        let recorded = catch_unwind(AssertUnwindSafe(|| self.record_for(batch)));
        let recorded = recorded.map_err(|panic| {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a panic");
            let message = format!("program: a batch of {batch} cannot be recorded: {message}");
            Error::new(ErrorKind::Shape, message)
        })?;
        let recorded = Arc::new(recorded);
        self.keep(batch, recorded.clone());
        Ok(recorded)
    }

    /// Runs the program: the values of what its function returned. Random numbers are those of the
    /// [seed](crate::TapeRef::seed) that it was recorded with, the same ones at each run; [`run_seeded`](Program::run_seeded) draws
    /// others.
    ///
    /// # Errors
    /// If a tensor does not have the shape that was recorded, the sizes of the batch differ, there are not as many as inputs, an
    /// index that an operation is given is out of range, or there is not as much memory as the values of the run take.
    pub fn run(&self, tensors: I::Tensors<'_>) -> Result<O::Values, Error> {
        self.inputs.given(tensors, |slices, batch| {
            self.run_slices(slices, batch.unwrap_or(0), None)
        })
    }

    /// Runs the program with other random numbers: those of a tape with this [seed](crate::TapeRef::seed), in the place of the one
    /// that it was recorded with.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// # fn main() -> Result<(), Error> {
    /// let program = Program::record([ProgramInput::batch([])], |[x]: [Var; 1]| [x.dropout(0.5)])?;
    /// let x = Tensor::ones([100]);
    /// assert_eq!(program.run([&x])?, program.run([&x])?);
    /// assert_eq!(program.run_seeded(7, [&x])?, program.run_seeded(7, [&x])?);
    /// assert_ne!(program.run_seeded(7, [&x])?, program.run_seeded(8, [&x])?);
    ///
    /// let tape = Tape::new();
    /// tape.seed(7);
    /// assert_eq!(program.run_seeded(7, [&x])?, [tape.leaf(&x).dropout(0.5).value()]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`run`](Program::run).
    pub fn run_seeded(&self, seed: u64, tensors: I::Tensors<'_>) -> Result<O::Values, Error> {
        self.inputs.given(tensors, |slices, batch| {
            self.run_slices(slices, batch.unwrap_or(0), Some(seed))
        })
    }

    fn run_slices(
        &self,
        slices: &[Slice<'_>],
        batch: usize,
        seed: Option<u64>,
    ) -> Result<O::Values, Error> {
        let recorded = self.plan(batch)?;
        let compiled = &recorded.compiled;
        let mut scratch = lock(&self.scratch).pop().unwrap_or_default();
        let outcome = {
            let known = self
                .parameters
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            let value = |bound: &Bound| {
                let found = known.iter().find(|(k, _)| *k == bound.id);
                found.expect("a parameter that was recorded").1.clone()
            };
            let parameters: smallvec::SmallVec<[AnyStorage; 8]> =
                compiled.parameters.iter().map(value).collect();
            drop(known);
            let seed = seed.unwrap_or(compiled.seed);
            compiled.run(slices, &parameters, seed, &mut scratch)
        };
        lock(&self.scratch).push(scratch);
        let mut values = outcome?.into_iter();
        Ok(O::assemble(&recorded.arrangement, &mut || {
            values.next().expect("a value for each target")
        }))
    }

    /// The parameters that the program reads.
    pub(crate) fn bound(&self) -> Vec<Bound> {
        let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Bound> = Vec::new();
        for (_, plan) in plans.iter() {
            for bound in &plan.compiled.parameters {
                if all.iter().all(|known| known.id != bound.id) {
                    all.push(bound.clone());
                }
            }
        }
        // Clones have their identities in the order in which they were made.
        all.sort_by_key(|bound| bound.id);
        all
    }

    /// Replaces the values of parameters, whose shapes were checked.
    pub(crate) fn replace_parameters(&self, values: Vec<(u64, AnyStorage)>) {
        let mut known = self
            .parameters
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for (id, value) in values {
            if let Some(known) = known.iter_mut().find(|(k, _)| *k == id) {
                known.1 = value;
            }
        }
    }

    /// The bytes that the values of a run take at once, for the largest batch so far: those within the run, and its results.
    pub fn peak_bytes(&self) -> usize {
        let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
        let peaks = plans.iter().map(|(_, plan)| plan.compiled.plan().peak());
        peaks.max().unwrap_or(0)
    }

    /// The same program with its function in a box, so that its type can be written down: as a field of a struct, say.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// struct Server {
    ///     program: Program<[ProgramInput; 1], [Var; 1]>,
    /// }
    /// # fn main() -> Result<(), Error> {
    /// let model = Linear::new(3, 2, &mut wengert::rng(0));
    /// let program = Program::record([ProgramInput::batch([3])], move |[x]| [model.forward(x)])?;
    /// let server = Server { program: program.boxed() };
    /// let [y] = server.program.run([&Tensor::ones([5, 3])])?;
    /// assert_eq!(y.shape(), &Shape::from([5, 2]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn boxed(self) -> Program<I, O>
    where
        F: Send + Sync + 'static,
    {
        Program {
            function: Box::new(self.function),
            inputs: self.inputs,
            location: self.location,
            plans: self.plans,
            parameters: self.parameters,
            scratch: self.scratch,
            output: PhantomData,
        }
    }
}

impl<I: Inputs, O: Outputs, F> fmt::Debug for Program<I, O, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("inputs", &self.inputs)
            .finish_non_exhaustive()
    }
}
