//! A function of one number, of each element of a tensor.

use crate::element::{Dtype, Float};
use crate::scalar::{Dual, Plain, Real, Taylor};
use crate::shape::Shape;
use crate::tape::{AnyVar, Input, Operation, Output, Pullback, Reads, Var};
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// The highest derivative of a [`ScalarFunction`].
const HIGHEST: usize = 16;

/// A function of one number, written once for every type of number: [`Var::map_scalar`] applies it to each element.
///
/// A struct and not a closure, since it runs on several types: on `f32` or `f64` for the value, on [`Dual`] for the
/// derivative, on [`Taylor`] for higher ones. For a closure see [`Var::map_series`].
///
/// ```
/// use wengert::prelude::*;
/// use wengert::ScalarFunction;
/// use wengert::scalar::Real;
///
/// /// x^n / (1 + x^n)
/// struct Hill(i32);
/// impl ScalarFunction for Hill {
///     fn call<S: Real>(&self, x: S) -> S {
///         let power = x.powi(self.0);
///         power / (power + S::one())
///     }
///     fn name(&self) -> &'static str {
///         "hill"
///     }
///     fn is_same(&self, other: &Self) -> bool {
///         self.0 == other.0
///     }
/// }
///
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from([0.0, 1.0]));
/// let y = x.map_scalar(Hill(2));
/// assert_eq!(y.value(), Tensor::from([0.0, 0.5]));
/// // 2 x / (1 + x^2)^2
/// assert_eq!(y.sum().gradient(x).value(), Tensor::from([0.0, 0.5]));
/// ```
pub trait ScalarFunction: Send + Sync + 'static {
    /// The value.
    fn call<S: Real>(&self, x: S) -> S;

    /// The name in messages and listings.
    fn name(&self) -> &'static str {
        "map_scalar"
    }

    /// Whether `other` is the same function: then a run may use a plan that was made for it. If this is not said, only
    /// functions without fields are.
    fn is_same(&self, other: &Self) -> bool {
        let _ = other;
        size_of_val(self) == 0
    }
}

/// The derivatives of a function of one number of type `T`.
trait Derivatives<T>: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    /// The highest order there is.
    fn highest(&self) -> usize;
    /// The derivative of this order of each number, in its place.
    fn differentiate(&self, order: usize, x: &mut [T]);
    fn is_same(&self, other: &Self) -> bool;
}

/// A function that is generic over the type of number.
struct Generic<F>(F);

impl<T: Plain, F: ScalarFunction> Derivatives<T> for Generic<F> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn highest(&self) -> usize {
        HIGHEST
    }

    fn differentiate(&self, order: usize, x: &mut [T]) {
        let each = |f: &dyn Fn(T) -> T, x: &mut [T]| x.iter_mut().for_each(|x| *x = f(*x));
        let f = &self.0;
        match order {
            0 => x.iter_mut().for_each(|x| *x = f.call(*x)),
            1 => {
                let slope = |x| f.call(Dual::<T>::variable(x)).tangent();
                x.iter_mut().for_each(|x| *x = slope(*x));
            }
            2 => each(&|x| nth(|x: Taylor<T, 3>| f.call(x), 2, x), x),
            3 | 4 => each(&|x| nth(|x: Taylor<T, 5>| f.call(x), order, x), x),
            _ => each(
                &|x| nth(|x: Taylor<T, { HIGHEST + 1 }>| f.call(x), order, x),
                x,
            ),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.0.is_same(&other.0)
    }
}

/// A closure over series.
struct Series<F, const K: usize>(F);

impl<T: Plain, F, const K: usize> Derivatives<T> for Series<F, K>
where
    F: Fn(Taylor<T, K>) -> Taylor<T, K> + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        "map_series"
    }

    fn highest(&self) -> usize {
        K - 1
    }

    fn differentiate(&self, order: usize, x: &mut [T]) {
        match order {
            0 => x
                .iter_mut()
                .for_each(|x| *x = (self.0)(Taylor::constant(*x)).value()),
            _ => x.iter_mut().for_each(|x| *x = nth(&self.0, order, *x)),
        }
    }

    fn is_same(&self, _other: &Self) -> bool {
        size_of::<F>() == 0
    }
}

/// The derivative of order `n < K`.
fn nth<T: Real, const K: usize>(f: impl Fn(Taylor<T, K>) -> Taylor<T, K>, n: usize, x: T) -> T {
    f(Taylor::variable(x)).derivatives()[n]
}

/// The derivative of some order of a function, of each element.
struct Map<D, T> {
    function: Arc<D>,
    order: usize,
    element: PhantomData<fn() -> T>,
}

impl<D, T> fmt::Debug for Map<D, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}

impl<T: Float + Plain, D: Derivatives<T>> Operation for Map<D, T> {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((T::DTYPE, inputs[0].1.clone()))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let out = output.elements::<T>();
        inputs[0].copy_to(out);
        self.function.differentiate(self.order, out);
        Ok(())
    }

    fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
        let highest = self.function.highest();
        assert!(
            self.order < highest,
            "{}: derivatives up to order {highest} can be computed, and another was asked of {:?}",
            self.name(),
            pullback.output
        );
        let slope = Map {
            function: self.function.clone(),
            order: self.order + 1,
            element: PhantomData,
        };
        let x = pullback.inputs[0];
        let slope = x.tape().record(slope, &[x]).typed::<T>();
        (pullback.cotangent::<T>() * slope).erase()
    }

    fn reads(&self) -> Reads {
        Reads::INPUTS
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        let other: Option<&Self> = (other as &dyn Any).downcast_ref();
        other.is_some_and(|other| {
            self.order == other.order
                && (Arc::ptr_eq(&self.function, &other.function)
                    || self.function.is_same(&other.function))
        })
    }
}

#[track_caller]
fn map<T: Float + Plain>(x: Var<T>, function: impl Derivatives<T>) -> Var<T> {
    let map = Map {
        function: Arc::new(function),
        order: 0,
        element: PhantomData,
    };
    x.tape().record(map, &[x.erase()]).typed()
}

impl<T: Float + Plain> Var<T> {
    /// A function of one number, of each element, as one node: `y[i] = f(x[i])`, in the shape of this variable.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::ScalarFunction;
    /// use wengert::scalar::Real;
    ///
    /// /// The number of steps depends on the value.
    /// struct Halved;
    /// impl ScalarFunction for Halved {
    ///     fn call<S: Real>(&self, mut x: S) -> S {
    ///         while x > S::one() {
    ///             x /= S::one() + S::one();
    ///         }
    ///         x * x
    ///     }
    /// }
    ///
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([[0.5, 3.0]]));
    /// let y = x.map_scalar(Halved);
    /// assert_eq!(y.value(), Tensor::from([[0.25, 0.5625]]));
    /// assert_eq!(y.sum().gradient(x).value(), Tensor::from([[1.0, 0.375]]));
    /// ```
    ///
    /// # Derivative
    /// `ct[i] f'(x[i])`: `f'` by forward mode, as one node again, up to order 16. At kinks it is that of
    /// [`Dual`]: of the branch taken; 0 for `abs` at 0; half for each of two numbers at a tie of `max`.
    ///
    /// # Panics
    /// If a derivative of higher order is recorded, with the line of the function; if the tape was reset or dropped.
    /// What `f` panics with when values are computed is its own.
    #[track_caller]
    pub fn map_scalar(self, f: impl ScalarFunction) -> Var<T> {
        map(self, Generic(f))
    }

    /// As [`map_scalar`](Var::map_scalar), for a closure over truncated series of `K` terms: derivatives up to order
    /// `K - 1` are found.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::scalar::Taylor;
    ///
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, 2.0]));
    /// let y = x.map_series(|x: Taylor<f64, 3>| x * x * x);
    /// let slope = y.sum().gradient(x);
    /// assert_eq!(slope.value(), Tensor::from([0.0, 12.0]));
    /// assert_eq!(slope.sum().gradient(x).value(), Tensor::from([0.0, 12.0]));
    /// ```
    ///
    /// # Derivative
    /// As of [`map_scalar`](Var::map_scalar), up to order `K - 1`.
    ///
    /// # Panics
    /// As [`map_scalar`](Var::map_scalar).
    #[track_caller]
    pub fn map_series<const K: usize>(
        self,
        f: impl Fn(Taylor<T, K>) -> Taylor<T, K> + Send + Sync + 'static,
    ) -> Var<T> {
        map(self, Series(f))
    }
}
