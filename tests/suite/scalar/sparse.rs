//! Sparse derivatives: nothing is allocated where the operations stay the same; functions with known derivatives.

use wengert::scalar::{self, Patterned, Real, SparseHessian, SparseJacobian};

use crate::suite::memory::allocations;
use crate::suite::panic::caught;

fn term<S: Real>(x: &[S]) -> S {
    (x[1] - x[0] * x[0]).powi(2) + x[0].sin() * x[1]
}

#[test]
fn sparse_derivatives_allocate_nothing_again() {
    let mut hessians = SparseHessian::new();
    let mut jacobians = SparseJacobian::new();
    let mut before = 0;
    for round in 0..6 {
        let x: [f64; 50] = std::array::from_fn(|i| 0.1 * (i + round) as f64);
        // Two records are kept: both have their memory after two rounds.
        if round == 3 {
            before = allocations();
        }
        let (_, _, hessian) = hessians.evaluate(|x| x.windows(2).map(term).sum(), &x);
        assert_eq!(hessian.values.len(), 148);
        let (_, jacobian) = jacobians.evaluate(|x, y| y.extend(x.windows(2).map(term)), &x);
        assert_eq!(jacobian.values.len(), 98);
    }
    assert_eq!(allocations(), before);
}

/// `sin(x y) + z^2 y` with its derivatives said, on a number of a sparse derivative.
fn known([x, y, z]: [Patterned<f64>; 3]) -> Patterned<f64> {
    let [a, b, c] = [x.value(), y.value(), z.value()];
    let (sin, cos) = (a * b).sin_cos();
    let second = |i: usize, j: usize| match (i, j) {
        (0, 0) => Some(-b * b * sin),
        (0, 1) => Some(cos - a * b * sin),
        (1, 1) => Some(-a * a * sin),
        (1, 2) => Some(2.0 * c),
        (2, 2) => Some(2.0 * b),
        _ => None,
    };
    let partials = [b * cos, a * cos + c * c, 2.0 * c * b];
    Patterned::custom(&[x, y, z], sin + c * c * b, &partials, second)
}

#[test]
fn functions_with_known_derivatives() {
    fn plain<S: Real>([x, y, z]: [S; 3]) -> S {
        (x * y).sin() + z * z * y
    }
    let at = [0.5, -1.5, 2.0, 0.25];
    macro_rules! same {
        (|$x:ident| $inputs:expr) => {
            let wanted = scalar::hessian_sparse(|$x| plain($inputs).exp() * $x[3], &at);
            let found = scalar::hessian_sparse(|$x| known($inputs).exp() * $x[3], &at);
            assert!((wanted.0 - found.0).abs() < 1e-14);
            let (wanted, found) = (
                [wanted.1, wanted.2.to_dense()].concat(),
                [found.1, found.2.to_dense()].concat(),
            );
            for (a, b) in found.iter().zip(&wanted) {
                assert!((a - b).abs() < 1e-13, "{found:?}, not {wanted:?}");
            }
            let (_, wanted) = scalar::jacobian_sparse(|$x| vec![plain($inputs), $x[3]], &at);
            let (_, found) = scalar::jacobian_sparse(|$x| vec![known($inputs), $x[3]], &at);
            assert_eq!(
                (found.shape, found.rows, found.columns),
                (wanted.shape, wanted.rows, wanted.columns)
            );
            for (a, b) in found.values.iter().zip(&wanted.values) {
                assert!((a - b).abs() < 1e-14);
            }
        };
    }
    same!(|x| [x[0], x[1], x[2]]);
    // One number in two places, in all, and constants.
    same!(|x| [x[0], x[0], x[2]]);
    same!(|x| [x[0], x[1], x[1]]);
    same!(|x| [x[1], x[1], x[1]]);
    same!(|x| [x[0] * x[1], x[1].exp(), x[0].sin()]);
    same!(|x| [Patterned::constant(0.5), x[1], x[2]]);
    same!(|x| [x[0], Patterned::constant(-1.5), Patterned::constant(0.5)]);
    // A second derivative that is 0 whatever the values is no entry.
    let (_, _, hessian) = scalar::hessian_sparse(|x| known([x[0], x[1], x[2]]), &at);
    assert_eq!(hessian.values.len(), 7);
    // Constants alone record nothing.
    let two = Patterned::constant(2.0);
    assert_eq!(known([two, two, two]).value(), 4.0f64.sin() + 8.0);
}

#[test]
fn hessians_at_infinite_slopes_are_the_dense_ones() {
    fn product<S: Real>(x: &[S]) -> S {
        x[0] * x[1].sqrt()
    }
    fn cube<S: Real>(x: &[S]) -> S {
        x[1].sqrt() * x[0].powi(3) + x[1]
    }
    // Steps without effect, with tangents that are infinite or NaN.
    fn unused<S: Real>(x: &[S]) -> S {
        let root = x[1].sqrt();
        let _ = (root.exp() * root, (x[0] - x[0]).sqrt().sin().exp());
        x[0] * x[0] * x[1]
    }
    let at = [2.0, 0.0];
    let inf = f64::INFINITY;
    macro_rules! agree {
        ($($f:ident => $wanted:expr;)*) => {$(
            assert_eq!(scalar::hessian($f, &at).2, $wanted);
            assert_eq!(scalar::hessian_sparse($f, &at).2.to_dense(), $wanted);
        )*};
    }
    agree! {
        product => [0.0, inf, inf, -inf];
        cube => [0.0, inf, inf, -inf];
        unused => [0.0, 4.0, 4.0, 0.0];
    }
}

/// A call that panics after its function was recorded leaves nothing behind that the next call would take for its own.
#[test]
fn a_call_that_was_refused_has_no_effect_on_the_next() {
    type Numbers<'a> = &'a [Patterned<f64>];
    let first = |x: Numbers| x[0] * x[1];
    let second = |x: Numbers| x[1] * x[2];
    let at = [2.0, 3.0, 5.0];
    let mut kept = Patterned::constant(0.0);
    let mut hessians = SparseHessian::new();
    let mut jacobians = SparseJacobian::new();
    for _ in 0..2 {
        hessians.evaluate(
            |x| {
                kept = x[0];
                first(x)
            },
            &at,
        );
        jacobians.evaluate(|x, y| y.push(first(x)), &at);
    }
    caught(|| {
        hessians.evaluate(
            |x| {
                second(x);
                kept
            },
            &at,
        );
    });
    caught(|| {
        jacobians.evaluate(|x, y| y.extend([second(x), kept]), &at);
    });
    let (_, _, hessian) = hessians.evaluate(second, &at);
    assert_eq!(
        hessian.to_dense(),
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    );
    let (_, jacobian) = jacobians.evaluate(|x, y| y.push(second(x)), &at);
    assert_eq!(jacobian.to_dense(), [0.0, 5.0, 3.0]);
}
