//! Sparse derivatives: nothing is allocated where the operations stay the same; functions with known derivatives.

use wengert::scalar::{self, Patterned, Real, SparseHessian, SparseJacobian};

use crate::suite::memory::allocations;

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
