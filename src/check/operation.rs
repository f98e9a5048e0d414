//! Operations with a kernel of their own, checked.

use super::difference::Precision;
use super::problem::{Point, numbers};
use super::report::{Failure, Report};
use super::settings::Check;
use crate::element::{Any, Dtype, Element, with_any, with_dtype};
use crate::tape::{AnyVar, Batch, Called, Operation, Tape, TapeRef};
use crate::tensor::{AnyTensor, Tensor, Tensors};
use std::panic::Location;
use std::sync::Arc;

/// The inputs of an operation: references to tensors, of one type in an array, of any types in a
/// tuple.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::{AnyVar, Input, Operation, Output, Pullback};
/// # /// Half of the input.
/// # #[derive(Debug)]
/// # struct Half;
/// # impl Operation for Half {
/// #     fn name(&self) -> &'static str {
/// #         "half"
/// #     }
/// #     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
/// #         Ok((inputs[0].0, inputs[0].1.clone()))
/// #     }
/// #     fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
/// #         let y = output.elements::<f64>();
/// #         inputs[0].copy_to(y);
/// #         y.iter_mut().for_each(|y| *y *= 0.5);
/// #         Ok(())
/// #     }
/// #     fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
/// #         (pullback.cotangent::<f64>() * 0.5).erase()
/// #     }
/// # }
/// let x = Tensor::from([1.0, -2.0]);
/// // One, or an array.
/// wengert::check::operation(Half, &x)?;
/// wengert::check::operation(Half, [&x])?;
/// # Ok::<(), wengert::check::Failure>(())
/// ```
pub trait Arguments {
    /// The tensors, in order.
    #[doc(hidden)]
    fn tensors(&self) -> Vec<AnyTensor>;
}

fn erased<T: Element>(tensor: &Tensor<T>) -> AnyTensor {
    T::erase::<Tensors>(tensor.clone())
}

impl<T: Element, const N: usize> Arguments for [&Tensor<T>; N] {
    fn tensors(&self) -> Vec<AnyTensor> {
        self.iter().map(|tensor| erased(tensor)).collect()
    }
}

impl<T: Element> Arguments for &Tensor<T> {
    fn tensors(&self) -> Vec<AnyTensor> {
        vec![erased(self)]
    }
}

impl Arguments for &[AnyTensor] {
    fn tensors(&self) -> Vec<AnyTensor> {
        self.to_vec()
    }
}

macro_rules! tuple {
    ($($t:ident.$i:tt),+) => {
        impl<$($t: Element),+> Arguments for ($(&Tensor<$t>,)+) {
            fn tensors(&self) -> Vec<AnyTensor> {
                vec![$(erased(self.$i)),+]
            }
        }
    };
}
tuple!(A.0, B.1);
tuple!(A.0, B.1, C.2);
tuple!(A.0, B.1, C.2, D.3);

/// Checks an operation with a kernel and a rule of its own, with the settings of [`Check::default`]:
/// its first and second derivatives with respect to every floating-point input, that its result does
/// not depend on how the inputs lie in memory, and its rule for batches, if it has one.
///
/// A kernel is handed storage and layout, as they are after a transposition or a slice. One that
/// reads the storage from its beginning is right in most tests, and wrong in use.
///
/// [`batched`](Operation::batched) is tried on three examples that are close to the inputs, where all
/// inputs differ from example to example, and where some do.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::{AnyVar, Dtype, Input, Operation, Output, Pullback, check};
///
/// /// The square of each element.
/// #[derive(Debug)]
/// struct Squares;
/// impl Operation for Squares {
///     fn name(&self) -> &'static str {
///         "squares"
///     }
///     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
///         Ok((inputs[0].0, inputs[0].1.clone()))
///     }
///     fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
///         let elements = output.elements::<f64>().iter_mut();
///         elements.zip(inputs[0].storage::<f64>()).for_each(|(y, x)| *y = x * x);
///         Ok(())
///     }
///     fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
///         (pullback.cotangent::<f64>() * pullback.input(0) * 2.0).erase()
///     }
/// }
///
/// let failure = check::operation(Squares, &Tensor::from([0.5, 2.0])).unwrap_err();
/// assert_eq!(failure.report().failures().count(), 0); // the rule is right
/// assert!(failure.to_string().contains("input 0 lies otherwise")); // the kernel ignores the layout
/// ```
///
/// # Errors
/// As [`gradients`](super::gradients()); also if the result depends on how inputs lie, or is another one
/// in a batch.
///
/// # Panics
/// If the operation does not take the inputs, or its result is not of a floating-point type.
#[track_caller]
pub fn operation(operation: impl Operation, inputs: impl Arguments) -> Result<Report, Failure> {
    Check::default().operation(operation, inputs)
}

/// The same elements, which lie otherwise in memory: backwards.
fn turned(tensor: &AnyTensor) -> AnyTensor {
    fn turn<T: Element>(tensor: &Tensor<T>) -> AnyTensor {
        let axes: Vec<isize> = (0..tensor.rank() as isize).collect();
        let turned = tensor.flip(axes.as_slice()).contiguous();
        T::erase::<Tensors>(turned.flip(axes.as_slice()))
    }
    with_any!(tensor, tensor => turn(tensor))
}

fn leaf(tape: TapeRef, tensor: &AnyTensor) -> AnyVar {
    with_any!(tensor, tensor => tape.leaf(tensor).erase())
}

/// Whether two tensors have the same elements, any NaN being the same as any other.
fn same(a: &AnyTensor, b: &AnyTensor) -> bool {
    match (a, b) {
        (Any::F32(a), Any::F32(b)) => {
            let mut pairs = a.iter().zip(b.iter());
            a.shape() == b.shape() && pairs.all(|(a, b)| a == b || a.is_nan() && b.is_nan())
        }
        (Any::F64(a), Any::F64(b)) => {
            let mut pairs = a.iter().zip(b.iter());
            a.shape() == b.shape() && pairs.all(|(a, b)| a == b || a.is_nan() && b.is_nan())
        }
        _ => false,
    }
}

#[track_caller]
fn value(variable: AnyVar) -> AnyTensor {
    with_dtype!(variable.dtype(), T => {
        T::erase::<Tensors>(variable.assume::<T>().value())
    })
}

/// What the operation makes of inputs.
#[track_caller]
fn applied(operation: &Called, tape: TapeRef, inputs: &[AnyTensor]) -> AnyVar {
    let leaves: Vec<AnyVar> = inputs.iter().map(|input| leaf(tape, input)).collect();
    tape.call(operation.clone(), &leaves)
}

/// How many examples a rule for batches is tried on.
const EXAMPLES: usize = 3;

/// Inputs close to those that were given, others for each example; integers and truth values as they are.
fn example(inputs: &[AnyTensor], number: usize) -> Vec<AnyTensor> {
    let mut random = numbers(number as u64);
    // Far more than results may be apart, and no further than differences go.
    let mut step = |x: f64| match number {
        0 => 0.0,
        _ => 1e-3 * x.abs().max(1.0) * random(),
    };
    let mut near = |input: &AnyTensor| match input {
        Any::F32(x) => Any::F32(x.map(|x| x + step(x.into()) as f32)),
        Any::F64(x) => Any::F64(x.map(|x| x + step(x))),
        other => other.clone(),
    };
    inputs.iter().map(&mut near).collect()
}

/// One tensor for all examples.
fn stacked(examples: &[Vec<AnyTensor>], k: usize) -> AnyTensor {
    with_dtype!(examples[0][k].dtype(), T => {
        let of_type = |inputs: &Vec<AnyTensor>| T::restore::<Tensors>(inputs[k].clone());
        let all: Vec<Tensor<T>> = examples.iter().filter_map(of_type).collect();
        let all: Vec<&Tensor<T>> = all.iter().collect();
        T::erase::<Tensors>(Tensor::stack(&all, 0))
    })
}

/// Which inputs differ from example to example in the batches that are tried: all of them, one, all but one.
fn batches(inputs: usize) -> Vec<Vec<bool>> {
    let only = |k: usize, this: bool| (0..inputs).map(|i| (i == k) == this).collect();
    let mut found = vec![vec![true; inputs]];
    for differs in [true, false] {
        for k in 0..inputs {
            let next: Vec<bool> = only(k, differs);
            if next.contains(&true) && !found.contains(&next) {
                found.push(next);
            }
        }
    }
    found
}

/// The elements of a result.
fn elements(result: &AnyTensor) -> Vec<f64> {
    match result {
        Any::F32(result) => result.iter().map(f64::from).collect(),
        Any::F64(result) => result.to_vec(),
        other => unreachable!("a result of type {}", other.dtype()),
    }
}

impl Check {
    /// Checks an operation with a kernel and a rule of its own:
    /// [`operation`](super::operation()), with these settings.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::{AnyVar, Input, Operation, Output, Pullback};
    /// /// Half of the input.
    /// #[derive(Debug)]
    /// struct Half;
    /// impl Operation for Half {
    ///     fn name(&self) -> &'static str {
    ///         "half"
    ///     }
    ///     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
    ///         Ok((inputs[0].0, inputs[0].1.clone()))
    ///     }
    ///     fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
    ///         let y = output.elements::<f64>();
    ///         inputs[0].copy_to(y);
    ///         y.iter_mut().for_each(|y| *y *= 0.5);
    ///         Ok(())
    ///     }
    ///     fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
    ///         (pullback.cotangent::<f64>() * 0.5).erase()
    ///     }
    /// }
    /// let x = Tensor::from([1.0, -2.0]);
    /// let report = wengert::check::Check::new().order(1).operation(Half, &x)?;
    /// assert!(report.comparisons().iter().all(|c| c.order == 1 && c.agrees()));
    /// # Ok::<(), wengert::check::Failure>(())
    /// ```
    ///
    /// # Errors
    /// As [`operation`](super::operation()).
    ///
    /// # Panics
    /// As [`operation`](super::operation()).
    #[track_caller]
    pub fn operation(
        &self,
        operation: impl Operation,
        inputs: impl Arguments,
    ) -> Result<Report, Failure> {
        let inputs = inputs.tensors();
        let operation = Called::Shared(Arc::new(operation));
        let location = Location::caller();
        let tape = Tape::new();
        let line = tape.attribute_to(location);
        let result = applied(&operation, *tape, &inputs);
        assert!(
            result.dtype().is_float(),
            "operation: {} gives {}, which has no derivatives",
            operation.name(),
            result.dtype()
        );
        let result = value(result);
        let mut faults = Vec::new();
        for k in 0..inputs.len() {
            let mut otherwise = inputs.clone();
            otherwise[k] = turned(&inputs[k]);
            if !same(&value(applied(&operation, *tape, &otherwise)), &result) {
                faults.push(format!(
                    "the result changes when input {k} lies otherwise in memory;\n  \
                     a kernel reads an input through its layout"
                ));
            }
        }
        faults.extend(self.fault_of_batches(&operation, *tape, &inputs));
        drop(line);
        let floats = |&k: &usize| inputs[k].dtype().is_float();
        let floats: Vec<usize> = (0..inputs.len()).filter(floats).collect();
        let record = |tape: TapeRef, values: &[AnyTensor]| {
            let mut all = inputs.clone();
            floats
                .iter()
                .zip(values)
                .for_each(|(&k, value)| all[k] = value.clone());
            let _line = tape.attribute_to(location);
            let all: Vec<AnyVar> = all.iter().map(|input| leaf(tape, input)).collect();
            let leaves = floats.iter().map(|&k| all[k]).collect();
            (tape.call(operation.clone(), &all), leaves)
        };
        let points = floats.iter().map(|&k| Point {
            name: self.name(k),
            value: inputs[k].clone(),
        });
        let points = points.collect();
        self.compare(&record, points, faults)
    }

    /// What is wrong with the rule of an operation for batches, if it has one.
    #[track_caller]
    fn fault_of_batches(
        &self,
        operation: &Called,
        tape: TapeRef,
        inputs: &[AnyTensor],
    ) -> Option<String> {
        let examples: Vec<_> = (0..EXAMPLES).map(|k| example(inputs, k)).collect();
        for differs in batches(inputs.len()) {
            let which = |k: usize| match differs[k] {
                true => stacked(&examples, k),
                false => inputs[k].clone(),
            };
            let whole = (0..inputs.len()).map(|k| leaf(tape, &which(k)));
            let batch = Batch {
                inputs: &whole.collect::<Vec<AnyVar>>(),
                differs: &differs,
                size: EXAMPLES,
                stands: &[],
            };
            let result = operation.batched(&batch)?;
            let differing = (0..inputs.len()).filter(|&k| differs[k]);
            let differing: Vec<String> = differing.map(|k| k.to_string()).collect();
            let differing = differing.join(", ");
            for (at, example) in examples.iter().enumerate() {
                let one = (0..inputs.len()).map(|k| match differs[k] {
                    true => example[k].clone(),
                    false => inputs[k].clone(),
                });
                let alone = applied(operation, tape, &one.collect::<Vec<AnyTensor>>());
                let wanted = alone.shape().with_inserted(0, EXAMPLES);
                let (given, dtype) = (result.shape(), result.dtype());
                if given != wanted || dtype != alone.dtype() {
                    return Some(format!(
                        "the rule for batches gives {dtype}{given}, not {}{wanted},\n  \
                         where these inputs differ from example to example: {differing}",
                        alone.dtype()
                    ));
                }
                let len = alone.shape().size();
                let all = elements(&value(result));
                if !self.close(&all[at * len..][..len], &elements(&value(alone)), dtype) {
                    return Some(format!(
                        "the rule for batches makes example {at} another than it is alone,\n  \
                         where these inputs differ from example to example: {differing}"
                    ));
                }
            }
        }
        None
    }

    /// Whether numbers agree but for rounding.
    fn close(&self, a: &[f64], b: &[f64], dtype: Dtype) -> bool {
        let precision = match dtype {
            Dtype::F32 => Precision::SINGLE,
            _ => Precision::DOUBLE,
        };
        a.iter().zip(b).all(|(&a, &b)| {
            a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= self.allowed(&precision, a, b)
        })
    }
}
