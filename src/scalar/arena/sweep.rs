//! The sweep back.

use super::super::real::Real;
use super::recorder::{Slot, TABLE, detach};
use super::refusal::reused_tag;
use super::side::Side;
use super::{Hold, Node, SLOTS, WIDE, check_idle};

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
        seeds: impl Iterator<Item = Seed<T>>,
        read: impl FnOnce(&[T]) -> R,
    ) -> R {
        let seeds = seeds.map(|(node, adjoint)| (node, [adjoint]));
        self.sweep_lanes::<1, R>(seeds, |adjoints| read(adjoints.as_flattened()))
    }

    /// As [`sweep`](Hold::sweep), with `L` adjoints of each node at once.
    #[track_caller]
    pub(in crate::scalar) fn sweep_lanes<const L: usize, R>(
        &self,
        seeds: impl Iterator<Item = Seed<[T; L]>>,
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
        self.start(seeds, adjoints);
        let result = read(adjoints);
        let arena = self.arena();
        adjoints[..arena.leaves as usize].fill([T::zero(); L]);
        for &node in &arena.kept {
            adjoints[node as usize] = [T::zero(); L];
        }
        arena.adjoints = memory;
        result
    }

    #[track_caller]
    fn start<const L: usize>(
        &self,
        seeds: impl Iterator<Item = Seed<[T; L]>>,
        adjoints: &mut [[T; L]],
    ) {
        let mut top = None;
        for (node, adjoint) in seeds {
            match adjoints.get_mut(node as usize) {
                Some(at) => (0..L).for_each(|lane| at[lane] += adjoint[lane]),
                None => reused_tag(),
            }
            top = top.max(Some(node as usize));
        }
        let Some(top) = top else {
            return;
        };
        let first = self.arena().leaves as usize;
        if top < first {
            return;
        }
        TABLE.with(|table| {
            let slot = &table[self.tag.get() as usize % SLOTS];
            detach::<T>();
            slot.tag.set(0);
            let _sweeping = Sweeping(slot, self.tag.get());
            let side = Borrowed::take(self);
            // Nothing is recorded while the tag is set aside.
            back(self.written(), &side.side, first, top, adjoints);
        });
    }
}

/// Adds the product of adjoint and partial derivative.
///
/// What one lane does not depend on must not turn an infinite partial into a NaN; with one lane that was seen to.
#[inline(always)]
pub(super) fn give<T: Real, const L: usize>(to: &mut [T; L], adjoint: [T; L], partial: T) {
    for (to, adjoint) in to.iter_mut().zip(adjoint) {
        *to += if L > 1 && adjoint.is_exactly_zero() {
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
fn back<T: Real, const L: usize>(
    nodes: &[Node<T>],
    side: &Side<T>,
    first: usize,
    top: usize,
    adjoints: &mut [[T; L]],
) {
    assert!(top < nodes.len() && adjoints.len() == nodes.len());
    let mut scratch = Vec::new();
    let mut end = top + 1;
    let mut adjoint = adjoints[top];
    loop {
        (end, adjoint) = back_pairs(nodes, first, end, adjoint, adjoints);
        if end <= first {
            return;
        }
        let k = end - 1;
        let node = &nodes[k];
        end = if node.operands[0] == WIDE {
            wide(nodes, k, node.operands[1] as usize, adjoint, adjoints)
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

/// Goes back over pairs, from the node before `end` on, whose adjoint is given: to the first node, or one that is not a
/// pair. Where it ended, and the adjoint of the node before that.
#[inline(always)]
fn back_pairs<T: Real, const L: usize>(
    nodes: &[Node<T>],
    first: usize,
    mut end: usize,
    mut adjoint: [T; L],
    adjoints: &mut [[T; L]],
) -> (usize, [T; L]) {
    assert!(end <= nodes.len() && nodes.len() == adjoints.len());
    while end > first {
        let k = end - 1;
        // SAFETY: `end` only decreases from a value that was compared with the length.
        let node = unsafe { nodes.get_unchecked(k) };
        let (i, j) = (node.operands[0] as usize, node.operands[1] as usize);
        // One comparison: a pair, and of earlier nodes.
        if i.max(j) >= k {
            break;
        }
        let below = k - 1;
        end = k;
        // What the result does not depend on must not turn an infinite partial into a NaN.
        if idle(adjoint) {
            // SAFETY: `below < k`, in range.
            adjoint = unsafe { *adjoints.get_unchecked(below) };
            continue;
        }
        // SAFETY: `i`, `j` and `below` are less than `k`, in range.
        unsafe {
            *adjoints.get_unchecked_mut(k) = [T::zero(); L];
            let at = adjoints.get_unchecked_mut(i);
            give(at, adjoint, node.first);
            let by_first = *at;
            let at = adjoints.get_unchecked_mut(j);
            give(at, adjoint, node.second);
            let by_second = *at;
            adjoint = if j == below {
                by_second
            } else if i == below {
                by_first
            } else {
                *adjoints.get_unchecked(below)
            };
        }
    }
    (end, adjoint)
}

/// Serves the operands of a wide node, which are in the entries before it; the index of the first of them.
#[inline(always)]
#[track_caller]
fn wide<T: Real, const L: usize>(
    nodes: &[Node<T>],
    k: usize,
    entries: usize,
    adjoint: [T; L],
    adjoints: &mut [[T; L]],
) -> usize {
    let Some(start) = k.checked_sub(entries) else {
        reused_tag();
    };
    if idle(adjoint) {
        return start;
    }
    // The last ones first, as the whole sweep goes through memory.
    for node in nodes[start..k].iter().rev() {
        let (i, j) = (node.operands[0] as usize, node.operands[1] as usize);
        if i.max(j) > k {
            reused_tag();
        }
        // SAFETY: `i` and `j` are at most `k`, in range.
        unsafe {
            give(adjoints.get_unchecked_mut(i), adjoint, node.first);
            give(adjoints.get_unchecked_mut(j), adjoint, node.second);
        }
    }
    adjoints[k] = [T::zero(); L];
    start
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
