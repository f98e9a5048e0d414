//! Views: the same elements under another shape, in another order of axes, or only some of them. Nothing is copied but where no
//! strides can express the result.

use super::table::{Domain, Row, Shapes, row};
use crate::element::{Element, Float};
use crate::shape::{
    Axes, Shape, few, or_panic, resolve_axes, resolve_expand, resolve_insertion,
    resolve_matrix_transposition, resolve_permutation, resolve_reshape, resolve_slice,
    resolve_squeeze, resolve_transposition,
};
use crate::tape::{Pullback, Var, View};
use smallvec::SmallVec;
use std::ops::RangeBounds;

/// The rules: a view passes its cotangent back to where the elements came from.
pub(super) fn vjp<T: Float>(view: &View, pullback: &Pullback<'_>) -> Var<T> {
    let ct = pullback.cotangent.assume::<T>();
    let shape = pullback.inputs[0].shape();
    match view {
        // Broadcasting is undone for all operations in one place.
        View::Alias | View::Expand => ct,
        View::Reshape => ct.reshape(shape),
        View::Permute(order) => {
            let mut inverse = few(order.iter().copied());
            order
                .iter()
                .enumerate()
                .for_each(|(i, &axis)| inverse[axis] = i);
            ct.ordered(inverse)
        }
        View::Slice { axis, start, step } => {
            let count = ct.shape()[*axis];
            if count == 0 {
                return ct.tape().full(shape, T::ZERO);
            }
            // A backwards walk ends where a forwards one would start.
            let last = (*start as isize + (count as isize - 1) * step) as usize;
            let (first, ct) = if *step < 0 {
                (last, ct.flip([*axis as isize]))
            } else {
                (*start, ct)
            };
            if count == shape[*axis] {
                return ct;
            }
            let stride = step.unsigned_abs();
            let after = shape[*axis] - first - ((count - 1) * stride + 1);
            ct.dilate(*axis, first, after, stride - 1)
        }
    }
}

impl<T: Element> Var<T> {
    #[track_caller]
    fn ordered(self, order: SmallVec<[usize; 4]>) -> Self {
        self.tape().permute(self.erase(), &order).assume()
    }

    /// The same elements in the same row-major order under another shape of the same size.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0, 4.0]));
    /// assert_eq!(x.reshape([2, 2]).value(), Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// ```
    ///
    /// # Panics
    /// If the sizes differ, or the tape was reset or dropped.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Self {
        let (from, shape) = (self.tape().shape_of("reshape", self.erase()), shape.into());
        if *from == shape {
            return self;
        }
        or_panic("reshape", resolve_reshape(&from, &shape));
        self.tape()
            .view(View::Reshape, self.erase(), &shape)
            .assume()
    }

    /// The transpose: the last two axes swapped, those before them left alone. A vector stays as it is.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([[1.0, 2.0, 3.0]]));
    /// assert_eq!(x.t().shape(), Shape::from([3, 1]));
    /// ```
    ///
    /// # Panics
    /// If this is a scalar, or the tape was reset or dropped.
    #[track_caller]
    pub fn t(self) -> Self {
        let shape = self.tape().shape_of("t", self.erase());
        self.ordered(or_panic("t", resolve_matrix_transposition(shape.rank())))
    }

    /// Two axes swapped.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::<f32>::zeros([2, 3, 4]));
    /// assert_eq!(x.transpose(0, -1).shape(), Shape::from([4, 3, 2]));
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range, or the tape was reset or dropped.
    #[track_caller]
    pub fn transpose(self, a: isize, b: isize) -> Self {
        let shape = self.tape().shape_of("transpose", self.erase());
        let order =
            resolve_transposition(a, b, shape.rank()).map_err(|m| format!("{m} (shape {shape})"));
        self.ordered(or_panic("transpose", order))
    }

    /// The axes in another order: axis `i` of the result is axis `order[i]`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::<f32>::zeros([2, 3, 4]));
    /// assert_eq!(x.permute([2, 0, 1]).shape(), Shape::from([4, 2, 3]));
    /// ```
    ///
    /// # Panics
    /// If the order does not name each axis once, or the tape was reset or dropped.
    #[track_caller]
    pub fn permute(self, order: impl Axes) -> Self {
        let shape = self.tape().shape_of("permute", self.erase());
        let order =
            resolve_permutation(&order, shape.rank()).map_err(|m| format!("{m} (shape {shape})"));
        self.ordered(or_panic("permute", order))
    }

    /// Broadcast to a shape, by NumPy's rule.
    ///
    /// # Derivative
    /// The cotangent is summed over the axes that were broadcast.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// let y = x.expand([3, 2]);
    /// assert_eq!(y.value(), Tensor::from([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]));
    /// assert_eq!(y.sum().gradient(x).value(), Tensor::from([3.0, 3.0]));
    /// ```
    ///
    /// # Panics
    /// If the shape does not broadcast to `shape`, or the tape was reset or dropped.
    #[track_caller]
    pub fn expand(self, shape: impl Into<Shape>) -> Self {
        let (from, shape) = (self.tape().shape_of("expand", self.erase()), shape.into());
        if *from == shape {
            return self;
        }
        or_panic("expand", resolve_expand(&from, &shape));
        self.tape()
            .view(View::Expand, self.erase(), &shape)
            .assume()
    }

    /// Without an axis of size 1.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::<f32>::zeros([2, 1, 4]));
    /// assert_eq!(x.squeeze(1).shape(), Shape::from([2, 4]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range or has another size, or the tape was reset or dropped.
    #[track_caller]
    pub fn squeeze(self, axis: isize) -> Self {
        let shape = self.tape().shape_of("squeeze", self.erase());
        let axis = or_panic("squeeze", resolve_squeeze(axis, &shape));
        self.reshape(shape.without(axis))
    }

    /// With a new axis of size 1 before axis `axis`; `-1` puts it last.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::<f32>::zeros([2, 4]));
    /// assert_eq!(x.unsqueeze(-1).shape(), Shape::from([2, 4, 1]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range, or the tape was reset or dropped.
    #[track_caller]
    pub fn unsqueeze(self, axis: isize) -> Self {
        let shape = self.tape().shape_of("unsqueeze", self.erase());
        let axis = or_panic("unsqueeze", resolve_insertion(axis, shape.rank()));
        self.reshape(shape.with_inserted(axis, 1))
    }

    /// All elements along one axis.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::<f32>::zeros([2, 4]));
    /// assert_eq!(x.flatten().shape(), Shape::from([8]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn flatten(self) -> Self {
        let size = self.tape().shape_of("flatten", self.erase()).size();
        self.reshape([size])
    }

    /// The elements of a range along an axis; negative ends count from the back.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0, 4.0]));
    /// assert_eq!(x.slice(0, 1..3).value(), Tensor::from([2.0, 3.0]));
    /// assert_eq!(x.slice(0, -1..).value(), Tensor::from([4.0]));
    /// ```
    ///
    /// # Panics
    /// If the axis or the range is out of range, or the tape was reset or dropped.
    #[track_caller]
    pub fn slice(self, axis: isize, range: impl RangeBounds<isize>) -> Self {
        self.slice_step(axis, range, 1)
    }

    /// Every `step`th element of a range along an axis; negative ends count from the back.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0, 4.0, 5.0]));
    /// assert_eq!(x.slice_step(0, .., 2).value(), Tensor::from([1.0, 3.0, 5.0]));
    /// ```
    ///
    /// # Panics
    /// If the axis or the range is out of range, the step is 0, or the tape was reset or dropped.
    #[track_caller]
    pub fn slice_step(self, axis: isize, range: impl RangeBounds<isize>, step: usize) -> Self {
        let shape = self.tape().shape_of("slice", self.erase());
        let (axis, start, count) = or_panic("slice", resolve_slice(axis, &range, step, &shape));
        let view = View::Slice {
            axis,
            start,
            step: step as isize,
        };
        self.tape()
            .view(view, self.erase(), &shape.with_size(axis, count))
            .assume()
    }

    /// One index of an axis, which vanishes; a negative one counts from the back.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// assert_eq!(x.at(1, -1).value(), Tensor::from([2.0, 4.0]));
    /// ```
    ///
    /// # Panics
    /// If the axis or the index is out of range, or the tape was reset or dropped.
    #[track_caller]
    pub fn at(self, axis: isize, index: isize) -> Self {
        let shape = self.tape().shape_of("at", self.erase());
        let end = if index == -1 { isize::MAX } else { index + 1 };
        let axis_index = or_panic("at", crate::shape::resolve_axis(axis, shape.rank()));
        let size = shape[axis_index] as isize;
        assert!(
            (-size..size).contains(&index),
            "at: index {index} is out of range for axis {axis} of {shape}"
        );
        let end = end.min(size);
        self.slice(axis, index..end)
            .reshape(shape.without(axis_index))
    }

    /// The elements in reverse order along axes.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// assert_eq!(x.flip(1).value(), Tensor::from([[2.0, 1.0], [4.0, 3.0]]));
    /// ```
    ///
    /// # Panics
    /// If an axis is out of range or repeated, or the tape was reset or dropped.
    #[track_caller]
    pub fn flip(self, axes: impl Axes) -> Self {
        let shape = self.tape().shape_of("flip", self.erase());
        let axes = resolve_axes(&axes, shape.rank()).map_err(|m| format!("{m} (shape {shape})"));
        let mut flipped = self.erase();
        for axis in or_panic("flip", axes) {
            let view = View::Slice {
                axis,
                start: shape[axis].saturating_sub(1),
                step: -1,
            };
            flipped = self.tape().view(view, flipped, &shape);
        }
        flipped.assume()
    }

    /// The same value, of which no gradient is asked: the path is cut here, visibly.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([3.0]));
    /// let y = x * x.stop_gradient();
    /// assert_eq!(y.sum().gradient(x).value(), Tensor::from([3.0]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn stop_gradient(self) -> Self {
        self.tape().untracked(self.erase()).assume()
    }
}

/// From the second element to the one before the last.
const INNER: std::ops::Range<isize> = std::ops::Range { start: 1, end: -1 };
const ANY: &[Domain] = &[Domain::Interval(-2.0, 2.0)];
const MATRICES: Shapes = Shapes::Given(&[&[&[2, 3]], &[&[4, 2, 3]], &[&[0, 3]], &[&[2, 1, 3, 2]]]);
const SIX: Shapes = Shapes::Given(&[&[&[6]], &[&[2, 3]], &[&[3, 1, 2]]]);
const CUBES: Shapes = Shapes::Given(&[&[&[2, 3, 4]], &[&[1, 3, 2]], &[&[3, 0, 2]]]);

/// The rows of this family.
pub(super) const ROWS: &[Row] = &[
    row!("reshape", ANY, SIX, |x| x[0].reshape([3, 2])),
    row!(
        "t().reshape",
        ANY,
        Shapes::Given(&[&[&[2, 3]], &[&[3, 2]], &[&[6, 1]]]),
        |x| x[0].t().reshape([6])
    ),
    row!("t", ANY, MATRICES, |x| x[0].t()),
    row!("transpose", ANY, MATRICES, |x| x[0].transpose(0, -1)),
    row!("permute", ANY, CUBES, |x| x[0].permute([2, 0, -2])),
    row!(
        "expand",
        ANY,
        Shapes::Given(&[&[&[3, 1]], &[&[1]], &[&[]], &[&[2, 3, 1]]]),
        |x| x[0].expand([2, 3, 4])
    ),
    row!(
        "expand to none",
        ANY,
        Shapes::Given(&[&[&[3, 1]], &[&[]]]),
        |x| x[0].expand([3, 0])
    ),
    row!(
        "squeeze",
        ANY,
        Shapes::Given(&[&[&[2, 1, 3]], &[&[0, 1]]]),
        |x| x[0].squeeze(1)
    ),
    row!("unsqueeze", ANY, MATRICES, |x| x[0].unsqueeze(-1)),
    row!(
        "flatten",
        ANY,
        Shapes::Given(&[&[&[]], &[&[2, 3]], &[&[2, 0]]]),
        |x| x[0].flatten()
    ),
    row!(
        "slice",
        ANY,
        Shapes::Given(&[&[&[2, 4]], &[&[3, 5, 2]], &[&[0, 3]]]),
        |x| x[0].slice(1, INNER)
    ),
    row!("slice to none", ANY, MATRICES, |x| x[0].slice(-1, 1..1)),
    row!(
        "slice_step",
        ANY,
        Shapes::Given(&[&[&[7]], &[&[6, 2]], &[&[8]]]),
        |x| x[0].slice_step(0, 1.., 3)
    ),
    row!("at", ANY, MATRICES, |x| x[0].at(-1, -2)),
    row!("flip", ANY, MATRICES, |x| x[0].flip([0, -1])),
    row!(
        "flip of slice",
        ANY,
        Shapes::Given(&[&[&[7]], &[&[6, 2]]]),
        |x| x[0].flip(0).slice_step(0, INNER, 2)
    ),
];
