//! Runs that say where the time goes.

use super::execute::{Fault, unique};
use super::fetch::Fetch;
use super::listing::{Bytes, count};
use super::plan::{Plan, Step};
use crate::kernel::memory::Memory;
use crate::tape::{Graph, TapeRef};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

/// What a kernel of a run took.
#[derive(Clone, Debug)]
pub struct KernelTime {
    number: usize,
    kind: &'static str,
    nodes: Vec<&'static str>,
    location: &'static Location<'static>,
    bytes: usize,
    time: Duration,
}

impl KernelTime {
    /// The place of the kernel in the run, from 1 on, as [`Explanation`](super::Explanation) counts them.
    pub fn number(&self) -> usize {
        self.number
    }

    /// What kind of kernel it is: `fused pass`, `pass`, `reduction`, `copy`, or the name of the operation.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The names of the operations it computes.
    pub fn nodes(&self) -> &[&'static str] {
        &self.nodes
    }

    /// The line that recorded the first of them.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// The bytes that it reads and writes.
    pub fn bytes_moved(&self) -> usize {
        self.bytes
    }

    /// The time it took.
    pub fn time(&self) -> Duration {
        self.time
    }
}

/// What the operations that a line of the program recorded took, those of their derivatives included.
#[derive(Clone, Debug)]
pub struct LineTime {
    location: &'static Location<'static>,
    nodes: usize,
    bytes: f64,
    time: Duration,
}

impl LineTime {
    /// The line.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// How many nodes of it were computed by kernels.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Its share of the bytes that kernels read and write.
    pub fn bytes_moved(&self) -> usize {
        self.bytes.round() as usize
    }

    /// Its share of the time.
    pub fn time(&self) -> Duration {
        self.time
    }
}

/// Where the time of a run went: by kernel, and by line of the program.
///
/// A kernel that computes nodes of several lines is shared out among them in proportion to the elements that each node goes over:
/// of a fused pass over `[32, 16]` whose nodes are an `exp` of the elements and a `ln` of the rows, the line of the `exp` is given
/// `512 / 544`. So a line of cheap functions in a pass with costly ones looks dearer than it is. `Display` is a table.
///
/// Made by [`TapeRef::run_profiled`].
#[derive(Clone, Debug)]
pub struct Profile {
    kernels: Vec<KernelTime>,
    lines: Vec<LineTime>,
}

impl Profile {
    /// The kernels, that which took longest first.
    pub fn kernels(&self) -> &[KernelTime] {
        &self.kernels
    }

    /// The lines of the program, that which took longest first.
    pub fn lines(&self) -> &[LineTime] {
        &self.lines
    }

    /// The time of all kernels.
    pub fn total(&self) -> Duration {
        self.kernels.iter().map(|kernel| kernel.time).sum()
    }

    /// The bytes that all kernels read and write.
    pub fn bytes_moved(&self) -> usize {
        self.kernels.iter().map(|kernel| kernel.bytes).sum()
    }

    fn new(plan: &Plan, times: &[Duration]) -> Self {
        let mut kernels = Vec::with_capacity(times.len());
        let mut lines: Vec<LineTime> = Vec::new();
        let mut known: HashMap<&Location<'_>, usize> = HashMap::new();
        for (at, (step, &time)) in plan.steps.iter().zip(times).enumerate() {
            let kernel = kernel(plan, at + 1, step, time);
            let extents = plan.nodes_of(step).map(|named| named.extent.max(1));
            let whole = extents.sum::<usize>() as f64;
            for named in plan.nodes_of(step) {
                let line = *known.entry(named.location).or_insert_with(|| {
                    lines.push(LineTime {
                        location: named.location,
                        nodes: 0,
                        bytes: 0.0,
                        time: Duration::ZERO,
                    });
                    lines.len() - 1
                });
                let share = named.extent.max(1) as f64 / whole;
                lines[line].nodes += 1;
                lines[line].bytes += share * kernel.bytes as f64;
                lines[line].time += time.mul_f64(share);
            }
            kernels.push(kernel);
        }
        kernels.sort_by_key(|kernel: &KernelTime| Reverse(kernel.time));
        lines.sort_by_key(|line| Reverse(line.time));
        Profile { kernels, lines }
    }
}

fn kernel(plan: &Plan, number: usize, step: &Step, time: Duration) -> KernelTime {
    let (read, written) = plan.traffic(step);
    let nodes: Vec<_> = plan.nodes_of(step).collect();
    KernelTime {
        number,
        kind: step.kind(),
        nodes: nodes.iter().map(|named| named.name).collect(),
        location: nodes[0].location,
        bytes: read + written,
        time,
    }
}

/// Columns of time, share of the time, bytes and bytes a second.
struct Cost {
    time: Duration,
    total: Duration,
    bytes: usize,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, total) = (self.time.as_secs_f64(), self.total.as_secs_f64());
        // A clock may be too coarse to see a kernel.
        let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
        write!(
            f,
            "{:>10.1} us {:>5.1} % {:>10} {:>7.2} GB/s",
            seconds * 1e6,
            100.0 * ratio(seconds, total),
            Bytes(self.bytes),
            1e-9 * ratio(self.bytes as f64, seconds),
        )
    }
}

/// The names of operations, the first few of many.
fn names(nodes: &[&str]) -> String {
    const SAID: usize = 6;
    let said = nodes[..nodes.len().min(SAID)].join(" ");
    match nodes.len().checked_sub(SAID) {
        Some(more @ 1..) => format!("{said} and {more} more"),
        _ => said,
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        let cost = |time, bytes| Cost { time, total, bytes };
        let kernels = count(self.kernels.len(), "kernel", "kernels");
        writeln!(f, "{}  {kernels}", cost(total, self.bytes_moved()))?;
        writeln!(f, "\nby kernel")?;
        for kernel in &self.kernels {
            let (file, line) = (kernel.location.file(), kernel.location.line());
            let said = match &kernel.nodes[..] {
                [node] if *node == kernel.kind => String::new(),
                nodes => format!(": {}", names(nodes)),
            };
            writeln!(
                f,
                "{}  {}. {}{said}  {file}:{line}",
                cost(kernel.time, kernel.bytes),
                kernel.number,
                kernel.kind
            )?;
        }
        writeln!(f, "\nby line")?;
        for line in &self.lines {
            let (file, number) = (line.location.file(), line.location.line());
            writeln!(
                f,
                "{}  {file}:{number}  {}",
                cost(line.time, line.bytes_moved()),
                count(line.nodes, "node", "nodes")
            )?;
        }
        Ok(())
    }
}

impl TapeRef {
    /// As [`run`](TapeRef::run), and says where the time went.
    ///
    /// The kernels are those of [`run`](TapeRef::run). They run twice, and the second time is measured: the first touches the
    /// memory and starts the threads. Making the plan is not counted, and the values are not checked.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::<f32>::ones([64, 64]));
    /// let y = x.matmul(x).exp().sum();
    /// let (y, profile) = tape.run_profiled(y);
    /// assert_eq!(y.item(), 64.0 * 64.0 * 64.0_f32.exp());
    /// assert_eq!(profile.kernels().len(), 2);
    /// assert_eq!(profile.kernels().iter().map(|kernel| kernel.time()).sum::<std::time::Duration>(), profile.total());
    /// println!("{profile}");
    /// ```
    ///
    /// # Panics
    /// As [`run`](TapeRef::run).
    #[track_caller]
    pub fn run_profiled<F: Fetch>(self, variables: F) -> (F::Values, Profile) {
        let (arena, targets) = self.asked("run_profiled", &variables);
        let outcome = {
            let mut graph = arena.graph.borrow_mut();
            let outcome = graph.execute_profiled(&targets);
            outcome.map_err(|fault| graph.describe(&fault))
        };
        match outcome {
            Ok(profile) => (variables.values(), profile),
            Err(message) => panic!("{message}"),
        }
    }
}

impl Graph {
    /// Computes the values of `targets` twice, and measures each step the second time.
    fn execute_profiled(&mut self, targets: &[u32]) -> Result<Profile, Fault> {
        let plan = self.plan_of(targets);
        let mut memory = Memory::default();
        let mut results = plan.room(&mut self.pool, &mut memory)?;
        self.pool.note(plan.within());
        let mut times = Vec::with_capacity(plan.steps.len());
        {
            let inputs = plan.inputs.iter().map(|given| self.read(given));
            let written = results.iter_mut().map(unique);
            let mut frame = plan.frame(inputs, written, &mut memory);
            for step in 0..plan.steps.len() {
                plan.step(step, &mut frame)?;
            }
            for step in 0..plan.steps.len() {
                let start = Instant::now();
                plan.step(step, &mut frame)?;
                times.push(start.elapsed());
            }
        }
        self.keep(&plan, &results);
        Ok(Profile::new(&plan, &times))
    }
}
