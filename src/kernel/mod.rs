//! Loops over slices: what an operation does to numbers once shapes have been checked. Knows strides and vector
//! instructions; knows no tensor and no tape.

pub(crate) mod copy;
pub(crate) mod dispatch;
pub(crate) mod elementwise;
pub(crate) mod gather;
pub(crate) mod index;
pub(crate) mod math;
pub(crate) mod matmul;
pub(crate) mod memory;
pub(crate) mod pass;
pub(crate) mod place;
pub(crate) mod processor;
pub(crate) mod random;
pub(crate) mod reduce;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod scratch;
pub(crate) mod script;
pub(crate) mod stream;
pub(crate) mod threads;
pub(crate) mod update;
pub(crate) mod walk;
