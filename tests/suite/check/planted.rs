//! Faults of the kinds that people make, planted in rules: each is found, and shrinks to the smallest
//! program that shows it.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use wengert::check::{self, Check, Method, RandomProgram, Report};
use wengert::{
    AnyVar, Binary, Dtype, Input, Operation, Output, Pullback, Reads, Shape, Tensor, Unary, Var,
};

/// An operation of two operands with a rule that is wrong on purpose.
macro_rules! planted {
    ($($op:ident: |$a:ident, $b:ident| $value:expr,
        |$va:ident, $vb:ident, $ct:ident| [$first:expr, $second:expr];)*) => {$(
        struct $op;
        impl Binary<f64> for $op {
            type Output = f64;
            const NAME: &'static str = stringify!($op);
            const READS: Reads = Reads::BOTH;
            fn eval($a: f64, $b: f64) -> f64 {
                $value
            }
            fn vjp(k: usize, $va: Var<f64>, $vb: Var<f64>, _y: Var<f64>, $ct: Var<f64>) -> Var<f64> {
                if k == 0 { $first } else { $second }
            }
        }
    )*};
}
planted! {
    WrongSign: |a, b| a - b, |_a, _b, ct| [ct, ct];
    MissingFactor: |a, b| a * a * b, |a, b, ct| [ct * a * b, ct * a * a];
    DroppedSecondUse: |a, b| a * b + a, |a, b, ct| [ct * b, ct * a];
    SwappedArguments: |a, b| a / b, |a, b, ct| [-ct * a / (b * b), ct / b];
    ForgottenCotangent: |a, b| a * b, |a, b, _ct| [b, a];
    Right: |a, b| a * b, |a, b, ct| [ct * b, ct * a];
}

/// The sum of a matrix and a row, whose rule forgets that the row was broadcast: it hands back the
/// cotangent of its first use only.
#[derive(Debug, PartialEq)]
struct ForgottenBroadcast;

impl Operation for ForgottenBroadcast {
    fn name(&self) -> &'static str {
        "forgotten_broadcast"
    }
    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((inputs[0].0, inputs[0].1.clone()))
    }
    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let (x, row) = (&inputs[0], &inputs[1]);
        let width = x.layout().shape()[1];
        for (k, y) in output.elements::<f64>().iter_mut().enumerate() {
            let at = x.layout().position(&[k / width, k % width]);
            *y = x.storage::<f64>()[at] + row.storage::<f64>()[row.layout().position(&[k % width])];
        }
        Ok(())
    }
    fn vjp(&self, pullback: &Pullback<'_>, k: usize) -> AnyVar {
        let ct = pullback.cotangent::<f64>();
        if k == 0 {
            ct.erase()
        } else {
            ct.at(0, 0).erase()
        }
    }
}

/// The product of two tensors of one shape, right but at one index.
#[derive(Debug)]
struct WrongAtOneIndex(usize);

impl Operation for WrongAtOneIndex {
    fn name(&self) -> &'static str {
        "wrong_at_one_index"
    }
    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((inputs[0].0, inputs[0].1.clone()))
    }
    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        for (k, y) in output.elements::<f64>().iter_mut().enumerate() {
            let at = |input: &Input<'_>| input.storage::<f64>()[input.layout().position(&[k])];
            *y = at(&inputs[0]) * at(&inputs[1]);
        }
        Ok(())
    }
    fn vjp(&self, pullback: &Pullback<'_>, k: usize) -> AnyVar {
        let (other, ct) = (pullback.input::<f64>(1 - k), pullback.cotangent::<f64>());
        let mut factors = Tensor::ones(ct.shape());
        factors.as_mut_slice()[self.0] = 1.001;
        (ct * other * ct.tape().constant(&factors)).erase()
    }
}

fn points() -> (Tensor<f64>, Tensor<f64>) {
    (
        Tensor::from([[0.5, 1.25, 2.0], [0.75, 1.5, 0.3]]),
        Tensor::from([1.1, -0.7, 2.5]),
    )
}

fn report(f: impl Fn([Var<f64>; 2]) -> Var<f64>) -> Report {
    let (a, b) = points();
    let failure = Check::new()
        .order(1)
        .names(["a", "b"])
        .gradients(f, [&a, &b]);
    failure.expect_err("a fault was planted").report().clone()
}

#[test]
fn each_kind_of_fault_is_found_where_it_is() {
    let failing = |report: &Report| {
        let mut names: Vec<(String, Method)> = report
            .failures()
            .map(|c| (c.name.clone(), c.method))
            .collect();
        names.sort_by_key(|(name, method)| (name.clone(), *method as u8));
        names.dedup();
        names
    };
    let by_difference = |name: &str| (name.to_string(), Method::Difference);
    let wrong_sign = report(|[a, b]| a.binary::<WrongSign>(b));
    assert_eq!(failing(&wrong_sign), [by_difference("b")], "{wrong_sign}");
    let missing = report(|[a, b]| a.binary::<MissingFactor>(b));
    assert_eq!(failing(&missing), [by_difference("a")], "{missing}");
    let dropped = report(|[a, b]| a.binary::<DroppedSecondUse>(b));
    assert_eq!(failing(&dropped), [by_difference("a")], "{dropped}");
    let swapped = report(|[a, b]| a.binary::<SwappedArguments>(b));
    assert_eq!(
        failing(&swapped),
        [by_difference("a"), by_difference("b")],
        "{swapped}"
    );
    // Forward mode shows a rule that is not linear in its cotangent.
    let forgotten = report(|[a, b]| a.binary::<ForgottenCotangent>(b));
    let all =
        ["a", "b"].map(|name| [Method::Difference, Method::Forward].map(|m| (name.into(), m)));
    assert_eq!(failing(&forgotten), all.concat(), "{forgotten}");
    check::gradients(|[a, b]| a.binary::<Right>(b), [&points().0, &points().1]).unwrap();
}

#[test]
fn faults_of_operations_are_found_in_one_line() {
    let (a, b) = points();
    let failure = check::operation(ForgottenBroadcast, [&a, &b]).unwrap_err();
    let report = failure.report();
    assert!(report.faults().is_empty(), "{failure}");
    assert!(report.failures().all(|c| c.input == 1), "{failure}");
    assert_eq!(
        report
            .failures()
            .filter(|c| c.method == Method::Difference && c.order == 1)
            .count(),
        3,
        "{failure}"
    );
    for at in 0..3 {
        let failure = check::operation(WrongAtOneIndex(at), [&b, &b]).unwrap_err();
        let first = failure.report().failures().filter(|c| c.order == 1);
        let places: Vec<_> = first.map(|c| (c.input, c.index.clone())).collect();
        assert_eq!(places.len(), 2, "{failure}");
        assert!(places.iter().all(|(_, index)| index == &[at]), "{failure}");
    }
}

#[test]
fn an_operation_may_have_inputs_without_derivatives() {
    /// Elements of the first input by index.
    #[derive(Debug)]
    struct Pick;
    impl Operation for Pick {
        fn name(&self) -> &'static str {
            "pick"
        }
        fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
            Ok((inputs[0].0, inputs[1].1.clone()))
        }
        fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
            let (x, index) = (&inputs[0], &inputs[1]);
            for (k, y) in output.elements::<f32>().iter_mut().enumerate() {
                let at = index.storage::<i64>()[index.layout().position(&[k])] as usize;
                *y = x.storage::<f32>()[x.layout().position(&[at])];
            }
            Ok(())
        }
        fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
            let (x, index) = (pullback.input::<f32>(0), pullback.input::<i64>(1));
            let zeros = x.tape().full(x.shape(), 0.0f32);
            zeros.scatter_add(0, index, pullback.cotangent()).erase()
        }
    }
    let x = Tensor::<f32>::from([0.5, -1.0, 3.0]);
    let report = check::operation(Pick, (&x, &Tensor::from([2i64, 0, 2, 1]))).unwrap();
    assert!(
        report.comparisons().iter().all(|c| c.input == 0),
        "{report}"
    );
}

/// The smallest program that a property fails for, in cases drawn from a seed.
fn shrunk(
    programs: &check::Programs,
    seed: u8,
    property: impl Fn(&RandomProgram) -> Result<(), TestCaseError>,
) -> RandomProgram {
    let mut runner = TestRunner::new_with_rng(
        Config {
            cases: 400,
            failure_persistence: None,
            ..Config::default()
        },
        TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]),
    );
    match runner.run(programs, |program| property(&program)) {
        Err(TestError::Fail(_, program)) => program,
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn a_wrong_rule_shrinks_to_the_smallest_program_that_shows_it() {
    struct WrongCube;
    impl Unary<f64> for WrongCube {
        type Output = f64;
        const NAME: &'static str = "wrong_cube";
        const READS: Reads = Reads::INPUTS;
        fn eval(x: f64) -> f64 {
            x * x * x
        }
        fn vjp(x: Var<f64>, _y: Var<f64>, ct: Var<f64>) -> Var<f64> {
            ct * x * x * 2.0
        }
    }
    let check = |program: &RandomProgram| {
        check::property(program.gradients())?;
        Ok(())
    };
    let cubes = check::programs().unary("wrong_cube", |x| x.unary::<WrongCube>());
    let swapped = check::programs().binary("swapped", |a, b| {
        a.binary::<SwappedArguments>(b.square() + 1.0)
    });
    for seed in 0..20 {
        let smallest = shrunk(&cubes, seed, check);
        assert_eq!(smallest.instructions(), ["wrong_cube"], "{smallest:?}");
        assert_eq!(smallest.inputs().len(), 1, "{smallest:?}");
        assert_eq!(smallest.inputs()[0].len(), 1, "{smallest:?}");
        let text = format!("{smallest:?}");
        assert!(text.ends_with("[1.0]\n%1 = wrong_cube %0\n"), "{text}");

        let smallest = shrunk(&swapped, seed, check);
        assert_eq!(smallest.instructions(), ["swapped"], "{smallest:?}");
    }
}

/// An instruction that can go only when another has gone, and that its reader must read past.
#[test]
fn instructions_go_wherever_they_stand() {
    let depends = |program: &RandomProgram| {
        let sines = program
            .instructions()
            .iter()
            .filter(|&&n| n == "sin")
            .count();
        if sines < 2 {
            Ok(())
        } else {
            Err(TestCaseError::fail("two sines"))
        }
    };
    for seed in 0..20 {
        let smallest = shrunk(&check::programs().longest(12), seed, depends);
        assert_eq!(smallest.instructions(), ["sin", "sin"], "{smallest:?}");
        assert_eq!(smallest.inputs().len(), 1, "{smallest:?}");
        assert_eq!(smallest.inputs()[0].to_vec(), [0.0], "{smallest:?}");
    }
}

#[test]
fn random_programs_have_the_right_gradients() {
    let mut runner = TestRunner::new(Config {
        cases: 100,
        failure_persistence: None,
        ..Config::default()
    });
    let programs = check::programs().with_kinks().longest(8);
    let outcome = runner.run(&programs, |program| {
        check::property(program.gradients())?;
        Ok(())
    });
    outcome.unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn the_text_of_a_report() {
    let (a, b) = points();
    let failure = Check::new()
        .order(1)
        .names(["encoder.layers.0.weight", "b"])
        .gradients(|[a, b]| a * 3.0 - (b * b.stop_gradient()).relu(), [&a, &b]);
    let x = Tensor::from([0.0, 1.0]);
    let kinks = Check::new()
        .order(1)
        .gradients(|[x]| x.relu(), [&x])
        .unwrap();
    let text = failure.unwrap_err().to_string();
    let table: Vec<&str> = text.lines().take(5).collect();
    assert_eq!(
        table,
        [
            "reverse mode is wrong at 3 of 11 derivatives",
            "input        ord index          reverse   difference   error allowed",
            "b              1 [2]          -4.4946e0    -8.9892e0     4e0    9e-6  differs",
            "b              1 [1]          -1.4249e0    -2.8499e0     1e0    3e-6  differs",
            "b              1 [0]          1.6165e-1    3.2330e-1    2e-1    3e-7  differs",
        ],
        "{text}"
    );
    let text = kinks.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "reverse mode agrees at 2 of 3 derivatives, 1 at kinks"
    );
    assert!(
        lines[2].starts_with("input 0        1 [0]") && lines[2].ends_with("  kink"),
        "{text}"
    );
    assert_eq!(
        lines.last(),
        Some(&"kink at input 0 [0], order 1: slope 0.0e0 before, -1.2e0 after"),
        "{text}"
    );
}
