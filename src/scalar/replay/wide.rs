//! Functions of many numbers that are one step of a program: no elementary steps would have their derivatives at every edge.

use super::super::nary;
use super::super::parts::shift_of;
use super::super::real::Plain;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wide {
    Norm,
    LogSumExp,
}

impl Wide {
    /// The name of the function, for messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Wide::Norm => "norm",
            Wide::LogSumExp => "log_sum_exp",
        }
    }

    /// The value at `x`.
    pub(super) fn value<T: Plain>(self, x: &[T]) -> T {
        match self {
            Wide::Norm => nary::norm(x),
            Wide::LogSumExp => nary::log_sum_exp(x),
        }
    }

    /// Hands over the partial derivative by each of `x`, where the value is `y`: the formulas of the other number types.
    pub(super) fn partials<T: Plain>(self, x: &[T], y: T, mut to: impl FnMut(usize, T)) {
        match self {
            Wide::Norm if y.is_zero() => {}
            Wide::Norm => {
                for (i, &x) in x.iter().enumerate() {
                    to(i, x / y);
                }
            }
            Wide::LogSumExp => {
                let shift = shift_of(x.iter().copied());
                let sum: T = x.iter().map(|&x| (x - shift).exp()).sum();
                let scale = sum.recip();
                for (i, &x) in x.iter().enumerate() {
                    to(i, (x - shift).exp() * scale);
                }
            }
        }
    }
}
