//! What is recorded beside operations, and buffers that a tape keeps.

use super::super::active::Scalar;
use super::super::real::Real;
use super::side::{Call, Rule, Special};
use super::{Hold, LEAF, Node, Room, SPECIAL, id, record};

impl<T: Real> Hold<T> {
    /// An empty buffer of handles, to be given back.
    pub(in crate::scalar) fn take_handles(&self) -> Vec<Scalar<T>> {
        self.arena().handles.pop().unwrap_or_default()
    }

    pub(in crate::scalar) fn give_handles(&self, mut handles: Vec<Scalar<T>>) {
        handles.clear();
        self.arena().handles.push(handles);
    }

    /// A buffer of numbers, to be given back.
    pub(in crate::scalar) fn take_buffer(&self) -> Vec<T> {
        std::mem::take(&mut self.arena().buffer)
    }

    pub(in crate::scalar) fn give_buffer(&self, mut buffer: Vec<T>) {
        buffer.clear();
        self.arena().buffer = buffer;
    }

    /// Bytes in use by what is recorded.
    pub(in crate::scalar) fn bytes(&self) -> usize {
        let arena = self.arena();
        self.len() * size_of::<Node<T>>()
            + arena.specials.len() * size_of::<Special<T>>()
            + arena
                .calls
                .iter()
                .map(|call| call.inputs.len() * size_of::<(u32, T)>())
                .sum::<usize>()
    }

    /// Records a variable.
    #[inline]
    #[track_caller]
    pub(in crate::scalar) fn leaf(&self, value: T) -> u32 {
        let node = record("var", self.tag.get(), [SPECIAL, LEAF], [value, T::zero()]);
        let arena = self.arena();
        if node as usize == arena.leaves.len() {
            arena.leaves.push(value);
        } else {
            arena.kept.push(node);
        }
        node
    }

    /// Records variables; the node of the first, which the others follow.
    #[track_caller]
    pub(in crate::scalar) fn leaf_all(&self, values: &[T]) -> u32 {
        let mut room = Room::reserve("var", self.tag.get(), values.len());
        let (start, end) = (room.start(), room.start() + values.len() as u32);
        let arena = self.arena();
        if start as usize == arena.leaves.len() {
            // No sweep comes so far: the nodes may be whatever they are. There is room for them already.
            if arena.nodes.len() < end as usize {
                arena.nodes.resize(end as usize, Node::leaf(T::zero()));
            }
            arena.leaves.extend_from_slice(values);
            room.commit_any(values.len(), arena.nodes.len());
        } else {
            room.fill(values.len(), |i| Node::leaf(values[i]));
            room.commit(0);
            arena.kept.extend(start..end);
        }
        start
    }

    /// Whether all are variables or watched results of this tape, or constants.
    pub(in crate::scalar) fn keeps_all(&self, xs: &[Scalar<T>]) -> bool {
        xs.iter().all(|x| {
            x.is_constant()
                || x.tag() == self.tag.get()
                    && self
                        .kept_value(x.node())
                        .is_some_and(|value| x.is_leaf(value))
        })
    }

    /// The node of the first, if these are some of the variables that the tape begins with, one after the other.
    pub(in crate::scalar) fn run_of_leaves(&self, xs: &[Scalar<T>]) -> Option<usize> {
        let start = xs.first()?.id();
        let node = start.wrapping_sub(id(self.tag.get(), 0)) as usize;
        let leaves = self.arena().leaves.get(node..)?.get(..xs.len())?;
        let mut each = xs.iter().zip(leaves).enumerate();
        each.all(|(i, (x, &value))| x.id() == start + i as u64 && x.is_leaf(value))
            .then_some(node)
    }

    /// Records that the derivative by an intermediate result will be asked for.
    #[track_caller]
    pub(in crate::scalar) fn watch(&self, node: u32, weight: T, value: T) -> u32 {
        self.special(
            "watch",
            Special::Watch {
                node,
                weight,
                value,
            },
            true,
        )
    }

    #[track_caller]
    fn special(&self, operation: &'static str, special: Special<T>, kept: bool) -> u32 {
        let index = self.arena().specials.len() as u32;
        let node = record(operation, self.tag.get(), [SPECIAL, index], [T::zero(); 2]);
        let arena = self.arena();
        arena.specials.push(special);
        if kept {
            arena.kept.push(node);
        }
        node
    }

    /// Records a function with its rule; the node of its first result, which the others follow.
    #[track_caller]
    pub(in crate::scalar) fn call(
        &self,
        inputs: Vec<(u32, T)>,
        outputs: u32,
        rule: Rule<T>,
    ) -> u32 {
        let function = self.arena().calls.len();
        let node = self.special("custom_vjp", Special::Call { function, outputs }, false);
        for _ in 0..outputs {
            self.special("custom_vjp", Special::Output, false);
        }
        self.arena().calls.push(Call { inputs, rule });
        node + 1
    }

    /// The variables beyond the first ones and the watched results, in order.
    pub(in crate::scalar) fn kept(&self) -> Vec<u32> {
        self.arena().kept.clone()
    }

    /// How many nodes from the first on are variables.
    pub(in crate::scalar) fn leaves(&self) -> u32 {
        self.arena().leaves.len() as u32
    }

    /// The value of a variable or a watched result.
    #[inline]
    pub(in crate::scalar) fn kept_value(&self, node: u32) -> Option<T> {
        if let Some(&value) = self.arena().leaves.get(node as usize) {
            return Some(value);
        }
        let Node {
            operands, first, ..
        } = *self.written().get(node as usize)?;
        match operands {
            [SPECIAL, LEAF] => Some(first),
            [SPECIAL, index] => match self.arena().specials.get(index as usize) {
                Some(Special::Watch { value, .. }) => Some(*value),
                _ => None,
            },
            _ => None,
        }
    }
}
