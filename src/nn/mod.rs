//! Layers, sequences of them, and what their parameters start as.

mod flatten;
pub mod init;
mod linear;
mod sequential;

pub use crate::param::Layer;
pub use flatten::{Flatten, Identity};
pub use linear::Linear;
pub use sequential::{Block, Sequential};
