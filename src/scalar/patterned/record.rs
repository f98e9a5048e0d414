//! What is written down of the steps of a function.

use std::any::Any;

use super::super::real::Real;
use super::super::recordings::{Ongoing, Recordings};
use super::Patterned;

/// A recorded step of one or two operands.
#[derive(Clone, Copy, Debug)]
pub(in crate::scalar) struct Link<T> {
    /// How many operands there are; 0 for a variable.
    pub(in crate::scalar) arity: u8,
    /// Which second derivatives may be other than 0.
    pub(in crate::scalar) curved: [bool; 3],
    pub(in crate::scalar) operands: [u32; 2],
    pub(in crate::scalar) partials: [T; 2],
    /// By the first operand twice, by both, by the second twice.
    pub(in crate::scalar) seconds: [T; 3],
}

impl<T> Link<T> {
    /// Whether it depends on the same operands, in the same way, as another.
    pub(in crate::scalar) fn is_alike(&self, other: &Self) -> bool {
        (self.arity, self.curved, self.operands) == (other.arity, other.curved, other.operands)
    }

    /// The operands, each with the partial derivative by it.
    pub(in crate::scalar) fn edges(&self) -> impl Iterator<Item = (usize, &T)> {
        let n = usize::from(self.arity);
        let operands = self.operands[..n].iter().map(|&operand| operand as usize);
        operands.zip(&self.partials[..n])
    }
}

/// A recording that is going on.
pub(super) struct Recording {
    /// Whether second derivatives are wanted.
    pub(super) seconds: bool,
    /// A `Vec<Link<T>>`.
    pub(super) links: Box<dyn Any + Send>,
}

thread_local! {
    pub(super) static RECORDINGS: Recordings<Recording> = const { Recordings::new() };
}

/// What a recording is written into, to be used again.
#[derive(Debug)]
pub(in crate::scalar) struct Record<T> {
    /// A `Vec<Link<T>>`, boxed as a recording of this thread holds it, so that nothing is allocated for it.
    links: Option<Box<dyn Any + Send>>,
    handles: Vec<Patterned<T>>,
    /// That of the numbers of the last call.
    tag: u64,
}

impl<T: Real> Record<T> {
    pub(in crate::scalar) fn new() -> Self {
        Record {
            links: None,
            handles: Vec::new(),
            tag: 0,
        }
    }

    /// The links of the last call of [`run`](Record::run).
    pub(in crate::scalar) fn links(&self) -> &[Link<T>] {
        let links = self.links.as_ref();
        let links = links.and_then(|links| links.downcast_ref::<Vec<Link<T>>>());
        links.map_or(&[], Vec::as_slice)
    }

    /// The step that a result of the last call came of, if it is not a constant.
    ///
    /// # Panics
    /// If it is a number of another call.
    #[track_caller]
    pub(in crate::scalar) fn node_of(&self, operation: &str, result: Patterned<T>) -> Option<u32> {
        let own = result.tag == 0 || result.tag == self.tag;
        assert!(own, "{operation}: the result is a number of another call");
        (result.tag != 0).then_some(result.node)
    }

    /// Runs `f` on variables.
    #[track_caller]
    pub(in crate::scalar) fn run<R>(
        &mut self,
        x: &[T],
        seconds: bool,
        f: impl FnOnce(&[Patterned<T>]) -> R,
    ) -> R {
        let zero = T::zero();
        let leaf = Link {
            arity: 0,
            curved: [false; 3],
            operands: [0; 2],
            partials: [zero; 2],
            seconds: [zero; 3],
        };
        let unused = self.links.take();
        let mut links = unused.unwrap_or_else(|| Box::new(Vec::<Link<T>>::new()));
        if let Some(links) = links.downcast_mut::<Vec<Link<T>>>() {
            links.clear();
            links.resize(x.len(), leaf);
        }
        let ongoing = Ongoing::begin(&RECORDINGS, Recording { seconds, links });
        let tag = ongoing.tag();
        self.tag = tag;
        self.handles.clear();
        let handles = (0..).zip(x);
        let handles = handles.map(|(node, &value)| Patterned { value, node, tag });
        self.handles.extend(handles);
        let result = f(&self.handles);
        self.links = ongoing.end().map(|recording| recording.links);
        result
    }
}
