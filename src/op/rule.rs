//! The gradient rules by class of operation, and what all of them share: broadcasting is undone and cotangents are added up
//! in one place.

use super::{index, reduce, view};
use crate::element::{Any, AnyNumber, Element, Number, Numbers, with_float};
use crate::kernel::reduce::Reduction;
use crate::shape::{Shape, few};
use crate::tape::{AnyVar, Called, Elementwise, Graph, Node, Op, Pullback, SharedShape, Var, View};
use std::cell::RefCell;

/// The part of a node that its rule needs, apart from the tape.
pub(crate) enum Rule {
    Elementwise(&'static Elementwise),
    View(View),
    Reduce(Reduction, SharedShape),
    Call(Called),
}

impl Rule {
    /// The rule of a node that has inputs.
    #[inline]
    pub fn of(node: &Node) -> Rule {
        match &node.op {
            Op::Elementwise(op) => Rule::Elementwise(op),
            Op::View(view) => Rule::View(view.clone()),
            Op::Reduce(reduction, axes) => Rule::Reduce(*reduction, axes.clone()),
            Op::Call(operation) => Rule::Call(operation.clone()),
            Op::Leaf | Op::Fill(_) => Rule::View(View::Alias),
        }
    }

    /// Whether a derivative with respect to input `k` exists.
    #[inline]
    pub fn is_differentiable(&self, k: usize) -> bool {
        match self {
            Rule::Call(operation) => operation.is_differentiable(k),
            _ => true,
        }
    }

    /// The cotangent of input `k`, before broadcasting is undone.
    #[inline]
    pub fn vjp(&self, pullback: &Pullback<'_>, k: usize) -> AnyVar {
        let dtype = pullback.dtype;
        match self {
            Rule::Elementwise(op) => (op.vjp)(pullback, k),
            Rule::View(view) => with_float!(dtype, T => view::vjp::<T>(view, pullback).erase()),
            Rule::Reduce(reduction, axes) => {
                with_float!(dtype, T => reduce::vjp::<T>(*reduction, axes, pullback).erase())
            }
            Rule::Call(operation) => operation.vjp(pullback, k),
        }
    }
}

/// The sum of two cotangents of one variable.
#[inline]
pub(crate) fn accumulate(a: AnyVar, b: AnyVar) -> AnyVar {
    if let Some(sum) = index::added_to(a, b).or_else(|| index::added_to(b, a)) {
        return sum;
    }
    with_float!(a.dtype(), T => (a.assume::<T>() + b.assume::<T>()).erase())
}

/// The cotangent that a derivative starts from: one.
#[track_caller]
pub(crate) fn seed(output: AnyVar) -> AnyVar {
    with_float!(output.dtype(), T => like(output, T::erase::<Numbers>(T::ONE)))
}

/// Zero, in the shape of a variable.
pub(crate) fn zeros_like(variable: AnyVar) -> AnyVar {
    with_float!(variable.dtype(), T => like(variable, T::erase::<Numbers>(T::ZERO)))
}

/// One number everywhere, in the shape of a variable.
#[track_caller]
fn like(variable: AnyVar, number: AnyNumber) -> AnyVar {
    let mut graph = variable.tape.graph_mut("full");
    variable.tape.var(graph.filled_like(number, variable.index))
}

/// What a rule gave as the cotangent of `input`, in the shape of that: summed over the axes that it was broadcast along. `None`
/// if it is known to be zero everywhere.
#[inline]
pub(crate) fn conform(
    graph: &RefCell<Graph>,
    of: AnyVar,
    share: AnyVar,
    (k, input): (usize, u32),
) -> Option<u32> {
    let shape = {
        let graph = graph.borrow();
        if share.tape != of.tape {
            misfit(&graph, of, "a variable of another tape", k, input);
        }
        let node = graph.node(share.index);
        if node.dtype != graph.node(input).dtype {
            misfit(&graph, of, &format!("{} elements", node.dtype), k, input);
        }
        match node.op {
            Op::Fill(Any::F32(0.0)) | Op::Fill(Any::F64(0.0)) => return None,
            _ => {}
        }
        let shape = &graph.node(input).shape;
        if node.shape == *shape {
            return Some(share.index);
        }
        if !shape.broadcasts_to(&node.shape) && !node.shape.broadcasts_to(shape) {
            misfit(&graph, of, &format!("shape {}", node.shape), k, input);
        }
        shape.clone()
    };
    let sum = with_float!(share.dtype(), T => reduce_to(share.assume::<T>(), &shape).erase());
    Some(sum.index)
}

/// Panics unless what a rule gave as the cotangent of `input` has the shape of that, or is zero: where nothing is broadcast.
pub(crate) fn check_shape(of: AnyVar, share: AnyVar, (k, input): (usize, AnyVar)) {
    let graph = of.tape.graph("gradient");
    if share.tape == of.tape {
        let (given, wanted) = (graph.node(share.index), graph.node(input.index));
        let zero = matches!(given.op, Op::Fill(Any::F32(0.0)) | Op::Fill(Any::F64(0.0)));
        if given.shape != wanted.shape && !zero {
            misfit(
                &graph,
                of,
                &format!("shape {}", given.shape),
                k,
                input.index,
            );
        }
    }
}

/// Panics because a rule gave what cannot be a cotangent of its input.
#[cold]
#[inline(never)]
fn misfit(graph: &Graph, of: AnyVar, given: &str, k: usize, input: u32) -> ! {
    let (node, input) = (graph.node(of.index), graph.node(input));
    panic!(
        "gradient: the rule of {} gave {given} as the cotangent of input {k}, which is {}{} (recorded at {})",
        node.op.name(),
        input.dtype,
        *input.shape,
        node.location
    )
}

/// A cotangent summed over the axes along which an operand was broadcast, for a rule that does so before it goes on.
pub(super) fn summed_for<T: Number>(cotangent: Var<T>, operand: Var<T>) -> Var<T> {
    let shape = operand.shape();
    if !shape.broadcasts_to(&cotangent.shape()) || shape == cotangent.shape() {
        return cotangent;
    }
    reduce_to(cotangent, &shape)
}

#[inline(never)]
fn reduce_to<T: Number>(cotangent: Var<T>, shape: &Shape) -> Var<T> {
    let tape = cotangent.tape();
    let from = tape.shape_of("gradient", cotangent.erase());
    if from.broadcasts_to(shape) {
        return cotangent.expand(shape);
    }
    let lead = from.rank() - shape.rank();
    let summed = |&i: &usize| i < lead || shape[i - lead] != from[i];
    let axes = few((0..from.rank()).filter(summed));
    let sum = tape
        .reduce(Reduction::Sum, cotangent.erase(), &axes)
        .assume::<T>();
    if axes.len() == lead {
        return sum;
    }
    sum.reshape(shape)
}
