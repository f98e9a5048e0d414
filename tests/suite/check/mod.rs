//! The check of gradients finds what is wrong, and only that.

mod diagnosis;
mod faults;
mod planted;
mod steps;
mod strategies;

use proptest::prelude::*;
use wengert::check::{self, Check, Comparison, Method, Report, Verdict};
use wengert::{
    AnyVar, Dtype, Input, Operation, Output, Pullback, Reads, Shape, Tape, Tensor, Unary, Var,
};

/// An operation of one operand with a rule that is wrong on purpose.
macro_rules! planted {
    ($($op:ident: |$x:ident| $value:expr, |$vx:ident, $y:ident, $ct:ident| $rule:expr;)*) => {$(
        struct $op;
        impl Unary<f64> for $op {
            type Output = f64;
            const NAME: &'static str = stringify!($op);
            const READS: Reads = Reads::BOTH;
            fn eval($x: f64) -> f64 {
                $value
            }
            fn vjp($vx: Var<f64>, $y: Var<f64>, $ct: Var<f64>) -> Var<f64> {
                $rule
            }
        }
    )*};
}
planted! {
    WrongSign: |x| x.exp(), |_x, y, ct| -(ct * y);
    MissingFactor: |x| x.powi(3), |x, _y, ct| ct * x * x;
    OnePercent: |x| x.exp(), |_x, y, ct| ct * y * 1.01;
    // x^2 as a product of which only one factor is differentiated.
    ForgottenUse: |x| x * x, |x, _y, ct| ct * x;
    ForgottenCotangent: |x| x.sqrt(), |_x, y, _ct| 0.5 / y;
    NoRule: |x| x.exp(), |x, _y, _ct| x.tape().number(0.0);
    NotANumber: |x| x.exp(), |_x, y, ct| ct * y * f64::NAN;
    // Right at first order only.
    ConstantRule: |x| x.exp(), |_x, y, ct| ct * y.stop_gradient();
    HalfConstantRule: |x| x.powi(3), |x, _y, ct| ct * (x * x.stop_gradient() * 3.0);
    Right: |x| x.exp(), |_x, y, ct| ct * y;
}

/// The square, with a derivative that is wrong in one place.
#[derive(Debug)]
struct WrongAt(usize);

impl Operation for WrongAt {
    fn name(&self) -> &'static str {
        "wrong_at"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((inputs[0].0, inputs[0].1.clone()))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let x = inputs[0].storage::<f64>();
        let elements = output.elements::<f64>().iter_mut();
        elements.zip(x).for_each(|(y, x)| *y = x * x);
        Ok(())
    }

    fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
        let (x, ct) = (pullback.input::<f64>(0), pullback.cotangent::<f64>());
        let mut factors = Tensor::full(x.shape(), 2.0);
        factors.as_mut_slice()[self.0] = 2.1;
        (ct * x * x.tape().constant(&factors)).erase()
    }
}

fn point() -> Tensor<f64> {
    Tensor::from([[0.5, 1.25, 2.0], [0.75, 1.5, 0.3]])
}

/// The number of comparisons with differences.
fn differences(report: &Report) -> usize {
    let by_difference = |c: &&Comparison| c.method == Method::Difference;
    report.comparisons().iter().filter(by_difference).count()
}

#[test]
fn planted_faults_are_found_at_first_order() {
    let x = point();
    let first = Check::new().order(1);
    let found = |name: &str, f: &dyn Fn(Var<f64>) -> Var<f64>, at_least: usize| {
        let failure = first.gradients(|[x]| f(x), [&x]).expect_err(name);
        let count = failure.report().failures().count();
        assert!(count >= at_least, "{name}: {failure}");
    };
    found("wrong sign", &|x| x.unary::<WrongSign>(), 6);
    found("missing factor", &|x| x.unary::<MissingFactor>(), 6);
    found("one percent", &|x| x.unary::<OnePercent>(), 6);
    found("forgotten use", &|x| x.unary::<ForgottenUse>(), 6);
    found("no rule", &|x| x.unary::<NoRule>(), 6);
    found("not a number", &|x| x.unary::<NotANumber>(), 6);
    // Seen where the cotangent is not one: after another operation, or in a result that is not a scalar.
    found(
        "forgotten cotangent",
        &|x| x.unary::<ForgottenCotangent>(),
        6,
    );
    found(
        "forgotten cotangent",
        &|x| x.unary::<ForgottenCotangent>().sum() * 3.0,
        6,
    );
    // Hidden among right ones.
    found(
        "one percent",
        &|x| (x * x).exp() + x.unary::<OnePercent>() * 0.1,
        5,
    );
    // A path that is cut, as a whole or in part.
    found("cut", &|x| x.stop_gradient() * 2.0, 6);
    found("cut in part", &|x| x * x.stop_gradient(), 6);
}

#[test]
fn a_fault_in_one_place_is_found_there() {
    let x = point();
    for place in 0..x.len() {
        let f = |[x]: [Var<f64>; 1]| x.tape().record(WrongAt(place), &[x.erase()]).typed();
        let failure = Check::new().order(1).gradients(f, [&x]).unwrap_err();
        let failures: Vec<_> = failure.report().failures().collect();
        assert_eq!(failures.len(), 1, "{failure}");
        assert_eq!(failures[0].index, [place / 3, place % 3]);
        assert_eq!(failure.report().comparisons()[0].index, failures[0].index);
    }
}

#[test]
fn faults_of_second_order_only_are_found_there() {
    let x = point();
    let first = Check::new().order(1);
    let f = |[x]: [Var<f64>; 1]| x.unary::<ConstantRule>();
    first.gradients(f, [&x]).unwrap();
    let failure = check::gradients(f, [&x]).unwrap_err();
    assert!(
        failure
            .report()
            .failures()
            .all(|c| c.order == 2 && !c.reached),
        "{failure}"
    );
    assert!(
        failure.to_string().contains("path cut: input 0"),
        "{failure}"
    );
    let f = |[x]: [Var<f64>; 1]| x.unary::<HalfConstantRule>();
    first.gradients(f, [&x]).unwrap();
    let failure = check::gradients(f, [&x]).unwrap_err();
    assert!(
        failure.report().failures().all(|c| c.order == 2),
        "{failure}"
    );
    assert_eq!(failure.report().failures().count(), 6);
}

#[test]
fn what_is_right_passes_and_is_counted() {
    let (x, y) = (point(), Tensor::from([1.0, -2.0, 0.5]));
    let report = check::gradients(|[x, y]| x.unary::<Right>() * y, [&x, &y]).unwrap();
    assert_eq!(report.comparisons().len(), 2 * (6 + 3 + 2));
    assert_eq!(report.failures().count(), 0);
    // The differences are far better than the tolerance.
    let worst = &report.comparisons()[0];
    assert!(worst.error() < 1e-8 && worst.tolerance < 1e-4, "{report}");
    assert!(
        report.to_string().starts_with("reverse mode agrees"),
        "{report}"
    );
    // An input that the result does not depend on.
    check::gradients(|[x, _y]| x * x, [&x, &y]).unwrap();
    // A result that is its input, and one that depends on none.
    check::gradients(|[x]| x, [&x]).unwrap();
    check::gradients(|[x]| x.tape().full([2], 1.0), [&x]).unwrap();
    // Nothing to compare.
    let none = Tensor::zeros([0, 3]);
    let report = check::gradients(|[x]| x * x, [&none]).unwrap();
    assert_eq!(differences(&report), 0);
}

#[test]
fn what_is_not_finite_is_a_failure_not_a_panic() {
    let x = Tensor::from([-1.0, 0.0]);
    let failure = check::gradients(|[x]| x.ln(), [&x]).unwrap_err();
    assert!(failure.to_string().contains("not finite"), "{failure}");
    let failure = check::gradients(|[x]| x.sqrt(), [&x]).unwrap_err();
    assert!(
        failure.report().failures().any(|c| c.reverse.is_infinite()),
        "{failure}"
    );
}

#[test]
fn a_kink_is_reported_as_such_neither_failing_nor_passing() {
    type Named<'a> = (&'a str, &'a dyn Fn(Var<f64>) -> Var<f64>);
    let kinked: [Named<'_>; 4] = [
        ("relu", &|x| x.relu()),
        ("abs", &|x| x.abs()),
        ("maximum", &|x| x.maximum(0.0) * 2.0 + x),
        ("floor", &|x| x.floor() + x * x),
    ];
    for (name, f) in kinked {
        let x = Tensor::from([-0.5, 0.0, 1e-4]);
        let report = Check::new().order(1).gradients(|[x]| f(x), [&x]).unwrap();
        let places: Vec<_> = report.kinks().map(|c| (c.order, c.index[0])).collect();
        assert_eq!(places, [(1, 1)], "{name}: {report}");
        assert!(
            report
                .to_string()
                .contains("\nkink at input 0 [1], order 1: slope"),
            "{report}"
        );
        let at_kink = report
            .comparisons()
            .iter()
            .find(|c| c.verdict() == Verdict::Kink);
        assert!(at_kink.is_some_and(|c| !c.agrees() && !c.fails()));
        // The derivative jumps there.
        let report = check::gradients(|[x]| f(x), [&x]).unwrap();
        assert!(report.kinks().all(|c| c.index == [1]), "{name}: {report}");
    }
}

#[test]
fn where_the_second_derivative_jumps_the_first_is_no_kink() {
    let bent: [&dyn Fn(Var<f64>) -> Var<f64>; 3] = [&|x| x.relu() * x, &|x| x.abs() * x, &|x| {
        x.relu().square() - x * 3.0
    }];
    let x = Tensor::from([-0.5, 0.0, 0.25]);
    for f in bent {
        let report = check::gradients(|[x]| f(x), [&x]).unwrap();
        let kinks: Vec<_> = report.kinks().map(|c| (c.order, c.index[0])).collect();
        assert_eq!(kinks, [(2, 1)], "{report}");
    }
    // A slope that is wrong by little where it should vanish.
    let wrong = |[x]: [Var<f64>; 1]| x.relu() * x + (x * 1e-5 - (x * 1e-5).stop_gradient());
    let failure = Check::new().order(1).gradients(wrong, [&x]).unwrap_err();
    let places: Vec<_> = failure
        .report()
        .failures()
        .map(|c| c.index.clone())
        .collect();
    assert!(places.contains(&vec![1]), "{failure}");
}

#[test]
fn ties_are_kinks_and_what_is_near_is_not() {
    let tied = Tensor::from([[1.0, 1.0, -2.0], [0.0, 0.5, 0.5]]);
    let report = Check::new()
        .order(1)
        .gradients(|[x]| x.max_axes(1), [&tied])
        .unwrap();
    let mut places: Vec<_> = report.kinks().map(|c| c.index.clone()).collect();
    places.sort();
    assert_eq!(places, [[0, 0], [0, 1], [1, 1], [1, 2]], "{report}");
    // A slope that is wrong beside a kink is still a failure.
    let x = Tensor::from([0.0, 0.3]);
    let f = |[x]: [Var<f64>; 1]| x.relu() + x.unary::<OnePercent>();
    let failure = Check::new().order(1).gradients(f, [&x]).unwrap_err();
    assert!(
        failure.report().failures().all(|c| c.index == [1]),
        "{failure}"
    );
    // A derivative that is not a number is a failure at a kink too.
    let norm = |[x]: [Var<f64>; 1]| (x * x).sum().sqrt();
    let failure = Check::new()
        .order(1)
        .gradients(norm, [&Tensor::from([0.0])])
        .unwrap_err();
    assert!(failure.to_string().contains("not finite"), "{failure}");
}

#[test]
fn settings_do_what_they_say() {
    let x = Tensor::from_fn([10, 40], |i| (i[0] * 40 + i[1]) as f64 / 400.0);
    let count = |check: Check| differences(&check.gradients(|[x]| x * x, [&x]).unwrap());
    assert_eq!(count(Check::new()), 2 * 256);
    assert_eq!(count(Check::new().coordinates(7)), 2 * 7);
    assert_eq!(count(Check::new().order(1).coordinates(1000)), 400);
    assert_eq!(count(Check::new().order(3).coordinates(5)), 3 * 5);
    let wrong = |check: Check| {
        check
            .gradients(|[x]| x.unary::<OnePercent>(), [&x])
            .is_err()
    };
    assert!(wrong(Check::new().order(1).tolerance(9e-3, 0.0)));
    assert!(!wrong(Check::new().order(1).tolerance(1.1e-2, 0.0)));
}

#[test]
fn a_function_may_take_derivatives_itself() {
    let x = Tensor::from([0.5, 1.5]);
    let f = |[x]: [Var<f64>; 1]| {
        let y = (x.exp() * x).sum();
        y.gradient(x) * x
    };
    check::gradients(f, [&x]).unwrap();
}

#[test]
fn failures_travel_with_the_question_mark() {
    fn test() -> Result<(), Box<dyn std::error::Error>> {
        check::gradients(|[x]| x.unary::<WrongSign>(), [&Tensor::from([1.0])])?;
        Ok(())
    }
    let error = test().unwrap_err();
    assert!(error.to_string().contains("differs"), "{error}");
    assert_eq!(format!("{error:?}"), error.to_string());
    assert!(
        error.to_string().lines().all(|line| line.len() <= 80),
        "{error}"
    );
}

#[test]
fn an_order_of_zero_panics_at_the_caller() {
    let panic = super::panic::caught(|| Check::new().order(0));
    assert!(
        panic
            .file
            .replace("\\", "/")
            .ends_with("suite/check/mod.rs"),
        "{panic:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn properties_can_use_it(x in check::tensors([1..4, 1..6], -3.0..3.0)) {
        let report = check::gradients(|[x]| (x * x).logsumexp_axes(-1).exp(), [&x])?;
        prop_assert_eq!(differences(&report), 2 * x.len());
        let tape = Tape::new();
        prop_assert_eq!(tape.leaf(&x).value(), x);
    }
}
