//! How a reduction lies in its operand.

use crate::shape::Shape;
use smallvec::SmallVec;

/// Which elements are combined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Along {
    /// Over everything.
    All,
    /// Each row of so many elements.
    Rows(usize),
    /// Across rows of so many elements.
    Columns(usize),
    Other,
}

pub(super) fn along(shape: &Shape, axes: &[usize]) -> Along {
    let large = (0..shape.rank()).filter(|&a| shape[a] != 1);
    let reduced: SmallVec<[bool; 6]> = large.clone().map(|a| axes.contains(&a)).collect();
    let product = |which: bool| {
        let chosen = large.clone().filter(|a| axes.contains(a) == which);
        chosen.map(|a| shape[a]).product::<usize>()
    };
    let count = reduced.iter().filter(|&&r| r).count();
    match (count, reduced.len()) {
        (0, _) => Along::Other,
        (count, all) if count == all => Along::All,
        (count, _) if reduced[..count].iter().all(|&r| r) => Along::Columns(product(false)),
        (count, all) if reduced[all - count..].iter().all(|&r| r) => Along::Rows(product(true)),
        _ => Along::Other,
    }
}
