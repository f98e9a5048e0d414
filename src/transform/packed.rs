//! Several variables in one, for operations of several results: a node of a tape has one.

use super::vars::Vars;
use super::vectorize::reshaped;
use crate::element::{Dtype, Element, with_float};
use crate::shape::Shape;
use crate::tape::{AnyVar, Operation, TapeRef, Var, View};

/// The elements of variables of one floating-point type, one after another; of one variable, that itself. `None` of none.
#[track_caller]
pub(super) fn pack(operation: &str, variables: &[AnyVar]) -> Option<AnyVar> {
    let (first, rest) = variables.split_first()?;
    let dtype = first.dtype();
    assert!(
        dtype.is_float() && rest.iter().all(|v| v.dtype() == dtype),
        "{operation}: results of one floating-point type are needed"
    );
    if rest.is_empty() {
        return Some(*first);
    }
    Some(joined(variables))
}

/// The elements of variables of one floating-point type, one after another.
#[track_caller]
pub(super) fn joined(variables: &[AnyVar]) -> AnyVar {
    let mut flat = Vec::with_capacity(variables.len());
    for v in variables {
        flat.push(reshaped(*v, &Shape::from([v.shape().size()])));
    }
    concat(&flat, 0)
}

/// A variable of a floating-point type in another.
#[track_caller]
pub(super) fn in_type(v: AnyVar, dtype: Dtype) -> AnyVar {
    with_float!(v.dtype(), T => with_float!(dtype, U => v.assume::<T>().cast::<U>().erase()))
}

/// Variables of one floating-point type, one after another along an axis.
#[track_caller]
pub(super) fn concat(variables: &[AnyVar], axis: isize) -> AnyVar {
    with_float!(variables[0].dtype(), T => {
        let parts: Vec<Var<T>> = variables.iter().map(|v| v.assume()).collect();
        Var::concat(&parts, axis).erase()
    })
}

/// The variables of these shapes out of what they were put together to.
#[track_caller]
pub(super) fn parts(packed: AnyVar, shapes: &[Shape]) -> Vec<AnyVar> {
    if let [shape] = shapes {
        return vec![reshaped(packed, shape)];
    }
    let mut start = 0;
    let mut parts = Vec::with_capacity(shapes.len());
    for shape in shapes {
        let view = View::Slice {
            axis: 0,
            start,
            step: 1,
        };
        let size = shape.size();
        start += size;
        let part = packed.tape().view(view, packed, &[size]);
        parts.push(reshaped(part, shape));
    }
    parts
}

/// The shapes of variables.
pub(super) fn shapes_of(variables: &[AnyVar]) -> Vec<Shape> {
    variables.iter().map(|v| v.shape()).collect()
}

/// An arrangement with other variables of floating-point types, taken one after another.
pub(super) fn with_floats<Y: Vars>(like: &Y, floats: &[AnyVar]) -> Y {
    let mut next = floats.iter();
    like.map(&mut |y| match y.dtype().is_float() {
        true => *next.next().expect("as many as there are places"),
        false => y,
    })
}

/// The shape of the output of an operation of several results.
pub(super) fn packed_shape(shapes: &[Shape]) -> Shape {
    match shapes {
        [shape] => shape.clone(),
        _ => Shape::from([shapes.iter().map(Shape::size).sum::<usize>()]),
    }
}

impl<T: Element> Var<T> {
    /// The elements, in order, as variables of these shapes: the inverse of flattening and concatenating them. It takes the
    /// output of an [`Operation`] of several results apart, and its cotangent in the rule.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0, 4.0, 5.0]));
    /// let parts = x.unpack(&[Shape::from([2, 2]), Shape::scalar()]);
    /// assert_eq!(parts[0].value(), Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// assert_eq!(parts[1].value().item(), 5.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not hold as many elements together, or the tape was reset or dropped.
    #[track_caller]
    pub fn unpack(self, shapes: &[Shape]) -> Vec<Self> {
        let (held, asked) = (
            self.shape().size(),
            shapes.iter().map(Shape::size).sum::<usize>(),
        );
        assert!(
            held == asked,
            "unpack: {} holds {held} elements, but the shapes hold {asked}",
            self.shape()
        );
        let packed = match shapes.len() {
            1 => self,
            _ => self.flatten(),
        };
        let parts = parts(packed.erase(), shapes);
        parts.into_iter().map(AnyVar::assume).collect()
    }
}

impl TapeRef {
    /// Records an operation of several results: of one floating-point type, in the shapes that [`Operation::parts`] says. On the
    /// tape they are one variable, with the elements one after another.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::{AnyVar, Input, Operation, Output, Pullback};
    ///
    /// /// The sum of two vectors, and the product of their first elements.
    /// #[derive(Debug)]
    /// struct SumAndProduct;
    /// impl Operation for SumAndProduct {
    ///     fn name(&self) -> &'static str {
    ///         "sum and product"
    ///     }
    ///     fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
    ///         Ok((inputs[0].0, Shape::from([inputs[0].1.size() + 1])))
    ///     }
    ///     fn parts(&self, inputs: &[(Dtype, &Shape)]) -> Option<Vec<Shape>> {
    ///         Some(vec![inputs[0].1.clone(), Shape::scalar()])
    ///     }
    ///     fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
    ///         let (a, b) = (inputs[0].elements::<f64>(), inputs[1].elements::<f64>());
    ///         let (sum, product) = output.elements::<f64>().split_at_mut(a.len());
    ///         (0..a.len()).for_each(|i| sum[i] = a[i] + b[i]);
    ///         product[0] = a[0] * b[0];
    ///         Ok(())
    ///     }
    ///     fn vjp(&self, pullback: &Pullback<'_>, k: usize) -> AnyVar {
    ///         let other: Var<f64> = pullback.input(1 - k);
    ///         let shapes = [other.shape(), Shape::scalar()];
    ///         let [of_sum, of_product] = pullback.cotangent::<f64>().unpack(&shapes)[..] else {
    ///             unreachable!("two shapes")
    ///         };
    ///         let first = other.slice(0, ..1) * of_product;
    ///         (of_sum + first.pad(0, 0, other.shape()[0] - 1)).erase()
    ///     }
    /// }
    ///
    /// let tape = Tape::new();
    /// let a = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// let b = tape.leaf(&Tensor::from([3.0, 4.0]));
    /// let [sum, product] = tape.record_parts(SumAndProduct, &[a.erase(), b.erase()])[..] else {
    ///     unreachable!("two results")
    /// };
    /// assert_eq!(sum.typed::<f64>().value(), Tensor::from([4.0, 6.0]));
    /// let y = product.typed::<f64>() * 10.0 + sum.typed::<f64>().sum();
    /// assert_eq!(y.gradient(a).value(), Tensor::from([31.0, 1.0]));
    /// wengert::check::operation(SumAndProduct, [&Tensor::from([1.0, 2.0]), &Tensor::from([3.0, 4.0])])?;
    /// # Ok::<(), wengert::check::Failure>(())
    /// ```
    ///
    /// # Panics
    /// If the operation has one result only, or its parts are not as many elements as its output; as [`record`](TapeRef::record).
    #[track_caller]
    pub fn record_parts(self, operation: impl Operation, inputs: &[AnyVar]) -> Vec<AnyVar> {
        let name = operation.name();
        let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape()).collect();
        let described: Vec<(Dtype, &Shape)> = inputs
            .iter()
            .zip(&shapes)
            .map(|(input, shape)| (input.dtype(), shape))
            .collect();
        let Some(shapes) = operation.parts(&described) else {
            panic!("{name}: the operation has one result; record_parts is for several");
        };
        let packed = self.record(operation, inputs);
        let (given, wanted) = (packed.shape(), packed_shape(&shapes));
        assert!(
            given == wanted,
            "{name}: the output has shape {given}, but parts of {wanted} were announced"
        );
        parts(packed, &shapes)
    }
}
