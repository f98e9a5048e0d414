//! The elementwise families against independent numbers: literal values of high precision, values at the edge of the
//! domain, and differences.

mod activation;
mod exponential;
mod rounding;
mod trigonometric;

use super::table::{Domain, Row, rows};
use crate::element::Float;
use crate::tape::{Tape, Var};
use crate::tensor::Tensor;

const INFINITY: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// The row of a method.
fn row(name: &str) -> Row {
    rows()
        .into_iter()
        .find(|row| row.name == name)
        .unwrap_or_else(|| panic!("no row {name}"))
}

/// A function of some operands as a function of the tests.
type Function<'a, T> = Box<dyn Fn(&[Var<T>]) -> Var<T> + 'a>;

/// The derivative of an elementwise function with respect to operand `k`; zeros where there is no dependence.
fn derivative<'a, T: Float>(f: Function<'a, T>, k: usize) -> Function<'a, T> {
    Box::new(move |x| {
        let y = f(x);
        let ones = y.tape().full(y.shape(), T::ONE);
        let [slope] = y.vjp(ones, [x[k]]);
        slope.unwrap_or(y.tape().full(x[k].shape(), T::ZERO))
    })
}

/// The values of a function at points given by operand.
fn values<T: Float>(f: &Function<'_, T>, points: &[Vec<T>]) -> Vec<T> {
    let tape = Tape::new();
    let leaf = |x: &Vec<T>| {
        tape.leaf(&Tensor::from_slice([x.len()], x).expect("as many elements as the shape says"))
    };
    let x: Vec<Var<T>> = points.iter().map(leaf).collect();
    f(&x).value().to_vec()
}

/// The values of a function of one operand, and of its first derivatives.
fn orders<T: Float>(f: fn(&[Var<T>]) -> Var<T>, points: &[T], count: usize) -> Vec<Vec<T>> {
    let mut function: Function<'_, T> = Box::new(f);
    let mut orders = Vec::new();
    for _ in 0..count {
        orders.push(values(&function, &[points.to_vec()]));
        function = derivative(function, 0);
    }
    orders
}

/// Points, the value there, and the derivative.
type Expected = [(f64, f64, f64)];

/// Checks value and derivative of a row in both types, each to so many units of rounding, relative to it.
fn accurate(name: &str, units: [f64; 2], expected: &Expected) {
    fn check<T: Float>(
        name: &str,
        f: fn(&[Var<T>]) -> Var<T>,
        units: [f64; 2],
        expected: &Expected,
    ) {
        let points: Vec<T> = expected.iter().map(|e| T::of(e.0)).collect();
        let found = orders(f, &points, 2);
        for (i, &(x, y, slope)) in expected.iter().enumerate() {
            assert_eq!(T::of(x).as_f64(), x, "{name}: {x} is not a {}", T::DTYPE);
            for (order, right) in [y, slope].into_iter().enumerate() {
                let found = found[order][i];
                let error = (found.as_f64() - right).abs();
                let bound = units[order] * T::epsilon().as_f64() * right.abs();
                assert!(
                    error <= bound,
                    "derivative {order} of {name} at {x} in {} is {found}, not {right}",
                    T::DTYPE
                );
            }
        }
    }
    check(name, row(name).f64, units, expected);
    check(name, row(name).f32, units, expected);
}

/// Checks value and derivative of a row in both types exactly, with the sign of zeros, a NaN being equal to another.
/// The sign of a zero derivative is not looked at.
fn exact(name: &str, expected: &Expected) {
    fn check<T: Float>(name: &str, f: fn(&[Var<T>]) -> Var<T>, expected: &Expected) {
        let points: Vec<T> = expected.iter().map(|e| T::of(e.0)).collect();
        let found = orders(f, &points, 2);
        for (i, &(x, y, slope)) in expected.iter().enumerate() {
            let (value, derivative) = (found[0][i], found[1][i]);
            let (y, slope) = (T::of(y), T::of(slope));
            let signs = value.is_sign_negative() == y.is_sign_negative();
            assert!(
                value.is_nan() && y.is_nan() || value == y && signs,
                "{name} of {x} in {}: {value:?}, not {y:?}",
                T::DTYPE
            );
            assert!(
                derivative.is_nan() && slope.is_nan() || derivative == slope,
                "{name} of {x} in {}: the derivative is {derivative:?}, not {slope:?}",
                T::DTYPE
            );
        }
    }
    check(name, row(name).f64, expected);
    check(name, row(name).f32, expected);
}

/// Checks that a function whose graph touches the identity at 0 is the identity for the smallest numbers there are,
/// with derivative 1.
fn identity_near_zero(name: &str) {
    let tiny = f64::from_bits(1);
    assert_eq!(
        orders(row(name).f64, &[tiny, -tiny], 2),
        [[tiny, -tiny], [1.0, 1.0]],
        "{name}"
    );
    let tiny = f32::from_bits(1);
    assert_eq!(
        orders(row(name).f32, &[tiny, -tiny], 2),
        [[tiny, -tiny], [1.0, 1.0]],
        "{name}"
    );
}

/// Checks that value and derivatives up to the fourth are numbers for every `x` that is one, however large.
fn finite_at_any_order(name: &str) {
    fn check<T: Float>(name: &str, f: fn(&[Var<T>]) -> Var<T>) {
        // Half of the largest number: what is scaled, as selu, may be a little larger than x.
        let max = 0.5 * T::max_value().as_f64();
        let points = [
            -max, -1e30, -1000.0, -100.0, -0.0, 0.0, 100.0, 1000.0, 1e30, max,
        ]
        .map(T::of);
        for (order, found) in orders(f, &points, 5).iter().enumerate() {
            let finite = found.iter().all(|y| y.is_finite());
            assert!(
                finite,
                "derivative {order} of {name} in {} is {found:?}",
                T::DTYPE
            );
        }
    }
    check(name, row(name).f64);
    check(name, row(name).f32);
}

/// So many points of a domain, in an order that depends on the operand.
fn points(domain: Domain, operand: usize, count: usize) -> Vec<f64> {
    let (low, high, kinks, distance) = match domain {
        Domain::Interval(low, high) => (low, high, &[][..], 0.0),
        Domain::Except(low, high, kinks, distance) => (low, high, kinks, distance),
        Domain::Spaced(shift) => return (0..count).map(|i| (i as f64 + shift) * 0.1).collect(),
    };
    // Multiples of an irrational number are spread evenly over an interval.
    let step = [0.618_033_988_749_895, 0.414_213_562_373_095][operand];
    let spread = (1..).map(|i| low + (high - low) * (i as f64 * step).fract());
    spread
        .filter(|x| kinks.iter().all(|kink| (x - kink).abs() >= distance))
        .take(count)
        .collect()
}

/// Checks the first three derivatives of each row against central differences of what is a derivative less.
fn differences_agree(rows: &[Row]) {
    const H: f64 = 1e-5;
    for row in rows {
        let operands: Vec<Vec<f64>> = row
            .domains
            .iter()
            .enumerate()
            .map(|(k, &domain)| points(domain, k, 24))
            .collect();
        let mut paths: Vec<Vec<usize>> = vec![vec![]];
        for _ in 0..3 {
            paths = (0..operands.len())
                .flat_map(|k| paths.iter().map(move |path| [&path[..], &[k]].concat()))
                .collect();
            for path in &paths {
                let (&last, before) = path.split_last().expect("a path of at least one step");
                let f = || {
                    before
                        .iter()
                        .fold(Box::new(row.f64) as Function<'_, f64>, |f, &k| {
                            derivative(f, k)
                        })
                };
                let moved = |h: f64| {
                    let mut operands = operands.clone();
                    operands[last].iter_mut().for_each(|x| *x += h);
                    values(&f(), &operands)
                };
                let (above, below) = (moved(H), moved(-H));
                let found = values(&derivative(f(), last), &operands);
                for (i, found) in found.into_iter().enumerate() {
                    let difference = (above[i] - below[i]) / (2.0 * H);
                    let x: Vec<f64> = operands.iter().map(|x| x[i]).collect();
                    assert!(
                        (found - difference).abs() <= 1e-7 * (1.0 + difference.abs()),
                        "{} at {x:?}: the derivative by {path:?} is {found}, the difference {difference}",
                        row.name
                    );
                }
            }
        }
    }
}
