//! The sweep forward.

use super::super::real::Real;
use super::side::Special;
use super::{Hold, LEAF, SPECIAL, WIDE};

impl<T: Real> Hold<T> {
    /// Whether a forward sweep is possible: rules of calls go backwards only.
    pub(in crate::scalar) fn goes_forward(&self) -> bool {
        self.arena().calls.is_empty()
    }

    /// Sweeps forward: fills in the tangents of all nodes but the variables, whose tangents are given.
    pub(in crate::scalar) fn forward(&self, tangents: &mut Vec<T>) {
        let len = self.len();
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
        for (k, node) in nodes.iter().enumerate().skip(arena.leaves.len()) {
            let (earlier, rest) = tangents.split_at_mut(k);
            // An operand that there is not is one that comes later, see `WIDE`.
            let along = |i: u32, partial: T| match earlier.get(i as usize) {
                Some(&tangent) => times(tangent, partial),
                None => T::zero(),
            };
            rest[0] = match node.operands {
                [SPECIAL, LEAF] => continue,
                [SPECIAL, index] => match arena.specials.get(index as usize) {
                    Some(&Special::Watch { node, weight, .. }) => along(node, weight),
                    _ => continue,
                },
                // Its entries are like pairs.
                [WIDE, entries] => earlier[k - entries as usize..]
                    .iter()
                    .fold(T::zero(), |sum, &tangent| sum + tangent),
                [i, j] => along(i, node.first) + along(j, node.second),
            };
        }
    }
}
