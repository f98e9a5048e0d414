//! Picking elements, joining and cutting tensors, changing the type of the elements.

use super::Tensor;
use crate::element::{AnyNumber, Dtype, Element, Number, Numbers};
use crate::kernel::copy::copy_strided;
use crate::shape::{
    Shape, or_panic, resolve_axis, resolve_concat, resolve_size, resolve_split, resolve_stack,
};

/// The place of the first of the best; a NaN is better than any number.
fn first_best<T: Number>(elements: &[T], better: impl Fn(&T, &T) -> bool) -> usize {
    let mut best = 0;
    for (i, x) in elements.iter().enumerate() {
        let current = &elements[best];
        // A NaN, and nothing else, has no order even with itself.
        let [is_nan, is_taken] = [x, current].map(|x| x.partial_cmp(x).is_none());
        if !is_taken && (is_nan || better(x, current)) {
            best = i;
        }
    }
    best
}

impl<T: Number> Tensor<T> {
    /// The index of the largest element along an axis, which is removed.
    ///
    /// The first of several largest wins; a NaN counts as the largest, as in NumPy and PyTorch.
    ///
    /// # Panics
    /// If the axis is out of range or has size 0.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([[1.0, 5.0, 2.0], [7.0, 0.0, 7.0]]);
    /// assert_eq!(x.argmax(-1), Tensor::from([1, 0]));
    /// assert_eq!(x.argmax(0), Tensor::from([1, 0, 1]));
    /// ```
    #[track_caller]
    pub fn argmax(&self, axis: isize) -> Tensor<i64> {
        self.arg_best("argmax", axis, T::gt)
    }

    /// The index of the smallest element along an axis, which is removed.
    ///
    /// The first of several smallest wins; a NaN counts as the smallest, as in NumPy and PyTorch.
    ///
    /// # Panics
    /// If the axis is out of range or has size 0.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from([[1, 5, 0], [7, 0, 0]]).argmin(1), Tensor::from([2, 1]));
    /// ```
    #[track_caller]
    pub fn argmin(&self, axis: isize) -> Tensor<i64> {
        self.arg_best("argmin", axis, T::lt)
    }

    #[track_caller]
    fn arg_best(
        &self,
        operation: &str,
        axis: isize,
        better: impl Fn(&T, &T) -> bool,
    ) -> Tensor<i64> {
        let shape = self.shape();
        let axis = or_panic(operation, resolve_axis(axis, shape.rank()));
        let size = shape[axis];
        assert!(size > 0, "{operation}: axis {axis} of {shape} is empty");
        let mut order: Vec<usize> = (0..shape.rank()).filter(|&a| a != axis).collect();
        order.push(axis);
        let lines = self.viewed(self.layout().permute(&order)).contiguous();
        Tensor::written(shape.without(axis), |out| {
            let lines = lines.as_slice().unwrap_or_default().chunks_exact(size);
            for (slot, line) in out.iter_mut().zip(lines) {
                *slot = first_best(line, &better) as i64;
            }
        })
    }

    /// The place of the largest element, counted in row-major order.
    ///
    /// The first of several largest wins; a NaN counts as the largest.
    ///
    /// # Panics
    /// If there are no elements.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from([[1, 5], [7, 0]]).argmax_flat(), 2);
    /// ```
    #[track_caller]
    pub fn argmax_flat(&self) -> usize {
        self.arg_best_flat("argmax_flat", T::gt)
    }

    /// The place of the smallest element, counted in row-major order.
    ///
    /// The first of several smallest wins; a NaN counts as the smallest.
    ///
    /// # Panics
    /// If there are no elements.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from([[1, 5], [7, 0]]).argmin_flat(), 3);
    /// ```
    #[track_caller]
    pub fn argmin_flat(&self) -> usize {
        self.arg_best_flat("argmin_flat", T::lt)
    }

    #[track_caller]
    fn arg_best_flat(&self, operation: &str, better: impl Fn(&T, &T) -> bool) -> usize {
        assert!(!self.is_empty(), "{operation}: {} is empty", self.shape());
        first_best(self.contiguous().as_slice().unwrap_or_default(), better)
    }
}

impl<T: Element> Tensor<T> {
    /// Tensors joined along an axis they have.
    ///
    /// # Panics
    /// If there are none, the axis is out of range, or the shapes differ elsewhere than in the
    /// axis.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let (a, b) = (Tensor::from([[1], [2]]), Tensor::from([[3, 4], [5, 6]]));
    /// assert_eq!(Tensor::concat(&[&a, &b], 1), Tensor::from([[1, 3, 4], [2, 5, 6]]));
    /// ```
    #[track_caller]
    pub fn concat(tensors: &[&Tensor<T>], axis: isize) -> Tensor<T> {
        let shapes: Vec<&Shape> = tensors.iter().map(|tensor| tensor.shape()).collect();
        let (axis, shape) = or_panic("concat", resolve_concat(&shapes, axis));
        Tensor::joined(tensors, axis, shape)
    }

    /// Tensors of one shape joined along a new axis at place `axis`; `-1` puts it last.
    ///
    /// # Panics
    /// If there are none, the shapes differ, or there is no such place.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let (a, b) = (Tensor::from([1, 2]), Tensor::from([3, 4]));
    /// assert_eq!(Tensor::stack(&[&a, &b], 0), Tensor::from([[1, 2], [3, 4]]));
    /// assert_eq!(Tensor::stack(&[&a, &b], -1), Tensor::from([[1, 3], [2, 4]]));
    /// ```
    #[track_caller]
    pub fn stack(tensors: &[&Tensor<T>], axis: isize) -> Tensor<T> {
        let shapes: Vec<&Shape> = tensors.iter().map(|tensor| tensor.shape()).collect();
        let (axis, shape) = or_panic("stack", resolve_stack(&shapes, axis));
        Tensor::joined(tensors, axis, shape)
    }

    /// The elements of the tensors side by side in each part of the axes before `axis`.
    fn joined(tensors: &[&Tensor<T>], axis: usize, shape: Shape) -> Tensor<T> {
        let parts: usize = shape[..axis].iter().product();
        let part_len: usize = shape[axis..].iter().product();
        Tensor::written(shape, |out| {
            let mut start = 0;
            for tensor in tensors.iter().filter(|tensor| !tensor.is_empty()) {
                let len = tensor.len() / parts;
                let tensor = tensor.contiguous();
                let pieces = tensor.as_slice().unwrap_or_default().chunks_exact(len);
                for (part, piece) in out.chunks_exact_mut(part_len).zip(pieces) {
                    part[start..start + len].copy_from_slice(piece);
                }
                start += len;
            }
        })
    }

    /// Consecutive pieces of the given sizes along an axis. They are views.
    ///
    /// # Panics
    /// If the axis is out of range or the sizes do not add up to its size.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let pieces = Tensor::from([1, 2, 3]).split(&[1, 2], 0);
    /// assert_eq!(pieces, [Tensor::from([1]), Tensor::from([2, 3])]);
    /// ```
    #[track_caller]
    pub fn split(&self, sizes: &[usize], axis: isize) -> Vec<Tensor<T>> {
        let axis = or_panic("split", resolve_split(sizes, axis, self.shape()));
        let mut start = 0;
        let piece = |&size: &usize| {
            let view = self.viewed(self.layout().slice(axis, start, size, 1));
            start += size;
            view
        };
        sizes.iter().map(piece).collect()
    }

    /// Consecutive pieces of `size` along an axis; the last may be smaller. They are views.
    /// (PyTorch calls this `split`; its `chunk` is given the number of pieces.)
    ///
    /// # Panics
    /// If the axis is out of range or `size` is 0.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let pieces = Tensor::from([1, 2, 3]).chunks(2, 0);
    /// assert_eq!(pieces, [Tensor::from([1, 2]), Tensor::from([3])]);
    /// ```
    #[track_caller]
    pub fn chunks(&self, size: usize, axis: isize) -> Vec<Tensor<T>> {
        let axis = or_panic("chunks", resolve_axis(axis, self.rank()));
        assert!(size > 0, "chunks: a size of 0 makes no pieces");
        let whole = self.shape()[axis];
        (0..whole)
            .step_by(size)
            .map(|start| {
                let count = size.min(whole - start);
                self.viewed(self.layout().slice(axis, start, count, 1))
            })
            .collect()
    }

    /// The given rows (parts along the first axis), in the given order; a row may be repeated.
    ///
    /// # Panics
    /// If the rank is 0 or a row is out of range.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([[1, 2], [3, 4], [5, 6]]);
    /// assert_eq!(x.select_rows(&[2, 0]), Tensor::from([[5, 6], [1, 2]]));
    /// ```
    #[track_caller]
    pub fn select_rows(&self, rows: &[usize]) -> Tensor<T> {
        let (layout, shape) = (self.layout(), self.shape());
        assert!(shape.rank() > 0, "select_rows: a scalar has no rows");
        if let Some(row) = rows.iter().find(|&&row| row >= shape[0]) {
            panic!("select_rows: row {row} is out of range for axis 0 of {shape}");
        }
        let row_shape = &shape[1..];
        let row_len: usize = row_shape.iter().product();
        let selected = shape.with_size(0, rows.len());
        or_panic("select_rows", resolve_size(&selected));
        Tensor::written(selected, |out| {
            if row_len == 0 {
                return;
            }
            for (&row, out) in rows.iter().zip(out.chunks_exact_mut(row_len)) {
                match self.as_slice() {
                    Some(elements) => out.copy_from_slice(&elements[row * row_len..][..row_len]),
                    None => {
                        let start = layout.slice(0, row, 1, 1).offset();
                        copy_strided(
                            self.storage(),
                            row_shape,
                            &layout.strides()[1..],
                            start,
                            out,
                        );
                    }
                }
            }
        })
    }

    /// The elements as another type.
    ///
    /// Floats become integers by truncation towards zero (the nearest integer where they are out of
    /// its range, 0 for a NaN), everything but zero becomes `true`, `true` becomes 1. A tensor that
    /// is of the type already is shared, not copied.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from([-1.5f32, 0.0, 2.5]);
    /// assert_eq!(x.cast::<i64>(), Tensor::from([-1, 0, 2]));
    /// assert_eq!(x.cast::<bool>(), Tensor::from([true, false, true]));
    /// ```
    pub fn cast<U: Element>(&self) -> Tensor<U> {
        let same = T::erase::<super::Tensors>(self.clone());
        U::restore(same).unwrap_or_else(|| self.map(|x| convert(T::erase(x))))
    }
}

fn convert<U: Element>(x: AnyNumber) -> U {
    let converted = match U::DTYPE {
        Dtype::F32 => AnyNumber::F32(match x {
            AnyNumber::F32(x) => x,
            AnyNumber::F64(x) => x as f32,
            AnyNumber::I64(x) => x as f32,
            AnyNumber::Bool(x) => f32::from(x),
        }),
        Dtype::F64 => AnyNumber::F64(match x {
            AnyNumber::F32(x) => f64::from(x),
            AnyNumber::F64(x) => x,
            AnyNumber::I64(x) => x as f64,
            AnyNumber::Bool(x) => f64::from(x),
        }),
        Dtype::I64 => AnyNumber::I64(match x {
            AnyNumber::F32(x) => x as i64,
            AnyNumber::F64(x) => x as i64,
            AnyNumber::I64(x) => x,
            AnyNumber::Bool(x) => i64::from(x),
        }),
        Dtype::Bool => AnyNumber::Bool(match x {
            AnyNumber::F32(x) => x != 0.0,
            AnyNumber::F64(x) => x != 0.0,
            AnyNumber::I64(x) => x != 0,
            AnyNumber::Bool(x) => x,
        }),
    };
    U::restore::<Numbers>(converted).unwrap_or_else(|| unreachable!("converted to the type of `U`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f32 = f32::NAN;

    #[test]
    fn argmax_takes_the_first_and_nan_wins() {
        let x = Tensor::from([[1.0, NAN, 9.0, NAN], [3.0, 3.0, -1.0, 3.0]]);
        assert_eq!(x.argmax(1), Tensor::from([1, 0]));
        assert_eq!(x.argmin(1), Tensor::from([1, 2]));
        assert_eq!(x.argmax(0), Tensor::from([1, 0, 0, 0]));
        assert_eq!(x.argmin(0), Tensor::from([0, 0, 1, 0]));
        assert_eq!((x.argmax_flat(), x.argmin_flat()), (1, 1));
        assert_eq!(Tensor::from([f32::NEG_INFINITY; 3]).argmax(0).item(), 0);
        assert_eq!(Tensor::from([f32::INFINITY; 3]).argmin(0).item(), 0);
    }

    #[test]
    fn argmax_over_any_layout_and_axis() {
        let x = Tensor::from([[[1, 8], [5, 2]], [[7, 3], [4, 9]]]);
        assert_eq!(x.argmax(0), Tensor::from([[1, 0], [0, 1]]));
        assert_eq!(x.argmax(-2), Tensor::from([[1, 0], [0, 1]]));
        assert_eq!(
            x.permute([2, 1, 0]).argmax(2),
            Tensor::from([[1, 0], [0, 1]])
        );
        assert_eq!(x.flip(..).argmin(-1), Tensor::from([[1, 0], [0, 1]]));
        assert_eq!(x.t().argmax_flat(), 7);
        assert_eq!(
            Tensor::from(3).expand([2, 4]).argmax(1),
            Tensor::from([0, 0])
        );
        assert_eq!(Tensor::<f32>::zeros([0, 3]).argmax(1).shape()[..], [0]);
        assert_eq!(Tensor::from(3).argmax_flat(), 0);
    }

    #[test]
    #[should_panic(expected = "argmax: axis 0 of [0, 3] is empty")]
    fn an_empty_axis_has_no_largest() {
        Tensor::<f32>::zeros([0, 3]).argmax(0);
    }

    #[test]
    #[should_panic(expected = "argmin_flat: [0] is empty")]
    fn an_empty_tensor_has_no_smallest() {
        Tensor::<f32>::zeros([0]).argmin_flat();
    }

    #[test]
    fn split_and_concat_undo_each_other() {
        let x = Tensor::arange(0, 60, 1).reshape([3, 4, 5]);
        for x in [x.clone(), x.permute([2, 0, 1]), x.flip(1)] {
            for axis in -3..3 {
                let size = x.shape()[(axis + 3) as usize % 3];
                let pieces = x.split(&[1, 0, size - 1], axis);
                let pieces: Vec<_> = pieces.iter().collect();
                assert_eq!(Tensor::concat(&pieces, axis), x);
                let chunks = x.chunks(2, axis);
                assert_eq!(chunks.len(), size.div_ceil(2));
                assert_eq!(Tensor::concat(&chunks.iter().collect::<Vec<_>>(), axis), x);
            }
            let rows: Vec<_> = x.rows().collect();
            assert_eq!(Tensor::stack(&rows.iter().collect::<Vec<_>>(), 0), x);
            assert_eq!(
                Tensor::stack(&rows.iter().collect::<Vec<_>>(), -1),
                x.permute([1, 2, 0])
            );
        }
    }

    #[test]
    fn joining_scalars_and_empty_tensors() {
        let (a, b) = (Tensor::from(1), Tensor::from(2));
        assert_eq!(Tensor::stack(&[&a, &b], 0), Tensor::from([1, 2]));
        let empty = Tensor::<i64>::zeros([2, 0]);
        let column = Tensor::from([[1], [2]]);
        assert_eq!(Tensor::concat(&[&empty, &column, &empty], 1), column);
        assert_eq!(Tensor::concat(&[&empty, &empty], 0).shape()[..], [4, 0]);
        assert!(Tensor::<f32>::zeros([0]).chunks(3, 0).is_empty());
    }

    #[test]
    #[should_panic(expected = "concat: [2, 3] and [3, 3] differ elsewhere than in axis 1")]
    fn shapes_that_do_not_join_panic() {
        let (a, b) = (Tensor::<f32>::zeros([2, 3]), Tensor::zeros([3, 3]));
        Tensor::concat(&[&a, &b], 1);
    }

    #[test]
    #[should_panic(expected = "split: sizes [1, 3] make 4, but axis 0 of [3] has size 3")]
    fn pieces_must_make_the_whole() {
        Tensor::from([1, 2, 3]).split(&[1, 3], 0);
    }

    #[test]
    fn rows_are_selected_from_any_layout() {
        let x = Tensor::arange(0, 24, 1).reshape([2, 3, 4]);
        for x in [x.clone(), x.permute([1, 2, 0]), x.flip(..), x.slice(2, 1..)] {
            let last = x.shape()[0] - 1;
            let picked = x.select_rows(&[last, 0, last]);
            assert_eq!(
                picked,
                Tensor::stack(&[&x.row(last), &x.row(0), &x.row(last)], 0)
            );
        }
        assert_eq!(x.select_rows(&[]).shape()[..], [0, 3, 4]);
        assert_eq!(
            Tensor::<f32>::zeros([3, 0]).select_rows(&[1]).shape()[..],
            [1, 0]
        );
        assert_eq!(
            Tensor::from([5, 6]).select_rows(&[1, 1]),
            Tensor::from([6, 6])
        );
    }

    #[test]
    #[should_panic(expected = "select_rows: row 5 is out of range for axis 0 of [3, 2]")]
    fn a_row_beyond_the_axis_panics() {
        Tensor::<f32>::zeros([3, 2]).select_rows(&[0, 5]);
    }

    #[test]
    fn casts_convert_as_torch_does() {
        let x = Tensor::from([-2.9, -0.5, 0.0, 0.5, 2.9]);
        assert_eq!(x.cast::<i64>().to_vec(), [-2, 0, 0, 0, 2]);
        assert_eq!(x.cast::<bool>().to_vec(), [true, true, false, true, true]);
        assert!(Tensor::from(NAN).cast::<bool>().item());
        assert_eq!(
            Tensor::from([NAN, f32::INFINITY]).cast::<i64>().to_vec(),
            [0, i64::MAX]
        );
        assert_eq!(
            Tensor::from([true, false]).cast::<f32>(),
            Tensor::from([1.0, 0.0])
        );
        assert_eq!(Tensor::from(1e300).cast::<f32>().item(), f32::INFINITY);
        // Rounded once, from the integer: by way of f64 it would be a tie, and round down.
        let x = (1i64 << 60) + (1 << 36) + 1;
        assert_eq!(
            Tensor::from(x).cast::<f32>().item(),
            ((1i64 << 60) + (1 << 37)) as f32
        );
        assert_eq!(
            Tensor::from([[1, 2], [3, 4]]).t().cast::<f64>(),
            Tensor::from([[1.0, 3.0], [2.0, 4.0]])
        );
        let x = Tensor::from([1.0f32]);
        assert!(std::sync::Arc::ptr_eq(
            x.storage(),
            x.cast::<f32>().storage()
        ));
    }
}
