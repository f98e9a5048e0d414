//! Derivatives at points where coarse differences deceive.

use wengert::check::{self, Check, Method, Report};
use wengert::{Tensor, Var};

type Function = Box<dyn Fn(Var<f64>) -> Var<f64>>;

/// Functions that change over less than a step of differences may span, each with a point.
fn deceptive() -> Vec<(String, Function, f64)> {
    let mut all: Vec<(String, Function, f64)> = Vec::new();
    let mut add = |name: &str, f: Function, x: f64| all.push((format!("{name} at {x}"), f, x));
    let sine = |factor: f64| -> Function { Box::new(move |x| (x * factor).sin()) };
    let tau = std::f64::consts::TAU;
    add("a sine", sine(tau), 1000.0);
    for x in [0.3, 0.123] {
        for f in [1e3, 2e3, 3e3, 4e3, 5e3, 8e3, 16e3] {
            add("a sine", sine(tau * f), x);
        }
        for f in [1e5, 2e5, 1e6] {
            add("a fast sine", sine(f), x);
        }
    }
    add(
        "a hat",
        Box::new(|x| (1.0 - (x - 3000.0).abs()).relu()),
        3000.3,
    );
    add("a hat", Box::new(|x| (1.0 - x.abs() * 1e4).relu()), 5e-5);
    let bell = |middle: f64, width: f64| -> Function {
        Box::new(move |x| (((x - middle) / width).square() * -0.5).exp())
    };
    add("a bell", bell(3000.0, 0.05), 3000.02);
    add("a bell", bell(20000.0, 0.5), 20000.2);
    add("a bell", Box::new(|x| (-(x * 1e5).square()).exp()), 3e-6);
    let wave = |x: Var<f64>| {
        let u = x - 3000.0;
        u * (-(u * 20.0).square()).exp()
    };
    add("a wave", Box::new(wave), 3000.0);
    let bump = |x: Var<f64>| {
        let u = x - 10000.0;
        (u * (1.0 - u)).relu().square()
    };
    add("a bump", Box::new(bump), 10000.25);
    all
}

#[test]
fn right_rules_pass_and_wrong_ones_fail_where_coarse_steps_deceive() {
    let first = Check::new().order(1);
    for (name, f, x) in deceptive() {
        let x = Tensor::from([x]);
        let report = first.gradients(|[x]| f(x), [&x]);
        let report = report.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert_eq!(report.kinks().count(), 0, "{name}: {report}");
        for factor in [0.0, 1.01, -1.0] {
            let wrong = first.gradients(|[x]| f(x).on_cotangent(move |ct| ct * factor), [&x]);
            let failure = wrong.expect_err(&format!("{name}, times {factor}"));
            let by_difference = |report: &Report| {
                let mut failures = report.failures();
                failures.any(|c| c.method == Method::Difference)
            };
            assert!(by_difference(failure.report()), "{name}: {failure}");
        }
    }
}

#[test]
fn second_derivatives_are_told_right_from_wrong_where_coarse_steps_deceive() {
    let x = Tensor::from([7e-6]);
    let report = check::gradients(|[x]| (x / 1e-5).tanh(), [&x]).unwrap();
    assert_eq!(report.kinks().count(), 0, "{report}");
    // The derivative of the square of what the rule takes for constant is missing.
    let half = |[x]: [Var<f64>; 1]| {
        wengert::transform::custom_vjp(
            |x: Var<f64>| (x / 1e-5).tanh(),
            |_x, y: Var<f64>, ct: Var<f64>| ct * (1.0 - y * y.stop_gradient()) * 1e5,
            x,
        )
    };
    Check::new().order(1).gradients(half, [&x]).unwrap();
    let failure = check::gradients(half, [&x]).unwrap_err();
    assert!(
        failure.report().failures().all(|c| c.order == 2),
        "{failure}"
    );
}

#[test]
fn what_is_too_fast_for_any_step_neither_passes_nor_fails() {
    let x = Tensor::from([0.3]);
    let report = Check::new().order(1).gradients(|[x]| (x * 1e9).sin(), [&x]);
    assert_eq!(report.unwrap().kinks().count(), 1);
}

#[test]
fn a_kink_nearby_is_resolved_or_is_one() {
    for k in 0..60 {
        let near = 10f64.powf(-10.0 + 0.1 * f64::from(k));
        let scaled = near * 3000.0;
        for side in [near, -near] {
            let x = Tensor::from([side]);
            let report = Check::new().order(1).gradients(|[x]| x.relu() * 1.25, [&x]);
            let report = report.unwrap_or_else(|failure| panic!("{side}: {failure}"));
            assert!(
                side.abs() < 2e-8 || report.kinks().count() == 0,
                "{side}: {report}"
            );
        }
        let x = Tensor::from([3000.0 + scaled]);
        let f = |[x]: [Var<f64>; 1]| (x - 3000.0).relu() + x.sin();
        let report = Check::new().order(1).gradients(f, [&x]);
        report.unwrap_or_else(|failure| panic!("{scaled}: {failure}"));
        let tied = Tensor::from([1.0, 1.0 + near]);
        let report = Check::new().order(1).gradients(|[x]| x.max(), [&tied]);
        report.unwrap_or_else(|failure| panic!("a tie but for {near}: {failure}"));
    }
    // Where it is resolved, what is wrong is found.
    let x = Tensor::from([1e-7]);
    let wrong = |[x]: [Var<f64>; 1]| x.relu().on_cotangent(|ct| ct * 0.5);
    Check::new().order(1).gradients(wrong, [&x]).unwrap_err();
}

#[test]
fn rows_of_long_indices_are_told_apart() {
    let rows = |shape: &[usize]| {
        let x = Tensor::from_fn(shape, |i| 0.5 + i.iter().sum::<usize>() as f64 * 0.1);
        let wrong = |[x]: [Var<f64>; 1]| x * x.stop_gradient();
        let failure = Check::new().order(1).gradients(wrong, [&x]).unwrap_err();
        let text = failure.to_string();
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        let failing = text.lines().filter(|line| line.ends_with("differs"));
        assert_eq!(failing.count(), 12, "{text}");
        text
    };
    let text = rows(&[2, 1, 1, 2, 1, 1, 2, 2]);
    for index in [
        "[1,0,0,1,0,0,1,1]",
        "[0,0,0,1,0,0,1,1]",
        "[1,0,0,1,0,0,0,1]",
    ] {
        let whole = index.replace(',', ", ");
        let holds = |line: &&str| line.contains(index) || line.contains(&whole);
        assert_eq!(text.lines().filter(holds).count(), 1, "{index}: {text}");
    }
    // Too many axes for the table: below it.
    let mut shape = [1; 30];
    (shape[0], shape[7]) = (4, 4);
    let text = rows(&shape);
    let below: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("that is"))
        .collect();
    assert_eq!(below.len(), 12, "{text}");
    let distinct: std::collections::HashSet<&&str> = below.iter().collect();
    assert_eq!(distinct.len(), 12, "{text}");
}
