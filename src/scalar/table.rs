//! The elementary functions of one number: value and derivative, each written once.
//!
//! A row is `Variant name "what it is" (value) (partial)`; `x` is the argument and `y` the value, both of the inner type.
//! From a row come the method of every number type of this module and the step of a replayed program. What is done at
//! kinks and edges is in the formulas: a `0 * inf` must not come out of one where analysis gives a limit.

use super::number::{literal, one_minus_square, powi_partial, sign};
use super::real::Real;

/// The name of a function: in one word, since checks pass it.
pub(crate) type Name = &'static &'static str;

/// Which elementary function of one number.
///
/// Number types that only multiply by the partial derivative do not look at it; those with rules of their own
/// (truncated series, recorded programs) do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unary {
    Neg,
    Abs,
    Recip,
    Sqrt,
    Cbrt,
    Exp,
    Exp2,
    ExpM1,
    Ln,
    Log2,
    Log10,
    Ln1p,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    ToDegrees,
    ToRadians,
    Fract,
    Erf,
    Erfc,
    Gamma,
    LnGamma,
    Sigmoid,
    Softplus,
    Powi(i32),
    Polygamma(u32),
}

/// Which function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Powf,
    Atan2,
    Hypot,
    Max,
    Min,
}

impl Unary {
    /// The name of the method, for messages.
    #[inline]
    pub(crate) const fn name(self) -> Name {
        macro_rules! names {
            (|$x:ident, $y:ident| $($function:ident $name:ident $doc:literal ($value:expr) ($partial:expr);)*) => {
                match self {
                    $(Unary::$function => &stringify!($name),)*
                    Unary::Neg => &"neg",
                    Unary::Powi(_) => &"powi",
                    Unary::Polygamma(_) => &"polygamma",
                }
            };
        }
        unary_table!(names,)
    }
}

impl Unary {
    /// The value at `x`.
    pub(crate) fn value<T: Real>(self, x: T) -> T {
        macro_rules! values {
            (|$x:ident, $y:ident| $($function:ident $name:ident $doc:literal ($value:expr) ($partial:expr);)*) => {{
                let $x = x;
                match self {
                    $(Unary::$function => $value,)*
                    Unary::Neg => -$x,
                    Unary::Powi(n) => $x.powi(n),
                    Unary::Polygamma(n) => $x.polygamma(n),
                }
            }};
        }
        unary_table!(values,)
    }

    /// The partial derivative at `x`, where the value is `y`.
    pub(crate) fn partial<T: Real>(self, x: T, y: T) -> T {
        macro_rules! partials {
            (|$x:ident, $y:ident| $($function:ident $name:ident $doc:literal ($value:expr) ($partial:expr);)*) => {{
                let ($x, $y) = (x, y);
                match self {
                    $(Unary::$function => $partial,)*
                    Unary::Neg => -T::one(),
                    Unary::Powi(n) => powi_partial($x, n),
                    Unary::Polygamma(n) => $x.polygamma(n + 1),
                }
            }};
        }
        unary_table!(partials,)
    }
}

impl Binary {
    /// The value at `a` and `b`.
    pub(crate) fn value<T: Real>(self, a: T, b: T) -> T {
        match self {
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

    /// The name of the method, for messages.
    #[inline]
    pub(crate) const fn name(self) -> Name {
        match self {
            Binary::Add => &"add",
            Binary::Sub => &"sub",
            Binary::Mul => &"mul",
            Binary::Div => &"div",
            Binary::Rem => &"rem",
            Binary::Powf => &"powf",
            Binary::Atan2 => &"atan2",
            Binary::Hypot => &"hypot",
            Binary::Max => &"max",
            Binary::Min => &"min",
        }
    }
}

/// Which step function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Floor,
    Ceil,
    Round,
    Trunc,
    Signum,
}

impl Step {
    /// The name of the method, for messages.
    pub(crate) const fn name(self) -> Name {
        match self {
            Step::Floor => &"floor",
            Step::Ceil => &"ceil",
            Step::Round => &"round",
            Step::Trunc => &"trunc",
            Step::Signum => &"signum",
        }
    }
}

/// What may be asked about a value that a program can branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Its sign, and whether it is 0, subnormal, infinite or NaN.
    Class,
    /// The number itself.
    Value,
}

impl Question {
    /// A name for messages.
    pub(crate) const fn name(self) -> Name {
        match self {
            Question::Class => &"classify",
            Question::Value => &"value",
        }
    }
}

/// Hands the rows to the macro `$then`, after the tokens given to it.
macro_rules! unary_table {
    ($then:ident, $($given:tt)*) => {
        $then! { $($given)*
            |x, y|
            Abs abs "The absolute value.\n\n# Derivative\nThe sign of `x`; 0 at 0." (x.abs()) (sign(x));
            Recip recip "The reciprocal `1 / x`.\n\n# Derivative\n`-1 / x^2`; `-inf` at 0." (x.recip()) (-(y * y));
            Sqrt sqrt "The square root.\n\n# Derivative\n`1 / (2 sqrt x)`; `inf` at 0, NaN below." (x.sqrt()) ((y + y).recip());
            Cbrt cbrt "The cube root.\n\n# Derivative\n`1 / (3 cbrt(x)^2)`; `inf` at 0." (x.cbrt()) ((literal::<T>(3.0) * y * y).recip());
            Exp exp "The exponential function `e^x`.\n\n# Derivative\n`e^x`." (x.exp()) (y);
            Exp2 exp2 "`2^x`.\n\n# Derivative\n`2^x ln 2`." (x.exp2()) (y * T::LN_2());
            ExpM1 exp_m1 "`e^x - 1`, without cancellation near 0.\n\n# Derivative\n`e^x`." (x.exp_m1()) (x.exp());
            Ln ln "The natural logarithm.\n\n# Derivative\n`1 / x`; `inf` at 0, and `1 / x` below, where the value is NaN." (x.ln()) (x.recip());
            Log2 log2 "The logarithm to the base 2.\n\n# Derivative\n`1 / (x ln 2)`; `inf` at 0." (x.log2()) ((x * T::LN_2()).recip());
            Log10 log10 "The logarithm to the base 10.\n\n# Derivative\n`1 / (x ln 10)`; `inf` at 0." (x.log10()) ((x * T::LN_10()).recip());
            Ln1p ln_1p "`ln(1 + x)`, without cancellation near 0.\n\n# Derivative\n`1 / (1 + x)`; `inf` at -1." (x.ln_1p()) ((T::one() + x).recip());
            Sin sin "The sine.\n\n# Derivative\n`cos x`." (x.sin()) (x.cos());
            Cos cos "The cosine.\n\n# Derivative\n`-sin x`." (x.cos()) (-x.sin());
            Tan tan "The tangent.\n\n# Derivative\n`1 + tan^2 x`." (x.tan()) (T::one() + y * y);
            Asin asin "The inverse sine.\n\n# Derivative\n`1 / sqrt(1 - x^2)`; `inf` at -1 and 1, NaN outside." (x.asin())
                (one_minus_square(x).sqrt().recip());
            Acos acos "The inverse cosine.\n\n# Derivative\n`-1 / sqrt(1 - x^2)`; `-inf` at -1 and 1, NaN outside." (x.acos())
                (-one_minus_square(x).sqrt().recip());
            Atan atan "The inverse tangent.\n\n# Derivative\n`1 / (1 + x^2)`." (x.atan()) ((T::one() + x * x).recip());
            Sinh sinh "The hyperbolic sine.\n\n# Derivative\n`cosh x`." (x.sinh()) (x.cosh());
            Cosh cosh "The hyperbolic cosine.\n\n# Derivative\n`sinh x`." (x.cosh()) (x.sinh());
            Tanh tanh "The hyperbolic tangent.\n\n# Derivative\n`1 - tanh^2 x`, from the value: 0 where that is -1 or 1." (x.tanh()) (one_minus_square(y));
            // `1 + x^2` overflows long before its root does.
            Asinh asinh "The inverse hyperbolic sine.\n\n# Derivative\n`1 / sqrt(x^2 + 1)`, without overflow." (x.asinh()) (x.hypot(T::one()).recip());
            Acosh acosh "The inverse hyperbolic cosine.\n\n# Derivative\n`1 / sqrt(x^2 - 1)`; `inf` at 1, NaN below." (x.acosh())
                (((x - T::one()).sqrt() * (x + T::one()).sqrt()).recip());
            Atanh atanh "The inverse hyperbolic tangent.\n\n# Derivative\n`1 / (1 - x^2)`; `inf` at -1 and 1." (x.atanh()) (one_minus_square(x).recip());
            ToDegrees to_degrees "Radians as degrees.\n\n# Derivative\n`180 / pi`." (x.to_degrees()) (literal::<T>(180.0) / T::PI());
            ToRadians to_radians "Degrees as radians.\n\n# Derivative\n`pi / 180`." (x.to_radians()) (T::PI() / literal::<T>(180.0));
            Fract fract "The fractional part `x - trunc x`.\n\n# Derivative\n1, at its jumps too." (x.fract()) (T::one());
            Erf erf "The error function `2 / sqrt(pi)` times the integral of `exp(-t^2)` from 0 to `x`.\n\n# Derivative\n`2 / sqrt(pi) exp(-x^2)`." (x.erf()) (T::FRAC_2_SQRT_PI() * (-(x * x)).exp());
            Erfc erfc "The complement `1 - erf x`, without cancellation.\n\n# Derivative\n`-2 / sqrt(pi) exp(-x^2)`." (x.erfc()) (-(T::FRAC_2_SQRT_PI() * (-(x * x)).exp()));
            Gamma gamma "The gamma function, `(n - 1)!` at a positive integer `n`.\n\n# Derivative\nThe gamma function times the digamma function." (x.gamma()) (y * x.digamma());
            LnGamma ln_gamma "The logarithm of the absolute value of the gamma function.\n\n# Derivative\nThe digamma function." (x.ln_gamma()) (x.digamma());
            Sigmoid sigmoid "The logistic function `1 / (1 + e^-x)`.\n\n# Derivative\n`y (1 - y)` from the value `y`; 0 where that is 0 or 1." (x.sigmoid()) (y * (T::one() - y));
            Softplus softplus "`ln(1 + e^x)`, without overflow.\n\n# Derivative\nThe logistic function of `x`." (x.softplus()) (x.sigmoid());
        }
    };
}
pub(crate) use unary_table;
