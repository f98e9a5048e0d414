//! The scalar tape from outside.

mod checkpoint;
mod edges;
mod extremes;
mod functions;
mod many;
mod memory;
mod nothing;
mod numbers;
mod panics;
mod recording;
mod reference;
mod replay;
mod second;
mod sparse;
mod tape;
mod threads;
mod trees;

use wengert::scalar::Plain;

/// Whether two numbers agree to a tolerance, relative where they are large.
fn close(a: f64, b: f64, tolerance: f64) -> bool {
    a == b
        || (a.is_nan() && b.is_nan())
        || (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()))
}

/// Asserts equality up to so many units in the last place of the number wanted, and of 1.
#[track_caller]
fn near<T: Plain>(
    found: T,
    wanted: f64,
    [units, units_of_one]: [f64; 2],
    what: std::fmt::Arguments<'_>,
) {
    let found = found.to_f64().unwrap();
    let epsilon = T::epsilon().to_f64().unwrap();
    // Numbers below the smallest normal one have fewer digits.
    let least = T::min_positive_value().to_f64().unwrap();
    let off = (found - wanted).abs();
    assert!(
        off <= epsilon * (units * wanted.abs() + units_of_one) + least,
        "{what}: {found:e}, not {wanted:e}: {} units of it, {} of 1",
        off / epsilon / wanted.abs(),
        off / epsilon
    );
}
