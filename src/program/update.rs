//! Updates: vectors that are overwritten with functions of themselves, recorded once and compiled to one pass.

use super::lower;
use super::plan::{Form, Given, Place, Plan, Step, Work};
use crate::element::{AnyNumber, Float, Slices, SlicesMut};
use crate::kernel::memory::Memory;
use crate::kernel::script::{self, Script};
use crate::shape::Shape;
use crate::tape::{Op, Tape, Var};
use smallvec::SmallVec;

/// What is recorded of an update: the new value of each vector that is overwritten, in their order.
pub type Overwriting<T> = SmallVec<[Var<T>; 4]>;

/// One pass that overwrites vectors of equal length. Numbers are given anew at each run.
#[derive(Debug)]
pub(crate) struct Update {
    script: Script,
    memory: Memory,
    /// The numbers that were recorded.
    constants: SmallVec<[AnyNumber; 2]>,
    /// The vector that each output of the pass is.
    writes: SmallVec<[usize; 4]>,
}

impl Update {
    /// Compiles what `record` records, given so many vectors of `len` elements that are overwritten, others that are only read, and
    /// numbers.
    ///
    /// # Panics
    /// If the vectors are empty, or what is recorded is not an elementwise function that can overwrite its operands in one pass.
    pub fn record<T: Float>(
        len: usize,
        vectors: usize,
        others: usize,
        numbers: usize,
        record: impl FnOnce(&[Var<T>], &[Var<T>], &[Var<T>]) -> Overwriting<T>,
    ) -> Self {
        let tape = Tape::inference();
        let awaited = |count: usize, shape: &Shape| -> SmallVec<[Var<T>; 16]> {
            (0..count).map(|_| tape.awaited(shape)).collect()
        };
        let vector = Shape::from([len]);
        let read = (
            awaited(vectors, &vector),
            awaited(others, &vector),
            awaited(numbers, &Shape::scalar()),
        );
        let written = record(&read.0, &read.1, &read.2);
        assert_eq!(written.len(), vectors, "an update of each vector");
        let position = |variables: &[Var<T>], node: u32| {
            let at = variables.iter().position(|v| v.index == node);
            at.expect("a variable of the update")
        };
        let arena = tape.arena("update");
        let graph = arena.graph.borrow();
        let leaf = |node: &u32| matches!(graph.nodes[*node as usize].op, Op::Leaf);
        let needed: Vec<u32> = (0..graph.nodes.len() as u32).filter(|n| !leaf(n)).collect();
        let kept = |node: u32| written.iter().any(|v| v.index == node);
        let Plan {
            mut steps,
            inputs,
            fetched,
            ..
        } = lower::plan(&graph, &needed, kept, Form::InPlace);
        let (
            1,
            Some(Step {
                work: Work::Pass(pass),
                reads,
                writes,
                ..
            }),
        ) = (steps.len(), steps.pop())
        else {
            panic!("an update that is not one pass");
        };
        let writes: SmallVec<[usize; 4]> = writes
            .iter()
            .map(|place| {
                let fetched = fetched.iter().find(|fetched| fetched.place == *place);
                position(&written, fetched.expect("an output that is kept").node)
            })
            .collect();
        // Outside of the run lie the others, all numbers together, each number that was recorded, and what is overwritten.
        let mut constants: SmallVec<[AnyNumber; 2]> = SmallVec::new();
        let mut overwritten: SmallVec<[Option<u16>; 16]> = SmallVec::new();
        let mut places: SmallVec<[Option<script::Place>; 16]> = SmallVec::new();
        for (input, place) in reads.iter().enumerate() {
            let Place::Input(given) = place else {
                panic!("an update that is not one pass");
            };
            // Nothing was recorded before the vectors, the others, and the numbers, in this order.
            let node = match inputs[*given as usize] {
                Given::Value(node) => node as usize,
                Given::Number(node) => {
                    let Op::Fill(number) = graph.nodes[node as usize].op else {
                        unreachable!("a number")
                    };
                    let number_at = others + 1 + constants.len();
                    constants.push(number);
                    overwritten.push(None);
                    places.push(Some(script::Place::Outside(number_at, T::DTYPE)));
                    continue;
                }
            };
            let output = (node < vectors).then(|| {
                let output = writes.iter().position(|&vector| vector == node);
                let output = output.expect("an update of each vector");
                assert!(
                    pass.overwrites().contains(&(output, input)),
                    "an update that reads what it has overwritten"
                );
                output as u16
            });
            overwritten.push(output);
            places.push(output.is_none().then(|| match node - vectors {
                other if other < others => script::Place::Outside(other, T::DTYPE),
                number => script::Place::Element(others, T::DTYPE, number - others),
            }));
        }
        let only_read = others + 1 + constants.len();
        let mut script = Script::new(0, 0, only_read + writes.len());
        let written = |output: usize| script::Place::Outside(only_read + output, T::DTYPE);
        let places: SmallVec<[script::Place; 16]> = places
            .iter()
            .zip(&overwritten)
            .map(|(place, output)| {
                place.unwrap_or_else(|| written(usize::from(output.unwrap_or_default())))
            })
            .collect();
        let outputs: SmallVec<[script::Place; 4]> = (0..writes.len()).map(written).collect();
        script.pass(&pass, &places, &overwritten, &outputs, 0..0);
        Update {
            script,
            memory: Memory::default(),
            constants,
            writes,
        }
    }

    /// Runs the update; `vectors` are empty afterwards.
    ///
    /// # Panics
    /// If vectors and numbers are not as many, or not as long, as was recorded.
    pub fn run<T: Float>(&mut self, vectors: &mut [&mut [T]], others: &[&[T]], numbers: &[T]) {
        // There is room after the first time.
        if let Err(error) = self.script.reserve(&mut self.memory) {
            panic!("{error}");
        }
        let mut lending = self.script.lend(&mut self.memory);
        for other in others {
            lending.read(T::erase::<Slices<'_>>(other));
        }
        lending.read(T::erase::<Slices<'_>>(numbers));
        for number in &self.constants {
            lending.read(number.as_slice());
        }
        for &vector in &self.writes {
            let vector = std::mem::take(&mut vectors[vector]);
            lending.write(T::erase::<SlicesMut<'_>>(vector));
        }
        lending.frame().run(0);
    }
}

impl Clone for Update {
    fn clone(&self) -> Self {
        Update {
            script: self.script.clone(),
            memory: Memory::default(),
            constants: self.constants.clone(),
            writes: self.writes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::smallvec;

    /// `a = a b + x`, `b = b + 2`, with the former `a` and `b`.
    fn recorded(len: usize) -> Update {
        Update::record::<f64>(len, 2, 1, 1, |vectors, others, numbers| {
            let (a, b) = (vectors[0], vectors[1]);
            let sum = a * b + numbers[0] * others[0];
            // The other way round `b` would be overwritten before it is read.
            smallvec![sum, b + sum * 0.0 + 2.0]
        })
    }

    #[test]
    fn vectors_of_any_length_are_overwritten() {
        for len in [1, 2, 3, 511, 512, 513, 100_000] {
            let mut update = recorded(len);
            let mut a: Vec<f64> = (0..len).map(|i| i as f64).collect();
            let mut b = vec![3.0; len];
            let x = vec![0.5; len];
            for factor in [2.0, 4.0] {
                update.run(&mut [&mut a, &mut b], &[&x], &[factor]);
            }
            // (3 i + 1) 5 + 2
            assert!(
                a.iter()
                    .enumerate()
                    .all(|(i, &a)| a == 15.0 * i as f64 + 7.0)
            );
            assert!(b.iter().all(|&b| b == 7.0));
        }
    }

    #[test]
    #[should_panic(expected = "an update that reads what it has overwritten")]
    fn what_is_read_later_is_not_overwritten() {
        Update::record::<f32>(4, 2, 0, 0, |vectors, _, _| {
            let (a, b) = (vectors[0], vectors[1]);
            let first = a + b;
            // `a` is read again once `first` is there.
            smallvec![first, first * a + b]
        });
    }

    #[test]
    #[should_panic(expected = "an update that is not one pass")]
    fn reductions_are_no_updates() {
        Update::record::<f32>(40_000, 1, 0, 0, |vectors, _, _| {
            smallvec![vectors[0] - vectors[0].sum()]
        });
    }
}
