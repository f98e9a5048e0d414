//! Values and derivatives where there is a choice to make: kinks, ties, the edge of a domain,
//! numbers that are none. What is expected is what PyTorch does.

use wengert::{Tape, Tensor, Var};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// Equal, where a NaN equals a NaN and 0 does not equal -0 unless both are asked for as 0.
fn alike(found: &[f64], expected: &[f64]) -> bool {
    let alike = |(a, b): (&f64, &f64)| a == b || a.is_nan() && b.is_nan();
    found.len() == expected.len() && found.iter().zip(expected).all(alike)
}

/// Compares the value of an operation, and the derivative of the sum of the value.
#[track_caller]
fn compare(f: impl Fn(Var<f64>) -> Var<f64>, x: &[f64], value: &[f64], derivative: &[f64]) {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from(x));
    let y = f(x);
    let found = y.value().to_vec();
    assert!(alike(&found, value), "value {found:?}, not {value:?}");
    let found = y.sum().gradient(x).value().to_vec();
    assert!(
        alike(&found, derivative),
        "derivative {found:?}, not {derivative:?}"
    );
}

/// Compares the derivatives of an operation of two operands.
#[track_caller]
fn compare2(
    f: impl Fn(Var<f64>, Var<f64>) -> Var<f64>,
    (a, b): (&[f64], &[f64]),
    value: &[f64],
    (da, db): (&[f64], &[f64]),
) {
    let tape = Tape::new();
    let (a, b) = (tape.leaf(&Tensor::from(a)), tape.leaf(&Tensor::from(b)));
    let y = f(a, b);
    let found = y.value().to_vec();
    assert!(alike(&found, value), "value {found:?}, not {value:?}");
    let found = y.sum().gradients([a, b]).map(|d| d.value().to_vec());
    assert!(
        alike(&found[0], da),
        "first derivative {:?}, not {da:?}",
        found[0]
    );
    assert!(
        alike(&found[1], db),
        "second derivative {:?}, not {db:?}",
        found[1]
    );
}

#[test]
fn absolute_values_and_signs() {
    compare(
        Var::abs,
        &[0.0, -0.0, -INF, NAN],
        &[0.0, 0.0, INF, NAN],
        &[0.0, 0.0, -1.0, NAN],
    );
    compare(
        Var::sign,
        &[0.0, -2.0, INF],
        &[0.0, -1.0, 1.0],
        &[0.0, 0.0, 0.0],
    );
}

#[test]
fn rectifiers() {
    let x = [-1.0, 0.0, -0.0, 2.0, NAN];
    compare(
        Var::relu,
        &x,
        &[0.0, 0.0, 0.0, 2.0, NAN],
        &[0.0, 0.0, 0.0, 1.0, 1.0],
    );
    let x = [-1.0, 0.0, 2.0, -INF, INF];
    let value = [-0.5, 0.0, 2.0, -INF, INF];
    compare(
        |x| x.leaky_relu(0.5),
        &x,
        &value,
        &[0.5, 0.5, 1.0, 0.5, 1.0],
    );
    compare(
        |x| x.elu(2.0),
        &[0.0, 3.0, -INF],
        &[0.0, 3.0, -2.0],
        &[2.0, 1.0, 0.0],
    );
}

#[test]
fn saturation() {
    let x = [-1e3, 1e3, -INF, INF, 0.0];
    compare(
        Var::sigmoid,
        &x,
        &[0.0, 1.0, 0.0, 1.0, 0.5],
        &[0.0, 0.0, 0.0, 0.0, 0.25],
    );
    compare(
        Var::tanh,
        &x,
        &[-1.0, 1.0, -1.0, 1.0, 0.0],
        &[0.0, 0.0, 0.0, 0.0, 1.0],
    );
    let x = &x[..4];
    compare(
        Var::softplus,
        x,
        &[0.0, 1e3, 0.0, INF],
        &[0.0, 1.0, 0.0, 1.0],
    );
    compare(
        Var::log_sigmoid,
        x,
        &[-1e3, 0.0, -INF, 0.0],
        &[1.0, 0.0, 1.0, 0.0],
    );
    compare(Var::erf, x, &[-1.0, 1.0, -1.0, 1.0], &[0.0, 0.0, 0.0, 0.0]);
    compare(Var::atan, &[INF], &[std::f64::consts::FRAC_PI_2], &[0.0]);
}

#[test]
fn the_edges_of_inverse_functions() {
    let half = std::f64::consts::FRAC_PI_2;
    compare(
        Var::asin,
        &[-1.0, 1.0, 1.5],
        &[-half, half, NAN],
        &[INF, INF, NAN],
    );
    compare(Var::acos, &[-1.0, 1.0], &[2.0 * half, 0.0], &[-INF, -INF]);
    compare(
        Var::rsqrt,
        &[0.0, INF, -1.0],
        &[INF, 0.0, NAN],
        &[-INF, 0.0, NAN],
    );
    compare(Var::log1p, &[-1.0, 0.0], &[-INF, 0.0], &[INF, 1.0]);
    compare(Var::expm1, &[-INF, 0.0], &[-1.0, 0.0], &[0.0, 1.0]);
}

#[test]
fn rounding_goes_to_even_and_has_no_slope() {
    let x = [-2.5, -0.5, 0.5, 1.5, 2.5, INF];
    compare(Var::round, &x, &[-2.0, 0.0, 0.0, 2.0, 2.0, INF], &[0.0; 6]);
    compare(Var::floor, &x, &[-3.0, -1.0, 0.0, 1.0, 2.0, INF], &[0.0; 6]);
    compare(Var::ceil, &x, &[-2.0, 0.0, 1.0, 2.0, 3.0, INF], &[0.0; 6]);
}

#[test]
fn extremes_of_two() {
    let (a, b) = ([1.0, 2.0, 2.0, -0.0, INF], [2.0, 1.0, 2.0, 0.0, INF]);
    compare2(
        |a, b| a.maximum(b),
        (&a, &b),
        &[2.0, 2.0, 2.0, 0.0, INF],
        (&[0.0, 1.0, 0.5, 0.5, 0.5], &[1.0, 0.0, 0.5, 0.5, 0.5]),
    );
    compare2(
        |a, b| a.minimum(b),
        (&a, &b),
        &[1.0, 1.0, 2.0, 0.0, INF],
        (&[1.0, 0.0, 0.5, 0.5, 0.5], &[0.0, 1.0, 0.5, 0.5, 0.5]),
    );
    // A NaN on either side is the result. PyTorch masks by `>=`, so neither or both may get the
    // cotangent; here both do.
    let (a, b) = ([NAN, 1.0], [1.0, NAN]);
    for f in [Var::maximum, Var::minimum] {
        compare2(f, (&a, &b), &[NAN, NAN], (&[1.0, 1.0], &[1.0, 1.0]));
    }
}

#[test]
fn a_clamp_at_its_bounds() {
    compare(
        |x| x.clamp(-1.0, 1.0),
        &[-2.0, -1.0, 0.0, 1.0, 2.0, -INF, INF],
        &[-1.0, -1.0, 0.0, 1.0, 1.0, -1.0, 1.0],
        &[0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0],
    );
    compare(|x| x.clamp(1.0, -1.0), &[0.0], &[-1.0], &[0.0]);
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([NAN]));
    assert!(x.clamp(0.0, 1.0).value().item().is_nan());
}

#[test]
fn roots_logarithms_and_quotients_at_zero() {
    compare(
        Var::sqrt,
        &[0.0, -1.0, INF],
        &[0.0, NAN, INF],
        &[INF, NAN, 0.0],
    );
    compare(
        Var::ln,
        &[0.0, -1.0, INF],
        &[-INF, NAN, INF],
        &[INF, -1.0, 0.0],
    );
    compare(
        Var::exp,
        &[-INF, INF, -1e30],
        &[0.0, INF, 0.0],
        &[0.0, INF, 0.0],
    );
    compare2(
        |a, b| a / b,
        (&[1.0, 0.0, -1.0], &[0.0, 0.0, 0.0]),
        &[INF, NAN, -INF],
        (&[INF, INF, INF], &[-INF, NAN, INF]),
    );
}

#[test]
fn powers_of_zero() {
    compare(|x| x.pow(2.0), &[0.0, -3.0], &[0.0, 9.0], &[0.0, -6.0]);
    compare(|x| x.pow(3.0), &[0.0, -2.0], &[0.0, -8.0], &[0.0, 12.0]);
    compare(|x| x.pow(1.0), &[0.0, -2.0], &[0.0, -2.0], &[1.0, 1.0]);
    compare(|x| x.pow(0.5), &[0.0], &[0.0], &[INF]);
    compare(|x| x.pow(-1.0), &[0.0, -2.0], &[INF, -0.5], &[-INF, -0.25]);
    compare(|x| x.pow(0.5), &[-1.0], &[NAN], &[NAN]);
    // The derivative by the exponent is 0 at a base of 0 unless the exponent is negative.
    compare2(
        |a, b| a.pow(b),
        (&[0.0, 0.0, 0.0, 0.0], &[0.0, 1.0, 2.0, 0.5]),
        &[1.0, 0.0, 0.0, 0.0],
        (&[0.0, 1.0, 0.0, INF], &[0.0, 0.0, 0.0, 0.0]),
    );
    compare2(
        |a, b| a.pow(b),
        (&[0.0, -2.0], &[-1.0, 2.0]),
        &[INF, 4.0],
        (&[-INF, -4.0], &[-INF, NAN]),
    );
    // Not through the exponent, if that is not a variable that anyone asks for.
    let tape = Tape::new();
    let a = tape.leaf(&Tensor::from([-2.0, 3.0]));
    let b = tape.constant(&Tensor::from([0.0, 0.0]));
    assert_eq!(a.pow(b).sum().gradient(a).value(), Tensor::from([0.0, 0.0]));
    assert_eq!(a.pow(0.0).value(), Tensor::from([1.0, 1.0]));
}

#[test]
fn a_power_of_zero_has_its_second_derivative() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([0.0, 2.0]));
    for (exponent, second) in [(2.0, [2.0, 2.0]), (3.0, [0.0, 12.0]), (4.0, [0.0, 48.0])] {
        let d = x.pow(exponent).sum().gradient(x);
        assert_eq!(
            d.sum().gradient(x).value(),
            Tensor::from(second),
            "{exponent}"
        );
    }
}

#[test]
fn ties_of_an_extreme_share() {
    let x = [1.0, 3.0, 3.0, 2.0, 3.0];
    let third = 1.0 / 3.0;
    compare(Var::max, &x, &[3.0], &[0.0, third, third, 0.0, third]);
    compare(Var::min, &[1.0, 1.0], &[1.0], &[0.5, 0.5]);
    compare(Var::max, &[-INF, -INF], &[-INF], &[0.5, 0.5]);
    compare(Var::max, &[0.0, -0.0], &[0.0], &[0.5, 0.5]);
    // A NaN is the largest and the smallest.
    compare(Var::max, &[1.0, NAN, 2.0], &[NAN], &[0.0, 1.0, 0.0]);
    compare(Var::min, &[NAN, 1.0, NAN], &[NAN], &[0.5, 0.0, 0.5]);
    let many: Vec<f64> = (0..1000)
        .map(|i| if i == 700 { NAN } else { f64::from(i) })
        .collect();
    let tape = Tape::new();
    assert!(tape.leaf(&Tensor::from(many)).max().value().item().is_nan());
}

#[test]
fn products_with_zeros() {
    compare(Var::prod, &[2.0, 0.0, 3.0], &[0.0], &[0.0, 6.0, 0.0]);
    compare(Var::prod, &[0.0, 0.0, 3.0], &[0.0], &[0.0, 0.0, 0.0]);
    compare(Var::prod, &[0.0], &[0.0], &[1.0]);
    compare(Var::prod, &[-2.0, 5.0], &[-10.0], &[5.0, -2.0]);
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([[2.0, 0.0], [0.0, 5.0], [3.0, 4.0]]));
    let expected = Tensor::from([[0.0, 2.0], [5.0, 0.0], [4.0, 3.0]]);
    assert_eq!(x.prod_axes(1).sum().gradient(x).value(), expected);
    // Its second derivative, where the first is 0.
    let x = tape.leaf(&Tensor::from([0.0, 0.0, 3.0]));
    let d = x.prod().gradient(x);
    let second = (d * Tensor::from([1.0, 0.0, 0.0]).on(&tape))
        .sum()
        .gradient(x);
    assert_eq!(second.value(), Tensor::from([0.0, 3.0, 0.0]));
}

/// A tensor as a constant of a tape.
trait On {
    fn on(&self, tape: &Tape) -> Var<f64>;
}

impl On for Tensor<f64> {
    fn on(&self, tape: &Tape) -> Var<f64> {
        tape.constant(self)
    }
}

#[test]
fn spread_of_equal_elements() {
    compare(|x| x.std(0), &[2.0, 2.0, 2.0], &[0.0], &[0.0, 0.0, 0.0]);
    compare(|x| x.std(1), &[2.0, 2.0], &[0.0], &[0.0, 0.0]);
    compare(|x| x.var(0), &[2.0, 2.0], &[0.0], &[0.0, 0.0]);
    // One element has no unbiased spread.
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0f64]));
    assert!(x.var(1).value().item().is_nan());
    assert!(x.std(1).value().item().is_nan());
    assert_eq!(x.var(0).value().item(), 0.0);
    let none = tape.leaf(&Tensor::<f64>::zeros([0]));
    assert!(none.mean().value().item().is_nan());
}

#[test]
fn a_sum_of_exponentials_of_extreme_numbers() {
    let ln2 = std::f64::consts::LN_2;
    compare(Var::logsumexp, &[1e30, 1e30], &[1e30 + ln2], &[0.5, 0.5]);
    compare(Var::logsumexp, &[-1e30, -1e30], &[-1e30 + ln2], &[0.5, 0.5]);
    compare(Var::logsumexp, &[1e30, -1e30], &[1e30], &[1.0, 0.0]);
    compare(Var::logsumexp, &[0.0, -INF], &[0.0], &[1.0, 0.0]);
    compare(Var::logsumexp, &[INF, 0.0], &[INF], &[NAN, 0.0]);
    compare(Var::logsumexp, &[NAN, 0.0], &[NAN], &[NAN, NAN]);
    let tape = Tape::new();
    let nothing = tape.leaf(&Tensor::from([-INF, -INF]));
    assert_eq!(nothing.logsumexp().value().item(), -INF);
    let none = tape.leaf(&Tensor::<f64>::zeros([0]));
    assert_eq!(none.logsumexp().value().item(), -INF);
}

#[test]
fn softmax_of_extreme_numbers() {
    let tape = Tape::new();
    let value = |x: &[f64]| tape.leaf(&Tensor::from(x)).softmax(0).value().to_vec();
    assert!(alike(&value(&[1e30, 1e30]), &[0.5, 0.5]));
    assert!(alike(&value(&[1e30, -1e30, -INF]), &[1.0, 0.0, 0.0]));
    assert!(alike(&value(&[NAN, 0.0]), &[NAN, NAN]));
    // As in PyTorch, nothing but negative infinity has no softmax.
    assert!(alike(&value(&[-INF, -INF]), &[NAN, NAN]));
    let logarithm = |x: &[f64]| tape.leaf(&Tensor::from(x)).log_softmax(0).value().to_vec();
    assert!(alike(&logarithm(&[1e30, -1e30]), &[0.0, -2e30]));
    assert!(alike(&logarithm(&[0.0, -INF]), &[0.0, -INF]));
    assert!(alike(
        &logarithm(&[-1e30, -1e30]),
        &[-(2f64.ln()), -(2f64.ln())]
    ));
    // The gradient of a masked softmax is finite.
    let x = tape.leaf(&Tensor::from([0.5, -INF, 0.5]));
    let d = (x.softmax(0) * Tensor::from([1.0, 2.0, 3.0]).on(&tape))
        .sum()
        .gradient(x)
        .value();
    assert!(alike(&d.to_vec(), &[-0.5, 0.0, 0.5]), "{d}");
    let y = tape.leaf(&Tensor::from([0.0, -INF]));
    let d = y.log_softmax(0).at(0, 0).gradient(y).value();
    assert!(alike(&d.to_vec(), &[0.0, 0.0]), "{d}");
}

#[test]
fn comparisons_with_no_number() {
    let tape = Tape::new();
    let (a, b) = (
        tape.leaf(&Tensor::from([NAN, 1.0])),
        tape.leaf(&Tensor::from([NAN, NAN])),
    );
    assert_eq!(a.eq(b).value(), Tensor::from([false, false]));
    assert_eq!(a.ne(b).value(), Tensor::from([true, true]));
    assert_eq!(a.le(b).value(), Tensor::from([false, false]));
    assert_eq!(a.is_nan().value(), Tensor::from([true, false]));
}

#[test]
fn a_selection_keeps_out_what_it_does_not_take() {
    // sqrt at -1 is not selected, and made harmless before.
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([-1.0, 4.0]));
    let good = x.gt(0.0);
    let one = tape.number(1.0);
    let y = good.select(good.select(x, one).sqrt(), tape.number(0.0));
    assert_eq!(y.value(), Tensor::from([0.0, 2.0]));
    assert_eq!(y.sum().gradient(x).value(), Tensor::from([0.0, 0.25]));
}

#[test]
fn conversions_saturate() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([NAN, INF, -INF, 2.9, -2.9]));
    let expected = Tensor::from([0, i64::MAX, i64::MIN, 2, -2]);
    assert_eq!(x.cast::<i64>().value(), expected);
    let integers = tape.leaf(&Tensor::from([i64::MIN, -1]));
    assert_eq!(integers.abs().value().to_vec()[1], 1);
}
