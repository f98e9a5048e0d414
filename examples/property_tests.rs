//! Gradients as properties: a loss, a model and an operation of one's own under test, and what the checks
//! say of faults that are planted here.
//!
//! Run with `cargo run --example property_tests`. In a crate of your own this code stands in a test module,
//! with `wengert = { version = "..", features = ["proptest"] }` among the dev-dependencies.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use wengert::check::{self, Check};
use wengert::prelude::*;
use wengert::{Reads, Unary, prop_assert_gradients};

/// A loss as one writes it: the Huber loss, a square near the label and a slope of one far away.
fn huber(x: Var<f64>, y: Var<f64>) -> Var<f64> {
    let distance = (x - y).abs();
    let near = distance.square() * 0.5;
    distance.lt(1.0).select(near, distance - 0.5).mean()
}

/// A model with a mistake that trains all the same: one factor of the gate is cut off.
#[derive(Clone, Debug)]
struct Gated {
    value: Linear<f64>,
    gate: Linear<f64>,
    cut: bool,
}
wengert::module!(Gated { value, gate });

impl Layer<f64> for Gated {
    fn forward(&self, x: Var<f64>) -> Var<f64> {
        let gate = self.gate.forward(x).sigmoid();
        let gate = if self.cut { gate.stop_gradient() } else { gate };
        self.value.forward(x) * gate
    }
}

/// An activation of one's own, `x sin x`, with a rule that forgets the second use of `x`.
struct Swing;
impl Unary<f64> for Swing {
    type Output = f64;
    const NAME: &'static str = "swing";
    const READS: Reads = Reads::INPUTS;
    fn eval(x: f64) -> f64 {
        x * x.sin()
    }
    fn vjp(x: Var<f64>, _y: Var<f64>, cotangent: Var<f64>) -> Var<f64> {
        cotangent * x.sin()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    // In a test module: #[test]
    fn the_loss_has_the_right_gradient(
        x in check::tensors([1..4, 1..4], -3.0..3.0),
        y in -2.0..2.0f64,
    ) {
        // Near a kink the case is rejected: a kink neither passes nor fails.
        let y = Tensor::scalar(y);
        prop_assert_gradients!(|[x]| huber(x, x.tape().constant(&y)), [&x], Check::new().order(1));
    }

    fn operands_broadcast((a, b) in check::broadcastable_tensors(0..=2, 1..4, -2.0..2.0)) {
        prop_assert_gradients!(|[a, b]| (a * b).tanh() + b, [&a, &b]);
    }

    fn any_model_trains(model in check::models(2, 3), y in check::labels(4, 3)) {
        let x = Tensor::from([[0.5, -1.0], [1.5, 0.25], [-0.75, 2.0], [0.0, 1.0]]);
        let checked = Check::new().order(1).coordinates(8).model(&model, |model, tape| {
            loss::cross_entropy(model.forward(tape.constant(&x)), tape.constant(&y))
        });
        check::property(checked)?;
    }
}

/// The smallest program in which the wrong rule shows.
fn smallest_program() -> check::RandomProgram {
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let programs = check::programs().unary("swing", |x| x.unary::<Swing>());
    let outcome = TestRunner::new(config).run(&programs, |program| {
        check::property(program.gradients())?;
        Ok(())
    });
    match outcome {
        Err(TestError::Fail(_, program)) => program,
        other => panic!("the fault was not found: {other:?}"),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    the_loss_has_the_right_gradient();
    operands_broadcast();
    any_model_trains();
    println!("three properties hold\n");

    // A model by the names of its parameters.
    let mut rng = wengert::rng(0);
    let mut model = Gated {
        value: Linear::new(3, 2, &mut rng),
        gate: Linear::new(3, 2, &mut rng),
        cut: true,
    };
    let x = Tensor::from([[0.5, -1.0, 2.0], [1.0, 0.25, -0.5]]);
    let loss = |model: &Gated, tape: TapeRef| model.forward(tape.constant(&x)).square().mean();
    let failure = check::model(&model, loss).unwrap_err();
    println!("{failure}\n");
    let wrong = failure.report().failures().filter(|c| c.order == 1);
    assert!(wrong.into_iter().all(|c| c.name.starts_with("gate.")));

    // Where the path is cut, without computing anything.
    let cut = check::reachability(&model, loss).unwrap_err();
    println!("{cut}\n");
    assert_eq!(cut.reachability().unreached().count(), 2);
    let mut cuts = cut.reachability().unreached().flat_map(|d| d.cuts());
    assert!(cuts.all(|cut| cut.kind() == &check::CutKind::StopGradient));
    model.cut = false;
    check::reachability(&model, loss)?;
    println!("{}\n", check::model(&model, loss)?);

    // A rule of one's own, in random programs.
    let program = smallest_program();
    println!("the smallest program that shows the fault of `swing`:\n{program:?}");
    assert_eq!(program.instructions(), ["swing"]);

    // Digits: softplus as the formula has it, and as it should be.
    let x = Tensor::<f32>::from([-20.0, 0.5, 100.0]);
    let troubles = check::numerics(|[x]| (x.exp() + 1.0).ln(), [&x]).unwrap_err();
    println!("{troubles}\n");
    check::numerics(|[x]| x.softplus(), [&x])?;

    // The record itself.
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    (x.sin() * x).sum().gradient(x);
    println!("{}", *tape);
    Ok(())
}
