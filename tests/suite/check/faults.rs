//! What else can be wrong with a function or an operation than its derivatives.

use crate::suite::panic::caught;
use std::cell::Cell;
use wengert::check::{self, Check};
use wengert::{AnyVar, Batch, Dtype, Input, Operation, Output, Pullback, Shape, Tape, Tensor, Var};

/// The first input times the second.
#[derive(Clone, Copy, Debug)]
enum Product {
    Right,
    /// The examples change places.
    Exchanged,
    /// The second factor of the first example for all, where the first factor is the same.
    OneForAll,
    /// Without the axis of the batch.
    Summed,
    /// Of another type.
    Single,
    /// Never computed.
    Failing,
}

impl Operation for Product {
    fn name(&self) -> &'static str {
        "product"
    }
    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        match inputs {
            [(dtype, a), (_, b)] if a == b => Ok((*dtype, (*a).clone())),
            _ => Err("two inputs of one shape are needed".into()),
        }
    }
    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        if let Product::Failing = self {
            return Err("cannot be computed".into());
        }
        let y = output.elements::<f64>();
        inputs[0].copy_to(y);
        let b = inputs[1].elements::<f64>();
        y.iter_mut().zip(b.iter()).for_each(|(y, b)| *y *= b);
        Ok(())
    }
    fn vjp(&self, pullback: &Pullback<'_>, k: usize) -> AnyVar {
        (pullback.cotangent::<f64>() * pullback.input(1 - k)).erase()
    }
    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let [a, b] = [0, 1].map(|k| batch.repeated::<f64>(k));
        let y: Var<f64> = a * b;
        Some(match self {
            Product::Right | Product::Failing => y.erase(),
            Product::Exchanged => y.flip(0).erase(),
            Product::OneForAll if !batch.differs(0) => (a * b.slice(0, ..1)).erase(),
            Product::OneForAll => y.erase(),
            Product::Summed => y.sum_axes(0).erase(),
            Product::Single => y.cast::<f32>().erase(),
        })
    }
}

fn points() -> [Tensor<f64>; 2] {
    [
        Tensor::from([0.5, -1.0, 2.0]),
        Tensor::from([1.5, 0.75, -0.25]),
    ]
}

#[test]
fn a_wrong_rule_for_batches_is_found() {
    let [a, b] = points();
    let fault = |product: Product| {
        let failure = check::operation(product, [&a, &b]).unwrap_err();
        let report = failure.report();
        assert_eq!(report.failures().count(), 0, "{failure}");
        assert!(failure.to_string().lines().all(|line| line.len() <= 80));
        report.faults().join("\n")
    };
    check::operation(Product::Right, [&a, &b]).unwrap();
    assert_eq!(
        fault(Product::Exchanged),
        "the rule for batches makes example 0 another than it is alone,\n  \
         where these inputs differ from example to example: 0, 1"
    );
    assert_eq!(
        fault(Product::OneForAll),
        "the rule for batches makes example 1 another than it is alone,\n  \
         where these inputs differ from example to example: 1"
    );
    assert_eq!(
        fault(Product::Summed),
        "the rule for batches gives f64[3], not f64[3, 3],\n  \
         where these inputs differ from example to example: 0, 1"
    );
    assert!(fault(Product::Single).starts_with("the rule for batches gives f32[3, 3], not f64"));
}

#[test]
fn what_an_operation_refuses_is_said_at_the_line_of_the_check() {
    let [a, b] = points();
    let line = line!() + 1;
    let panic = caught(|| check::operation(Product::Right, [&a, &b.slice(0, ..2)]));
    assert_eq!(panic.message, "product: two inputs of one shape are needed");
    assert_eq!((panic.file.as_str(), panic.line), (file!(), line));
    let line = line!() + 1;
    let panic = caught(|| check::operation(Product::Failing, [&a, &b]));
    let here = format!(
        "product: cannot be computed (recorded at {}:{line}:",
        file!()
    );
    assert!(panic.message.starts_with(&here), "{}", panic.message);
    assert_eq!((panic.file.as_str(), panic.line), (file!(), line));
}

#[test]
fn a_function_that_changes_is_a_fault() {
    let x = Tensor::from([0.5, -1.0]);
    let calls = Cell::new(0.0);
    let failure = check::gradients(
        |[x]| {
            calls.set(calls.get() + 1.0);
            x * calls.get()
        },
        [&x],
    )
    .unwrap_err();
    assert_eq!(
        failure.report().faults(),
        [
            "the function gives another value when it is recorded again;\n  \
          what is random in it needs a seed"
        ]
    );
    // A NaN is the same each time, and a tape draws the same numbers.
    let not_finite = Check::new().gradients(|[x]| x.ln(), [&x]).unwrap_err();
    assert!(not_finite.report().faults().is_empty(), "{not_finite}");
    check::gradients(|[x]| x.dropout(0.5), [&x]).unwrap();
}

#[test]
fn a_result_of_another_tape_is_refused() {
    let x = Tensor::from([0.5, -1.0]);
    let tape = Tape::new();
    let other = tape.leaf(&x);
    let line = line!() + 1;
    let panic = caught(|| check::gradients(|[_]| other * 2.0, [&x]));
    assert_eq!(
        panic.message,
        "check: the function gives a variable of another tape than its inputs"
    );
    assert_eq!((panic.file.as_str(), panic.line), (file!(), line));
}
