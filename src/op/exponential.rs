//! Exponentials, logarithms and roots.

use super::table::{Domain, Row, unary};

const ANY: Domain = Domain::Interval(-2.0, 2.0);
const POSITIVE: Domain = Domain::Interval(0.3, 2.5);

unary! {
    /// The exponential `e^x`, elementwise.
    ///
    /// # Derivative
    /// `e^x`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, f32::NEG_INFINITY]));
    /// assert_eq!(x.exp().value(), Tensor::from([1.0, 0.0]));
    /// ```
    Exp, exp, reads: OUTPUT, domain: ANY,
    |x| x.exp(),
    |_x, y, ct| ct * y;

    /// The natural logarithm, elementwise: negative infinity at 0, NaN below.
    ///
    /// # Derivative
    /// `1 / x`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// assert_eq!(x.ln().value(), Tensor::from([0.0, std::f32::consts::LN_2]));
    /// assert_eq!(x.ln().sum().gradient(x).value(), Tensor::from([1.0, 0.5]));
    /// ```
    Ln, ln, reads: INPUTS, domain: POSITIVE,
    |x| x.ln(),
    |x, _y, ct| ct / x;

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
    |x| x.sqrt(),
    |_x, y, ct| ct / (y * T::of(2.0));
}

/// The rows of this family.
pub(super) const ROWS: &[Row] = UNARY;
