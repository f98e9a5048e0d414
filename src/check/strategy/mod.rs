//! Strategies for property tests.

mod draft;
mod labels;
mod matrices;
mod models;
mod programs;
mod property;
mod shapes;

pub use labels::{labels, one_hot};
pub use matrices::{positive_definite, well_conditioned};
pub use models::models;
pub use programs::{Programs, RandomProgram, programs};
pub use property::property;
pub use shapes::{broadcastable, broadcastable_tensors, shapes};

use crate::shape::Shape;
use crate::tensor::Tensor;
use proptest::collection::{SizeRange, vec};
use proptest::strategy::Strategy;
use std::ops::{Range, RangeInclusive};

/// Numbers of a range: whole multiples of a unit, which shrink by halves; the strategies for
/// floating-point numbers try zero and give up.
#[derive(Clone, Debug)]
struct Multiples {
    range: Range<i64>,
    unit: f64,
}

impl Multiples {
    #[track_caller]
    fn of(strategy: &str, values: Range<f64>) -> Self {
        let Range { start, end } = values;
        let width = end - start;
        assert!(
            width > 0.0 && width.is_finite(),
            "{strategy}: no numbers from {start} to {end}"
        );
        let finest = start.abs().max(end.abs()).log2().floor() - 52.0;
        let unit = (width.log2().floor() - 30.0).max(finest).exp2();
        Multiples {
            range: (start / unit).ceil() as i64..(end / unit).ceil() as i64,
            unit,
        }
    }

    /// A tensor of a shape; more elements than it holds are left over.
    fn tensor(&self, shape: impl Into<Shape>, elements: &[i64]) -> Tensor<f64> {
        let mut elements = elements.iter();
        Tensor::from_fn(shape, |_| {
            elements.next().copied().unwrap_or_default() as f64 * self.unit
        })
    }
}

/// The sizes of a range, which shrink to the smallest.
fn inclusive(sizes: impl Into<SizeRange>) -> RangeInclusive<usize> {
    let (first, last) = sizes.into().start_end_incl();
    first..=last
}

/// Tensors whose axis `i` has a size from range `i`, and whose elements lie in `values`.
///
/// A size is a number or a range: `2`, `1..4`, `0..=3`. A failing case shrinks to small sizes
/// first, then to elements near zero or, if the range does not contain it, near the end of the
/// range that is next to it. Elements are whole multiples of a power of two, about 2^-30 of the
/// width of the range, or the distance between neighbors if that is more.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::check;
///
/// proptest! {
///     # fn hidden(_ in 0..1) {}
///     // in a test module: #[test]
///     fn my_loss_has_the_right_gradient(x in check::tensors([1..4, 1..8], -3.0..3.0)) {
///         check::gradients(|[x]| (x * x).logsumexp(), [&x])?;
///     }
/// }
/// my_loss_has_the_right_gradient();
/// ```
///
/// # Panics
/// If there are no numbers in the range, or infinitely large ones.
#[track_caller]
pub fn tensors<const N: usize>(
    sizes: [impl Into<SizeRange>; N],
    values: Range<f64>,
) -> impl Strategy<Value = Tensor<f64>> {
    let multiples = Multiples::of("tensors", values);
    let sizes: Vec<_> = sizes.into_iter().map(inclusive).collect();
    // As many elements as the largest shape has, so that sizes and elements shrink apart: a flat
    // map would draw new elements for each shape it tries, most of which do not fail.
    let most = sizes.iter().map(|size| *size.end()).product::<usize>();
    let elements = vec(multiples.range.clone(), most);
    (sizes, elements).prop_map(move |(shape, elements)| multiples.tensor(shape, &elements))
}

/// As [`tensors`], with elements at least `distance` away from each of the points: the kinks of a
/// function, the edge of its domain.
///
/// An element that is drawn nearer moves to the edge of what is allowed, and from one that lies
/// outside of the range to that on the other side of the point. Points lie apart by more than twice
/// the distance.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::check;
///
/// proptest! {
///     # fn hidden(_ in 0..1) {}
///     // in a test module: #[test]
///     fn relu(x in check::tensors_away([1..4], -2.0..2.0, &[0.0], 0.1)) {
///         check::gradients(|[x]| x.relu() * x, [&x])?;
///     }
/// }
/// relu();
/// ```
///
/// # Panics
/// If there are no numbers in the range, or infinitely large ones; if the distance is not positive, or
/// nothing of the range is that far from a point.
#[track_caller]
pub fn tensors_away<const N: usize>(
    sizes: [impl Into<SizeRange>; N],
    values: Range<f64>,
    points: &[f64],
    distance: f64,
) -> impl Strategy<Value = Tensor<f64>> {
    assert!(distance > 0.0, "tensors_away: {distance} is not a distance");
    for point in points {
        assert!(
            values.start <= point - distance || point + distance < values.end,
            "tensors_away: nothing of {values:?} is {distance} away from {point}"
        );
    }
    let points = points.to_vec();
    let allowed = values.clone();
    let away = move |x: f64| {
        let near = points.iter().find(|&&point| (x - point).abs() < distance);
        let Some(&point) = near else { return x };
        let (below, above) = (point - distance, point + distance);
        let up = above < allowed.end && (x >= point || below < allowed.start);
        if up { above } else { below }
    };
    tensors(sizes, values).prop_map(move |x| x.map(&away))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::test_runner::{Config, TestError, TestRunner};

    #[test]
    fn sizes_and_values_lie_in_their_ranges() {
        let mut runner = TestRunner::deterministic();
        let strategy = tensors([0..3, 2..5], -3.0..3.0);
        runner
            .run(&strategy, |x| {
                assert!(x.shape()[0] < 3 && (2..5).contains(&x.shape()[1]));
                assert!(x.iter().all(|x| (-3.0..3.0).contains(&x)));
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn narrow_and_wide_ranges_have_numbers() {
        for range in [1e9..1e9 + 1e-3, -1e300..1e300, 1e-300..3e-300, -5.0..-4.0] {
            let mut runner = TestRunner::deterministic();
            let outcome = runner.run(&tensors([8], range.clone()), |x| {
                assert!(x.iter().all(|x| range.contains(&x)), "{x:?}");
                Ok(())
            });
            outcome.unwrap();
        }
    }

    #[test]
    fn failures_shrink_to_small_shapes_and_simple_values() {
        let mut runner = TestRunner::new(Config {
            failure_persistence: None,
            ..Config::default()
        });
        let outcome = runner.run(&tensors([0..6, 1..8], -3.0..3.0), |x| {
            match x.iter().any(|x| x > 1.0) {
                true => Err(proptest::test_runner::TestCaseError::fail("too large")),
                false => Ok(()),
            }
        });
        let Err(TestError::Fail(_, x)) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(x.iter().filter(|&x| x != 0.0).count() == 1, "{x:?}");
        assert!((1.0..1.0 + 1e-8).contains(&x.iter().sum()), "{x:?}");
    }
}
