//! Operations made of two closures: a value of tensors, a rule of variables.

use super::custom::ruled;
use super::vars::{Vars, arranged, flat};
use crate::element::{Dtype, Element, Float, with_dtype};
use crate::program::Outputs;
use crate::shape::Shape;
use crate::tape::{AnyVar, Input, Operation, Output, Pullback, Reads, UserRule, Var};
use crate::tensor::{Storage, Tensor, Tensors};
use std::fmt;
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
    let given = flat(&inputs);
    let Some(first) = given.first() else {
        panic!("{name}: there are no inputs");
    };
    let tape = first.tape();
    let closure = Closure::<X, _> {
        name,
        dtype: T::DTYPE,
        shape: shape.into(),
        arrangement: inputs.arrangement(),
        forward,
    };
    let constant: Vec<AnyVar> = given.iter().map(|&x| tape.untracked(x)).collect();
    let value = tape.record(closure, &constant);
    let rule: UserRule = Rc::new(move |variables, value, cotangent| {
        let variables = arranged(&inputs, variables);
        flat(&rule(variables, value.assume(), cotangent.assume())).to_vec()
    });
    ruled(tape, rule, value, &given).assume()
}

/// A value computed by a closure.
struct Closure<X: Outputs, F> {
    name: &'static str,
    dtype: Dtype,
    shape: Shape,
    arrangement: X::Arrangement,
    forward: F,
}

impl<X: Outputs, F> fmt::Debug for Closure<X, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<X, T, F> Operation for Closure<X, F>
where
    X: Outputs + 'static,
    T: Float,
    F: Fn(X::Values) -> Result<Tensor<T>, String> + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, _inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((self.dtype, self.shape.clone()))
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
        let value = (self.forward)(values)?;
        if *value.shape() != self.shape {
            return Err(format!(
                "the value has shape {}, but {} was announced",
                value.shape(),
                self.shape
            ));
        }
        for (to, from) in output.elements::<T>().iter_mut().zip(value.iter()) {
            *to = from;
        }
        Ok(())
    }

    fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
        pullback.cotangent
    }

    fn is_differentiable(&self, _k: usize) -> bool {
        false
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}
