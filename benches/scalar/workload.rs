//! What a workload is, and how the scalar tape differentiates it.

use std::ops::{Add, Div, Mul, Sub};
use std::time::{Duration, Instant};

use wengert::scalar::{Real, Scalar, Tape};

/// What the sources of the workloads ask of a number.
pub trait Number:
    Real<Plain = f64>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
{
}

impl<S> Number for S where
    S: Real<Plain = f64>
        + Add<f64, Output = S>
        + Sub<f64, Output = S>
        + Mul<f64, Output = S>
        + Div<f64, Output = S>
{
}

/// How the source of a workload is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// With operators and elementary functions alone.
    Source,
    /// With `dot`, `sum` and the like, which record one node.
    Nary,
}

/// Functions of numbers to be differentiated: one, or a sequence of small ones.
pub trait Workload {
    fn name(&self) -> &'static str;

    /// Elementary operations on numbers that depend on the variables: additions, multiplications, divisions, negations
    /// and elementary functions, as the plain source has them. Sums of `n` terms that start from 0 count `n` additions,
    /// those of [`squares`] `n - 1`; comparisons and copies count nothing.
    fn operations(&self) -> usize;

    /// The variables.
    fn point(&self) -> &[f64];

    /// The number of derivatives.
    fn derivatives(&self) -> usize {
        self.point().len()
    }

    /// The values alone, in one number.
    fn plain(&self) -> f64;

    /// The derivatives by formulas written by hand.
    fn by_hand(&self, gradient: &mut [f64]) -> f64;

    /// The derivatives by the tape. Returns the value, and what recording and sweeping took.
    fn by_tape(&self, run: &mut Run, form: Form, gradient: &mut [f64]) -> (f64, [Duration; 2]);

    /// The value at another point, where the derivative numbered `i` is that of the value by a variable, for differences.
    fn along(&self, derivative: usize, step: f64) -> f64;
}

/// The methods of a workload that is one `function(x, &self, form)` of the variables `self.x`.
macro_rules! one_function {
    () => {
        fn by_tape(&self, run: &mut Run, form: Form, gradient: &mut [f64]) -> (f64, [Duration; 2]) {
            match form {
                Form::Source => {
                    run.gradient(|x| function(x, self, Form::Source), &self.x, gradient)
                }
                Form::Nary => run.gradient(|x| function(x, self, Form::Nary), &self.x, gradient),
            }
        }

        fn along(&self, derivative: usize, step: f64) -> f64 {
            let mut x = self.x.clone();
            x[derivative] += step;
            function(&x, self, Form::Source)
        }
    };
}
pub(crate) use one_function;

/// A tape that is used again and again, and its largest record so far.
#[derive(Debug)]
pub struct Run {
    pub tape: Tape<f64>,
    pub vars: Vec<Scalar<f64>>,
    /// A buffer for the terms of a sum.
    pub terms: Vec<Scalar<f64>>,
    pub bytes: usize,
    pub nodes: usize,
}

impl Run {
    pub fn new() -> Self {
        Run {
            tape: Tape::new(),
            vars: Vec::new(),
            terms: Vec::new(),
            bytes: 0,
            nodes: 0,
        }
    }

    /// One function of many variables.
    pub fn gradient(
        &mut self,
        f: impl FnOnce(&[Scalar<f64>]) -> Scalar<f64>,
        x: &[f64],
        gradient: &mut [f64],
    ) -> (f64, [Duration; 2]) {
        let start = Instant::now();
        self.tape.reset();
        self.tape.vars_into(x, &mut self.vars);
        let y = f(&self.vars);
        let recorded = Instant::now();
        self.tape.gradient_into(y, &self.vars, gradient);
        let swept = recorded.elapsed();
        (self.bytes, self.nodes) = (self.tape.bytes(), self.tape.nodes());
        (y.value(), [recorded - start, swept])
    }
}

/// The sum of squares.
#[inline]
pub fn squares<S: Number>(x: &[S], form: Form) -> S {
    if form == Form::Nary {
        return wengert::scalar::dot(x, x);
    }
    x[1..].iter().fold(x[0] * x[0], |sum, &x| sum + x * x)
}
