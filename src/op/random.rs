//! Random numbers as nodes, and dropout.
//!
//! A node that draws reads its key and the numbers that its distribution is described by, so that a plan serves for any of them.
//! Recorded again, as a part that is computed again in the backward pass, it gives the same numbers.

use super::table::{Domain, Row, Shapes, row};
use crate::element::{Dtype, Element, Float, with_dtype, with_float};
use crate::kernel::random;
use crate::shape::{Shape, or_panic, resolve_size};
use crate::tape::{AnyVar, Batch, Input, Operation, Output, Reads, TapeRef, Var, same};
use smallvec::SmallVec;

/// What numbers are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Law {
    /// Uniform, from input 1 to input 2.
    Uniform,
    /// Normal, with mean (input 1) and standard deviation (input 2).
    Normal,
    /// One with a probability (input 1), else zero.
    Bernoulli,
}

/// Numbers of a stream: as many as the shape holds for each key of input 0.
#[derive(Clone, Debug, PartialEq)]
struct Draw {
    law: Law,
    stream: u64,
    shape: Shape,
    dtype: Dtype,
}

/// The only element of an input.
fn number<T: Element>(input: &Input<'_>) -> T {
    input.elements::<T>()[0]
}

impl Law {
    fn name(self) -> &'static str {
        match self {
            Law::Uniform => "uniform",
            Law::Normal => "normal",
            Law::Bernoulli => "bernoulli",
        }
    }
}

impl Operation for Draw {
    fn name(&self) -> &'static str {
        self.law.name()
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let sizes = inputs[0].1.iter().chain(self.shape.iter());
        Ok((self.dtype, sizes.copied().collect()))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let (keys, stream) = (inputs[0].elements::<i64>(), self.stream);
        match self.law {
            Law::Uniform => with_float!(self.dtype, T => {
                let (low, high) = (number::<T>(&inputs[1]), number(&inputs[2]));
                random::uniform(&keys, stream, low, high, output.elements());
            }),
            Law::Normal => with_float!(self.dtype, T => {
                let (mean, std) = (number::<T>(&inputs[1]), number(&inputs[2]));
                random::normal(&keys, stream, mean, std, output.elements());
            }),
            Law::Bernoulli => with_dtype!(self.dtype, T => {
                random::bernoulli::<T>(&keys, stream, number(&inputs[1]), output.elements());
            }),
        }
        Ok(())
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        Some(batch.inputs[0].tape().record(self.clone(), batch.inputs))
    }

    fn is_differentiable(&self, _k: usize) -> bool {
        false
    }

    fn never_fails(&self) -> bool {
        true
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

/// As many keys for each key of input 0, along a new last axis.
#[derive(Clone, Debug, PartialEq)]
struct Keys {
    stream: u64,
    count: usize,
}

impl Operation for Keys {
    fn name(&self) -> &'static str {
        "random keys"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let (dtype, shape) = inputs[0];
        Ok((dtype, shape.with_inserted(shape.rank(), self.count)))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let keys = inputs[0].elements::<i64>();
        let each = output.elements::<i64>().chunks_mut(self.count.max(1));
        for (&key, derived) in keys.iter().zip(each) {
            for (number, derived) in derived.iter_mut().enumerate() {
                *derived = random::derived(key as u64, self.stream, number as u64) as i64;
            }
        }
        Ok(())
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let keys = batch.inputs[0];
        Some(keys.tape().record(self.clone(), &[keys]))
    }

    fn is_differentiable(&self, _k: usize) -> bool {
        false
    }

    fn never_fails(&self) -> bool {
        true
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

/// Keys for so many examples or steps, which follow from the key that numbers are drawn with now.
#[track_caller]
pub(crate) fn keys(tape: TapeRef, count: usize) -> AnyVar {
    let (key, stream) = tape.source("key");
    tape.record(Keys { stream, count }, &[key])
}

/// Records a node that draws.
#[track_caller]
fn draw<T: Element>(tape: TapeRef, law: Law, shape: Shape, numbers: &[AnyVar]) -> Var<T> {
    let (key, stream) = tape.source(law.name());
    let operation = Draw {
        law,
        stream,
        shape,
        dtype: T::DTYPE,
    };
    let inputs: SmallVec<[AnyVar; 3]> = [key].into_iter().chain(numbers.iter().copied()).collect();
    tape.record_kept(operation, true, &inputs).assume()
}

impl TapeRef {
    /// Records independent random numbers, uniform over `low..high`.
    ///
    /// They follow from the [`seed`](TapeRef::seed) of the tape, and no other node draws the same ones: where the value is asked for
    /// again it is the same. `high` itself is never drawn, unless `low == high`. No gradient passes.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0]));
    /// let noise = tape.uniform([3], -0.1, 0.1);
    /// assert!(noise.value().iter().all(|u| (-0.1..0.1).contains(&u)));
    /// assert_eq!((x * noise).sum().gradient(x).value(), noise.value());
    /// ```
    ///
    /// # Panics
    /// If `low > high`, an end or `high - low` is not finite, or the shape holds more elements than can be addressed; if the tape
    /// was reset or dropped.
    ///
    /// # Source
    /// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, 2011), with 24 bits for `f32` and 53 for `f64`.
    #[track_caller]
    pub fn uniform<T: Float>(self, shape: impl Into<Shape>, low: T, high: T) -> Var<T> {
        let shape = shape.into();
        or_panic("uniform", resolve_size(&shape));
        assert!(
            low <= high && (high - low).is_finite(),
            "uniform: no numbers from {low} to {high}"
        );
        let numbers = [self.number(low).erase(), self.number(high).erase()];
        draw(self, Law::Uniform, shape, &numbers)
    }

    /// Records independent random numbers, normally distributed with the given mean and standard deviation.
    ///
    /// They follow from the [`seed`](TapeRef::seed) of the tape, as those of [`uniform`](TapeRef::uniform). No gradient passes; that
    /// of a mean or a deviation that is a variable is had by `mean + std * z`, with `z` of mean 0 and deviation 1.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let z = tape.normal([1000], 0.0f64, 1.0);
    /// let (mean, std) = (tape.leaf(&Tensor::from(3.0)), tape.leaf(&Tensor::from(0.5)));
    /// let x = mean + std * z;
    /// assert!((x.mean().value().item() - 3.0).abs() < 0.1);
    /// let slope = x.mean().gradient(std).value();
    /// assert!(slope.all_close(&z.mean().value(), 1e-12, 1e-12));
    /// ```
    ///
    /// # Panics
    /// If the mean is not finite, `std` is negative or not finite, or the shape holds more elements than can be addressed; if the
    /// tape was reset or dropped.
    ///
    /// # Source
    /// G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates", 1958.
    #[track_caller]
    pub fn normal<T: Float>(self, shape: impl Into<Shape>, mean: T, std: T) -> Var<T> {
        let shape = shape.into();
        or_panic("normal", resolve_size(&shape));
        assert!(mean.is_finite(), "normal: {mean} is not a mean");
        assert!(
            std >= T::ZERO && std.is_finite(),
            "normal: {std} is not a standard deviation"
        );
        let numbers = [self.number(mean).erase(), self.number(std).erase()];
        draw(self, Law::Normal, shape, &numbers)
    }

    /// Records independent random numbers that are 1 with probability `p`, and 0 otherwise.
    ///
    /// They follow from the [`seed`](TapeRef::seed) of the tape, as those of [`uniform`](TapeRef::uniform). No gradient passes.
    /// The probability is rounded to a multiple of 2^-32.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let heads: Var = tape.bernoulli([1000], 0.25);
    /// let count = heads.sum().value().item();
    /// assert!((200.0..300.0).contains(&count));
    /// ```
    ///
    /// # Panics
    /// If `p` is not in `0..=1`, or the shape holds more elements than can be addressed; if the tape was reset or dropped.
    #[track_caller]
    pub fn bernoulli<T: Float>(self, shape: impl Into<Shape>, p: f64) -> Var<T> {
        let shape = shape.into();
        or_panic("bernoulli", resolve_size(&shape));
        assert!(
            (0.0..=1.0).contains(&p),
            "bernoulli: {p} is not a probability"
        );
        draw(self, Law::Bernoulli, shape, &[self.number(p).erase()])
    }
}

impl<T: Float> Var<T> {
    /// Zeros in the place of a part of the elements, chosen at random, and the others divided by `1 - rate`, so that the expected
    /// value of each stays. For training only: to use a model afterwards, leave it out.
    ///
    /// Which elements are dropped follows from the [`seed`](TapeRef::seed) of the tape, differs from call to call, and is the same
    /// for `f32` and `f64`. A dropped element is zero whatever it was, infinite or NaN too.
    ///
    /// # Derivative
    /// `1 / (1 - rate)` where the element was kept, else 0. With rate 0 this is the variable itself; with rate 1 value and
    /// derivative are 0 everywhere.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::<f32>::ones([1000]));
    /// let y = x.dropout(0.2);
    /// assert!(y.value().iter().all(|y| y == 0.0 || y == 1.0 / 0.8));
    /// assert!((y.mean().value().item() - 1.0).abs() < 0.1);
    /// assert_eq!(y.sum().gradient(x).value(), y.value());
    /// ```
    ///
    /// # Panics
    /// If `rate` is not in `0..=1`, or the tape was reset or dropped.
    ///
    /// # Source
    /// N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.
    #[track_caller]
    pub fn dropout(self, rate: f64) -> Self {
        let tape = self.tape();
        let shape = tape.shape_of("dropout", self.erase());
        assert!(
            (0.0..=1.0).contains(&rate),
            "dropout: the rate is {rate}, but must be from 0 to 1"
        );
        if rate == 0.0 {
            return self;
        }
        let zero = tape.number(T::ZERO);
        // The probability of a draw has 32 bits.
        if (1.0 - rate) * (1u64 << 33) as f64 <= 1.0 {
            return tape.number(false).select(self, zero);
        }
        let p = tape.number(1.0 - rate).erase();
        let kept: Var<bool> = draw(tape, Law::Bernoulli, Shape::clone(&shape), &[p]);
        kept.select(self / T::of(1.0 - rate), zero)
    }
}

const ANY: &[Domain] = &[Domain::Interval(-2.0, 2.0)];

/// The rows of this family: with the rates at which nothing is drawn, as what is drawn is tested apart.
pub(super) const ROWS: &[Row] = &[
    row!("dropout(0)", ANY, Shapes::Broadcast, |x| x[0].dropout(0.0)),
    row!("dropout(1)", ANY, Shapes::Broadcast, |x| x[0].dropout(1.0)),
];
