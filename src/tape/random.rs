//! What the random numbers of a tape follow from: a seed, and a number for each node that draws.
//!
//! A node that draws reads its *key*, an integer that is a node as well, and has a *stream*, a number that no other node of the tape
//! has. The key is that of the tape, which is its seed, unless a function is being recorded that stands for many examples or steps:
//! then it is a placeholder, in whose place each of them gets a key of its own.

use super::append::bits;
use super::arena::{Graph, TapeRef};
use super::node::{Called, NodeInputs, Op};
use super::rewrite::Placeholder;
use super::var::AnyVar;
use crate::element::{Dtype, Element, Numbers};
use crate::kernel::random::derived;

/// The stream of a seed from which the seeds of steps are drawn. No node of a tape has it.
const STEPS: u64 = u64::MAX;

/// The seed of one step of a training loop that has a seed itself: unrelated seeds for all steps, which any of them can be
/// repeated from.
///
/// ```
/// use wengert::prelude::*;
/// let mut w = Param::new(Tensor::from([1.0, -1.0]));
/// let mut sgd = Sgd::new(0.1);
/// for step in 0..10 {
///     let gradients = value_and_grad(&w, |w, tape| {
///         tape.seed(seed_at(7, step));
///         w.on(tape).dropout(0.5).square().sum()
///     });
///     sgd.step(&mut w, &gradients);
/// }
/// assert!(w.value().iter().all(|x: f32| x.abs() < 1.0));
/// ```
pub fn seed_at(seed: u64, step: u64) -> u64 {
    derived(seed, STEPS, step)
}

/// The state of the random numbers of a tape.
#[derive(Default)]
pub(crate) struct Randomness {
    seed: u64,
    /// The next stream.
    next: u64,
    /// The node that holds the seed, once numbers were drawn with it.
    root: Option<u32>,
    /// The functions being recorded that do not draw with the key of the tape, the innermost last.
    scopes: Vec<Scope>,
}

/// Where a function that is being recorded has its key from.
enum Scope {
    /// It stands for many examples or steps: the node that stands for their keys, once there is one.
    Standing(&'static Placeholder, Option<u32>),
    /// A node.
    Key(u32),
    /// It has none, and why.
    Closed(&'static str),
}

impl Randomness {
    /// The seed of the tape.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// As it was before anything was drawn.
    pub fn afresh(&self) -> Self {
        Randomness {
            seed: self.seed,
            ..Randomness::default()
        }
    }

    /// Forgets nodes from number `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.root = self.root.filter(|&root| (root as usize) < len);
    }
}

impl Graph {
    /// The seed that a node holds as the key of the tape.
    pub(crate) fn seed_of(&self, node: u32) -> Option<u64> {
        (self.random.root == Some(node)).then_some(self.random.seed)
    }

    /// The key that numbers recorded now are drawn with.
    #[track_caller]
    fn key(&mut self, operation: &str) -> u32 {
        match self.random.scopes.last() {
            Some(Scope::Standing(_, Some(key)) | Scope::Key(key)) => *key,
            Some(Scope::Closed(reason)) => panic!("{operation}: {reason}"),
            Some(&Scope::Standing(placeholder, None)) => {
                let shape = self.share(&[]);
                let op = Op::Call(Called::Static(placeholder));
                let key = self.push(op, NodeInputs::NONE, shape, Dtype::I64, false);
                if let Some(scope) = self.random.scopes.last_mut() {
                    *scope = Scope::Standing(placeholder, Some(key));
                }
                key
            }
            None => {
                if let Some(root) = self.random.root {
                    return root;
                }
                // A node of its own, which no other number shares: a program puts another seed in its place.
                let shape = self.share(&[]);
                let seed = i64::erase::<Numbers>(self.random.seed as i64);
                let root = self.fill(bits(seed), Dtype::I64, shape);
                self.random.root = Some(root);
                root
            }
        }
    }
}

impl TapeRef {
    /// Sets the seed of the random numbers that are drawn on this tape; it is 0 otherwise.
    ///
    /// A seed and a record name the numbers: the same operations, recorded in the same order, draw the same ones, on any machine and
    /// with any number of threads. No two random nodes of a tape share numbers. For numbers that change from step to step of a
    /// training loop, see [`seed_at`](crate::seed_at).
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let draw = |seed| {
    ///     let tape = Tape::new();
    ///     tape.seed(seed);
    ///     tape.uniform([3], 0.0f32, 1.0).value()
    /// };
    /// assert_eq!(draw(7), draw(7));
    /// assert_ne!(draw(7), draw(8));
    /// ```
    ///
    /// # Panics
    /// If random numbers were drawn on this tape already, or a function that stands for many examples or steps is being recorded;
    /// if the tape was reset or dropped.
    #[track_caller]
    pub fn seed(self, seed: u64) {
        let mut graph = self.graph_mut("seed");
        assert!(
            graph.random.scopes.is_empty(),
            "seed: it is that of the whole tape: set it outside of the function that is transformed"
        );
        assert!(
            graph.random.root.is_none(),
            "seed: random numbers were drawn on this tape already: set it before the first ones"
        );
        graph.random.seed = seed;
    }

    /// The key to draw with, and a stream of which no other numbers are drawn.
    #[track_caller]
    pub(crate) fn source(self, operation: &str) -> (AnyVar, u64) {
        let mut graph = self.graph_mut(operation);
        let key = graph.key(operation);
        (self.var(key), graph.random.take())
    }

    /// Records the node that stands for the key now, if there is to be one: what is recorded again does not contain it then.
    /// Returns whether there is.
    #[track_caller]
    pub(crate) fn settle_key(self) -> bool {
        let mut graph = self.graph_mut("key");
        let stands = matches!(graph.random.scopes.last(), Some(Scope::Standing(..)));
        if stands {
            graph.key("key");
        }
        stands
    }

    /// Calls a function that stands for many examples or steps: its result, and the node that stands for their keys if it has
    /// drawn random numbers.
    pub(crate) fn standing<R>(
        self,
        placeholder: &'static Placeholder,
        f: impl FnOnce() -> R,
    ) -> (R, Option<AnyVar>) {
        let entered = self.enter(Scope::Standing(placeholder, None));
        let result = f();
        let arena = self.live();
        let key = arena.and_then(|arena| match arena.graph.borrow().random.scopes.last() {
            Some(Scope::Standing(_, key)) => *key,
            _ => None,
        });
        drop(entered);
        (result, key.map(|key| self.var(key)))
    }

    /// Calls a function that draws with a key, or with none for a reason.
    pub(crate) fn drawing<R>(
        self,
        key: Option<AnyVar>,
        otherwise: &'static str,
        f: impl FnOnce() -> R,
    ) -> R {
        let scope = key.map_or(Scope::Closed(otherwise), |key| Scope::Key(key.index));
        let entered = self.enter(scope);
        let result = f();
        drop(entered);
        result
    }

    /// From here on nothing can be drawn on this tape, for a reason.
    pub(crate) fn without_random(self, reason: &'static str) {
        self.graph_mut("key")
            .random
            .scopes
            .push(Scope::Closed(reason));
    }

    /// How many functions that do not draw with the key of the tape are being recorded.
    pub(crate) fn scopes(self) -> usize {
        self.graph("key").random.scopes.len()
    }

    /// The node that stands for the keys of the function that is number `scope` of these, if it has drawn.
    pub(crate) fn standing_key(self, scope: usize) -> Option<AnyVar> {
        let graph = self.graph("key");
        match graph.random.scopes.get(scope) {
            Some(Scope::Standing(_, Some(key))) => Some(self.var(*key)),
            _ => None,
        }
    }

    /// Calls a function as if those from number `scope` on were not being recorded.
    pub(crate) fn outside_of<R>(self, scope: usize, f: impl FnOnce() -> R) -> R {
        let inner = self.graph_mut("key").random.scopes.split_off(scope);
        let result = f();
        self.graph_mut("key").random.scopes.extend(inner);
        result
    }

    /// As many streams as anybody wants, of which no other numbers are drawn: the first of them.
    pub(crate) fn streams(self) -> u64 {
        let one = self.graph_mut("key").random.take();
        // A tape has fewer than 2^32 nodes, so there are as many streams behind each that it takes; behind one of these the
        // first is chosen at random.
        match one >> 32 {
            0 => (one + 1) << 32,
            _ => derived(0, one, 0) << 32,
        }
    }

    /// Draws what another tape would draw, from a stream on.
    pub(crate) fn draw_as(self, other: TapeRef, first: u64) {
        let seed = other.graph("key").random.seed;
        let mut graph = self.graph_mut("key");
        graph.random.seed = seed;
        graph.random.next = first;
    }

    /// Calls a function that draws numbers of the streams from a number on, the same ones each time.
    pub(crate) fn repeating<R>(self, first: u64, f: impl FnOnce() -> R) -> R {
        let next = std::mem::replace(&mut self.graph_mut("key").random.next, first);
        let before = Repeating { tape: self, next };
        let result = f();
        drop(before);
        result
    }

    fn enter(self, scope: Scope) -> Entered {
        let mut graph = self.graph_mut("key");
        graph.random.scopes.push(scope);
        Entered {
            tape: self,
            scopes: graph.random.scopes.len() - 1,
        }
    }
}

impl Randomness {
    /// A stream of which no other numbers are drawn.
    fn take(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

/// Leaves a function that has a key of its own, also by a panic.
struct Entered {
    tape: TapeRef,
    scopes: usize,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(arena) = self.tape.live() {
            arena.graph.borrow_mut().random.scopes.truncate(self.scopes);
        }
    }
}

/// Goes on with the streams that come next, also after a panic.
struct Repeating {
    tape: TapeRef,
    next: u64,
}

impl Drop for Repeating {
    fn drop(&mut self) {
        if let Some(arena) = self.tape.live() {
            arena.graph.borrow_mut().random.next = self.next;
        }
    }
}
