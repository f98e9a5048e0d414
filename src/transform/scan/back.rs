//! Loops backwards.

use super::layout::{Layout, run};
use super::step::Body;
use super::{part, zeros};
use crate::element::{Dtype, Element, with_float};
use crate::op::accumulate;
use crate::program::{Compiled, Scratch};
use crate::shape::Shape;
use crate::tape::{
    AnyVar, Batch, Input, Operation, Output, Placeholder, Pullback, Reads, Span, TapeRef, same,
};
use crate::transform::gradient::pull_back_all;
use crate::transform::packed::{in_type, joined};
use crate::transform::recorded::Recorded;
use crate::transform::vectorize::reshaped;
use std::sync::Arc;

/// One step back, as it was recorded, and compiled: what the cotangents of the new state and of the results make of those of state,
/// element and outside, one after another.
#[derive(Debug)]
pub(super) struct Back {
    /// From the inputs of the step, with what rules read besides as the last of those from outside, and the two cotangents.
    pub step: Recorded,
    /// The loop that is gone back over, with these inputs.
    pub layout: Layout,
    /// The nodes that the output is joined of.
    pub parts: Vec<u32>,
    /// Elements of each of them, of state, element and outside.
    pub blocks: [Vec<usize>; 3],
    /// Elements of each part of a row of the cotangent, those of the state first.
    pub of_cotangent: Vec<usize>,
    compiled: Compiled,
}

const WITHOUT: &str =
    "the step of a scan that draws no random numbers cannot do so in its backward pass";

impl Back {
    /// Records a step back on the tape of the loop, where rules and hooks of users may read what they hold. With it, what they
    /// read besides the inputs of the step.
    #[track_caller]
    pub fn record(body: &Body, tape: TapeRef) -> (Self, Vec<AnyVar>) {
        let (before, layout) = (tape.len(), &body.layout);
        let own = layout.standing(tape);
        // Rules and hooks may draw, with the key of the step.
        let standing = body.step.standing.iter().zip(own.iter().flatten());
        let key = standing.filter(|(node, _)| Some(**node) == body.key);
        let key = key.map(|(_, &own)| own).next();
        let flat = own.concat();
        let row = body.step.again(tape, &flat);
        let blocks = [0, 1, 2].map(|kind| layout.sizes(kind));
        let state: usize = blocks[0].iter().sum();
        let cotangents = [state, layout.width - state]
            .map(|size| tape.placeholder(&Placeholder::Step, row.dtype(), &Shape::from([size])));
        let mut wrt = flat;
        wrt.retain(|v| v.dtype().is_float());
        let found = tape.drawing(key, WITHOUT, || {
            pull_back_all(&[(row, joined(&cotangents))], &wrt)
        });
        // What a step reads may be of another type than the states.
        let found: Vec<AnyVar> = wrt
            .iter()
            .zip(found)
            .map(|(x, ct)| in_type(ct.unwrap_or_else(|| zeros(*x)), row.dtype()))
            .collect();
        let of_loop = (
            layout.steps,
            [&layout.blocks, &layout.blocks].map(Vec::clone),
        );
        Back::since(tape, before, own, cotangents, (&found, blocks), of_loop)
    }

    /// Of nodes recorded last. With it, what they read besides.
    #[track_caller]
    pub fn since(
        tape: TapeRef,
        before: usize,
        mut own: [Vec<AnyVar>; 3],
        cotangents: [AnyVar; 2],
        (found, blocks): (&[AnyVar], [Vec<usize>; 3]),
        (steps, [of_rows, of_cotangent]): (usize, [Vec<usize>; 2]),
    ) -> (Self, Vec<AnyVar>) {
        let output = joined(found);
        let span = Span::since(tape, before);
        let given: Vec<AnyVar> = own.iter().flatten().chain(&cotangents).copied().collect();
        let more = read(&span, tape, &given, output);
        span.untrack(tape);
        own[2].extend(&more);
        let standing = own.iter().flatten().chain(&cotangents);
        let step = Recorded {
            span,
            standing: standing.map(|v| v.index).collect(),
            output: output.index,
        };
        let back = Back {
            compiled: step.compiled(tape),
            step,
            parts: found.iter().map(|part| part.index).collect(),
            layout: Layout::new([&own[0], &own[1], &own[2]], of_rows, steps),
            blocks,
            of_cotangent,
        };
        (back, more)
    }

    /// Elements of the cotangents of state, element and outside.
    pub fn sizes(&self) -> [usize; 3] {
        [0, 1, 2].map(|kind| self.blocks[kind].iter().sum())
    }
}

/// What a span reads besides what it is given.
fn read(span: &Span, tape: TapeRef, given: &[AnyVar], output: AnyVar) -> Vec<AnyVar> {
    let outside = span.outside(tape, given, &[output]);
    [outside.leaves, outside.tracked, outside.constant].concat()
}

/// The cotangents of the inputs of a loop, out of one variable that holds those of state, sequence (a row for each step) and outside
/// one after another.
pub(super) fn apart(layout: &Layout, all: AnyVar) -> Vec<Option<AnyVar>> {
    let mut found = Vec::new();
    let mut at = 0;
    for (kind, described) in layout.described.iter().enumerate() {
        let rows = if kind == 1 { layout.steps } else { 1 };
        let width = layout.sizes(kind).iter().sum();
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
            let found_here = reshaped(part(block, 1, column, size), &shape);
            found.push(Some(in_type(found_here, *dtype)));
            column += size;
        }
    }
    found
}

/// The loop backwards: inputs are the rows that the loop made, its inputs, what rules read besides, and the cotangent of the rows.
#[derive(Debug)]
pub(super) struct ScanBack(pub Arc<Back>);

impl PartialEq for ScanBack {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Operation for ScanBack {
    fn name(&self) -> &'static str {
        "scan backwards"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let [state, element, outside] = self.0.sizes();
        let size = state + self.0.layout.steps * element + outside;
        Ok((inputs[0].0, Shape::from([size])))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let (back, layout) = (&self.0, &self.0.layout);
        let [rows, middle @ .., cotangent] = inputs else {
            unreachable!("more inputs are recorded")
        };
        let given = layout.elements(middle);
        let [state, element, _] = back.sizes();
        let mut scratch = Scratch::default();
        with_float!(output.dtype(), T => {
            let (rows, cotangent) = (rows.elements::<T>(), cotangent.elements::<T>());
            let out = output.elements::<T>();
            out.fill(<T as Element>::ZERO);
            let mut of_state = vec![<T as Element>::ZERO; state];
            let width: usize = back.of_cotangent.iter().sum();
            for t in (0..layout.steps).rev() {
                let here = &cotangent[t * width..(t + 1) * width];
                for (sum, &more) in of_state.iter_mut().zip(here) {
                    *sum += more;
                }
                let last = t.checked_sub(1).map(|t| &rows[t * layout.width..(t + 1) * layout.width]);
                let mut slices = layout.slices::<T>(&given, last, t);
                slices.push(T::erase(&of_state[..]));
                slices.push(T::erase(&here[state..]));
                let found = run::<T>(&back.compiled, &slices, &mut scratch)?;
                drop(slices);
                let (of_inputs, outside) = found.split_at(state + element);
                of_state.copy_from_slice(&of_inputs[..state]);
                let place = state + t * element;
                out[place..place + element].copy_from_slice(&of_inputs[state..]);
                let sums = &mut out[state + layout.steps * element..];
                for (sum, &more) in sums.iter_mut().zip(outside) {
                    *sum += more;
                }
            }
            out[..state].copy_from_slice(&of_state);
        });
        Ok(())
    }

    /// The loop written out step by step, and differentiated.
    fn cotangents(&self, pullback: &Pullback<'_>, wanted: &[bool]) -> Option<Vec<Option<AnyVar>>> {
        let tape = pullback.output.tape();
        let own = |x: &AnyVar| match x.dtype().is_float() {
            true => tape.differentiable(*x),
            false => *x,
        };
        let own: Vec<AnyVar> = pullback.inputs.iter().map(own).collect();
        let all = self.written_out(tape, &own);
        let which = own.iter().zip(wanted).filter(|(_, wanted)| **wanted);
        let wrt: Vec<AnyVar> = which.map(|(x, _)| *x).collect();
        let mut found = pull_back_all(&[(all, pullback.cotangent)], &wrt).into_iter();
        let of = |wanted: &bool| wanted.then(|| found.next().flatten()).flatten();
        Some(wanted.iter().map(of).collect())
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        super::batch::backward(&self.0, batch)
    }

    fn holds_variables(&self) -> bool {
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
    /// What a run computes, in operations on variables.
    fn written_out(&self, tape: TapeRef, inputs: &[AnyVar]) -> AnyVar {
        let (back, layout) = (&self.0, &self.0.layout);
        let [rows, middle @ .., cotangent] = inputs else {
            unreachable!("more inputs are recorded")
        };
        let (states, xs) = (layout.before(1), layout.before(2));
        let [state, element, outside] = back.sizes();
        let row = |all: AnyVar, t: usize| reshaped(part(all, 0, t, 1), &all.shape().without(0));
        let flat = |size: usize| with_float!(rows.dtype(), T => tape.full([size], <T as Element>::ZERO).erase());
        let (mut of_state, mut of_outside) = (flat(state), flat(outside));
        let mut of_elements = Vec::new();
        for t in (0..layout.steps).rev() {
            let here = row(*cotangent, t);
            of_state = accumulate(of_state, part(here, 0, 0, state));
            let mut given = middle[..states].to_vec();
            if let Some(before) = t.checked_sub(1) {
                let (made, mut at) = (row(*rows, before), 0);
                for v in &mut given {
                    let shape = v.shape();
                    *v = reshaped(part(made, 0, at, shape.size()), &shape);
                    at += shape.size();
                }
            }
            given.extend(middle[states..xs].iter().map(|x| row(*x, t)));
            given.extend(&middle[xs..]);
            let of_results = here.shape().size() - state;
            given.extend([of_state, part(here, 0, state, of_results)]);
            let found = back.step.again(tape, &given);
            of_state = part(found, 0, 0, state);
            of_elements.push(part(found, 0, state, element));
            of_outside = accumulate(of_outside, part(found, 0, state + element, outside));
        }
        of_elements.push(of_state);
        of_elements.reverse();
        of_elements.push(of_outside);
        joined(&of_elements)
    }
}
