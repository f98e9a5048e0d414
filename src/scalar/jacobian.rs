//! All derivatives of first order of a function with many results.

use super::active::Scalar;
use super::real::Real;
use super::tape::Tape;

/// The values of a function, and its Jacobian, row by row: the derivative of result `i` by variable `j` is at `i * n + j`.
///
/// The function is recorded once. Then there is a sweep back from each result or, if there are fewer variables than
/// results, a sweep forward from each variable.
///
/// # Panics
/// If the function returns a scalar of another tape.
///
/// ```
/// let (values, jacobian) = wengert::scalar::jacobian(|x| vec![x[0] * x[1], x[0] + x[1], x[1] * 2.0], &[3.0, 4.0]);
/// assert_eq!(values, [12.0, 7.0, 8.0]);
/// assert_eq!(jacobian, [4.0, 3.0, 1.0, 1.0, 0.0, 2.0]);
/// ```
#[track_caller]
pub fn jacobian<T: Real>(
    f: impl FnOnce(&[Scalar<T>]) -> Vec<Scalar<T>>,
    x: &[T],
) -> (Vec<T>, Vec<T>) {
    let tape = Tape::new();
    let vars = tape.vars(x);
    let y = f(&vars);
    let mut jacobian = vec![T::zero(); x.len() * y.len()];
    rows(&tape, x.len(), &y, &mut jacobian);
    (y.into_iter().map(Scalar::value).collect(), jacobian)
}

/// As [`jacobian`], into buffers: `f` writes its results into its second argument, one for each of `values`. From the
/// second call on, with as many nodes, nothing is allocated.
///
/// # Panics
/// If `jacobian` has not one place for each pair of result and variable.
///
/// ```
/// let (mut values, mut jacobian) = ([0.0; 2], [0.0; 4]);
/// let f = |x: &[wengert::scalar::Scalar<f64>], y: &mut [wengert::scalar::Scalar<f64>]| {
///     y[0] = x[0] * x[1];
///     y[1] = x[0] - x[1];
/// };
/// wengert::scalar::jacobian_into(f, &[3.0, 4.0], &mut values, &mut jacobian);
/// assert_eq!((values, jacobian), ([12.0, -1.0], [4.0, 3.0, 1.0, -1.0]));
/// ```
#[track_caller]
pub fn jacobian_into<T: Real>(
    f: impl FnOnce(&[Scalar<T>], &mut [Scalar<T>]),
    x: &[T],
    values: &mut [T],
    jacobian: &mut [T],
) {
    assert!(
        jacobian.len() == x.len() * values.len(),
        "jacobian_into: {} variables, {} results and room for {} derivatives",
        x.len(),
        values.len(),
        jacobian.len()
    );
    let tape = Tape::new();
    let (mut vars, mut y) = (tape.hold.take_handles(), tape.hold.take_handles());
    tape.vars_into(x, &mut vars);
    y.resize(values.len(), Scalar::default());
    f(&vars, &mut y);
    rows(&tape, x.len(), &y, jacobian);
    for (value, y) in values.iter_mut().zip(&y) {
        *value = y.value();
    }
    tape.hold.give_handles(y);
    tape.hold.give_handles(vars);
}

/// The Jacobian by the first `n` variables of a tape.
#[track_caller]
fn rows<T: Real>(tape: &Tape<T>, n: usize, y: &[Scalar<T>], jacobian: &mut [T]) {
    for y in y.iter().filter(|y| !y.is_constant()) {
        tape.hold.own("jacobian", y.tag());
    }
    if n < y.len() && tape.hold.goes_forward() {
        let mut tangents = tape.hold.take_buffer();
        for j in 0..n {
            tangents.clear();
            tangents.resize(n, T::zero());
            tangents[j] = T::one();
            tape.hold.forward(&mut tangents);
            for (i, y) in y.iter().enumerate() {
                let tangent = if y.is_constant() {
                    T::zero()
                } else {
                    tangents[y.node() as usize]
                };
                let zero = tangent.is_exactly_zero();
                jacobian[i * n + j] = if zero { tangent } else { tangent * y.weight() };
            }
        }
        tape.hold.give_buffer(tangents);
    } else {
        tape.rows(y, n, |j| Some(j as u32), jacobian);
    }
}
