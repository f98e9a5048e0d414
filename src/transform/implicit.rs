//! Roots and fixed points, found by any means and differentiated by the implicit function theorem.

use super::custom::ruled;
use super::forward::{called, or_zeros};
use super::gradient::pull_back_all;
use super::jacobian::jacobian_of;
use super::solve::solve;
use super::vars::{Vars, arranged, flat};
use crate::element::{Element, Float, with_dtype};
use crate::error::{Error, ErrorKind};
use crate::program::Fetch;
use crate::tape::{AnyVar, Tape, TapeRef, UserRule, Var};
use crate::tensor::Tensor;
use std::panic::Location;
use std::rc::Rc;

/// A root of `residual(z, parameters) = 0`, found by a solver that knows nothing of derivatives, as a function of the parameters.
///
/// The solver is given the values of the parameters, at once. The solution has its derivative from the equation that it satisfies,
/// whatever the solver did, to any order.
///
/// # Derivative
/// With cotangent `c`: `-(dF/dp)^T y`, where `(dF/dz)^T y = c`. The Jacobian `dF/dz` is computed as a whole and decomposed: for
/// solutions of up to some thousand elements.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::implicit_root;
/// # fn main() -> Result<(), Error> {
/// let tape = Tape::new();
/// let a = tape.leaf(&Tensor::from([4.0, 9.0]));
/// // z^2 = a, by a solver that could be any.
/// let z = implicit_root(|a: Tensor| Ok(a.map(f32::sqrt)), |z, a| z * z - a, a)?;
/// assert_eq!(z.value(), Tensor::from([2.0, 3.0]));
/// assert_eq!(z.sum().gradient(a).value(), Tensor::from([1.0 / 4.0, 1.0 / 6.0]));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of the solver.
///
/// # Panics
/// If there are no parameters; if one has no value yet, as in a program that is being recorded or within `vmap`. When a derivative
/// is taken: if the residual has another size than the solution. When it is computed: if the Jacobian is singular.
///
/// # Source
/// M. Blondel et al., "Efficient and modular implicit differentiation", 2022.
#[track_caller]
pub fn implicit_root<P, T>(
    solver: impl FnOnce(P::Values) -> Result<Tensor<T>, Error>,
    residual: impl Fn(Var<T>, P) -> Var<T> + 'static,
    parameters: P,
) -> Result<Var<T>, Error>
where
    P: Vars + Fetch + 'static,
    T: Float,
{
    let given = flat(&parameters);
    let Some(first) = given.first() else {
        panic!("implicit_root: there are no parameters");
    };
    rooted(solver, residual, parameters, first.tape().streams())
}

/// As [`implicit_root`]; the residual draws random numbers of the streams from a number on, the same ones however often it is recorded.
#[track_caller]
fn rooted<P, T>(
    solver: impl FnOnce(P::Values) -> Result<Tensor<T>, Error>,
    residual: impl Fn(Var<T>, P) -> Var<T> + 'static,
    parameters: P,
    streams: u64,
) -> Result<Var<T>, Error>
where
    P: Vars + Fetch + 'static,
    T: Float,
{
    let given = flat(&parameters);
    let tape = given[0].tape();
    let solution = tape.constant(&solver(tape.run(Borrowed(&parameters)))?);
    let arrangement = parameters.clone();
    let rule: UserRule = Rc::new(move |inputs, value, cotangent| {
        let parameters = arranged(&arrangement, inputs);
        let tape = value.tape();
        let f = |(z, p)| tape.repeating(streams, || residual(z, p));
        let (own, equation) = called("implicit_root", f, &(value.assume::<T>(), parameters));
        let (size, wanted) = (equation.shape().size(), value.shape().size());
        assert!(
            size == wanted,
            "implicit_root: the residual has {size} elements, the solution {wanted}"
        );
        let slope = jacobian_of(equation.erase(), &own[..1])[0].assume::<T>();
        let slope = slope.reshape([size, size]);
        let adjoint = solve(slope.t(), cotangent.assume::<T>().flatten());
        let adjoint = (-adjoint).reshape(equation.shape()).erase();
        let found = pull_back_all(&[(equation.erase(), adjoint)], &own[1..]);
        let found = own[1..].iter().zip(found);
        found.map(|(x, ct)| or_zeros(ct, *x)).collect()
    });
    Ok(ruled(tape, rule, solution.erase(), &given).assume())
}

/// Fetches what someone else has.
struct Borrowed<'a, F>(&'a F);

impl<F: Fetch> Fetch for Borrowed<'_, F> {
    type Values = F::Values;
    fn indices(&self, visit: &mut dyn FnMut(TapeRef, u32)) {
        self.0.indices(visit);
    }
    fn values(&self) -> F::Values {
        self.0.values()
    }
}

/// The fixed point `z = f(z, parameters)` that repeated application leads to from a starting point, as a function of the parameters:
/// [`FixedPoint`] with its defaults.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::fixed_point;
/// # fn main() -> Result<(), Error> {
/// let tape = Tape::new();
/// let a = tape.leaf(&Tensor::from(2.0f64));
/// // Heron's iteration for the square root.
/// let root = fixed_point(|z, a| (z + a / z) * 0.5, &Tensor::from(1.0), a)?;
/// assert!((root.value().item() - 2f64.sqrt()).abs() < 1e-12);
/// assert!((root.gradient(a).value().item() - 0.5 / 2f64.sqrt()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the iteration does not converge.
///
/// # Panics
/// As [`implicit_root`].
#[track_caller]
pub fn fixed_point<P, T>(
    f: impl Fn(Var<T>, P) -> Var<T> + 'static,
    start: &Tensor<T>,
    parameters: P,
) -> Result<Var<T>, Error>
where
    P: Vars + Fetch + 'static,
    T: Float,
{
    FixedPoint::new().solve(f, start, parameters)
}

/// When an iteration towards a fixed point ends.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::FixedPoint;
/// let tape = Tape::new();
/// let a = tape.leaf(&Tensor::from(2.0));
/// let away = |z: Var, a: Var| z * a + 1.0;
/// let line = line!() + 1;
/// let error = FixedPoint::new().iterations(3).solve(away, &Tensor::from(0.0), a).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Convergence);
/// let said = "fixed_point: no convergence in 3 iterations: the last one changed the point by 4, more than 0.000008";
/// assert!(error.to_string().starts_with(&format!("{said} (at {}:{line}:", file!())));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FixedPoint {
    tolerance: Option<f64>,
    iterations: usize,
}

impl Default for FixedPoint {
    fn default() -> Self {
        FixedPoint {
            tolerance: None,
            iterations: 1000,
        }
    }
}

impl FixedPoint {
    /// Up to 1000 iterations, until the point changes by less than 1e-6 (in `f64` 1e-12) of 1 and its largest element together.
    pub fn new() -> Self {
        FixedPoint::default()
    }

    /// The largest change of an element that ends the iteration, relative to 1 and the largest element together.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// The most iterations.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::FixedPoint;
    /// let tape = Tape::new();
    /// let half = tape.leaf(&Tensor::from(0.5));
    /// let shrink = |z: Var, half: Var| z * half;
    /// let few = FixedPoint::new().iterations(2).solve(shrink, &Tensor::from(1.0), half);
    /// assert!(few.is_err());
    /// let rough = FixedPoint::new().iterations(2).tolerance(0.5);
    /// assert!(rough.solve(shrink, &Tensor::from(1.0), half).is_ok());
    /// ```
    pub fn iterations(mut self, iterations: usize) -> Self {
        self.iterations = iterations;
        self
    }

    /// The fixed point of `f` from a starting point on: see [`fixed_point`].
    ///
    /// # Errors
    /// If the iteration does not converge.
    ///
    /// # Panics
    /// As [`implicit_root`]; if `f` gives another shape than it takes.
    #[track_caller]
    pub fn solve<P, T>(
        self,
        f: impl Fn(Var<T>, P) -> Var<T> + 'static,
        start: &Tensor<T>,
        parameters: P,
    ) -> Result<Var<T>, Error>
    where
        P: Vars + Fetch + 'static,
        T: Float,
    {
        let Some(tape) = flat(&parameters).first().map(|first| first.tape()) else {
            panic!("implicit_root: there are no parameters");
        };
        tape.run(Borrowed(&parameters));
        let streams = tape.streams();
        // The values are there: the constants of the other tape share them.
        let on = |tape: TapeRef| parameters.map(&mut |v| shared(tape, v));
        let step = |aside: TapeRef, z| {
            aside.draw_as(tape, streams);
            f(z, on(aside))
        };
        let point = self.iterate(step, start)?;
        rooted(|_| Ok(point), move |z, p| f(z, p) - z, parameters, streams)
    }

    #[track_caller]
    fn iterate<T: Float>(
        self,
        step: impl Fn(TapeRef, Var<T>) -> Var<T>,
        start: &Tensor<T>,
    ) -> Result<Tensor<T>, Error> {
        let single = if T::DTYPE == f32::DTYPE { 1e-6 } else { 1e-12 };
        let tolerance = self.tolerance.unwrap_or(single);
        let mut tape = Tape::inference();
        let mut point = start.clone();
        let (mut change, mut limit) = (f64::INFINITY, tolerance);
        for _ in 0..self.iterations {
            tape.reset();
            let z = tape.constant(&point);
            let next = step(*tape, z);
            let (given, shape) = (next.shape(), point.shape());
            assert!(
                given == *shape,
                "fixed_point: the function makes shape {given} of {shape}"
            );
            let largest = |x: Var<T>| {
                if shape.size() == 0 {
                    x.sum()
                } else {
                    x.abs().max()
                }
            };
            let (value, by, size) = tape.run((next, largest(next - z), largest(next)));
            point = value;
            (change, limit) = (by.item().as_f64(), tolerance * (1.0 + size.item().as_f64()));
            if change <= limit {
                return Ok(point);
            }
        }
        Err(Error::new(
            ErrorKind::Convergence,
            format!(
                "fixed_point: no convergence in {} iterations: the last one changed the point by {change}, more than {limit} (at {})",
                self.iterations,
                Location::caller()
            ),
        ))
    }
}

/// A value that was computed, as a constant of another tape.
fn shared(tape: TapeRef, variable: AnyVar) -> AnyVar {
    with_dtype!(variable.dtype(), T => tape.constant(&variable.assume::<T>().computed()).erase())
}
