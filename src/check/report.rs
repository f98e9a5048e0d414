//! What a check found.

use crate::shape::Shape;
use std::cmp::Ordering;
use std::fmt;

/// How many comparisons are shown: those that are the furthest off.
const SHOWN: usize = 12;

/// One derivative, by reverse mode and by differences.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Comparison {
    /// The order of the derivative: 1, 2, ...
    pub order: usize,
    /// The number of the input.
    pub input: usize,
    /// The index of the coordinate in the input.
    pub index: Vec<usize>,
    /// The derivative by reverse mode; 0 where it finds no path from the result to the input.
    pub reverse: f64,
    /// Whether reverse mode finds a path.
    pub reached: bool,
    /// The derivative by differences; a NaN if the function was nowhere finite on both sides.
    pub difference: f64,
    /// How far the two may be apart.
    pub tolerance: f64,
}

impl Comparison {
    /// The comparison of a coordinate, given by its position in row-major order, before anything is
    /// known of it.
    pub(super) fn at(order: usize, input: usize, position: usize, shape: &Shape) -> Self {
        let mut rest = position;
        let mut index: Vec<usize> = shape
            .iter()
            .rev()
            .map(|&n| {
                let i = rest % n;
                rest /= n;
                i
            })
            .collect();
        index.reverse();
        Comparison {
            order,
            input,
            index,
            reverse: f64::NAN,
            reached: false,
            difference: f64::NAN,
            tolerance: 0.0,
        }
    }

    /// How far the two are apart.
    pub fn error(&self) -> f64 {
        (self.reverse - self.difference).abs()
    }

    /// Whether the two agree: both are finite, and apart by no more than the tolerance.
    pub fn agrees(&self) -> bool {
        self.error() <= self.tolerance && self.tolerance.is_finite()
    }

    /// The error in tolerances; infinite where that cannot be said.
    fn badness(&self) -> f64 {
        let ratio = self.error() / self.tolerance;
        if ratio.is_nan() && !self.agrees() {
            f64::INFINITY
        } else if ratio.is_nan() {
            0.0
        } else {
            ratio
        }
    }

    fn remark(&self) -> &'static str {
        if self.agrees() {
            ""
        } else if !self.reverse.is_finite() || !self.difference.is_finite() {
            "not finite"
        } else if !self.reached {
            "path is cut"
        } else {
            "differs"
        }
    }
}

/// The comparisons of a check, the furthest off first.
#[derive(Clone, Debug)]
pub struct Report {
    comparisons: Vec<Comparison>,
}

impl Report {
    pub(super) fn new(mut comparisons: Vec<Comparison>) -> Self {
        comparisons.sort_by(|a, b| {
            let by_badness = b.badness().partial_cmp(&a.badness());
            by_badness.unwrap_or(Ordering::Equal)
        });
        Report { comparisons }
    }

    pub(super) fn outcome(self) -> Result<Report, Failure> {
        if self.comparisons.iter().all(Comparison::agrees) {
            Ok(self)
        } else {
            Err(Failure { report: self })
        }
    }

    /// All comparisons, the furthest off first.
    pub fn comparisons(&self) -> &[Comparison] {
        &self.comparisons
    }

    /// The comparisons that do not agree.
    pub fn failures(&self) -> impl Iterator<Item = &Comparison> {
        self.comparisons.iter().filter(|c| !c.agrees())
    }
}

/// An index for the table: the ends of one that is too long.
fn written(index: &[usize]) -> String {
    let text = format!("{index:?}");
    match index {
        [first, .., last] if text.len() > 16 => {
            let ends = format!("[{first}, .., {last}]");
            if ends.len() > 16 {
                format!("[.., {last}]")
            } else {
                ends
            }
        }
        _ => text,
    }
}

impl fmt::Display for Report {
    /// A headline and a table of the comparisons that are the furthest off, within 100 columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, failed) = (self.comparisons.len(), self.failures().count());
        if failed == 0 {
            write!(
                f,
                "reverse mode agrees with differences at all of {all} derivatives"
            )?;
        } else {
            write!(
                f,
                "reverse mode differs from differences at {failed} of {all} derivatives"
            )?;
        }
        if all == 0 {
            return Ok(());
        }
        let heads = [
            "order",
            "input",
            "index",
            "reverse",
            "difference",
            "error",
            "tolerance",
        ];
        let [order, input, index, reverse, difference, error, tolerance] = heads;
        write!(
            f,
            "\n{order:>5} {input:>5} {index:<16} {reverse:>17} {difference:>17} {error:>9} {tolerance:>9}"
        )?;
        for c in self.comparisons.iter().take(SHOWN) {
            let (order, input, index) = (c.order, c.input, written(&c.index));
            let (reverse, difference, error) = (c.reverse, c.difference, c.error());
            let line = format!(
                "{order:>5} {input:>5} {index:<16} {reverse:>17.9e} {difference:>17.9e} {error:>9.1e} {:>9.1e}  {}",
                c.tolerance,
                c.remark()
            );
            write!(f, "\n{}", line.trim_end())?;
        }
        let hidden = all.saturating_sub(SHOWN);
        let failing = failed.saturating_sub(SHOWN);
        match (hidden, failing) {
            (0, _) => {}
            (_, 0) => write!(f, "\n... and {hidden} more that agree")?,
            _ => write!(f, "\n... and {hidden} more, of which {failing} differ")?,
        }
        let mut cut: Vec<usize> = self
            .failures()
            .filter(|c| !c.reached)
            .map(|c| c.input)
            .collect();
        cut.sort_unstable();
        cut.dedup();
        for input in cut {
            write!(
                f,
                "\nthe path is cut: input {input} changes the result, but reverse mode finds no path to it"
            )?;
        }
        Ok(())
    }
}

/// A check that found derivatives that differ.
///
/// It displays as its [`Report`], and so does its debug form, which is what a test that returns a
/// `Result` prints.
#[derive(Clone)]
pub struct Failure {
    report: Report,
}

impl Failure {
    /// All comparisons.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.report, f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.report, f)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(index: Vec<usize>, reverse: f64, difference: f64, reached: bool) -> Comparison {
        Comparison {
            order: 2,
            input: 3,
            index,
            reverse,
            reached,
            difference,
            tolerance: 1e-7,
        }
    }

    #[test]
    fn the_worst_come_first_within_a_hundred_columns() {
        let long = vec![100_000, 100_000, 100_000, 100_000];
        let mut all = vec![
            comparison(vec![0], 1.0, 1.0, true),
            comparison(vec![1], -1.234567890123e-300, 1.0, true),
            comparison(long, 0.0, -1.234567890123e300, false),
            comparison(vec![], f64::NAN, f64::NEG_INFINITY, true),
        ];
        all.extend((0..20).map(|i| comparison(vec![i], 1.0, 1.0, true)));
        let failure = Report::new(all).outcome().unwrap_err();
        let text = failure.to_string();
        assert_eq!(failure.report().failures().count(), 3);
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "reverse mode differs from differences at 3 of 24 derivatives"
        );
        assert!(lines[2].ends_with("not finite"), "{text}");
        assert!(
            lines[3].contains("[.., 100000]") && lines[3].ends_with("path is cut"),
            "{text}"
        );
        assert!(lines[4].ends_with("differs"), "{text}");
        assert_eq!(lines[14], "... and 12 more that agree");
        assert!(lines[15].starts_with("the path is cut: input 3"), "{text}");
        assert_eq!(format!("{failure:?}"), text);
    }

    #[test]
    fn positions_become_indices() {
        let shape = Shape::from([2, 3, 4]);
        assert_eq!(Comparison::at(1, 0, 17, &shape).index, [1, 1, 1]);
        assert!(Comparison::at(1, 0, 0, &Shape::scalar()).index.is_empty());
    }
}
