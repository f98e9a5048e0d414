//! Recording what transforms need: variables that stand for others, and nodes once more with other inputs.

use super::arena::{Hook, TapeRef};
use super::elementwise::Elementwise;
use super::node::{Called, NodeInputs, Op, View};
use super::operation::{Input, Operation, Output, Pullback, Reads, same};
use super::var::AnyVar;
use crate::element::{Dtype, with_dtype};
use crate::shape::Shape;
use crate::tensor::Tensor;
use std::any::Any;
use std::panic::Location;
use std::rc::Rc;

/// Stands for a value that a transform puts in its place: it has a shape, but never a value.
#[derive(Debug, PartialEq)]
pub(crate) enum Placeholder {
    /// One example of a batch.
    Example,
    /// The cotangent of a result, of which only derivatives are used.
    Cotangent,
    /// The state or the element of a step of a loop.
    Step,
}

impl Operation for Placeholder {
    fn name(&self) -> &'static str {
        match self {
            Placeholder::Example => "vmap",
            Placeholder::Cotangent => "jvp",
            Placeholder::Step => "scan",
        }
    }

    fn output(&self, _inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Err("a placeholder is not recorded as an operation".into())
    }

    fn forward(&self, _inputs: &[Input<'_>], _output: Output<'_>) -> Result<(), String> {
        Err(match self {
            Placeholder::Example => {
                "the function stands for all examples of the batch, so that one of them has no value inside, nor where it is kept outside".into()
            }
            Placeholder::Cotangent => {
                "the rule of an operation is not linear in its cotangent, or asks for the value of it, so that there is no forward derivative".into()
            }
            Placeholder::Step => {
                "the function stands for all steps, so that one of them has no value inside, nor where it is kept outside".into()
            }
        })
    }

    fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
        pullback.cotangent
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

impl TapeRef {
    /// A variable that stands for a value which is put in its place before anything is computed.
    #[track_caller]
    pub(crate) fn placeholder(
        self,
        placeholder: &'static Placeholder,
        dtype: Dtype,
        shape: &Shape,
    ) -> AnyVar {
        let mut graph = self.graph_mut("placeholder");
        let shape = graph.share(shape);
        let op = Op::Call(Called::Static(placeholder));
        self.var(graph.push(op, NodeInputs::NONE, shape, dtype, dtype.is_float()))
    }

    /// The same value as a variable of its own that can be differentiated by, also if the input is a constant.
    #[track_caller]
    pub(crate) fn differentiable(self, input: AnyVar) -> AnyVar {
        let mut graph = self.shared("transform", &[input]);
        let node = graph.node(input.index);
        let (shape, dtype) = (node.shape.clone(), node.dtype);
        let mut index = input.index;
        if let Some(number) = graph.filled(index) {
            // A number is read from its own node, not through a view.
            let shape = Shape::clone(&shape);
            index = with_dtype!(dtype, T => {
                let number = <T as crate::Element>::restore::<crate::element::Numbers>(number);
                let number = number.expect("the type that was matched");
                graph.given(&Tensor::<T>::full(shape, number), false)
            });
        }
        let inputs = NodeInputs::one(index);
        self.var(graph.push(Op::View(View::Alias), inputs, shape, dtype, true))
    }

    /// Records an elementwise operation that is known by its description.
    #[track_caller]
    pub(crate) fn elementwise(self, op: &'static Elementwise, inputs: &[AnyVar]) -> AnyVar {
        let mut graph = self.shared(op.name, inputs);
        let index = match *inputs {
            [a] => graph.elementwise(op, None, [a.index]),
            [a, b] => graph.elementwise(op, None, [a.index, b.index]),
            [a, b, c] => graph.elementwise(op, None, [a.index, b.index, c.index]),
            _ => unreachable!("an elementwise operation has one to three operands"),
        };
        self.var(index)
    }

    /// Attributes what is recorded from now on to lines, as long as the result lives.
    pub(crate) fn attribute(self) -> Attribution {
        let live = self.live();
        Attribution {
            tape: self,
            before: live.and_then(|arena| arena.graph.borrow().attributed),
        }
    }

    /// Attributes what is recorded as long as the result lives to a line, also what closures record, which do not know the line of
    /// their caller. What is attributed to a line already stays with that one.
    pub(crate) fn attribute_to(self, location: &'static Location<'static>) -> Attribution {
        let attribution = self.attribute();
        if let Some(arena) = self.live() {
            let attributed = &mut arena.graph.borrow_mut().attributed;
            attributed.get_or_insert((location, false));
        }
        attribution
    }
}

/// Attributes nodes to lines of the program; afterwards it is as before.
pub(crate) struct Attribution {
    tape: TapeRef,
    before: Option<(&'static Location<'static>, bool)>,
}

impl Attribution {
    /// Attributes what is recorded next to the line of a node that it stands for, as recorded by differentiating if that was, or if
    /// this is done by differentiating.
    pub fn to(&self, location: &'static Location<'static>, derived: bool) {
        let derived = derived || self.before.is_some_and(|(_, derived)| derived);
        self.tape.graph_mut("attribute").attributed = Some((location, derived));
    }
}

impl Drop for Attribution {
    fn drop(&mut self) {
        if let Some(arena) = self.tape.live() {
            arena.graph.borrow_mut().attributed = self.before;
        }
    }
}

/// Whether the value of a node is given, now or later, instead of computed.
fn is_given(op: &Op) -> bool {
    match op {
        Op::Leaf => true,
        Op::Call(operation) => (&**operation as &dyn Any).is::<Placeholder>(),
        _ => false,
    }
}

/// Nodes recorded one after another, to be recorded again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Span {
    /// The first node, and the one behind the last.
    pub first: u32,
    pub end: u32,
    /// Those among them that end tracking.
    pub stops: Vec<u32>,
}

/// What a span reads of variables that were there before.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    /// Parameters, and what is given within: leaves, and what stands for a solution. Derivatives reach them.
    pub leaves: Vec<AnyVar>,
    /// Other variables that are tracked.
    pub tracked: Vec<AnyVar>,
    /// The rest: constants, and what is computed of them. No numbers that are known.
    pub constant: Vec<AnyVar>,
}

impl Span {
    /// The nodes recorded since there were `first`.
    pub fn since(tape: TapeRef, first: usize) -> Self {
        let graph = tape.graph("span");
        let stops = |&at: &usize| {
            let node = &graph.nodes[at];
            matches!(node.op, Op::View(View::Alias)) && !node.tracked
        };
        let end = graph.nodes.len();
        Span {
            first: first as u32,
            end: end as u32,
            stops: (first..end).filter(stops).map(|at| at as u32).collect(),
        }
    }

    /// For each node: whether it leads from outside or from `given` to an output; `given` themselves are not among them.
    fn leading(&self, tape: TapeRef, given: &[AnyVar], outputs: &[AnyVar]) -> Vec<bool> {
        let graph = tape.graph("span");
        let mut leading = vec![false; (self.end - self.first) as usize];
        let place = |index: u32| {
            let at = index.checked_sub(self.first)? as usize;
            let inside = index < self.end && given.iter().all(|v| v.index != index);
            inside.then_some(at)
        };
        for output in outputs {
            if let Some(at) = place(output.index) {
                leading[at] = true;
            }
        }
        for at in (0..leading.len()).rev() {
            if leading[at] {
                let node = &graph.nodes[self.first as usize + at];
                for at in node.inputs.iter().filter_map(|&input| place(input)) {
                    leading[at] = true;
                }
            }
        }
        leading
    }

    /// The nodes that lead to `outputs`, apart from `given`.
    pub fn nodes(&self, tape: TapeRef, given: &[AnyVar], outputs: &[AnyVar]) -> Vec<u32> {
        let leading = self.leading(tape, given, outputs);
        let nodes = (self.first..).zip(leading);
        nodes
            .filter_map(|(index, leads)| leads.then_some(index))
            .collect()
    }

    /// What the computation of `outputs` from `given` reads besides.
    pub fn outside(&self, tape: TapeRef, given: &[AnyVar], outputs: &[AnyVar]) -> Outside {
        let leading = self.leading(tape, given, outputs);
        let graph = tape.graph("span");
        let mut outside = Outside::default();
        let mut add = |index: u32| {
            let (node, variable) = (graph.node(index), tape.var(index));
            let bound = graph.bindings.iter().any(|&(_, leaf)| leaf == index);
            let inside = index >= self.first && index < self.end;
            let list = match node.op {
                Op::Fill(_) => return,
                _ if node.tracked && (bound || inside) => &mut outside.leaves,
                _ if node.tracked => &mut outside.tracked,
                _ => &mut outside.constant,
            };
            if !list.contains(&variable) {
                list.push(variable);
            }
        };
        for (at, leads) in leading.iter().enumerate() {
            let index = self.first + at as u32;
            let node = graph.node(index);
            if *leads && is_given(&node.op) {
                add(index);
            }
            for &input in node.inputs.iter().filter(|_| *leads) {
                let inside = input >= self.first && input < self.end;
                if !inside && given.iter().all(|v| v.index != input) {
                    add(input);
                }
            }
        }
        outside
    }

    /// Those of `given`, of variables from outside, and of those given within, by which an output has a derivative. What is only
    /// differentiated by within is none.
    pub fn derived_from(&self, tape: TapeRef, given: &[AnyVar], output: AnyVar) -> Vec<AnyVar> {
        let graph = tape.graph("span");
        let mut open = vec![output.index];
        let mut seen = std::collections::HashSet::new();
        let mut ends = Vec::new();
        while let Some(index) = open.pop() {
            let (node, variable) = (graph.node(index), tape.var(index));
            if !node.tracked || !seen.insert(index) {
                continue;
            }
            if index < self.first || is_given(&node.op) || given.contains(&variable) {
                ends.push(variable);
                continue;
            }
            let inputs = node.inputs.iter().enumerate();
            let leading = inputs.filter(|&(k, _)| node.op.is_differentiable(k));
            open.extend(leading.map(|(_, &input)| input));
        }
        ends
    }

    /// Nothing is kept for a backward pass through these nodes: they will be recorded again for it.
    pub fn untrack(&self, tape: TapeRef) {
        let mut graph = tape.graph_mut("span");
        for node in &mut graph.nodes[self.first as usize..self.end as usize] {
            if !matches!(node.op, Op::Leaf) {
                node.tracked = false;
            }
        }
    }

    /// Records the nodes that lead to `outputs` again, on the same tape or on another, with other variables in the place of some.
    /// On another tape these are all that may be read from outside, and the copy only computes: it cannot be differentiated, as hooks
    /// and rules, and what operations know of nodes, stay behind.
    #[track_caller]
    pub fn replay(
        &self,
        from: TapeRef,
        to: TapeRef,
        given: &[(AnyVar, AnyVar)],
        outputs: &[AnyVar],
    ) -> Vec<AnyVar> {
        struct Copy {
            index: u32,
            op: Op,
            inputs: Vec<u32>,
            shape: super::node::SharedShape,
            dtype: Dtype,
            location: &'static Location<'static>,
            hook: Option<Hook>,
            /// Whether it knows variables besides its inputs.
            holds: bool,
        }
        let replaced: Vec<AnyVar> = given.iter().map(|(old, _)| *old).collect();
        let leading = self.leading(from, &replaced, outputs);
        let same_tape = from == to;
        let (copies, numbers) = {
            let graph = from.graph("span");
            let number = |index: u32| matches!(graph.node(index).op, Op::Fill(_));
            let mut numbers = Vec::new();
            let mut copies = Vec::new();
            for (at, leads) in leading.iter().enumerate() {
                let index = self.first + at as u32;
                let node = graph.node(index);
                let known = is_given(&node.op) || matches!(node.op, Op::Fill(_));
                if !leads || (same_tape && known) {
                    continue;
                }
                for &input in node.inputs.iter().filter(|&&i| i < self.first && number(i)) {
                    let node = graph.node(input);
                    if let (false, Op::Fill(number)) = (same_tape, &node.op) {
                        numbers.push((input, *number, Shape::clone(&node.shape)));
                    }
                }
                let hook = graph.hooks.iter().find(|h| h.0 == index && same_tape);
                let hook = hook.map(|h| h.1.clone());
                copies.push(Copy {
                    index,
                    op: node.op.clone(),
                    inputs: node.inputs.to_vec(),
                    shape: node.shape.clone(),
                    dtype: node.dtype,
                    location: node.location,
                    holds: hook.is_some()
                        || matches!(&node.op, Op::Call(call) if call.holds_variables()),
                    hook,
                });
            }
            (copies, numbers)
        };
        let again = Rc::new(Again {
            span: self.clone(),
            given: given.to_vec(),
        });
        let mut graph = to.graph_mut("span");
        let mut found: std::collections::HashMap<u32, u32> = given
            .iter()
            .map(|(old, new)| (old.index, new.index))
            .collect();
        for (index, number, shape) in numbers {
            let shape = graph.share(&shape);
            let copy = graph.fill(super::append::bits(number), number.dtype(), shape);
            found.insert(index, copy);
        }
        for copy in copies {
            let of = |input: &u32| found.get(input).copied().unwrap_or(*input);
            let inputs: Vec<u32> = copy.inputs.iter().map(of).collect();
            let tracked = match copy.op {
                Op::View(View::Alias) => !self.stops.contains(&copy.index),
                _ => {
                    let mut inputs = inputs.iter().enumerate();
                    copy.dtype.is_float()
                        && inputs
                            .any(|(k, &i)| graph.node(i).tracked && copy.op.is_differentiable(k))
                }
            };
            let inputs = inputs.into_iter().collect();
            let index = graph.push(copy.op, inputs, copy.shape, copy.dtype, tracked);
            graph.nodes[index as usize].location = copy.location;
            if let Some(hook) = copy.hook {
                graph.hooks.push((index, hook));
            }
            if copy.holds && same_tape {
                let known = graph.copies.iter().find(|known| known.0 == copy.index);
                let mut before = known.map(|known| known.1.clone()).unwrap_or_default();
                before.push(again.clone());
                graph.copies.push((index, before));
            }
            found.insert(copy.index, index);
        }
        let of =
            |output: &AnyVar| to.var(found.get(&output.index).copied().unwrap_or(output.index));
        outputs.iter().map(of).collect()
    }
}

/// A span that was recorded again, for the hooks and rules in it: they may hold variables of the span, in whose place others are now.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    span: Span,
    given: Vec<(AnyVar, AnyVar)>,
}

/// What the hook or the rule of a node makes: where the node is a copy, with the variables that took the place of those it holds.
#[track_caller]
pub(crate) fn made_at(
    tape: TapeRef,
    node: u32,
    record: &mut dyn FnMut() -> Vec<AnyVar>,
) -> Vec<AnyVar> {
    let known = {
        let graph = tape.graph("gradient");
        let known = graph.copies.iter().find(|known| known.0 == node);
        known.map(|known| known.1.clone()).unwrap_or_default()
    };
    within(tape, &known, record)
}

#[track_caller]
fn within(
    tape: TapeRef,
    copies: &[Rc<Again>],
    record: &mut dyn FnMut() -> Vec<AnyVar>,
) -> Vec<AnyVar> {
    match copies.split_last() {
        Some((last, before)) => last.here(tape, || within(tape, before, record)),
        None => record(),
    }
}

impl Again {
    /// What `record` makes, with what it reads of the span as it is where that was recorded again.
    #[track_caller]
    fn here(&self, tape: TapeRef, record: impl FnOnce() -> Vec<AnyVar>) -> Vec<AnyVar> {
        let before = tape.len();
        let made = record();
        let recorded = Span::since(tape, before);
        let Outside {
            leaves,
            tracked,
            constant,
        } = recorded.outside(tape, &[], &made);
        let read = [leaves, tracked, constant, made.clone()].concat();
        let mut held: Vec<AnyVar> = Vec::new();
        for v in read {
            let inside = (self.span.first..self.span.end).contains(&v.index);
            let replaced = inside || self.given.iter().any(|(old, _)| *old == v);
            if replaced && v.tape() == tape && !held.contains(&v) {
                held.push(v);
            }
        }
        if held.is_empty() {
            return made;
        }
        let copies = self.span.replay(tape, tape, &self.given, &held);
        let pairs: Vec<(AnyVar, AnyVar)> = held.into_iter().zip(copies).collect();
        recorded.replay(tape, tape, &pairs, &made)
    }
}
