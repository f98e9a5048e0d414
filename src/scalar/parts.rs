//! Functions of many numbers taken apart, for number types that need to know every step.

/// Implements [`Real`](super::Real) for a number type by elementary operations on numbers.
macro_rules! real_by_parts {
    ([$($generics:tt)*] $number:ty, $inner:ty) => {
        impl<$($generics)*> Real for $number {
            $crate::scalar::number::basics!($inner);
            #[track_caller]
            fn dot_by(n: usize, pair: impl Fn(usize) -> (Self, Self)) -> Self {
                let product = |i| {
                    let (a, b) = pair(i);
                    a * b
                };
                (1..n).fold(if n == 0 { Self::zero() } else { product(0) }, |sum, i| sum + product(i))
            }
            #[track_caller]
            fn combine_by(n: usize, pair: impl Fn(usize) -> (Self::Plain, Self)) -> Self {
                Self::sum_by(n, |i| {
                    let (k, x) = pair(i);
                    x * Self::plain(k)
                })
            }
            #[track_caller]
            fn sum_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
                (0..n).map(term).sum()
            }
            #[track_caller]
            fn norm_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
                // As for the other number types, there is no derivative at the origin.
                if (0..n).all(|i| term(i).primal().is_zero()) {
                    return Self::zero();
                }
                let largest = (0..n).fold(<Self::Plain as num_traits::Zero>::zero(), |m, i| {
                    num_traits::Float::max(m, num_traits::Float::abs(term(i).primal()))
                });
                let scale = Self::plain(if num_traits::Float::is_finite(largest) { largest } else { <Self::Plain as num_traits::One>::one() });
                Self::sum_by(n, |i| {
                    let x = term(i) / scale;
                    x * x
                }).sqrt() * scale
            }
            #[track_caller]
            fn log_sum_exp_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
                let smallest = num_traits::Float::neg_infinity();
                let largest: Self::Plain = (0..n).fold(smallest, |m, i| num_traits::Float::max(m, term(i).primal()));
                let shift = Self::plain(if num_traits::Float::is_finite(largest) { largest } else { <Self::Plain as num_traits::Zero>::zero() });
                Self::sum_by(n, |i| (term(i) - shift).exp()).ln() + shift
            }
            #[track_caller]
            fn polynomial_by(x: Self, n: usize, coefficient: impl Fn(usize) -> Self) -> Self {
                (0..n).rev().map(coefficient).reduce(|sum, c| sum * x + c).unwrap_or_default()
            }
        }
    };
}
pub(crate) use real_by_parts;
