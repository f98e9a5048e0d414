//! Programs: recorded once, evaluated and differentiated at other inputs.

use std::cell::RefCell;

use super::number::names::*;

/// One step of a program. Operands are indices of earlier ones.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Instruction {
    Input,
    /// A number of `f32` too is exact in `f64`.
    Constant(f64),
    Unary(Unary, u32),
    Binary(Binary, u32, u32),
    MulAdd(u32, u32, u32),
    Step(Step, u32),
    /// The program compared two numbers, and found this.
    Compared(u32, u32, Option<Ordering>),
    /// The program asked for the class of a number, its sign bit included.
    Classified(u32, FpCategory, bool),
    /// The program read a number out. A number of `f32` too is exact in `f64`.
    Read(u32, f64),
}

thread_local! {
    /// The programs being recorded, with their tags; one may be recorded while another is.
    static RECORDINGS: RefCell<Vec<(u64, Vec<Instruction>)>> = const { RefCell::new(Vec::new()) };
    static TAGS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Adds an instruction to a program being recorded.
#[track_caller]
fn push(tag: u64, instruction: Instruction) -> u32 {
    let added = RECORDINGS.with_borrow_mut(|recordings| {
        let (_, program) = recordings.iter_mut().rev().find(|(own, _)| *own == tag)?;
        let index = program.len() as u32;
        program.push(instruction);
        Some(index)
    });
    match added {
        Some(index) => index,
        None => {
            panic!("Traced: the recording of this number has ended, or is one of another thread")
        }
    }
}

/// The number that [`Program::record`] hands to its function: it notes down what is done to it.
///
/// Comparisons and questions about its class are noted with their answers. Where its value is read out, by `value` or a
/// conversion, the program is tied to that very value.
#[derive(Clone, Copy)]
pub struct Traced<T> {
    value: T,
    index: u32,
    /// The recording; 0 for a constant.
    tag: u64,
}

impl<T: Real> Traced<T> {
    fn note(self, value: T, instruction: impl FnOnce(u64, u32) -> Instruction) -> Self {
        if self.tag == 0 {
            return Traced::lift(value);
        }
        let index = push(self.tag, instruction(self.tag, self.index));
        Traced {
            value,
            index,
            tag: self.tag,
        }
    }

    /// The operand's index in a recording.
    #[track_caller]
    fn index_in(self, tag: u64) -> u32 {
        if self.tag == 0 {
            return push(tag, Instruction::Constant(as_f64(self.value)));
        }
        assert!(
            self.tag == tag,
            "Traced: an operation on numbers of two recordings"
        );
        self.index
    }

    /// The value. The program can then be evaluated only where it is the same.
    pub fn value(self) -> T {
        self.observe(Question::Value);
        self.value
    }

    fn has_no_effect(self) -> bool {
        self.tag == 0 && self.value.is_exactly_zero()
    }

    fn is_same(self, other: Self) -> bool {
        self.tag == other.tag
            && self.value.is_identical(other.value)
            && (self.tag == 0 || self.index == other.index)
    }
}

fn as_f64<T: Real>(x: T) -> f64 {
    x.to_f64().unwrap_or(f64::NAN)
}

impl<T: Real> Number for Traced<T> {
    type Inner = T;

    #[inline]
    fn lift(value: T) -> Self {
        Traced {
            value,
            index: 0,
            tag: 0,
        }
    }
    #[inline]
    fn inner(self) -> T {
        self.value
    }
    #[inline]
    fn is_lifted(self) -> bool {
        self.tag == 0
    }
    #[track_caller]
    fn unary(self, function: Unary, value: T, _: T) -> Self {
        self.note(value, |_, x| Instruction::Unary(function, x))
    }
    #[track_caller]
    fn binary(function: Binary, value: T, (a, _): (Self, T), (b, _): (Self, T)) -> Self {
        let tag = if a.tag == 0 { b.tag } else { a.tag };
        if tag == 0 {
            return Traced::lift(value);
        }
        let (i, j) = (a.index_in(tag), b.index_in(tag));
        Traced {
            value,
            index: push(tag, Instruction::Binary(function, i, j)),
            tag,
        }
    }
    #[track_caller]
    fn wide(value: T, n: usize, term: impl Fn(usize) -> (Self, T)) -> Self {
        // No function reaches this by way of the macros: those of many numbers are composed, below.
        (0..n)
            .map(term)
            .fold(Traced::lift(value), |sum, (x, partial)| {
                sum + (x - Traced::lift(x.value)) * Traced::lift(partial)
            })
    }
    #[track_caller]
    fn multiply_add(self, a: Self, b: Self, value: T) -> Self {
        let Some(tag) = [self.tag, a.tag, b.tag].into_iter().find(|&tag| tag != 0) else {
            return Traced::lift(value);
        };
        let (i, j, k) = (self.index_in(tag), a.index_in(tag), b.index_in(tag));
        Traced {
            value,
            index: push(tag, Instruction::MulAdd(i, j, k)),
            tag,
        }
    }
    fn step(self, function: Step, value: T) -> Self {
        self.note(value, |_, x| Instruction::Step(function, x))
    }
    fn larger(self, other: Self) -> Self {
        let zero = T::zero();
        Self::binary(
            Binary::Max,
            self.value.max(other.value),
            (self, zero),
            (other, zero),
        )
    }
    fn smaller(self, other: Self) -> Self {
        let zero = T::zero();
        Self::binary(
            Binary::Min,
            self.value.min(other.value),
            (self, zero),
            (other, zero),
        )
    }
    fn observe(self, question: Question) {
        let _ = self.note(self.value, |_, x| match question {
            Question::Class => {
                Instruction::Classified(x, self.value.classify(), self.value.is_sign_negative())
            }
            Question::Value => Instruction::Read(x, as_f64(self.value)),
        });
    }
    fn compare(self, other: Self) -> Option<Ordering> {
        let found = self.value.partial_cmp(&other.value);
        let tag = if self.tag == 0 { other.tag } else { self.tag };
        if tag != 0 {
            let (i, j) = (self.index_in(tag), other.index_in(tag));
            push(tag, Instruction::Compared(i, j, found));
        }
        found
    }
    fn equals(self, other: Self) -> bool {
        self.compare(other) == Some(Ordering::Equal)
    }
}

impl<T: Real> Debug for Traced<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traced")
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

number!([T: Real] Traced<T>, T);

impl<T: Real> Real for Traced<T> {
    type Plain = T::Plain;
    const LEVEL: usize = T::LEVEL + 1;

    fn plain(x: T::Plain) -> Self {
        Traced::lift(T::plain(x))
    }
    fn primal(self) -> T::Plain {
        self.value().primal()
    }
    super::number::forward! {
        erf() -> Self;
        erfc() -> Self;
        gamma() -> Self;
        ln_gamma() -> Self;
        polygamma(n: u32) -> Self;
        sigmoid() -> Self;
        softplus() -> Self;
    }
    fn is_exactly_zero(self) -> bool {
        self.has_no_effect()
    }
    fn is_identical(self, other: Self) -> bool {
        self.is_same(other)
    }
    fn dot_by(n: usize, pair: impl Fn(usize) -> (Self, Self)) -> Self {
        (0..n)
            .map(|i| {
                let (a, b) = pair(i);
                a * b
            })
            .sum()
    }
    fn combine_by(n: usize, pair: impl Fn(usize) -> (T::Plain, Self)) -> Self {
        (0..n)
            .map(|i| {
                let (k, x) = pair(i);
                x * Self::plain(k)
            })
            .sum()
    }
    fn sum_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
        (0..n).map(term).sum()
    }
    fn norm_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
        (0..n)
            .map(term)
            .fold(Traced::lift(T::zero()), Traced::hypot)
    }
    fn log_sum_exp_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
        let largest = (0..n)
            .map(&term)
            .fold(Traced::lift(T::neg_infinity()), Traced::max);
        // The shift cancels, in the derivative too.
        (0..n).map(|i| (term(i) - largest).exp()).sum::<Self>().ln() + largest
    }
    fn polynomial_by(x: Self, n: usize, coefficient: impl Fn(usize) -> Self) -> Self {
        (0..n)
            .rev()
            .fold(Traced::lift(T::zero()), |s, i| s * x + coefficient(i))
    }
}

/// The value of a function of one number.
macro_rules! unary_value {
    ($function:expr, $at:expr; |$x:ident, $y:ident| $($variant:ident $name:ident $doc:literal ($value:expr) ($partial:expr);)*) => {{
        let $x = $at;
        match $function {
            $(Unary::$variant => $value,)*
            Unary::Neg => -$x,
            Unary::Powi(n) => $x.powi(n),
            Unary::Polygamma(n) => $x.polygamma(n),
        }
    }};
}

/// The partial derivative of a function of one number, of which the value is known.
macro_rules! unary_partial {
    ($function:expr, $at:expr, $of:expr; |$x:ident, $y:ident| $($variant:ident $name:ident $doc:literal ($value:expr) ($partial:expr);)*) => {{
        let ($x, $y) = ($at, $of);
        match $function {
            $(Unary::$variant => $partial,)*
            Unary::Neg => -T::one(),
            Unary::Powi(n) => powi_partial($x, n),
            Unary::Polygamma(n) => $x.polygamma(n + 1),
        }
    }};
}

fn unary_value<T: Plain>(function: Unary, x: T) -> T {
    super::table::unary_table!(unary_value, function, x;)
}

fn unary_partial<T: Plain>(function: Unary, x: T, y: T) -> T {
    super::table::unary_table!(unary_partial, function, x, y;)
}

fn binary_value<T: Real>(function: Binary, a: T, b: T) -> T {
    match function {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Rem => a % b,
        Binary::Powf => a.powf(b),
        Binary::Atan2 => a.atan2(b),
        Binary::Hypot => a.hypot(b),
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
    }
}

/// The partial derivatives of a function of two numbers: those of the operations on [`Dual`](super::Dual).
fn binary_partials<T: Plain>(function: Binary, a: T, b: T) -> [T; 2] {
    use super::dual::Dual;
    let (zero, one) = (T::zero(), T::one());
    let (a, b) = (Dual::new(a, [one, zero]), Dual::new(b, [zero, one]));
    binary_value(function, a, b).tangents()
}

/// A program would have gone another way at the inputs given than when it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diverged {
    instruction: usize,
    what: &'static str,
}

impl Diverged {
    /// The place in the program, as the number of instructions before it.
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

/// Ends a recording, also if its function panics.
struct Ending(u64);

impl Drop for Ending {
    fn drop(&mut self) {
        RECORDINGS.with_borrow_mut(|recordings| recordings.retain(|(tag, _)| *tag != self.0));
    }
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
        let tag = TAGS.get() + 1;
        TAGS.set(tag);
        let inputs = vec![Instruction::Input; x.len()];
        RECORDINGS.with_borrow_mut(|recordings| recordings.push((tag, inputs)));
        let ending = Ending(tag);
        let x: Vec<Traced<T>> = (0..)
            .zip(x)
            .map(|(index, &value)| Traced { value, index, tag })
            .collect();
        let outputs = f(&x)
            .into_iter()
            .map(|y| {
                if y.tag == 0 {
                    Err(y.value)
                } else {
                    Ok(y.index_in(tag))
                }
            })
            .collect();
        let instructions = RECORDINGS.with_borrow_mut(|recordings| {
            let own = recordings.iter_mut().find(|(own, _)| *own == tag);
            own.map_or_else(Vec::new, |(_, program)| std::mem::take(program))
        });
        drop(ending);
        Program {
            instructions,
            inputs: x.len(),
            outputs,
            values: Vec::new(),
            adjoints: Vec::new(),
            results: Vec::new(),
        }
    }

    /// The number of instructions.
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether the program has no inputs and does nothing.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }

    /// The results at `x`.
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
                Instruction::Unary(function, a) => unary_value(function, at(a)),
                Instruction::Binary(function, a, b) => binary_value(function, at(a), at(b)),
                Instruction::MulAdd(a, b, c) => at(a).mul_add(at(b), at(c)),
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
                Instruction::Read(a, value) => check(
                    at(a).is_identical(T::nearest(value)),
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
                Instruction::Unary(function, a) => to(a, unary_partial(function, at(a), values[k])),
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
                _ => {}
            }
        }
        gradient.copy_from_slice(&self.adjoints[..self.inputs]);
        Ok(&self.results)
    }
}
