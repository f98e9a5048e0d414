//! Functions of many numbers: closed forms, and values that would overflow.

use wengert::scalar::{self, Dual, Scalar};

use super::{close, near};

/// Closed forms of the functions of many numbers.
#[test]
fn functions_of_many_numbers() {
    let x = [0.5, -1.25, 2.0, 0.75];
    let k = [3.0, -1.0, 0.5, 2.0];
    let all = |f: &dyn Fn(&[Scalar<f64>]) -> Scalar<f64>,
               g: &dyn Fn(&[Dual<f64, 4>]) -> Dual<f64, 4>,
               value: f64,
               wanted: [f64; 4]| {
        let (v, found) = scalar::gradient(f, &x);
        let forward = g(&Dual::variables(x));
        near(v, value, [8.0, 0.0], format_args!("value"));
        near(
            forward.value(),
            value,
            [8.0, 0.0],
            format_args!("value, forward"),
        );
        for i in 0..4 {
            near(found[i], wanted[i], [16.0, 0.0], format_args!("by {i}"));
            near(
                forward.tangents()[i],
                wanted[i],
                [16.0, 0.0],
                format_args!("by {i}, forward"),
            );
        }
    };
    all(&|x| scalar::sum(x), &|x| scalar::sum(x), 2.0, [1.0; 4]);
    all(
        &|x| scalar::dot(x, x),
        &|x| scalar::dot(x, x),
        6.375,
        [1.0, -2.5, 4.0, 1.5],
    );
    all(
        &|x| scalar::linear_combination(&k, x),
        &|x| scalar::linear_combination(&k, x),
        1.5 + 1.25 + 1.0 + 1.5,
        k,
    );
    let norm = 6.375_f64.sqrt();
    all(
        &|x| scalar::norm(x),
        &|x| scalar::norm(x),
        norm,
        x.map(|x| x / norm),
    );
    let total: f64 = x.iter().map(|x: &f64| x.exp()).sum();
    all(
        &|x| scalar::log_sum_exp(x),
        &|x| scalar::log_sum_exp(x),
        total.ln(),
        x.map(|x| x.exp() / total),
    );
    // The coefficients are variables and so is the point, the last of them.
    let t = 0.75;
    all(
        &|x| scalar::polynomial(&x[..3], x[3]),
        &|x| scalar::polynomial(&x[..3], x[3]),
        0.5 - 1.25 * t + 2.0 * t * t,
        [1.0, t, t * t, -1.25 + 4.0 * t],
    );
    all(
        &|x| x[0].mul_add(x[1], x[2] * x[3]),
        &|x| x[0].mul_add(x[1], x[2] * x[3]),
        0.5 * -1.25 + 1.5,
        [-1.25, 0.5, 0.75, 2.0],
    );
    // Of nothing.
    assert_eq!(scalar::sum::<Scalar<f64>>(&[]).value(), 0.0);
    assert_eq!(scalar::dot::<Dual<f64>>(&[], &[]).value(), 0.0);
    assert_eq!(scalar::norm::<Scalar<f64>>(&[]).value(), 0.0);
    assert_eq!(
        scalar::log_sum_exp::<Scalar<f64>>(&[]).value(),
        f64::NEG_INFINITY
    );
    assert_eq!(scalar::polynomial(&[], Scalar::constant(3.0)).value(), 0.0);
}

#[test]
fn functions_of_many_numbers_do_not_overflow() {
    let (value, gradient) = scalar::gradient(scalar::norm, &[3e200_f64, 4e200]);
    assert!((value / 5e200 - 1.0).abs() < 1e-15);
    assert!(close(gradient[0], 0.6, 1e-15) && close(gradient[1], 0.8, 1e-15));
    let (value, gradient) = scalar::gradient(scalar::norm, &[3e-200_f64, 4e-200]);
    assert!((value / 5e-200 - 1.0).abs() < 1e-15);
    assert!(close(gradient[0], 0.6, 1e-15) && close(gradient[1], 0.8, 1e-15));
    let (value, gradient) = scalar::gradient(scalar::log_sum_exp, &[1000.0, 1000.0, -1000.0]);
    assert!(close(value, 1000.0 + 2.0_f64.ln(), 1e-15));
    assert_eq!(gradient, [0.5, 0.5, 0.0]);
    let (value, gradient) = scalar::gradient(scalar::log_sum_exp, &[f64::NEG_INFINITY, 1.0]);
    assert_eq!((value, gradient), (1.0, vec![0.0, 1.0]));
}
