//! Arithmetic: sums, products, quotients, powers, extremes.

use super::rule::summed_for;
use super::table::{Domain, Row, Shapes, row};
use crate::element::{Baseline, Float, Instructions, Number};
use crate::kernel::elementwise::Arithmetic;
use crate::tape::{AnyVar, Binary, Op, Reads, Ternary, Unary, Var, described_here};

pub(super) struct Add;
impl<T: Number> Binary<T> for Add {
    described_here!(binary, Add, T, numbers);
    type Output = T;
    const NAME: &'static str = "add";
    const ARITHMETIC: Option<Arithmetic> = Some(Arithmetic::Add);
    const READS: Reads = Reads::NOTHING;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(a: T, b: T) -> T {
        a.plus(b)
    }
    fn vjp(_k: usize, _a: Var<T>, _b: Var<T>, _y: Var<T>, ct: Var<T>) -> Var<T> {
        ct
    }
}

pub(super) struct Sub;
impl<T: Number> Binary<T> for Sub {
    described_here!(binary, Sub, T, numbers);
    type Output = T;
    const NAME: &'static str = "sub";
    const ARITHMETIC: Option<Arithmetic> = Some(Arithmetic::Sub);
    const READS: Reads = Reads::NOTHING;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(a: T, b: T) -> T {
        a.minus(b)
    }
    fn vjp(k: usize, _a: Var<T>, b: Var<T>, _y: Var<T>, ct: Var<T>) -> Var<T> {
        if k == 0 { ct } else { -summed_for(ct, b) }
    }
}

pub(super) struct Mul;
impl<T: Number> Binary<T> for Mul {
    described_here!(binary, Mul, T, numbers);
    type Output = T;
    const NAME: &'static str = "mul";
    const ARITHMETIC: Option<Arithmetic> = Some(Arithmetic::Mul);
    const READS: Reads = Reads::INPUTS;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(a: T, b: T) -> T {
        a.times(b)
    }
    fn vjp(k: usize, a: Var<T>, b: Var<T>, _y: Var<T>, ct: Var<T>) -> Var<T> {
        scaled(ct, if k == 0 { b } else { a })
    }
}

/// `ct * factor`. Where the cotangent is 1, as it is at first, that is the factor.
pub(super) fn scaled<T: Number>(ct: Var<T>, factor: Var<T>) -> Var<T> {
    if ct.is_known(1.0) && ct.shape() == factor.shape() {
        factor
    } else {
        ct * factor
    }
}

/// The factors of a recorded product of which at most one changes along each axis but the first: an outer product for each example.
pub(crate) fn outer_factors<T: Number>(of: Var<T>) -> Option<[Var<T>; 2]> {
    let tape = of.tape();
    let graph = tape.graph("product");
    let node = graph.node(of.index);
    let Op::Elementwise(op) = node.op else {
        return None;
    };
    let [a, b] = node.inputs[..] else {
        return None;
    };
    let [left, right] = [a, b].map(|input| &graph.node(input).shape);
    let rank = node.shape.rank();
    let apart = left.rank() == rank
        && right.rank() == rank
        && (1..rank).all(|axis| left[axis] == 1 || right[axis] == 1);
    let found = std::ptr::eq(op, <Mul as Binary<T>>::described()) && apart;
    found.then(|| [a, b].map(|input| tape.var(input).assume()))
}

pub(super) struct Div;
impl<T: Float> Binary<T> for Div {
    described_here!(binary, Div, T, floats);
    type Output = T;
    const NAME: &'static str = "div";
    const READS: Reads = Reads::BOTH;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(a: T, b: T) -> T {
        a / b
    }
    fn vjp(k: usize, _a: Var<T>, b: Var<T>, y: Var<T>, ct: Var<T>) -> Var<T> {
        if k == 0 { ct / b } else { -(ct * (y / b)) }
    }
}

pub(super) struct Neg;
impl<T: Number> Unary<T> for Neg {
    described_here!(unary, Neg, T, numbers);
    type Output = T;
    const NAME: &'static str = "neg";
    const READS: Reads = Reads::NOTHING;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(x: T) -> T {
        x.negated()
    }
    fn vjp(_x: Var<T>, _y: Var<T>, ct: Var<T>) -> Var<T> {
        -ct
    }
}

struct Abs;
impl<T: Number> Unary<T> for Abs {
    described_here!(unary, Abs, T, numbers);
    type Output = T;
    const NAME: &'static str = "abs";
    const READS: Reads = Reads::INPUTS;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(x: T) -> T {
        x.magnitude()
    }
    fn vjp(x: Var<T>, _y: Var<T>, ct: Var<T>) -> Var<T> {
        ct * x.sign()
    }
}

struct Sign;
impl<T: Number> Unary<T> for Sign {
    described_here!(unary, Sign, T, numbers);
    type Output = T;
    const NAME: &'static str = "sign";
    const READS: Reads = Reads::NOTHING;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(x: T) -> T {
        // Zero, or a NaN, is its own sign.
        let below = if x < T::ZERO { T::ONE.negated() } else { x };
        if x > T::ZERO { T::ONE } else { below }
    }
    fn vjp(x: Var<T>, _y: Var<T>, _ct: Var<T>) -> Var<T> {
        x.tape().number(T::ZERO)
    }
}

struct Pow;
impl<T: Float> Binary<T> for Pow {
    described_here!(binary, Pow, T, floats);
    type Output = T;
    const NAME: &'static str = "pow";
    const READS: Reads = Reads::BOTH;
    const WIDE: bool = true;
    const EXACT: bool = false;
    fn eval(a: T, b: T) -> T {
        Self::eval_at::<Baseline>(a, b)
    }
    #[inline(always)]
    fn eval_at<L: Instructions>(a: T, b: T) -> T {
        a.pow_at::<L>(b)
    }
    fn vjp(k: usize, a: Var<T>, b: Var<T>, y: Var<T>, ct: Var<T>) -> Var<T> {
        let zero = a.tape().number(T::ZERO);
        match (k, b.known()) {
            (0, Some(exponent)) if exponent == T::ZERO => zero,
            (0, Some(exponent)) if exponent == T::ONE => ct,
            (0, Some(exponent)) if exponent == T::of(2.0) => ct * (a * exponent),
            (0, Some(_)) => ct * (b * a.pow(b - T::ONE)),
            (0, None) => b.eq(zero).select(zero, ct * (b * a.pow(b - T::ONE))),
            // 0^b is 0 for every b > 0: ln 0 must not turn that into a NaN.
            _ => a.eq(zero).and(b.ge(zero)).select(zero, ct * (y * a.ln())),
        }
    }
}

struct Maximum;
impl<T: Number> Binary<T> for Maximum {
    described_here!(binary, Maximum, T, numbers);
    type Output = T;
    const NAME: &'static str = "maximum";
    const READS: Reads = Reads::INPUTS;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(a: T, b: T) -> T {
        a.larger(b)
    }
    fn vjp(k: usize, a: Var<T>, b: Var<T>, _y: Var<T>, ct: Var<T>) -> Var<T> {
        let (this, other) = if k == 0 { (a, b) } else { (b, a) };
        share(ct, this.lt(other), this.eq(other))
    }
}

struct Minimum;
impl<T: Number> Binary<T> for Minimum {
    described_here!(binary, Minimum, T, numbers);
    type Output = T;
    const NAME: &'static str = "minimum";
    const READS: Reads = Reads::INPUTS;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(a: T, b: T) -> T {
        a.smaller(b)
    }
    fn vjp(k: usize, a: Var<T>, b: Var<T>, _y: Var<T>, ct: Var<T>) -> Var<T> {
        let (this, other) = if k == 0 { (a, b) } else { (b, a) };
        share(ct, this.gt(other), this.eq(other))
    }
}

/// The cotangent of an operand of an extreme: nothing if it lost, half in a tie, else all.
fn share<T: Number>(ct: Var<T>, lost: Var<bool>, tied: Var<bool>) -> Var<T> {
    let tape = ct.tape();
    let part = tied.select(tape.number(T::of(0.5)), tape.number(T::ONE));
    lost.select(tape.number(T::ZERO), ct * part)
}

struct Clamp;
impl<T: Number> Ternary<T, T> for Clamp {
    described_here!(ternary, Clamp, T, numbers);
    const NAME: &'static str = "clamp";
    const READS: Reads = Reads::INPUTS;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(x: T, low: T, high: T) -> T {
        x.larger(low).smaller(high)
    }
    fn vjp(k: usize, x: Var<T>, low: Var<T>, high: Var<T>, _y: Var<T>, ct: Var<T>) -> AnyVar {
        let zero = ct.tape().number(T::ZERO);
        let passes = match k {
            0 => x.ge(low).and(x.le(high)),
            1 => x.lt(low).and(low.lt(high)),
            _ => x.gt(high).or(low.gt(high)),
        };
        passes.select(ct, zero).erase()
    }
}

impl<T: Number> Var<T> {
    /// The absolute value `|x|`, elementwise.
    ///
    /// # Derivative
    /// `sign(x)`; 0 at 0, as in PyTorch.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-2.0, 0.0, 3.0]));
    /// assert_eq!(x.abs().value(), Tensor::from([2.0, 0.0, 3.0]));
    /// assert_eq!(x.abs().sum().gradient(x).value(), Tensor::from([-1.0, 0.0, 1.0]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn abs(self) -> Self {
        self.unary::<Abs>()
    }

    /// The sign: 1, -1, or 0 where `x` is 0; a NaN stays one. Elementwise.
    ///
    /// # Derivative
    /// 0 everywhere, at 0 too.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-2.0, 0.0, 3.0]));
    /// assert_eq!(x.sign().value(), Tensor::from([-1.0, 0.0, 1.0]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn sign(self) -> Self {
        self.unary::<Sign>()
    }

    /// The larger of two, elementwise with broadcasting; a NaN if either is one.
    ///
    /// # Derivative
    /// 1 for the larger operand, 0 for the other; one half for each in a tie, as in PyTorch.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 5.0]));
    /// assert_eq!(x.maximum(2.0).value(), Tensor::from([2.0, 5.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast, the variables are of two tapes, or the tape was reset or dropped.
    #[track_caller]
    pub fn maximum(self, other: impl Operand<T>) -> Self {
        other.after::<Maximum>(self)
    }

    /// The smaller of two, elementwise with broadcasting; a NaN if either is one.
    ///
    /// # Derivative
    /// 1 for the smaller operand, 0 for the other; one half for each in a tie, as in PyTorch.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 5.0]));
    /// assert_eq!(x.minimum(2.0).value(), Tensor::from([1.0, 2.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast, the variables are of two tapes, or the tape was reset or dropped.
    #[track_caller]
    pub fn minimum(self, other: impl Operand<T>) -> Self {
        other.after::<Minimum>(self)
    }

    /// `min(max(x, low), high)`, elementwise with broadcasting; `high` where `low > high`.
    ///
    /// # Derivative
    /// For `x`: 1 where `low <= x <= high`, both ends included, else 0, as in PyTorch. For a bound: 1 where it is the
    /// result and `x` lies outside.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1.0, 0.0, 0.5, 2.0]));
    /// let y = x.clamp(0.0, 1.0);
    /// assert_eq!(y.value(), Tensor::from([0.0, 0.0, 0.5, 1.0]));
    /// assert_eq!(y.sum().gradient(x).value(), Tensor::from([0.0, 1.0, 1.0, 0.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast, the variables are of different tapes, or the tape was reset or dropped.
    #[track_caller]
    pub fn clamp(self, low: impl Operand<T>, high: impl Operand<T>) -> Self {
        self.ternary::<T, Clamp>(low.on(self), high.on(self))
    }
}

impl<T: Float> Var<T> {
    /// The power `x^exponent`, elementwise with broadcasting; the exponent is a number or a variable.
    ///
    /// # Derivative
    /// For `x`: `exponent * x^(exponent - 1)`, and 0 where the exponent is 0. For the exponent: `x^exponent * ln x`, and 0 where
    /// `x` is 0 and the exponent is not negative. As in PyTorch.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([2.0, 3.0]));
    /// assert_eq!(x.pow(3.0).value(), Tensor::from([8.0, 27.0]));
    /// assert_eq!(x.pow(3.0).sum().gradient(x).value(), Tensor::from([12.0, 27.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast, the variables are of two tapes, or the tape was reset or dropped.
    #[track_caller]
    pub fn pow(self, exponent: impl Operand<T>) -> Self {
        let exponent = exponent.on(self);
        // The square is by far the most frequent power, and a product is exact where it is.
        if exponent.is_known(2.0) && exponent.rank() == 0 {
            self * self
        } else {
            self.binary::<Pow>(exponent)
        }
    }
}

/// The second operand of an operation: a variable, or a number.
pub trait Operand<T: Number> {
    /// The operand as a variable of the tape of `first`.
    #[doc(hidden)]
    #[track_caller]
    fn on(self, first: Var<T>) -> Var<T>;

    /// An operation of `first` and this operand.
    #[doc(hidden)]
    #[track_caller]
    fn after<O: Binary<T>>(self, first: Var<T>) -> Var<O::Output>;
}

impl<T: Number> Operand<T> for Var<T> {
    #[inline]
    fn on(self, _first: Var<T>) -> Var<T> {
        self
    }

    #[inline]
    #[track_caller]
    fn after<O: Binary<T>>(self, first: Var<T>) -> Var<O::Output> {
        first.binary::<O>(self)
    }
}

impl<T: Number> Operand<T> for T {
    #[inline]
    #[track_caller]
    fn on(self, first: Var<T>) -> Var<T> {
        first.tape().number(self)
    }

    #[inline]
    #[track_caller]
    fn after<O: Binary<T>>(self, first: Var<T>) -> Var<O::Output> {
        first.binary_number::<O>(self)
    }
}

const ANY: Domain = Domain::Interval(-2.0, 2.0);
const POSITIVE: Domain = Domain::Interval(0.3, 2.5);

/// The rows of this family.
pub(super) const ROWS: &[Row] = &[
    row!("add", &[ANY, ANY], Shapes::Broadcast, |x| x[0] + x[1]),
    row!("add(number)", &[ANY], Shapes::Broadcast, |x| x[0] + 0.5),
    row!("sub", &[ANY, ANY], Shapes::Broadcast, |x| x[0] - x[1]),
    row!("number - x", &[ANY], Shapes::Broadcast, |x| 0.5 - x[0]),
    row!("mul", &[ANY, ANY], Shapes::Broadcast, |x| x[0] * x[1]),
    row!("number * x", &[ANY], Shapes::Broadcast, |x| 1.5 * x[0]),
    row!("div", &[ANY, POSITIVE], Shapes::Broadcast, |x| x[0] / x[1]),
    row!("number / x", &[POSITIVE], Shapes::Broadcast, |x| 1.5 / x[0]),
    row!("neg", &[ANY], Shapes::Broadcast, |x| -x[0]),
    row!(
        "abs",
        &[Domain::Except(-2.0, 2.0, &[0.0], 0.1)],
        Shapes::Broadcast,
        |x| x[0].abs()
    ),
    row!(
        "sign",
        &[Domain::Except(-2.0, 2.0, &[0.0], 0.1)],
        Shapes::Broadcast,
        |x| x[0].sign()
    ),
    row!("pow", &[POSITIVE, ANY], Shapes::Broadcast, |x| x[0]
        .pow(x[1])),
    row!("pow(2)", &[ANY], Shapes::Broadcast, |x| x[0].pow(2.0)),
    row!("pow(3)", &[ANY], Shapes::Broadcast, |x| x[0].pow(3.0)),
    row!("pow(-1.5)", &[POSITIVE], Shapes::Broadcast, |x| x[0]
        .pow(-1.5)),
    row!(
        "maximum",
        &[Domain::Spaced(0.0), Domain::Spaced(0.5)],
        Shapes::Broadcast,
        |x| x[0].maximum(x[1])
    ),
    row!(
        "minimum",
        &[Domain::Spaced(0.0), Domain::Spaced(0.5)],
        Shapes::Broadcast,
        |x| x[0].minimum(x[1])
    ),
    row!(
        "clamp",
        &[Domain::Except(-2.0, 2.0, &[-0.5, 1.0], 0.1)],
        Shapes::Broadcast,
        |x| x[0].clamp(-0.5, 1.0)
    ),
    row!(
        "clamp(variables)",
        &[
            Domain::Spaced(0.0),
            Domain::Spaced(0.25),
            Domain::Spaced(0.5)
        ],
        Shapes::Broadcast,
        |x| x[0].clamp(x[1], x[2])
    ),
];
