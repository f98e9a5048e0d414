//! The error function and its complement.

use super::double::two_product;
use super::exponential::{at_most, exp_short, reduced, reduced_sum};
use super::real::Real;
use super::{fma, polynomial, select};
use crate::element::Instructions;

/// `erf x`: a polynomial near 0, and beyond `1 - e^-q` for a polynomial `q`.
#[inline(always)]
pub(super) fn erf_f32<L: Instructions>(x: f32) -> f32 {
    let a = at_most(x.abs(), 4.0);
    let z = a * a;
    let near = polynomial!(
        L,
        z,
        [
            0.128_379_17,
            -0.376_126_32,
            0.112_836_94,
            -0.026_859_768,
            0.005_202_179_3,
            -0.000_815_484_27,
            8.412_575e-5,
        ]
    );
    let near = fma::<L, f32>(a, near, a);
    let q = polynomial!(
        L,
        a,
        [
            0.000_223_541_75,
            1.127_561_1,
            0.637_374_16,
            0.103_763_945,
            -0.022_146_45,
            0.003_023_110_3,
            -0.000_193_894_9,
        ]
    );
    let (p, k) = reduced::<L, f32>(-q);
    let scale = f32::power_of_two(k, 0);
    let far = (1.0 - scale) - scale * p;
    select(a < 0.9375, near, far).copysign(x)
}

/// `erf x`: a polynomial up to 1, and the complement beyond.
#[inline(always)]
pub(super) fn erf_f64<L: Instructions>(x: f64) -> f64 {
    let a = at_most(x.abs(), 6.0);
    let near = fma::<L, f64>(a, erf_tail::<L>(a * a), a);
    select(a < 1.0, near, 1.0 - erfc_far::<L>(a)).copysign(x)
}

/// `erfc x = 1 - erf x`
#[inline(always)]
pub(super) fn erfc_f64<L: Instructions>(x: f64) -> f64 {
    let a = at_most(x.abs(), 28.0);
    let far = erfc_far::<L>(a);
    let far = select(x < 0.0, 2.0 - far, far);
    let near = (1.0 - x) - x * erf_tail::<L>(x * x);
    select(a < 0.5, near, far)
}

/// `erfc x`
#[inline(always)]
pub(super) fn erfc_f32<L: Instructions>(x: f32) -> f32 {
    let x = f64::from(x);
    let a = at_most(x.abs(), 11.0);
    let t = (a - 3.0) / (a + 3.0);
    let scaled = polynomial!(
        L,
        t,
        [
            1.253_008_058_278_744_4,
            -0.135_621_105_265_202_32,
            -0.047_562_296_001_529_39,
            0.129_645_107_562_812_72,
            -0.119_273_620_817_597_82,
            0.068_308_897_116_770_73,
            -0.023_770_843_782_779_32,
            0.002_523_107_328_390_379,
            0.001_889_324_338_014_585_2,
            -0.000_758_259_422_950_223_3,
            -0.000_103_551_212_880_665_83,
            9.102_963_882_511_095e-5,
        ]
    );
    let far = exp_short::<L>(-(a * a)) * scaled / (1.0 + 2.0 * a);
    let far = select(x < 0.0, 2.0 - far, far);
    let z = x * x;
    let near = 1.0
        - x * polynomial!(
            L,
            z,
            [
                1.128_379_167_058_026,
                -0.376_126_384_346_974_65,
                0.112_837_819_745_104_18,
                -0.026_865_400_037_706_422,
                0.005_220_945_324_505_941,
                -0.000_848_282_565_767_619_5,
                0.000_112_569_118_009_104_01,
                -9.641_373_474_292_294e-6,
            ]
        );
    select(a < 0.5, near, far) as f32
}

/// `P` in `erf x = x + x P(x^2)`, up to 1.
#[inline(always)]
fn erf_tail<L: Instructions>(z: f64) -> f64 {
    polynomial!(
        L,
        z,
        [
            0.128_379_167_095_512_6,
            -0.376_126_389_031_841,
            0.112_837_916_709_711_86,
            -0.026_866_170_648_065_128,
            0.005_223_977_653_184_106,
            -0.000_854_832_857_261_602_7,
            0.000_120_553_878_257_708_2,
            -1.492_692_716_362_305_7e-5,
            1.648_188_893_314_241_2e-6,
            -1.656_689_278_858_716_6e-7,
            1.608_498_511_212_993e-8,
            -1.676_426_355_396_781e-9,
            1.488_557_717_096_533e-10,
        ]
    )
}

/// `erfc a` for `1/2 <= a <= 28`, as `e^(-a^2)` times a polynomial in `(a - 4) / (a + 4)` divided by `1 + 2 a` (Shepherd and
/// Laframboise, 1981). What the leading sums and the quotient lose is carried along.
#[inline(always)]
fn erfc_far<L: Instructions>(a: f64) -> f64 {
    /// `9 e^16 erfc 4`
    const LEADING: (f64, f64) = (1.232_995_118_625_552_6, -4.625_318_921_008_717e-17);
    let t = (a - 4.0) / (a + 4.0);
    let tail = t * polynomial!(
        L,
        t,
        [
            -0.139_621_116_840_562_5,
            0.015_379_652_102_619_92,
            0.068_097_054_254_688_97,
            -0.101_039_066_036_314_23,
            0.093_732_834_998_517_45,
            -0.066_330_365_811_986_66,
            0.037_167_515_534_062_556,
            -0.016_197_734_060_664_81,
            0.005_031_970_016_149_963_5,
            -0.000_757_773_267_429_255_2,
            -0.000_199_256_952_191_272_2,
            0.000_150_621_578_541_428_34,
            -2.439_810_419_763_118e-5,
            -1.122_174_958_855_398_6e-5,
            5.706_599_545_605_703e-6,
            2.933_125_267_809_284_6e-7,
            -8.196_531_844_205_208e-7,
            7.515_667_474_933_485e-8,
            1.033_689_437_602_328_3e-7,
            -1.821_597_654_076_343_7e-8,
            -9.689_685_245_997_287e-9,
            1.908_834_286_830_791e-9,
        ]
    );
    let top = LEADING.0 + tail;
    let top_low = ((LEADING.0 - top) + tail) + LEADING.1;
    let bottom = 1.0 + 2.0 * a;
    let bottom_lost = select(a < 0.5, 2.0 * a - (bottom - 1.0), 1.0 - (bottom - 2.0 * a));
    let reciprocal = 1.0 / bottom;
    let q = top * reciprocal;
    let (product, lost) = two_product::<L>(q, bottom);
    let q_low = (((top - product) - lost) + (top_low - q * bottom_lost)) * reciprocal;
    let (square, square_lost) = two_product::<L>(a, a);
    let (p, k) = reduced_sum::<L, f64>(-square, -square_lost);
    let q_low = fma::<L, f64>(q_low, p, q_low);
    let (first, second) = f64::powers(k);
    (q + fma::<L, f64>(q, p, q_low)) * first * second
}
