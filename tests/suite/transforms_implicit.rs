//! Roots and fixed points against closed forms.

use super::panic::caught;
use super::transforms::close;
use wengert::transform::{
    FixedPoint, Vmap, fixed_point, gradient, hessian, implicit_root, jacobian,
};
use wengert::{ErrorKind, Tape, Tensor, Var, rng};

#[test]
fn a_linear_system_has_the_derivatives_of_its_inverse() {
    let tape = Tape::new();
    let a = tape.leaf(&Tensor::from([[3.0, 1.0], [-1.0, 2.0]]));
    let b = tape.leaf(&Tensor::from([1.0, -2.0]));
    // The inverse in closed form; the solver does not see it.
    let inverse = |a: Var<f64>| {
        let e = |i: isize, j: isize| a.at(0, i).at(0, j);
        let adjugate = Var::stack(&[e(1, 1), -e(0, 1), -e(1, 0), e(0, 0)], 0).reshape([2, 2]);
        adjugate / (e(0, 0) * e(1, 1) - e(0, 1) * e(1, 0))
    };
    let solver = |(a, b): (Tensor<f64>, Tensor<f64>)| {
        let det = a[[0, 0]] * a[[1, 1]] - a[[0, 1]] * a[[1, 0]];
        let x = (b[[0]] * a[[1, 1]] - a[[0, 1]] * b[[1]]) / det;
        let y = (a[[0, 0]] * b[[1]] - b[[0]] * a[[1, 0]]) / det;
        Ok(Tensor::from([x, y]))
    };
    let solved = |a: Var<f64>, b: Var<f64>| {
        implicit_root(
            solver,
            |z, (a, b): (Var<f64>, Var<f64>)| a.matmul(z) - b,
            (a, b),
        )
        .unwrap()
    };
    let f = |[a, b]: [Var<f64>; 2]| solved(a, b).square().sum();
    let g = |[a, b]: [Var<f64>; 2]| inverse(a).matmul(b).square().sum();
    close("value", &f([a, b]).value(), &g([a, b]).value()).unwrap();
    for (x, y) in gradient(f, [a, b]).iter().zip(&gradient(g, [a, b])) {
        close("gradient", &x.value(), &y.value()).unwrap();
    }
    // Every block of the Hessian: the solution is differentiated twice.
    let (x, y) = (hessian(f, [a, b]), hessian(g, [a, b]));
    for (x, y) in x.iter().flatten().zip(y.iter().flatten()) {
        close("hessian", &x.value(), &y.value()).unwrap();
    }
    let by_columns = jacobian(|[a, b]| solved(a, b).pad(0, 0, 9), [a, b]);
    let known = jacobian(|[a, b]| inverse(a).matmul(b).pad(0, 0, 9), [a, b]);
    for (x, y) in by_columns.iter().zip(&known) {
        close("jacobian", &x.value(), &y.value()).unwrap();
    }
}

#[test]
fn a_fixed_point_has_the_derivative_of_its_iteration() {
    let tape = Tape::new();
    let w = Tensor::<f64>::uniform([4, 4], -0.3, 0.3, &mut rng(1));
    let b = Tensor::<f64>::uniform([4], -1.0, 1.0, &mut rng(2));
    let (w, b) = (tape.leaf(&w), tape.leaf(&b));
    let step = |z: Var<f64>, [w, b]: [Var<f64>; 2]| (w.matmul(z) + b).tanh();
    let start = Tensor::zeros([4]);
    let tight = FixedPoint::new().tolerance(1e-15);
    let implicit =
        |[w, b]: [Var<f64>; 2]| tight.solve(step, &start, [w, b]).unwrap().square().sum();
    let unrolled = |[w, b]: [Var<f64>; 2]| {
        let zero = tape.full([4], 0.0);
        (0..80).fold(zero, |z, _| step(z, [w, b])).square().sum()
    };
    for (x, y) in gradient(implicit, [w, b])
        .iter()
        .zip(&gradient(unrolled, [w, b]))
    {
        close("gradient", &x.value(), &y.value()).unwrap();
    }
    let short = tight.iterations(2).solve(step, &start, [w, b]).unwrap_err();
    assert_eq!(short.kind(), ErrorKind::Convergence);
    assert!(
        short
            .to_string()
            .starts_with("fixed_point: no convergence in 2 iterations: ")
    );
}

/// Numbers without derivatives are parameters like others, as they must be where they depend on an example.
#[test]
fn parameters_may_be_integers() {
    let tape = Tape::new();
    let a = tape.leaf(&Tensor::from([2.0, 3.0]));
    let counts = tape.leaf(&Tensor::from([[1i64, 4], [2, 5], [3, 6]]));
    let residual = |z: Var<f64>, (a, n): (Var<f64>, Var<i64>)| z - a * n.cast::<f64>();
    let solver = |(a, n): (Tensor<f64>, Tensor<i64>)| {
        let n = n.cast::<f64>();
        Ok(Tensor::from([a[[0]] * n[[0]], a[[1]] * n[[1]]]))
    };
    let product = |(a, n)| implicit_root(solver, residual, (a, n)).unwrap();
    let alone = product((a, counts.at(0, 1))).sum();
    assert_eq!(alone.gradient(a).value(), Tensor::from([2.0, 5.0]));
    let shared = Vmap::new().inputs([None, Some(0)]);
    let all = shared.apply(product, (a, counts));
    assert_eq!(
        all.sum().gradient(a).value(),
        Tensor::from([1.0 + 2.0 + 3.0, 4.0 + 5.0 + 6.0])
    );
    // What is rounded has no derivative to pass on.
    let rounded = |a: Var<f64>| product((a, a.cast::<i64>())).sum();
    assert_eq!(gradient(rounded, a).value(), Tensor::from([2.0, 3.0]));
    let halfway = |z: Var<f64>, (a, n): (Var<f64>, Var<i64>)| (z + a * n.cast::<f64>()) * 0.5;
    let fixed = fixed_point(halfway, &Tensor::zeros([2]), (a, counts.at(0, 1))).unwrap();
    close(
        "fixed",
        &fixed.sum().gradient(a).value(),
        &Tensor::from([2.0, 5.0]),
    )
    .unwrap();
}

#[test]
fn what_does_not_fit_is_said() {
    let tape = Tape::new();
    let a = tape.leaf(&Tensor::from([1.0, 2.0]));
    let still = |z: Var<f64>, a: Var<f64>| z + a * 0.0;
    let flat = fixed_point(still, &Tensor::from([1.0, 1.0]), a).unwrap();
    // Every point is fixed: the equation does not say how the solution depends on the parameter.
    let panic = caught(|| flat.sum().gradient(a).value());
    assert!(
        panic.message.starts_with("solve: the matrix is singular"),
        "{}",
        panic.message
    );
    // Infinity is no fixed point, nor is a NaN one.
    for start in [2.0, f64::NAN] {
        let error = fixed_point(|z, a: Var<f64>| z * z * a, &Tensor::from(start), a.at(0, 0));
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Convergence);
        let said = "fixed_point: no convergence in 1000 iterations: the point is not finite (at ";
        assert!(error.to_string().starts_with(said), "{error}");
    }
    let line = line!() + 1;
    let z = implicit_root(|a: Tensor<f64>| Ok(a), |z, _: Var<f64>| z.sum(), a).unwrap();
    let panic = caught(|| z.sum().gradient(a));
    let file = file!();
    assert_eq!(
        panic.message,
        format!("implicit_root: the residual has 1 elements, the solution 2 (at {file}:{line}:13)")
    );
}
