//! Copying elements from one layout to another.

use super::walk::{Axis, Walk, assert_within};
use crate::element::Element;
use crate::shape::Layout;

/// The edge of the square that is copied at a time where source and destination run along different axes.
const TILE: usize = 16;

/// Copies every element of `source` to its place in `out`. The layouts have one shape; that of `out` must not put two
/// elements in one place. What lies between the places in `out` is left as it is.
pub(crate) fn place<T: Element>(
    source: &[T],
    source_layout: &Layout,
    out: &mut [T],
    out_layout: &Layout,
) {
    assert_eq!(source_layout.shape(), out_layout.shape());
    assert_within(source_layout, source.len());
    assert_within(out_layout, out.len());
    if source_layout.is_contiguous() && out_layout.is_contiguous() {
        let (o, s, size) = (
            out_layout.offset(),
            source_layout.offset(),
            out_layout.shape().size(),
        );
        if size > 0 {
            out[o..o + size].copy_from_slice(&source[s..s + size]);
        }
        return;
    }
    let mut walk = Walk::in_any_order(
        out_layout.shape(),
        [out_layout.strides(), source_layout.strides()],
    );
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
    let runs_across = |axis: &Axis<2>| {
        axis.strides[1].unsigned_abs() == 1 && axis.size >= TILE && inner.size >= TILE
    };
    let Some(across) = walk.axes()[..outer].iter().position(runs_across) else {
        for [o, s] in walk.outer(offsets) {
            copy(
                source,
                s,
                inner.strides[1],
                out,
                o,
                inner.strides[0],
                inner.size,
            );
        }
        return;
    };
    // A transposition: tile by tile through a buffer, so that each line of the cache is read and written as a whole.
    let along = walk.take(outer);
    let across = walk.take(across);
    let mut tile = [[T::ZERO; TILE]; TILE];
    for [o, s] in walk.elements(offsets) {
        for i in (0..across.size).step_by(TILE) {
            let height = TILE.min(across.size - i);
            for j in (0..along.size).step_by(TILE) {
                let width = TILE.min(along.size - j);
                let start = |place: usize, n: usize| {
                    place.wrapping_add_signed(
                        i as isize * across.strides[n] + j as isize * along.strides[n],
                    )
                };
                let (mut from, mut to) = (start(s, 1), start(o, 0));
                let whole = height == TILE
                    && width == TILE
                    && across.strides[1] == 1
                    && along.strides[0] == 1;
                // The same twice: lines of constant length are copied as vectors.
                for column in &mut tile[..width] {
                    if whole {
                        column.copy_from_slice(&source[from..from + TILE]);
                    } else {
                        copy(source, from, across.strides[1], column, 0, 1, height);
                    }
                    from = from.wrapping_add_signed(along.strides[1]);
                }
                for row in 0..height {
                    if whole {
                        let line: [T; TILE] = std::array::from_fn(|column| tile[column][row]);
                        out[to..to + TILE].copy_from_slice(&line);
                    } else {
                        copy(
                            tile.as_flattened(),
                            row,
                            TILE as isize,
                            out,
                            to,
                            along.strides[0],
                            width,
                        );
                    }
                    to = to.wrapping_add_signed(across.strides[0]);
                }
            }
        }
    }
}

/// Copies `count` elements from one line to another.
#[inline(always)]
fn copy<T: Element>(
    source: &[T],
    mut from: usize,
    source_stride: isize,
    out: &mut [T],
    mut to: usize,
    out_stride: isize,
    count: usize,
) {
    for _ in 0..count {
        out[to] = source[from];
        from = from.wrapping_add_signed(source_stride);
        to = to.wrapping_add_signed(out_stride);
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
        let plain = Layout::contiguous(Shape::from([50, 3, 37])).permute(&[1, 2, 0]);
        let order = Layout::contiguous(shape.clone());
        let source: Vec<i64> = (0..5550).collect();
        for from in [
            plain.slice(1, 36, 37, -1),
            plain.slice(2, 49, 50, -1),
            plain,
        ] {
            for to in [
                order.slice(1, 36, 37, -1),
                order.slice(2, 49, 50, -1),
                order.clone(),
            ] {
                let mut out = vec![-1; 5550];
                place(&source, &from, &mut out, &to);
                for index in sample::indices(&shape) {
                    assert_eq!(out[to.position(&index)], source[from.position(&index)]);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "reaches beyond")]
    fn a_layout_beyond_the_slice_is_refused() {
        let layout = Layout::contiguous(Shape::from([2, 3]));
        place(&[1.0f32; 6], &layout, &mut [0.0; 5], &layout);
    }
}
