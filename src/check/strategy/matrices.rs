//! Square matrices whose condition is known.

use super::inclusive;
use crate::tensor::Tensor;
use proptest::collection::{SizeRange, vec};
use proptest::strategy::Strategy;

/// How finely spectra and vectors are drawn.
const PARTS: i32 = 16;

/// How many reflections turn a diagonal matrix on each side.
const REFLECTIONS: usize = 2;

/// Symmetric positive definite matrices of a size from `sizes`, with eigenvalues from 1 to `condition`.
///
/// `A = Q D Q^T`, with `D` diagonal and `Q` a product of reflections. A failing case shrinks to a small
/// size, and towards the identity.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::check;
///
/// proptest! {
///     # fn hidden(_ in 0..1) {}
///     fn symmetric(a in check::positive_definite(1..4, 100.0)) {
///         prop_assert_eq!(a.t(), a);
///     }
/// }
/// symmetric();
/// ```
///
/// # Panics
/// If the condition is less than 1 or not finite.
#[track_caller]
pub fn positive_definite(
    sizes: impl Into<SizeRange>,
    condition: f64,
) -> impl Strategy<Value = Tensor<f64>> {
    drawn("positive_definite", sizes, condition, REFLECTIONS).prop_map(|(spectrum, vectors)| {
        let mut a = diagonal(&spectrum);
        for v in &vectors {
            reflect(&mut a, v);
            transpose(&mut a);
            reflect(&mut a, v);
            transpose(&mut a);
        }
        let n = a.len();
        // Rounding must not make it unsymmetric.
        Tensor::from_fn([n, n], |i| (a[i[0]][i[1]] + a[i[1]][i[0]]) / 2.0)
    })
}

/// Square matrices of a size from `sizes`, with singular values from 1 to `condition`.
///
/// `A = Q D P` with `D` diagonal, `Q` and `P` products of reflections. A failing case shrinks to a small
/// size, and towards the identity.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::check;
///
/// proptest! {
///     # fn hidden(_ in 0..1) {}
///     fn square(a in check::well_conditioned(1..4, 10.0)) {
///         prop_assert_eq!(a.shape()[0], a.shape()[1]);
///     }
/// }
/// square();
/// ```
///
/// # Panics
/// If the condition is less than 1 or not finite.
#[track_caller]
pub fn well_conditioned(
    sizes: impl Into<SizeRange>,
    condition: f64,
) -> impl Strategy<Value = Tensor<f64>> {
    drawn("well_conditioned", sizes, condition, 2 * REFLECTIONS).prop_map(|(spectrum, vectors)| {
        let mut a = diagonal(&spectrum);
        let (left, right) = vectors.split_at(REFLECTIONS);
        left.iter().for_each(|v| reflect(&mut a, v));
        transpose(&mut a);
        right.iter().for_each(|v| reflect(&mut a, v));
        let n = a.len();
        Tensor::from_fn([n, n], |i| a[i[1]][i[0]])
    })
}

/// A spectrum from 1 to `condition`, and vectors of as many elements.
#[track_caller]
fn drawn(
    strategy: &str,
    sizes: impl Into<SizeRange>,
    condition: f64,
    vectors: usize,
) -> impl Strategy<Value = (Vec<f64>, Vec<Vec<f64>>)> {
    assert!(
        condition >= 1.0 && condition.is_finite(),
        "{strategy}: {condition} is not the condition of a matrix"
    );
    let sizes = inclusive(sizes);
    let most = *sizes.end();
    let spectrum = vec(0..=PARTS, most);
    let vectors = vec(vec(-PARTS..=PARTS, most), vectors);
    (sizes, spectrum, vectors).prop_map(move |(n, spectrum, vectors)| {
        let value = |&k: &i32| condition.powf(f64::from(k) / f64::from(PARTS));
        let spectrum = spectrum[..n].iter().map(value).collect();
        let whole = |v: Vec<i32>| v[..n].iter().copied().map(f64::from).collect();
        (spectrum, vectors.into_iter().map(whole).collect())
    })
}

type Rows = Vec<Vec<f64>>;

fn diagonal(spectrum: &[f64]) -> Rows {
    let row = |i: usize| {
        let mut row = vec![0.0; spectrum.len()];
        row[i] = spectrum[i];
        row
    };
    (0..spectrum.len()).map(row).collect()
}

fn transpose(a: &mut Rows) {
    for i in 1..a.len() {
        let (above, below) = a.split_at_mut(i);
        for (j, row) in above.iter_mut().enumerate() {
            std::mem::swap(&mut row[i], &mut below[0][j]);
        }
    }
}

/// Multiplies from the left with `I - 2 v v^T / v^T v`, or with `I` if `v` is zero.
fn reflect(a: &mut Rows, v: &[f64]) {
    let square: f64 = v.iter().map(|x| x * x).sum();
    if square == 0.0 {
        return;
    }
    for column in 0..a.len() {
        let along: f64 = a.iter().zip(v).map(|(row, x)| row[column] * x).sum();
        for (row, x) in a.iter_mut().zip(v) {
            row[column] -= 2.0 * x * along / square;
        }
    }
}
