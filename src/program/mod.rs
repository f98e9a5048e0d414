//! Running a tape: which nodes are needed, when their memory is free again, and how each class of node is computed.

mod access;
mod along;
mod cache;
mod checked;
mod compiled;
mod execute;
mod explain;
mod fetch;
mod fuse;
mod input;
mod layout;
mod listing;
mod lower;
mod needed;
mod nonfinite;
mod plan;
mod profile;
mod recorded;
mod reference;
mod room;
mod update;
mod value;

pub(crate) use compiled::{Compiled, Scratch};
pub(crate) use execute::{Results, unique};
pub use explain::Explanation;
pub use fetch::{Fetch, Outputs};
pub use input::{Input, Inputs, Size, Sizes};
pub use nonfinite::{NonFinite, Observed};
pub(crate) use plan::Form;
pub use profile::{KernelTime, LineTime, Profile};
pub use recorded::{Program, Recorder};
pub use update::Overwriting;
pub(crate) use update::Update;
