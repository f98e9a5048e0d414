//! Programs: recorded once, evaluated and differentiated at other inputs.

mod program;

use super::number::names::*;
use super::recordings::{Recordings, within};
pub use program::{Diverged, Program};

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
    /// The programs being recorded.
    static RECORDINGS: Recordings<Vec<Instruction>> = const { Recordings::new() };
}

/// Adds an instruction to a program being recorded.
#[track_caller]
fn push(tag: u64, instruction: Instruction) -> u32 {
    let added = within(&RECORDINGS, tag, |program| {
        program.push(instruction);
        u32::try_from(program.len() - 1)
    });
    match added {
        Some(Ok(index)) => index,
        Some(Err(_)) => panic!("Traced: a program holds at most 2^32 instructions"),
        None => {
            panic!("Traced: the recording of this number has ended, or is one of another thread")
        }
    }
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
    super::number::basics!(T);
    #[track_caller]
    fn dot_by(n: usize, pair: impl Fn(usize) -> (Self, Self)) -> Self {
        (0..n)
            .map(|i| {
                let (a, b) = pair(i);
                a * b
            })
            .sum()
    }
    #[track_caller]
    fn combine_by(n: usize, pair: impl Fn(usize) -> (T::Plain, Self)) -> Self {
        (0..n)
            .map(|i| {
                let (k, x) = pair(i);
                x * Self::plain(k)
            })
            .sum()
    }
    #[track_caller]
    fn sum_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
        (0..n).map(term).sum()
    }
    #[track_caller]
    fn norm_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
        (0..n)
            .map(term)
            .fold(Traced::lift(T::zero()), Traced::hypot)
    }
    #[track_caller]
    fn log_sum_exp_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
        let largest = (0..n)
            .map(&term)
            .fold(Traced::lift(T::neg_infinity()), Traced::max);
        // The shift cancels, in the derivative too.
        (0..n).map(|i| (term(i) - largest).exp()).sum::<Self>().ln() + largest
    }
    #[track_caller]
    fn polynomial_by(x: Self, n: usize, coefficient: impl Fn(usize) -> Self) -> Self {
        let all = (0..n).rev().map(coefficient);
        all.reduce(|sum, c| sum * x + c).unwrap_or_default()
    }
}
