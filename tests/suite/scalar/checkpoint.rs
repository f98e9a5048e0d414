//! Checkpointed loops against plain ones.

use wengert::scalar::{self, Real, Scalar, Tape};

fn pendulum<S: Real>(k: usize, s: &[S], p: &[S], next: &mut [S]) {
    let h = S::from(0.01).unwrap();
    // A pending weight, a shared node, a passed-through number, a parameter and a constant cross the step's border.
    let pull = -(p[0] * s[0].sin()) - p[1] * s[1];
    next[0] = s[0] + h * s[1];
    next[1] = s[1] + h * pull;
    next[2] = s[0].cos();
    next[3] = -s[2] + s[2] * s[2];
    next[4] = if k.is_multiple_of(3) {
        p[1] * p[1]
    } else {
        s[4]
    };
    next[5] = if k.is_multiple_of(5) {
        S::from(0.5).unwrap()
    } else {
        s[5] * s[2]
    };
}

fn energy<S: Real>(s: &[S], p: &[S]) -> S {
    s[1] * s[1] + p[0] * s[0].cos() + s[2] * s[3] + s[4] * s[5]
}

#[test]
fn checkpointed_loops_have_the_bits_of_plain_ones() {
    let (state, parameters) = ([0.3_f64, 0.1, 0.2, 0.7, 0.5, 0.1], [9.81, 0.05]);
    for (steps, counts) in [
        (0, [0, 1]),
        (1, [0, 3]),
        (2, [1, 2]),
        (7, [0, 2]),
        (50, [3, 60]),
        (333, [4, 9]),
    ] {
        let tape = Tape::new();
        let (p, start) = (tape.vars(&parameters), tape.vars(&state));
        let mut s = start.clone();
        for k in 0..steps {
            let mut next = s.clone();
            pendulum(k, &s, &p, &mut next);
            s = next;
        }
        let y = energy(&s, &p);
        for snapshots in counts {
            let found =
                scalar::checkpointed(&state, &parameters, steps, snapshots, pendulum, energy);
            assert_eq!(found.value.to_bits(), y.value().to_bits());
            assert_eq!(
                found.state,
                tape.gradient_of(y, &start),
                "{steps} steps, {snapshots} snapshots"
            );
            assert_eq!(found.parameters, tape.gradient_of(y, &p));
        }
    }
    // 10 snapshots and 3 repetitions reach 286 steps.
    let found = scalar::checkpointed(&state, &parameters, 286, 10, pendulum, energy);
    assert!(found.steps_run <= 4 * 286, "{}", found.steps_run);
}

/// The bound that the documentation states, and that as many states as there are, or more, are no trouble.
#[test]
fn how_often_a_step_is_run() {
    for steps in 1..40 {
        for snapshots in 0..6 {
            let runs = std::cell::RefCell::new(vec![0; steps]);
            let step =
                |k: usize, s: &[Scalar<f64>], _: &[Scalar<f64>], next: &mut [Scalar<f64>]| {
                    runs.borrow_mut()[k] += 1;
                    next[0] = s[0].sin();
                };
            scalar::checkpointed(&[1.0], &[], steps, snapshots, step, |s, _| s[0]);
            let reach = |r: usize| (1..=r).fold(1, |b, i| b * (snapshots + 1 + i) / i);
            let r = (0..).find(|&r| reach(r) >= steps).expect("it grows");
            let most = runs.into_inner().into_iter().max();
            assert!(
                most <= Some(r + 2),
                "{steps} steps, {snapshots} states: {most:?}, {r}"
            );
        }
    }
    let step =
        |_, s: &[Scalar<f64>], _: &[Scalar<f64>], next: &mut [Scalar<f64>]| next[0] = s[0].sin();
    let found = scalar::checkpointed(&[1.0], &[], 2000, usize::MAX, step, |s, _| s[0]);
    assert_eq!(found.steps_run, 4000);
    assert_eq!(scalar::Schedule::new(5000, usize::MAX).steps_run(), 4999);
}
