//! Parameters, the modules that hold them, and the layers that use them.

mod container;
mod layer;
mod module;
mod names;

pub use layer::Layer;
pub use module::{Module, Segment, Visitor, VisitorMut};
pub(crate) use names::{Path, each, each_mut, join};

use crate::element::{Any, Element, Family, Float};
use crate::shape::Shape;
use crate::tape::{TapeRef, Var};
use crate::tensor::Tensor;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A tensor with an identity: what training changes.
///
/// A tape knows a parameter by its identity, so one that is used twice is one leaf there and its
/// gradient is the sum over both uses. A clone has an identity of its own. Parameters are found in
/// a model by the [`module!`](crate::module) macro.
///
/// ```
/// use wengert::prelude::*;
/// let w = Param::new(Tensor::from([3.0]));
/// let step = value_and_grad(&w, |w, tape| {
///     let w = w.on(tape);
///     (w * w).sum()
/// });
/// assert_eq!(step.value(), 9.0);
/// assert_eq!(step.gradient(&w), Some(&Tensor::from([6.0])));
/// ```
pub struct Param<T: Element = f32> {
    id: u64,
    /// The identity of the parameter that this one is a clone of a clone of.
    origin: u64,
    trainable: bool,
    value: Tensor<T>,
}

/// Shared references to parameters: the family behind [`ParamRef`].
#[derive(Debug)]
pub struct ParamRefs<'a>(std::marker::PhantomData<&'a ()>);
impl<'a> Family for ParamRefs<'a> {
    type Of<T: Element> = &'a Param<T>;
}
/// A reference to a parameter of any element type.
pub type ParamRef<'a> = Any<ParamRefs<'a>>;

/// Mutable references to parameters: the family behind [`ParamMut`].
#[derive(Debug)]
pub struct ParamMuts<'a>(std::marker::PhantomData<&'a mut ()>);
impl<'a> Family for ParamMuts<'a> {
    type Of<T: Element> = &'a mut Param<T>;
}
/// A mutable reference to a parameter of any element type.
pub type ParamMut<'a> = Any<ParamMuts<'a>>;

/// An identity that no parameter of this process has.
fn identity() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl<T: Float> Param<T> {
    /// A trainable parameter that starts with the given value.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let w = Param::new(Tensor::from([[1.0, 2.0]]));
    /// assert!(w.is_trainable());
    /// assert_eq!(w.shape(), &Shape::from([1, 2]));
    /// ```
    pub fn new(value: Tensor<T>) -> Self {
        let id = identity();
        Param {
            id,
            origin: id,
            trainable: true,
            value,
        }
    }
}

impl<T: Element> Param<T> {
    /// The number that tapes and optimizers know the parameter by; no other parameter of the
    /// process has it.
    #[inline]
    pub(crate) fn origin(&self) -> u64 {
        self.origin
    }

    /// Its identity.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The value.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let w = Param::new(Tensor::from([1.0]));
    /// assert_eq!(w.value(), &Tensor::from([1.0]));
    /// ```
    #[inline]
    pub fn value(&self) -> &Tensor<T> {
        &self.value
    }

    /// The value, to be changed. A tape on which the parameter was used already keeps the value it
    /// had then.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let mut w = Param::new(Tensor::from([1.0]));
    /// w.value_mut()[[0]] = 2.0;
    /// assert_eq!(w.value(), &Tensor::from([2.0]));
    /// ```
    #[inline]
    pub fn value_mut(&mut self) -> &mut Tensor<T> {
        &mut self.value
    }

    /// Replaces the value by one of the same shape.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let mut w = Param::new(Tensor::from([1.0, 2.0]));
    /// w.set(Tensor::from([5.0, 6.0]));
    /// assert_eq!(w.value(), &Tensor::from([5.0, 6.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn set(&mut self, value: Tensor<T>) {
        let (old, new) = (self.value.shape(), value.shape());
        assert!(
            old == new,
            "set: the parameter has shape {old}, the new value {new}"
        );
        self.value = value;
    }

    /// The size of each axis.
    #[inline]
    pub fn shape(&self) -> &Shape {
        self.value.shape()
    }

    /// Keeps the parameter as it is: it is a constant on tapes from now on, and optimizers pass it
    /// by.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let mut w = Param::new(Tensor::from([1.0]));
    /// w.freeze();
    /// assert!(!w.is_trainable());
    /// ```
    pub fn freeze(&mut self) {
        self.trainable = false;
    }

    /// Lets the parameter be trained again.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let mut w = Param::new(Tensor::from([1.0]));
    /// w.freeze();
    /// w.unfreeze();
    /// assert!(w.is_trainable());
    /// ```
    pub fn unfreeze(&mut self) {
        self.trainable = T::DTYPE.is_float();
    }

    /// Whether gradients with respect to the parameter are taken.
    #[inline]
    pub fn is_trainable(&self) -> bool {
        self.trainable
    }

    /// The parameter as a variable of a tape: a leaf, or a constant if it is frozen. It is recorded
    /// at the first use on the tape and the same variable from then on.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let w = Param::new(Tensor::from([3.0]));
    /// let tape = Tape::new();
    /// let y = (w.on(*tape) * w.on(*tape)).sum();
    /// assert_eq!(tape.len(), 3);
    /// assert_eq!(y.gradient(w.on(*tape)).value(), Tensor::from([6.0]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn on(&self, tape: TapeRef) -> Var<T> {
        tape.parameter((self.id, self.origin), &self.value, self.trainable)
    }
}

/// The clone has the same value, trainable or not as the original, and an identity of its own:
/// training one does not change the other.
impl<T: Element> Clone for Param<T> {
    fn clone(&self) -> Self {
        Param {
            id: identity(),
            origin: self.origin,
            trainable: self.trainable,
            value: self.value.clone(),
        }
    }
}

impl<T: Element> fmt::Debug for Param<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frozen = if self.trainable { "" } else { ", frozen" };
        write!(f, "Param({}{}{frozen})", T::DTYPE, self.shape())
    }
}

impl<T: Element> Module for Param<T> {
    #[inline]
    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.param(T::erase::<ParamRefs<'a>>(self));
    }

    #[inline]
    fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>) {
        visitor.param(T::erase::<ParamMuts<'a>>(self));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tape;

    #[test]
    fn a_parameter_is_one_leaf_for_each_tape() {
        let w = Param::new(Tensor::from([2.0f32]));
        let (one, two) = (Tape::new(), Tape::new());
        let (a, b, c) = (w.on(*one), w.on(*one), w.on(*two));
        assert_eq!(a.erase(), b.erase());
        assert_ne!(a.erase(), c.erase());
        assert_ne!(w.clone().on(*one).erase(), a.erase());
    }

    #[test]
    fn a_tape_that_starts_anew_knows_no_parameter() {
        let mut w = Param::new(Tensor::from([2.0f32]));
        let mut tape = Tape::new();
        assert_eq!(w.on(*tape).value(), Tensor::from([2.0]));
        w.set(Tensor::from([3.0]));
        tape.reset();
        assert_eq!(w.on(*tape).value(), Tensor::from([3.0]));
    }

    #[test]
    #[should_panic(expected = "is a constant")]
    fn a_frozen_parameter_is_a_constant() {
        let mut w = Param::new(Tensor::from([2.0f32]));
        w.freeze();
        let tape = Tape::new();
        let y = w.on(*tape).sum();
        y.gradient(w.on(*tape));
    }

    #[test]
    #[should_panic(expected = "set: the parameter has shape [2], the new value [3]")]
    fn a_value_of_another_shape_is_refused() {
        Param::new(Tensor::from([1.0f32, 2.0])).set(Tensor::from([1.0, 2.0, 3.0]));
    }

    #[test]
    fn debug_says_what_it_is() {
        let mut w = Param::new(Tensor::<f64>::zeros([2, 3]));
        w.freeze();
        assert_eq!(format!("{w:?}"), "Param(f64[2, 3], frozen)");
    }
}
