//! Programs that were recorded once, at other inputs.

use proptest::prelude::*;
use wengert::scalar::{self, Program, Scalar, Traced};

use super::close;
use super::trees::expressions;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_program_does_what_its_code_does(
        e in expressions(3),
        x in prop::array::uniform3(-1.5..1.5_f64),
        z in prop::array::uniform3(-1.5..1.5_f64),
    ) {
        let mut program = scalar::Program::record(|x| vec![e.at(x), x[0]], &x);
        let mut gradient = [0.0; 3];
        let value = program.vjp_into(&z, &[1.0, 0.0], &mut gradient).unwrap()[0];
        let (expected, wanted) = scalar::gradient(|x| e.at(x), &z);
        prop_assert!(close(value, expected, 1e-13));
        for i in 0..3 {
            prop_assert!(close(gradient[i], wanted[i], 1e-11), "{:?} {:?}", gradient, wanted);
        }
    }
}

#[test]
fn a_replay_that_would_go_another_way_is_an_error() {
    fn other_way(f: impl Fn(&[Traced<f64>]) -> Traced<f64>, at: f64, same: f64, other: f64) {
        let mut program = Program::record(|x| vec![f(x)], &[at]);
        let expected = Program::record(|x| vec![f(x)], &[same])
            .evaluate(&[same])
            .unwrap()
            .to_vec();
        let found = program.evaluate(&[same]).unwrap();
        assert!(found == expected || found[0].is_nan() && expected[0].is_nan());
        let mut gradient = [7.0];
        let error = program
            .vjp_into(&[other], &[1.0], &mut gradient)
            .unwrap_err();
        assert!(error.to_string().contains("record it again"), "{error}");
        assert_eq!(gradient, [7.0]);
    }
    other_way(|x| if x[0] > 1.0 { x[0] } else { -x[0] }, 2.0, 3.0, 0.0);
    other_way(
        |x| {
            if x[0] == x[0] * x[0] {
                x[0]
            } else {
                x[0].sin()
            }
        },
        3.0,
        4.0,
        1.0,
    );
    other_way(
        |x| {
            if x[0].is_sign_negative() {
                x[0]
            } else {
                x[0].exp()
            }
        },
        3.0,
        4.0,
        -1.0,
    );
    other_way(
        |x| {
            if x[0].sqrt().is_nan() {
                x[0]
            } else {
                x[0].exp()
            }
        },
        3.0,
        4.0,
        -1.0,
    );
    other_way(|x| x[0].clamp(0.0.into(), 2.0.into()), 1.0, 1.5, 3.0);
    other_way(|x| x[0] * x[0].value(), 1.0, 1.0, 3.0);
    // A NaN that was read out is any NaN.
    other_way(
        |x| if x[0].value() > 0.0 { x[0] } else { x[0].exp() },
        f64::NAN,
        -f64::NAN,
        3.0,
    );
    // Functions with steps, and extremes, are replayed.
    let f = |x: &[Traced<f64>]| vec![x[0].floor() * x[0] + x[0].max(x[1]) - x[0].min(0.5.into())];
    let mut program = Program::record(f, &[0.3, 0.7]);
    let mut gradient = [0.0; 2];
    assert_eq!(
        program
            .vjp_into(&[2.5, 1.0], &[1.0], &mut gradient)
            .unwrap(),
        [2.0 * 2.5 + 2.5 - 0.5]
    );
    assert_eq!(gradient, [3.0, 0.0]);
    assert_eq!(
        program
            .vjp_into(&[2.5, 2.5], &[1.0], &mut gradient)
            .unwrap(),
        [2.0 * 2.5 + 2.5 - 0.5]
    );
    assert_eq!(gradient, [2.5, 0.5]);
}

/// A program of derivatives that are taken within asks nothing that another point would answer otherwise.
#[test]
fn programs_of_derivatives_at_other_points() {
    type Inner = Scalar<Traced<f64>>;
    let functions: [fn(&[Inner]) -> Inner; 4] = [
        |y| y[0].hypot(y[1]),
        |y| y[0].abs() * y[1],
        |y| y[0].powf(y[1]),
        |y| y[0].sin() * y[1].exp(),
    ];
    let plain: [fn(f64, f64) -> [f64; 2]; 4] = [
        |x, y| [x / x.hypot(y), y / x.hypot(y)],
        |x, y| [y, x],
        |x, y| [y * x.powf(y - 1.0), x.powf(y) * x.ln()],
        |x, y| [x.cos() * y.exp(), x.sin() * y.exp()],
    ];
    for (f, plain) in functions.into_iter().zip(plain) {
        let mut program = scalar::Program::record(|x| scalar::gradient(f, x).1, &[3.0, 4.0]);
        for [x, y] in [[3.0, 4.0], [1.5, 0.25], [2.0, 7.0]] {
            let found = program.evaluate(&[x, y]).expect("the same steps");
            for (a, b) in found.iter().zip(plain(x, y)) {
                assert!((a - b).abs() <= 1e-14 * (1.0 + b.abs()), "{a} {b}");
            }
        }
    }
}
