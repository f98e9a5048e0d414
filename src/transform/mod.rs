//! Programs made from programs: derivatives.

mod gradient;
mod model;
#[cfg(test)]
mod model_tests;
mod parameters;
mod step;

pub(crate) use gradient::pull_back;
pub use model::{value_and_grad, value_and_grad_with};
pub use step::{Gradients, Step};
