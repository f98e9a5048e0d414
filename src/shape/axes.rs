//! Axes counted from the front or, when negative, from the back.

use super::few;
use smallvec::SmallVec;
use std::ops::RangeFull;

/// What names the axes of a reduction: an integer, an array or slice of integers, or `..` for all of them.
/// Negative numbers count from the last axis (`-1`).
///
/// ```
/// use wengert::prelude::*;
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::<f32>::ones([2, 3, 4]));
/// assert_eq!(x.sum_axes(-1).shape(), Shape::from([2, 3]));
/// assert_eq!(x.sum_axes([0, 2]).shape(), Shape::from([3]));
/// assert_eq!(x.sum_axes(..).shape(), Shape::from([]));
/// ```
pub trait Axes {
    /// The axes as they were named; `None` for all of them.
    fn named(&self) -> Option<&[isize]>;
}

impl Axes for isize {
    fn named(&self) -> Option<&[isize]> {
        Some(std::slice::from_ref(self))
    }
}

impl<const N: usize> Axes for [isize; N] {
    fn named(&self) -> Option<&[isize]> {
        Some(self)
    }
}

impl Axes for &[isize] {
    fn named(&self) -> Option<&[isize]> {
        Some(self)
    }
}

impl Axes for &Vec<isize> {
    fn named(&self) -> Option<&[isize]> {
        Some(self)
    }
}

impl Axes for RangeFull {
    fn named(&self) -> Option<&[isize]> {
        None
    }
}

/// The axis as an index, or a message that says why there is none.
pub(crate) fn resolve_axis(axis: isize, rank: usize) -> Result<usize, String> {
    let index = if axis < 0 { axis + rank as isize } else { axis };
    if (0..rank as isize).contains(&index) {
        Ok(index as usize)
    } else {
        Err(format!("axis {axis} is out of range for rank {rank}"))
    }
}

/// The axes as indices in ascending order, or a message that says which is out of range or repeated.
pub(crate) fn resolve_axes(axes: &impl Axes, rank: usize) -> Result<SmallVec<[usize; 4]>, String> {
    let Some(named) = axes.named() else {
        return Ok(few(0..rank));
    };
    let mut resolved = SmallVec::new();
    for &axis in named {
        let index = resolve_axis(axis, rank)?;
        if resolved.contains(&index) {
            return Err(format!("axis {axis} is repeated"));
        }
        resolved.push(index);
    }
    resolved.sort_unstable();
    Ok(resolved)
}
