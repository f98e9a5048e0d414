//! Looking into a run: its plan, where values stop being finite, where the time goes.

use super::panic::caught;
use super::sample::{inputs, same_bits, shapes};
use std::time::Duration;
use wengert::op::table::rows;
use wengert::prelude::*;
use wengert::{NonFinite, Profile};

/// A network of two layers, in a step of its training: loss and gradients.
struct Network {
    tape: Tape,
    loss: Var<f32>,
    gradients: [Var<f32>; 4],
    /// The lines of layers, activation and loss.
    lines: [u32; 3],
}

fn network() -> Network {
    let rng = &mut wengert::rng(1);
    let tape = Tape::new();
    let first = Linear::<f32>::new(20, 64, rng);
    let second = Linear::<f32>::new(64, 10, rng);
    let x = tape.constant(&Tensor::from_fn([32, 20], |i| {
        ((i[0] * 7 + i[1] * 3) % 11) as f32 / 11.0 - 0.5
    }));
    let classes = tape.constant(&Tensor::from_fn([32], |i| (i[0] % 10) as i64));
    let z = first.forward(x);
    let h = z.relu();
    let logits = second.forward(h);
    let loss = loss::cross_entropy(logits, classes);
    let here = line!();
    let parameters = [&first, &second].map(|layer| {
        let bias = layer.bias.as_ref().unwrap();
        [layer.weight.on(*tape), bias.on(*tape)]
    });
    let [[w1, b1], [w2, b2]] = parameters;
    Network {
        gradients: loss.gradients([w1, b1, w2, b2]),
        tape,
        loss,
        lines: [here - 4, here - 3, here - 1],
    }
}

/// The part of an explanation about the kernel whose first line contains all of the words.
fn section<'e>(explained: &'e str, words: &[&str]) -> &'e str {
    let mut sections = explained.split("\n\n");
    sections
        .find(|section| words.iter().all(|word| section.contains(word)))
        .unwrap_or_else(|| panic!("no kernel with {words:?} in\n{explained}"))
}

#[test]
fn a_step_of_training_is_explained() {
    let network = network();
    let plan = network.tape.explain((network.loss, network.gradients));
    let text = plan.to_string();
    println!("{text}");
    // Five products; passes for bias and ReLU, for the losses with their cotangents, for the mean, and for the way back through
    // ReLU; two kernels for the classes, and one for the cotangents of a bias, which come from one of those.
    let products = text.matches("matmul, ").count();
    assert_eq!(products, 5, "{text}");
    assert_eq!((plan.groups(), plan.kernels() - products), (4, 7), "{text}");
    assert!(
        plan.nodes() > 2 * plan.kernels(),
        "nothing is fused:\n{text}"
    );
    // Bias and ReLU run together, over the rows of the batch, and say which lines they come from.
    let relu = section(&text, &["fused pass, 32 x 64", "add ", "relu "]);
    for line in &network.lines[..2] {
        let said = format!("tests/suite/trouble.rs:{line}\n");
        assert!(relu.replace('\\', "/").contains(&said), "{said} in\n{relu}");
    }
    assert!(relu.contains("reads  "), "{relu}");
    assert!(relu.contains("writes "), "{relu}");
    assert!(relu.contains("f32 [32, 64]"), "{relu}");
    // The loss: one pass, and the line that asked for it.
    let said = format!("trouble.rs:{}\n", network.lines[2]);
    assert!(
        section(&text, &["fused pass", "max", "exp", "div"]).contains(&said),
        "{text}"
    );
    // What must move at least: operands and results of the five products alone.
    let sizes = [(20, 64), (64, 10)].map(|(m, n)| 32 * m + m * n + 32 * n);
    let least = 4 * (2 * sizes[0] + 3 * sizes[1]);
    assert!(
        plan.bytes_moved() >= least,
        "{} < {least}",
        plan.bytes_moved()
    );
    assert!(
        plan.bytes_moved() < 3 * least,
        "{} >= 3 x {least}",
        plan.bytes_moved()
    );
    // Every node belongs to a line of this file.
    assert!(!text.contains("src/"), "{text}");
    assert_eq!(network.tape.peak_bytes(), 0, "something ran");
    network.tape.run((network.loss, network.gradients));
    // Buffers are a little larger than what is in them.
    let (said, measured) = (plan.peak_bytes(), network.tape.peak_bytes());
    assert!(
        (said..=said + said / 4).contains(&measured),
        "{said}, {measured}"
    );
}

#[test]
fn what_is_there_needs_no_kernel() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    let y = x.exp();
    assert_eq!(tape.explain(y).kernels(), 1);
    y.value();
    let plan = tape.explain((x, y));
    let counts = [
        plan.kernels(),
        plan.groups(),
        plan.nodes(),
        plan.bytes_moved(),
    ];
    assert_eq!((counts, plan.peak_bytes()), ([0; 4], 0));
    assert!(plan.to_string().starts_with("nothing to compute"), "{plan}");
    // A view is there as soon as what it shows is.
    let plan = tape.explain(y.reshape([2, 1]));
    assert_eq!((plan.kernels(), plan.nodes()), (0, 1));
    assert!(plan.to_string().starts_with("1 node, 1 of which"), "{plan}");
}

#[test]
fn overwritten_values_are_pointed_out() {
    let tape = Tape::inference();
    let explained = |size: usize| {
        let x = tape.constant(&Tensor::<f32>::ones([size, size]));
        tape.explain(x.matmul(x).exp().matmul(x).matmul(x))
    };
    // The `exp` takes the place of the product, which lies where the result will be if it is large: it reads and writes as much
    // as that, each product twice as much and its result.
    for (size, bytes, place) in [
        (16, 1024, "temporary at 0, 1.0 KiB"),
        (64, 16 * 1024, "result 0, 16.0 KiB"),
    ] {
        let plan = explained(size);
        let text = plan.to_string();
        assert_eq!((plan.kernels(), plan.groups()), (4, 1));
        assert!(
            text.contains("3 temporaries (1 in place of another)"),
            "{text}"
        );
        let pass = section(&text, &["pass, ", "exp"]);
        assert!(
            pass.contains(&format!("reads  {place}, overwritten\n")),
            "{pass}"
        );
        assert!(pass.contains(&format!("writes {place}")), "{pass}");
        assert_eq!(plan.bytes_moved(), 11 * bytes);
        let most = if size == 16 { 3 } else { 2 };
        assert_eq!(plan.peak_bytes(), most * bytes);
    }
}

#[test]
fn a_checked_run_gives_the_same_bits() {
    let (a, b) = (network(), network());
    let (loss, gradients) = a.tape.run((a.loss, a.gradients));
    let (checked, checked_gradients) = b.tape.run_checked((b.loss, b.gradients)).unwrap();
    assert!(same_bits(&loss, &checked));
    for (a, b) in gradients.iter().zip(&checked_gradients) {
        assert!(same_bits(a, b));
    }
    // What was computed is there now.
    assert_eq!(b.tape.explain(b.loss).kernels(), 0);
}

/// Tensors, and the first value that is not finite after `f` of them.
fn find(given: &[Tensor<f64>], f: impl Fn(&[Var<f64>]) -> Var<f64>) -> Option<NonFinite> {
    let tape = Tape::new();
    let leaves: Vec<_> = given.iter().map(|given| tape.leaf(given)).collect();
    tape.run_checked(f(&leaves)).err()
}

#[test]
fn the_first_node_that_is_not_finite_is_named() {
    let x = Tensor::from([[1.0, -1.0, 4.0], [0.25, 9.0, -3.0]]);
    let y = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let found = find(&[x, y], |v| {
        let root = v[0].sqrt();
        let other = (v[1] - v[1]).ln();
        (root * 2.0 + other).sum()
    });
    let line = line!() - 4;
    let found = found.unwrap();
    assert_eq!((found.operation(), found.location().line()), ("sqrt", line));
    assert_eq!(found.first(), [0, 1]);
    let output = found.output();
    assert_eq!(
        (output.nans(), output.infinite(), output.range()),
        (2, 0, Some((0.5, 3.0)))
    );
    let [input] = found.inputs() else {
        panic!("{found:?}");
    };
    assert_eq!((input.name(), input.range()), ("leaf", Some((-3.0, 9.0))));
    assert_eq!(
        (input.nans(), input.infinite(), input.shape()),
        (0, 0, &Shape::from([2, 3]))
    );
    let text = found.to_string();
    let start = "sqrt: 2 NaN and 0 infinite among the 6 elements of f64 [2, 3], the first at [0, 1] (recorded at ";
    assert!(text.starts_with(start), "{text}");
    assert!(
        text.contains("\n  input 0: leaf f64 [2, 3], from -3.0 to 9.0 (recorded at "),
        "{text}"
    );
}

#[test]
fn inputs_are_seen_as_the_operation_sees_them() {
    // The first row is sliced away, and with it the number that is out of range.
    let x = Tensor::from([[1e300, 1.0], [2.0, 3.0], [-4.0, 5.0]]);
    let found = find(&[x], |v| {
        let seen = v[0].slice(0, 1..).t();
        seen / (seen * 0.0)
    });
    let found = found.unwrap();
    assert_eq!((found.operation(), found.first()), ("div", &[0, 0][..]));
    assert_eq!(found.output().infinite(), 4);
    let ranges: Vec<_> = found.inputs().iter().map(|input| input.range()).collect();
    assert_eq!(ranges, [Some((-4.0, 5.0)), Some((0.0, 0.0))]);
}

#[test]
fn leaves_are_checked_and_numbers_are_not() {
    let found = find(&[Tensor::from([1.0, f64::INFINITY])], |v| {
        (v[0] * 2.0).sum()
    })
    .unwrap();
    assert_eq!((found.operation(), found.first()), ("leaf", &[1][..]));
    assert!(found.inputs().is_empty());
    // A leaf that was given after the operation that goes wrong first.
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([-1.0]));
    let y = x.ln();
    let bad = tape.leaf(&Tensor::from([f64::NAN]));
    assert_eq!(tape.run_checked(y + bad).unwrap_err().operation(), "ln");
    assert_eq!(tape.run_checked(x + bad).unwrap_err().operation(), "leaf");
    assert_eq!(tape.run_checked(bad).unwrap_err().operation(), "leaf");
    // A bound that never binds; an infinity that is written into the values.
    assert!(find(&[Tensor::from([1.0])], |v| v[0].minimum(f64::INFINITY)).is_none());
    let found = find(&[Tensor::from([1.0])], |v| v[0] + f64::NEG_INFINITY).unwrap();
    assert_eq!(
        (found.operation(), found.inputs()[1].infinite()),
        ("add", 1)
    );
    // Only nodes that are needed count.
    let x = tape.leaf(&Tensor::from([0.0]));
    let _unused = x.ln();
    assert_eq!(tape.run_checked(x.exp()).unwrap(), Tensor::from([1.0]));
}

#[test]
fn the_way_back_is_searched_too() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([4.0, 0.0]));
    let root = x.sqrt();
    let line = line!() - 1;
    let dx = root.sum().gradient(x);
    assert!(tape.run_checked(root).is_ok());
    let found = tape.run_checked(dx).unwrap_err();
    assert_eq!(found.location().line(), line, "{found}");
    assert_eq!(found.output().infinite(), 1, "{found}");
}

#[test]
fn what_an_earlier_run_left_is_searched_from_the_leaves() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([2.0f64, 1.0]));
    let y = ((x - 1.0).ln() * 2.0).exp().sqrt();
    let loss = (y - y * 2.0 + (x - 1.0).ln()).sum();
    assert!(!loss.value().item().is_finite());
    let values = tape.explain(loss).kernels();
    for _ in 0..2 {
        let found = tape.run_checked(loss).unwrap_err();
        assert_eq!(
            (found.operation(), found.first()),
            ("ln", &[1][..]),
            "{found}"
        );
        assert_eq!(found.inputs()[0].range(), Some((0.0, 1.0)));
    }
    // Nothing was lost.
    assert_eq!((tape.explain(loss).kernels(), values), (0, 0));
}

#[test]
fn a_tape_can_check_every_run() {
    let mut tape = Tape::new();
    tape.check_values(true);
    let x = tape.leaf(&Tensor::from([0.0, 1.0]));
    let sum: f64 = x.exp().sum().value().item();
    assert!((sum - (1.0 + 1.0f64.exp())).abs() < 1e-14);
    let y = x.ln();
    let panic = caught(|| y.value());
    assert_eq!((panic.file.as_str(), panic.line), (file!(), line!() - 1));
    assert!(
        panic
            .message
            .starts_with("ln: 0 NaN and 1 infinite among the 2"),
        "{}",
        panic.message
    );
    tape.check_values(false);
    assert_eq!(y.value().to_vec(), [f64::NEG_INFINITY, 0.0]);
    tape.check_values(true);
    tape.reset();
    let x = tape.leaf(&Tensor::from([f32::NAN]));
    assert!(caught(|| x.value()).message.starts_with("leaf: 1 NaN"));
    // The next tape is another one.
    drop(tape);
    let tape = Tape::new();
    assert!(
        tape.leaf(&Tensor::from([0.0f32]))
            .ln()
            .value()
            .item()
            .is_infinite()
    );
}

#[test]
fn a_step_of_a_model_can_be_checked() {
    let model = Linear::<f32>::new(2, 1, &mut wengert::rng(0));
    let x = Tensor::from([[1.0, 2.0]]);
    let mut line = 0;
    let panic = caught(|| {
        value_and_grad(&model, |model, tape| {
            tape.check_values(true);
            let y = model.forward(tape.constant(&x));
            line = line!() + 1;
            (y - y).ln().sum()
        })
    });
    let said = format!("(recorded at {}:{line}:", file!());
    assert!(
        panic
            .message
            .starts_with("ln: 0 NaN and 1 infinite among the 1 "),
        "{}",
        panic.message
    );
    assert!(panic.message.contains(&said), "{}", panic.message);
    assert!(
        panic.message.ends_with(')')
            && panic
                .message
                .contains("\n  input 0: sub f32 [1, 1], from 0.0 to 0.0")
    );
}

#[test]
fn every_operation_that_is_finite_passes_a_check() {
    let rng = &mut wengert::rng(7);
    let (mut passed, mut found) = (0, 0);
    for row in rows() {
        for shapes in shapes(&row) {
            let given = inputs(&row, shapes, rng);
            let values = |checked: bool| {
                let tape = Tape::new();
                let leaves: Vec<_> = given.iter().map(|given| tape.leaf(given)).collect();
                let y = (row.f64)(&leaves);
                if checked {
                    tape.run_checked(y).ok()
                } else {
                    Some(y.value())
                }
            };
            let plain = values(false).unwrap();
            match values(true) {
                Some(checked) => {
                    passed += 1;
                    assert!(same_bits(&plain, &checked), "{}", row.name);
                }
                None => {
                    found += 1;
                    // The largest of no elements is -inf.
                    assert_eq!(plain.shape().size(), 0, "{}", row.name);
                }
            }
        }
    }
    assert!(
        passed > 500 && found < 10,
        "{passed} passed, {found} did not"
    );
}

#[test]
fn a_profile_accounts_for_all_of_the_time() {
    let (a, b) = (network(), network());
    let expected = a.tape.run((a.loss, a.gradients));
    let plan = b.tape.explain((b.loss, b.gradients));
    let (values, profile): (_, Profile) = b.tape.run_profiled((b.loss, b.gradients));
    assert!(same_bits(&expected.0, &values.0));
    for (a, b) in expected.1.iter().zip(&values.1) {
        assert!(same_bits(a, b));
    }
    assert_eq!(profile.kernels().len(), plan.kernels());
    assert_eq!(profile.bytes_moved(), plan.bytes_moved());
    let times: Vec<Duration> = profile
        .kernels()
        .iter()
        .map(|kernel| kernel.time())
        .collect();
    assert!(times.is_sorted_by(|a, b| a >= b));
    assert_eq!(times.iter().sum::<Duration>(), profile.total());
    assert!(profile.total() > Duration::ZERO);
    // Lines share out the same time and the same bytes.
    let lines = profile.lines();
    assert!(lines.is_sorted_by(|a, b| a.time() >= b.time()));
    let shared: f64 = lines.iter().map(|line| line.time().as_secs_f64()).sum();
    let difference = (shared - profile.total().as_secs_f64()).abs();
    assert!(
        difference < 1e-9 * (1 + profile.kernels().len() * 20) as f64,
        "{difference}"
    );
    let bytes: usize = lines.iter().map(|line| line.bytes_moved()).sum();
    assert!(bytes.abs_diff(profile.bytes_moved()) <= lines.len());
    // The two layers, the activation and the loss are lines of their own.
    for line in a.lines {
        assert!(
            lines.iter().any(|l| l.location().line() == line),
            "line {line}"
        );
    }
    let kernels = profile
        .kernels()
        .iter()
        .filter(|kernel| kernel.kind() == "matmul");
    assert_eq!(kernels.count(), 5);
    let text = profile.to_string();
    println!("{text}");
    assert!(
        text.contains("by kernel") && text.contains("by line"),
        "{text}"
    );
    assert_eq!(
        text.matches("GB/s").count(),
        1 + profile.kernels().len() + lines.len()
    );
}

#[test]
fn mistakes_are_told_as_by_a_run() {
    let (tape, other) = (Tape::new(), Tape::new());
    let x = other.leaf(&Tensor::from([1.0]));
    for (name, panic) in [
        ("explain", caught(|| tape.explain(x))),
        ("run_checked", caught(|| tape.run_checked(x).is_ok())),
        ("run_profiled", caught(|| tape.run_profiled(x))),
    ] {
        assert_eq!(
            panic.message,
            format!("{name}: a variable is of another tape")
        );
        assert_eq!(panic.file, file!());
    }
    drop(other);
    let stale = caught(|| tape.explain(x));
    assert_eq!(
        stale.message,
        "explain: the variable's tape was reset or dropped"
    );
    // An index that is out of range when the program runs.
    let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    let index = tape.constant(&Tensor::from([2])) + tape.constant(&Tensor::from([3]));
    let picked = x.gather(0, index);
    let plain = caught(|| tape.run(picked));
    let checked = caught(|| tape.run_checked(picked).is_ok());
    let profiled = caught(|| tape.run_profiled(picked));
    assert!(plain.message.starts_with("gather: "), "{}", plain.message);
    assert_eq!([&checked.message, &profiled.message], [&plain.message; 2]);
}
