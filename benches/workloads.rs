//! Training steps and gradients, recorded anew each time and as programs that were recorded once, and the matrix products of two of them alone.
//!
//! Run with `cargo bench --bench workloads`; `RAYON_NUM_THREADS=1` for one thread. `benches/peers` runs the same beside other
//! systems.

#[path = "workloads/data.rs"]
mod data;
#[path = "workloads/gemm.rs"]
mod gemm;
#[path = "workloads/program.rs"]
mod program;
#[path = "workloads/recorded.rs"]
mod recorded;

use criterion::{Criterion, criterion_group, criterion_main};
use data::{Outcome, Setup};

fn all(c: &mut Criterion) {
    for (kind, workloads) in [
        ("", recorded::WORKLOADS),
        ("program/", program::WORKLOADS),
        ("", gemm::WORKLOADS),
    ] {
        for &(name, setup) in workloads {
            // Nothing is set up for a workload that a filter passes by.
            let mut run = None;
            c.bench_function(&format!("{kind}{name}"), |b| {
                b.iter(run.get_or_insert_with(|| ready(name, setup)))
            });
        }
    }
}

/// Sets a workload up and sees that it computes numbers.
fn ready(name: &str, setup: Setup) -> Box<dyn FnMut() -> Outcome> {
    let mut run = setup();
    let Outcome { loss, gradient } = run();
    let numbers = loss.is_finite() && gradient.iter().all(|element| element.is_finite());
    assert!(numbers, "{name}: loss {loss}, gradient {gradient:?}");
    run
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = all
}
criterion_main!(benches);
