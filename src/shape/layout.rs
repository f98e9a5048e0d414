//! How the elements of a tensor lie in its storage.

use super::{Shape, few};
use smallvec::SmallVec;

/// Shape, strides and offset: element `[i, j, ..]` lies at `offset + i * strides[0] + j * strides[1] + ..`.
///
/// Every method that returns a layout describes the same storage seen otherwise; nothing is copied.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    shape: Shape,
    strides: SmallVec<[isize; 4]>,
    offset: usize,
}

impl Clone for Layout {
    #[inline]
    fn clone(&self) -> Self {
        let strides = few(self.strides.iter().copied());
        Layout {
            shape: self.shape.clone(),
            strides,
            offset: self.offset,
        }
    }
}

impl Layout {
    /// Row-major order from the start of the storage.
    pub fn contiguous(shape: Shape) -> Self {
        let strides = contiguous_strides(&shape);
        Layout {
            shape,
            strides,
            offset: 0,
        }
    }

    /// The size of each axis.
    #[inline]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The distance in the storage between neighbors along each axis; negative where an axis is flipped, 0 where it is
    /// broadcast.
    #[inline]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The place of the first element.
    #[inline]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How many of its elements are in different places: an axis of stride 0 counts once.
    pub(crate) fn distinct(&self) -> usize {
        if self.shape.size() == 0 {
            return 0;
        }
        let axes = self.shape.iter().zip(&self.strides);
        axes.filter(|&(_, &stride)| stride != 0)
            .map(|(&size, _)| size)
            .product()
    }

    /// Size and stride of each axis, the innermost first, without those of size 1 and neighbors merged where they lie as one.
    pub(crate) fn merged_axes(&self) -> SmallVec<[(usize, isize); 6]> {
        let mut axes: SmallVec<[(usize, isize); 6]> = SmallVec::new();
        for (&n, &stride) in self.shape.iter().zip(&self.strides[..]).rev() {
            match axes.last_mut() {
                _ if n == 1 => {}
                Some((inner, step)) if stride == *inner as isize * *step => *inner *= n,
                _ => axes.push((n, stride)),
            }
        }
        axes
    }

    /// Whether the elements lie in row-major order without gaps (wherever they start).
    pub fn is_contiguous(&self) -> bool {
        let (mut expected, mut fits) = (1, true);
        for (&n, &s) in self.shape.iter().zip(&self.strides[..]).rev() {
            fits &= n == 1 || s == expected;
            expected *= n as isize;
        }
        fits || expected == 0
    }

    /// The place of the element at `index`, which must lie within the shape.
    #[inline]
    pub fn position(&self, index: &[usize]) -> usize {
        debug_assert_eq!(index.len(), self.shape.rank());
        let steps: isize = index
            .iter()
            .zip(&self.strides)
            .map(|(&i, &s)| i as isize * s)
            .sum();
        (self.offset as isize + steps) as usize
    }

    /// Axis `i` of the result is axis `order[i]` of `self`; `order` must be a permutation.
    pub fn permute(&self, order: &[usize]) -> Layout {
        Layout {
            shape: order.iter().map(|&a| self.shape[a]).collect(),
            strides: few(order.iter().map(|&a| self.strides[a])),
            offset: self.offset,
        }
    }

    /// `count` elements along `axis` from `start` on, `step` apart; `step` may be negative.
    pub fn slice(&self, axis: usize, start: usize, count: usize, step: isize) -> Layout {
        let mut strides = few(self.strides.iter().copied());
        let moved = if count == 0 {
            0
        } else {
            start as isize * strides[axis]
        };
        strides[axis] *= step;
        Layout {
            shape: self.shape.with_size(axis, count),
            strides,
            offset: (self.offset as isize + moved) as usize,
        }
    }

    /// Broadcast to `shape`; `self.shape()` must broadcast to it.
    pub fn expand(&self, shape: &Shape) -> Layout {
        let lead = shape.rank() - self.shape.rank();
        let strides = few((0..shape.rank()).map(|i| match i.checked_sub(lead) {
            Some(j) if self.shape[j] == shape[i] => self.strides[j],
            _ => 0,
        }));
        Layout {
            shape: shape.clone(),
            strides,
            offset: self.offset,
        }
    }

    /// The same elements in the same order under another shape of the same size; `None` where strides cannot say it and the
    /// elements must be copied.
    pub fn reshape(&self, shape: &Shape) -> Option<Layout> {
        debug_assert_eq!(self.shape.size(), shape.size());
        if self.is_contiguous() {
            let strides = contiguous_strides(shape);
            return Some(Layout {
                shape: shape.clone(),
                strides,
                offset: self.offset,
            });
        }
        // Axes of size 1 carry no information. Each run of new axes must tile a run of old axes that lie as one axis would.
        let old: SmallVec<[(usize, isize); 4]> = self
            .shape
            .iter()
            .copied()
            .zip(self.strides.iter().copied())
            .filter(|&(n, _)| n != 1)
            .collect();
        let mut strides: SmallVec<[isize; 4]> = SmallVec::from_elem(0, shape.rank());
        let (mut i, mut j) = (0, 0);
        while i < old.len() {
            let first = i;
            let (mut from, mut to) = (old[i].0, 1);
            let start = j;
            i += 1;
            loop {
                while j < shape.rank() && (to < from || shape[j] == 1) {
                    to *= shape[j];
                    j += 1;
                }
                if to == from {
                    break;
                }
                from *= old[i].0;
                i += 1;
            }
            let evenly = old[first..i]
                .windows(2)
                .all(|w| w[0].1 == w[1].1 * w[1].0 as isize);
            if !evenly {
                return None;
            }
            let mut stride = old[i - 1].1;
            for k in (start..j).rev() {
                strides[k] = stride;
                stride *= shape[k] as isize;
            }
        }
        Some(Layout {
            shape: shape.clone(),
            strides,
            offset: self.offset,
        })
    }
}

/// The strides of row-major order without gaps.
pub(crate) fn contiguous_strides(shape: &[usize]) -> SmallVec<[isize; 4]> {
    fn fill(strides: &mut [isize], shape: &[usize]) {
        let mut stride = 1;
        for (s, &n) in strides.iter_mut().zip(shape).rev() {
            *s = stride;
            stride *= n as isize;
        }
    }
    let mut few = [0; 4];
    if let Some(strides) = few.get_mut(..shape.len()) {
        fill(strides, shape);
        return SmallVec::from_buf_and_len(few, shape.len());
    }
    let mut strides = SmallVec::from_elem(0, shape.len());
    fill(&mut strides, shape);
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(layout: &Layout) -> Vec<usize> {
        let size = layout.shape().size();
        let order = Layout::contiguous(layout.shape().clone());
        (0..size)
            .map(|flat| {
                let index: Vec<usize> = (0..layout.shape().rank())
                    .map(|a| flat / order.strides()[a] as usize % layout.shape()[a])
                    .collect();
                layout.position(&index)
            })
            .collect()
    }

    #[test]
    fn reshape_keeps_the_order_or_declines() {
        let base = Layout::contiguous(Shape::from([4, 6, 5]));
        let views = [
            base.clone(),
            base.permute(&[1, 0, 2]),
            base.permute(&[2, 1, 0]),
            base.slice(1, 0, 3, 2),
            base.slice(0, 3, 4, -1),
            base.slice(0, 1, 1, 1).expand(&Shape::from([4, 6, 5])),
        ];
        let shapes: [&[usize]; 9] = [
            &[4, 6, 5],
            &[24, 5],
            &[4, 30],
            &[120],
            &[2, 2, 6, 5],
            &[4, 2, 3, 5],
            &[60],
            &[4, 1, 15, 1],
            &[12, 5],
        ];
        let mut shared = 0;
        for view in &views {
            for shape in shapes {
                let shape = Shape::from(shape);
                if shape.size() != view.shape().size() {
                    continue;
                }
                if let Some(reshaped) = view.reshape(&shape) {
                    assert_eq!(positions(&reshaped), positions(view));
                    shared += 1;
                }
            }
        }
        // Row-major alone shares all seven shapes of its size; the others add those that split or keep axes.
        assert!(shared > 12, "{shared}");
        assert!(
            base.permute(&[2, 1, 0])
                .reshape(&Shape::from([120]))
                .is_none()
        );
    }

    #[test]
    fn contiguity_ignores_axes_of_one_and_empty_tensors() {
        let base = Layout::contiguous(Shape::from([4, 6]));
        assert!(base.slice(0, 2, 1, 1).is_contiguous());
        assert!(base.slice(1, 2, 0, 1).is_contiguous());
        assert!(!base.slice(1, 2, 3, 1).is_contiguous());
        assert!(!base.permute(&[1, 0]).is_contiguous());
    }
}
