//! The record of a computation: nodes, and handles to them.
//!
//! Recording checks shapes and computes nothing. This layer knows the classes of operation (leaf, elementwise, view, reduction,
//! call), not the operations.

mod append;
mod arena;
mod batch;
mod listing;
mod node;
mod operation;
mod record;
mod rewrite;
mod var;

pub(crate) use arena::{Arena, Cotangent, Graph, Hook, UserRule, recycle};
pub use arena::{Tape, TapeRef};
pub use batch::Batch;
pub(crate) use node::{Called, Node, NodeInputs, Op, SharedShape, View};
pub use operation::{
    Binary, Elementwise, Input, Operation, Output, Pullback, Reads, Ternary, Unary,
};
pub(crate) use operation::{described_here, same};
pub(crate) use rewrite::{Attribution, Outside, Placeholder, Span};
pub use var::{AnyVar, Var};
