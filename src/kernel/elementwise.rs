//! Elementwise passes: one function over blocks of the operands.
//!
//! A function is compiled for operands that advance with the result and for operands of one element, and for each level of the
//! CPU; everything else (broadcasting along some axes, strides) is brought into that form by a [pass](super::pass). The result may
//! overwrite an operand.

#[cfg(target_arch = "x86_64")]
use super::dispatch::Fused;
use super::dispatch::{Baseline, Instructions, Level, level};
use crate::element::{Dtype, Element, Slice, SliceMut, with_any};
use std::marker::PhantomData;

/// A sum, difference or product: functions that cost less than to store their result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Sub,
    Mul,
}

/// A function of one element.
pub(crate) trait Map1<A: Element> {
    /// The type of the result.
    type Output: Element;
    /// Whether there are operands that take a way of their own, which need not be fast.
    const RARE: bool;
    /// Whether wide vectors pay: not for a function that calls out for each element.
    const WIDE: bool;
    /// The value of the function for an operand that is not rare.
    fn eval<L: Instructions>(a: A) -> Self::Output;
    /// Whether an operand is rare.
    fn is_rare(a: A) -> bool;
    /// The value of the function for a rare operand.
    fn eval_rare(a: A) -> Self::Output;
}

/// A function of two elements.
pub(crate) trait Map2<A: Element, B: Element> {
    /// The type of the result.
    type Output: Element;
    /// Whether wide vectors pay: not for a function that calls out for each element.
    const WIDE: bool;
    /// Which of those functions it is, if it is one.
    const ARITHMETIC: Option<Arithmetic> = None;
    /// The value of the function.
    fn eval<L: Instructions>(a: A, b: B) -> Self::Output;
}

/// A function of three elements.
pub(crate) trait Map3<A: Element, B: Element, C: Element> {
    /// The type of the result.
    type Output: Element;
    /// Whether wide vectors pay: not for a function that calls out for each element.
    const WIDE: bool;
    /// The value of the function.
    fn eval<L: Instructions>(a: A, b: B, c: C) -> Self::Output;
}

/// The most operands of an elementwise function.
pub(crate) const OPERANDS: usize = 3;

/// Elements that are computed before any is stored. They stay in registers, and because nothing is stored in between, the loop
/// over them vectorizes also where the result overwrites an operand.
pub(super) const CHUNK: usize = 16;

/// How an operand is read: it advances with the result, or is one element for all.
trait Access: Copy + 'static {
    /// How far a step of the result moves the operand.
    const STEP: usize;
}
#[derive(Clone, Copy)]
struct Each;
impl Access for Each {
    const STEP: usize = 1;
}
#[derive(Clone, Copy)]
struct One;
impl Access for One {
    const STEP: usize = 0;
}

/// An operand: the elements from `first` on, or just that.
struct Reader<A, X> {
    first: *const A,
    access: PhantomData<X>,
}

impl<A: Element, X: Access> Reader<A, X> {
    #[inline(always)]
    fn new(first: *const u8) -> Self {
        Reader {
            first: first.cast(),
            access: PhantomData,
        }
    }

    /// # Safety
    /// The element must be there: element `i` of an [`Each`], the first of a [`One`].
    #[inline(always)]
    unsafe fn at(&self, i: usize) -> A {
        // SAFETY: by this function's contract.
        unsafe { *self.first.add(i * X::STEP) }
    }
}

/// What a pass computes: element `i` of its result.
trait Source {
    type Output: Element;
    const WIDE: bool;
    /// Whether there are elements that take a way of their own: see [`Map1::RARE`].
    const RARE: bool = false;
    /// The operands from where they begin.
    fn new(operands: [*const u8; OPERANDS]) -> Self;
    /// # Safety
    /// Every operand must have an element for `i`.
    unsafe fn at<L: Instructions>(&self, i: usize) -> Self::Output;
    /// Whether the chunk of elements from `start` on has rare ones.
    ///
    /// # Safety
    /// That of [`at`](Source::at), for the elements of the chunk.
    unsafe fn any_rare(&self, _start: usize) -> bool {
        false
    }
    /// Element `i` if it is rare.
    ///
    /// # Safety
    /// That of [`at`](Source::at).
    unsafe fn rare(&self, _i: usize) -> Option<Self::Output> {
        None
    }
}

struct Source1<A, F>(Reader<A, Each>, PhantomData<F>);
impl<A: Element, F: Map1<A>> Source for Source1<A, F> {
    type Output = F::Output;
    const WIDE: bool = F::WIDE;
    const RARE: bool = F::RARE;
    #[inline(always)]
    fn new([a, ..]: [*const u8; OPERANDS]) -> Self {
        Source1(Reader::new(a), PhantomData)
    }
    #[inline(always)]
    unsafe fn at<L: Instructions>(&self, i: usize) -> F::Output {
        // SAFETY: by this function's contract.
        F::eval::<L>(unsafe { self.0.at(i) })
    }
    #[inline(always)]
    unsafe fn any_rare(&self, start: usize) -> bool {
        let mut any = false;
        for i in start..start + CHUNK {
            // SAFETY: by this function's contract.
            any |= F::is_rare(unsafe { self.0.at(i) });
        }
        any
    }
    #[inline(always)]
    unsafe fn rare(&self, i: usize) -> Option<F::Output> {
        // SAFETY: by this function's contract.
        let a = unsafe { self.0.at(i) };
        F::is_rare(a).then(|| F::eval_rare(a))
    }
}

struct Source2<A, B, F, X, Y>(Reader<A, X>, Reader<B, Y>, PhantomData<F>);
impl<A: Element, B: Element, F: Map2<A, B>, X: Access, Y: Access> Source
    for Source2<A, B, F, X, Y>
{
    type Output = F::Output;
    const WIDE: bool = F::WIDE;
    #[inline(always)]
    fn new([a, b, _]: [*const u8; OPERANDS]) -> Self {
        Source2(Reader::new(a), Reader::new(b), PhantomData)
    }
    #[inline(always)]
    unsafe fn at<L: Instructions>(&self, i: usize) -> F::Output {
        // SAFETY: by this function's contract.
        unsafe { F::eval::<L>(self.0.at(i), self.1.at(i)) }
    }
}

struct Source3<A, B, C, F, X, Y, Z>(Reader<A, X>, Reader<B, Y>, Reader<C, Z>, PhantomData<F>);
impl<A: Element, B: Element, C: Element, F: Map3<A, B, C>, X: Access, Y: Access, Z: Access> Source
    for Source3<A, B, C, F, X, Y, Z>
{
    type Output = F::Output;
    const WIDE: bool = F::WIDE;
    #[inline(always)]
    fn new([a, b, c]: [*const u8; OPERANDS]) -> Self {
        Source3(Reader::new(a), Reader::new(b), Reader::new(c), PhantomData)
    }
    #[inline(always)]
    unsafe fn at<L: Instructions>(&self, i: usize) -> F::Output {
        // SAFETY: by this function's contract.
        unsafe { F::eval::<L>(self.0.at(i), self.1.at(i), self.2.at(i)) }
    }
}

/// A function over blocks: where the operands begin, where the result does, and its number of elements.
///
/// # Safety
/// Operands and result must be aligned and of the types of the kernel. The result must be valid for writing so many elements, and
/// every operand must have as many, or one if it is single. An operand that advances may be what the result points to, element by
/// element, but not overlap it otherwise. What is no operand is not read.
pub(super) type Call = unsafe fn([*const u8; OPERANDS], *mut u8, usize);

/// The function compiled for the instructions of this processor.
fn compiled<S: Source>() -> Call {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<S: Source>(operands: [*const u8; OPERANDS], out: *mut u8, len: usize) {
        // SAFETY: by the contract of `Call`.
        unsafe { pass::<Fused, S>(operands, out, len) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn avx512<S: Source>(operands: [*const u8; OPERANDS], out: *mut u8, len: usize) {
        // SAFETY: by the contract of `Call`.
        unsafe { pass::<Fused, S>(operands, out, len) }
    }
    match level() {
        // They are called on processors alone that have these instructions: `level` found them.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 if S::WIDE => avx512::<S>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 if S::WIDE => avx2::<S>,
        _ => pass::<Baseline, S>,
    }
}

/// A number of which the compiler knows nothing, at no cost. A loop whose counter goes through here is not vectorized.
#[inline(always)]
fn opaque(mut number: usize) -> usize {
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
    // SAFETY: no instruction at all.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) number, options(pure, nomem, nostack, preserves_flags));
    }
    number
}

/// Computes each element from those at the same place.
///
/// # Safety
/// That of [`Call`].
#[inline(always)]
unsafe fn pass<L: Instructions, S: Source>(
    operands: [*const u8; OPERANDS],
    out: *mut u8,
    len: usize,
) {
    let source = S::new(operands);
    let out: *mut S::Output = out.cast();
    let whole = len - len % CHUNK;
    let mut start = 0;
    while start < whole {
        // SAFETY: `start + CHUNK <= len`, and the contract of `Call` holds.
        if S::RARE && unsafe { source.any_rare(start) } {
            // SAFETY: as above.
            unsafe { with_rare::<L, S>(&source, out, start) };
            start += CHUNK;
            continue;
        }
        let mut chunk = [S::Output::ZERO; CHUNK];
        for (i, element) in chunk.iter_mut().enumerate() {
            // SAFETY: `start + i < len`, and the contract of `Call` holds.
            *element = unsafe { source.at::<L>(start + i) };
        }
        // SAFETY: `start + CHUNK <= len`, and the contract of `Call` holds.
        unsafe { out.add(start).cast::<[S::Output; CHUNK]>().write(chunk) };
        // The elements of a chunk make vectors. For functions that take long, a loop over chunks would be vectorized before that:
        // the first elements of several chunks in one vector, each loaded and stored by itself.
        start = opaque(start + CHUNK);
    }
    // SAFETY: the contract of `Call` holds.
    unsafe { one_by_one::<L, S>(&source, out, whole..len) };
}

/// Computes a chunk that has rare elements.
///
/// # Safety
/// That of [`Call`], for the elements of the chunk from `start` on.
#[cold]
#[inline(never)]
unsafe fn with_rare<L: Instructions, S: Source>(source: &S, out: *mut S::Output, start: usize) {
    // SAFETY: by this function's contract.
    unsafe { one_by_one::<L, S>(source, out, start..start + CHUNK) };
}

/// Computes some elements.
///
/// # Safety
/// That of [`Call`], for these elements.
#[inline(always)]
unsafe fn one_by_one<L: Instructions, S: Source>(
    source: &S,
    out: *mut S::Output,
    elements: std::ops::Range<usize>,
) {
    for i in elements {
        // SAFETY: by this function's contract.
        let value = unsafe { source.rare(i).unwrap_or_else(|| source.at::<L>(i)) };
        // SAFETY: as above.
        unsafe { out.add(i).write(value) };
    }
}

/// Which operands of a kernel can be single.
#[derive(Clone, Copy, Debug)]
enum Singles {
    None,
    /// One of the first two, and the third.
    OfTwo,
    /// The third, and then the second.
    Last,
}

/// An elementwise function for one combination of element types.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    inputs: [Dtype; OPERANDS],
    arity: usize,
    output: Dtype,
    arithmetic: Option<Arithmetic>,
    singles: Singles,
    /// The function, given which operands are single.
    choose: fn([bool; OPERANDS]) -> Call,
}

impl Kernel {
    /// The type of the result.
    pub fn output(&self) -> Dtype {
        self.output
    }

    /// Equal for kernels that compute the same.
    pub(super) fn identity(&self) -> (usize, usize, Dtype) {
        (self.choose as usize, self.arity, self.output)
    }

    /// The types of the operands.
    pub(super) fn operands(&self) -> &[Dtype] {
        &self.inputs[..self.arity]
    }

    /// Which arithmetic function it is, if it is one.
    pub(super) fn arithmetic(&self) -> Option<Arithmetic> {
        self.arithmetic
    }

    /// Which operands are single, given of which there is but one element.
    pub(super) fn singles(&self, [a, b, c]: [bool; OPERANDS]) -> [bool; OPERANDS] {
        match self.singles {
            Singles::None => [false; OPERANDS],
            Singles::OfTwo => [a && !b, b && !a, c],
            Singles::Last => [false, b && c, c],
        }
    }

    /// The function for the instructions of this processor, given which operands are single.
    ///
    /// # Panics
    /// If others are than [may be](Kernel::singles).
    pub(super) fn call(&self, single: [bool; OPERANDS]) -> Call {
        assert_eq!(self.singles(single), single);
        assert!(!single[self.arity..].contains(&true));
        (self.choose)(single)
    }

    /// The kernel of a function of one element.
    pub const fn of1<A: Element, F: Map1<A>>() -> Kernel {
        Kernel {
            inputs: [A::DTYPE; OPERANDS],
            arity: 1,
            output: F::Output::DTYPE,
            arithmetic: None,
            singles: Singles::None,
            choose: |_| compiled::<Source1<A, F>>(),
        }
    }

    /// The kernel of a function of two elements.
    pub const fn of2<A: Element, B: Element, F: Map2<A, B>>() -> Kernel {
        Kernel {
            inputs: [A::DTYPE, B::DTYPE, B::DTYPE],
            arity: 2,
            output: F::Output::DTYPE,
            arithmetic: F::ARITHMETIC,
            singles: Singles::OfTwo,
            choose: |[a, b, _]| match (a, b) {
                (false, false) => compiled::<Source2<A, B, F, Each, Each>>(),
                (false, true) => compiled::<Source2<A, B, F, Each, One>>(),
                (true, _) => compiled::<Source2<A, B, F, One, Each>>(),
            },
        }
    }

    /// The kernel of a function of three elements.
    pub const fn of3<A: Element, B: Element, C: Element, F: Map3<A, B, C>>() -> Kernel {
        Kernel {
            inputs: [A::DTYPE, B::DTYPE, C::DTYPE],
            arity: 3,
            output: F::Output::DTYPE,
            arithmetic: None,
            singles: Singles::Last,
            choose: |[_, b, c]| match (b, c) {
                (_, false) => compiled::<Source3<A, B, C, F, Each, Each, Each>>(),
                (false, true) => compiled::<Source3<A, B, C, F, Each, Each, One>>(),
                (true, true) => compiled::<Source3<A, B, C, F, Each, One, One>>(),
            },
        }
    }

    /// The kernel of two functions of two elements, the second of the result of the first and a third element.
    pub(super) const fn of_pair<T: Element, F: Map3<T, T, T>>() -> Kernel {
        Kernel {
            inputs: [T::DTYPE; OPERANDS],
            arity: 3,
            output: F::Output::DTYPE,
            arithmetic: None,
            singles: Singles::OfTwo,
            choose: |single| match single {
                [false, false, false] => compiled::<Source3<T, T, T, F, Each, Each, Each>>(),
                [false, false, true] => compiled::<Source3<T, T, T, F, Each, Each, One>>(),
                [false, true, false] => compiled::<Source3<T, T, T, F, Each, One, Each>>(),
                [false, true, true] => compiled::<Source3<T, T, T, F, Each, One, One>>(),
                [true, _, false] => compiled::<Source3<T, T, T, F, One, Each, Each>>(),
                [true, _, true] => compiled::<Source3<T, T, T, F, One, Each, One>>(),
            },
        }
    }
}

/// The value of a kernel for one element of each operand.
///
/// # Panics
/// If the operands are not of the types of the kernel.
pub(crate) fn apply(kernel: &Kernel, operands: &[Slice<'_>], mut out: SliceMut<'_>) {
    assert!(out.dtype() == kernel.output && out.len() == 1 && operands.len() == kernel.arity);
    let mut pointers = [std::ptr::null(); OPERANDS];
    for ((pointer, operand), dtype) in pointers.iter_mut().zip(operands).zip(kernel.inputs) {
        assert!(
            operand.len() >= 1 && operand.dtype() == dtype,
            "an operand that does not fit its kernel"
        );
        *pointer = operand.as_ptr();
    }
    let target: *mut u8 = with_any!(&mut out, s => s.as_mut_ptr().cast());
    let call = kernel.call([false; OPERANDS]);
    // SAFETY: types and lengths were asserted above; shared borrows cannot overlap the exclusive borrow of `out`.
    unsafe { call(pointers, target, 1) }
}
