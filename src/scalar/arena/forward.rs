//! The sweep forward.

use super::super::real::Real;
use super::side::Special;
use super::{Hold, LEAF, SPECIAL};

impl<T: Real> Hold<T> {
    /// Whether a forward sweep is possible: rules of calls go backwards only.
    pub(in crate::scalar) fn goes_forward(&self) -> bool {
        self.arena().calls.is_empty()
    }

    /// Sweeps forward: fills in the tangents of all nodes but the variables, whose tangents are given.
    pub(in crate::scalar) fn forward(&self, tangents: &mut Vec<T>) {
        let len = self.nodes();
        tangents.resize(len, T::zero());
        let arena = self.arena();
        let nodes = self.written();
        // A tangent of 0 stays 0, also by an infinite partial.
        let times = |tangent: T, partial: T| {
            if tangent.is_exactly_zero() {
                T::zero()
            } else {
                tangent * partial
            }
        };
        for (k, node) in nodes.iter().enumerate().skip(arena.leaves as usize) {
            let (earlier, rest) = tangents.split_at_mut(k);
            rest[0] = match node.operands {
                [SPECIAL, LEAF] => continue,
                [SPECIAL, index] => match arena.specials.get(index as usize) {
                    Some(&Special::Wide { start, end }) => {
                        let edges = arena.operands[start..end]
                            .iter()
                            .zip(&arena.partials[start..end]);
                        edges.fold(T::zero(), |sum, (&i, &partial)| {
                            sum + times(earlier[i as usize], partial)
                        })
                    }
                    Some(&Special::Watch { node, weight, .. }) => {
                        times(earlier[node as usize], weight)
                    }
                    _ => continue,
                },
                [i, j] => {
                    times(earlier[i as usize], node.first) + times(earlier[j as usize], node.second)
                }
            };
        }
    }
}
