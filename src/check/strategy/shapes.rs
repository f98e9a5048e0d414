//! Shapes, and pairs of them that broadcast.

use super::{Multiples, inclusive};
use crate::shape::Shape;
use crate::tensor::Tensor;
use proptest::collection::{SizeRange, vec};
use proptest::strategy::Strategy;
use std::ops::Range;

/// Shapes with as many axes as `ranks` says, each of a size from `sizes`. They shrink to few and small
/// axes.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::check;
///
/// proptest! {
///     # fn hidden(_ in 0..1) {}
///     fn sizes(shape in check::shapes(0..=3, 1..5)) {
///         prop_assert!(shape.rank() <= 3 && shape.size() <= 64);
///     }
/// }
/// sizes();
/// ```
pub fn shapes(
    ranks: impl Into<SizeRange>,
    sizes: impl Into<SizeRange>,
) -> impl Strategy<Value = Shape> {
    vec(inclusive(sizes), ranks).prop_map(Shape::from)
}

/// Pairs of shapes that broadcast, to a shape of a rank from `ranks`: axes of size 1 on either side,
/// and leading axes that one side does not have. They shrink to two equal shapes that are small.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::check;
///
/// proptest! {
///     # fn hidden(_ in 0..1) {}
///     fn fits((a, b) in check::broadcastable(0..=3, 1..5)) {
///         prop_assert!(a.broadcast(&b).is_some());
///     }
/// }
/// fits();
/// ```
pub fn broadcastable(
    ranks: impl Into<SizeRange>,
    sizes: impl Into<SizeRange>,
) -> impl Strategy<Value = (Shape, Shape)> {
    let ranks = ranks.into();
    let most = *inclusive(ranks.clone()).end();
    // For each axis, which side has it with size 1: none, the first, the second.
    let axes = vec((inclusive(sizes), 0..3u8), ranks);
    (axes, 0..=most, proptest::bool::ANY).prop_map(|(axes, missing, second)| {
        let side = |narrow: u8, missing: usize| -> Shape {
            let size = |&(size, choice): &(usize, u8)| if choice == narrow { 1 } else { size };
            axes.iter()
                .skip(missing.min(axes.len()))
                .map(size)
                .collect()
        };
        match second {
            false => (side(1, missing), side(2, 0)),
            true => (side(1, 0), side(2, missing)),
        }
    })
}

/// Pairs of tensors whose shapes are [`broadcastable`], with elements from `values`. Shapes and elements
/// shrink apart.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::check;
///
/// proptest! {
///     # fn hidden(_ in 0..1) {}
///     fn products((a, b) in check::broadcastable_tensors(0..=2, 1..4, -2.0..2.0)) {
///         check::gradients(|[a, b]| a * b, [&a, &b])?;
///     }
/// }
/// products();
/// ```
///
/// # Panics
/// If there are no numbers in the range, or infinitely large ones.
#[track_caller]
pub fn broadcastable_tensors(
    ranks: impl Into<SizeRange>,
    sizes: impl Into<SizeRange>,
    values: Range<f64>,
) -> impl Strategy<Value = (Tensor<f64>, Tensor<f64>)> {
    let multiples = Multiples::of("broadcastable_tensors", values);
    let (ranks, sizes) = (ranks.into(), sizes.into());
    let rank = *inclusive(ranks.clone()).end() as u32;
    let most = inclusive(sizes.clone()).end().max(&1).pow(rank);
    let elements = || vec(multiples.range.clone(), most);
    let drawn = (broadcastable(ranks, sizes), elements(), elements());
    let of = multiples.clone();
    drawn.prop_map(move |((a, b), x, y)| (of.tensor(a, &x), of.tensor(b, &y)))
}
