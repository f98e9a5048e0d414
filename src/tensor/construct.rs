//! Tensors from numbers: arrays, vectors, functions, ranges.

use super::{Storage, Tensor};
use crate::element::{Element, Float, Number};
use crate::error::{Error, ErrorKind};
use crate::shape::{Layout, Shape, or_panic, resolve_size};
use std::sync::Arc;

impl<T: Element> Tensor<T> {
    /// A tensor of new memory, all zeros, that `write` fills in row-major order.
    #[track_caller]
    pub(super) fn written(shape: Shape, write: impl FnOnce(&mut [T])) -> Self {
        let size = shape.size();
        let mut storage = Storage::zeroed(size, size);
        write(&mut storage);
        Tensor::from_parts(Arc::new(storage), Layout::contiguous(shape))
    }

    /// A tensor of rank 0 that holds `x`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::scalar(2.5);
    /// assert_eq!((x.rank(), x.item()), (0, 2.5));
    /// ```
    pub fn scalar(x: T) -> Self {
        Tensor::full([], x)
    }

    /// A tensor of zeros (`false` for masks).
    ///
    /// # Panics
    /// If the shape holds more elements than can be addressed.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::<i64>::zeros([2, 2]), Tensor::from([[0, 0], [0, 0]]));
    /// ```
    #[track_caller]
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        or_panic("zeros", resolve_size(&shape));
        Tensor::written(shape, |_| ())
    }

    /// A tensor of ones (`true` for masks).
    ///
    /// # Panics
    /// If the shape holds more elements than can be addressed.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::<f32>::ones([3]), Tensor::from([1.0, 1.0, 1.0]));
    /// ```
    #[track_caller]
    pub fn ones(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        or_panic("ones", resolve_size(&shape));
        Tensor::written(shape, |out| out.fill(T::ONE))
    }

    /// A tensor whose elements are all `x`.
    ///
    /// # Panics
    /// If the shape holds more elements than can be addressed.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::full([2], 7), Tensor::from([7, 7]));
    /// ```
    #[track_caller]
    pub fn full(shape: impl Into<Shape>, x: T) -> Self {
        let shape = shape.into();
        or_panic("full", resolve_size(&shape));
        Tensor::written(shape, |out| out.fill(x))
    }

    /// Zeros in the shape of `self`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from([3.0, 4.0]).zeros_like(), Tensor::from([0.0, 0.0]));
    /// ```
    pub fn zeros_like(&self) -> Self {
        Tensor::zeros(self.shape())
    }

    /// Ones in the shape of `self`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from([3.0, 4.0]).ones_like(), Tensor::from([1.0, 1.0]));
    /// ```
    pub fn ones_like(&self) -> Self {
        Tensor::ones(self.shape())
    }

    /// The identity matrix of shape `[n, n]`.
    ///
    /// # Panics
    /// If the shape holds more elements than can be addressed.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::<f32>::eye(2), Tensor::from([[1.0, 0.0], [0.0, 1.0]]));
    /// ```
    #[track_caller]
    pub fn eye(n: usize) -> Self {
        let shape = Shape::from([n, n]);
        or_panic("eye", resolve_size(&shape));
        Tensor::written(shape, |out| {
            for diagonal in out.iter_mut().step_by(n + 1) {
                *diagonal = T::ONE;
            }
        })
    }

    /// The tensor whose element at `index` is `element(index)`; called in row-major order.
    ///
    /// # Panics
    /// If the shape holds more elements than can be addressed.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from_fn([2, 3], |index| (10 * index[0] + index[1]) as f32);
    /// assert_eq!(x, Tensor::from([[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]]));
    /// ```
    #[track_caller]
    pub fn from_fn(shape: impl Into<Shape>, mut element: impl FnMut(&[usize]) -> T) -> Self {
        let shape = shape.into();
        or_panic("from_fn", resolve_size(&shape));
        Tensor::written(shape.clone(), |out| {
            let mut index = vec![0; shape.rank()];
            for slot in out {
                *slot = element(&index);
                for (i, &size) in index.iter_mut().zip(shape.iter()).rev() {
                    *i += 1;
                    if *i < size {
                        break;
                    }
                    *i = 0;
                }
            }
        })
    }

    /// The tensor of the given shape whose elements, in row-major order, are those of a vector.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the shape does not hold as many elements as there are.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::from_vec([2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
    /// assert_eq!(x, Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// assert!(Tensor::from_vec([2, 2], vec![1.0]).is_err());
    /// # Ok::<(), wengert::Error>(())
    /// ```
    pub fn from_vec(shape: impl Into<Shape>, elements: Vec<T>) -> Result<Self, Error> {
        Tensor::shaped("from_vec", shape.into(), &elements)
    }

    /// The tensor of the given shape whose elements, in row-major order, are those of a slice.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the shape does not hold as many elements as there are.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::from_slice([1, 2], &[5, 6])?, Tensor::from([[5, 6]]));
    /// # Ok::<(), wengert::Error>(())
    /// ```
    pub fn from_slice(shape: impl Into<Shape>, elements: &[T]) -> Result<Self, Error> {
        Tensor::shaped("from_slice", shape.into(), elements)
    }

    fn shaped(operation: &str, shape: Shape, elements: &[T]) -> Result<Self, Error> {
        let given = elements.len();
        let held = match shape.checked_size() {
            Some(size) if size == given => {
                return Ok(Tensor::written(shape, |out| out.copy_from_slice(elements)));
            }
            Some(size) => format!("{size} elements"),
            None => "more elements than can be addressed".to_string(),
        };
        let message = format!("{operation}: shape {shape} holds {held}, but {given} were given");
        Err(Error::new(ErrorKind::Shape, message))
    }
}

impl<T: Number> Tensor<T> {
    /// The numbers `start, start + step, ..` up to but without `end`: `ceil((end - start) / step)`
    /// of them, or none if `end` lies the other way.
    ///
    /// With a `step` that is not exact (`0.1`), rounding decides whether the last number is there;
    /// [`linspace`](Tensor::linspace) counts exactly. As in PyTorch each number is `start + i *
    /// step`, rounded once.
    ///
    /// # Panics
    /// If `step` is 0, an argument is not finite, or there are more numbers than can be addressed.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::arange(2, 9, 3), Tensor::from([2, 5, 8]));
    /// assert_eq!(Tensor::arange(1.0, -0.5, -0.5), Tensor::from([1.0, 0.5, 0.0]));
    /// ```
    #[track_caller]
    pub fn arange(start: T, end: T, step: T) -> Self {
        let (from, to, by) = (start.as_f64(), end.as_f64(), step.as_f64());
        let finite = from.is_finite() && to.is_finite() && by.is_finite();
        assert!(
            finite && step != T::ZERO,
            "arange: no numbers from {start} to {end} by {step}"
        );
        // Integers above 2^53 are not exact in f64.
        let integers = match (start.to_i128(), end.to_i128(), step.to_i128()) {
            (Some(start), Some(end), Some(step)) if !T::DTYPE.is_float() => {
                Some((start, end, step))
            }
            _ => None,
        };
        let count = match integers {
            Some((start, end, step)) => {
                let (distance, step) = ((end - start) * step.signum(), step.abs());
                ((distance + step - 1) / step).max(0) as usize
            }
            None => ((to - from) / by).ceil().max(0.0) as usize,
        };
        or_panic("arange", resolve_size(&Shape::from([count])));
        Tensor::written(Shape::from([count]), |out| {
            for (i, slot) in out.iter_mut().enumerate() {
                *slot = match integers {
                    // In range: the number lies between `start` and `end`.
                    Some(_) => start.plus(num_traits::cast(i).unwrap_or(T::ZERO).times(step)),
                    None => T::of(from + i as f64 * by),
                };
            }
        })
    }
}

impl<T: Float> Tensor<T> {
    /// `count` numbers at equal distances from `start` to `end`, both included.
    ///
    /// # Panics
    /// If there are more numbers than can be addressed.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Tensor::linspace(0.0, 1.0, 5), Tensor::from([0.0, 0.25, 0.5, 0.75, 1.0]));
    /// ```
    #[track_caller]
    pub fn linspace(start: T, end: T, count: usize) -> Self {
        or_panic("linspace", resolve_size(&Shape::from([count])));
        let (from, to) = (start.as_f64(), end.as_f64());
        let step = (to - from) / count.saturating_sub(1).max(1) as f64;
        Tensor::written(Shape::from([count]), |out| {
            for (i, slot) in out.iter_mut().enumerate() {
                *slot = T::of(from + i as f64 * step);
            }
            if let [_, .., last] = out {
                *last = end;
            }
        })
    }
}

impl<T: Element> From<T> for Tensor<T> {
    fn from(x: T) -> Self {
        Tensor::scalar(x)
    }
}

impl<T: Element> From<&[T]> for Tensor<T> {
    fn from(elements: &[T]) -> Self {
        Tensor::written(Shape::from([elements.len()]), |out| {
            out.copy_from_slice(elements)
        })
    }
}

impl<T: Element> From<Vec<T>> for Tensor<T> {
    fn from(elements: Vec<T>) -> Self {
        Tensor::from(&elements[..])
    }
}

impl<T: Element, const N: usize> From<[T; N]> for Tensor<T> {
    fn from(elements: [T; N]) -> Self {
        Tensor::from(&elements[..])
    }
}

impl<T: Element, const N: usize, const M: usize> From<[[T; M]; N]> for Tensor<T> {
    fn from(rows: [[T; M]; N]) -> Self {
        Tensor::written(Shape::from([N, M]), |out| {
            out.copy_from_slice(rows.as_flattened())
        })
    }
}

impl<T: Element, const N: usize, const M: usize, const L: usize> From<[[[T; L]; M]; N]>
    for Tensor<T>
{
    fn from(planes: [[[T; L]; M]; N]) -> Self {
        Tensor::written(Shape::from([N, M, L]), |out| {
            out.copy_from_slice(planes.as_flattened().as_flattened());
        })
    }
}

impl<T: Element, const N: usize, const M: usize, const L: usize, const K: usize>
    From<[[[[T; K]; L]; M]; N]> for Tensor<T>
{
    fn from(volumes: [[[[T; K]; L]; M]; N]) -> Self {
        Tensor::written(Shape::from([N, M, L, K]), |out| {
            out.copy_from_slice(volumes.as_flattened().as_flattened().as_flattened());
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_arrays_keep_shape_and_order() {
        let x = Tensor::from([
            [[[1, 2], [3, 4]]],
            [[[5, 6], [7, 8]]],
            [[[9, 10], [11, 12]]],
        ]);
        assert_eq!(x.shape()[..], [3, 1, 2, 2]);
        assert_eq!(x.to_vec(), (1..=12).collect::<Vec<i64>>());
        let x = Tensor::from([[[1.0f32], [2.0]]]);
        assert_eq!(
            (&x.shape()[..], x.to_vec()),
            (&[1, 2, 1][..], vec![1.0, 2.0])
        );
        assert_eq!(Tensor::from([[true, false]]).to_vec(), [true, false]);
        assert_eq!(Tensor::from(vec![1.0, 2.0]), Tensor::from(&[1.0, 2.0][..]));
        assert_eq!(Tensor::from(3.0f64).shape(), &Shape::scalar());
        let none: [[f32; 3]; 0] = [];
        assert_eq!(Tensor::from(none).shape()[..], [0, 3]);
    }

    #[test]
    fn wrong_lengths_are_errors() {
        let error = Tensor::from_slice([2, 2], &[1.0, 2.0, 3.0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert_eq!(
            error.to_string(),
            "from_slice: shape [2, 2] holds 4 elements, but 3 were given"
        );
        let error = Tensor::from_vec([usize::MAX, 3], vec![1.0]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("holds more elements than can be addressed, but 1")
        );
        assert!(Tensor::from_vec([usize::MAX, 3, 0], Vec::<f32>::new()).is_err());
        assert_eq!(
            Tensor::from_vec([0, 3], Vec::<f32>::new()).unwrap().len(),
            0
        );
        assert_eq!(Tensor::from_vec([], vec![4.0]).unwrap().item(), 4.0);
    }

    #[test]
    fn rank_zero_and_empty_axes() {
        assert_eq!(Tensor::<f32>::ones([]).to_vec(), [1.0]);
        assert!(Tensor::<f32>::ones([0, 3]).to_vec().is_empty());
        assert_eq!(Tensor::<f32>::eye(0).shape()[..], [0, 0]);
        assert_eq!(Tensor::from_fn([], |index| index.len() as i64).item(), 0);
        assert_eq!(Tensor::from_fn([2, 0], |_| 1.0).shape()[..], [2, 0]);
        assert_eq!(Tensor::<bool>::ones([1]).to_vec(), [true]);
    }

    #[test]
    fn from_fn_calls_in_row_major_order() {
        let mut seen = Vec::new();
        let x = Tensor::from_fn([2, 1, 2], |index| {
            seen.push(index.to_vec());
            seen.len() as i64
        });
        assert_eq!(seen, [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]]);
        assert_eq!(x.to_vec(), [1, 2, 3, 4]);
    }

    #[test]
    fn arange_counts_as_numpy_does() {
        assert_eq!(Tensor::arange(0.0f32, 1.0, 0.1).len(), 10);
        assert_eq!(Tensor::arange(0.0f32, 1.0, 0.1)[[3]], 0.3);
        assert_eq!(Tensor::arange(0.0f64, 0.3, 0.1).len(), 3);
        assert_eq!(Tensor::arange(1.0f64, 1.3, 0.1).len(), 4);
        assert_eq!(Tensor::arange(5, 0, 1).len(), 0);
        assert_eq!(Tensor::arange(5, 5, -1).len(), 0);
        assert_eq!(Tensor::arange(5, -5, -4).to_vec(), [5, 1, -3]);
        let large = (1 << 53) + 1;
        assert_eq!(
            Tensor::arange(large, large + 2, 1).to_vec(),
            [large, large + 1]
        );
        assert_eq!(
            Tensor::arange(i64::MIN, i64::MAX, i64::MAX).to_vec(),
            [i64::MIN, -1, i64::MAX - 1]
        );
        assert_eq!(Tensor::arange(3, 1, i64::MIN).to_vec(), [3]);
    }

    #[test]
    fn linspace_ends_exactly() {
        let x = Tensor::linspace(0.1f64, 0.7, 7);
        assert_eq!((x[[0]], x[[6]]), (0.1, 0.7));
        assert_eq!(Tensor::linspace(2.0f32, 5.0, 1).to_vec(), [2.0]);
        assert!(Tensor::linspace(2.0f32, 5.0, 0).to_vec().is_empty());
        assert_eq!(Tensor::linspace(3.0f32, -3.0, 3).to_vec(), [3.0, 0.0, -3.0]);
    }

    #[test]
    #[should_panic(expected = "zeros: shape [18446744073709551615, 2] holds more elements than")]
    fn shapes_that_cannot_be_addressed_panic() {
        Tensor::<f32>::zeros([usize::MAX, 2]);
    }

    #[test]
    #[should_panic(expected = "arange: no numbers from 0 to 3 by 0")]
    fn a_step_of_zero_panics() {
        Tensor::arange(0, 3, 0);
    }

    #[test]
    #[should_panic(expected = "arange: shape")]
    fn an_endless_range_panics() {
        Tensor::arange(0.0f64, 1e300, 1.0);
    }
}
