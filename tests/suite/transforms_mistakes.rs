//! Mistakes in the use of transforms are told at the line of the program that made them, in the name of the transform.

use super::panic::{Panic, caught};
use wengert::prelude::*;
use wengert::transform::*;
use wengert::{AnyVar, Batch, Input, Operation, Output};

type V = Var<f64>;

/// Asserts that a panic says something, at this line.
#[track_caller]
fn assert_here(panic: Panic, line: u32, message: &str) {
    assert!(panic.message.starts_with(message), "{panic:?}");
    // rustfmt may have broken the expression into lines.
    let near = (line..line + 8).contains(&panic.line);
    assert!(panic.file == file!() && near, "{panic:?}");
}

/// Asserts that an expression panics at its own line with a message.
macro_rules! refused {
    ($body:expr, $message:expr) => {
        assert_here(caught(|| $body), line!(), $message)
    };
}

#[test]
fn variables_of_two_tapes_are_refused_by_the_transform() {
    let (tape, other) = (Tape::new(), Tape::new());
    let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    let far = other.leaf(&Tensor::from([1.0, 2.0]));
    let (number, far_number) = (x.sum(), far.sum());
    let different = |name: &str| format!("{name}: the variables are of two different tapes");
    let add = |[a, b]: [V; 2]| a + b;
    let both = [x, far];
    refused!(checkpoint(add, both), &different("checkpoint"));
    let rule = |_: [V; 2], _: V, ct: V| [ct, ct];
    refused!(custom_vjp(add, rule, both), &different("custom_vjp"));
    let value = |[a, _]: [Tensor<f64>; 2]| Ok(a);
    refused!(
        custom_operation("mine", [2], value, rule, both),
        &different("mine")
    );
    let step = |s: V, x: V| (s * x, s);
    refused!(scan(step, far_number, x), &different("scan"));
    refused!(scan(step, number, both[1]), &different("scan"));
    refused!(gradient(|v| add(v).sum(), both), &different("gradient"));
    let elsewhere =
        |name: &str| format!("{name}: a result of the function is a variable of another tape");
    refused!(scan(|s: V, _: V| (s, far), number, x), &elsewhere("scan"));
    refused!(
        scan(|_: V, _: V| (far_number, x), number, x),
        &elsewhere("scan")
    );
    refused!(checkpoint(|_: V| far, x), &elsewhere("checkpoint"));
    refused!(checkpoint(|x: V| [x, far], x), &elsewhere("checkpoint"));
}

#[test]
fn results_that_do_not_fit_are_refused_by_the_transform() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    refused!(
        checkpoint(|x: V| (x, x.cast::<f32>()), x),
        "checkpoint: results of one floating-point type are needed"
    );
    let model = Linear::<f64>::new(2, 1, &mut wengert::rng(0));
    let rows = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    refused!(
        per_example_gradients(&model, |x: V| model.forward(x), rows),
        "per_example_gradients: the loss of an example has shape [1], but must be a scalar"
    );
    // The residual is asked for when the derivative is: the message names the line of the equation.
    let line = line!() + 1;
    let z = implicit_root(|a: Tensor<f64>| Ok(a), |z, _: V| z.sum(), x).unwrap();
    let panic = caught(|| z.sum().gradient(x));
    let said = "implicit_root: the residual has 1 elements, the solution 2";
    let said = format!("{said} (at {}:{line}:", file!());
    assert!(panic.message.starts_with(&said), "{panic:?}");
}

#[test]
fn functions_of_a_tape_that_is_gone_name_the_line_that_made_them() {
    let mut tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    let line = line!() + 1;
    let (_, pull_back) = vjp(|x: V| x * x, x);
    let (_, push) = linearize(|x: V| x * x, x);
    tape.reset();
    let fresh = tape.leaf(&Tensor::from([1.0, 2.0]));
    for ct in [x, fresh] {
        for (name, line, panic) in [
            ("vjp", line, caught(|| pull_back(ct))),
            ("linearize", line + 1, caught(|| push(ct))),
        ] {
            let said = format!(
                "{name}: the variable's tape was reset or dropped (the function was made at {}:{line}:",
                file!()
            );
            assert!(panic.message.starts_with(&said), "{panic:?}");
        }
    }
    refused!(
        jvp(|x: V| x, fresh, x),
        "jvp: the variable's tape was reset or dropped"
    );
}

/// The identity, with a rule for batches that gives integers.
#[derive(Debug)]
struct Rounds;
impl Operation for Rounds {
    fn name(&self) -> &'static str {
        "rounds"
    }
    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((inputs[0].0, inputs[0].1.clone()))
    }
    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        inputs[0].copy_to(output.elements::<f64>());
        Ok(())
    }
    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        Some(batch.repeated::<f64>(0).cast::<i64>().erase())
    }
}

#[test]
fn a_rule_for_batches_that_gives_another_type_is_refused() {
    let tape = Tape::new();
    let rows = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    refused!(
        vmap(
            |x: V| tape.record(Rounds, &[x.erase()]).typed::<f64>(),
            rows
        ),
        "vmap: the rule of rounds for batches gave i64, not f64"
    );
}
