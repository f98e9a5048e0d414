//! The types of numbers that tensors and tapes hold.

mod functions;

pub use functions::{Apart, Baseline, Functions, Fused, Instructions};
use std::fmt;

mod sealed {
    pub trait Sealed {}
}

/// The type of the elements of a tensor, as a value.
///
/// ```
/// use wengert::{Dtype, Element};
/// assert_eq!(f32::DTYPE, Dtype::F32);
/// assert_eq!(Dtype::I64.to_string(), "i64");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// 64-bit signed integers: indices and counts.
    I64,
    /// Truth values: masks.
    Bool,
}

impl Dtype {
    /// Whether derivatives with respect to numbers of this type exist.
    #[inline]
    pub fn is_float(self) -> bool {
        matches!(self, Dtype::F32 | Dtype::F64)
    }

    /// Bytes of one element.
    #[inline]
    pub fn size(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F64 | Dtype::I64 => 8,
            Dtype::Bool => 1,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dtype::F32 => "f32",
            Dtype::F64 => "f64",
            Dtype::I64 => "i64",
            Dtype::Bool => "bool",
        })
    }
}

/// A family of types, one for each element type: slices, tensors, parameters.
///
/// [`Any`] holds a member whose element type is known only at run time.
pub trait Family {
    /// The member for elements of type `T`.
    type Of<T: Element>;
}

/// A member of a [`Family`] whose element type is known only at run time.
pub enum Any<F: Family> {
    /// The member for `f32`.
    F32(F::Of<f32>),
    /// The member for `f64`.
    F64(F::Of<f64>),
    /// The member for `i64`.
    I64(F::Of<i64>),
    /// The member for `bool`.
    Bool(F::Of<bool>),
}

/// Evaluates an expression for whichever member an [`Any`] holds.
macro_rules! with_any {
    ($any:expr, $member:pat => $body:expr) => {
        match $any {
            $crate::element::Any::F32($member) => $body,
            $crate::element::Any::F64($member) => $body,
            $crate::element::Any::I64($member) => $body,
            $crate::element::Any::Bool($member) => $body,
        }
    };
}
pub(crate) use with_any;

/// Evaluates an expression with a type alias bound to the element type of a [`Dtype`].
macro_rules! with_dtype {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::element::Dtype::F32 => {
                type $t = f32;
                $body
            }
            $crate::element::Dtype::F64 => {
                type $t = f64;
                $body
            }
            $crate::element::Dtype::I64 => {
                type $t = i64;
                $body
            }
            $crate::element::Dtype::Bool => {
                type $t = bool;
                $body
            }
        }
    };
}
pub(crate) use with_dtype;

/// As [`with_dtype`], for the types that have arithmetic.
macro_rules! with_number {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::element::Dtype::F32 => {
                type $t = f32;
                $body
            }
            $crate::element::Dtype::F64 => {
                type $t = f64;
                $body
            }
            $crate::element::Dtype::I64 => {
                type $t = i64;
                $body
            }
            dtype => unreachable!("arithmetic on {dtype}"),
        }
    };
}
pub(crate) use with_number;

/// As [`with_dtype`], for the types that have derivatives.
macro_rules! with_float {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::element::Dtype::F32 => {
                type $t = f32;
                $body
            }
            $crate::element::Dtype::F64 => {
                type $t = f64;
                $body
            }
            dtype => unreachable!("a derivative of {dtype}"),
        }
    };
}
pub(crate) use with_float;

impl<F: Family> Any<F> {
    /// The element type of the member.
    #[inline]
    pub fn dtype(&self) -> Dtype {
        match self {
            Any::F32(_) => Dtype::F32,
            Any::F64(_) => Dtype::F64,
            Any::I64(_) => Dtype::I64,
            Any::Bool(_) => Dtype::Bool,
        }
    }
}

impl<F: Family> Clone for Any<F>
where
    F::Of<f32>: Clone,
    F::Of<f64>: Clone,
    F::Of<i64>: Clone,
    F::Of<bool>: Clone,
{
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Any::F32(x) => Any::F32(x.clone()),
            Any::F64(x) => Any::F64(x.clone()),
            Any::I64(x) => Any::I64(x.clone()),
            Any::Bool(x) => Any::Bool(x.clone()),
        }
    }
}

impl<F: Family> Copy for Any<F>
where
    F::Of<f32>: Copy,
    F::Of<f64>: Copy,
    F::Of<i64>: Copy,
    F::Of<bool>: Copy,
{
}

impl<F: Family> fmt::Debug for Any<F>
where
    F::Of<f32>: fmt::Debug,
    F::Of<f64>: fmt::Debug,
    F::Of<i64>: fmt::Debug,
    F::Of<bool>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_any!(self, x => x.fmt(f))
    }
}

/// Single numbers: the family behind [`AnyNumber`].
#[derive(Debug)]
pub struct Numbers;
impl Family for Numbers {
    type Of<T: Element> = T;
}
/// One number of any element type.
pub type AnyNumber = Any<Numbers>;

/// Shared slices: the family behind [`Slice`].
#[derive(Debug)]
pub struct Slices<'a>(std::marker::PhantomData<&'a ()>);
impl<'a> Family for Slices<'a> {
    type Of<T: Element> = &'a [T];
}
/// A slice of numbers of any element type.
pub type Slice<'a> = Any<Slices<'a>>;

/// Mutable slices: the family behind [`SliceMut`].
#[derive(Debug)]
pub struct SlicesMut<'a>(std::marker::PhantomData<&'a mut ()>);
impl<'a> Family for SlicesMut<'a> {
    type Of<T: Element> = &'a mut [T];
}
/// A mutable slice of numbers of any element type.
pub type SliceMut<'a> = Any<SlicesMut<'a>>;

/// What a tensor can hold: `f32`, `f64`, `i64`, `bool`. Sealed.
pub trait Element:
    Copy
    + Default
    + PartialEq
    + PartialOrd
    + fmt::Debug
    + fmt::Display
    + Send
    + Sync
    + sealed::Sealed
    + 'static
{
    /// The type as a value.
    const DTYPE: Dtype;
    /// Zero, or `false`.
    const ZERO: Self;
    /// One, or `true`.
    const ONE: Self;

    /// Puts a member of a family into its [`Any`].
    fn erase<F: Family>(member: F::Of<Self>) -> Any<F>;
    /// Takes the member out again; `None` if it is of another element type.
    fn restore<F: Family>(any: Any<F>) -> Option<F::Of<Self>>;
    /// Looks at the member; `None` if it is of another element type.
    fn peek<F: Family>(any: &Any<F>) -> Option<&F::Of<Self>>;
    /// Looks at the member to change it; `None` if it is of another element type.
    fn peek_mut<F: Family>(any: &mut Any<F>) -> Option<&mut F::Of<Self>>;
}

/// Elements with arithmetic: `f32`, `f64`, `i64`. Sealed.
pub trait Number:
    Element
    + num_traits::NumRef
    + num_traits::NumCast
    + num_traits::NumAssign
    + num_traits::ToPrimitive
    + std::ops::Neg<Output = Self>
    + std::iter::Sum
{
    /// The identity of `max`: negative infinity, or the smallest integer.
    const LOWEST: Self;
    /// The identity of `min`: infinity, or the largest integer.
    const HIGHEST: Self;
    /// The number of this type that is nearest to `x`.
    fn of(x: f64) -> Self;
    /// The number as `f64`.
    fn as_f64(self) -> f64;
    /// Absolute value.
    fn magnitude(self) -> Self;
    /// The larger of two; a NaN if either is one (as in NumPy and PyTorch).
    fn larger(self, other: Self) -> Self;
    /// The smaller of two; a NaN if either is one (as in NumPy and PyTorch).
    fn smaller(self, other: Self) -> Self;
    /// Sum; integers wrap around.
    fn plus(self, other: Self) -> Self;
    /// Difference; integers wrap around.
    fn minus(self, other: Self) -> Self;
    /// Product; integers wrap around.
    fn times(self, other: Self) -> Self;
    /// The same with the other sign; integers wrap around.
    fn negated(self) -> Self;
}

/// Elements that have derivatives: `f32` and `f64`. Sealed.
pub trait Float: Number + num_traits::Float + num_traits::FloatConst + Functions {
    /// The error function.
    fn erf(self) -> Self;
}

macro_rules! element {
    ($t:ty, $variant:ident, $zero:expr, $one:expr) => {
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: Dtype = Dtype::$variant;
            const ZERO: Self = $zero;
            const ONE: Self = $one;
            #[inline]
            fn erase<F: Family>(member: F::Of<Self>) -> Any<F> {
                Any::$variant(member)
            }
            #[inline]
            fn restore<F: Family>(any: Any<F>) -> Option<F::Of<Self>> {
                match any {
                    Any::$variant(member) => Some(member),
                    _ => None,
                }
            }
            #[inline]
            fn peek<F: Family>(any: &Any<F>) -> Option<&F::Of<Self>> {
                match any {
                    Any::$variant(member) => Some(member),
                    _ => None,
                }
            }
            #[inline]
            fn peek_mut<F: Family>(any: &mut Any<F>) -> Option<&mut F::Of<Self>> {
                match any {
                    Any::$variant(member) => Some(member),
                    _ => None,
                }
            }
        }
    };
}
element!(f32, F32, 0.0, 1.0);
element!(f64, F64, 0.0, 1.0);
element!(i64, I64, 0, 1);
element!(bool, Bool, false, true);

macro_rules! float {
    ($t:ident) => {
        impl Number for $t {
            const LOWEST: Self = $t::NEG_INFINITY;
            const HIGHEST: Self = $t::INFINITY;
            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn as_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn magnitude(self) -> Self {
                self.abs()
            }
            // `a >= b` is false for a NaN in either place: select `a` then only if it is the NaN.
            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                if (self >= other) | self.is_nan() {
                    self
                } else {
                    other
                }
            }
            #[inline(always)]
            fn smaller(self, other: Self) -> Self {
                if (self <= other) | self.is_nan() {
                    self
                } else {
                    other
                }
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self - other
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn negated(self) -> Self {
                -self
            }
        }
        impl Float for $t {
            #[inline]
            fn erf(self) -> Self {
                self.erf_at::<Baseline>()
            }
        }
    };
}
float!(f32);
float!(f64);

impl Number for i64 {
    const LOWEST: Self = i64::MIN;
    const HIGHEST: Self = i64::MAX;
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as i64
    }
    #[inline(always)]
    fn as_f64(self) -> f64 {
        self as f64
    }
    #[inline(always)]
    fn magnitude(self) -> Self {
        self.wrapping_abs()
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        self.max(other)
    }
    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        self.min(other)
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }
    #[inline(always)]
    fn negated(self) -> Self {
        self.wrapping_neg()
    }
}

impl<'a> Slice<'a> {
    /// The same slice, borrowed for less long: an [`Any`] does not get there by itself.
    #[inline]
    pub(crate) fn briefly<'b>(self) -> Slice<'b>
    where
        'a: 'b,
    {
        match self {
            Any::F32(x) => Any::F32(x),
            Any::F64(x) => Any::F64(x),
            Any::I64(x) => Any::I64(x),
            Any::Bool(x) => Any::Bool(x),
        }
    }

    /// The number of elements.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        with_any!(self, s => s.len())
    }

    /// The first element.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *const u8 {
        with_any!(self, s => s.as_ptr().cast())
    }

    /// The type of the elements, the first, and how many there are.
    #[inline]
    pub(crate) fn parts(&self) -> (Dtype, *const u8, usize) {
        (self.dtype(), self.as_ptr(), self.len())
    }

    /// The elements from `start` on, `len` of them.
    // The lifetime is a parameter because a slice behind a family does not shorten its own by itself.
    #[inline]
    pub(crate) fn range<'b>(self, start: usize, len: usize) -> Slice<'b>
    where
        'a: 'b,
    {
        match self {
            Any::F32(s) => Any::F32(&s[start..start + len]),
            Any::F64(s) => Any::F64(&s[start..start + len]),
            Any::I64(s) => Any::I64(&s[start..start + len]),
            Any::Bool(s) => Any::Bool(&s[start..start + len]),
        }
    }
}

impl SliceMut<'_> {
    /// The number of elements.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        with_any!(self, s => s.len())
    }

    /// The type of the elements, the first, and how many there are.
    #[inline]
    pub(crate) fn into_parts(self) -> (Dtype, *mut u8, usize) {
        let (dtype, len) = (self.dtype(), self.len());
        (dtype, with_any!(self, s => s.as_mut_ptr().cast()), len)
    }
}

/// A single number as a slice of one.
impl AnyNumber {
    #[inline]
    pub(crate) fn as_slice(&self) -> Slice<'_> {
        match self {
            Any::F32(x) => Any::F32(std::slice::from_ref(x)),
            Any::F64(x) => Any::F64(std::slice::from_ref(x)),
            Any::I64(x) => Any::I64(std::slice::from_ref(x)),
            Any::Bool(x) => Any::Bool(std::slice::from_ref(x)),
        }
    }
}
