//! Recorded nodes once more, for every example of a batch at once: a rule for each class of operation.
//!
//! A value that differs from example to example gets one axis more, the first. One that does not stays as it is, and whatever
//! depends on no example is not recorded again.

use super::examples::Recording;
use super::hook;
use crate::element::{Dtype, with_dtype};
use crate::shape::{Shape, few};
use crate::tape::{AnyVar, Attribution, Batch, Called, Hook, Op, TapeRef, Var, View};
use smallvec::SmallVec;
use std::rc::Rc;

/// What stands for a node in the batch: a variable, and whether that has the axis of the batch.
pub(super) type InBatch = (AnyVar, bool);

/// A node apart from the tape.
struct Copied {
    op: Op,
    inputs: SmallVec<[u32; 3]>,
    shape: Shape,
    dtype: Dtype,
    tracked: bool,
}

/// The nodes under way.
struct Batching<'a> {
    tape: TapeRef,
    size: usize,
    /// What stands for one example, and all of them.
    given: &'a [(AnyVar, AnyVar)],
    attribution: Attribution,
    first: u32,
    /// For each node from the first on: what stands for it, if it depends on an example.
    found: Vec<Option<InBatch>>,
}

/// Records what computes `outputs` again, with variables that have the axis of the batch first in the place of placeholders.
#[track_caller]
pub(super) fn vectorize(
    tape: TapeRef,
    size: usize,
    given: &[(AnyVar, AnyVar)],
    outputs: &[AnyVar],
) -> SmallVec<[InBatch; 4]> {
    let first = given.iter().map(|(placeholder, _)| placeholder.index).min();
    let last = outputs.iter().map(|output| output.index).max();
    let unchanged = || outputs.iter().map(|&output| (output, false)).collect();
    let (Some(first), Some(last)) = (first, last) else {
        return unchanged();
    };
    if last < first {
        return unchanged();
    }
    let wanted = between(tape, given, outputs, first, last);
    let mut batching = Batching {
        tape,
        size,
        given,
        attribution: tape.attribute(),
        first,
        found: vec![None; wanted.len()],
    };
    for (placeholder, batch) in given {
        if let Some(place) = batching.found.get_mut((placeholder.index - first) as usize) {
            *place = Some((*batch, true));
        }
    }
    for (at, wanted) in wanted.into_iter().enumerate() {
        if wanted && batching.found[at].is_none() {
            batching.found[at] = Some((batching.node(first + at as u32), true));
        }
    }
    outputs
        .iter()
        .map(|output| batching.of(output.index))
        .collect()
}

/// For each node from `first` to `last`: whether it lies between a placeholder and an output.
fn between(
    tape: TapeRef,
    given: &[(AnyVar, AnyVar)],
    outputs: &[AnyVar],
    first: u32,
    last: u32,
) -> Vec<bool> {
    let graph = tape.graph("vmap");
    let nodes = &graph.nodes[first as usize..=last as usize];
    let mut depends = vec![false; nodes.len()];
    for (placeholder, _) in given.iter().filter(|(p, _)| p.index <= last) {
        depends[(placeholder.index - first) as usize] = true;
    }
    let place = |index: u32| index.checked_sub(first).map(|at| at as usize);
    for (at, node) in nodes.iter().enumerate() {
        if !depends[at] {
            let reads = |&input: &u32| place(input).is_some_and(|input| depends[input]);
            depends[at] = node.inputs.iter().any(reads);
        }
    }
    let mut wanted = vec![false; nodes.len()];
    for output in outputs {
        if let Some(at) = place(output.index) {
            wanted[at] = depends[at];
        }
    }
    for (at, node) in nodes.iter().enumerate().rev() {
        if wanted[at] {
            for input in node.inputs.iter().filter_map(|&input| place(input)) {
                wanted[input] |= depends[input];
            }
        }
    }
    wanted
}

impl Batching<'_> {
    /// What stands for a node.
    fn of(&self, index: u32) -> InBatch {
        let at = index.checked_sub(self.first);
        let found = at.and_then(|at| *self.found.get(at as usize)?);
        found.unwrap_or((self.tape.var(index), false))
    }

    /// Records a node that depends on an example.
    #[track_caller]
    fn node(&self, index: u32) -> AnyVar {
        let (node, location, derived) = {
            let graph = self.tape.graph("vmap");
            let node = graph.node(index);
            let copied = Copied {
                op: node.op.clone(),
                inputs: SmallVec::from_slice(&node.inputs),
                shape: Shape::clone(&node.shape),
                dtype: node.dtype,
                tracked: node.tracked,
            };
            (copied, node.location, node.derived)
        };
        self.attribution.to(location, derived);
        let inputs: SmallVec<[InBatch; 3]> = node.inputs.iter().map(|&i| self.of(i)).collect();
        let tape = self.tape;
        match &node.op {
            Op::Leaf | Op::Fill(_) => tape.var(index),
            Op::Elementwise(op) => {
                let rank = node.shape.rank();
                let aligned = inputs.iter().map(|&input| aligned(input, rank));
                tape.elementwise(op, &aligned.collect::<SmallVec<[AnyVar; 3]>>())
            }
            Op::View(View::Alias) => self.alias(index, inputs[0].0, node.tracked),
            Op::View(view) => self.view(view, inputs[0].0, &node.shape),
            Op::Reduce(reduction, axes) => {
                let axes = few(axes.iter().map(|axis| axis + 1));
                tape.reduce(*reduction, inputs[0].0, &axes)
            }
            Op::Call(operation) => self.call(operation, &inputs, (node.dtype, &node.shape)),
        }
    }

    /// The start or the end of tracking, and what cotangents go through.
    fn alias(&self, index: u32, input: AnyVar, tracked: bool) -> AnyVar {
        if !tracked {
            return self.tape.untracked(input);
        }
        let alias = self.tape.differentiable(input);
        if let Some(hook) = hook::of(self.tape, index) {
            hook::set(
                self.tape,
                alias.index,
                batched_hook(hook, self.size, self.given),
            );
        }
        alias
    }

    #[track_caller]
    fn view(&self, view: &View, input: AnyVar, shape: &Shape) -> AnyVar {
        let tape = self.tape;
        let whole = shape.with_inserted(0, self.size);
        match view {
            View::Alias => input,
            View::Reshape => reshaped(input, &whole),
            View::Permute(order) => {
                let order = few([0].into_iter().chain(order.iter().map(|axis| axis + 1)));
                tape.permute(input, &order)
            }
            View::Slice { axis, start, step } => {
                let view = View::Slice {
                    axis: axis + 1,
                    start: *start,
                    step: *step,
                };
                tape.view(view, input, &whole)
            }
            View::Expand => {
                let input = aligned((input, true), shape.rank());
                tape.view(View::Expand, input, &whole)
            }
        }
    }

    #[track_caller]
    fn call(
        &self,
        operation: &Called,
        inputs: &[InBatch],
        (dtype, shape): (Dtype, &Shape),
    ) -> AnyVar {
        let (variables, differs): (SmallVec<[AnyVar; 3]>, SmallVec<[bool; 3]>) =
            inputs.iter().copied().unzip();
        let batch = Batch {
            inputs: &variables,
            differs: &differs,
            size: self.size,
            stands: self.given,
        };
        let whole = shape.with_inserted(0, self.size);
        let Some(result) = operation.batched(&batch) else {
            return self.one_by_one(operation, &batch, &whole);
        };
        let given = result.shape();
        assert!(
            given == whole,
            "vmap: the rule of {} for batches gave shape {given}, not {whole}",
            operation.name()
        );
        let given = result.dtype();
        assert!(
            given == dtype,
            "vmap: the rule of {} for batches gave {given}, not {dtype}",
            operation.name()
        );
        result
    }

    /// Records an operation without a rule for batches once for each example.
    #[track_caller]
    fn one_by_one(&self, operation: &Called, batch: &Batch<'_>, whole: &Shape) -> AnyVar {
        let one = |example: usize| {
            let inputs: SmallVec<[AnyVar; 3]> = (0..batch.len())
                .map(|k| {
                    if batch.differs(k) {
                        part(batch.inputs[k], example)
                    } else {
                        batch.inputs[k]
                    }
                })
                .collect();
            self.tape.call(operation.clone(), &inputs)
        };
        let results: Vec<AnyVar> = (0..self.size).map(one).collect();
        let Some(first) = results.first() else {
            // Nothing says what an operation on no example gives but its rule for shapes.
            let shapes: Vec<Shape> = (0..batch.len()).map(|k| batch.example(k)).collect();
            let dtypes = batch.inputs.iter().map(|input| input.dtype());
            let described: Vec<_> = dtypes.zip(&shapes).collect();
            let (dtype, _) = match operation.output(&described) {
                Ok(output) => output,
                Err(message) => panic!("{}: {message}", operation.name()),
            };
            return with_dtype!(dtype, T => {
                self.tape.full(whole, <T as crate::element::Element>::ZERO).erase()
            });
        };
        with_dtype!(first.dtype(), T => {
            let results: Vec<Var<T>> = results.iter().map(|result| result.assume()).collect();
            Var::stack(&results, 0).erase()
        })
    }
}

/// A hook that does to each example of a batch of cotangents what `hook` does to one, which may hold variables of the function in which
/// one example stands for all.
fn batched_hook(hook: Hook, size: usize, stands: &[(AnyVar, AnyVar)]) -> Hook {
    let stands = stands.to_vec();
    Rc::new(move |batch: AnyVar| {
        let recording = Recording::within(batch.tape(), size, &stands);
        let example = recording.example(batch);
        let changed = recording.apply(|| hook(example));
        recording.finish(&[changed])[0]
    })
}

/// An operand as it meets others of a result with `rank` axes for each example: sizes of 1 stand between the axis of the batch and
/// its own, so that broadcasting does not mistake one for the other.
fn aligned((input, differs): InBatch, rank: usize) -> AnyVar {
    let shape = input.shape();
    if !differs || shape.rank() == rank + 1 {
        return input;
    }
    let ones = std::iter::repeat_n(1, rank + 1 - shape.rank());
    let sizes: Shape = shape[..1]
        .iter()
        .copied()
        .chain(ones)
        .chain(shape[1..].iter().copied())
        .collect();
    reshaped(input, &sizes)
}

/// A variable in another shape of the same size.
#[track_caller]
pub(super) fn reshaped(input: AnyVar, shape: &Shape) -> AnyVar {
    if input.shape() == *shape {
        return input;
    }
    input.tape().view(View::Reshape, input, shape)
}

/// One example of a batch.
fn part(batch: AnyVar, example: usize) -> AnyVar {
    let shape = batch.shape();
    let view = View::Slice {
        axis: 0,
        start: example,
        step: 1,
    };
    let slice = batch.tape().view(view, batch, &shape.with_size(0, 1));
    reshaped(slice, &shape.without(0))
}
