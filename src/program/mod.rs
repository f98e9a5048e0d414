//! Running a tape: which nodes are needed, when their memory is free again, and how each class of node is computed.

mod access;
mod cache;
mod execute;
mod fetch;
mod fuse;
mod layout;
mod lower;
mod needed;
mod plan;
mod reference;
mod value;

pub use fetch::Fetch;
