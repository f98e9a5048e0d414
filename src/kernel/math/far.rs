//! Large angles, one at a time: the digits of `2 / pi` that matter, times all digits of the angle (Payne and Hanek, 1983).

/// The bits of `2 / pi`, after 64 that are 0: enough for the largest number.
const TWO_OVER_PI: [u64; 22] = [
    0,
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
    0x0649_2eea_09d1_921c,
    0xfe1d_eb1c_b129_a73e,
    0xe882_35f5_2ebb_4484,
    0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4,
    0x9c84_5f8b_bdf9_283b,
    0x1ff8_97ff_de05_980f,
    0xef2f_118b_5a0a_6d1f,
    0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d,
    0x7527_bac7_ebe5_f17b,
    0x3d07_39f7_8a52_92ea,
    0x6bfb_5fb1_1f8d_5d08,
    0x5603_3046_fc7b_6bab,
    0xf0cf_bc20_9af4_361d,
    0xa9e3_9161_5ee6_1b08,
];

/// An angle of at least 1 less a number of quarter turns, as a sum, and that number modulo 4.
pub(super) fn reduced(x: f64) -> (f64, f64, u64) {
    /// `pi / 2`
    const QUARTER: (f64, f64) = (std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17);
    if !x.is_finite() {
        return (f64::NAN, f64::NAN, 0);
    }
    // |x| = m 2^e. Bits of 2 / pi that, times m 2^e, are multiples of 4 do not matter; of the others, 256 are enough: 53 for the
    // digits of m, some 60 that may cancel, and the rest for the result.
    let bits = x.to_bits();
    let m = (bits & ((1 << 52) - 1)) | (1 << 52);
    let e = ((bits >> 52) & 0x7ff) as usize + 64 - 1075;
    let (word, shift) = ((e - 2) / 64, (e - 2) % 64);
    let window = |i: usize| {
        let pair = u128::from(TWO_OVER_PI[word + i]) << 64 | u128::from(TWO_OVER_PI[word + i + 1]);
        (pair << shift >> 64) as u64
    };
    // The product modulo 4, with 254 bits after the point.
    let mut product = [0; 4];
    let mut carry = 0;
    for i in (0..4).rev() {
        let term = u128::from(m) * u128::from(window(i)) + carry;
        product[i] = term as u64;
        carry = term >> 64;
    }
    let high = u128::from(product[0]) << 64 | u128::from(product[1]);
    let low = u128::from(product[2]) << 64 | u128::from(product[3]);
    // The nearest number of quarters, and what is left: up to half of one, of either sign.
    let quarters = ((high >> 125) + 1) >> 1;
    let (high, low) = (high << 2 | low >> 126, low << 2);
    let negative = high >> 127 == 1;
    let (high, low) = if negative { (!high, !low) } else { (high, low) };
    let zeros = high.leading_zeros().min(127);
    let digits = high << zeros | low >> 1 >> (127 - zeros);
    // In two parts, and times pi / 2.
    let scale = f64::from_bits((1023 - 128 - u64::from(zeros)) << 52);
    let first = digits >> 75 << 75;
    let (first, second) = (first as f64 * scale, (digits - first) as f64 * scale);
    let (r, lost) = super::double::two_product::<crate::element::Baseline>(first, QUARTER.0);
    let rest = lost + (first * QUARTER.1 + second * QUARTER.0);
    let sum = r + rest;
    let (r, rest) = (sum, (r - sum) + rest);
    let (r, rest) = if negative != (x < 0.0) {
        (-r, -rest)
    } else {
        (r, rest)
    };
    let quarters = quarters as u64;
    (
        r,
        rest,
        if x < 0.0 {
            quarters.wrapping_neg()
        } else {
            quarters
        },
    )
}
