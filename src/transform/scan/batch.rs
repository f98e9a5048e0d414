//! Loops for all examples of a batch at once: one loop, whose step is one for all of them.
//!
//! A row for one example holds several *blocks*, parts of the state for instance. A row for all examples holds, block by block, those
//! of all examples.

use super::back::{Back, ScanBack};
use super::step::{Body, Scan};
use super::{Recording, part, stand};
use crate::shape::Shape;
use crate::tape::{AnyVar, Batch, Called, Op, Placeholder, TapeRef};
use crate::transform::checkpoint::Checkpoint;
use crate::transform::packed::concat;
use crate::transform::recorded::Recorded;
use crate::transform::vectorize::reshaped;
use crate::transform::vmap::{for_all, moved};
use smallvec::SmallVec;
use std::any::Any;
use std::sync::Arc;

/// The rows of each example; `None` if closures of users may hold variables of the step, which are those of one example.
#[track_caller]
pub(super) fn forward(body: &Body, batch: &Batch<'_>) -> Option<AnyVar> {
    let (tape, size, layout) = (batch.inputs[0].tape(), batch.size(), &body.layout);
    if is_held_by_closures(tape, &body.step) {
        return None;
    }
    let (states, xs) = (layout.before(1), layout.before(2));
    let state: Vec<AnyVar> = (0..states).map(|k| batch.whole(k)).collect();
    let sequence: SmallVec<[AnyVar; 4]> = (states..xs).map(|k| steps_first(batch, k)).collect();
    let recording = Recording::new(tape, &state, &sequence);
    let given = recording.state.iter().chain(&recording.element);
    let given = given.chain(&batch.inputs[xs..]).enumerate();
    let given = given.map(|(k, &v)| (v, k < states || batch.differs(k)));
    let parts = |one: &[AnyVar]| body.step.parts_again(tape, one, &body.parts);
    let parts = for_all(tape, size, given, parts);
    let rows = recording.finish(&state, sequence, layout.steps, &parts, None);
    Some(by_example(rows, size, &layout.blocks))
}

/// The cotangents of each example, in the order of those of one.
#[track_caller]
pub(super) fn backward(back: &Back, batch: &Batch<'_>) -> Option<AnyVar> {
    let (tape, size, layout) = (batch.inputs[0].tape(), batch.size(), &back.layout);
    if is_held_by_closures(tape, &back.step) {
        return None;
    }
    // States are computed from all that differs; where rows do not differ, only the cotangent does.
    let of_states = batch.differs(0);
    let (rows, of_rows) = match of_states {
        true => (
            in_rows(batch.inputs[0], &layout.blocks),
            wide(&layout.blocks, size),
        ),
        false => (batch.inputs[0], layout.blocks.clone()),
    };
    let last = batch.len() - 1;
    let cotangent = in_rows(batch.whole(last), &back.of_cotangent);
    let (states, xs) = (layout.before(1), layout.before(2));
    let middle: Vec<(AnyVar, bool)> = (1..last)
        .map(|k| match k - 1 {
            at if at < states && of_states => (batch.whole(k), true),
            at if (states..xs).contains(&at) => (steps_first(batch, k), batch.differs(k)),
            _ => (batch.inputs[k], batch.differs(k)),
        })
        .collect();

    let before = tape.len();
    let mut own = [Vec::new(), Vec::new(), Vec::new()];
    for (at, (v, _)) in middle.iter().enumerate() {
        let kind = usize::from(at >= states) + usize::from(at >= xs);
        own[kind].push(stand(v, usize::from(kind == 1)));
    }
    // The state has as many parts as inputs.
    let of_step = back.of_cotangent.split_at(states);
    let cotangents = [of_step.0, of_step.1].map(|blocks| {
        let shape = Shape::from([size * blocks.iter().sum::<usize>()]);
        tape.placeholder(&Placeholder::Step, cotangent.dtype(), &shape)
    });
    let given = own.iter().flatten().zip(&middle);
    let given = given.map(|(&own, &(_, differs))| (own, differs));
    let of_row = cotangents.iter().zip([of_step.0, of_step.1]);
    let of_row = of_row.map(|(&v, blocks)| {
        let row = reshaped(v, &v.shape().with_inserted(0, 1));
        let each = by_example(row, size, blocks);
        (reshaped(each, &each.shape().without(1)), true)
    });
    let given: Vec<(AnyVar, bool)> = given.chain(of_row).collect();
    let parts = |one: &[AnyVar]| back.step.parts_again(tape, one, &back.parts);
    let found = for_all(tape, size, given, parts);
    let blocks = back.blocks.each_ref().map(|blocks| wide(blocks, size));
    let of_loop = (layout.steps, [of_rows, wide(&back.of_cotangent, size)]);
    let (all, more) = Back::since(tape, before, own, cotangents, (&found, blocks), of_loop);

    let middle = middle.into_iter().map(|(v, _)| v);
    let inputs: Vec<AnyVar> = [rows]
        .into_iter()
        .chain(middle)
        .chain(more)
        .chain([cotangent])
        .collect();
    let all = tape.record(ScanBack(Arc::new(all)), &inputs);
    let mut at = 0;
    let rows = [1, layout.steps, 1];
    let parts = [0, 1, 2].map(|kind| {
        let (rows, blocks) = (rows[kind], &back.blocks[kind]);
        let width: usize = blocks.iter().sum();
        let count = rows * size * width;
        let part = reshaped(part(all, 0, at, count), &Shape::from([rows, size * width]));
        at += count;
        let part = by_example(part, size, blocks);
        reshaped(part, &Shape::from([size, rows * width]))
    });
    Some(concat(&parts, 1))
}

/// Whether a hook or a rule of a user's may hold variables of a part.
fn is_held_by_closures(tape: TapeRef, part: &Recorded) -> bool {
    let nodes = part.nodes(tape);
    let graph = tape.graph("vmap");
    if graph.hooks.iter().any(|(hooked, _)| nodes.contains(hooked)) {
        return true;
    }
    let holding = |&index: &u32| match &graph.node(index).op {
        Op::Call(call) if call.holds_variables() => Some(call.clone()),
        _ => None,
    };
    let calls: Vec<Called> = nodes.iter().filter_map(holding).collect();
    drop(graph);
    calls.iter().any(|call| {
        let call: &dyn Any = &**call;
        let part = call.downcast_ref::<Scan>().map(|scan| &scan.0.step);
        let part = part.or_else(|| Some(&call.downcast_ref::<ScanBack>()?.0.step));
        let part = part.or_else(|| Some(&call.downcast_ref::<Checkpoint>()?.part));
        part.is_none_or(|part| is_held_by_closures(tape, part))
    })
}

/// An input of a sequence whose first axis counts the steps; the examples, if it differs, are along the second.
#[track_caller]
fn steps_first(batch: &Batch<'_>, k: usize) -> AnyVar {
    match batch.differs(k) {
        true => moved(batch.inputs[k], 0, 1),
        false => batch.inputs[k],
    }
}

/// The sizes of blocks of all examples.
fn wide(blocks: &[usize], size: usize) -> Vec<usize> {
    blocks.iter().map(|width| size * width).collect()
}

/// Rows for all examples, `[rows, ..]`, of those for each: `[examples, rows, width]`.
#[track_caller]
fn in_rows(each: AnyVar, blocks: &[usize]) -> AnyVar {
    let shape = each.shape();
    let (size, rows) = (shape[0], shape[1]);
    let blocks: Vec<AnyVar> = ranges(moved(each, 0, 1), 2, blocks)
        .into_iter()
        .map(|block| {
            let width = block.shape()[2];
            reshaped(block, &Shape::from([rows, size * width]))
        })
        .collect();
    concat(&blocks, 1)
}

/// Rows for each example, `[examples, rows, width]`, of those for all.
#[track_caller]
fn by_example(all: AnyVar, size: usize, blocks: &[usize]) -> AnyVar {
    let rows = all.shape()[0];
    if blocks.is_empty() {
        return reshaped(all, &Shape::from([size, rows, 0]));
    }
    let blocks: Vec<AnyVar> = ranges(all, 1, &wide(blocks, size))
        .into_iter()
        .zip(blocks)
        .map(|(block, &width)| reshaped(block, &Shape::from([rows, size, width])))
        .collect();
    moved(concat(&blocks, 2), 1, 0)
}

/// Ranges along an axis, one after another.
fn ranges(v: AnyVar, axis: usize, widths: &[usize]) -> Vec<AnyVar> {
    let mut at = 0;
    let next = |&width: &usize| {
        at += width;
        part(v, axis, at - width, width)
    };
    widths.iter().map(next).collect()
}
