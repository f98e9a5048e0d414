//! Operations made of two closures: a value of tensors, a rule of variables.

use super::custom::ruled;
use super::packed::{packed_shape, parts};
use super::vars::{Vars, arranged, flat, tape_of};
use crate::element::{Dtype, Element, Float, with_dtype};
use crate::program::Outputs;
use crate::shape::Shape;
use crate::tape::{AnyVar, Input, Operation, Output, Reads, UserRule, Var};
use crate::tensor::{Storage, Tensor, Tensors};
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// An operation of the user's own from two closures: `forward` computes a tensor of the given shape from tensors when the value is
/// needed, `rule` maps inputs, value and cotangent to the cotangents of the inputs in operations on variables.
///
/// The rule gives something for every input; for one that is not of a floating-point type it is not looked at. For an operation
/// with a rule for batches, or one whose plans are to be used again from run to run, implement
/// [`Operation`].
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::custom_operation;
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from([1.0, 4.0]));
/// let y = custom_operation(
///     "root",
///     x.shape(),
///     |x: Tensor| Ok(x.map(f32::sqrt)),
///     |_, y: Var, ct: Var| ct / (y * 2.0),
///     x,
/// );
/// assert_eq!(y.value(), Tensor::from([1.0, 2.0]));
/// assert_eq!(y.sum().gradient(x).value(), Tensor::from([0.5, 0.25]));
/// ```
///
/// # Panics
/// If there are no inputs, or they are of two tapes. When the value is computed: if `forward` gives a message or another shape.
/// When a derivative is taken: if a cotangent has not the shape of its input, or is of another tape.
#[track_caller]
pub fn custom_operation<X, T>(
    name: &'static str,
    shape: impl Into<Shape>,
    forward: impl Fn(X::Values) -> Result<Tensor<T>, String> + Send + Sync + 'static,
    rule: impl Fn(X, Var<T>, Var<T>) -> X + 'static,
    inputs: X,
) -> Var<T>
where
    X: Vars + Outputs + 'static,
    T: Float,
{
    let [y] = custom_multi_output(
        name,
        [shape.into()],
        move |values| Ok([forward(values)?]),
        move |x, [y], [cotangent]| rule(x, y, cotangent),
        inputs,
    );
    y
}

/// As [`custom_operation`], with several results of one type: `forward` computes them together, and `rule` maps inputs, values and
/// cotangents to the cotangents of the inputs. The cotangent of a result that nothing depends on is zeros.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::custom_multi_output;
/// let tape = Tape::new();
/// let angle = tape.leaf(&Tensor::from([0.5, 1.0]));
/// let [sin, cos] = custom_multi_output(
///     "sin_cos",
///     [angle.shape(), angle.shape()],
///     |x: Tensor| Ok([x.map(f32::sin), x.map(f32::cos)]),
///     |_, [sin, cos]: [Var; 2], [of_sin, of_cos]| of_sin * cos - of_cos * sin,
///     angle,
/// );
/// assert_eq!(sin.sum().gradient(angle).value(), cos.value());
/// assert_eq!(cos.sum().gradient(angle).value(), (-sin).value());
/// ```
///
/// # Panics
/// As [`custom_operation`].
#[track_caller]
pub fn custom_multi_output<X, T, const N: usize>(
    name: &'static str,
    shapes: [Shape; N],
    forward: impl Fn(X::Values) -> Result<[Tensor<T>; N], String> + Send + Sync + 'static,
    rule: impl Fn(X, [Var<T>; N], [Var<T>; N]) -> X + 'static,
    inputs: X,
) -> [Var<T>; N]
where
    X: Vars + Outputs + 'static,
    T: Float,
{
    let given = flat(&inputs);
    let Some(tape) = tape_of(name, &given) else {
        panic!("{name}: there are no inputs");
    };
    let _line = tape.attribute_to(Location::caller());
    let closure = Closure::<X, _, N> {
        name,
        dtype: T::DTYPE,
        shapes: shapes.clone(),
        arrangement: inputs.arrangement(),
        forward,
    };
    let constant: Vec<AnyVar> = given.iter().map(|&x| tape.untracked(x)).collect();
    let value = tape.record(closure, &constant);
    let apart = move |packed: AnyVar| {
        let parts = parts(packed, &shapes);
        std::array::from_fn(|k| parts[k].assume())
    };
    let of_result = apart.clone();
    let rule: UserRule = Rc::new(move |variables, values, cotangents| {
        let variables = arranged(&inputs, variables);
        flat(&rule(variables, apart(values), apart(cotangents))).to_vec()
    });
    of_result(ruled(tape, rule, value, &given))
}

/// Values computed by a closure.
struct Closure<X: Outputs, F, const N: usize> {
    name: &'static str,
    dtype: Dtype,
    shapes: [Shape; N],
    arrangement: X::Arrangement,
    forward: F,
}

impl<X: Outputs, F, const N: usize> fmt::Debug for Closure<X, F, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<X, T, F, const N: usize> Operation for Closure<X, F, N>
where
    X: Outputs + 'static,
    T: Float,
    F: Fn(X::Values) -> Result<[Tensor<T>; N], String> + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, _inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((self.dtype, packed_shape(&self.shapes)))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let mut inputs = inputs.iter();
        let values = X::assemble(&self.arrangement, &mut || {
            let input = inputs.next().expect("as many as were recorded");
            with_dtype!(input.dtype(), U => {
                let storage = Arc::new(Storage::copy_of(&input.elements::<U>()));
                let layout = crate::shape::Layout::contiguous(input.layout().shape().clone());
                <U as Element>::erase::<Tensors>(Tensor::from_parts(storage, layout))
            })
        });
        let values = (self.forward)(values)?;
        let mut rest = output.elements::<T>();
        for (k, (value, shape)) in values.iter().zip(&self.shapes).enumerate() {
            if value.shape() != shape {
                let which = if N == 1 {
                    "the value".to_string()
                } else {
                    format!("value {k}")
                };
                let given = value.shape();
                return Err(format!(
                    "{which} has shape {given}, but {shape} was announced"
                ));
            }
            let (part, others) = rest.split_at_mut(shape.size());
            rest = others;
            part.iter_mut()
                .zip(value.iter())
                .for_each(|(to, from)| *to = from);
        }
        Ok(())
    }

    fn is_differentiable(&self, _k: usize) -> bool {
        false
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}
