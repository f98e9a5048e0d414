//! The inherent methods of a number type.

/// Writes the methods of one number from the rows of the table.
macro_rules! unary_methods {
    ([$($generics:tt)*] $number:ty; |$x:ident, $y:ident| $($function:ident $name:ident $doc:literal ($value:expr) ($partial:expr);)*) => {
        #[allow(clippy::should_implement_trait)]
        impl<$($generics)*> $number {
            $(
                #[doc = $doc]
                #[inline]
                #[track_caller]
                pub fn $name(self) -> Self {
                    let $x = self.inner();
                    let $y = $value;
                    self.unary(Unary::$function, $y, $partial)
                }
            )*
        }
    };
}
pub(crate) use unary_methods;

/// Writes the functions that depend on the class of a value only.
macro_rules! classify {
    ($($name:ident -> $result:ty, $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[inline]
            #[track_caller]
            pub fn $name(self) -> $result {
                self.observe(Question::Class);
                self.inner().$name()
            }
        )*
    };
}
pub(crate) use classify;

/// Writes all methods.
macro_rules! methods {
    ([$($generics:tt)*] $number:ty, $inner:ty) => {
        $crate::scalar::table::unary_table!(unary_methods, [$($generics)*] $number;);

        impl<$($generics)*> $number {
            $crate::scalar::number::classify! {
                is_nan -> bool, "Whether the value is NaN.";
                is_infinite -> bool, "Whether the value is infinite.";
                is_finite -> bool, "Whether the value is finite.";
                is_normal -> bool, "Whether the value is neither 0, infinite, subnormal nor NaN.";
                is_sign_positive -> bool, "Whether the sign of the value is positive, that of 0 too.";
                is_sign_negative -> bool, "Whether the sign of the value is negative, that of 0 too.";
                classify -> FpCategory, "The category of the value.";
            }

            /// The largest integer not above the value: a constant.
            #[inline]
            #[track_caller]
            pub fn floor(self) -> Self {
                self.step(Step::Floor, self.inner().floor())
            }
            /// The smallest integer not below the value: a constant.
            #[inline]
            #[track_caller]
            pub fn ceil(self) -> Self {
                self.step(Step::Ceil, self.inner().ceil())
            }
            /// The nearest integer, halves away from 0: a constant.
            #[inline]
            #[track_caller]
            pub fn round(self) -> Self {
                self.step(Step::Round, self.inner().round())
            }
            /// The integer part: a constant.
            #[inline]
            #[track_caller]
            pub fn trunc(self) -> Self {
                self.step(Step::Trunc, self.inner().trunc())
            }
            /// The sign of the value as -1 or 1, that of 0 too: a constant.
            #[inline]
            #[track_caller]
            pub fn signum(self) -> Self {
                self.step(Step::Signum, self.inner().signum())
            }

            /// The power with an integer exponent.
            ///
            /// # Derivative
            /// `n x^(n - 1)`, which is 0 for `n = 0`, also at `x = 0`.
            #[inline]
            #[track_caller]
            pub fn powi(self, n: i32) -> Self {
                let x = self.inner();
                self.unary(Unary::Powi(n), x.powi(n), powi_partial(x, n))
            }

            /// The derivative of order `n` of the digamma function.
            ///
            /// # Derivative
            /// That of order `n + 1`.
            #[inline]
            #[track_caller]
            pub fn polygamma(self, n: u32) -> Self {
                let x = self.inner();
                self.unary(Unary::Polygamma(n), x.polygamma(n), x.polygamma(n + 1))
            }

            /// The logarithmic derivative of the gamma function.
            ///
            /// # Derivative
            /// The trigamma function, `polygamma(1)`.
            #[inline]
            #[track_caller]
            pub fn digamma(self) -> Self {
                self.polygamma(0)
            }

            /// The power `x^y`.
            ///
            /// # Derivative
            /// By `x`: `y x^(y - 1)`, which is 0 for `y = 0`, also at `x = 0`. By `y`: `x^y ln x`; at `x = 0` it is 0 for
            /// `y >= 0`. A constant exponent has none, so that a negative `x` is in order.
            #[inline]
            #[track_caller]
            pub fn powf(self, exponent: Self) -> Self {
                let (x, y) = (self.inner(), exponent.inner());
                let value = x.powf(y);
                if exponent.is_lifted() {
                    Self::binary_left(Binary::Powf, value, (self, powf_by_base(x, y)), y)
                } else if self.is_lifted() {
                    Self::binary_right(Binary::Powf, value, x, (exponent, powf_by_exponent(x, y, value)))
                } else {
                    let partials = (powf_by_base(x, y), powf_by_exponent(x, y, value));
                    Self::binary(Binary::Powf, value, (self, partials.0), (exponent, partials.1))
                }
            }

            /// The logarithm to a given base, `ln x / ln base`.
            ///
            /// # Derivative
            /// By `x`: `1 / (x ln base)`. By the base: `-ln x / (base ln^2 base)`.
            #[inline]
            #[track_caller]
            pub fn log(self, base: Self) -> Self {
                self.ln() / base.ln()
            }

            /// Both the sine and the cosine, at the cost of one of them.
            #[inline]
            #[track_caller]
            pub fn sin_cos(self) -> (Self, Self) {
                let (sin, cos) = self.inner().sin_cos();
                (self.unary(Unary::Sin, sin, cos), self.unary(Unary::Cos, cos, -sin))
            }

            /// The angle of the point `(x, y)`, where `self` is `y`.
            ///
            /// # Derivative
            /// By `y`: `x / r^2`. By `x`: `-y / r^2`. At the origin there is none (NaN).
            #[inline]
            #[track_caller]
            pub fn atan2(self, x: Self) -> Self {
                let (a, b) = (self.inner(), x.inner());
                let r = a.hypot(b);
                Self::binary(Binary::Atan2, a.atan2(b), (self, b / r / r), (x, -(a / r / r)))
            }

            /// The length `sqrt(x^2 + y^2)` of a vector of two components, without overflow.
            ///
            /// # Derivative
            /// By a component, that component divided by the length; at the origin 0.
            #[inline]
            #[track_caller]
            pub fn hypot(self, other: Self) -> Self {
                let (a, b) = (self.inner(), other.inner());
                let r = a.hypot(b);
                let (da, db) = if r == <$inner>::zero() {
                    (<$inner>::zero(), <$inner>::zero())
                } else {
                    (a / r, b / r)
                };
                Self::binary(Binary::Hypot, r, (self, da), (other, db))
            }

            /// `self * a + b`, rounded once. It is recorded as one node.
            ///
            /// # Derivative
            /// By `self`: `a`. By `a`: `self`. By `b`: 1.
            #[inline]
            #[track_caller]
            pub fn mul_add(self, a: Self, b: Self) -> Self {
                self.multiply_add(a, b, self.inner().mul_add(a.inner(), b.inner()))
            }

            /// The larger of two numbers; the other one if one is NaN.
            ///
            /// # Derivative
            /// That of the number chosen; half of each at a tie.
            #[inline]
            #[track_caller]
            pub fn max(self, other: Self) -> Self {
                self.larger(other)
            }

            /// The smaller of two numbers; the other one if one is NaN.
            ///
            /// # Derivative
            /// That of the number chosen; half of each at a tie.
            #[inline]
            #[track_caller]
            pub fn min(self, other: Self) -> Self {
                self.smaller(other)
            }

            /// The number limited to a range.
            ///
            /// # Derivative
            /// That of the number within the range and at its bounds, outside that of the bound.
            ///
            /// # Panics
            /// If the lower bound is above the upper, or one of them is NaN.
            #[inline]
            #[track_caller]
            pub fn clamp(self, low: Self, high: Self) -> Self {
                assert!(
                    matches!(low.compare(high), Some(Ordering::Less | Ordering::Equal)),
                    "clamp: the lower bound is above the upper, or one of them is NaN"
                );
                match (self.compare(low), self.compare(high)) {
                    (Some(Ordering::Less), _) => low,
                    (_, Some(Ordering::Greater)) => high,
                    _ => self,
                }
            }

            /// The positive difference: `self - other`, or 0 if that is negative.
            ///
            /// # Derivative
            /// That of the difference where it is positive, otherwise 0, at a tie too.
            #[inline]
            #[track_caller]
            pub fn abs_sub(self, other: Self) -> Self {
                match self.compare(other) {
                    Some(Ordering::Less | Ordering::Equal) => Self::lift(<$inner>::zero()),
                    _ => self - other,
                }
            }

            /// The quotient of a division with a remainder that is not negative: a constant.
            #[inline]
            #[track_caller]
            pub fn div_euclid(self, other: Self) -> Self {
                let zero = Self::lift(<$inner>::zero());
                let quotient = (self / other).trunc();
                if self % other < zero {
                    let one = Self::lift(<$inner>::one());
                    return if other > zero { quotient - one } else { quotient + one };
                }
                quotient
            }

            /// The remainder of a division, not negative.
            ///
            /// # Derivative
            /// By `self`: 1. By `other`: minus the quotient, [`div_euclid`](Self::div_euclid).
            #[inline]
            #[track_caller]
            pub fn rem_euclid(self, other: Self) -> Self {
                let remainder = self % other;
                if remainder < Self::lift(<$inner>::zero()) {
                    remainder + other.abs()
                } else {
                    remainder
                }
            }

            /// The absolute value with the sign of another number.
            ///
            /// # Derivative
            /// 1 or -1; none by the other number.
            #[inline]
            #[track_caller]
            pub fn copysign(self, sign: Self) -> Self {
                if self.is_sign_negative() == sign.is_sign_negative() {
                    self
                } else {
                    -self
                }
            }
        }
    };
}
pub(crate) use methods;
