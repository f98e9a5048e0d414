//! A function of many numbers, from a tensor to a tensor.

use crate::element::{Dtype, Float};
use crate::scalar::{Plain, Real, Scalar, Tape};
use crate::shape::Shape;
use crate::tape::{AnyVar, Input, Operation, Output, Pullback, Reads, Var};
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// The highest derivative of an [`ArrayFunction`].
const HIGHEST: usize = 4;

/// A function from many numbers to many, written once for every type of number: [`Var::map_array`] makes it one node.
///
/// It runs on `f32` or `f64` for the value, and on [`Scalar`]s, nested for higher derivatives.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::ArrayFunction;
/// use wengert::scalar::Real;
///
/// /// The sums of all beginnings, and the product of all.
/// struct Sums;
/// impl ArrayFunction for Sums {
///     fn call<S: Real>(&self, x: &[S]) -> Vec<S> {
///         let mut sum = S::zero();
///         let sums = x.iter().map(|&x| {
///             sum += x;
///             sum
///         });
///         sums.chain([x.iter().copied().product()]).collect()
///     }
/// }
///
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0]));
/// let y = x.map_array(Sums, [4]);
/// assert_eq!(y.value(), Tensor::from([1.0, 3.0, 6.0, 6.0]));
/// let [dx] = y.vjp(tape.constant(&Tensor::from([100.0, 10.0, 0.0, 1.0])), [x]);
/// assert_eq!(dx.unwrap().value(), Tensor::from([116.0, 13.0, 2.0]));
/// ```
pub trait ArrayFunction: Send + Sync + 'static {
    /// The results, as many for each input of one length.
    fn call<S: Real>(&self, x: &[S]) -> Vec<S>;

    /// The name in messages and listings.
    fn name(&self) -> &'static str {
        "map_array"
    }

    /// Whether `other` is the same function: then a run may use a plan that was made for it. If this is not said, only
    /// functions without fields are.
    fn is_same(&self, other: &Self) -> bool {
        let _ = other;
        size_of_val(self) == 0
    }
}

/// How many numbers come in and go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    inputs: usize,
    outputs: usize,
}

impl Sizes {
    /// Those of the product of cotangent and Jacobian, as a function of input and cotangent.
    fn pulled(self) -> Sizes {
        Sizes {
            inputs: self.inputs + self.outputs,
            outputs: self.inputs,
        }
    }
}

/// A function, or what pulling back makes of it.
///
/// Level 0 is the function `f(x)`. Level `n + 1` takes the input `z` of level `n` and a cotangent `u` of its output, and gives
/// `J(z)^T u`; to the level above the two together are one input. So the rule of each level is the next.
struct Level<F, T> {
    function: Arc<F>,
    level: usize,
    /// Of level 0.
    sizes: Sizes,
    element: PhantomData<fn() -> T>,
}

impl<F, T> Level<F, T> {
    /// The sizes of this level.
    fn own_sizes(&self) -> Sizes {
        (0..self.level).fold(self.sizes, |sizes, _| sizes.pulled())
    }
}

impl<F, T> fmt::Debug for Level<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Level")
            .field("level", &self.level)
            .field("sizes", &self.sizes)
            .finish_non_exhaustive()
    }
}

/// What the function gives, if that is as many numbers as were declared.
fn called<F: ArrayFunction, S: Real>(f: &F, x: &[S], sizes: Sizes) -> Result<Vec<S>, String> {
    let y = f.call(x);
    if y.len() == sizes.outputs {
        return Ok(y);
    }
    let (given, declared) = (y.len(), sizes.outputs);
    Err(format!(
        "the function gives {given} numbers, but the shape of the result holds {declared}"
    ))
}

/// `J(z)^T u` for the input `z u`, where `J` is the Jacobian of `f` and `z` has `n` numbers.
fn pulled<S: Real>(
    f: impl FnOnce(&[Scalar<S>]) -> Result<Vec<Scalar<S>>, String>,
    input: &[S],
    n: usize,
) -> Result<Vec<S>, String> {
    let (z, cotangent) = input.split_at(n);
    let tape = Tape::new();
    let vars = tape.vars(z);
    let y = f(&vars)?;
    let mut gradient = vec![S::zero(); n];
    tape.vjp_into(&y, cotangent, &vars, &mut gradient);
    Ok(gradient)
}

/// Level 1 for numbers of type `S`; then the higher ones, each by pulling back the one below.
fn first<F: ArrayFunction, S: Real>(f: &F, z: &[S], sizes: Sizes) -> Result<Vec<S>, String> {
    pulled(|x| called(f, x, sizes), z, sizes.inputs)
}

fn second<F: ArrayFunction, S: Real>(f: &F, z: &[S], sizes: Sizes) -> Result<Vec<S>, String> {
    pulled(|z| first(f, z, sizes), z, sizes.pulled().inputs)
}

fn third<F: ArrayFunction, S: Real>(f: &F, z: &[S], sizes: Sizes) -> Result<Vec<S>, String> {
    pulled(|z| second(f, z, sizes), z, sizes.pulled().pulled().inputs)
}

fn fourth<F: ArrayFunction, S: Real>(f: &F, z: &[S], sizes: Sizes) -> Result<Vec<S>, String> {
    let below = sizes.pulled().pulled().pulled();
    pulled(|z| third(f, z, sizes), z, below.inputs)
}

impl<T: Float + Plain, F: ArrayFunction> Operation for Level<F, T> {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn output(&self, _inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((T::DTYPE, Shape::from([self.own_sizes().outputs])))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        // A level above 0 has two inputs.
        let mut input = inputs[0].elements::<T>();
        for cotangent in &inputs[1..] {
            input.to_mut().extend_from_slice(&cotangent.elements::<T>());
        }
        let (f, sizes) = (&*self.function, self.sizes);
        let found = match self.level {
            0 => called(f, &input, sizes),
            1 => first(f, &input, sizes),
            2 => second(f, &input, sizes),
            3 => third(f, &input, sizes),
            _ => fourth(f, &input, sizes),
        };
        output.elements::<T>().copy_from_slice(&found?);
        Ok(())
    }

    fn vjp(&self, pullback: &Pullback<'_>, k: usize) -> AnyVar {
        assert!(
            self.level < HIGHEST,
            "{}: derivatives up to order {HIGHEST} can be computed, and another was asked of {:?}",
            self.name(),
            pullback.output
        );
        let pulled = Level {
            function: self.function.clone(),
            level: self.level + 1,
            sizes: self.sizes,
            element: PhantomData::<fn() -> T>,
        };
        let (z, tape) = (pullback.input::<T>(0), pullback.cotangent.tape());
        let next = |input: Var<T>| {
            let found = tape.record(pulled, &[input.erase(), pullback.cotangent]);
            found.typed::<T>()
        };
        if self.level == 0 {
            return next(z).erase();
        }
        let (u, len) = (pullback.input::<T>(1), z.shape()[0] as isize);
        if k == 0 {
            return next(Var::concat(&[z, u], 0)).slice(0, ..len).erase();
        }
        // Linear in `u`: the derivative does not depend on it, and forward mode asks for it where `u` has no value.
        let none = tape.full(u.shape(), T::ZERO);
        next(Var::concat(&[z, none], 0)).slice(0, len..).erase()
    }

    fn reads(&self) -> Reads {
        Reads::INPUTS
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        let other: Option<&Self> = (other as &dyn Any).downcast_ref();
        other.is_some_and(|other| {
            (self.level, self.sizes) == (other.level, other.sizes)
                && (Arc::ptr_eq(&self.function, &other.function)
                    || self.function.is_same(&other.function))
        })
    }
}

impl<T: Float + Plain> Var<T> {
    /// A function of all elements together, in row-major order, as one node: its results, in row-major order too, make a
    /// variable of the given shape. For a function of several variables, concatenate them.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::ArrayFunction;
    /// use wengert::scalar::Real;
    ///
    /// /// `steps` steps of the logistic map with the rates `x`, each from 1/2.
    /// struct Logistic(usize);
    /// impl ArrayFunction for Logistic {
    ///     fn call<S: Real>(&self, x: &[S]) -> Vec<S> {
    ///         let half = S::one() / (S::one() + S::one());
    ///         let step = |rate: S, at: S| rate * at * (S::one() - at);
    ///         let last = |&rate: &S| (0..self.0).fold(half, |at, _| step(rate, at));
    ///         x.iter().map(last).collect()
    ///     }
    /// }
    ///
    /// let tape = Tape::new();
    /// let rates = tape.leaf(&Tensor::from([[1.0], [2.0]]));
    /// let y = rates.map_array(Logistic(2), [2, 1]);
    /// assert_eq!(y.value(), Tensor::from([[0.1875], [0.5]]));
    /// // r^2/4 (1 - r/4), so r/2 - 3/16 r^2.
    /// assert_eq!(y.sum().gradient(rates).value(), Tensor::from([[0.3125], [0.25]]));
    /// ```
    ///
    /// # Derivative
    /// By reverse mode on a [`scalar::Tape`](crate::scalar::Tape), as one node again, up to order 4, of
    /// which a derivative by forward mode takes two. At kinks it is that of [`Scalar`].
    ///
    /// # Panics
    /// If a derivative of higher order is recorded, with the line of the function; if the tape was reset or dropped. When
    /// values are computed: if the function does not give as many numbers as the shape holds.
    #[track_caller]
    pub fn map_array(self, f: impl ArrayFunction, shape: impl Into<Shape>) -> Var<T> {
        let shape = shape.into();
        let name = f.name();
        let Some(outputs) = shape.checked_size() else {
            panic!("{name}: shape {shape} is too large");
        };
        let level = Level {
            function: Arc::new(f),
            level: 0,
            sizes: Sizes {
                inputs: self.shape().size(),
                outputs,
            },
            element: PhantomData::<fn() -> T>,
        };
        let input = self.flatten();
        let y = input.tape().record(level, &[input.erase()]);
        y.typed::<T>().reshape(shape)
    }
}
