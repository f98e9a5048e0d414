//! How an operation is described: its value, and its rule in terms of recorded operations.

use super::batch::Batch;
use super::var::{AnyVar, Var};
use crate::element::{Dtype, Element, Instructions, Slice, SliceMut};
use crate::kernel::copy::copy_strided;
use crate::kernel::elementwise::{Arithmetic, Kernel, Map1, Map2, Map3};
use crate::kernel::matmul::Tiny;
use crate::shape::{Layout, Shape};
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Which values the gradient rule of an operation reads: they are worth keeping for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The inputs.
    pub inputs: bool,
    /// The output.
    pub output: bool,
}

impl Reads {
    /// Neither: the rule is linear with constant coefficients.
    pub const NOTHING: Reads = Reads {
        inputs: false,
        output: false,
    };
    /// The inputs.
    pub const INPUTS: Reads = Reads {
        inputs: true,
        output: false,
    };
    /// The output.
    pub const OUTPUT: Reads = Reads {
        inputs: false,
        output: true,
    };
    /// Inputs and output.
    pub const BOTH: Reads = Reads {
        inputs: true,
        output: true,
    };
}

/// What a gradient rule works with: the inputs and the output of the operation, and the cotangent of the output.
#[derive(Debug)]
pub struct Pullback<'a> {
    pub(crate) inputs: &'a [AnyVar],
    pub(crate) output: AnyVar,
    pub(crate) cotangent: AnyVar,
    /// The element type of the output and its cotangent.
    pub(crate) dtype: Dtype,
}

impl Pullback<'_> {
    /// The input number `k`.
    ///
    /// # Panics
    /// If its elements are not of type `T`, or there are not as many inputs.
    pub fn input<T: Element>(&self, k: usize) -> Var<T> {
        self.inputs[k].typed()
    }

    /// The output.
    ///
    /// # Panics
    /// If its elements are not of type `T`.
    pub fn output<T: Element>(&self) -> Var<T> {
        self.output.typed()
    }

    /// The cotangent of the output: the derivative of the final result with respect to it.
    ///
    /// # Panics
    /// If its elements are not of type `T`.
    pub fn cotangent<T: Element>(&self) -> Var<T> {
        self.cotangent.typed()
    }
}

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

/// The value of an input of an [`Operation`]: elements, and where they lie.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    pub(crate) data: Slice<'a>,
    pub(crate) layout: &'a Layout,
}

impl<'a> Input<'a> {
    /// The storage, in which the elements lie as [`layout`](Input::layout) says.
    ///
    /// # Panics
    /// If the elements are not of type `T`.
    pub fn storage<T: Element>(&self) -> &'a [T] {
        match T::restore(self.data) {
            Some(slice) => slice,
            None => panic!("an input holds {}, not {}", self.data.dtype(), T::DTYPE),
        }
    }

    /// The element type.
    pub fn dtype(&self) -> Dtype {
        self.data.dtype()
    }

    /// Shape, strides and offset.
    pub fn layout(&self) -> &Layout {
        self.layout
    }

    /// The elements in row-major order: as they lie if they lie so, copied otherwise.
    ///
    /// # Panics
    /// If the elements are not of type `T`.
    pub fn elements<T: Element>(&self) -> Cow<'a, [T]> {
        let (storage, size) = (self.storage::<T>(), self.layout.shape().size());
        if self.layout.is_contiguous() {
            let start = self.layout.offset();
            return Cow::Borrowed(&storage[start..start + size]);
        }
        let mut elements = vec![T::ZERO; size];
        self.copy_to(&mut elements);
        Cow::Owned(elements)
    }

    /// Copies the elements in row-major order.
    ///
    /// # Panics
    /// If the elements are not of type `T`, or `to` has another length.
    pub fn copy_to<T: Element>(&self, to: &mut [T]) {
        let (shape, strides) = (self.layout.shape(), self.layout.strides());
        copy_strided(self.storage(), shape, strides, self.layout.offset(), to);
    }
}

/// Where an [`Operation`] writes its result: in row-major order.
#[derive(Debug)]
pub struct Output<'a> {
    pub(crate) data: SliceMut<'a>,
    pub(crate) overwrites: bool,
}

impl<'a> Output<'a> {
    /// The element type.
    pub fn dtype(&self) -> Dtype {
        self.data.dtype()
    }

    /// Whether the elements hold those of the input that the operation [overwrites](Operation::overwrites), in row-major order.
    pub fn overwrites(&self) -> bool {
        self.overwrites
    }

    /// The elements to be written, all of them; what they hold before is not defined.
    ///
    /// # Panics
    /// If the elements are not of type `T`.
    pub fn elements<T: Element>(self) -> &'a mut [T] {
        let dtype = self.data.dtype();
        match T::restore(self.data) {
            Some(slice) => slice,
            None => panic!("the output holds {dtype}, not {}", T::DTYPE),
        }
    }
}

/// An operation with a kernel of its own: shape rule, value, gradient rule.
///
/// Record one with [`TapeRef::record`](super::TapeRef::record).
pub trait Operation: Any + fmt::Debug + Send + Sync {
    /// The name in messages.
    fn name(&self) -> &'static str;

    /// Element type and shape of the result.
    ///
    /// # Errors
    /// A message that says why the inputs do not fit; it becomes a panic at the line that records the operation.
    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String>;

    /// Computes the result.
    ///
    /// # Errors
    /// A message about values that cannot be used, such as an index out of range; it becomes a panic that names the line
    /// that recorded the operation.
    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String>;

    /// The cotangent of input number `k`, in operations on variables. Asked for floating-point inputs only.
    fn vjp(&self, pullback: &Pullback<'_>, k: usize) -> AnyVar;

    /// An input of the type and shape of the result that nobody may need any more: then the output may be given where that lies,
    /// says so ([`Output::overwrites`]), and the storage of the input is empty. For operations that change a few elements.
    fn overwrites(&self) -> Option<usize> {
        None
    }

    /// Whether [`forward`](Operation::forward) never fails, whatever the values are: then what comes after it may be overwritten
    /// before it.
    fn never_fails(&self) -> bool {
        false
    }

    /// The operation on inputs of these layouts, if it is a product of matrices as small as that.
    #[doc(hidden)]
    fn tiny(&self, dtype: Dtype, layouts: &[Layout]) -> Option<Tiny> {
        let _ = (dtype, layouts);
        None
    }

    /// Whether the result has a derivative with respect to input `k`. One that has none, as an index, passes no gradient on.
    fn is_differentiable(&self, k: usize) -> bool {
        let _ = k;
        true
    }

    /// The cotangents of several inputs at once, for a rule whose cotangents have work in common: `wanted` says for which inputs
    /// they are asked, and there must be as many results. [`vjp`](Operation::vjp) is asked for one after another if this gives
    /// `None`, as it does unless it is implemented.
    fn cotangents(&self, pullback: &Pullback<'_>, wanted: &[bool]) -> Option<Vec<Option<AnyVar>>> {
        let _ = (pullback, wanted);
        None
    }

    /// The operation on every example of a batch ([`vmap`](crate::transform::vmap)): the result has the axis of the batch first.
    /// If this gives `None`, as it does unless it is implemented, the operation is recorded once for each example.
    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let _ = batch;
        None
    }

    /// Whether the operation knows nodes of the tape that it was recorded on, so that it means nothing on another.
    #[doc(hidden)]
    fn is_bound_to_tape(&self) -> bool {
        false
    }

    /// What the rule reads.
    fn reads(&self) -> Reads {
        Reads::BOTH
    }

    /// Whether `other` is the same operation with the same arguments: then a run may use a plan that was made for it. A plan is
    /// made anew for an operation that never says so. For a type with `PartialEq`:
    /// `(other as &dyn Any).downcast_ref() == Some(self)`.
    fn is_same(&self, other: &dyn Operation) -> bool {
        let _ = other;
        false
    }
}

/// Whether `other` is an operation of the same type with the same arguments.
pub(crate) fn same<O: Operation + PartialEq>(this: &O, other: &dyn Operation) -> bool {
    (other as &dyn Any).downcast_ref() == Some(this)
}
