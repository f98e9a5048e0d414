//! What updates are made of, besides sums and products: operations of several roundings that would
//! otherwise each read and write a block.

use crate::element::Float;
use crate::tape::{AnyVar, Reads, Ternary, Var, described_here};

/// Defines an operation of three operands, with the cotangent of each.
macro_rules! operation {
    ($(#[$meta:meta])* $op:ident, $name:ident, |$a:ident, $b:ident, $c:ident| $eval:expr, |$ct:ident| $first:expr, $second:expr, $third:expr) => {
        struct $op;
        impl<T: Float> Ternary<T, T> for $op {
            described_here!(ternary, $op, T, floats);
            const NAME: &'static str = stringify!($name);
            const READS: Reads = Reads::INPUTS;
            const WIDE: bool = true;
            #[inline(always)]
            fn eval($a: T, $b: T, $c: T) -> T {
                $eval
            }
            #[allow(unused_variables)] // Not every cotangent reads every operand.
            fn vjp(k: usize, $a: Var<T>, $b: Var<T>, $c: Var<T>, _y: Var<T>, $ct: Var<T>) -> AnyVar {
                let cotangent = match k {
                    0 => $first,
                    1 => $second,
                    _ => $third,
                };
                cotangent.erase()
            }
        }

        $(#[$meta])*
        pub(super) fn $name<T: Float>($a: Var<T>, $b: Var<T>, $c: Var<T>) -> Var<T> {
            $a.ternary::<T, $op>($b, $c)
        }
    };
}

operation! {
    /// `start + weight (end - start)`
    Lerp, lerp,
    |start, end, weight| start + weight * (end - start),
    |ct| ct - ct * weight, ct * weight, ct * (end - start)
}

operation! {
    /// `sum + a / b`
    AddQuotient, add_quotient,
    |sum, a, b| sum + a / b,
    |ct| ct, ct / b, -(ct * a / (b * b))
}

operation! {
    /// `sqrt(square) / correction + epsilon`
    Deviation, deviation,
    |square, correction, epsilon| square.sqrt() / correction + epsilon,
    |ct| ct / (square.sqrt() * correction * T::of(2.0)),
    -(ct * square.sqrt() / (correction * correction)),
    ct
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tape, Tensor};

    type Function = fn(Var<f64>, Var<f64>, Var<f64>) -> Var<f64>;

    #[test]
    fn operations_are_what_they_abbreviate_and_so_are_their_derivatives() {
        let pairs: [(Function, Function); 3] = [
            (lerp, |a, b, c| a + c * (b - a)),
            (add_quotient, |a, b, c| a + b / c),
            (deviation, |a, b, c| a.sqrt() / b + c),
        ];
        for (short, long) in pairs {
            let tape = Tape::new();
            let a = tape.leaf(&Tensor::from([0.5, 2.0, 3.0]));
            let b = tape.leaf(&Tensor::from([-1.5, 0.25, 4.0]));
            let c = tape.leaf(&Tensor::from(0.75));
            let (short, long) = (short(a, b, c), long(a, b, c));
            assert_eq!(short.value(), long.value());
            let (short, long) = ((short * short).sum(), (long * long).sum());
            for (x, y) in short
                .gradients([a, b])
                .into_iter()
                .zip(long.gradients([a, b]))
            {
                assert!(x.value().all_close(&y.value(), 1e-12, 0.0));
            }
            let (x, y) = (short.gradient(c).value(), long.gradient(c).value());
            assert!(x.all_close(&y, 1e-12, 0.0));
        }
    }
}
