//! What an operation is told when it is to be applied to every example of a batch at once.

use super::node::View;
use super::var::{AnyVar, Var};
use crate::element::Element;
use crate::shape::Shape;

/// The inputs of an operation that is applied to a batch: see [`Operation::batched`](super::Operation::batched).
///
/// An input that differs from example to example has one axis more than the operation knows: the first, of the size of the
/// batch. One that is the same for all examples is as it was.
#[derive(Debug)]
pub struct Batch<'a> {
    pub(crate) inputs: &'a [AnyVar],
    /// Whether each of the inputs has the axis of the batch.
    pub(crate) differs: &'a [bool],
    pub(crate) size: usize,
}

impl Batch<'_> {
    /// The number of examples.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The number of inputs.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether there are no inputs.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Whether input `k` differs from example to example: then its first axis is that of the batch.
    pub fn differs(&self, k: usize) -> bool {
        self.differs[k]
    }

    /// Input `k` as it is.
    ///
    /// # Panics
    /// If its elements are not of type `T`.
    pub fn input<T: Element>(&self, k: usize) -> Var<T> {
        self.inputs[k].typed()
    }

    /// Input `k`, in any case with the axis of the batch: one that is the same for all examples is repeated, without a copy.
    ///
    /// # Panics
    /// If its elements are not of type `T`.
    pub fn repeated<T: Element>(&self, k: usize) -> Var<T> {
        self.whole(k).typed()
    }

    /// The shape of input `k` for one example.
    pub fn example(&self, k: usize) -> Shape {
        let shape = self.inputs[k].shape();
        if self.differs[k] {
            shape.without(0)
        } else {
            shape
        }
    }

    /// As [`repeated`](Batch::repeated), of any element type.
    pub(crate) fn whole(&self, k: usize) -> AnyVar {
        let input = self.inputs[k];
        if self.differs[k] {
            return input;
        }
        let shape = input.shape().with_inserted(0, self.size);
        input.tape.view(View::Expand, input, &shape)
    }

    /// All inputs with the axis of the batch.
    pub(crate) fn all(&self) -> Vec<AnyVar> {
        (0..self.inputs.len()).map(|k| self.whole(k)).collect()
    }
}
