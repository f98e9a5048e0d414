//! The operators `+ - * /` and unary `-`, between variables and between a variable and a number on either side.

use super::arithmetic::{Add, Div, Mul, Neg, Operand, Sub};
use crate::element::{Float, Number};
use crate::tape::Var;
use std::ops;

macro_rules! operators {
    ($($trait:ident, $method:ident, $assign:ident, $assign_method:ident, $bound:ident;)*) => {$(
        impl<T: $bound, R: Operand<T>> ops::$trait<R> for Var<T> {
            type Output = Var<T>;
            #[inline]
            #[track_caller]
            fn $method(self, other: R) -> Var<T> {
                other.after::<$trait>(self)
            }
        }

        impl<T: $bound, R: Operand<T>> ops::$assign<R> for Var<T> {
            #[inline]
            #[track_caller]
            fn $assign_method(&mut self, other: R) {
                *self = other.after::<$trait>(*self);
            }
        }
    )*};
}
operators! {
    Add, add, AddAssign, add_assign, Number;
    Sub, sub, SubAssign, sub_assign, Number;
    Mul, mul, MulAssign, mul_assign, Number;
    Div, div, DivAssign, div_assign, Float;
}

impl<T: Number> ops::Neg for Var<T> {
    type Output = Var<T>;
    #[inline]
    #[track_caller]
    fn neg(self) -> Var<T> {
        self.unary::<Neg>()
    }
}

macro_rules! number_first {
    ($($t:ty: $($trait:ident, $method:ident),*;)*) => {$($(
        impl ops::$trait<Var<$t>> for $t {
            type Output = Var<$t>;
            #[inline]
            #[track_caller]
            fn $method(self, other: Var<$t>) -> Var<$t> {
                other.number_binary::<$trait>(self)
            }
        }
    )*)*};
}
number_first! {
    f32: Add, add, Sub, sub, Mul, mul, Div, div;
    f64: Add, add, Sub, sub, Mul, mul, Div, div;
    i64: Add, add, Sub, sub, Mul, mul;
}
