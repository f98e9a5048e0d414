//! A recorded operation.

use super::operation::{Elementwise, Operation};
use crate::element::{AnyNumber, Dtype};
use crate::kernel::reduce::Reduction;
use crate::shape::Shape;
use smallvec::SmallVec;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// One step of a program.
#[derive(Debug)]
pub(crate) struct Node {
    pub op: Op,
    pub inputs: NodeInputs,
    pub shape: SharedShape,
    pub dtype: Dtype,
    /// Whether a leaf that may be differentiated leads here through operations that have derivatives.
    pub tracked: bool,
    /// The line of the program that recorded it.
    pub location: &'static Location<'static>,
}

/// The nodes that a node reads.
pub(crate) type NodeInputs = SmallVec<[u32; 3]>;

/// A shape, or a list of axes, that many nodes have.
#[derive(Clone, Debug)]
pub(crate) struct SharedShape(Rc<Shape>);

impl SharedShape {
    pub fn new(shape: Shape) -> Self {
        SharedShape(Rc::new(shape))
    }
}

impl std::ops::Deref for SharedShape {
    type Target = Shape;
    #[inline]
    fn deref(&self) -> &Shape {
        &self.0
    }
}

impl fmt::Display for SharedShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for SharedShape {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

/// An operation with a kernel of its own: one without arguments is the same for all nodes.
#[derive(Clone, Debug)]
pub(crate) enum Called {
    Static(&'static dyn Operation),
    Shared(Arc<dyn Operation>),
}

impl std::ops::Deref for Called {
    type Target = dyn Operation;
    fn deref(&self) -> &dyn Operation {
        match self {
            Called::Static(operation) => *operation,
            Called::Shared(operation) => &**operation,
        }
    }
}

/// The classes of operation.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A tensor that was given.
    Leaf,
    /// One number everywhere.
    Fill(AnyNumber),
    /// A function of the elements at the same place; the inputs broadcast.
    Elementwise(&'static Elementwise),
    /// The elements of the input seen otherwise.
    View(View),
    /// Elements combined along axes (ascending), which vanish.
    Reduce(Reduction, SharedShape),
    /// Anything else.
    Call(Called),
}

/// The ways to see a tensor otherwise. Sizes are those of the node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum View {
    /// The same.
    Alias,
    /// The same elements in the same order.
    Reshape,
    /// Axis `i` of the result is axis `order[i]` of the input.
    Permute(SharedShape),
    /// Along `axis`, every `step`th element from `start` on; a negative step walks backwards.
    Slice {
        axis: usize,
        start: usize,
        step: isize,
    },
    /// Broadcast.
    Expand,
}

impl Op {
    /// Whether another node does the same, whatever number it holds.
    pub fn is_same(&self, other: &Op) -> bool {
        match (self, other) {
            (Op::Leaf, Op::Leaf) => true,
            (Op::Fill(a), Op::Fill(b)) => a.dtype() == b.dtype(),
            (Op::Elementwise(a), Op::Elementwise(b)) => std::ptr::eq(*a, *b),
            (Op::View(a), Op::View(b)) => a == b,
            (Op::Reduce(a, axes), Op::Reduce(b, others)) => a == b && axes == others,
            (Op::Call(a), Op::Call(b)) => a.is_same(&**b),
            _ => false,
        }
    }

    /// The name in messages and listings.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Leaf => "leaf",
            Op::Fill(_) => "fill",
            Op::Elementwise(elementwise) => elementwise.name,
            Op::View(View::Alias) => "alias",
            Op::View(View::Reshape) => "reshape",
            Op::View(View::Permute(_)) => "permute",
            Op::View(View::Slice { .. }) => "slice",
            Op::View(View::Expand) => "expand",
            Op::Reduce(Reduction::Sum, _) => "sum",
            Op::Reduce(Reduction::Max, _) => "max",
            Op::Reduce(Reduction::Min, _) => "min",
            Op::Call(operation) => operation.name(),
        }
    }
}
