//! Mistakes panic at the line that made them, in words that name the operation.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert::scalar::{self, Dual, Patterned, Program, Scalar, Tape, Traced};

use crate::suite::panic::caught;

/// Asserts that an expression panics, at its own line, with a message that contains each of the texts.
macro_rules! refused {
    ($body:expr, $($text:expr),+) => {{
        let panic = caught(|| $body);
        for text in [$($text),+] {
            assert!(panic.message.contains(text), "{:?} does not say {text:?}", panic.message);
        }
        assert!(panic.file.ends_with("panics.rs"), "{panic:?} is not at the caller's line");
        // rustfmt may have broken the expression into lines.
        let lines = line!()..line!() + 12;
        assert!(lines.contains(&panic.line), "{panic:?} is not in {lines:?}");
    }};
}

#[test]
fn scalars_of_two_live_tapes() {
    let (a, b) = (Tape::new(), Tape::new());
    let (x, y) = (a.var(1.0), b.var(2.0));
    refused!(x + y, "add", "two tapes");
    refused!(x - y, "sub", "two tapes");
    refused!(x * y, "mul", "two tapes");
    refused!(x / y, "div", "two tapes");
    refused!(x % y, "rem", "two tapes");
    refused!(std::ops::Add::add(&x, &y), "add", "two tapes");
    refused!(x.powf(y), "powf", "two tapes");
    refused!(x.atan2(y), "atan2", "two tapes");
    refused!(x.hypot(y), "hypot", "two tapes");
    refused!(x.mul_add(x, y), "mul_add", "two tapes");
    refused!(Scalar::constant(2.0).mul_add(x, y), "mul_add", "two tapes");
    refused!(
        {
            let mut z = x;
            z += y;
        },
        "add",
        "two tapes"
    );
    refused!(scalar::sum(&[x, x * x, y]), "sum", "two tapes");
    refused!(scalar::dot(&[x, x], &[x, y]), "dot", "two tapes");
    refused!(scalar::norm(&[y, x]), "norm", "two tapes");
    refused!(scalar::log_sum_exp(&[y, x]), "log_sum_exp", "two tapes");
    refused!(scalar::polynomial(&[x, x], y), "polynomial", "two tapes");
    refused!(
        scalar::linear_combination(&[1.0, 2.0], &[x, y]),
        "linear_combination",
        "two tapes"
    );
    refused!(a.gradient(y), "gradient", "two tapes");
    refused!(a.gradient_of(x, &[y]), "gradient_of", "two tapes");
    refused!(a.vjp(&[x, y], &[1.0, 1.0]), "vjp", "two tapes");
    refused!(a.watch(y), "watch", "two tapes");
    refused!(a.custom(&[y], 1.0, &[1.0]), "custom", "two tapes");
    refused!(
        a.custom_vjp(&[y], &[1.0], |_, _| ()),
        "custom_vjp",
        "two tapes"
    );
    refused!(a.gradient(x).of(y), "another tape");
    refused!(scalar::gradient(|_| x, &[1.0]), "gradient", "two tapes");
    refused!(scalar::vjp(|_| vec![x], &[1.0], &[1.0]), "vjp", "two tapes");
    refused!(
        scalar::jacobian(|_| vec![x, x], &[1.0]),
        "jacobian",
        "two tapes"
    );
    // Nothing was left behind.
    assert_eq!((a.nodes(), b.nodes()), (1, 1));
    assert_eq!(a.gradient_of(x * x, &[x]), [2.0]);
}

#[test]
fn scalars_of_a_tape_that_was_reset_or_dropped() {
    let mut tape = Tape::new();
    let old = tape.vars(&[1.0, 2.0]);
    tape.reset();
    let new = tape.var(3.0);
    let texts = ["reset or dropped"];
    refused!(old[0] * old[1], "mul", texts[0]);
    refused!(old[0] * new, "mul", texts[0]);
    refused!(new * old[0], "mul", texts[0]);
    refused!(scalar::dot(&old, &old), "dot", texts[0]);
    refused!(tape.gradient(old[0]), "gradient", texts[0]);
    refused!(tape.gradient_of(new, &old), "gradient_of", texts[0]);
    drop(tape);
    refused!(new * old[0], "mul", texts[0]);
    refused!(new.hypot(old[0]), "hypot", texts[0]);
    // Another tape in the same slot.
    let tape = Tape::<f64>::new();
    let own = tape.var(1.0);
    refused!(old[0] * old[1], "mul", texts[0]);
    refused!(own * old[1], "mul", texts[0]);
    // A scalar that leaves the function that its tape was made for.
    let mut escaped = Scalar::constant(0.0);
    scalar::gradient(
        |x| {
            escaped = x[0];
            x[0] * x[0]
        },
        &[1.0],
    );
    refused!(own * escaped, "mul", texts[0]);
    refused!(scalar::gradient(|_| escaped, &[1.0]), "gradient", texts[0]);
    // The value can be read all the same.
    assert_eq!(escaped.value(), 1.0);
}

/// Operations that do not touch the tape notice a stale scalar all the same.
#[test]
fn stale_scalars_alone() {
    let mut tape = Tape::new();
    let reset = tape.var(1.0);
    tape.reset();
    let dropped = Tape::new().var(1.0);
    // Whether no tape, another one, or a later one of the same slot was recorded on last.
    for x in [reset, dropped] {
        for between in [|| None, || Some(Tape::<f64>::new())] {
            let _other = between();
            refused!(x.sin(), "sin", "reset or dropped");
            refused!(-x, "neg", "reset or dropped");
            refused!(x.powi(3), "powi", "reset or dropped");
            refused!(x.polygamma(2), "polygamma", "reset or dropped");
            refused!(x * 2.0, "mul", "reset or dropped");
            refused!(2.0 - x, "sub", "reset or dropped");
            refused!(x * Scalar::constant(2.0), "mul", "reset or dropped");
            refused!(Scalar::constant(2.0) / x, "div", "reset or dropped");
            refused!(x.powf(Scalar::constant(2.0)), "powf", "reset or dropped");
            refused!(x + x, "add", "reset or dropped");
            refused!(scalar::sum(&[x]), "sum", "reset or dropped");
            let coefficients = [Scalar::constant(2.0), Scalar::constant(1.0)];
            refused!(
                scalar::polynomial(&coefficients, x),
                "polynomial",
                "reset or dropped"
            );
        }
    }
    let live = tape.var(2.0);
    let foreign = std::thread::spawn(move || std::panic::catch_unwind(|| live * 2.0).is_err());
    assert!(foreign.join().unwrap());
}

/// Functions of one number of a tape that was not recorded on last, and of constants, are in order.
#[test]
fn scalars_alone_of_other_live_tapes() {
    let tapes = [Tape::new(), Tape::new()];
    let [x, y] = [tapes[0].var(2.0), tapes[1].var(3.0)];
    for _ in 0..2 {
        let (a, b) = ((x * 3.0).powi(2), -(y + y).ln());
        assert_eq!(tapes[0].gradient_of(a, &[x]), [36.0]);
        assert_eq!(tapes[1].gradient_of(b, &[y]), [-1.0 / 3.0]);
    }
    let c = Scalar::constant(4.0);
    assert!((-c * 2.0 + c).sqrt().is_constant());
}

#[test]
fn lengths_that_differ() {
    let tape = Tape::new();
    let x = tape.vars(&[1.0, 2.0]);
    refused!(tape.vjp(&x, &[1.0]), "vjp", "2 results and 1 seeds");
    refused!(
        tape.vjp_into(&x, &[1.0], &x, &mut [0.0; 2]),
        "vjp_into",
        "2 results and 1 seeds"
    );
    refused!(
        tape.vjp_into(&x, &[1.0; 2], &x, &mut [0.0]),
        "vjp_into",
        "2 variables",
        "1 derivatives"
    );
    refused!(
        tape.gradient_into(x[0], &x, &mut [0.0; 3]),
        "gradient_into",
        "3 derivatives"
    );
    refused!(
        tape.custom(&x, 1.0, &[1.0]),
        "custom",
        "2 inputs and 1 partials"
    );
    refused!(scalar::dot(&x, &x[1..]), "dot", "2 and 1");
    refused!(
        scalar::linear_combination(&[1.0], &x),
        "linear_combination",
        "1 coefficients and 2"
    );
    let f = |x: &[Scalar<f64>]| vec![x[0]];
    refused!(
        scalar::vjp(f, &[1.0], &[1.0; 2]),
        "vjp",
        "1 results and 2 seeds"
    );
    let f = |x: &[Scalar<f64>], y: &mut [Scalar<f64>]| y[0] = x[0];
    refused!(
        scalar::vjp_into(f, &[1.0], &[1.0; 2], &mut [0.0], &mut [0.0]),
        "vjp",
        "1 results and 2 seeds"
    );
    refused!(
        scalar::vjp_into(f, &[1.0], &[1.0], &mut [0.0], &mut [0.0; 2]),
        "vjp_into",
        "1 variables"
    );
    refused!(
        scalar::jacobian_into(f, &[1.0], &mut [0.0], &mut [0.0; 2]),
        "jacobian_into",
        "1 results"
    );
    refused!(
        scalar::gradient_into(|x| x[0], &[1.0], &mut []),
        "gradient_into",
        "1 variables"
    );
    refused!(
        scalar::hessian_into(|x| x[0], &[1.0], &mut [0.0], &mut []),
        "hessian_into",
        "1 variables"
    );
    refused!(scalar::hvp(|x| x[0], &[1.0], &[]), "hvp", "direction of 0");
    refused!(
        scalar::jvp(|x: &[Dual<f64>]| vec![x[0]], &[1.0], &[]),
        "jvp",
        "direction of 0"
    );
    let f = |x: &[Dual<f64>], y: &mut [Dual<f64>]| y[0] = x[0];
    refused!(
        scalar::jvp_into(f, &[1.0], &[1.0], &mut [0.0], &mut []),
        "jvp_into",
        "1 values"
    );
    let mut program = Program::record(|x| vec![x[0]], &[1.0]);
    refused!(
        program.evaluate(&[1.0, 2.0]),
        "evaluate",
        "2 numbers for 1 inputs"
    );
    refused!(
        program.vjp_into(&[1.0], &[], &mut [0.0]),
        "vjp_into",
        "0 seeds"
    );
}

#[test]
fn derivatives_by_intermediate_results() {
    let tape = Tape::new();
    let x = tape.var(1.5);
    refused!(tape.gradient_of(x, &[x * x]), "gradient_of", "watch");
    refused!(tape.gradient_of(x, &[x * 2.0]), "gradient_of", "watch");
    refused!(tape.gradient(x).of(x + 1.0), "of", "watch");
    let before = tape.gradient(x);
    let later = tape.var(2.0);
    refused!(before.of(later), "of");
}

#[test]
fn bounds_that_cross() {
    let tape = Tape::new();
    let x = tape.var(1.0);
    refused!(x.clamp(2.0.into(), 1.0.into()), "clamp");
    refused!(x.clamp(f64::NAN.into(), 1.0.into()), "clamp");
    refused!(
        num_traits::Float::clamp(x, 2.0.into(), 1.0.into()),
        "clamp: the lower bound"
    );
}

#[test]
fn more_tapes_than_there_are_slots() {
    // In a thread of its own, so that other tests have theirs.
    let thread = std::thread::spawn(|| {
        let mut tapes = Vec::new();
        let panic = caught(|| {
            loop {
                tapes.push(Tape::<f64>::new());
            }
        });
        assert!(
            panic.message.contains("Tape: more than 64 tapes"),
            "{panic:?}"
        );
        assert!(panic.file.ends_with("panics.rs"), "{panic:?}");
        assert_eq!(tapes.len(), 64);
        let x = tapes[10].var(3.0);
        assert_eq!(tapes[10].gradient_of(x * x, &[x]), [6.0]);
        drop(tapes);
        assert_eq!(scalar::gradient(|x| x[0] * x[0], &[2.0]).1, [4.0]);
    });
    thread.join().expect("the thread ends well");
}

#[test]
fn scalars_of_another_thread() {
    let tape = Tape::new();
    let z = tape.var(2.0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let own_tape = Tape::new();
            let own = own_tape.var(1.0);
            refused!(z * own, "mul", "another thread");
            refused!(own.hypot(z), "hypot", "another thread");
            refused!(scalar::norm(&[z, z]), "norm", "another thread");
            refused!(own_tape.gradient(z), "gradient", "another thread");
            // Its value may be used.
            assert_eq!(own_tape.gradient_of(own * z.value(), &[own]), [2.0]);
        });
    });
    assert_eq!(tape.gradient_of(z * z, &[z]), [4.0]);
}

/// A panic inside of a function leaves no trace: the next gradient is right.
#[test]
fn functions_that_panic() {
    for _ in 0..1000 {
        let broken = catch_unwind(AssertUnwindSafe(|| {
            caught(|| {
                scalar::gradient(
                    |x: &[Scalar<f64>]| {
                        let y = x[0] * x[1];
                        assert!(y > 1e9, "too small");
                        y
                    },
                    &[1.0, 2.0],
                )
            })
        }));
        assert_eq!(broken.expect("a panic").message, "too small");
    }
    assert_eq!(scalar::gradient(|x| x[0] * x[1], &[1.0, 2.0]).1, [2.0, 1.0]);
}

/// Without debug assertions the tangents would be added.
#[cfg(debug_assertions)]
#[test]
fn numbers_of_two_derivatives_forward() {
    let of = |f: &dyn Fn(Dual<f64>, Dual<f64>)| {
        scalar::derivative(
            |x: Dual<f64>| {
                scalar::derivative(
                    |y: Dual<f64>| {
                        f(x, y);
                        y
                    },
                    1.0,
                );
                x
            },
            1.0,
        );
    };
    of(&|x, y| refused!(x + y, "add", "two derivatives"));
    of(&|x, y| refused!(y.powf(x), "powf", "two derivatives"));
    of(&|x, y| refused!(scalar::dot(&[x, y], &[y, y]), "dot", "two derivatives"));
    of(&|x, y| refused!(x.mul_add(y, y), "mul_add", "two derivatives"));
    // What is constant to the inner one, and numbers made one by one, meet all others.
    of(&|x, y| {
        let sum = y * Dual::constant(x.value()) + Dual::new(2.0, [0.5]);
        assert_eq!(sum.tangents(), [1.5]);
    });
    refused!(
        scalar::derivative(|x| x * scalar::derivative(|_: Dual<f64>| x, 1.0).1, 1.0),
        "derivative",
        "two derivatives"
    );
    refused!(
        scalar::jvp(
            |x| vec![scalar::jvp(|_| vec![x[0]], &[1.0], &[1.0]).1[0] * x[0]],
            &[1.0],
            &[1.0]
        ),
        "jvp",
        "two derivatives"
    );
    // The derivative of an inner derivative.
    let (slope, curvature) = scalar::derivative(
        |x: Dual<f64>| scalar::derivative(|y| Dual::constant(x) * y * y, x).1,
        3.0,
    );
    assert_eq!((slope, curvature), (18.0, 12.0));
}

#[test]
fn results_of_another_call_of_a_sparse_derivative() {
    let mut kept = None;
    scalar::hessian_sparse(
        |x| {
            kept = Some(x[0]);
            x[0] * x[1]
        },
        &[1.0, 2.0],
    );
    let old = kept.expect("it was run");
    refused!(
        scalar::hessian_sparse(|_| old, &[1.0, 2.0]),
        "hessian_sparse",
        "another call"
    );
    refused!(
        scalar::jacobian_sparse(|x| vec![x[0], old], &[1.0, 2.0]),
        "jacobian_sparse",
        "another call"
    );
    refused!(
        scalar::hessian_sparse(
            |x| {
                scalar::hessian_sparse(|_| x[1], &[1.0, 2.0]);
                x[0]
            },
            &[1.0, 2.0]
        ),
        "hessian_sparse",
        "another call"
    );
}

#[test]
fn numbers_of_a_program_that_was_recorded() {
    use num_traits::{Float, ToPrimitive, Zero};

    let mut escaped = Vec::new();
    let f = |x: &[Traced<f64>]| {
        escaped.extend_from_slice(x);
        vec![x[0]]
    };
    Program::record(f, &[1.0, 2.0]);
    let (x, y) = (escaped[0], escaped[1]);
    let ended = "the recording of this number has ended";
    refused!(x.sin(), "sin", ended);
    refused!(-x, "neg", ended);
    refused!(x.powi(3), "powi", ended);
    refused!(Float::exp(x), "exp", ended);
    refused!(x + y, "add", ended);
    refused!(x * 2.0, "mul", ended);
    refused!(x.max(y), "max", ended);
    refused!(x.min(1.0.into()), "min", ended);
    refused!(x.mul_add(y, y), "mul_add", ended);
    refused!(x.floor(), "floor", ended);
    refused!(x.signum(), "signum", ended);
    refused!(Float::trunc(x), "trunc", ended);
    refused!(x.value(), "value", ended);
    refused!(scalar::Real::primal(x), "value", ended);
    refused!(x.to_f64(), "value", ended);
    refused!(x.is_nan(), "classify", ended);
    refused!(x < y, "partial_cmp", ended);
    refused!(x <= y, "partial_cmp", ended);
    refused!(x > y, "partial_cmp", ended);
    refused!(x >= 1.0, "partial_cmp", ended);
    refused!(x == y, "partial_cmp", ended);
    refused!(x != 1.0, "partial_cmp", ended);
    refused!(x.is_zero(), "partial_cmp", ended);
    refused!(x.clamp(y, y), "partial_cmp", ended);
    refused!(scalar::sum(&[x, y]), "sum", ended);
    refused!(scalar::dot(&[x], &[y]), "dot", ended);
    refused!(scalar::norm(&[x, y]), "norm", ended);
    refused!(scalar::log_sum_exp(&[x, y]), "log_sum_exp", ended);
    refused!(scalar::polynomial(&[x, y], x), "polynomial", ended);
    refused!(
        scalar::linear_combination(&[1.0, 2.0], &[x, y]),
        "linear_combination",
        ended
    );
    let two = "numbers of two recordings";
    Program::record(
        |z: &[Traced<f64>]| {
            refused!(z[0] + x, "add", two);
            refused!(z[0].mul_add(z[0], x), "mul_add", two);
            refused!(z[0] < x, "partial_cmp", two);
            refused!(scalar::norm(&[z[0], x]), "norm", two);
            refused!(scalar::dot(&[z[0]], &[x]), "dot", two);
            vec![]
        },
        &[1.0],
    );
    refused!(Program::record(|_| vec![x], &[1.0]), "record", two);
}

#[test]
fn numbers_of_a_sparse_derivative_that_was_found() {
    let mut escaped = Vec::new();
    let f = |x: &[Patterned<f64>]| {
        escaped.extend_from_slice(x);
        vec![x[0]]
    };
    scalar::jacobian_sparse(f, &[1.0, 2.0]);
    let (x, y) = (escaped[0], escaped[1]);
    let ended = "is used after the call has returned";
    refused!(x.sin(), "sin", ended);
    refused!(x.powi(3), "powi", ended);
    refused!(x + y, "add", ended);
    refused!(2.0 / x, "div", ended);
    refused!(x.powf(2.0.into()), "powf", ended);
    refused!(x.mul_add(y, y), "mul_add", ended);
    refused!(
        Patterned::custom(&[x], 1.0, &[1.0], |_, _| None),
        "custom",
        ended
    );
    refused!(scalar::sum(&[x, y]), "sum", ended);
    refused!(scalar::dot(&[x], &[y]), "dot", ended);
    refused!(scalar::norm(&[x, y]), "norm", ended);
    refused!(scalar::log_sum_exp(&[x, y]), "log_sum_exp", ended);
    refused!(scalar::polynomial(&[x, y], x), "polynomial", ended);
    refused!(
        scalar::linear_combination(&[1.0, 2.0], &[x, y]),
        "linear_combination",
        ended
    );
    let two = "numbers of two sparse derivatives";
    scalar::hessian_sparse(
        |z| {
            refused!(z[0] * x, "mul", two);
            refused!(z[0].mul_add(z[0], x), "mul_add", two);
            refused!(scalar::norm(&[z[0], x]), "norm", two);
            refused!(scalar::sum(&[z[0], x]), "sum", two);
            z[0]
        },
        &[1.0],
    );
}
