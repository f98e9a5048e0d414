//! Parts of a program that are computed again in the backward pass, so that nothing of them is kept until then.

use super::forward::assert_same_tape;
use super::gradient::pull_back_all;
use super::packed::{pack, parts, shapes_of, with_floats};
use super::recorded::Recorded;
use super::vars::{Vars, arranged, flat, tape_of};
use super::vmap::for_all;
use crate::element::{Dtype, with_dtype};
use crate::shape::Shape;
use crate::tape::{
    AnyVar, Batch, Called, Input, Op, Operation, Output, Pullback, Reads, Span, TapeRef, same,
};
use smallvec::SmallVec;

/// Applies a function of which only the inputs are kept for the backward pass: that records the function again, and computes it a
/// second time when the cotangent of its result is there. Trades time for memory; the gradients are the same bits.
///
/// The function may read parameters of a model and constants besides its inputs, but no other variable that depends on parameters
/// or leaves: that would be kept as an input, unseen. Random numbers that it draws, as for
/// [`dropout`](crate::Var::dropout), are drawn again, the same ones.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::checkpoint;
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from([0.5, -1.0]));
/// let part = |x: Var| (x.sin() * x).exp().tanh();
/// let plain = part(x).sum().gradient(x);
/// let again = checkpoint(part, x).sum().gradient(x);
/// assert_eq!(again.value(), plain.value());
/// ```
///
/// # Panics
/// If the function reads a tracked variable from outside that is no parameter; if results of floating-point types are of different
/// types; wherever the function does.
///
/// # Source
/// A. Griewank, A. Walther, "Algorithm 799: revolve", 2000; T. Chen et al., "Training deep nets with sublinear memory cost", 2016.
#[track_caller]
pub fn checkpoint<X: Vars, Y: Vars>(f: impl FnOnce(X) -> Y, inputs: X) -> Y {
    let given = flat(&inputs);
    let Some(tape) = tape_of("checkpoint", &given) else {
        return f(inputs);
    };
    let mut result = None;
    let packed = segment(
        tape,
        &given,
        given.len(),
        &mut Some(|own: &[AnyVar]| {
            let outputs = f(arranged(&inputs, own));
            let floats = floats(&outputs);
            result = Some((outputs, shapes_of(&floats)));
            floats
        }),
    );
    let (outputs, shapes) = result.expect("the function was called");
    match packed {
        Some(packed) => with_floats(&outputs, &parts(packed, &shapes)),
        None => outputs,
    }
}

/// The results that have derivatives.
fn floats<Y: Vars>(outputs: &Y) -> Vec<AnyVar> {
    let mut all = flat(outputs);
    all.retain(|y| y.dtype().is_float());
    all.to_vec()
}

/// Records a function as a checkpoint: the variables that it gives, packed. Of its inputs the first `waiting` are read again only when
/// the cotangent is there.
#[track_caller]
fn segment<F: FnOnce(&[AnyVar]) -> Vec<AnyVar>>(
    tape: TapeRef,
    inputs: &[AnyVar],
    waiting: usize,
    f: &mut Option<F>,
) -> Option<AnyVar> {
    // What stands for the examples of a batch is an input like others, though constant.
    let in_batch = tape.settle_key();
    let before = tape.len();
    let mut own = Vec::with_capacity(inputs.len());
    for &x in inputs {
        own.push(match x.dtype().is_float() {
            true => tape.differentiable(x),
            false => x,
        });
    }
    let f = f.take().expect("called once");
    let outputs = f(&own);
    assert_same_tape("checkpoint", &outputs, &own);
    let output = pack("checkpoint", &outputs)?;
    let span = Span::since(tape, before);
    let outside = span.outside(tape, &own, &[output]);
    if let Some(read) = outside.tracked.first() {
        panic!(
            "checkpoint: the part reads {read:?}, which is computed outside of it: make it an input"
        );
    }
    let derived = span.derived_from(tape, &own, output);
    span.untrack(tape);
    let mut constants = outside.constant;
    constants.retain(|&x| in_batch && !is_leaf(x));
    let further: Vec<AnyVar> = outside
        .leaves
        .into_iter()
        .chain(constants.iter().copied())
        .collect();
    let standing = own.iter().chain(&further);
    let part = Recorded {
        span,
        standing: standing.clone().map(|v| v.index).collect(),
        output: output.index,
    };
    let operation = Checkpoint {
        part,
        derived: standing.map(|v| derived.contains(v)).collect(),
        waiting,
        constants: constants.len(),
    };
    let read: Vec<AnyVar> = [output]
        .into_iter()
        .chain(inputs.iter().copied())
        .chain(further)
        .collect();
    Some(tape.record(operation, &read))
}

/// The result of a part that will be computed again: input 0. The others are the inputs of the part.
#[derive(Debug, PartialEq)]
pub(super) struct Checkpoint {
    pub part: Recorded,
    /// By which inputs of the part the result has a derivative.
    derived: Vec<bool>,
    /// How many inputs are read again only when the cotangent is there.
    waiting: usize,
    /// How many inputs, the last ones, are constants.
    constants: usize,
}

/// Whether a variable is a tensor that was given.
fn is_leaf(x: AnyVar) -> bool {
    matches!(x.tape().graph("checkpoint").node(x.index).op, Op::Leaf)
}

/// Copies an input, unless the output lies where it does.
pub(super) fn copied(input: &Input<'_>, output: Output<'_>) -> Result<(), String> {
    if output.overwrites() {
        return Ok(());
    }
    with_dtype!(output.dtype(), T => {
        input.copy_to(output.elements::<T>());
        Ok(())
    })
}

impl Operation for Checkpoint {
    fn name(&self) -> &'static str {
        "checkpoint"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((inputs[0].0, inputs[0].1.clone()))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        copied(&inputs[0], output)
    }

    fn overwrites(&self) -> Option<usize> {
        Some(0)
    }

    fn is_differentiable(&self, k: usize) -> bool {
        k > 0 && self.derived[k - 1]
    }

    fn cotangents(&self, pullback: &Pullback<'_>, wanted: &[bool]) -> Option<Vec<Option<AnyVar>>> {
        let (tape, cotangent) = (pullback.cotangent.tape(), pullback.cotangent);
        // A cotangent without a value says nothing about when it is there.
        let symbolic = tape.graph("checkpoint").symbolic;
        let differentiated = pullback.inputs.len() - 1 - self.constants;
        let own = |(k, &x): (usize, &AnyVar)| {
            if !x.dtype().is_float() || k >= differentiated {
                return x;
            }
            let x = if k < self.waiting && !symbolic {
                tape.call(Called::Static(&Barrier), &[x, cotangent])
            } else {
                x
            };
            tape.differentiable(x)
        };
        let own: Vec<AnyVar> = pullback.inputs[1..].iter().enumerate().map(own).collect();
        let output = self.part.again(tape, &own);
        let wrt: SmallVec<[AnyVar; 4]> = own
            .iter()
            .zip(&wanted[1..])
            .filter(|(_, w)| **w)
            .map(|(v, _)| *v)
            .collect();
        let mut found = pull_back_all(&[(output, cotangent)], &wrt).into_iter();
        let of = |wanted: &bool| {
            if *wanted {
                found.next().flatten()
            } else {
                None
            }
        };
        Some(
            [None]
                .into_iter()
                .chain(wanted[1..].iter().map(of))
                .collect(),
        )
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let tape = batch.inputs[0].tape();
        let inputs = &batch.inputs[1..];
        let mut record = Some(|own: &[AnyVar]| {
            let given = own.iter().enumerate();
            let given = given.map(|(k, &v)| (v, batch.differs(k + 1)));
            let part = |one: &[AnyVar]| vec![self.part.again(tape, one)];
            for_all(tape, batch.size(), given, part).to_vec()
        });
        segment(tape, inputs, self.waiting, &mut record)
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

/// Input 0, once input 1 is there: what is computed of it is not computed before, nor together with what is.
#[derive(Debug, PartialEq)]
struct Barrier;

impl Operation for Barrier {
    fn name(&self) -> &'static str {
        "checkpoint input"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((inputs[0].0, inputs[0].1.clone()))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        copied(&inputs[0], output)
    }

    fn overwrites(&self) -> Option<usize> {
        Some(0)
    }

    fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
        pullback.cotangent
    }

    fn is_differentiable(&self, k: usize) -> bool {
        k == 0
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let inputs = [batch.whole(0), batch.inputs[1]];
        Some(inputs[0].tape().call(Called::Static(&Barrier), &inputs))
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}
