//! Comparisons, logic, selection, conversion.

use super::arithmetic::Operand;
use super::table::{Domain, Row, Shapes, row};
use crate::element::{AnyNumber, Element, Float, Number, Numbers};
use crate::tape::{AnyVar, Binary, Reads, Ternary, Unary, Var, described_here};
use std::marker::PhantomData;

/// A comparison, as a type for its kernel and a method.
macro_rules! comparisons {
    ($($(#[$doc:meta])* $op:ident, $method:ident, |$a:ident, $b:ident| $value:expr;)*) => {
        $(
            struct $op;
            impl<T: Number> Binary<T> for $op {
    described_here!(binary, $op, T, numbers);
                type Output = bool;
                const NAME: &'static str = stringify!($method);
                const READS: Reads = Reads::NOTHING;
                const WIDE: bool = true;
                #[inline(always)]
                fn eval($a: T, $b: T) -> bool {
                    $value
                }
                fn vjp(_: usize, a: Var<T>, _: Var<T>, _: Var<bool>, _: Var<bool>) -> Var<T> {
                    // A truth value has no cotangent: no walk gets here.
                    a.tape().number(T::ZERO)
                }
            }
        )*
        impl<T: Number> Var<T> {$(
            $(#[$doc])*
            /// A truth value has no derivative: gradients do not pass.
            ///
            /// # Panics
            /// If the shapes do not broadcast, the variables are of two tapes, or the tape was reset or dropped.
            #[track_caller]
            pub fn $method(self, other: impl Operand<T>) -> Var<bool> {
                other.after::<$op>(self)
            }
        )*}
    };
}
comparisons! {
    /// Whether two are equal, elementwise with broadcasting; a NaN equals nothing.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// assert_eq!(x.eq(2.0).value(), Tensor::from([false, true]));
    /// ```
    Equal, eq, |a, b| a == b;
    /// Whether two differ, elementwise with broadcasting; a NaN differs from everything.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// assert_eq!(x.ne(2.0).value(), Tensor::from([true, false]));
    /// ```
    NotEqual, ne, |a, b| a != b;
    /// Whether the first is less, elementwise with broadcasting; false for a NaN.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// assert_eq!(x.lt(2.0).value(), Tensor::from([true, false]));
    /// ```
    Less, lt, |a, b| a < b;
    /// Whether the first is less or equal, elementwise with broadcasting; false for a NaN.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 3.0]));
    /// assert_eq!(x.le(2.0).value(), Tensor::from([true, false]));
    /// ```
    LessEqual, le, |a, b| a <= b;
    /// Whether the first is greater, elementwise with broadcasting; false for a NaN.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 3.0]));
    /// assert_eq!(x.gt(2.0).value(), Tensor::from([false, true]));
    /// ```
    Greater, gt, |a, b| a > b;
    /// Whether the first is greater or equal, elementwise with broadcasting; false for a NaN.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// assert_eq!(x.ge(2.0).value(), Tensor::from([false, true]));
    /// ```
    GreaterEqual, ge, |a, b| a >= b;
}

/// A logical operation, as a type for its kernel and a method.
macro_rules! logic {
    ($($(#[$doc:meta])* $op:ident, $method:ident, |$a:ident, $b:ident| $value:expr;)*) => {
        $(
            struct $op;
            impl Binary<bool> for $op {
                type Output = bool;
                const NAME: &'static str = stringify!($method);
                const READS: Reads = Reads::NOTHING;
                const WIDE: bool = true;
                #[inline(always)]
                fn eval($a: bool, $b: bool) -> bool {
                    $value
                }
                fn vjp(_: usize, a: Var<bool>, _: Var<bool>, _: Var<bool>, _: Var<bool>) -> Var<bool> {
                    a
                }
            }
        )*
        impl Var<bool> {$(
            $(#[$doc])*
            ///
            /// # Panics
            /// If the shapes do not broadcast, the variables are of two tapes, or the tape was reset or dropped.
            #[track_caller]
            pub fn $method(self, other: Var<bool>) -> Var<bool> {
                self.binary::<$op>(other)
            }
        )*}
    };
}
logic! {
    /// Whether both are true, elementwise with broadcasting.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0]));
    /// assert_eq!(x.gt(1.0).and(x.lt(3.0)).value(), Tensor::from([false, true, false]));
    /// ```
    And, and, |a, b| a & b;
    /// Whether one or both are true, elementwise with broadcasting.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0]));
    /// assert_eq!(x.lt(2.0).or(x.gt(2.0)).value(), Tensor::from([true, false, true]));
    /// ```
    Or, or, |a, b| a | b;
    /// Whether just one is true, elementwise with broadcasting.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0]));
    /// assert_eq!(x.gt(1.0).xor(x.gt(2.0)).value(), Tensor::from([false, true, false]));
    /// ```
    Xor, xor, |a, b| a ^ b;
}

struct Not;
impl Unary<bool> for Not {
    type Output = bool;
    const NAME: &'static str = "not";
    const READS: Reads = Reads::NOTHING;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(x: bool) -> bool {
        !x
    }
    fn vjp(x: Var<bool>, _y: Var<bool>, _ct: Var<bool>) -> Var<bool> {
        x
    }
}

impl std::ops::Not for Var<bool> {
    type Output = Var<bool>;
    #[track_caller]
    fn not(self) -> Var<bool> {
        self.unary::<Not>()
    }
}

struct IsNan;
impl<T: Float> Unary<T> for IsNan {
    described_here!(unary, IsNan, T, floats);
    type Output = bool;
    const NAME: &'static str = "is_nan";
    const READS: Reads = Reads::NOTHING;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(x: T) -> bool {
        x.is_nan()
    }
    fn vjp(x: Var<T>, _y: Var<bool>, _ct: Var<bool>) -> Var<T> {
        x.tape().number(T::ZERO)
    }
}

impl<T: Float> Var<T> {
    /// Where the elements are not numbers.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, f32::NAN]));
    /// assert_eq!(x.is_nan().value(), Tensor::from([false, true]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn is_nan(self) -> Var<bool> {
        self.unary::<IsNan>()
    }
}

struct Select;
impl<T: Element> Ternary<bool, T> for Select {
    described_here!(select, Select, T, all);
    const NAME: &'static str = "select";
    const READS: Reads = Reads::INPUTS;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(condition: bool, yes: T, no: T) -> T {
        if condition { yes } else { no }
    }
    fn vjp(
        k: usize,
        condition: Var<bool>,
        _yes: Var<T>,
        _no: Var<T>,
        _y: Var<T>,
        ct: Var<T>,
    ) -> AnyVar {
        let zero = ct.tape().number(T::ZERO);
        if k == 1 {
            condition.select(ct, zero).erase()
        } else {
            condition.select(zero, ct).erase()
        }
    }
}

impl Var<bool> {
    /// `yes` where this is true, else `no`; all three broadcast. `where` in NumPy and PyTorch.
    ///
    /// # Derivative
    /// The cotangent passes to the operand that was selected; the other gets 0. A NaN or infinity in the derivative of what was
    /// not selected still comes through its own operations (`0 * inf`): make the operand harmless before, as
    /// `select(bad, 1, x)`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1.0, 2.0]));
    /// let y = x.gt(0.0).select(x, x * 10.0);
    /// assert_eq!(y.value(), Tensor::from([-10.0, 2.0]));
    /// assert_eq!(y.sum().gradient(x).value(), Tensor::from([10.0, 1.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast, the variables are of different tapes, or the tape was reset or dropped.
    #[track_caller]
    pub fn select<T: Element>(self, yes: Var<T>, no: Var<T>) -> Var<T> {
        self.ternary::<T, Select>(yes, no)
    }
}

/// Conversion to `U`.
struct Cast<U>(PhantomData<U>);
impl<T: Element, U: Element> Unary<T> for Cast<U> {
    type Output = U;
    const NAME: &'static str = "cast";
    const READS: Reads = Reads::NOTHING;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval(x: T) -> U {
        convert(x)
    }
    fn vjp(_x: Var<T>, _y: Var<U>, ct: Var<U>) -> Var<T> {
        ct.cast::<T>()
    }
}

/// A number as another type, by Rust's `as`; a number is true unless it is 0.
#[inline(always)]
pub(crate) fn convert<T: Element, U: Element>(x: T) -> U {
    macro_rules! to {
        ($x:expr) => {
            match U::DTYPE {
                crate::Dtype::F32 => AnyNumber::F32($x as f32),
                crate::Dtype::F64 => AnyNumber::F64($x as f64),
                crate::Dtype::I64 => AnyNumber::I64($x as i64),
                crate::Dtype::Bool => AnyNumber::Bool($x as f64 != 0.0),
            }
        };
    }
    let converted = match T::erase::<Numbers>(x) {
        AnyNumber::Bool(x) => to!(x as i64),
        AnyNumber::I64(x) => to!(x),
        AnyNumber::F32(x) => to!(x),
        AnyNumber::F64(x) => to!(x),
    };
    U::restore::<Numbers>(converted).unwrap_or(U::ZERO)
}

impl<T: Element> Var<T> {
    /// The elements converted to another type: truncated towards 0 from a float to an integer (saturating, a NaN to 0); true
    /// where they are not 0.
    ///
    /// # Derivative
    /// 1 between floating-point types; to and from the others, gradients do not pass.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([-1.5, 0.0, 2.7]));
    /// assert_eq!(x.cast::<i64>().value(), Tensor::from([-1, 0, 2]));
    /// assert_eq!(x.cast::<bool>().value(), Tensor::from([true, false, true]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn cast<U: Element>(self) -> Var<U> {
        if T::DTYPE == U::DTYPE {
            return self.erase().assume();
        }
        self.unary::<Cast<U>>()
    }
}

const ANY: Domain = Domain::Interval(-2.0, 2.0);

/// The rows of this family.
pub(super) const ROWS: &[Row] = &[
    row!("select", &[ANY, ANY], Shapes::Broadcast, |x| x[0]
        .gt(0.1)
        .select(x[0], x[1])),
    row!("cast to f64", &[ANY], Shapes::Broadcast, |x| x[0]
        .cast::<f64>()
        .cast()),
];
