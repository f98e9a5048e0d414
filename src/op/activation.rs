//! Smooth activation functions, and the error function and sigmoid that they are made of.
//!
//! Products of an operand and a function of it are operations of their own, whose rule computes that function again: a composition
//! would keep each value that one of its rules reads.

use super::table::{Domain, Row, Shapes, row, unary};
use crate::element::Float;
use crate::tape::Var;

const ANY: Domain = Domain::Interval(-2.0, 2.0);

/// `1 / sqrt(2 pi)`.
const FRAC_1_SQRT_TAU: f64 = 0.398_942_280_401_432_7;

/// `sqrt(2 / pi)`.
const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;

/// The coefficient of the cube in [`Var::gelu_tanh`].
const CUBIC: f64 = 0.044715;

/// From here on the tangent in [`Var::gelu_tanh`] is 1 in `f64` too. Without this bound the cube of a large number would overflow,
/// and the derivative be 0 times infinity.
const SATURATED: f64 = 9.0;

unary! {
    /// The error function, elementwise: -1 and 1 at the infinities.
    ///
    /// Formula: `erf x = 2 / sqrt(pi) * integral from 0 to x of e^(-t^2) dt`.
    ///
    /// # Derivative
    /// `2 / sqrt(pi) * e^(-x^2)`; 0 at the infinities. From the second on, derivatives are NaN where they
    /// multiply that 0 by an infinity.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, f32::INFINITY]));
    /// assert_eq!(x.erf().value(), Tensor::from([0.0, 1.0]));
    /// let dx = x.erf().sum().gradient(x);
    /// assert_eq!(dx.value(), Tensor::from([std::f32::consts::FRAC_2_SQRT_PI, 0.0]));
    /// ```
    Erf, erf, reads: INPUTS, domain: ANY,
    |x, L| x.erf_at::<L>(),
    |x, _y, ct| ct * ((-(x * x)).exp() * T::FRAC_2_SQRT_PI());

    /// The complementary error function `1 - erf x`, elementwise: also where it is small, as `erf x` rounds to 1.
    ///
    /// # Derivative
    /// `-2 / sqrt(pi) e^(-x^2)`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([0.0, 9.0]));
    /// let tail = Tensor::from([1.0, 4.137_031_7e-37]);
    /// assert!(x.erfc().value().all_close(&tail, 1e-6, 0.0));
    /// ```
    Erfc, erfc, reads: INPUTS, domain: ANY,
    |x, L| x.erfc_at::<L>(),
    |x, _y, ct| -(ct * ((-(x * x)).exp() * T::FRAC_2_SQRT_PI()));

    /// The logistic sigmoid, elementwise: 0 and 1 at the infinities.
    ///
    /// Formula: `sigmoid x = 1 / (1 + e^(-x))`.
    ///
    /// # Derivative
    /// `y (1 - y)` for the result `y`; never a NaN unless `x` is one.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1000.0, 0.0, 1000.0]));
    /// assert_eq!(x.sigmoid().value(), Tensor::from([0.0, 0.5, 1.0]));
    /// assert_eq!(x.sigmoid().sum().gradient(x).value(), Tensor::from([0.0, 0.25, 0.0]));
    /// ```
    Sigmoid, sigmoid, reads: OUTPUT, domain: ANY,
    |x, L| x.sigmoid_at::<L>(),
    |_x, y, ct| ct * (y * (y.tape().number(T::ONE) - y));

    /// The softplus function, a smooth [`relu`](Var::relu), elementwise.
    ///
    /// Formula: `softplus x = ln(1 + e^x) = max(x, 0) + ln(1 + e^(-|x|))`. It is not cut off at 20, as
    /// PyTorch does.
    ///
    /// # Derivative
    /// `sigmoid x`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1000.0, 0.0, 1000.0]));
    /// let ln_2 = std::f32::consts::LN_2;
    /// assert_eq!(x.softplus().value(), Tensor::from([0.0, ln_2, 1000.0]));
    /// assert_eq!(x.softplus().sum().gradient(x).value(), Tensor::from([0.0, 0.5, 1.0]));
    /// ```
    ///
    /// # Source
    /// Dugas, Bengio, Bélisle, Nadeau, Garcia, "Incorporating second-order functional knowledge for
    /// better option pricing" (2000).
    Softplus, softplus, reads: INPUTS, domain: ANY,
    |x, L| x.softplus_at::<L>(),
    |x, _y, ct| ct * x.sigmoid();

    /// The Gaussian error linear unit `x Phi(x)`, elementwise, `Phi` being the distribution function of
    /// the standard normal distribution. NaN at negative infinity, as in PyTorch.
    ///
    /// Formula: `gelu x = x / 2 * (1 + erf(x / sqrt 2))`.
    ///
    /// # Derivative
    /// `Phi(x) + x phi(x)` with the density `phi`; 0 and 1 for large `|x|`, NaN at the infinities.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1e30, 0.0, 1e30]));
    /// assert_eq!(x.gelu().value(), Tensor::from([0.0, 0.0, 1e30]));
    /// assert_eq!(x.gelu().sum().gradient(x).value(), Tensor::from([0.0, 0.5, 1.0]));
    /// ```
    ///
    /// # Source
    /// Hendrycks, Gimpel, "Gaussian error linear units (GELUs)" (2016), section 2.
    Gelu, gelu, reads: INPUTS, domain: ANY,
    |x, L| x * T::of(0.5) * ((x * T::FRAC_1_SQRT_2()).erf_at::<L>() + T::ONE),
    |x, _y, ct| {
        let below = ((x * T::FRAC_1_SQRT_2()).erf() + T::ONE) * T::of(0.5);
        let density = (x * x * T::of(-0.5)).exp() * T::of(FRAC_1_SQRT_TAU);
        ct * (below + x * density)
    };

    /// The approximation of [`gelu`](Var::gelu) by a hyperbolic tangent, elementwise: what GPT-2 and BERT
    /// were trained with. NaN at negative infinity, as in PyTorch.
    ///
    /// Formula: `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    ///
    /// # Derivative
    /// That of the formula; 0 and 1 for large `|x|` and at the infinities.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1e30, 0.0, 1e30]));
    /// assert_eq!(x.gelu_tanh().value(), Tensor::from([0.0, 0.0, 1e30]));
    /// assert_eq!(x.gelu_tanh().sum().gradient(x).value(), Tensor::from([0.0, 0.5, 1.0]));
    /// ```
    ///
    /// # Source
    /// Hendrycks, Gimpel, "Gaussian error linear units (GELUs)" (2016), section 2.
    GeluTanh, gelu_tanh, reads: INPUTS, domain: ANY,
    |x, L| {
        let near = x.larger(T::of(-SATURATED)).smaller(T::of(SATURATED));
        let inner = near * (near * near * T::of(SQRT_2_OVER_PI * CUBIC) + T::of(SQRT_2_OVER_PI));
        x * T::of(0.5) * (inner.tanh_at::<L>() + T::ONE)
    },
    |x, _y, ct| {
        let near = x.clamp(T::of(-SATURATED), T::of(SATURATED));
        let square = near * near;
        let t = (near * (square * T::of(SQRT_2_OVER_PI * CUBIC) + T::of(SQRT_2_OVER_PI))).tanh();
        let slope = square * T::of(1.5 * SQRT_2_OVER_PI * CUBIC) + T::of(0.5 * SQRT_2_OVER_PI);
        let one = x.tape().number(T::ONE);
        ct * ((t + one) * T::of(0.5) + near * slope * (one - t * t))
    };

    /// The sigmoid-weighted linear unit `x sigmoid(x)`, elementwise; also named swish. NaN at negative
    /// infinity, as in PyTorch.
    ///
    /// # Derivative
    /// `s + x s (1 - s)` for `s = sigmoid x`; 0 and 1 for large `|x|`, NaN at the infinities.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1e30, 0.0, 1e30]));
    /// assert_eq!(x.silu().value(), Tensor::from([0.0, 0.0, 1e30]));
    /// assert_eq!(x.silu().sum().gradient(x).value(), Tensor::from([0.0, 0.5, 1.0]));
    /// ```
    ///
    /// # Source
    /// Elfwing, Uchibe, Doya, "Sigmoid-weighted linear units for neural network function approximation
    /// in reinforcement learning" (2018).
    Silu, silu, reads: INPUTS, domain: ANY,
    |x, L| x * x.sigmoid_at::<L>(),
    |x, _y, ct| {
        let s = x.sigmoid();
        ct * (s + x * (s * (x.tape().number(T::ONE) - s)))
    };

    /// Mish, `x tanh(softplus x)`, elementwise. NaN at negative infinity, as in PyTorch.
    ///
    /// # Derivative
    /// `t + x (1 - t^2) sigmoid(x)` for `t = tanh(softplus x)`; 0 and 1 for large `|x|`, NaN at the
    /// infinities.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1e30, 0.0, 1e30]));
    /// assert_eq!(x.mish().value(), Tensor::from([0.0, 0.0, 1e30]));
    /// let dx = x.mish().sum().gradient(x);
    /// assert!(dx.value().all_close(&Tensor::from([0.0, 0.6, 1.0]), 1e-6, 0.0));
    /// ```
    ///
    /// # Source
    /// Misra, "Mish: a self regularized non-monotonic activation function" (2019).
    Mish, mish, reads: INPUTS, domain: ANY,
    |x, L| x * x.softplus_at::<L>().tanh_at::<L>(),
    |x, _y, ct| {
        let t = x.softplus().tanh();
        ct * (t + x * ((x.tape().number(T::ONE) - t * t) * x.sigmoid()))
    };
}

impl<T: Float> Var<T> {
    /// The logarithm of the [`sigmoid`](Var::sigmoid), elementwise, exact for large negative `x` too.
    ///
    /// Formula: `ln(sigmoid x) = -softplus(-x)`.
    ///
    /// # Derivative
    /// `sigmoid(-x)`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1000.0, 1000.0]));
    /// assert_eq!(x.log_sigmoid().value(), Tensor::from([-1000.0, 0.0]));
    /// assert_eq!(x.log_sigmoid().sum().gradient(x).value(), Tensor::from([1.0, 0.0]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn log_sigmoid(self) -> Self {
        -(-self).softplus()
    }
}

/// The rows of this family besides those of [`UNARY`].
pub(super) const ROWS: &[Row] = &[row!("log_sigmoid", &[ANY], Shapes::Broadcast, |x| x[0]
    .log_sigmoid())];
