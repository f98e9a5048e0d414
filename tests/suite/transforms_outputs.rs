//! Functions and operations of several results with rules of their own.

use super::panic::caught;
use super::transforms::close;
use wengert::transform::{
    checkpoint, custom_multi_output, custom_vjp, gradient, hessian, hvp, jacobian, jvp, scan, vmap,
};
use wengert::{
    AnyVar, Dtype, Input, Operation, Output, Pullback, Shape, Tape, Tensor, Var, check, rng,
};

type V = Var<f64>;
type Function = fn(V, V) -> [V; 2];

/// The polar coordinates of each of some points: radius and angle.
fn polar(x: V, y: V) -> [V; 2] {
    let shape = x.shape();
    custom_multi_output(
        "polar",
        [shape.clone(), shape],
        |(x, y): (Tensor<f64>, Tensor<f64>)| {
            let pairs = || x.iter().zip(y.iter());
            let tensor = |elements| Tensor::from_vec(x.shape(), elements);
            let radius = tensor(pairs().map(|(x, y)| x.hypot(y)).collect());
            let angle = tensor(pairs().map(|(x, y)| y.atan2(x)).collect());
            let say = |error: wengert::Error| error.to_string();
            Ok([radius.map_err(say)?, angle.map_err(say)?])
        },
        |(x, y), [r, _]: [V; 2], [of_r, of_angle]| {
            (
                of_r * x / r - of_angle * y / r.square(),
                of_r * y / r + of_angle * x / r.square(),
            )
        },
        (x, y),
    )
}

/// As it is in operations on variables, for points to the right.
fn written_out(x: V, y: V) -> [V; 2] {
    [(x * x + y * y).sqrt(), (y / x).atan()]
}

/// By a rule in the place of that of the operations.
fn ruled(x: V, y: V) -> [V; 2] {
    custom_vjp(
        |(x, y): (V, V)| written_out(x, y),
        |(x, y), [r, _], [of_r, of_angle]| {
            (
                of_r * x / r - of_angle * y / r.square(),
                of_r * y / r + of_angle * x / r.square(),
            )
        },
        (x, y),
    )
}

/// The same as an operation of its own.
#[derive(Debug)]
struct Polar;
impl Operation for Polar {
    fn name(&self) -> &'static str {
        "polar"
    }
    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((inputs[0].0, Shape::from([2 * inputs[0].1.size()])))
    }
    fn parts(&self, inputs: &[(Dtype, &Shape)]) -> Option<Vec<Shape>> {
        Some(vec![inputs[0].1.clone(); 2])
    }
    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let (x, y) = (inputs[0].elements::<f64>(), inputs[1].elements::<f64>());
        let (radius, angle) = output.elements::<f64>().split_at_mut(x.len());
        for i in 0..x.len() {
            (radius[i], angle[i]) = (x[i].hypot(y[i]), y[i].atan2(x[i]));
        }
        Ok(())
    }
    // Both cotangents have the parts in common.
    fn cotangents(&self, pullback: &Pullback<'_>, _: &[bool]) -> Option<Vec<Option<AnyVar>>> {
        let (x, y): (V, V) = (pullback.input(0), pullback.input(1));
        let shapes = [x.shape(), y.shape()];
        let parts = |v: V| v.unpack(&shapes);
        let (r, ct) = (parts(pullback.output())[0], parts(pullback.cotangent()));
        let by_x = ct[0] * x / r - ct[1] * y / r.square();
        let by_y = ct[0] * y / r + ct[1] * x / r.square();
        Some(vec![Some(by_x.erase()), Some(by_y.erase())])
    }
}

fn recorded(x: V, y: V) -> [V; 2] {
    let parts = x.tape().record_parts(Polar, &[x.erase(), y.erase()]);
    [parts[0].typed(), parts[1].typed()]
}

fn points(shape: impl Into<Shape>, seed: u64) -> Tensor<f64> {
    Tensor::uniform(shape, 0.5, 2.0, &mut rng(seed))
}

#[test]
fn they_go_through_every_transform() {
    let tape = Tape::new();
    let (x, y) = (tape.leaf(&points([2, 3], 1)), tape.leaf(&points([2, 3], 2)));
    let plain = |[x, y]: [V; 2]| written_out(x, y);
    let mixed = |[r, angle]: [V; 2]| (r.sin() * angle + r.square()).sum();
    let all: [(&str, Function); 3] = [
        ("closures", polar),
        ("rule", ruled),
        ("operation", recorded),
    ];
    for (name, function) in all {
        let f = |[x, y]: [V; 2]| function(x, y);
        let same = |what: &str, a: V, b: V| {
            close(&format!("{name}: {what}"), &a.value(), &b.value()).unwrap();
        };
        let [r, angle] = f([x, y]);
        let [r0, angle0] = plain([x, y]);
        same("radius", r, r0);
        same("angle", angle, angle0);
        // One result alone: the other has a cotangent of zeros.
        same("radius by x", r.sum().gradient(x), r0.sum().gradient(x));
        same(
            "angle by y",
            angle.sum().gradient(y),
            angle0.sum().gradient(y),
        );
        let (scalar, scalar0) = (|v| mixed(f(v)), |v| mixed(plain(v)));
        let pairs = |a: [V; 2], b: [V; 2]| a.into_iter().zip(b);
        let v = [y, x];
        for (a, b) in pairs(gradient(scalar, [x, y]), gradient(scalar0, [x, y])) {
            same("gradient", a, b);
        }
        for (a, b) in pairs(jvp(f, [x, y], v).1, jvp(plain, [x, y], v).1) {
            same("jvp", a, b);
        }
        for (a, b) in pairs(hvp(scalar, [x, y], v), hvp(scalar0, [x, y], v)) {
            same("hvp", a, b);
        }
        let rows = hessian(scalar, [x, y]).into_iter().flatten();
        for (a, b) in rows.zip(hessian(scalar0, [x, y]).into_iter().flatten()) {
            same("hessian", a, b);
        }
        let [a, _] = jacobian(|v| f(v)[1], [x, y]);
        let [b, _] = jacobian(|v| plain(v)[1], [x, y]);
        same("jacobian", a, b);
        for (a, b) in pairs(vmap(f, [x, y]), [r0, angle0]) {
            same("vmap", a, b);
        }
        let each = vmap(|v| vmap(|v| gradient(scalar, v), v), [x, y]);
        for (a, b) in pairs(each, gradient(scalar0, [x, y])) {
            same("vmap of vmap of gradient", a, b);
        }
        let part = |[x, y]: [V; 2]| checkpoint(f, [x, y]);
        for (a, b) in pairs(
            gradient(|v| mixed(part(v)), [x, y]),
            gradient(scalar0, [x, y]),
        ) {
            same("checkpoint", a, b);
        }
        // Within the step of a loop, which is a program of its own.
        let steps = |f: &dyn Fn(V, V) -> [V; 2], x: V| {
            let start = tape.full([3], 1.0);
            let (last, all) = scan(
                |h: V, x: V| {
                    let [r, angle] = f(x, h);
                    (angle, r)
                },
                start,
                x,
            );
            last.sum() + all.sum()
        };
        let [a, b] = [function, written_out].map(|f| steps(&f, x).gradient(x));
        same("scan", a, b);
    }
}

#[test]
fn their_rules_are_checked() {
    let (x, y) = (points([2, 2], 3), points([2, 2], 4));
    check::operation(Polar, [&x, &y]).unwrap();
    for f in [polar, ruled, recorded] {
        check::gradients(|[x, y]| Var::stack(&f(x, y), 0), [&x, &y]).unwrap();
    }
}

#[derive(Debug)]
struct Unruled;
impl Operation for Unruled {
    fn name(&self) -> &'static str {
        "unruled"
    }
    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((inputs[0].0, inputs[0].1.clone()))
    }
    fn parts(&self, inputs: &[(Dtype, &Shape)]) -> Option<Vec<Shape>> {
        (inputs[0].1.rank() > 0).then(|| vec![Shape::from([2]); 2])
    }
    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        inputs[0].copy_to(output.elements::<f64>());
        Ok(())
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let tape = Tape::new();
    let (x, three) = (tape.leaf(&Tensor::from(1.0)), tape.leaf(&points([3], 5)));
    let said = |f: &dyn Fn()| caught(f).message;
    assert_eq!(
        said(&|| drop(tape.record_parts(Unruled, &[x.erase()]))),
        "unruled: the operation has one result; record_parts is for several"
    );
    assert_eq!(
        said(&|| drop(tape.record_parts(Unruled, &[three.erase()]))),
        "unruled: the output has shape [3], but parts of [4] were announced"
    );
    let y: V = tape.record(Unruled, &[x.erase()]).typed();
    let message = said(&|| {
        y.gradient(x);
    });
    assert!(
        message.starts_with(
            "gradient: unruled has no rule: neither vjp nor cotangents is implemented (%"
        ),
        "{message}"
    );
    assert_eq!(
        said(&|| drop(three.unpack(&[Shape::from([2]), Shape::from([2])]))),
        "unpack: [3] holds 3 elements, but the shapes hold 4"
    );
    let wrong = |x: Tensor<f64>| Ok([x.clone(), x]);
    let message = said(&|| {
        let shapes = [Shape::from([3]), Shape::from([2])];
        let [_, b] = custom_multi_output("pair", shapes, wrong, |x, _, _: [V; 2]| x, three);
        b.value();
    });
    assert!(
        message.starts_with("pair: value 1 has shape [3], but [2] was announced"),
        "{message}"
    );
    let mixed = |x: V| (x, x.cast::<f32>());
    let message = said(&|| {
        custom_vjp(mixed, |x, _, _| x, three);
    });
    assert_eq!(
        message,
        "custom_vjp: results of one floating-point type are needed"
    );
    let panic = caught(|| custom_vjp(|x: V| [x, three * x], |x, _, _| x, three));
    assert!(
        panic
            .message
            .starts_with("custom_vjp: the function reads %1"),
        "{panic:?}"
    );
    assert!(panic.file.ends_with("transforms_outputs.rs"), "{panic:?}");
    // A cotangent of another shape, from the rule of several.
    let wrong = |_: V, _: [V; 2], [ct, _]: [V; 2]| ct.expand([2]);
    let message = said(&|| {
        let [a, _] = custom_vjp(|x: V| [x.sum(), x.sum()], wrong, three);
        a.gradient(three);
    });
    assert!(
        message.starts_with(
            "gradient: the rule of custom_vjp gave shape [2] as the cotangent of input 0, which is f64[3] (recorded at "
        ),
        "{message}"
    );
}
