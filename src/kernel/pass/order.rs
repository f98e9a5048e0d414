//! The order of the instructions of a pass, and what registers hold meanwhile.

use super::{Access, Arg, Class, Make, Recipe};
use smallvec::SmallVec;

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

/// Pairs of an output and an input that is read, for the last time, no later than the output is written.
pub(super) fn overwrites(recipe: &Recipe, steps: &[(Position, Step)]) -> Vec<(usize, usize)> {
    let mut made = vec![0; recipe.code.len()];
    let mut read: SmallVec<[usize; 8]> = SmallVec::from_elem(0, recipe.inputs.len());
    for (at, (_, step)) in steps.iter().enumerate() {
        if let Step::Make(index) = *step {
            made[index] = at;
            for &arg in recipe.code[index].args() {
                if let Arg::Input(input) = arg {
                    read[input] = at;
                }
            }
        }
    }
    let mut pairs = Vec::new();
    for (output, &index) in recipe.outputs.iter().enumerate() {
        let Make::Map { kernel, class, .. } = &recipe.code[index] else {
            continue;
        };
        for (input, source) in recipe.inputs.iter().enumerate() {
            // Element by element: whoever writes one has read it.
            let alike = match class {
                Class::Full => source.access == Access::Flat,
                Class::Row => {
                    source.access == Access::Row
                        || (recipe.rows == 1 && source.access == Access::Single)
                }
                Class::Column | Class::Single => false,
            };
            if alike
                && source.offset == 0
                && source.dtype == kernel.output()
                && read[input] <= made[index]
            {
                pairs.push((output, input));
            }
        }
    }
    pairs
}
