//! The schedule by which a long loop is reversed with few snapshots.
//!
//! Source: A. Griewank and A. Walther, Algorithm 799: revolve, an implementation of checkpointing for the reverse or adjoint
//! mode of computational differentiation (2000).

use std::iter::FusedIterator;

/// What to do next, of a [`Schedule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Keep the current state, that before step `step`, in the free place `place`.
    Store {
        /// The step that comes next.
        step: usize,
        /// Where to keep the state.
        place: usize,
    },
    /// Take the state before step `step` back from `place`.
    Restore {
        /// The step that comes next.
        step: usize,
        /// Where the state is kept.
        place: usize,
    },
    /// Run the steps from `from` to before `to`.
    Advance {
        /// The first step.
        from: usize,
        /// The step after the last.
        to: usize,
    },
    /// Run step `step` while recording it, and sweep back over it. Steps come in descending order.
    Reverse {
        /// The step.
        step: usize,
    },
}

/// The binomial schedule: the actions that reverse a loop of `n` steps with places for `c` states, with as few steps run
/// again as there can be.
///
/// With each step run at most `r` times before it is recorded, `(c + r)! / (c! r!)` steps are in reach: memory and time grow with the
/// logarithm of the length. The initial state takes one of the places. [`checkpointed`](super::checkpointed) does all of it for loops
/// of scalars; the schedule alone serves loops of anything else.
///
/// ```
/// use wengert::scalar::{Action, Schedule};
/// let actions: Vec<Action> = Schedule::new(3, 2).collect();
/// assert_eq!(actions[..2], [Action::Store { step: 0, place: 0 }, Action::Advance { from: 0, to: 1 }]);
/// assert_eq!(actions.last(), Some(&Action::Reverse { step: 0 }));
/// let reversed: Vec<usize> = actions
///     .iter()
///     .filter_map(|action| match action {
///         Action::Reverse { step } => Some(*step),
///         _ => None,
///     })
///     .collect();
/// assert_eq!(reversed, [2, 1, 0]);
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    places: usize,
    /// The steps before which a state is kept, by place.
    kept: Vec<usize>,
    /// The step that comes next, if the state before it is at hand.
    at: Option<usize>,
    /// Steps from here on are done.
    end: usize,
    /// Whether the first state has yet to be stored.
    fresh: bool,
}

impl Schedule {
    /// The schedule for `steps` steps and places for `places` states.
    ///
    /// # Panics
    /// If there is no place.
    #[track_caller]
    pub fn new(steps: usize, places: usize) -> Self {
        assert!(places > 0, "Schedule: the initial state needs a place");
        Schedule {
            // More than there are states would be of no use.
            places: places.min(steps.max(1)),
            kept: Vec::new(),
            at: Some(0),
            end: steps,
            fresh: true,
        }
    }

    /// How many steps the schedule runs, those that are recorded not counted.
    ///
    /// ```
    /// use wengert::scalar::Schedule;
    /// assert_eq!(Schedule::new(10, 10).steps_run(), 9);
    /// assert_eq!(Schedule::new(10, 1).steps_run(), 45);
    /// ```
    pub fn steps_run(&self) -> usize {
        let lengths = self.clone().map(|action| match action {
            Action::Advance { from, to } => to - from,
            _ => 0,
        });
        lengths.sum()
    }
}

/// `(c + r)! / (c! r!)`, or a large number.
fn reach(c: usize, r: usize) -> u128 {
    let (fewer, more) = (c.min(r) as u128, c.max(r) as u128);
    (1..=fewer).fold(1, |b: u128, i| {
        (b * (more + i) / i).min(u128::from(u64::MAX))
    })
}

/// Of `n > 1` steps: how many lie before the next snapshot, where `free > 0` states can be kept beside the first.
///
/// Any number between bounds is best; the least leaves the most to the snapshot, which costs least to come back to.
pub(super) fn split(n: usize, free: usize) -> usize {
    let (c, needed) = (free + 1, n as u128);
    let repetitions = (1..n).find(|&r| reach(c, r) >= needed).unwrap_or(n);
    let shorter = if repetitions > 1 {
        reach(c, repetitions - 2)
    } else {
        1
    };
    shorter.max(needed.saturating_sub(reach(free, repetitions))) as usize
}

impl Iterator for Schedule {
    type Item = Action;

    fn next(&mut self) -> Option<Action> {
        if self.end == 0 {
            return None;
        }
        if std::mem::take(&mut self.fresh) {
            self.kept.push(0);
            return Some(Action::Store { step: 0, place: 0 });
        }
        let place = self.kept.len() - 1;
        let last = self.kept[place];
        let Some(at) = self.at else {
            self.at = Some(last);
            return Some(Action::Restore { step: last, place });
        };
        let left = self.end - at;
        if left == 1 {
            self.end = at;
            self.at = None;
            // The state kept for this step alone is no longer needed.
            if last == at {
                self.kept.pop();
            }
            return Some(Action::Reverse { step: at });
        }
        if at > last && self.kept.len() < self.places {
            self.kept.push(at);
            return Some(Action::Store {
                step: at,
                place: place + 1,
            });
        }
        let free = self.places - self.kept.len();
        let to = if free == 0 {
            self.end - 1
        } else {
            at + split(left, free)
        };
        self.at = Some(to);
        Some(Action::Advance { from: at, to })
    }
}

impl FusedIterator for Schedule {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fewest steps that must be run again to reverse `n` steps with `c` places, by trying all splits.
    fn fewest(
        n: usize,
        c: usize,
        known: &mut std::collections::HashMap<(usize, usize), usize>,
    ) -> usize {
        if n <= 1 {
            return 0;
        }
        if c == 1 {
            return n * (n - 1) / 2;
        }
        if let Some(&found) = known.get(&(n, c)) {
            return found;
        }
        let costs = (1..n).map(|m| m + fewest(n - m, c - 1, known) + fewest(m, c, known));
        let best = costs.collect::<Vec<_>>().into_iter().min().unwrap();
        known.insert((n, c), best);
        best
    }

    #[test]
    fn no_schedule_runs_fewer_steps() {
        let mut known = std::collections::HashMap::new();
        for n in 1..60 {
            for c in 1..8 {
                let run = Schedule::new(n, c).steps_run();
                assert_eq!(run, fewest(n, c, &mut known), "{n} steps, {c} places");
            }
        }
    }

    #[test]
    fn the_count_is_the_closed_form() {
        // Griewank and Walther: r n - beta(c + 1, r - 1), with beta(c, r) = (c + r)! / (c! r!), where r is the least with
        // beta(c, r) >= n.
        for (n, c) in [(10, 3), (56, 3), (100, 5), (1000, 8), (5000, 12), (252, 5)] {
            let r = (1..).find(|&r| reach(c, r) >= n as u128).unwrap();
            let expected = (r * n) as u128 - reach(c + 1, r - 1);
            assert_eq!(
                Schedule::new(n, c).steps_run() as u128,
                expected,
                "{n} steps, {c} places"
            );
        }
    }

    #[test]
    fn actions_can_be_carried_out() {
        for n in 0..40 {
            for c in 1..7 {
                let (mut state, mut places, mut end) = (0, vec![None; c], n);
                for action in Schedule::new(n, c) {
                    match action {
                        Action::Store { step, place } => {
                            assert_eq!(step, state);
                            places[place] = Some(state);
                        }
                        Action::Restore { step, place } => {
                            assert_eq!(places[place], Some(step));
                            state = step;
                        }
                        Action::Advance { from, to } => {
                            assert_eq!(from, state);
                            assert!(from < to && to < end);
                            state = to;
                        }
                        Action::Reverse { step } => {
                            assert_eq!((step, step + 1), (state, end));
                            end = step;
                            state = usize::MAX;
                        }
                    }
                }
                assert_eq!(end, 0, "{n} steps, {c} places");
            }
        }
    }

    #[test]
    #[should_panic(expected = "Schedule: the initial state needs a place")]
    fn a_schedule_needs_a_place() {
        Schedule::new(3, 0);
    }
}
