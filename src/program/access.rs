//! How an operand lies in the iteration space of its reader.

use crate::kernel::pass::Access;
use crate::shape::{Layout, Shape};

/// How an operand is read, with the width of a row where that matters.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reading {
    Flat { offset: usize },
    Row { width: usize, offset: usize },
    Column { width: usize, offset: usize },
    Single { offset: usize },
    Strided,
}

/// How elements are read that lie as `layout` (row-major from the start if there is none, in `shape`), by a reader whose result
/// has shape `space`.
pub(super) fn reading(layout: Option<&Layout>, shape: &Shape, space: &Shape) -> Reading {
    let Some(layout) = layout else {
        if shape.size() == 1 {
            return Reading::Single { offset: 0 };
        }
        if shape == space || shape.size() == space.size() {
            return Reading::Flat { offset: 0 };
        }
        return of(&Layout::contiguous(shape.clone()).expand(space));
    };
    if shape == space {
        of(layout)
    } else {
        of(&layout.expand(space))
    }
}

fn of(layout: &Layout) -> Reading {
    let offset = layout.offset();
    match layout.merged_axes()[..] {
        [] | [(_, 0)] => Reading::Single { offset },
        [(_, 1)] => Reading::Flat { offset },
        [(width, 1), (_, 0)] => Reading::Column { width, offset },
        [(width, 0), (_, 1)] => Reading::Row { width, offset },
        _ => Reading::Strided,
    }
}

impl Reading {
    /// As an input of a pass whose rows have `width` elements; `layout` is that of the operand in the space.
    pub fn access(self, width: usize, layout: impl FnOnce() -> Layout) -> (Access, usize) {
        match self {
            Reading::Flat { offset } => (Access::Flat, offset),
            Reading::Single { offset } => (Access::Single, offset),
            Reading::Row { width: w, offset } if w == width => (Access::Row, offset),
            Reading::Column { width: w, offset } if w == width => (Access::Column, offset),
            _ => (Access::Strided(Box::new(layout())), 0),
        }
    }
}
