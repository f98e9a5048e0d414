//! How an operation is described: its value, and its rule in terms of recorded operations.

use super::batch::Batch;
use super::var::{AnyVar, Var};
use crate::element::{Dtype, Element, Slice, SliceMut};
use crate::kernel::copy::copy_strided;
use crate::kernel::matmul::Tiny;
use crate::shape::{Layout, Shape};
use std::any::Any;
use std::borrow::Cow;
use std::fmt;

/// Which values the gradient rule of an operation reads: they are worth keeping for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The inputs.
    pub inputs: bool,
    /// The output.
    pub output: bool,
}

impl Reads {
    /// Neither: the rule is linear with constant coefficients.
    pub const NOTHING: Reads = Reads {
        inputs: false,
        output: false,
    };
    /// The inputs.
    pub const INPUTS: Reads = Reads {
        inputs: true,
        output: false,
    };
    /// The output.
    pub const OUTPUT: Reads = Reads {
        inputs: false,
        output: true,
    };
    /// Inputs and output.
    pub const BOTH: Reads = Reads {
        inputs: true,
        output: true,
    };
}

/// What a gradient rule works with: the inputs and the output of the operation, and the cotangent of the output.
///
/// ```
/// # use wengert::prelude::*;
/// # use wengert::{AnyVar, Input, Operation, Output, Pullback};
/// # #[derive(Debug)]
/// # struct Exponential;
/// # impl Operation for Exponential {
/// #     fn name(&self) -> &'static str { "exponential" }
/// #     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
/// #         Ok((inputs[0].0, inputs[0].1.clone()))
/// #     }
/// #     fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
/// #         let y = output.elements::<f64>();
/// #         inputs[0].copy_to(y);
/// #         y.iter_mut().for_each(|y| *y = y.exp());
/// #         Ok(())
/// #     }
/// // In the implementation of the exponential.
/// fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
///     (pullback.cotangent::<f64>() * pullback.output::<f64>()).erase()
/// }
/// # }
/// # let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from([0.0]));
/// let y = tape.record(Exponential, &[x.erase()]).typed::<f64>();
/// assert_eq!(y.sum().gradient(x).value(), Tensor::from([1.0]));
/// ```
#[derive(Debug)]
pub struct Pullback<'a> {
    pub(crate) inputs: &'a [AnyVar],
    pub(crate) output: AnyVar,
    pub(crate) cotangent: AnyVar,
    /// The element type of the output and its cotangent.
    pub(crate) dtype: Dtype,
}

impl Pullback<'_> {
    /// The input number `k`.
    ///
    /// ```
    /// # use wengert::prelude::*;
    /// # use wengert::{AnyVar, Input, Operation, Output, Pullback};
    /// # #[derive(Debug)]
    /// # struct Exponential;
    /// # impl Operation for Exponential {
    /// #     fn name(&self) -> &'static str { "exponential" }
    /// #     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
    /// #         Ok((inputs[0].0, inputs[0].1.clone()))
    /// #     }
    /// #     fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
    /// #         let y = output.elements::<f64>();
    /// #         inputs[0].copy_to(y);
    /// #         y.iter_mut().for_each(|y| *y = y.exp());
    /// #         Ok(())
    /// #     }
    /// // In the implementation of the exponential.
    /// fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
    ///     (pullback.cotangent::<f64>() * pullback.input::<f64>(0).exp()).erase()
    /// }
    /// # }
    /// # let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0]));
    /// let y = tape.record(Exponential, &[x.erase()]).typed::<f64>();
    /// assert_eq!(y.sum().gradient(x).value(), Tensor::from([1.0]));
    /// ```
    ///
    /// # Panics
    /// If its elements are not of type `T`, or there are not as many inputs.
    pub fn input<T: Element>(&self, k: usize) -> Var<T> {
        self.inputs[k].typed()
    }

    /// The output.
    ///
    /// ```
    /// # use wengert::prelude::*;
    /// # use wengert::{AnyVar, Input, Operation, Output, Pullback};
    /// # #[derive(Debug)]
    /// # struct Exponential;
    /// # impl Operation for Exponential {
    /// #     fn name(&self) -> &'static str { "exponential" }
    /// #     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
    /// #         Ok((inputs[0].0, inputs[0].1.clone()))
    /// #     }
    /// #     fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
    /// #         let y = output.elements::<f64>();
    /// #         inputs[0].copy_to(y);
    /// #         y.iter_mut().for_each(|y| *y = y.exp());
    /// #         Ok(())
    /// #     }
    /// // In the implementation of the exponential.
    /// fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
    ///     (pullback.output::<f64>() * pullback.cotangent::<f64>()).erase()
    /// }
    /// # }
    /// # let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0]));
    /// let y = tape.record(Exponential, &[x.erase()]).typed::<f64>();
    /// assert_eq!(y.sum().gradient(x).value(), Tensor::from([1.0]));
    /// ```
    ///
    /// # Panics
    /// If its elements are not of type `T`.
    pub fn output<T: Element>(&self) -> Var<T> {
        self.output.typed()
    }

    /// The cotangent of the output: the derivative of the final result with respect to it.
    ///
    /// ```
    /// # use wengert::prelude::*;
    /// # use wengert::{AnyVar, Input, Operation, Output, Pullback};
    /// # #[derive(Debug)]
    /// # struct Exponential;
    /// # impl Operation for Exponential {
    /// #     fn name(&self) -> &'static str { "exponential" }
    /// #     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
    /// #         Ok((inputs[0].0, inputs[0].1.clone()))
    /// #     }
    /// #     fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
    /// #         let y = output.elements::<f64>();
    /// #         inputs[0].copy_to(y);
    /// #         y.iter_mut().for_each(|y| *y = y.exp());
    /// #         Ok(())
    /// #     }
    /// // In the implementation of the exponential.
    /// fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
    ///     let (y, cotangent) = (pullback.output::<f64>(), pullback.cotangent::<f64>());
    ///     assert_eq!(cotangent.shape(), y.shape());
    ///     (cotangent * y).erase()
    /// }
    /// # }
    /// # let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0]));
    /// let y = tape.record(Exponential, &[x.erase()]).typed::<f64>();
    /// assert_eq!(y.sum().gradient(x).value(), Tensor::from([1.0]));
    /// ```
    ///
    /// # Panics
    /// If its elements are not of type `T`.
    pub fn cotangent<T: Element>(&self) -> Var<T> {
        self.cotangent.typed()
    }
}

/// The value of an input of an [`Operation`]: elements, and where they lie.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    pub(crate) data: Slice<'a>,
    pub(crate) layout: &'a Layout,
}

impl<'a> Input<'a> {
    /// The storage, in which the elements lie as [`layout`](Input::layout) says.
    ///
    /// # Panics
    /// If the elements are not of type `T`.
    pub fn storage<T: Element>(&self) -> &'a [T] {
        match T::restore(self.data) {
            Some(slice) => slice,
            None => panic!("an input holds {}, not {}", self.data.dtype(), T::DTYPE),
        }
    }

    /// The element type.
    pub fn dtype(&self) -> Dtype {
        self.data.dtype()
    }

    /// Shape, strides and offset.
    pub fn layout(&self) -> &Layout {
        self.layout
    }

    /// The elements in row-major order: as they lie if they lie so, copied otherwise.
    ///
    /// # Panics
    /// If the elements are not of type `T`.
    pub fn elements<T: Element>(&self) -> Cow<'a, [T]> {
        let (storage, size) = (self.storage::<T>(), self.layout.shape().size());
        if self.layout.is_contiguous() {
            let start = self.layout.offset();
            return Cow::Borrowed(&storage[start..start + size]);
        }
        let mut elements = vec![T::ZERO; size];
        self.copy_to(&mut elements);
        Cow::Owned(elements)
    }

    /// Copies the elements in row-major order.
    ///
    /// # Panics
    /// If the elements are not of type `T`, or `to` has another length.
    pub fn copy_to<T: Element>(&self, to: &mut [T]) {
        let (shape, strides) = (self.layout.shape(), self.layout.strides());
        copy_strided(self.storage(), shape, strides, self.layout.offset(), to);
    }
}

/// Where an [`Operation`] writes its result: in row-major order.
#[derive(Debug)]
pub struct Output<'a> {
    pub(crate) data: SliceMut<'a>,
    pub(crate) overwrites: bool,
}

impl<'a> Output<'a> {
    /// The element type.
    pub fn dtype(&self) -> Dtype {
        self.data.dtype()
    }

    /// Whether the elements hold those of the input that the operation [overwrites](Operation::overwrites), in row-major order.
    pub fn overwrites(&self) -> bool {
        self.overwrites
    }

    /// The elements to be written, all of them; what they hold before is not defined.
    ///
    /// # Panics
    /// If the elements are not of type `T`.
    pub fn elements<T: Element>(self) -> &'a mut [T] {
        let dtype = self.data.dtype();
        match T::restore(self.data) {
            Some(slice) => slice,
            None => panic!("the output holds {dtype}, not {}", T::DTYPE),
        }
    }
}

/// An operation with a kernel of its own: shape rule, value, gradient rule.
///
/// Record one with [`TapeRef::record`](super::TapeRef::record), or with [`TapeRef::record_parts`](super::TapeRef::record_parts)
/// if it has several results. [`check::operation`](crate::check::operation()) tests one.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::{AnyVar, Batch, Input, Operation, Output, Pullback, Reads, check};
///
/// /// The sums of the elements up to each, along the last axis.
/// #[derive(Debug, PartialEq)]
/// struct Sums { backwards: bool }
/// impl Operation for Sums {
///     fn name(&self) -> &'static str {
///         "sums"
///     }
///     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
///         match inputs {
///             [(dtype, shape)] if shape.rank() > 0 => Ok((*dtype, (*shape).clone())),
///             _ => Err("one input with an axis is needed".into()),
///         }
///     }
///     fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
///         let width = inputs[0].layout().shape().last().copied().unwrap_or(1).max(1);
///         let sums = output.elements::<f64>();
///         inputs[0].copy_to(sums);
///         for row in sums.chunks_exact_mut(width) {
///             let add = |sum: &mut f64, x: &mut f64| { *sum += *x; *x = *sum; };
///             let mut sum = 0.0;
///             match self.backwards {
///                 false => row.iter_mut().for_each(|x| add(&mut sum, x)),
///                 true => row.iter_mut().rev().for_each(|x| add(&mut sum, x)),
///             }
///         }
///         Ok(())
///     }
///     fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
///         let cotangent = pullback.cotangent::<f64>();
///         cotangent.tape().record(Sums { backwards: !self.backwards }, &[cotangent.erase()])
///     }
///     fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
///         // Axes before the last are rows already.
///         let all = batch.input::<f64>(0);
///         Some(all.tape().record(Sums { backwards: self.backwards }, &[all.erase()]))
///     }
///     fn reads(&self) -> Reads {
///         Reads::NOTHING
///     }
/// }
///
/// let sums = |x: Var<f64>| x.tape().record(Sums { backwards: false }, &[x.erase()]).typed::<f64>();
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0]));
/// assert_eq!(sums(x).value(), Tensor::from([1.0, 3.0, 6.0]));
/// assert_eq!(sums(x).at(0, 1).gradient(x).value(), Tensor::from([1.0, 1.0, 0.0]));
/// let rows = tape.leaf(&Tensor::from([[1.0, 1.0], [2.0, 3.0]]));
/// assert_eq!(wengert::transform::vmap(sums, rows).value(), Tensor::from([[1.0, 2.0], [2.0, 5.0]]));
/// check::operation(Sums { backwards: true }, &Tensor::from([[0.5, -1.0], [2.0, 4.0]]))?;
/// # Ok::<(), check::Failure>(())
/// ```
pub trait Operation: Any + fmt::Debug + Send + Sync {
    /// The name in messages.
    fn name(&self) -> &'static str;

    /// Element type and shape of the result.
    ///
    /// # Errors
    /// A message that says why the inputs do not fit; it becomes a panic at the line that records the operation.
    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String>;

    /// The shapes of several results, for [`TapeRef::record_parts`](super::TapeRef::record_parts): their elements lie one after
    /// another in the output, which has one axis. `None`, as it is unless it is implemented, if there is one result.
    fn parts(&self, inputs: &[(Dtype, &Shape)]) -> Option<Vec<Shape>> {
        let _ = inputs;
        None
    }

    /// Computes the result.
    ///
    /// # Errors
    /// A message about values that cannot be used, such as an index out of range; it becomes a panic that names the line
    /// that recorded the operation.
    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String>;

    /// The cotangent of input number `k`, in operations on variables: in the shape of the input, or in one that broadcasts to it or
    /// to which it broadcasts. Asked for floating-point inputs only, and not at all where
    /// [`cotangents`](Operation::cotangents) gives them.
    ///
    /// # Panics
    /// Unless it is implemented.
    fn vjp(&self, pullback: &Pullback<'_>, k: usize) -> AnyVar {
        let _ = k;
        panic!(
            "gradient: {} has no rule: neither vjp nor cotangents is implemented ({:?})",
            self.name(),
            pullback.output
        )
    }

    /// An input of the type and shape of the result that nobody may need any more: then the output may be given where that lies,
    /// says so ([`Output::overwrites`]), and the storage of the input is empty. For operations that change a few elements.
    fn overwrites(&self) -> Option<usize> {
        None
    }

    /// Whether [`forward`](Operation::forward) never fails, whatever the values are: then what comes after it may be overwritten
    /// before it.
    fn never_fails(&self) -> bool {
        false
    }

    /// The operation on inputs of these layouts, if it is a product of matrices as small as that.
    #[doc(hidden)]
    fn tiny(&self, dtype: Dtype, layouts: &[Layout]) -> Option<Tiny> {
        let _ = (dtype, layouts);
        None
    }

    /// Whether the result has a derivative with respect to input `k`. One that has none, as an index, passes no gradient on.
    fn is_differentiable(&self, k: usize) -> bool {
        let _ = k;
        true
    }

    /// The cotangents of several inputs at once, for a rule whose cotangents have work in common: `wanted` says for which inputs
    /// they are asked, and there must be as many results. [`vjp`](Operation::vjp) is asked for one after another if this gives
    /// `None`, as it does unless it is implemented.
    fn cotangents(&self, pullback: &Pullback<'_>, wanted: &[bool]) -> Option<Vec<Option<AnyVar>>> {
        let _ = (pullback, wanted);
        None
    }

    /// The operation on every example of a batch ([`vmap`](crate::transform::vmap)): the result has the axis of the batch first.
    /// If this gives `None`, as it does unless it is implemented, the operation is recorded once for each example.
    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let _ = batch;
        None
    }

    /// Whether its rule may read variables besides its inputs: those that a closure holds, or nodes that it knows.
    #[doc(hidden)]
    fn holds_variables(&self) -> bool {
        false
    }

    /// What the rule reads.
    fn reads(&self) -> Reads {
        Reads::BOTH
    }

    /// Whether `other` is the same operation with the same arguments: then a run may use a plan that was made for it. A plan is
    /// made anew for an operation that never says so. For a type with `PartialEq`:
    /// `(other as &dyn Any).downcast_ref() == Some(self)`.
    fn is_same(&self, other: &dyn Operation) -> bool {
        let _ = other;
        false
    }
}

/// Whether `other` is an operation of the same type with the same arguments.
pub(crate) fn same<O: Operation + PartialEq>(this: &O, other: &dyn Operation) -> bool {
    (other as &dyn Any).downcast_ref() == Some(this)
}
