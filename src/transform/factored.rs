//! Gradients of each example as values that take no more memory than the vectors they are products of.

use super::functional::{ParameterValues, Parameters, computed};
use super::per_example::of_examples;
use crate::element::{Element, with_any, with_float};
use crate::op;
use crate::param::Param;
use crate::program::Fetch;
use crate::tape::{AnyVar, Tape, TapeRef};
use crate::tensor::{AnyTensor, Tensor, Tensors};
use smallvec::{SmallVec, smallvec};

/// What [`Parameters::factored`] gives: variables to ask for. Their values are [`ExampleGradients`].
#[derive(Clone, Debug)]
pub struct Factored {
    parameters: Parameters,
    /// For each parameter its gradient, or the two factors of it.
    factors: Vec<SmallVec<[AnyVar; 2]>>,
    examples: usize,
}

/// The gradients of each example as values: those that are outer products as their two factors, the others whole.
///
/// The gradients of 128 examples of a network 784-512-512-10 are 343 MB of numbers, and 2 MB of factors. A gradient is formed when it
/// is asked for.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::per_example_gradients;
/// let model = Linear::new(300, 200, &mut wengert::rng(0));
/// let tape = Tape::new();
/// let x = tape.constant(&Tensor::uniform([16, 300], -1.0, 1.0, &mut wengert::rng(1)));
/// let loss = |x: Var| model.forward(x.unsqueeze(0)).square().sum();
/// let (_, gradients) = per_example_gradients(&model, loss, x);
/// let (whole, kept) = tape.run((gradients.clone(), gradients.factored()));
/// let weight = whole.get(&model.weight).unwrap();
/// assert!(kept.bytes() < weight.len() * 4 / 50);
/// // The same numbers: of one example, or of all.
/// assert_eq!(kept.example(3).get(&model.weight).unwrap(), &weight.row(3));
/// assert_eq!(&kept.get(&model.weight).unwrap(), weight);
/// ```
#[derive(Clone, Debug)]
pub struct ExampleGradients {
    entries: Vec<(u64, String, SmallVec<[AnyTensor; 2]>)>,
    examples: usize,
}

impl Parameters {
    /// The gradients of each example, of what [`per_example_gradients`](super::per_example_gradients) gave, to ask a tape for
    /// without forming those that are outer products: see [`ExampleGradients`].
    ///
    /// # Panics
    /// If a parameter is not of a type that has derivatives, or has no axis of examples; if they are of different numbers of
    /// examples; if there are no parameters.
    #[track_caller]
    pub fn factored(&self) -> Factored {
        let mut examples = None;
        let mut factors = Vec::new();
        for (name, g) in self.iter() {
            let dtype = g.dtype();
            assert!(
                dtype.is_float(),
                "factored: {name} is {dtype}, which has no derivative"
            );
            with_float!(dtype, T => {
                let g = of_examples::<T>("factored", name, g);
                let count = g.shape()[0];
                let first = *examples.get_or_insert(count);
                assert!(
                    count == first,
                    "factored: {name} has gradients of {count} examples, and others have {first}"
                );
                factors.push(match op::outer_factors(g) {
                    Some([a, b]) => smallvec![a.erase(), b.erase()],
                    None => smallvec![g.erase()],
                });
            });
        }
        let Some(examples) = examples else {
            panic!("factored: there are no parameters");
        };
        Factored {
            parameters: self.clone(),
            factors,
            examples,
        }
    }
}

impl Fetch for Factored {
    type Values = ExampleGradients;
    fn indices(&self, visit: &mut dyn FnMut(TapeRef, u32)) {
        let all = self.factors.iter().flatten();
        all.for_each(|v| visit(v.tape, v.index));
    }
    fn values(&self) -> ExampleGradients {
        let values =
            |factors: &SmallVec<[AnyVar; 2]>| factors.iter().map(|&v| computed(v)).collect();
        let entries = self.parameters.named().zip(&self.factors);
        ExampleGradients {
            entries: entries
                .map(|((id, name), factors)| (id, name.to_owned(), values(factors)))
                .collect(),
            examples: self.examples,
        }
    }
}

impl ExampleGradients {
    /// The number of examples.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// How many bytes the elements of what is kept take.
    pub fn bytes(&self) -> usize {
        let all = self.entries.iter().flat_map(|(.., factors)| factors);
        all.map(|t| t.dtype().size() * with_any!(t, t => t.len()))
            .sum()
    }

    /// The gradients of one example: a tensor of the shape of each parameter.
    ///
    /// # Panics
    /// If there is no such example.
    #[track_caller]
    pub fn example(&self, example: usize) -> ParameterValues {
        assert!(
            example < self.examples,
            "example: {example} is out of range for {} examples",
            self.examples
        );
        let tape = Tape::new();
        let row = |t: &AnyTensor| {
            with_any!(t, t => {
                // A factor that all examples share.
                let at = if t.shape()[0] == 1 { 0 } else { example };
                Element::erase::<Tensors>(t.row(at))
            })
        };
        let entries = self.entries.iter().map(|(id, name, factors)| {
            let rows: SmallVec<[AnyTensor; 2]> = factors.iter().map(row).collect();
            (*id, name.clone(), product(&tape, &rows))
        });
        ParameterValues::of(entries.collect())
    }

    /// The gradients of all examples for a parameter, of shape `[batch, w..]` for one of shape `[w..]`; `None` if it is not trainable
    /// or not of the model.
    pub fn get<T: Element>(&self, param: &Param<T>) -> Option<Tensor<T>> {
        let (.., factors) = self.entries.iter().find(|(id, ..)| *id == param.id())?;
        T::restore::<Tensors>(product(&Tape::new(), factors))
    }
}

/// The one tensor, or the product of two.
fn product(tape: &Tape, factors: &[AnyTensor]) -> AnyTensor {
    let [a, b] = factors else {
        return factors[0].clone();
    };
    with_float!(a.dtype(), T => {
        let [a, b] = [a, b].map(|t| T::peek::<Tensors>(t).map(|t| tape.constant(t)));
        match (a, b) {
            (Some(a), Some(b)) => T::erase::<Tensors>((a * b).value()),
            _ => unreachable!("factors are of one type"),
        }
    })
}
