//! The sweep back.

use super::super::real::Real;
use super::refusal::reused_tag;
use super::side::Side;
use super::slots::{Slot, TABLE, detach};
use super::tags::slot_of;
use super::{Hold, Node, WIDE, back_pairs, back_wide, check_idle};
use crate::kernel::processor::align;

/// Where a sweep starts: the node, and the adjoint.
type Seed<T> = (u32, T);

/// Sets the tag of a slot aside during a sweep, so that nothing is recorded under it.
struct Sweeping<'a>(&'a Slot, u32);

impl Drop for Sweeping<'_> {
    fn drop(&mut self) {
        self.0.tag.set(self.1);
    }
}

impl<T: Real> Hold<T> {
    /// Sweeps back from the seeds, and lets `read` have the adjoints of variables and watched results.
    #[track_caller]
    pub(in crate::scalar) fn sweep<R>(
        &self,
        seeds: impl Iterator<Item = Seed<T>> + Clone,
        read: impl FnOnce(&[T]) -> R,
    ) -> R {
        let seeds = seeds.map(|(node, adjoint)| (node, [adjoint]));
        self.sweep_lanes::<1, R>(seeds, |adjoints| read(adjoints.as_flattened()))
    }

    /// As [`sweep`](Hold::sweep), with `L` adjoints of each node at once.
    #[track_caller]
    pub(in crate::scalar) fn sweep_lanes<const L: usize, R>(
        &self,
        seeds: impl Iterator<Item = Seed<[T; L]>> + Clone,
        read: impl FnOnce(&[[T; L]]) -> R,
    ) -> R {
        check_idle(self);
        // Taken out, so that adjoints of a sweep that breaks off are not seen by the next.
        let mut memory = std::mem::take(&mut self.arena().adjoints);
        let len = self.len();
        if memory.len() < len * L {
            memory.resize(len * L, T::zero());
        }
        let (adjoints, _) = memory[..len * L].as_chunks_mut::<L>();
        // An adjoint of 0 does not go on, which is looked at for each node only where it matters: else an infinite partial makes
        // a NaN of it, and that reaches a variable. But rules would see it, and other number types are more than their value.
        let mut checked = T::LEVEL > 0 || !self.arena().calls.is_empty();
        if !checked {
            self.start::<L, false>(seeds.clone(), adjoints);
            if self.is_nan_left(adjoints) {
                self.clear(adjoints);
                checked = true;
            }
        }
        if checked {
            self.start::<L, true>(seeds, adjoints);
        }
        let result = read(adjoints);
        self.clear(adjoints);
        self.arena().adjoints = memory;
        result
    }

    /// Whether an adjoint that a sweep leaves is NaN.
    fn is_nan_left<const L: usize>(&self, adjoints: &[[T; L]]) -> bool {
        let arena = self.arena();
        let leaves = &adjoints[..arena.leaves.len()];
        let (chunks, rest) = leaves.as_flattened().as_chunks::<8>();
        // One comparison tells whether either of two is NaN.
        let mut found = [false; 4];
        for chunk in chunks {
            for (i, found) in found.iter_mut().enumerate() {
                *found |= chunk[i].is_nan() | chunk[i + 4].is_nan();
            }
        }
        let kept = arena.kept.iter().flat_map(|&node| &adjoints[node as usize]);
        found.contains(&true) || rest.iter().chain(kept).any(|adjoint| adjoint.is_nan())
    }

    /// Sets the adjoints that a sweep leaves to 0.
    fn clear<const L: usize>(&self, adjoints: &mut [[T; L]]) {
        let arena = self.arena();
        adjoints[..arena.leaves.len()].fill([T::zero(); L]);
        for &node in &arena.kept {
            adjoints[node as usize] = [T::zero(); L];
        }
    }

    #[track_caller]
    fn start<const L: usize, const CHECKED: bool>(
        &self,
        seeds: impl Iterator<Item = Seed<[T; L]>>,
        adjoints: &mut [[T; L]],
    ) {
        let mut top = None;
        for (node, adjoint) in seeds {
            match adjoints.get_mut(node as usize) {
                Some(at) => (0..L).for_each(|lane| at[lane] += adjoint[lane]),
                None => reused_tag("sweep"),
            }
            top = top.max(Some(node as usize));
        }
        let Some(top) = top else {
            return;
        };
        let first = self.arena().leaves.len();
        if top < first {
            return;
        }
        TABLE.with(|table| {
            let slot = &table[slot_of(self.tag.get())];
            detach::<T>();
            slot.tag.set(0);
            let _sweeping = Sweeping(slot, self.tag.get());
            let side = Borrowed::take(self);
            // Nothing is recorded while the tag is set aside.
            back::<T, L, CHECKED>(self.written(), &side.side, first, top, adjoints);
        });
    }
}

/// Adds the product of adjoint and partial derivative.
///
/// What one lane does not depend on must not turn an infinite partial into a NaN if `CHECKED`; with one lane that was seen to.
#[inline(always)]
pub(super) fn give<T: Real, const L: usize, const CHECKED: bool>(
    to: &mut [T; L],
    adjoint: [T; L],
    partial: T,
) {
    for (to, adjoint) in to.iter_mut().zip(adjoint) {
        *to += if CHECKED && L > 1 && adjoint.is_exactly_zero() {
            T::zero()
        } else {
            adjoint * partial
        };
    }
}

/// Whether all lanes are without effect.
#[inline(always)]
pub(super) fn idle<T: Real, const L: usize>(adjoint: [T; L]) -> bool {
    adjoint.iter().all(|adjoint| adjoint.is_exactly_zero())
}

/// Goes back from `top` to `first`, both included.
///
/// The adjoint of the next node is carried in a register where the node before has just written it: a chain of sums would
/// else wait for memory at each link.
#[inline(never)]
#[track_caller]
fn back<T: Real, const L: usize, const CHECKED: bool>(
    nodes: &[Node<T>],
    side: &Side<T>,
    first: usize,
    top: usize,
    adjoints: &mut [[T; L]],
) {
    // A sweep takes up to an eighth longer where they lie badly.
    align();
    assert!(top < nodes.len() && adjoints.len() == nodes.len());
    let mut scratch = Vec::new();
    let mut end = top + 1;
    let mut adjoint = adjoints[top];
    loop {
        (end, adjoint) = back_pairs::<T, L, CHECKED>(nodes, first, end, adjoint, adjoints);
        if end <= first {
            return;
        }
        let k = end - 1;
        let node = &nodes[k];
        end = if node.operands[0] == WIDE {
            back_wide::<T, L, CHECKED>(nodes, k, node.operands[1] as usize, adjoint, adjoints)
        } else {
            side.back(k, node, adjoints, &mut scratch);
            k
        };
        if end <= first {
            return;
        }
        adjoint = adjoints[end - 1];
    }
}

/// Gives the [`Side`] back, also if a rule panics.
struct Borrowed<'a, T: Real> {
    hold: &'a Hold<T>,
    side: Side<T>,
}

impl<'a, T: Real> Borrowed<'a, T> {
    fn take(hold: &'a Hold<T>) -> Self {
        let arena = hold.arena();
        let side = Side {
            specials: std::mem::take(&mut arena.specials),
            calls: std::mem::take(&mut arena.calls),
        };
        Borrowed { hold, side }
    }
}

impl<T: Real> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        let arena = self.hold.arena();
        arena.specials = std::mem::take(&mut self.side.specials);
        arena.calls = std::mem::take(&mut self.side.calls);
    }
}
