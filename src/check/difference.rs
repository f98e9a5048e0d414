//! The derivative of a function of one number by central differences.

/// The first distance from the point on either side, relative to its magnitude, but at least this.
///
/// Extrapolation makes the truncation error negligible at steps that are large against rounding: a
/// thousandth, where a single difference would be best at `eps^(1/3)`.
const FIRST_STEP: f64 = 1e-3;

/// How often the step is halved at most: down to `FIRST_STEP / 2^13`, about 1e-7.
const STEPS: usize = 14;

/// The relative change between two extrapolations below which more steps would only add rounding
/// errors.
const CONVERGED: f64 = 1e-11;

/// A change of a function between two points, as a sum of changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub sum: f64,
    /// The sum of the magnitudes of what was subtracted: it bounds the rounding error of `sum`.
    pub magnitude: f64,
}

/// A derivative, and what limits it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Difference {
    pub value: f64,
    /// How far the last two extrapolations are apart. Infinite if there were not two.
    pub error: f64,
    /// A bound of the rounding error of the function's values over the step.
    pub noise: f64,
}

/// The derivative at `x` of a function that is known by its changes from one point to another.
///
/// Ridders' method: central differences at halved steps are extrapolated to a step of zero, and the
/// extrapolation that agrees best with its two predecessors is taken. Steps at which the function
/// is not finite are passed over.
///
/// # Source
/// C. J. F. Ridders, "Accurate computation of F'(x) and F'(x)F''(x)", Advances in Engineering
/// Software 4 (1982). There the first step is the user's; here it follows from `x`.
pub(super) fn derivative(x: f64, mut change: impl FnMut(f64, f64) -> Change) -> Difference {
    let mut best = Difference {
        value: f64::NAN,
        error: f64::INFINITY,
        noise: 0.0,
    };
    let mut step = FIRST_STEP * x.abs().max(1.0);
    // Row `i` of the tableau: the difference at step `i`, then its extrapolations of rising order.
    let mut previous: Vec<f64> = Vec::with_capacity(STEPS);
    let mut row: Vec<f64> = Vec::with_capacity(STEPS);
    for _ in 0..STEPS {
        let (above, below) = (x + step, x - step);
        let Change { sum, magnitude } = change(above, below);
        // Not `2 * step`: the points were rounded.
        let width = above - below;
        step /= 2.0;
        row.clear();
        row.push(sum / width);
        let noise = f64::EPSILON * magnitude / width;
        if !row[0].is_finite() {
            previous.clear();
            continue;
        }
        if best.value.is_nan() {
            best.value = row[0];
        }
        let mut factor = 1.0;
        for (j, &coarse) in previous.iter().enumerate() {
            // The error of the j-th extrapolation is of order `step^(2 j + 2)`.
            factor *= 4.0;
            let value = row[j] + (row[j] - coarse) / (factor - 1.0);
            let error = (value - row[j]).abs().max((value - coarse).abs());
            if error + noise < best.error + best.noise {
                best = Difference {
                    value,
                    error,
                    noise,
                };
            }
            row.push(value);
        }
        if best.error <= CONVERGED * best.value.abs() + best.noise {
            break;
        }
        std::mem::swap(&mut previous, &mut row);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differentiate(f: impl Fn(f64) -> f64, x: f64) -> Difference {
        derivative(x, |above, below| Change {
            sum: f(above) - f(below),
            magnitude: f(above).abs() + f(below).abs(),
        })
    }

    #[test]
    fn smooth_functions_to_eleven_digits() {
        let near = |f: fn(f64) -> f64, x: f64, expected: f64| {
            let found = differentiate(f, x);
            let off = (found.value - expected).abs();
            assert!(
                off <= 1e-10 * expected.abs().max(1.0),
                "{x}: {found:?}, not {expected}"
            );
            assert!(
                off <= 20.0 * (found.error + found.noise),
                "{x}: {found:?}, not {expected}"
            );
        };
        for x in [-2.0, -0.3, 0.0, 0.7, 3.0] {
            near(f64::exp, x, x.exp());
            near(f64::sin, x, x.cos());
            near(|x| x.powi(4), x, 4.0 * x.powi(3));
        }
        near(|x| (30.0 * x).sin(), 0.4, 30.0 * 12f64.cos());
        near(|x| x * x, 1e6, 2e6);
    }

    #[test]
    fn the_edge_of_a_domain_and_a_kink_are_kept_away_from() {
        let root = differentiate(f64::sqrt, 1e-4);
        assert!((root.value - 50.0).abs() < 1e-6, "{root:?}");
        let beside = differentiate(f64::abs, 2e-4);
        assert!((beside.value - 1.0).abs() < 1e-9, "{beside:?}");
        let jump = differentiate(|x| if x > 0.0 { 1.0 } else { 0.0 }, 0.0);
        assert!(jump.error > 1.0, "{jump:?}");
        assert!(differentiate(|_| f64::NAN, 1.0).value.is_nan());
    }
}
