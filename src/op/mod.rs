//! Operations: a file for each family, with methods, shape rules, gradient rules, documentation, and rows of the table that tests
//! iterate.

mod activation;
mod arithmetic;
mod compare;
mod exponential;
mod index;
mod join;
mod matmul;
mod operator;
mod random;
mod rectifier;
mod reduce;
mod rounding;
mod rule;
mod softmax;
pub mod table;
#[cfg(test)]
mod tests;
mod trigonometric;
mod view;

pub use arithmetic::Operand;
pub(crate) use arithmetic::outer_factors;
pub(crate) use random::keys;
pub(crate) use rule::{Rule, accumulate, check_shape, conform, seed, zeros_like};
