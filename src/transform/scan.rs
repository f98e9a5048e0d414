//! Loops over a sequence of which one step is recorded.

mod back;
mod batch;
mod layout;
mod step;

use super::forward::assert_same_tape;
use super::packed::joined;
use super::vars::{Vars, arranged, flat, tape_of};
use super::vectorize::reshaped;
use crate::element::{Element, with_float};
use crate::op;
use crate::shape::Shape;
use crate::tape::{AnyVar, Outside, Placeholder, Span, TapeRef, View};
use smallvec::SmallVec;
use std::panic::Location;
use std::sync::Arc;
use step::{Body, Scan};

/// Runs a step over a sequence: from a state and an element of the sequence it makes the next state and a result. Gives the last
/// state, and all results along a new first axis.
///
/// The first axis of every input of the sequence counts the steps. The step is recorded once, and a run repeats it; so the tape does
/// not grow with the sequence. Of a run only the states are kept for the backward pass, which computes each step again.
///
/// States and results are of one floating-point type, and a step leaves the shapes of the state as they are. What the step reads
/// from outside, as parameters of a model, is differentiated too. A step may hold any other transform: another loop,
/// [`checkpoint`](super::checkpoint()), rules and hooks of yours. Random numbers that a step draws are new at each step, and the same
/// in the backward pass.
///
/// # Derivative
/// A loop backwards, in one node as well; rules and hooks in a step are called once for all steps. Derivatives of that, second ones and
/// those of forward mode, are recorded step by step.
///
/// Within [`vmap`](super::vmap()) one loop serves all examples, unless a hook or a rule of yours is in the step, which may hold variables of
/// one example: then there is a loop for each.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::scan;
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0]));
/// let w = tape.leaf(&Tensor::from(0.5));
/// let zero = tape.full([], 0.0f32);
/// // An exponential moving average, and each of its states.
/// let (last, all) = scan(|state, x| (state * w + x, state * w + x), zero, x);
/// assert_eq!(all.value(), Tensor::from([1.0, 2.5, 4.25]));
/// assert_eq!(last.gradient(x).value(), Tensor::from([0.25, 0.5, 1.0]));
/// assert_eq!(last.gradient(w).value().item(), 2.0 * 0.5 + 2.0);
///
/// // A loop over rows, with a loop over the elements of each.
/// let rows = tape.leaf(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
/// let row = |state: Var, row: Var| scan(|state, x| (state * w + x, x), state, row);
/// let (last, _) = scan(|state, x| (row(state, x).0, state), zero, rows);
/// assert_eq!(last.value().item(), 6.125);
/// assert_eq!(last.gradient(rows).value(), Tensor::from([[0.125, 0.25], [0.5, 1.0]]));
/// ```
///
/// # Derivative
/// That of the steps one after another. Cotangents are carried from step to step in the type of the states, also those of what a step
/// reads that is of another floating-point type.
///
/// # Panics
/// If the inputs of the sequence have no axis, or first axes of different sizes; if a step changes the shape of the state, or the number of its parts; if states
/// and results are not of one floating-point type; if it asks for the value of what depends on the state or the sequence.
#[track_caller]
pub fn scan<C: Vars, X: Vars, Y: Vars>(
    step: impl FnOnce(C, X) -> (C, Y),
    start: C,
    sequence: X,
) -> (C, Y) {
    let (state, xs) = (flat(&start), flat(&sequence));
    let Some(first) = state.first() else {
        panic!("scan: there is no state");
    };
    let (tape, dtype) = (first.tape(), first.dtype());
    let inputs: Vec<AnyVar> = state.iter().chain(&xs).copied().collect();
    tape_of("scan", &inputs);
    let steps = steps(&xs);
    let recording = Recording::new(tape, &state, &xs);
    let (own, element) = (&recording.state, &recording.element);
    let ((next, results), key) = tape.standing(&Placeholder::Step, || {
        step(arranged(&start, own), arranged(&sequence, element))
    });
    let (new, made) = (flat(&next), flat(&results));
    let all: Vec<AnyVar> = new.iter().chain(&made).copied().collect();
    assert_same_tape("scan", &all, &inputs);
    assert!(
        new.len() == own.len(),
        "scan: the state has {} parts before a step and {} after it",
        own.len(),
        new.len()
    );
    for (k, (before, after)) in own.iter().zip(&new).enumerate() {
        let (before, after) = (before.shape(), after.shape());
        assert!(
            before == after,
            "scan: part {k} of the state has shape {before} before a step and {after} after it"
        );
    }
    let fits = dtype.is_float() && state.iter().chain(&all).all(|v| v.dtype() == dtype);
    assert!(
        fits,
        "scan: states and results must be of one floating-point type"
    );
    let _line = tape.attribute_to(Location::caller());
    let rows = recording.finish(&state, xs, steps, &all, key);
    unrolled(rows, steps, (&state, &start), (&made, &results))
}

/// A loop whose step is being recorded.
struct Recording {
    tape: TapeRef,
    /// How many nodes there were before.
    before: usize,
    /// What stands for the state, and for an element of the sequence.
    state: Vec<AnyVar>,
    element: Vec<AnyVar>,
}

impl Recording {
    #[track_caller]
    fn new(tape: TapeRef, state: &[AnyVar], xs: &[AnyVar]) -> Self {
        let _line = tape.attribute_to(Location::caller());
        let before = tape.len();
        Recording {
            tape,
            before,
            state: state.iter().map(|v| stand(v, 0)).collect(),
            element: xs.iter().map(|v| stand(v, 1)).collect(),
        }
    }

    /// The rows of the loop, of the parts of that of a step, which may have drawn with a key.
    #[track_caller]
    fn finish(
        mut self,
        state: &[AnyVar],
        mut xs: SmallVec<[AnyVar; 4]>,
        steps: usize,
        parts: &[AnyVar],
        key: Option<AnyVar>,
    ) -> AnyVar {
        let (tape, row) = (self.tape, joined(parts));
        let span = Span::since(tape, self.before);
        // Each step has a key of its own for its random numbers, as an element of the sequence.
        if let Some(key) = key {
            self.element.push(key);
            xs.push(op::keys(tape, steps));
        }
        let given: Vec<AnyVar> = self.state.iter().chain(&self.element).copied().collect();
        let Outside {
            leaves,
            tracked,
            constant,
        } = span.outside(tape, &given, &[row]);
        let derived = span.derived_from(tape, &given, row);
        span.untrack(tape);
        let captured: Vec<AnyVar> = [leaves, tracked, constant].concat();
        let inputs: Vec<AnyVar> = state.iter().chain(&xs).chain(&captured).copied().collect();
        let standing = [&self.state, &self.element, &captured].map(|all| &all[..]);
        let body = Body::new(tape, span, (standing, &derived), (parts, row), (steps, key));
        tape.record(Scan(Arc::new(body)), &inputs)
    }
}

/// What stands for a variable in a step, or for what is behind its first axes.
fn stand(v: &AnyVar, skip: usize) -> AnyVar {
    let shape = Shape::from(&v.shape()[skip..]);
    v.tape().placeholder(&Placeholder::Step, v.dtype(), &shape)
}

/// The number of steps.
#[track_caller]
fn steps(xs: &[AnyVar]) -> usize {
    for (k, x) in xs.iter().enumerate() {
        assert!(
            x.shape().rank() > 0,
            "scan: input {k} of the sequence has no axis"
        );
    }
    let mut sizes = xs.iter().map(|x| x.shape()[0]);
    let Some(first) = sizes.next() else {
        panic!("scan: there is no sequence");
    };
    if sizes.any(|size| size != first) {
        let shapes: Vec<String> = xs.iter().map(|x| x.shape().to_string()).collect();
        panic!(
            "scan: the inputs have different numbers of steps: {}",
            shapes.join(", ")
        );
    }
    first
}

/// The last state and all results, out of the rows that the steps made.
fn unrolled<C: Vars, Y: Vars>(
    rows: AnyVar,
    steps: usize,
    (state, start): (&[AnyVar], &C),
    (made, results): (&[AnyVar], &Y),
) -> (C, Y) {
    let mut at = 0;
    let mut columns = |v: &AnyVar| {
        let size = v.shape().size();
        at += size;
        part(rows, 1, at - size, size)
    };
    let last: Vec<AnyVar> = state
        .iter()
        .map(|v| {
            let states = columns(v);
            if steps == 0 {
                return *v;
            }
            reshaped(part(states, 0, steps - 1, 1), &v.shape())
        })
        .collect();
    let all = |v: &AnyVar| reshaped(columns(v), &v.shape().with_inserted(0, steps));
    let all: Vec<AnyVar> = made.iter().map(all).collect();
    (arranged(start, &last), arranged(results, &all))
}

/// A range along an axis.
pub(super) fn part(v: AnyVar, axis: usize, start: usize, count: usize) -> AnyVar {
    let view = View::Slice {
        axis,
        start,
        step: 1,
    };
    v.tape().view(view, v, &v.shape().with_size(axis, count))
}

/// Zeros in the shape of a variable.
fn zeros(like: AnyVar) -> AnyVar {
    with_float!(like.dtype(), T => like.tape().full(like.shape(), <T as Element>::ZERO).erase())
}
