//! What is recorded where: tapes in turn, deep nesting, wide nodes of all lengths, and several adjoints at once.

use wengert::scalar::{self, Scalar, Tape};

#[test]
fn tapes_recorded_on_in_turn_do_not_mix() {
    let (a, b, c) = (Tape::new(), Tape::new(), Tape::<f32>::new());
    let (x, y, z) = (a.vars(&[2.0, 0.5]), b.vars(&[3.0, 0.25]), c.var(4.0));
    let (mut u, mut v, mut w) = (x[0], y[0], z);
    // More than the first growth of a tape holds.
    for _ in 0..1500 {
        u = u * x[1].sin() - u;
        v = v * y[1].cos() - v;
        w = scalar::dot(&[w, z], &[z, w]) * 0.125;
    }
    assert_eq!((a.nodes(), b.nodes(), c.nodes()), (3002, 3002, 1501));
    let alone = |values: [f64; 2], f: fn(Scalar<f64>) -> Scalar<f64>| {
        let tape = Tape::new();
        let x = tape.vars(&values);
        let u = (0..1500).fold(x[0], |u, _| u * f(x[1]) - u);
        (u.value(), tape.gradient_of(u, &x))
    };
    assert_eq!(
        (u.value(), a.gradient_of(u, &x)),
        alone([2.0, 0.5], Scalar::sin)
    );
    assert_eq!(
        (v.value(), b.gradient_of(v, &y)),
        alone([3.0, 0.25], Scalar::cos)
    );
    // Of `w -> 2 z w / 8` at 4, which is w again: the derivative by z is that of (z / 4)^1500 z, 1501.
    assert_eq!(w.value(), 4.0);
    assert_eq!(c.gradient_of(w, &[z]), [1501.0]);
}

/// A tape, and a variable at one of the tape below.
fn above<T: wengert::scalar::Real>(x: T) -> (Tape<T>, Scalar<T>) {
    let tape = Tape::new();
    let x = tape.var(x);
    (tape, x)
}

#[test]
fn six_levels_of_tapes() {
    let (t1, x1) = above(2.0_f64);
    let (t2, x2) = above(x1);
    let (t3, x3) = above(x2);
    let (t4, x4) = above(x3);
    let (t5, x5) = above(x4);
    let (t6, x6) = above(x5);
    // x^4 + x^3 + x^3 + x: pairs, wide nodes, and operands that are computed on the tapes below meanwhile.
    let square = x6 * x6;
    let y = scalar::sum(&[
        square * square,
        scalar::dot(&[x6, square], &[square, x6]),
        x6,
    ]);
    assert_eq!(y.value().value().value().value().value().value(), 34.0);
    let d = t6.gradient_of(y, &[x6])[0];
    assert_eq!(d.value().value().value().value().value(), 32.0 + 24.0 + 1.0);
    let d = t5.gradient_of(d, &[x5])[0];
    assert_eq!(d.value().value().value().value(), 48.0 + 24.0);
    let d = t4.gradient_of(d, &[x4])[0];
    assert_eq!(d.value().value().value(), 48.0 + 12.0);
    let d = t3.gradient_of(d, &[x3])[0];
    assert_eq!(d.value().value(), 24.0);
    let d = t2.gradient_of(d, &[x2])[0];
    assert_eq!((d.value(), t1.gradient_of(d, &[x1])), (0.0, vec![0.0]));
}

#[test]
fn wide_nodes_of_any_length_with_constants_anywhere() {
    for n in 0..8_usize {
        for constants in 0..1_u32 << n {
            let tape = Tape::new();
            let variables: Vec<_> = (0..n).map(|i| tape.var(i as f64 + 1.0)).collect();
            let x: Vec<_> = (0..n)
                .map(|i| match constants >> i & 1 {
                    // The partial derivative by it would be infinite.
                    1 => Scalar::constant(0.0),
                    _ => variables[i],
                })
                .collect();
            let factors: Vec<f64> = (0..n)
                .map(|i| {
                    if constants >> i & 1 == 1 {
                        f64::INFINITY
                    } else {
                        10.0 + i as f64
                    }
                })
                .collect();
            let expected: Vec<f64> = (0..n)
                .map(|i| {
                    if constants >> i & 1 == 1 {
                        0.0
                    } else {
                        10.0 + i as f64
                    }
                })
                .collect();
            let y = scalar::linear_combination(&factors, &x);
            let active = n - constants.count_ones() as usize;
            assert_eq!(tape.nodes(), n + usize::from(active > 1));
            assert_eq!(tape.gradient_of(y, &variables), expected);
            // Forwards: more results than variables.
            let (_, jacobian) = scalar::jacobian(
                |x| {
                    let x: Vec<_> = (0..n)
                        .map(|i| {
                            if expected[i] == 0.0 {
                                Scalar::constant(0.0)
                            } else {
                                x[i]
                            }
                        })
                        .collect();
                    vec![scalar::linear_combination(&factors, &x); n + 1]
                },
                &vec![1.0; n],
            );
            assert_eq!(jacobian, expected.repeat(n + 1));
        }
    }
}

#[test]
fn an_infinite_adjoint_makes_no_nan_of_operands_that_there_are_not() {
    let tape = Tape::new();
    let x = tape.vars(&[0.0, 0.0, 0.0]);
    // An odd number of operands, and a root at 0.
    let total = scalar::sum(&x);
    assert_eq!(tape.nodes(), 4);
    for _ in 0..2 {
        assert_eq!(tape.gradient_of(total.sqrt(), &x), [f64::INFINITY; 3]);
        assert_eq!(tape.gradient_of(total * 2.0, &x), [2.0; 3]);
    }
}

#[test]
fn rows_of_a_jacobian_are_those_of_single_sweeps() {
    for results in 1..10_usize {
        let tape = Tape::new();
        let x = tape.vars(&[0.0, 3.0, 5.0, 7.0]);
        let watched = tape.watch(x[1] * x[2]);
        // A root at 0 is in the first result only: its infinite slope must not reach the others.
        let y: Vec<_> = (0..results)
            .map(|i| match i {
                0 => x[0].sqrt() * x[1],
                1 => Scalar::constant(4.0),
                2 => scalar::dot(&x, &[x[3], watched, x[1], x[2]]),
                _ => watched * x[i % 4] + x[3] / i as f64,
            })
            .collect();
        let by = [x[0], x[1], x[2], watched, Scalar::constant(1.0), x[3]];
        let mut jacobian = vec![f64::NAN; results * by.len()];
        tape.jacobian_into(&y, &by, &mut jacobian);
        for (y, row) in y.iter().zip(jacobian.chunks(by.len())) {
            assert_eq!(row, tape.gradient_of(*y, &by));
        }
        assert_eq!(jacobian[0], f64::INFINITY);
        assert!(jacobian[by.len()..].iter().all(|d| d.is_finite()));
    }
}

#[test]
fn rules_serve_several_adjoints_at_once() {
    let tape = Tape::new();
    let x = tape.vars(&[2.0, 3.0]);
    let swapped = tape.custom_vjp(&x, &[3.0, 2.0], |u, out| out.copy_from_slice(&[u[1], u[0]]));
    let y = [
        swapped[0] * 5.0,
        swapped[1] * x[0],
        x[1],
        swapped[0] * swapped[1],
    ];
    let mut jacobian = [0.0; 8];
    tape.jacobian_into(&y, &x, &mut jacobian);
    assert_eq!(jacobian, [0.0, 5.0, 4.0, 0.0, 0.0, 1.0, 3.0, 2.0]);
}
