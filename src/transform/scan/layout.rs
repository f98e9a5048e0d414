//! What a loop reads and makes, and where the parts of it lie.

use crate::element::{Dtype, Element, Float, Slice, with_dtype};
use crate::program::{Compiled, Scratch};
use crate::shape::Shape;
use crate::tape::{AnyVar, Input, Placeholder, TapeRef};
use crate::tensor::{AnyStorage, Storage, Storages, Tensors};
use smallvec::SmallVec;
use std::sync::Arc;

/// Inputs and result of a loop.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Types and shapes of what a step reads: the state, the element of the sequence, and what comes from outside.
    pub described: [Vec<(Dtype, Shape)>; 3],
    /// Elements of each part of a row of the result: of the new state and of results one after another.
    pub blocks: Vec<usize>,
    /// Elements of a row.
    pub width: usize,
    pub steps: usize,
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

impl Layout {
    pub fn new(variables: [&[AnyVar]; 3], blocks: Vec<usize>, steps: usize) -> Self {
        let described = variables.map(|all| {
            all.iter()
                .map(|v| (v.dtype(), v.shape()))
                .collect::<Vec<_>>()
        });
        Layout {
            described,
            width: blocks.iter().sum(),
            blocks,
            steps,
        }
    }

    /// What stands for the inputs of a step.
    pub fn standing(&self, tape: TapeRef) -> [Vec<AnyVar>; 3] {
        let stand =
            |(dtype, shape): &(Dtype, Shape)| tape.placeholder(&Placeholder::Step, *dtype, shape);
        [0, 1, 2].map(|kind| self.described[kind].iter().map(stand).collect())
    }

    /// The number of elements of each part of a kind that has derivatives.
    pub fn sizes(&self, kind: usize) -> Vec<usize> {
        let described = self.described[kind].iter();
        let floats = described.filter(|(dtype, _)| dtype.is_float());
        floats.map(|(_, shape)| shape.size()).collect()
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
    pub fn inputs(&self) -> impl Iterator<Item = (Dtype, Shape)> {
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
