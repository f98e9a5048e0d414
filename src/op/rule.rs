//! The gradient rules by class of operation, and what all of them share: broadcasting is undone and cotangents are added up
//! in one place.

use super::{reduce, view};
use crate::element::{Float, with_float};
use crate::kernel::reduce::Reduction;
use crate::shape::Shape;
use crate::tape::{AnyVar, Arena, Called, Elementwise, Node, Op, Pullback, SharedShape, Var, View};

/// The part of a node that its rule needs, apart from the tape.
pub(crate) enum Rule {
    Elementwise(&'static Elementwise),
    View(View),
    Reduce(Reduction, SharedShape),
    Call(Called),
}

impl Rule {
    /// The rule of a node that has inputs.
    pub fn of(node: &Node) -> Rule {
        match &node.op {
            Op::Elementwise(op) => Rule::Elementwise(op),
            Op::View(view) => Rule::View(view.clone()),
            Op::Reduce(reduction, axes) => Rule::Reduce(*reduction, axes.clone()),
            Op::Call(operation) => Rule::Call(operation.clone()),
            Op::Leaf | Op::Fill(_) => Rule::View(View::Alias),
        }
    }

    /// The cotangent of input `k`, in the shape of that input.
    pub fn vjp(&self, arena: &Arena, pullback: &Pullback<'_>, k: usize) -> AnyVar {
        let dtype = pullback.dtype;
        let share = match self {
            Rule::Elementwise(op) => (op.vjp)(pullback, k),
            Rule::View(view) => with_float!(dtype, T => view::vjp::<T>(view, pullback).erase()),
            Rule::Reduce(reduction, axes) => {
                with_float!(dtype, T => reduce::vjp::<T>(*reduction, axes, pullback).erase())
            }
            Rule::Call(operation) => operation.vjp(pullback, k),
        };
        conform(arena, share, pullback.inputs[k])
    }
}

/// The sum of two cotangents of one variable.
pub(crate) fn accumulate(a: AnyVar, b: AnyVar) -> AnyVar {
    with_float!(a.dtype(), T => (a.assume::<T>() + b.assume::<T>()).erase())
}

/// The cotangent that a derivative starts from: one.
pub(crate) fn seed(output: AnyVar) -> AnyVar {
    with_float!(output.dtype(), T => output.tape.full(output.shape(), <T as crate::Element>::ONE).erase())
}

/// Zero, in the shape of a variable.
pub(crate) fn zeros_like(variable: AnyVar) -> AnyVar {
    with_float!(variable.dtype(), T => variable.tape.full(variable.shape(), <T as crate::Element>::ZERO).erase())
}

/// A cotangent in the shape of the variable it belongs to: sums over the axes that the variable was broadcast along.
fn conform(arena: &Arena, cotangent: AnyVar, variable: AnyVar) -> AnyVar {
    let shape = {
        let graph = arena.graph.borrow();
        let shape = &graph.node(variable.index).shape;
        if graph.node(cotangent.index).shape == *shape {
            return cotangent;
        }
        Shape::clone(shape)
    };
    with_float!(cotangent.dtype(), T => reduce_to(cotangent.assume::<T>(), shape).erase())
}

fn reduce_to<T: Float>(cotangent: Var<T>, shape: Shape) -> Var<T> {
    let from = cotangent.shape();
    if from.broadcasts_to(&shape) {
        return cotangent.expand(shape);
    }
    let lead = from.rank() - shape.rank();
    let axes: Vec<isize> = (0..from.rank())
        .filter(|&i| i < lead || shape[i - lead] != from[i])
        .map(|i| i as isize)
        .collect();
    cotangent.sum_axes(&axes).reshape(shape)
}
