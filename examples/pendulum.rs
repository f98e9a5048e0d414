//! A double pendulum: differentiate through ten thousand steps of a Runge-Kutta integration.
//!
//! The simulation below is ordinary numeric code over `num_traits::Float` and knows nothing of
//! derivatives. Run with `f64` it is a simulation; run with `Scalar<f64>` it yields how the end
//! depends on every number of the beginning.
//!
//! Run with `cargo run --release --example pendulum`.

use num_traits::Float;
use wengert::scalar::{self, Tape};

const STEP: f64 = 1e-3;
const GRAVITY: f64 = 9.81;

/// Both angles from the vertical, then both angular velocities.
type State<F> = [F; 4];

/// Lengths of the rods and masses of the bobs.
#[derive(Clone, Copy)]
struct Pendulum<F> {
    lengths: [F; 2],
    masses: [F; 2],
}

impl<F: Float> Pendulum<F> {
    /// The equations of motion: the derivative of the state by time.
    fn velocity(&self, [a1, a2, w1, w2]: State<F>) -> State<F> {
        let [l1, l2] = self.lengths;
        let [m1, m2] = self.masses;
        let g = number::<F>(GRAVITY);
        let two = number::<F>(2.0);
        let (sin, cos) = (a1 - a2).sin_cos();
        // The common denominator, positive for any angles.
        let d = two * m1 + m2 - m2 * (two * (a1 - a2)).cos();
        let first = -g * (two * m1 + m2) * a1.sin()
            - m2 * g * (a1 - two * a2).sin()
            - two * sin * m2 * (w2 * w2 * l2 + w1 * w1 * l1 * cos);
        let second = two
            * sin
            * (w1 * w1 * l1 * (m1 + m2) + g * (m1 + m2) * a1.cos() + w2 * w2 * l2 * m2 * cos);
        [w1, w2, first / (l1 * d), second / (l2 * d)]
    }

    /// One step of the classical method of Runge and Kutta.
    fn advance(&self, y: State<F>) -> State<F> {
        let h = number::<F>(STEP);
        let half = number::<F>(0.5 * STEP);
        let along = |k: State<F>, h: F| -> State<F> { std::array::from_fn(|i| y[i] + h * k[i]) };
        let k1 = self.velocity(y);
        let k2 = self.velocity(along(k1, half));
        let k3 = self.velocity(along(k2, half));
        let k4 = self.velocity(along(k3, h));
        let (two, sixth) = (number::<F>(2.0), number::<F>(STEP / 6.0));
        std::array::from_fn(|i| y[i] + sixth * (k1[i] + two * (k2[i] + k3[i]) + k4[i]))
    }

    /// Kinetic and potential energy: what the motion conserves.
    fn energy(&self, [a1, a2, w1, w2]: State<F>) -> F {
        let [l1, l2] = self.lengths;
        let [m1, m2] = self.masses;
        let (half, g) = (number::<F>(0.5), number::<F>(GRAVITY));
        let (v1, v2) = (l1 * w1, l2 * w2);
        let speed = v1 * v1 + v2 * v2 + number::<F>(2.0) * v1 * v2 * (a1 - a2).cos();
        half * m1 * v1 * v1 + half * m2 * speed
            - (m1 + m2) * g * l1 * a1.cos()
            - m2 * g * l2 * a2.cos()
    }

    /// How high the lower bob hangs, measured from the pivot.
    fn height(&self, [a1, a2, ..]: State<F>) -> F {
        -self.lengths[0] * a1.cos() - self.lengths[1] * a2.cos()
    }
}

/// A constant of any type of number.
fn number<F: Float>(x: f64) -> F {
    F::from(x).expect("every float has a value near each f64")
}

/// The eight numbers that the motion depends on: the state, two lengths, two masses.
fn unpack<F: Float>(x: &[F]) -> (Pendulum<F>, State<F>) {
    let pendulum = Pendulum {
        lengths: [x[4], x[5]],
        masses: [x[6], x[7]],
    };
    (pendulum, [x[0], x[1], x[2], x[3]])
}

/// The height of the lower bob after a number of steps.
fn final_height<F: Float>(x: &[F], steps: usize) -> F {
    let (pendulum, mut state) = unpack(x);
    for _ in 0..steps {
        state = pendulum.advance(state);
    }
    pendulum.height(state)
}

fn main() {
    let names = [
        "angle 1", "angle 2", "speed 1", "speed 2", "length 1", "length 2", "mass 1", "mass 2",
    ];
    let start = [0.6, -0.4, 0.0, 0.5, 1.0, 0.8, 1.0, 0.5];

    // Two seconds, forward only, and a check on the physics.
    let steps = 2000;
    let (pendulum, first) = unpack(&start);
    let last = (0..steps).fold(first, |state, _| pendulum.advance(state));
    let drift = pendulum.energy(last) - pendulum.energy(first);
    println!(
        "after {} s the energy has drifted by {drift:.1e}",
        steps as f64 * STEP
    );
    assert!(drift.abs() < 1e-9);

    // The same code, differentiated: all eight derivatives in one sweep back.
    let (height, gradient) = scalar::gradient(|x| final_height(x, steps), &start);
    println!("the lower bob is at {height:.6}; the derivatives of that by");
    for (i, name) in names.iter().enumerate() {
        // Against central differences, which cost two more simulations for each number.
        let at = |h: f64| {
            let mut x = start;
            x[i] += h;
            final_height(&x, steps)
        };
        let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
        println!(
            "  {name:9} {:12.7}, by differences {difference:12.7}",
            gradient[i]
        );
        assert!((gradient[i] - difference).abs() < 1e-6 * (1.0 + difference.abs()));
    }

    // Only the ratio of the masses matters, so m1 d/dm1 + m2 d/dm2 = 0: exact derivatives know.
    let along_masses = start[6] * gradient[6] + start[7] * gradient[7];
    assert!(along_masses.abs() < 1e-12, "{along_masses:e}");

    // A tape in the hand: what is recorded, and that energy is conserved for every start, so that
    // the derivatives of the final energy are those of the initial one.
    let tape = Tape::new();
    let x = tape.vars(&start);
    let (pendulum, first) = unpack(&x);
    let last = (0..steps).fold(first, |state, _| pendulum.advance(state));
    let early = tape.gradient_of(pendulum.energy(first), &x);
    let late = tape.gradient_of(pendulum.energy(last), &x);
    for (early, late) in early.iter().zip(&late) {
        assert!((early - late).abs() < 1e-8 * (1.0 + early.abs()));
    }
    println!(
        "the tape of {steps} steps: {} nodes, {} KiB",
        tape.nodes(),
        tape.bytes() / 1024
    );
    drop(tape);

    // A longer run does not need a longer tape: ten snapshots of the state and a tape of one step
    // give the same bits.
    let steps = 10_000;
    let (height, gradient) = scalar::gradient(|x| final_height(x, steps), &start);
    let found = scalar::checkpointed(
        &start[..4],
        &start[4..],
        steps,
        10,
        |_, state, parameters, next| {
            let x: Vec<_> = state.iter().chain(parameters).copied().collect();
            let (pendulum, state) = unpack(&x);
            next.copy_from_slice(&pendulum.advance(state));
        },
        |state, parameters| {
            let x: Vec<_> = state.iter().chain(parameters).copied().collect();
            let (pendulum, state) = unpack(&x);
            pendulum.height(state)
        },
    );
    assert_eq!(found.value, height);
    assert_eq!([found.state, found.parameters].concat(), gradient);
    println!(
        "{steps} steps with ten snapshots: {:.2} runs of each, the same derivatives to the last bit",
        found.steps_run as f64 / steps as f64
    );
}
