//! Operations: a file for each family, with methods, shape rules, gradient rules, documentation, and rows of the table that tests
//! iterate.

mod arithmetic;
mod compare;
mod exponential;
mod join;
mod matmul;
mod operator;
mod reduce;
mod rule;
mod softmax;
pub mod table;
mod view;

pub use arithmetic::Operand;
pub(crate) use rule::{accumulate, seed, vjp};
