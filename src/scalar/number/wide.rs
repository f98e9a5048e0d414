//! The trait `Real` of a number type, with the functions of many numbers.

/// Writes the items of [`Real`] that are the same for all number types.
macro_rules! basics {
    ($inner:ty) => {
        type Plain = <$inner as Real>::Plain;
        type Couple = [Self; 2];
        const LEVEL: usize = <$inner as Real>::LEVEL + 1;

        #[inline]
        fn plain(x: Self::Plain) -> Self {
            Self::lift(<$inner as Real>::plain(x))
        }
        #[inline]
        #[track_caller]
        fn primal(self) -> Self::Plain {
            self.observe(Question::Value);
            self.inner().primal()
        }
        $crate::scalar::number::forward! {
            erf() -> Self;
            erfc() -> Self;
            gamma() -> Self;
            ln_gamma() -> Self;
            polygamma(n: u32) -> Self;
            sigmoid() -> Self;
            softplus() -> Self;
        }
        #[inline]
        fn is_exactly_zero(self) -> bool {
            self.has_no_effect()
        }
        #[inline]
        fn is_identical(self, other: Self) -> bool {
            self.is_same(other)
        }
    };
}
pub(crate) use basics;

/// Implements [`Real`] for a number type whose functions of many numbers are those of [`Number::wide`].
macro_rules! real {
    ([$($generics:tt)*] $number:ty, $inner:ty) => {
        impl<$($generics)*> Real for $number {
            $crate::scalar::number::basics!($inner);
            #[inline]
            #[track_caller]
            fn dot_by(n: usize, pair: impl Fn(usize) -> (Self, Self)) -> Self {
                Self::pairs(n, pair)
            }
            #[inline]
            #[track_caller]
            fn combine_by(n: usize, pair: impl Fn(usize) -> (Self::Plain, Self)) -> Self {
                let value = <$inner>::combine_by(n, |i| {
                    let (k, x) = pair(i);
                    (k, x.inner())
                });
                Self::wide("linear_combination", value, n, |i| {
                    let (k, x) = pair(i);
                    (x, <$inner as Real>::plain(k))
                })
            }
            #[inline]
            #[track_caller]
            fn sum_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
                let value = <$inner>::sum_by(n, |i| term(i).inner());
                Self::wide("sum", value, n, |i| (term(i), <$inner>::one()))
            }
            #[track_caller]
            fn norm_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
                let value = <$inner>::norm_by(n, |i| term(i).inner());
                let at_origin = value == <$inner>::zero();
                Self::wide("norm", value, n, |i| {
                    let x = term(i);
                    (x, if at_origin { <$inner>::zero() } else { x.inner() / value })
                })
            }
            #[track_caller]
            fn log_sum_exp_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
                let shift = $crate::scalar::parts::shift_of((0..n).map(|i| term(i).primal()));
                let shifted = |x: Self| (x.inner() - <$inner as Real>::plain(shift)).exp();
                let sum = <$inner>::sum_by(n, |i| shifted(term(i)));
                // Not the exponential of `x - value`: its error would grow with the value.
                let scale = sum.recip();
                Self::wide("log_sum_exp", sum.ln() + <$inner as Real>::plain(shift), n, |i| {
                    let x = term(i);
                    (x, shifted(x) * scale)
                })
            }
            #[track_caller]
            fn polynomial_by(x: Self, n: usize, coefficient: impl Fn(usize) -> Self) -> Self {
                let at = x.inner();
                let value = <$inner>::polynomial_by(at, n, |i| coefficient(i).inner());
                let slope = <$inner>::polynomial_by(at, n.saturating_sub(1), |i| {
                    $crate::scalar::number::literal::<$inner>((i + 1) as f64) * coefficient(i + 1).inner()
                });
                // The powers of x are the partial derivatives by the coefficients.
                let power = std::cell::Cell::new(<$inner>::one());
                Self::wide("polynomial", value, n + 1, |i| {
                    if i == n {
                        return (x, slope);
                    }
                    power.set(if i == 0 { <$inner>::one() } else { power.get() * at });
                    (coefficient(i), power.get())
                })
            }
        }
    };
}
pub(crate) use real;
