//! The derivative of a function of one number by central differences.

/// By how much each step is smaller than the one before: the square of the golden ratio. No power of it
/// is a fraction, so that several steps are not multiples of one period of a function.
const RATIO: f64 = 2.618033988749895;

/// How fine the steps of differences can be, in the precision that a function computes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Precision {
    /// The distance from 1 to the next number.
    pub epsilon: f64,
    /// The first distance from the point on either side, relative to its magnitude, but at least this.
    ///
    /// Extrapolation makes the truncation error negligible at steps that are large against rounding:
    /// larger than a single difference would want them, `eps^(1/3)`. It is not round, as the periods of
    /// functions often are.
    first_step: f64,
    /// How many steps there are at most.
    steps: usize,
    /// The relative change between two extrapolations below which more steps would only add rounding
    /// errors.
    converged: f64,
}

impl Precision {
    /// Steps from 1e-3 down to about 4e-9.
    pub const DOUBLE: Precision = Precision {
        epsilon: f64::EPSILON,
        first_step: 1.0873e-3,
        steps: 14,
        converged: 1e-11,
    };
    /// Steps from 1/16 down to about 2e-4.
    pub const SINGLE: Precision = Precision {
        epsilon: f32::EPSILON as f64,
        first_step: 0.0631,
        steps: 7,
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
    /// How far it may be off, by its extrapolation and by what finer steps gave. Infinite if there were
    /// not two steps.
    pub error: f64,
    /// A bound of the rounding error of the function's values over the step.
    pub noise: f64,
    /// The largest slope to either side over the first step: what the derivative is small against where it vanishes.
    pub scale: f64,
    /// The slopes to the left and to the right of the point over the finest step, if no step resolves the
    /// function: if they stay apart, or grow without end, or what the steps gave does not settle.
    pub kink: Option<(f64, f64)>,
}

impl Difference {
    /// The largest error with which a derivative of some size still counts as known.
    pub fn tolerable(&self, size: f64) -> f64 {
        1e-4 * size.max(self.value.abs()).max(self.scale)
    }
}

/// The slopes about a point and on either side of it over one step, and bounds of their rounding errors.
#[derive(Clone, Copy, Debug)]
struct Slopes {
    step: f64,
    middle: f64,
    noise: f64,
    left: f64,
    right: f64,
    side_noise: f64,
}

impl Slopes {
    /// The larger of the two sides.
    fn size(&self) -> f64 {
        self.left.abs().max(self.right.abs())
    }

    fn gap(&self) -> f64 {
        (self.right - self.left).abs()
    }

    /// Half of the distance between the two sides over a finer step, if that did not bring them together
    /// as it would where the function is smooth: there their distance falls with the step. Nor did it
    /// keep the slopes as they were, as it would where there is no jump. Otherwise 0.
    fn apart(&self, finer: &Slopes) -> f64 {
        let least = 50.0 * finer.side_noise;
        let as_smooth = self.gap() * finer.step / self.step;
        let bends = finer.gap() >= 2.0 * as_smooth && finer.gap() > 1e-3 * finer.size() + least;
        let jumps = finer.size() >= 1.5 * self.size() && finer.size() > least;
        if bends || jumps {
            finer.gap() / 2.0
        } else {
            0.0
        }
    }
}

/// The best extrapolation from the steps down to one, and how far it may be off.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    finest: Slopes,
    value: f64,
    error: f64,
}

impl Candidate {
    /// Counts what a finer step gave otherwise as an error.
    ///
    /// At best it is a rounding error within the function, of which its values say nothing. That grows as
    /// the step falls, so that a part of it only is in the coarser difference: no less than this one.
    fn heed(&mut self, finer: &Slopes, value: f64) {
        let off = (value - self.value).abs().max(self.finest.apart(finer));
        if off.is_finite() {
            self.error = self.error.max(off * finer.step / self.finest.step);
        }
    }

    /// Its error and noise, relative to what is to be known.
    fn badness(&self, scale: f64) -> f64 {
        match self.error + self.finest.noise {
            0.0 => 0.0,
            limit => limit / self.value.abs().max(scale),
        }
    }
}

/// The derivative at `x` of a function that is known by its changes from one point to another;
/// `values` gives what it is at a point, `here` is that at `x`.
///
/// Ridders' method: central differences at falling steps are extrapolated to a step of zero, and the
/// extrapolation that agrees best with its two predecessors is taken. Steps at which the function
/// is not finite are passed over.
///
/// That coarse steps agree says little: all may reach past a bump, or span whole periods. So an
/// extrapolation has to agree with what all finer steps gave, and first of all with the finest, which is
/// why that is computed in any case; and the slopes on either side have to come together. If there is
/// none that does, the function has a kink or a jump, or changes faster than any step can show.
///
/// # Source
/// C. J. F. Ridders, "Accurate computation of F'(x) and F'(x)F''(x)", Advances in Engineering
/// Software 4 (1982). There the first step is the user's, here it follows from `x`; finer steps have no
/// say there.
pub(super) fn derivative<V>(
    x: f64,
    precision: &Precision,
    here: &V,
    mut values: impl FnMut(f64) -> V,
    change: impl Fn(&V, &V) -> Change,
) -> Difference {
    let mut slopes = |number: usize| {
        let step = precision.first_step * x.abs().max(1.0) / RATIO.powi(number as i32);
        let [above, below] = [x + step, x - step].map(|x| precision.rounded(x));
        let [high, low] = [above, below].map(&mut values);
        let middle = change(&high, &low);
        let (left, right) = (change(here, &low), change(&high, here));
        // Not `2 * step`: the points were rounded.
        let width = above - below;
        Slopes {
            step,
            middle: middle.sum / width,
            noise: precision.epsilon * middle.magnitude / width,
            left: left.sum / (x - below),
            right: right.sum / (above - x),
            side_noise: 2.0 * precision.epsilon * left.magnitude.max(right.magnitude) / width,
        }
    };
    let last = precision.steps - 1;
    let finest = slopes(last);
    let mut best = Difference {
        value: f64::NAN,
        error: f64::INFINITY,
        noise: 0.0,
        scale: 0.0,
        kink: None,
    };
    let mut candidates: Vec<Candidate> = Vec::with_capacity(precision.steps);
    // Row `i` of the tableau: the difference at step `i`, then its extrapolations of rising order.
    let mut previous: Vec<f64> = Vec::with_capacity(precision.steps);
    let mut row: Vec<f64> = Vec::with_capacity(precision.steps);
    let mut before: Option<Slopes> = None;
    for number in 0..precision.steps {
        let own = if number == last {
            finest
        } else {
            slopes(number)
        };
        row.clear();
        row.push(own.middle);
        if !own.middle.is_finite() {
            previous.clear();
            before = None;
            continue;
        }
        if best.value.is_nan() {
            best.value = own.middle;
            best.scale = Some(own.size())
                .filter(|size| size.is_finite())
                .unwrap_or(0.0);
        }
        let mut found = Candidate {
            finest: own,
            value: own.middle,
            error: f64::INFINITY,
        };
        let mut factor = 1.0;
        for (j, &coarse) in previous.iter().enumerate() {
            // The error of the j-th extrapolation is of order `step^(2 j + 2)`.
            factor *= RATIO * RATIO;
            let value = row[j] + (row[j] - coarse) / (factor - 1.0);
            let error = (value - row[j]).abs().max((value - coarse).abs());
            if error < found.error {
                (found.value, found.error) = (value, error);
            }
            row.push(value);
        }
        for candidate in &mut candidates {
            candidate.heed(&own, found.value);
        }
        if let Some(before) = before {
            found.error = found.error.max(before.apart(&own));
            found.heed(&finest, finest.middle);
            candidates.push(found);
        }
        before = Some(own);
        std::mem::swap(&mut previous, &mut row);
        let badness = |candidate: &&Candidate| candidate.badness(best.scale);
        let by_badness = |a: &&Candidate, b: &&Candidate| badness(a).total_cmp(&badness(b));
        if let Some(least) = candidates.iter().min_by(by_badness) {
            best.value = least.value;
            best.error = least.error;
            best.noise = least.finest.noise;
        }
        if best.error <= precision.converged * best.value.abs() + best.noise {
            break;
        }
    }
    let known = best.error <= best.tolerable(0.0) + 4.0 * best.noise;
    if !known && best.value.is_finite() {
        best.kink = Some((finest.left, finest.right));
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

    /// Asserts that a derivative is found, and no kink.
    fn expect(name: &str, f: impl Fn(f64) -> f64, x: f64, expected: f64) {
        let found = differentiate(f, x);
        let off = (found.value - expected).abs();
        assert!(
            off <= 1e-6 * expected.abs() && found.kink.is_none(),
            "{name} at {x}: {found:?}, not {expected}"
        );
        assert!(
            off <= 4.0 * (found.error + found.noise) + 1e-9 * expected.abs(),
            "{name} at {x}: {found:?}, not {expected}"
        );
    }

    #[test]
    fn steps_that_span_periods_or_reach_past_a_bump_have_no_say() {
        for x in [0.3, 0.123, 1000.0f64] {
            let frequencies = [1.0, 10.0, 1000.0, 2000.0, 3000.0, 5000.0, 16000.0];
            for f in frequencies.map(|f| f * std::f64::consts::TAU / x.max(1.0)) {
                expect("a sine", |x| (f * x).sin(), x, f * (f * x).cos());
            }
            for f in [1e5, 2e5, 1e6].map(|f| f / x.max(1.0)) {
                expect("a fast sine", |x| (f * x).sin(), x, f * (f * x).cos());
            }
        }
        let hat = |x: f64| (1.0 - (x - 3000.0).abs()).max(0.0);
        expect("a hat", hat, 3000.3, -1.0);
        expect("a hat", |x| (1.0 - x.abs() * 1e4).max(0.0), 5e-5, -1e4);
        for (x, middle, width) in [
            (3000.02, 3000.0, 0.05),
            (20000.2, 2e4, 0.5),
            (3e-6, 0.0, 7e-6),
        ] {
            let bell = |x: f64| (-0.5 * ((x - middle) / width).powi(2)).exp();
            let slope = -(x - middle) / (width * width) * bell(x);
            expect("a bell", bell, x, slope);
        }
        // Nothing at the point itself, and nothing a step away.
        for (x, width) in [(3000.0, 0.05), (0.0, 1e-4), (0.0, 1e-6), (0.0, 5e-7)] {
            let wave = |at: f64| (at - x) * (-((at - x) / width).powi(2)).exp();
            expect("a wave", wave, x, 1.0);
            expect(
                "a wave on a curve",
                |at| wave(at) + 50.0 * (at - x).powi(2),
                x,
                1.0,
            );
        }
        // Fast and small beside something slow, which coarse steps agree on.
        expect("two sines", |x| x.sin() + 1e-6 * (1e6 * x).sin(), 0.0, 2.0);
    }

    #[test]
    fn what_no_step_resolves_is_known_as_such() {
        for f in [1e8, 1e9, 1e10] {
            let found = differentiate(|x| (f * x).sin(), 0.3);
            assert!(found.kink.is_some(), "{f}: {found:?}");
        }
        // What is reported is what came nearest.
        let found = differentiate(|x| (1e8 * x).sin(), 0.3);
        assert!(
            (found.value / (1e8 * 3e7f64.cos()) - 1.0).abs() < 1e-2,
            "{found:?}"
        );
        // A kink beside the point is seen, or is as one at the point.
        let (mut resolved, mut kinks) = (0, 0);
        for k in 0..80 {
            let near = 10f64.powf(-11.0 + 0.1 * f64::from(k));
            for (point, scale) in [(0.0, 1.0), (3000.0, 3000.0)] {
                let at = |side: f64| {
                    let relu = |x: f64| 1.25 * (x - point).max(0.0) + 0.5 * x;
                    differentiate(relu, point + side * near * scale)
                };
                for (side, slope) in [(1.0, 1.75), (-1.0, 0.5)] {
                    let found = at(side);
                    let right = (found.value - slope).abs() <= 1e-6;
                    assert!(right || found.kink.is_some(), "{near}: {found:?}");
                    match found.kink {
                        None => resolved += 1,
                        Some(_) => kinks += 1,
                    }
                    assert!(near <= 2e-8 || found.kink.is_none(), "{near}: {found:?}");
                }
            }
        }
        assert!(resolved > 150 && kinks > 100, "{resolved} {kinks}");
        // Curved so much that the slopes come together over coarse steps all the same.
        assert!(differentiate(|x| x.abs() + 1e5 * x * x, 0.0).kink.is_some());
    }

    #[test]
    fn rounding_within_a_function_is_told_from_what_is_finer_than_coarse_steps() {
        for far in [1e4, 1e6, 1e7] {
            let found = differentiate(|x| ((x + far) - far).powi(2), 0.7);
            assert!(found.kink.is_none(), "{far}: {found:?}");
            assert!((found.value - 1.4).abs() < 1e-4, "{far}: {found:?}");
        }
    }

    #[test]
    fn smooth_functions_take_few_evaluations() {
        let count = |f: fn(f64) -> f64, x: f64| {
            let evaluations = std::cell::Cell::new(0);
            let counted = |x| {
                evaluations.set(evaluations.get() + 1);
                f(x)
            };
            derivative(x, &Precision::DOUBLE, &f(x), counted, |a, b| {
                Change::NONE.and(1.0, *a, *b)
            });
            evaluations.get()
        };
        let smooth: [fn(f64) -> f64; 4] =
            [f64::exp, f64::sin, |x| x * x * x, |x| (1.0 + x * x).sqrt()];
        for f in smooth {
            assert!(count(f, 0.7) <= 10, "{}", count(f, 0.7));
        }
        assert_eq!(count(f64::abs, 0.0), 2 * Precision::DOUBLE.steps);
    }
}
