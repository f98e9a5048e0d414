//! Derivatives of functions: reverse mode as functions, and forward mode as the reverse of the reverse.
//!
//! A pullback is linear in its cotangent. So what a tangent becomes is the pullback of that: the cotangents of the inputs are
//! recorded for a cotangent of the result that has no value, and differentiated by it. Of the nodes in between only those are ever
//! computed that the tangent passes through (J. Townsend, "A new trick for calculating Jacobian vector products", 2017).

use super::gradient::{differentiable, pull_back_all};
use super::vars::{Vars, arranged, flat, tape_of};
use crate::element::{Element, Float, with_dtype};
use crate::op;
use crate::shape::or_panic;
use crate::tape::{AnyVar, Placeholder, TapeRef, Var};
use smallvec::SmallVec;
use std::panic::Location;

/// A few variables.
pub(super) type Several = SmallVec<[AnyVar; 4]>;

/// Cotangents of inputs; `None` where nothing depends on one.
type Cotangents = SmallVec<[Option<AnyVar>; 4]>;

/// The name of a transform, and the line that calls it.
pub(super) type Caller = (&'static str, &'static Location<'static>);

/// Makes the inputs of a function variables of their own, so that derivatives go through the function only, and calls it.
#[track_caller]
pub(super) fn called<X: Vars, Y>(
    (operation, location): Caller,
    f: impl FnOnce(X) -> Y,
    inputs: &X,
) -> (Several, Y) {
    let given = flat(inputs);
    for &input in &given {
        differentiable(operation, input);
    }
    let tape = tape_of(operation, &given);
    let line = tape.map(|tape| tape.attribute_to(location));
    let own = own(&given);
    drop(line);
    let result = f(arranged(inputs, &own));
    (own, result)
}

/// Variables of a function's own in the place of those that it is given. Those of other types, which have no derivatives, are as they were.
pub(super) fn own(given: &[AnyVar]) -> Several {
    let of = |x: &AnyVar| match x.dtype().is_float() {
        true => x.tape().differentiable(*x),
        false => *x,
    };
    given.iter().map(of).collect()
}

/// Panics at the caller's line unless what a function gave is a scalar of the tape.
#[track_caller]
pub(super) fn assert_scalar<T: Float>(operation: &str, result: Var<T>, inputs: &[AnyVar]) {
    let shape = result.shape();
    assert!(
        shape.rank() == 0,
        "{operation}: the function gives shape {shape}, but must give a scalar: take its sum, or use jacobian"
    );
    assert_same_tape(operation, &[result.erase()], inputs);
}

/// Panics at the caller's line unless all results are of the tape of the inputs.
#[track_caller]
pub(super) fn assert_same_tape(operation: &str, results: &[AnyVar], inputs: &[AnyVar]) {
    if let Some(input) = inputs.first() {
        assert!(
            results.iter().all(|result| result.tape() == input.tape()),
            "{operation}: a result of the function is a variable of another tape"
        );
    }
}

/// Says that cotangents have no values yet, as long as it lives.
struct Symbolic(TapeRef, bool);

impl Symbolic {
    fn new(tape: TapeRef) -> Self {
        let mut graph = tape.graph_mut("jvp");
        Symbolic(tape, std::mem::replace(&mut graph.symbolic, true))
    }
}

impl Drop for Symbolic {
    fn drop(&mut self) {
        if let Some(arena) = self.0.live() {
            arena.graph.borrow_mut().symbolic = self.1;
        }
    }
}

/// The cotangents of inputs, for one of an output that has no value: that, and those.
#[track_caller]
pub(super) fn symbolic_pull_back(
    output: AnyVar,
    inputs: &[AnyVar],
) -> (AnyVar, SmallVec<[Option<AnyVar>; 4]>) {
    let tape = output.tape();
    let _symbolic = Symbolic::new(tape);
    let cotangent = tape.placeholder(&Placeholder::Cotangent, output.dtype(), &output.shape());
    (cotangent, pull_back_all(&[(output, cotangent)], inputs))
}

/// The derivative of a scalar function with respect to its inputs, in their arrangement.
///
/// Formula: `g[i] = df / dx[i]`. The inputs may be constants. Only what the function makes of its arguments counts: a variable that
/// it reads from outside is a constant to it.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::gradient;
/// let tape = Tape::new();
/// let x = tape.constant(&Tensor::from([1.0, 2.0]));
/// let dx = gradient(|x| (x * x * x).sum(), x);
/// assert_eq!(dx.value(), Tensor::from([3.0, 12.0]));
/// // To any order.
/// let ddx = gradient(|x| gradient(|x| (x * x * x).sum(), x).sum(), x);
/// assert_eq!(ddx.value(), Tensor::from([6.0, 12.0]));
/// ```
///
/// # Panics
/// If the function gives no scalar, an input is not of a floating-point type, the result does not depend on one, or the variables
/// are of two tapes.
#[track_caller]
pub fn gradient<X: Vars, T: Float>(f: impl FnOnce(X) -> Var<T>, inputs: X) -> X {
    value_and_gradient(f, inputs).1
}

/// The value of a scalar function and its derivative with respect to its inputs: see [`gradient`].
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::value_and_gradient;
/// let tape = Tape::new();
/// let x = tape.constant(&Tensor::from([1.0, 2.0]));
/// let (y, dx) = tape.run(value_and_gradient(|x| (x * x).sum(), x));
/// assert_eq!((y.item(), dx), (5.0, Tensor::from([2.0, 4.0])));
/// ```
///
/// # Panics
/// As [`gradient`].
#[track_caller]
pub fn value_and_gradient<X: Vars, T: Float>(
    f: impl FnOnce(X) -> Var<T>,
    inputs: X,
) -> (Var<T>, X) {
    let (own, result) = called(("gradient", Location::caller()), f, &inputs);
    assert_scalar("gradient", result, &own);
    let output = result.erase();
    let cotangents = pull_back_all(&[(output, op::seed(output))], &own);
    if let Some(k) = cotangents.iter().position(Option::is_none) {
        panic!("gradient: {result:?} does not depend on input {k}");
    }
    let found: Several = cotangents.into_iter().flatten().collect();
    (result, arranged(&inputs, &found))
}

/// The value of a function, and the function that maps a cotangent of the value to those of the inputs.
///
/// Formula: `v[j] = sum over i of cotangent[i] * df[i] / dx[j]`; zeros for an input that the value does not depend on.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::vjp;
/// let tape = Tape::new();
/// let x = tape.constant(&Tensor::from([1.0, 2.0]));
/// let (y, pull_back) = vjp(|x| x * x, x);
/// assert_eq!(y.value(), Tensor::from([1.0, 4.0]));
/// let cotangent = tape.constant(&Tensor::from([1.0, 10.0]));
/// assert_eq!(pull_back(cotangent).value(), Tensor::from([2.0, 40.0]));
/// ```
///
/// # Panics
/// If an input is not of a floating-point type, the variables are of two tapes, or a cotangent has another shape than its value.
#[track_caller]
pub fn vjp<X: Vars, Y: Vars>(f: impl FnOnce(X) -> Y, inputs: X) -> (Y, impl Fn(Y) -> X) {
    vjp_of(("vjp", Location::caller()), f, inputs)
}

/// As [`vjp`], of a transform that has it as a part.
#[track_caller]
pub(super) fn vjp_of<X: Vars, Y: Vars>(
    caller: Caller,
    f: impl FnOnce(X) -> Y,
    inputs: X,
) -> (Y, impl Fn(Y) -> X) {
    let (own, result) = called(caller, f, &inputs);
    let outputs = flat(&result);
    assert_same_tape(caller.0, &outputs, &own);
    let pull_back = move |cotangents: Y| {
        let pairs = pairs("cotangent", "value", &flat(&cotangents), &outputs);
        let pairs = or_panic_of(caller, pairs);
        let _line = own.first().map(|x| x.tape().attribute_to(caller.1));
        let found = pull_back_all(&pairs, &own);
        let found: Several = own
            .iter()
            .zip(found)
            .map(|(x, ct)| or_zeros(ct, *x))
            .collect();
        arranged(&inputs, &found)
    };
    (result, pull_back)
}

/// The value of a function, and how it changes as its inputs change along a tangent: the Jacobian-vector product, forward mode.
///
/// Formula: `w[i] = sum over j of df[i] / dx[j] * tangent[j]`. Costs about two evaluations, whatever the number of inputs and
/// results.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::jvp;
/// let tape = Tape::new();
/// let x = tape.constant(&Tensor::from([1.0, 2.0]));
/// let tangent = tape.constant(&Tensor::from([1.0, 10.0]));
/// let (y, dy) = jvp(|x| x * x, x, tangent);
/// assert_eq!(y.value(), Tensor::from([1.0, 4.0]));
/// assert_eq!(dy.value(), Tensor::from([2.0, 40.0]));
/// ```
///
/// # Panics
/// If an input is not of a floating-point type, the variables are of two tapes, or a tangent has another shape than its input.
///
/// # Source
/// J. Townsend, "A new trick for calculating Jacobian vector products", 2017.
#[track_caller]
pub fn jvp<X: Vars, Y: Vars>(f: impl FnOnce(X) -> Y, inputs: X, tangents: X) -> (Y, Y) {
    let tangents = flat(&tangents);
    paired("jvp", "tangent", "input", &tangents, &flat(&inputs));
    let (result, linear) = linear(("jvp", Location::caller()), f, &inputs);
    let pushed = linear.push(&tangents);
    let pushed = arranged(&result, &pushed);
    (result, pushed)
}

/// The value of a function, and the linear function that maps tangents of its inputs to that of the value: for many tangents at one
/// point.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::linearize;
/// let tape = Tape::new();
/// let x = tape.constant(&Tensor::from([1.0, 2.0]));
/// let (y, push) = linearize(|x| (x * x).sum(), x);
/// assert_eq!(y.value().item(), 5.0);
/// for (tangent, change) in [([1.0, 0.0], 2.0), ([0.0, 1.0], 4.0)] {
///     assert_eq!(push(tape.constant(&Tensor::from(tangent))).value().item(), change);
/// }
/// ```
///
/// # Panics
/// As [`jvp`]; the function as well.
#[track_caller]
pub fn linearize<X: Vars, Y: Vars>(f: impl FnOnce(X) -> Y, inputs: X) -> (Y, impl Fn(X) -> Y) {
    let caller = ("linearize", Location::caller());
    let (result, linear) = linear(caller, f, &inputs);
    let like = result.clone();
    let given = flat(&inputs);
    let push = move |tangents: X| {
        let tangents = flat(&tangents);
        let fits = pairs("tangent", "input", &tangents, &given);
        or_panic_of(caller, fits);
        let _line = given.first().map(|x| x.tape().attribute_to(caller.1));
        arranged(&like, &linear.push(&tangents))
    };
    (result, push)
}

/// A function at a point, ready to be pushed forward.
struct Linear {
    outputs: Several,
    /// For each result that has a derivative: its number, the cotangent that stands for any, and those of the inputs.
    parts: Vec<(usize, AnyVar, Cotangents)>,
}

#[track_caller]
fn linear<X: Vars, Y: Vars>(caller: Caller, f: impl FnOnce(X) -> Y, inputs: &X) -> (Y, Linear) {
    let (own, result) = called(caller, f, inputs);
    let outputs = flat(&result);
    assert_same_tape(caller.0, &outputs, &own);
    let mut parts = Vec::new();
    for (k, &output) in outputs.iter().enumerate() {
        if output.dtype().is_float() {
            let (cotangent, found) = symbolic_pull_back(output, &own);
            parts.push((k, cotangent, found));
        }
    }
    (result, Linear { outputs, parts })
}

impl Linear {
    /// The tangents of the results, given those of the inputs.
    #[track_caller]
    fn push(&self, tangents: &[AnyVar]) -> Several {
        let mut pushed = Several::new();
        for &y in &self.outputs {
            pushed.push(zeros(y));
        }
        for (k, cotangent, found) in &self.parts {
            if let Some(tangent) = transpose(*cotangent, found, tangents) {
                pushed[*k] = tangent;
            }
        }
        pushed
    }
}

/// What the tangents of inputs make of a result, given the cotangents that one of the result makes of the inputs.
#[track_caller]
pub(super) fn transpose(
    cotangent: AnyVar,
    found: &[Option<AnyVar>],
    tangents: &[AnyVar],
) -> Option<AnyVar> {
    let pairs = found.iter().zip(tangents);
    let pairs: SmallVec<[(AnyVar, AnyVar); 4]> = pairs
        .filter_map(|(found, &tangent)| Some(((*found)?, tangent)))
        .collect();
    pull_back_all(&pairs, &[cotangent])[0]
}

/// Values, each with what belongs to it.
type Pairs = SmallVec<[(AnyVar, AnyVar); 4]>;

/// Each value with what belongs to it; panics at the caller's line if the shapes do not agree.
#[track_caller]
pub(super) fn paired(
    operation: &str,
    what: &str,
    of: &str,
    given: &[AnyVar],
    values: &[AnyVar],
) -> Pairs {
    or_panic(operation, pairs(what, of, given, values))
}

/// As [`or_panic`], in a closure, which does not know the line of its caller: it says where it was made.
fn or_panic_of<Y>((operation, made): Caller, result: Result<Y, String>) -> Y {
    match result {
        Ok(found) => found,
        Err(message) => panic!("{operation}: {message} (the function was made at {made})"),
    }
}

/// Each value with what belongs to it, if the shapes agree.
fn pairs(what: &str, of: &str, given: &[AnyVar], values: &[AnyVar]) -> Result<Pairs, String> {
    if given.len() != values.len() {
        let (given, wanted) = (given.len(), values.len());
        return Err(format!(
            "{given} {what}s were given, one for each {of} makes {wanted}"
        ));
    }
    let mut pairs = SmallVec::new();
    for (k, (&value, &given)) in values.iter().zip(given).enumerate() {
        if given.tape().live().is_none() || value.tape().live().is_none() {
            return Err("the variable's tape was reset or dropped".into());
        }
        let (shape, wanted) = (given.shape(), value.shape());
        if shape != wanted {
            return Err(format!(
                "the {what} of {of} {k} has shape {shape}, the {of} {wanted}"
            ));
        }
        if given.tape() != value.tape() {
            return Err("the variables are of two different tapes".into());
        }
        pairs.push((value, given));
    }
    Ok(pairs)
}

/// A cotangent, or zeros where there is none.
#[track_caller]
pub(super) fn or_zeros(cotangent: Option<AnyVar>, like: AnyVar) -> AnyVar {
    match cotangent {
        Some(cotangent) => cotangent,
        None => zeros(like),
    }
}

/// Zeros of any type, in the shape of a variable.
#[track_caller]
fn zeros(like: AnyVar) -> AnyVar {
    with_dtype!(like.dtype(), T => like.tape().full(like.shape(), <T as Element>::ZERO).erase())
}
