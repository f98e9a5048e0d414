//! Gradients that users say themselves: rules, hooks, operations; and what is said when they are wrong.

use super::panic::caught;
use super::transforms::close;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wengert::transform::{
    Vmap, custom_operation, custom_vjp, gradient, hessian, hvp, jacobian, jvp, value_and_gradient,
    vjp, vmap,
};
use wengert::{AnyVar, Dtype, Input, Operation, Output, Pullback, Shape, Tape, Tensor, Var, rng};

#[test]
fn a_rule_replaces_that_of_the_operations() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, -2.0]));
    let w = tape.leaf(&Tensor::from([3.0, 4.0]));
    let f = |x: Var, w: Var| {
        custom_vjp(
            |(x, w): (Var, Var)| x * w,
            |(x, w), y, ct| (ct * w * 10.0, ct * x + y * 0.0),
            (x, w),
        )
    };
    let [dx, dw] = f(x, w).sum().gradients([x, w]);
    assert_eq!(dx.value(), Tensor::from([30.0, 40.0]));
    assert_eq!(dw.value(), Tensor::from([1.0, -2.0]));
    // The rule is differentiated for the second order.
    assert_eq!(dx.sum().gradient(w).value(), Tensor::from([10.0, 10.0]));
    let (_, forward) = jvp(|x| f(x, w), x, w);
    assert_eq!(forward.value(), Tensor::from([90.0, 160.0]));
    let xs = tape.leaf(&Tensor::from([[1.0, 0.0], [2.0, 1.0], [0.5, 0.0]]));
    let each = vmap(|x| gradient(|x| (f(x, w) * x).sum(), x), xs);
    let one = gradient(|x| (f(x, w) * x).sum(), xs.at(0, 1));
    assert_eq!(each.at(0, 1).value(), one.value());
    let batch = vmap(|x| f(x, w).sum(), xs).sum();
    assert_eq!(
        batch.gradient(xs).at(0, 2).value(),
        Tensor::from([30.0, 40.0])
    );
}

#[test]
fn a_rule_that_does_not_fit_is_named() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, -2.0]));
    let line = line!() + 1;
    let y = custom_vjp(|x: Var| x * 2.0, |_, _, ct| ct.slice(0, ..0), x);
    let panic = caught(|| y.sum().gradient(x));
    let here = format!("{}:{line}", file!());
    assert!(
        panic.message.starts_with(
            "gradient: the rule of custom_vjp gave shape [0] as the cotangent of input 0, which is f32[2] (recorded at "
        ),
        "{}",
        panic.message
    );
    assert!(panic.message.contains(&here), "{}", panic.message);
    let line = line!() + 1;
    let panic = caught(|| custom_vjp(|y: Var| y * x, |_, _, ct| ct, x * 2.0));
    assert_eq!((panic.file.as_str(), panic.line), (file!(), line));
    assert!(
        panic
            .message
            .starts_with("custom_vjp: the function reads %0 = leaf: f32[2] (")
    );
    assert_eq!((x * x).sum().gradient(x).value(), Tensor::from([2.0, -4.0]));
}

#[test]
fn a_function_with_a_rule_takes_derivatives_within() {
    type V = Var<f64>;
    let cube = |v: V| v * v * v;
    let sum = |v: V| cube(v).sum();
    // Each is 3 x^2, whose derivative is 6 x; the rule says 60 x.
    let within: [&dyn Fn(V) -> V; 8] = [
        &|x| gradient(sum, x),
        &|x| vjp(cube, x).1(x * 0.0 + 1.0),
        &|x| jvp(cube, x, x * 0.0 + 1.0).1,
        &|x| hvp(|x: V| (x * sum(x)).sum() / 4.0, x, x * 0.0 + 1.0),
        &|x| jacobian(cube, x).sum_axes(1),
        &|x| hessian(sum, x).sum_axes(1) * x / 2.0,
        &|x| value_and_gradient(sum, x).0 * 3.0 / x,
        &|x| vmap(|x: V| gradient(sum, x), x.unsqueeze(0)).squeeze(0),
    ];
    let tape = Tape::new();
    for (k, f) in within.into_iter().enumerate() {
        for x in [
            tape.leaf(&Tensor::from([0.5])),
            tape.constant(&Tensor::from([0.5])),
            tape.full([1], 0.5),
        ] {
            let ruled = |x: V| custom_vjp(f, |x, _, ct: V| ct * x * 60.0, x);
            assert!((ruled(x).value()[[0]] - 0.75).abs() < 1e-12, "{k}");
            let slope = gradient(|x: V| ruled(x).sum(), x);
            assert_eq!(slope.value(), Tensor::from([30.0]), "{k}");
            let each = vmap(|x: V| gradient(|x: V| ruled(x).sum(), x), x.expand([3, 1]));
            assert_eq!(each.value(), Tensor::from([[30.0]; 3]), "{k}");
        }
    }
    // What is read from outside is found behind such a derivative, and what does not lead on is none of it.
    let (x, w) = (
        tape.leaf(&Tensor::from([0.5])),
        tape.leaf(&Tensor::from([2.0])),
    );
    let panic = caught(|| {
        custom_vjp(
            |x: V| gradient(|v: V| (v * v * w).sum(), x),
            |_, _, ct| ct,
            x,
        )
    });
    assert!(
        panic
            .message
            .starts_with(&format!("custom_vjp: the function reads {w:?}")),
        "{}",
        panic.message
    );
    let f = |x: V| gradient(|v: V| (v * v * w.stop_gradient()).sum(), x);
    let y = custom_vjp(f, |_, _, ct| ct, x);
    assert_eq!(y.value(), Tensor::from([2.0]));
}

#[test]
fn cotangents_of_closures_are_not_broadcast() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0]));
    type Rule = fn(Var) -> Var;
    let rules: [(&str, Rule); 4] = [
        ("[]", |ct| ct.sum()),
        ("[1]", |ct| ct.slice(0, ..1)),
        ("[1, 3]", |ct| ct.unsqueeze(0)),
        ("[2, 3]", |ct| ct.expand([2, 3])),
    ];
    for (shape, rule) in rules {
        let of_function = custom_vjp(|x: Var| x.sin(), move |_, _, ct| rule(ct), x);
        let of_operation = custom_operation(
            "sine",
            [3],
            |x: Tensor| Ok(x.map(f32::sin)),
            move |_, _, ct| rule(ct),
            x,
        );
        for y in [of_function, of_operation] {
            let panic = caught(|| y.sum().gradient(x));
            let said = format!("gave shape {shape} as the cotangent of input 0, which is f32[3]");
            assert!(panic.message.contains(&said), "{}", panic.message);
        }
    }
    // A zero is no cotangent at all.
    let y = custom_vjp(|x: Var| x.sin(), |x, _, _| x.tape().number(0.0), x);
    assert_eq!(y.sum().gradient(x).value(), Tensor::from([0.0; 3]));
}

#[test]
fn hooks_see_and_change_cotangents() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    let seen = Rc::new(RefCell::new(Vec::new()));
    let record = {
        let seen = seen.clone();
        move |ct: Var| {
            seen.borrow_mut().push(ct);
            ct * 2.0
        }
    };
    let h = (x * x).on_cotangent(record);
    // Both uses come together before the hook sees them.
    let y = (h * 3.0 + h).sum();
    assert_eq!(y.gradient(x).value(), Tensor::from([16.0, 32.0]));
    assert_eq!(seen.borrow().len(), 1);
    assert_eq!(seen.borrow()[0].value(), Tensor::from([4.0, 4.0]));
    // The cotangent of an intermediate value is what reaches the hook's result.
    assert_eq!(y.gradient(h).value(), Tensor::from([8.0, 8.0]));
    // Each example has its own.
    let xs = tape.leaf(&Tensor::from([[3.0, 4.0], [0.3, 0.4]]));
    let clip = |x: Var| {
        x.on_cotangent(|ct| ct / ct.square().sum().sqrt().maximum(1.0))
            .square()
            .sum()
    };
    let each = vmap(|x| gradient(clip, x), xs);
    let norms = each.square().sum_axes(1).value();
    assert_eq!(norms, Tensor::from([1.0, 1.0]));
    let whole = vmap(clip, xs).sum().gradient(xs);
    assert_eq!(whole.value(), each.value());
}

#[test]
fn a_hook_that_panics_leaves_the_tape_usable() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    let y = (x * x).on_cotangent(|_| panic!("not today"));
    let panic = caught(|| y.sum().gradient(x));
    assert_eq!(panic.message, "not today");
    assert_eq!((x * x).sum().gradient(x).value(), Tensor::from([2.0, 4.0]));
    let line = line!() + 1;
    let y = x.on_cotangent(|ct| ct.sum());
    let panic = caught(|| (y * y).sum().gradient(x));
    let here = format!("{}:{line}", file!());
    assert!(
        panic
            .message
            .starts_with("on_cotangent: the hook gave shape [] for a cotangent of shape [2]"),
        "{}",
        panic.message
    );
    assert!(panic.message.contains(&here), "{}", panic.message);
    assert_eq!((x * x).sum().gradient(x).value(), Tensor::from([2.0, 4.0]));
    // What is recorded afterwards is attributed to its own line again.
    let line = line!() + 1;
    let z = x * x;
    assert!(format!("{z:?}").contains(&format!("{}:{line}", file!())));
}

#[test]
fn a_step_is_passed_straight_through() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([0.4, 1.6]));
    let y = x.straight_through(|x| x.round());
    assert_eq!(y.value(), Tensor::from([0.0, 2.0]));
    assert_eq!(
        (y * y * y).sum().gradient(x).value(),
        Tensor::from([0.0, 12.0])
    );
    let (_, dy) = jvp(|x: Var| x.straight_through(|x| x.sign()), x, x);
    assert_eq!(dy.value(), x.value());
}

/// `x^2 + y`, of `f64`, in which `y` counts as constant; with a fault on request.
#[derive(Clone, Debug, PartialEq)]
enum Planted {
    None,
    Shape,
    Dtype,
    Count,
}

impl Operation for Planted {
    fn name(&self) -> &'static str {
        "planted"
    }
    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        match inputs {
            [(Dtype::F64, x), (Dtype::F64, y)] if x == y => Ok((Dtype::F64, (*x).clone())),
            _ => Err(format!(
                "two inputs of one shape are needed, not {}",
                inputs.len()
            )),
        }
    }
    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let (x, y) = (inputs[0].elements::<f64>(), inputs[1].elements::<f64>());
        if x.contains(&13.0) {
            return Err("13 is not taken".into());
        }
        for ((out, x), y) in output.elements::<f64>().iter_mut().zip(&*x).zip(&*y) {
            *out = x * x + y;
        }
        Ok(())
    }
    fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
        let (x, ct) = (pullback.input::<f64>(0), pullback.cotangent::<f64>());
        match self {
            Planted::Shape => (ct * x).slice(0, ..0).erase(),
            Planted::Dtype => (ct * x).cast::<f32>().erase(),
            _ => (ct * x * 2.0).erase(),
        }
    }
    fn cotangents(&self, pullback: &Pullback<'_>, _: &[bool]) -> Option<Vec<Option<AnyVar>>> {
        (*self == Planted::Count).then(|| vec![Some(pullback.cotangent::<f64>().erase())])
    }
    fn is_differentiable(&self, k: usize) -> bool {
        k == 0
    }
}

/// Takes a result of which nothing is wanted.
fn seen<T>(_: T) {}

fn planted(fault: Planted, x: Var<f64>, y: Var<f64>) -> Var<f64> {
    x.tape().record(fault, &[x.erase(), y.erase()]).typed()
}

#[test]
fn a_users_operation_goes_through_every_transform() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::<f64>::uniform([3], -1.0, 1.0, &mut rng(1)));
    let y = tape.leaf(&Tensor::<f64>::uniform([3], -1.0, 1.0, &mut rng(2)));
    let f = |x: Var<f64>| planted(Planted::None, x, y);
    let plain = |x: Var<f64>| x * x + y.stop_gradient();
    close("value", &f(x.flip(0)).value(), &plain(x.flip(0)).value()).unwrap();
    close(
        "jacobian",
        &jacobian(f, x).value(),
        &jacobian(plain, x).value(),
    )
    .unwrap();
    let g = |x: Var<f64>| gradient(|x| f(x).square().sum(), x);
    let h = |x: Var<f64>| gradient(|x| plain(x).square().sum(), x);
    close("hessian", &jacobian(g, x).value(), &jacobian(h, x).value()).unwrap();
    close("jvp", &jvp(g, x, y).1.value(), &jvp(h, x, y).1.value()).unwrap();
    let xs = tape.leaf(&Tensor::<f64>::uniform([3, 4], -1.0, 1.0, &mut rng(3)));
    let columns = Vmap::new().inputs([Some(1)]).output(-1);
    close(
        "vmap",
        &columns.apply(g, xs).value(),
        &columns.apply(h, xs).value(),
    )
    .unwrap();
    let none = tape.leaf(&Tensor::<f64>::zeros([0, 3]));
    assert_eq!(vmap(f, none).shape(), Shape::from([0, 3]));
    // An input that is marked as constant gets no gradient, and says so.
    let [dy] = f(x).vjp(x, [y]);
    assert!(dy.is_none());
}

#[test]
fn two_closures_make_an_operation() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0f64, 4.0, 9.0]));
    let index = tape.constant(&Tensor::from([2, 0]));
    let pick = |x: Var<f64>| {
        custom_operation(
            "pick",
            [2],
            |(x, i): (Tensor<f64>, Tensor<i64>)| {
                Ok(Tensor::from([x[[i[[0]] as usize]], x[[i[[1]] as usize]]]))
            },
            |(x, i), _, ct| ((x * 0.0).scatter_add(0, i, ct), i),
            (x, index),
        )
    };
    assert_eq!(pick(x * 2.0).value(), Tensor::from([18.0, 2.0]));
    let f = |x: Var<f64>| (pick(x) * pick(x)).sum();
    let g = |x: Var<f64>| x.gather(0, index).square().sum();
    close("gradient", &gradient(f, x).value(), &gradient(g, x).value()).unwrap();
    close("jvp", &jvp(f, x, x).1.value(), &jvp(g, x, x).1.value()).unwrap();
    let xs = tape.leaf(&Tensor::from([[1.0f64, 4.0, 9.0], [0.0, -1.0, 2.0]]));
    let (a, b) = (vmap(|x| gradient(f, x), xs), vmap(|x| gradient(g, x), xs));
    close("vmap", &a.value(), &b.value()).unwrap();
    let line = line!() + 1;
    let y = custom_operation(
        "odd",
        [2],
        |x: Tensor<f64>| Ok(x),
        |_, _, ct: Var<f64>| ct,
        x,
    );
    let panic = caught(|| y.value());
    assert!(
        panic
            .message
            .starts_with("odd: the value has shape [3], but [2] was announced (recorded at "),
        "{}",
        panic.message
    );
    assert!(panic.message.contains(&format!("{}:{line}", file!())));
}

#[test]
fn faults_of_a_users_operation_are_named_with_their_line() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0f64, 2.0]));
    for (fault, expected) in [
        (
            Planted::Shape,
            "gradient: the rule of planted gave shape [0] as the cotangent of input 0, which is f64[2] (recorded at ",
        ),
        (
            Planted::Dtype,
            "gradient: the rule of planted gave f32 elements as the cotangent of input 0, which is f64[2] (recorded at ",
        ),
        (
            Planted::Count,
            "gradient: the rule of planted gave 1 cotangents for 2 inputs (",
        ),
    ] {
        let y = planted(fault, x, x);
        let panic = caught(|| y.sum().gradient(x));
        assert!(panic.message.starts_with(expected), "{}", panic.message);
        assert!(panic.message.contains(file!()), "{}", panic.message);
    }
    let line = line!() + 1;
    let panic = caught(|| tape.record(Planted::None, &[x.erase()]));
    assert_eq!(
        panic.message,
        "planted: two inputs of one shape are needed, not 1"
    );
    assert_eq!((panic.file.as_str(), panic.line), (file!(), line));
    let panic = caught(|| planted(Planted::None, x + 11.0, x).value());
    assert!(
        panic
            .message
            .starts_with("planted: 13 is not taken (recorded at ")
    );
}

#[test]
fn mistakes_panic_at_the_line_of_the_caller() {
    let tape = Tape::new();
    let a = tape.leaf(&Tensor::<f32>::ones([2, 3]));
    let held = Cell::new(None);
    vmap(|x: Var| held.replace(Some(x)).unwrap_or(x), a.sum_axes(1));
    let b = tape.leaf(&Tensor::<f32>::ones([4, 3]));
    let i = tape.constant(&Tensor::from([1, 2]));
    let other = Tape::new();
    let foreign = other.leaf(&Tensor::<f32>::ones([2, 3]));
    type Case<'a> = (u32, &'a dyn Fn(), &'a str);
    let cases: [Case; 12] = [
        (
            line!(),
            &|| seen(vmap(|(a, b)| a + b, (a, b))),
            "vmap: the inputs have different numbers of examples: 2 along axis 0 of input 0 of shape [2, 3], 4 along axis 0 of input 1 of shape [4, 3]",
        ),
        (line!(), &|| seen(vmap(|x| x, a.sum())), "vmap: "),
        (
            line!(),
            &|| seen(Vmap::new().inputs([None]).apply(|x| x, a)),
            "vmap: no input has an axis of examples",
        ),
        (
            line!(),
            &|| seen(Vmap::new().inputs([Some(0), None]).apply(|x| x, a)),
            "vmap: 2 axes were given for 1 inputs",
        ),
        (
            line!(),
            &|| seen(Vmap::new().output(3).apply(|x| x, a)),
            "vmap: ",
        ),
        (
            line!(),
            &|| seen(vmap(|x: Var| x * x.value().item(), a.sum_axes(1))),
            "vmap: the function stands for all examples of the batch, so that one of them has no value inside, nor where it is kept outside (recorded at ",
        ),
        (
            line!(),
            &|| seen(held.get().map(|x| x.value())),
            "vmap: the function stands for all examples of the batch, so that one of them has no value inside, nor where it is kept ",
        ),
        (
            line!(),
            &|| seen(jacobian(|x: Var<i64>| x * 2, i)),
            "jacobian: ",
        ),
        (
            line!(),
            &|| seen(jacobian(|x: Var| x.cast::<i64>(), a)),
            "jacobian: ",
        ),
        (
            line!(),
            &|| seen(jvp(|x| x, a, b)),
            "jvp: the tangent of input 0 has shape [4, 3], the input [2, 3]",
        ),
        (
            line!(),
            &|| seen(gradient(|x: Var| x * 2.0, a)),
            "gradient: the function gives shape [2, 3], but must give a scalar: take its sum, or use jacobian",
        ),
        (
            line!(),
            &|| seen(vmap(|(a, b)| a + b, (a, foreign))),
            "vmap: the variables are of two different tapes",
        ),
    ];
    for (line, case, message) in cases {
        let panic = caught(case);
        assert!(panic.message.starts_with(message), "{}", panic.message);
        let near = (line..line + 4).contains(&panic.line);
        assert!(panic.file == file!() && near, "{panic:?}");
    }
}

#[test]
fn rules_and_hooks_of_a_batch_hold_variables_of_an_example() {
    type V = Var<f64>;
    let tape = Tape::new();
    let [x, w] =
        [1, 2].map(|seed| tape.leaf(&Tensor::<f64>::uniform([3, 2], -1.0, 1.0, &mut rng(seed))));
    let w3 = w.square() * w;
    // What the slope of `exp` is multiplied by is neither an input of the rule, nor part of the result.
    let by_rule = |x: V, w: V| {
        let held = w.square() * w;
        custom_vjp(|x: V| x.exp(), move |_, y, ct| ct * y * held, x)
    };
    let by_hook = |x: V, w: V| {
        let held = w.square();
        x.on_cotangent(move |ct| ct * held * w).exp()
    };
    for f in [&by_rule as &dyn Fn(V, V) -> V, &by_hook] {
        let y = vmap(|(x, w)| f(x, w), (x, w));
        let slope = y.sum().gradient(x);
        close("slope", &slope.value(), &(x.exp() * w3).value()).unwrap();
        // The slope depends on what is held.
        let [by_x, by_w] = slope.sum().gradients([x, w]);
        close(
            "by what is held",
            &by_w.value(),
            &(x.exp() * w.square() * 3.0).value(),
        )
        .unwrap();
        close("again", &by_x.value(), &by_x.reference_value()).unwrap();
        // A batch of batches, of which what is held differs in one or in both; and examples along another axis.
        for shared in [false, true] {
            let y = vmap(
                |(x, w)| match shared {
                    true => vmap(|x| f(x, w.sum()), x),
                    false => vmap(|(x, w)| f(x, w), (x, w)),
                },
                (x, w),
            );
            let factor = if shared {
                let sum = w.sum_keepdim(1);
                sum.square() * sum
            } else {
                w3
            };
            let slope = y.sum().gradient(x);
            close("batches", &slope.value(), &(x.exp() * factor).value()).unwrap();
        }
        let y = Vmap::new()
            .inputs([Some(1), Some(1)])
            .output(1)
            .apply(|(x, w)| f(x, w), (x, w));
        close("columns", &y.sum().gradient(x).value(), &slope.value()).unwrap();
        // A derivative taken within, of which one is taken outside; and a rule that is used again on the tape later.
        let within = vmap(|(x, w)| gradient(|x| f(x, w).sum(), x), (x, w));
        close("within", &within.value(), &slope.value()).unwrap();
        let by_w = within.sum().gradient(w);
        close(
            "of that",
            &by_w.value(),
            &(x.exp() * w.square() * 3.0).value(),
        )
        .unwrap();
        let (_, pull) = vjp(|x| vmap(|(x, w)| f(x, w), (x, w)), x);
        for scale in [1.0, -2.0] {
            let ct = tape.full([3, 2], scale);
            close("pulled", &pull(ct).value(), &(x.exp() * w3 * scale).value()).unwrap();
        }
    }
    // A number drawn for each example is one of those, too.
    let y = vmap(
        |x: V| {
            let noise = tape.uniform(x.shape(), 1.0, 2.0);
            (x + noise * 0.0).on_cotangent(move |ct| ct * noise) + noise
        },
        x,
    );
    let noise = y - x;
    close("drawn", &y.sum().gradient(x).value(), &noise.value()).unwrap();
}
