//! Functions written for one example, applied to a batch.

use super::examples::Recording;
use super::vars::{Vars, arranged, flat, tape_of};
use super::vectorize::{InBatch, vectorize};
use crate::shape::{Shape, few, or_panic, resolve_axis};
use crate::tape::{AnyVar, Placeholder, TapeRef, View};
use smallvec::SmallVec;
use std::panic::Location;

/// Applies a function that is written for one example to a batch: the first axis of every input counts the examples, and so does
/// that of every result.
///
/// The function is called once, with variables of the shape of one example. What it recorded is then recorded for all examples
/// together, so that nothing runs example by example, and derivatives can be taken inside as well as outside. What does not
/// depend on an example is computed once. For other axes, and for inputs that all examples share, see [`Vmap`].
///
/// Random numbers that the function draws differ from example to example. Those that were drawn before are what they are.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::{gradient, vmap};
/// let tape = Tape::new();
/// let w = tape.leaf(&Tensor::from([1.0, 2.0]));
/// let xs = tape.constant(&Tensor::from([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]));
/// let dots = vmap(|x| (x * w).sum(), xs);
/// assert_eq!(dots.value(), Tensor::from([1.0, 2.0, 3.0]));
///
/// // A gradient for each example.
/// let each = vmap(|x| gradient(|w| (x * w).sum().square(), w), xs);
/// assert_eq!(each.value(), Tensor::from([[2.0, 0.0], [0.0, 4.0], [6.0, 6.0]]));
/// ```
///
/// # Panics
/// If inputs have no axis, or first axes of different sizes; if the variables are of two tapes; wherever the function does; if it
/// asks for the value of what depends on an example.
#[track_caller]
pub fn vmap<X: Vars, Y: Vars>(f: impl FnOnce(X) -> Y, inputs: X) -> Y {
    Vmap::new().apply(f, inputs)
}

/// [`vmap`] along chosen axes.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::Vmap;
/// let tape = Tape::new();
/// let columns = tape.constant(&Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]));
/// let offset = tape.constant(&Tensor::from([10.0, 20.0]));
/// // The columns are the examples; all of them share the offset; in the result they are columns again.
/// let sums = Vmap::new().inputs([Some(1), None]).output(1);
/// let y = sums.apply(|(x, offset)| x + offset, (columns, offset));
/// assert_eq!(y.value(), Tensor::from([[11.0, 12.0, 13.0], [24.0, 25.0, 26.0]]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Vmap {
    /// The axis of each input; all first if none is given.
    inputs: Option<Vec<Option<isize>>>,
    output: isize,
}

impl Vmap {
    /// Along the first axes of all inputs and results.
    pub fn new() -> Self {
        Vmap::default()
    }

    /// The axis of each input that counts the examples, in the order of the arrangement; `None` for an input that all examples
    /// share. A negative axis counts from the last.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::Vmap;
    /// let tape = Tape::new();
    /// let x = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let sums = Vmap::new().inputs([Some(-1)]).apply(|column| column.sum(), x);
    /// assert_eq!(sums.value(), Tensor::from([4.0, 6.0]));
    /// ```
    pub fn inputs(mut self, axes: impl Into<Vec<Option<isize>>>) -> Self {
        self.inputs = Some(axes.into());
        self
    }

    /// The axis of every result that counts the examples. A negative axis counts from the last.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::Vmap;
    /// let tape = Tape::new();
    /// let x = tape.constant(&Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]));
    /// assert_eq!(Vmap::new().output(-1).apply(|row| row.exp(), x).shape(), Shape::from([3, 2]));
    /// ```
    pub fn output(mut self, axis: isize) -> Self {
        self.output = axis;
        self
    }

    /// Applies a function that is written for one example.
    ///
    /// # Panics
    /// As [`vmap`]; if an axis is out of range, there are not as many axes as inputs, or no input has one.
    #[track_caller]
    pub fn apply<X: Vars, Y: Vars>(&self, f: impl FnOnce(X) -> Y, inputs: X) -> Y {
        let given = flat(&inputs);
        let mapped = self.mapped(&given);
        let tape = tape_of("vmap", &given).expect("one that has an axis of examples");
        let size = size(&given, &mapped);
        let recording = Recording::new(tape, size);
        let mut standing: SmallVec<[AnyVar; 4]> = SmallVec::new();
        for (&input, axis) in given.iter().zip(&mapped) {
            let Some(axis) = *axis else {
                standing.push(input);
                continue;
            };
            standing.push(recording.example(moved(input, axis, 0)));
        }
        let outputs = recording.apply(|| f(arranged(&inputs, &standing)));
        let mut results: SmallVec<[AnyVar; 4]> = SmallVec::new();
        for result in recording.finish(&flat(&outputs)) {
            let shape = result.shape();
            let axis = resolve_axis(self.output, shape.rank())
                .map_err(|message| format!("{message} (shape {shape} of a result)"));
            results.push(moved(result, 0, or_panic("vmap", axis)));
        }
        arranged(&outputs, &results)
    }

    /// The axis of each input.
    #[track_caller]
    fn mapped(&self, given: &[AnyVar]) -> SmallVec<[Option<usize>; 4]> {
        let of = |k: usize| match &self.inputs {
            Some(axes) => axes[k],
            None => Some(0),
        };
        if let Some(axes) = &self.inputs {
            assert!(
                axes.len() == given.len(),
                "vmap: {} axes were given for {} inputs",
                axes.len(),
                given.len()
            );
        }
        // A loop, as closures do not know the line of the caller.
        let mut resolved: SmallVec<[Option<usize>; 4]> = SmallVec::new();
        for (k, input) in given.iter().enumerate() {
            let Some(axis) = of(k) else {
                resolved.push(None);
                continue;
            };
            let shape = input.shape();
            let axis = resolve_axis(axis, shape.rank())
                .map_err(|message| format!("{message} (shape {shape} of input {k})"));
            resolved.push(Some(or_panic("vmap", axis)));
        }
        assert!(
            resolved.iter().any(Option::is_some),
            "vmap: no input has an axis of examples"
        );
        resolved
    }
}

/// The number of examples.
#[track_caller]
fn size(given: &[AnyVar], mapped: &[Option<usize>]) -> usize {
    let mut sizes = given
        .iter()
        .zip(mapped)
        .filter_map(|(input, axis)| Some(input.shape()[(*axis)?]));
    let first = sizes.next().unwrap_or(0);
    if sizes.any(|size| size != first) {
        let each = given
            .iter()
            .zip(mapped)
            .enumerate()
            .filter_map(|(k, (input, axis))| {
                let (axis, shape) = ((*axis)?, input.shape());
                Some(format!(
                    "{} along axis {axis} of input {k} of shape {shape}",
                    shape[axis]
                ))
            });
        let each: Vec<String> = each.collect();
        panic!(
            "vmap: the inputs have different numbers of examples: {}",
            each.join(", ")
        );
    }
    first
}

/// The results for all examples, with the axis of the batch first.
#[track_caller]
pub(super) fn finish(
    tape: TapeRef,
    size: usize,
    given: &[(AnyVar, AnyVar)],
    outputs: &[AnyVar],
) -> SmallVec<[AnyVar; 4]> {
    if let Some(output) = outputs.iter().find(|output| output.tape() != tape) {
        output.shape();
        panic!("vmap: a result of the function is a variable of another tape");
    }
    let _line = tape.attribute_to(Location::caller());
    let results = vectorize(tape, size, given, outputs);
    results
        .into_iter()
        .map(|(result, differs)| {
            if differs {
                return result;
            }
            let whole: Shape = result.shape().with_inserted(0, size);
            tape.view(View::Expand, result, &whole)
        })
        .collect()
}

/// What a function of one example makes for all of them: of variables, each with or without the axis of the batch, others that have it.
#[track_caller]
pub(super) fn for_all(
    tape: TapeRef,
    size: usize,
    inputs: impl IntoIterator<Item = InBatch>,
    f: impl FnOnce(&[AnyVar]) -> Vec<AnyVar>,
) -> SmallVec<[AnyVar; 4]> {
    let mut pairs = Vec::new();
    let mut standing = Vec::new();
    for (input, differs) in inputs {
        if !differs {
            standing.push(input);
            continue;
        }
        let shape = input.shape().without(0);
        let example = tape.placeholder(&Placeholder::Example, input.dtype(), &shape);
        pairs.push((example, input));
        standing.push(example);
    }
    finish(tape, size, &pairs, &f(&standing))
}

/// An axis moved to another place.
#[track_caller]
pub(super) fn moved(variable: AnyVar, from: usize, to: usize) -> AnyVar {
    if from == to {
        return variable;
    }
    let rank = variable.shape().rank();
    let mut order = few((0..rank).filter(|&axis| axis != from));
    order.insert(to, from);
    variable.tape().permute(variable, &order)
}
