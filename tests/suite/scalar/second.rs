//! Second derivatives, and nested derivatives of any kind.

use proptest::prelude::*;
use wengert::scalar::{self, Curved, Dual, Real, Scalar};

use super::close;
use super::trees::expressions;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn second_derivatives_agree_in_every_nesting(
        e in expressions(3),
        x in prop::array::uniform3(-1.5..1.5_f64),
    ) {
        let (value, gradient, hessian) = scalar::hessian(|x: &[Curved<f64>]| e.at(x), &x);
        let plain = scalar::gradient(|x| e.at(x), &x);
        prop_assert_eq!(value.to_bits(), plain.0.to_bits());
        // Reverse over reverse.
        let nested = |j: usize| scalar::gradient(|x: &[Scalar<f64>]| scalar::gradient(|z| e.at(z), x).1[j], &x).1;
        // Forward over forward.
        let forward = |i: usize, j: usize| {
            let y = Dual::variables(std::array::from_fn::<_, 3, _>(|k| Dual::new(x[k], [f64::from(u8::from(k == j))])));
            e.at(&y).tangents()[i].tangent()
        };
        for i in 0..3 {
            prop_assert!(close(gradient[i], plain.1[i], 1e-11));
            let row = nested(i);
            for j in 0..3 {
                prop_assert!(close(hessian[i * 3 + j], hessian[j * 3 + i], 1e-9));
                prop_assert!(close(hessian[i * 3 + j], row[j], 1e-9));
                prop_assert!(close(hessian[i * 3 + j], forward(i, j), 1e-9));
            }
        }
        let (_, _, product) = scalar::hvp(|x| e.at(x), &x, &[1.0, -2.0, 0.5]);
        for i in 0..3 {
            let expected = hessian[i * 3] - 2.0 * hessian[i * 3 + 1] + 0.5 * hessian[i * 3 + 2];
            prop_assert!(close(product[i], expected, 1e-9));
        }
    }
}

#[test]
fn perturbations_are_not_confused() {
    // d/dx (x * d/dy (x + y)) = 1, the example of Siskind and Pearlmutter (2005).
    let (_, d) = scalar::derivative(
        |x| x * scalar::derivative(|y| Dual::constant(x) + y, Dual::variable(1.0)).1,
        1.0,
    );
    assert_eq!(d, 1.0);
    let (_, d) = scalar::gradient(
        |x| x[0] * scalar::gradient(|y| Scalar::constant(x[0]) * y[0] * y[0], &[x[0]]).1[0],
        &[3.0],
    );
    // x * 2 x^2, of which y's x is x too.
    assert_eq!(d, [54.0]);
    // A gradient inside of one of the same type, of plain numbers.
    let (_, d) = scalar::gradient(
        |x| {
            let k = scalar::gradient(|y| y[0] * y[0] * y[1], &[x[0].value(), 5.0]).1[0];
            x[0] * k * x[1]
        },
        &[3.0, 2.0],
    );
    assert_eq!(d, [60.0, 90.0]);
}

/// `x^2 y^3 sin z`, and its derivative of order `[a, b, c]`.
fn product<S: Real>(x: S, y: S, z: S) -> S {
    x * x * y.powi(3) * z.sin()
}

fn derivative_of_product([x, y, z]: [f64; 3], [a, b, c]: [usize; 3]) -> f64 {
    let by_x = [x * x, 2.0 * x, 2.0, 0.0][a];
    let by_y = [y * y * y, 3.0 * y * y, 6.0 * y, 6.0][b];
    let by_z = [z.sin(), z.cos(), -z.sin(), -z.cos()][c];
    by_x * by_y * by_z
}

#[test]
fn mixed_derivatives_are_the_same_in_either_order() {
    let at = [1.5, -0.75, 0.5];
    let hessian = scalar::hessian(|x| product(x[0], x[1], x[2]), &at).2;
    for i in 0..3 {
        for j in 0..3 {
            let mut order = [0; 3];
            order[i] += 1;
            order[j] += 1;
            let wanted = derivative_of_product(at, order);
            // By `i` inside and by `j` outside, in the four combinations of modes.
            let basis =
                |k: usize| std::array::from_fn::<f64, 3, _>(|l| f64::from(u8::from(k == l)));
            let forward = {
                let x: [Dual<Dual<f64>>; 3] = std::array::from_fn(|k| {
                    Dual::new(
                        Dual::new(at[k], [basis(j)[k]]),
                        [Dual::constant(basis(i)[k])],
                    )
                });
                product(x[0], x[1], x[2]).tangent().tangent()
            };
            let reverse_inside = scalar::hvp(|x| product(x[0], x[1], x[2]), &at, &basis(j)).2[i];
            let reverse_outside = {
                let inner = |x: &[Scalar<f64>]| {
                    let x: [Dual<Scalar<f64>>; 3] =
                        std::array::from_fn(|k| Dual::new(x[k], [basis(i)[k].into()]));
                    product(x[0], x[1], x[2]).tangent()
                };
                scalar::gradient(inner, &at).1[j]
            };
            let reverse = scalar::gradient(
                |x: &[Scalar<f64>]| scalar::gradient(|x| product(x[0], x[1], x[2]), x).1[i],
                &at,
            )
            .1[j];
            for found in [
                hessian[i * 3 + j],
                hessian[j * 3 + i],
                forward,
                reverse_inside,
                reverse_outside,
                reverse,
            ] {
                assert!(
                    close(found, wanted, 1e-14),
                    "by {i} and {j}: {found}, not {wanted}"
                );
            }
        }
    }
}

#[test]
fn third_derivatives_by_reverse_over_forward_over_reverse() {
    let at = [1.5, -0.75, 0.5];
    for order in [[3, 0, 0], [2, 1, 0], [1, 1, 1], [0, 2, 1], [0, 0, 3]] {
        let variables: Vec<usize> = (0..3).flat_map(|k| vec![k; order[k]]).collect();
        let [a, b, c] = [variables[0], variables[1], variables[2]];
        let second = |x: &[Scalar<f64>]| {
            let direction: Vec<Scalar<f64>> =
                (0..3).map(|k| f64::from(u8::from(k == b)).into()).collect();
            scalar::hvp(|x| product(x[0], x[1], x[2]), x, &direction).2[a]
        };
        let found = scalar::gradient(second, &at).1[c];
        let wanted = derivative_of_product(at, order);
        assert!(
            close(found, wanted, 1e-13),
            "{order:?}: {found}, not {wanted}"
        );
    }
}

#[test]
fn second_derivatives_that_vanish_keep_their_digits() {
    // Each is `c x` up to a relative error of some `x^2`.
    let functions: [(&str, f64); 4] = [
        ("tanh", -2.0),
        ("asin", 1.0),
        ("acos", -1.0),
        ("atanh", 2.0),
    ];
    fn at<S: Real>(name: &str, x: S) -> S {
        match name {
            "tanh" => x.tanh(),
            "asin" => x.asin(),
            "acos" => x.acos(),
            _ => x.atanh(),
        }
    }
    for (name, factor) in functions {
        for x in [1e-9, -1e-30, 1e-300, 0.0] {
            let reverse = scalar::hessian(|v: &[Curved<f64>]| at(name, v[0]), &[x]).2[0];
            let forward = scalar::derivative(|x| scalar::derivative(|x| at(name, x), x).1, x).1;
            let twice =
                scalar::gradient(|v| scalar::gradient(|v| at(name, v[0]), v).1[0], &[x]).1[0];
            let series = scalar::taylor::<f64, 3>(|v| at(name, v[0]), &[x], &[1.0])[2];
            for found in [reverse, forward, twice, series] {
                super::near(found, factor * x, [4.0, 0.0], format_args!("{name} at {x}"));
            }
        }
    }
}
