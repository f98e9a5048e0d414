//! The scalar tape on seven functions: the plain function, a gradient written by hand, and the tape, from plain source and from
//! source that calls functions of many numbers.
//!
//! Run with `cargo bench --bench scalar`, and names of workloads to run only those. One core. Nanoseconds are per elementary
//! operation on active numbers, counted in the plain source (see `Workload::operations`); all four take turns, and the least
//! and the median are shown. Without `--bench`, as `cargo test --benches` runs it, derivatives are only checked.

#[path = "scalar/ba.rs"]
mod ba;
#[path = "scalar/data.rs"]
mod data;
#[path = "scalar/gmm.rs"]
mod gmm;
#[path = "scalar/lorenz.rs"]
mod lorenz;
#[path = "scalar/lstm.rs"]
mod lstm;
#[path = "scalar/mlp.rs"]
mod mlp;
#[path = "scalar/rosenbrock.rs"]
mod rosenbrock;
#[path = "scalar/workload.rs"]
mod workload;

use std::hint::black_box;
use std::time::{Duration, Instant};

use workload::{Form, Run, Workload};

/// How long the four forms of a workload take turns.
const TIME: Duration = Duration::from_secs(4);
const FORMS: [&str; 4] = ["plain", "hand", "source", "nary"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let timed = arguments.iter().any(|a| a == "--bench");
    let names: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let workloads: [fn() -> Box<dyn Workload>; 7] = [
        || Box::new(rosenbrock::Rosenbrock::new("rosenbrock", 1000)),
        || Box::new(rosenbrock::Rosenbrock::new("rosenbrock_large", 100_000)),
        || Box::new(gmm::Gmm::new(25, 1000)),
        || Box::new(ba::Ba::new(5000)),
        || Box::new(lstm::Lstm::new(1024)),
        || Box::new(lorenz::Lorenz::new(10_000)),
        || Box::new(mlp::Mlp::new(8)),
    ];
    let mut lines = Vec::new();
    if timed {
        println!(
            "{:18}{:>9}  {:>13}{:>13}{:>13}{:>13}  {:>11}{:>9}",
            "ns an operation", "ops", "plain", "hand", "source", "n-ary", "bytes", "record"
        );
    }
    for make in workloads {
        let workload = make();
        let name = workload.name();
        if !names.is_empty() && !names.iter().any(|n| name.contains(n.as_str())) {
            continue;
        }
        let mut run = Run::new();
        check(&*workload, &mut run);
        if timed {
            lines.extend(time(&*workload, &mut run));
        } else {
            println!("{name}: derivatives agree");
        }
    }
    for line in lines {
        println!("{line}");
    }
}

/// Sees that all forms find the same derivatives, and that they are those that differences tell.
fn check(workload: &dyn Workload, run: &mut Run) {
    let name = workload.name();
    let n = workload.derivatives();
    let mut by_hand = vec![0.0; n];
    let value = workload.by_hand(&mut by_hand);
    let close = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance * (1.0 + b.abs());
    assert!(close(value, workload.plain(), 1e-9), "{name}: {value}");
    for form in [Form::Source, Form::Nary] {
        let mut gradient = vec![0.0; n];
        let (tape_value, _) = workload.by_tape(run, form, &mut gradient);
        assert!(
            close(tape_value, value, 1e-9),
            "{name}: {tape_value}, {value}"
        );
        for (i, (a, b)) in gradient.iter().zip(&by_hand).enumerate() {
            assert!(
                close(*a, *b, 1e-8),
                "{name}: derivative {i}, {form:?}: {a}, by hand {b}"
            );
        }
    }
    // A dozen of them, spread over all kinds of variables.
    let scale = by_hand.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
    for i in (0..n).step_by(n / 13 + 1) {
        let step = 1e-5;
        let difference = (workload.along(i, step) - workload.along(i, -step)) / (2.0 * step);
        let error = (difference - by_hand[i]).abs();
        assert!(
            error < 1e-6 * scale,
            "{name}: derivative {i}: {difference}, by hand {}",
            by_hand[i]
        );
    }
}

/// Times the forms in turn, prints a row, and returns a line of JSON for each.
fn time(workload: &dyn Workload, run: &mut Run) -> Vec<String> {
    let operations = workload.operations() as f64;
    let mut gradient = vec![0.0; workload.derivatives()];
    let mut times: [Vec<f64>; 4] = Default::default();
    let mut shares = [[Duration::ZERO; 2]; 2];
    let mut sizes = [0; 2];
    let start = Instant::now();
    while start.elapsed() < TIME || times[0].len() < 5 {
        times[0].push(clock(|| {
            black_box(workload.plain());
        }));
        times[1].push(clock(|| {
            black_box(workload.by_hand(black_box(&mut gradient)));
        }));
        for (which, form) in [Form::Source, Form::Nary].into_iter().enumerate() {
            let (_, parts) = workload.by_tape(run, form, black_box(&mut gradient));
            sizes[which] = run.bytes;
            times[2 + which].push((parts[0] + parts[1]).as_nanos() as f64);
            for (share, part) in shares[which].iter_mut().zip(parts) {
                *share += part;
            }
        }
    }
    let mut lines = Vec::new();
    let mut row = format!("{:18}{:>9}  ", workload.name(), workload.operations());
    for (form, times) in FORMS.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let (least, median) = (times[0] / operations, times[times.len() / 2] / operations);
        row += &format!("{:>13}", format!("{least:.2} {median:.2}"));
        lines.push(format!(
            r#"{{"system":"wengert","workload":"{}","form":"{form}","ns_per_op_min":{least:.4},"ns_per_op_median":{median:.4},"ops":{operations}}}"#,
            workload.name()
        ));
    }
    let bytes = sizes.map(|bytes| format!("{:.1}", bytes as f64 / operations));
    let record = shares.map(|[record, sweep]| {
        let share = record.as_secs_f64() / (record + sweep).as_secs_f64();
        format!("{:.0}%", 100.0 * share)
    });
    row += &format!("  {:>11}{:>9}", bytes.join(" "), record.join(" "));
    println!("{row}");
    lines
}

/// Nanoseconds of one call.
fn clock(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_nanos() as f64
}
