//! What an operation is told when it is to be applied to every example of a batch at once.

use super::node::View;
use super::var::{AnyVar, Var};
use crate::element::Element;
use crate::shape::Shape;

/// The inputs of an operation that is applied to a batch: see [`Operation::batched`](super::Operation::batched).
///
/// An input that differs from example to example has one axis more than the operation knows: the first, of the size of the
/// batch. One that is the same for all examples is as it was.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::vmap;
/// use wengert::{AnyVar, Batch, Input, Operation, Output};
///
/// /// The first input times the sum of the second.
/// #[derive(Debug)]
/// struct Scaled;
/// impl Operation for Scaled {
///     fn name(&self) -> &'static str {
///         "scaled"
///     }
///     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
///         Ok((inputs[0].0, inputs[0].1.clone()))
///     }
///     fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
///         let y = output.elements::<f64>();
///         inputs[0].copy_to(y);
///         let sum: f64 = inputs[1].elements::<f64>().iter().sum();
///         y.iter_mut().for_each(|y| *y *= sum);
///         Ok(())
///     }
///     fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
///         assert_eq!((batch.len(), batch.size()), (2, 3));
///         assert!(!batch.is_empty());
///         if !batch.differs(1) {
///             // One factor for all examples: the operation knows any shape.
///             let x = batch.repeated::<f64>(0);
///             return Some(x.tape().record(Scaled, &[x.erase(), batch.input::<f64>(1).erase()]));
///         }
///         // A factor for each example, as other operations.
///         assert_eq!(batch.example(1), Shape::from([2]));
///         let factor = batch.input::<f64>(1).sum_axes(1);
///         Some((batch.repeated::<f64>(0) * factor.unsqueeze(1)).erase())
///     }
/// }
///
/// let scaled = |x: Var<f64>, by: Var<f64>| {
///     x.tape().record(Scaled, &[x.erase(), by.erase()]).typed::<f64>()
/// };
/// let tape = Tape::inference();
/// let xs = tape.constant(&Tensor::from([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]]));
/// let by = tape.constant(&Tensor::from([4.0, 6.0]));
/// let shared = vmap(|x| scaled(x, by), xs);
/// assert_eq!(shared.value(), Tensor::from([[10.0, 0.0], [0.0, 20.0], [30.0, 30.0]]));
/// let each = vmap(|x| scaled(by, x), xs);
/// assert_eq!(each.value(), Tensor::from([[4.0, 6.0], [8.0, 12.0], [24.0, 36.0]]));
/// ```
#[derive(Debug)]
pub struct Batch<'a> {
    pub(crate) inputs: &'a [AnyVar],
    /// Whether each of the inputs has the axis of the batch.
    pub(crate) differs: &'a [bool],
    pub(crate) size: usize,
    /// What stands for one example in the function that is applied to all of them, and all of them: for closures that hold variables
    /// of that function.
    pub(crate) stands: &'a [(AnyVar, AnyVar)],
}

impl Batch<'_> {
    /// The number of examples.
    ///
    /// ```
    /// # use wengert::prelude::*;
    /// # use wengert::transform::vmap;
    /// # use wengert::{AnyVar, Batch, Input, Operation, Output};
    /// # #[derive(Debug)]
    /// # struct Sum;
    /// # impl Operation for Sum {
    /// #     fn name(&self) -> &'static str { "sum" }
    /// #     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
    /// #         Ok((inputs[0].0, inputs[0].1.clone()))
    /// #     }
    /// #     fn forward(&self, _: &[Input<'_>], _: Output<'_>) -> Result<(), String> {
    /// #         unreachable!("only its rule for batches is asked")
    /// #     }
    /// // In the implementation of an operation of two inputs, `a + b`.
    /// fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
    ///     assert_eq!(batch.size(), 3);
    ///     Some((batch.repeated::<f64>(0) + batch.repeated::<f64>(1)).erase())
    /// }
    /// # }
    /// # let tape = Tape::inference();
    /// let b = tape.constant(&Tensor::from([10.0, 20.0]));
    /// let xs = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    /// let y = vmap(|x| tape.record(Sum, &[x.erase(), b.erase()]).typed::<f64>(), xs);
    /// assert_eq!(y.value(), Tensor::from([[11.0, 22.0], [13.0, 24.0], [15.0, 26.0]]));
    /// ```
    pub fn size(&self) -> usize {
        self.size
    }

    /// The number of inputs.
    ///
    /// ```
    /// # use wengert::prelude::*;
    /// # use wengert::transform::vmap;
    /// # use wengert::{AnyVar, Batch, Input, Operation, Output};
    /// # #[derive(Debug)]
    /// # struct Sum;
    /// # impl Operation for Sum {
    /// #     fn name(&self) -> &'static str { "sum" }
    /// #     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
    /// #         Ok((inputs[0].0, inputs[0].1.clone()))
    /// #     }
    /// #     fn forward(&self, _: &[Input<'_>], _: Output<'_>) -> Result<(), String> {
    /// #         unreachable!("only its rule for batches is asked")
    /// #     }
    /// // In the implementation of an operation of two inputs, `a + b`.
    /// fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
    ///     assert_eq!(batch.len(), 2);
    ///     Some((batch.repeated::<f64>(0) + batch.repeated::<f64>(1)).erase())
    /// }
    /// # }
    /// # let tape = Tape::inference();
    /// let b = tape.constant(&Tensor::from([10.0, 20.0]));
    /// let xs = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    /// let y = vmap(|x| tape.record(Sum, &[x.erase(), b.erase()]).typed::<f64>(), xs);
    /// assert_eq!(y.value(), Tensor::from([[11.0, 22.0], [13.0, 24.0], [15.0, 26.0]]));
    /// ```
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether there are no inputs.
    ///
    /// ```
    /// # use wengert::prelude::*;
    /// # use wengert::transform::vmap;
    /// # use wengert::{AnyVar, Batch, Input, Operation, Output};
    /// # #[derive(Debug)]
    /// # struct Sum;
    /// # impl Operation for Sum {
    /// #     fn name(&self) -> &'static str { "sum" }
    /// #     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
    /// #         Ok((inputs[0].0, inputs[0].1.clone()))
    /// #     }
    /// #     fn forward(&self, _: &[Input<'_>], _: Output<'_>) -> Result<(), String> {
    /// #         unreachable!("only its rule for batches is asked")
    /// #     }
    /// // In the implementation of an operation of two inputs, `a + b`.
    /// fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
    ///     assert!(!batch.is_empty());
    ///     Some((batch.repeated::<f64>(0) + batch.repeated::<f64>(1)).erase())
    /// }
    /// # }
    /// # let tape = Tape::inference();
    /// let b = tape.constant(&Tensor::from([10.0, 20.0]));
    /// let xs = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    /// let y = vmap(|x| tape.record(Sum, &[x.erase(), b.erase()]).typed::<f64>(), xs);
    /// assert_eq!(y.value(), Tensor::from([[11.0, 22.0], [13.0, 24.0], [15.0, 26.0]]));
    /// ```
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Whether input `k` differs from example to example: then its first axis is that of the batch.
    ///
    /// ```
    /// # use wengert::prelude::*;
    /// # use wengert::transform::vmap;
    /// # use wengert::{AnyVar, Batch, Input, Operation, Output};
    /// # #[derive(Debug)]
    /// # struct Sum;
    /// # impl Operation for Sum {
    /// #     fn name(&self) -> &'static str { "sum" }
    /// #     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
    /// #         Ok((inputs[0].0, inputs[0].1.clone()))
    /// #     }
    /// #     fn forward(&self, _: &[Input<'_>], _: Output<'_>) -> Result<(), String> {
    /// #         unreachable!("only its rule for batches is asked")
    /// #     }
    /// // In the implementation of an operation of two inputs, `a + b`.
    /// fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
    ///     assert!(batch.differs(0) && !batch.differs(1));
    ///     Some((batch.repeated::<f64>(0) + batch.repeated::<f64>(1)).erase())
    /// }
    /// # }
    /// # let tape = Tape::inference();
    /// let b = tape.constant(&Tensor::from([10.0, 20.0]));
    /// let xs = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    /// let y = vmap(|x| tape.record(Sum, &[x.erase(), b.erase()]).typed::<f64>(), xs);
    /// assert_eq!(y.value(), Tensor::from([[11.0, 22.0], [13.0, 24.0], [15.0, 26.0]]));
    /// ```
    pub fn differs(&self, k: usize) -> bool {
        self.differs[k]
    }

    /// Input `k` as it is.
    ///
    /// ```
    /// # use wengert::prelude::*;
    /// # use wengert::transform::vmap;
    /// # use wengert::{AnyVar, Batch, Input, Operation, Output};
    /// # #[derive(Debug)]
    /// # struct Sum;
    /// # impl Operation for Sum {
    /// #     fn name(&self) -> &'static str { "sum" }
    /// #     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
    /// #         Ok((inputs[0].0, inputs[0].1.clone()))
    /// #     }
    /// #     fn forward(&self, _: &[Input<'_>], _: Output<'_>) -> Result<(), String> {
    /// #         unreachable!("only its rule for batches is asked")
    /// #     }
    /// // In the implementation of an operation of two inputs, `a + b`.
    /// fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
    ///     assert_eq!(batch.input::<f64>(0).shape(), Shape::from([3, 2]));
    ///     assert_eq!(batch.input::<f64>(1).shape(), Shape::from([2]));
    ///     Some((batch.repeated::<f64>(0) + batch.repeated::<f64>(1)).erase())
    /// }
    /// # }
    /// # let tape = Tape::inference();
    /// let b = tape.constant(&Tensor::from([10.0, 20.0]));
    /// let xs = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    /// let y = vmap(|x| tape.record(Sum, &[x.erase(), b.erase()]).typed::<f64>(), xs);
    /// assert_eq!(y.value(), Tensor::from([[11.0, 22.0], [13.0, 24.0], [15.0, 26.0]]));
    /// ```
    ///
    /// # Panics
    /// If its elements are not of type `T`.
    pub fn input<T: Element>(&self, k: usize) -> Var<T> {
        self.inputs[k].typed()
    }

    /// Input `k`, in any case with the axis of the batch: one that is the same for all examples is repeated, without a copy.
    ///
    /// ```
    /// # use wengert::prelude::*;
    /// # use wengert::transform::vmap;
    /// # use wengert::{AnyVar, Batch, Input, Operation, Output};
    /// # #[derive(Debug)]
    /// # struct Sum;
    /// # impl Operation for Sum {
    /// #     fn name(&self) -> &'static str { "sum" }
    /// #     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
    /// #         Ok((inputs[0].0, inputs[0].1.clone()))
    /// #     }
    /// #     fn forward(&self, _: &[Input<'_>], _: Output<'_>) -> Result<(), String> {
    /// #         unreachable!("only its rule for batches is asked")
    /// #     }
    /// // In the implementation of an operation of two inputs, `a + b`.
    /// fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
    ///     assert_eq!(batch.repeated::<f64>(1).shape(), Shape::from([3, 2]));
    ///     Some((batch.repeated::<f64>(0) + batch.repeated::<f64>(1)).erase())
    /// }
    /// # }
    /// # let tape = Tape::inference();
    /// let b = tape.constant(&Tensor::from([10.0, 20.0]));
    /// let xs = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    /// let y = vmap(|x| tape.record(Sum, &[x.erase(), b.erase()]).typed::<f64>(), xs);
    /// assert_eq!(y.value(), Tensor::from([[11.0, 22.0], [13.0, 24.0], [15.0, 26.0]]));
    /// ```
    ///
    /// # Panics
    /// If its elements are not of type `T`.
    pub fn repeated<T: Element>(&self, k: usize) -> Var<T> {
        self.whole(k).typed()
    }

    /// The shape of input `k` for one example.
    ///
    /// ```
    /// # use wengert::prelude::*;
    /// # use wengert::transform::vmap;
    /// # use wengert::{AnyVar, Batch, Input, Operation, Output};
    /// # #[derive(Debug)]
    /// # struct Sum;
    /// # impl Operation for Sum {
    /// #     fn name(&self) -> &'static str { "sum" }
    /// #     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
    /// #         Ok((inputs[0].0, inputs[0].1.clone()))
    /// #     }
    /// #     fn forward(&self, _: &[Input<'_>], _: Output<'_>) -> Result<(), String> {
    /// #         unreachable!("only its rule for batches is asked")
    /// #     }
    /// // In the implementation of an operation of two inputs, `a + b`.
    /// fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
    ///     assert_eq!(batch.example(0), Shape::from([2]));
    ///     assert_eq!(batch.example(1), Shape::from([2]));
    ///     Some((batch.repeated::<f64>(0) + batch.repeated::<f64>(1)).erase())
    /// }
    /// # }
    /// # let tape = Tape::inference();
    /// let b = tape.constant(&Tensor::from([10.0, 20.0]));
    /// let xs = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    /// let y = vmap(|x| tape.record(Sum, &[x.erase(), b.erase()]).typed::<f64>(), xs);
    /// assert_eq!(y.value(), Tensor::from([[11.0, 22.0], [13.0, 24.0], [15.0, 26.0]]));
    /// ```
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
