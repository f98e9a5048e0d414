//! Softmax and its logarithm, composed.

use super::table::{Domain, Row, Shapes, row};
use crate::element::Float;
use crate::shape::{or_panic, resolve_axis};
use crate::tape::Var;

impl<T: Float> Var<T> {
    /// Exponentials along an axis, divided by their sum; computed without overflow.
    ///
    /// Formula: `y[i] = exp(x[i] - m) / sum over j of exp(x[j] - m)` with `m` the largest element.
    ///
    /// # Derivative
    /// With cotangent `c`: `y (c - sum(c y))`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([[1000.0, 1000.0], [0.0, f32::NEG_INFINITY]]));
    /// assert_eq!(x.softmax(-1).value(), Tensor::from([[0.5, 0.5], [1.0, 0.0]]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range, or the tape was reset or dropped.
    #[track_caller]
    pub fn softmax(self, axis: isize) -> Self {
        let exponentials = (self - self.largest("softmax", axis)).exp();
        exponentials / exponentials.sum_keepdim(axis)
    }

    /// The logarithm of [`softmax`](Var::softmax), exact also where that is tiny.
    ///
    /// Formula: `y[i] = x[i] - m - ln(sum over j of exp(x[j] - m))` with `m` the largest element.
    ///
    /// # Derivative
    /// With cotangent `c`: `c - softmax(x) sum(c)`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, -1000.0]));
    /// assert_eq!(x.log_softmax(0).value(), Tensor::from([0.0, -1000.0]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range, or the tape was reset or dropped.
    #[track_caller]
    pub fn log_softmax(self, axis: isize) -> Self {
        let below = self - self.largest("log_softmax", axis);
        below - below.exp().sum_keepdim(axis).ln()
    }

    /// The largest elements along an axis, as constants: what is made with them is the same with any others.
    #[track_caller]
    pub(crate) fn largest(self, operation: &str, axis: isize) -> Self {
        let shape = self.tape().shape_of(operation, self.erase());
        let resolved = resolve_axis(axis, shape.rank())
            .map_err(|message| format!("{message} (shape {shape})"));
        let axis = or_panic(operation, resolved);
        self.shift(&[axis], &shape.with_size(axis, 1))
    }
}

const ANY: &[Domain] = &[Domain::Interval(-2.0, 2.0)];
const SHAPES: Shapes = Shapes::Given(&[&[&[2, 3]], &[&[4]], &[&[2, 3, 2]], &[&[0, 3]], &[&[3, 0]]]);

/// The rows of this family.
pub(super) const ROWS: &[Row] = &[
    row!("softmax(-1)", ANY, SHAPES, |x| x[0].softmax(-1)),
    row!("softmax(0)", ANY, SHAPES, |x| x[0].softmax(0)),
    row!("log_softmax(-1)", ANY, SHAPES, |x| x[0].log_softmax(-1)),
    row!("log_softmax(0)", ANY, SHAPES, |x| x[0].log_softmax(0)),
];
