//! Programs, evaluated and differentiated.

use std::fmt::{self, Display, Formatter};

use super::super::dual::Dual;
use super::super::real::Plain;
use super::super::recordings::Ongoing;
use super::super::table::{Binary, Step};
use super::{Instruction, RECORDINGS, Traced};

/// The partial derivatives of a function of two numbers: those of the operations on [`Dual`](super::Dual).
fn binary_partials<T: Plain>(function: Binary, a: T, b: T) -> [T; 2] {
    let (zero, one) = (T::zero(), T::one());
    let (a, b) = (Dual::new(a, [one, zero]), Dual::new(b, [zero, one]));
    function.value(a, b).tangents()
}

/// A program would have gone another way at the inputs given than when it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diverged {
    instruction: usize,
    what: &'static str,
}

impl Diverged {
    /// The place in the program, as the number of instructions before it.
    ///
    /// ```
    /// use wengert::scalar::Program;
    /// let mut program = Program::record(|x| vec![if x[0] > 1.0 { x[0] } else { x[0].exp() }], &[3.0]);
    /// let diverged = program.evaluate(&[0.5]).unwrap_err();
    /// // After the input and the number 1.
    /// assert_eq!(diverged.instruction(), 2);
    /// assert!(diverged.to_string().contains("a comparison had another outcome"));
    /// ```
    pub fn instruction(&self) -> usize {
        self.instruction
    }
}

impl Display for Diverged {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Diverged { instruction, what } = self;
        write!(
            f,
            "program: instruction {instruction}: {what} when recorded; record it again at these inputs"
        )
    }
}

impl std::error::Error for Diverged {}

/// Numeric code recorded once, to be evaluated and differentiated at other inputs without running it.
///
/// What the code asked about numbers is checked at each evaluation. Comparisons are checked for the order of the two
/// numbers (less, equal, greater, or not comparable), maxima and minima are functions and not checked.
///
/// ```
/// use wengert::scalar::Program;
/// let mut program = Program::record(|x| vec![if x[0] > 0.0 { x[0] * x[1] } else { x[1].exp() }], &[3.0, 4.0]);
/// assert_eq!(program.evaluate(&[5.0, 6.0]).unwrap(), [30.0]);
/// let mut gradient = [0.0; 2];
/// assert_eq!(program.vjp_into(&[5.0, 6.0], &[1.0], &mut gradient).unwrap(), [30.0]);
/// assert_eq!(gradient, [6.0, 5.0]);
/// assert!(program.evaluate(&[-1.0, 6.0]).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Program<T> {
    instructions: Vec<Instruction>,
    inputs: usize,
    outputs: Vec<Result<u32, T>>,
    values: Vec<T>,
    adjoints: Vec<T>,
    results: Vec<T>,
}

impl<T: Plain> Program<T> {
    /// Records what a function does at `x`.
    ///
    /// # Panics
    /// If the function returns a number of another recording.
    ///
    /// ```
    /// use wengert::scalar::Program;
    /// let mut square = Program::record(|x| vec![x[0] * x[0]], &[3.0]);
    /// assert_eq!(square.evaluate(&[5.0]).unwrap(), [25.0]);
    /// ```
    #[track_caller]
    pub fn record(f: impl FnOnce(&[Traced<T>]) -> Vec<Traced<T>>, x: &[T]) -> Self {
        let ongoing = Ongoing::begin(&RECORDINGS, vec![Instruction::Input; x.len()]);
        let tag = ongoing.tag();
        let x: Vec<Traced<T>> = (0..)
            .zip(x)
            .map(|(index, &value)| Traced { value, index, tag })
            .collect();
        let mut outputs = Vec::new();
        for y in f(&x) {
            outputs.push(match y.tag {
                0 => Err(y.value),
                _ => Ok(y.index_in("record", tag)),
            });
        }
        let instructions = ongoing.end().unwrap_or_default();
        Program {
            instructions,
            inputs: x.len(),
            outputs,
            values: Vec::new(),
            adjoints: Vec::new(),
            results: Vec::new(),
        }
    }

    /// The number of instructions: inputs, constants, operations, operands of `norm` and `log_sum_exp`, and questions about
    /// numbers.
    ///
    /// ```
    /// use wengert::scalar::Program;
    /// let program = Program::record(|x| vec![x[0] * x[1] + 1.0], &[3.0, 4.0]);
    /// assert_eq!(program.len(), 5);
    /// ```
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether the program has no inputs and does nothing.
    ///
    /// ```
    /// use wengert::scalar::Program;
    /// assert!(Program::<f64>::record(|_| vec![], &[]).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }

    /// The results at `x`.
    ///
    /// ```
    /// use wengert::scalar::{Diverged, Program};
    /// let mut program = Program::record(|x| vec![x[0].sqrt(), x[0] * 2.0], &[1.0]);
    /// assert_eq!(program.evaluate(&[4.0])?, [2.0, 8.0]);
    /// # Ok::<(), Diverged>(())
    /// ```
    ///
    /// # Errors
    /// If the code would have gone another way at `x`.
    ///
    /// # Panics
    /// If `x` has not as many numbers as when recorded.
    #[track_caller]
    pub fn evaluate(&mut self, x: &[T]) -> Result<&[T], Diverged> {
        assert!(
            x.len() == self.inputs,
            "evaluate: {} numbers for {} inputs",
            x.len(),
            self.inputs
        );
        self.values.clear();
        for (k, instruction) in self.instructions.iter().enumerate() {
            let at = |i: u32| self.values[i as usize];
            let check = |same: bool, what| {
                if same {
                    Ok(T::zero())
                } else {
                    Err(Diverged {
                        instruction: k,
                        what,
                    })
                }
            };
            let value = match *instruction {
                Instruction::Input => x[k],
                Instruction::Constant(c) => T::nearest(c),
                Instruction::Unary(function, a) => function.value(at(a)),
                Instruction::Binary(function, a, b) => function.value(at(a), at(b)),
                Instruction::MulAdd(a, b, c) => at(a).mul_add(at(b), at(c)),
                Instruction::Operand(a) => at(a),
                Instruction::Wide(function, n) => function.value(&self.values[k - n as usize..]),
                Instruction::Step(function, a) => match function {
                    Step::Floor => at(a).floor(),
                    Step::Ceil => at(a).ceil(),
                    Step::Round => at(a).round(),
                    Step::Trunc => at(a).trunc(),
                    Step::Signum => at(a).signum(),
                },
                Instruction::Compared(a, b, found) => check(
                    at(a).partial_cmp(&at(b)) == found,
                    "a comparison had another outcome",
                )?,
                Instruction::Classified(a, class, negative) => check(
                    at(a).classify() == class && at(a).is_sign_negative() == negative,
                    "a number was of another class or sign",
                )?,
                // The sign of a NaN has no meaning, and may be another each time.
                Instruction::Read(a, value) => check(
                    at(a).is_identical(T::nearest(value)) || at(a).is_nan() && value.is_nan(),
                    "a value that was read out was another",
                )?,
            };
            self.values.push(value);
        }
        self.results.clear();
        let values = &self.values;
        self.results.extend(self.outputs.iter().map(|y| match y {
            Ok(index) => values[*index as usize],
            Err(constant) => *constant,
        }));
        Ok(&self.results)
    }

    /// The results at `x`, and into `gradient` the derivatives of their sum weighted by `cotangent`.
    ///
    /// ```
    /// use wengert::scalar::{Diverged, Program};
    /// let mut program = Program::record(|x| vec![x[0] * x[1], x[1].powi(2)], &[1.0, 1.0]);
    /// let mut gradient = [0.0; 2];
    /// let values = program.vjp_into(&[2.0, 3.0], &[1.0, 10.0], &mut gradient)?;
    /// assert_eq!(values, [6.0, 9.0]);
    /// assert_eq!(gradient, [3.0, 2.0 + 60.0]);
    /// # Ok::<(), Diverged>(())
    /// ```
    ///
    /// # Errors
    /// If the code would have gone another way at `x`; `gradient` is then as it was.
    ///
    /// # Panics
    /// If a slice has not the length of what it stands for.
    #[track_caller]
    pub fn vjp_into(
        &mut self,
        x: &[T],
        cotangent: &[T],
        gradient: &mut [T],
    ) -> Result<&[T], Diverged> {
        assert!(
            cotangent.len() == self.outputs.len() && gradient.len() == self.inputs,
            "vjp_into: {} seeds for {} results, room for {} derivatives by {} inputs",
            cotangent.len(),
            self.outputs.len(),
            gradient.len(),
            self.inputs
        );
        self.evaluate(x)?;
        self.adjoints.clear();
        self.adjoints.resize(self.values.len(), T::zero());
        for (y, &seed) in self.outputs.iter().zip(cotangent) {
            if let Ok(index) = y {
                self.adjoints[*index as usize] += seed;
            }
        }
        for (k, instruction) in self.instructions.iter().enumerate().rev() {
            let adjoint = self.adjoints[k];
            if adjoint.is_exactly_zero() {
                continue;
            }
            let (adjoints, values) = (&mut self.adjoints, &self.values);
            let at = |i: u32| values[i as usize];
            let constant =
                |i: u32| matches!(self.instructions[i as usize], Instruction::Constant(_));
            let mut to = |i: u32, partial: T| {
                if !constant(i) {
                    adjoints[i as usize] += adjoint * partial;
                }
            };
            match *instruction {
                Instruction::Unary(function, a) => to(a, function.partial(at(a), values[k])),
                Instruction::Binary(function, a, b) => {
                    let [da, db] = binary_partials(function, at(a), at(b));
                    to(a, da);
                    to(b, db);
                }
                Instruction::MulAdd(a, b, c) => {
                    to(a, at(b));
                    to(b, at(a));
                    to(c, T::one());
                }
                Instruction::Operand(a) => to(a, T::one()),
                Instruction::Wide(function, n) => {
                    let first = k - n as usize;
                    function.partials(&values[first..k], values[k], |i, partial| {
                        to((first + i) as u32, partial);
                    });
                }
                _ => {}
            }
        }
        gradient.copy_from_slice(&self.adjoints[..self.inputs]);
        Ok(&self.results)
    }
}
