//! Data for models: tables from CSV files, labels, mini-batches.

mod batches;
mod labels;
#[cfg(feature = "csv")]
mod table;

pub use batches::Batches;
pub use labels::{check_labels, one_hot};
#[cfg(feature = "csv")]
pub use table::Table;
