//! Functions of numbers on tensor tapes, functions of tensors on scalar tapes, and the check of functions of numbers.

use super::panic::caught;
use wengert::check::{self, Check, Method, Verdict};
use wengert::prelude::*;
use wengert::scalar::{self, Curved, Dual, Real, Scalar, Taylor};
use wengert::{ArrayFunction, ScalarFunction, TensorFunction};

fn message(f: impl FnOnce()) -> String {
    caught(f).message
}

/// x^3 exp(-x)
struct Gamma;
impl ScalarFunction for Gamma {
    fn call<S: Real>(&self, x: S) -> S {
        x.powi(3) * (-x).exp()
    }
}

/// Its derivative of order `n`: `exp(-x)` times a polynomial, by Leibniz.
fn gamma_derivative(n: i32, x: f64) -> f64 {
    let powers = [x.powi(3), 3.0 * x * x, 6.0 * x, 6.0];
    let mut binomial = 1.0;
    let mut sum = 0.0;
    for k in 0..=n.min(3) {
        let sign = if (n - k) % 2 == 0 { 1.0 } else { -1.0 };
        sum += binomial * powers[k as usize] * sign;
        binomial *= f64::from(n - k) / f64::from(k + 1);
    }
    sum * (-x).exp()
}

/// a x, without an `is_same` of its own.
struct Scaled(f64);
impl ScalarFunction for Scaled {
    fn call<S: Real>(&self, x: S) -> S {
        S::from(self.0).unwrap() * x
    }
    fn name(&self) -> &'static str {
        "scaled"
    }
}

/// The absolute value and the square root.
struct Kinks;
impl ScalarFunction for Kinks {
    fn call<S: Real>(&self, x: S) -> S {
        x.abs() + S::zero().max(x)
    }
}

/// From n to n + 1 numbers: the ratio of neighbors around a ring, and the product of all.
struct Ring;
impl ArrayFunction for Ring {
    fn call<S: Real>(&self, x: &[S]) -> Vec<S> {
        let n = x.len();
        let ratios = (0..n).map(|i| (x[i] / x[(i + 1) % n]).sin());
        ratios.chain([x.iter().copied().product()]).collect()
    }
    fn name(&self) -> &'static str {
        "ring"
    }
}

/// x^T A x with A = [[2, 1], [1, 4]], cubed element by element too.
fn quadratic() -> TensorFunction<f64> {
    TensorFunction::record([2], |x| {
        let a = x.tape().constant(&Tensor::from([[2.0, 1.0], [1.0, 4.0]]));
        Var::stack(&[(a.matmul(x) * x).sum(), (x * x * x).sum()], 0)
    })
    .unwrap()
}

fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        let off = (a - b).abs();
        assert!(
            off <= 1e-12 * b.abs().max(1.0),
            "{found:?}, not {expected:?}"
        );
    }
}

#[test]
fn an_elementwise_function_has_derivatives_of_every_order() {
    let at = [[0.5, -1.0], [2.0, 0.0]];
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from(at));
    let mut y = x.t().map_scalar(Gamma);
    assert_eq!(y.shape(), Shape::from([2, 2]));
    for order in 0..=16 {
        let value = y.value();
        let expected = at
            .as_flattened()
            .iter()
            .map(|&x| gamma_derivative(order, x));
        let found = if order == 0 {
            value.t().to_vec()
        } else {
            value.to_vec()
        };
        for (found, expected) in found.into_iter().zip(expected) {
            let off = (found - expected).abs();
            assert!(
                off <= 1e-9 * expected.abs().max(1.0),
                "{order}: {found}, not {expected}"
            );
        }
        if order < 16 {
            y = y.sum().gradient(x);
        }
    }
    let text = message(|| {
        y.sum().gradient(x);
    });
    assert!(
        text.contains("map_scalar: derivatives up to order 16"),
        "{text}"
    );
    assert!(text.contains("scalar_tensor.rs:"), "{text}");
}

#[test]
fn elementwise_functions_agree_with_differences_and_with_the_operations_of_tensors() {
    let x = Tensor::from([[0.5, -1.0, 1.5], [2.0, 0.25, -0.75]]);
    Check::new()
        .order(3)
        .gradients(|[x]| x.map_scalar(Gamma), [&x])
        .unwrap();
    // A strided input, and a use of the node between others.
    let between = |[x]: [Var<f64>; 1]| (x.t().exp().map_scalar(Gamma) * x.t()).sum_axes(0);
    check::gradients(between, [&x]).unwrap();
    check::gradients(|[x]| x.map_series(|x: Taylor<f64, 4>| x.tanh() * x), [&x]).unwrap();
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([0.5_f32, 2.0]));
    let y = x.map_series(|x: Taylor<f32, 2>| x.sigmoid());
    assert!(y.value().all_close(&x.sigmoid().value(), 1e-6, 0.0));
    let (found, expected) = (y.sum().gradient(x), x.sigmoid().sum().gradient(x));
    assert!(found.value().all_close(&expected.value(), 1e-6, 0.0));
}

#[test]
fn kinks_are_those_of_dual_numbers() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([-2.0, 0.0, 3.0]));
    let y = x.map_scalar(Kinks);
    assert_eq!(y.value(), Tensor::from([2.0, 0.0, 6.0]));
    assert_eq!(y.sum().gradient(x).value(), Tensor::from([-1.0, 0.5, 2.0]));
    let report = check::gradients(|[x]| x.map_scalar(Kinks), [&Tensor::from([0.0, 1.0])]).unwrap();
    assert!(report.kinks().next().is_some());
}

#[test]
fn functions_of_different_fields_are_told_apart() {
    // One tape, the same record but for the field: a plan of the first must not serve the second.
    let mut tape = Tape::new();
    for factor in [2.0, 3.0, 2.0] {
        tape.reset();
        let x = tape.leaf(&Tensor::from([1.0, 10.0]));
        let y = x.map_scalar(Scaled(factor));
        assert_eq!(y.value(), Tensor::from([factor, 10.0 * factor]));
        let shifted = x.map_series(move |x: Taylor<f64, 2>| x * factor + factor);
        assert_eq!(shifted.value(), Tensor::from([2.0 * factor, 11.0 * factor]));
    }
}

#[test]
fn empty_and_scalar_tensors_are_mapped() {
    let tape = Tape::new();
    let empty = tape.leaf(&Tensor::<f64>::zeros([0, 3]));
    assert_eq!(
        empty.map_scalar(Gamma).value().shape(),
        &Shape::from([0, 3])
    );
    let gradient = empty.map_scalar(Gamma).sum().gradient(empty);
    assert_eq!(gradient.value().shape(), &Shape::from([0, 3]));
    let one = tape.leaf(&Tensor::scalar(2.0));
    near(
        &one.map_scalar(Gamma).value().to_vec(),
        &[gamma_derivative(0, 2.0)],
    );
    // The product of nothing.
    assert_eq!(empty.map_array(Ring, [1]).value(), Tensor::from([1.0]));
}

#[test]
fn a_function_of_an_array_agrees_with_differences_to_the_fourth_order() {
    let x = Tensor::from([[0.5, 1.5], [2.0, -1.0]]);
    let report = Check::new()
        .order(3)
        .gradients(|[x]| x.t().map_array(Ring, [5]), [&x])
        .unwrap();
    assert_eq!(report.comparisons().len(), 3 * (4 + 1));
    let between = |[x]: [Var<f64>; 1]| x.exp().map_array(Ring, [1, 5]).sin() * 2.0;
    check::gradients(between, [&x]).unwrap();
    // The derivative of x^2 y z w by w, z, y and x is that of 2 x by x.
    struct Product;
    impl ArrayFunction for Product {
        fn call<S: Real>(&self, x: &[S]) -> Vec<S> {
            vec![x.iter().copied().product::<S>() * x[0]]
        }
    }
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([3.0, 5.0, 7.0, 11.0]));
    let mut y = x.map_array(Product, []);
    for k in [3, 2, 1, 0] {
        y = y.gradient(x).slice(0, k..k + 1).sum();
    }
    near(&[y.value().item()], &[6.0]);
    let text = message(|| {
        y.gradient(x);
    });
    assert!(
        text.contains("map_array: derivatives up to order 4"),
        "{text}"
    );
    assert!(text.contains("scalar_tensor.rs:"), "{text}");
}

#[test]
fn a_jacobian_of_an_array_is_that_of_the_scalar_tape() {
    let at = [0.5, 1.5, -2.0];
    let (values, jacobian) = scalar::jacobian(|x| Ring.call(x), &at);
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from(at));
    let y = x.map_array(Ring, [4]);
    assert_eq!(y.value().to_vec(), values);
    for i in 0..4 {
        let row = y.slice(0, i..i + 1).sum().gradient(x).value();
        near(&row.to_vec(), &jacobian[3 * i as usize..][..3]);
    }
}

#[test]
fn a_wrong_number_of_results_is_named_with_the_line() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    let y = x.map_array(Ring, [2, 2]);
    let text = message(|| {
        y.value();
    });
    assert!(
        text.contains("ring: the function gives 3 numbers"),
        "{text}"
    );
    assert!(text.contains("scalar_tensor.rs:"), "{text}");
}

#[test]
fn scalars_pass_through_a_tensor_program_in_every_mode() {
    let f = quadratic();
    let (x, y) = (1.5_f64, -0.5_f64);
    let values = [
        2.0 * x * x + 2.0 * x * y + 4.0 * y * y,
        x.powi(3) + y.powi(3),
    ];
    let jacobian = [
        4.0 * x + 2.0 * y,
        2.0 * x + 8.0 * y,
        3.0 * x * x,
        3.0 * y * y,
    ];
    near(&f.call(&[x, y]), &values);
    let (found, reverse) = scalar::jacobian(|x| f.call(x), &[x, y]);
    near(&found, &values);
    near(&reverse, &jacobian);
    let (found, tangents) = scalar::jvp(|x| f.call(x), &[x, y], &[1.0, 10.0]);
    near(&found, &values);
    near(
        &tangents,
        &[
            jacobian[0] + 10.0 * jacobian[1],
            jacobian[2] + 10.0 * jacobian[3],
        ],
    );
    // Among other numbers, with constants among the inputs, and in second order.
    let g = |p: &[Curved<f64>]| {
        let through = f.call(&[p[0] * p[1], Scalar::constant(Dual::constant(2.0))]);
        through[0] + through[1].sin()
    };
    let (u, v) = (0.5_f64, 1.2);
    let z = u * v;
    let (slope, bend) = (
        4.0 * z + 4.0 + (z.powi(3) + 8.0).cos() * 3.0 * z * z,
        4.0 + (z.powi(3) + 8.0).cos() * 6.0 * z - (z.powi(3) + 8.0).sin() * 9.0 * z.powi(4),
    );
    let (value, gradient, hessian) = scalar::hessian(g, &[u, v]);
    near(
        &[value],
        &[2.0 * z * z + 4.0 * z + 16.0 + (z.powi(3) + 8.0).sin()],
    );
    near(&gradient, &[slope * v, slope * u]);
    let mixed = bend * z + slope;
    near(&hessian, &[bend * v * v, mixed, mixed, bend * u * u]);
    check::scalar(g, &[u, v]).unwrap();
}

#[test]
fn a_tensor_program_is_one_node_of_the_scalar_tape() {
    let f = quadratic();
    let tape = scalar::Tape::new();
    let x = tape.vars(&[1.0, 2.0]);
    let before = tape.nodes();
    let y = f.call(&x);
    // The call, and its two results.
    assert_eq!(tape.nodes() - before, 3);
    assert_eq!(tape.gradient_of(y[0], &x), [8.0, 18.0]);
    assert_eq!(tape.gradient_of(y[1] * 2.0, &x), [6.0, 24.0]);
    // Constants alone record nothing.
    let constants = f.call(&[1.0, 2.0].map(Scalar::constant));
    assert!(constants.iter().all(|y| y.is_constant()) && constants[0] == y[0].value());
}

#[test]
fn functions_of_numbers_inside_of_a_tensor_program_inside_of_a_function_of_numbers() {
    let inner =
        TensorFunction::<f64>::record([3], |x| x.map_scalar(Gamma).map_array(Ring, [4])).unwrap();
    let f = |x: &[Curved<f64>]| scalar::sum(&inner.call(x));
    check::scalar(f, &[0.5, 1.5, 2.5]).unwrap();
    // The same by numbers alone.
    fn alone<S: Real>(x: &[S]) -> S {
        let x: Vec<S> = x.iter().map(|&x| Gamma.call(x)).collect();
        Ring.call(&x).into_iter().sum()
    }
    let (value, gradient, hessian) = scalar::hessian(f, &[0.5, 1.5, 2.5]);
    let expected = scalar::hessian(alone, &[0.5, 1.5, 2.5]);
    near(&[value], &[expected.0]);
    near(&gradient, &expected.1);
    near(&hessian, &expected.2);
}

#[test]
fn a_function_that_does_not_depend_on_its_input_has_zeros() {
    let f = TensorFunction::<f64>::record([2], |x| x.tape().number(3.0)).unwrap();
    let (value, gradient) = scalar::gradient(|x| f.call(x)[0] + x[0], &[1.0, 2.0]);
    assert_eq!((value, gradient), (4.0, vec![1.0, 0.0]));
    let (_, _, hessian) = scalar::hessian(|x| f.call(x)[0] * x[0], &[1.0, 2.0]);
    assert_eq!(hessian, [0.0; 4]);
}

#[test]
fn a_model_is_part_of_numeric_code() {
    let model = Linear::<f64>::new(2, 1, &mut wengert::rng(3));
    let f = TensorFunction::record([2], move |x| model.forward(x.reshape([1, 2])).tanh()).unwrap();
    let loss = |p: &[Curved<f64>]| (f.call(&[p[0].exp(), p[1]])[0] - 0.25).powi(2);
    check::scalar(loss, &[0.5, -1.0]).unwrap();
}

#[test]
fn wrong_use_of_a_tensor_function_is_named() {
    let f = quadratic();
    let text = message(|| {
        f.call(&[1.0, 2.0, 3.0]);
    });
    assert_eq!(
        text,
        "tensor function: 3 numbers were given, but the input has shape [2]"
    );
    let (a, b) = (scalar::Tape::new(), scalar::Tape::new());
    let text = message(|| {
        f.call(&[a.var(1.0), b.var(2.0)]);
    });
    assert!(
        text.starts_with("custom_vjp: scalars of two tapes"),
        "{text}"
    );
    let gone = { scalar::Tape::new().var(1.0) };
    let text = message(|| {
        f.call(&[gone, gone]);
    });
    assert!(text.contains("reset or dropped"), "{text}");
}

#[test]
fn the_check_of_numbers_finds_planted_bugs() {
    let at = [0.5, -1.5, 2.0];
    let right = |x: &[Curved<f64>]| x[0] * x[1] + x[2].powi(3) * x[0];
    let report = check::scalar(right, &at).unwrap();
    assert_eq!(report.comparisons().len(), 2 * (3 + 1));
    // A rule with a wrong sign, for one of the inputs.
    let wrong = |x: &[Curved<f64>]| {
        let (a, b) = (x[0].value(), x[1].value());
        let y = scalar::custom_vjp(&[x[0], x[1]], &[a * b], move |u, out| {
            out.copy_from_slice(&[u[0] * b, -u[0] * a]);
        });
        y[0] + x[2]
    };
    let failure = check::scalar(wrong, &at).unwrap_err();
    let first_order = |c: &&check::Comparison| c.order == 1 && c.method == Method::Difference;
    let at_fault: Vec<_> = failure.report().failures().filter(first_order).collect();
    assert_eq!(at_fault.len(), 1);
    assert_eq!(at_fault[0].index, [1]);
    // The gradient is right and not differentiable again.
    let frozen = |x: &[Curved<f64>]| {
        let a = x[0].value().value();
        let y = Dual::constant(a * a) + (x[0].value() - a) * (2.0 * a);
        scalar::custom_vjp(&[x[0]], &[y], move |u, out| out[0] = u[0] * (2.0 * a))[0]
    };
    Check::new().order(1).scalar(frozen, &at).unwrap();
    let failure = check::scalar(frozen, &at).unwrap_err();
    assert!(failure.report().failures().all(|c| c.order == 2));
}

#[test]
fn the_check_of_numbers_reports_kinks_and_names() {
    let f = |x: &[Curved<f64>]| x[0].abs() + x[1] * x[1];
    let report = check::scalar(f, &[0.0, 1.0]).unwrap();
    let kink = report.kinks().next().expect("a kink");
    assert_eq!((kink.index.as_slice(), kink.order), ([0].as_slice(), 1));
    assert_eq!(kink.verdict(), Verdict::Kink);
    let failure = Check::new()
        .names(["rates"])
        .scalar(|x| x[0].sqrt(), &[-1.0])
        .unwrap_err();
    assert!(failure.to_string().contains("rates"), "{failure}");
    let text = message(|| {
        let _ = Check::new().order(3).scalar(f, &[1.0, 2.0]);
    });
    assert!(text.contains("not of order 3"), "{text}");
}

#[test]
fn functions_of_numbers_go_through_every_transform() {
    use super::transforms::close;
    use wengert::transform::{checkpoint, hessian, hvp, jacobian, jvp, vmap};
    type V = Var<f64>;
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([0.5, 1.5, -2.0]));
    let v = tape.constant(&Tensor::from([1.0, -0.5, 2.0]));
    let plain = |x: V| {
        let x = x * x * x * (-x).exp();
        let next = Var::concat(&[x.slice(0, 1..), x.slice(0, ..1)], 0);
        Var::concat(&[(x / next).sin(), x.prod().unsqueeze(0)], 0)
    };
    let mapped = |x: V| x.map_scalar(Gamma).map_array(Ring, [4]);
    let same = |what: &str, a: V, b: V| close(what, &a.value(), &b.value()).unwrap();
    same("value", mapped(x), plain(x));
    same("jvp", jvp(mapped, x, v).1, jvp(plain, x, v).1);
    // Four rows by three columns: forward mode; with more of the input than of the result: reverse mode.
    same("columns", jacobian(mapped, x), jacobian(plain, x));
    same(
        "rows",
        jacobian(|x| mapped(x).slice(0, ..2), x),
        jacobian(|x| plain(x).slice(0, ..2), x),
    );
    let (f, g) = (
        |x: V| mapped(x).square().sum(),
        |x: V| plain(x).square().sum(),
    );
    same("hvp", hvp(f, x, v), hvp(g, x, v));
    same("hessian", hessian(f, x), hessian(g, x));
    same(
        "third",
        jacobian(|x| hvp(f, x, v), x),
        jacobian(|x| hvp(g, x, v), x),
    );
    let along = |h: fn(V) -> V, x: V| jvp(h, x, v).1;
    same(
        "forward over forward",
        jvp(|x| along(|x| x.map_array(Ring, [4]), x), x, v).1,
        jvp(
            |x: V| {
                let ring = |x: V| {
                    let next = Var::concat(&[x.slice(0, 1..), x.slice(0, ..1)], 0);
                    Var::concat(&[(x / next).sin(), x.prod().unsqueeze(0)], 0)
                };
                jvp(ring, x, v).1
            },
            x,
            v,
        )
        .1,
    );
    let xs = tape.leaf(&Tensor::from([[0.5, 1.5, -2.0], [1.0, 2.0, 3.0]]));
    same(
        "vmap",
        vmap(|x| hvp(f, x, v), xs),
        vmap(|x| hvp(g, x, v), xs),
    );
    same(
        "vmap of jvp",
        vmap(|x| jvp(mapped, x, v).1, xs),
        vmap(|x| jvp(plain, x, v).1, xs),
    );
    same("checkpoint", hvp(|x| checkpoint(f, x), x, v), hvp(g, x, v));
}

/// `exp(x0 x1) sin(x1)` directly and as a function of tensors.
#[test]
fn derivatives_of_any_order_pass_through_a_tensor_function() {
    type Third = Dual<Dual<Dual<f64>>>;
    let f = TensorFunction::<f64>::record([2], |x| {
        ((x.at(0, 0) * x.at(0, 1)).exp() * x.at(0, 1).sin()).reshape([1])
    })
    .unwrap();
    fn alone<S: Real>(x: &[S]) -> S {
        (x[0] * x[1]).exp() * x[1].sin()
    }
    let nested = |x: f64, along: [f64; 3]| -> Third {
        let first = |x: f64| Dual::new(x, [along[0]]);
        let second = |x: f64| Dual::new(first(x), [Dual::new(along[1], [0.0])]);
        let still = Dual::new(Dual::new(0.0, [0.0]), [Dual::new(0.0, [0.0])]);
        Dual::new(second(x), [still + along[2]])
    };
    let x = [nested(0.5, [1.0, 0.0, 0.5]), nested(1.25, [0.0, 1.0, -2.0])];
    let all = |y: Third| {
        let parts = [y.value(), y.tangent()].map(|y| [y.value(), y.tangent()]);
        parts
            .concat()
            .into_iter()
            .flat_map(|y| [y.value(), y.tangent()])
            .collect::<Vec<f64>>()
    };
    near(&all(f.call(&x)[0]), &all(alone(&x)));
    // A sweep over numbers that carry tangents of tangents: every third derivative along two directions.
    let x = x.map(|x| x.value());
    let (value, gradient) = scalar::gradient(|x| f.call(x)[0], &x);
    let (known, slopes) = scalar::gradient(alone, &x);
    let all = |y: Dual<Dual<f64>>| {
        let parts = [y.value(), y.tangent()].map(|y| [y.value(), y.tangent()]);
        parts.concat()
    };
    near(&all(value), &all(known));
    for (found, known) in gradient.iter().zip(&slopes) {
        near(&all(*found), &all(*known));
    }
}
