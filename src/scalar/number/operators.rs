//! Operators, comparisons, sums and products of a number type.

/// Writes an operator between two numbers and with plain numbers, by value and by reference, and its assigning form.
macro_rules! operator {
    ([$($generics:tt)*] $number:ty, $inner:ty; $trait:ident $method:ident $assign_trait:ident $assign:ident
        |$a:ident, $b:ident, $v:ident| $value:expr, $da:expr, $db:expr; $function:expr) => {
        impl<$($generics)*> $trait for $number {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn $method(self, other: Self) -> Self {
                let ($a, $b) = (self.inner(), other.inner());
                let $v = $value;
                Self::binary($function, $v, (self, $da), (other, $db))
            }
        }
        impl<$($generics)*> $trait<&$number> for $number {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn $method(self, other: &Self) -> Self {
                <Self as $trait>::$method(self, *other)
            }
        }
        impl<$($generics)*> $trait<$number> for &$number {
            type Output = $number;
            #[inline]
            #[track_caller]
            fn $method(self, other: $number) -> $number {
                <$number as $trait>::$method(*self, other)
            }
        }
        impl<$($generics)*> $trait<&$number> for &$number {
            type Output = $number;
            #[inline]
            #[track_caller]
            fn $method(self, other: &$number) -> $number {
                <$number as $trait>::$method(*self, *other)
            }
        }
        impl<P: Plain, $($generics)*> $trait<P> for $number
        where
            $inner: Real<Plain = P>,
        {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn $method(self, other: P) -> Self {
                let ($a, $b) = (self.inner(), <$inner as Real>::plain(other));
                let $v = $value;
                Self::binary_left($function, $v, (self, $da), $b)
            }
        }
        impl<P: Plain, $($generics)*> $trait<P> for &$number
        where
            $inner: Real<Plain = P>,
        {
            type Output = $number;
            #[inline]
            #[track_caller]
            fn $method(self, other: P) -> $number {
                <$number as $trait<P>>::$method(*self, other)
            }
        }
        $crate::scalar::number::operator!(@plain f32, [$($generics)*] $number, $inner; $trait $method |$a, $b, $v| $value, $da, $db; $function);
        $crate::scalar::number::operator!(@plain f64, [$($generics)*] $number, $inner; $trait $method |$a, $b, $v| $value, $da, $db; $function);
        impl<$($generics)*> $assign_trait for $number {
            #[inline]
            #[track_caller]
            fn $assign(&mut self, other: Self) {
                *self = <Self as $trait>::$method(*self, other);
            }
        }
        impl<$($generics)*> $assign_trait<&$number> for $number {
            #[inline]
            #[track_caller]
            fn $assign(&mut self, other: &$number) {
                *self = <Self as $trait>::$method(*self, *other);
            }
        }
        impl<P: Plain, $($generics)*> $assign_trait<P> for $number
        where
            $inner: Real<Plain = P>,
        {
            #[inline]
            #[track_caller]
            fn $assign(&mut self, other: P) {
                *self = <Self as $trait<P>>::$method(*self, other);
            }
        }
    };
    (@plain $plain:ty, [$($generics:tt)*] $number:ty, $inner:ty; $trait:ident $method:ident
        |$a:ident, $b:ident, $v:ident| $value:expr, $da:expr, $db:expr; $function:expr) => {
        impl<$($generics)*> $trait<$number> for $plain
        where
            $inner: Real<Plain = $plain>,
        {
            type Output = $number;
            #[inline]
            #[track_caller]
            fn $method(self, other: $number) -> $number {
                let ($a, $b) = (<$inner as Real>::plain(self), other.inner());
                let $v = $value;
                <$number>::binary_right($function, $v, $a, (other, $db))
            }
        }
        impl<$($generics)*> $trait<&$number> for $plain
        where
            $inner: Real<Plain = $plain>,
        {
            type Output = $number;
            #[inline]
            #[track_caller]
            fn $method(self, other: &$number) -> $number {
                <$plain as $trait<$number>>::$method(self, *other)
            }
        }
    };
}
pub(crate) use operator;

/// Writes the methods of [`PartialEq`]. Both, since a panic would be located in the one that it provides.
macro_rules! equalities {
    ($other:ty, |$name:ident| $number:expr) => {
        #[inline]
        #[track_caller]
        fn eq(&self, $name: &$other) -> bool {
            self.equals($number)
        }
        #[allow(clippy::partialeq_ne_impl)]
        #[inline]
        #[track_caller]
        fn ne(&self, $name: &$other) -> bool {
            !self.equals($number)
        }
    };
}
pub(crate) use equalities;

/// Writes the methods of [`PartialOrd`], all of them for the same reason.
macro_rules! comparisons {
    ($other:ty, |$name:ident| $number:expr) => {
        #[inline]
        #[track_caller]
        fn partial_cmp(&self, $name: &$other) -> Option<Ordering> {
            self.compare($number)
        }
        #[inline]
        #[track_caller]
        fn lt(&self, $name: &$other) -> bool {
            matches!(self.compare($number), Some(Ordering::Less))
        }
        #[inline]
        #[track_caller]
        fn le(&self, $name: &$other) -> bool {
            matches!(
                self.compare($number),
                Some(Ordering::Less | Ordering::Equal)
            )
        }
        #[inline]
        #[track_caller]
        fn gt(&self, $name: &$other) -> bool {
            matches!(self.compare($number), Some(Ordering::Greater))
        }
        #[inline]
        #[track_caller]
        fn ge(&self, $name: &$other) -> bool {
            matches!(
                self.compare($number),
                Some(Ordering::Greater | Ordering::Equal)
            )
        }
    };
}
pub(crate) use comparisons;

/// Writes all of them.
macro_rules! operators {
    ([$($generics:tt)*] $number:ty, $inner:ty) => {
        $crate::scalar::number::operator!([$($generics)*] $number, $inner; Add add AddAssign add_assign
            |a, b, v| a + b, <$inner>::one(), <$inner>::one(); Binary::Add);
        $crate::scalar::number::operator!([$($generics)*] $number, $inner; Sub sub SubAssign sub_assign
            |a, b, v| a - b, <$inner>::one(), -<$inner>::one(); Binary::Sub);
        $crate::scalar::number::operator!([$($generics)*] $number, $inner; Mul mul MulAssign mul_assign
            |a, b, v| a * b, b, a; Binary::Mul);
        $crate::scalar::number::operator!([$($generics)*] $number, $inner; Div div DivAssign div_assign
            |a, b, v| a / b, b.recip(), -(v / b); Binary::Div);
        $crate::scalar::number::operator!([$($generics)*] $number, $inner; Rem rem RemAssign rem_assign
            |a, b, v| a % b, <$inner>::one(), -((a - v) / b).round(); Binary::Rem);

        impl<$($generics)*> Neg for $number {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn neg(self) -> Self {
                self.unary(Unary::Neg, -self.inner(), -<$inner>::one())
            }
        }
        impl<$($generics)*> Neg for &$number {
            type Output = $number;
            #[inline]
            #[track_caller]
            fn neg(self) -> $number {
                -*self
            }
        }
        impl<P: Plain, $($generics)*> From<P> for $number
        where
            $inner: Real<Plain = P>,
        {
            #[inline]
            fn from(x: P) -> Self {
                Self::lift(<$inner as Real>::plain(x))
            }
        }
        impl<$($generics)*> Default for $number {
            fn default() -> Self {
                Self::lift(<$inner>::zero())
            }
        }
        impl<$($generics)*> Display for $number {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                Display::fmt(&self.inner(), f)
            }
        }
        impl<$($generics)*> std::fmt::LowerExp for $number
        where
            $inner: std::fmt::LowerExp,
        {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                std::fmt::LowerExp::fmt(&self.inner(), f)
            }
        }
        impl<$($generics)*> std::fmt::UpperExp for $number
        where
            $inner: std::fmt::UpperExp,
        {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                std::fmt::UpperExp::fmt(&self.inner(), f)
            }
        }
        impl<$($generics)*> PartialEq for $number {
            $crate::scalar::number::equalities!(Self, |other| *other);
        }
        impl<$($generics)*> PartialOrd for $number {
            $crate::scalar::number::comparisons!(Self, |other| *other);
        }
        impl<P: Plain, $($generics)*> PartialEq<P> for $number
        where
            $inner: Real<Plain = P>,
        {
            $crate::scalar::number::equalities!(P, |other| Self::lift(<$inner as Real>::plain(*other)));
        }
        impl<P: Plain, $($generics)*> PartialOrd<P> for $number
        where
            $inner: Real<Plain = P>,
        {
            $crate::scalar::number::comparisons!(P, |other| Self::lift(<$inner as Real>::plain(*other)));
        }
        impl<$($generics)*> Sum for $number {
            #[track_caller]
            fn sum<I: Iterator<Item = Self>>(mut terms: I) -> Self {
                // Started from the first term: adding to 0 would turn -0 into 0 and cost a step.
                match terms.next() {
                    Some(first) => terms.fold(first, |sum, term| sum + term),
                    None => Self::default(),
                }
            }
        }
        impl<'a, $($generics)*> Sum<&'a $number> for $number {
            #[track_caller]
            fn sum<I: Iterator<Item = &'a Self>>(terms: I) -> Self {
                terms.copied().sum()
            }
        }
        impl<$($generics)*> Product for $number {
            #[track_caller]
            fn product<I: Iterator<Item = Self>>(mut factors: I) -> Self {
                match factors.next() {
                    Some(first) => factors.fold(first, |product, factor| product * factor),
                    None => Self::one(),
                }
            }
        }
        impl<'a, $($generics)*> Product<&'a $number> for $number {
            #[track_caller]
            fn product<I: Iterator<Item = &'a Self>>(factors: I) -> Self {
                factors.copied().product()
            }
        }
    };
}
pub(crate) use operators;
