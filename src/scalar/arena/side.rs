//! Nodes that are not pairs, and what they refer to.

use super::super::real::Real;
use super::refusal::reused_tag;
use super::sweep::{give, idle};
use super::{LEAF, Node, SPECIAL};

/// A node that is not a pair and not a leaf.
pub(super) enum Special<T> {
    /// An intermediate result whose derivative can be asked for.
    Watch { node: u32, weight: T, value: T },
    /// The function of the `outputs` nodes that follow.
    Call { function: usize, outputs: u32 },
    /// One of the results of the call before it.
    Output,
}

/// From cotangents of results to those of arguments.
pub(in crate::scalar) type Rule<T> = Box<dyn Fn(&[T], &mut [T])>;

/// A function recorded with its rule: cotangents of the results in, cotangents of the arguments out.
pub(super) struct Call<T> {
    pub(super) inputs: Vec<(u32, T)>,
    pub(super) rule: Rule<T>,
}

/// What special nodes refer to, taken out of the arena for the time of a sweep.
pub(super) struct Side<T> {
    pub(super) specials: Vec<Special<T>>,
    pub(super) calls: Vec<Call<T>>,
}

/// The adjoints of an operand, which comes before the node.
#[inline]
#[track_caller]
fn before<T>(earlier: &mut [T], operand: u32) -> &mut T {
    match earlier.get_mut(operand as usize) {
        Some(adjoint) => adjoint,
        None => reused_tag("sweep"),
    }
}

impl<T: Real> Side<T> {
    #[inline(never)]
    #[track_caller]
    pub(super) fn back<const L: usize>(
        &self,
        at: usize,
        node: &Node<T>,
        adjoints: &mut [[T; L]],
        scratch: &mut Vec<T>,
    ) {
        if node.operands == [SPECIAL, LEAF] {
            return;
        }
        let special = match node.operands {
            [SPECIAL, index] => self.specials.get(index as usize),
            _ => None,
        };
        match special {
            Some(&Special::Watch { node, weight, .. }) => {
                let adjoint = adjoints[at];
                if !idle(adjoint) {
                    give::<T, L, true>(before(&mut adjoints[..at], node), adjoint, weight);
                }
            }
            Some(Special::Output) => {}
            Some(&Special::Call { function, outputs }) => {
                let call = &self.calls[function];
                for lane in 0..L {
                    let (earlier, results) = adjoints.split_at_mut(at + 1);
                    let results = &mut results[..outputs as usize];
                    if results
                        .iter()
                        .all(|adjoint| adjoint[lane].is_exactly_zero())
                    {
                        continue;
                    }
                    // The cotangents of the results, then those of the arguments.
                    scratch.clear();
                    scratch.extend(results.iter().map(|adjoint| adjoint[lane]));
                    scratch.resize(results.len() + call.inputs.len(), T::zero());
                    let (cotangents, out) = scratch.split_at_mut(results.len());
                    (call.rule)(cotangents, out);
                    for adjoint in results {
                        adjoint[lane] = T::zero();
                    }
                    for (&(input, weight), &cotangent) in call.inputs.iter().zip(out.iter()) {
                        if !cotangent.is_exactly_zero() {
                            let to = before(&mut earlier[..at], input);
                            to[lane] += cotangent * weight;
                        }
                    }
                }
            }
            None => reused_tag("sweep"),
        }
    }
}
