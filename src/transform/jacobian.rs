//! Second derivatives along a direction, and whole matrices of derivatives.

use super::forward::{
    Several, assert_same_tape, assert_scalar, called, or_zeros, paired, symbolic_pull_back,
    transpose,
};
use super::gradient::pull_back_all;
use super::packed::in_type;
use super::vars::{Vars, arranged, flat};
use super::vectorize::reshaped;
use super::vmap::{finish, moved};
use crate::element::{Element, Float, with_float};
use crate::op;
use crate::shape::Shape;
use crate::tape::{AnyVar, Placeholder, TapeRef, Var};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::panic::Location;

/// The Hessian of a scalar function times a vector, without the Hessian: the derivative of the gradient along the vector.
///
/// Formula: `w[i] = sum over j of d2f / dx[i] dx[j] * vector[j]`. Costs about as much as two gradients.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::hvp;
/// let tape = Tape::new();
/// let x = tape.constant(&Tensor::from([1.0, 2.0]));
/// let v = tape.constant(&Tensor::from([1.0, -1.0]));
/// let hv = hvp(|x| (x * x * x).sum(), x, v);
/// assert_eq!(hv.value(), Tensor::from([6.0, -12.0]));
/// ```
///
/// # Panics
/// If the function gives no scalar, an input is not of a floating-point type, a vector has another shape than its input, or the
/// variables are of two tapes.
///
/// # Source
/// B. A. Pearlmutter, "Fast exact multiplication by the Hessian", 1994.
#[track_caller]
pub fn hvp<X: Vars, T: Float>(f: impl FnOnce(X) -> Var<T>, inputs: X, vectors: X) -> X {
    let vectors = flat(&vectors);
    paired("hvp", "vector", "input", &vectors, &flat(&inputs));
    let (own, result) = called(("hvp", Location::caller()), f, &inputs);
    assert_scalar("hvp", result, &own);
    let found = second(result.erase(), &own, &vectors);
    arranged(&inputs, &found)
}

/// The derivative along `vectors` of the gradient of `output` with respect to `inputs`.
#[track_caller]
pub(super) fn second(output: AnyVar, inputs: &[AnyVar], vectors: &[AnyVar]) -> Several {
    let _line = output.tape().attribute_to(Location::caller());
    let gradients = pull_back_all(&[(output, op::seed(output))], inputs);
    let along = gradients.iter().zip(vectors);
    let along: SmallVec<[(AnyVar, AnyVar); 4]> =
        along.filter_map(|(g, &v)| Some(((*g)?, v))).collect();
    let found = pull_back_all(&along, inputs);
    inputs
        .iter()
        .zip(found)
        .map(|(x, ct)| or_zeros(ct, *x))
        .collect()
}

/// The derivative of every element of a result with respect to every element of the inputs: for each input of shape `[x..]` a
/// variable of shape `[y.., x..]`, where `[y..]` is the shape of the result.
///
/// Formula: `J[i.., j..] = df[i..] / dx[j..]`; zeros for an input that the result does not depend on. Rows are computed by reverse
/// mode or columns by forward mode, whichever are fewer, all of them at once. Derivatives are of the type of their input.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::jacobian;
/// let tape = Tape::new();
/// let x = tape.constant(&Tensor::from([1.0, 2.0]));
/// let a = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
/// assert_eq!(jacobian(|x| a.matmul(x), x).value(), a.value());
/// let [_, by_y] = jacobian(|[x, y]| x * y, [x, x]);
/// assert_eq!(by_y.value(), Tensor::from([[1.0, 0.0], [0.0, 2.0]]));
/// ```
///
/// # Panics
/// If an input or the result is not of a floating-point type, or the variables are of two tapes.
#[track_caller]
pub fn jacobian<X: Vars, T: Element>(f: impl FnOnce(X) -> Var<T>, inputs: X) -> X {
    let (own, result) = called(("jacobian", Location::caller()), f, &inputs);
    assert_same_tape("jacobian", &[result.erase()], &own);
    let output = result.erase();
    super::gradient::differentiable("jacobian", output);
    arranged(&inputs, &jacobian_of(output, &own))
}

/// The Jacobian of what was recorded.
#[track_caller]
pub(super) fn jacobian_of(output: AnyVar, inputs: &[AnyVar]) -> Several {
    let _line = output.tape().attribute_to(Location::caller());
    let rows = output.shape().size();
    let columns: usize = inputs.iter().map(|x| x.shape().size()).sum();
    if rows <= columns {
        by_rows(output, inputs)
    } else {
        by_columns(output, inputs)
    }
}

/// The Hessian of a scalar function: all its second derivatives. For each pair of inputs of shapes `[x..]` and `[y..]` a variable of
/// shape `[x.., y..]`, arranged as the inputs for each of the inputs; for a single input one of shape `[x.., x..]`.
///
/// Formula: `H[i.., j..] = d2f / dx[i..] dx[j..]`.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::hessian;
/// let tape = Tape::new();
/// let x = tape.constant(&Tensor::from([1.0, 2.0]));
/// let h = hessian(|x| x.prod() * 3.0, x);
/// assert_eq!(h.value(), Tensor::from([[0.0, 3.0], [3.0, 0.0]]));
/// let [[_, xy], _] = hessian(|[x, y]| (x * y).sum(), [x, x]);
/// assert_eq!(xy.value(), Tensor::from([[1.0, 0.0], [0.0, 1.0]]));
/// ```
///
/// # Panics
/// If the function gives no scalar, an input is not of a floating-point type, or the variables are of two tapes.
#[track_caller]
pub fn hessian<X: Vars, T: Float>(f: impl FnOnce(X) -> Var<T>, inputs: X) -> X::Each<X> {
    let (own, result) = called(("hessian", Location::caller()), f, &inputs);
    assert_scalar("hessian", result, &own);
    let output = result.erase();
    let _line = output.tape().attribute_to(Location::caller());
    let gradients = pull_back_all(&[(output, op::seed(output))], &own);
    let mut next = gradients.iter().zip(&own);
    inputs.each(&mut |_| {
        let (gradient, x) = next.next().expect("one for each input");
        let found = by_rows(or_zeros(*gradient, *x), &own);
        arranged(&inputs, &found)
    })
}

/// The rows of a Jacobian: a cotangent for each element of the output.
#[track_caller]
fn by_rows(output: AnyVar, inputs: &[AnyVar]) -> Several {
    let (tape, shape) = (output.tape(), output.shape());
    let (cotangent, found) = symbolic_pull_back(output, inputs);
    let found: Several = inputs
        .iter()
        .zip(found)
        .map(|(x, ct)| or_zeros(ct, *x))
        .collect();
    let basis = basis(tape, cotangent);
    let rows = finish(tape, shape.size(), &[(cotangent, basis)], &found);
    let whole = |(row, x): (&AnyVar, &AnyVar)| reshaped(*row, &joined(&shape, &x.shape()));
    rows.iter().zip(inputs).map(whole).collect()
}

/// The columns of a Jacobian: a tangent for each element of an input.
#[track_caller]
fn by_columns(output: AnyVar, inputs: &[AnyVar]) -> Several {
    let (tape, shape) = (output.tape(), output.shape());
    let (cotangent, found) = symbolic_pull_back(output, inputs);
    let columns = |(x, ct): (&AnyVar, &Option<AnyVar>)| {
        let size = x.shape().size();
        let tangent = tape.placeholder(&Placeholder::Cotangent, x.dtype(), &x.shape());
        let pushed = or_zeros(transpose(cotangent, &[*ct], &[tangent]), output);
        let basis = basis(tape, tangent);
        let columns = finish(tape, size, &[(tangent, basis)], &[pushed])[0];
        // Rows have the type of the input, tangents that of the result.
        let last = in_type(moved(columns, 0, shape.rank()), x.dtype());
        reshaped(last, &joined(&shape, &x.shape()))
    };
    inputs.iter().zip(&found).map(columns).collect()
}

/// The tensors of the shape of `like` that are 1 at one element, one for each element, along a new first axis.
fn basis(tape: TapeRef, like: AnyVar) -> AnyVar {
    let shape = like.shape();
    let size = shape.size();
    with_float!(like.dtype(), T => {
        let identity = tape.constant(&Tensor::<T>::eye(size)).erase();
        reshaped(identity, &shape.with_inserted(0, size))
    })
}

/// The axes of one shape, then those of another.
fn joined(a: &Shape, b: &Shape) -> Shape {
    a.iter().chain(b.iter()).copied().collect()
}
