//! A recorded operation.

use super::elementwise::Elementwise;
use super::operation::Operation;
use crate::element::{AnyNumber, Dtype};
use crate::kernel::reduce::Reduction;
use crate::shape::Shape;
use std::any::Any;
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
    /// Whether it was recorded by differentiating.
    pub derived: bool,
    /// The line of the program that recorded it.
    pub location: &'static Location<'static>,
}

/// The nodes that a node reads. A `SmallVec` would be copied, compared, searched and dropped by calls.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeInputs {
    /// Their number, and as many; what follows is [`NO_NODE`].
    Few(u8, [u32; FEW]),
    Many(Box<[u32]>),
}

/// How many inputs lie in the node itself.
const FEW: usize = 3;

/// The number of no node.
const NO_NODE: u32 = u32::MAX;

impl NodeInputs {
    /// No inputs.
    pub const NONE: NodeInputs = NodeInputs::Few(0, [NO_NODE; FEW]);

    /// One input.
    #[inline]
    pub fn one(input: u32) -> Self {
        NodeInputs::few([input])
    }

    /// Up to three inputs.
    #[inline]
    pub fn few<const N: usize>(inputs: [u32; N]) -> Self {
        const { assert!(N <= FEW) }
        let mut few = [NO_NODE; FEW];
        few[..N].copy_from_slice(&inputs);
        NodeInputs::Few(N as u8, few)
    }
}

impl FromIterator<u32> for NodeInputs {
    fn from_iter<I: IntoIterator<Item = u32>>(inputs: I) -> Self {
        let mut inputs = inputs.into_iter();
        let mut few = [NO_NODE; FEW];
        for len in 0..FEW {
            match inputs.next() {
                Some(input) => few[len] = input,
                None => return NodeInputs::Few(len as u8, few),
            }
        }
        match inputs.next() {
            Some(next) => NodeInputs::Many(few.into_iter().chain([next]).chain(inputs).collect()),
            None => NodeInputs::Few(FEW as u8, few),
        }
    }
}

impl std::ops::Deref for NodeInputs {
    type Target = [u32];
    #[inline]
    fn deref(&self) -> &[u32] {
        match self {
            NodeInputs::Few(len, inputs) => &inputs[..usize::from(*len)],
            NodeInputs::Many(inputs) => inputs,
        }
    }
}

impl<'a> IntoIterator for &'a NodeInputs {
    type Item = &'a u32;
    type IntoIter = std::slice::Iter<'a, u32>;
    #[inline]
    fn into_iter(self) -> std::slice::Iter<'a, u32> {
        self.iter()
    }
}

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

/// Operations that were recorded lately, to be used again: a loop records the same ones in the same order. They outlive a reset.
#[derive(Default)]
pub(crate) struct Operations {
    all: Vec<Arc<dyn Operation>>,
    /// The place behind the one that was used last.
    next: usize,
}

impl Operations {
    const KEPT: usize = 32;

    /// For a node: one that is the same, if there is one. What an operation has to free is not kept any longer than its nodes, unless
    /// it is `light`.
    pub fn called<O: Operation>(&mut self, operation: O, light: bool) -> Called {
        if std::mem::needs_drop::<O>() && !light {
            return Called::Shared(Arc::new(operation));
        }
        let count = self.all.len();
        let mut places = (self.next..count).chain(0..self.next.min(count));
        let same =
            |known: &dyn Operation| (known as &dyn Any).is::<O>() && operation.is_same(known);
        let at = match places.find(|&at| same(&*self.all[at])) {
            Some(at) => at,
            None if count < Self::KEPT => {
                self.all.push(Arc::new(operation));
                count
            }
            None => {
                let at = self.next % count;
                self.all[at] = Arc::new(operation);
                at
            }
        };
        self.next = at + 1;
        Called::Shared(self.all[at].clone())
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
    /// Whether it has a derivative by input `k`, if its result has one.
    pub fn is_differentiable(&self, k: usize) -> bool {
        match self {
            Op::Call(operation) => operation.is_differentiable(k),
            _ => true,
        }
    }

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
