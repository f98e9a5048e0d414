use super::super::rounding::UNARY;
use super::{INFINITY, NAN, differences_agree, exact};

#[test]
fn derivatives_agree_with_differences() {
    differences_agree(UNARY);
}

#[test]
fn signs_and_what_is_not_finite_are_kept() {
    for name in ["floor", "ceil", "round", "trunc"] {
        exact(
            name,
            &[
                (-INFINITY, -INFINITY, 0.0),
                (-1e30, -1e30, 0.0),
                (-3.0, -3.0, 0.0),
                (-0.0, -0.0, 0.0),
                (0.0, 0.0, 0.0),
                (8_388_609.0, 8_388_609.0, 0.0),
                (1e30, 1e30, 0.0),
                (INFINITY, INFINITY, 0.0),
                (NAN, NAN, 0.0),
            ],
        );
    }
    exact("floor", &[(-0.25, -1.0, 0.0), (0.75, 0.0, 0.0)]);
    exact("ceil", &[(-0.25, -0.0, 0.0), (0.25, 1.0, 0.0)]);
    exact("trunc", &[(-0.75, -0.0, 0.0), (0.75, 0.0, 0.0)]);
}

#[test]
fn halves_go_to_the_even_integer() {
    exact(
        "round",
        &[
            (-2.5, -2.0, 0.0),
            (-1.5, -2.0, 0.0),
            (-0.5, -0.0, 0.0),
            (0.5, 0.0, 0.0),
            (1.5, 2.0, 0.0),
            (2.5, 2.0, 0.0),
            (0.75, 1.0, 0.0),
            (-0.75, -1.0, 0.0),
            (4_194_303.5, 4_194_304.0, 0.0),
            (4_194_302.5, 4_194_302.0, 0.0),
        ],
    );
}

#[test]
fn the_nearest_integer_is_that_of_the_standard_library() {
    let f64s: Vec<f64> = (-4_000..4000)
        .map(|i| f64::from(i) * 0.125 + f64::from(i % 7) * 1e-9)
        .collect();
    let found = super::orders(super::row("round").f64, &f64s, 1);
    let right: Vec<f64> = f64s.iter().map(|x| x.round_ties_even()).collect();
    assert_eq!(found[0], right);
    let f32s: Vec<f32> = (0..=31).map(|i| f32::from_bits(0x4afffff0 + i)).collect();
    let found = super::orders(super::row("round").f32, &f32s, 1);
    let right: Vec<f32> = f32s.iter().map(|x| x.round_ties_even()).collect();
    assert_eq!(found[0], right);
}
