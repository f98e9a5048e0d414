//! Functions of no variables, of no results, and of what they do not read; and single precision throughout.

use wengert::scalar::{self, Dual, Plain, Program, Real, Scalar, Tape};

#[test]
fn no_variables() {
    let none: [f64; 0] = [];
    assert_eq!(
        scalar::gradient(|_| Scalar::constant(3.0), &none),
        (3.0, vec![])
    );
    assert_eq!(
        scalar::jacobian(|_| vec![2.0.into()], &none),
        (vec![2.0], vec![])
    );
    assert_eq!(
        scalar::hessian(|_| 3.0.into(), &none),
        (3.0, vec![], vec![])
    );
    assert_eq!(
        scalar::hvp(|_| 3.0.into(), &none, &none),
        (3.0, vec![], vec![])
    );
    assert_eq!(
        scalar::jvp(|_| vec![3.0.into()], &none, &none),
        (vec![3.0], vec![0.0])
    );
    assert_eq!(
        scalar::vjp(|_| vec![3.0.into()], &none, &[1.0]),
        (vec![3.0], vec![])
    );
    assert_eq!(
        scalar::taylor::<f64, 3>(|_| 3.0.into(), &none, &none),
        [3.0, 0.0, 0.0]
    );
    let (values, jacobian) = scalar::jacobian_sparse(|_| vec![2.0.into(), 5.0.into()], &none);
    assert_eq!(
        (values, jacobian.shape, jacobian.values.len()),
        (vec![2.0, 5.0], [2, 0], 0)
    );
    let (value, gradient, hessian) = scalar::hessian_sparse(|_| 2.0.into(), &none);
    assert_eq!((value, gradient, hessian.shape), (2.0, vec![], [0, 0]));
    let mut program = Program::record(|_| vec![2.0.into()], &none);
    assert_eq!(program.evaluate(&none).unwrap(), [2.0]);
    assert_eq!(scalar::sum::<f64>(&[]), 0.0);
    assert_eq!(scalar::norm::<Dual<f64>>(&[]).value(), 0.0);
    assert_eq!(scalar::dot::<Scalar<f64>>(&[], &[]).value(), 0.0);
    assert_eq!(scalar::polynomial(&[], Tape::new().var(2.0)).value(), 0.0);
    assert_eq!(scalar::log_sum_exp::<f64>(&[]), f64::NEG_INFINITY);
}

#[test]
fn no_results_and_results_that_depend_on_nothing() {
    let x = [2.0, 3.0];
    assert_eq!(scalar::jacobian(|_| vec![], &x), (vec![], vec![]));
    assert_eq!(scalar::vjp(|_| vec![], &x, &[]), (vec![], vec![0.0, 0.0]));
    assert_eq!(scalar::jvp(|_| vec![], &x, &x), (vec![], vec![]));
    assert_eq!(scalar::gradient(|_| 4.0.into(), &x).1, [0.0, 0.0]);
    assert_eq!(scalar::gradient(|x| x[1], &x).1, [0.0, 1.0]);
    assert_eq!(scalar::hessian(|_| 4.0.into(), &x).2, [0.0; 4]);
    let (_, sparse) = scalar::jacobian_sparse(|x| vec![x[1], 4.0.into(), x[1]], &x);
    assert_eq!(sparse.to_dense(), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    // The variable itself, twice, and more results than variables.
    assert_eq!(
        scalar::jacobian(|x| vec![x[0], x[0], x[1] * x[0]], &x).1,
        [1.0, 0.0, 1.0, 0.0, 3.0, 2.0]
    );
    let (_, sparse) = scalar::jacobian_sparse(|_| vec![], &x);
    assert_eq!(sparse.shape, [0, 2]);
    // A derivative within a derivative of what the outer one does not see.
    let inner = |_: Scalar<f64>| scalar::gradient(|y| y[0] * y[0], &[5.0]).1[0];
    assert_eq!(scalar::gradient(|x| x[0] * inner(x[0]), &[2.0]).1, [10.0]);
}

#[test]
fn ten_thousand_levels() {
    fn deep<S: Real>(x: S) -> S {
        (0..10_000).fold(x, |y, _| (y * x).sin() + x)
    }
    let at = 0.7;
    let (value, slope) = scalar::derivative(deep, at);
    let reverse = scalar::gradient(|x| deep(x[0]), &[at]);
    let (_, sparse) = scalar::jacobian_sparse(|x| vec![deep(x[0])], &[at]);
    let (_, _, curvature) = scalar::hessian(|x| deep(x[0]), &[at]);
    let (_, _, found) = scalar::hessian_sparse(|x| deep(x[0]), &[at]);
    let along = scalar::taylor::<f64, 3>(|x| deep(x[0]), &[at], &[1.0]);
    for other in [reverse.1[0], sparse.values[0], along[1]] {
        assert!(
            (other - slope).abs() < 1e-9 * slope.abs(),
            "{other}, not {slope}"
        );
    }
    for other in [found.values[0], along[2]] {
        assert!(
            (other - curvature[0]).abs() < 1e-8 * curvature[0].abs(),
            "{other}, not {}",
            curvature[0]
        );
    }
    assert_eq!(reverse.0, value);
}

fn check_precision<T: Plain>() {
    let t = T::nearest;
    let x = [t(0.5), t(-1.5)];
    fn f<S: Real>(x: &[S]) -> S {
        let half = S::from(0.5).unwrap();
        (x[0] * x[1]).sin() * half + scalar::dot(x, x).sqrt() + x[1].powi(3)
    }
    let (value, gradient) = scalar::gradient(f, &x);
    assert_eq!(value, f(&x));
    let (_, by_hessian, hessian) = scalar::hessian(f, &x);
    let (_, by_product, product) = scalar::hvp(f, &x, &[t(1.0), t(2.0)]);
    let (_, by_sparse, sparse) = scalar::hessian_sparse(f, &x);
    let (_, jacobian) = scalar::jacobian(|x| vec![f(x)], &x);
    let (_, tangents) = scalar::jvp(|x| vec![f(x)], &x, &[t(0.0), t(1.0)]);
    let along = scalar::taylor::<T, 3>(f, &x, &[t(1.0), t(2.0)]);
    let mut program = Program::record(|x| vec![f(x)], &[t(3.0), t(3.0)]);
    let mut replayed = [t(0.0); 2];
    program.vjp_into(&x, &[t(1.0)], &mut replayed).unwrap();
    let looped = scalar::checkpointed(
        &x,
        &[],
        3,
        1,
        |_, s, _, next| next.copy_from_slice(s),
        |s, _| f(s),
    );
    let near = |a: T, b: T| {
        let off = num_traits::Float::abs(a - b);
        assert!(
            off <= t(64.0) * T::epsilon() * (t(1.0) + num_traits::Float::abs(b)),
            "{a}, not {b}"
        );
    };
    for other in [
        &by_hessian[..],
        &by_product,
        &by_sparse,
        &jacobian,
        &replayed,
        &looped.state,
    ] {
        assert_eq!(other.len(), 2);
        other.iter().zip(&gradient).for_each(|(&a, &b)| near(a, b));
    }
    near(tangents[0], gradient[1]);
    sparse
        .to_dense()
        .iter()
        .zip(&hessian)
        .for_each(|(&a, &b)| near(a, b));
    for (i, &p) in product.iter().enumerate() {
        near(p, hessian[2 * i] + t(2.0) * hessian[2 * i + 1]);
    }
    near(along[1], gradient[0] + t(2.0) * gradient[1]);
    near(along[2], product[0] + t(2.0) * product[1]);
}

#[test]
fn both_precisions_throughout() {
    check_precision::<f32>();
    check_precision::<f64>();
}

#[test]
fn a_traced_number_of_another_thread_is_refused() {
    let mut stale = None;
    Program::record(
        |x| {
            stale = Some(x[0]);
            vec![]
        },
        &[1.0],
    );
    let stale = stale.unwrap();
    // It is the first recording of its thread, as the one there is.
    let outcome = std::thread::spawn(move || {
        Program::record(|x| vec![x[0] * stale], &[1.0]);
    });
    let message = outcome.join().unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert_eq!(message, "mul: numbers of two recordings");
}
