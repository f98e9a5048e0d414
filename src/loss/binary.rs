//! Losses of two classes.

use super::same_shape;
use crate::element::{Baseline, Float, Instructions};
use crate::tape::{Binary, Reads, Var, described_here};

/// The bound of the logarithms, and that of `p (1 - p)` in the derivative: both PyTorch's.
const LOWEST: f64 = -100.0;
const SMALLEST: f64 = 1e-12;

/// `-(y max(ln p, -100) + (1 - y) max(ln(1 - p), -100))`
struct BinaryCrossEntropy;
impl<T: Float> Binary<T> for BinaryCrossEntropy {
    described_here!(binary, BinaryCrossEntropy, T, floats);
    type Output = T;
    const NAME: &'static str = "binary_cross_entropy";
    const READS: Reads = Reads::INPUTS;
    const WIDE: bool = true;
    const EXACT: bool = false;
    fn eval(p: T, y: T) -> T {
        Self::eval_at::<Baseline>(p, y)
    }
    #[inline(always)]
    fn eval_at<L: Instructions>(p: T, y: T) -> T {
        let (yes, no) = (
            p.ln_at::<L>().larger(T::of(LOWEST)),
            (-p).log1p_at::<L>().larger(T::of(LOWEST)),
        );
        (y - T::ONE) * no - y * yes
    }
    fn vjp(k: usize, p: Var<T>, y: Var<T>, _loss: Var<T>, ct: Var<T>) -> Var<T> {
        if k == 0 {
            let variance = ((p.tape().number(T::ONE) - p) * p).maximum(T::of(SMALLEST));
            ct * ((p - y) / variance)
        } else {
            let (yes, no) = (
                p.ln().maximum(T::of(LOWEST)),
                (-p).log1p().maximum(T::of(LOWEST)),
            );
            ct * (no - yes)
        }
    }
}

/// `max(z, 0) - z y + ln(1 + exp(-|z|))`
struct WithLogits;
impl<T: Float> Binary<T> for WithLogits {
    described_here!(binary, WithLogits, T, floats);
    type Output = T;
    const NAME: &'static str = "binary_cross_entropy_with_logits";
    const READS: Reads = Reads::INPUTS;
    const WIDE: bool = true;
    const EXACT: bool = false;
    fn eval(z: T, y: T) -> T {
        Self::eval_at::<Baseline>(z, y)
    }
    #[inline(always)]
    fn eval_at<L: Instructions>(z: T, y: T) -> T {
        z.larger(T::ZERO) - z * y + (-z.magnitude()).softplus_at::<L>()
    }
    fn vjp(k: usize, z: Var<T>, y: Var<T>, _loss: Var<T>, ct: Var<T>) -> Var<T> {
        if k == 0 {
            ct * (z.sigmoid() - y)
        } else {
            -(ct * z)
        }
    }
}

#[track_caller]
pub(super) fn binary_cross_entropy<T: Float>(prediction: Var<T>, target: Var<T>) -> Var<T> {
    same_shape("binary_cross_entropy", prediction, target);
    prediction.binary::<BinaryCrossEntropy>(target)
}

#[track_caller]
pub(super) fn binary_cross_entropy_with_logits<T: Float>(logits: Var<T>, target: Var<T>) -> Var<T> {
    same_shape("binary_cross_entropy_with_logits", logits, target);
    logits.binary::<WithLogits>(target)
}
