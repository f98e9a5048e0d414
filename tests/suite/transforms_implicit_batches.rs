//! Roots and fixed points for each example of a batch: against closed forms, and against each example alone.

use super::panic::caught;
use super::transforms::close;
use std::cell::Cell;
use wengert::transform::{
    FixedPoint, checkpoint, fixed_point, gradient, hessian, hvp, implicit_root, jacobian, jvp,
    scan, vmap,
};
use wengert::{Error, ErrorKind, Tape, Tensor, Var, rng};

type V = Var<f64>;

/// The solution of a linear fixed point, of matrix and constant.
type Solver<'a> = &'a dyn Fn(V, V) -> V;

/// A square root by Newton's iteration for `z^2 = a`.
fn newton(a: V) -> V {
    let start = Tensor::full(a.shape(), 1.0);
    fixed_point(|z, a| (z + a / z) * 0.5, &start, a).unwrap()
}

#[test]
fn roots_by_newton_are_square_roots() {
    let tape = Tape::new();
    let all = tape.leaf(&Tensor::<f64>::uniform([5], 0.5, 20.0, &mut rng(1)));
    let v = tape.constant(&Tensor::<f64>::uniform([5], -1.0, 1.0, &mut rng(2)));
    let agree = |what: &str, of: &dyn Fn(fn(V) -> V) -> V| {
        close(what, &of(newton).value(), &of(|a| a.sqrt()).value()).unwrap();
    };
    agree("values", &|f| vmap(f, all));
    agree("gradient of vmap", &|f| {
        vmap(f, all).square().square().sum().gradient(all)
    });
    agree("vmap of gradient", &|f| vmap(|a| gradient(f, a), all));
    agree("jvp", &|f| jvp(|a| vmap(f, a), all, v).1);
    agree("vmap of jvp", &|f| vmap(|(a, v)| jvp(f, a, v).1, (all, v)));
    agree("second", &|f| {
        vmap(|a| gradient(|a| gradient(f, a), a), all)
    });
    agree("hvp", &|f| hvp(|a| vmap(f, a).sin().sum(), all, v));
    agree("hessian", &|f| hessian(|a| vmap(f, a).sin().sum(), all));
    agree("jacobian", &|f| jacobian(|a| vmap(f, a), all));
    agree("vmap of hessian", &|f| {
        let rows = vmap(|a| a.sin() * 3.0 + all + 4.0, all);
        vmap(|row| hessian(|a| f(a).sin().sum(), row), rows)
    });
    // A batch within a batch, of which the inner examples depend on both.
    agree("nested", &|f| {
        let each = vmap(|a| vmap(|b| f(a + b.square() * a), all).sum(), all);
        each.sum().gradient(all)
    });
    // In a part that is computed again, and in a step that it does not depend on.
    agree("checkpoint", &|f| {
        let each = vmap(|a| checkpoint(|a| f(a).sin() * a, a), all);
        each.square().sum().gradient(all)
    });
    agree("within a checkpoint", &|f| {
        let part = |all: V| vmap(|a| f(a).sin() * a, all);
        checkpoint(part, all).square().sum().gradient(all)
    });
    agree("scan", &|f| {
        let last = |a: V| scan(|state: V, x: V| (state * f(a) + x, x), a * 2.0, all).0;
        vmap(last, all).sin().sum().gradient(all)
    });
    // What all examples share is solved once, and what is computed of an example before.
    agree("shared", &|f| {
        vmap(|a| f(all) * f(a.exp()), all).sum().gradient(all)
    });
}

#[test]
fn linear_fixed_points_have_the_derivatives_of_the_inverse() {
    let tape = Tape::new();
    let scale = |shape: &[usize], seed| Tensor::<f64>::uniform(shape, -0.4, 0.4, &mut rng(seed));
    let shared = tape.leaf(&scale(&[2, 2], 1));
    let matrices = tape.leaf(&scale(&[3, 2, 2], 2));
    let sides = tape.leaf(&scale(&[3, 2], 3));
    let solved = |a: V, b: V| {
        let step = |z: V, (a, b): (V, V)| a.matmul(z) + b;
        let tight = FixedPoint::new().tolerance(1e-15);
        tight.solve(step, &Tensor::zeros([2]), (a, b)).unwrap()
    };
    // (1 - a)^-1 b.
    let known = |a: V, b: V| {
        let e = |i: isize, j: isize| a.at(0, i).at(0, j);
        let (p, q) = (1.0 - e(0, 0), 1.0 - e(1, 1));
        let det = p * q - e(0, 1) * e(1, 0);
        let (x, y) = (b.at(0, 0), b.at(0, 1));
        Var::stack(
            &[(q * x + e(0, 1) * y) / det, (p * y + e(1, 0) * x) / det],
            0,
        )
    };
    let agree = |what: &str, of: &dyn Fn(Solver<'_>) -> Vec<V>| {
        for (a, b) in of(&solved).iter().zip(of(&known)) {
            close(what, &a.value(), &b.value()).unwrap();
            close(what, &a.reference_value(), &b.value()).unwrap();
        }
    };
    agree("values", &|f| {
        vec![vmap(|(a, b)| f(a, b), (matrices, sides))]
    });
    agree("shared matrix", &|f| {
        let loss = vmap(|b| f(shared, b).square().sum(), sides).sum();
        loss.gradients([shared, sides]).to_vec()
    });
    agree("each a matrix", &|f| {
        let loss = vmap(|(a, b)| f(a, b).square().sum(), (matrices, sides)).sum();
        loss.gradients([matrices, sides]).to_vec()
    });
    agree("within", &|f| {
        let slopes = vmap(
            |(a, b)| gradient(|[a, b]: [V; 2]| f(a, b).square().sum(), [a, b]),
            (matrices, sides),
        );
        slopes.to_vec()
    });
    agree("second", &|f| {
        let loss = |[a, b]: [V; 2]| vmap(|b| f(a, b).square().sum(), b).sum().sin();
        hessian(loss, [shared, sides]).concat()
    });
}

#[test]
fn a_batch_is_solved_as_each_example_alone() {
    let tape = Tape::new();
    let all = tape.leaf(&Tensor::<f64>::uniform([4, 3], 1.0, 9.0, &mut rng(1)));
    let calls = Cell::new(0);
    let root = |a: V, shift: V| {
        let solver = |(a, shift): (Tensor<f64>, Tensor<f64>)| {
            calls.set(calls.get() + 1);
            Ok(a.map(|a| a.cbrt() + shift.item()))
        };
        let residual = |z: V, (a, shift): (V, V)| (z - shift) * (z - shift) * (z - shift) - a;
        implicit_root(solver, residual, (a, shift)).unwrap()
    };
    let shift = tape.leaf(&Tensor::from(0.5));
    let batch = vmap(|a| root(a, shift), all);
    assert_eq!(calls.get(), 4);
    let rows: Vec<V> = (0..4).map(|k| root(all.at(0, k), shift)).collect();
    let rows = Var::stack(&rows, 0);
    assert_eq!(batch.value(), rows.value());
    let [a, b] = [batch, rows].map(|z| z.sin().sum().gradients([all, shift]));
    for (a, b) in a.iter().zip(&b) {
        close("gradient", &a.value(), &b.value()).unwrap();
    }
    let [a, b] = [a, b].map(|[da, _]| da.square().sum().gradients([all, shift]));
    for (a, b) in a.iter().zip(&b) {
        close("second", &a.value(), &b.value()).unwrap();
    }
    // Examples that need different numbers of iterations: each stops where it would alone.
    let single = |a: V| fixed_point(|z: V, a: V| (a * z).cos(), &Tensor::from(0.5), a).unwrap();
    let rates = tape.leaf(&Tensor::from([0.1, 0.9, 0.0, 0.5]));
    let found = vmap(single, rates).value();
    for (k, found) in found.iter().enumerate() {
        let alone = single(rates.at(0, k as isize)).value().item();
        assert!((found - alone).abs() <= 1e-15, "{k}: {found} and {alone}");
    }
}

#[test]
fn a_residual_may_hold_a_root_itself() {
    let tape = Tape::new();
    let all = tape.leaf(&Tensor::from([2.0, 3.0, 7.0]));
    // z = sqrt(a) + 1 as the root of z - sqrt(a) - 1, the inner root being one too.
    let inner = |a: V| implicit_root(|a: Tensor<f64>| Ok(a.map(f64::sqrt)), |z, a| z * z - a, a);
    let outer = |a: V| {
        let solver = |a: Tensor<f64>| Ok(a.map(|a| a.sqrt() + 1.0));
        implicit_root(solver, move |z, a| z - inner(a).unwrap() - 1.0, a).unwrap()
    };
    let known = |a: V| a.sqrt() + 1.0;
    let of = |f: &dyn Fn(V) -> V| {
        let first = vmap(f, all).square().sum().gradient(all);
        let second = first.sin().sum().gradient(all);
        [first, second, vmap(|a| gradient(|a| f(a).square(), a), all)]
    };
    for (a, b) in of(&outer).iter().zip(of(&known)) {
        close("nested", &a.value(), &b.value()).unwrap();
    }
}

#[test]
fn an_example_that_cannot_be_solved_is_named() {
    let tape = Tape::new();
    let rates = tape.leaf(&Tensor::from([0.5, 0.25, 2.0, 3.0]));
    let few = FixedPoint::new().iterations(60);
    let failed = Cell::new(None);
    let grow = |z: V, a: V| z * a + 1.0;
    let panic = caught(|| {
        vmap(
            |a| match few.solve(grow, &Tensor::from(0.0), a) {
                Ok(z) => z,
                Err(error) => {
                    failed.set(Some(error));
                    panic!("as expected")
                }
            },
            rates,
        )
    });
    assert_eq!(panic.message, "as expected");
    let error: Error = failed.take().unwrap();
    assert_eq!(error.kind(), ErrorKind::Convergence);
    let said = "fixed_point: no convergence of example 2 in 60 iterations: the last one changed the point by ";
    assert!(error.to_string().starts_with(said), "{error}");
    // After the panic the tape can be used as before.
    let near = vmap(
        |a| few.solve(grow, &Tensor::from(0.0), a).unwrap(),
        rates.slice(0, ..2),
    );
    close("near", &near.value(), &Tensor::from([2.0, 4.0 / 3.0])).unwrap();

    let refuse = |(a, b): (Tensor<f64>, Tensor<f64>)| {
        let (a, b) = (a.item(), b.item());
        match a == 0.25 && b == 3.0 {
            true => Tensor::from_vec([2], vec![a]).map(|_| unreachable!()),
            false => Ok(Tensor::from(a)),
        }
    };
    caught(|| {
        vmap(
            |a| {
                vmap(
                    |b| match implicit_root(refuse, |z, (a, _)| z - a, (a, b)) {
                        Ok(z) => z,
                        Err(error) => {
                            failed.set(Some(error));
                            panic!("as expected")
                        }
                    },
                    rates,
                )
            },
            rates,
        )
    });
    let error = failed.take().unwrap();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let said = "implicit_root: example [1, 3]: from_vec: ";
    assert!(error.to_string().starts_with(said), "{error}");
}

#[test]
fn what_does_not_fit_in_a_batch_is_said() {
    let tape = Tape::new();
    let all = tape.leaf(&Tensor::from([1.0, 2.0]));
    let sized = |a: Tensor<f64>| Ok(Tensor::<f64>::ones([a.item() as usize]));
    let line = line!() + 1;
    let panic = caught(|| vmap(|a| implicit_root(sized, |z, _| z, a).unwrap(), all));
    assert_eq!(
        panic.message,
        "implicit_root: the solution of example 1 has shape [2], that of the first [1]"
    );
    assert_eq!((panic.file.as_str(), panic.line), (file!(), line));
    let none = all.slice(0, ..0);
    let panic = caught(|| vmap(|a| implicit_root(sized, |z, _| z, a).unwrap(), none));
    assert_eq!(
        panic.message,
        "implicit_root: there are no examples, so that nothing says what shape a solution has"
    );
    // A fixed point starts somewhere: that says it.
    assert_eq!(vmap(newton, none).value().shape()[..], [0]);
    let flat = vmap(
        |a| fixed_point(|z, a| z + a * 0.0, &Tensor::from(1.0), a).unwrap(),
        all,
    );
    let panic = caught(|| flat.sum().gradient(all).value());
    assert!(
        panic
            .message
            .starts_with("solve: the matrix is singular: no pivot in column 0 of 1"),
        "{}",
        panic.message
    );
}
