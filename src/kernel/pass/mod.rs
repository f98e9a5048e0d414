//! Fused passes: a small program of elementwise functions and reductions over one iteration space, run block by block so that
//! what it computes on the way stays in the first-level cache.
//!
//! The space has `rows` times `width` elements in row-major order. A value is *full* (an element for each of the space), or a
//! *row* value (one for each row), or a *column* value (one for each place in a row). [`Recipe`] says what is computed;
//! [`Pass`] is the recipe compiled for a machine of registers; running it cuts the space into fixed parts for threads.

mod ahead;
mod compile;
mod link;
mod machine;
mod order;
mod pair;
mod recipe;
mod reducer;

use super::elementwise::{Call, Kernel, OPERANDS};
use crate::element::Dtype;
pub(super) use link::Link;
pub(crate) use recipe::{Access, Arg, Class, Make, Recipe, Source};
use reducer::Reducer;

/// Elements of a block of one row. Sums take their blocks from it: [`super::reduce`] combines as many lane by lane.
pub(crate) const BLOCK: usize = super::reduce::BLOCK;

/// The widest row whose values may be needed again after a reduction of the row: they wait in the second-level cache.
pub(crate) const LONGEST_ROW: usize = 1 << 16;

/// Whether the blocks of rows of this width are those of the elements without rows, so that sums over all elements come out the
/// same.
pub(crate) fn sums_together(width: usize) -> bool {
    width.is_multiple_of(BLOCK)
        || (width >= BLOCK / super::reduce::GROUP && BLOCK.is_multiple_of(width))
}

/// Where the elements of a value are: the first, and how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub first: *mut u8,
    pub len: usize,
}

/// A cache line of working memory.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Line([u64; 8]);

/// A place of the machine: a register, or where an input or output is at the moment.
type Slot = u16;

/// An instruction of the machine.
#[derive(Clone, Debug)]
enum Instruction {
    Map {
        kernel: Kernel,
        call: Call,
        args: [Slot; OPERANDS],
        single: [bool; OPERANDS],
        to: Slot,
    },
    /// Writes a block of an output that is too large for the caches.
    Stream { size: usize, from: Slot, to: Slot },
    /// One element for each row, repeated for each place of it.
    Spread { size: usize, from: Slot, to: Slot },
    /// The next elements of a strided input.
    Gather { cursor: usize, to: Slot },
    /// Combines each row; the result is there when the stage is over.
    Reduce { reduction: usize, from: Slot },
    /// Adds rows to those of the other blocks.
    Accumulate { accumulation: usize, from: Slot },
    /// Combines a block, for the sum over all of them.
    Total { total: usize, from: Slot },
}

/// What is known before a stage begins, and what it does for each block of each row.
#[derive(Clone, Debug, Default)]
struct Stage {
    /// On one element for each row.
    rows: Vec<Instruction>,
    full: Vec<Instruction>,
    /// The reductions that end with the stage.
    ends: Vec<usize>,
}

/// Where the memory of a slot is.
#[derive(Clone, Copy, Debug)]
enum Base {
    /// Bytes from the start of the registers.
    Register(usize),
    /// Bytes from the start of an input.
    Input(usize, usize),
    Output(usize),
}

/// How a slot moves from block to block.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moves {
    Not,
    WithElements,
    WithRows,
    /// Back at the start with each row.
    WithColumns,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    base: Base,
    moves: Moves,
    size: usize,
    /// Bytes of a register.
    room: usize,
}

/// A combination of each row into `to`.
#[derive(Clone, Copy, Debug)]
struct Reduced {
    reducer: &'static Reducer,
    to: Slot,
    /// Bytes from the start of the registers at which the results of the blocks wait; with one task for each part of a
    /// single row, bytes from the start of the working memory.
    partial: usize,
}

/// A combination across rows into an output.
#[derive(Clone, Copy, Debug)]
struct Accumulated {
    reducer: &'static Reducer,
    output: usize,
    /// Bytes from the start of the working memory at which the results of the groups of rows wait; `None` if there is but one.
    partial: Option<usize>,
}

/// A combination of everything into an output.
#[derive(Clone, Copy, Debug)]
struct Total {
    reducer: &'static Reducer,
    output: usize,
    /// Bytes from the start of the working memory at which the results of the blocks wait.
    partial: usize,
}

/// Registers that are the same for all blocks.
#[derive(Clone, Copy, Debug)]
struct Hoisted {
    input: usize,
    to: Slot,
}

/// A compiled pass.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    rows: usize,
    width: usize,
    /// Rows and columns of a block: several whole rows, or a part of one.
    block_rows: usize,
    block_width: usize,
    inputs: Vec<Source>,
    /// For each output: its type and number of elements.
    outputs: Vec<(Dtype, usize)>,
    places: Vec<Place>,
    stages: Vec<Stage>,
    hoisted: Vec<Hoisted>,
    /// The strided inputs that [`Instruction::Gather`] reads.
    cursors: Vec<usize>,
    reductions: Vec<Reduced>,
    accumulations: Vec<Accumulated>,
    totals: Vec<Total>,
    /// How many instructions there are for each block.
    instructions: usize,
    /// Bytes of the registers of a thread.
    registers: usize,
    /// Bytes of the working memory of a run.
    work: usize,
    /// Pairs of an output and an input that it may overwrite.
    overwrites: Vec<(usize, usize)>,
    /// Whether parts of a single row can be tasks of their own.
    splits_row: bool,
    /// Whether there are outputs that are written past the caches.
    streams: bool,
    /// Whether it asks for the next block while it sweeps one.
    asks_ahead: bool,
}

impl Pass {
    /// The number of inputs and of outputs.
    pub fn arity(&self) -> (usize, usize) {
        (self.inputs.len(), self.outputs.len())
    }

    /// Type of an input, and how many elements it must have at least. One that is gathered has as many as its layout wants:
    /// that is checked when it is read.
    pub fn needs(&self, input: usize) -> (Dtype, usize) {
        let source = &self.inputs[input];
        let elements = match source.access {
            Access::Flat => self.rows * self.width,
            Access::Row => self.rows,
            Access::Column => self.width,
            Access::Single => 1,
            Access::Strided(_) => 0,
        };
        (source.dtype, source.offset + elements)
    }

    /// Type of an output, and how many elements it has.
    pub fn makes(&self, output: usize) -> (Dtype, usize) {
        self.outputs[output]
    }

    /// Bytes of working memory that a run must be given.
    pub fn work(&self) -> usize {
        self.work
    }

    /// Pairs of an output and an input of the same size that may be one and the same memory.
    pub fn overwrites(&self) -> &[(usize, usize)] {
        &self.overwrites
    }

    /// The bytes that it reads of an input.
    pub fn read_bytes(&self, input: usize) -> usize {
        self.inputs[input].bytes(self.rows, self.width)
    }

    /// The number of instructions for each block.
    pub fn instructions(&self) -> usize {
        self.instructions
    }

    /// The number of sweeps over a row.
    pub fn sweeps(&self) -> usize {
        self.stages.iter().filter(|s| !s.full.is_empty()).count()
    }

    /// Rows and width of the space.
    pub fn space(&self) -> (usize, usize) {
        (self.rows, self.width)
    }

    /// Runs the pass.
    ///
    /// # Safety
    /// Inputs must be of the types that [`needs`](Pass::needs) names and have at least so many elements, outputs be what
    /// [`makes`](Pass::makes) says, and `work` have [`work`](Pass::work) bytes. What is written must meet nothing else, but for
    /// pairs of [`overwrites`](Pass::overwrites), which may be one and the same.
    pub(super) unsafe fn run(&self, inputs: &[Span], outputs: &[Span], work: *mut Line) {
        // SAFETY: by this function's contract.
        unsafe { machine::run(self, inputs, outputs, work.cast()) };
    }
}
