//! Rounding to integers.

use super::table::{Domain, unary};

const BETWEEN_INTEGERS: Domain = Domain::Except(-2.5, 2.5, &[-2.0, -1.0, 0.0, 1.0, 2.0], 0.1);
const BETWEEN_HALVES: Domain = Domain::Except(-3.0, 3.0, &[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], 0.1);

unary! {
    /// The largest integer that is not above `x`, elementwise.
    ///
    /// # Derivative
    /// 0 everywhere, at the integers too.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1.5, 2.0, 2.9]));
    /// assert_eq!(x.floor().value(), Tensor::from([-2.0, 2.0, 2.0]));
    /// assert_eq!(x.floor().sum().gradient(x).value(), Tensor::from([0.0, 0.0, 0.0]));
    /// ```
    Floor, floor, reads: NOTHING, domain: BETWEEN_INTEGERS,
    |x, L| x.floor(),
    |x, _y, _ct| x.tape().number(T::ZERO);

    /// The smallest integer that is not below `x`, elementwise.
    ///
    /// # Derivative
    /// 0 everywhere, at the integers too.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1.5, 2.0, 2.1]));
    /// assert_eq!(x.ceil().value(), Tensor::from([-1.0, 2.0, 3.0]));
    /// ```
    Ceil, ceil, reads: NOTHING, domain: BETWEEN_INTEGERS,
    |x, L| x.ceil(),
    |x, _y, _ct| x.tape().number(T::ZERO);

    /// The integer nearest to `x`, the even one of two that are equally near, elementwise: as in NumPy
    /// and PyTorch, but unlike [`f32::round`].
    ///
    /// # Derivative
    /// 0 everywhere, at the halves too.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.5, 1.5, 2.5, -2.6]));
    /// assert_eq!(x.round().value(), Tensor::from([0.0, 2.0, 2.0, -3.0]));
    /// ```
    Round, round, reads: NOTHING, domain: BETWEEN_HALVES,
    |x, L| {
        // 2^23 (f32) or 2^52 (f64): from there on every number is an integer, so the sum is rounded to one.
        let integers = T::ONE / T::epsilon();
        let size = x.magnitude();
        let rounded = ((size + integers) - integers).copysign(x);
        if size < integers { rounded } else { x }
    },
    |x, _y, _ct| x.tape().number(T::ZERO);

    /// The integer part of `x`: rounded towards 0, elementwise.
    ///
    /// # Derivative
    /// 0 everywhere, at the integers too.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1.5, 2.0, 2.9]));
    /// assert_eq!(x.trunc().value(), Tensor::from([-1.0, 2.0, 2.0]));
    /// ```
    Trunc, trunc, reads: NOTHING, domain: BETWEEN_INTEGERS,
    |x, L| x.trunc(),
    |x, _y, _ct| x.tape().number(T::ZERO);
}
