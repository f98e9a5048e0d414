//! Programs made from programs: derivatives, batches, recomputation.
//!
//! Transforms take functions of variables and record what they make of them, so that they nest in any order: the gradient of a
//! batch, a batch of gradients, a Hessian of what holds a Jacobian.

mod checkpoint;
mod closure;
mod custom;
mod examples;
mod forward;
mod functional;
mod gradient;
mod hook;
mod implicit;
mod jacobian;
mod model;
#[cfg(test)]
mod model_tests;
mod packed;
mod parameters;
mod per_example;
mod recorded;
mod scalar;
mod scan;
mod solve;
mod step;
mod vars;
mod vectorize;
mod vmap;

pub use checkpoint::checkpoint;
pub use closure::{custom_multi_output, custom_operation};
pub use custom::custom_vjp;
pub use forward::{gradient, jvp, linearize, value_and_gradient, vjp};
pub use functional::{ParameterValues, Parameters};
pub(crate) use gradient::pull_back;
pub use implicit::{FixedPoint, fixed_point, implicit_root};
pub use jacobian::{hessian, hvp, jacobian};
pub use model::{value_and_grad, value_and_grad_with};
pub use per_example::{ExampleGradientValues, ExampleGradients, per_example_gradients};
pub use scalar::{ArrayFunction, ScalarFunction, TensorFunction, Through};
pub use scan::scan;
pub use step::{Gradients, Step};
pub use vars::Vars;
pub use vmap::{Vmap, vmap};
