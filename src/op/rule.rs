//! The gradient rules by class of operation, and what all of them share: broadcasting is undone and cotangents are added up
//! in one place.

use super::{reduce, view};
use crate::element::{Float, with_float};
use crate::shape::Shape;
use crate::tape::{AnyVar, Elementwise, Op, Operation, Pullback, Var, View};
use smallvec::SmallVec;
use std::rc::Rc;

/// The part of an [`Op`] that a rule needs, apart from the tape.
enum Class {
    Elementwise(&'static Elementwise),
    View(View),
    Reduce(crate::kernel::reduce::Reduction, SmallVec<[usize; 4]>),
    Call(Rc<dyn Operation>),
}

/// The cotangent of input `k`, in the shape of that input.
pub(crate) fn vjp(pullback: &Pullback<'_>, k: usize) -> AnyVar {
    let (class, dtype) = {
        let arena = pullback.output.tape.arena("gradient");
        let graph = arena.graph.borrow();
        let node = graph.node(pullback.output.index);
        let class = match &node.op {
            Op::Elementwise(op) => Class::Elementwise(op),
            Op::View(view) => Class::View(view.clone()),
            Op::Reduce(reduction, axes) => Class::Reduce(*reduction, axes.clone()),
            Op::Call(operation) => Class::Call(operation.clone()),
            Op::Leaf | Op::Fill(_) => unreachable!("{} has no inputs", node.op.name()),
        };
        (class, node.dtype)
    };
    let share = match class {
        Class::Elementwise(op) => (op.vjp)(pullback, k),
        Class::View(view) => with_float!(dtype, T => view::vjp::<T>(&view, pullback).erase()),
        Class::Reduce(reduction, axes) => {
            with_float!(dtype, T => reduce::vjp::<T>(reduction, &axes, pullback).erase())
        }
        Class::Call(operation) => operation.vjp(pullback, k),
    };
    conform(share, pullback.inputs[k])
}

/// The sum of two cotangents of one variable.
pub(crate) fn accumulate(a: AnyVar, b: AnyVar) -> AnyVar {
    with_float!(a.dtype(), T => (a.assume::<T>() + b.assume::<T>()).erase())
}

/// The cotangent that a derivative starts from: one.
pub(crate) fn seed(output: AnyVar) -> AnyVar {
    with_float!(output.dtype(), T => output.tape.full(output.shape(), <T as crate::Element>::ONE).erase())
}

/// A cotangent in the shape of the variable it belongs to: sums over the axes that the variable was broadcast along.
pub(crate) fn conform(cotangent: AnyVar, variable: AnyVar) -> AnyVar {
    let shape = {
        let arena = variable.tape.arena("gradient");
        let graph = arena.graph.borrow();
        let shape = &graph.node(variable.index).shape;
        if graph.node(cotangent.index).shape == *shape {
            return cotangent;
        }
        shape.clone()
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
