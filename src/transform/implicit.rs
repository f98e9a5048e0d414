//! Roots and fixed points, found by any means and differentiated by the implicit function theorem.

use super::custom::ruled;
use super::examples::AllExamples;
use super::forward::{Several, or_zeros, own};
use super::gradient::pull_back_all;
use super::jacobian::jacobian_of;
use super::scan::part;
use super::solve::solve;
use super::vars::{Vars, arranged, flat};
use super::vectorize::reshaped;
use super::vmap::Vmap;
use crate::element::{Element, Float, with_dtype};
use crate::error::{Error, ErrorKind};
use crate::program::Fetch;
use crate::tape::{AnyVar, Tape, TapeRef, UserRule, Var};
use crate::tensor::Tensor;
use std::cmp::Ordering;
use std::panic::Location;
use std::rc::Rc;

/// A root of `residual(z, parameters) = 0`, found by a solver that knows nothing of derivatives, as a function of the parameters.
///
/// The solver is given the values of the parameters, at once. The solution has its derivative from the equation that it satisfies,
/// whatever the solver did, to any order. Parameters of integer types have none. What the residual reads of variables that have a derivative, or depend on an example, must be
/// among the parameters.
///
/// Within [`vmap`](super::vmap()) the solver is called for each example with the parameters of that one, and their systems are solved
/// together. What parameters are computed of is computed once more for that.
///
/// # Derivative
/// With cotangent `c`: `-(dF/dp)^T y`, where `(dF/dz)^T y = c`. For a solution of `n` elements the Jacobian `dF/dz` is computed as a
/// whole, by pulling back `n` cotangents together, kept as `n^2` elements, and decomposed by dense LU in `n^3 / 3` products on one
/// thread, for each example of a batch: this is for solutions of up to some thousand elements, whatever zeros the Jacobian has. Each further order of differentiation solves such systems again.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::{implicit_root, vmap};
/// # fn main() -> Result<(), Error> {
/// let tape = Tape::new();
/// let a = tape.leaf(&Tensor::from([4.0, 9.0]));
/// // z^2 = a, by a solver that could be any.
/// let z = implicit_root(|a: Tensor| Ok(a.map(f32::sqrt)), |z, a| z * z - a, a)?;
/// assert_eq!(z.value(), Tensor::from([2.0, 3.0]));
/// assert_eq!(z.sum().gradient(a).value(), Tensor::from([1.0 / 4.0, 1.0 / 6.0]));
/// // A root for each example, and its derivative.
/// let slopes = vmap(
///     |a| {
///         let root = implicit_root(|a: Tensor| Ok(a.map(f32::sqrt)), |z, a| z * z - a, a);
///         root.unwrap().gradient(a)
///     },
///     a,
/// );
/// assert_eq!(slopes.value(), Tensor::from([1.0 / 4.0, 1.0 / 6.0]));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of the solver; within `vmap` that of the first example that has one, which is named.
///
/// # Panics
/// If there are no parameters; if one has no value yet, as in a program that is being recorded or in a step of
/// [`scan`](super::scan()); within `vmap`: if there are no examples, or their solutions have different shapes. When a derivative is
/// taken: if the residual has another size than the solution. When it is computed: if the Jacobian is singular, or not finite.
///
/// # Source
/// M. Blondel et al., "Efficient and modular implicit differentiation", 2022.
#[track_caller]
pub fn implicit_root<P, T>(
    mut solver: impl FnMut(P::Values) -> Result<Tensor<T>, Error>,
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
    let all = AllExamples::of(first.tape(), &given);
    let solution = match all.count() {
        None => solver(first.tape().run(Borrowed(&parameters)))?,
        Some(count) => {
            all.run();
            stacked(solutions(&all, count, &parameters, solver)?)
        }
    };
    Ok(rooted(
        (&all, first.tape().streams()),
        &solution,
        residual,
        parameters,
    ))
}

/// The solution for each example.
#[track_caller]
fn solutions<P, T>(
    all: &AllExamples,
    count: usize,
    parameters: &P,
    mut solver: impl FnMut(P::Values) -> Result<Tensor<T>, Error>,
) -> Result<Vec<Tensor<T>>, Error>
where
    P: Vars + Fetch,
    T: Float,
{
    let mut solutions: Vec<Tensor<T>> = Vec::with_capacity(count);
    let mut tape = Tape::inference();
    for k in 0..count {
        tape.reset();
        let mut next = all.variables.iter();
        let own = parameters.map(&mut |_| {
            let (variable, differs) = *next.next().expect("one for each parameter");
            let whole = shared(*tape, variable);
            match differs {
                true => reshaped(part(whole, 0, k, 1), &whole.shape().without(0)),
                false => whole,
            }
        });
        let found = solver(tape.run(Borrowed(&own)));
        let found = found
            .map_err(|error| error.preceded_by(&format!("implicit_root: {}: ", all.name(k))))?;
        if let Some(first) = solutions.first() {
            let (given, wanted) = (found.shape(), first.shape());
            assert!(
                given == wanted,
                "implicit_root: the solution of {} has shape {given}, that of the first {wanted}",
                all.name(k)
            );
        }
        solutions.push(found);
    }
    assert!(
        count > 0,
        "implicit_root: there are no examples, so that nothing says what shape a solution has"
    );
    Ok(solutions)
}

/// Tensors of one shape along a new first axis.
fn stacked<T: Float>(tensors: Vec<Tensor<T>>) -> Tensor<T> {
    let tape = Tape::inference();
    let all: Vec<Var<T>> = tensors.iter().map(|one| tape.constant(one)).collect();
    Var::stack(&all, 0).value()
}

/// A solution that was found, for each example if there are several, as a function of the parameters. The residual draws random
/// numbers of the streams from a number on, the same ones however often it is recorded.
#[track_caller]
fn rooted<P, T>(
    (all, streams): (&AllExamples, u64),
    solution: &Tensor<T>,
    residual: impl Fn(Var<T>, P) -> Var<T> + 'static,
    parameters: P,
) -> Var<T>
where
    P: Vars + 'static,
    T: Float,
{
    let given = flat(&parameters);
    let arrangement = parameters.clone();
    let location = Location::caller();
    let rule: UserRule = Rc::new(move |inputs, value, cotangent| {
        let parameters = arranged(&arrangement, inputs);
        let tape = value.tape();
        let inputs = (value.assume::<T>(), parameters);
        // Labels and the like are parameters, too, and have no derivatives.
        let is_float = |x: &AnyVar| x.dtype().is_float();
        let own = own(&flat(&inputs));
        let (z, p) = arranged(&inputs, &own);
        let equation = tape.repeating(streams, || residual(z, p));
        let (size, wanted) = (equation.shape().size(), value.shape().size());
        assert!(
            size == wanted,
            "implicit_root: the residual has {size} elements, the solution {wanted} (at {location})"
        );
        let slope = jacobian_of(equation.erase(), &own[..1])[0].assume::<T>();
        let slope = slope.reshape([size, size]);
        let adjoint = solve(slope.t(), cotangent.assume::<T>().flatten());
        let adjoint = (-adjoint).reshape(equation.shape()).erase();
        let wrt: Several = own[1..].iter().copied().filter(is_float).collect();
        let mut found = pull_back_all(&[(equation.erase(), adjoint)], &wrt).into_iter();
        let of = |x: &AnyVar| match is_float(x) {
            true => or_zeros(found.next().flatten(), *x),
            false => or_zeros(None, *x),
        };
        own[1..].iter().map(of).collect()
    });
    let solution = all.given(solution);
    ruled(solution.tape(), rule, solution, &given).assume()
}

/// The draws of an iteration for all examples would not be those of each example in the derivative.
const DRAWS: &str = "a fixed point within vmap cannot draw random numbers: draw them before, and pass them as parameters";

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
/// Within [`vmap`](super::vmap()) the examples are iterated together; one that has converged stays as it is.
///
/// # Errors
/// If the iteration does not converge; within `vmap` the first example that does not is named.
///
/// # Panics
/// As [`implicit_root`]; a batch may have no examples.
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
/// let said = "fixed_point: no convergence in 3 iterations: the last one changed the point by 4.0, more than 8e-6";
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
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::FixedPoint;
    /// let tape = Tape::new();
    /// let a = tape.leaf(&Tensor::from(2.0f64));
    /// let root = FixedPoint::new().solve(|z, a| (z + a / z) * 0.5, &Tensor::from(1.0), a).unwrap();
    /// assert!((root.value().item() - 2f64.sqrt()).abs() < 1e-12);
    /// ```
    pub fn new() -> Self {
        FixedPoint::default()
    }

    /// The largest change of an element that ends the iteration, relative to 1 and the largest element together.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::FixedPoint;
    /// let tape = Tape::new();
    /// let half = tape.leaf(&Tensor::from(0.5f64));
    /// let shrink = |z: Var<f64>, half: Var<f64>| z * half;
    /// let rough = FixedPoint::new().tolerance(0.1).solve(shrink, &Tensor::from(1.0), half).unwrap();
    /// // The change from 1/8 to 1/16 is the first below 0.1 (1 + 1/16).
    /// assert_eq!(rough.value().item(), 0.0625);
    /// ```
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
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::{FixedPoint, vmap};
    /// let tape = Tape::new();
    /// let all = tape.leaf(&Tensor::from([4.0f64, 9.0]));
    /// let roots = vmap(
    ///     |a| FixedPoint::new().solve(|z, a| (z + a / z) * 0.5, &Tensor::from(1.0), a).unwrap(),
    ///     all,
    /// );
    /// assert!(roots.value().all_close(&Tensor::from([2.0, 3.0]), 0.0, 1e-12));
    /// let slopes = roots.sum().gradient(all);
    /// assert!(slopes.value().all_close(&Tensor::from([1.0 / 4.0, 1.0 / 6.0]), 0.0, 1e-12));
    /// ```
    ///
    /// # Errors
    /// If the iteration does not converge; within [`vmap`](super::vmap()) the first example that does not is named.
    ///
    /// # Panics
    /// As [`fixed_point`]; if `f` gives another shape than it takes.
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
        let given = flat(&parameters);
        let Some(first) = given.first() else {
            panic!("fixed_point: there are no parameters");
        };
        let (all, streams) = (
            AllExamples::of(first.tape(), &given),
            first.tape().streams(),
        );
        all.run();
        // The values are there: the constants of the other tape share them.
        let on = |tape: TapeRef| {
            let mut next = all.variables.iter();
            parameters.map(&mut |_| shared(tape, next.next().expect("one for each parameter").0))
        };
        let point = match all.count() {
            None => {
                let step = |aside: TapeRef, z| {
                    aside.draw_as(first.tape(), streams);
                    f(z, on(aside))
                };
                self.iterate(step, start, None)?
            }
            Some(count) => {
                let own = all
                    .variables
                    .iter()
                    .map(|(_, differs)| differs.then_some(0));
                let axes: Vec<Option<isize>> = [Some(0)].into_iter().chain(own).collect();
                let batch = Vmap::new().inputs(axes);
                let step = |aside: TapeRef, z: Var<T>| {
                    aside.without_random(DRAWS);
                    batch.apply(|(z, p)| f(z, p), (z, on(aside)))
                };
                let start = stacked(vec![start.clone(); count.max(1)]).slice(0, ..count as isize);
                self.iterate(step, &start, Some(&all))?
            }
        };
        Ok(rooted(
            (&all, streams),
            &point,
            move |z, p| f(z, p) - z,
            parameters,
        ))
    }

    /// The fixed point, or that of each of several examples.
    #[track_caller]
    fn iterate<T: Float>(
        self,
        step: impl Fn(TapeRef, Var<T>) -> Var<T>,
        start: &Tensor<T>,
        examples: Option<&AllExamples>,
    ) -> Result<Tensor<T>, Error> {
        let single = if T::DTYPE == f32::DTYPE { 1e-6 } else { 1e-12 };
        let tolerance = self.tolerance.unwrap_or(single);
        let mut tape = Tape::inference();
        let mut point = start.clone();
        let shape = start.shape();
        let rows = match examples {
            Some(_) => shape[0],
            None => 1,
        };
        // The last change of each example, and what ends its iteration.
        let mut state = vec![(f64::INFINITY, tolerance); rows];
        // No change is small beside a point that is infinite.
        let goes_on = |(change, limit): &(f64, f64)| {
            change.is_infinite()
                || !matches!(
                    change.partial_cmp(limit),
                    Some(Ordering::Less | Ordering::Equal)
                )
        };
        for _ in 0..self.iterations {
            tape.reset();
            let z = tape.constant(&point);
            let mut next = step(*tape, z);
            let given = next.shape();
            assert!(
                given == *shape,
                "fixed_point: the function makes shape {given} of {shape}"
            );
            let largest = |x: Var<T>| match shape.size() {
                0 => tape.full([rows], <T as Element>::ZERO),
                size => x.abs().reshape([rows, size / rows]).max_axes(1),
            };
            let (by, size) = (largest(next - z), largest(next));
            if examples.is_some() {
                let moving: Vec<bool> = state.iter().map(goes_on).collect();
                let mut axes = vec![1; shape.rank()];
                axes[0] = rows;
                let moving = Tensor::from_vec(axes, moving)?;
                next = tape.constant(&moving).select(next, z);
            }
            let (value, by, size) = tape.run((next, by, size));
            point = value;
            for (state, (by, size)) in state.iter_mut().zip(by.iter().zip(size.iter())) {
                if goes_on(state) {
                    *state = (by.as_f64(), tolerance * (1.0 + size.as_f64()));
                }
            }
            if !state.iter().any(goes_on) {
                return Ok(point);
            }
        }
        let Some(first) = state.iter().position(goes_on) else {
            return Ok(point);
        };
        let which = match examples {
            Some(all) => format!(" of {}", all.name(first)),
            None => String::new(),
        };
        let why = match state[first] {
            (change, limit) if (change - limit).is_finite() => {
                format!("the last one changed the point by {change:?}, more than {limit:?}")
            }
            _ => "the point is not finite".into(),
        };
        Err(Error::new(
            ErrorKind::Convergence,
            format!(
                "fixed_point: no convergence{which} in {} iterations: {why} (at {})",
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
