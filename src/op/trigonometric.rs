//! Circular and hyperbolic functions and their inverses.

use super::arithmetic::Operand;
use super::table::{Domain, Row, Shapes, row, unary};
use crate::element::{Baseline, Float, Instructions};
use crate::tape::{Binary, Reads, Var, described_here};

const ANY: Domain = Domain::Interval(-2.0, 2.0);
/// Within the poles and branch points at -1 and 1.
const INSIDE: Domain = Domain::Interval(-0.8, 0.8);

unary! {
    /// The sine of an angle in radians, elementwise; NaN at the infinities.
    ///
    /// # Derivative
    /// `cos x`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, std::f32::consts::FRAC_PI_2]));
    /// assert_eq!(x.sin().value(), Tensor::from([0.0, 1.0]));
    /// ```
    Sin, sin, reads: INPUTS, domain: ANY,
    |x, L| x.sin_at::<L>(),
    far: |x| x.sin_far(),
    |x, _y, ct| ct * x.cos();

    /// The cosine of an angle in radians, elementwise; NaN at the infinities.
    ///
    /// # Derivative
    /// `-sin x`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, std::f32::consts::PI]));
    /// assert_eq!(x.cos().value(), Tensor::from([1.0, -1.0]));
    /// ```
    Cos, cos, reads: INPUTS, domain: ANY,
    |x, L| x.cos_at::<L>(),
    far: |x| x.cos_far(),
    |x, _y, ct| -(ct * x.sin());

    /// The tangent of an angle in radians, elementwise; NaN at the infinities.
    ///
    /// # Derivative
    /// `1 + y^2` for the result `y`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, std::f32::consts::FRAC_PI_4]));
    /// assert!(x.tan().value().all_close(&Tensor::from([0.0, 1.0]), 1e-6, 0.0));
    /// assert!(x.tan().sum().gradient(x).value().all_close(&Tensor::from([1.0, 2.0]), 1e-6, 0.0));
    /// ```
    Tan, tan, reads: OUTPUT, domain: Domain::Interval(-1.2, 1.2),
    |x, L| x.tan_at::<L>(),
    far: |x| x.tan_far(),
    |_x, y, ct| ct * (y * y + T::ONE);

    /// The arc sine, in `[-pi/2, pi/2]`, elementwise; NaN outside `[-1, 1]`.
    ///
    /// # Derivative
    /// `1 / sqrt(1 - x^2)`; infinity at -1 and 1.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, 1.0]));
    /// assert_eq!(x.asin().value(), Tensor::from([0.0, std::f32::consts::FRAC_PI_2]));
    /// assert_eq!(x.asin().sum().gradient(x).value(), Tensor::from([1.0, f32::INFINITY]));
    /// ```
    Asin, asin, reads: INPUTS, domain: INSIDE,
    |x, L| x.asin_at::<L>(),
    |x, _y, ct| ct / one_minus_square(x).sqrt();

    /// The arc cosine, in `[0, pi]`, elementwise; NaN outside `[-1, 1]`.
    ///
    /// # Derivative
    /// `-1 / sqrt(1 - x^2)`; negative infinity at -1 and 1.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, 1.0]));
    /// assert_eq!(x.acos().value(), Tensor::from([std::f32::consts::FRAC_PI_2, 0.0]));
    /// assert_eq!(x.acos().sum().gradient(x).value(), Tensor::from([-1.0, f32::NEG_INFINITY]));
    /// ```
    Acos, acos, reads: INPUTS, domain: INSIDE,
    |x, L| x.acos_at::<L>(),
    |x, _y, ct| -(ct / one_minus_square(x).sqrt());

    /// The arc tangent, in `[-pi/2, pi/2]`, elementwise.
    ///
    /// # Derivative
    /// `1 / (1 + x^2)`; 0 at the infinities.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, f32::INFINITY]));
    /// let quarter = std::f32::consts::FRAC_PI_4;
    /// assert_eq!(x.atan().value(), Tensor::from([quarter, 2.0 * quarter]));
    /// assert_eq!(x.atan().sum().gradient(x).value(), Tensor::from([0.5, 0.0]));
    /// ```
    Atan, atan, reads: INPUTS, domain: ANY,
    |x, L| x.atan_at::<L>(),
    |x, _y, ct| ct / (x * x + T::ONE);

    /// The hyperbolic sine, elementwise.
    ///
    /// # Derivative
    /// `cosh x`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0]));
    /// assert_eq!(x.sinh().value(), Tensor::from([0.0]));
    /// assert_eq!(x.sinh().sum().gradient(x).value(), Tensor::from([1.0]));
    /// ```
    Sinh, sinh, reads: INPUTS, domain: ANY,
    |x, L| x.sinh_at::<L>(),
    |x, _y, ct| ct * x.cosh();

    /// The hyperbolic cosine, elementwise.
    ///
    /// # Derivative
    /// `sinh x`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0]));
    /// assert_eq!(x.cosh().value(), Tensor::from([1.0]));
    /// assert_eq!(x.cosh().sum().gradient(x).value(), Tensor::from([0.0]));
    /// ```
    Cosh, cosh, reads: INPUTS, domain: ANY,
    |x, L| x.cosh_at::<L>(),
    |x, _y, ct| ct * x.sinh();

    /// The hyperbolic tangent, elementwise: -1 and 1 at the infinities.
    ///
    /// # Derivative
    /// `1 - y^2` for the result `y`; exactly 0 where the result has been rounded to -1 or 1.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, 1e30]));
    /// assert_eq!(x.tanh().value(), Tensor::from([0.0, 1.0]));
    /// assert_eq!(x.tanh().sum().gradient(x).value(), Tensor::from([1.0, 0.0]));
    /// ```
    Tanh, tanh, reads: OUTPUT, domain: ANY,
    |x, L| x.tanh_at::<L>(),
    |_x, y, ct| ct * (y.tape().number(T::ONE) - y * y);

    /// The inverse of the hyperbolic sine, elementwise.
    ///
    /// # Derivative
    /// `1 / sqrt(x^2 + 1)`; 0 where the square overflows.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.75]));
    /// assert_eq!(x.asinh().value(), Tensor::from([std::f32::consts::LN_2]));
    /// assert_eq!(x.asinh().sum().gradient(x).value(), Tensor::from([0.8]));
    /// ```
    Asinh, asinh, reads: INPUTS, domain: ANY,
    |x, L| x.asinh_at::<L>(),
    |x, _y, ct| ct / (x * x + T::ONE).sqrt();

    /// The inverse of the hyperbolic cosine, not negative, elementwise; NaN below 1.
    ///
    /// # Derivative
    /// `1 / (sqrt(x - 1) sqrt(x + 1))`; infinity at 1, NaN below.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 1.25]));
    /// let dx = x.acosh().sum().gradient(x);
    /// assert!(x.acosh().value().all_close(&Tensor::from([0.0, std::f32::consts::LN_2]), 1e-6, 0.0));
    /// assert!(dx.value().all_close(&Tensor::from([f32::INFINITY, 4.0 / 3.0]), 1e-6, 0.0));
    /// ```
    Acosh, acosh, reads: INPUTS, domain: Domain::Interval(1.3, 3.0),
    |x, L| x.acosh_at::<L>(),
    |x, _y, ct| ct / ((x - T::ONE).sqrt() * (x + T::ONE).sqrt());

    /// The inverse of the hyperbolic tangent, elementwise: infinities at -1 and 1, NaN outside.
    ///
    /// # Derivative
    /// `1 / (1 - x^2)`, infinity at -1 and 1; also where the function is not defined, as in PyTorch.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, 0.6, 1.0]));
    /// let y = Tensor::from([0.0, std::f32::consts::LN_2, f32::INFINITY]);
    /// assert!(x.atanh().value().all_close(&y, 1e-6, 0.0));
    /// let dx = x.atanh().sum().gradient(x);
    /// assert!(dx.value().all_close(&Tensor::from([1.0, 1.5625, f32::INFINITY]), 1e-6, 0.0));
    /// ```
    Atanh, atanh, reads: INPUTS, domain: INSIDE,
    |x, L| x.atanh_at::<L>(),
    |x, _y, ct| ct / one_minus_square(x);
}

/// `1 - x^2` as `(1 - x)(1 + x)`: the square would be rounded before most of it cancels.
fn one_minus_square<T: Float>(x: Var<T>) -> Var<T> {
    (x.tape().number(T::ONE) - x) * (x + T::ONE)
}

struct Atan2;
impl<T: Float> Binary<T> for Atan2 {
    described_here!(binary, Atan2, T, floats);
    type Output = T;
    const NAME: &'static str = "atan2";
    const READS: Reads = Reads::INPUTS;
    const WIDE: bool = true;
    fn eval(y: T, x: T) -> T {
        Self::eval_at::<Baseline>(y, x)
    }
    #[inline(always)]
    fn eval_at<L: Instructions>(y: T, x: T) -> T {
        y.atan2_at::<L>(x)
    }
    fn vjp(k: usize, y: Var<T>, x: Var<T>, _angle: Var<T>, ct: Var<T>) -> Var<T> {
        let square = x * x + y * y;
        if k == 0 {
            ct * (x / square)
        } else {
            -(ct * (y / square))
        }
    }
}

impl<T: Float> Var<T> {
    /// The angle of the point `(x, y)` for `y = self`, in `[-pi, pi]`, elementwise with broadcasting.
    ///
    /// On the negative half of the `x` axis the result is `pi` for `y = 0` and `-pi` for `y = -0`; at
    /// the origin, by the signs of both zeros, 0, -0, `pi` or `-pi`.
    ///
    /// # Derivative
    /// `x / (x^2 + y^2)` for `y` and `-y / (x^2 + y^2)` for `x`; NaN at the origin, as in PyTorch.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let y = tape.leaf(&Tensor::from([1.0, 0.0]));
    /// let x = tape.leaf(&Tensor::from([0.0, -2.0]));
    /// let angle = y.atan2(x);
    /// let pi = std::f32::consts::PI;
    /// assert_eq!(angle.value(), Tensor::from([pi / 2.0, pi]));
    /// let [dy, dx] = angle.sum().gradients([y, x]);
    /// assert_eq!(dy.value(), Tensor::from([0.0, -0.5]));
    /// assert_eq!(dx.value(), Tensor::from([-1.0, 0.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast, the variables are of two tapes, or the tape was reset or dropped.
    #[track_caller]
    pub fn atan2(self, x: impl Operand<T>) -> Self {
        self.binary::<Atan2>(x.on(self))
    }
}

/// The rows of this family besides those of [`UNARY`].
pub(super) const ROWS: &[Row] = &[
    // The angle jumps where y changes its sign on the negative half of the axis.
    row!(
        "atan2",
        &[Domain::Except(-2.0, 2.0, &[0.0], 0.3), ANY],
        Shapes::Broadcast,
        |x| x[0].atan2(x[1])
    ),
    row!("atan2(number)", &[ANY], Shapes::Broadcast, |x| x[0]
        .atan2(0.7)),
];
