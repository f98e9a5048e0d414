//! What listings say of the steps of a plan: names, places, bytes.

use super::plan::{Named, Place, Plan, Step, Work};
use crate::element::Dtype;
use std::fmt;

/// A number of bytes, as people read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes(pub usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        let mut amount = self.0 as f64 / 1024.0;
        let mut unit = 0;
        // What would round to 1024.0 is one of the next unit.
        while amount >= 1023.95 && unit + 1 < UNITS.len() {
            amount /= 1024.0;
            unit += 1;
        }
        f.pad(&format!("{amount:.1} {}", UNITS[unit]))
    }
}

/// A count and what is counted: `1 kernel`, `2 kernels`.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

impl Plan {
    fn dtype(&self, place: &Place) -> Dtype {
        match *place {
            Place::Input(input) => self.given[input as usize].dtype,
            Place::Temporary(region) => region.dtype,
            Place::Result(result) => self.results[result as usize].dtype,
        }
    }

    /// The bytes that a step reads of what it reads as number `k`. A kernel of its own is taken to read all of its operands.
    pub(super) fn read_bytes(&self, step: &Step, k: usize) -> usize {
        let layout = match &step.work {
            Work::Pass(pass) => return pass.read_bytes(k),
            Work::Reduce { layout, .. } | Work::Copy { layout } => layout,
            Work::Call { layouts, .. } => &layouts[k],
        };
        layout.distinct() * self.dtype(&step.reads[k]).size()
    }

    /// The bytes that are written to a place.
    pub(super) fn written_bytes(&self, place: &Place) -> usize {
        let len = match *place {
            Place::Input(_) => 0,
            Place::Temporary(region) => region.len,
            Place::Result(result) => self.results[result as usize].len,
        };
        len * self.dtype(place).size()
    }

    /// The bytes that a step reads and writes.
    pub(super) fn traffic(&self, step: &Step) -> (usize, usize) {
        let read = (0..step.reads.len()).map(|k| self.read_bytes(step, k));
        let written = step.writes.iter().map(|place| self.written_bytes(place));
        let sum = usize::saturating_add;
        (read.fold(0, sum), written.fold(0, sum))
    }

    /// What is known of the nodes that a step computes.
    pub(super) fn nodes_of<'p>(&'p self, step: &'p Step) -> impl Iterator<Item = &'p Named> {
        step.nodes.iter().filter_map(|&node| self.named(node))
    }
}

impl Step {
    /// The name of its kernel.
    pub(super) fn kind(&self) -> &'static str {
        match &self.work {
            Work::Pass(_) if self.nodes.len() == 1 => "pass",
            Work::Pass(_) => "fused pass",
            Work::Reduce { .. } => "reduction",
            Work::Copy { .. } => "copy",
            Work::Call { operation, .. } => operation.name(),
        }
    }

    /// The name of its kernel, and what it goes over.
    pub(super) fn title(&self) -> String {
        match &self.work {
            Work::Pass(pass) => {
                let (rows, width) = pass.space();
                format!(
                    "{}, {rows} x {width}, {}, {}",
                    self.kind(),
                    count(pass.instructions(), "instruction", "instructions"),
                    count(pass.sweeps(), "sweep", "sweeps"),
                )
            }
            Work::Reduce { axes, layout, .. } => {
                format!("reduction of {} along {axes}", layout.shape())
            }
            Work::Copy { .. } | Work::Call { .. } => self.kind().to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Input(input) => write!(f, "input {input}"),
            Place::Temporary(region) if region.dtype == Dtype::Bool => {
                write!(f, "truth values at {}", region.start)
            }
            Place::Temporary(region) => write!(f, "temporary at {}", region.start),
            Place::Result(result) => write!(f, "result {result}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_rounded_to_the_unit_that_people_read() {
        let said = [0, 1023, 1024, 1536, 1024 * 1024 - 1, 3 << 30];
        let said = said.map(|bytes| Bytes(bytes).to_string());
        assert_eq!(
            said,
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "3.0 GiB"]
        );
    }
}
