//! Elementary functions without branches, tables or calls, so that loops over them become vector instructions; and one for a
//! number by itself, see [`single`].
//!
//! Each is one body for all instruction sets, generic over [`Instructions`]: products and sums are fused where that is an
//! instruction. Both sides of a case distinction are computed and one is selected. Integers are made by adding a number so large
//! that no fraction is left (Cody and Waite, 1980), since conversions of 64-bit integers are no vector instructions before AVX-512.
//!
//! Polynomials are minimax fits, by the exchange algorithm of Remez with 50 digits, their coefficients rounded one after another,
//! each time with the others fitted anew. Functions of `f32` that are used less are computed in `f64`, with shorter polynomials.
//! `docs/numerics.md` lists errors.

mod arc;
mod circular;
mod double;
mod error_function;
mod exponential;
mod far;
mod hyperbolic;
mod logarithm;
mod power;
mod real;
pub(crate) mod single;
#[cfg(test)]
mod tests;

use crate::element::{Functions, Instructions};
use real::Real;

/// `a * b + c`, rounded once where that is an instruction.
#[inline(always)]
fn fma<L: Instructions, T: Real>(a: T, b: T, c: T) -> T {
    if L::FMA { a.fused(b, c) } else { a * b + c }
}

/// One of two values that are both computed.
#[inline(always)]
fn select<T>(condition: bool, yes: T, no: T) -> T {
    if condition { yes } else { no }
}

/// A polynomial, the constant coefficient first: up to four coefficients by Horner's scheme, more as the sum of the even and the
/// odd powers (Estrin, 1960), since more of that can be done at a time.
macro_rules! polynomial {
    ($level:ident, $x:expr, [$c0:expr $(,)?]) => { $c0 };
    ($level:ident, $x:expr, [$c0:expr, $c1:expr $(,)?]) => {
        $crate::kernel::math::fma::<$level, _>($c1, $x, $c0)
    };
    ($level:ident, $x:expr, [$c0:expr, $c1:expr, $c2:expr $(,)?]) => {{
        let x = $x;
        polynomial!($level, x, [$c0, polynomial!($level, x, [$c1, $c2])])
    }};
    ($level:ident, $x:expr, [$c0:expr, $c1:expr, $c2:expr, $c3:expr $(,)?]) => {{
        let x = $x;
        polynomial!($level, x, [$c0, polynomial!($level, x, [$c1, $c2, $c3])])
    }};
    ($level:ident, $x:expr, [$($c:expr),+ $(,)?]) => {
        polynomial!(@ $level, $x, [], [], [$($c),+])
    };
    (@ $level:ident, $x:expr, [$($even:expr,)*], [$($odd:expr,)*], [$c0:expr, $c1:expr $(, $rest:expr)*]) => {
        polynomial!(@ $level, $x, [$($even,)* $c0,], [$($odd,)* $c1,], [$($rest),*])
    };
    (@ $level:ident, $x:expr, [$($even:expr,)*], [$($odd:expr,)*], [$($last:expr)?]) => {{
        let x = $x;
        let square = x * x;
        $crate::kernel::math::fma::<$level, _>(
            polynomial!($level, square, [$($odd),*]),
            x,
            polynomial!($level, square, [$($even,)* $($last)?]),
        )
    }};
}
use polynomial;

macro_rules! functions {
    ($t:ident, far: $far:path, by_type: { $($own:ident => $function:ident::$of_type:ident,)* },
        by_type_of_two: { $($own2:ident => $function2:ident::$of_type2:ident,)* },
        both: { $($both:ident => $generic:ident::$name:ident,)* }, far_by: { $($slow:ident => |$x:ident| $value:expr,)* }) => {
        impl Functions for $t {
            $(
                #[inline(always)]
                fn $own<L: Instructions>(self) -> $t {
                    $function::$of_type::<L>(self)
                }
            )*
            $(
                #[inline(always)]
                fn $own2<L: Instructions>(self, other: $t) -> $t {
                    $function2::$of_type2::<L>(self, other)
                }
            )*
            $(
                #[inline(always)]
                fn $both<L: Instructions>(self) -> $t {
                    $generic::$name::<L, $t>(self)
                }
            )*
            #[inline(always)]
            fn is_far(self) -> bool {
                self.abs() > $far
            }
            $(
                fn $slow(self) -> $t {
                    let $x = self;
                    $value
                }
            )*
        }
    };
}
functions! {
    f32,
    far: circular::FAR_F32,
    by_type: {
        sin_at => circular::sin_f32,
        cos_at => circular::cos_f32,
        tan_at => circular::tan_f32,
        asin_at => arc::asin_f32,
        acos_at => arc::acos_f32,
        atan_at => arc::atan_f32,
        asinh_at => hyperbolic::asinh_f32,
        acosh_at => hyperbolic::acosh_f32,
        atanh_at => hyperbolic::atanh_f32,
        erf_at => error_function::erf_f32,
        erfc_at => error_function::erfc_f32,
        log2_at => logarithm::log2_f32,
        log10_at => logarithm::log10_f32,
    },
    by_type_of_two: {
        pow_at => power::pow_f32,
        atan2_at => arc::atan2_f32,
    },
    both: {
        exp_at => exponential::exp,
        expm1_at => exponential::expm1,
        ln_at => logarithm::ln,
        log1p_at => logarithm::log1p,
        sinh_at => hyperbolic::sinh,
        cosh_at => hyperbolic::cosh,
        tanh_at => hyperbolic::tanh,
        sigmoid_at => exponential::sigmoid,
        softplus_at => exponential::softplus,
    },
    far_by: {
        sin_far => |x| circular::sin_far(f64::from(x)) as f32,
        cos_far => |x| circular::cos_far(f64::from(x)) as f32,
        tan_far => |x| circular::tan_far(f64::from(x)) as f32,
    }
}
functions! {
    f64,
    far: circular::FAR_F64,
    by_type: {
        sin_at => circular::sin_f64,
        cos_at => circular::cos_f64,
        tan_at => circular::tan_f64,
        asin_at => arc::asin_f64,
        acos_at => arc::acos_f64,
        atan_at => arc::atan_f64,
        asinh_at => hyperbolic::asinh_f64,
        acosh_at => hyperbolic::acosh_f64,
        atanh_at => hyperbolic::atanh_f64,
        erf_at => error_function::erf_f64,
        erfc_at => error_function::erfc_f64,
        log2_at => logarithm::log2_f64,
        log10_at => logarithm::log10_f64,
    },
    by_type_of_two: {
        pow_at => power::pow_f64,
        atan2_at => arc::atan2_f64,
    },
    both: {
        exp_at => exponential::exp,
        expm1_at => exponential::expm1,
        ln_at => logarithm::ln,
        log1p_at => logarithm::log1p,
        sinh_at => hyperbolic::sinh,
        cosh_at => hyperbolic::cosh,
        tanh_at => hyperbolic::tanh,
        sigmoid_at => exponential::sigmoid,
        softplus_at => exponential::softplus,
    },
    far_by: {
        sin_far => |x| circular::sin_far(x),
        cos_far => |x| circular::cos_far(x),
        tan_far => |x| circular::tan_far(x),
    }
}
