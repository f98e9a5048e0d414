//! Whole programs of random instructions.

use super::Multiples;
use super::draft::{Draft, DraftInput, ProgramTree};
use crate::check::{Check, Failure, Report};
use crate::tape::Var;
use crate::tensor::Tensor;
use proptest::collection::vec;
use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::fmt;
use std::sync::Arc;

/// The largest size of an axis of an input.
const LARGEST: usize = 3;

/// The axes of the inputs: `[m, n]`, `[n]` and `[m, 1]`.
const INPUTS: [&[Option<usize>]; 3] = [&[Some(0), Some(1)], &[Some(1)], &[Some(0), None]];

/// What an instruction does to one or two values; to one, which it is given twice.
type Function = Arc<dyn Fn(Var<f64>, Var<f64>) -> Var<f64> + Send + Sync>;

#[derive(Clone)]
pub(super) struct Instruction {
    name: &'static str,
    pub(super) operands: usize,
    function: Function,
}

fn one(
    name: &'static str,
    function: impl Fn(Var<f64>) -> Var<f64> + Send + Sync + 'static,
) -> Instruction {
    Instruction {
        name,
        operands: 1,
        function: Arc::new(move |x, _| function(x)),
    }
}

/// Of two values that broadcast; the mean of the second where they do not.
fn two(
    name: &'static str,
    function: impl Fn(Var<f64>, Var<f64>) -> Var<f64> + Send + Sync + 'static,
) -> Instruction {
    let fitted = move |x: Var<f64>, y: Var<f64>| match x.shape().broadcast(&y.shape()) {
        Some(_) => function(x, y),
        None => function(x, y.mean()),
    };
    Instruction {
        name,
        operands: 2,
        function: Arc::new(fitted),
    }
}

/// Smooth functions whose values and derivatives stay moderate.
fn smooth() -> Vec<Instruction> {
    let at_least = |rank: usize, f: fn(Var<f64>) -> Var<f64>| {
        move |x: Var<f64>| if x.rank() < rank { x } else { f(x) }
    };
    vec![
        one("tanh", |x| x.tanh()),
        one("sin", |x| x.sin()),
        one("sigmoid", |x| x.sigmoid()),
        one("half", |x| x * 0.5),
        one("exp_of_sin", |x| x.sin().exp()),
        one("ln_1_plus_square", |x| (x.square() + 1.0).ln()),
        one("sqrt_1_plus_square", |x| (x.square() + 1.0).sqrt()),
        one("sum_first_axis", at_least(1, |x| x.sum_axes(0))),
        one("mean_last_axis", at_least(1, |x| x.mean_keepdim(-1))),
        one("softmax", at_least(1, |x| x.softmax(-1))),
        one("log_softmax", at_least(1, |x| x.log_softmax(-1))),
        one("flip", at_least(1, |x| x.flip(0))),
        one("transpose", at_least(2, |x| x.t())),
        two("add", |x, y| x + y),
        two("sub", |x, y| x - y),
        two("mul", |x, y| x * y),
        two("div_1_plus_square", |x, y| x / (y.square() + 1.0)),
        Instruction {
            name: "matmul_t",
            operands: 2,
            function: Arc::new(|x, y| {
                let (a, b) = (x.shape(), y.shape());
                match (a.rank(), b.rank()) {
                    (2, 2) if a[1] == b[1] => x.matmul_t(y),
                    _ => x,
                }
            }),
        },
    ]
}

/// Functions with kinks.
fn kinked() -> Vec<Instruction> {
    vec![
        one("relu", |x| x.relu()),
        one("abs", |x| x.abs()),
        one("clamp", |x| x.clamp(-1.0, 1.0)),
        two("maximum", |x, y| x.maximum(y)),
    ]
}

/// A strategy for random programs; made by [`programs`].
///
/// ```
/// let programs = wengert::check::programs().longest(3);
/// let text = format!("{programs:?}");
/// assert!(text.starts_with("programs of up to 3 of [\"tanh\", \"sin\", "), "{text}");
/// ```
#[derive(Clone)]
pub struct Programs {
    instructions: Vec<Instruction>,
    longest: usize,
}

/// Random programs: up to six instructions on up to three inputs of shapes `[m, n]`, `[n]` and `[m, 1]`.
///
/// A rule that is wrong somewhere in the crate, or in an operation of your own that is put among the
/// instructions, is found in combination with others: behind a broadcast, used twice, differentiated
/// twice. A failing case shrinks to few instructions on few and small inputs: the smallest program that
/// shows the fault.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::check;
///
/// proptest! {
///     #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
///     # fn hidden(_ in 0..1) {}
///     fn my_operation(program in check::programs().unary("my_operation", |x| x.softplus())) {
///         check::property(program.gradients())?;
///     }
/// }
/// my_operation();
/// ```
pub fn programs() -> Programs {
    Programs {
        instructions: smooth(),
        longest: 6,
    }
}

impl Programs {
    /// One more instruction, of one value, which may have any shape of rank 0 to 2.
    ///
    /// ```
    /// use proptest::prelude::*;
    /// use wengert::check;
    ///
    /// proptest! {
    ///     #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]
    ///     # fn hidden(_ in 0..1) {}
    ///     fn case(program in check::programs().unary("mine", |x| x.softplus())) {
    ///         check::property(program.gradients())?;
    ///     }
    /// }
    /// case();
    /// ```
    pub fn unary(
        mut self,
        name: &'static str,
        f: impl Fn(Var<f64>) -> Var<f64> + Send + Sync + 'static,
    ) -> Self {
        self.instructions.push(one(name, f));
        self
    }

    /// One more instruction, of two values, which broadcast.
    ///
    /// ```
    /// use proptest::prelude::*;
    /// use wengert::check;
    ///
    /// proptest! {
    ///     #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]
    ///     # fn hidden(_ in 0..1) {}
    ///     fn case(program in check::programs().binary("mine", |x, y| x * y.tanh())) {
    ///         check::property(program.gradients())?;
    ///     }
    /// }
    /// case();
    /// ```
    pub fn binary(
        mut self,
        name: &'static str,
        f: impl Fn(Var<f64>, Var<f64>) -> Var<f64> + Send + Sync + 'static,
    ) -> Self {
        self.instructions.push(two(name, f));
        self
    }

    /// Functions with kinks among the instructions: `relu`, `abs`, `clamp`, `maximum`.
    ///
    /// ```
    /// let programs = wengert::check::programs().with_kinks();
    /// let text = format!("{programs:?}");
    /// assert!(text.ends_with("\"relu\", \"abs\", \"clamp\", \"maximum\"]"), "{text}");
    /// ```
    pub fn with_kinks(mut self) -> Self {
        self.instructions.extend(kinked());
        self
    }

    /// The most instructions of a program.
    ///
    /// ```
    /// use proptest::prelude::*;
    /// use wengert::check;
    ///
    /// proptest! {
    ///     #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]
    ///     # fn hidden(_ in 0..1) {}
    ///     fn case(program in check::programs().longest(2)) {
    ///         assert!(program.instructions().len() <= 2);
    ///     }
    /// }
    /// case();
    /// ```
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn longest(mut self, longest: usize) -> Self {
        assert!(longest > 0, "longest: a program has an instruction");
        self.longest = longest;
        self
    }
}

impl fmt::Debug for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.instructions.iter().map(|i| i.name);
        write!(f, "programs of up to {} of ", self.longest)?;
        f.debug_list().entries(names).finish()
    }
}

impl Strategy for Programs {
    type Tree = ProgramTree;
    type Value = RandomProgram;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let multiples = Multiples::of("programs", -1.5..1.5);
        // Operands are counted from the value that was computed last.
        let step = (0..self.instructions.len(), 0..4usize, 0..4usize);
        let steps = vec(step, 1..=self.longest);
        let elements = vec(
            vec(multiples.range.clone(), LARGEST * LARGEST),
            1..=INPUTS.len(),
        );
        let drawn = (1..=LARGEST, 1..=LARGEST, elements, steps).new_tree(runner)?;
        let (m, n, elements, steps) = drawn.current();
        let count = elements.len();
        let resolved = steps.into_iter().enumerate().map(|(at, (k, a, b))| {
            let there = count + at;
            let operand = |back: usize| there - 1 - back % there;
            (self.instructions[k].clone(), [operand(a), operand(b)])
        });
        let inputs = INPUTS.into_iter().zip(elements);
        Ok(ProgramTree::new(Draft {
            sizes: [m, n],
            inputs: inputs
                .map(|(axes, elements)| DraftInput { axes, elements })
                .collect(),
            steps: resolved.collect(),
            multiples,
        }))
    }
}

/// A program that [`programs`] made, with the inputs it runs on. It prints as its instructions.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::check;
///
/// proptest! {
///     #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]
///     # fn hidden(_ in 0..1) {}
///     fn case(program in check::programs()) {
///         assert!(format!("{program:?}").starts_with("%0 = "));
///     }
/// }
/// case();
/// ```
#[derive(Clone)]
pub struct RandomProgram {
    pub(super) inputs: Vec<Tensor<f64>>,
    pub(super) steps: Vec<(Instruction, [usize; 2])>,
}

impl RandomProgram {
    /// The inputs.
    ///
    /// ```
    /// use proptest::prelude::*;
    /// use wengert::check;
    ///
    /// proptest! {
    ///     #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]
    ///     # fn hidden(_ in 0..1) {}
    ///     fn case(program in check::programs()) {
    ///         assert!((1..=3).contains(&program.inputs().len()));
    ///     }
    /// }
    /// case();
    /// ```
    pub fn inputs(&self) -> &[Tensor<f64>] {
        &self.inputs
    }

    /// The names of the instructions, in order.
    ///
    /// ```
    /// use proptest::prelude::*;
    /// use wengert::check;
    ///
    /// proptest! {
    ///     #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]
    ///     # fn hidden(_ in 0..1) {}
    ///     fn case(program in check::programs()) {
    ///         assert!((1..=6).contains(&program.instructions().len()));
    ///     }
    /// }
    /// case();
    /// ```
    pub fn instructions(&self) -> Vec<&'static str> {
        self.steps.iter().map(|(step, _)| step.name).collect()
    }

    /// Records the program; its result is that of the last instruction.
    ///
    /// ```
    /// use proptest::prelude::*;
    /// use wengert::check;
    ///
    /// proptest! {
    ///     #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]
    ///     # fn hidden(_ in 0..1) {}
    ///     fn case(program in check::programs()) {
    ///         let tape = wengert::Tape::new();
    ///         let inputs: Vec<_> = program.inputs().iter().map(|x| tape.leaf(x)).collect();
    ///         assert!(program.record(&inputs).value().iter().all(f64::is_finite));
    ///     }
    /// }
    /// case();
    /// ```
    ///
    /// # Panics
    /// If there are not as many variables as inputs.
    #[track_caller]
    pub fn record(&self, inputs: &[Var<f64>]) -> Var<f64> {
        assert_eq!(
            inputs.len(),
            self.inputs.len(),
            "record: not as many variables as inputs"
        );
        let mut values = inputs.to_vec();
        let mut last = values[0];
        for (instruction, operands) in &self.steps {
            let [first, last_operand] = [operands[0], operands[instruction.operands - 1]];
            last = (instruction.function)(values[first], values[last_operand]);
            values.push(last);
        }
        last
    }

    /// The check of its gradients, with the settings of [`Check::default`].
    ///
    /// ```
    /// use proptest::prelude::*;
    /// use wengert::check;
    ///
    /// proptest! {
    ///     #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]
    ///     # fn hidden(_ in 0..1) {}
    ///     fn case(program in check::programs()) {
    ///         assert!(program.gradients().is_ok());
    ///     }
    /// }
    /// case();
    /// ```
    ///
    /// # Errors
    /// As [`gradients`](crate::check::gradients()).
    pub fn gradients(&self) -> Result<Report, Failure> {
        Check::new().gradients_of(|x| self.record(x), &self.inputs)
    }
}

impl fmt::Debug for RandomProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (k, input) in self.inputs.iter().enumerate() {
            writeln!(f, "%{k} = {} {:?}", input.shape(), input.to_vec())?;
        }
        for (k, (instruction, operands)) in self.steps.iter().enumerate() {
            let operands = operands[..instruction.operands].iter();
            let operands: Vec<String> = operands.map(|operand| format!("%{operand}")).collect();
            let number = self.inputs.len() + k;
            writeln!(f, "%{number} = {} {}", instruction.name, operands.join(" "))?;
        }
        Ok(())
    }
}
