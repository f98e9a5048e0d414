//! Elementwise operations: the value and the rule of a function of one, two or three numbers.

use super::operation::{Pullback, Reads};
use super::var::{AnyVar, Var};
use crate::element::{Dtype, Element, Instructions};
use crate::kernel::elementwise::{Arithmetic, Kernel, Map1, Map2, Map3};
use std::fmt;
use std::marker::PhantomData;

/// An elementwise operation as the tape knows it, for one combination of element types.
pub struct Elementwise {
    pub(crate) name: &'static str,
    pub(crate) kernel: Kernel,
    pub(crate) output: Dtype,
    pub(crate) reads: Reads,
    pub(crate) vjp: fn(&Pullback<'_>, usize) -> AnyVar,
}

impl fmt::Debug for Elementwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// An elementwise operation of one operand: the value and the rule of a function of a number.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::{Reads, Unary};
///
/// /// x^3
/// struct Cube;
/// impl<T: Float> Unary<T> for Cube {
///     type Output = T;
///     const NAME: &'static str = "cube";
///     const READS: Reads = Reads::INPUTS;
///     fn eval(x: T) -> T {
///         x * x * x
///     }
///     fn vjp(x: Var<T>, _y: Var<T>, cotangent: Var<T>) -> Var<T> {
///         cotangent * x * x * T::of(3.0)
///     }
/// }
///
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from([2.0]));
/// let y = x.unary::<Cube>();
/// assert_eq!(y.value(), Tensor::from([8.0]));
/// assert_eq!(y.sum().gradient(x).value(), Tensor::from([12.0]));
/// ```
pub trait Unary<T: Element>: Sized + 'static {
    /// The element type of the result.
    type Output: Element;
    /// The name in messages.
    const NAME: &'static str;
    /// What the rule reads.
    const READS: Reads;
    /// Whether to compile the value for wide vectors too. Worth it where it is a few instructions, without a call.
    const WIDE: bool = false;
    /// Whether the value is the same bits with every instruction set, so that a number may be computed with any.
    #[doc(hidden)]
    const EXACT: bool = true;
    /// The value for one element.
    fn eval(x: T) -> Self::Output;
    /// The value by instructions that the crate has picked.
    #[doc(hidden)]
    #[inline(always)]
    fn eval_at<L: Instructions>(x: T) -> Self::Output {
        Self::eval(x)
    }
    /// Whether there are numbers that take a way of their own, which need not be fast.
    #[doc(hidden)]
    const RARE: bool = false;
    /// Whether a number is one of those.
    #[doc(hidden)]
    #[inline(always)]
    fn is_rare(_x: T) -> bool {
        false
    }
    /// The cotangent of `x`, given that of `y = f(x)`.
    fn vjp(x: Var<T>, y: Var<Self::Output>, cotangent: Var<Self::Output>) -> Var<T>;
    /// The operation as the tape knows it.
    #[doc(hidden)]
    fn described() -> &'static Elementwise {
        const { &Elementwise::unary::<T, Self>() }
    }
}

/// An elementwise operation of two operands of one type, which broadcast.
pub trait Binary<T: Element>: Sized + 'static {
    /// The element type of the result.
    type Output: Element;
    /// The name in messages.
    const NAME: &'static str;
    /// What the rule reads.
    const READS: Reads;
    /// Whether to compile the value for wide vectors too. Worth it where it is a few instructions, without a call.
    const WIDE: bool = false;
    /// Whether the value is the same bits with every instruction set, so that a number may be computed with any.
    #[doc(hidden)]
    const EXACT: bool = true;
    /// Which function of arithmetic it is: the crate computes pairs of those in one.
    #[doc(hidden)]
    const ARITHMETIC: Option<Arithmetic> = None;
    /// The value for one pair of elements.
    fn eval(a: T, b: T) -> Self::Output;
    /// The value by instructions that the crate has picked.
    #[doc(hidden)]
    #[inline(always)]
    fn eval_at<L: Instructions>(a: T, b: T) -> Self::Output {
        Self::eval(a, b)
    }
    /// The cotangent of operand `k` (0 or 1), in the shape of the result: broadcasting is undone by the caller.
    fn vjp(
        k: usize,
        a: Var<T>,
        b: Var<T>,
        y: Var<Self::Output>,
        cotangent: Var<Self::Output>,
    ) -> Var<T>;
    /// The operation as the tape knows it.
    #[doc(hidden)]
    fn described() -> &'static Elementwise {
        const { &Elementwise::binary::<T, Self>() }
    }
}

/// An elementwise operation of three operands, of which the first may be of another type; they broadcast.
pub trait Ternary<A: Element, T: Element>: Sized + 'static {
    /// The name in messages.
    const NAME: &'static str;
    /// What the rule reads.
    const READS: Reads;
    /// Whether to compile the value for wide vectors too. Worth it where it is a few instructions, without a call.
    const WIDE: bool = false;
    /// Whether the value is the same bits with every instruction set, so that a number may be computed with any.
    #[doc(hidden)]
    const EXACT: bool = true;
    /// The value for one triple of elements.
    fn eval(a: A, b: T, c: T) -> T;
    /// The value by instructions that the crate has picked.
    #[doc(hidden)]
    #[inline(always)]
    fn eval_at<L: Instructions>(a: A, b: T, c: T) -> T {
        Self::eval(a, b, c)
    }
    /// The cotangent of operand `k` (0, 1 or 2), in the shape of the result: broadcasting is undone by the caller.
    fn vjp(k: usize, a: Var<A>, b: Var<T>, c: Var<T>, y: Var<T>, cotangent: Var<T>) -> AnyVar;
    /// The operation as the tape knows it.
    #[doc(hidden)]
    fn described() -> &'static Elementwise {
        const { &Elementwise::ternary::<A, T, Self>() }
    }
}

/// Makes the function of a rule that of a kernel.
struct Of<O>(PhantomData<O>);

impl<T: Element, O: Unary<T>> Map1<T> for Of<O> {
    type Output = O::Output;
    const WIDE: bool = O::WIDE;
    const RARE: bool = O::RARE;
    #[inline(always)]
    fn eval<L: Instructions>(a: T) -> O::Output {
        O::eval_at::<L>(a)
    }
    #[inline(always)]
    fn is_rare(a: T) -> bool {
        O::is_rare(a)
    }
    #[inline(always)]
    fn eval_rare(a: T) -> O::Output {
        O::eval(a)
    }
}

impl<T: Element, O: Binary<T>> Map2<T, T> for Of<O> {
    type Output = O::Output;
    const WIDE: bool = O::WIDE;
    const ARITHMETIC: Option<Arithmetic> = O::ARITHMETIC;
    #[inline(always)]
    fn eval<L: Instructions>(a: T, b: T) -> O::Output {
        O::eval_at::<L>(a, b)
    }
}

impl<A: Element, T: Element, O: Ternary<A, T>> Map3<A, T, T> for Of<O> {
    type Output = T;
    const WIDE: bool = O::WIDE;
    #[inline(always)]
    fn eval<L: Instructions>(a: A, b: T, c: T) -> T {
        O::eval_at::<L>(a, b, c)
    }
}

impl Elementwise {
    /// The description of an operation of one operand.
    pub(crate) const fn unary<T: Element, O: Unary<T>>() -> Elementwise {
        Elementwise {
            name: O::NAME,
            kernel: Kernel::of1::<T, Of<O>>(),
            output: <O::Output as Element>::DTYPE,
            reads: O::READS,
            vjp: |p, _| {
                O::vjp(
                    p.inputs[0].assume(),
                    p.output.assume(),
                    p.cotangent.assume(),
                )
                .erase()
            },
        }
    }

    /// The description of an operation of two operands.
    pub(crate) const fn binary<T: Element, O: Binary<T>>() -> Elementwise {
        Elementwise {
            name: O::NAME,
            kernel: Kernel::of2::<T, T, Of<O>>(),
            output: <O::Output as Element>::DTYPE,
            reads: O::READS,
            vjp: |p, k| {
                let (a, b) = (p.inputs[0].assume(), p.inputs[1].assume());
                O::vjp(k, a, b, p.output.assume(), p.cotangent.assume()).erase()
            },
        }
    }

    /// The description of an operation of three operands.
    pub(crate) const fn ternary<A: Element, T: Element, O: Ternary<A, T>>() -> Elementwise {
        Elementwise {
            name: O::NAME,
            kernel: Kernel::of3::<A, T, T, Of<O>>(),
            output: T::DTYPE,
            reads: O::READS,
            vjp: |p, k| {
                let (a, b, c) = (
                    p.inputs[0].assume(),
                    p.inputs[1].assume(),
                    p.inputs[2].assume(),
                );
                O::vjp(k, a, b, c, p.output.assume(), p.cotangent.assume())
            },
        }
    }
}

/// In the implementation of an elementwise operation of this crate: its description, looked up by element type in a function that
/// is not generic. So its kernels are compiled in this crate, once, and not again in each that uses the operation.
macro_rules! described_here {
    ($class:ident, $op:ty, $t:ty, floats) => {
        $crate::tape::described_here!(@ $class, $op, $t, [F32 f32, F64 f64]);
    };
    ($class:ident, $op:ty, $t:ty, all) => {
        $crate::tape::described_here!(@ $class, $op, $t, [F32 f32, F64 f64, I64 i64, Bool bool]);
    };
    ($class:ident, $op:ty, $t:ty, numbers) => {
        $crate::tape::described_here!(@ $class, $op, $t, [F32 f32, F64 f64, I64 i64]);
    };
    (@ $class:ident, $op:ty, $t:ty, [$($variant:ident $type:ty),*]) => {
        fn described() -> &'static $crate::tape::Elementwise {
            #[inline(never)]
            fn of(dtype: $crate::Dtype) -> &'static $crate::tape::Elementwise {
                match dtype {
                    $($crate::Dtype::$variant => {
                        const { &$crate::tape::described_here!(# $class, $op, $type) }
                    })*
                    #[allow(unreachable_patterns)]
                    dtype => unreachable!("{} of {dtype}", stringify!($op)),
                }
            }
            of(<$t as $crate::Element>::DTYPE)
        }
    };
    (# unary, $op:ty, $type:ty) => { $crate::tape::Elementwise::unary::<$type, $op>() };
    (# binary, $op:ty, $type:ty) => { $crate::tape::Elementwise::binary::<$type, $op>() };
    (# ternary, $op:ty, $type:ty) => { $crate::tape::Elementwise::ternary::<$type, $type, $op>() };
    (# select, $op:ty, $type:ty) => { $crate::tape::Elementwise::ternary::<bool, $type, $op>() };
}
pub(crate) use described_here;
