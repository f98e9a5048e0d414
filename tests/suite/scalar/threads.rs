//! Threads, each with tapes of its own.

use std::cell::RefCell;
use std::sync::{Barrier, mpsc};

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

#[test]
fn derivatives_in_destructors_of_thread_local_values() {
    /// Takes more derivatives at a time than tapes that the thread may have left, again and again.
    struct Last(mpsc::Sender<f64>);
    impl Drop for Last {
        fn drop(&mut self) {
            for i in 0..100 {
                let (_, g) = scalar::gradient(
                    |x| x[0] * scalar::gradient(|y| y[0] * Scalar::constant(x[0]), &[x[0]]).1[0],
                    &[f64::from(i)],
                );
                // No panic here: it would end the process.
                let _ = self.0.send(g[0] - 2.0 * f64::from(i));
            }
        }
    }
    thread_local! {
        static FIRST: RefCell<Option<Last>> = const { RefCell::new(None) };
        static SECOND: RefCell<Option<Last>> = const { RefCell::new(None) };
    }
    // Values that are dropped before and after what the thread keeps of its tapes, and in a thread that kept nothing.
    for recorded in [true, false] {
        let (sender, received) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            FIRST.set(Some(Last(sender.clone())));
            if recorded {
                assert_eq!(scalar::gradient(|x| x[0] * x[1], &[2.0, 3.0]).1, [3.0, 2.0]);
            }
            SECOND.set(Some(Last(sender)));
        });
        thread.join().expect("the thread ends well");
        let off: Vec<f64> = received.iter().collect();
        assert_eq!(off, [0.0; 200]);
    }
}
