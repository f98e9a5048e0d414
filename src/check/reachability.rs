//! Which parameters a gradient reaches, and where the way to the others is cut.

use super::model::is_trainable;
use crate::element::{Float, with_any};
use crate::kernel::reduce::Reduction;
use crate::param::{Module, ParamRef};
use crate::tape::{Graph, Node, Op, Tape, TapeRef, Var, View};
use std::fmt;
use std::panic::Location;

/// What cuts the way of a gradient.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check::{self, CutKind};
/// let model = Param::new(Tensor::from([1.5]));
/// let cut = |f: fn(Var<f64>) -> Var<f64>| {
///     let error = check::reachability(&model, |m, tape| f(m.on(tape)).sum()).unwrap_err();
///     error.reachability().parameters()[0].cuts()[0].kind().clone()
/// };
/// assert_eq!(cut(|x| x.stop_gradient()), CutKind::StopGradient);
/// assert_eq!(cut(|x| x.round()), CutKind::Flat);
/// assert_eq!(cut(|x| x.gt(0.0).cast()), CutKind::Comparison);
/// assert_eq!(cut(|x| x.cast::<i64>().cast()), CutKind::Cast);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CutKind {
    /// [`stop_gradient`](Var::stop_gradient).
    StopGradient,
    /// A conversion to integers or truth values, which have no derivatives.
    Cast,
    /// A comparison, or another question with a truth value for an answer.
    Comparison,
    /// A function that is constant but for its jumps: its derivative is 0 everywhere.
    Flat,
    /// Another operation whose result has no derivatives.
    NoDerivative,
}

/// A place where the way of a gradient is cut.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check;
/// let model = Param::new(Tensor::from([1.5]));
/// let error = check::reachability(&model, |m, tape| m.on(tape).round().sum()).unwrap_err();
/// let cut = &error.reachability().parameters()[0].cuts()[0];
/// assert!(cut.to_string().starts_with("a slope of 0 from round at "));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cut {
    kind: CutKind,
    operation: &'static str,
    location: &'static Location<'static>,
}

impl Cut {
    /// What cuts it.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::{self, CutKind};
    /// let model = Param::new(Tensor::from([1.5]));
    /// let error = check::reachability(&model, |m, tape| m.on(tape).round().sum()).unwrap_err();
    /// assert_eq!(error.reachability().parameters()[0].cuts()[0].kind(), &CutKind::Flat);
    /// ```
    pub fn kind(&self) -> &CutKind {
        &self.kind
    }

    /// The name of the operation.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let model = Param::new(Tensor::from([1.5]));
    /// let error = check::reachability(&model, |m, tape| m.on(tape).round().sum()).unwrap_err();
    /// assert_eq!(error.reachability().parameters()[0].cuts()[0].operation(), "round");
    /// ```
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The line that recorded it.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let model = Param::new(Tensor::from([1.5]));
    /// let error = check::reachability(&model, |m, tape| m.on(tape).round().sum()).unwrap_err();
    /// let cut = &error.reachability().parameters()[0].cuts()[0];
    /// assert_eq!(cut.location().line(), line!() - 2);
    /// ```
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// The cut that a node is for a gradient that would come to it, if it is one: `stopped` if it has none by what comes to it.
    fn of(node: &Node, stopped: bool) -> Option<Cut> {
        let operation = node.op.name();
        let flat = ["floor", "ceil", "round", "trunc", "sign"];
        let (kind, operation) = match &node.op {
            Op::View(View::Alias) if !node.tracked => (CutKind::StopGradient, "stop_gradient"),
            Op::Elementwise(_) if operation == "cast" && !node.tracked => {
                (CutKind::Cast, operation)
            }
            Op::Elementwise(_) if flat.contains(&operation) => (CutKind::Flat, operation),
            _ if node.tracked && !stopped => return None,
            _ if node.dtype == crate::Dtype::Bool => (CutKind::Comparison, operation),
            _ => (CutKind::NoDerivative, operation),
        };
        Some(Cut {
            kind,
            operation,
            location: node.location,
        })
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            CutKind::StopGradient => "cut by",
            CutKind::Cast => "cut by a",
            CutKind::Comparison => "cut by the comparison",
            CutKind::Flat => "a slope of 0 from",
            CutKind::NoDerivative => "no derivative of",
        };
        write!(f, "{what} {} at {}", self.operation, self.location)
    }
}

/// How a loss depends on a parameter.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check::{self, Reach};
/// let all: Vec<_> = (0..4).map(|k| Param::new(Tensor::from([k as f64]))).collect();
/// let error = check::reachability(&all, |m, tape| {
///     let [a, b, c] = [0, 1, 2].map(|k: usize| m[k].on(tape));
///     let _aside = c.exp();
///     (a * b.stop_gradient()).sum()
/// });
/// let error = error.unwrap_err();
/// let found: Vec<Reach> = error.reachability().parameters().iter().map(|d| d.reach()).collect();
/// assert_eq!(found, [Reach::Reached, Reach::Cut, Reach::Aside, Reach::Unused]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reach {
    /// A gradient reaches it.
    Reached,
    /// The loss depends on it, but every way is cut.
    Cut,
    /// It was used, but not for the loss.
    Aside,
    /// It was not used.
    Unused,
    /// It is frozen: no gradient is wanted.
    Frozen,
}

/// A parameter, and how the loss depends on it.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check::{self, Reach};
/// let model = Param::new(Tensor::from([1.5]));
/// let error = check::reachability(&model, |m, tape| m.on(tape).round().sum()).unwrap_err();
/// let dependence = &error.reachability().parameters()[0];
/// assert_eq!((dependence.reach(), dependence.cuts().len()), (Reach::Cut, 1));
/// ```
#[derive(Clone, Debug)]
pub struct Dependence {
    name: String,
    reach: Reach,
    cuts: Vec<Cut>,
}

impl Dependence {
    /// The name of the parameter.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let model = Linear::<f32>::new(2, 2, &mut wengert::rng(0));
    /// let found = check::reachability(&model, |m, tape| m.forward(tape.full([2], 1.0)).sum())?;
    /// let names: Vec<&str> = found.parameters().iter().map(|d| d.name()).collect();
    /// assert_eq!(names, ["weight", "bias"]);
    /// # Ok::<(), check::Unreachable>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the loss depends on it.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::{self, Reach};
    /// let model = Param::new(Tensor::from([1.5]));
    /// let error = check::reachability(&model, |m, tape| m.on(tape).round().sum()).unwrap_err();
    /// assert_eq!(error.reachability().parameters()[0].reach(), Reach::Cut);
    /// ```
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Where ways from the loss to the parameter are cut: all of them if it is not reached, some of them
    /// if it is.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// // One way is cut, the other is not.
    /// let model = Param::new(Tensor::from([1.5]));
    /// let found = check::reachability(&model, |m, tape| (m.on(tape) - m.on(tape).round()).sum())?;
    /// assert_eq!(found.parameters()[0].cuts()[0].operation(), "round");
    /// # Ok::<(), check::Unreachable>(())
    /// ```
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }
}

/// Which parameters a gradient reaches: what [`reachability`] found.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check;
/// let model = Param::new(Tensor::from([1.5]));
/// let found = check::reachability(&model, |m, tape| m.on(tape).sum())?;
/// assert_eq!(found.to_string(), "a gradient reaches all of 1 trainable parameters");
/// # Ok::<(), check::Unreachable>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reachability {
    parameters: Vec<Dependence>,
}

impl Reachability {
    /// The parameters, in the order of a visit.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::{self, Reach};
    /// let model = Param::new(Tensor::from([1.5]));
    /// let found = check::reachability(&model, |m, tape| m.on(tape).sum())?;
    /// assert_eq!(found.parameters()[0].reach(), Reach::Reached);
    /// # Ok::<(), check::Unreachable>(())
    /// ```
    pub fn parameters(&self) -> &[Dependence] {
        &self.parameters
    }

    /// The trainable parameters that no gradient reaches.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::{self, Reach};
    /// let model = [Param::new(Tensor::from([1.0])), Param::new(Tensor::from([2.0]))];
    /// let error = check::reachability(&model, |m, tape| m[0].on(tape).sum()).unwrap_err();
    /// let unreached: Vec<_> = error.reachability().unreached().map(|d| (d.name(), d.reach())).collect();
    /// assert_eq!(unreached, [("1", Reach::Unused)]);
    /// ```
    pub fn unreached(&self) -> impl Iterator<Item = &Dependence> {
        let missed = |d: &&Dependence| !matches!(d.reach, Reach::Reached | Reach::Frozen);
        self.parameters.iter().filter(missed)
    }
}

impl fmt::Display for Reachability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.parameters.iter();
        let wanted = all.filter(|d| d.reach != Reach::Frozen).count();
        let missed = self.unreached().count();
        match missed {
            0 => write!(f, "a gradient reaches all of {wanted} trainable parameters")?,
            _ => write!(
                f,
                "no gradient reaches {missed} of {wanted} trainable parameters"
            )?,
        }
        // What is wrong before what may be meant.
        let reached = |d: &&Dependence| d.reach == Reach::Reached && !d.cuts.is_empty();
        let shown = self
            .unreached()
            .chain(self.parameters.iter().filter(reached));
        for dependence in shown {
            let Dependence { name, reach, cuts } = dependence;
            let name = match name.as_str() {
                "" => "parameter",
                name => name,
            };
            let said = match reach {
                Reach::Cut => "every way is cut",
                Reach::Aside => "used, but the loss does not depend on it",
                Reach::Unused => "not used",
                _ => "reached, but not every way",
            };
            write!(f, "\n{name}: {said}")?;
            for cut in cuts {
                write!(f, "\n  {cut}")?;
            }
        }
        Ok(())
    }
}

/// Trainable parameters that no gradient reaches. It displays as the [`Reachability`], as does its debug
/// form.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check;
/// let model = Param::new(Tensor::from([1.5]));
/// let error = check::reachability(&model, |m, tape| m.on(tape).round().sum()).unwrap_err();
/// assert!(error.to_string().starts_with("no gradient reaches 1 of 1 trainable parameters"));
/// ```
#[derive(Clone)]
pub struct Unreachable {
    found: Reachability,
}

impl Unreachable {
    /// What was found of all parameters.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let model = Param::new(Tensor::from([1.5]));
    /// let error = check::reachability(&model, |m, tape| m.on(tape).round().sum()).unwrap_err();
    /// assert_eq!(error.reachability().unreached().count(), 1);
    /// ```
    pub fn reachability(&self) -> &Reachability {
        &self.found
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.found, f)
    }
}

impl fmt::Debug for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.found, f)
    }
}

impl std::error::Error for Unreachable {}

/// Finds the trainable parameters that no gradient of a loss reaches, and the lines where the way to
/// each is cut.
///
/// The record is searched, nothing is computed. A way is cut by [`stop_gradient`](Var::stop_gradient),
/// by a conversion to integers, by a comparison, and by functions whose derivative is 0 everywhere, such
/// as `round`. An input that a checkpoint or the step of a loop stops within is cut at the line of the checkpoint or the loop; a slope
/// of 0 in there is not seen. A parameter that is reached on one way and cut on another counts as reached; its cuts are
/// listed.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check::{self, CutKind, Reach};
///
/// let model = [Param::new(Tensor::from([1.0, 2.0])), Param::new(Tensor::from([3.0]))];
/// let found = check::reachability(&model, |m, tape| {
///     let gate = m[1].on(tape).gt(2.5).cast::<f64>();
///     (m[0].on(tape) * gate).sum()
/// });
/// let error = found.unwrap_err();
/// let gate = &error.reachability().parameters()[1];
/// assert_eq!((gate.name(), gate.reach()), ("1", Reach::Cut));
/// assert_eq!(gate.cuts()[0].kind(), &CutKind::Comparison);
/// assert_eq!(gate.cuts()[0].location().line(), line!() - 7);
/// ```
///
/// # Errors
/// If a trainable parameter is not reached.
///
/// # Panics
/// If the loss is a variable of another tape; wherever `loss` does.
#[track_caller]
pub fn reachability<M: Module + ?Sized, T: Float>(
    model: &M,
    loss: impl FnOnce(&M, TapeRef) -> Var<T>,
) -> Result<Reachability, Unreachable> {
    let tape = Tape::new();
    let loss = loss(model, *tape);
    assert!(
        loss.tape() == *tape,
        "reachability: the loss is a variable of another tape"
    );
    let graph = tape.graph("reachability");
    let needed = [true, false].map(|within| ancestors(&graph, loss.index, within));
    let parameters = model.named_parameters().into_iter().map(|(name, param)| {
        let (reach, cuts) = look(&graph, &param, &needed);
        Dependence { name, reach, cuts }
    });
    let found = Reachability {
        parameters: parameters.collect(),
    };
    match found.unreached().count() {
        0 => Ok(found),
        _ => Err(Unreachable { found }),
    }
}

/// For each node up to a result, whether the result depends on it: also `within` the parts whose cotangents go by a rule, or not.
fn ancestors(graph: &Graph, result: u32, within: bool) -> Vec<bool> {
    let mut needed = vec![false; result as usize + 1];
    needed[result as usize] = true;
    for at in (0..needed.len()).rev() {
        if needed[at] {
            let node = graph.node(at as u32);
            // What a rule differentiates is computed beside it, and handed on.
            let handed_on = match &node.op {
                Op::Call(call) => call.overwrites().filter(|&k| !call.is_differentiable(k)),
                _ => None,
            };
            let inputs = node.inputs.iter().enumerate();
            for (_, &input) in inputs.filter(|&(k, _)| within || Some(k) != handed_on) {
                needed[input as usize] = true;
            }
        }
    }
    needed
}

/// How a result depends on a parameter, given which nodes it depends on, and those without the parts that have a rule.
fn look(graph: &Graph, param: &ParamRef<'_>, [all, apart]: &[Vec<bool>; 2]) -> (Reach, Vec<Cut>) {
    if !is_trainable(param) {
        return (Reach::Frozen, Vec::new());
    }
    let id = with_any!(param, param => param.id());
    let Some(&(_, leaf)) = graph.bindings.iter().find(|(bound, _)| *bound == id) else {
        return (Reach::Unused, Vec::new());
    };
    let [all, needed] = [all, apart].map(|n| n.get(leaf as usize).is_some_and(|&n| n).then_some(n));
    let Some(needed) = needed.or(all) else {
        return (Reach::Aside, Vec::new());
    };
    // Nodes that a gradient would lead from to the parameter.
    let mut open = vec![false; needed.len()];
    open[leaf as usize] = true;
    let mut cuts = Vec::new();
    for at in leaf as usize + 1..needed.len() {
        let node = graph.node(at as u32);
        let inputs = node.inputs.iter().enumerate();
        let mut from = inputs
            .filter(|&(_, &input)| open[input as usize])
            .peekable();
        if !needed[at] || from.peek().is_none() {
            continue;
        }
        // All that is open may be inputs that the operation has no derivative by.
        let stopped = from.all(|(k, _)| !node.op.is_differentiable(k));
        match Cut::of(node, stopped) {
            // The largest element that a softmax subtracts makes no difference to it, and what goes straight through goes another way.
            Some(cut)
                if cut.kind == CutKind::StopGradient
                    && (is_shift(graph, at) || is_passed(graph, at)) => {}
            Some(cut) if cuts.contains(&cut) => {}
            Some(cut) => cuts.push(cut),
            None => open[at] = true,
        }
    }
    match open[needed.len() - 1] {
        true => (Reach::Reached, cuts),
        false => (Reach::Cut, cuts),
    }
}

/// Whether a `stop_gradient` is that in `straight_through`, whose cotangent goes to what it stops.
fn is_passed(graph: &Graph, at: usize) -> bool {
    let node = &graph.nodes[at];
    graph.nodes[at + 1..].iter().any(|later| {
        later.location == node.location
            && later.inputs.contains(&node.inputs[0])
            && later.op.name() == "straight_through"
    })
}

/// Whether a `stop_gradient` is the one in a softmax or `logsumexp`: all that reads it is a maximum that was
/// recorded at the same place.
fn is_shift(graph: &Graph, at: usize) -> bool {
    let location = graph.nodes[at].location;
    let later = graph.nodes[at + 1..].iter();
    let readers = later.filter(|reader| reader.inputs.contains(&(at as u32)));
    let mut readers = readers.peekable();
    // Nothing reads the result itself.
    readers.peek().is_some()
        && readers.all(|reader| {
            let is_maximum = matches!(reader.op, Op::Reduce(Reduction::Max, _));
            is_maximum && reader.location == location
        })
}
