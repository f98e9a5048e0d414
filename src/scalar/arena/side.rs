//! Nodes that are not pairs, and what they refer to.

use super::super::real::Real;
use super::{LEAF, Node, SPECIAL, reused_tag};

/// A node that is not a pair and not a leaf.
pub(super) enum Special<T> {
    /// A range of the side stream of operands and partials.
    Wide { start: usize, end: usize },
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
    pub(super) operands: Vec<u32>,
    pub(super) partials: Vec<T>,
    pub(super) calls: Vec<Call<T>>,
}

/// The adjoint of an operand, which comes before the node.
#[inline]
#[track_caller]
fn before<T>(earlier: &mut [T], operand: u32) -> &mut T {
    match earlier.get_mut(operand as usize) {
        Some(adjoint) => adjoint,
        None => reused_tag(),
    }
}

impl<T: Real> Side<T> {
    #[inline(never)]
    #[track_caller]
    pub(super) fn back(&self, k: u32, node: &Node<T>, adjoints: &mut [T], scratch: &mut Vec<T>) {
        let at = k as usize;
        if node.operands == [SPECIAL, LEAF] {
            return;
        }
        let special = match node.operands {
            [SPECIAL, index] => self.specials.get(index as usize),
            _ => None,
        };
        match special {
            Some(&Special::Wide { start, end }) => {
                let adjoint = adjoints[at];
                if adjoint.is_exactly_zero() {
                    return;
                }
                adjoints[at] = T::zero();
                let earlier = &mut adjoints[..at];
                for (&operand, &partial) in self.operands[start..end]
                    .iter()
                    .zip(&self.partials[start..end])
                {
                    let to = before(earlier, operand);
                    *to += adjoint * partial;
                }
            }
            Some(&Special::Watch { node, weight, .. }) => {
                let adjoint = adjoints[at];
                if !adjoint.is_exactly_zero() {
                    let to = before(&mut adjoints[..at], node);
                    *to += adjoint * weight;
                }
            }
            Some(Special::Output) => {}
            Some(&Special::Call { function, outputs }) => {
                let call = &self.calls[function];
                let results = &mut adjoints[at + 1..at + 1 + outputs as usize];
                if results.iter().all(|adjoint| adjoint.is_exactly_zero()) {
                    return;
                }
                scratch.clear();
                scratch.resize(call.inputs.len(), T::zero());
                (call.rule)(results, scratch);
                results.fill(T::zero());
                for (&(input, weight), &cotangent) in call.inputs.iter().zip(scratch.iter()) {
                    if !cotangent.is_exactly_zero() {
                        let to = before(&mut adjoints[..at], input);
                        *to += cotangent * weight;
                    }
                }
            }
            None => reused_tag(),
        }
    }
}
