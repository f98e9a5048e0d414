//! What the number types have: operators, traits, plain numbers on either side.

use num_traits::Float;
use wengert::scalar::{Dual, Patterned, Real, Scalar, Tape, Taylor, Traced};

#[test]
fn plain_numbers_stand_on_either_side_at_any_depth() {
    fn check<S>(x: S)
    where
        S: Real<Plain = f64>
            + std::ops::Add<f64, Output = S>
            + std::ops::Mul<f64, Output = S>
            + std::ops::AddAssign<f64>
            + PartialOrd<f64>,
        f64: std::ops::Sub<S, Output = S> + std::ops::Div<S, Output = S>,
    {
        let mut y = 1.0 - x * 3.0 + 2.0;
        y += 1.0;
        assert_eq!((6.0 / y).primal(), -3.0);
        assert!(y < 0.0 && y == -2.0);
    }
    check(Scalar::constant(2.0));
    check(Dual::<f64>::variable(2.0));
    check(Scalar::constant(Dual::<f64, 3>::constant(2.0)));
    check(Dual::<_, 2>::constant(Scalar::constant(Scalar::constant(
        2.0,
    ))));
    let single = Scalar::constant(2.0_f32) * 3.0 - 1.0;
    assert_eq!(single.value(), 5.0_f32);
}

#[test]
fn values_are_those_of_plain_numbers() {
    fn f<S: Float>(x: S, y: S) -> Vec<S> {
        let (s, c) = x.sin_cos();
        vec![
            s,
            c,
            x % y,
            x.max(y),
            x.min(y),
            x.abs_sub(y),
            x.copysign(-y),
            x.log(y),
            x.mul_add(y, x),
            x.signum(),
        ]
    }
    let tape = Tape::new();
    let plain = f(2.7, 1.9);
    let active = f(tape.var(2.7), tape.var(1.9));
    for (plain, active) in plain.iter().zip(active) {
        assert_eq!(*plain, active.value());
    }
}

/// What `num_traits` and the standard library ask of a number, against a plain one.
fn check_traits<S>()
where
    S: Real<Plain = f64>
        + num_traits::Signed
        + num_traits::Bounded
        + num_traits::Euclid
        + num_traits::Inv<Output = S>
        + num_traits::MulAdd<Output = S>
        + num_traits::MulAddAssign
        + num_traits::Pow<i32, Output = S>
        + num_traits::Pow<f64, Output = S>
        + num_traits::Pow<S, Output = S>
        + for<'a> std::iter::Sum<&'a S>
        + for<'a> std::iter::Product<&'a S>
        + for<'a> std::ops::Add<&'a S, Output = S>
        + for<'a> std::ops::MulAssign<&'a S>
        + From<f64>,
{
    use num_traits::{FromPrimitive, MulAdd, NumCast, Pow};
    let s = |x: f64| <S as From<f64>>::from(x);
    let three = [s(1.5), s(2.0), s(-4.0)];
    assert_eq!(three.iter().sum::<S>().primal(), -0.5);
    assert_eq!(three.into_iter().sum::<S>().primal(), -0.5);
    assert_eq!(three.iter().product::<S>().primal(), -12.0);
    assert_eq!([].iter().sum::<S>().primal(), 0.0);
    assert_eq!([].iter().product::<S>().primal(), 1.0);
    assert!([s(-0.0)].iter().sum::<S>().primal().is_sign_negative());
    assert_eq!(
        <S as num_traits::Num>::from_str_radix("2.5", 10)
            .ok()
            .map(S::primal),
        Some(2.5)
    );
    assert_eq!(<S as NumCast>::from(7_u8).map(S::primal), Some(7.0));
    assert_eq!(
        <S as FromPrimitive>::from_i64(-7).map(S::primal),
        Some(-7.0)
    );
    assert_eq!((s(2.75).to_i32(), s(2.75).to_f32()), (Some(2), Some(2.75)));
    assert_eq!(num_traits::cast::<S, u8>(s(300.0)), None);
    assert_eq!(
        (s(4.0).inv().primal(), Pow::pow(s(3.0), 2_i32).primal()),
        (0.25, 9.0)
    );
    assert_eq!(
        (
            Pow::pow(s(4.0), 0.5_f64).primal(),
            Pow::pow(s(4.0), s(0.5)).primal()
        ),
        (2.0, 2.0)
    );
    for (x, y) in [
        (7.5, 2.0),
        (-7.5, 2.0),
        (7.5, -2.0),
        (-7.5, -2.0),
        (-6.0, 2.0),
        (1.0, f64::INFINITY),
    ] {
        let quotient = num_traits::Euclid::div_euclid(&s(x), &s(y)).primal();
        let remainder = num_traits::Euclid::rem_euclid(&s(x), &s(y)).primal();
        assert_eq!((quotient, remainder), (x.div_euclid(y), x.rem_euclid(y)));
    }
    assert_eq!(MulAdd::mul_add(s(2.0), s(3.0), s(4.0)).primal(), 10.0);
    let mut x = s(2.0);
    x.mul_add_assign(s(3.0), s(4.0));
    x *= &s(2.0);
    assert_eq!(std::ops::Add::<&S>::add(x, &s(1.0)).primal(), 21.0);
    assert_eq!(<S as num_traits::Bounded>::max_value().primal(), f64::MAX);
    assert_eq!(
        <S as Float>::min_positive_value().primal(),
        f64::MIN_POSITIVE
    );
    assert!(<S as Float>::nan().is_nan() && !<S as Float>::infinity().is_finite());
    assert_eq!(
        <S as num_traits::FloatConst>::PI().primal(),
        std::f64::consts::PI
    );
    assert_eq!(num_traits::Signed::signum(&s(-3.0)).primal(), -1.0);
    assert!(num_traits::Signed::is_negative(&s(-3.0)) && num_traits::Signed::is_positive(&s(3.0)));
    assert_eq!(format!("{:.2} {}", s(1.0 / 3.0), s(-0.5)), "0.33 -0.5");
    assert!(format!("{:?}", s(0.25)).contains("0.25"));
    assert!(s(1.0) < s(2.0) && s(2.0) >= s(2.0) && s(f64::NAN) != s(f64::NAN));
    assert_eq!(s(f64::NAN).partial_cmp(&s(1.0)), None);
    assert_eq!(s(6.5).integer_decode(), 6.5_f64.integer_decode());
    assert_eq!(S::default().primal(), 0.0);
}

#[test]
fn traits_are_those_of_plain_numbers() {
    check_traits::<Scalar<f64>>();
    check_traits::<Dual<f64>>();
    check_traits::<Dual<f64, 3>>();
    check_traits::<Scalar<Dual<f64>>>();
    check_traits::<Dual<Scalar<Scalar<f64>>>>();
    check_traits::<Taylor<f64, 3>>();
    check_traits::<Taylor<Scalar<f64>, 1>>();
    check_traits::<Patterned<Dual<f64>>>();
    check_traits::<Traced<f64>>();
    check_traits::<Scalar<Traced<f64>>>();
}

#[test]
fn comparisons_are_of_values() {
    let tape = Tape::new();
    let (x, y) = (tape.var(1.0), tape.var(2.0));
    assert!(x < y && x == 1.0 && x < 1.5 && y == Scalar::constant(2.0));
    assert_eq!(x * 2.0, y);
    approx::assert_relative_eq!(x * 2.0, y + 1e-18);
    approx::assert_abs_diff_eq!(x, Scalar::constant(1.0 + 1e-17));
    approx::assert_ulps_eq!(x, Scalar::constant(1.0 + f64::EPSILON));
    assert!(approx::relative_ne!(x, y));
}

#[test]
fn assigning_operators_carry_derivatives() {
    let tape = Tape::new();
    let (x, y) = (tape.var(3.0), tape.var(4.0));
    let mut z = x;
    z *= y;
    z += x;
    z -= 1.0;
    z /= &y;
    z %= 100.0;
    // (x y + x - 1) / y
    assert_eq!(z.value(), 3.5);
    assert_eq!(tape.gradient_of(z, &[x, y]), [1.25, -0.125]);
}

#[test]
fn integers_of_128_bits() {
    use num_traits::FromPrimitive;
    let large = 1_i128 << 100;
    assert_eq!(
        <Scalar<f64> as FromPrimitive>::from_i128(-large).map(Scalar::value),
        f64::from_i128(-large)
    );
    assert_eq!(
        <Dual<f64> as FromPrimitive>::from_u128(u128::MAX).map(Dual::value),
        f64::from_u128(u128::MAX)
    );
}
