//! Sparse derivatives: nothing is allocated where the operations stay the same.

use wengert::scalar::{Real, SparseHessian, SparseJacobian};

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
