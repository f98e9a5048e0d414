//! What the arguments of views mean, for tensors and tapes alike.
//!
//! Each function turns arguments into indices and sizes, or says why they do not fit. Messages
//! leave out the name of the operation, which [`or_panic`] puts before them.

use super::{Axes, Shape, few, resolve_axis};
use smallvec::SmallVec;
use std::ops::{Bound, RangeBounds};

/// The value, or a panic at the caller's line: `operation: message`.
#[track_caller]
pub(crate) fn or_panic<T>(operation: &str, result: Result<T, String>) -> T {
    match result {
        Ok(value) => value,
        Err(message) => panic!("{operation}: {message}"),
    }
}

/// The number of elements of a shape that can be addressed.
pub(crate) fn resolve_size(shape: &Shape) -> Result<usize, String> {
    shape
        .checked_size()
        .ok_or_else(|| format!("shape {shape} holds more elements than can be addressed"))
}

/// Checks that a shape can take the elements of another.
pub(crate) fn resolve_reshape(from: &Shape, to: &Shape) -> Result<(), String> {
    let (held, asked) = (from.size(), resolve_size(to)?);
    if held == asked {
        Ok(())
    } else {
        Err(format!(
            "{from} holds {held} elements, but {to} holds {asked}"
        ))
    }
}

/// Checks that a shape broadcasts to another that can be addressed.
pub(crate) fn resolve_expand(from: &Shape, to: &Shape) -> Result<(), String> {
    resolve_size(to)?;
    if from.broadcasts_to(to) {
        Ok(())
    } else {
        Err(format!("{from} does not broadcast to {to}"))
    }
}

/// The axes in the order named, each exactly once; `..` names them in their own order.
pub(crate) fn resolve_permutation(
    axes: &impl Axes,
    rank: usize,
) -> Result<SmallVec<[usize; 4]>, String> {
    let Some(named) = axes.named() else {
        return Ok(few(0..rank));
    };
    if named.len() != rank {
        return Err(format!("{named:?} is not a permutation of the {rank} axes"));
    }
    let mut order = SmallVec::with_capacity(rank);
    for &axis in named {
        let index = resolve_axis(axis, rank)?;
        if order.contains(&index) {
            return Err(format!("axis {axis} is repeated in {named:?}"));
        }
        order.push(index);
    }
    Ok(order)
}

/// The order of axes that swaps `a` and `b`.
pub(crate) fn resolve_transposition(
    a: isize,
    b: isize,
    rank: usize,
) -> Result<SmallVec<[usize; 4]>, String> {
    let (a, b) = (resolve_axis(a, rank)?, resolve_axis(b, rank)?);
    let mut order = few(0..rank);
    order.swap(a, b);
    Ok(order)
}

/// The order of axes that swaps the last two; one axis stays as it is.
pub(crate) fn resolve_matrix_transposition(rank: usize) -> Result<SmallVec<[usize; 4]>, String> {
    match rank {
        0 => Err("a scalar has no axes to swap".to_string()),
        1 => Ok(SmallVec::from_slice(&[0])),
        _ => resolve_transposition(-2, -1, rank),
    }
}

/// The axis to drop, which must have size 1.
pub(crate) fn resolve_squeeze(axis: isize, shape: &Shape) -> Result<usize, String> {
    let index = resolve_axis(axis, shape.rank())?;
    match shape[index] {
        1 => Ok(index),
        size => Err(format!("axis {axis} of {shape} has size {size}, not 1")),
    }
}

/// The place of a new axis among `rank` old ones; `-1` puts it last.
pub(crate) fn resolve_insertion(axis: isize, rank: usize) -> Result<usize, String> {
    resolve_axis(axis, rank + 1)
        .map_err(|_| format!("axis {axis} is out of range for a new axis beside {rank}"))
}

/// Axis, start and count of a slice of a shape.
pub(crate) fn resolve_slice(
    axis: isize,
    range: &impl RangeBounds<isize>,
    step: usize,
    shape: &Shape,
) -> Result<(usize, usize, usize), String> {
    let index = resolve_axis(axis, shape.rank())?;
    let (start, count) = resolve_range(range, step, shape[index])
        .map_err(|message| format!("{message} for axis {axis} of {shape}"))?;
    Ok((index, start, count))
}

/// Start and count of every `step`-th index of a range over `size` indices. Negative ends count
/// from the back.
pub(crate) fn resolve_range(
    range: &impl RangeBounds<isize>,
    step: usize,
    size: usize,
) -> Result<(usize, usize), String> {
    if step == 0 {
        return Err("a step of 0 is out of range".to_string());
    }
    // Wide enough for `size + 1` and `isize::MIN + size`.
    let size = size as i128;
    let from_front = |i: isize| if i < 0 { i as i128 + size } else { i as i128 };
    let start = match range.start_bound() {
        Bound::Included(&i) => from_front(i),
        Bound::Excluded(&i) => from_front(i) + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&i) => from_front(i) + 1,
        Bound::Excluded(&i) => from_front(i),
        Bound::Unbounded => size,
    };
    if !(0..=size).contains(&start) || !(0..=size).contains(&end) {
        return Err(format!("{} is out of range", written(range)));
    }
    if start > end {
        return Err(format!("{} ends before it starts", written(range)));
    }
    Ok((start as usize, ((end - start) as usize).div_ceil(step)))
}

/// A range as it is written in Rust.
fn written(range: &impl RangeBounds<isize>) -> String {
    let start = match range.start_bound() {
        Bound::Included(i) => i.to_string(),
        Bound::Excluded(i) => format!("{i} (excluded)"),
        Bound::Unbounded => String::new(),
    };
    match range.end_bound() {
        Bound::Included(i) => format!("{start}..={i}"),
        Bound::Excluded(i) => format!("{start}..{i}"),
        Bound::Unbounded => format!("{start}.."),
    }
}

/// The axis along which shapes are joined, and the shape they make.
pub(crate) fn resolve_concat(shapes: &[&Shape], axis: isize) -> Result<(usize, Shape), String> {
    let Some((&first, rest)) = shapes.split_first() else {
        return Err("there is nothing to join".to_string());
    };
    if first.rank() == 0 {
        return Err("a scalar has no axis to join along".to_string());
    }
    let index = resolve_axis(axis, first.rank())?;
    let mut size = first[index];
    for &shape in rest {
        if shape.rank() != first.rank() || shape.with_size(index, first[index]) != *first {
            return Err(format!(
                "{first} and {shape} differ elsewhere than in axis {axis}"
            ));
        }
        size = size.saturating_add(shape[index]);
    }
    let shape = first.with_size(index, size);
    resolve_size(&shape)?;
    Ok((index, shape))
}

/// The place of the new axis along which equal shapes are stacked, and the shape they make.
pub(crate) fn resolve_stack(shapes: &[&Shape], axis: isize) -> Result<(usize, Shape), String> {
    let Some((&first, rest)) = shapes.split_first() else {
        return Err("there is nothing to stack".to_string());
    };
    let index = resolve_insertion(axis, first.rank())?;
    if let Some(other) = rest.iter().find(|&&shape| shape != first) {
        return Err(format!("{first} and {other} differ"));
    }
    let shape = first.with_inserted(index, shapes.len());
    resolve_size(&shape)?;
    Ok((index, shape))
}

/// The axis that pieces of the given sizes make up.
pub(crate) fn resolve_split(sizes: &[usize], axis: isize, shape: &Shape) -> Result<usize, String> {
    let index = resolve_axis(axis, shape.rank())?;
    let total = sizes
        .iter()
        .fold(0usize, |total, &size| total.saturating_add(size));
    if total == shape[index] {
        Ok(index)
    } else {
        let size = shape[index];
        Err(format!(
            "sizes {sizes:?} make {total}, but axis {axis} of {shape} has size {size}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_count_from_the_front_or_the_back() {
        assert_eq!(resolve_range(&(..), 1, 5), Ok((0, 5)));
        assert_eq!(resolve_range(&(1..), 1, 5), Ok((1, 4)));
        assert_eq!(resolve_range(&(1..3), 1, 5), Ok((1, 2)));
        assert_eq!(resolve_range(&(1..=3), 1, 5), Ok((1, 3)));
        assert_eq!(resolve_range(&(-2..), 1, 5), Ok((3, 2)));
        assert_eq!(resolve_range(&(..-1), 1, 5), Ok((0, 4)));
        assert_eq!(resolve_range(&(-5..=-1), 1, 5), Ok((0, 5)));
        assert_eq!(resolve_range(&(5..5), 1, 5), Ok((5, 0)));
        assert_eq!(resolve_range(&(..), 1, 0), Ok((0, 0)));
        let excluded = (Bound::Excluded(0), Bound::Unbounded);
        assert_eq!(resolve_range(&excluded, 1, 5), Ok((1, 4)));
        for (step, count) in [(1, 5), (2, 3), (3, 2), (4, 2), (5, 1), (usize::MAX, 1)] {
            assert_eq!(resolve_range(&(..), step, 5), Ok((0, count)));
        }
    }

    #[test]
    fn ranges_that_do_not_fit_say_so() {
        let message =
            |range: (Bound<isize>, Bound<isize>), step| resolve_range(&range, step, 4).unwrap_err();
        let range = |start, end| (Bound::Included(start), Bound::Excluded(end));
        assert_eq!(message(range(2, 7), 1), "2..7 is out of range");
        assert_eq!(message(range(-5, 2), 1), "-5..2 is out of range");
        assert_eq!(
            message(range(isize::MIN, 2), 1),
            format!("{}..2 is out of range", isize::MIN)
        );
        assert_eq!(message(range(3, 1), 1), "3..1 ends before it starts");
        assert_eq!(message(range(0, 4), 0), "a step of 0 is out of range");
        let inclusive = (Bound::Unbounded, Bound::Included(isize::MAX));
        assert_eq!(
            message(inclusive, 1),
            format!("..={} is out of range", isize::MAX)
        );
        let all = (Bound::Included(5), Bound::Unbounded);
        assert_eq!(message(all, 1), "5.. is out of range");
        assert_eq!(
            resolve_slice(1, &(2..7), 1, &Shape::from([3, 4])).unwrap_err(),
            "2..7 is out of range for axis 1 of [3, 4]"
        );
        assert!(
            resolve_slice(2, &(..), 1, &Shape::from([3, 4]))
                .unwrap_err()
                .contains("axis 2")
        );
    }

    #[test]
    fn permutations_name_each_axis_once() {
        assert_eq!(resolve_permutation(&[2, 0, -2], 3).unwrap()[..], [2, 0, 1]);
        assert_eq!(resolve_permutation(&(..), 2).unwrap()[..], [0, 1]);
        let empty: [isize; 0] = [];
        assert!(resolve_permutation(&empty, 0).unwrap()[..].is_empty());
        assert!(
            resolve_permutation(&[0, -3, 1], 3)
                .unwrap_err()
                .contains("axis -3 is repeated")
        );
        assert!(
            resolve_permutation(&[0, 1], 3)
                .unwrap_err()
                .contains("not a permutation")
        );
        assert!(
            resolve_permutation(&[0, 3, 1], 3)
                .unwrap_err()
                .contains("out of range")
        );
        assert_eq!(resolve_matrix_transposition(3).unwrap()[..], [0, 2, 1]);
        assert_eq!(resolve_matrix_transposition(1).unwrap()[..], [0]);
        assert!(resolve_matrix_transposition(0).is_err());
        assert_eq!(resolve_transposition(0, -1, 3).unwrap()[..], [2, 1, 0]);
    }

    #[test]
    fn axes_of_one_come_and_go() {
        assert_eq!(resolve_squeeze(-1, &Shape::from([3, 1])), Ok(1));
        assert_eq!(
            resolve_squeeze(0, &Shape::from([3, 1])).unwrap_err(),
            "axis 0 of [3, 1] has size 3, not 1"
        );
        assert_eq!(resolve_insertion(0, 0), Ok(0));
        assert_eq!(resolve_insertion(-1, 2), Ok(2));
        assert_eq!(resolve_insertion(2, 2), Ok(2));
        assert!(resolve_insertion(3, 2).is_err());
        assert!(resolve_insertion(-4, 2).is_err());
    }

    #[test]
    fn joined_shapes_differ_in_one_axis_at_most() {
        let [a, b, c] = [[2, 3], [2, 5], [4, 3]].map(Shape::from);
        assert_eq!(resolve_concat(&[&a, &b], -1), Ok((1, Shape::from([2, 8]))));
        assert_eq!(resolve_concat(&[&a, &c], 0), Ok((0, Shape::from([6, 3]))));
        assert!(
            resolve_concat(&[&a, &b], 0)
                .unwrap_err()
                .contains("[2, 3] and [2, 5]")
        );
        assert!(resolve_concat(&[&a, &Shape::from([2])], 0).is_err());
        assert!(
            resolve_concat(&[&Shape::scalar()], 0)
                .unwrap_err()
                .contains("scalar")
        );
        assert!(resolve_concat(&[], 0).is_err());
        assert_eq!(
            resolve_stack(&[&a, &a], -1),
            Ok((2, Shape::from([2, 3, 2])))
        );
        assert_eq!(
            resolve_stack(&[&Shape::scalar()], 0),
            Ok((0, Shape::from([1])))
        );
        assert!(resolve_stack(&[&a, &b], 0).is_err());
        assert_eq!(resolve_split(&[1, 0, 2], 1, &a), Ok(1));
        assert!(resolve_split(&[1, 1], 1, &a).is_err());
    }

    #[test]
    fn sizes_that_cannot_be_addressed_are_refused() {
        let huge = Shape::from([usize::MAX, 2]);
        assert!(resolve_size(&huge).is_err());
        assert!(resolve_expand(&Shape::from([1, 2]), &huge).is_err());
        assert!(resolve_reshape(&Shape::from([2]), &huge).is_err());
        assert_eq!(
            resolve_reshape(&Shape::from([0, 5]), &Shape::from([3, 0])),
            Ok(())
        );
        assert_eq!(
            resolve_reshape(&Shape::from([2, 3]), &Shape::from([4])).unwrap_err(),
            "[2, 3] holds 6 elements, but [4] holds 4"
        );
        assert_eq!(
            resolve_expand(&Shape::from([3]), &Shape::from([3, 4])).unwrap_err(),
            "[3] does not broadcast to [3, 4]"
        );
    }
}
