use num_traits::FloatConst;

use super::*;
use crate::scalar::Dual;

type Third = Dual<Dual<Dual<f64>>>;

/// The derivatives up to third order of a function of one number, by nested numbers of first order.
fn nested(f: impl Fn(Third) -> Third, x: f64) -> [f64; 4] {
    let y = f(Dual::variable(Dual::variable(Dual::variable(x))));
    [
        y.value().value().value(),
        y.tangent().value().value(),
        y.tangent().tangent().value(),
        y.tangent().tangent().tangent(),
    ]
}

#[track_caller]
fn close(name: &str, found: [f64; 4], expected: [f64; 4]) {
    for (k, (a, b)) in found.iter().zip(&expected).enumerate() {
        let same = (a - b).abs() <= 1e-11 * (1.0 + b.abs());
        assert!(same, "{name}, order {k}: {a}, expected {b}");
    }
}

/// A curve with derivatives of all orders.
fn curve<S: Real>(t: S) -> S {
    t + t * t * t.cos() / S::from_f64(3.0).unwrap()
}

macro_rules! against_nested {
    ($($name:literal, $at:expr, |$u:ident| $f:expr;)*) => {$({
        fn f<S: Real>($u: S) -> S {
            $f
        }
        let found = taylor::<f64, 4>(|t| f(curve(t[0])), &[$at], &[1.0]);
        close($name, found, nested(|t| f(curve(t)), $at));
    })*};
}

#[test]
fn every_function_agrees_with_nested_duals() {
    against_nested! {
        "neg", 0.4, |u| -u;
        "abs", -0.4, |u| u.abs();
        "recip", 0.4, |u| u.recip();
        "sqrt", 0.4, |u| u.sqrt();
        "cbrt", -0.4, |u| u.cbrt();
        "exp", 0.4, |u| u.exp();
        "exp2", 0.4, |u| u.exp2();
        "exp_m1", 0.4, |u| u.exp_m1();
        "ln", 0.4, |u| u.ln();
        "log2", 0.4, |u| u.log2();
        "log10", 0.4, |u| u.log10();
        "ln_1p", 0.4, |u| u.ln_1p();
        "sin", 0.4, |u| u.sin();
        "cos", 0.4, |u| u.cos();
        "sin_cos", 0.4, |u| u.sin_cos().0 + u.sin_cos().1 * u;
        "tan", 0.4, |u| u.tan();
        "asin", 0.4, |u| u.asin();
        "acos", 0.4, |u| u.acos();
        "atan", 0.4, |u| u.atan();
        "sinh", 0.4, |u| u.sinh();
        "cosh", 0.4, |u| u.cosh();
        "tanh", 0.4, |u| u.tanh();
        "asinh", 0.4, |u| u.asinh();
        "acosh", 1.4, |u| u.acosh();
        "atanh", 0.4, |u| u.atanh();
        "to_degrees", 0.4, |u| u.to_degrees();
        "to_radians", 0.4, |u| u.to_radians();
        "fract", 1.4, |u| u.fract() * u;
        "floor", 1.4, |u| u.floor() * u;
        "erf", 0.4, |u| u.erf();
        "erfc", 0.4, |u| u.erfc();
        "gamma", 1.4, |u| u.gamma();
        "ln_gamma", 1.4, |u| u.ln_gamma();
        "digamma", 1.4, |u| u.digamma();
        "polygamma", 1.4, |u| u.polygamma(2);
        "sigmoid", 0.4, |u| u.sigmoid();
        "softplus", 0.4, |u| u.softplus();
        "powi", 0.4, |u| u.powi(5) + u.powi(-2) + u.powi(0) + u.powi(1);
        "powi of a negative number", -0.4, |u| u.powi(3) + u.powi(-3);
        "powf", 0.4, |u| u.powf(S::PI());
        "powf of two", 0.4, |u| u.powf(u.sin());
        "powf of a constant", 0.4, |u| S::PI().powf(u);
        "log", 0.4, |u| u.log(S::one() + u);
        "add, sub", 0.4, |u| (u + u.sin()) - u.cos();
        "mul", 0.4, |u| u * u.sin();
        "div", 0.4, |u| u.sin() / (u + S::one());
        "rem", 0.4, |u| (u * S::PI()) % u.cos();
        "atan2", 0.4, |u| u.atan2(u.cos());
        "hypot", 0.4, |u| u.hypot(u.cos());
        "max, min", 0.4, |u| u.max(u.exp()) * u.min(u.exp());
        "mul_add", 0.4, |u| u.mul_add(u.sin(), u.cos());
        "norm", 0.4, |u| S::norm_by(3, |i| if i == 0 { u } else { u.cos() });
        "log_sum_exp", 0.4, |u| S::log_sum_exp_by(2, |i| if i == 0 { u } else { u * u });
        "polynomial", 0.4, |u| S::polynomial_by(u, 3, |i| if i == 0 { u } else { u.sin() });
        "dot", 0.4, |u| S::dot_by(2, |i| if i == 0 { (u, u) } else { (u, u.sin()) });
    }
}

#[test]
fn series_are_the_known_ones() {
    let t = Taylor::<f64, 12>::variable(0.0);
    let mut factorial = 1.0;
    for k in 0..12 {
        if k > 0 {
            factorial *= k as f64;
        }
        let sign = if k % 4 < 2 { 1.0 } else { -1.0 };
        let odd = k % 2 == 1;
        assert!((t.exp().c[k] - 1.0 / factorial).abs() < 1e-16);
        assert!((t.sin().c[k] - if odd { sign / factorial } else { 0.0 }).abs() < 1e-16);
        assert!((t.sinh().c[k] - if odd { 1.0 / factorial } else { 0.0 }).abs() < 1e-16);
        let alternate = if odd { 1.0 } else { -1.0 };
        let expected = if k == 0 { 0.0 } else { alternate / k as f64 };
        assert!((t.ln_1p().c[k] - expected).abs() < 1e-15);
        assert!((t.atan().c[k] - if odd { sign / k as f64 } else { 0.0 }).abs() < 1e-15);
        let tangent = [
            0.0,
            1.0,
            0.0,
            1.0 / 3.0,
            0.0,
            2.0 / 15.0,
            0.0,
            17.0 / 315.0,
            0.0,
            62.0 / 2835.0,
        ];
        if k < tangent.len() {
            assert!((t.tan().c[k] - tangent[k]).abs() < 1e-15);
        }
    }
    // ln gamma(1 + t) = -gamma t + zeta(2) / 2 t^2 - zeta(3) / 3 t^3 + …
    let series = (t + 1.0).ln_gamma().c;
    let known = [
        0.0,
        -0.577_215_664_901_532_9,
        f64::PI() * f64::PI() / 12.0,
        -1.202_056_903_159_594_2 / 3.0,
    ];
    for (a, b) in series.iter().zip(known) {
        assert!((a - b).abs() < 1e-14, "{a}, {b}");
    }
}

#[test]
fn edges_are_what_analysis_says() {
    let infinity = f64::INFINITY;
    let at = |f: fn(Taylor<f64, 3>) -> Taylor<f64, 3>, x: f64| f(Taylor::variable(x)).derivatives();
    assert_eq!(at(|x| x.sqrt(), 0.0), [0.0, infinity, -infinity]);
    assert_eq!(at(|x| x.abs(), 0.0), [0.0, 0.0, 0.0]);
    assert_eq!(at(|x| x.powi(2), 0.0), [0.0, 0.0, 2.0]);
    assert_eq!(at(|x| x.powf(Taylor::constant(2.0)), 0.0), [0.0, 0.0, 2.0]);
    assert_eq!(
        at(|x| x.powf(Taylor::constant(1.5)), 0.0),
        [0.0, 0.0, infinity]
    );
    assert_eq!(at(|x| x.powf(Taylor::constant(0.0)), 0.0), [1.0, 0.0, 0.0]);
    assert_eq!(at(|x| x.hypot(x), 0.0), [0.0, 0.0, 0.0]);
    assert_eq!(
        at(|x| Taylor::constant(0.0).sqrt() + x, 1.0),
        [1.0, 1.0, 0.0]
    );
    assert_eq!(taylor::<f64, 1>(|x| x[0].sin(), &[0.0], &[1.0]), [0.0]);
}

#[test]
fn series_nest_with_other_numbers() {
    // The second derivative by t of x t^3, differentiated by x.
    let x = Dual::variable(5.0);
    let [.., second] = taylor::<_, 3>(
        |t| t[0].powi(3) * Taylor::constant(x),
        &[Dual::constant(2.0)],
        &[Dual::constant(1.0)],
    );
    assert_eq!((second.value(), second.tangent()), (60.0, 12.0));
    let single = taylor::<f32, 3>(|t| t[0] * t[0], &[3.0], &[1.0]);
    assert_eq!(single, [9.0, 6.0, 2.0]);
}

#[test]
#[should_panic(expected = "taylor: 2 variables and a direction of 1")]
fn directions_have_a_number_for_each_variable() {
    taylor::<f64, 2>(|x| x[0], &[1.0, 2.0], &[1.0]);
}
