//! Reachability, numerics, and the look of a tape.

use wengert::check::{self, CutKind, Reach, TroubleKind};
use wengert::prelude::*;
use wengert::transform::{custom_operation, gradient, vmap};

fn parameter(x: f64) -> Param<f64> {
    Param::new(Tensor::from([x, x + 1.0]))
}

#[test]
fn each_kind_of_cut_is_named_with_its_line() {
    let mut model = vec![parameter(1.0); 9];
    model[7].freeze();
    let start = line!();
    let found = check::reachability(&model, |m, tape| {
        let on = |k: usize| m[k].on(tape);
        let stopped = on(0).exp().stop_gradient();
        let counted = on(1).cast::<i64>().cast::<f64>();
        let gate = on(2).gt(1.5).cast::<f64>();
        let rounded = (on(3) * 2.0).round();
        let both = on(4) * on(4).stop_gradient();
        let _aside = on(5) * 2.0;
        (stopped + counted + gate + rounded + both + on(7))
            .softmax(0)
            .sum()
            + on(8).sum()
    });
    let error = found.unwrap_err();
    let all = error.reachability().parameters();
    let reach: Vec<Reach> = all.iter().map(|d| d.reach()).collect();
    use Reach::{Aside, Cut, Frozen, Reached, Unused};
    assert_eq!(
        reach,
        [Cut, Cut, Cut, Cut, Reached, Aside, Unused, Frozen, Reached],
        "{error}"
    );
    let cuts: Vec<_> = all[..5]
        .iter()
        .map(|d| {
            assert_eq!(d.cuts().len(), 1, "{error}");
            let cut = &d.cuts()[0];
            (
                cut.kind().clone(),
                cut.operation(),
                cut.location().line() - start,
            )
        })
        .collect();
    assert_eq!(
        cuts,
        [
            (CutKind::StopGradient, "stop_gradient", 3),
            (CutKind::Cast, "cast", 4),
            (CutKind::Comparison, "gt", 5),
            (CutKind::Flat, "round", 6),
            (CutKind::StopGradient, "stop_gradient", 7),
        ]
    );
    // What a softmax subtracts is no cut.
    assert!(all[8].cuts().is_empty(), "{error}");
    let unreached: Vec<&str> = error.reachability().unreached().map(|d| d.name()).collect();
    assert_eq!(unreached, ["0", "1", "2", "3", "5", "6"]);
    let text = error.to_string();
    assert!(
        text.starts_with("no gradient reaches 6 of 8 trainable parameters\n0: every way is cut\n  cut by stop_gradient at "),
        "{text}"
    );
    assert!(
        text.contains("\n5: used, but the loss does not depend on it\n6: not used\n"),
        "{text}"
    );
    assert!(text.contains("\n4: reached, but not every way\n"), "{text}");
}

#[derive(Clone, Debug)]
struct Gate(Param<f64>);
wengert::module!(Gate { 0 });
/// The line of the cut within the layer.
const GATED: u32 = line!() + 3;
impl Layer<f64> for Gate {
    fn forward(&self, x: Var<f64>) -> Var<f64> {
        x * self.0.on(x.tape()).sigmoid().stop_gradient()
    }
}

#[test]
fn a_cut_within_a_layer_is_seen_at_its_line_there() {
    let gate = Gate(parameter(1.0));
    let ones = Tensor::ones([2]);
    let cut_of = |found: Result<check::Reachability, check::Unreachable>| {
        let error = found.unwrap_err();
        let cuts = error.reachability().parameters()[0].cuts();
        assert_eq!(cuts.len(), 1, "{error}");
        assert_eq!(cuts[0].operation(), "stop_gradient");
        cuts[0].location()
    };
    let alone = check::reachability(&gate, |gate, tape| gate.forward(tape.constant(&ones)).sum());
    assert_eq!(cut_of(alone).line(), GATED);
    let boxed: Box<dyn Layer<f64>> = Box::new(gate.clone());
    let tape = Tape::new();
    boxed.forward(tape.constant(&ones));
    assert!(tape.to_string().contains(&format!("diagnosis.rs:{GATED}")));
    let model = Sequential::new().then(gate.clone()).then(activation::Relu);
    let within = check::reachability(&model, |model, tape| {
        model.forward(tape.constant(&ones)).sum()
    });
    assert_eq!(cut_of(within).line(), GATED);
    // The layers of the crate record at the line that calls them, through a trait object too.
    let tape = Tape::new();
    let line = line!() + 1;
    model.forward(tape.constant(&ones));
    let text = tape.to_string();
    let relu = text.lines().find(|line| line.contains("relu")).unwrap();
    assert!(relu.ends_with(&format!("diagnosis.rs:{line}")), "{text}");
    let last = check::reachability(&gate, |gate, tape| gate.0.on(tape).sum().stop_gradient());
    assert!(cut_of(last).line() > line);
}

#[test]
fn a_model_that_is_reached_passes() {
    let model = wengert::sequential![
        Linear::<f64>::new(3, 4, &mut rng(0)),
        activation::Relu,
        Linear::new(4, 2, &mut rng(1)),
    ];
    let x = Tensor::ones([5, 3]);
    let labels = Tensor::from([0i64, 1, 0, 1, 1]);
    let found = check::reachability(&model, |model, tape| {
        loss::cross_entropy(model.forward(tape.constant(&x)), tape.constant(&labels))
    });
    let found = found.unwrap();
    assert!(
        found.parameters().iter().all(|d| d.cuts().is_empty()),
        "{found}"
    );
    assert_eq!(
        found.to_string(),
        "a gradient reaches all of 4 trainable parameters"
    );
    check::model_numerics(&model, |model, tape| {
        loss::cross_entropy(model.forward(tape.constant(&x)), tape.constant(&labels))
    })
    .unwrap();
}

#[test]
fn overflow_nan_and_lost_digits_are_named_with_their_lines() {
    let x = Tensor::<f32>::from([100.0, 1.0, 0.0]);
    let start = line!();
    let troubles = check::numerics(
        |[x]| {
            let large = x.exp();
            let difference = large - large;
            let root = (x - 1.0).sqrt();
            difference + root
        },
        [&x],
    );
    let troubles = troubles.unwrap_err();
    let said: Vec<_> = troubles
        .all()
        .iter()
        .map(|t| {
            (
                t.kind(),
                t.is_backward(),
                t.operation(),
                t.location().line() - start,
            )
        })
        .collect();
    use TroubleKind::{Infinite, NotANumber};
    assert_eq!(said[0], (Infinite, false, "exp", 3), "{troubles}");
    assert_eq!(said[1], (NotANumber, false, "sub", 4), "{troubles}");
    assert_eq!(said[2], (NotANumber, false, "sqrt", 5), "{troubles}");
    assert_eq!(troubles.all()[0].index(), [0]);
    assert_eq!(troubles.all()[2].index(), [2]);
    assert_eq!(troubles.all()[0].inputs(), [Some((0.0, 100.0))]);
    // The root of 0 has an infinite slope.
    assert!(
        said.iter().any(|s| s.1 && s.0 == Infinite && s.3 == 5),
        "{troubles}"
    );
    let text = troubles.to_string();
    assert!(
        text.contains("forward: exp becomes infinite in 1 of 3 elements, first [0]\n  at "),
        "{text}"
    );

    // The variance as a difference of two large numbers.
    let x = Tensor::<f32>::from([10000.0, 10000.5, 9999.0]);
    let start = line!();
    let troubles = check::numerics(
        |[x]| {
            let mean = x.mean();
            (x * x).mean() - mean * mean
        },
        [&x],
    );
    let troubles = troubles.unwrap_err();
    let first = &troubles.all()[0];
    assert_eq!(
        (
            first.kind(),
            first.operation(),
            first.location().line() - start
        ),
        (TroubleKind::DigitsLost, "sub", 4),
        "{troubles}"
    );
    check::numerics(
        |[x]| {
            let centered = x - x.mean();
            (centered * centered).mean()
        },
        [&x],
    )
    .unwrap();
}

#[test]
fn a_result_whose_sum_does_not_change_is_no_trouble() {
    let x = Tensor::from([0.3, -1.2, 2.0]);
    check::numerics(|[x]| x.softmax(0), [&x]).unwrap();
    check::numerics(|[x]| x.softmax(0), [&x.cast::<f32>()]).unwrap();
    let normalized = |[x]: [Var<f64>; 1]| (x - x.mean()) / (x.var(0) + 1e-5).sqrt();
    check::numerics(normalized, [&x]).unwrap();
    // What is contracted by the function itself is its own affair.
    let troubles = check::numerics(|[x]| x.softmax(0).sum(), [&x]).unwrap_err();
    assert!(troubles.all().iter().all(|t| t.is_backward()), "{troubles}");
}

#[test]
fn a_constant_that_spoils_the_result_is_named() {
    let x = Tensor::from([1.0, -2.0]);
    let first = |found: Result<(), check::Troubles>| {
        let troubles = found.unwrap_err();
        let first = &troubles.all()[0];
        assert!(!first.is_backward(), "{troubles}");
        (first.kind(), first.operation(), first.location().line())
    };
    use TroubleKind::{Infinite, NotANumber};
    let start = line!();
    let nan = check::numerics(|[x]| x + f64::NAN, [&x]);
    assert_eq!(first(nan), (NotANumber, "fill", start + 1));
    let infinite = check::numerics(|[x]| x * f64::INFINITY, [&x]);
    assert_eq!(first(infinite), (Infinite, "fill", start + 3));
    let full = check::numerics(|[x]| x * x.tape().full([2], f64::NAN), [&x]);
    assert_eq!(first(full), (NotANumber, "fill", start + 5));
    let far = check::numerics(|[x]| (x - f64::INFINITY).exp().sum() + x.ln().sum(), [&x]);
    let troubles = far.unwrap_err();
    assert!(
        troubles.all().iter().all(|t| t.operation() != "fill"),
        "{troubles}"
    );
    // One that masks does no harm.
    let masked = |[x]: [Var<f64>; 1]| {
        let mask = x.tape().full(x.shape(), f64::NEG_INFINITY);
        x.gt(0.0).select(x, mask).exp().minimum(f64::INFINITY)
    };
    let found = check::numerics(masked, [&x]);
    if let Err(troubles) = found {
        panic!("{troubles}");
    }
}

#[test]
fn a_tape_is_listed_and_drawn() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::<f32>::ones([2, 3]));
    let start = line!();
    let y = (x.slice(1, ..2) * 3.0).sum_axes(0).exp();
    y.sum().gradient(x);
    let text = tape.to_string().replace('\\', "/");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "forward");
    assert!(lines[1].starts_with("  %0  = leaf "), "{text}");
    assert!(lines[1].contains("f32[2, 3]"), "{text}");
    assert!(
        lines[2].contains("%1  = slice axis 1 from 0 step 1"),
        "{text}"
    );
    let here = format!("tests/suite/check/diagnosis.rs:{}", start + 1);
    assert!(lines[2].ends_with(&here), "{text}");
    assert!(text.contains("= fill 3.0"), "{text}");
    assert!(text.contains("= sum along [0]"), "{text}");
    let gradient = text
        .split("\ngradient\n")
        .nth(1)
        .expect("a part for the gradient");
    // The nodes of the gradient belong to the lines that were differentiated.
    assert!(
        gradient.lines().all(|line| line.contains("diagnosis.rs")),
        "{text}"
    );
    assert!(gradient.contains(&here), "{text}");
    assert_eq!(format!("{}", *tape), tape.to_string());

    let dot = tape.to_dot();
    assert!(
        dot.contains("subgraph cluster_forward {\n    label=\"forward\";"),
        "{dot}"
    );
    assert!(dot.contains("subgraph cluster_gradient {"), "{dot}");
    assert_eq!(dot.matches('{').count(), dot.matches('}').count());
    assert_eq!(dot.matches(" [shape=").count(), tape.len());
    let edges = dot.matches(" -> ").count();
    let chart = tape.to_mermaid();
    assert_eq!(chart.matches(" --> ").count(), edges);
    assert_eq!(chart.matches("\n  end\n").count(), 2);
    assert!(
        chart.contains("n0[\"leaf<br/>f32[2, 3]<br/>diagnosis.rs:"),
        "{chart}"
    );

    let mut tape = tape;
    tape.reset();
    assert_eq!(tape.to_string(), "an empty tape\n");
    assert_eq!(tape.to_dot().matches('}').count(), 1);
}

/// What a batch records in the place of one example is no derivative, and names are any text.
#[test]
fn batches_and_odd_names_are_listed_and_drawn() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    let y = vmap(|x: Var<f64>| x.exp(), x);
    assert_eq!(tape.to_string().matches("gradient").count(), 0, "{tape}");
    vmap(|x: Var<f64>| gradient(|x: Var<f64>| x.sin(), x), x);
    let text = tape.to_string();
    let parts: Vec<&str> = text.split("gradient\n").collect();
    assert!(
        parts[1].contains("cos ") && parts[1].contains("f64[2]"),
        "{text}"
    );

    let forward = |y: Tensor<f64>| Ok(y);
    let rule = |_: Var<f64>, _: Var<f64>, ct: Var<f64>| ct;
    custom_operation("Map<f64>\n&\"#1\"", [2], forward, rule, y);
    assert!(tape.to_string().contains("= Map<f64> &\"#1\" "), "{tape}");
    assert!(tape.to_dot().contains("label=\"Map<f64> &'#1'\\nf64[2]"));
    let chart = tape.to_mermaid();
    assert!(
        chart.contains("([\"Map#lt;f64#gt; #amp;'#35;1'<br/>f64[2]<br/>"),
        "{chart}"
    );
}

/// Rules take the place of ways that are stopped; what is stopped within a part is cut at the line of the part.
#[test]
fn ways_through_rules_and_parts() {
    use wengert::transform::{checkpoint, custom_vjp, scan};
    let model = vec![parameter(1.0), parameter(2.0)];
    type V = Var<f64>;
    let reached = |f: &dyn Fn(V, V) -> V| {
        check::reachability(&model, |m, tape| f(m[0].on(tape), m[1].on(tape)).sum())
    };
    let whole: [&dyn Fn(V, V) -> V; 5] = [
        &|a, b| {
            custom_vjp(
                |(a, b): (V, V)| a * b,
                |(a, b), _, ct| (ct * b, ct * a),
                (a, b),
            )
        },
        &|a, b| checkpoint(|(a, b): (V, V)| a * b.exp(), (a, b)),
        &|a, b| checkpoint(|a: V| a * model[1].on(a.tape()).exp(), a) + b * 0.0,
        &|a, b| (a * b).straight_through(|x| x.round()),
        &|a, b| scan(|s: V, a: V| (s * b.sum() + a, s), a.at(0, 0), a).1,
    ];
    for (k, f) in whole.into_iter().enumerate() {
        let found = reached(f).unwrap_or_else(|error| panic!("{k}: {error}"));
        assert!(
            found.parameters().iter().all(|d| d.cuts().is_empty()),
            "{k}: {found}"
        );
    }
    let first = |a: V| a.at(0, 0);
    let line = line!();
    let stopped: [&dyn Fn(V, V) -> V; 4] = [
        &|a, b| checkpoint(|(a, b): (V, V)| a * b.stop_gradient(), (a, b)),
        &|a, b| checkpoint(|(a, _): (V, V)| a * 2.0, (a, b)),
        &|a, b| {
            scan(
                |s: V, x: V| (s * first(b).stop_gradient() + x, s),
                first(a),
                a,
            )
            .1
        },
        &|a, b| custom_vjp(|a: V| a * b.stop_gradient(), |_, _, ct| ct, a),
    ];
    let lines = [2, 3, 5, 12];
    for (k, f) in stopped.into_iter().enumerate() {
        let error = reached(f).expect_err("a way that is cut");
        let all = error.reachability().parameters();
        assert_eq!(
            [all[0].reach(), all[1].reach()],
            [Reach::Reached, Reach::Cut],
            "{k}: {error}"
        );
        assert!(all[0].cuts().is_empty(), "{k}: {error}");
        let [cut] = all[1].cuts() else {
            panic!("{k}: {error}");
        };
        assert_eq!(cut.location().line(), line + lines[k], "{k}: {error}");
    }
    // A step of training refuses it, as it does where the way is cut in plain code.
    let step = value_and_grad(&model, |m, tape| {
        checkpoint(
            |(a, b): (V, V)| a * b.stop_gradient(),
            (m[0].on(tape), m[1].on(tape)),
        )
        .sum()
    });
    assert_eq!(step.unreached(), ["1"]);
}
