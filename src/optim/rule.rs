//! What an optimizer is made of: options, and the update that is recorded for them.

use crate::element::Float;
use crate::program::Overwriting;
use crate::tape::Var;
use smallvec::SmallVec;
use std::fmt;

/// The numbers that an update is given at each step: rates, corrections, factors.
pub type Numbers = SmallVec<[f64; 8]>;

/// What an update computes.
#[derive(Debug)]
pub struct Updated<T: Float> {
    pub parameter: Var<T>,
    /// The running values, in the order in which they were given.
    pub state: Overwriting<T>,
}

/// The options that decide which operations an update is made of. All others reach it as numbers,
/// so that what was recorded for a form serves whatever they are.
pub trait Form: Copy + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// Records the update of a parameter: elementwise, so that with all of its operations it is one
    /// pass, and such that each running value, and then the parameter, is read no more once its
    /// successor is there. `state` are as many as [`Rule::buffers`] says, of the shape of the
    /// parameter; `numbers` are those of [`Rule::numbers`], without axes.
    fn update<T: Float>(
        self,
        parameter: Var<T>,
        gradient: Var<T>,
        state: &[Var<T>],
        numbers: &[Var<T>],
    ) -> Updated<T>;
}

/// An update rule: the options of an optimizer, and what they do to a parameter.
pub trait Rule: Clone + fmt::Debug {
    /// The name of the optimizer in messages.
    const NAME: &'static str;
    type Form: Form;

    /// Why no step can be made with these options.
    fn fault(&self) -> Option<&'static str>;
    fn learning_rate(&self) -> f64;
    fn set_learning_rate(&mut self, rate: f64);
    /// What is recorded with these options.
    fn form(&self) -> Self::Form;
    /// How many running values it keeps for each element; they start as zeros.
    fn buffers(&self) -> usize;
    /// The numbers for step `time`, counted from 1.
    fn numbers(&self, time: u64) -> Numbers;
}
