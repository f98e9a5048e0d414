//! Shapes, axes, broadcasting and strided layouts: arithmetic on sizes, no data.

mod axes;
mod layout;
mod view;

use smallvec::SmallVec;
use std::fmt;
use std::ops::Deref;

pub use axes::Axes;
pub(crate) use axes::{resolve_axes, resolve_axis};
pub use layout::Layout;
pub(crate) use view::{
    or_panic, resolve_concat, resolve_expand, resolve_insertion, resolve_matrix_transposition,
    resolve_permutation, resolve_reshape, resolve_size, resolve_slice, resolve_split,
    resolve_squeeze, resolve_stack, resolve_transposition,
};

/// Sizes, strides or axes, which are few: `SmallVec` collects them one by one behind a check of its capacity, and this is done
/// several times for every node.
#[inline]
pub(crate) fn few<T: Copy + Default>(items: impl IntoIterator<Item = T>) -> SmallVec<[T; 4]> {
    let mut items = items.into_iter();
    let mut buffer = [T::default(); 4];
    for len in 0..4 {
        match items.next() {
            Some(item) => buffer[len] = item,
            None => return SmallVec::from_buf_and_len(buffer, len),
        }
    }
    let mut all = SmallVec::from_buf(buffer);
    all.extend(items);
    all
}

/// The size of each axis of a tensor. A scalar has none.
///
/// ```
/// use wengert::Shape;
/// let shape = Shape::from([2, 3]);
/// assert_eq!((shape.rank(), shape.size()), (2, 6));
/// assert_eq!(shape.to_string(), "[2, 3]");
/// assert_eq!(Shape::from([]).size(), 1);
/// ```
#[derive(Default)]
pub struct Shape(SmallVec<[usize; 4]>);

impl Shape {
    /// The shape of a scalar: no axes, one element.
    pub fn scalar() -> Self {
        Shape(SmallVec::new())
    }

    /// The number of axes.
    #[inline]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The number of elements: the product of the sizes.
    #[inline]
    pub fn size(&self) -> usize {
        self.0.iter().product()
    }

    /// The number of elements, or `None` where a tensor of that shape could not be addressed (more than `isize::MAX` bytes
    /// of the widest element). Axes of size 0 do not excuse the others, as in NumPy.
    pub fn checked_size(&self) -> Option<usize> {
        let limit = isize::MAX as usize / 8;
        let mut product = 1usize;
        for &n in self.0.iter().filter(|&&n| n > 0) {
            product = product.checked_mul(n).filter(|&p| p <= limit)?;
        }
        Some(if self.0.contains(&0) { 0 } else { product })
    }

    /// The same sizes without the axis `axis`.
    pub(crate) fn without(&self, axis: usize) -> Shape {
        self.iter()
            .enumerate()
            .filter(|&(i, _)| i != axis)
            .map(|(_, &n)| n)
            .collect()
    }

    /// The same sizes with an axis of size `size` put in before `axis`.
    pub(crate) fn with_inserted(&self, axis: usize, size: usize) -> Shape {
        let (before, after) = self.split_at(axis);
        before
            .iter()
            .copied()
            .chain([size])
            .chain(after.iter().copied())
            .collect()
    }

    /// The same sizes but for that of `axis`.
    pub(crate) fn with_size(&self, axis: usize, size: usize) -> Shape {
        let mut shape = self.clone();
        shape.0[axis] = size;
        shape
    }

    /// The shape that two shapes broadcast to, by NumPy's rule: aligned at the last axis, sizes agree or one of them is 1.
    /// `None` where they do not fit.
    ///
    /// ```
    /// use wengert::Shape;
    /// let shape = Shape::from([4, 1]).broadcast(&Shape::from([3]));
    /// assert_eq!(shape, Some(Shape::from([4, 3])));
    /// assert_eq!(Shape::from([2]).broadcast(&Shape::from([3])), None);
    /// ```
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        if self == other || other.rank() == 0 {
            return Some(self.clone());
        }
        let rank = self.rank().max(other.rank());
        let size_at = |s: &Shape, i: usize| (i + s.rank()).checked_sub(rank).map_or(1, |j| s[j]);
        let mut dims = SmallVec::with_capacity(rank);
        for i in 0..rank {
            dims.push(match (size_at(self, i), size_at(other, i)) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return None,
            });
        }
        Some(Shape(dims))
    }

    /// Whether a tensor of this shape broadcasts to `target`.
    pub fn broadcasts_to(&self, target: &Shape) -> bool {
        let Some(lead) = target.rank().checked_sub(self.rank()) else {
            return false;
        };
        self.iter()
            .zip(&target[lead..])
            .all(|(&n, &t)| n == t || n == 1)
    }
}

// A shape is cloned and compared for every node. `SmallVec` would clone element by element, and slices
// of a few sizes are copied and compared faster in line than by a call.
impl Clone for Shape {
    #[inline]
    fn clone(&self) -> Self {
        Shape::from(&self.0[..])
    }
}

impl PartialEq for Shape {
    #[inline]
    fn eq(&self, other: &Shape) -> bool {
        self.rank() == other.rank() && self.iter().zip(other.iter()).all(|(a, b)| a == b)
    }
}

impl Eq for Shape {}

impl std::hash::Hash for Shape {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Deref for Shape {
    type Target = [usize];
    #[inline]
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<&[usize]> for Shape {
    #[inline]
    fn from(dims: &[usize]) -> Self {
        Shape(few(dims.iter().copied()))
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    #[inline]
    fn from(dims: [usize; N]) -> Self {
        Shape(SmallVec::from_slice(&dims))
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    #[inline]
    fn from(dims: &[usize; N]) -> Self {
        Shape(SmallVec::from_slice(dims))
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Shape(SmallVec::from_slice(&dims))
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(dims: I) -> Self {
        Shape(few(dims))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0[..])
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0[..])
    }
}
