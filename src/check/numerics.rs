//! Where a program overflows, makes a NaN, or loses all digits.

use super::noise::{Seen, disturb};
use super::problem::weights;
use super::report::index_of;
use crate::element::{Any, Float, with_float};
use crate::op;
use crate::param::Module;
use crate::random::rng;
use crate::tape::{AnyVar, Graph, Op, Tape, TapeRef, Var};
use crate::tensor::{AnyTensor, Tensor};
use crate::transform::pull_back;
use std::fmt;
use std::panic::Location;

/// How often a program is computed with other rounding errors.
const TRIALS: u64 = 3;

/// What went wrong with a value.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check::{self, TroubleKind};
/// let x = [&Tensor::from([-1.0f32])];
/// let kind = |troubles: check::Troubles| troubles.all()[0].kind();
/// assert_eq!(kind(check::numerics(|[x]| (x + 1.0).ln(), x).unwrap_err()), TroubleKind::Infinite);
/// assert_eq!(kind(check::numerics(|[x]| x.sqrt(), x).unwrap_err()), TroubleKind::NotANumber);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TroubleKind {
    /// Infinite, from finite inputs: an overflow, or a pole such as `ln 0`. Or a number that was given so.
    Infinite,
    /// A NaN, from inputs without one: `inf - inf`, `0 / 0`, the root of a negative number. Or a number that
    /// was given so.
    NotANumber,
    /// Nothing but rounding errors, from inputs that are more than that: numbers that are nearly the same
    /// were subtracted.
    DigitsLost,
}

/// A value in which something goes wrong first.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check;
/// let x = Tensor::from([1.0f32, 200.0]);
/// let troubles = check::numerics(|[x]| x.exp().sum(), [&x]).unwrap_err();
/// let first = &troubles.all()[0];
/// // What it says: operation, elements, line, and what it was computed from.
/// assert!(first.to_string().starts_with("forward: exp becomes infinite in 1 of 2 elements, first [1]"));
/// assert!(first.to_string().ends_with("input 0: from 1e0 to 2e2"));
/// ```
#[derive(Clone, Debug)]
pub struct Trouble {
    kind: TroubleKind,
    backward: bool,
    operation: &'static str,
    location: &'static Location<'static>,
    index: Vec<usize>,
    elements: usize,
    size: usize,
    inputs: Vec<Option<(f64, f64)>>,
}

impl Trouble {
    /// What goes wrong.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::{self, TroubleKind};
    /// let x = Tensor::from([1.0f32, 200.0]);
    /// let troubles = check::numerics(|[x]| x.exp().sum(), [&x]).unwrap_err();
    /// let first = &troubles.all()[0];
    /// assert_eq!(first.kind(), TroubleKind::Infinite);
    /// ```
    pub fn kind(&self) -> TroubleKind {
        self.kind
    }

    /// Whether it goes wrong in the gradient; then the line is that of the operation whose rule it is.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// // The root of 0 is 0, its slope infinite.
    /// let troubles = check::numerics(|[x]| x.sqrt().sum(), [&Tensor::from([0.0f32])]).unwrap_err();
    /// assert!(troubles.all()[0].is_backward());
    /// ```
    pub fn is_backward(&self) -> bool {
        self.backward
    }

    /// The name of the operation that computed it.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([1.0f32, 200.0]);
    /// let troubles = check::numerics(|[x]| x.exp().sum(), [&x]).unwrap_err();
    /// let first = &troubles.all()[0];
    /// assert_eq!(first.operation(), "exp");
    /// ```
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The line that recorded it.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([1.0f32, 200.0]);
    /// let troubles = check::numerics(|[x]| x.exp().sum(), [&x]).unwrap_err();
    /// let first = &troubles.all()[0];
    /// assert_eq!(first.location().line(), line!() - 2);
    /// ```
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// The index of the first element that is affected.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([1.0f32, 200.0]);
    /// let troubles = check::numerics(|[x]| x.exp().sum(), [&x]).unwrap_err();
    /// let first = &troubles.all()[0];
    /// assert_eq!(first.index(), [1]);
    /// ```
    pub fn index(&self) -> &[usize] {
        &self.index
    }

    /// How many elements are affected.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([1.0f32, 200.0]);
    /// let troubles = check::numerics(|[x]| x.exp().sum(), [&x]).unwrap_err();
    /// let first = &troubles.all()[0];
    /// assert_eq!(first.elements(), 1);
    /// ```
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// The smallest and the largest finite element of each input of the operation.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([1.0f32, 200.0]);
    /// let troubles = check::numerics(|[x]| x.exp().sum(), [&x]).unwrap_err();
    /// let first = &troubles.all()[0];
    /// assert_eq!(first.inputs(), [Some((1.0, 200.0))]);
    /// ```
    pub fn inputs(&self) -> &[Option<(f64, f64)>] {
        &self.inputs
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = if self.backward { "backward" } else { "forward" };
        let what = match self.kind {
            TroubleKind::Infinite => "becomes infinite",
            TroubleKind::NotANumber => "makes a NaN",
            TroubleKind::DigitsLost => "loses all digits",
        };
        write!(
            f,
            "{part}: {} {what} in {} of {} elements, first {:?}\n  at {}",
            self.operation, self.elements, self.size, self.index, self.location
        )?;
        for (k, range) in self.inputs.iter().enumerate() {
            match range {
                Some((least, most)) if least == most => write!(f, "\n  input {k}: {least:e}")?,
                Some((least, most)) => write!(f, "\n  input {k}: from {least:e} to {most:e}")?,
                None => write!(f, "\n  input {k}: nothing finite")?,
            }
        }
        Ok(())
    }
}

/// Where a program goes wrong in its numbers: what [`numerics`] found. Its debug form is its display.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check;
/// let x = Tensor::from([200.0f32]);
/// let troubles = check::numerics(|[x]| x.exp().sum(), [&x]).unwrap_err();
/// assert!(troubles.to_string().starts_with("numbers go wrong in "));
/// assert_eq!(format!("{troubles:?}"), troubles.to_string());
/// ```
#[derive(Clone)]
pub struct Troubles {
    found: Vec<Trouble>,
}

impl Troubles {
    /// The places, in the order of the run.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([200.0f32]);
    /// let troubles = check::numerics(|[x]| x.exp().sum(), [&x]).unwrap_err();
    /// assert_eq!(troubles.all()[0].operation(), "exp");
    /// ```
    pub fn all(&self) -> &[Trouble] {
        &self.found
    }
}

impl fmt::Display for Troubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = if self.found.len() == 1 {
            "place"
        } else {
            "places"
        };
        write!(f, "numbers go wrong in {} {places}", self.found.len())?;
        for trouble in &self.found {
            write!(f, "\n{trouble}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Troubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Troubles {}

/// Finds where a function or its gradient overflows, makes a NaN or loses all digits.
///
/// The program is computed node by node. A value that is not finite though its inputs are is where an
/// overflow begins. For digits, it is computed three times more with other rounding errors: each result
/// that had to be rounded moves by one unit in the last place, up or down at random. Where that changes a
/// number by as much as the number itself, and changed what it was computed from by less, nothing is left
/// of it but rounding errors. Such a place counts if the result or a gradient that depends on it has lost
/// all digits somewhere.
///
/// A difference that is meant to vanish, as a residual does at the minimum, loses all digits too.
///
/// A result that is no scalar is contracted with random numbers, the same in every run, before it is
/// differentiated: the sum of what is normalized, as a softmax is, would have a gradient of rounding errors.
///
/// A constant that is infinite or a NaN counts if it makes the result or a gradient so; one that only masks
/// does not.
///
/// The steps of a [`scan`](crate::transform::scan()) are one node. An overflow in a step is named with the line
/// of the scan, and digits that a step loses are not seen; check the step by itself for these.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check::{self, TroubleKind};
///
/// let x = Tensor::from([1e-9f32, 0.5]);
/// let troubles = check::numerics(|[x]| (x + 1.0).ln() / x, [&x]).unwrap_err();
/// let first = &troubles.all()[0];
/// assert_eq!((first.kind(), first.operation()), (TroubleKind::DigitsLost, "ln"));
/// assert_eq!(first.index(), [0]);
/// // The cure.
/// check::numerics(|[x]| x.log1p() / x, [&Tensor::from([0.25f32, 0.5])])?;
/// # Ok::<(), check::Troubles>(())
/// ```
///
/// # Source
/// J. Vignes, "A stochastic arithmetic for reliable scientific computation", Mathematics and Computers in
/// Simulation 35 (1993). There every operation is rounded at random; here one that is exact is not.
///
/// # Errors
/// The places, with operation and line.
///
/// # Panics
/// If an operation cannot compute, as for an index out of range.
#[track_caller]
pub fn numerics<T: Float, const N: usize>(
    f: impl FnOnce([Var<T>; N]) -> Var<T>,
    inputs: [&Tensor<T>; N],
) -> Result<(), Troubles> {
    let tape = Tape::new();
    let line = tape.attribute_to(Location::caller());
    let leaves = inputs.map(|input| tape.leaf(input));
    drop(line);
    let output = f(leaves).erase();
    look(*tape, output, &leaves.map(Var::erase))
}

/// As [`numerics`], for a loss and its gradients with respect to the trainable parameters of a model.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check::{self, TroubleKind};
///
/// let scale = Param::new(Tensor::from([100.0f32]));
/// let troubles = check::model_numerics(&scale, |scale, tape| scale.on(tape).exp().sum());
/// let troubles = troubles.unwrap_err();
/// assert_eq!(troubles.all()[0].kind(), TroubleKind::Infinite);
/// assert_eq!(troubles.all()[0].location().line(), line!() - 3);
/// ```
///
/// # Errors
/// As [`numerics`].
///
/// # Panics
/// As [`numerics`].
#[track_caller]
pub fn model_numerics<M: Module + ?Sized, T: Float>(
    model: &M,
    loss: impl FnOnce(&M, TapeRef) -> Var<T>,
) -> Result<(), Troubles> {
    let tape = Tape::new();
    let output = loss(model, *tape).erase();
    let bindings = tape.graph("model_numerics").bindings.clone();
    let leaves = bindings.iter().map(|&(_, leaf)| tape.var(leaf));
    let tracked = |leaf: &AnyVar| tape.graph("model_numerics").node(leaf.index).tracked;
    let leaves: Vec<AnyVar> = leaves.filter(tracked).collect();
    look(*tape, output, &leaves)
}

#[track_caller]
fn look(tape: TapeRef, output: AnyVar, leaves: &[AnyVar]) -> Result<(), Troubles> {
    let forward = tape.len() as u32;
    let gradients = pull_back(output, cotangent(output), leaves);
    let gradients = gradients.into_iter().flatten();
    let targets: Vec<u32> = [output]
        .into_iter()
        .chain(gradients)
        .map(|v| v.index)
        .collect();
    let graph = tape.graph("numerics");
    let mut seen: Vec<Option<Seen>> = Vec::new();
    seen.resize_with(graph.nodes.len(), || None);
    let run = |each: &mut dyn FnMut(&Graph, u32, &mut AnyTensor)| {
        if let Err(message) = graph.each_value(&targets, each) {
            panic!("{message}");
        }
    };
    run(&mut |_, node, value| seen[node as usize] = Seen::of(value));
    for trial in 0..TRIALS {
        let mut rng = rng(trial);
        let mut moved: Vec<Option<AnyTensor>> = vec![None; graph.nodes.len()];
        run(&mut |graph, at, value| {
            let node = graph.node(at);
            let inputs: Vec<&AnyTensor> = node
                .inputs
                .iter()
                .filter_map(|&input| moved[input as usize].as_ref())
                .collect();
            disturb(node, &inputs, value, &mut rng);
            if let Some(seen) = &mut seen[at as usize] {
                seen.again(value);
            }
            moved[at as usize] = Some(value.clone());
        });
    }
    let mut found: Vec<Trouble> = Vec::new();
    let among = |at: u32, is: fn(&Seen, usize) -> bool| {
        let seen = seen[at as usize].as_ref();
        seen.is_some_and(|seen| (0..seen.len()).any(|k| is(seen, k)))
    };
    let lost = |at| among(at, Seen::is_lost);
    let spoiled = |at| among(at, |seen, k| seen.is_infinite(k) || seen.is_nan(k));
    // A sum that should be 0 is harmless where something larger is added to it.
    let loses = behind(&graph, &targets, lost, |_| true);
    let spoils = behind(&graph, &targets, spoiled, spoiled);
    for at in 0..graph.nodes.len() as u32 {
        let given = matches!(graph.node(at).op, Op::Fill(_));
        for trouble in judge(&graph, &seen, at, at >= forward) {
            let counts = match trouble.kind {
                TroubleKind::DigitsLost => loses[at as usize],
                TroubleKind::Infinite | TroubleKind::NotANumber => !given || spoils[at as usize],
            };
            if !counts {
                continue;
            }
            let place = |t: &Trouble| (t.location, t.operation, t.kind, t.backward);
            if !found.iter().any(|other| place(other) == place(&trouble)) {
                found.push(trouble);
            }
        }
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(Troubles { found }),
    }
}

/// The cotangent of the result: random numbers, as a sum may have no gradient; one for a scalar.
#[track_caller]
fn cotangent(output: AnyVar) -> AnyVar {
    let shape = output.shape();
    if shape.rank() == 0 {
        return op::seed(output);
    }
    let weights = weights(&shape, 0);
    with_float!(output.dtype(), T => output.tape().constant(&weights.cast::<T>()).erase())
}

/// For each node, whether a target is bad that depends on it by way of nodes that pass it on.
fn behind(
    graph: &Graph,
    targets: &[u32],
    is_bad: impl Fn(u32) -> bool,
    passes: impl Fn(u32) -> bool,
) -> Vec<bool> {
    let mut behind = vec![false; graph.nodes.len()];
    for &target in targets {
        behind[target as usize] = is_bad(target);
    }
    for at in (0..behind.len()).rev() {
        if behind[at] && passes(at as u32) {
            let inputs = graph.node(at as u32).inputs.iter();
            inputs.for_each(|&input| behind[input as usize] = true);
        }
    }
    behind
}

/// What goes wrong in a node, where it goes wrong there first.
fn judge(graph: &Graph, seen: &[Option<Seen>], at: u32, backward: bool) -> Vec<Trouble> {
    let node = graph.node(at);
    let (Some(own), false) = (&seen[at as usize], matches!(node.op, Op::View(_))) else {
        return Vec::new();
    };
    let read = node
        .inputs
        .iter()
        .map(|&input| seen[input as usize].as_ref());
    let inputs: Vec<&Seen> = read.flatten().collect();
    let elementwise = matches!(node.op, Op::Elementwise(_));
    let first_here = |kind: TroubleKind| -> Vec<usize> {
        // What an element would have from an input: of the same place, where the operation is elementwise.
        let from = |input: &Seen, k: usize| match kind {
            TroubleKind::Infinite => input.is_infinite(k) || input.is_nan(k),
            TroubleKind::NotANumber => input.is_nan(k),
            TroubleKind::DigitsLost => input.is_lost(k),
        };
        let has = |k: usize| match kind {
            TroubleKind::Infinite => own.is_infinite(k),
            TroubleKind::NotANumber => own.is_nan(k),
            TroubleKind::DigitsLost => own.is_lost(k),
        };
        let any = |input: &&Seen| (0..input.len()).any(|k| from(input, k));
        if !elementwise && inputs.iter().any(any) {
            return Vec::new();
        }
        let given = |k: usize| {
            let mut inputs = inputs.iter();
            elementwise && inputs.any(|input| from(input, input.place(&node.shape, k)))
        };
        (0..own.len()).filter(|&k| has(k) && !given(k)).collect()
    };
    let kinds = [
        TroubleKind::Infinite,
        TroubleKind::NotANumber,
        TroubleKind::DigitsLost,
    ];
    let troubles = kinds.into_iter().filter_map(|kind| {
        let elements = first_here(kind);
        Some(Trouble {
            kind,
            backward,
            operation: node.op.name(),
            location: node.location,
            index: index_of(*elements.first()?, &node.shape),
            elements: elements.len(),
            size: node.shape.size(),
            inputs: inputs.iter().map(|input| input.range()).collect(),
        })
    });
    troubles.collect()
}

/// The elements of a tensor of a floating-point type.
pub(super) fn elements(value: &AnyTensor) -> Option<Vec<f64>> {
    match value {
        Any::F32(value) => Some(value.iter().map(f64::from).collect()),
        Any::F64(value) => Some(value.to_vec()),
        _ => None,
    }
}
