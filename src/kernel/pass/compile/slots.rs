//! Where values are: registers, which are used again once nothing reads what is in them, and places of inputs and outputs.

use super::super::order::Held;
use super::super::{Access, Arg, Base, Class, Hoisted, Moves, Place, Slot};
use super::{Compiler, aligned};
use crate::kernel::dispatch::{Level, level};
use crate::kernel::elementwise::CHUNK;
use crate::kernel::stream::FAR;

impl Compiler {
    pub(super) fn place(&mut self, place: Place) -> Slot {
        self.places.push(place);
        Slot::try_from(self.places.len() - 1).expect("a group of so many values is not made")
    }

    pub(super) fn register(&mut self, bytes: usize, moves: Moves, size: usize) -> Slot {
        let base = Base::Register(self.registers);
        let room = aligned(bytes);
        self.registers += room;
        self.place(Place {
            base,
            moves,
            size,
            room,
        })
    }

    /// A register of a block.
    pub(super) fn block(&mut self, size: usize) -> Slot {
        if let Some(slot) = self.free.get_mut(&size).and_then(Vec::pop) {
            return slot;
        }
        let elements = self.block_rows * self.block_width;
        self.register(elements.next_multiple_of(CHUNK) * size, Moves::Not, size)
    }

    /// Whether a block holds all columns, so that a register does too.
    pub(super) fn whole_rows(&self) -> bool {
        self.block_width == self.recipe.width
    }

    /// Whether the value of an instruction is written past the caches, a block of it made in a register first: if there is little
    /// to read. Beside as much that is read, computing and writing would no longer overlap. Processors with the widest vectors write
    /// whole lines as fast with ordinary stores.
    pub(super) fn streams(&self, index: usize) -> bool {
        let recipe = &self.recipe;
        let (rows, width, make) = (recipe.rows, recipe.width, &recipe.code[index]);
        let written = rows * width * make.dtype().size();
        let read = recipe.inputs.iter().map(|input| input.bytes(rows, width));
        written >= FAR
            && level() != Level::Avx512
            && make.class() == Class::Full
            && recipe.outputs.contains(&index)
            && read.sum::<usize>() <= written / 8
    }

    /// Where an output is.
    pub(super) fn output_place(&mut self, output: usize, class: Class, size: usize) -> Slot {
        let moves = match class {
            Class::Row => Moves::WithRows,
            _ => Moves::WithElements,
        };
        self.place(Place {
            base: Base::Output(output),
            moves,
            size,
            room: 0,
        })
    }

    /// Where instruction `index` puts its value.
    pub(super) fn target(&mut self, index: usize) -> Slot {
        let make = &self.recipe.code[index];
        let (class, size) = (make.class(), make.dtype().size());
        if let Some(output) = self.recipe.outputs.iter().position(|&o| o == index)
            && !self.streams(index)
        {
            return self.output_place(output, class, size);
        }
        if class == Class::Row {
            return self.register(self.block_rows * size, Moves::Not, size);
        }
        let crosses = self.last.get(&Held::Value(index)).is_some_and(|&at| {
            let (stage, ..) = self.steps[at].0;
            stage > self.stage_of[index]
        });
        if crosses && !self.whole_rows() {
            return self.register(self.recipe.width * size, Moves::WithColumns, size);
        }
        self.block(size)
    }

    /// Takes back the registers that are read for the last time at `at`.
    pub(super) fn retire(&mut self, held: Held, at: usize, slot: Slot) {
        let place = self.places[slot as usize];
        let is_block = matches!(place.base, Base::Register(_)) && place.moves == Moves::Not;
        if is_block && self.last.get(&held).is_none_or(|&last| last <= at) {
            let free = self.free.entry(place.size).or_default();
            if !free.contains(&slot) {
                free.push(slot);
            }
        }
    }

    /// Where an instruction on full values reads `arg`.
    pub(super) fn operand(&mut self, arg: Arg, stage: usize, single: bool) -> Slot {
        if !single && let Some(&slot) = self.spread.get(&(arg, stage)) {
            return slot;
        }
        match arg {
            Arg::Value(value) => self.values[value].expect("made before it is read"),
            Arg::Input(input) => {
                if let Some(&slot) = self.gathered.get(&(input, stage)) {
                    return slot;
                }
                let repeated = match self.recipe.inputs[input].access {
                    Access::Single => !single,
                    Access::Column => self.block_rows > 1,
                    _ => false,
                };
                if repeated {
                    self.fill(input)
                } else {
                    self.input(input)
                }
            }
        }
    }

    /// The slot of an input that is read where it lies.
    pub(super) fn input(&mut self, input: usize) -> Slot {
        if let Some(&slot) = self.direct.get(&input) {
            return slot;
        }
        let source = &self.recipe.inputs[input];
        let size = source.dtype.size();
        let moves = match source.access {
            Access::Flat => Moves::WithElements,
            Access::Row => Moves::WithRows,
            Access::Column => Moves::WithColumns,
            Access::Single | Access::Strided(_) => Moves::Not,
        };
        let base = Base::Input(input, source.offset * size);
        let slot = self.place(Place {
            base,
            moves,
            size,
            room: 0,
        });
        self.direct.insert(input, slot);
        slot
    }

    /// The slot of a register that is filled once, before the first block.
    pub(super) fn fill(&mut self, input: usize) -> Slot {
        if let Some(&slot) = self.filled.get(&input) {
            return slot;
        }
        let size = self.recipe.inputs[input].dtype.size();
        let elements = self.block_rows * self.block_width;
        let to = self.register(elements.next_multiple_of(CHUNK) * size, Moves::Not, size);
        self.hoisted.push(Hoisted { input, to });
        self.filled.insert(input, to);
        to
    }
}
