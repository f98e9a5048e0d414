//! A function with its rule where only scalars are at hand.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;

use super::{Hold, Real, Scalar, Tape};

/// As [`Tape::custom_vjp`], on the tape of the inputs: for code that is handed scalars alone. If all of them are constants,
/// so are the results.
///
/// # Panics
/// If inputs are of two tapes, or of one that was reset or dropped. A sweep panics if its rule records on the tape or
/// sweeps it.
///
/// ```
/// use wengert::scalar::{self, Scalar};
/// // The square root, and its rule.
/// fn root(x: Scalar<f64>) -> Scalar<f64> {
///     let y = x.value().sqrt();
///     scalar::custom_vjp(&[x], &[y], move |cotangents, out| out[0] = cotangents[0] / (2.0 * y))[0]
/// }
/// assert_eq!(scalar::gradient(|x| root(x[0]) * 3.0, &[4.0]), (6.0, vec![0.75]));
/// ```
#[track_caller]
pub fn custom_vjp<T: Real>(
    inputs: &[Scalar<T>],
    outputs: &[T],
    rule: impl Fn(&[T], &mut [T]) + 'static,
) -> Vec<Scalar<T>> {
    let Some(active) = inputs.iter().find(|x| !x.is_constant()) else {
        return outputs.iter().map(|&y| Scalar::constant(y)).collect();
    };
    let hold = Hold::lent("custom_vjp", active.tag());
    let tape = ManuallyDrop::new(Tape {
        hold: ManuallyDrop::into_inner(hold),
        _stays_in_its_thread: PhantomData,
    });
    tape.custom_vjp(inputs, outputs, rule)
}
