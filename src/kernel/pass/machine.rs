//! Runs a compiled pass.

use super::ahead::Ahead;
use super::{Access, BLOCK, Base, Instruction, Line, Moves, Pass, Place, Slot, Span, Stage};
use crate::element::{Element, with_dtype};
use crate::kernel::gather::Cursor;
use crate::kernel::reduce::GROUP;
use crate::kernel::stream::{settle, stream};
use crate::kernel::threads;
use smallvec::SmallVec;
use std::cell::Cell;

thread_local! {
    /// The registers of a thread.
    static REGISTERS: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Elements that a task works on, about: enough that handing it to a thread does not matter.
const TASK: usize = 8 * 1024;

/// A pointer that may be sent to the threads of a run.
#[derive(Clone, Copy)]
struct Shared(*mut u8);
// SAFETY: the tasks of a run write disjoint elements, and read what none of them writes (or what the same task overwrites).
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// The memory of a run.
struct Memory<'m> {
    inputs: &'m [Span],
    outputs: &'m [Span],
    work: Shared,
}
// SAFETY: as above, of the elements that the spans point to.
unsafe impl Sync for Memory<'_> {}

/// Where the machine is: a part of the space.
#[derive(Clone, Copy)]
struct Part {
    row: usize,
    rows: usize,
    column: usize,
    columns: usize,
}

/// Runs a pass.
///
/// # Safety
/// That of [`Pass::run`].
pub(super) unsafe fn run(pass: &Pass, inputs: &[Span], outputs: &[Span], work: *mut u8) {
    let memory = Memory {
        inputs,
        outputs,
        work: Shared(work),
    };
    if pass.rows * pass.width == 0 {
        return;
    }
    let elements = pass.rows * pass.width;
    // Loading, computing and storing an element takes about so long.
    let nanoseconds = elements / 8 * pass.instructions;
    let whole = Part {
        row: 0,
        rows: pass.rows,
        column: 0,
        columns: pass.width,
    };
    if !threads::worthwhile(nanoseconds) || (pass.rows == 1 && !pass.splits_row) {
        run_part(pass, &memory, whole);
    } else if pass.splits_row {
        let columns = TASK
            .next_multiple_of(BLOCK)
            .next_multiple_of(pass.block_width);
        threads::each(pass.width.div_ceil(columns), nanoseconds, |task| {
            let column = task * columns;
            let part = Part {
                column,
                columns: columns.min(pass.width - column),
                ..whole
            };
            run_part(pass, &memory, part);
        });
    } else {
        let unit = if pass.accumulations.is_empty() && pass.totals.is_empty() {
            pass.block_rows
        } else {
            GROUP
        };
        let rows = (TASK / pass.width).max(1).next_multiple_of(unit);
        threads::each(pass.rows.div_ceil(rows), nanoseconds, |task| {
            let row = task * rows;
            let part = Part {
                row,
                rows: rows.min(pass.rows - row),
                ..whole
            };
            run_part(pass, &memory, part);
        });
    }
    if pass.splits_row {
        finish_row(pass, &memory);
    }
    for total in &pass.totals {
        // SAFETY: every block has left its result in the working memory, and the output is one element.
        unsafe {
            let partial = memory.work.0.add(total.partial);
            (total.reducer.tree)(
                partial,
                elements.div_ceil(BLOCK),
                memory.outputs[total.output].first,
            );
        }
    }
    for accumulation in &pass.accumulations {
        if let Some(partial) = accumulation.partial {
            let groups = pass.rows.div_ceil(GROUP);
            // SAFETY: every group has left a row of results in the working memory, which has room for them, and the output
            // has as many elements as a row.
            unsafe {
                let partial = memory.work.0.add(partial);
                (accumulation.reducer.groups)(
                    partial,
                    groups,
                    pass.width,
                    memory.outputs[accumulation.output].first,
                );
            }
        }
    }
}

/// Runs `f` with the registers of this thread. They are taken away meanwhile: an operation from outside may run a pass itself.
fn with_registers<R>(bytes: usize, f: impl FnOnce(*mut u8) -> R) -> R {
    let mut registers = REGISTERS.take();
    let lines = bytes.div_ceil(size_of::<Line>());
    if registers.len() < lines {
        registers.resize(lines, Line::default());
    }
    let result = f(registers.as_mut_ptr().cast());
    REGISTERS.set(registers);
    result
}

/// All stages over a part of the space: whole rows, or a part of a single row.
fn run_part(pass: &Pass, memory: &Memory<'_>, part: Part) {
    with_registers(pass.registers, |registers| {
        let mut machine = Machine::new(pass, memory, registers, part);
        machine.hoist();
        let end = part.row + part.rows;
        let mut row = part.row;
        while row < end {
            let rows = pass.block_rows.min(end - row);
            if pass.asks_ahead {
                // Beyond the part, too: most often the same thread goes on there.
                let next = row + rows;
                machine.look_ahead(next, pass.block_rows.min(pass.rows - next));
            }
            for stage in &pass.stages {
                machine.stage(stage, row, rows, part);
                if !pass.splits_row {
                    machine.end(stage, rows);
                } else {
                    break;
                }
            }
            row += rows;
        }
    });
    if pass.streams {
        settle();
    }
}

/// Once all parts of a single row are done: its reductions, and what follows from them.
fn finish_row(pass: &Pass, memory: &Memory<'_>) {
    let part = Part {
        row: 0,
        rows: 1,
        column: 0,
        columns: pass.width,
    };
    with_registers(pass.registers, |registers| {
        let mut machine = Machine::new(pass, memory, registers, part);
        machine.hoist();
        for stage in &pass.stages {
            machine.move_to(0, 0);
            for instruction in &stage.rows {
                machine.step(instruction, 1, 1, 0);
            }
            machine.end(stage, 1);
        }
    });
}

struct Machine<'a> {
    pass: &'a Pass,
    memory: &'a Memory<'a>,
    registers: *mut u8,
    /// Where each slot is.
    now: SmallVec<[*mut u8; 32]>,
    /// The slots that move, and where they start.
    moving: SmallVec<[(Place, Slot, *mut u8); 16]>,
    /// The row and column that they were moved to.
    at: (usize, usize),
    cursors: SmallVec<[Cursor; 1]>,
    ahead: Ahead,
}

impl<'a> Machine<'a> {
    fn new(pass: &'a Pass, memory: &'a Memory<'a>, registers: *mut u8, part: Part) -> Self {
        // SAFETY: compiled offsets lie within the registers, whose size was computed with them, or within the input, whose
        // length was checked.
        let start = |place: &Place| unsafe {
            match place.base {
                Base::Register(offset) => registers.add(offset),
                Base::Input(input, offset) => memory.inputs[input].first.add(offset),
                Base::Output(output) => memory.outputs[output].first,
            }
        };
        let mut now: SmallVec<[*mut u8; 32]> = SmallVec::new();
        for place in &pass.places {
            now.push(start(place));
        }
        let mut moving: SmallVec<[(Place, Slot, *mut u8); 16]> = SmallVec::new();
        // In a space of one block nothing moves.
        if pass.rows > pass.block_rows || pass.width > pass.block_width {
            for (slot, (&place, &start)) in pass.places.iter().zip(&now).enumerate() {
                if place.moves != Moves::Not {
                    moving.push((place, slot as Slot, start));
                }
            }
        }
        let start = part.row * pass.width + part.column;
        let cursor = |&input: &usize| match &pass.inputs[input].access {
            Access::Strided(layout) => Cursor::at(layout, start),
            access => unreachable!("{access:?} is not gathered"),
        };
        let mut cursors = SmallVec::new();
        for input in &pass.cursors {
            cursors.push(cursor(input));
        }
        Machine {
            pass,
            memory,
            registers,
            now,
            moving,
            at: (0, 0),
            cursors,
            ahead: Ahead::default(),
        }
    }

    /// Fills the registers that are the same for all blocks.
    fn hoist(&mut self) {
        let pass = self.pass;
        for hoisted in &pass.hoisted {
            let len = pass.block_rows * pass.block_width;
            let source = &pass.inputs[hoisted.input];
            let to = self.now[hoisted.to as usize];
            let period = match source.access {
                Access::Column => pass.width,
                _ => 1,
            };
            let size = source.dtype.size();
            // SAFETY: the register has room for a block; the input has `period` elements from its offset on.
            unsafe {
                let from = self.memory.inputs[hoisted.input]
                    .first
                    .add(source.offset * size);
                match size {
                    1 => fill::<u8>(from, period, to, len),
                    4 => fill::<u32>(from, period, to, len),
                    _ => fill::<u64>(from, period, to, len),
                }
            }
        }
    }

    /// Moves the slots to a place of the space.
    #[inline]
    fn move_to(&mut self, row: usize, column: usize) {
        if self.at == (row, column) {
            return;
        }
        self.at = (row, column);
        let element = row * self.pass.width + column;
        for &(Place { moves, size, .. }, slot, start) in &self.moving {
            let by = match moves {
                Moves::WithElements => element,
                Moves::WithRows => row,
                Moves::WithColumns => column,
                Moves::Not => 0,
            };
            // SAFETY: `element`, `row` and `column` lie within the space, and inputs, outputs and registers have an element for
            // each of those they move with.
            self.now[slot as usize] = unsafe { start.add(by * size) };
        }
    }

    /// Wants some rows of inputs and outputs, to be asked for until it is called again.
    fn look_ahead(&mut self, row: usize, rows: usize) {
        self.ahead.clear();
        let (first, elements) = (row * self.pass.width, rows * self.pass.width);
        for &(
            Place {
                base, moves, size, ..
            },
            _,
            start,
        ) in &self.moving
        {
            let outside = !matches!(base, Base::Register(_));
            if outside && moves == Moves::WithElements && elements > 0 {
                let written = matches!(base, Base::Output(_));
                let first = start.wrapping_add(first * size);
                let instructions = self.pass.instructions;
                self.ahead
                    .want(first, elements * size, written, instructions);
            }
        }
    }

    /// One stage for some rows: all columns of them, or those of the part.
    fn stage(&mut self, stage: &Stage, row: usize, rows: usize, part: Part) {
        self.move_to(row, part.column);
        for instruction in &stage.rows {
            self.step(instruction, rows, 1, part.column);
        }
        if stage.full.is_empty() {
            return;
        }
        let end = part.column + part.columns;
        let mut column = part.column;
        while column < end {
            let columns = self.pass.block_width.min(end - column);
            if column > part.column {
                self.move_to(row, column);
            }
            for instruction in &stage.full {
                self.step_at(instruction, row, rows, columns, column);
                self.ahead.ask();
            }
            column += columns;
        }
    }

    /// Ends the reductions of a stage.
    fn end(&mut self, stage: &Stage, rows: usize) {
        if self.pass.block_width == self.pass.width {
            return;
        }
        debug_assert_eq!(rows, 1);
        let blocks = self.pass.width.div_ceil(BLOCK);
        for &reduction in &stage.ends {
            let reduced = &self.pass.reductions[reduction];
            // SAFETY: each block has left its result, and the target is one element.
            unsafe {
                let partial = self.partial(reduced.partial);
                (reduced.reducer.tree)(partial, blocks, self.now[reduced.to as usize]);
            }
        }
    }

    /// Where the results of the blocks of a row wait.
    fn partial(&self, offset: usize) -> *mut u8 {
        let memory = if self.pass.rows == 1 {
            self.memory.work.0
        } else {
            self.registers
        };
        // SAFETY: the offset was computed with the size of the memory.
        unsafe { memory.add(offset) }
    }

    #[inline]
    fn step(&mut self, instruction: &Instruction, rows: usize, columns: usize, column: usize) {
        self.step_at(instruction, 0, rows, columns, column);
    }

    #[inline(always)]
    fn step_at(
        &mut self,
        instruction: &Instruction,
        row: usize,
        rows: usize,
        columns: usize,
        column: usize,
    ) {
        let n = rows * columns;
        match instruction {
            Instruction::Map { call, args, to, .. } => {
                let operands = args.map(|slot| self.now[slot as usize].cast_const());
                // SAFETY: types were checked when the recipe was compiled; each slot has `n` elements from where it is,
                // or one; a slot that is written is another than those read, or the very same elements.
                unsafe { call(operands, self.now[*to as usize], n) };
            }
            Instruction::Stream { size, from, to } => {
                let (from, to) = (self.now[*from as usize], self.now[*to as usize]);
                // SAFETY: `from` is a register of a block, `to` has as many elements; what is streamed is settled at the end
                // of the part.
                unsafe { stream(from, to, n * size) };
            }
            Instruction::Spread { size, from, to } => {
                let (from, to) = (self.now[*from as usize], self.now[*to as usize]);
                // SAFETY: `from` has an element for each row, `to` is a register of a block.
                unsafe { spread(*size, from, to, rows, columns) };
            }
            Instruction::Gather { cursor, to } => {
                let input = self.pass.cursors[*cursor];
                let to = self.now[*to as usize];
                let source = self.memory.inputs[input];
                with_dtype!(self.pass.inputs[input].dtype, T => {
                    // SAFETY: `to` is a register of a block, and the source has so many elements, which nothing overwrites.
                    unsafe { gather::<T>(&mut self.cursors[*cursor], source, to, n) }
                });
            }
            Instruction::Reduce { reduction, from } => {
                let reduced = &self.pass.reductions[*reduction];
                let from = self.now[*from as usize];
                // SAFETY: `from` has the elements of the block; the target has an element for each row, and the results of
                // blocks have room for each block of the row.
                unsafe {
                    if self.pass.block_width == self.pass.width {
                        (reduced.reducer.runs)(from, rows, columns, self.now[reduced.to as usize]);
                    } else {
                        let to = self.partial(reduced.partial);
                        (reduced.reducer.blocks)(from, columns, to, column / BLOCK);
                    }
                }
            }
            Instruction::Total { total, from } => {
                let total = &self.pass.totals[*total];
                let from = self.now[*from as usize];
                let block = (row * self.pass.width + column) / BLOCK;
                // SAFETY: `from` has the elements of the block, and results have room for each block.
                unsafe {
                    let partial = self.memory.work.0.add(total.partial);
                    (total.reducer.blocks)(from, n, partial, block);
                }
            }
            Instruction::Accumulate { accumulation, from } => {
                let accumulated = &self.pass.accumulations[*accumulation];
                let size = accumulated.reducer.size;
                let from = self.now[*from as usize];
                let group = row / GROUP;
                // SAFETY: `from` has the elements of the block; results have a row for each group, and no other task works
                // on the rows of this group.
                unsafe {
                    let to = match accumulated.partial {
                        Some(partial) => self
                            .memory
                            .work
                            .0
                            .add(partial + (group * self.pass.width + column) * size),
                        None => self.memory.outputs[accumulated.output]
                            .first
                            .add(column * size),
                    };
                    (accumulated.reducer.accumulate)(
                        from,
                        rows,
                        columns,
                        to,
                        !row.is_multiple_of(GROUP),
                    );
                }
            }
        }
    }
}

/// Fills `len` elements with the first `period` of another place, over and over.
///
/// # Safety
/// `from` must have `period` elements, `to` room for `len`.
pub(super) unsafe fn fill<T: Copy>(from: *const u8, period: usize, to: *mut u8, len: usize) {
    // SAFETY: by the contract of this function.
    let (from, to) = unsafe {
        (
            std::slice::from_raw_parts(from.cast::<T>(), period),
            std::slice::from_raw_parts_mut(to.cast::<T>(), len),
        )
    };
    match from {
        [number] => to.fill(*number),
        _ => to
            .chunks_mut(period)
            .for_each(|to| to.copy_from_slice(&from[..to.len()])),
    }
}

/// Repeats each of `rows` elements of `size` bytes `columns` times.
///
/// # Safety
/// `from` must have `rows` elements, `to` room for `rows * columns`.
pub(super) unsafe fn spread(
    size: usize,
    from: *const u8,
    to: *mut u8,
    rows: usize,
    columns: usize,
) {
    unsafe fn each<T: Copy>(from: *const u8, to: *mut u8, rows: usize, columns: usize) {
        // SAFETY: by the contract of `spread`.
        let (from, to) = unsafe {
            (
                std::slice::from_raw_parts(from.cast::<T>(), rows),
                std::slice::from_raw_parts_mut(to.cast::<T>(), rows * columns),
            )
        };
        for (&x, to) in from.iter().zip(to.chunks_exact_mut(columns)) {
            to.fill(x);
        }
    }
    // SAFETY: by this function's contract.
    unsafe {
        match size {
            1 => each::<u8>(from, to, rows, columns),
            4 => each::<u32>(from, to, rows, columns),
            _ => each::<u64>(from, to, rows, columns),
        }
    }
}

/// The next `n` elements of a strided source.
///
/// # Safety
/// The source must be of this type and have as many elements as it says, `to` must have room for `n`, initialized.
unsafe fn gather<T: Element>(cursor: &mut Cursor, source: Span, to: *mut u8, n: usize) {
    // SAFETY: by this function's contract.
    let (source, to) = unsafe {
        (
            std::slice::from_raw_parts(source.first.cast::<T>(), source.len),
            std::slice::from_raw_parts_mut(to.cast::<T>(), n),
        )
    };
    cursor.read(source, to);
}
