//! Times the workloads of wengert in one system and prints a line of JSON for each.
//!
//! `wengert-peers SYSTEM [--check] [WORKLOAD]..`; see the README.

#[path = "../../workloads/data.rs"]
mod data;
#[path = "../../workloads/gemm.rs"]
mod gemm;
#[path = "../../workloads/program.rs"]
mod program;
#[path = "../../workloads/recorded.rs"]
mod recorded;

mod burn;
mod candle;
mod dfdx;

use data::{Outcome, Workloads};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Each system with its workloads.
const SYSTEMS: &[(&str, Workloads)] = &[
    ("wengert", recorded::WORKLOADS),
    ("wengert-program", program::WORKLOADS),
    ("candle", candle::WORKLOADS),
    ("burn", burn::WORKLOADS),
    ("dfdx", dfdx::WORKLOADS),
    ("gemm", gemm::WORKLOADS),
];

/// A timing goes on for this long at least, and for so many repetitions.
const AT_LEAST: Duration = Duration::from_secs(1);
const REPETITIONS: usize = 30;
/// What takes longer is given up on before the repetitions are complete.
const AT_MOST: Duration = Duration::from_secs(10);
/// Shorter runs are timed several at a time.
const BATCH: Duration = Duration::from_micros(200);

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = arguments.iter().any(|argument| argument == "--check");
    arguments.retain(|argument| argument != "--check");
    let known = arguments
        .first()
        .and_then(|name| SYSTEMS.iter().find(|(system, _)| system == name));
    let Some(&(system, workloads)) = known else {
        let names: Vec<&str> = SYSTEMS.iter().map(|(system, _)| *system).collect();
        eprintln!("usage: wengert-peers SYSTEM [--check] [WORKLOAD]..");
        eprintln!("systems: {}", names.join(", "));
        std::process::exit(2);
    };
    let only = &arguments[1..];
    for &(workload, setup) in workloads {
        if !only.is_empty() && !only.iter().any(|name| name == workload) {
            continue;
        }
        let mut run = setup();
        if check {
            show(system, workload, &mut run);
        } else {
            time(system, workload, &mut run);
        }
    }
}

/// Prints what the fifth run gives: training steps depend on the gradients of the first four.
fn show(system: &str, workload: &str, run: &mut dyn FnMut() -> Outcome) {
    for _ in 0..4 {
        run();
    }
    let Outcome { loss, gradient } = run();
    println!(
        r#"{{"system":"{system}","workload":"{workload}","loss":{loss:?},"gradient":{gradient:?}}}"#
    );
}

/// Prints the median and the minimum of the times of a run.
fn time(system: &str, workload: &str, run: &mut dyn FnMut() -> Outcome) {
    let batch = warm_up(run);
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < AT_MOST && (start.elapsed() < AT_LEAST || times.len() < REPETITIONS) {
        let before = Instant::now();
        for _ in 0..batch {
            black_box(run());
        }
        times.push(before.elapsed().as_secs_f64() * 1e6 / batch as f64);
    }
    times.sort_by(f64::total_cmp);
    let reps = times.len();
    let (min, median) = (times[0], (times[(reps - 1) / 2] + times[reps / 2]) / 2.0);
    let threads = threads();
    println!(
        r#"{{"system":"{system}","workload":"{workload}","threads":{threads},"median_us":{median:.3},"min_us":{min:.3},"reps":{reps}}}"#
    );
}

/// Runs for a fifth of a second, three times at least, and gives the number of runs that are timed together.
fn warm_up(run: &mut dyn FnMut() -> Outcome) -> usize {
    let start = Instant::now();
    let mut runs = 0;
    let mut shortest = Duration::MAX;
    while runs < 3 || start.elapsed() < Duration::from_millis(200) {
        let before = Instant::now();
        black_box(run());
        shortest = shortest.min(before.elapsed());
        runs += 1;
    }
    let batch = BATCH.as_nanos() / shortest.as_nanos().max(1);
    batch.max(1) as usize
}

/// The number of threads that the run was asked to use: what all the Rust systems go by.
fn threads() -> usize {
    std::env::var("RAYON_NUM_THREADS")
        .ok()
        .and_then(|threads| threads.parse().ok())
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}
