//! The order of the instructions of a pass, and what registers hold meanwhile.

use super::Arg;

/// The order in which instructions run: by stage, and in a stage those of row values first.
pub(super) type Position = (usize, bool, usize);

/// An instruction, as it will run.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// The instruction of the recipe with this number.
    Make(usize),
    Spread(Arg),
    Gather(usize),
}

/// What a register holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Held {
    Value(usize),
    Spread(Arg, usize),
    Gathered(usize, usize),
}
