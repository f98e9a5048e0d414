//! Reverse mode: walks the nodes backwards and records the nodes of the gradient.

use super::hook;
use crate::element::Element;
use crate::op;
use crate::tape::{AnyVar, Called, Cotangent, Graph, NodeInputs, Op, Pullback, Var, made_at};
use smallvec::SmallVec;
use std::panic::Location;

/// For each node from `first` to `last`: [`Cotangent::Absent`] if it depends, through operations that have derivatives,
/// on one of `wrt`.
fn dependents(graph: &mut Graph, wrt: &[AnyVar], first: u32, last: u32) -> Vec<Cotangent> {
    let mut walk = std::mem::take(&mut graph.cotangents);
    let nodes = &graph.nodes[first as usize..=last as usize];
    walk.clear();
    walk.resize(nodes.len(), Cotangent::Unrelated);
    for variable in wrt.iter().filter(|v| v.index <= last) {
        walk[(variable.index - first) as usize] = Cotangent::Absent;
    }
    for (at, node) in nodes.iter().enumerate() {
        if !node.tracked {
            continue;
        }
        let related = |&i: &u32| place(&walk, first, i).is_some();
        let leads = match &node.inputs {
            NodeInputs::Few(_, inputs) => inputs.iter().any(related),
            NodeInputs::Many(inputs) => inputs.iter().any(related),
        };
        let leads = leads
            && match &node.op {
                Op::Call(operation) => (0..node.inputs.len())
                    .any(|k| related(&node.inputs[k]) && operation.is_differentiable(k)),
                _ => true,
            };
        if leads {
            walk[at] = Cotangent::Absent;
        }
    }
    walk
}

/// Where the cotangent of a node stands, if one is wanted.
#[inline]
fn place(walk: &[Cotangent], first: u32, index: u32) -> Option<usize> {
    // An index before the first wraps around to one behind the last.
    let at = index.wrapping_sub(first) as usize;
    match walk.get(at) {
        None | Some(Cotangent::Unrelated) => None,
        Some(_) => Some(at),
    }
}

/// The cotangents of `wrt`, given that of `output`; `None` for a variable that `output` does not depend on.
///
/// Rules are asked only for the inputs that lead to `wrt`, so nothing is recorded in vain.
#[track_caller]
pub(crate) fn pull_back(
    output: AnyVar,
    cotangent: AnyVar,
    wrt: &[AnyVar],
) -> SmallVec<[Option<AnyVar>; 4]> {
    pull_back_all(&[(output, cotangent)], wrt)
}

/// As [`pull_back`], from several outputs, each with its cotangent: the sum of their shares.
#[track_caller]
pub(crate) fn pull_back_all(
    outputs: &[(AnyVar, AnyVar)],
    wrt: &[AnyVar],
) -> SmallVec<[Option<AnyVar>; 4]> {
    let mut found = SmallVec::with_capacity(wrt.len());
    pull_back_each(outputs, wrt, &mut |cotangent| found.push(cotangent));
    found
}

/// As [`pull_back_all`]: calls `found` with the cotangent of each of `wrt` in turn.
#[track_caller]
pub(crate) fn pull_back_each(
    outputs: &[(AnyVar, AnyVar)],
    wrt: &[AnyVar],
    found: &mut dyn FnMut(Option<AnyVar>),
) {
    let (first, last) = (wrt.iter().map(|v| v.index).min(), latest(outputs));
    let (first, last) = match (first, last) {
        (Some(first), Some(last)) if first <= last => (first, last),
        _ => return wrt.iter().for_each(|_| found(None)),
    };
    let tape = outputs[0].0.tape;
    let attribution = tape.attribute();
    let graph = &tape.arena("gradient").graph;
    let mut walk = {
        let mut graph = graph.borrow_mut();
        graph.differentiated = true;
        dependents(&mut graph, wrt, first, last)
    };
    for (output, cotangent) in outputs {
        if let Some(at) = place(&walk, first, output.index) {
            walk[at] = match walk[at] {
                Cotangent::Given(sum) => {
                    Cotangent::Given(op::accumulate(tape.var(sum), *cotangent).index)
                }
                _ => Cotangent::Given(cotangent.index),
            };
        }
    }
    let mut near = [outputs[0].0; 3];
    for at in (0..walk.len()).rev() {
        let state = walk[at];
        if let Cotangent::Unrelated | Cotangent::Absent = state {
            continue;
        }
        let index = first + at as u32;
        let mut borrowed = graph.borrow_mut();
        let node = borrowed.node(index);
        let Cotangent::Given(mut cotangent) = state else {
            for &input in &node.inputs {
                if let Some(to) = place(&walk, first, input)
                    && walk[to] == Cotangent::Absent
                {
                    walk[to] = Cotangent::Zero;
                }
            }
            continue;
        };
        let many: Vec<AnyVar>;
        let inputs = match &node.inputs {
            NodeInputs::Few(len, inputs) => {
                for (variable, &input) in near.iter_mut().zip(inputs) {
                    variable.index = input;
                }
                &near[..usize::from(*len)]
            }
            NodeInputs::Many(inputs) => {
                many = inputs.iter().map(|&i| tape.var(i)).collect();
                &many
            }
        };
        let (rule, dtype) = (op::Rule::of(node), node.dtype);
        let location = node.location;
        borrowed.attributed = Some((location, true));
        let hooked = !borrowed.hooks.is_empty();
        drop(borrowed);
        if hooked {
            cotangent = hook::apply(tape, index, cotangent);
            walk[at] = Cotangent::Given(cotangent);
        }
        let pullback = Pullback {
            inputs,
            output: tape.var(index),
            cotangent: tape.var(cotangent),
            dtype,
        };
        let joint = match &rule {
            op::Rule::Call(operation) => together(operation, &pullback, &walk, first),
            _ => None,
        };
        for (k, input) in inputs.iter().enumerate() {
            let Some(to) = place(&walk, first, input.index) else {
                continue;
            };
            if !rule.is_differentiable(k) {
                continue;
            }
            let share = match &joint {
                Some(shares) => shares[k],
                None => Some(rule.vjp(&pullback, k)),
            };
            let share = share
                .and_then(|share| op::conform(graph, pullback.output, share, (k, input.index)));
            walk[to] = match (walk[to], share) {
                (Cotangent::Given(sum), Some(share)) => {
                    let sum = op::accumulate(tape.var(sum), tape.var(share));
                    Cotangent::Given(sum.index)
                }
                (known @ Cotangent::Given(_), None) => known,
                (_, Some(share)) => Cotangent::Given(share),
                (_, None) => Cotangent::Zero,
            };
        }
    }
    drop(attribution);
    for v in wrt {
        found(match place(&walk, first, v.index).map(|at| walk[at]) {
            None | Some(Cotangent::Unrelated | Cotangent::Absent) => None,
            Some(Cotangent::Zero) => {
                let _line = tape.attribute_to(Location::caller());
                Some(op::zeros_like(*v))
            }
            Some(Cotangent::Given(cotangent)) => Some(tape.var(cotangent)),
        });
    }
    graph.borrow_mut().cotangents = walk;
}

/// The index of the last output.
fn latest(outputs: &[(AnyVar, AnyVar)]) -> Option<u32> {
    outputs.iter().map(|(output, _)| output.index).max()
}

/// The cotangents of all inputs of an operation that computes them together.
#[inline(never)]
fn together(
    operation: &Called,
    pullback: &Pullback<'_>,
    walk: &[Cotangent],
    first: u32,
) -> Option<Vec<Option<AnyVar>>> {
    let wanted = |(k, input): (usize, &AnyVar)| {
        place(walk, first, input.index).is_some() && operation.is_differentiable(k)
    };
    let inputs = pullback.inputs.iter().enumerate();
    let wanted: SmallVec<[bool; 4]> = inputs.map(wanted).collect();
    let cotangents = if operation.holds_variables() {
        let (output, mut there) = (pullback.output, Vec::new());
        let found = made_at(output.tape(), output.index, &mut || {
            let found = operation.cotangents(pullback, &wanted);
            there = found.iter().flatten().map(Option::is_some).collect();
            found.into_iter().flatten().flatten().collect()
        });
        let mut found = found.into_iter();
        let of = |&there: &bool| there.then(|| found.next()).flatten();
        there.iter().map(of).collect()
    } else {
        operation.cotangents(pullback, &wanted)?
    };
    assert!(
        cotangents.len() == wanted.len(),
        "gradient: the rule of {} gave {} cotangents for {} inputs ({:?})",
        operation.name(),
        cotangents.len(),
        wanted.len(),
        pullback.output
    );
    Some(cotangents)
}

impl<T: Element> Var<T> {
    /// The derivative of this scalar with respect to `x`: a variable of the shape of `x`, which can be differentiated again.
    ///
    /// Formula: `g[i] = dy / dx[i]`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// let dx = (x * x * x).sum().gradient(x);
    /// let ddx = dx.sum().gradient(x);
    /// assert_eq!(dx.value(), Tensor::from([3.0, 12.0]));
    /// assert_eq!(ddx.value(), Tensor::from([6.0, 12.0]));
    /// ```
    ///
    /// # Panics
    /// If this is not a scalar, either is not of a floating-point type, `x` is a constant, this does not depend on `x`, or the
    /// variables are of two tapes or of one that was reset or dropped. Where there may be no dependence, ask
    /// [`vjp`](Var::vjp).
    #[track_caller]
    pub fn gradient<U: Element>(self, x: Var<U>) -> Var<U> {
        let [gradient] = self.gradients([x]);
        gradient
    }

    /// The derivatives of this scalar with respect to several variables, in one walk.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let a = tape.leaf(&Tensor::from(3.0));
    /// let b = tape.leaf(&Tensor::from(4.0));
    /// let [da, db] = (a * b).gradients([a, b]);
    /// assert_eq!((da.value().item(), db.value().item()), (4.0, 3.0));
    /// ```
    ///
    /// # Panics
    /// As [`gradient`](Var::gradient).
    #[track_caller]
    pub fn gradients<U: Element, const N: usize>(self, xs: [Var<U>; N]) -> [Var<U>; N] {
        let shape = self.tape.shape_of("gradient", self.erase());
        assert!(
            shape.rank() == 0,
            "gradient: the output has shape {shape}, but must be a scalar: take its sum, or use vjp"
        );
        let output = self.erase();
        differentiable("gradient", output);
        let wrt = wanted(output, &xs);
        let before = self.tape.len();
        let cotangents = pull_back(output, op::seed(output), &wrt);
        if let Some(k) = cotangents.iter().position(Option::is_none) {
            // What was recorded for the others is of no use.
            self.tape.graph_mut("gradient").truncate(before);
            panic!(
                "gradient: {self:?} does not depend on variable {k}, {:?}",
                xs[k]
            );
        }
        std::array::from_fn(|k| match cotangents[k] {
            Some(cotangent) => cotangent.assume(),
            None => unreachable!("looked at above"),
        })
    }

    /// The cotangents of `xs`, given the cotangent of this variable: the vector-Jacobian product. `None` for a variable that
    /// this one does not depend on.
    ///
    /// Formula: `v[j] = sum over i of cotangent[i] * dy[i] / dx[j]`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// let unused = tape.leaf(&Tensor::from([5.0]));
    /// let y = x * x;
    /// let [dx, none] = y.vjp(tape.constant(&Tensor::from([1.0, 10.0])), [x, unused]);
    /// assert_eq!(dx.unwrap().value(), Tensor::from([2.0, 40.0]));
    /// assert!(none.is_none());
    /// ```
    ///
    /// # Panics
    /// If the cotangent has another shape than this variable, a variable is not of a floating-point type or is a constant, or
    /// the variables are of two tapes or of one that was reset or dropped.
    #[track_caller]
    pub fn vjp<U: Element, const N: usize>(
        self,
        cotangent: Var<T>,
        xs: [Var<U>; N],
    ) -> [Option<Var<U>>; N] {
        let (shape, given) = (self.shape(), cotangent.shape());
        assert!(
            shape == given,
            "vjp: the cotangent has shape {given}, the output {shape}"
        );
        assert!(
            self.tape == cotangent.tape,
            "vjp: the variables are of two different tapes"
        );
        let output = self.erase();
        differentiable("vjp", output);
        let wrt = wanted(output, &xs);
        let cotangents = pull_back(output, cotangent.erase(), &wrt);
        std::array::from_fn(|k| cotangents[k].map(AnyVar::assume))
    }
}

/// The variables that derivatives are wanted of; panics at the caller's line unless there can be any, before anything is
/// recorded.
#[track_caller]
fn wanted<U: Element, const N: usize>(output: AnyVar, xs: &[Var<U>; N]) -> [AnyVar; N] {
    let erased = xs.map(Var::erase);
    for &x in &erased {
        differentiable("gradient", x);
        assert!(
            x.tape == output.tape,
            "gradient: the variables are of two different tapes"
        );
        let constant = !x.tape.graph("gradient").node(x.index).tracked;
        assert!(
            !constant,
            "gradient: {x:?} is a constant, or depends on constants only; record it with leaf"
        );
    }
    erased
}

/// Panics at the caller's line unless derivatives with respect to the variable's type exist.
#[track_caller]
pub(super) fn differentiable(operation: &str, variable: AnyVar) {
    let dtype = variable.tape.graph(operation).node(variable.index).dtype;
    assert!(
        dtype.is_float(),
        "{operation}: {variable:?} holds {dtype}, which has no derivatives"
    );
}
