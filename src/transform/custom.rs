//! Gradients that users say themselves.

use super::checkpoint::copied;
use super::examples::Recording;
use super::forward::assert_same_tape;
use super::packed::{pack, parts, shapes_of};
use super::vars::{Vars, arranged, flat, tape_of};
use crate::element::{Dtype, Float};
use crate::op;
use crate::shape::Shape;
use crate::tape::{
    AnyVar, Batch, Binary, Input, Operation, Output, Pullback, Reads, Span, TapeRef, UserRule, Var,
    described_here, same,
};
use std::rc::Rc;

/// Applies a function with a gradient rule of its own, in the place of the one that its operations have: for a formula that is more
/// stable or cheaper, for a surrogate, or where the function only approximates what it stands for.
///
/// `rule` maps the inputs, the value and the cotangent of the value to the cotangents of the inputs, in operations on variables. So
/// the gradient can be differentiated again. A function of several results, of one floating-point type, gives them in any
/// [arrangement](Vars), in which the rule has their cotangents: zeros for one that nothing depends on.
///
/// The rule may hold other variables than its inputs, also those of a function that [`vmap`](super::vmap()) runs on all examples. To them it
/// gives no cotangents.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::custom_vjp;
/// // ln(1 + exp(x)): the derivative that its operations give overflows.
/// let log1pexp = |x: Var| {
///     custom_vjp(|x: Var| (x.exp() + 1.0).ln(), |x, _, ct| ct * x.sigmoid(), x)
/// };
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from([0.0, 100.0]));
/// assert_eq!(log1pexp(x).sum().gradient(x).value(), Tensor::from([0.5, 1.0]));
/// ```
///
/// # Panics
/// If results are not of one floating-point type; if the function reads a tracked variable from outside, as its gradient would be cut off; wherever the function does. When a
/// derivative is taken: if a cotangent has not the shape of its input, or is of another tape.
#[track_caller]
pub fn custom_vjp<X: Vars + 'static, Y: Vars + 'static>(
    f: impl FnOnce(X) -> Y,
    rule: impl Fn(X, Y, Y) -> X + 'static,
    inputs: X,
) -> Y {
    let given = flat(&inputs);
    let Some(tape) = tape_of("custom_vjp", &given) else {
        return f(inputs);
    };
    let before = tape.len();
    let mut own = Vec::with_capacity(given.len());
    for &x in &given {
        own.push(tape.untracked(x));
    }
    let outputs = f(arranged(&inputs, &own));
    let several = flat(&outputs);
    assert_same_tape("custom_vjp", &several, &own);
    let Some(output) = pack("custom_vjp", &several) else {
        return outputs;
    };
    let read = Span::since(tape, before).derived_from(tape, &[], output);
    if let Some(read) = read.first() {
        panic!(
            "custom_vjp: the function reads {read:?} from outside, whose gradient the rule does not give: make it an input"
        );
    }
    let (arrangement, like, shapes) = (inputs.clone(), outputs.clone(), shapes_of(&several));
    let rule: UserRule = Rc::new(move |inputs, value, cotangent| {
        let inputs = arranged(&arrangement, inputs);
        let [value, cotangent] =
            [value, cotangent].map(|packed| arranged(&like, &parts(packed, &shapes)));
        flat(&rule(inputs, value, cotangent)).to_vec()
    });
    let shapes = shapes_of(&several);
    arranged(&outputs, &parts(ruled(tape, rule, output, &given), &shapes))
}

/// Records that cotangents of `output` go to `inputs` by a rule.
#[track_caller]
pub(super) fn ruled(tape: TapeRef, rule: UserRule, output: AnyVar, inputs: &[AnyVar]) -> AnyVar {
    let number = {
        let mut graph = tape.graph_mut("custom_vjp");
        graph.rules.push(rule);
        graph.rules.len() - 1
    };
    let read: Vec<AnyVar> = inputs.iter().copied().chain([output]).collect();
    let inputs = inputs.len();
    tape.record(Ruled { number, inputs }, &read)
}

/// The last input, whose cotangent goes to the others by a rule of the tape.
#[derive(Debug, PartialEq)]
struct Ruled {
    number: usize,
    /// How many others.
    inputs: usize,
}

impl Operation for Ruled {
    fn name(&self) -> &'static str {
        "custom_vjp"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((inputs[self.inputs].0, inputs[self.inputs].1.clone()))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        copied(&inputs[self.inputs], output)
    }

    fn overwrites(&self) -> Option<usize> {
        Some(self.inputs)
    }

    fn is_differentiable(&self, k: usize) -> bool {
        k < self.inputs
    }

    fn cotangents(&self, pullback: &Pullback<'_>, _wanted: &[bool]) -> Option<Vec<Option<AnyVar>>> {
        let rule = pullback.output.tape().graph("custom_vjp").rules[self.number].clone();
        let inputs = &pullback.inputs[..self.inputs];
        let found = rule(inputs, pullback.output, pullback.cotangent);
        assert!(
            found.len() == self.inputs,
            "gradient: the rule of custom_vjp gave {} cotangents for {} inputs ({:?})",
            found.len(),
            self.inputs,
            pullback.output
        );
        for (k, (&share, &input)) in found.iter().zip(inputs).enumerate() {
            if input.dtype().is_float() {
                op::check_shape(pullback.output, share, (k, input));
            }
        }
        Some(found.into_iter().map(Some).chain([None]).collect())
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let (tape, size) = (batch.inputs[0].tape(), batch.size());
        let one = tape.graph("custom_vjp").rules[self.number].clone();
        let inputs: Vec<AnyVar> = (0..self.inputs).map(|k| batch.whole(k)).collect();
        let stands = batch.stands.to_vec();
        // The rule is one for each example: all inputs have the axis of the batch.
        let rule: UserRule = Rc::new(move |inputs, value, cotangent| {
            let tape = value.tape();
            let recording = Recording::within(tape, size, &stands);
            let inputs: Vec<AnyVar> = inputs.iter().map(|&x| recording.example(x)).collect();
            let (value, cotangent) = (recording.example(value), recording.example(cotangent));
            let found = recording.apply(|| one(&inputs, value, cotangent));
            recording.finish(&found).to_vec()
        });
        Some(ruled(tape, rule, batch.whole(self.inputs), &inputs))
    }

    fn holds_variables(&self) -> bool {
        true
    }

    fn reads(&self) -> Reads {
        Reads::BOTH
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

/// The second operand, with the derivative of the first.
struct StraightThrough;
impl<T: Float> Binary<T> for StraightThrough {
    described_here!(binary, StraightThrough, T, floats);
    type Output = T;
    const NAME: &'static str = "straight_through";
    const READS: Reads = Reads::NOTHING;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(_through: T, value: T) -> T {
        value
    }
    fn vjp(k: usize, a: Var<T>, _b: Var<T>, _y: Var<T>, ct: Var<T>) -> Var<T> {
        if k == 0 { ct } else { a.tape().number(T::ZERO) }
    }
}

impl<T: Float> Var<T> {
    /// The value of a function with the derivative of the identity: the straight-through estimator, for steps whose own derivative
    /// is 0 nearly everywhere.
    ///
    /// # Derivative
    /// 1, whatever the function; variables that the function reads from outside get 0.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.2, 1.7]));
    /// let y = x.straight_through(|x| x.round());
    /// assert_eq!(y.value(), Tensor::from([0.0, 2.0]));
    /// assert_eq!((y * y).sum().gradient(x).value(), Tensor::from([0.0, 4.0]));
    /// ```
    ///
    /// # Panics
    /// If the function gives another shape or a variable of another tape, or the tape was reset or dropped.
    ///
    /// # Source
    /// Y. Bengio, N. Léonard, A. Courville, "Estimating or propagating gradients through stochastic neurons", 2013.
    #[track_caller]
    pub fn straight_through(self, f: impl FnOnce(Self) -> Self) -> Self {
        let value = f(self.stop_gradient());
        let (given, shape) = (value.shape(), self.shape());
        assert!(
            given == shape,
            "straight_through: the function makes shape {given} of {shape}"
        );
        self.binary::<StraightThrough>(value)
    }
}
