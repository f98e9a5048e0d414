//! The step of a loop as a program of its own, and the loop that runs it.

use super::back::{Back, ScanBack, apart};
use super::layout::{Layout, run};
use crate::element::{Dtype, with_float};
use crate::program::{Compiled, Scratch};
use crate::shape::Shape;
use crate::tape::{AnyVar, Batch, Input, Operation, Output, Pullback, Reads, Span, TapeRef, same};
use crate::transform::recorded::Recorded;
use std::sync::Arc;

/// A step as it was recorded, and compiled.
#[derive(Debug)]
pub(super) struct Body {
    /// From the state, the element of the sequence, and what is read from outside, to new state and results one after another.
    pub step: Recorded,
    /// The nodes that a row is joined of.
    pub parts: Vec<u32>,
    pub layout: Layout,
    /// By which inputs of a step what it makes has a derivative.
    pub derived: Vec<bool>,
    /// Which of the nodes that stand for inputs is the key of random numbers, if any are drawn.
    pub key: Option<u32>,
    forward: Compiled,
}

impl Body {
    #[track_caller]
    pub fn new(
        tape: TapeRef,
        span: Span,
        (standing, derived): ([&[AnyVar]; 3], &[AnyVar]),
        (parts, row): (&[AnyVar], AnyVar),
        (steps, key): (usize, Option<AnyVar>),
    ) -> Self {
        let blocks = parts.iter().map(|part| part.shape().size());
        let layout = Layout::new(standing, blocks.collect(), steps);
        let step = Recorded {
            span,
            standing: standing.into_iter().flatten().map(|v| v.index).collect(),
            output: row.index,
        };
        let forward = step.compiled(tape);
        let inputs = standing.into_iter().flatten();
        Body {
            step,
            derived: inputs.map(|v| derived.contains(v)).collect(),
            parts: parts.iter().map(|part| part.index).collect(),
            layout,
            key: key.map(|key| key.index),
            forward,
        }
    }
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
        let layout = &self.0.layout;
        for (k, ((dtype, shape), wanted)) in inputs.iter().zip(layout.inputs()).enumerate() {
            if *dtype != wanted.0 || **shape != wanted.1 {
                return Err(format!(
                    "input {k} is {dtype}{shape}, not {}{}",
                    wanted.0, wanted.1
                ));
            }
        }
        Ok((inputs[0].0, Shape::from([layout.steps, layout.width])))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let (body, layout) = (&self.0, &self.0.layout);
        let given = layout.elements(inputs);
        let mut scratch = Scratch::default();
        with_float!(output.dtype(), T => {
            let out = output.elements::<T>();
            for t in 0..layout.steps {
                let (done, rest) = out.split_at_mut(t * layout.width);
                let last = done.len().checked_sub(layout.width).map(|start| &done[start..]);
                let slices = layout.slices::<T>(&given, last, t);
                rest[..layout.width].copy_from_slice(&run::<T>(&body.forward, &slices, &mut scratch)?);
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
        let back = ScanBack(Arc::new(back));
        Some(apart(&body.layout, tape.record(back, &inputs)))
    }

    fn is_differentiable(&self, k: usize) -> bool {
        self.0.derived[k]
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        super::batch::forward(&self.0, batch)
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
