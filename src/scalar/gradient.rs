//! Derivatives of first order of a function given as a closure.

use super::active::Scalar;
use super::dual::{Dual, Origin};
use super::real::Real;
use super::tape::Tape;

/// The value and the gradient of a function of many numbers, by reverse mode.
///
/// The type of number is that of `x`. Where it is left to literals alone, as in `&[1.5, -0.5]`, the compiler cannot look
/// up an operator with a literal on the left, `2.0 * x[0]`, before it knows the type: write `&[1.5_f64, -0.5]`.
///
/// # Panics
/// If the function returns a scalar of another tape.
///
/// ```
/// let (value, gradient) = wengert::scalar::gradient(|x| (x[0] * x[1]).sin() + x[0].powi(3), &[1.5, -0.5]);
/// assert_eq!(value, (-0.75_f64).sin() + 3.375);
/// assert_eq!(gradient, [-0.5 * (-0.75_f64).cos() + 3.0 * 2.25, 1.5 * (-0.75_f64).cos()]);
/// ```
#[track_caller]
pub fn gradient<T: Real>(f: impl FnOnce(&[Scalar<T>]) -> Scalar<T>, x: &[T]) -> (T, Vec<T>) {
    let mut gradient = vec![T::zero(); x.len()];
    let value = gradient_into(f, x, &mut gradient);
    (value, gradient)
}

/// As [`gradient`], under the name that says all that it returns.
///
/// ```
/// let (value, gradient) = wengert::scalar::value_and_gradient(|x| x[0] * x[1], &[3.0, 4.0]);
/// assert_eq!((value, gradient), (12.0, vec![4.0, 3.0]));
/// ```
#[track_caller]
pub fn value_and_gradient<T: Real>(
    f: impl FnOnce(&[Scalar<T>]) -> Scalar<T>,
    x: &[T],
) -> (T, Vec<T>) {
    gradient(f, x)
}

/// The value of a function of many numbers, and its gradient into a buffer. From the second call on, with as many nodes
/// and of the same type of number in the same thread, nothing is allocated.
///
/// # Panics
/// If the buffer is not as long as `x`, or the function returns a scalar of another tape.
///
/// ```
/// let mut gradient = [0.0; 2];
/// let value = wengert::scalar::gradient_into(|x| x[0] * x[1], &[3.0, 4.0], &mut gradient);
/// assert_eq!((value, gradient), (12.0, [4.0, 3.0]));
/// ```
#[track_caller]
pub fn gradient_into<T: Real>(
    f: impl FnOnce(&[Scalar<T>]) -> Scalar<T>,
    x: &[T],
    gradient: &mut [T],
) -> T {
    assert!(
        x.len() == gradient.len(),
        "gradient_into: {} variables and room for {} derivatives",
        x.len(),
        gradient.len()
    );
    let tape = Tape::new();
    let mut vars = tape.hold.take_handles();
    tape.vars_into(x, &mut vars);
    let y = f(&vars);
    tape.hold.give_handles(vars);
    tape.vjp_of_first("gradient", &[y], &[T::one()], gradient);
    y.value()
}

/// The value and the derivative of a function of one number, by forward mode.
///
/// # Panics
/// In builds with debug assertions, if the function uses a number of another derivative that is being taken: see [`Dual`].
///
/// ```
/// let (value, derivative) = wengert::scalar::derivative(|x| x.exp() * x, 1.0_f64);
/// assert_eq!((value, derivative), (1.0_f64.exp(), 2.0 * 1.0_f64.exp()));
/// ```
#[inline]
#[track_caller]
pub fn derivative<T: Real>(f: impl FnOnce(Dual<T>) -> Dual<T>, x: T) -> (T, T) {
    let origin = Origin::fresh();
    let y = f(Dual::of(x, [T::one()], origin)).own("derivative", origin);
    (y.value(), y.tangent())
}

/// The values of a function, and their derivatives along `direction`: the product of Jacobian and vector, by forward mode.
///
/// # Panics
/// If `direction` is not as long as `x`; as [`derivative`].
///
/// ```
/// let (values, tangents) = wengert::scalar::jvp(|x| vec![x[0] * x[1], x[0] + x[1]], &[3.0, 4.0], &[1.0, 10.0]);
/// assert_eq!((values, tangents), (vec![12.0, 7.0], vec![34.0, 11.0]));
/// ```
#[track_caller]
pub fn jvp<T: Real>(
    f: impl FnOnce(&[Dual<T>]) -> Vec<Dual<T>>,
    x: &[T],
    direction: &[T],
) -> (Vec<T>, Vec<T>) {
    assert_direction("jvp", x, direction);
    let origin = Origin::fresh();
    let x: Vec<Dual<T>> = directed(x, direction, origin).collect();
    let (mut values, mut tangents) = (Vec::new(), Vec::new());
    for y in f(&x) {
        let y = y.own("jvp", origin);
        values.push(y.value());
        tangents.push(y.tangent());
    }
    (values, tangents)
}

/// As [`jvp`], into buffers: `f` writes its results into its second argument, one for each of `values`. From the second
/// call on, with as many numbers, nothing is allocated.
///
/// # Panics
/// If `values` and `tangents`, or `x` and `direction`, are not of one length; as [`derivative`].
///
/// ```
/// use wengert::scalar::{self, Dual};
/// let (mut values, mut tangents) = ([0.0], [0.0]);
/// let f = |x: &[Dual<f64>], y: &mut [Dual<f64>]| y[0] = x[0] * x[1];
/// scalar::jvp_into(f, &[3.0, 4.0], &[1.0, 10.0], &mut values, &mut tangents);
/// assert_eq!((values, tangents), ([12.0], [34.0]));
/// ```
#[track_caller]
pub fn jvp_into<T: Real>(
    f: impl FnOnce(&[Dual<T>], &mut [Dual<T>]),
    x: &[T],
    direction: &[T],
    values: &mut [T],
    tangents: &mut [T],
) {
    assert!(
        values.len() == tangents.len(),
        "jvp_into: room for {} values and {} tangents",
        values.len(),
        tangents.len()
    );
    assert_direction("jvp_into", x, direction);
    // A tape for its buffer alone, which the next call finds again.
    let tape = Tape::<Dual<T>>::new();
    let mut numbers = tape.hold.take_buffer();
    let origin = Origin::fresh();
    numbers.extend(directed(x, direction, origin));
    numbers.resize(x.len() + values.len(), Dual::default());
    let (x, y) = numbers.split_at_mut(x.len());
    f(x, y);
    for (i, y) in y.iter().enumerate() {
        let y = y.own("jvp_into", origin);
        (values[i], tangents[i]) = (y.value(), y.tangent());
    }
    tape.hold.give_buffer(numbers);
}

#[track_caller]
fn assert_direction<T>(operation: &str, x: &[T], direction: &[T]) {
    assert!(
        x.len() == direction.len(),
        "{operation}: {} variables and a direction of {}",
        x.len(),
        direction.len()
    );
}

fn directed<T: Real>(x: &[T], direction: &[T], origin: Origin) -> impl Iterator<Item = Dual<T>> {
    let both = x.iter().zip(direction);
    both.map(move |(&x, &t)| Dual::of(x, [t], origin))
}

/// The values of a function, and the derivatives of their sum weighted by `cotangent`: the product of vector and Jacobian,
/// by reverse mode.
///
/// # Panics
/// If `cotangent` is not as long as the function's result.
///
/// ```
/// let (values, cotangents) = wengert::scalar::vjp(|x| vec![x[0] * x[1], x[0] + x[1]], &[3.0, 4.0], &[1.0, 10.0]);
/// assert_eq!((values, cotangents), (vec![12.0, 7.0], vec![14.0, 13.0]));
/// ```
#[track_caller]
pub fn vjp<T: Real>(
    f: impl FnOnce(&[Scalar<T>]) -> Vec<Scalar<T>>,
    x: &[T],
    cotangent: &[T],
) -> (Vec<T>, Vec<T>) {
    let tape = Tape::new();
    let vars = tape.vars(x);
    let y = f(&vars);
    let mut gradient = vec![T::zero(); x.len()];
    tape.vjp_of_first("vjp", &y, cotangent, &mut gradient);
    (y.into_iter().map(Scalar::value).collect(), gradient)
}

/// As [`vjp`], into buffers: `f` writes its results into its second argument, one for each of `values`. From the second
/// call on, with as many nodes, nothing is allocated.
///
/// # Panics
/// If `values` and `cotangent`, or `x` and `gradient`, are not of one length.
///
/// ```
/// use wengert::scalar::{self, Scalar};
/// let (mut values, mut gradient) = ([0.0; 2], [0.0; 2]);
/// let f = |x: &[Scalar<f64>], y: &mut [Scalar<f64>]| {
///     y[0] = x[0] * x[1];
///     y[1] = x[0] + x[1];
/// };
/// scalar::vjp_into(f, &[3.0, 4.0], &[1.0, 10.0], &mut values, &mut gradient);
/// assert_eq!((values, gradient), ([12.0, 7.0], [14.0, 13.0]));
/// ```
#[track_caller]
pub fn vjp_into<T: Real>(
    f: impl FnOnce(&[Scalar<T>], &mut [Scalar<T>]),
    x: &[T],
    cotangent: &[T],
    values: &mut [T],
    gradient: &mut [T],
) {
    assert!(
        x.len() == gradient.len(),
        "vjp_into: {} variables and room for {} derivatives",
        x.len(),
        gradient.len()
    );
    let tape = Tape::new();
    let (mut vars, mut y) = (tape.hold.take_handles(), tape.hold.take_handles());
    tape.vars_into(x, &mut vars);
    y.resize(values.len(), Scalar::default());
    f(&vars, &mut y);
    tape.vjp_of_first("vjp", &y, cotangent, gradient);
    for (value, y) in values.iter_mut().zip(&y) {
        *value = y.value();
    }
    tape.hold.give_handles(y);
    tape.hold.give_handles(vars);
}
