//! What a check found.

mod table;

use crate::shape::Shape;
use std::cmp::Ordering;
use std::fmt;
use table::{COLUMNS, INDEX, WIDTH, line, number, shortened, widths, written};

/// How many comparisons are shown: those that are the furthest off.
const SHOWN: usize = 12;

/// How many kinks are described.
const KINKS: usize = 3;

/// What reverse mode is compared with.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check::{self, Method};
/// let x = Tensor::from([0.5, -1.0]);
/// let report = check::gradients(|[x]| x.sin(), [&x])?;
/// let by = |method| report.comparisons().iter().filter(|c| c.method == method).count();
/// // Two orders of each: of two coordinates, and of one input.
/// assert_eq!((by(Method::Difference), by(Method::Forward)), (4, 2));
/// # Ok::<(), check::Failure>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// The difference of the function at two points beside a coordinate.
    Difference,
    /// Forward mode, along a direction in which all coordinates of an input change: by the adjoint
    /// identity `<J^T w, v> = <w, J v>`, both sides are one number, and no step is needed.
    Forward,
}

/// What a comparison says.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check::{self, Verdict};
/// let x = Tensor::from([0.5, -1.0]);
/// let failure = check::gradients(|[x]| x * x.stop_gradient(), [&x]).unwrap_err();
/// let of = |order, at: usize| {
///     let all = failure.report().comparisons().iter();
///     all.filter(|c| c.order == order && c.index == [at]).map(|c| c.verdict()).next()
/// };
/// assert_eq!(of(1, 0), Some(Verdict::Differs));
/// // The first derivative is `x.stop_gradient()`: nothing leads back.
/// assert_eq!(of(2, 0), Some(Verdict::Cut));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Both are finite, and apart by no more than the tolerance.
    Agrees,
    /// No step resolves the function there, so there is no derivative to agree with: it has a kink or a
    /// jump, where the slopes on both sides stay apart however small the step, or is as good as at one, or
    /// changes faster than the smallest step can show. Neither a success nor a failure.
    Kink,
    /// They are further apart.
    Differs,
    /// The function changes with the input, but reverse mode finds no path to it.
    Cut,
    /// One of them is infinite or a NaN.
    NotFinite,
}

/// One derivative, by reverse mode and by another way.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check::{self, Verdict};
/// let x = Tensor::from([3.0]);
/// let failure = check::gradients(|[x]| x * x.stop_gradient(), [&x]).unwrap_err();
/// let worst = failure.report().comparisons().iter().find(|c| c.order == 1 && !c.index.is_empty());
/// let worst = worst.unwrap();
/// assert_eq!((worst.verdict(), worst.fails()), (Verdict::Differs, true));
/// // Half of it is missing, and weighted.
/// assert!((worst.reference / worst.reverse - 2.0).abs() < 1e-6);
/// assert!(worst.error() > worst.tolerance);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Comparison {
    /// The order of the derivative: 1, 2, ...
    pub order: usize,
    /// The number of the input, or of the parameter in the order of a visit.
    pub input: usize,
    /// The name of the input: that of the parameter in a model; `input 0` and so on if it has none.
    pub name: String,
    /// The index of the coordinate in the input; empty for [`Method::Forward`].
    pub index: Vec<usize>,
    /// What reverse mode is compared with.
    pub method: Method,
    /// The derivative by reverse mode; 0 where it finds no path from the result to the input.
    pub reverse: f64,
    /// Whether reverse mode finds a path.
    pub reached: bool,
    /// What it is compared with; a NaN if the function was nowhere finite on both sides.
    pub reference: f64,
    /// How far the two may be apart.
    pub tolerance: f64,
    /// The slopes to the left and to the right over the smallest step, where no step resolves the function.
    pub kink: Option<(f64, f64)>,
}

/// The index of a position in row-major order.
pub(super) fn index_of(position: usize, shape: &Shape) -> Vec<usize> {
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
    index
}

impl Comparison {
    /// How far the two are apart.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([0.5, -1.0]);
    /// let report = check::gradients(|[x]| x.sin(), [&x])?;
    /// assert!(report.comparisons().iter().all(|c| c.error() <= c.tolerance));
    /// # Ok::<(), check::Failure>(())
    /// ```
    pub fn error(&self) -> f64 {
        (self.reverse - self.reference).abs()
    }

    /// What the comparison says.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::{self, Verdict};
    /// let x = Tensor::from([0.5, -1.0]);
    /// let report = check::gradients(|[x]| x.sin(), [&x])?;
    /// assert!(report.comparisons().iter().all(|c| c.verdict() == Verdict::Agrees));
    /// # Ok::<(), check::Failure>(())
    /// ```
    pub fn verdict(&self) -> Verdict {
        if self.kink.is_some() && self.reverse.is_finite() {
            Verdict::Kink
        } else if self.error() <= self.tolerance && self.tolerance.is_finite() {
            Verdict::Agrees
        } else if !self.reverse.is_finite() || !self.reference.is_finite() {
            Verdict::NotFinite
        } else if !self.reached {
            Verdict::Cut
        } else {
            Verdict::Differs
        }
    }

    /// Whether the two agree.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([0.5, -1.0]);
    /// let report = check::gradients(|[x]| x.sin(), [&x])?;
    /// assert!(report.comparisons().iter().all(|c| c.agrees()));
    /// # Ok::<(), check::Failure>(())
    /// ```
    pub fn agrees(&self) -> bool {
        self.verdict() == Verdict::Agrees
    }

    /// Whether it is a failure: they neither agree nor stand at a kink.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([0.0, 1.0]);
    /// let report = check::gradients(|[x]| x.abs(), [&x])?;
    /// // It does not agree at the kink, but that is no failure.
    /// assert!(report.comparisons().iter().any(|c| !c.agrees()));
    /// assert!(!report.comparisons().iter().any(|c| c.fails()));
    /// # Ok::<(), check::Failure>(())
    /// ```
    pub fn fails(&self) -> bool {
        !matches!(self.verdict(), Verdict::Agrees | Verdict::Kink)
    }

    /// The error in tolerances, infinite where that cannot be said; failures before kinks before the
    /// rest.
    fn badness(&self) -> (u8, f64) {
        let ratio = self.error() / self.tolerance;
        match self.verdict() {
            Verdict::Agrees if ratio.is_nan() => (0, 0.0),
            Verdict::Agrees => (0, ratio),
            Verdict::Kink => (1, 0.0),
            _ if ratio.is_nan() => (2, f64::INFINITY),
            _ => (2, ratio),
        }
    }

    fn remark(&self) -> &'static str {
        match self.verdict() {
            Verdict::Agrees => "",
            Verdict::Kink => "kink",
            Verdict::Differs => "differs",
            Verdict::Cut => "path cut",
            Verdict::NotFinite => "not finite",
        }
    }
}

/// The comparisons of a check, the furthest off first.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check::{self, Method, Verdict};
/// let x = Tensor::from([0.0, 1.0, -2.0]);
/// let report = check::gradients(|[x]| x.relu() * x, [&x])?;
/// // The second derivative jumps at 0, so that the first has a kink there.
/// assert_eq!(report.failures().count(), 0);
/// let kink = report.kinks().next().unwrap();
/// assert_eq!((kink.order, &kink.index[..], kink.verdict()), (2, &[0][..], Verdict::Kink));
/// let first = report.comparisons().iter().filter(|c| c.order == 1);
/// assert!(first.filter(|c| c.method == Method::Difference).all(|c| c.agrees()));
/// # Ok::<(), check::Failure>(())
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    comparisons: Vec<Comparison>,
    faults: Vec<String>,
}

impl Report {
    pub(super) fn new(mut comparisons: Vec<Comparison>, faults: Vec<String>) -> Self {
        comparisons.sort_by(|a, b| {
            let by_badness = b.badness().partial_cmp(&a.badness());
            by_badness.unwrap_or(Ordering::Equal)
        });
        Report {
            comparisons,
            faults,
        }
    }

    pub(super) fn outcome(self) -> Result<Report, Failure> {
        if self.faults.is_empty() && !self.comparisons.iter().any(Comparison::fails) {
            Ok(self)
        } else {
            Err(Failure { report: self })
        }
    }

    /// All comparisons, the furthest off first.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([0.5, -1.0]);
    /// let report = check::gradients(|[x]| x.sin(), [&x])?;
    /// // Two coordinates and a direction, of two orders.
    /// assert_eq!(report.comparisons().len(), 6);
    /// # Ok::<(), check::Failure>(())
    /// ```
    pub fn comparisons(&self) -> &[Comparison] {
        &self.comparisons
    }

    /// The comparisons that fail: they neither agree nor stand at a kink.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([0.5, -1.0]);
    /// let failure = check::gradients(|[x]| x * x.stop_gradient(), [&x]).unwrap_err();
    /// assert!(failure.report().failures().any(|c| c.order == 1 && c.index == [0]));
    /// ```
    pub fn failures(&self) -> impl Iterator<Item = &Comparison> {
        self.comparisons.iter().filter(|c| c.fails())
    }

    /// The comparisons at a kink or a jump of the function, or where no step resolves it, which say nothing
    /// about the derivative.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([0.0, 1.0]);
    /// let report = check::gradients(|[x]| x.abs(), [&x])?;
    /// assert!(report.kinks().all(|c| c.index == [0]));
    /// assert!(report.kinks().count() > 0);
    /// # Ok::<(), check::Failure>(())
    /// ```
    pub fn kinks(&self) -> impl Iterator<Item = &Comparison> {
        let at_kink = |c: &&Comparison| c.verdict() == Verdict::Kink;
        self.comparisons.iter().filter(at_kink)
    }

    /// What is wrong besides derivatives: what [`operation`](super::operation()) found of a kernel.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([0.5, -1.0]);
    /// let report = check::gradients(|[x]| x.sin(), [&x])?;
    /// assert!(report.faults().is_empty());
    /// # Ok::<(), check::Failure>(())
    /// ```
    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}

impl fmt::Display for Report {
    /// A headline and a table of the comparisons that are the furthest off, within 80 columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, failed) = (self.comparisons.len(), self.failures().count());
        let kinks = self.kinks().count();
        match failed {
            0 if kinks == 0 => write!(f, "reverse mode agrees at all of {all} derivatives")?,
            0 => write!(
                f,
                "reverse mode agrees at {} of {all} derivatives",
                all - kinks
            )?,
            _ => write!(f, "reverse mode is wrong at {failed} of {all} derivatives")?,
        }
        if kinks > 0 {
            write!(f, ", {kinks} at kinks")?;
        }
        for fault in &self.faults {
            write!(f, "\nfault: {fault}")?;
        }
        if all == 0 {
            return Ok(());
        }
        let heads = [
            "input",
            "ord",
            "index",
            "reverse",
            "difference",
            "error",
            "allowed",
            "",
        ];
        let shown = &self.comparisons[..all.min(SHOWN)];
        let mut rows = vec![heads.map(str::to_string)];
        rows.extend(shown.iter().map(|c| {
            [
                shortened(&c.name, COLUMNS[0]),
                c.order.to_string(),
                match c.method {
                    Method::Difference => format!("{:?}", c.index),
                    Method::Forward => "(forward)".to_string(),
                },
                number(c.reverse),
                number(c.reference),
                format!("{:.0e}", c.error()),
                format!("{:.0e}", c.tolerance),
                c.remark().to_string(),
            ]
        }));
        let widths = widths(&rows);
        for (row, c) in rows[1..].iter_mut().zip(shown) {
            if c.method == Method::Difference {
                row[INDEX] = written(&c.index, widths[INDEX]);
            }
        }
        let alike = |a: &[String; 8], b: &[String; 8]| a[..=INDEX] == b[..=INDEX];
        line(f, &rows[0], &widths)?;
        for (row, c) in rows[1..].iter().zip(shown) {
            line(f, row, &widths)?;
            // What distinguishes the two was cut off.
            let others = rows.iter().filter(|other| alike(other, row)).count();
            if others > 1 && row[INDEX].starts_with("..") {
                write!(f, "\n  that is {}", written(&c.index, 70))?;
            }
        }
        let hidden = all.saturating_sub(SHOWN);
        let failing = failed.saturating_sub(SHOWN);
        match (hidden, failing) {
            (0, _) => {}
            (_, 0) => write!(f, "\n... and {hidden} more that do not fail")?,
            _ => write!(f, "\n... and {hidden} more, of which {failing} fail")?,
        }
        for c in self.kinks().take(KINKS) {
            let (left, right) = c.kink.unwrap_or_default();
            let name = shortened(&c.name, COLUMNS[0]);
            let slopes = format!(
                ", order {}: slope {left:.1e} before, {right:.1e} after",
                c.order
            );
            let rest = "kink at  ".len() + name.chars().count() + slopes.len();
            let index = written(&c.index, WIDTH.saturating_sub(rest).max(COLUMNS[INDEX]));
            write!(f, "\nkink at {name} {index}{slopes}")?;
        }
        let cut = self.failures().filter(|c| c.verdict() == Verdict::Cut);
        let mut cut: Vec<(usize, &str)> = cut.map(|c| (c.input, &c.name[..])).collect();
        cut.sort_unstable();
        cut.dedup();
        for (_, name) in cut {
            let name = shortened(name, 16);
            write!(
                f,
                "\npath cut: {name} changes the result, but no path leads back to it"
            )?;
        }
        Ok(())
    }
}

/// A check that found derivatives that differ, or another fault.
///
/// It displays as its [`Report`], and so does its debug form, which is what a test that returns a
/// `Result` prints.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check;
/// let x = Tensor::from([0.5, -1.0]);
/// let failure = check::gradients(|[x]| x * x.stop_gradient(), [&x]).unwrap_err();
/// // Both forms are a table of what differs.
/// assert_eq!(format!("{failure:?}"), failure.to_string());
/// ```
#[derive(Clone)]
pub struct Failure {
    report: Report,
}

impl Failure {
    /// All comparisons.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check;
    /// let x = Tensor::from([0.5, -1.0]);
    /// let failure = check::gradients(|[x]| x * x.stop_gradient(), [&x]).unwrap_err();
    /// assert!(failure.report().failures().count() > 0);
    /// ```
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

    fn comparison(index: Vec<usize>, reverse: f64, reference: f64, reached: bool) -> Comparison {
        Comparison {
            order: 2,
            input: 3,
            name: "encoder.layers.10.weight".to_string(),
            index,
            method: Method::Difference,
            reverse,
            reached,
            reference,
            tolerance: 1e-7,
            kink: None,
        }
    }

    #[test]
    fn the_worst_come_first_within_eighty_columns() {
        let long = vec![100_000, 100_000, 100_000, 100_000];
        let mut all = vec![
            comparison(vec![0], 1.0, 1.0, true),
            comparison(vec![1], -1.234567890123e-300, 1.0, true),
            comparison(long, 0.0, -1.234567890123e300, false),
            comparison(vec![], f64::NAN, f64::NEG_INFINITY, true),
        ];
        let mut kink = comparison(vec![7, 1], 0.0, 0.5, true);
        kink.kink = Some((-1.234e-300, 1.234e300));
        all.push(kink);
        all.extend((0..20).map(|i| comparison(vec![i], 1.0, 1.0, true)));
        let failure = Report::new(all, Vec::new()).outcome().unwrap_err();
        let text = failure.to_string();
        assert_eq!(failure.report().failures().count(), 3);
        assert_eq!(failure.report().kinks().count(), 1);
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "reverse mode is wrong at 3 of 25 derivatives, 1 at kinks"
        );
        assert!(lines[2].ends_with("not finite"), "{text}");
        assert!(
            lines[3].contains("..100000]") && lines[3].ends_with("path cut"),
            "{text}"
        );
        assert!(lines[4].ends_with("differs"), "{text}");
        assert!(lines[5].ends_with("kink"), "{text}");
        assert_eq!(lines[14], "... and 13 more that do not fail");
        assert!(
            lines[15].starts_with("kink at ...10.weight [7, 1], order 2"),
            "{text}"
        );
        assert!(
            lines[16].starts_with("path cut: ..yers.10.weight changes"),
            "{text}"
        );
        assert_eq!(format!("{failure:?}"), text);
    }

    #[test]
    fn positions_become_indices() {
        let shape = Shape::from([2, 3, 4]);
        assert_eq!(index_of(17, &shape), [1, 1, 1]);
        assert!(index_of(0, &Shape::scalar()).is_empty());
    }
}
