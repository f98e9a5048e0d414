//! The plan of a run as text.

use super::fetch::Fetch;
use super::listing::{Bytes, count};
use super::plan::{Fetched, Named, Place, Plan, Step, Work};
use crate::tape::TapeRef;
use std::fmt;
use std::panic::Location;

/// How a run would compute what it is asked for: its kernels in order, and the memory they work in.
///
/// `Display` lists them. For each kernel: what kind it is; the nodes it computes, with the line that recorded each; what it
/// reads and writes. A *temporary* lies at an offset in the one memory that all values of a run share, or where a result will be
/// written later, and may take the place of a value that is not needed any more. Nodes that are views of others, or the same number everywhere, need no kernel.
///
/// Made by [`TapeRef::explain`].
#[derive(Clone, Debug)]
pub struct Explanation {
    plan: Plan,
}

impl Plan {
    /// The plan, to be printed.
    pub(crate) fn explain(&self) -> Explanation {
        Explanation { plan: self.clone() }
    }
}

impl TapeRef {
    /// How [`run`](TapeRef::run) would compute these variables; nothing is computed.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::<f32>::ones([32, 8]));
    /// let y = (x.exp() + 1.0).ln().sum();
    /// let plan = tape.explain((y, y.gradient(x)));
    /// assert_eq!((plan.kernels(), plan.groups()), (1, 1)); // all of it is one sweep over x
    /// assert_eq!(plan.bytes_moved(), 2 * 32 * 8 * 4 + 2 * 4 + 4); // x, its gradient, two numbers, the sum
    /// assert!(plan.to_string().contains("fused pass"));
    /// tape.run((y, y.gradient(x)));
    /// assert_eq!(tape.explain(y).kernels(), 0); // it is there
    /// ```
    ///
    /// # Panics
    /// If a variable is of another tape, or the tape was reset or dropped.
    #[track_caller]
    pub fn explain<F: Fetch>(self, variables: F) -> Explanation {
        let (arena, targets) = self.asked("explain", &variables);
        arena.graph.borrow().plan_of(&targets).explain()
    }
}

impl Explanation {
    /// The number of kernels that run.
    pub fn kernels(&self) -> usize {
        self.plan.steps.len()
    }

    /// The number of kernels that are passes over elements: groups of elementwise operations and reductions.
    pub fn groups(&self) -> usize {
        let steps = self.plan.steps.iter();
        steps.filter(|s| matches!(s.work, Work::Pass(_))).count()
    }

    /// The number of nodes that are computed, those included that need no kernel.
    pub fn nodes(&self) -> usize {
        self.plan.named.len()
    }

    /// The bytes that the kernels read and write. What a kernel reads as one operand counts once, however often it goes over it,
    /// and an element that is broadcast counts once.
    pub fn bytes_moved(&self) -> usize {
        let (read, written) = self.traffic();
        read + written
    }

    /// The most bytes that intermediate values and results take at once. [`TapeRef::peak_bytes`] may be a little more: it counts
    /// buffers, which can be larger than what is in them.
    pub fn peak_bytes(&self) -> usize {
        self.plan.peak()
    }

    fn traffic(&self) -> (usize, usize) {
        let steps = self.plan.steps.iter().map(|step| self.plan.traffic(step));
        steps.fold((0, 0), |(r, w), (read, written)| (r + read, w + written))
    }

    /// How many times a kernel writes a value that does not outlive the run, and how many of these overwrite another.
    fn temporaries(&self) -> (usize, usize) {
        let (mut all, mut reused) = (0, 0);
        let mut written = vec![false; self.plan.results.len()];
        for step in self.plan.steps.iter().rev() {
            for place in &step.writes {
                all += match *place {
                    Place::Input(_) => 0,
                    Place::Temporary(_) => 1,
                    // What is written over later is no result yet.
                    Place::Result(result) => {
                        usize::from(std::mem::replace(&mut written[result as usize], true))
                    }
                };
            }
            reused += step.overwritten.iter().flatten().count();
        }
        (all, reused)
    }
}

/// Rows of names, types and lines, aligned; a line is said once for the rows that it recorded one after the other.
fn rows<'p>(
    f: &mut fmt::Formatter<'_>,
    rows: impl Iterator<Item = (String, String, &'p Location<'p>)>,
) -> fmt::Result {
    let rows: Vec<_> = rows.collect();
    let widest = |of: fn(&(String, String, &Location<'_>)) -> usize| {
        rows.iter().map(of).max().unwrap_or_default()
    };
    let (names, types) = (widest(|row| row.0.len()), widest(|row| row.1.len()));
    let mut last = None;
    for (name, of_type, location) in &rows {
        if last == Some(*location) {
            writeln!(f, "    {name:names$}  {of_type}")?;
        } else {
            let (file, line) = (location.file(), location.line());
            writeln!(f, "    {name:names$}  {of_type:types$}  {file}:{line}")?;
        }
        last = Some(*location);
    }
    Ok(())
}

fn of_type(named: &Named) -> String {
    format!("{} {}", named.dtype, named.shape)
}

impl Explanation {
    fn step(&self, f: &mut fmt::Formatter<'_>, number: usize, step: &Step) -> fmt::Result {
        let plan = &self.plan;
        let (read, written) = plan.traffic(step);
        let moved = Bytes(read + written);
        writeln!(f, "\n{number}. {}, {moved} moved", step.title())?;
        let named = plan.nodes_of(step);
        rows(
            f,
            named.map(|named| (named.name.to_string(), of_type(named), named.location)),
        )?;
        for (k, place) in step.reads.iter().enumerate() {
            let verb = if k == 0 { "reads" } else { "" };
            let bytes = Bytes(plan.read_bytes(step, k));
            write!(f, "    {verb:6} {place}, {bytes}")?;
            match step.overwritten[k] {
                Some(_) => writeln!(f, ", overwritten")?,
                None => writeln!(f)?,
            }
        }
        for (k, place) in step.writes.iter().enumerate() {
            let verb = if k == 0 { "writes" } else { "" };
            let bytes = Bytes(plan.written_bytes(place));
            writeln!(f, "    {verb:6} {place}, {bytes}")?;
        }
        Ok(())
    }

    fn fetched(&self, fetched: &Fetched) -> Option<(String, String, &Location<'static>)> {
        let named = self.plan.named(fetched.node)?;
        let view = fetched.layout.as_ref().map_or("", |_| ", a view");
        let name = format!("{}: {}{view}", fetched.place, named.name);
        Some((name, of_type(named), named.location))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.plan;
        if plan.named.is_empty() {
            return writeln!(f, "nothing to compute: every value is there");
        }
        let (read, written) = self.traffic();
        let (temporaries, reused) = self.temporaries();
        let in_steps: usize = plan.steps.iter().map(|step| step.nodes.len()).sum();
        writeln!(
            f,
            "{}, {} of which need no kernel\n{}, {} of which are passes\n{}, {}, {} ({reused} in place of another)\n\
             {} moved: {} read, {} written\n{} at most at once",
            count(plan.named.len(), "node", "nodes"),
            plan.named.len() - in_steps.min(plan.named.len()),
            count(plan.steps.len(), "kernel", "kernels"),
            self.groups(),
            count(plan.inputs.len(), "input", "inputs"),
            count(plan.results.len(), "result", "results"),
            count(temporaries, "temporary", "temporaries"),
            Bytes(read + written),
            Bytes(read),
            Bytes(written),
            Bytes(self.peak_bytes()),
        )?;
        if !plan.given.is_empty() {
            writeln!(f, "\ninputs")?;
            let given = plan.given.iter().enumerate();
            rows(
                f,
                given.map(|(k, named)| {
                    (
                        format!("input {k}: {}", named.name),
                        of_type(named),
                        named.location,
                    )
                }),
            )?;
        }
        for (at, step) in plan.steps.iter().enumerate() {
            self.step(f, at + 1, step)?;
        }
        let fetched = plan.fetched.iter();
        if fetched.len() > 0 {
            writeln!(f, "\nasked for or kept")?;
            rows(f, fetched.filter_map(|fetched| self.fetched(fetched)))?;
        }
        Ok(())
    }
}
