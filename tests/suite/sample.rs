//! Inputs for the rows of the table of operations.

use proptest::test_runner::{Config, TestRunner};
use rand::Rng;
use rand::seq::SliceRandom;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wengert::op::table::{Domain, Row, Shapes, rows};
use wengert::{Float, Shape, Tensor, Var};

/// Shapes of one, two and three operands that broadcast: ranks 0 to 4, both ways, axes of size 1
/// and 0.
const ONE: &[&[&[usize]]] = &[
    &[&[]],
    &[&[1]],
    &[&[5]],
    &[&[0]],
    &[&[2, 3]],
    &[&[2, 0, 3]],
    &[&[2, 1, 3]],
    &[&[2, 1, 2, 2]],
];
const TWO: &[&[&[usize]]] = &[
    &[&[], &[]],
    &[&[3], &[3]],
    &[&[1], &[3]],
    &[&[], &[2, 2]],
    &[&[2, 2], &[]],
    &[&[2, 3], &[3]],
    &[&[3], &[2, 3]],
    &[&[2, 1], &[1, 3]],
    &[&[2, 2], &[2, 2]],
    &[&[0, 3], &[3]],
    &[&[1, 3], &[0, 1]],
    &[&[2, 1, 2], &[3, 1]],
    &[&[2, 1, 1, 2], &[3, 1]],
    &[&[2, 1, 1, 2], &[1, 2, 1, 2]],
];
const THREE: &[&[&[usize]]] = &[
    &[&[], &[], &[]],
    &[&[3], &[3], &[3]],
    &[&[2, 3], &[3], &[2, 1]],
    &[&[1], &[2, 1], &[1, 3]],
    &[&[0, 2], &[2], &[]],
    &[&[], &[3], &[1, 1]],
    &[&[2, 1, 1, 2], &[3, 1], &[]],
];

/// The combinations of shapes that a row is tested on.
pub fn shapes(row: &Row) -> &'static [&'static [&'static [usize]]] {
    match (row.shapes, row.domains.len()) {
        (Shapes::Given(given), _) => given,
        (Shapes::Broadcast, 1) => ONE,
        (Shapes::Broadcast, 2) => TWO,
        (Shapes::Broadcast, 3) => THREE,
        (Shapes::Broadcast, n) => panic!("{}: no shapes for {n} operands", row.name),
    }
}

/// Calls `test` for each row and each combination of shapes, and panics with all that it found.
pub fn for_each(seed: u64, mut test: impl FnMut(&Row, &[&[usize]], u64) -> Result<(), String>) {
    let mut faults = Vec::new();
    for row in rows() {
        for &shapes in shapes(&row) {
            // A panic must not hide the other faults, nor which operation it was.
            let outcome = catch_unwind(AssertUnwindSafe(|| test(&row, shapes, seed)));
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => faults.push(format!("{} of {shapes:?}: {fault}", row.name)),
                Err(_) => faults.push(format!("{} of {shapes:?}: a panic", row.name)),
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// Tensors for the inputs of a row.
pub fn inputs(row: &Row, shapes: &[&[usize]], rng: &mut impl Rng) -> Vec<Tensor<f64>> {
    assert_eq!(
        row.domains.len(),
        shapes.len(),
        "{}: a domain for each input",
        row.name
    );
    row.domains
        .iter()
        .zip(shapes)
        .map(|(domain, &shape)| draw(domain, shape, rng))
        .collect()
}

/// A tensor with elements of a domain. All are numbers of `f32` too.
pub fn draw(domain: &Domain, shape: &[usize], rng: &mut impl Rng) -> Tensor<f64> {
    let len: usize = shape.iter().product();
    let elements: Vec<f64> = match *domain {
        Domain::Interval(low, high) => (0..len).map(|_| uniform(low, high, rng)).collect(),
        Domain::Except(low, high, points, distance) => (0..len)
            .map(|_| {
                loop {
                    let x = uniform(low, high, rng);
                    if points.iter().all(|p| (x - p).abs() > distance) {
                        break x;
                    }
                }
            })
            .collect(),
        Domain::Spaced(part) => {
            let middle = len as f64 / 2.0;
            let place = |i| (f64::from(i) - middle.floor() + part) * 0.1;
            let mut elements: Vec<f64> = (0..len as u32).map(place).collect();
            elements.shuffle(rng);
            elements
        }
    };
    let rounded = elements.into_iter().map(|x| f64::from(x as f32)).collect();
    Tensor::from_vec(shape, rounded).expect("as many as the shape holds")
}

fn uniform(low: f64, high: f64, rng: &mut impl Rng) -> f64 {
    Tensor::uniform([], low, high, rng).item()
}

/// The domain of a row that lies in all of them: what one variable for all operands is drawn from.
pub fn narrowest(row: &Row) -> Domain {
    let low = |domain: &Domain| match *domain {
        Domain::Interval(low, _) | Domain::Except(low, ..) => low,
        Domain::Spaced(_) => 0.0,
    };
    let narrowest = row.domains.iter().max_by(|a, b| low(a).total_cmp(&low(b)));
    *narrowest.expect("an operation has operands")
}

/// Numbers of either sign, none of them small.
pub fn cotangent(shape: &Shape, rng: &mut impl Rng) -> Tensor<f64> {
    draw(&Domain::Except(-1.5, 1.5, &[0.0], 0.5), shape, rng)
}

/// Whether two tensors are the same to the last bit; any NaN is the same as any other.
pub fn same_bits<T: Float>(a: &Tensor<T>, b: &Tensor<T>) -> bool {
    let bits = |x: T| {
        if x.is_nan() {
            f64::NAN.to_bits()
        } else {
            x.as_f64().to_bits()
        }
    };
    a.shape() == b.shape() && a.iter().map(bits).eq(b.iter().map(bits))
}

/// The cotangents of all variables; zeros for those that the output does not depend on.
pub fn pull<T: Float>(y: Var<T>, cotangent: &Tensor<T>, xs: &[Var<T>]) -> Vec<Var<T>> {
    let cotangent = y.tape().constant(cotangent);
    let of = |&x: &Var<T>| {
        let [found] = y.vjp(cotangent, [x]);
        found.unwrap_or_else(|| y.tape().full(x.shape(), T::ZERO))
    };
    xs.iter().map(of).collect()
}

/// A runner of so many cases; of fewer where the environment says so (`PROPTEST_CASES`), as under a slow memory checker.
pub fn runner(cases: u32) -> TestRunner {
    let said = std::env::var("PROPTEST_CASES");
    let most = said.ok().and_then(|said| said.parse().ok());
    TestRunner::new(Config {
        cases: cases.min(most.unwrap_or(cases)),
        // As many as cases: a strategy may make what is too large.
        max_global_rejects: cases,
        failure_persistence: None,
        ..Config::default()
    })
}
