//! Batches whose function is being recorded for one example: what stands for the examples, and what is there of them.

use super::forward::Several;
use super::vectorize::{reshaped, vectorize};
use super::vmap::finish;
use crate::element::Float;
use crate::op;
use crate::program::Fetch;
use crate::shape::Shape;
use crate::tape::{AnyVar, Examples, Placeholder, TapeRef, View};
use crate::tensor::Tensor;
use std::panic::Location;

/// A function that is being recorded for one example, until it is finished or dropped.
pub(super) struct Recording {
    tape: TapeRef,
    /// How many such functions there are around it.
    depth: usize,
}

impl Recording {
    /// From here on variables stand for an example of a batch of `size`.
    #[track_caller]
    pub fn new(tape: TapeRef, size: usize) -> Self {
        Recording::within(tape, size, &[])
    }

    /// Of a function that may hold variables of another one, in which these stand for an example of the same batch.
    #[track_caller]
    pub fn within(tape: TapeRef, size: usize, stands: &[(AnyVar, AnyVar)]) -> Self {
        let scope = tape.scopes();
        let mut graph = tape.graph_mut("vmap");
        let depth = graph.batches.len();
        graph.batches.push(Examples {
            size,
            pairs: stands.to_vec(),
            key: (scope, false),
        });
        Recording { tape, depth }
    }

    /// What stands for one example of a batch along the first axis.
    #[track_caller]
    pub fn example(&self, batch: AnyVar) -> AnyVar {
        example(self.tape, self.depth, batch)
    }

    /// Calls a function for one example, with a key of its own for random numbers.
    #[track_caller]
    pub fn apply<R>(&self, f: impl FnOnce() -> R) -> R {
        let location = Location::caller();
        let f = || {
            let result = f();
            let _line = self.tape.attribute_to(location);
            pair_keys(self.tape, self.depth);
            result
        };
        self.tape.standing(&Placeholder::Example, f).0
    }

    /// The results for all examples, with the axis of the batch first.
    #[track_caller]
    pub fn finish(self, outputs: &[AnyVar]) -> Several {
        let tape = self.tape;
        let batch = tape.graph("vmap").batches[self.depth].clone();
        drop(self);
        finish(tape, batch.size, &batch.pairs, outputs)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Some(arena) = self.tape.live() {
            arena.graph.borrow_mut().batches.truncate(self.depth);
        }
    }
}

/// If the function for one example has drawn random numbers: what stands for the key of an example, and the keys of all.
#[track_caller]
fn pair_keys(tape: TapeRef, depth: usize) {
    let (size, (scope, known)) = {
        let batch = &tape.graph("vmap").batches[depth];
        (batch.size, batch.key)
    };
    let Some(key) = tape.standing_key(scope).filter(|_| !known) else {
        return;
    };
    let keys = tape.outside_of(scope, || op::keys(tape, size));
    let batch = &mut tape.graph_mut("vmap").batches[depth];
    batch.pairs.push((key, keys));
    batch.key.1 = true;
}

#[track_caller]
fn example(tape: TapeRef, depth: usize, batch: AnyVar) -> AnyVar {
    let shape = batch.shape().without(0);
    let stands = tape.placeholder(&Placeholder::Example, batch.dtype(), &shape);
    let mut graph = tape.graph_mut("vmap");
    graph.batches[depth].pairs.push((stands, batch));
    stands
}

/// Variables of functions that are being recorded for one example, as they are for all examples.
pub(super) struct AllExamples {
    tape: TapeRef,
    /// The batches that one of the variables depends on, outermost first: their place among all, and their size.
    batches: Vec<(usize, usize)>,
    /// Each variable, and whether it has an axis more, in front: that of all examples of all batches.
    pub variables: Vec<(AnyVar, bool)>,
}

impl AllExamples {
    /// Records variables once more, for all examples.
    #[track_caller]
    pub fn of(tape: TapeRef, variables: &[AnyVar]) -> Self {
        let _line = tape.attribute_to(Location::caller());
        let depth = tape.graph("vmap").batches.len();
        (0..depth).for_each(|depth| pair_keys(tape, depth));
        let around = tape.graph("vmap").batches.clone();
        let mut batches = Vec::new();
        let mut all = variables.to_vec();
        let mut differs = vec![false; all.len()];
        for (depth, batch) in around.iter().enumerate().rev() {
            let found = vectorize(tape, batch.size, &batch.pairs, &all);
            if !found.iter().any(|(_, differs)| *differs) {
                continue;
            }
            batches.insert(0, (depth, batch.size));
            for (k, (found, here)) in found.into_iter().enumerate() {
                differs[k] |= here;
                let whole = found.shape();
                all[k] = match here {
                    true => found,
                    false => tape.view(View::Expand, found, &whole.with_inserted(0, batch.size)),
                };
            }
        }
        let count = batches.iter().map(|(_, size)| size).product();
        let one = |(k, &variable): (usize, &AnyVar)| match differs[k] {
            false => (variable, false),
            true => {
                let whole = variable.shape().with_inserted(0, count);
                (reshaped(all[k], &whole), true)
            }
        };
        let variables = variables.iter().enumerate().map(one).collect();
        AllExamples {
            tape,
            batches,
            variables,
        }
    }

    /// How many examples there are; `None` if no variable depends on one.
    pub fn count(&self) -> Option<usize> {
        let sizes = self.batches.iter().map(|(_, size)| size);
        (!self.batches.is_empty()).then(|| sizes.product())
    }

    /// Computes the variables.
    #[track_caller]
    pub fn run(&self) {
        self.tape.run(Computed(&self.variables));
    }

    /// Names an example: by its number in each batch.
    pub fn name(&self, example: usize) -> String {
        let mut rest = example;
        let mut numbers = Vec::new();
        for (_, size) in self.batches.iter().rev() {
            numbers.insert(0, (rest % size).to_string());
            rest /= size;
        }
        match &numbers[..] {
            [one] => format!("example {one}"),
            several => format!("example [{}]", several.join(", ")),
        }
    }

    /// A value for every example, along the first axis, as a variable of the function for one.
    #[track_caller]
    pub fn given<T: Float>(&self, value: &Tensor<T>) -> AnyVar {
        let all = self.tape.constant(value).erase();
        if self.batches.is_empty() {
            return all;
        }
        let example_shape = all.shape().without(0);
        let sizes = self.batches.iter().map(|(_, size)| *size);
        let whole: Shape = sizes.chain(example_shape.iter().copied()).collect();
        let mut stands = reshaped(all, &whole);
        for (depth, _) in &self.batches {
            stands = example(self.tape, *depth, stands);
        }
        stands
    }
}

/// Computes variables whose types are not known.
struct Computed<'a>(&'a [(AnyVar, bool)]);

impl Fetch for Computed<'_> {
    type Values = ();
    fn indices(&self, visit: &mut dyn FnMut(TapeRef, u32)) {
        self.0.iter().for_each(|(v, _)| visit(v.tape(), v.index));
    }
    fn values(&self) {}
}
