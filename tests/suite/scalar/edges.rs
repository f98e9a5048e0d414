//! Derivatives at kinks, ties and the edges of domains.

use wengert::scalar::{self, Dual, Patterned, Program, Real, Scalar, Tape, Taylor, Traced};

/// One function at every type of number.
struct Everywhere<'a> {
    reverse: &'a dyn Fn(Scalar<f64>) -> Scalar<f64>,
    forward: &'a dyn Fn(Dual<f64>) -> Dual<f64>,
    taylor: &'a dyn Fn(Taylor<f64, 2>) -> Taylor<f64, 2>,
    sparse: &'a dyn Fn(Patterned<f64>) -> Patterned<f64>,
    replay: &'a dyn Fn(Traced<f64>) -> Traced<f64>,
    nested: &'a dyn Fn(Dual<Scalar<f64>>) -> Dual<Scalar<f64>>,
}

macro_rules! everywhere {
    ($f:expr) => {
        Everywhere {
            reverse: &$f,
            forward: &$f,
            taylor: &$f,
            sparse: &$f,
            replay: &$f,
            nested: &$f,
        }
    };
}

impl Everywhere<'_> {
    /// The derivative at a point, by all of them.
    fn derivatives(&self, x: f64) -> [(&'static str, f64); 6] {
        let mut replayed = [0.0];
        let mut program = Program::record(|x| vec![(self.replay)(x[0])], &[x]);
        program.vjp_into(&[x], &[1.0], &mut replayed).unwrap();
        let (_, sparse) = scalar::jacobian_sparse(|x| vec![(self.sparse)(x[0])], &[x]);
        let constant = Scalar::constant(x);
        [
            (
                "reverse",
                scalar::gradient(|x| (self.reverse)(x[0]), &[x]).1[0],
            ),
            ("forward", scalar::derivative(self.forward, x).1),
            (
                "taylor",
                scalar::taylor(|x| (self.taylor)(x[0]), &[x], &[1.0])[1],
            ),
            ("sparse", sparse.to_dense()[0]),
            ("replay", replayed[0]),
            (
                "nested",
                (self.nested)(Dual::variable(constant)).tangent().value(),
            ),
        ]
    }
}

#[test]
fn derivatives_at_the_edges() {
    let inf = f64::INFINITY;
    let mut faults = Vec::new();
    let mut d = |f: Everywhere, what: &str, x: f64, wanted: f64| {
        for (by, found) in f.derivatives(x) {
            if found != wanted && !(found.is_nan() && wanted.is_nan()) {
                faults.push(format!("{by}: {what} at {x}: {found}, not {wanted}"));
            }
        }
    };
    macro_rules! edges {
        ($($f:expr, $at:expr => $wanted:expr;)*) => { $(d(everywhere!($f), stringify!($f), $at, $wanted);)* };
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
        |x| x.rem_euclid(3.0.into()), -5.0 => 1.0;
        |x| (x * 0.0 - 7.5).rem_euclid(x), 2.0 => 4.0;
        |x| (x * 0.0 + 7.5).rem_euclid(x), -2.0 => 3.0;
        |x| x.div_euclid(2.0.into()) * x, -3.5 => -2.0;
        |x| x.min(0.0.into()), 0.0 => 0.5;
        |x| x * x.recip(), 2.0 => 0.0;
        |x| x.max(1.0.into()) - x.min(1.0.into()), 1.0 => 0.0;
        |x| x.powi(i32::MIN), 1.0 => f64::from(i32::MIN);
        |x| x.powi(3), 0.0 => 0.0;
        |x| x.powf(1.0.into()), 0.0 => 1.0;
        |x| x.abs().sqrt(), 4.0 => 0.25;
        |x| x.clamp(0.0.into(), 1.0.into()), -1.5 => 0.0;
        |x| x.copysign(x), -2.0 => 1.0;
        |x| x.rem_euclid_like(), 5.0 => 1.0;
        |x| scalar::polynomial(&[1.0.into(), 2.0.into()], x), inf => 2.0;
        |x| scalar::norm(&[x]), 0.0 => 0.0;
        |x| scalar::sum(&[x; 0]) + x, 1.0 => 1.0;
        |x| [x, x].into_iter().sum(), 1.0 => 2.0;
        |x| [x, x, x].into_iter().product(), 2.0 => 12.0;
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
        |x| x * 3.0, inf => 3.0;
        |x| 3.0 - x, -inf => -1.0;
        |x| x.abs() * x.abs(), 0.0 => 0.0;
        |x| x.sin(), inf => f64::NAN;
        |x| x.atan2(0.0.into()), 0.0 => f64::NAN;
        |x| x + (x * 0.0).into_constant_zero().sqrt(), 2.0 => 1.0;
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

trait IntoConstantZero {
    fn into_constant_zero(self) -> Self;
    fn rem_euclid_like(self) -> Self;
}

impl<S: Real> IntoConstantZero for S {
    fn into_constant_zero(self) -> S {
        S::zero()
    }
    fn rem_euclid_like(self) -> S {
        let three = S::from(3.0).unwrap();
        self - (self / three).floor() * three
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
fn an_adjoint_of_0_does_not_meet_an_infinite_slope_wherever_it_stands() {
    fn holds<T: scalar::Plain + scalar::Real>() {
        let (zero, one) = (T::zero(), T::one());
        // What has an infinite slope is the operand before the last node, or a node that others lie between; it is the
        // first or the second operand; it is a pair or a wide node; and pairs or nothing lie below it.
        for case in 0..16 {
            let tape = scalar::Tape::new();
            let x = tape.vars(&[zero, one, one]);
            let late = tape.var(zero);
            let below = if case & 1 == 0 { x[0] } else { x[0] * x[1] };
            let steep = if case & 2 == 0 {
                below.sqrt() * x[1] + late.sqrt()
            } else {
                scalar::sum(&[below.sqrt(), late.sqrt(), x[1]])
            };
            let other = if case & 4 == 0 { x[2] } else { x[1] * x[2] };
            let y = if case & 8 == 0 {
                steep * zero + other
            } else {
                other - steep * zero
            };
            let by = [x[0], x[1], x[2], late];
            let wanted = [zero, if case & 4 == 0 { zero } else { one }, one, zero];
            assert_eq!(tape.gradient_of(y, &by), wanted, "{case}");
            // With other results at once, of which one has that slope, and again.
            let mut jacobian = [one; 12];
            tape.jacobian_into(&[y, steep, other], &by, &mut jacobian);
            assert_eq!(jacobian[..4], wanted, "{case}");
            assert_eq!(jacobian[4], T::infinity(), "{case}");
            assert_eq!(jacobian[8..], wanted, "{case}");
            let watched = tape.watch(steep);
            let z = watched * zero + other;
            assert_eq!(
                tape.gradient_of(z, &[x[0], late, watched]),
                [zero; 3],
                "{case}"
            );
            assert_eq!(tape.gradient_of(y, &by), wanted, "{case}");
        }
    }
    holds::<f64>();
    holds::<f32>();
    // What is NaN remains so.
    let tape = Tape::new();
    let x = tape.vars(&[0.0, 1.0]);
    let y = (x[0].sqrt() * x[1]) * f64::NAN + x[1];
    assert!(tape.gradient_of(y, &x).iter().all(|d| f64::is_nan(*d)));
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

#[test]
fn second_derivatives_at_the_edges() {
    macro_rules! edges {
        ($(|$a:ident, $b:ident| $f:expr, [$x:expr, $y:expr] => $wanted:expr;)*) => {
            $({
                let at = [$x, $y];
                let wanted: [f64; 3] = $wanted;
                let (_, _, dense) = scalar::hessian(|x| { let ($a, $b) = (x[0], x[1]); $f }, &at);
                let (_, _, sparse) = scalar::hessian_sparse(|x| { let ($a, $b) = (x[0], x[1]); $f }, &at);
                let sparse = sparse.to_dense();
                let [by_x, by_y] = [[1.0, 0.0], [0.0, 1.0]].map(|direction| {
                    scalar::taylor::<f64, 3>(|x| { let ($a, $b) = (x[0], x[1]); $f }, &at, &direction)[2]
                });
                let all = [
                    ("dense", [dense[0], dense[1], dense[3]]),
                    ("sparse", [sparse[0], sparse[1], sparse[3]]),
                    ("taylor", [by_x, wanted[1], by_y]),
                ];
                for (by, found) in all {
                    let same = found.iter().zip(&wanted).all(|(a, b)| a == b || a.is_nan() && b.is_nan());
                    assert!(same, "{by}: {} at {at:?}: {found:?}, not {wanted:?}", stringify!($f));
                }
            })*
        };
    }
    edges! {
        |x, _y| x.powi(0), [0.0, 0.0] => [0.0, 0.0, 0.0];
        |x, _y| x.powi(1), [0.0, 0.0] => [0.0, 0.0, 0.0];
        |x, _y| x.powi(2), [0.0, 0.0] => [2.0, 0.0, 0.0];
        |x, _y| x.powi(3), [0.0, 0.0] => [0.0, 0.0, 0.0];
        |x, _y| x.powf(Real::plain(2.0)), [0.0, 0.0] => [2.0, 0.0, 0.0];
        |x, _y| x.powf(Real::plain(1.0)), [0.0, 0.0] => [0.0, 0.0, 0.0];
        |x, _y| x.powf(Real::plain(0.0)), [0.0, 0.0] => [0.0, 0.0, 0.0];
        |x, _y| x.powf(Real::plain(3.0)), [-2.0, 0.0] => [-12.0, 0.0, 0.0];
        |x, y| x * y, [0.0, 0.0] => [0.0, 1.0, 0.0];
        |x, y| x.hypot(y), [0.0, 0.0] => [0.0, 0.0, 0.0];
        |x, y| scalar::norm(&[x, y]), [0.0, 0.0] => [0.0, 0.0, 0.0];
        |x, y| x.max(y), [1.0, 1.0] => [0.0, 0.0, 0.0];
        |x, y| x.abs() * y.abs(), [0.0, 0.0] => [0.0, 0.0, 0.0];
        |x, y| x.abs() * y, [-2.0, 3.0] => [0.0, -1.0, 0.0];
        |x, y| x % y, [7.5, 2.0] => [0.0, 0.0, 0.0];
        |x, y| x.abs_sub(y) * x, [3.0, 1.0] => [2.0, -1.0, 0.0];
        |x, y| x.copysign(y) * x, [3.0, -1.0] => [-2.0, 0.0, 0.0];
        |x, y| x + y, [0.0, 0.0] => [0.0, 0.0, 0.0];
        |_x, _y| Real::plain(3.0), [1.0, 1.0] => [0.0, 0.0, 0.0];
        |x, _y| x * x, [0.0, 0.0] => [2.0, 0.0, 0.0];
        |x, y| scalar::dot(&[x, x, y], &[x, y, y]), [5.0, 7.0] => [2.0, 1.0, 2.0];
    }
}

/// The quotient of a remainder is a whole number, also where the quotient of the numbers rounds to another one.
#[test]
fn the_quotient_of_a_remainder() {
    for (x, y, quotient) in [
        (1.0, 0.1, 9.0),
        (6.0, 0.2, 29.0),
        (-1.0, 0.1, -9.0),
        (7.5, -2.0, -3.0),
    ] {
        let (value, gradient) = scalar::gradient(|v| v[0] % v[1], &[x, y]);
        assert_eq!(
            (value, &gradient[..]),
            (x % y, &[1.0, -quotient][..]),
            "{x} % {y}"
        );
    }
    let (_, gradient) = scalar::gradient(|v| v[0] % v[1], &[1.0_f32, 0.1]);
    assert_eq!(gradient, [1.0, -9.0]);
    let (_, gradient) = scalar::gradient(|v| v[0] % v[1], &[1.0, f64::INFINITY]);
    assert_eq!(gradient, [1.0, 0.0]);
}

#[test]
fn powers_of_zero_in_second_derivatives() {
    let power = |x: &[Scalar<Dual<f64, 1>>]| x[0].powf(x[1]);
    let (_, gradient, product) = scalar::hvp(power, &[0.0, 0.0], &[0.0, 1.0]);
    assert_eq!((gradient, product), (vec![0.0; 2], vec![0.0; 2]));
    // A tangent of 0 stays 0, at every level.
    let x = Dual::new(
        Dual::new(0.0, [1.0]),
        [Dual::constant(1.0), Dual::constant(0.0)],
    );
    let y = x.powf(Dual::constant(Dual::constant(1.5)));
    let [by_x, by_none] = y.tangents();
    assert_eq!((by_x.value(), by_x.tangent()), (0.0, f64::INFINITY));
    assert_eq!((by_none.value(), by_none.tangent()), (0.0, 0.0));
}
