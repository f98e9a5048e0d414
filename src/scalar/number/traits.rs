//! The traits of `num_traits` and `approx`.

/// Writes the methods of [`Real`] or [`Float`] that have the same name and arguments as an inherent one.
macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(
            #[inline]
            #[track_caller]
            fn $name(self $(, $argument: $type)*) -> $result {
                Self::$name(self $(, $argument)*)
            }
        )*
    };
}
pub(crate) use forward;

macro_rules! constants {
    ([$($generics:tt)*] $number:ty, $inner:ty; $($name:ident)*) => {
        $crate::scalar::number::constants!(@impl [$($generics)*] $number; $(
            #[inline]
            fn $name() -> Self {
                Self::lift(<$inner>::$name())
            }
        )*);
    };
    (@impl [$($generics:tt)*] $number:ty; $($item:item)*) => {
        impl<$($generics)*> num_traits::FloatConst for $number { $($item)* }
    };
}
pub(crate) use constants;

macro_rules! float_constants {
    ($inner:ty; $($name:ident)*) => {
        $(
            #[inline]
            fn $name() -> Self {
                Self::lift(<$inner as num_traits::Float>::$name())
            }
        )*
    };
}
pub(crate) use float_constants;

/// Writes all of them.
macro_rules! traits {
    ([$($generics:tt)*] $number:ty, $inner:ty) => {
        impl<$($generics)*> num_traits::Zero for $number {
            #[inline]
            fn zero() -> Self {
                Self::lift(<$inner>::zero())
            }
            #[inline]
            #[track_caller]
            fn is_zero(&self) -> bool {
                self.equals(Self::zero())
            }
        }
        impl<$($generics)*> num_traits::One for $number {
            #[inline]
            fn one() -> Self {
                Self::lift(<$inner>::one())
            }
        }
        impl<$($generics)*> num_traits::Num for $number {
            type FromStrRadixErr = <$inner as num_traits::Num>::FromStrRadixErr;
            fn from_str_radix(text: &str, radix: u32) -> Result<Self, Self::FromStrRadixErr> {
                <$inner>::from_str_radix(text, radix).map(Self::lift)
            }
        }
        impl<$($generics)*> num_traits::Bounded for $number {
            fn min_value() -> Self {
                Self::lift(<$inner as num_traits::Float>::min_value())
            }
            fn max_value() -> Self {
                Self::lift(<$inner as num_traits::Float>::max_value())
            }
        }
        impl<$($generics)*> num_traits::Euclid for $number {
            #[inline]
            #[track_caller]
            fn div_euclid(&self, other: &Self) -> Self {
                Self::div_euclid(*self, *other)
            }
            #[inline]
            #[track_caller]
            fn rem_euclid(&self, other: &Self) -> Self {
                Self::rem_euclid(*self, *other)
            }
        }
        impl<$($generics)*> num_traits::Inv for $number {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn inv(self) -> Self {
                self.recip()
            }
        }
        impl<$($generics)*> num_traits::MulAdd for $number {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn mul_add(self, a: Self, b: Self) -> Self {
                Self::mul_add(self, a, b)
            }
        }
        impl<$($generics)*> num_traits::MulAddAssign for $number {
            #[inline]
            #[track_caller]
            fn mul_add_assign(&mut self, a: Self, b: Self) {
                *self = Self::mul_add(*self, a, b);
            }
        }
        impl<$($generics)*> num_traits::Pow<Self> for $number {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn pow(self, exponent: Self) -> Self {
                self.powf(exponent)
            }
        }
        impl<$($generics)*> num_traits::Pow<i32> for $number {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn pow(self, exponent: i32) -> Self {
                self.powi(exponent)
            }
        }
        impl<P: Plain, $($generics)*> num_traits::Pow<P> for $number
        where
            $inner: Real<Plain = P>,
        {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn pow(self, exponent: P) -> Self {
                self.powf(Self::lift(<$inner as Real>::plain(exponent)))
            }
        }
        impl<$($generics)*> num_traits::Signed for $number {
            #[inline]
            #[track_caller]
            fn abs(&self) -> Self {
                Self::abs(*self)
            }
            #[inline]
            #[track_caller]
            fn abs_sub(&self, other: &Self) -> Self {
                Self::abs_sub(*self, *other)
            }
            #[inline]
            #[track_caller]
            fn signum(&self) -> Self {
                Self::signum(*self)
            }
            #[inline]
            #[track_caller]
            fn is_positive(&self) -> bool {
                self.is_sign_positive()
            }
            #[inline]
            #[track_caller]
            fn is_negative(&self) -> bool {
                self.is_sign_negative()
            }
        }
        impl<$($generics)*> num_traits::ToPrimitive for $number {
            #[track_caller]
            fn to_i64(&self) -> Option<i64> {
                self.observe(Question::Value);
                self.inner().to_i64()
            }
            #[track_caller]
            fn to_u64(&self) -> Option<u64> {
                self.observe(Question::Value);
                self.inner().to_u64()
            }
            #[track_caller]
            fn to_i128(&self) -> Option<i128> {
                self.observe(Question::Value);
                self.inner().to_i128()
            }
            #[track_caller]
            fn to_u128(&self) -> Option<u128> {
                self.observe(Question::Value);
                self.inner().to_u128()
            }
            #[track_caller]
            fn to_f32(&self) -> Option<f32> {
                self.observe(Question::Value);
                self.inner().to_f32()
            }
            #[track_caller]
            fn to_f64(&self) -> Option<f64> {
                self.observe(Question::Value);
                self.inner().to_f64()
            }
        }
        impl<$($generics)*> num_traits::NumCast for $number {
            #[inline]
            fn from<From: num_traits::ToPrimitive>(n: From) -> Option<Self> {
                <$inner as num_traits::NumCast>::from(n).map(Self::lift)
            }
        }
        impl<$($generics)*> num_traits::FromPrimitive for $number {
            fn from_i64(n: i64) -> Option<Self> {
                <$inner>::from_i64(n).map(Self::lift)
            }
            fn from_u64(n: u64) -> Option<Self> {
                <$inner>::from_u64(n).map(Self::lift)
            }
            fn from_i128(n: i128) -> Option<Self> {
                <$inner>::from_i128(n).map(Self::lift)
            }
            fn from_u128(n: u128) -> Option<Self> {
                <$inner>::from_u128(n).map(Self::lift)
            }
            fn from_f32(x: f32) -> Option<Self> {
                <$inner>::from_f32(x).map(Self::lift)
            }
            #[inline]
            fn from_f64(x: f64) -> Option<Self> {
                <$inner>::from_f64(x).map(Self::lift)
            }
        }
        $crate::scalar::number::constants!([$($generics)*] $number, $inner; E FRAC_1_PI FRAC_1_SQRT_2 FRAC_2_PI
            FRAC_2_SQRT_PI FRAC_PI_2 FRAC_PI_3 FRAC_PI_4 FRAC_PI_6 FRAC_PI_8 LN_10 LN_2 LOG10_E LOG2_E PI SQRT_2 TAU LOG10_2 LOG2_10);

        impl<$($generics)*> num_traits::Float for $number {
            $crate::scalar::number::float_constants!($inner; nan infinity neg_infinity neg_zero min_value min_positive_value max_value epsilon);
            $crate::scalar::number::forward! {
                is_nan() -> bool;
                is_infinite() -> bool;
                is_finite() -> bool;
                is_normal() -> bool;
                is_sign_positive() -> bool;
                is_sign_negative() -> bool;
                classify() -> FpCategory;
                floor() -> Self;
                ceil() -> Self;
                round() -> Self;
                trunc() -> Self;
                fract() -> Self;
                abs() -> Self;
                signum() -> Self;
                recip() -> Self;
                sqrt() -> Self;
                cbrt() -> Self;
                exp() -> Self;
                exp2() -> Self;
                exp_m1() -> Self;
                ln() -> Self;
                log2() -> Self;
                log10() -> Self;
                ln_1p() -> Self;
                sin() -> Self;
                cos() -> Self;
                tan() -> Self;
                asin() -> Self;
                acos() -> Self;
                atan() -> Self;
                sinh() -> Self;
                cosh() -> Self;
                tanh() -> Self;
                asinh() -> Self;
                acosh() -> Self;
                atanh() -> Self;
                to_degrees() -> Self;
                to_radians() -> Self;
                sin_cos() -> (Self, Self);
                powi(n: i32) -> Self;
                powf(exponent: Self) -> Self;
                log(base: Self) -> Self;
                atan2(x: Self) -> Self;
                hypot(other: Self) -> Self;
                max(other: Self) -> Self;
                min(other: Self) -> Self;
                clamp(low: Self, high: Self) -> Self;
                abs_sub(other: Self) -> Self;
                mul_add(a: Self, b: Self) -> Self;
                copysign(sign: Self) -> Self;
            }
            #[track_caller]
            fn integer_decode(self) -> (u64, i16, i8) {
                self.observe(Question::Value);
                self.inner().integer_decode()
            }
        }

        #[cfg(feature = "approx")]
        impl<$($generics)*> approx::AbsDiffEq for $number
        where
            $inner: approx::AbsDiffEq<Epsilon = $inner>,
        {
            // The number itself, as linear algebra that is generic over its field asks for.
            type Epsilon = Self;
            fn default_epsilon() -> Self {
                Self::lift(<$inner>::default_epsilon())
            }
            fn abs_diff_eq(&self, other: &Self, epsilon: Self) -> bool {
                self.inner().abs_diff_eq(&other.inner(), epsilon.inner())
            }
        }
        #[cfg(feature = "approx")]
        impl<$($generics)*> approx::RelativeEq for $number
        where
            $inner: approx::RelativeEq<Epsilon = $inner>,
        {
            fn default_max_relative() -> Self {
                Self::lift(<$inner>::default_max_relative())
            }
            fn relative_eq(&self, other: &Self, epsilon: Self, max_relative: Self) -> bool {
                self.inner().relative_eq(&other.inner(), epsilon.inner(), max_relative.inner())
            }
        }
        #[cfg(feature = "approx")]
        impl<$($generics)*> approx::UlpsEq for $number
        where
            $inner: approx::UlpsEq<Epsilon = $inner>,
        {
            fn default_max_ulps() -> u32 {
                <$inner>::default_max_ulps()
            }
            fn ulps_eq(&self, other: &Self, epsilon: Self, max_ulps: u32) -> bool {
                self.inner().ulps_eq(&other.inner(), epsilon.inner(), max_ulps)
            }
        }
    };
}
pub(crate) use traits;
