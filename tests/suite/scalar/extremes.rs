//! Derivatives that are ordinary numbers where values, or squares on the way to them, vanish or overflow.

use wengert::scalar::{self, Patterned, Plain, Program, Real, Taylor, Traced};

use super::near;

const INF: f64 = f64::INFINITY;

/// Asserts that all numbers are those wanted to some units in the last place, infinities and NaN included.
#[track_caller]
fn all_near<T: Plain>(found: &[T], wanted: &[f64], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (k, (&a, &b)) in found.iter().zip(wanted).enumerate() {
        if b.is_finite() {
            near(a, b, [8.0, 0.0], format_args!("{what}, number {k}"));
        } else {
            let a = a.to_f64().unwrap();
            assert!(
                a == b || a.is_nan() && b.is_nan(),
                "{what}, number {k}: {a}, not {b}"
            );
        }
    }
}

/// The derivatives of a function of one number.
fn along<T: Real, const K: usize>(f: impl Fn(Taylor<T, K>) -> Taylor<T, K>, x: T) -> [T; K] {
    scalar::taylor(|x| f(x[0]), &[x], &[T::one()])
}

#[test]
fn powers_whose_value_has_no_digits_left() {
    fn constant<T: Real, const K: usize>(x: f64) -> Taylor<T, K> {
        Taylor::constant(T::from_f64(x).unwrap())
    }
    macro_rules! series {
        ($($t:ty, $k:literal: |$x:ident| $f:expr, $at:expr => $wanted:expr;)*) => {$(
            let found = along::<$t, $k>(|$x| $f, $at);
            all_near(&found, &$wanted, concat!(stringify!($f), " at ", stringify!($at)));
        )*};
    }
    series! {
        f64, 3: |x| x.powi(2), 1e-170 => [0.0, 2e-170, 2.0];
        f64, 4: |x| x.powi(2), -1e200 => [INF, -2e200, 2.0, 0.0];
        f64, 4: |x| x.powi(2), 1e154 => [1e308, 2e154, 2.0, 0.0];
        f64, 4: |x| x.powi(2), -1e154 => [1e308, -2e154, 2.0, 0.0];
        f32, 4: |x| x.powi(2), 1.75e19 => [1.75e19_f32.powi(2).into(), 3.5e19_f32.into(), 2.0, 0.0];
        f64, 5: |x| x.powi(3), 1e200 => [INF, INF, 6e200, 6.0, 0.0];
        f64, 3: |x| x.powi(1), 1e-320 => [1e-320, 1.0, 0.0];
        f64, 2: |x| x.powi(1), INF => [INF, 1.0];
        f64, 3: |x| x.powi(-2), 1e200 => [0.0, 0.0, 0.0];
        f64, 3: |x| x.powi(-2), 1e-170 => [INF, -INF, INF];
        f32, 3: |x| x.powi(2), 3e-23 => [0.0, 6e-23_f32.into(), 2.0];
        f32, 4: |x| x.powi(3), 1e-15 => [0.0, 3e-30_f32.into(), 6e-15_f32.into(), 6.0];
        f32, 5: |x| x.powi(4), 1e-11 => [0.0, 4e-33_f32.into(), 12e-22_f32.into(), 24e-11_f32.into(), 24.0];
        f64, 3: |x| x.powf(constant(2.0)), 1e-170 => [0.0, 2e-170, 2.0];
        f64, 3: |x| x.powf(constant(2.0)), 1e200 => [INF, 2e200, 2.0];
        f64, 4: |x| x.powf(constant(1.5)), 1e-220 => [0.0, 1.5e-110, 0.75e110, -INF];
        f64, 3: |x| x.powf(constant(1.5)), 1e210 => [INF, 1.5e105, 0.75e-105];
        f64, 2: |x| x.powf(constant(0.5)), 4e-320 => [4e-320_f64.sqrt(), 0.5 / 4e-320_f64.sqrt()];
        f64, 2: |x| x.cbrt(), 1e-320 => [1e-320_f64.cbrt(), 1.0 / 3.0 / 1e-320_f64.cbrt().powi(2)];
    }
    // What is small in all its coefficients.
    let small =
        scalar::taylor::<f64, 3>(|x| x[0].powf(Taylor::constant(1.25)), &[1e-200], &[1e-200]);
    all_near(&small, &[1e-250, 1.25e-250, 0.3125e-250], "powf(1.25)");
}

#[test]
fn negative_powers_at_zero() {
    assert_eq!(along::<f64, 3>(|x| x.powi(-2), 0.0), [INF, -INF, INF]);
    assert_eq!(along::<f64, 3>(|x| x.powi(-3), 0.0), [INF, -INF, INF]);
    assert_eq!(along::<f64, 3>(|x| x.powi(-1), 0.0), [INF, -INF, INF]);
}

#[test]
fn angles_of_small_and_of_large_points() {
    for (c, slope) in [
        (1e-170, 5e169),
        (1e-160, 5e159),
        (1e160, 5e-161),
        (1e200, 5e-201),
    ] {
        let by_first = scalar::taylor::<f64, 2>(|x| x[0].atan2(x[1]), &[c, c], &[1.0, 0.0]);
        all_near(&by_first[1..], &[slope], "atan2");
        let by_second = scalar::taylor::<f64, 2>(|x| x[0].atan2(x[1]), &[c, c], &[0.0, 1.0]);
        all_near(&by_second[1..], &[-slope], "atan2");
        // In units of the point.
        let turned = scalar::taylor::<f64, 3>(|x| x[0].atan2(x[1]), &[c, c], &[c, 0.0]);
        all_near(&turned[1..], &[0.5, -0.5], "atan2");
        assert_eq!(along::<f64, 3>(|x| x.atan2(x), c)[1..], [0.0, 0.0]);
    }
    let (_, _, hessian) = scalar::hessian_sparse(|x| x[0].atan2(x[1]), &[1e155_f64, 1e155]);
    let [by_first, by_both, _, by_second] = hessian.to_dense()[..] else {
        panic!("{hessian:?}");
    };
    assert!((by_first / -5e-311 - 1.0).abs() < 1e-10, "{by_first:e}");
    assert!((by_second / 5e-311 - 1.0).abs() < 1e-10, "{by_second:e}");
    assert!(by_both.abs() < 1e-320, "{by_both:e}");
}

#[test]
fn lengths_of_small_and_of_large_vectors() {
    let half = 0.5_f64.sqrt();
    for c in [1e-160, 1e-100, 1.0, 1e100, 1e160] {
        let wanted = [c / half, half, half / 2.0 / c];
        let norm = scalar::taylor::<f64, 3>(scalar::norm, &[c; 2], &[1.0, 0.0]);
        all_near(&norm, &wanted, "norm");
        let hypot = scalar::taylor::<f64, 3>(|x| x[0].hypot(x[1]), &[c; 2], &[1.0, 0.0]);
        all_near(&hypot, &wanted, "hypot");
        let (_, gradient, hessian) = scalar::hessian_sparse(scalar::norm, &[c; 2]);
        all_near(&gradient, &[half, half], "gradient");
        let [by_first, by_both] = [half / 2.0 / c, -half / 2.0 / c];
        let wanted = [by_first, by_both, by_both, by_first];
        all_near(&hessian.to_dense(), &wanted, "hessian");
    }
    let single = scalar::taylor::<f32, 3>(scalar::norm, &[1e-20; 2], &[1.0, 0.0]);
    let c = f64::from(1e-20_f32);
    all_near(&single, &[c / half, half, half / 2.0 / c], "norm of f32");
    for x in [[1e-200, 1e-200], [1e200, 1e200]] {
        let wanted = [x[0] / half, x[0] / half, 0.0];
        let hypot = scalar::taylor::<f64, 3>(|x| x[0].hypot(x[1]), &x, &x);
        near(hypot[0], wanted[0], [4.0, 0.0], format_args!("hypot"));
        near(hypot[1], wanted[1], [4.0, 0.0], format_args!("its slope"));
        assert!(hypot[2].abs() < 1e-15 * x[0]);
    }
    let (_, jacobian) = scalar::jacobian_sparse(|x| vec![scalar::norm(x)], &[1e-320; 2]);
    all_near(&jacobian.values, &[half, half], "norm of subnormal numbers");
    // A vector of nothing but zeros and NaN is not the origin.
    let norm = scalar::norm(&[0.0, f64::NAN].map(Taylor::<f64, 2>::variable));
    assert!(norm.value().is_nan());
    let norm = scalar::norm(&[0.0, f64::NAN].map(Patterned::constant));
    assert!(norm.value().is_nan());
}

#[test]
fn sparse_mul_add_is_rounded_once() {
    let x = 1.0 + 2.0_f64.powi(-30);
    let p = -(x * x);
    let wanted = x.mul_add(x, p);
    assert_ne!(wanted, 0.0);
    let f = |v: &[Patterned<f64>]| vec![v[0].mul_add(v[0], p.into())];
    let (values, jacobian) = scalar::jacobian_sparse(f, &[x]);
    assert_eq!(values, [wanted]);
    assert_eq!(jacobian.values, [2.0 * x]);
    let (value, _, hessian) = scalar::hessian_sparse(|v| v[0].mul_add(v[1], v[2]), &[x, x, p]);
    assert_eq!(value, wanted);
    assert_eq!(hessian.to_dense()[1], 1.0);
}

#[test]
fn special_functions_right_beside_the_pole() {
    for x in [1e-310, 5e-324] {
        assert_eq!(scalar::gradient(|x| x[0].gamma(), &[x]).1, [-INF]);
        assert_eq!(scalar::gradient(|x| x[0].ln_gamma(), &[x]).1, [-INF]);
        assert_eq!(scalar::gradient(|x| x[0].digamma(), &[-x]).1, [INF]);
    }
}

/// A program, recorded anywhere, does at any point what the code does on `f64`.
#[test]
fn programs_of_norms_and_of_sums_of_exponentials() {
    let nan = f64::NAN;
    let exponentials = |x: &[Traced<f64>]| vec![scalar::log_sum_exp(x)];
    let norm = |x: &[Traced<f64>]| vec![scalar::norm(x)];
    let points = [
        ([-INF, -INF], [nan, nan], [nan, nan]),
        ([INF, 1.0], [nan, 0.0], [nan, 0.0]),
        ([-INF, 1.0], [0.0, 1.0], [nan, 0.0]),
        ([nan, INF], [nan, nan], [nan, nan]),
        ([0.0, 0.0], [0.5, 0.5], [0.0, 0.0]),
        ([3.0, 3.0], [0.5, 0.5], [0.5_f64.sqrt(); 2]),
        ([3e200, 4e200], [0.0, 1.0], [0.6, 0.8]),
        ([3e-200, 4e-200], [0.5, 0.5], [0.6, 0.8]),
        (
            [1000.0, -1000.0],
            [1.0, 0.0],
            [0.5_f64.sqrt(), -0.5_f64.sqrt()],
        ),
    ];
    for (at, ..) in points {
        let mut programs = [
            Program::record(exponentials, &at),
            Program::record(norm, &at),
        ];
        for (x, by_exponentials, by_norm) in points {
            let wanted = [
                (scalar::log_sum_exp(&x), by_exponentials),
                (scalar::norm(&x), by_norm),
            ];
            for (program, (value, partials)) in programs.iter_mut().zip(wanted) {
                let mut gradient = [7.0; 2];
                let found = program.vjp_into(&x, &[1.0], &mut gradient).unwrap();
                let what = format!("recorded at {at:?}, evaluated at {x:?}");
                all_near(found, &[value], &what);
                all_near(&gradient, &partials, &what);
            }
        }
    }
    // Constants among the numbers, and one number twice.
    let f = |x: &[Traced<f64>]| vec![scalar::norm(&[x[0], 12.0.into(), x[1], x[0]])];
    let mut program = Program::record(f, &[1.0, 1.0]);
    let mut gradient = [0.0; 2];
    let found = program.vjp_into(&[0.0, 5.0], &[13.0], &mut gradient);
    assert_eq!(found.unwrap(), [13.0]);
    assert_eq!(gradient, [0.0, 5.0]);
    program
        .vjp_into(&[8.0, 2.0_f64.sqrt().powi(2) * 8.0], &[1.0], &mut gradient)
        .unwrap();
    let length = (64.0 * 2.0 + 144.0 + 256.0_f64).sqrt();
    all_near(&gradient, &[16.0 / length, 16.0 / length], "a number twice");
}
