//! The tape in the hand: several outputs, watched results, functions with rules of their own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert::scalar::{self, Dual, Scalar, Tape};

#[test]
fn custom_rules() {
    let tape = Tape::new();
    let x = tape.vars(&[2.0, 3.0, 5.0]);
    let constant = Scalar::constant(7.0);
    let y = tape.custom_vjp(
        &[x[0] * 2.0, constant, x[1] * x[2]],
        &[11.0, 13.0],
        |u, out| {
            assert_eq!(u.len(), 2);
            out.copy_from_slice(&[u[0], f64::NAN, u[0] + 10.0 * u[1]]);
        },
    );
    assert_eq!((y[0].value(), y[1].value()), (11.0, 13.0));
    let result = y[0] * y[1];
    assert_eq!(
        tape.gradient_of(result, &x),
        [26.0, 123.0 * 5.0, 123.0 * 3.0]
    );
    assert_eq!(tape.gradient_of(y[0], &x), [2.0, 5.0, 3.0]);
    // Twice the same: nothing was left behind.
    assert_eq!(
        tape.gradient_of(result, &x),
        [26.0, 123.0 * 5.0, 123.0 * 3.0]
    );
    assert_eq!(tape.gradient(result).of(x[0]), 26.0);
    let wide = tape.custom(
        &[x[0], x[1], x[2], constant],
        1.0,
        &[1.0, 2.0, 3.0, f64::INFINITY],
    );
    assert_eq!(tape.gradient_of(wide, &x), [1.0, 2.0, 3.0]);
}

#[test]
fn a_rule_that_panics_or_records_leaves_the_tape_as_it_was() {
    let tape = std::rc::Rc::new(Tape::new());
    let x = tape.vars(&[2.0, 3.0]);
    let broken = tape.custom_vjp(&[x[0]], &[1.0], |_, _| panic!("broken"));
    let y = broken[0] * x[1] + x[0] * x[1];
    let z = x[0] * x[1] * x[0];
    assert!(catch_unwind(AssertUnwindSafe(|| tape.gradient_of(y, &x))).is_err());
    assert_eq!(tape.gradient_of(z, &x), [12.0, 4.0]);
    let inner = x.clone();
    let records = tape.custom_vjp(&[x[0]], &[1.0], move |_, out| {
        out[0] = (inner[0] * inner[1]).value()
    });
    assert!(catch_unwind(AssertUnwindSafe(|| tape.gradient_of(records[0], &x))).is_err());
    let again = tape.clone();
    let inner = x.clone();
    let sweeps = tape.custom_vjp(&[x[0]], &[1.0], move |_, out| {
        out[0] = again.gradient_of(inner[1], &inner)[1]
    });
    assert!(catch_unwind(AssertUnwindSafe(|| tape.gradient_of(sweeps[0], &x))).is_err());
    assert_eq!(tape.gradient_of(z, &x), [12.0, 4.0]);
}

#[test]
fn several_results_are_swept_in_any_order() {
    let tape = Tape::new();
    let x = tape.vars(&[2.0, 3.0]);
    let product = x[0] * x[1];
    let quotient = product / (x[0] + x[1]);
    let last = quotient * product;
    let wanted = [
        (
            last,
            [
                2.0 * 2.0 * 9.0 / 5.0 - 36.0 / 25.0,
                2.0 * 4.0 * 3.0 / 5.0 - 36.0 / 25.0,
            ],
        ),
        (product, [3.0, 2.0]),
        (quotient, [9.0 / 25.0, 4.0 / 25.0]),
        (x[1], [0.0, 1.0]),
        (Scalar::constant(7.0), [0.0, 0.0]),
    ];
    let near = |found: &[f64], wanted: [f64; 2]| {
        let off = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f64::max) < 1e-14, "{found:?}, not {wanted:?}");
    };
    for &(y, gradient) in wanted.iter().chain(wanted.iter().rev()) {
        near(&tape.gradient_of(y, &x), gradient);
        let adjoints = tape.gradient(y);
        near(&[adjoints.of(x[0]), adjoints.of(x[1])], gradient);
    }
    // A weighted sum of results is their weighted gradients; a seed of 0 leaves a result out.
    let adjoints = tape.vjp(&[last, product, quotient], &[0.0, 2.0, -25.0]);
    near(
        &[adjoints.of(x[0]), adjoints.of(x[1])],
        [6.0 - 9.0, 4.0 - 4.0],
    );
    // The same result twice counts twice.
    let mut both = [0.0; 2];
    tape.vjp_into(&[product, product], &[1.0, 2.0], &x, &mut both);
    assert_eq!(both, [9.0, 6.0]);
}

#[test]
fn what_is_recorded_is_counted() {
    let mut tape = Tape::new();
    assert_eq!((tape.nodes(), tape.bytes()), (0, 0));
    let x = tape.vars(&[2.0, 3.0]);
    assert_eq!(tape.nodes(), 2);
    // Constants, and functions of one number, are not recorded.
    let y = (x[0] * 2.0 + 1.0).sin().exp() / 3.0 - Scalar::constant(1.0);
    let z = Scalar::constant(2.0) * Scalar::constant(3.0);
    assert_eq!(tape.nodes(), 2);
    let w = y * x[1];
    assert_eq!(tape.nodes(), 3);
    scalar::dot(&[x[0], y, w], &[x[1], x[1], z]);
    assert_eq!(tape.nodes(), 4);
    let bytes = tape.bytes();
    assert!((4 * 24..200).contains(&bytes), "{bytes}");
    tape.reset();
    assert_eq!((tape.nodes(), tape.bytes()), (0, 0));
}

#[test]
fn tapes_live_beside_each_other() {
    let (a, b, c) = (
        Tape::<f64>::new(),
        Tape::<f64>::new(),
        Tape::<Dual<f64>>::new(),
    );
    let (mut x, mut y, mut z) = (a.var(1.5), b.var(0.5), c.var(Dual::variable(1.5)));
    let start = (x, y, z);
    for _ in 0..500 {
        x = x * start.0 / (x + 1.0);
        y = y * start.1 / (y + 1.0);
        z = z * start.2 / (z + 1.0);
    }
    let alone = scalar::gradient(
        |x: &[Scalar<f64>]| (0..500).fold(x[0], |y, _| y * x[0] / (y + 1.0)),
        &[1.5],
    );
    assert_eq!(a.gradient_of(x, &[start.0]), alone.1);
    let curved = c.gradient_of(z, &[start.2])[0];
    assert_eq!(curved.value(), alone.1[0]);
    assert!((z.value().tangent() - curved.value()).abs() < 1e-12);
    drop(a);
    assert_eq!(b.gradient_of(y, &[start.1]).len(), 1);
}

#[test]
fn watched_results_have_derivatives() {
    let tape = Tape::new();
    let x = tape.var(0.5_f64);
    let early = tape.watch(x.sin());
    let late = tape.watch(early.exp() * x);
    let constant = tape.watch(Scalar::constant(4.0));
    let y = late * early * constant;
    let s = 0.5_f64.sin();
    let wanted = [
        4.0 * s,
        4.0 * (s * s.exp() * 0.5 + s.exp() * 0.5),
        0.5 * s.exp() * s,
    ];
    let found = tape.gradient_of(y, &[late, early, constant]);
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() < 1e-14, "{found}, not {wanted}");
    }
}
