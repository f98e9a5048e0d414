//! Copying elements from one layout to another.

use super::walk::{Walk, assert_within};
use crate::element::Element;
use crate::shape::Layout;

/// The edge of the square that is copied at a time where source and destination run along different axes.
const TILE: usize = 16;

/// Copies every element of `source` to its place in `out`. The layouts have one shape; that of `out` must not put two
/// elements in one place. What lies between the places in `out` is left as it is.
pub(crate) fn place<T: Element>(source: &[T], source_layout: &Layout, out: &mut [T], out_layout: &Layout) {
    assert_eq!(source_layout.shape(), out_layout.shape());
    assert_within(source_layout, source.len());
    assert_within(out_layout, out.len());
    let mut walk = Walk::in_any_order(out_layout.shape(), [out_layout.strides(), source_layout.strides()]);
    let offsets = [out_layout.offset(), source_layout.offset()];
    let inner = walk.inner();
    if inner.size == 0 {
        return;
    }
    if inner.strides == [1, 1] {
        for [o, s] in walk.outer(offsets) {
            out[o..o + inner.size].copy_from_slice(&source[s..s + inner.size]);
        }
        return;
    }
    let outer = walk.axes().len().saturating_sub(1);
    let across = walk.axes()[..outer].iter().position(|axis| axis.strides[1].unsigned_abs() == 1);
    let Some(across) = across else {
        for [mut o, mut s] in walk.outer(offsets) {
            for _ in 0..inner.size {
                out[o] = source[s];
                o = o.wrapping_add_signed(inner.strides[0]);
                s = s.wrapping_add_signed(inner.strides[1]);
            }
        }
        return;
    };
    // A transposition: in tiles, so that each line of the cache that is fetched is used while it is there.
    let along = walk.take(outer);
    let across = walk.take(across);
    for [o, s] in walk.elements(offsets) {
        for i in (0..across.size).step_by(TILE) {
            for j in (0..along.size).step_by(TILE) {
                for i in i..across.size.min(i + TILE) {
                    for j in j..along.size.min(j + TILE) {
                        let step = |n: usize| i as isize * across.strides[n] + j as isize * along.strides[n];
                        out[o.wrapping_add_signed(step(0))] = source[s.wrapping_add_signed(step(1))];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::sample;
    use crate::shape::Shape;

    #[test]
    fn every_element_reaches_its_place_and_nothing_else_changes() {
        let mut rng = sample::generator(1);
        for _ in 0..2000 {
            let shape = sample::shape(&mut rng);
            let (from, source_len) = sample::layout(&mut rng, &shape, true);
            let (to, out_len) = sample::layout(&mut rng, &shape, false);
            let source: Vec<i64> = (0..source_len as i64).collect();
            let mut out = vec![-1; out_len];
            let mut expected = out.clone();
            for index in sample::indices(&shape) {
                expected[to.position(&index)] = source[from.position(&index)];
            }
            place(&source, &from, &mut out, &to);
            assert_eq!(out, expected, "{from:?} {to:?}");
        }
    }

    #[test]
    fn transpositions_larger_than_a_tile() {
        let shape = Shape::from([3, 37, 50]);
        let from = Layout::contiguous(Shape::from([50, 3, 37])).permute(&[1, 2, 0]);
        let source: Vec<i64> = (0..5550).collect();
        let mut out = vec![-1; 5550];
        let to = Layout::contiguous(shape.clone());
        place(&source, &from, &mut out, &to);
        for (flat, index) in sample::indices(&shape).into_iter().enumerate() {
            assert_eq!(out[flat], source[from.position(&index)]);
        }
    }

    #[test]
    #[should_panic(expected = "reaches beyond")]
    fn a_layout_beyond_the_slice_is_refused() {
        let layout = Layout::contiguous(Shape::from([2, 3]));
        place(&[1.0f32; 6], &layout, &mut [0.0; 5], &layout);
    }
}
