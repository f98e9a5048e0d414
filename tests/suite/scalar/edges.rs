//! Derivatives at kinks, ties and the edges of domains.

use wengert::scalar::{self, Dual, Real, Scalar, Tape};

#[test]
fn derivatives_at_the_edges() {
    let inf = f64::INFINITY;
    let d =
        |f: fn(Scalar<f64>) -> Scalar<f64>, g: fn(Dual<f64>) -> Dual<f64>, x: f64, wanted: f64| {
            let reverse = scalar::gradient(|x| f(x[0]), &[x]).1[0];
            let forward = scalar::derivative(g, x).1;
            for found in [reverse, forward] {
                assert!(
                    found == wanted || found.is_nan() && wanted.is_nan(),
                    "at {x}: {found}, not {wanted}"
                );
            }
        };
    macro_rules! edges {
        ($($f:expr, $at:expr => $wanted:expr;)*) => { $(d($f, $f, $at, $wanted);)* };
    }
    edges! {
        |x| x.sqrt(), 0.0 => inf;
        |x| x.cbrt(), 0.0 => inf;
        |x| x.abs(), 0.0 => 0.0;
        |x| x.abs(), -0.0 => 0.0;
        |x| x.ln(), 0.0 => inf;
        |x| x.ln_1p(), -1.0 => inf;
        |x| x.recip(), 0.0 => -inf;
        |x| x.asin(), 1.0 => inf;
        |x| x.acos(), -1.0 => -inf;
        |x| x.acosh(), 1.0 => inf;
        |x| x.atanh(), 1.0 => inf;
        |x| x.atan(), inf => 0.0;
        |x| x.asinh(), 1e200 => 1e-200;
        |x| x.tanh(), 1000.0 => 0.0;
        |x| x.sigmoid(), -1000.0 => 0.0;
        |x| x.softplus(), 1000.0 => 1.0;
        |x| x.exp(), -inf => 0.0;
        |x| x.powi(0), 0.0 => 0.0;
        |x| x.powi(1), 0.0 => 1.0;
        |x| x.powi(2), 0.0 => 0.0;
        |x| x.powi(-1), 0.0 => -inf;
        |x| x.powf(0.0.into()), 0.0 => 0.0;
        |x| x.powf(0.5.into()), 0.0 => inf;
        |x| x.powf(2.0.into()), -3.0 => -6.0;
        |x| x.powf(x), 0.0 => 0.0;
        |x| x.max(0.0.into()), 0.0 => 0.5;
        |x| x.min(x), 3.0 => 1.0;
        |x| x.max(f64::NAN.into()), 3.0 => 1.0;
        |x| x.floor() + x.round() + x.signum(), 0.5 => 0.0;
        |x| x.hypot(0.0.into()), 0.0 => 0.0;
        |x| x.abs_sub(1.0.into()), 1.0 => 0.0;
        |x| x.abs_sub(1.0.into()), 1.5 => 1.0;
        |x| x.copysign((-1.0).into()), 2.0 => -1.0;
        |x| x.copysign((-1.0).into()), -2.0 => 1.0;
        |x| x.clamp(0.0.into(), 1.0.into()), 0.0 => 1.0;
        |x| x.clamp(0.0.into(), 1.0.into()), 1.0 => 1.0;
        |x| x.clamp(0.0.into(), 1.0.into()), 1.5 => 0.0;
        |x| x.fract(), 2.0 => 1.0;
        |x| x % 2.0, 4.0 => 1.0;
        |x| 7.5 % x, 2.0 => -3.0;
        |x| x.min(0.0.into()), 0.0 => 0.5;
        |x| x.log2(), 0.0 => inf;
        |x| x.log10(), 0.0 => inf;
        |x| x.asin(), -1.0 => inf;
        |x| x.acos(), 1.0 => -inf;
        |x| x.atanh(), -1.0 => inf;
        |x| x.asin(), 1.5 => f64::NAN;
        |x| x.sqrt(), -1.0 => f64::NAN;
        |x| x.gamma(), 0.0 => -inf;
        |x| x.ln_gamma(), -1.0 => Real::digamma(-1.0_f64);
        |x| x.digamma(), -2.0 => Real::polygamma(-2.0_f64, 1);
        |x| x.tanh(), -inf => 0.0;
        |x| x.erf(), inf => 0.0;
        |x| x.softplus(), -1000.0 => 0.0;
        |x| x.sqrt() * 0.0, 0.0 => f64::NAN;
        |x| x.abs() * x.abs(), 0.0 => 0.0;
        |x| x.sin(), inf => f64::NAN;
        |x| x.atan2(0.0.into()), 0.0 => f64::NAN;
        |x| x + (x * 0.0).into_constant_zero().sqrt(), 2.0 => 1.0;
    }
}

trait IntoConstantZero {
    fn into_constant_zero(self) -> Self;
}

impl<S: Real> IntoConstantZero for S {
    fn into_constant_zero(self) -> S {
        S::zero()
    }
}

#[test]
fn what_has_no_effect_does_not_make_a_nan() {
    // The square root has an infinite derivative; the second result does not depend on it.
    let tape = Tape::new();
    let x = tape.vars(&[0.0, 2.0]);
    let root = x[0].sqrt() * x[1];
    let other = x[0] * x[1];
    let last = root + other;
    assert_eq!(tape.gradient_of(other, &x), [2.0, 0.0]);
    assert_eq!(tape.gradient_of(root, &x), [f64::INFINITY, 0.0]);
    assert_eq!(tape.gradient_of(last, &x), [f64::INFINITY, 0.0]);
    let (_, jacobian) =
        scalar::jacobian(|x| vec![x[1], x[0].sqrt() * x[1], x[1] * 3.0], &[0.0, 0.0]);
    assert_eq!(jacobian[..2], [0.0, 1.0]);
    assert_eq!(jacobian[4..], [0.0, 3.0]);
}

#[test]
fn operations_on_two_numbers_at_their_edges() {
    let inf = f64::INFINITY;
    macro_rules! edges {
        ($(|$a:ident, $b:ident| $f:expr, [$x:expr, $y:expr] => [$dx:expr, $dy:expr];)*) => {
            $({
                let reverse = scalar::gradient(|x: &[Scalar<f64>]| { let ($a, $b) = (x[0], x[1]); $f }, &[$x, $y]).1;
                let [$a, $b] = Dual::variables([$x, $y]);
                let forward = $f.tangents();
                for found in [[reverse[0], reverse[1]], forward] {
                    for (found, wanted) in found.into_iter().zip([$dx, $dy]) {
                        let same = found == wanted || found.is_nan() && f64::is_nan(wanted);
                        assert!(same, "{} at {:?}: {found}, not {wanted}", stringify!($f), [$x, $y]);
                    }
                }
            })*
        };
    }
    edges! {
        |x, y| x.max(y), [2.0, 2.0] => [0.5, 0.5];
        |x, y| x.min(y), [2.0, 2.0] => [0.5, 0.5];
        |x, y| x.max(y), [0.0, -0.0] => [0.5, 0.5];
        |x, y| x.max(y), [f64::NAN, 1.0] => [0.0, 1.0];
        |x, y| x.min(y), [1.0, f64::NAN] => [1.0, 0.0];
        |x, y| x.hypot(y), [0.0, 0.0] => [0.0, 0.0];
        |x, y| scalar::norm(&[x, y, y]), [0.0, 0.0] => [0.0, 0.0];
        |x, y| x.atan2(y), [0.0, 0.0] => [f64::NAN, f64::NAN];
        |x, y| x.powf(y), [0.0, 0.0] => [0.0, 0.0];
        |x, y| x.powf(y), [0.0, 2.0] => [0.0, 0.0];
        |x, y| x.powf(y), [0.0, 0.5] => [inf, 0.0];
        |x, y| x.powf(y), [-2.0, 2.0] => [-4.0, f64::NAN];
        |x, y| x / y, [1.0, 0.0] => [inf, -inf];
        |x, y| x.copysign(y), [2.0, -1.0] => [-1.0, 0.0];
        |x, y| x.clamp(y, Real::plain(3.0)), [1.0, 1.0] => [1.0, 0.0];
        |x, y| scalar::log_sum_exp(&[x, y]), [f64::NEG_INFINITY, 1.0] => [0.0, 1.0];
        |x, y| scalar::log_sum_exp(&[x, y]), [f64::NEG_INFINITY, f64::NEG_INFINITY] => [f64::NAN, f64::NAN];
        |x, y| scalar::log_sum_exp(&[x, y]), [inf, 1.0] => [f64::NAN, 0.0];
    }
}
