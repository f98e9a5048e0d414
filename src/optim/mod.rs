//! Optimizers: what changes the parameters of a model, given the gradients of a loss.

mod adam;
mod engine;
mod lent;
mod operation;
mod rule;
mod sgd;
mod step;
#[cfg(test)]
mod tests;
mod training;

pub use adam::{Adam, AdamOptions, AdamW};
pub use sgd::{Sgd, SgdOptions};
pub use training::TrainingProgram;

use crate::param::Module;
use crate::transform::Gradients;
use engine::Engine;
use rule::Rule;

/// Changes the parameters of a model so that a loss gets smaller.
///
/// State (running means, momentum) belongs to parameters by their identity: a clone of a model
/// starts anew.
pub trait Optimizer {
    /// Makes one step: changes every trainable parameter of `model` that has a gradient in `step`.
    ///
    /// `step` may be that of a larger model of which `model` is a part.
    ///
    /// # Panics
    /// If the loss does not depend on a trainable parameter and that was not
    /// [allowed](Gradients::allow_unreached); if no gradient belongs to the model; if the options
    /// contradict each other.
    #[track_caller]
    fn step(&mut self, model: &mut dyn Module, step: &Gradients);

    /// The learning rate of the parameters that have none of their own.
    fn learning_rate(&self) -> f64;

    /// Sets the learning rate of the parameters that have none of their own.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let mut adam = Adam::new(1e-2);
    /// adam.set_learning_rate(1e-3);
    /// assert_eq!(adam.learning_rate(), 1e-3);
    /// ```
    ///
    /// # Panics
    /// If the rate is negative or NaN.
    #[track_caller]
    fn set_learning_rate(&mut self, rate: f64);

    /// Forgets all state, as if no step had been made.
    fn reset_state(&mut self);
}

/// An optimizer whose update can be recorded as a part of a program.
#[doc(hidden)]
pub trait Stepping: Optimizer {
    type Rule: Rule;

    /// Its options, the state of parameters, and how an update is recorded.
    fn engine(&mut self) -> &mut Engine<Self::Rule>;
}

#[track_caller]
fn not_negative(optimizer: &str, what: &str, number: f64) {
    assert!(
        number >= 0.0,
        "{optimizer}: {what} is {number}, but must not be negative"
    );
}

/// The setters of an optimizer, which are those of its options, and what all optimizers have.
macro_rules! optimizer {
    ($optimizer:ident, $options:ident, $example:literal, $($setter:ident($($arg:ident: $type:ty),*);)*) => {
        impl $optimizer {
            $(
                #[doc = concat!("Sets what [`", stringify!($options), "::", stringify!($setter), "`] says.")]
                ///
                /// # Panics
                /// If the number makes no sense there.
                #[track_caller]
                #[must_use]
                pub fn $setter(mut self $(, $arg: $type)*) -> Self {
                    self.engine.rule = self.engine.rule.$setter($($arg),*);
                    self
                }
            )*

            /// Gives options of their own to the parameters whose name starts with `prefix`, which
            /// makes them a group of that name. They start from the options set so far; of several
            /// groups that fit, the one with the longest prefix counts. A group that sets no other
            /// learning rate follows [`set_learning_rate`](crate::Optimizer::set_learning_rate).
            ///
            /// ```
            /// use wengert::prelude::*;
            #[doc = $example]
            /// assert_eq!(optimizer.group_learning_rate("hidden."), 1e-4);
            /// ```
            ///
            /// # Panics
            /// If steps have been made already.
            #[track_caller]
            #[must_use]
            pub fn group(
                mut self,
                prefix: &str,
                options: impl FnOnce($options) -> $options,
            ) -> Self {
                self.engine.group(prefix, options);
                self
            }

            /// The learning rate of a [group](Self::group).
            ///
            /// # Panics
            /// If there is no such group.
            #[track_caller]
            pub fn group_learning_rate(&self, prefix: &str) -> f64 {
                self.engine.group_learning_rate(prefix)
            }

            /// Sets the learning rate of a [group](Self::group), which from then on follows no
            /// other.
            ///
            /// # Panics
            /// If there is no such group, or the rate is negative or NaN.
            #[track_caller]
            pub fn set_group_learning_rate(&mut self, prefix: &str, rate: f64) {
                crate::optim::not_negative(stringify!($optimizer), "the learning rate", rate);
                self.engine.set_group_learning_rate(prefix, rate);
            }
        }

        impl crate::optim::Stepping for $optimizer {
            type Rule = $options;

            fn engine(&mut self) -> &mut crate::optim::engine::Engine<$options> {
                &mut self.engine
            }
        }

        impl crate::optim::Optimizer for $optimizer {
            #[track_caller]
            fn step(&mut self, model: &mut dyn crate::Module, step: &crate::Gradients) {
                crate::optim::Stepping::engine(self).step(model, step);
            }
            fn learning_rate(&self) -> f64 {
                crate::optim::rule::Rule::learning_rate(&self.engine.rule)
            }
            #[track_caller]
            fn set_learning_rate(&mut self, rate: f64) {
                crate::optim::not_negative(stringify!($optimizer), "the learning rate", rate);
                self.engine.set_learning_rate(rate);
            }
            fn reset_state(&mut self) {
                self.engine.reset_state();
            }
        }
    };
}
use optimizer;
