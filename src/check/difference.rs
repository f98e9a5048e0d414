//! The derivative of a function of one number by central differences.

/// How fine the steps of differences can be, in the precision that a function computes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Precision {
    /// The distance from 1 to the next number.
    pub epsilon: f64,
    /// The first distance from the point on either side, relative to its magnitude, but at least this.
    ///
    /// Extrapolation makes the truncation error negligible at steps that are large against rounding:
    /// larger than a single difference would want them, `eps^(1/3)`.
    first_step: f64,
    /// How often the step is halved at most.
    steps: usize,
    /// The relative change between two extrapolations below which more steps would only add rounding
    /// errors.
    converged: f64,
}

impl Precision {
    /// Steps from 1e-3 down to about 1e-7.
    pub const DOUBLE: Precision = Precision {
        epsilon: f64::EPSILON,
        first_step: 1e-3,
        steps: 14,
        converged: 1e-11,
    };
    /// Steps from 1/16 down to about 5e-4.
    pub const SINGLE: Precision = Precision {
        epsilon: f32::EPSILON as f64,
        first_step: 1.0 / 16.0,
        steps: 8,
        converged: 1e-5,
    };

    /// The number that the function sees for `x`.
    pub fn rounded(&self, x: f64) -> f64 {
        if self.epsilon > f64::EPSILON {
            f64::from(x as f32)
        } else {
            x
        }
    }
}

/// A change of a function between two points, as a sum of changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub sum: f64,
    /// The sum of the magnitudes of what was subtracted: it bounds the rounding error of `sum`.
    pub magnitude: f64,
}

impl Change {
    /// No change.
    pub const NONE: Change = Change {
        sum: 0.0,
        magnitude: 0.0,
    };

    /// With that of a value that counts with a weight.
    pub fn and(self, weight: f64, to: f64, from: f64) -> Change {
        // What did not change adds nothing, not even a rounding error.
        if to == from {
            return self;
        }
        Change {
            sum: self.sum + weight * (to - from),
            magnitude: self.magnitude + weight.abs() * (to.abs() + from.abs()),
        }
    }
}

/// A derivative, and what limits it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Difference {
    pub value: f64,
    /// How far the last two extrapolations are apart. Infinite if there were not two.
    pub error: f64,
    /// A bound of the rounding error of the function's values over the step.
    pub noise: f64,
    /// The largest slope to either side over the first step: what the derivative is small against where it vanishes.
    pub scale: f64,
    /// The slopes to the left and to the right of the point, if they stay apart, or grow without end,
    /// however small the step.
    pub kink: Option<(f64, f64)>,
}

/// The slopes on either side of a point over one step, and a bound of their rounding error.
#[derive(Clone, Copy, Debug)]
struct Slopes {
    left: f64,
    right: f64,
    noise: f64,
}

impl Slopes {
    fn size(&self) -> f64 {
        self.left.abs().max(self.right.abs())
    }

    /// Whether half the step, which gave `finer`, did not bring the two sides together as it would
    /// where the function is smooth: there their distance halves too. Nor did it keep the slopes as
    /// they were, as it would where there is no jump.
    fn stay_apart(&self, finer: &Slopes) -> bool {
        let gap = |slopes: &Slopes| (slopes.right - slopes.left).abs();
        let least = 50.0 * finer.noise;
        let bends = gap(finer) >= 0.75 * gap(self) && gap(finer) > 1e-3 * finer.size() + least;
        let jumps = finer.size() >= 1.5 * self.size() && finer.size() > least;
        bends || jumps
    }
}

/// The derivative at `x` of a function that is known by its changes from one point to another;
/// `values` gives what it is at a point, `here` is that at `x`.
///
/// Ridders' method: central differences at halved steps are extrapolated to a step of zero, and the
/// extrapolation that agrees best with its two predecessors is taken. Steps at which the function
/// is not finite are passed over. The differences on either side show kinks and jumps.
///
/// # Source
/// C. J. F. Ridders, "Accurate computation of F'(x) and F'(x)F''(x)", Advances in Engineering
/// Software 4 (1982). There the first step is the user's; here it follows from `x`.
pub(super) fn derivative<V>(
    x: f64,
    precision: &Precision,
    here: &V,
    mut values: impl FnMut(f64) -> V,
    change: impl Fn(&V, &V) -> Change,
) -> Difference {
    let mut best = Difference {
        value: f64::NAN,
        error: f64::INFINITY,
        noise: 0.0,
        scale: 0.0,
        kink: None,
    };
    let mut step = precision.first_step * x.abs().max(1.0);
    // Row `i` of the tableau: the difference at step `i`, then its extrapolations of rising order.
    let mut previous: Vec<f64> = Vec::with_capacity(precision.steps);
    let mut row: Vec<f64> = Vec::with_capacity(precision.steps);
    let mut sides: Vec<Slopes> = Vec::with_capacity(precision.steps);
    for _ in 0..precision.steps {
        let [above, below] = [x + step, x - step].map(|x| precision.rounded(x));
        let [high, low] = [above, below].map(&mut values);
        let Change { sum, magnitude } = change(&high, &low);
        // Not `2 * step`: the points were rounded.
        let width = above - below;
        let noise = precision.epsilon * magnitude / width;
        sides.push(Slopes {
            left: change(here, &low).sum / (x - below),
            right: change(&high, here).sum / (above - x),
            noise: 2.0 * noise,
        });
        step /= 2.0;
        row.clear();
        row.push(sum / width);
        if !row[0].is_finite() {
            previous.clear();
            continue;
        }
        if best.value.is_nan() {
            best.value = row[0];
            let slope = sides.last().map(Slopes::size);
            best.scale = slope.filter(|size| size.is_finite()).unwrap_or(0.0);
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
                    ..best
                };
            }
            row.push(value);
        }
        let converged = best.error <= precision.converged * best.value.abs() + best.noise;
        if converged && !matches!(&sides[..], [.., a, b] if a.stay_apart(b)) {
            return best;
        }
        std::mem::swap(&mut previous, &mut row);
    }
    if let [.., a, b, c, d] = &sides[..]
        && a.stay_apart(b)
        && b.stay_apart(c)
        && c.stay_apart(d)
    {
        best.kink = Some((d.left, d.right));
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differentiate(f: impl Fn(f64) -> f64, x: f64) -> Difference {
        derivative(x, &Precision::DOUBLE, &f(x), &f, |a, b| Change {
            sum: a - b,
            magnitude: a.abs() + b.abs(),
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
            assert!(found.kink.is_none(), "{x}: {found:?}");
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
        assert!(beside.kink.is_none(), "{beside:?}");
        assert!(differentiate(|_| f64::NAN, 1.0).value.is_nan());
    }

    #[test]
    fn kinks_and_jumps_show_on_either_side() {
        let kink = |f: fn(f64) -> f64, x: f64| differentiate(f, x).kink.expect("a kink");
        assert_eq!(kink(f64::abs, 0.0), (-1.0, 1.0));
        let (left, right) = kink(|x| (x - 2.0).max(0.0) + x * x, 2.0);
        assert!((left - 4.0).abs() < 1e-5 && (right - 5.0).abs() < 1e-5);
        let (left, right) = kink(|x| if x > 0.0 { 1.0 } else { 0.0 }, 0.0);
        assert!(left == 0.0 && right > 1e6);
        // The same on both sides, and without bounds.
        let (left, right) = kink(f64::signum, 1e-300);
        assert!(left > 1e6 && right == 0.0 || left == right);
        for smooth in [|x: f64| x.abs() * x * x, |x: f64| x.powi(5), |_: f64| 3.0] {
            assert!(differentiate(smooth, 0.0).kink.is_none());
        }
        // A curvature that is a multiple of the slope of what follows.
        assert!(differentiate(|x| (300.0 * x).sin(), 0.3).kink.is_none());
        assert!(differentiate(|x| 1e6 + x, 0.3).kink.is_none());
    }
}
