//! The record of a computation: nodes, and handles to them.
//!
//! Recording checks shapes and computes nothing. This layer knows the classes of operation (leaf, elementwise, view, reduction,
//! call), not the operations.

mod append;
mod arena;
mod batch;
mod elementwise;
mod listing;
mod node;
mod operation;
mod random;
mod record;
mod rewrite;
mod var;

pub(crate) use arena::{Arena, Cotangent, Examples, Graph, Hook, UserRule, recycle};
pub use arena::{Tape, TapeRef};
pub use batch::Batch;
pub(crate) use elementwise::described_here;
pub use elementwise::{Binary, Elementwise, Ternary, Unary};
pub(crate) use node::{Called, Node, NodeInputs, Op, SharedShape, View};
pub(crate) use operation::same;
pub use operation::{Input, Operation, Output, Pullback, Reads};
pub use random::seed_at;
pub(crate) use rewrite::{Attribution, Outside, Placeholder, Span, made_at};
pub use var::{AnyVar, Var};
