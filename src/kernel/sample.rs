//! Random shapes and layouts for tests.

use crate::shape::{Layout, Shape};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// A generator that always yields the same numbers.
pub(crate) fn generator(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// A shape of rank 0 to 5; now and then an axis is empty or has size 1.
pub(crate) fn shape(rng: &mut StdRng) -> Shape {
    let rank = rng.random_range(0..=5);
    (0..rank)
        .map(|_| {
            if rng.random_ratio(1, 25) {
                0
            } else {
                rng.random_range(1..=[40, 40, 12, 8, 5, 4][rank])
            }
        })
        .collect()
}

/// A layout of the given shape over a slice of the length that is returned with it: permuted, with gaps, flipped, broadcast
/// (if `broadcast`), with an offset; now and then contiguous.
pub(crate) fn layout(rng: &mut StdRng, shape: &Shape, broadcast: bool) -> (Layout, usize) {
    if rng.random_ratio(1, 5) {
        return (Layout::contiguous(shape.clone()), shape.size());
    }
    let mut order: Vec<usize> = (0..shape.rank()).collect();
    if rng.random_bool(0.5) {
        order.shuffle(rng);
    }
    // Axis `order[i]` of the result is axis `i + 1` of the base; axis 0 of the base only gives an offset.
    let lead = rng.random_range(1..=3);
    let mut base = vec![lead];
    let mut cuts = Vec::new();
    for &axis in &order {
        let n = shape[axis];
        let step = if rng.random_ratio(1, 4) { 2 } else { 1 };
        let start = if rng.random_ratio(1, 4) {
            rng.random_range(0..3)
        } else {
            0
        };
        let flip = rng.random_ratio(1, 4);
        let spread = broadcast && rng.random_ratio(1, 5);
        let kept = if spread { 1 } else { n };
        base.push(start + kept.max(1) * step);
        cuts.push(match (kept, flip) {
            (0, _) => (0, 0, 1),
            (_, false) => (start, kept, step as isize),
            (_, true) => (start + (kept - 1) * step, kept, -(step as isize)),
        });
    }
    let base = Layout::contiguous(Shape::from(base));
    let len = base.shape().size();
    let mut cut = base.slice(0, rng.random_range(0..lead), 1, 1);
    for (i, (start, count, step)) in cuts.into_iter().enumerate() {
        cut = cut.slice(i + 1, start, count, step);
    }
    let mut inverse = vec![0; order.len()];
    for (i, &axis) in order.iter().enumerate() {
        inverse[axis] = i + 1;
    }
    (cut.permute(&inverse).expand(shape), len)
}

/// Every index of a shape in row-major order.
pub(crate) fn indices(shape: &Shape) -> Vec<Vec<usize>> {
    (0..shape.size())
        .map(|mut flat| {
            let mut index = vec![0; shape.rank()];
            for axis in (0..shape.rank()).rev() {
                index[axis] = flat % shape[axis];
                flat /= shape[axis];
            }
            index
        })
        .collect()
}
