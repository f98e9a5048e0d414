//! Gradients of each example as values that take no more memory than the vectors they are products of.

use crate::element::{Element, with_any, with_float};
use crate::param::Param;
use crate::tape::{AnyVar, Tape};
use crate::tensor::{AnyTensor, Tensor, Tensors};
use crate::transform::functional::{ParameterValues, computed};
use smallvec::SmallVec;

/// The gradients of each example of a batch as values: those that are outer products as their two factors, the others whole.
///
/// The gradient of an example, or those of all, are formed when they are asked for. See [`ExampleGradients`](super::ExampleGradients).
#[derive(Clone, Debug)]
pub struct ExampleGradientValues {
    entries: Vec<(u64, String, SmallVec<[AnyTensor; 2]>)>,
    examples: usize,
}

impl ExampleGradientValues {
    /// Of parameters by identity and name, and their gradients, or the factors of them, which were computed.
    pub(super) fn of<'a>(
        named: impl Iterator<Item = ((u64, &'a str), &'a SmallVec<[AnyVar; 2]>)>,
        examples: usize,
    ) -> Self {
        let entries = named.map(|((id, name), factors)| {
            let factors = factors.iter().map(|&v| computed(v));
            (id, name.to_owned(), factors.collect())
        });
        ExampleGradientValues {
            entries: entries.collect(),
            examples,
        }
    }

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
        let row = |t: &AnyTensor| {
            with_any!(t, t => {
                // A factor that all examples share.
                let at = if t.shape()[0] == 1 { 0 } else { example };
                Element::erase::<Tensors>(t.row(at))
            })
        };
        self.formed(|factors| factors.iter().map(row).collect())
    }

    /// The gradients of all examples for all parameters, every number of them: for a parameter of shape `[w..]` a tensor of shape
    /// `[batch, w..]`.
    pub fn whole(&self) -> ParameterValues {
        self.formed(|factors| factors.iter().cloned().collect())
    }

    /// Products of what is made of the factors.
    fn formed(&self, of: impl Fn(&[AnyTensor]) -> SmallVec<[AnyTensor; 2]>) -> ParameterValues {
        let tape = Tape::new();
        let entries = self
            .entries
            .iter()
            .map(|(id, name, factors)| (*id, name.clone(), product(&tape, &of(factors))));
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
