//! Memory: flat over many resets, and nothing allocated in the inner loop.

use wengert::scalar::{self, Dual, Real, Scalar, Tape};

use super::close;
use crate::suite::memory::{allocations, bytes};

#[test]
fn memory_is_flat_and_nothing_is_allocated_in_the_loop() {
    let mut tape = Tape::new();
    let mut g = [0.0; 2];
    let mut before = 0;
    for round in 0..1_000_000 {
        if round == 10 {
            before = allocations();
        }
        tape.reset();
        let x = [tape.var(2.0), tape.var(3.0)];
        let y = scalar::sum(&[x[0] * x[1], x[0].sin(), x[1]]);
        tape.gradient_into(y, &x, &mut g);
    }
    assert_eq!(allocations(), before);
    assert_eq!(tape.nodes(), 4);
}

#[test]
fn functions_into_buffers_allocate_nothing() {
    let x: Vec<f64> = (0..100).map(|i| 0.1 * f64::from(i)).collect();
    let (mut g, mut p, mut h) = (vec![0.0; 100], vec![0.0; 100], vec![0.0; 100 * 100]);
    let (mut values, mut jacobian) = ([0.0; 3], vec![0.0; 300]);
    let (mut tall, mut tall_jacobian) = ([0.0; 5], [0.0; 10]);
    fn f<S: Real>(x: &[S]) -> S {
        x.windows(2).fold(S::zero(), |s, w| s + w[0] * w[1].sin())
    }
    let mut before = 0;
    for round in 0..4 {
        if round == 2 {
            before = allocations();
        }
        scalar::gradient_into(|x| f(x) * x[1], &x, &mut g);
        scalar::hvp_into(f, &x, &x, &mut g, &mut p);
        scalar::hessian_into(f, &x, &mut g, &mut h);
        scalar::jacobian_into(
            |x, y| {
                for i in 0..3 {
                    y[i] = f(x) * x[i];
                }
            },
            &x,
            &mut values,
            &mut jacobian,
        );
        scalar::jacobian_into(
            |x, y| {
                for (i, y) in y.iter_mut().enumerate() {
                    *y = x[0] * x[1] * i as f64;
                }
            },
            &x[1..3],
            &mut tall,
            &mut tall_jacobian,
        );
        scalar::vjp_into(|x, y| y[0] = f(x), &x, &[1.0], &mut values[..1], &mut g);
    }
    assert_eq!(allocations(), before);
    assert!(close(tall_jacobian[8], 4.0 * x[2], 1e-15));
}

#[test]
fn a_million_resets_leave_memory_flat() {
    let mut tape = Tape::new();
    let mut warm = 0;
    let mut sum = 0.0_f64;
    for round in 0..1_000_000_usize {
        tape.reset();
        let x = tape.var(0.5);
        // Of changing length, with wide nodes and custom functions now and then.
        let mut y = (0..round % 7).fold(x, |y, _| y * x.sin());
        if round % 5 == 0 {
            y = scalar::sum(&[x * y, y, x]);
        }
        if round % 1000 == 0 {
            y = tape.custom_vjp(&[y], &[1.0], |u, out| out[0] = 2.0 * u[0])[0];
        }
        sum += tape.gradient_of(y, &[x])[0];
        if round == 10_000 {
            warm = bytes();
        }
    }
    assert!(sum.is_finite());
    // What the last round holds is on its tape.
    tape.reset();
    assert!(
        bytes() <= warm,
        "{} bytes more than after 10,000 rounds",
        bytes() - warm
    );
}

#[test]
fn products_along_a_direction_allocate_nothing_for_any_number_of_variables() {
    for n in [3, 33, 500] {
        let x: Vec<f64> = (0..n).map(|i| 0.01 * i as f64).collect();
        let (mut values, mut tangents) = (vec![0.0; n], vec![0.0; n]);
        let mut before = 0;
        for round in 0..4 {
            if round == 2 {
                before = allocations();
            }
            scalar::jvp_into(
                |x, y: &mut [Dual<f64>]| {
                    for (y, x) in y.iter_mut().zip(x) {
                        *y = *x * *x;
                    }
                },
                &x,
                &x,
                &mut values,
                &mut tangents,
            );
        }
        assert_eq!(allocations(), before);
        for i in 0..n {
            assert_eq!((values[i], tangents[i]), (x[i] * x[i], 2.0 * x[i] * x[i]));
        }
    }
}

#[test]
fn functions_of_many_numbers_allocate_nothing() {
    let mut tape = Tape::new();
    let x: Vec<f64> = (0..100).map(|i| 0.01 * f64::from(i)).collect();
    let (mut vars, mut gradient) = (Vec::new(), vec![0.0; 100]);
    let mut before = 0;
    for round in 0..4 {
        if round == 2 {
            before = allocations();
        }
        tape.reset();
        tape.vars_into(&x, &mut vars);
        let y: Scalar<f64> = scalar::polynomial(&vars, vars[3])
            + scalar::log_sum_exp(&vars)
            + scalar::norm(&vars)
            + scalar::dot(&vars, &vars)
            + scalar::linear_combination(&x, &vars);
        tape.gradient_into(y, &vars, &mut gradient);
    }
    assert_eq!(allocations(), before);
    assert!(close(
        gradient[0],
        1.0 + (0.0 - scalar::log_sum_exp(&x)).exp(),
        1e-12
    ));
}
