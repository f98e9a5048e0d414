//! Programs: recorded once, evaluated and differentiated at other inputs.

mod program;
mod wide;

use super::number::names::*;
use super::parts::real_by_parts;
use super::recordings::{Recordings, within};
pub use program::{Diverged, Program};
use wide::Wide;

/// One step of a program. Operands are indices of earlier ones.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Instruction {
    Input,
    /// A number of `f32` too is exact in `f64`.
    Constant(f64),
    Unary(Unary, u32),
    Binary(Binary, u32, u32),
    MulAdd(u32, u32, u32),
    /// The operand of a function of many numbers.
    Operand(u32),
    /// A function of as many of the numbers right before it.
    Wide(Wide, u32),
    Step(Step, u32),
    /// The program compared two numbers, and found this.
    Compared(u32, u32, Option<Ordering>),
    /// The program asked for the class of a number, its sign bit included.
    Classified(u32, FpCategory, bool),
    /// The program read a number out. A number of `f32` too is exact in `f64`.
    Read(u32, f64),
}

thread_local! {
    /// The programs being recorded.
    static RECORDINGS: Recordings<Vec<Instruction>> = const { Recordings::new() };
}

/// Adds an instruction to a program being recorded.
#[track_caller]
fn push(operation: &'static str, tag: u64, instruction: Instruction) -> u32 {
    let added = within(&RECORDINGS, tag, |program| {
        program.push(instruction);
        u32::try_from(program.len() - 1)
    });
    match added {
        Some(Ok(index)) => index,
        Some(Err(_)) => panic!("{operation}: a program holds at most 2^32 instructions"),
        None => ended(operation),
    }
}

#[track_caller]
fn ended(operation: &'static str) -> ! {
    panic!("{operation}: the recording of this number has ended, or is one of another thread")
}

#[track_caller]
fn mixed(operation: &'static str) -> ! {
    panic!("{operation}: numbers of two recordings")
}

/// The number that [`Program::record`] hands to its function: it notes down what is done to it.
///
/// Comparisons and questions about its class are noted with their answers. Where its value is read out, by `value` or a
/// conversion, the program is tied to that very value.
///
/// ```
/// use wengert::scalar::{Program, Traced};
/// fn larger_half(x: &[Traced<f64>]) -> Vec<Traced<f64>> {
///     vec![x[0].max(x[1]) * 0.5]
/// }
/// // A maximum is a function: the program is not tied to which of the two was larger.
/// let mut program = Program::record(larger_half, &[3.0, 4.0]);
/// assert_eq!(program.evaluate(&[8.0, 6.0]).unwrap(), [4.0]);
/// ```
#[derive(Clone, Copy)]
pub struct Traced<T> {
    value: T,
    index: u32,
    /// The recording; 0 for a constant.
    tag: u64,
}

impl<T: Real> Traced<T> {
    #[track_caller]
    fn note(
        self,
        operation: &'static str,
        value: T,
        instruction: impl FnOnce(u32) -> Instruction,
    ) -> Self {
        if self.tag == 0 {
            return Traced::lift(value);
        }
        let index = push(operation, self.tag, instruction(self.index));
        Traced {
            value,
            index,
            tag: self.tag,
        }
    }

    /// The operand's index in a recording.
    #[track_caller]
    fn index_in(self, operation: &'static str, tag: u64) -> u32 {
        if self.tag == 0 {
            let constant = Instruction::Constant(as_f64(self.value));
            return push(operation, tag, constant);
        }
        if self.tag != tag {
            mixed(operation);
        }
        self.index
    }

    /// A function of many numbers, from its value.
    #[track_caller]
    fn of_many(function: Wide, value: T, n: usize, term: impl Fn(usize) -> Self) -> Self {
        let name = function.name();
        Self::check_all(name, n, &term);
        let Some(first) = (0..n).map(&term).find(|x| x.tag != 0) else {
            return Traced::lift(value);
        };
        for i in 0..n {
            let x = term(i);
            let operand = match x.tag {
                0 => Instruction::Constant(as_f64(x.value)),
                _ => Instruction::Operand(x.index),
            };
            push(name, first.tag, operand);
        }
        let Ok(count) = u32::try_from(n) else {
            panic!("{name}: a program holds at most 2^32 instructions")
        };
        first.note(name, value, |_| Instruction::Wide(function, count))
    }

    /// The value. The program can then be evaluated only where it is the same.
    ///
    /// ```
    /// use wengert::scalar::Program;
    /// let mut program = Program::record(|x| vec![x[0] * x[1].value()], &[3.0, 4.0]);
    /// assert_eq!(program.evaluate(&[5.0, 4.0]).unwrap(), [20.0]);
    /// assert!(program.evaluate(&[5.0, 4.5]).is_err());
    /// ```
    #[track_caller]
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
        self.note(function.name(), value, |x| Instruction::Unary(function, x))
    }
    #[track_caller]
    fn binary(function: Binary, value: T, (a, _): (Self, T), (b, _): (Self, T)) -> Self {
        let tag = if a.tag == 0 { b.tag } else { a.tag };
        if tag == 0 {
            return Traced::lift(value);
        }
        let name = function.name();
        let (i, j) = (a.index_in(name, tag), b.index_in(name, tag));
        Traced {
            value,
            index: push(name, tag, Instruction::Binary(function, i, j)),
            tag,
        }
    }
    fn wide(_: &str, value: T, _: usize, _: impl Fn(usize) -> (Self, T)) -> Self {
        unreachable!("functions of many numbers are known by name, or taken apart: {value}")
    }
    #[track_caller]
    fn multiply_add(self, a: Self, b: Self, value: T) -> Self {
        let Some(tag) = [self.tag, a.tag, b.tag].into_iter().find(|&tag| tag != 0) else {
            return Traced::lift(value);
        };
        let name = "mul_add";
        let (i, j) = (self.index_in(name, tag), a.index_in(name, tag));
        let k = b.index_in(name, tag);
        Traced {
            value,
            index: push(name, tag, Instruction::MulAdd(i, j, k)),
            tag,
        }
    }
    #[track_caller]
    fn check_all(operation: &'static str, n: usize, term: impl Fn(usize) -> Self) {
        let mut tags = (0..n).map(|i| term(i).tag).filter(|&tag| tag != 0);
        let Some(first) = tags.next() else {
            return;
        };
        if within(&RECORDINGS, first, |_| ()).is_none() {
            ended(operation);
        }
        if tags.any(|tag| tag != first) {
            mixed(operation);
        }
    }
    #[track_caller]
    fn step(self, function: Step, value: T) -> Self {
        self.note(function.name(), value, |x| Instruction::Step(function, x))
    }
    #[track_caller]
    fn larger(self, other: Self) -> Self {
        let zero = T::zero();
        Self::binary(
            Binary::Max,
            self.value.max(other.value),
            (self, zero),
            (other, zero),
        )
    }
    #[track_caller]
    fn smaller(self, other: Self) -> Self {
        let zero = T::zero();
        Self::binary(
            Binary::Min,
            self.value.min(other.value),
            (self, zero),
            (other, zero),
        )
    }
    #[track_caller]
    fn observe(self, question: Question) {
        let _ = self.note(question.name(), self.value, |x| match question {
            Question::Class => {
                Instruction::Classified(x, self.value.classify(), self.value.is_sign_negative())
            }
            Question::Value => Instruction::Read(x, as_f64(self.value)),
        });
    }
    #[track_caller]
    fn compare(self, other: Self) -> Option<Ordering> {
        let found = self.value.partial_cmp(&other.value);
        let tag = if self.tag == 0 { other.tag } else { self.tag };
        if tag != 0 {
            let name = "partial_cmp";
            let (i, j) = (self.index_in(name, tag), other.index_in(name, tag));
            push(name, tag, Instruction::Compared(i, j, found));
        }
        found
    }
    #[track_caller]
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

real_by_parts! {
    [T: Real] Traced<T>, T;
    #[track_caller]
    fn norm_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
        let value = T::norm_by(n, |i| term(i).value);
        Self::of_many(Wide::Norm, value, n, term)
    }
    #[track_caller]
    fn log_sum_exp_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
        let value = T::log_sum_exp_by(n, |i| term(i).value);
        Self::of_many(Wide::LogSumExp, value, n, term)
    }
}
