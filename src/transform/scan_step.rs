//! The step of a loop as a program of its own, forwards and backwards.

use super::gradient::pull_back_all;
use super::scan::{joined, part, zeros};
use super::vectorize::reshaped;
use crate::element::{Dtype, Element, Float, Slice, with_dtype, with_float};
use crate::program::{Compiled, Form, Scratch};
use crate::shape::Shape;
use crate::tape::{AnyVar, Input, Operation, Output, Pullback, Reads, Span, Tape, TapeRef, same};
use crate::tensor::{AnyStorage, Storage, Storages, Tensors};
use smallvec::SmallVec;
use std::sync::Arc;

/// A step as it was recorded, and compiled.
#[derive(Debug)]
pub(super) struct Body {
    span: Span,
    /// The nodes that stand for the state, the element of the sequence, and what is read from outside.
    standing: [Vec<u32>; 3],
    /// Their types and shapes.
    described: [Vec<(Dtype, Shape)>; 3],
    /// The node that holds new state and results one after another.
    row: u32,
    width: usize,
    steps: usize,
    /// Which of the nodes stands for the key of random numbers, if any are drawn.
    key: Option<u32>,
    forward: Compiled,
}

/// The elements of an input of a run in row-major order, to be read in parts.
struct Elements {
    storage: AnyStorage,
    /// Elements of a part.
    part: usize,
}

impl Elements {
    fn new(input: &Input<'_>, dtype: Dtype, part: usize) -> Self {
        with_dtype!(dtype, T => {
            let elements = input.elements::<T>();
            let storage = T::erase::<Storages>(Arc::new(Storage::copy_of(&elements)));
            Elements { storage, part }
        })
    }

    fn part(&self, k: usize) -> Slice<'_> {
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
        let describe = |all: &[AnyVar]| all.iter().map(|v| (v.dtype(), v.shape())).collect();
        let described = standing.map(describe);
        let standing = standing.map(|all| all.iter().map(|v| v.index).collect());
        let width = row.shape().size();
        let aside = Tape::new();
        let own = leaves(*aside, &described);
        let copy = replayed(&span, &standing, row.index, tape, *aside, &own);
        let forward = compiled(*aside, copy, &own);
        Body {
            span,
            standing,
            described,
            row: row.index,
            width,
            steps,
            key: key.map(|key| key.index),
            forward,
        }
    }

    /// The number of elements of all parts of a kind.
    fn size(&self, kind: usize) -> usize {
        let floats = self.described[kind]
            .iter()
            .filter(|(dtype, _)| dtype.is_float());
        floats.map(|(_, shape)| shape.size()).sum()
    }

    /// How many inputs there are before those of a kind.
    fn before(&self, kind: usize) -> usize {
        self.described[..kind].iter().map(Vec::len).sum()
    }

    /// The inputs of a run in row-major order: those of the state and of what is read from outside as a whole, those of the sequence
    /// step by step.
    fn elements(&self, inputs: &[Input<'_>]) -> Vec<Elements> {
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

    /// One step back: what the cotangents of the new state and of the results make of those of state, element and outside.
    fn backward(&self, tape: TapeRef) -> Compiled {
        let aside = Tape::new();
        let own = leaves(*aside, &self.described);
        // Rules of the user's own may draw: of other streams than the step does, with its key.
        let standing = self.standing.iter().flatten();
        let key = standing
            .zip(&own)
            .find(|(node, _)| Some(**node) == self.key);
        let without =
            "the step of a scan that draws no random numbers cannot do so in its backward pass";
        aside.draw_with(key.map(|(_, &own)| own), tape.streams(), without);
        let copy = replayed(&self.span, &self.standing, self.row, tape, *aside, &own);
        let dtype = copy.dtype();
        let (state, rest) = (self.size(0), self.width - self.size(0));
        let cotangents = [state, rest]
            .map(|size| with_float!(dtype, T => aside.awaited::<T>(&Shape::from([size])).erase()));
        let wrt: Vec<AnyVar> = own
            .iter()
            .copied()
            .filter(|v| v.dtype().is_float())
            .collect();
        let found = pull_back_all(&[(copy, joined(&cotangents))], &wrt);
        let found: Vec<AnyVar> = wrt
            .iter()
            .zip(found)
            .map(|(x, ct)| ct.unwrap_or_else(|| zeros(*x)))
            .collect();
        let inputs: Vec<AnyVar> = own.into_iter().chain(cotangents).collect();
        compiled(*aside, joined(&found), &inputs)
    }
}

/// Leaves without values.
fn leaves(tape: TapeRef, described: &[Vec<(Dtype, Shape)>; 3]) -> Vec<AnyVar> {
    let leaf = |(dtype, shape): &(Dtype, Shape)| with_dtype!(*dtype, T => tape.awaited::<T>(shape).erase());
    described.iter().flatten().map(leaf).collect()
}

/// The step once more, with other inputs.
#[track_caller]
fn replayed(
    span: &Span,
    standing: &[Vec<u32>; 3],
    row: u32,
    from: TapeRef,
    to: TapeRef,
    inputs: &[AnyVar],
) -> AnyVar {
    let old = standing.iter().flatten().map(|&index| from.var(index));
    let given: Vec<(AnyVar, AnyVar)> = old.zip(inputs.iter().copied()).collect();
    span.replay(from, to, &given, &[from.var(row)])[0]
}

/// A variable of a tape, compiled as a function of leaves.
fn compiled(tape: TapeRef, target: AnyVar, inputs: &[AnyVar]) -> Compiled {
    let inputs: Vec<u32> = inputs.iter().map(|v| v.index).collect();
    Compiled::new(
        &mut tape.graph_mut("scan"),
        &[target.index],
        &inputs,
        Form::Fused,
    )
}

/// The one result of a run.
fn run<T: Float>(
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
        let back = ScanBack {
            body: body.clone(),
            step: Arc::new(body.backward(tape)),
        };
        let mut inputs = vec![pullback.output];
        inputs.extend(pullback.inputs);
        inputs.push(pullback.cotangent);
        Some(apart(body, tape.record(back, &inputs)))
    }

    fn reads(&self) -> Reads {
        Reads::BOTH
    }

    fn is_bound_to_tape(&self) -> bool {
        true
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

impl Body {
    /// What step `t` reads, after a row that the one before made.
    fn slices<'s, T: Float>(
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

/// The cotangents of the inputs of a loop, out of one variable that holds those of state, sequence (a row for each step) and outside
/// one after another.
fn apart(body: &Body, all: AnyVar) -> Vec<Option<AnyVar>> {
    let mut found = Vec::new();
    let mut at = 0;
    for (kind, described) in body.described.iter().enumerate() {
        let rows = if kind == 1 { body.steps } else { 1 };
        let width = body.size(kind);
        let block = reshaped(part(all, 0, at, rows * width), &Shape::from([rows, width]));
        at += rows * width;
        let mut column = 0;
        for (dtype, shape) in described {
            if !dtype.is_float() {
                found.push(None);
                continue;
            }
            let size = shape.size();
            let shape = if kind == 1 {
                shape.with_inserted(0, rows)
            } else {
                shape.clone()
            };
            found.push(Some(reshaped(part(block, 1, column, size), &shape)));
            column += size;
        }
    }
    found
}

/// The loop backwards: inputs are the rows that the loop made, its inputs, and the cotangent of the rows.
#[derive(Debug)]
struct ScanBack {
    body: Arc<Body>,
    step: Arc<Compiled>,
}

impl PartialEq for ScanBack {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Operation for ScanBack {
    fn name(&self) -> &'static str {
        "scan backwards"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let body = &self.body;
        let size = body.size(0) + body.steps * body.size(1) + body.size(2);
        Ok((inputs[0].0, Shape::from([size])))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let body = &self.body;
        let [rows, middle @ .., cotangent] = inputs else {
            unreachable!("more inputs are recorded")
        };
        let given = body.elements(middle);
        let (state, element) = (body.size(0), body.size(1));
        let mut scratch = Scratch::default();
        with_float!(output.dtype(), T => {
            let (rows, cotangent) = (rows.elements::<T>(), cotangent.elements::<T>());
            let out = output.elements::<T>();
            out.fill(<T as Element>::ZERO);
            let mut of_state = vec![<T as Element>::ZERO; state];
            for t in (0..body.steps).rev() {
                let here = &cotangent[t * body.width..(t + 1) * body.width];
                for (sum, &more) in of_state.iter_mut().zip(here) {
                    *sum += more;
                }
                let last = t.checked_sub(1).map(|t| &rows[t * body.width..(t + 1) * body.width]);
                let mut slices = body.slices::<T>(&given, last, t);
                slices.push(T::erase(&of_state[..]));
                slices.push(T::erase(&here[state..]));
                let found = run::<T>(&self.step, &slices, &mut scratch)?;
                drop(slices);
                let (of_inputs, outside) = found.split_at(state + element);
                of_state.copy_from_slice(&of_inputs[..state]);
                let place = state + t * element;
                out[place..place + element].copy_from_slice(&of_inputs[state..]);
                let sums = &mut out[state + body.steps * element..];
                for (sum, &more) in sums.iter_mut().zip(outside) {
                    *sum += more;
                }
            }
            out[..state].copy_from_slice(&of_state);
        });
        Ok(())
    }

    /// Step by step: what the loop backwards computes is recorded as operations, and differentiated.
    fn cotangents(&self, pullback: &Pullback<'_>, wanted: &[bool]) -> Option<Vec<Option<AnyVar>>> {
        let (tape, body) = (pullback.output.tape(), &self.body);
        let own = |v: &AnyVar| {
            if v.dtype().is_float() {
                tape.differentiable(*v)
            } else {
                *v
            }
        };
        let own: Vec<AnyVar> = pullback.inputs[1..].iter().map(own).collect();
        let (inputs, cotangent) = own.split_at(own.len() - 1);
        let (state, xs) = (body.before(1), body.before(2));
        let mut now: Vec<AnyVar> = inputs[..state].to_vec();
        let mut rows = Vec::new();
        for t in 0..body.steps {
            let element = inputs[state..xs].iter().map(|x| {
                let shape = x.shape().without(0);
                reshaped(part(*x, 0, t, 1), &shape)
            });
            let given: Vec<AnyVar> = now
                .iter()
                .copied()
                .chain(element)
                .chain(inputs[xs..].iter().copied())
                .collect();
            let row = replayed(&body.span, &body.standing, body.row, tape, tape, &given);
            let mut at = 0;
            for v in &mut now {
                let shape = v.shape();
                *v = reshaped(part(row, 0, at, shape.size()), &shape);
                at += shape.size();
            }
            rows.push(row);
        }
        let floats: Vec<AnyVar> = inputs
            .iter()
            .copied()
            .filter(|v| v.dtype().is_float())
            .collect();
        let all = if rows.is_empty() {
            zeros(tape.var(cotangent[0].index))
        } else {
            reshaped(joined(&rows), &Shape::from([body.steps, body.width]))
        };
        let first = pull_back_all(&[(all, cotangent[0])], &floats);
        let first: Vec<AnyVar> = floats
            .iter()
            .zip(first)
            .map(|(x, ct)| ct.unwrap_or_else(|| zeros(*x)))
            .collect();
        // In the order of the result: the sequence as rows.
        let pieces = self.pieces(&first);
        let is_float = |v: &AnyVar| v.dtype().is_float();
        let floats: Vec<AnyVar> = own.iter().copied().filter(is_float).collect();
        let mut second = pull_back_all(&[(pieces, pullback.cotangent)], &floats).into_iter();
        let found = own.iter().zip(&wanted[1..]).map(|(v, wanted)| {
            let found = if is_float(v) {
                second.next().flatten()
            } else {
                None
            };
            found.filter(|_| *wanted)
        });
        Some([None].into_iter().chain(found).collect())
    }

    fn is_differentiable(&self, k: usize) -> bool {
        k > 0
    }

    fn is_bound_to_tape(&self) -> bool {
        true
    }

    fn reads(&self) -> Reads {
        Reads::INPUTS
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

impl ScanBack {
    /// The cotangents of the inputs of the loop, as [`apart`] takes them.
    fn pieces(&self, cotangents: &[AnyVar]) -> AnyVar {
        let body = &self.body;
        let floats = |kind: usize| {
            body.described[kind]
                .iter()
                .filter(|(d, _)| d.is_float())
                .count()
        };
        let (state, rest) = cotangents.split_at(floats(0));
        let (xs, outside) = rest.split_at(floats(1));
        let mut all = state.to_vec();
        for t in 0..body.steps {
            all.extend(xs.iter().map(|x| part(*x, 0, t, 1)));
        }
        all.extend(outside);
        joined(&all)
    }
}
