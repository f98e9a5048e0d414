//! Views: the same storage under another layout.

use super::Tensor;
use crate::element::Element;
use crate::kernel::copy::copy_strided;
use crate::shape::{
    Axes, Layout, Shape, or_panic, resolve_axes, resolve_expand, resolve_insertion,
    resolve_matrix_transposition, resolve_permutation, resolve_reshape, resolve_slice,
    resolve_squeeze, resolve_transposition,
};
use std::ops::RangeBounds;
use std::sync::Arc;

impl<T: Element> Tensor<T> {
    pub(super) fn viewed(&self, layout: Layout) -> Self {
        Tensor::from_parts(Arc::clone(self.storage()), layout)
    }

    /// The same elements in row-major order under another shape of the same size. Copies only where
    /// strides cannot express it.
    ///
    /// # Panics
    /// If the shapes hold different numbers of elements.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.reshape([3, 2]), Tensor::from([[1, 2], [3, 4], [5, 6]]));
    /// ```
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        or_panic("reshape", resolve_reshape(self.shape(), &shape));
        match self.layout().reshape(&shape) {
            Some(layout) => self.viewed(layout),
            None => self.copied(shape),
        }
    }

    /// The same elements along a single axis.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).flatten(), Tensor::from([1, 2, 3, 4]));
    /// ```
    pub fn flatten(&self) -> Self {
        self.reshape([self.len()])
    }

    /// The same tensor with its elements in row-major order without gaps; a copy unless they
    /// already are.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([[1, 2], [3, 4]]).t();
    /// assert!(!x.is_contiguous() && x.contiguous().is_contiguous());
    /// assert_eq!(x.contiguous(), x);
    /// ```
    pub fn contiguous(&self) -> Self {
        if self.is_contiguous() {
            self.clone()
        } else {
            self.copied(self.shape().clone())
        }
    }

    /// A copy in row-major order under a shape of the same size.
    pub(super) fn copied(&self, shape: Shape) -> Self {
        Tensor::written(shape, |out| self.copy_into(out))
    }

    /// Writes the elements to a slice of the same length, in row-major order.
    pub(crate) fn copy_into(&self, out: &mut [T]) {
        let layout = self.layout();
        copy_strided(
            self.storage(),
            layout.shape(),
            layout.strides(),
            layout.offset(),
            out,
        );
    }

    /// The tensor with its last two axes swapped: the transpose of a matrix, or of each matrix of a
    /// batch. A tensor of rank 1 stays as it is.
    ///
    /// # Panics
    /// If the rank is 0.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).t(), Tensor::from([[1, 3], [2, 4]]));
    /// ```
    #[track_caller]
    pub fn t(&self) -> Self {
        let order = or_panic("t", resolve_matrix_transposition(self.rank()));
        self.viewed(self.layout().permute(&order))
    }

    /// The tensor with two axes swapped.
    ///
    /// # Panics
    /// If an axis is out of range.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::<f32>::zeros([2, 3, 4]);
    /// assert_eq!(x.transpose(0, -1).shape(), &Shape::from([4, 3, 2]));
    /// ```
    #[track_caller]
    pub fn transpose(&self, a: isize, b: isize) -> Self {
        let order = or_panic("transpose", resolve_transposition(a, b, self.rank()));
        self.viewed(self.layout().permute(&order))
    }

    /// The tensor with its axes in another order: axis `i` of the result is axis `axes[i]`.
    ///
    /// # Panics
    /// If `axes` does not name each axis exactly once.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::<f32>::zeros([2, 3, 4]);
    /// assert_eq!(x.permute([2, 0, 1]).shape(), &Shape::from([4, 2, 3]));
    /// ```
    #[track_caller]
    pub fn permute(&self, axes: impl Axes) -> Self {
        let order = or_panic("permute", resolve_permutation(&axes, self.rank()));
        self.viewed(self.layout().permute(&order))
    }

    /// The part of the tensor within a range of an axis. Negative ends count from the back.
    ///
    /// # Panics
    /// If the axis or an end of the range is out of range, or the range ends before it starts.
    /// (NumPy and PyTorch shorten such ranges; that hides mistakes.)
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.slice(1, 1..), Tensor::from([[2, 3], [5, 6]]));
    /// assert_eq!(x.slice(0, -1..), Tensor::from([[4, 5, 6]]));
    /// ```
    #[track_caller]
    pub fn slice(&self, axis: isize, range: impl RangeBounds<isize>) -> Self {
        let resolved = resolve_slice(axis, &range, 1, self.shape());
        let (axis, start, count) = or_panic("slice", resolved);
        self.viewed(self.layout().slice(axis, start, count, 1))
    }

    /// Every `step`-th element within a range of an axis. Negative ends count from the back.
    ///
    /// # Panics
    /// As [`slice`](Tensor::slice), and if `step` is 0.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([0, 1, 2, 3, 4]);
    /// assert_eq!(x.slice_step(0, .., 2), Tensor::from([0, 2, 4]));
    /// ```
    #[track_caller]
    pub fn slice_step(&self, axis: isize, range: impl RangeBounds<isize>, step: usize) -> Self {
        let resolved = resolve_slice(axis, &range, step, self.shape());
        let (axis, start, count) = or_panic("slice_step", resolved);
        // A step beyond the axis leaves at most one element, whose stride is never used.
        let step = step.min(isize::MAX as usize) as isize;
        let step = if count > 1 { step } else { 1 };
        self.viewed(self.layout().slice(axis, start, count, step))
    }

    /// The tensor broadcast to a shape by NumPy's rule: elements repeat, nothing is copied.
    ///
    /// # Panics
    /// If the tensor does not broadcast to the shape.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([1, 2]).expand([2, 2]);
    /// assert_eq!(x, Tensor::from([[1, 2], [1, 2]]));
    /// ```
    #[track_caller]
    pub fn expand(&self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        or_panic("expand", resolve_expand(self.shape(), &shape));
        self.viewed(self.layout().expand(&shape))
    }

    /// The tensor with the order of the elements along some axes reversed.
    ///
    /// # Panics
    /// If an axis is out of range or repeated.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.flip(-1), Tensor::from([[2, 1], [4, 3]]));
    /// assert_eq!(x.flip(..), Tensor::from([[4, 3], [2, 1]]));
    /// ```
    #[track_caller]
    pub fn flip(&self, axes: impl Axes) -> Self {
        let axes = or_panic("flip", resolve_axes(&axes, self.rank()));
        let mut layout = self.layout().clone();
        for axis in axes {
            let size = layout.shape()[axis];
            layout = layout.slice(axis, size.saturating_sub(1), size, -1);
        }
        self.viewed(layout)
    }

    /// The tensor without an axis of size 1.
    ///
    /// # Panics
    /// If the axis is out of range or has another size.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from([[1], [2]]).squeeze(-1), Tensor::from([1, 2]));
    /// ```
    #[track_caller]
    pub fn squeeze(&self, axis: isize) -> Self {
        let axis = or_panic("squeeze", resolve_squeeze(axis, self.shape()));
        self.reshape(self.shape().without(axis))
    }

    /// The tensor with a new axis of size 1 at place `axis`; `-1` puts it last.
    ///
    /// # Panics
    /// If there is no such place.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from([1, 2]).unsqueeze(0), Tensor::from([[1, 2]]));
    /// assert_eq!(Tensor::from([1, 2]).unsqueeze(-1), Tensor::from([[1], [2]]));
    /// ```
    #[track_caller]
    pub fn unsqueeze(&self, axis: isize) -> Self {
        let axis = or_panic("unsqueeze", resolve_insertion(axis, self.rank()));
        self.reshape(self.shape().with_inserted(axis, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(shape: &[usize]) -> Tensor<i64> {
        let size = shape.iter().product::<usize>() as i64;
        Tensor::arange(0, size, 1).reshape(shape)
    }

    fn shares(a: &Tensor<i64>, b: &Tensor<i64>) -> bool {
        Arc::ptr_eq(a.storage(), b.storage())
    }

    #[test]
    fn views_share_their_storage() {
        let x = counted(&[2, 3, 4]);
        let views = [
            x.reshape([6, 4]),
            x.flatten(),
            x.t(),
            x.transpose(0, 1),
            x.permute([1, 2, 0]),
            x.slice(1, 1..2),
            x.slice_step(2, .., 3),
            x.expand([5, 2, 3, 4]),
            x.flip([0, 2]),
            x.unsqueeze(1).squeeze(1),
            x.t().unsqueeze(0),
            x.contiguous(),
        ];
        assert!(views.iter().all(|view| shares(view, &x)));
        assert!(!shares(&x.t().contiguous(), &x));
        assert!(!shares(&x.t().flatten(), &x));
    }

    #[test]
    fn views_show_the_right_elements() {
        let x = counted(&[2, 3, 4]);
        let at = |i: usize, j: usize, k: usize| (12 * i + 4 * j + k) as i64;
        let check = |view: &Tensor<i64>, shape: [usize; 3], from: &dyn Fn(&[usize]) -> i64| {
            assert_eq!(*view, Tensor::from_fn(shape, from));
        };
        check(&x.t(), [2, 4, 3], &|i| at(i[0], i[2], i[1]));
        check(&x.permute([2, 0, 1]), [4, 2, 3], &|i| at(i[1], i[2], i[0]));
        check(&x.flip([0, -1]), [2, 3, 4], &|i| {
            at(1 - i[0], i[1], 3 - i[2])
        });
        check(&x.flip(2).slice(2, 1..3), [2, 3, 2], &|i| {
            at(i[0], i[1], 2 - i[2])
        });
        check(&x.slice_step(1, .., 2), [2, 2, 4], &|i| {
            at(i[0], 2 * i[1], i[2])
        });
        check(&x.slice(0, ..1).expand([5, 3, 4]), [5, 3, 4], &|i| {
            at(0, i[1], i[2])
        });
        let swapped = x.transpose(0, 2);
        check(&swapped, [4, 3, 2], &|i| at(i[2], i[1], i[0]));
        let flat: Vec<i64> = swapped.iter().collect();
        assert_eq!(swapped.reshape([2, 12]).to_vec(), flat);
    }

    #[test]
    fn rank_zero_and_empty_axes_have_views() {
        let scalar = Tensor::from(5);
        assert_eq!(scalar.reshape([1, 1]).shape()[..], [1, 1]);
        assert_eq!(scalar.unsqueeze(-1), Tensor::from([5]));
        assert_eq!(scalar.expand([2, 2]), Tensor::from([[5, 5], [5, 5]]));
        assert_eq!(scalar.flip(..), scalar);
        assert_eq!(scalar.permute(..), scalar);
        assert_eq!(scalar.flatten(), Tensor::from([5]));
        let empty = Tensor::<i64>::zeros([0, 3]);
        assert_eq!(empty.flip([0, 1]).t().shape()[..], [3, 0]);
        assert_eq!(empty.reshape([7, 0, 2]).len(), 0);
        assert_eq!(empty.slice(0, ..).slice(1, 3..).shape()[..], [0, 0]);
        assert!(empty.expand([4, 0, 3]).to_vec().is_empty());
        assert!(
            Tensor::from([1, 2])
                .slice(0, 2..)
                .flip(0)
                .to_vec()
                .is_empty()
        );
        assert_eq!(Tensor::from([1, 2]).t(), Tensor::from([1, 2]));
        let x = Tensor::from([1, 2, 3]).slice_step(0, 1.., usize::MAX);
        assert_eq!(x, Tensor::from([2]));
    }

    #[test]
    #[should_panic(expected = "slice: 2..7 is out of range for axis 1 of [3, 4]")]
    fn a_slice_beyond_the_axis_panics() {
        counted(&[3, 4]).slice(1, 2..7);
    }

    #[test]
    #[should_panic(expected = "reshape: [3, 4] holds 12 elements, but [5] holds 5")]
    fn a_reshape_of_another_size_panics() {
        counted(&[3, 4]).reshape([5]);
    }

    #[test]
    #[should_panic(expected = "t: a scalar has no axes to swap")]
    fn a_scalar_has_no_transpose() {
        Tensor::from(1.0).t();
    }

    #[test]
    #[should_panic(expected = "expand: [3, 4] does not broadcast to [3]")]
    fn expanding_to_fewer_axes_panics() {
        counted(&[3, 4]).expand([3]);
    }
}
