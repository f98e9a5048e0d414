use super::super::trigonometric::{ROWS, UNARY};
use super::{
    INFINITY, NAN, accurate, differences_agree, exact, finite_at_any_order, identity_near_zero,
};
use crate::element::Float;
use crate::kernel::dispatch::at_every_level;
use crate::tape::Tape;
use crate::tensor::Tensor;
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

#[test]
fn derivatives_agree_with_differences() {
    differences_agree(UNARY);
    differences_agree(ROWS);
}

/// References by mpmath with 60 digits.
#[test]
fn values_and_derivatives_are_accurate() {
    accurate(
        "sin",
        [4.0, 8.0],
        &[
            (-3.0, -0.141_120_008_059_867_2, -0.989_992_496_600_445_4),
            (
                9.536_743_164_062_5e-7,
                9.536_743_164_061_055e-7,
                0.999_999_999_999_545_3,
            ),
            (0.75, 0.681_638_760_023_334_1, 0.731_688_868_873_820_9),
            (20.0, 0.912_945_250_727_627_7, 0.408_082_061_813_391_96),
        ],
    );
    accurate(
        "cos",
        [4.0, 8.0],
        &[
            (-3.0, -0.989_992_496_600_445_4, 0.141_120_008_059_867_2),
            (
                9.536_743_164_062_5e-7,
                0.999_999_999_999_545_3,
                -9.536_743_164_061_055e-7,
            ),
            (0.75, 0.731_688_868_873_820_9, -0.681_638_760_023_334_1),
            (20.0, 0.408_082_061_813_391_96, -0.912_945_250_727_627_7),
        ],
    );
    accurate(
        "tan",
        [4.0, 8.0],
        &[
            (-3.0, 0.142_546_543_074_277_8, 1.020_319_516_942_426_8),
            (
                9.536_743_164_062_5e-7,
                9.536_743_164_065_39e-7,
                1.000_000_000_000_909_5,
            ),
            (0.75, 0.931_596_459_944_072_5, 1.867_871_964_180_327_9),
            (1.5, 14.101_419_947_171_719, 199.850_044_526_492_47),
        ],
    );
    accurate(
        "asin",
        [4.0, 8.0],
        &[
            (-0.75, -0.848_062_078_981_481, 1.511_857_892_036_909),
            (
                9.536_743_164_062_5e-7,
                9.536_743_164_063_946e-7,
                1.000_000_000_000_454_7,
            ),
            (0.375, 0.384_396_774_495_639_1, 1.078_719_779_941_187_4),
            (
                0.999_999_046_325_683_6,
                1.569_415_258_753_134_3,
                724.077_516_568_578,
            ),
        ],
    );
    accurate(
        "acos",
        [4.0, 8.0],
        &[
            (-0.75, 2.418_858_405_776_377_6, -1.511_857_892_036_909),
            (
                9.536_743_164_062_5e-7,
                1.570_795_373_120_580_2,
                -1.000_000_000_000_454_7,
            ),
            (0.375, 1.186_399_552_299_257_6, -1.078_719_779_941_187_4),
            (
                0.999_999_046_325_683_6,
                0.001_381_068_041_762_417_1,
                -724.077_516_568_578,
            ),
        ],
    );
    accurate(
        "atan",
        [4.0, 8.0],
        &[
            (-3.0, -1.249_045_772_398_254_4, 0.1),
            (
                9.536_743_164_062_5e-7,
                9.536_743_164_059_608e-7,
                0.999_999_999_999_090_5,
            ),
            (0.75, 0.643_501_108_793_284_4, 0.64),
            (1_000.0, 1.569_796_327_128_229_8, 9.999_990_000_01e-7),
        ],
    );
    accurate(
        "sinh",
        [4.0, 8.0],
        &[
            (-3.0, -10.017_874_927_409_903, 10.067_661_995_777_765),
            (
                9.536_743_164_062_5e-7,
                9.536_743_164_063_946e-7,
                1.000_000_000_000_454_7,
            ),
            (0.75, 0.822_316_731_935_83, 1.294_683_284_676_844_8),
            (10.0, 11_013.232_874_703_393, 11_013.232_920_103_323),
        ],
    );
    accurate(
        "cosh",
        [4.0, 8.0],
        &[
            (-3.0, 10.067_661_995_777_765, -10.017_874_927_409_903),
            (
                9.536_743_164_062_5e-7,
                1.000_000_000_000_454_7,
                9.536_743_164_063_946e-7,
            ),
            (0.75, 1.294_683_284_676_844_8, 0.822_316_731_935_83),
            (10.0, 11_013.232_920_103_323, 11_013.232_874_703_393),
        ],
    );
    accurate(
        "tanh",
        [4.0, 16.0],
        &[
            (-1.5, -0.905_148_253_644_866_4, 0.180_706_638_923_648_52),
            (
                9.536_743_164_062_5e-7,
                9.536_743_164_059_608e-7,
                0.999_999_999_999_090_5,
            ),
            (0.75, 0.635_148_952_387_287_3, 0.596_585_808_281_331_5),
        ],
    );
    accurate(
        "asinh",
        [4.0, 8.0],
        &[
            (-3.0, -1.818_446_459_232_066_8, 0.316_227_766_016_837_94),
            (
                9.536_743_164_062_5e-7,
                9.536_743_164_061_055e-7,
                0.999_999_999_999_545_3,
            ),
            (0.625, 0.590_143_685_781_959, 0.847_998_304_005_088),
            (1_000.0, 7.600_902_709_541_988, 0.000_999_999_500_000_375),
        ],
    );
    accurate(
        "acosh",
        [4.0, 8.0],
        &[
            (
                1.000_000_953_674_316_4,
                0.001_381_067_822_247_581_1,
                724.077_171_301_595,
            ),
            (1.5, 0.962_423_650_119_206_9, 0.894_427_190_999_915_9),
            (3.0, 1.762_747_174_039_086, 0.353_553_390_593_273_8),
            (1_000.0, 7.600_902_209_541_989, 0.001_000_000_500_000_375_1),
        ],
    );
    accurate(
        "atanh",
        [4.0, 8.0],
        &[
            (-0.75, -0.972_955_074_527_656_6, 2.285_714_285_714_285_6),
            (
                9.536_743_164_062_5e-7,
                9.536_743_164_065_39e-7,
                1.000_000_000_000_909_5,
            ),
            (0.375, 0.394_228_680_182_135_1, 1.163_636_363_636_363_6),
            (
                0.999_999_046_325_683_6,
                7.278_045_157_460_79,
                524_288.250_000_119_2,
            ),
        ],
    );
    accurate(
        "atan2(number)",
        [4.0, 8.0],
        &[
            (-3.0, -1.341_564_393_517_901_4, 0.073_761_854_583_772_4),
            (
                9.536_743_164_062_5e-7,
                1.362_391_880_579_514_4e-6,
                1.428_571_428_568_777_2,
            ),
            (0.75, 0.819_867_264_396_956_3, 0.665_083_135_391_924),
            (1_000.0, 1.570_096_326_909_229_8, 6.999_996_570_001_68e-7),
        ],
    );
}

#[test]
fn values_at_the_edges() {
    for periodic in ["sin", "cos", "tan"] {
        exact(
            periodic,
            &[(-INFINITY, NAN, NAN), (INFINITY, NAN, NAN), (NAN, NAN, NAN)],
        );
    }
    exact(
        "asin",
        &[
            (-2.0, NAN, NAN),
            (-1.0, -FRAC_PI_2, INFINITY),
            (1.0, FRAC_PI_2, INFINITY),
            (2.0, NAN, NAN),
            (NAN, NAN, NAN),
        ],
    );
    exact(
        "acos",
        &[
            (-2.0, NAN, NAN),
            (-1.0, PI, -INFINITY),
            (1.0, 0.0, -INFINITY),
            (2.0, NAN, NAN),
            (NAN, NAN, NAN),
        ],
    );
    exact(
        "atan",
        &[
            (-INFINITY, -FRAC_PI_2, 0.0),
            (INFINITY, FRAC_PI_2, 0.0),
            (NAN, NAN, NAN),
        ],
    );
    exact(
        "sinh",
        &[
            (-1e30, -INFINITY, INFINITY),
            (-0.0, -0.0, 1.0),
            (INFINITY, INFINITY, INFINITY),
            (NAN, NAN, NAN),
        ],
    );
    exact(
        "cosh",
        &[
            (-1e30, INFINITY, -INFINITY),
            (-0.0, 1.0, 0.0),
            (INFINITY, INFINITY, INFINITY),
            (NAN, NAN, NAN),
        ],
    );
    exact(
        "tanh",
        &[
            (-INFINITY, -1.0, 0.0),
            (-1e30, -1.0, 0.0),
            (-0.0, -0.0, 1.0),
            (1e30, 1.0, 0.0),
            (INFINITY, 1.0, 0.0),
            (NAN, NAN, NAN),
        ],
    );
    finite_at_any_order("tanh");
    exact(
        "asinh",
        &[
            (-INFINITY, -INFINITY, 0.0),
            (-0.0, -0.0, 1.0),
            (INFINITY, INFINITY, 0.0),
            (NAN, NAN, NAN),
        ],
    );
    exact(
        "acosh",
        &[
            (-2.0, NAN, NAN),
            (0.0, NAN, NAN),
            (1.0, 0.0, INFINITY),
            (INFINITY, INFINITY, 0.0),
            (NAN, NAN, NAN),
        ],
    );
    exact(
        "atanh",
        &[
            (-1.0, -INFINITY, INFINITY),
            (-0.0, -0.0, 1.0),
            (1.0, INFINITY, INFINITY),
            (NAN, NAN, NAN),
        ],
    );
    for name in [
        "sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh",
    ] {
        identity_near_zero(name);
    }
}

#[test]
fn large_numbers_have_inverse_hyperbolic_functions() {
    // Both are ln(2 x) there: 1000 ln 10 would overflow, 300 ln 10 + ln 2 does not.
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1e300_f64]));
    let expected = Tensor::from([691.468_675_078_773_7]);
    assert!(
        x.asinh().value().all_close(&expected, 1e-15, 0.0),
        "{:?}",
        x.asinh().value()
    );
    assert!(
        x.acosh().value().all_close(&expected, 1e-15, 0.0),
        "{:?}",
        x.acosh().value()
    );
    let expected = Tensor::from([1e-300]);
    assert!(
        x.acosh()
            .sum()
            .gradient(x)
            .value()
            .all_close(&expected, 1e-15, 0.0)
    );
}

#[test]
fn the_angle_of_every_quadrant_and_axis() {
    let tape = Tape::new();
    let y = tape.leaf(&Tensor::from([
        1.0, 1.0, -1.0, -1.0, 0.0, -0.0, 0.0, -0.0, 2.0, INFINITY, NAN,
    ]));
    let x = tape.leaf(&Tensor::from([
        1.0, -1.0, -1.0, 1.0, 0.0, 0.0, -0.0, -0.0, 0.0, INFINITY, 1.0,
    ]));
    let angle = y.atan2(x).value().to_vec();
    let quarter = FRAC_PI_4;
    let expected = [
        quarter,
        3.0 * quarter,
        -3.0 * quarter,
        -quarter,
        0.0,
        -0.0,
        PI,
        -PI,
        FRAC_PI_2,
        quarter,
    ];
    for (found, right) in angle.iter().zip(expected) {
        assert_eq!(found.to_bits(), right.to_bits(), "{found} {right}");
    }
    assert!(angle[10].is_nan());
    let [dy, dx] = y.atan2(x).sum().gradients([y, x]);
    let (dy, dx) = (dy.value().to_vec(), dx.value().to_vec());
    assert_eq!(dy[..4], [0.5, -0.5, -0.5, 0.5]);
    assert_eq!(dx[..4], [-0.5, -0.5, 0.5, 0.5]);
    assert!(
        dy[4..8].iter().chain(&dx[4..8]).all(|slope| slope.is_nan()),
        "the origin"
    );
    assert_eq!((dy[8], dx[8]), (0.0, -0.5));
}

/// Large angles take a way of their own, also amid others, alone, and in place of their operand. References by mpmath with 700 digits.
#[test]
fn large_angles_stand_among_others() {
    fn check<T: Float>(large: T, sine: f64, cosine: f64) {
        for len in [1, 16, 40] {
            let x: Vec<T> = (0..len)
                .map(|i| if i % 7 == 0 { large } else { T::of(0.5) })
                .collect();
            for values in at_every_level(|| {
                let tape = Tape::new();
                let x = tape.leaf(&Tensor::from_slice([len], &x).expect("a row"));
                let doubled = (x + x) * T::of(0.5);
                [doubled.sin(), doubled.cos(), doubled.tan()].map(|y| y.value().to_vec())
            }) {
                for i in 0..len {
                    let (s, c) = if i % 7 == 0 {
                        (sine, cosine)
                    } else {
                        (0.5f64.sin(), 0.5f64.cos())
                    };
                    for (k, right) in [s, c, s / c].into_iter().enumerate() {
                        let error = (values[k][i].as_f64() - right).abs();
                        let bound = 2.0 * T::epsilon().as_f64() * right.abs();
                        assert!(error <= bound, "function {k} of {:?}", x[i]);
                    }
                }
            }
        }
    }
    check(1e22, -0.852_200_849_767_188_8, 0.523_214_785_395_139);
    check(
        2f32.powi(100),
        -0.872_183_605_418_267_3,
        0.489_178_656_974_721_46,
    );
}
