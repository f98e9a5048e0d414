//! Scalars meet tensors: a function of numbers as one node of a tensor tape, and a function of tensors as one node of
//! a scalar tape.
//!
//! - [`Var::map_scalar`](crate::Var::map_scalar): a [`ScalarFunction`] of each element, differentiated by forward mode;
//!   [`Var::map_series`](crate::Var::map_series) takes a closure.
//! - [`Var::map_array`](crate::Var::map_array): an [`ArrayFunction`] of all elements together, differentiated by
//!   reverse mode.
//! - [`TensorFunction`]: a tensor program that scalars pass through.

mod array;
mod elementwise;
mod function;

pub use array::ArrayFunction;
pub use elementwise::ScalarFunction;
pub use function::{TensorFunction, Through};
