//! Exponentials, logarithms, roots and reciprocals.

use super::arithmetic::scaled;
use super::table::{Domain, Row, Shapes, row, unary};
use crate::element::Number;
use crate::tape::Var;

const ANY: Domain = Domain::Interval(-2.0, 2.0);
const POSITIVE: Domain = Domain::Interval(0.3, 2.5);

unary! {
    /// The exponential `e^x`, elementwise.
    ///
    /// # Derivative
    /// `e^x`, read from the result.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, f32::NEG_INFINITY]));
    /// assert_eq!(x.exp().value(), Tensor::from([1.0, 0.0]));
    /// assert_eq!(x.exp().sum().gradient(x).value(), Tensor::from([1.0, 0.0]));
    /// ```
    Exp, exp, reads: OUTPUT, domain: ANY,
    |x, L| x.exp_at::<L>(),
    |_x, y, ct| scaled(ct, y);

    /// `e^x - 1`, elementwise, without the cancellation near 0.
    ///
    /// # Derivative
    /// `e^x`, as the result plus one.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1e-10, f32::NEG_INFINITY]));
    /// assert_eq!(x.expm1().value(), Tensor::from([1e-10, -1.0]));
    /// assert_eq!(x.expm1().sum().gradient(x).value(), Tensor::from([1.0, 0.0]));
    /// ```
    Expm1, expm1, reads: OUTPUT, domain: ANY,
    |x, L| x.expm1_at::<L>(),
    |_x, y, ct| ct * (y + T::ONE);

    /// The natural logarithm, elementwise: negative infinity at 0, NaN below.
    ///
    /// # Derivative
    /// `1 / x`, also where the logarithm is not defined, as in PyTorch.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// assert_eq!(x.ln().value(), Tensor::from([0.0, std::f32::consts::LN_2]));
    /// assert_eq!(x.ln().sum().gradient(x).value(), Tensor::from([1.0, 0.5]));
    /// ```
    Ln, ln, reads: INPUTS, domain: POSITIVE,
    |x, L| x.ln_at::<L>(),
    |x, _y, ct| ct / x;

    /// `ln(1 + x)`, elementwise, without the cancellation near 0: negative infinity at -1, NaN below.
    ///
    /// # Derivative
    /// `1 / (1 + x)`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1e-10, 1.0]));
    /// assert_eq!(x.log1p().value(), Tensor::from([1e-10, std::f32::consts::LN_2]));
    /// assert_eq!(x.log1p().sum().gradient(x).value(), Tensor::from([1.0, 0.5]));
    /// ```
    Log1p, log1p, reads: INPUTS, domain: Domain::Interval(-0.7, 2.0),
    |x, L| x.log1p_at::<L>(),
    |x, _y, ct| ct / (x + T::ONE);

    /// The logarithm to base 2, elementwise: negative infinity at 0, NaN below.
    ///
    /// # Derivative
    /// `1 / (x ln 2)`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.25, 8.0]));
    /// assert_eq!(x.log2().value(), Tensor::from([-2.0, 3.0]));
    /// ```
    Log2, log2, reads: INPUTS, domain: POSITIVE,
    |x, L| x.log2_at::<L>(),
    |x, _y, ct| ct / (x * T::LN_2());

    /// The logarithm to base 10, elementwise: negative infinity at 0, NaN below.
    ///
    /// # Derivative
    /// `1 / (x ln 10)`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 1000.0]));
    /// assert_eq!(x.log10().value(), Tensor::from([0.0, 3.0]));
    /// ```
    Log10, log10, reads: INPUTS, domain: POSITIVE,
    |x, L| x.log10_at::<L>(),
    |x, _y, ct| ct / (x * T::LN_10());

    /// The square root, elementwise: NaN below 0.
    ///
    /// # Derivative
    /// `1 / (2 sqrt x)`; infinity at 0.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, 4.0]));
    /// assert_eq!(x.sqrt().value(), Tensor::from([0.0, 2.0]));
    /// assert_eq!(x.sqrt().sum().gradient(x).value(), Tensor::from([f32::INFINITY, 0.25]));
    /// ```
    Sqrt, sqrt, reads: OUTPUT, domain: POSITIVE,
    |x, L| x.sqrt(),
    |_x, y, ct| ct / (y * T::of(2.0));

    /// The reciprocal of the square root, `1 / sqrt x`, elementwise: infinity at 0, NaN below.
    ///
    /// # Derivative
    /// `-y^3 / 2` for the result `y`; negative infinity at 0.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, 4.0]));
    /// let dx = x.rsqrt().sum().gradient(x);
    /// assert_eq!(x.rsqrt().value(), Tensor::from([f32::INFINITY, 0.5]));
    /// assert_eq!(dx.value(), Tensor::from([f32::NEG_INFINITY, -0.0625]));
    /// ```
    Rsqrt, rsqrt, reads: OUTPUT, domain: POSITIVE,
    |x, L| T::ONE / x.sqrt(),
    |_x, y, ct| ct * (y * y * y * T::of(-0.5));

    /// The reciprocal `1 / x`, elementwise.
    ///
    /// # Derivative
    /// `-1 / x^2`, as minus the square of the result; negative infinity at 0.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([2.0, f32::INFINITY]));
    /// assert_eq!(x.recip().value(), Tensor::from([0.5, 0.0]));
    /// assert_eq!(x.recip().sum().gradient(x).value(), Tensor::from([-0.25, 0.0]));
    /// ```
    Recip, recip, reads: OUTPUT, domain: POSITIVE,
    |x, L| T::ONE / x,
    |_x, y, ct| -(ct * (y * y));
}

impl<T: Number> Var<T> {
    /// The square `x * x`, elementwise.
    ///
    /// # Derivative
    /// `2 x`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-3.0, 0.5]));
    /// assert_eq!(x.square().value(), Tensor::from([9.0, 0.25]));
    /// assert_eq!(x.square().sum().gradient(x).value(), Tensor::from([-6.0, 1.0]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn square(self) -> Self {
        self * self
    }
}

/// The rows of this family besides those of [`UNARY`].
pub(super) const ROWS: &[Row] = &[row!("square", &[ANY], Shapes::Broadcast, |x| x[0].square())];
