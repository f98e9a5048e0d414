//! Long loops differentiated with memory for a few states.

use super::active::Scalar;
use super::binomial::split;
use super::real::Real;
use super::tape::Tape;

/// The value and the derivatives of a loop of steps over a state: what [`checkpointed`] finds.
///
/// ```
/// use wengert::scalar::{LoopGradient, checkpointed};
/// let LoopGradient { value, state, parameters, steps_run } = checkpointed(
///     &[2.0_f64],
///     &[10.0],
///     3,
///     1,
///     |_, x, _, next| next[0] = x[0] * x[0],
///     |x, p| x[0] * p[0],
/// );
/// // x^8 p, by x and by p.
/// assert_eq!((value, state, parameters), (2560.0, vec![10240.0], vec![256.0]));
/// assert!(steps_run >= 3);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LoopGradient<T> {
    /// What the last function returned.
    pub value: T,
    /// The derivatives by the initial state.
    pub state: Vec<T>,
    /// The derivatives by the parameters.
    pub parameters: Vec<T>,
    /// How often a step was run.
    pub steps_run: usize,
}

/// The derivatives of `finish(step(… step(state)))`, of `steps` steps, with memory for `snapshots` states beside the initial
/// one and a tape of one step.
///
/// `step(k, state, parameters, next)` writes the state after step `k`; it must do the same each time it is called. The
/// result has the same bits as that of the plain loop on one tape. A step is run at most `r + 2` times, once of these to find the value,
/// where `r` is the smallest number with `(c + r)! / (c! r!) >= n`, for `n` steps and `c` states kept, the initial one among them.
///
/// # Panics
/// If `step` or `finish` use scalars of another tape.
///
/// # Source
/// A. Griewank, Achieving logarithmic growth of temporal and spatial complexity in reverse automatic differentiation,
/// Optimization Methods and Software 1 (1992); the schedule is that of Griewank and Walther, Algorithm 799 (2000).
///
/// ```
/// use wengert::scalar::checkpointed;
/// // Euler's method for y' = -k y.
/// let found = checkpointed(
///     &[1.0_f64],
///     &[0.5],
///     1000,
///     4,
///     |_, state, parameters, next| next[0] = state[0] - parameters[0] * state[0] * 0.001,
///     |state, _| state[0],
/// );
/// assert!((found.value - (1.0_f64 - 0.0005).powi(1000)).abs() < 1e-12);
/// assert!((found.state[0] - found.value).abs() < 1e-12);
/// assert!((found.parameters[0] + 0.9995_f64.powi(999)).abs() < 1e-12);
/// ```
#[track_caller]
pub fn checkpointed<T: Real>(
    state: &[T],
    parameters: &[T],
    steps: usize,
    snapshots: usize,
    step: impl Fn(usize, &[Scalar<T>], &[Scalar<T>], &mut [Scalar<T>]),
    finish: impl FnOnce(&[Scalar<T>], &[Scalar<T>]) -> Scalar<T>,
) -> LoopGradient<T> {
    // More than there are states would be of no use.
    let snapshots = snapshots.min(steps);
    let mut run = Run {
        tape: Tape::new(),
        parameters,
        by_parameters: vec![T::zero(); parameters.len()],
        by_state: Vec::new(),
        step,
        steps_run: 0,
    };
    let first: Vec<Held<T>> = state
        .iter()
        .enumerate()
        .map(|(i, &value)| Held {
            value,
            weight: T::one(),
            place: Place::State(i),
        })
        .collect();
    // The path to the last state leaves the snapshots of the first descent behind.
    let mut kept = Vec::new();
    let (mut from, mut free) = (0, snapshots);
    while free > 0 && steps - from > 1 {
        let start = kept.last().map_or(&first, |(_, held)| held);
        let middle = from + split(steps - from, free);
        let held = run.advance(from, middle, start);
        kept.push((middle, held));
        (from, free) = (middle, free - 1);
    }
    let start = kept.last().map_or(&first, |(_, held)| held);
    let last = run.advance(from, steps, start);
    let value = run.finish(&last, finish);

    let mut end = steps;
    while let Some((from, held)) = kept.pop() {
        run.back(from, end, &held, snapshots - kept.len() - 1);
        end = from;
    }
    run.back(0, end, &first, snapshots);
    LoopGradient {
        value,
        state: run.by_state,
        parameters: run.by_parameters,
        steps_run: run.steps_run,
    }
}

/// What a number of the state hangs on.
#[derive(Clone, Copy)]
enum Place {
    Constant,
    Parameter(usize),
    /// One of the nodes that the state hangs on. Two numbers may hang on the same.
    State(usize),
}

/// A number of the state between steps: its handle without the tape. With the weight kept, a step recorded from it does
/// the same arithmetic, in both directions, as it would on one long tape.
#[derive(Clone, Copy)]
struct Held<T> {
    value: T,
    weight: T,
    place: Place,
}

struct Run<'a, T: Real, S> {
    tape: Tape<T>,
    parameters: &'a [T],
    by_parameters: Vec<T>,
    /// By the nodes that the current state hangs on.
    by_state: Vec<T>,
    step: S,
    steps_run: usize,
}

impl<T: Real, S: Fn(usize, &[Scalar<T>], &[Scalar<T>], &mut [Scalar<T>])> Run<'_, T, S> {
    /// The state and the parameters on an empty tape, and the number of nodes that the state hangs on.
    #[track_caller]
    fn enter(&mut self, held: &[Held<T>]) -> (Vec<Scalar<T>>, Vec<Scalar<T>>, usize) {
        self.tape.reset();
        let parameters = self.tape.vars(self.parameters);
        let places = held.iter().map(|h| match h.place {
            Place::State(i) => i + 1,
            _ => 0,
        });
        let nodes = places.max().unwrap_or(0);
        let leaves: Vec<Scalar<T>> = (0..nodes).map(|_| self.tape.var(T::zero())).collect();
        let state = held
            .iter()
            .map(|h| {
                let hung = |x: Scalar<T>| Scalar::hung(h.value, h.weight, x.node(), x.tag());
                match h.place {
                    Place::Constant => Scalar::constant(h.value),
                    Place::Parameter(i) => hung(parameters[i]),
                    Place::State(i) => hung(leaves[i]),
                }
            })
            .collect();
        (state, parameters, nodes)
    }

    /// The nodes that a state hangs on, parameters aside, in order.
    #[track_caller]
    fn nodes_of(&self, state: &[Scalar<T>]) -> Vec<u32> {
        let mut nodes: Vec<u32> = Vec::new();
        for x in state.iter().filter(|x| !x.is_constant()) {
            self.tape.hold.own("checkpointed", x.tag());
            if x.node() as usize >= self.parameters.len() {
                nodes.push(x.node());
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    #[track_caller]
    fn step(&mut self, k: usize, held: &[Held<T>]) -> (Vec<Scalar<T>>, usize) {
        let (state, parameters, nodes) = self.enter(held);
        let mut next = state.clone();
        (self.step)(k, &state, &parameters, &mut next);
        self.steps_run += 1;
        (next, nodes)
    }

    /// The state before step `to`, from that before step `from`.
    #[track_caller]
    fn advance(&mut self, from: usize, to: usize, held: &[Held<T>]) -> Vec<Held<T>> {
        let mut held = held.to_vec();
        for k in from..to {
            let (next, _) = self.step(k, &held);
            let nodes = self.nodes_of(&next);
            for (held, x) in held.iter_mut().zip(next) {
                let place = match nodes.binary_search(&x.node()) {
                    _ if x.is_constant() => Place::Constant,
                    Ok(i) => Place::State(i),
                    Err(_) => Place::Parameter(x.node() as usize),
                };
                *held = Held {
                    value: x.value(),
                    weight: x.weight(),
                    place,
                };
            }
        }
        held
    }

    /// Sweeps the tape of one step, from the adjoints of the nodes given.
    #[track_caller]
    fn sweep(&mut self, seeds: Vec<(u32, T)>, nodes: usize) {
        let n = self.parameters.len();
        // Parameters go on from the sum so far: additions are in the order of one long sweep.
        let so_far = (0..).zip(self.by_parameters.iter().copied());
        let (by_parameters, by_state) = self.tape.hold.sweep(so_far.chain(seeds), |adjoints| {
            (adjoints[..n].to_vec(), adjoints[n..n + nodes].to_vec())
        });
        (self.by_parameters, self.by_state) = (by_parameters, by_state);
    }

    #[track_caller]
    fn finish(
        &mut self,
        last: &[Held<T>],
        finish: impl FnOnce(&[Scalar<T>], &[Scalar<T>]) -> Scalar<T>,
    ) -> T {
        let (state, parameters, nodes) = self.enter(last);
        let y = finish(&state, &parameters);
        let mut seeds = Vec::new();
        if !y.is_constant() {
            self.tape.hold.own("checkpointed", y.tag());
            seeds.push((y.node(), y.weight()));
        }
        self.sweep(seeds, nodes);
        y.value()
    }

    /// Sweeps back over the steps from `from` to `to`, with `snapshots` free.
    #[track_caller]
    fn back(&mut self, from: usize, mut to: usize, held: &[Held<T>], snapshots: usize) {
        while to - from > 1 {
            let middle = if snapshots == 0 {
                to - 1
            } else {
                from + split(to - from, snapshots)
            };
            let between = self.advance(from, middle, held);
            self.back(middle, to, &between, snapshots.saturating_sub(1));
            to = middle;
        }
        if to > from {
            let (next, nodes) = self.step(from, held);
            let on = self.nodes_of(&next);
            let seeds = on.into_iter().zip(self.by_state.iter().copied()).collect();
            self.sweep(seeds, nodes);
        }
    }
}
