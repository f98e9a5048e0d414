use super::super::{Dual, hessian, jacobian};
use super::*;

fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!(
            (a - b).abs() <= 1e-11 * (1.0 + b.abs()),
            "{i}: {a}, expected {b}"
        );
    }
}

/// Functions of five numbers that use every kind of operation, each of few variables.
fn mixed<S: Real + std::ops::Mul<S::Plain, Output = S>>(x: &[S]) -> Vec<S> {
    let two = S::one() + S::one();
    vec![
        x[0] * x[1] + x[2],
        (x[0] / x[3]).sin(),
        x[1].powf(x[2]) - x[4].powi(3),
        x[3].atan2(x[4]) * x[0].hypot(x[1]),
        x[2].exp().ln_1p().sqrt().tanh(),
        x[4].max(x[0]) + x[1].abs() % two,
        x[0].powf(two) + x[0] * x[0] * x[0],
        two.powf(x[4]) / (x[1] - x[2]),
        x[3].mul_add(x[4], x[0]).cbrt(),
        x[2].erf() * x[3].ln_gamma() + x[1].sigmoid().recip(),
        S::norm_by(3, |i| x[i]) + S::log_sum_exp_by(2, |i| x[i + 3]),
        S::polynomial_by(x[0], 3, |i| x[i + 1]) + S::dot_by(2, |i| (x[i], x[i + 3])),
        two,
        x[3],
    ]
}

const POINT: [f64; 5] = [0.7, 1.3, 0.4, 2.1, -0.6];

#[test]
fn a_sparse_jacobian_is_the_dense_one() {
    let (values, dense) = jacobian(mixed, &POINT);
    let (sparse_values, sparse) = jacobian_sparse(mixed, &POINT);
    close(&sparse_values, &values);
    close(&sparse.to_dense(), &dense);
    assert_eq!(sparse.shape, [14, 5]);
    assert!(sparse.values.len() < 14 * 5);
    assert_eq!(sparse.rows.iter().filter(|&&i| i == 12).count(), 0);
}

#[test]
fn a_sparse_hessian_is_the_dense_one() {
    for k in 0..14 {
        let (value, gradient, dense) = hessian(|x| mixed(x)[k], &POINT);
        let (sparse_value, sparse_gradient, sparse) = hessian_sparse(|x| mixed(x)[k], &POINT);
        close(&[sparse_value], &[value]);
        close(&sparse_gradient, &gradient);
        close(&sparse.to_dense(), &dense);
    }
    let sum = |x: &[f64]| mixed(x).iter().sum::<f64>();
    let (value, _, dense) = hessian(|x| mixed(x).into_iter().sum(), &POINT);
    let (_, _, sparse) = hessian_sparse(|x| mixed(x).into_iter().sum(), &POINT);
    close(&[value], &[sum(&POINT)]);
    close(&sparse.to_dense(), &dense);
}

#[test]
fn patterns_are_those_of_the_operations() {
    // Rosenbrock's function: a tridiagonal Hessian with 3 n - 2 entries.
    let n = 200;
    let x: Vec<f64> = (0..n).map(|i| 0.01 * i as f64).collect();
    let (_, _, hessian) = hessian_sparse(
        |x| {
            let terms = x.windows(2).map(|x| {
                let curve = x[1] - x[0] * x[0];
                curve * curve * 100.0 + (x[0] - 1.0) * (x[0] - 1.0)
            });
            terms.sum()
        },
        &x,
    );
    assert_eq!(hessian.values.len(), 3 * n - 2);
    for i in 1..n - 1 {
        let at = |j: usize| {
            let entries = hessian.rows.iter().zip(&hessian.columns);
            entries
                .zip(&hessian.values)
                .find(|((r, c), _)| (**r, **c) == (i, j))
                .map(|e| *e.1)
        };
        let expected = 1200.0 * x[i] * x[i] - 400.0 * x[i + 1] + 202.0;
        assert!((at(i).unwrap() - expected).abs() < 1e-9);
        assert!((at(i - 1).unwrap() + 400.0 * x[i - 1]).abs() < 1e-9);
        assert_eq!(at(i + 2), None);
    }
    // What is linear has no entries, and neither has what does not reach the result.
    let (_, gradient, hessian) = hessian_sparse(
        |x| {
            let _unused = x[0] * x[1];
            (x[0] - x[1] * 3.0) / 2.0 + 1.0
        },
        &[1.0, 2.0],
    );
    assert_eq!((gradient, hessian.values.len()), (vec![0.5, -1.5], 0));
}

#[test]
fn rows_are_compressed_where_columns_meet() {
    // The first row is full: columns would take a color each.
    let x: Vec<f64> = (1..40).map(f64::from).collect();
    let f = |x: &[Patterned<f64>]| {
        let mut y: Vec<_> = x.iter().map(|&x| x * x).collect();
        y.push(x.iter().sum());
        y
    };
    let (_, jacobian) = jacobian_sparse(f, &x);
    let n = x.len();
    let dense = jacobian.to_dense();
    for i in 0..n {
        for j in 0..n {
            assert_eq!(dense[i * n + j], if i == j { 2.0 * x[i] } else { 0.0 });
        }
        assert_eq!(dense[n * n + i], 1.0);
    }
}

#[test]
fn sparse_derivatives_nest() {
    // The derivative by t of the Hessian's entry of x^3 t is 6 x.
    let x = [Dual::constant(2.0), Dual::variable(5.0)];
    let (_, _, hessian) = hessian_sparse(|x| x[0] * x[0] * x[0] * x[1], &x);
    assert_eq!((hessian.rows[0], hessian.columns[0]), (0, 0));
    assert_eq!(
        (hessian.values[0].value(), hessian.values[0].tangent()),
        (60.0, 12.0)
    );
    // A Jacobian within a Jacobian.
    let (_, outer) = jacobian_sparse(
        |x| jacobian_sparse(|y| vec![y[0] * y[0] * y[1]], x).1.values,
        &[3.0, 4.0],
    );
    assert_eq!(outer.to_dense(), [8.0, 6.0, 6.0, 0.0]);
}

#[test]
fn infinite_derivatives_meet_no_zeros() {
    let (_, jacobian) = jacobian_sparse(|x| vec![x[0].sqrt(), x[0].sqrt() + x[1]], &[0.0, 1.0]);
    assert_eq!(
        jacobian.to_dense(),
        [f64::INFINITY, 0.0, f64::INFINITY, 1.0]
    );
    let (_, _, hessian) =
        hessian_sparse(|x| x[0].powf(Patterned::constant(2.0)) * x[1], &[-3.0, 1.0]);
    assert_eq!(hessian.to_dense(), [2.0, -6.0, -6.0, 0.0]);
}

#[test]
#[should_panic(expected = "two sparse derivatives")]
fn numbers_of_two_calls_do_not_mix() {
    jacobian_sparse(
        |x| {
            let x = x[0];
            jacobian_sparse(|y| vec![y[0] * x], &[1.0]);
            vec![x]
        },
        &[1.0],
    );
}

#[test]
#[should_panic(expected = "after the call has returned")]
fn numbers_do_not_outlive_their_call() {
    let mut kept = Patterned::constant(0.0);
    jacobian_sparse(
        |x| {
            kept = x[0];
            vec![x[0]]
        },
        &[1.0],
    );
    let _ = kept.sin();
}

#[test]
fn other_operations_are_noticed() {
    let mut sparse = SparseHessian::new();
    let mut jacobian = SparseJacobian::new();
    for x in [[1.0, 2.0], [-1.0, 2.0], [-2.0, 3.0], [2.0, 3.0]] {
        let (_, gradient, hessian) = sparse.evaluate(
            |x| {
                if x[0] > 0.0 {
                    x[0] * x[1]
                } else {
                    x[1] * x[1] + x[0]
                }
            },
            &x,
        );
        let (expected_gradient, expected) = if x[0] > 0.0 {
            ([x[1], x[0]], [0.0, 1.0, 1.0, 0.0])
        } else {
            ([1.0, 2.0 * x[1]], [0.0, 0.0, 0.0, 2.0])
        };
        assert_eq!(gradient, expected_gradient);
        assert_eq!(hessian.to_dense(), expected);
        // The same operations, of which another one is the result; more variables; none.
        let (_, found) = jacobian.evaluate(
            |x, y| {
                let z = [x[0] * 2.0, x[1] * 3.0];
                y.push(z[usize::from(x[0] < 0.0)]);
            },
            &x,
        );
        assert_eq!(
            found.to_dense(),
            if x[0] > 0.0 { [2.0, 0.0] } else { [0.0, 3.0] }
        );
    }
    assert_eq!(
        jacobian.evaluate(|x, y| y.extend(x), &[5.0; 3]).1.values,
        [1.0; 3]
    );
    assert_eq!(jacobian.evaluate(|_, y| y.clear(), &[]).1.shape, [0, 0]);
    assert_eq!(sparse.evaluate(|_| Patterned::constant(3.0), &[1.0]).0, 3.0);
}
