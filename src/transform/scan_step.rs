//! The step of a loop as a program of its own, and the loop that runs it.

use super::scan_back::{Back, ScanBack, apart};
use crate::element::{Dtype, Element, Float, Slice, with_dtype, with_float};
use crate::program::{Compiled, Form, Scratch};
use crate::shape::Shape;
use crate::tape::{AnyVar, Input, Operation, Output, Pullback, Reads, Span, Tape, TapeRef, same};
use crate::tensor::{AnyStorage, Storage, Storages, Tensors};
use smallvec::SmallVec;
use std::sync::Arc;

/// One variable computed from others, as it lies on the tape. The nodes are never computed where they lie: they are recorded again
/// with other inputs, or compiled.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub span: Span,
    /// The nodes that stand for the inputs.
    pub standing: Vec<u32>,
    pub output: u32,
}

impl Recorded {
    /// Each node that stands for an input, with another variable.
    pub fn with(&self, tape: TapeRef, inputs: &[AnyVar]) -> Vec<(AnyVar, AnyVar)> {
        let standing = self.standing.iter().map(|&index| tape.var(index));
        standing.zip(inputs.iter().copied()).collect()
    }

    /// The output once more, of other inputs.
    #[track_caller]
    pub fn again(&self, tape: TapeRef, inputs: &[AnyVar]) -> AnyVar {
        let (given, output) = (self.with(tape, inputs), tape.var(self.output));
        self.span.replay(tape, tape, &given, &[output])[0]
    }

    /// A program apart from the tape. Nothing is differentiated there: operations that know nodes of this tape only compute.
    #[track_caller]
    pub fn compiled(&self, tape: TapeRef) -> Compiled {
        let aside = Tape::new();
        let leaf = |&index: &u32| {
            let standing = tape.var(index);
            let (dtype, shape) = (standing.dtype(), standing.shape());
            with_dtype!(dtype, T => aside.awaited::<T>(&shape).erase())
        };
        let leaves: Vec<AnyVar> = self.standing.iter().map(leaf).collect();
        let (given, output) = (self.with(tape, &leaves), tape.var(self.output));
        let copy = self.span.replay(tape, *aside, &given, &[output])[0];
        let inputs: Vec<u32> = leaves.iter().map(|v| v.index).collect();
        let mut graph = aside.graph_mut("scan");
        Compiled::new(&mut graph, &[copy.index], &inputs, Form::Fused)
    }
}

/// A step as it was recorded, and compiled.
#[derive(Debug)]
pub(super) struct Body {
    /// From the state, the element of the sequence, and what is read from outside, to new state and results one after another.
    pub step: Recorded,
    /// Types and shapes of these three kinds of inputs.
    pub described: [Vec<(Dtype, Shape)>; 3],
    pub width: usize,
    pub steps: usize,
    /// Which of the nodes that stand for inputs is the key of random numbers, if any are drawn.
    pub key: Option<u32>,
    forward: Compiled,
}

/// The elements of an input of a run in row-major order, to be read in parts.
pub(super) struct Elements {
    storage: AnyStorage,
    /// Elements of a part.
    part: usize,
}

impl Elements {
    pub fn new(input: &Input<'_>, dtype: Dtype, part: usize) -> Self {
        with_dtype!(dtype, T => {
            let elements = input.elements::<T>();
            let storage = T::erase::<Storages>(Arc::new(Storage::copy_of(&elements)));
            Elements { storage, part }
        })
    }

    pub fn part(&self, k: usize) -> Slice<'_> {
        self.storage.as_slice().range(k * self.part, self.part)
    }
}

impl Body {
    #[track_caller]
    pub fn new(
        tape: TapeRef,
        span: Span,
        standing: [&[AnyVar]; 3],
        row: AnyVar,
        (steps, key): (usize, Option<AnyVar>),
    ) -> Self {
        let described = standing.map(|all| {
            all.iter()
                .map(|v| (v.dtype(), v.shape()))
                .collect::<Vec<_>>()
        });
        let step = Recorded {
            span,
            standing: standing.into_iter().flatten().map(|v| v.index).collect(),
            output: row.index,
        };
        let forward = step.compiled(tape);
        Body {
            step,
            described,
            width: row.shape().size(),
            steps,
            key: key.map(|key| key.index),
            forward,
        }
    }

    /// The number of elements of all parts of a kind.
    pub fn size(&self, kind: usize) -> usize {
        let floats = self.described[kind]
            .iter()
            .filter(|(dtype, _)| dtype.is_float());
        floats.map(|(_, shape)| shape.size()).sum()
    }

    /// How many inputs there are before those of a kind.
    pub fn before(&self, kind: usize) -> usize {
        self.described[..kind].iter().map(Vec::len).sum()
    }

    /// The inputs of a run in row-major order: those of the state and of what is read from outside as a whole, those of the sequence
    /// step by step.
    pub fn elements(&self, inputs: &[Input<'_>]) -> Vec<Elements> {
        let all = self.described.iter().flatten();
        let new = |((dtype, shape), input): (&(Dtype, Shape), &Input<'_>)| {
            Elements::new(input, *dtype, shape.size())
        };
        all.zip(inputs).map(new).collect()
    }

    /// Types and shapes of the inputs of the loop.
    fn inputs(&self) -> impl Iterator<Item = (Dtype, Shape)> {
        let steps = self.steps;
        let whole = move |(kind, all): (usize, &Vec<(Dtype, Shape)>)| {
            let shape = move |(dtype, shape): &(Dtype, Shape)| match kind {
                1 => (*dtype, shape.with_inserted(0, steps)),
                _ => (*dtype, shape.clone()),
            };
            all.iter().map(shape).collect::<Vec<_>>()
        };
        self.described.iter().enumerate().flat_map(whole)
    }
}

/// The one result of a run.
pub(super) fn run<T: Float>(
    program: &Compiled,
    inputs: &[Slice<'_>],
    scratch: &mut Scratch,
) -> Result<Vec<T>, String> {
    let outcome = program.run(inputs, &[], program.seed, scratch);
    let result = outcome.map_err(|error| error.to_string())?.remove(0);
    let result = T::restore::<Tensors>(result).expect("the type that was recorded");
    Ok(result.to_vec())
}

/// All steps: inputs are the state, the sequence, and what a step reads from outside; a row of the result is the new state and the
/// results of a step.
#[derive(Debug)]
pub(super) struct Scan(pub Arc<Body>);

impl PartialEq for Scan {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Operation for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        for (k, ((dtype, shape), wanted)) in inputs.iter().zip(self.0.inputs()).enumerate() {
            if *dtype != wanted.0 || **shape != wanted.1 {
                return Err(format!(
                    "input {k} is {dtype}{shape}, not {}{}",
                    wanted.0, wanted.1
                ));
            }
        }
        Ok((inputs[0].0, Shape::from([self.0.steps, self.0.width])))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let body = &self.0;
        let given = body.elements(inputs);
        let mut scratch = Scratch::default();
        with_float!(output.dtype(), T => {
            let out = output.elements::<T>();
            for t in 0..body.steps {
                let (done, rest) = out.split_at_mut(t * body.width);
                let last = done.len().checked_sub(body.width).map(|start| &done[start..]);
                let slices = body.slices::<T>(&given, last, t);
                rest[..body.width].copy_from_slice(&run::<T>(&body.forward, &slices, &mut scratch)?);
            }
        });
        Ok(())
    }

    fn cotangents(&self, pullback: &Pullback<'_>, _wanted: &[bool]) -> Option<Vec<Option<AnyVar>>> {
        let (tape, body) = (pullback.output.tape(), &self.0);
        let (back, more) = Back::record(body, tape);
        let inputs: Vec<AnyVar> = [pullback.output]
            .into_iter()
            .chain(pullback.inputs.iter().copied())
            .chain(more)
            .chain([pullback.cotangent])
            .collect();
        let back = ScanBack {
            body: body.clone(),
            back: Arc::new(back),
        };
        Some(apart(body, tape.record(back, &inputs)))
    }

    fn holds_variables(&self) -> bool {
        true
    }

    fn reads(&self) -> Reads {
        Reads::BOTH
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

impl Body {
    /// What step `t` reads, after a row that the one before made.
    pub fn slices<'s, T: Float>(
        &self,
        given: &'s [Elements],
        last: Option<&'s [T]>,
        t: usize,
    ) -> SmallVec<[Slice<'s>; 8]> {
        let mut at = 0;
        let mut slices = SmallVec::new();
        for (k, elements) in given.iter().enumerate() {
            let of_state = k < self.before(1);
            let of_sequence = !of_state && k < self.before(2);
            slices.push(match last {
                Some(row) if of_state => {
                    at += elements.part;
                    T::erase(&row[at - elements.part..at])
                }
                _ => elements.part(if of_sequence { t } else { 0 }),
            });
        }
        slices
    }
}
