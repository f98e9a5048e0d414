//! Transforms where there is little to transform: nothing, constants, the input itself, the same input twice; and a great deal.

use super::panic::caught;
use super::transforms::close;
use std::cell::Cell;
use std::rc::Rc;
use wengert::transform::{
    Vmap, checkpoint, custom_vjp, gradient, hessian, hvp, jacobian, jvp, linearize, scan, vjp, vmap,
};
use wengert::{Tape, Tensor, Var};

type V = Var<f64>;

/// Asserts that a variable has the value of a tensor, which is known exactly.
macro_rules! is {
    ($variable:expr, $value:expr) => {
        assert_eq!($variable.value(), Tensor::<f64>::from($value))
    };
}

#[test]
fn a_function_may_give_its_input_a_constant_or_both() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([2.0, 3.0]));
    let v = tape.constant(&Tensor::from([10.0, 20.0]));
    let eye = [[1.0, 0.0], [0.0, 1.0]];
    let fixed = tape.constant(&Tensor::from([5.0, 6.0]));

    let (y, back) = vjp(|x: V| x, x);
    is!(y, [2.0, 3.0]);
    is!(back(v), [10.0, 20.0]);
    let (_, back) = vjp(|x: V| (x, x, x * x), x);
    is!(back((v, v, v)), [10.0 + 10.0 + 40.0, 20.0 + 20.0 + 120.0]);
    let (_, back) = vjp(|_: V| fixed, x);
    is!(back(v), [0.0, 0.0]);

    let (_, (a, b)) = jvp(|x: V| (x, fixed), x, v);
    is!(a, [10.0, 20.0]);
    is!(b, [0.0, 0.0]);
    let (_, push) = linearize(|x: V| [x, x * x, fixed], x);
    let [a, b, c] = push(v);
    is!(a, [10.0, 20.0]);
    is!(b, [40.0, 120.0]);
    is!(c, [0.0, 0.0]);

    is!(jacobian(|x: V| x, x), eye);
    is!(jacobian(|_: V| fixed, x), [[0.0, 0.0], [0.0, 0.0]]);
    // What is read from outside is a constant to the transform, also if it is the input itself.
    is!(jacobian(|_: V| x * 2.0, x), [[0.0, 0.0], [0.0, 0.0]]);
    is!(gradient(|y: V| (x * y).sum(), x), [2.0, 3.0]);
    is!(hessian(|x: V| x.sum(), x), [[0.0, 0.0], [0.0, 0.0]]);
    is!(hessian(|_: V| fixed.sum(), x), [[0.0, 0.0], [0.0, 0.0]]);
    is!(hvp(|x: V| x.sum(), x, v), [0.0, 0.0]);
    is!(hvp(|_: V| fixed.sum(), x, v), [0.0, 0.0]);

    is!(vmap(|x: V| x, x), [2.0, 3.0]);
    is!(vmap(|_: V| fixed, x), [[5.0, 6.0], [5.0, 6.0]]);
    is!(vmap(|_: V| tape.full([], 7.0), x), [7.0, 7.0]);
    let (a, b) = vmap(|x: V| (x, x), x);
    assert_eq!(a.value(), b.value());
}

#[test]
fn the_same_input_may_be_given_twice() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from(3.0));
    let [a, b] = gradient(|[a, b]: [V; 2]| a * a * b, [x, x]);
    is!(a, 18.0);
    is!(b, 9.0);
    let [[aa, ab], [ba, bb]] = hessian(|[a, b]: [V; 2]| a * a * b, [x, x]);
    for (found, wanted) in [(aa, 6.0), (ab, 6.0), (ba, 6.0), (bb, 0.0)] {
        is!(found, wanted);
    }
    let one = tape.constant(&Tensor::from(1.0));
    is!(jvp(|[a, b]: [V; 2]| a * b, [x, x], [one, one]).1, 6.0);
    is!(
        checkpoint(|[a, b]: [V; 2]| a * a * b, [x, x]).gradient(x),
        27.0
    );
    let product = custom_vjp(
        |[a, b]: [V; 2]| a * b,
        |[a, b], _, ct| [ct * b, ct * a],
        [x, x],
    );
    is!(product.gradient(x), 6.0);
    let xs = tape.leaf(&Tensor::from([1.0, 2.0]));
    is!(
        vmap(|[a, b]: [V; 2]| a * b, [xs, xs]).sum().gradient(xs),
        [2.0, 4.0]
    );
}

#[test]
fn what_is_not_used_has_zeros_or_is_named() {
    let tape = Tape::new();
    let (x, y) = (
        tape.leaf(&Tensor::from([2.0, 3.0])),
        tape.leaf(&Tensor::from([[1.0], [4.0]])),
    );
    let f = |[x, _]: [V; 2]| (x * x).sum();
    let panic = caught(|| gradient(f, [x, y]));
    assert!(
        panic.message.ends_with("does not depend on input 1"),
        "{panic:?}"
    );
    let (_, back) = vjp(f, [x, y]);
    let [dx, dy] = back(tape.full([], 1.0));
    is!(dx, [4.0, 6.0]);
    is!(dy, [[0.0], [0.0]]);
    let [hx, hy] = hvp(f, [x, y], [x, y]);
    is!(hx, [4.0, 6.0]);
    is!(hy, [[0.0], [0.0]]);
    let [jx, jy] = jacobian(|[x, _]: [V; 2]| x.exp(), [x, y]);
    assert_eq!(
        (jx.shape()[..].to_vec(), jy.shape()[..].to_vec()),
        (vec![2, 2], vec![2, 2, 1])
    );
    assert_eq!(jy.value(), Tensor::zeros([2, 2, 1]));
    let [[xx, xy], [yx, yy]] = hessian(f, [x, y]);
    is!(xx, [[2.0, 0.0], [0.0, 2.0]]);
    for (found, shape) in [
        (xy, [2, 2, 1].as_slice()),
        (yx, &[2, 1, 2]),
        (yy, &[2, 1, 2, 1]),
    ] {
        assert_eq!(found.value(), Tensor::zeros(shape));
    }
    // Neither in the part nor in the batch.
    is!(checkpoint(f, [x, y]).gradient(x), [4.0, 6.0]);
    is!(
        vmap(|[x, _]: [V; 2]| x * x, [x, y]).sum().gradient(x),
        [4.0, 6.0]
    );
}

#[test]
fn numbers_without_axes_and_axes_without_numbers() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from(2.0));
    is!(jacobian(|x: V| x * x, x), 4.0);
    is!(hessian(|x: V| x * x * x, x), 12.0);
    is!(hvp(|x: V| x * x * x, x, x), 24.0);
    is!(jacobian(|x: V| x.expand([3]) * 2.0, x), [2.0, 2.0, 2.0]);
    is!(checkpoint(|x: V| x * x, x).gradient(x), 4.0);

    let none = tape.leaf(&Tensor::<f64>::zeros([0]));
    let rows = tape.leaf(&Tensor::<f64>::zeros([0, 3]));
    let shape = |v: V| v.value().shape()[..].to_vec();
    assert_eq!(shape(gradient(|x: V| x.sum(), none)), [0]);
    assert_eq!(shape(jacobian(|x: V| x * 2.0, none)), [0, 0]);
    assert_eq!(shape(jacobian(|x: V| x.sum(), none)), [0]);
    assert_eq!(shape(jacobian(|_: V| x.expand([3]), none)), [3, 0]);
    assert_eq!(shape(jacobian(|x: V| x.expand([0]), x)), [0]);
    assert_eq!(shape(hessian(|x: V| (x * x).sum(), none)), [0, 0]);
    assert_eq!(shape(hvp(|x: V| (x * x).sum(), none, none)), [0]);
    assert_eq!(shape(jvp(|x: V| x * x, rows, rows).1), [0, 3]);
    assert_eq!(shape(checkpoint(|x: V| x * x, rows)), [0, 3]);
    // No examples, with the shape that one would have.
    assert_eq!(shape(vmap(|x: V| x.sum(), rows)), [0]);
    assert_eq!(shape(vmap(|x: V| (x * x).softmax(0), rows)), [0, 3]);
    assert_eq!(
        shape(vmap(|x: V| hessian(|x: V| x.prod(), x), rows)),
        [0, 3, 3]
    );
    assert_eq!(
        shape(vmap(|x: V| x.sum(), rows).sum().gradient(rows)),
        [0, 3]
    );
    let columns = Vmap::new().inputs([Some(-1)]).output(-1);
    assert_eq!(shape(columns.apply(|x: V| x.exp(), rows)), [0, 3]);
}

#[test]
fn integers_pass_and_have_no_derivatives() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([2.0, 3.0, 5.0]));
    let i = tape.constant(&Tensor::from([2, 0]));
    let f = |x: V| (x.gather(0, i) * 2.0, x.cast::<i64>());
    let ((_, whole), (dy, none)) = jvp(f, x, x);
    assert_eq!(whole.value(), Tensor::from([2, 3, 5]));
    is!(dy, [10.0, 4.0]);
    assert_eq!(none.value(), Tensor::from([0, 0, 0]));
    let (_, back) = vjp(f, x);
    let ct = tape.constant(&Tensor::from([1.0, 10.0]));
    is!(back((ct, tape.full([3], 0i64))), [20.0, 0.0, 2.0]);
    // Integers are examples as numbers are.
    let picked = Vmap::new()
        .inputs([None, Some(0)])
        .apply(|(x, i): (V, Var<i64>)| x.gather(0, i.unsqueeze(0)), (x, i));
    is!(picked, [[5.0], [2.0]]);
    let panic = caught(|| jvp(|i: Var<i64>| i, i, i));
    assert!(
        panic.message.starts_with("jvp: ") && panic.message.contains("i64"),
        "{panic:?}"
    );
    let panic = caught(|| hessian(|(_, _): (V, Var<i64>)| x.sum(), (x, i)));
    assert!(panic.message.starts_with("hessian: "), "{panic:?}");
}

#[test]
fn batches_along_any_axis_nest() {
    let tape = Tape::new();
    let a = tape.leaf(&Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]));
    let b = tape.leaf(&Tensor::from([10.0, 100.0]));
    let columns = Vmap::new().inputs([Some(-1)]);
    is!(
        columns.apply(|x: V| x * b, a),
        [[10.0, 400.0], [20.0, 500.0], [30.0, 600.0]]
    );
    is!(
        columns.output(-1).apply(|x: V| x * b, a),
        [[10.0, 20.0, 30.0], [400.0, 500.0, 600.0]]
    );
    // Every pair, of which the inner batch is the first axis of the result of the outer one's example.
    let pairs = vmap(
        |x: V| {
            Vmap::new()
                .inputs([None, Some(0)])
                .apply(|(x, b)| (x * b).sum(), (x, b))
        },
        a,
    );
    is!(pairs, [[60.0, 600.0], [150.0, 1500.0]]);
    let mixed = Vmap::new()
        .inputs([Some(1), Some(0)])
        .output(1)
        .apply(|(x, y): (V, V)| vmap(|x| x + y.sum(), x), (a, a.t()));
    is!(mixed, [[6.0, 9.0, 12.0], [9.0, 12.0, 15.0]]);
    // Derivatives by what all examples share, of what differs, and of both, within and without.
    let f = |(b, x): (V, V)| (x.sum() * b).sin().sum();
    let shared = Vmap::new().inputs([None, Some(0)]);
    let (by_b, by_x) = shared.apply(|v| gradient(f, v), (b, a));
    let whole = shared.apply(f, (b, a)).sum();
    close(
        "shared",
        &by_b.sum_axes(0).value(),
        &whole.gradient(b).value(),
    )
    .unwrap();
    close("each", &by_x.value(), &whole.gradient(a).value()).unwrap();
    // An input that the function does not read, and one that no example has of its own.
    let unread = Vmap::new().inputs([Some(0), None]);
    is!(unread.apply(|(x, _): (V, V)| x.sum(), (a, b)), [6.0, 15.0]);
    is!(
        unread.apply(|(_, b): (V, V)| b.sum(), (a, b)),
        [110.0, 110.0]
    );
    let panic = caught(|| Vmap::new().inputs([Some(-3)]).apply(|x: V| x, a));
    assert!(
        panic.message.contains("-3") && panic.message.contains("of input 0"),
        "{panic:?}"
    );
}

#[test]
fn parts_and_rules_of_nearly_nothing() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([2.0, 3.0]));
    let v = tape.constant(&Tensor::from([1.0, 10.0]));
    let same = |x: V| checkpoint(|x: V| x, x);
    is!(same(x), [2.0, 3.0]);
    is!((same(x) * v).sum().gradient(x), [1.0, 10.0]);
    is!(jvp(same, x, v).1, [1.0, 10.0]);
    is!(vmap(same, x), [2.0, 3.0]);
    let (a, b) = checkpoint(|x: V| (x, x * x), x);
    is!(((a + b) * v).sum().gradient(x), [5.0, 70.0]);
    let fixed = checkpoint(|_: V| tape.full([2], 4.0), x);
    is!(fixed, [4.0, 4.0]);
    is!((fixed * x).sum().gradient(x), [4.0, 4.0]);
    is!(jvp(|x: V| checkpoint(|_: V| v, x), x, v).1, [0.0, 0.0]);
    let panic = caught(|| {
        checkpoint(|x: V| (x, x.cast::<f32>()), x);
    });
    assert!(panic.message.starts_with("checkpoint: "), "{panic:?}");
    // A part within itself, and inputs that are constants.
    fn square(x: V) -> V {
        checkpoint(|x: V| x * x, x)
    }
    let fourth = |x: V| checkpoint(|x: V| square(square(x)), x);
    is!(fourth(x).sum().gradient(x), [32.0, 108.0]);
    is!(fourth(v), [1.0, 10000.0]);
    is!(gradient(|v: V| fourth(v).sum(), v), [4.0, 4000.0]);

    let ruled = |x: V| custom_vjp(|x: V| x, |_, _, ct: V| ct * 3.0, x);
    is!(ruled(x).sum().gradient(x), [3.0, 3.0]);
    is!(jvp(ruled, x, v).1, [3.0, 30.0]);
    is!(vmap(|x: V| gradient(ruled, x), x), [3.0, 3.0]);
    let fixed = |x: V| custom_vjp(|_: V| v, |x, _, ct: V| ct * x, x);
    is!(fixed(x).sum().gradient(x), [2.0, 3.0]);
    is!(hessian(|x: V| fixed(x).sum(), x), [[1.0, 0.0], [0.0, 1.0]]);
    // A rule that is a part, and the rule of a part.
    let inner = |x: V| checkpoint(ruled, x);
    is!(inner(x).sum().gradient(x), [3.0, 3.0]);
    let outer = |x: V| custom_vjp(square, |x, _, ct: V| square(x) * ct, x);
    is!(outer(x).sum().gradient(x), [4.0, 9.0]);
    is!(hvp(|x: V| outer(x).sum(), x, v), [4.0, 60.0]);
}

#[test]
fn loops_of_nearly_nothing() {
    let tape = Tape::new();
    let start = tape.leaf(&Tensor::from([1.0, 2.0]));
    let xs = tape.leaf(&Tensor::from([[1.0, 1.0], [2.0, 4.0], [3.0, 9.0]]));
    // A state that stays, a result that is the element, a sequence that is not read.
    let (last, all) = scan(|h: V, x: V| (h, x), start, xs);
    is!(last, [1.0, 2.0]);
    assert_eq!(all.value(), xs.value());
    is!(last.sum().gradient(start), [1.0, 1.0]);
    is!(all.sum().gradient(xs), [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]);
    let (last, all) = scan(|h: V, _: V| (h * 2.0, h), start, xs);
    is!(last, [8.0, 16.0]);
    is!(last.sum().gradient(start), [8.0, 8.0]);
    is!(all.sum().gradient(start), [7.0, 7.0]);
    let [none] = last.vjp(last, [xs]);
    assert!(none.is_none_or(|found| found.value() == Tensor::zeros([3, 2])));
    // One step; a state without axes; integers in the sequence.
    let (last, _) = scan(|h: V, x: V| (h * x, h), start, xs.slice(0, ..1));
    is!(last, [1.0, 2.0]);
    let zero = tape.full([], 0.0);
    let (last, all) = scan(|s: V, x: V| (s + x.sum(), s), zero, xs);
    is!(last, 20.0);
    is!(all, [0.0, 2.0, 8.0]);
    let picks = tape.constant(&Tensor::from([1, 0, 1]));
    let (last, _) = scan(
        |s: V, i: Var<i64>| (s + start.gather(0, i.unsqueeze(0)).sum(), s),
        zero,
        picks,
    );
    is!(last, 5.0);
    is!(last.gradient(start), [1.0, 2.0]);
    // Under every transform.
    let f = |x: V| scan(|h: V, x: V| (h * x, h), start, x).0.sum();
    let plain = |x: V| (start * x.at(0, 0) * x.at(0, 1) * x.at(0, 2)).sum();
    close(
        "jvp",
        &jvp(f, xs, xs).1.value(),
        &jvp(plain, xs, xs).1.value(),
    )
    .unwrap();
    close("hvp", &hvp(f, xs, xs).value(), &hvp(plain, xs, xs).value()).unwrap();
    close(
        "hessian",
        &hessian(f, xs).value(),
        &hessian(plain, xs).value(),
    )
    .unwrap();
    let batch = tape.leaf(&Tensor::from([
        [[1.0, 1.0], [2.0, 4.0]],
        [[3.0, 9.0], [0.5, 0.25]],
    ]));
    let f = |x: V| scan(|h: V, x: V| (h * x, h), start, x).0;
    is!(vmap(f, batch), [[2.0, 8.0], [1.5, 4.5]]);
    let slope = |x: V| gradient(|x: V| f(x).sum(), x);
    is!(
        vmap(slope, batch),
        [[[2.0, 8.0], [1.0, 2.0]], [[0.5, 0.5], [3.0, 18.0]]]
    );
}

#[test]
fn hooks_stand_within_every_transform() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([2.0, 3.0]));
    let calls = Rc::new(Cell::new(0));
    let counted = calls.clone();
    let f = move |x: V| {
        let counted = counted.clone();
        let hooked = (x * x).on_cotangent(move |ct| {
            counted.set(counted.get() + 1);
            ct * 10.0
        });
        hooked.sum()
    };
    is!(gradient(&f, x), [40.0, 60.0]);
    assert_eq!(calls.get(), 1);
    is!(hessian(&f, x), [[20.0, 0.0], [0.0, 20.0]]);
    is!(
        vmap(|x: V| gradient(|x: V| f(x.unsqueeze(0)), x), x),
        [40.0, 60.0]
    );
    is!(checkpoint(&f, x).gradient(x), [40.0, 60.0]);
    is!(jvp(&f, x, x).1, 10.0 * 2.0 * 13.0);
}

#[test]
fn ten_thousand_levels() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, 0.5]));
    let deep = |x: V| (0..10_000).fold(x, |y, _| y * 0.9999 + x * 1e-4);
    let y = deep(x);
    let slope = y.sum().gradient(x).value();
    let (_, pushed) = jvp(deep, x, tape.full([2], 1.0));
    close("jvp", &pushed.value(), &slope).unwrap();
    close("vmap", &vmap(deep, x).value(), &y.value()).unwrap();
    let again = checkpoint(deep, x);
    close("checkpoint", &again.sum().gradient(x).value(), &slope).unwrap();
    assert!(tape.to_string().lines().count() > 10_000);
    // And of derivatives: each level differentiates the one below.
    let x = tape.leaf(&Tensor::from(1.0));
    let exponential = x.exp();
    let mut y = exponential;
    for _ in 0..8 {
        y = y.gradient(x);
    }
    assert_eq!(y.value(), exponential.value());
}

#[test]
fn single_precision_throughout() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0f32, 2.0, 3.0]));
    let f = |x: Var| (x * x * x).sum();
    assert_eq!(gradient(f, x).value(), Tensor::from([3.0f32, 12.0, 27.0]));
    assert_eq!(hvp(f, x, x).value(), Tensor::from([6.0f32, 24.0, 54.0]));
    assert_eq!(jvp(f, x, x).1.value().item(), 3.0 + 24.0 + 81.0);
    assert_eq!(hessian(f, x).at(0, 2).value().to_vec(), [0.0, 0.0, 18.0]);
    assert_eq!(
        vmap(|x: Var| x * x, x).value(),
        Tensor::from([1.0f32, 4.0, 9.0])
    );
    // Two types in one function.
    let both = |(a, b): (Var, V)| (a.cast::<f64>() * b).sum();
    let b = tape.leaf(&Tensor::from([10.0, 20.0, 30.0]));
    let (da, db) = gradient(both, (x, b));
    assert_eq!(da.value(), Tensor::from([10.0f32, 20.0, 30.0]));
    is!(db, [1.0, 2.0, 3.0]);
    let ((_, ab), (ba, _)) = hessian(both, (x, b));
    assert_eq!(ab.value(), Tensor::<f64>::eye(3));
    assert_eq!(ba.value(), Tensor::<f32>::eye(3));
    let (ja, jb) = jacobian(|(a, b): (Var, V)| a.cast::<f64>() * b, (x, b));
    assert_eq!(ja.at(0, 0).value().to_vec(), [10.0f32, 0.0, 0.0]);
    assert_eq!(jb.at(0, 2).value().to_vec(), [0.0, 0.0, 3.0]);
    // By columns, as there are more rows.
    let rows = |(a, b): (Var, V)| a.cast::<f64>() * b * b.unsqueeze(1);
    let (ja, jb) = jacobian(rows, (x.slice(0, ..2), b.slice(0, ..2)));
    assert_eq!(
        ja.at(0, 1).value(),
        Tensor::from([[200.0f32, 0.0], [0.0, 400.0]])
    );
    assert_eq!(
        jb.at(0, 1).value(),
        Tensor::from([[20.0, 10.0], [0.0, 80.0]])
    );
    let (none, _) = jacobian(|(_, b): (Var, V)| b.unsqueeze(1) * b, (x, b));
    assert_eq!(none.value(), Tensor::<f32>::zeros([3, 3, 3]));
}

#[test]
fn what_a_pull_back_is_given_is_checked() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([2.0, 3.0]));
    let line = line!() + 1;
    let (_, back) = vjp(|x: V| x.sum(), x);
    let (_, push) = linearize(|x: V| vec![x, x], x);
    let (_, list) = vjp(|x: V| vec![x, x], x);
    let said = |f: &dyn Fn() -> V| caught(f).message;
    let here = |line: u32| format!("(the function was made at {}:{line}:", file!());
    let message = said(&|| back(x));
    assert!(
        message.starts_with(
            "vjp: the cotangent of value 0 has shape [2], the value [] (the function was made at "
        ),
        "{message}"
    );
    assert!(message.contains(&here(line)), "{message}");
    let message = said(&|| push(x.sum())[0]);
    assert!(
        message.starts_with("linearize: the tangent of input 0 has shape [], the input [2] "),
        "{message}"
    );
    assert!(message.contains(&here(line + 1)), "{message}");
    let message = said(&|| list(vec![x]));
    assert!(
        message.starts_with("vjp: 1 cotangents were given, one for each value makes 2 "),
        "{message}"
    );
}
