//! Activation functions with a kink at 0: rectifiers and exponential linear units.

use super::arithmetic::Operand;
use super::table::{Domain, Row, Shapes, row, unary};
use crate::element::{Baseline, Float, Instructions};
use crate::tape::{AnyVar, Binary, Reads, Ternary, Var, described_here};

const ANY: Domain = Domain::Interval(-2.0, 2.0);
const KINK: Domain = Domain::Except(-2.0, 2.0, &[0.0], 0.1);

unary! {
    /// The rectifier `max(x, 0)`, elementwise; a NaN stays one.
    ///
    /// # Derivative
    /// 1 where `x > 0`, else 0, at 0 too; 1 at a NaN. As in PyTorch.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1.0, 0.0, 2.0]));
    /// assert_eq!(x.relu().value(), Tensor::from([0.0, 0.0, 2.0]));
    /// assert_eq!(x.relu().sum().gradient(x).value(), Tensor::from([0.0, 0.0, 1.0]));
    /// ```
    ///
    /// # Source
    /// Nair, Hinton, "Rectified linear units improve restricted Boltzmann machines" (2010).
    Relu, relu, reads: OUTPUT, domain: KINK,
    |x, L| if x <= T::ZERO { T::ZERO } else { x },
    |_x, y, ct| ct.binary::<ReluMask>(y);
}

/// The first operand, but 0 where the second is not positive: the rule of the rectifier in one pass.
struct ReluMask;
impl<T: Float> Binary<T> for ReluMask {
    described_here!(binary, ReluMask, T, floats);
    type Output = T;
    const NAME: &'static str = "relu_mask";
    const READS: Reads = Reads::INPUTS;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(a: T, mask: T) -> T {
        if mask <= T::ZERO { T::ZERO } else { a }
    }
    fn vjp(k: usize, _a: Var<T>, mask: Var<T>, _y: Var<T>, ct: Var<T>) -> Var<T> {
        if k == 0 {
            ct.binary::<ReluMask>(mask)
        } else {
            ct.tape().number(T::ZERO)
        }
    }
}

struct LeakyRelu;
impl<T: Float> Binary<T> for LeakyRelu {
    described_here!(binary, LeakyRelu, T, floats);
    type Output = T;
    const NAME: &'static str = "leaky_relu";
    const READS: Reads = Reads::INPUTS;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(x: T, slope: T) -> T {
        if x > T::ZERO { x } else { x * slope }
    }
    fn vjp(k: usize, x: Var<T>, slope: Var<T>, _y: Var<T>, ct: Var<T>) -> Var<T> {
        if k == 0 {
            x.ternary::<T, LeakyMask>(ct, slope)
        } else {
            unless_positive(x, ct * x)
        }
    }
}

/// The second operand where the first is positive, elsewhere times the third: the rule of the leaky rectifier.
struct LeakyMask;
impl<T: Float> Ternary<T, T> for LeakyMask {
    described_here!(ternary, LeakyMask, T, floats);
    const NAME: &'static str = "leaky_relu_mask";
    const READS: Reads = Reads::INPUTS;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(x: T, a: T, slope: T) -> T {
        if x > T::ZERO { a } else { a * slope }
    }
    fn vjp(k: usize, x: Var<T>, a: Var<T>, slope: Var<T>, _y: Var<T>, ct: Var<T>) -> AnyVar {
        match k {
            0 => ct.tape().number(T::ZERO),
            1 => x.ternary::<T, LeakyMask>(ct, slope),
            _ => unless_positive(x, ct * a),
        }
        .erase()
    }
}

struct Elu;
impl<T: Float> Binary<T> for Elu {
    described_here!(binary, Elu, T, floats);
    type Output = T;
    const NAME: &'static str = "elu";
    const READS: Reads = Reads::BOTH;
    const WIDE: bool = true;
    fn eval(x: T, alpha: T) -> T {
        Self::eval_at::<Baseline>(x, alpha)
    }
    #[inline(always)]
    fn eval_at<L: Instructions>(x: T, alpha: T) -> T {
        let below = alpha * x.expm1_at::<L>();
        if x > T::ZERO { x } else { below }
    }
    fn vjp(k: usize, x: Var<T>, alpha: Var<T>, y: Var<T>, ct: Var<T>) -> Var<T> {
        if k == 0 {
            // y + alpha = alpha e^x where it is selected. Where it is not, it has the bounded derivative of
            // y, so that no order multiplies the 0 of the selection by an infinity.
            ct * x.gt(T::ZERO).select(x.tape().number(T::ONE), y + alpha)
        } else {
            ct * unless_positive(x, x).expm1()
        }
    }
}

/// `a`, but 0 where `x` is positive.
fn unless_positive<T: Float>(x: Var<T>, a: Var<T>) -> Var<T> {
    x.gt(T::ZERO).select(x.tape().number(T::ZERO), a)
}

impl<T: Float> Var<T> {
    /// The leaky rectifier: `x` where it is positive, else `slope * x`, elementwise.
    ///
    /// The slope is a number, or a variable that broadcasts: then this is the parametric rectifier.
    ///
    /// # Derivative
    /// For `x`: 1 where `x > 0`, else `slope`, at 0 too, as in PyTorch. For `slope`: `min(x, 0)`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-4.0, 0.0, 2.0]));
    /// let y = x.leaky_relu(0.25);
    /// assert_eq!(y.value(), Tensor::from([-1.0, 0.0, 2.0]));
    /// assert_eq!(y.sum().gradient(x).value(), Tensor::from([0.25, 0.25, 1.0]));
    ///
    /// let slope = tape.leaf(&Tensor::from(0.25));
    /// assert_eq!(x.leaky_relu(slope).sum().gradient(slope).value(), Tensor::from(-4.0));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast, the variables are of two tapes, or the tape was reset or dropped.
    ///
    /// # Source
    /// Maas, Hannun, Ng, "Rectifier nonlinearities improve neural network acoustic models" (2013);
    /// He, Zhang, Ren, Sun, "Delving deep into rectifiers" (2015).
    #[track_caller]
    pub fn leaky_relu(self, slope: impl Operand<T>) -> Self {
        self.binary::<LeakyRelu>(slope.on(self))
    }

    /// The exponential linear unit: `x` where it is positive, else `alpha (e^x - 1)`, elementwise.
    ///
    /// `alpha` is a number, or a variable that broadcasts.
    ///
    /// # Derivative
    /// For `x`: 1 where `x > 0`, else `alpha e^x`: `alpha` at 0, as in PyTorch. For `alpha`: 0 where
    /// `x > 0`, else `e^x - 1`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1000.0, 0.0, 1000.0]));
    /// let y = x.elu(2.0);
    /// assert_eq!(y.value(), Tensor::from([-2.0, 0.0, 1000.0]));
    /// assert_eq!(y.sum().gradient(x).value(), Tensor::from([0.0, 2.0, 1.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast, the variables are of two tapes, or the tape was reset or dropped.
    ///
    /// # Source
    /// Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning by exponential linear
    /// units" (2016), equation 16.
    #[track_caller]
    pub fn elu(self, alpha: impl Operand<T>) -> Self {
        self.binary::<Elu>(alpha.on(self))
    }

    /// The scaled exponential linear unit, which keeps mean 0 and variance 1, elementwise.
    ///
    /// Formula: `scale * elu(x, alpha)` with `alpha = 1.6733` and `scale = 1.0507`.
    ///
    /// # Derivative
    /// `scale` where `x > 0`, else `scale alpha e^x`, at 0 too.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([f32::NEG_INFINITY, 0.0, 1.0]));
    /// assert_eq!(x.selu().value(), Tensor::from([-1.758_099_3, 0.0, 1.050_701]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    ///
    /// # Source
    /// Klambauer, Unterthiner, Mayr, Hochreiter, "Self-normalizing neural networks" (2017), equations 2
    /// and 14.
    #[track_caller]
    pub fn selu(self) -> Self {
        // Equation 14 with w = 0 and v = 1: -sqrt(2 / pi) / (erfc(1 / sqrt 2) e^(1/2) - 1), and the scale
        // that keeps the variance with it.
        const ALPHA: f64 = 1.673_263_242_354_377_2;
        const SCALE: f64 = 1.050_700_987_355_480_5;
        self.elu(T::of(ALPHA)) * T::of(SCALE)
    }
}

/// The rows of this family besides those of [`UNARY`].
pub(super) const ROWS: &[Row] = &[
    row!("leaky_relu(number)", &[KINK], Shapes::Broadcast, |x| x[0]
        .leaky_relu(0.1)),
    row!("leaky_relu", &[KINK, ANY], Shapes::Broadcast, |x| x[0]
        .leaky_relu(x[1])),
    row!("elu(number)", &[KINK], Shapes::Broadcast, |x| x[0].elu(0.7)),
    row!("elu", &[KINK, ANY], Shapes::Broadcast, |x| x[0].elu(x[1])),
    row!("selu", &[KINK], Shapes::Broadcast, |x| x[0].selu()),
];
