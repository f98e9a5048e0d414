//! Running a tape: which nodes are needed, when their memory is free again, and how each class of node is computed.

mod execute;
mod fetch;
mod plan;
mod reference;
mod value;

pub use fetch::Fetch;
