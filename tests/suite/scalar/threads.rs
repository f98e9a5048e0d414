//! Threads, each with tapes of its own.

use std::sync::Barrier;

use wengert::scalar::{self, Scalar, Tape};

#[test]
fn tapes_of_many_threads() {
    std::thread::scope(|scope| {
        for i in 0..8 {
            scope.spawn(move || {
                for k in 0..200 {
                    let x = [f64::from(i), f64::from(k)];
                    let (_, g) = scalar::gradient(|x| x[0] * x[1] + x[0], &x);
                    assert_eq!(g, [x[1] + 1.0, x[0]]);
                    let (_, g) = scalar::gradient(|x| x[0] * x[1], &[x[0] as f32, 2.0]);
                    assert_eq!(g, [2.0, x[0] as f32]);
                }
            });
        }
    });
}

#[test]
fn long_lived_tapes_of_threads_that_run_at_once() {
    const THREADS: usize = 4;
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for i in 0..THREADS {
            let barrier = &barrier;
            scope.spawn(move || {
                let start = 0.5 + i as f64;
                let mut tapes = [Tape::new(), Tape::new()];
                for _ in 0..50 {
                    for tape in &mut tapes {
                        tape.reset();
                        let x = tape.var(start);
                        barrier.wait();
                        // x^1001 / x^1000 by steps, each of which records.
                        let y = (0..1000).fold(x, |y, _| y * x / (x * 1.0));
                        assert!((tape.gradient_of(y, &[x])[0] - 1.0).abs() < 1e-9);
                    }
                }
            });
        }
    });
}

#[test]
fn scalars_are_plain_data_to_other_threads() {
    fn sent<T: Send + Sync + Copy + 'static>(_: T) {}
    let tape = Tape::new();
    let x = tape.var(3.0);
    sent(x);
    sent(scalar::Dual::<f32, 4>::constant(1.0));
    let value = std::thread::spawn(move || x.value())
        .join()
        .expect("the thread ends well");
    assert_eq!(value, 3.0);
    let constant = Scalar::constant(2.0);
    let twice = std::thread::spawn(move || constant * constant)
        .join()
        .expect("the thread ends well");
    assert_eq!(tape.gradient_of(twice * x, &[x]), [4.0]);
}
