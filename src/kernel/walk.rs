//! Walking over the elements of several strided operands at once.
//!
//! Operands of one shape are visited as runs: an inner loop over [`Walk::inner`] axis, begun at each of the places that
//! [`Walk::outer`] yields. Axes that lie as one axis would in *every* operand are merged first, so that contiguous operands
//! of any rank are a single run.
//!
//! ```text
//! let walk = Walk::new(&sizes, [a.strides(), b.strides()]);
//! let inner = walk.inner();
//! for [mut i, mut j] in walk.outer([a.offset(), b.offset()]) {
//!     // inner.size elements: a[i], b[j]; a[i + inner.strides[0]], b[j + inner.strides[1]]; ..
//! }
//! ```

use crate::shape::Layout;
use smallvec::SmallVec;
use std::cmp::Reverse;

/// A loop: how often, and how far each of `N` operands moves at each turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis<const N: usize> {
    /// The number of turns.
    pub size: usize,
    /// The step of each operand, in elements; 0 for a broadcast operand.
    pub strides: [isize; N],
}

impl<const N: usize> Axis<N> {
    /// A loop of one turn.
    const ONCE: Self = Axis {
        size: 1,
        strides: [0; N],
    };

    /// Whether `self` around `inner` is one longer loop for every operand.
    fn continues(&self, inner: &Self) -> bool {
        (0..N).all(|n| self.strides[n] == inner.strides[n] * inner.size as isize)
    }
}

/// The nest of loops over a shape, for `N` operands. Nothing is allocated up to rank 6.
#[derive(Clone, Debug)]
pub(crate) struct Walk<const N: usize> {
    /// Outermost first; none has size 1. A walk over no elements is the one axis of size 0.
    axes: SmallVec<[Axis<N>; 6]>,
}

impl<const N: usize> Walk<N> {
    /// A walk in row-major order over `sizes`; `strides[n]` are those of operand `n`, one for each axis.
    pub fn new(sizes: &[usize], strides: [&[isize]; N]) -> Self {
        let mut walk = Self::collect(sizes, strides);
        walk.merge();
        walk
    }

    /// A walk in whatever order makes the steps of operand 0 smallest in the inner loops; ties are decided by the next
    /// operands. Operand 0 should be the one that is written.
    pub fn in_any_order(sizes: &[usize], strides: [&[isize]; N]) -> Self {
        let mut walk = Self::collect(sizes, strides);
        walk.axes
            .sort_by_key(|axis| Reverse(axis.strides.map(isize::unsigned_abs)));
        walk.merge();
        walk
    }

    fn collect(sizes: &[usize], strides: [&[isize]; N]) -> Self {
        debug_assert!(strides.iter().all(|s| s.len() == sizes.len()));
        let mut axes = SmallVec::new();
        for (i, &size) in sizes.iter().enumerate() {
            if size == 0 {
                axes.clear();
                axes.push(Axis {
                    size: 0,
                    strides: [0; N],
                });
                break;
            }
            if size > 1 {
                axes.push(Axis {
                    size,
                    strides: std::array::from_fn(|n| strides[n][i]),
                });
            }
        }
        Walk { axes }
    }

    fn merge(&mut self) {
        self.axes.dedup_by(|inner, outer| {
            let continues = outer.continues(inner);
            if continues {
                *outer = Axis {
                    size: outer.size * inner.size,
                    strides: inner.strides,
                };
            }
            continues
        });
    }

    /// All loops, outermost first, after merging.
    #[inline]
    pub fn axes(&self) -> &[Axis<N>] {
        &self.axes
    }

    /// The innermost loop. A single turn for a scalar; no turn where there is no element.
    #[inline]
    pub fn inner(&self) -> Axis<N> {
        self.axes.last().copied().unwrap_or(Axis::ONCE)
    }

    /// Removes the loop at place `i` of [`axes`](Walk::axes) and returns it; the rest then walks over its first turn.
    pub fn take(&mut self, i: usize) -> Axis<N> {
        self.axes.remove(i)
    }

    /// The place in each operand at which each inner loop begins, in order, for operands that begin at `offsets`. Yields
    /// nothing where there is no element.
    #[inline]
    pub fn outer(&self, offsets: [usize; N]) -> Places<'_, N> {
        let outer = self.axes.split_last().map_or(&[][..], |(_, outer)| outer);
        Places::over(outer, offsets, self.inner().size > 0)
    }

    /// The place in each operand of every element, in order.
    #[inline]
    pub fn elements(&self, offsets: [usize; N]) -> Places<'_, N> {
        Places::over(&self.axes, offsets, true)
    }
}

/// Places in each of `N` operands: the iterator behind [`Walk::outer`] and [`Walk::elements`].
#[derive(Clone, Debug)]
pub(crate) struct Places<'a, const N: usize> {
    axes: &'a [Axis<N>],
    index: SmallVec<[usize; 6]>,
    places: [isize; N],
    remaining: usize,
}

impl<'a, const N: usize> Places<'a, N> {
    #[inline]
    fn over(axes: &'a [Axis<N>], offsets: [usize; N], any: bool) -> Self {
        let remaining = if any {
            axes.iter().map(|axis| axis.size).product()
        } else {
            0
        };
        Places {
            axes,
            index: SmallVec::from_elem(0, axes.len()),
            places: offsets.map(|offset| offset as isize),
            remaining,
        }
    }
}

impl<const N: usize> Places<'_, N> {
    /// Of the places that are left, `count` (or as many as there are) after the first `skip`. None must have been taken yet.
    pub fn part(mut self, skip: usize, count: usize) -> Self {
        let skip = skip.min(self.remaining);
        let mut rest = skip;
        for (axis, i) in self.axes.iter().zip(&mut self.index).rev() {
            debug_assert_eq!(*i, 0);
            if rest == 0 {
                break;
            }
            *i = rest % axis.size;
            rest /= axis.size;
            for (place, stride) in self.places.iter_mut().zip(axis.strides) {
                *place += stride * *i as isize;
            }
        }
        self.remaining = count.min(self.remaining - skip);
        self
    }
}

impl Places<'_, 1> {
    /// Puts the next places into `into`, as many as there is room for or are left; returns how many.
    #[inline]
    pub fn fill(&mut self, into: &mut [usize]) -> usize {
        let count = self.remaining.min(into.len());
        if let [axis] = self.axes {
            let ([first], [stride]) = (self.places, axis.strides);
            for (i, place) in into[..count].iter_mut().enumerate() {
                *place = (first + i as isize * stride) as usize;
            }
            self.places[0] += count as isize * stride;
            self.index[0] += count;
            self.remaining -= count;
        } else {
            for (place, [next]) in into.iter_mut().zip(self) {
                *place = next;
            }
        }
        count
    }
}

impl<const N: usize> Iterator for Places<'_, N> {
    type Item = [usize; N];

    #[inline]
    fn next(&mut self) -> Option<[usize; N]> {
        self.remaining = self.remaining.checked_sub(1)?;
        let current = self.places.map(|place| place as usize);
        for (axis, i) in self.axes.iter().zip(&mut self.index).rev() {
            *i += 1;
            if *i < axis.size {
                for (place, stride) in self.places.iter_mut().zip(axis.strides) {
                    *place += stride;
                }
                break;
            }
            *i = 0;
            for (place, stride) in self.places.iter_mut().zip(axis.strides) {
                *place -= stride * (axis.size as isize - 1);
            }
        }
        Some(current)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl<const N: usize> ExactSizeIterator for Places<'_, N> {}

/// Whether every element of a strided operand lies within a slice of `len` elements. True of an operand without elements.
#[inline]
pub(crate) fn lies_within(sizes: &[usize], strides: &[isize], offset: usize, len: usize) -> bool {
    if sizes.contains(&0) {
        return true;
    }
    let (mut before, mut after) = (0usize, 0usize);
    for (&size, &stride) in sizes.iter().zip(strides) {
        // Saturated, a number is out of bounds as surely as the true one.
        let reach = (size - 1).saturating_mul(stride.unsigned_abs());
        let end = if stride < 0 { &mut before } else { &mut after };
        *end = end.saturating_add(reach);
    }
    before <= offset && offset.saturating_add(after) < len
}

/// Asserts that every element of a layout lies within a slice of `len` elements.
#[inline]
#[track_caller]
pub(crate) fn assert_within(layout: &Layout, len: usize) {
    assert!(
        lies_within(layout.shape(), layout.strides(), layout.offset(), len),
        "{layout:?} reaches beyond a slice of {len} elements"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::sample;
    use crate::shape::Shape;

    #[test]
    fn every_element_is_visited_once_in_row_major_order() {
        let mut rng = sample::generator(2);
        for _ in 0..2000 {
            let shape = sample::shape(&mut rng);
            let (a, a_len) = sample::layout(&mut rng, &shape, true);
            let (b, b_len) = sample::layout(&mut rng, &shape, true);
            assert_within(&a, a_len);
            assert_within(&b, b_len);
            let walk = Walk::new(&shape, [a.strides(), b.strides()]);
            let offsets = [a.offset(), b.offset()];
            let expected: Vec<[usize; 2]> = sample::indices(&shape)
                .iter()
                .map(|index| [a.position(index), b.position(index)])
                .collect();
            assert_eq!(
                walk.elements(offsets).collect::<Vec<_>>(),
                expected,
                "{a:?} {b:?}"
            );
            assert_eq!(walk.elements(offsets).len(), expected.len());
            let one = Walk::new(&shape, [a.strides()]);
            let (mut places, mut filled) = (one.elements([a.offset()]), Vec::new());
            let mut some = [0; 5];
            while places.len() > 0 {
                let count = places.fill(&mut some);
                filled.extend_from_slice(&some[..count]);
            }
            assert!(filled.iter().eq(expected.iter().map(|[i, _]| i)));
            for skip in 0..expected.len() + 2 {
                let part = walk.elements(offsets).part(skip, 3);
                let expected = expected.iter().skip(skip).take(3).copied();
                assert!(part.eq(expected), "{a:?} {b:?} {skip}");
            }

            let inner = walk.inner();
            let mut by_runs = Vec::new();
            for start in walk.outer(offsets) {
                for i in 0..inner.size as isize {
                    by_runs
                        .push([0, 1].map(|n| start[n].wrapping_add_signed(i * inner.strides[n])));
                }
            }
            assert_eq!(by_runs, expected);

            let any = Walk::in_any_order(&shape, [a.strides(), b.strides()]);
            let mut visited: Vec<[usize; 2]> = any.elements(offsets).collect();
            visited.sort_unstable();
            let mut expected = expected;
            expected.sort_unstable();
            assert_eq!(visited, expected);
        }
    }

    #[test]
    fn axes_merge_where_every_operand_allows_it() {
        let shape = Shape::from([4, 1, 6, 5]);
        let a = Layout::contiguous(shape.clone());
        let walk = Walk::new(&shape, [a.strides(), a.strides()]);
        assert_eq!(
            walk.axes(),
            [Axis {
                size: 120,
                strides: [1, 1]
            }]
        );
        // A row broadcast over the first axes: those merge with each other, not with the last.
        let b = Layout::contiguous(Shape::from([5])).expand(&shape);
        let walk = Walk::new(&shape, [a.strides(), b.strides()]);
        assert_eq!(
            walk.axes(),
            [
                Axis {
                    size: 24,
                    strides: [5, 0]
                },
                Axis {
                    size: 5,
                    strides: [1, 1]
                }
            ]
        );
        // A transposed operand alone is contiguous again in another order.
        let c = a.permute(&[3, 0, 1, 2]);
        assert_eq!(Walk::new(c.shape(), [c.strides()]).axes().len(), 2);
        assert_eq!(
            Walk::in_any_order(c.shape(), [c.strides()]).axes(),
            [Axis {
                size: 120,
                strides: [1]
            }]
        );
        // Flipped along every axis, elements still lie evenly.
        let d = a.slice(0, 3, 4, -1).slice(2, 5, 6, -1).slice(3, 4, 5, -1);
        assert_eq!(
            Walk::new(d.shape(), [d.strides()]).axes(),
            [Axis {
                size: 120,
                strides: [-1]
            }]
        );
    }

    #[test]
    fn scalars_are_visited_once_and_empty_shapes_never() {
        let scalar = Walk::new(&[], [&[]]);
        assert_eq!(
            (scalar.inner().size, scalar.outer([7]).collect::<Vec<_>>()),
            (1, vec![[7]])
        );
        let empty = Walk::new(&[3, 0, 2], [&[0, 2, 1]]);
        assert_eq!(
            (
                empty.inner().size,
                empty.outer([7]).count(),
                empty.elements([7]).count()
            ),
            (0, 0, 0)
        );
    }

    #[test]
    fn bounds_are_those_of_the_extreme_elements() {
        assert!(lies_within(&[2, 3], &[3, 1], 0, 6));
        assert!(!lies_within(&[2, 3], &[3, 1], 1, 6));
        assert!(lies_within(&[2, 3], &[-3, 1], 3, 6));
        assert!(!lies_within(&[2, 3], &[-3, 1], 2, 6));
        assert!(!lies_within(&[], &[], 0, 0));
        assert!(lies_within(&[0, 9], &[9, 1], 50, 0));
        assert!(!lies_within(&[usize::MAX, 2], &[isize::MAX, 1], 0, 6));
    }
}
