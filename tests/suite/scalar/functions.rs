//! Every function against literal values, in both modes and precisions, and against differences over its domain.

use wengert::scalar::{self, Dual, Plain, Real, Scalar};

use super::reference::{BINARY, UNARY};
use super::{close, near};

/// The function of a name.
macro_rules! by_name {
    ($name:expr, $x:expr; $($function:ident)*) => {
        match $name {
            $(stringify!($function) => $x.$function(),)*
            other => panic!("no function {other}"),
        }
    };
}

fn unary<S: Real>(name: &str, x: S) -> S {
    by_name!(name, x; abs recip sqrt cbrt exp exp2 exp_m1 ln log2 log10 ln_1p sin cos tan asin acos atan sinh cosh tanh
        asinh acosh atanh to_degrees to_radians fract erf erfc gamma ln_gamma digamma sigmoid softplus)
}

fn binary<S: Real>(name: &str, x: S, y: S) -> S {
    match name {
        "powf" => x.powf(y),
        "atan2" => x.atan2(y),
        "hypot" => x.hypot(y),
        "log" => x.log(y),
        "div" => x / y,
        "mul" => x * y,
        "rem" => x % y,
        other => panic!("no function {other}"),
    }
}

fn number<T: Plain>(x: f64) -> T {
    <T as num_traits::NumCast>::from(x).unwrap()
}

/// How much the functions may be off, in units of the result and of 1: more beside poles and zeros.
fn allowance(name: &str) -> [f64; 2] {
    match name {
        "gamma" | "ln_gamma" | "digamma" => [64.0, 0.0],
        "acos" | "asin" | "atanh" | "acosh" | "tan" => [40.0, 0.0],
        // The derivatives are polynomials in the value, which has no more digits where it is flat.
        "tanh" | "sigmoid" | "softplus" => [12.0, 2.0],
        _ => [12.0, 0.0],
    }
}

fn check_unary<T: Plain>() {
    for (name, rows) in UNARY {
        for &[x, value, first, second] in *rows {
            let at: T = number(x);
            let units = allowance(name);
            let (v, g) = scalar::gradient(|x| unary(name, x[0]), &[at]);
            assert!(
                v.to_f64() == unary(name, at).to_f64(),
                "{name}({x}) has the value of the plain function"
            );
            near(v, value, units, format_args!("{name}({x})"));
            near(g[0], first, units, format_args!("{name}'({x})"));
            let dual = unary(name, Dual::variable(Dual::variable(at)));
            assert!(dual.value().value() == v);
            near(
                dual.value().tangent(),
                first,
                units,
                format_args!("{name}'({x})"),
            );
            let curved = scalar::hessian(|x| unary(name, x[0]), &[at]).2[0];
            let over = scalar::gradient(
                |x: &[Scalar<T>]| scalar::gradient(|x| unary(name, x[0]), x).1[0],
                &[at],
            );
            for (found, mode) in [
                (dual.tangent().tangent(), "forward over forward"),
                (curved, "forward over reverse"),
                (over.1[0], "reverse over reverse"),
            ] {
                near(
                    found,
                    second,
                    units.map(|u| 4.0 * u),
                    format_args!("{name}''({x}) {mode}"),
                );
            }
        }
    }
}

#[test]
fn functions_of_one_number_have_the_values_of_the_tables_in_f64() {
    check_unary::<f64>();
}

#[test]
fn functions_of_one_number_have_the_values_of_the_tables_in_f32() {
    check_unary::<f32>();
}

fn check_binary<T: Plain>() {
    for (name, rows) in BINARY {
        for &[x, y, value, by_x, by_y, xx, xy, yy] in *rows {
            let at: [T; 2] = [number(x), number(y)];
            let what = |part: &str| format!("{name}({x}, {y}) {part}");
            let check = |found: T, wanted, part| {
                near(found, wanted, [32.0, 0.0], format_args!("{}", what(part)))
            };
            let (v, g) = scalar::gradient(|x| binary(name, x[0], x[1]), &at);
            check(v, value, "value");
            check(g[0], by_x, "by x");
            check(g[1], by_y, "by y");
            let [a, b] = Dual::variables(at);
            let tangents = binary(name, a, b).tangents();
            check(tangents[0], by_x, "by x, forward");
            check(tangents[1], by_y, "by y, forward");
            // A constant on either side: the other derivative alone.
            let (_, left) =
                scalar::gradient(|x| binary(name, x[0], Scalar::constant(at[1])), &at[..1]);
            check(left[0], by_x, "by x, y constant");
            let (_, right) =
                scalar::gradient(|y| binary(name, Scalar::constant(at[0]), y[0]), &at[1..]);
            check(right[0], by_y, "by y, x constant");
            // The same variable on both sides: the sum.
            if x == y {
                let (_, both) = scalar::gradient(|x| binary(name, x[0], x[0]), &at[..1]);
                check(both[0], by_x + by_y, "of x twice");
            }
            let hessian = scalar::hessian(|x| binary(name, x[0], x[1]), &at).2;
            for (found, (wanted, part)) in
                hessian
                    .into_iter()
                    .zip([(xx, "xx"), (xy, "xy"), (xy, "yx"), (yy, "yy")])
            {
                near(found, wanted, [256.0, 0.0], format_args!("{}", what(part)));
            }
        }
    }
}

#[test]
fn functions_of_two_numbers_have_the_values_of_the_tables() {
    check_binary::<f64>();
    check_binary::<f32>();
}

#[test]
fn every_function_has_its_derivative_over_its_domain() {
    let ranges = [
        ("abs", 0.1, 3.0),
        ("recip", 0.2, 3.0),
        ("sqrt", 0.1, 9.0),
        ("cbrt", 0.1, 9.0),
        ("exp", -3.0, 3.0),
        ("exp2", -3.0, 3.0),
        ("exp_m1", -2.0, 2.0),
        ("ln", 0.1, 9.0),
        ("log2", 0.1, 9.0),
        ("log10", 0.1, 9.0),
        ("ln_1p", -0.8, 5.0),
        ("sin", -4.0, 4.0),
        ("cos", -4.0, 4.0),
        ("tan", -1.2, 1.2),
        ("asin", -0.9, 0.9),
        ("acos", -0.9, 0.9),
        ("atan", -5.0, 5.0),
        ("sinh", -3.0, 3.0),
        ("cosh", -3.0, 3.0),
        ("tanh", -3.0, 3.0),
        ("asinh", -5.0, 5.0),
        ("acosh", 1.2, 6.0),
        ("atanh", -0.9, 0.9),
        ("to_degrees", -3.0, 3.0),
        ("to_radians", -90.0, 90.0),
        ("fract", 0.1, 0.9),
        ("sigmoid", -6.0, 6.0),
        ("softplus", -6.0, 6.0),
        ("erf", -3.0, 3.0),
        ("erfc", -3.0, 3.0),
        ("gamma", 0.5, 4.0),
        ("ln_gamma", 0.5, 9.0),
        ("digamma", 0.5, 9.0),
    ];
    assert_eq!(ranges.len(), UNARY.len());
    let h = 1e-5;
    for (name, low, high) in ranges {
        for step in 0..=50 {
            let x = low + (high - low) * f64::from(step) / 50.0;
            let slope = |x: f64| scalar::gradient(|x| unary(name, x[0]), &[x]).1[0];
            let difference = (unary(name, x + h) - unary(name, x - h)) / (2.0 * h);
            let found = slope(x);
            assert!(
                close(found, difference, 1e-6),
                "{name}'({x}): {found} {difference}"
            );
            let difference = (slope(x + h) - slope(x - h)) / (2.0 * h);
            let found = scalar::hessian(|x| unary(name, x[0]), &[x]).2[0];
            assert!(
                close(found, difference, 1e-5),
                "{name}''({x}): {found} {difference}"
            );
            let single = scalar::gradient(|x| unary(name, x[0]), &[x as f32]).1[0];
            let wanted = slope(f64::from(x as f32));
            assert!(
                close(f64::from(single), wanted, 1e-4),
                "{name}'({x}) in f32: {single} {wanted}"
            );
        }
    }
}

/// `x^n` and its derivatives by repeated multiplication.
#[test]
fn integer_powers() {
    fn power(x: f64, n: i32) -> f64 {
        let p = (0..n.abs()).fold(1.0, |p, _| p * x);
        if n < 0 { 1.0 / p } else { p }
    }
    for n in [-7, -2, -1, 0, 1, 2, 3, 10] {
        for x in [-1.5, -0.25, 0.75, 3.0] {
            let (value, gradient, hessian) = scalar::hessian(|x| x[0].powi(n), &[x]);
            let m = f64::from(n);
            let what = format_args!("{x}^{n}").to_string();
            near(value, power(x, n), [16.0, 0.0], format_args!("{what}"));
            near(
                gradient[0],
                m * power(x, n - 1),
                [16.0, 0.0],
                format_args!("{what}'"),
            );
            near(
                hessian[0],
                m * (m - 1.0) * power(x, n - 2),
                [16.0, 0.0],
                format_args!("{what}''"),
            );
        }
    }
}

/// The polygamma functions by the recurrence of the literal values at 1: `n! zeta(n + 1)` up to sign.
#[test]
fn polygamma_functions() {
    const EULER: f64 = 0.577_215_664_901_532_9;
    const ZETA: [f64; 4] = [
        1.644_934_066_848_226_4,
        1.202_056_903_159_594_3,
        1.082_323_233_711_138_2,
        1.036_927_755_143_37,
    ];
    let at_one = [
        -EULER,
        ZETA[0],
        -2.0 * ZETA[1],
        6.0 * ZETA[2],
        -24.0 * ZETA[3],
    ];
    for n in 0..4_u32 {
        let (value, derivative) = scalar::derivative(|x| x.polygamma(n), 1.0_f64);
        near(
            value,
            at_one[n as usize],
            [64.0, 0.0],
            format_args!("polygamma {n}"),
        );
        near(
            derivative,
            at_one[n as usize + 1],
            [64.0, 0.0],
            format_args!("polygamma {n}'"),
        );
        let reverse = scalar::gradient(|x| x[0].polygamma(n), &[1.0_f64]).1[0];
        assert_eq!(reverse.to_bits(), derivative.to_bits());
    }
    // ln gamma to the fourth order, by nesting.
    let f = |x: Dual<Dual<Dual<f64>>>| x.ln_gamma();
    let (_, third) = scalar::derivative(
        |x| {
            scalar::derivative(
                |x| scalar::derivative(|x: Dual<Dual<Dual<f64>>>| f(x), x).1,
                x,
            )
            .1
        },
        1.0,
    );
    near(third, at_one[2], [64.0, 0.0], format_args!("ln_gamma'''"));
}
