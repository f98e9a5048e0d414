//! Random programs while they shrink.
//!
//! The strategies for vectors try to remove each element once; a program needs more: an instruction whose
//! result is read goes only if its reader takes the operand instead, and what could not go at first may
//! go when others have. So each change is tried again after any that succeeded, until none does.

use super::Multiples;
use super::programs::{Instruction, RandomProgram};
use proptest::strategy::ValueTree;

/// A program before its inputs are made: each change of it is a program too.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// The sizes that the shapes of inputs are made of.
    pub(super) sizes: [usize; 2],
    pub(super) inputs: Vec<DraftInput>,
    pub(super) steps: Vec<(Instruction, [usize; 2])>,
    pub(super) multiples: Multiples,
}

/// The elements of an input, and which of the sizes its axes have; `None` is an axis of size 1.
#[derive(Clone, Debug)]
pub(super) struct DraftInput {
    pub(super) axes: &'static [Option<usize>],
    pub(super) elements: Vec<i64>,
}

impl Draft {
    pub(super) fn program(&self) -> RandomProgram {
        let tensor = |input: &DraftInput| {
            let shape = input
                .axes
                .iter()
                .map(|axis| axis.map_or(1, |axis| self.sizes[axis]));
            self.multiples
                .tensor(shape.collect::<Vec<_>>(), &input.elements)
        };
        RandomProgram {
            inputs: self.inputs.iter().map(tensor).collect(),
            steps: self.steps.clone(),
        }
    }

    /// All programs that are one change smaller, the largest changes first.
    fn smaller(&self) -> impl Iterator<Item = Draft> + '_ {
        let ends = (1..self.steps.len()).map(|kept| self.changed(|d| d.steps.truncate(kept)));
        let without = (0..self.steps.len()).flat_map(move |step| {
            let operands = self.steps[step].0.operands;
            (0..operands).filter_map(move |operand| self.without_step(step, operand))
        });
        let inputs = (0..self.inputs.len()).filter_map(|input| self.without_input(input));
        let sizes = (0..2).flat_map(move |axis| {
            (1..self.sizes[axis]).map(move |size| self.changed(|d| d.sizes[axis] = size))
        });
        ends.chain(without)
            .chain(inputs)
            .chain(sizes)
            .chain(self.simpler_operands())
            .chain(self.simpler_elements())
    }

    fn changed(&self, change: impl FnOnce(&mut Draft)) -> Draft {
        let mut draft = self.clone();
        change(&mut draft);
        draft
    }

    /// Without an instruction, whose readers read an operand of it.
    fn without_step(&self, step: usize, operand: usize) -> Option<Draft> {
        let (gone, instead) = (self.inputs.len() + step, self.steps[step].1[operand]);
        (self.steps.len() > 1).then(|| {
            self.changed(|d| {
                d.steps.remove(step);
                d.renumber(gone, instead);
            })
        })
    }

    /// Without an input that no instruction reads.
    fn without_input(&self, input: usize) -> Option<Draft> {
        let reads =
            |(of, operands): &(Instruction, [usize; 2])| operands[..of.operands].contains(&input);
        let unread = self.inputs.len() > 1 && !self.steps.iter().any(reads);
        unread.then(|| {
            self.changed(|d| {
                d.inputs.remove(input);
                d.renumber(input, input);
            })
        })
    }

    /// Value `gone` is no more: its readers read `instead`, and later values have smaller numbers.
    fn renumber(&mut self, gone: usize, instead: usize) {
        for operand in self.steps.iter_mut().flat_map(|(_, operands)| operands) {
            *operand = match *operand {
                at if at == gone => instead,
                at if at > gone => at - 1,
                at => at,
            };
        }
    }

    /// Operands that are inputs, and operands that are the first of two, in place of others.
    fn simpler_operands(&self) -> impl Iterator<Item = Draft> + '_ {
        (0..self.steps.len()).flat_map(move |step| {
            (0..self.steps[step].0.operands).flat_map(move |at| {
                let inputs = 0..self.steps[step].1[at].min(self.inputs.len());
                inputs.map(move |input| self.changed(|d| d.steps[step].1[at] = input))
            })
        })
    }

    /// Elements that are easier to read.
    fn simpler_elements(&self) -> impl Iterator<Item = Draft> + '_ {
        (0..self.inputs.len()).flat_map(move |input| {
            let axes = self.inputs[input].axes.iter().flatten();
            let count = axes.map(|&axis| self.sizes[axis]).product();
            (0..count).flat_map(move |at| {
                let element = self.inputs[input].elements[at];
                let simpler = simpler_numbers(element, self.multiples.unit);
                simpler.map(move |x| self.changed(|d| d.inputs[input].elements[at] = x))
            })
        })
    }
}

/// The multiples of the unit that are simpler: zero, one, a half; then those of few digits.
fn simpler_numbers(element: i64, unit: f64) -> impl Iterator<Item = i64> {
    let one = (1.0 / unit) as i64;
    let known = [0, one, -one, one / 2, -(one / 2)];
    let place = known.iter().position(|&x| x == element);
    let rounded = [one / 8, one / 64].map(|step| element - element % step);
    let rounded = rounded
        .into_iter()
        .filter(move |&x| place.is_none() && x != element);
    known
        .into_iter()
        .take(place.unwrap_or(known.len()))
        .chain(rounded)
}

/// Shrinks a draft for as long as a smaller one fails.
#[derive(Debug)]
pub struct ProgramTree {
    /// The smallest that failed.
    failed: Draft,
    /// What is tried, and which change of `failed` it is.
    tried: Option<Draft>,
    change: usize,
}

impl ProgramTree {
    pub(super) fn new(draft: Draft) -> Self {
        ProgramTree {
            failed: draft,
            tried: None,
            change: 0,
        }
    }

    fn try_next(&mut self) -> bool {
        self.tried = self.failed.smaller().nth(self.change);
        self.tried.is_some()
    }
}

impl ValueTree for ProgramTree {
    type Value = RandomProgram;

    fn current(&self) -> RandomProgram {
        self.tried.as_ref().unwrap_or(&self.failed).program()
    }

    fn simplify(&mut self) -> bool {
        if let Some(smaller) = self.tried.take() {
            (self.failed, self.change) = (smaller, 0);
        }
        self.try_next()
    }

    fn complicate(&mut self) -> bool {
        self.change += 1;
        self.try_next()
    }
}
