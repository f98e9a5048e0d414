//! Derivatives of second order, forward over reverse.

use super::active::Scalar;
use super::dual::Dual;
use super::real::Real;
use super::tape::Tape;

/// How many columns of a Hessian are found at once.
const LANES: usize = 4;

/// The number that [`hessian`] hands to its function: a scalar that carries tangents along four directions.
///
/// ```
/// use wengert::scalar::{self, Curved};
/// fn f(x: &[Curved<f64>]) -> Curved<f64> {
///     x[0].powi(3)
/// }
/// assert_eq!(scalar::hessian(f, &[2.0]).2, [12.0]);
/// ```
pub type Curved<T> = Scalar<Dual<T, LANES>>;

/// The value of a function, its gradient, and its Hessian, row by row.
///
/// Forward over reverse: the function is called once for every four variables, with numbers whose adjoints carry the
/// derivatives of the gradient along four directions.
///
/// # Panics
/// If the function returns a scalar of another tape.
///
/// ```
/// let (value, gradient, hessian) = wengert::scalar::hessian(|x| x[0] * x[0] * x[1], &[3.0, 4.0]);
/// assert_eq!(value, 36.0);
/// assert_eq!(gradient, [24.0, 9.0]);
/// assert_eq!(hessian, [8.0, 6.0, 6.0, 0.0]);
/// ```
#[track_caller]
pub fn hessian<T: Real>(f: impl FnMut(&[Curved<T>]) -> Curved<T>, x: &[T]) -> (T, Vec<T>, Vec<T>) {
    let mut gradient = vec![T::zero(); x.len()];
    let mut hessian = vec![T::zero(); x.len() * x.len()];
    let value = hessian_into(f, x, &mut gradient, &mut hessian);
    (value, gradient, hessian)
}

/// As [`hessian`], into buffers. From the second call on, with as many nodes, nothing is allocated.
///
/// # Panics
/// If the buffers have not `n` and `n * n` places for `n` variables.
///
/// ```
/// let (mut gradient, mut hessian) = ([0.0; 2], [0.0; 4]);
/// let value = wengert::scalar::hessian_into(|x| x[0] * x[0] * x[1], &[3.0, 4.0], &mut gradient, &mut hessian);
/// assert_eq!((value, gradient, hessian), (36.0, [24.0, 9.0], [8.0, 6.0, 6.0, 0.0]));
/// ```
#[track_caller]
pub fn hessian_into<T: Real>(
    mut f: impl FnMut(&[Curved<T>]) -> Curved<T>,
    x: &[T],
    gradient: &mut [T],
    hessian: &mut [T],
) -> T {
    let n = x.len();
    assert!(
        gradient.len() == n && hessian.len() == n * n,
        "hessian_into: {n} variables, room for a gradient of {} and a Hessian of {}",
        gradient.len(),
        hessian.len()
    );
    let mut tape = Tape::new();
    let mut vars = tape.hold.take_handles();
    let mut adjoints = tape.hold.take_buffer();
    let mut value = T::zero();
    // Without variables the function is still to be called once.
    for first in (0..n.max(1)).step_by(LANES) {
        tape.reset();
        vars.clear();
        vars.extend(x.iter().enumerate().map(|(i, &x)| {
            let mut tangents = [T::zero(); LANES];
            if (first..first + LANES).contains(&i) {
                tangents[i - first] = T::one();
            }
            tape.var(Dual::new(x, tangents))
        }));
        let y = f(&vars);
        value = y.value().value();
        adjoints.clear();
        adjoints.resize(n, Dual::default());
        tape.vjp_of_first("hessian", &[y], &[Dual::constant(T::one())], &mut adjoints);
        for (i, adjoint) in adjoints.iter().enumerate() {
            gradient[i] = adjoint.value();
            for (lane, &second) in adjoint.tangents().iter().enumerate().take(n - first) {
                // Row `first + lane` rather than the column: the two are equal, and rows lie together.
                hessian[(first + lane) * n + i] = second;
            }
        }
    }
    tape.hold.give_buffer(adjoints);
    tape.hold.give_handles(vars);
    value
}

/// The value of a function, its gradient, and the product of its Hessian and a vector, at the cost of a few gradients.
///
/// # Panics
/// If `direction` is not as long as `x`, or the function returns a scalar of another tape.
///
/// ```
/// let (value, gradient, product) = wengert::scalar::hvp(|x| x[0] * x[0] * x[1], &[3.0, 4.0], &[1.0, 10.0]);
/// assert_eq!(value, 36.0);
/// assert_eq!(gradient, [24.0, 9.0]);
/// assert_eq!(product, [68.0, 6.0]);
/// ```
#[track_caller]
pub fn hvp<T: Real>(
    f: impl FnOnce(&[Scalar<Dual<T>>]) -> Scalar<Dual<T>>,
    x: &[T],
    direction: &[T],
) -> (T, Vec<T>, Vec<T>) {
    let (mut gradient, mut product) = (vec![T::zero(); x.len()], vec![T::zero(); x.len()]);
    let value = hvp_into(f, x, direction, &mut gradient, &mut product);
    (value, gradient, product)
}

/// As [`hvp`], into buffers. From the second call on, with as many nodes, nothing is allocated.
///
/// # Panics
/// If `direction` or a buffer is not as long as `x`.
///
/// ```
/// let (mut gradient, mut product) = ([0.0; 2], [0.0; 2]);
/// wengert::scalar::hvp_into(|x| x[0] * x[0] * x[1], &[3.0, 4.0], &[1.0, 10.0], &mut gradient, &mut product);
/// assert_eq!((gradient, product), ([24.0, 9.0], [68.0, 6.0]));
/// ```
#[track_caller]
pub fn hvp_into<T: Real>(
    f: impl FnOnce(&[Scalar<Dual<T>>]) -> Scalar<Dual<T>>,
    x: &[T],
    direction: &[T],
    gradient: &mut [T],
    product: &mut [T],
) -> T {
    let n = x.len();
    assert!(
        direction.len() == n && gradient.len() == n && product.len() == n,
        "hvp: {n} variables, a direction of {}, room for a gradient of {} and a product of {}",
        direction.len(),
        gradient.len(),
        product.len()
    );
    let tape = Tape::new();
    let mut vars = tape.hold.take_handles();
    let mut adjoints = tape.hold.take_buffer();
    vars.extend(
        x.iter()
            .zip(direction)
            .map(|(&x, &t)| tape.var(Dual::new(x, [t]))),
    );
    let y = f(&vars);
    adjoints.resize(n, Dual::default());
    tape.vjp_of_first("hvp", &[y], &[Dual::constant(T::one())], &mut adjoints);
    for (i, adjoint) in adjoints.iter().enumerate() {
        (gradient[i], product[i]) = (adjoint.value(), adjoint.tangent());
    }
    tape.hold.give_buffer(adjoints);
    tape.hold.give_handles(vars);
    y.value().value()
}
