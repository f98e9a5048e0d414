//! Running a tape: which nodes are needed, when their memory is free again, and how each class of node is computed.

mod access;
mod cache;
mod compiled;
mod execute;
mod fetch;
mod fuse;
mod input;
mod layout;
mod lower;
mod needed;
mod plan;
mod recorded;
mod reference;
mod value;

pub use fetch::{Fetch, Outputs};
pub use input::{Input, Inputs, Size, Sizes};
pub use recorded::{Program, Recorder};
