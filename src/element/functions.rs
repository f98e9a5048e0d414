//! Elementary functions as a loop over many numbers wants them: compiled anew for each set of instructions.

/// The instructions that a loop is compiled for, as far as a function of one number depends on them.
pub trait Instructions: Copy + 'static {
    /// Whether a product and a sum can be rounded at once, in one instruction.
    const FMA: bool;
}

/// What every processor of the target has.
#[derive(Clone, Copy, Debug)]
pub struct Baseline;
impl Instructions for Baseline {
    const FMA: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
}

/// Processors with fused products and sums.
#[derive(Clone, Copy, Debug)]
pub struct Fused;
impl Instructions for Fused {
    const FMA: bool = true;
}

/// No fused products and sums, whatever the processor has: the same bits on every machine.
#[derive(Clone, Copy, Debug)]
pub struct Apart;
impl Instructions for Apart {
    const FMA: bool = false;
}

/// Functions of one or two numbers without branches or calls, so that loops over them become vector instructions.
///
/// All of them take the smallest and the largest numbers, zeros of either sign, infinities and NaN as C's functions of the same
/// names. Their errors are in `docs/numerics.md`.
pub trait Functions: Copy {
    /// `e^x`
    fn exp_at<L: Instructions>(self) -> Self;
    /// `e^x - 1`
    fn expm1_at<L: Instructions>(self) -> Self;
    /// The natural logarithm.
    fn ln_at<L: Instructions>(self) -> Self;
    /// `ln(1 + x)`
    fn log1p_at<L: Instructions>(self) -> Self;
    /// The logarithm to base 2.
    fn log2_at<L: Instructions>(self) -> Self;
    /// The logarithm to base 10.
    fn log10_at<L: Instructions>(self) -> Self;
    /// `x^y`
    fn pow_at<L: Instructions>(self, y: Self) -> Self;
    /// Whether the circular functions leave a number to their slow variants: it is large, infinite or NaN.
    fn is_far(self) -> bool;
    /// The sine of a number that is not far.
    fn sin_at<L: Instructions>(self) -> Self;
    /// The cosine of a number that is not far.
    fn cos_at<L: Instructions>(self) -> Self;
    /// The tangent of a number that is not far.
    fn tan_at<L: Instructions>(self) -> Self;
    /// The sine of a number that is far.
    fn sin_far(self) -> Self;
    /// The cosine of a number that is far.
    fn cos_far(self) -> Self;
    /// The tangent of a number that is far.
    fn tan_far(self) -> Self;
    /// The arc sine.
    fn asin_at<L: Instructions>(self) -> Self;
    /// The arc cosine.
    fn acos_at<L: Instructions>(self) -> Self;
    /// The arc tangent.
    fn atan_at<L: Instructions>(self) -> Self;
    /// The angle of the point `(x, self)`.
    fn atan2_at<L: Instructions>(self, x: Self) -> Self;
    /// The hyperbolic sine.
    fn sinh_at<L: Instructions>(self) -> Self;
    /// The hyperbolic cosine.
    fn cosh_at<L: Instructions>(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh_at<L: Instructions>(self) -> Self;
    /// The inverse of the hyperbolic sine.
    fn asinh_at<L: Instructions>(self) -> Self;
    /// The inverse of the hyperbolic cosine.
    fn acosh_at<L: Instructions>(self) -> Self;
    /// The inverse of the hyperbolic tangent.
    fn atanh_at<L: Instructions>(self) -> Self;
    /// The error function.
    fn erf_at<L: Instructions>(self) -> Self;
    /// One minus the error function.
    fn erfc_at<L: Instructions>(self) -> Self;
    /// `1 / (1 + e^-x)`
    fn sigmoid_at<L: Instructions>(self) -> Self;
    /// `ln(1 + e^x)`
    fn softplus_at<L: Instructions>(self) -> Self;
}
