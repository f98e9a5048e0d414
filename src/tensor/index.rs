//! Looking at elements and changing them.

use super::Tensor;
use crate::element::Element;
use crate::kernel::copy::{Positions, coalesce};
use crate::shape::{Layout, Shape, or_panic};
use std::ops::{Index, IndexMut};
use std::slice;
use std::sync::Arc;

impl<T: Element> Tensor<T> {
    /// The number of axes.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::<f32>::zeros([2, 3]).rank(), 2);
    /// ```
    #[inline]
    pub fn rank(&self) -> usize {
        self.shape().rank()
    }

    /// The number of elements.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::<f32>::zeros([2, 3]).len(), 6);
    /// ```
    #[inline]
    pub fn len(&self) -> usize {
        self.shape().size()
    }

    /// Whether there are no elements.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert!(Tensor::<f32>::zeros([2, 0]).is_empty());
    /// assert!(!Tensor::<f32>::zeros([]).is_empty());
    /// ```
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.shape().contains(&0)
    }

    /// Whether the elements lie in row-major order without gaps.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::<f32>::zeros([2, 3]);
    /// assert!(x.is_contiguous() && !x.t().is_contiguous());
    /// ```
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.layout().is_contiguous()
    }

    /// The place of an element in the storage, if there is one.
    #[inline]
    fn position(&self, index: &[usize]) -> Option<usize> {
        let shape = self.shape();
        let inside =
            index.len() == shape.rank() && index.iter().zip(&shape[..]).all(|(i, n)| i < n);
        inside.then(|| self.layout().position(index))
    }

    #[inline]
    fn checked_position(&self, index: &[usize]) -> Result<usize, String> {
        self.position(index).ok_or_else(|| {
            let shape = self.shape();
            if index.len() == shape.rank() {
                format!("{index:?} is out of range for {shape}")
            } else {
                format!(
                    "{index:?} names {} axes, but {shape} has {}",
                    index.len(),
                    shape.rank()
                )
            }
        })
    }

    /// The element at an index, or `None` where there is none.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.get(&[1, 0]), Some(3));
    /// assert_eq!(x.get(&[2, 0]), None);
    /// ```
    #[inline]
    pub fn get(&self, index: &[usize]) -> Option<T> {
        self.position(index)
            .map(|position| self.storage()[position])
    }

    /// Changes the element at an index. Tensors that share the storage do not change.
    ///
    /// # Panics
    /// If there is no such element.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let mut x = Tensor::from([[1, 2], [3, 4]]);
    /// x.set(&[0, 1], 9);
    /// assert_eq!(x, Tensor::from([[1, 9], [3, 4]]));
    /// ```
    #[track_caller]
    pub fn set(&mut self, index: &[usize], x: T) {
        *self.element_mut("set", index) = x;
    }

    #[track_caller]
    fn element_mut(&mut self, operation: &str, index: &[usize]) -> &mut T {
        or_panic(operation, self.checked_position(index));
        // Elements of a broadcast axis share one place.
        let (shape, strides) = (self.shape(), self.layout().strides());
        let repeats = shape
            .iter()
            .zip(strides)
            .any(|(&size, &stride)| size > 1 && stride == 0);
        if repeats || Arc::get_mut(&mut self.storage).is_none() {
            *self = self.copied(self.shape().clone());
        }
        let position = self.layout.position(index);
        &mut Arc::make_mut(&mut self.storage)[position]
    }

    /// The only element of a tensor.
    ///
    /// # Panics
    /// If there is not exactly one.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from([[2.5]]).item(), 2.5);
    /// ```
    #[track_caller]
    pub fn item(&self) -> T {
        assert!(
            self.len() == 1,
            "item: {} holds {} elements, not one",
            self.shape(),
            self.len()
        );
        self.storage()[self.layout().offset()]
    }

    /// The elements in row-major order.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.t().iter().collect::<Vec<_>>(), [1, 3, 2, 4]);
    /// assert_eq!(x.iter().sum::<i64>(), 10);
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        let run: &[T] = self.as_slice().unwrap_or(&[]);
        if self.is_contiguous() {
            let rest = Positions::new([(0, 0)].into_iter().collect(), 0);
            return Iter {
                run: run.iter(),
                storage: &[],
                rest,
                run_len: 1,
            };
        }
        let layout = self.layout();
        let mut axes = coalesce(layout.shape(), layout.strides());
        let run_len = match axes.pop() {
            Some((size, 1)) => size,
            Some(strided) => {
                axes.push(strided);
                1
            }
            None => 1,
        };
        let rest = Positions::new(axes, layout.offset());
        Iter {
            run: run.iter(),
            storage: self.storage(),
            rest,
            run_len,
        }
    }

    /// The elements in row-major order.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).to_vec(), [1, 2, 3, 4]);
    /// ```
    pub fn to_vec(&self) -> Vec<T> {
        match self.as_slice() {
            Some(elements) => elements.to_vec(),
            None => {
                let mut elements = vec![T::ZERO; self.len()];
                self.copy_into(&mut elements);
                elements
            }
        }
    }

    /// The elements in row-major order, if they lie so without gaps.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.slice(0, 1..).as_slice(), Some(&[3, 4][..]));
    /// assert_eq!(x.t().as_slice(), None);
    /// ```
    pub fn as_slice(&self) -> Option<&[T]> {
        let (offset, len) = (self.layout().offset(), self.len());
        match len {
            0 => Some(&[]),
            _ if self.is_contiguous() => Some(&self.storage()[offset..offset + len]),
            _ => None,
        }
    }

    /// The elements in row-major order, to change them. Tensors that share the storage do not
    /// change: the elements are copied first if anyone else can see them, or if they do not lie in
    /// row-major order without gaps.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// let mut y = x.t();
    /// y.as_mut_slice()[1] = 9;
    /// assert_eq!(y, Tensor::from([[1, 9], [2, 4]]));
    /// assert_eq!(x, Tensor::from([[1, 2], [3, 4]]));
    /// ```
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        if self.is_empty() {
            return &mut [];
        }
        // Not `make_mut` alone, which would copy the whole storage of a small view.
        if !self.is_contiguous() || Arc::strong_count(&self.storage) > 1 {
            *self = self.copied(self.shape().clone());
        }
        let (offset, len) = (self.layout.offset(), self.len());
        &mut Arc::make_mut(&mut self.storage)[offset..offset + len]
    }

    /// Sets all elements to `x`. Tensors that share the storage do not change.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let mut x = Tensor::from([1, 2]);
    /// x.fill(7);
    /// assert_eq!(x, Tensor::from([7, 7]));
    /// ```
    pub fn fill(&mut self, x: T) {
        if self.is_contiguous() && Arc::get_mut(&mut self.storage).is_some() {
            self.as_mut_slice().fill(x);
        } else {
            *self = Tensor::written(self.shape().clone(), |out| out.fill(x));
        }
    }

    /// The tensor of `f` of each element, in row-major order.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([1.5f32, -2.0]);
    /// assert_eq!(x.map(|x| x > 0.0), Tensor::from([true, false]));
    /// ```
    pub fn map<U: Element>(&self, mut f: impl FnMut(T) -> U) -> Tensor<U> {
        Tensor::written(self.shape().clone(), |out| match self.as_slice() {
            Some(elements) => {
                for (slot, &x) in out.iter_mut().zip(elements) {
                    *slot = f(x);
                }
            }
            None => {
                for (slot, x) in out.iter_mut().zip(self) {
                    *slot = f(x);
                }
            }
        })
    }

    /// The part at index `i` of the first axis, without that axis: row `i` of a matrix.
    ///
    /// # Panics
    /// If the rank is 0 or `i` is out of range.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).row(1), Tensor::from([3, 4]));
    /// ```
    #[track_caller]
    pub fn row(&self, i: usize) -> Tensor<T> {
        let shape = self.shape();
        assert!(shape.rank() > 0, "row: a scalar has no rows");
        assert!(
            i < shape[0],
            "row: {i} is out of range for axis 0 of {shape}"
        );
        self.viewed(self.row_layout(i, &shape.without(0)))
    }

    fn row_layout(&self, i: usize, shape: &Shape) -> Layout {
        let row = self.layout().slice(0, i, 1, 1);
        row.reshape(shape)
            .unwrap_or_else(|| unreachable!("dropping an axis of size 1 keeps strides"))
    }

    /// The parts along the first axis, without that axis: the rows of a matrix. They are views.
    ///
    /// # Panics
    /// If the rank is 0.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// let sums: Vec<i64> = x.rows().map(|row| row.iter().sum()).collect();
    /// assert_eq!(sums, [3, 7]);
    /// ```
    #[track_caller]
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Tensor<T>> + '_ {
        assert!(self.rank() > 0, "rows: a scalar has no rows");
        let shape = self.shape().without(0);
        (0..self.shape()[0]).map(move |i| self.viewed(self.row_layout(i, &shape)))
    }
}

/// The elements of a tensor in row-major order; what [`Tensor::iter`] returns.
///
/// Where the elements lie without gaps, `sum`, `for_each`, `fold` and the like run as fast as over
/// a slice; a `for` loop checks each step, which [`as_slice`](Tensor::as_slice) avoids.
///
/// ```
/// use wengert::prelude::*;
/// let x = Tensor::from([1, 2]).flip(0);
/// let mut iter = x.iter();
/// assert_eq!((iter.next(), iter.len()), (Some(2), 1));
/// ```
#[derive(Clone, Debug)]
pub struct Iter<'a, T: Element> {
    /// What is left of elements that lie side by side.
    run: slice::Iter<'a, T>,
    storage: &'a [T],
    /// Where further runs start.
    rest: Positions,
    run_len: usize,
}

impl<'a, T: Element> Iter<'a, T> {
    fn next_run(&mut self) -> Option<T> {
        let start = self.rest.next()?;
        self.run = self.storage[start..start + self.run_len].iter();
        self.run.next().copied()
    }
}

impl<T: Element> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match self.run.next() {
            Some(&x) => Some(x),
            None => self.next_run(),
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.run.len() + self.rest.len() * self.run_len;
        (left, Some(left))
    }

    // Whole runs at a time: a contiguous tensor folds as its slice does.
    fn fold<B, F: FnMut(B, T) -> B>(self, first: B, mut f: F) -> B {
        let mut folded = self.run.fold(first, |folded, &x| f(folded, x));
        for start in self.rest {
            let run = &self.storage[start..start + self.run_len];
            folded = run.iter().fold(folded, |folded, &x| f(folded, x));
        }
        folded
    }
}

impl<T: Element> ExactSizeIterator for Iter<'_, T> {}

impl<'a, T: Element> IntoIterator for &'a Tensor<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Element, const N: usize> Index<[usize; N]> for Tensor<T> {
    type Output = T;

    #[inline]
    #[track_caller]
    fn index(&self, index: [usize; N]) -> &T {
        &self.storage()[or_panic("index", self.checked_position(&index))]
    }
}

/// Changes an element; tensors that share the storage do not change.
impl<T: Element, const N: usize> IndexMut<[usize; N]> for Tensor<T> {
    #[inline]
    #[track_caller]
    fn index_mut(&mut self, index: [usize; N]) -> &mut T {
        self.element_mut("index", &index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Tensor<i64> {
        Tensor::from([[0, 1, 2], [3, 4, 5]])
    }

    #[test]
    fn iteration_is_row_major_over_any_layout() {
        let x = Tensor::arange(0, 24, 1).reshape([2, 3, 4]);
        let views = [
            x.clone(),
            x.t(),
            x.flip(..),
            x.flip(0),
            x.slice(2, 1..3),
            x.slice_step(2, .., 2),
            x.slice(0, ..1).expand([3, 3, 4]),
            x.row(1).unsqueeze(0),
            x.slice(1, 2..2),
            x.slice_step(2, .., 3).slice(0, 1..),
        ];
        for view in &views {
            let expected =
                Tensor::from_fn(view.shape(), |index| view[[index[0], index[1], index[2]]]);
            let expected = expected.as_slice().unwrap();
            assert_eq!(view.iter().collect::<Vec<_>>(), expected);
            assert_eq!(view.to_vec(), expected);
            let folded = view.iter().fold(Vec::new(), |mut seen, x| {
                seen.push(x);
                seen
            });
            assert_eq!(folded, expected);
            let mut iter = view.iter();
            for left in (0..expected.len()).rev() {
                iter.next();
                assert_eq!(iter.len(), left);
            }
            assert_eq!((iter.next(), iter.next()), (None, None));
            assert_eq!(
                view.map(|x| -x).to_vec(),
                expected.iter().map(|x| -x).collect::<Vec<_>>()
            );
        }
        assert_eq!(Tensor::from(7).iter().collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn writing_does_not_change_siblings() {
        let x = matrix();
        let mut clone = x.clone();
        clone[[0, 0]] = 10;
        let mut view = x.t();
        view.set(&[2, 1], 20);
        let mut part = x.slice(1, 1..);
        part.as_mut_slice()[0] = 30;
        let mut row = x.row(1);
        row.fill(40);
        assert_eq!(x, matrix());
        assert_eq!(clone, Tensor::from([[10, 1, 2], [3, 4, 5]]));
        assert_eq!(view, Tensor::from([[0, 3], [1, 4], [2, 20]]));
        assert_eq!(part, Tensor::from([[30, 2], [4, 5]]));
        assert_eq!(row, Tensor::from([40, 40, 40]));
    }

    #[test]
    fn elements_of_a_broadcast_axis_change_one_by_one() {
        let mut x = Tensor::from([1, 2]).expand([3, 2]);
        x[[1, 0]] = 9;
        assert_eq!(x, Tensor::from([[1, 2], [9, 2], [1, 2]]));
        let mut x = Tensor::from(1).expand([2]);
        x.as_mut_slice()[0] = 5;
        assert_eq!(x, Tensor::from([5, 1]));
    }

    #[test]
    fn sole_owners_write_in_place() {
        let mut x = matrix();
        let before = x.storage().as_ptr();
        x[[1, 2]] = 7;
        x.as_mut_slice()[0] = 8;
        assert_eq!(x.storage().as_ptr(), before);
        let view = x.t();
        drop(x);
        let mut x = view;
        x[[0, 1]] = 9;
        assert_eq!(x.storage().as_ptr(), before);
        assert_eq!(x, Tensor::from([[8, 9], [1, 4], [2, 7]]));
        let mut part = x.slice(1, 1..);
        drop(x);
        part.fill(0);
        assert_eq!(part, Tensor::from([[0], [0], [0]]));
    }

    #[test]
    fn a_longer_storage_is_not_seen() {
        let mut storage = crate::tensor::Storage::<f32>::zeroed(4, 10);
        storage.copy_from_slice(&[1.0, 2.0, 3.0, 4.0]);
        let mut x = Tensor::from_parts(Arc::new(storage), Layout::contiguous(Shape::from([3])));
        assert_eq!((x.to_vec(), x.len()), (vec![1.0, 2.0, 3.0], 3));
        assert_eq!(x.as_slice().unwrap().len(), 3);
        assert_eq!(x.as_mut_slice().len(), 3);
        x.fill(5.0);
        assert_eq!(x.storage()[3], 4.0);
    }

    #[test]
    fn rank_zero_and_empty_axes() {
        let mut x = Tensor::from(3.0);
        x[[]] = 4.0;
        assert_eq!((x[[]], x.item(), x.get(&[])), (4.0, 4.0, Some(4.0)));
        let mut empty = Tensor::<f32>::zeros([2, 0]);
        assert_eq!(
            (empty.as_slice(), empty.get(&[0, 0])),
            (Some(&[][..]), None)
        );
        assert!(empty.as_mut_slice().is_empty() && empty.iter().next().is_none());
        empty.fill(1.0);
        assert_eq!(
            empty.rows().map(|row| row.len()).collect::<Vec<_>>(),
            [0, 0]
        );
        assert_eq!(empty.t().rows().len(), 0);
        let view = Tensor::from([1, 2]).slice(0, 2..);
        assert_eq!(view.as_slice(), Some(&[][..]));
    }

    #[test]
    fn rows_are_views() {
        let x = matrix();
        assert_eq!(x.rows().collect::<Vec<_>>(), [x.row(0), x.row(1)]);
        assert!(x.rows().all(|row| Arc::ptr_eq(row.storage(), x.storage())));
        assert_eq!(x.t().row(2), Tensor::from([2, 5]));
        assert_eq!(x.row(1).row(0).item(), 3);
    }

    #[test]
    #[should_panic(expected = "index: [2, 0] is out of range for [2, 3]")]
    fn an_index_out_of_range_panics() {
        let _ = matrix()[[2, 0]];
    }

    #[test]
    #[should_panic(expected = "index: [1] names 1 axes, but [2, 3] has 2")]
    fn an_index_of_another_rank_panics() {
        matrix()[[1]] = 0;
    }

    #[test]
    #[should_panic(expected = "item: [2, 3] holds 6 elements, not one")]
    fn item_wants_one_element() {
        matrix().item();
    }

    #[test]
    #[should_panic(expected = "row: 2 is out of range for axis 0 of [2, 3]")]
    fn a_row_out_of_range_panics() {
        matrix().row(2);
    }
}
