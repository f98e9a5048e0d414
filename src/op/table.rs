//! The table of operations: what tests need to know to check each of them.

use crate::tape::Var;

/// The numbers that an input is drawn from.
#[derive(Clone, Copy, Debug)]
pub enum Domain {
    /// An interval.
    Interval(f64, f64),
    /// An interval, but nothing within the given distance of a point where the derivative jumps.
    Except(f64, f64, &'static [f64], f64),
    /// Distinct numbers a tenth apart, shifted by the given part of that distance, in random order: never a tie, neither within an
    /// input nor between two inputs of different shift.
    Spaced(f64),
}

/// The shapes that an operation is tested on.
#[derive(Clone, Copy, Debug)]
pub enum Shapes {
    /// Any that broadcast.
    Broadcast,
    /// These combinations, a shape for each input.
    Given(&'static [&'static [&'static [usize]]]),
}

/// An operation as the tests see it: a function of variables.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name of the method, with its arguments where that matters.
    pub name: &'static str,
    /// The numbers that each input is drawn from.
    pub domains: &'static [Domain],
    /// The shapes that it is tested on.
    pub shapes: Shapes,
    /// The operation on `f32`.
    pub f32: fn(&[Var<f32>]) -> Var<f32>,
    /// The operation on `f64`.
    pub f64: fn(&[Var<f64>]) -> Var<f64>,
}

/// A row from an expression that is valid for both types.
macro_rules! row {
    ($name:expr, $domains:expr, $shapes:expr, |$x:ident| $body:expr) => {
        $crate::op::table::Row {
            name: $name,
            domains: $domains,
            shapes: $shapes,
            f32: |$x: &[$crate::tape::Var<f32>]| $body,
            f64: |$x: &[$crate::tape::Var<f64>]| $body,
        }
    };
}
pub(crate) use row;

/// Elementwise operations of one operand, one row each: documentation, method, value, rule, and the row of the table.
///
/// The value is a function of operand `x` and of the instructions `L` that it is compiled for; one that holds only for numbers that
/// are not far is followed by that of the others. The rule is a function of operand `x`, result `y` and cotangent `ct`; `reads`
/// names which of `x` and `y` it uses.
macro_rules! unary {
    ($(
        $(#[$doc:meta])*
        $op:ident, $method:ident, reads: $reads:ident, domain: $domain:expr,
        |$x:ident, $level:ident| $value:expr,
        $(far: |$far:ident| $far_value:expr,)?
        |$px:ident, $py:ident, $ct:ident| $rule:expr;
    )*) => {
        $(
            struct $op;
            impl<T: $crate::Float> $crate::tape::Unary<T> for $op {
                type Output = T;
                const NAME: &'static str = stringify!($method);
                const READS: $crate::tape::Reads = $crate::tape::Reads::$reads;
                const WIDE: bool = true;
                const EXACT: bool = false;
                fn eval(x: T) -> T {
                    $(
                        if x.is_far() {
                            let $far = x;
                            return $far_value;
                        }
                    )?
                    Self::eval_at::<$crate::element::Baseline>(x)
                }
                #[inline(always)]
                fn eval_at<$level: $crate::element::Instructions>($x: T) -> T {
                    $value
                }
                $(
                    const RARE: bool = true;
                    #[inline(always)]
                    fn is_rare($far: T) -> bool {
                        $far.is_far()
                    }
                )?
                fn vjp($px: $crate::Var<T>, $py: $crate::Var<T>, $ct: $crate::Var<T>) -> $crate::Var<T> {
                    $rule
                }
                $crate::tape::described_here!(unary, $op, T, floats);
            }
        )*

        impl<T: $crate::Float> $crate::Var<T> {
            $(
                $(#[$doc])*
                ///
                /// # Panics
                /// If the tape was reset or dropped.
                #[track_caller]
                pub fn $method(self) -> Self {
                    self.unary::<$op>()
                }
            )*
        }

        /// The rows of the operations above.
        pub(super) const UNARY: &[$crate::op::table::Row] = &[
            $($crate::op::table::row!(
                stringify!($method),
                &[$domain],
                $crate::op::table::Shapes::Broadcast,
                |x| x[0].$method()
            )),*
        ];
    };
}
pub(crate) use unary;

/// Every operation that has a derivative.
pub fn rows() -> Vec<Row> {
    [
        super::activation::ROWS,
        super::activation::UNARY,
        super::arithmetic::ROWS,
        super::compare::ROWS,
        super::exponential::ROWS,
        super::exponential::UNARY,
        super::index::ROWS,
        super::join::ROWS,
        super::matmul::ROWS,
        super::random::ROWS,
        super::rectifier::ROWS,
        super::rectifier::UNARY,
        super::reduce::ROWS,
        super::rounding::UNARY,
        super::softmax::ROWS,
        super::trigonometric::ROWS,
        super::trigonometric::UNARY,
        super::view::ROWS,
    ]
    .concat()
}
