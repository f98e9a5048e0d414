//! Functions of many numbers taken apart, for number types that need to know every step.

use super::real::{Plain, Real};

/// Implements [`Real`] for a number type by elementary operations on numbers; the items given are how it takes
/// norms and the logarithm of a sum of exponentials.
macro_rules! real_by_parts {
    ([$($generics:tt)*] $number:ty, $inner:ty; $($own:item)*) => {
        impl<$($generics)*> Real for $number {
            $crate::scalar::number::basics!($inner);
            #[track_caller]
            fn dot_by(n: usize, pair: impl Fn(usize) -> (Self, Self)) -> Self {
                Self::check_all("dot", 2 * n, |i| if i % 2 == 0 { pair(i / 2).0 } else { pair(i / 2).1 });
                (0..n)
                    .map(|i| {
                        let (a, b) = pair(i);
                        a * b
                    })
                    .sum()
            }
            #[track_caller]
            fn combine_by(n: usize, pair: impl Fn(usize) -> (Self::Plain, Self)) -> Self {
                Self::check_all("linear_combination", n, |i| pair(i).1);
                (0..n)
                    .map(|i| {
                        let (k, x) = pair(i);
                        x * Self::plain(k)
                    })
                    .sum()
            }
            #[track_caller]
            fn sum_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
                Self::check_all("sum", n, &term);
                (0..n).map(term).sum()
            }
            #[track_caller]
            fn polynomial_by(x: Self, n: usize, coefficient: impl Fn(usize) -> Self) -> Self {
                Self::check_all("polynomial", n + 1, |i| if i == n { x } else { coefficient(i) });
                (0..n).rev().map(coefficient).reduce(|sum, c| sum * x + c).unwrap_or_default()
            }
            $($own)*
        }
    };
}
pub(crate) use real_by_parts;

/// What `log_sum_exp` subtracts from numbers before it takes exponentials: the largest if that is finite.
pub(crate) fn shift_of<P: Plain>(values: impl Iterator<Item = P>) -> P {
    let largest = values.fold(P::neg_infinity(), P::max);
    if largest.is_finite() {
        largest
    } else {
        P::zero()
    }
}

/// The logarithm of the sum of `n` exponentials by its parts.
#[track_caller]
pub(crate) fn log_sum_exp<S: Real>(n: usize, term: impl Fn(usize) -> S) -> S {
    let shift = S::plain(shift_of((0..n).map(|i| term(i).primal())));
    S::sum_by(n, |i| (term(i) - shift).exp()).ln() + shift
}
