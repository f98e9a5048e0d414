//! Values that must be exact: at zeros, infinities, NaN, the smallest numbers, thresholds; and large angles.

use super::{Loop, Loop2, at_every_level, each, each2, simd, single};
use crate::element::Functions;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// The same number, with the sign of a zero, or both NaN.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

/// Checks values at points, in both types, alone and in a row.
fn exact(name: &str, f: (Loop<f32>, Loop<f64>), expected: &[(f64, f64)]) {
    for &(x, right) in expected {
        at_every_level(|| {
            let (mut short, mut long) = ([0.0; 19], [0.0; 19]);
            (f.0)(&[x as f32; 19], &mut short);
            (f.1)(&[x; 19], &mut long);
            for y in short {
                assert!(
                    same(f64::from(y), right),
                    "{name} of {x} in f32: {y}, not {right}"
                );
            }
            for y in long {
                assert!(same(y, right), "{name} of {x} in f64: {y}, not {right}");
            }
        });
    }
}

macro_rules! exactly {
    ($(|$x:ident, $level:ident| $value:expr, $expected:expr;)*) => {$(
        exact(
            stringify!($value),
            (each!(f32, |$x, $level| $value), each!(f64, |$x, $level| $value)),
            &$expected,
        );
    )*};
}

#[test]
fn zeros_infinities_and_nan() {
    let ends = |low: f64, high: f64| [(-INF, low), (INF, high), (NAN, NAN)];
    let odd = |high: f64| {
        [
            (-INF, -high),
            (INF, high),
            (NAN, NAN),
            (-0.0, -0.0),
            (0.0, 0.0),
        ]
    };
    let log = |at_one| {
        [
            (-INF, NAN),
            (-1.0, NAN),
            (-0.0, -INF),
            (0.0, -INF),
            (1.0, at_one),
            (INF, INF),
            (NAN, NAN),
        ]
    };
    exactly! {
        |x, L| x.exp_at::<L>(), ends(0.0, INF);
        |x, L| x.exp_at::<L>(), [(-0.0, 1.0), (0.0, 1.0), (-1e30, 0.0), (1e30, INF)];
        |x, L| x.expm1_at::<L>(), ends(-1.0, INF);
        |x, L| x.expm1_at::<L>(), [(-0.0, -0.0), (0.0, 0.0), (-1e30, -1.0), (1e30, INF)];
        |x, L| x.ln_at::<L>(), log(0.0);
        |x, L| x.log2_at::<L>(), log(0.0);
        |x, L| x.log10_at::<L>(), log(0.0);
        |x, L| x.log2_at::<L>(), [(0.25, -2.0), (8.0, 3.0), (1_048_576.0, 20.0)];
        |x, L| x.log10_at::<L>(), [(10.0, 1.0), (1000.0, 3.0), (1e10, 10.0)];
        |x, L| x.log1p_at::<L>(), ends(NAN, INF);
        |x, L| x.log1p_at::<L>(), [(-2.0, NAN), (-1.0, -INF), (-0.0, -0.0), (0.0, 0.0)];
        |x, L| x.sin_at::<L>(), [(-0.0, -0.0), (0.0, 0.0), (NAN, NAN)];
        |x, L| x.cos_at::<L>(), [(-0.0, 1.0), (0.0, 1.0), (NAN, NAN)];
        |x, L| x.tan_at::<L>(), [(-0.0, -0.0), (0.0, 0.0), (NAN, NAN)];
        |x, _L| x.sin_far(), ends(NAN, NAN);
        |x, _L| x.cos_far(), ends(NAN, NAN);
        |x, _L| x.tan_far(), ends(NAN, NAN);
        |x, L| x.asin_at::<L>(), [(-0.0, -0.0), (0.0, 0.0), (1.5, NAN), (-1.5, NAN), (INF, NAN), (NAN, NAN)];
        |x, L| x.acos_at::<L>(), [(1.0, 0.0), (1.5, NAN), (-1.5, NAN), (-INF, NAN), (NAN, NAN)];
        |x, L| x.atan_at::<L>(), [(-0.0, -0.0), (0.0, 0.0), (NAN, NAN)];
        |x, L| x.sinh_at::<L>(), odd(INF);
        |x, L| x.sinh_at::<L>(), [(1e30, INF), (-1e30, -INF)];
        |x, L| x.cosh_at::<L>(), ends(INF, INF);
        |x, L| x.cosh_at::<L>(), [(-0.0, 1.0), (0.0, 1.0), (1e30, INF), (-1e30, INF)];
        |x, L| x.tanh_at::<L>(), odd(1.0);
        |x, L| x.tanh_at::<L>(), [(40.0, 1.0), (-1e30, -1.0)];
        |x, L| x.asinh_at::<L>(), odd(INF);
        |x, L| x.acosh_at::<L>(), ends(NAN, INF);
        |x, L| x.acosh_at::<L>(), [(1.0, 0.0), (0.5, NAN), (-1.0, NAN), (-1e30, NAN)];
        |x, L| x.atanh_at::<L>(), [(1.0, INF), (-1.0, -INF), (1.5, NAN), (-INF, NAN), (INF, NAN)];
        |x, L| x.atanh_at::<L>(), [(-0.0, -0.0), (0.0, 0.0), (NAN, NAN)];
        |x, L| x.erf_at::<L>(), odd(1.0);
        |x, L| x.erf_at::<L>(), [(7.0, 1.0), (-1e30, -1.0)];
        |x, L| x.erfc_at::<L>(), ends(2.0, 0.0);
        |x, L| x.erfc_at::<L>(), [(-0.0, 1.0), (0.0, 1.0), (1e30, 0.0), (-1e30, 2.0)];
        |x, L| x.sigmoid_at::<L>(), ends(0.0, 1.0);
        |x, L| x.sigmoid_at::<L>(), [(-0.0, 0.5), (0.0, 0.5), (-1e30, 0.0), (1e30, 1.0)];
        |x, L| x.softplus_at::<L>(), ends(0.0, INF);
        |x, L| x.softplus_at::<L>(), [(-1e30, 0.0), (1_048_576.0, 1_048_576.0)];
    }
    // The ends of arcs, rounded to each type.
    use std::f64::consts::{FRAC_PI_2, PI};
    for (name, f, x, right) in [
        ("asin", each!(f64, |x, L| x.asin_at::<L>()), 1.0, FRAC_PI_2),
        (
            "asin",
            each!(f64, |x, L| x.asin_at::<L>()),
            -1.0,
            -FRAC_PI_2,
        ),
        ("acos", each!(f64, |x, L| x.acos_at::<L>()), -1.0, PI),
        ("atan", each!(f64, |x, L| x.atan_at::<L>()), INF, FRAC_PI_2),
        (
            "atan",
            each!(f64, |x, L| x.atan_at::<L>()),
            -INF,
            -FRAC_PI_2,
        ),
    ] {
        at_every_level(|| {
            let mut y = [0.0];
            f(&[x], &mut y);
            assert_eq!(y, [right], "{name} of {x}");
        });
    }
}

#[test]
fn a_sigmoid_by_itself() {
    let tiny = f64::from_bits(1);
    for (x, value) in [
        (-INF, 0.0),
        (INF, 1.0),
        (NAN, NAN),
        (0.0, 0.5),
        (-0.0, 0.5),
        (tiny, 0.5),
        (40.0, 1.0),
        (f64::MAX, 1.0),
        (-746.0, 0.0),
        (f64::MIN, 0.0),
    ] {
        let sigmoid = single::sigmoid(x);
        assert!(same(sigmoid, value), "{x}: {sigmoid}");
    }
    // It goes on as before where the table ends.
    for x in [-700.0_f64, 700.0] {
        let (inside, outside) = (single::sigmoid(x.next_down()), single::sigmoid(x.next_up()));
        assert!((inside / outside - 1.0).abs() < 1e-12, "{inside} {outside}");
    }
}

/// Functions whose graph touches the identity at 0 are the identity there, to the smallest numbers.
#[test]
fn the_smallest_numbers() {
    macro_rules! identities {
        ($t:ident: $($function:ident),*) => {$({
            let f = each!($t, |x, L| x.$function::<L>());
            let x: Vec<$t> = [1, 2, 3, 1001, 0x7fffff]
                .into_iter()
                .flat_map(|bits| [$t::from_bits(bits), -$t::from_bits(bits)])
                .chain([$t::MIN_POSITIVE, -$t::MIN_POSITIVE, 3.0 * $t::MIN_POSITIVE])
                .collect();
            at_every_level(|| {
                let mut y = x.clone();
                f(&x, &mut y);
                assert_eq!(y, x, "{}", stringify!($function));
            });
        })*};
    }
    identities!(f32: expm1_at, log1p_at, sin_at, tan_at, asin_at, atan_at, sinh_at, tanh_at, asinh_at, atanh_at);
    identities!(f64: expm1_at, log1p_at, sin_at, tan_at, asin_at, atan_at, sinh_at, tanh_at, asinh_at, atanh_at);
}

/// Where results become infinite, subnormal and 0; by mpmath.
#[test]
fn thresholds() {
    let cases: [(Loop<f64>, f64, f64); 8] = [
        (
            each!(f64, |x, L| x.exp_at::<L>()),
            709.782_712_893_384,
            1.797_693_134_862_273_2e308,
        ),
        (
            each!(f64, |x, L| x.exp_at::<L>()),
            709.782_712_893_384_1,
            INF,
        ),
        (
            each!(f64, |x, L| x.exp_at::<L>()),
            -745.133_219_101_941_1,
            5e-324,
        ),
        (
            each!(f64, |x, L| x.exp_at::<L>()),
            -745.133_219_101_941_2,
            0.0,
        ),
        (
            each!(f64, |x, L| x.sinh_at::<L>()),
            710.475_860_073_943_9,
            1.797_693_134_862_174_4e308,
        ),
        (
            each!(f64, |x, L| x.sinh_at::<L>()),
            710.475_860_073_944,
            INF,
        ),
        (
            each!(f64, |x, L| x.ln_at::<L>()),
            5e-324,
            -744.440_071_921_381_2,
        ),
        (
            each!(f64, |x, L| x.ln_at::<L>()),
            f64::MAX,
            709.782_712_893_384,
        ),
    ];
    for (f, x, right) in cases {
        at_every_level(|| {
            let mut y = [0.0];
            f(&[x], &mut y);
            let near = (y[0] - right).abs() <= 2.0 * f64::EPSILON * right.abs();
            assert!(
                y[0] == right
                    || right.is_finite() && right > 1e-300 && near
                    || right < -1.0 && near,
                "of {x}: {}, not {right}",
                y[0]
            );
        });
    }
}

/// Angles that are far, by mpmath with 400 digits.
#[test]
fn large_angles() {
    let f = (
        each!(f64, |x, _L| x.sin_far()),
        each!(f64, |x, _L| x.cos_far()),
    );
    let expected = [
        (1500000.0, 0.510_998_714_246_267_7, -0.859_581_476_090_929_5),
        (1048577.0, 0.972_753_584_313_441_3, 0.231_841_463_516_241_24),
        (
            10000000000.0,
            -0.487_506_025_087_510_7,
            0.873_119_622_676_856,
        ),
        (1.0e22, -0.852_200_849_767_188_8, 0.523_214_785_395_139),
        (
            1.797_693_134_862_315_7e308,
            0.004_961_954_789_184_062,
            -0.999_987_689_426_559_9,
        ),
        (
            1.267_650_600_228_229_4e30,
            -0.872_183_605_418_267_3,
            0.489_178_656_974_721_46,
        ),
        (
            123456789012345.67,
            0.030_046_696_264_148_694,
            0.999_548_496_093_916_4,
        ),
        (5.319_372_648_326_541e255, 1.0, -4.687_165_924_254_628e-19),
    ];
    for (x, sine, cosine) in expected {
        let (mut s, mut c) = ([0.0], [0.0]);
        assert!(x.is_far());
        f.0(&[x], &mut s);
        f.1(&[x], &mut c);
        assert!(
            (s[0] - sine).abs() <= 2.0 * f64::EPSILON * sine.abs(),
            "sin {x:e}: {s:?}"
        );
        assert!(
            (c[0] - cosine).abs() <= 2.0 * f64::EPSILON * cosine.abs(),
            "cos {x:e}: {c:?}"
        );
    }
}

/// The rules of C for `pow`.
#[test]
fn powers_at_the_edges() {
    let cases: &[(f64, &[(f64, f64)])] = &[
        (NAN, &[(0.0, 1.0), (-0.0, 1.0), (1.0, NAN), (NAN, NAN)]),
        (1.0, &[(NAN, 1.0), (INF, 1.0), (-INF, 1.0), (1e30, 1.0)]),
        (
            -1.0,
            &[
                (NAN, NAN),
                (INF, 1.0),
                (-INF, 1.0),
                (3.0, -1.0),
                (4.0, 1.0),
                (0.5, NAN),
                (1e30, 1.0),
            ],
        ),
        (
            0.0,
            &[
                (3.0, 0.0),
                (2.5, 0.0),
                (-3.0, INF),
                (-2.5, INF),
                (INF, 0.0),
                (-INF, INF),
                (0.0, 1.0),
            ],
        ),
        (
            -0.0,
            &[
                (3.0, -0.0),
                (2.0, 0.0),
                (2.5, 0.0),
                (-3.0, -INF),
                (-2.0, INF),
                (-2.5, INF),
                (INF, 0.0),
                (-INF, INF),
            ],
        ),
        (
            INF,
            &[
                (3.0, INF),
                (0.5, INF),
                (-3.0, 0.0),
                (INF, INF),
                (-INF, 0.0),
                (0.0, 1.0),
            ],
        ),
        (
            -INF,
            &[
                (3.0, -INF),
                (2.0, INF),
                (2.5, INF),
                (-3.0, -0.0),
                (-2.0, 0.0),
                (-2.5, 0.0),
                (INF, INF),
                (-INF, 0.0),
            ],
        ),
        (
            2.0,
            &[
                (INF, INF),
                (-INF, 0.0),
                (NAN, NAN),
                (10.0, 1024.0),
                (-2.0, 0.25),
                (0.0, 1.0),
                (1e30, INF),
                (-1e30, 0.0),
            ],
        ),
        (
            0.5,
            &[
                (INF, 0.0),
                (-INF, INF),
                (1e30, 0.0),
                (-1e30, INF),
                (-3.0, 8.0),
            ],
        ),
        (
            -2.0,
            &[
                (3.0, -8.0),
                (2.0, 4.0),
                (-1.0, -0.5),
                (0.5, NAN),
                (INF, INF),
                (-INF, 0.0),
                (1e30, INF),
            ],
        ),
        (-0.5, &[(INF, 0.0), (-INF, INF), (-3.0, -8.0)]),
        (9.0, &[(0.5, 3.0), (1.5, 27.0)]),
    ];
    let (short, long) = (each2!(f32, pow_at), each2!(f64, pow_at));
    for &(x, cases) in cases {
        for &(y, right) in cases {
            at_every_level(|| {
                let (mut a, mut b) = ([0.0; 17], [0.0; 17]);
                short(&[x as f32; 17], &[y as f32; 17], &mut a);
                long(&[x; 17], &[y; 17], &mut b);
                assert!(
                    a.iter().all(|&a| same(f64::from(a), right)),
                    "{x}^{y} in f32: {a:?}"
                );
                assert!(b.iter().all(|&b| same(b, right)), "{x}^{y} in f64: {b:?}");
            });
        }
    }
    // Large exponents are odd up to 2^53 in f64, and 2^24 in f32.
    at_every_level(|| {
        let (mut a, mut b) = ([0.0; 2], [0.0; 3]);
        short(&[-1.0; 2], &[16_777_215.0, 16_777_216.0], &mut a);
        assert_eq!(a, [-1.0, 1.0]);
        let exponents = [
            9_007_199_254_740_991.0,
            9_007_199_254_740_992.0,
            4_503_599_627_370_497.0,
        ];
        long(&[-1.0; 3], &exponents, &mut b);
        assert_eq!(b, [-1.0, 1.0, -1.0]);
    });
}

#[test]
fn angles_of_points_on_the_axes() {
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};
    let cases = [
        (0.0, 0.0, 0.0),
        (-0.0, 0.0, -0.0),
        (0.0, -0.0, PI),
        (-0.0, -0.0, -PI),
        (0.0, 2.0, 0.0),
        (-0.0, 2.0, -0.0),
        (0.0, -2.0, PI),
        (-0.0, -2.0, -PI),
        (2.0, 0.0, FRAC_PI_2),
        (-2.0, -0.0, -FRAC_PI_2),
        (2.0, INF, 0.0),
        (-2.0, INF, -0.0),
        (2.0, -INF, PI),
        (INF, 3.0, FRAC_PI_2),
        (-INF, -3.0, -FRAC_PI_2),
        (INF, INF, FRAC_PI_4),
        (-INF, INF, -FRAC_PI_4),
        (INF, -INF, 3.0 * FRAC_PI_4),
        (0.0, INF, 0.0),
        (0.0, -INF, PI),
        (INF, 0.0, FRAC_PI_2),
        (NAN, 1.0, NAN),
        (1.0, NAN, NAN),
        (0.0, NAN, NAN),
        (NAN, 0.0, NAN),
        (INF, NAN, NAN),
        (NAN, INF, NAN),
        (f64::MAX, f64::MAX, FRAC_PI_4),
        (5e-324, 5e-324, FRAC_PI_4),
        (5e-324, f64::MAX, 0.0),
    ];
    let (short, long) = (each2!(f32, atan2_at), each2!(f64, atan2_at));
    for (y, x, right) in cases {
        at_every_level(|| {
            let (mut a, mut b) = ([0.0], [0.0]);
            long(&[y], &[x], &mut b);
            assert!(same(b[0], right), "({x}, {y}) in f64: {b:?}, not {right}");
            // The smallest and the largest of f64 are 0 and infinity in f32.
            if (y == 0.0 || !y.is_finite() || y.abs() == 2.0) && x != f64::MAX {
                short(&[y as f32], &[x as f32], &mut a);
                assert!(
                    same(f64::from(a[0]), f64::from(right as f32)),
                    "({x}, {y}) in f32: {a:?}, not {right}"
                );
            }
        });
    }
}
