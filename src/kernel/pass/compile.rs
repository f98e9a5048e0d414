//! From a recipe to instructions of the machine: stages, registers, and where inputs may be overwritten.

mod slots;

use super::order::{Held, Position, Step, overwrites};
use super::reducer::reducer;
use super::sums_together;
use super::{
    Access, Accumulated, Arg, BLOCK, Class, Hoisted, Instruction, Make, Pass, Place, Recipe,
    Reduced, Slot, Stage, Total,
};
use crate::kernel::elementwise::CHUNK;
use crate::kernel::reduce::GROUP;
use std::collections::HashMap;

/// Bytes of a second-level cache that registers should not exceed. In blocks so short that all registers fit into the first level,
/// instructions take longer to begin than registers take to come from the second.
const NEAR: usize = 128 * 1024;
/// The shortest block of one row.
const SHORTEST: usize = 64;
const ALIGNMENT: usize = 64;

impl Recipe {
    /// Compiles the recipe.
    pub fn compile(self) -> Pass {
        let recipe = self.without_repetitions().in_pairs();
        let stages = recipe.stages();
        let mut compiler = Compiler::new(recipe, stages);
        compiler.order();
        compiler.lay_out();
        compiler.emit();
        compiler.finish()
    }
}

struct Compiler {
    recipe: Recipe,
    /// The stage of each instruction of the recipe.
    stage_of: Vec<usize>,
    steps: Vec<(Position, Step)>,
    block_rows: usize,
    block_width: usize,
    /// Where values are: those of the recipe, spread row values and gathered inputs by stage, filled registers.
    values: Vec<Option<Slot>>,
    spread: HashMap<(Arg, usize), Slot>,
    gathered: HashMap<(usize, usize), Slot>,
    direct: HashMap<usize, Slot>,
    filled: HashMap<usize, Slot>,
    /// The position at which a register is read last, by what is in it.
    last: HashMap<Held, usize>,
    places: Vec<Place>,
    stages: Vec<Stage>,
    hoisted: Vec<Hoisted>,
    cursors: Vec<usize>,
    reductions: Vec<Reduced>,
    accumulations: Vec<Accumulated>,
    totals: Vec<Total>,
    /// Slots of registers that hold nothing any more, by size of element.
    free: HashMap<usize, Vec<Slot>>,
    registers: usize,
    work: usize,
}

fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

impl Compiler {
    fn new(recipe: Recipe, stage_of: Vec<usize>) -> Self {
        let count = stage_of.iter().max().map_or(1, |last| last + 1);
        // The last combined rows are ready one stage later, though nothing may read them.
        let ends = recipe
            .code
            .iter()
            .zip(&stage_of)
            .filter_map(|(make, &stage)| {
                matches!(
                    make,
                    Make::Reduce {
                        class: Class::Row,
                        ..
                    }
                )
                .then_some(stage + 2)
            });
        let count = ends.max().unwrap_or(0).max(count);
        let values = vec![None; recipe.code.len()];
        Compiler {
            recipe,
            stage_of,
            steps: Vec::new(),
            block_rows: 1,
            block_width: 1,
            values,
            spread: HashMap::new(),
            gathered: HashMap::new(),
            direct: HashMap::new(),
            filled: HashMap::new(),
            last: HashMap::new(),
            places: Vec::new(),
            stages: vec![Stage::default(); count],
            hoisted: Vec::new(),
            cursors: Vec::new(),
            reductions: Vec::new(),
            accumulations: Vec::new(),
            totals: Vec::new(),
            free: HashMap::new(),
            registers: 0,
            work: 0,
        }
    }

    /// Whether an instruction works on one element for each row.
    fn on_rows(&self, make: &Make) -> bool {
        matches!(
            make,
            Make::Map {
                class: Class::Row,
                ..
            }
        )
    }

    /// Whether operand `k` can be one element beside a row of them.
    fn stays_single(&self, make: &Make, k: usize, on_rows: bool) -> bool {
        let Make::Map { kernel, args, .. } = make else {
            return false;
        };
        let narrow = |arg: Arg| {
            self.recipe.is_single(arg)
                || (!on_rows && self.block_rows == 1 && self.recipe.class(arg) == Class::Row)
        };
        kernel.singles(std::array::from_fn(|k| {
            args.get(k).is_some_and(|&arg| narrow(arg))
        }))[k]
    }

    /// Puts instructions, and those that bring their operands into form, in the order in which they run.
    fn order(&mut self) {
        let recipe = &self.recipe;
        let (rows, width) = (recipe.rows, recipe.width);
        if width <= BLOCK && rows > 1 {
            // A power of two: blocks do not straddle groups of rows.
            let fit = (BLOCK / width.max(1)).clamp(1, rows.next_power_of_two());
            self.block_rows = 1 << fit.ilog2();
            let accumulates = |make: &Make| {
                matches!(
                    make,
                    Make::Reduce {
                        class: Class::Column,
                        ..
                    }
                )
            };
            if recipe.code.iter().any(accumulates) {
                self.block_rows = self.block_rows.min(GROUP);
            }
            self.block_width = width;
        } else {
            // Two blocks of sums at a time: the more elements, the less an instruction costs each.
            self.block_width = width.min(2 * BLOCK);
        }
        let mut steps: Vec<(Position, Step)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (index, make) in recipe.code.iter().enumerate() {
            let stage = self.stage_of[index];
            let on_rows = self.on_rows(make);
            for (k, &arg) in make.args().iter().enumerate() {
                if on_rows || self.stays_single(make, k, on_rows) {
                    continue;
                }
                let step = match arg {
                    Arg::Input(input)
                        if matches!(recipe.inputs[input].access, Access::Strided(_)) =>
                    {
                        Step::Gather(input)
                    }
                    _ if recipe.class(arg) == Class::Row => Step::Spread(arg),
                    _ => continue,
                };
                if seen.insert((arg, stage)) {
                    steps.push(((stage, true, index), step));
                }
            }
            steps.push(((stage, !on_rows, index), Step::Make(index)));
        }
        steps.sort_by_key(|&(position, _)| position);
        self.steps = steps;
        self.last_reads();
    }

    fn last_reads(&mut self) {
        let mut last = HashMap::new();
        for (at, (_, step)) in self.steps.iter().enumerate() {
            match *step {
                Step::Make(index) => {
                    let stage = self.stage_of[index];
                    for &arg in self.recipe.code[index].args() {
                        if let Arg::Value(value) = arg {
                            last.insert(Held::Value(value), at);
                        }
                        last.insert(Held::Spread(arg, stage), at);
                        if let Arg::Input(input) = arg {
                            last.insert(Held::Gathered(input, stage), at);
                        }
                    }
                }
                Step::Spread(Arg::Value(value)) => {
                    last.insert(Held::Value(value), at);
                }
                Step::Spread(_) | Step::Gather(_) => {}
            }
        }
        self.last = last;
    }

    /// Makes blocks shorter if many values live at once; sums must have whole blocks.
    fn lay_out(&mut self) {
        let reduces = |make: &Make| matches!(make, Make::Reduce { .. });
        if self.block_rows > 1 || self.recipe.code.iter().any(reduces) {
            return;
        }
        let (mut live, mut most) = (0usize, 0usize);
        let mut ends: HashMap<usize, usize> = HashMap::new();
        for (at, (_, step)) in self.steps.iter().enumerate() {
            if let Step::Make(index) = *step {
                let size = self.recipe.code[index].dtype().size();
                live += size;
                most = most.max(live);
                let end = self.last.get(&Held::Value(index)).map_or(at, |&end| end);
                *ends.entry(end).or_default() += size;
            }
            live -= ends.remove(&at).unwrap_or(0);
        }
        let fit = NEAR / most.max(1) / CHUNK * CHUNK;
        self.block_width = self.block_width.min(fit.max(SHORTEST));
    }

    fn emit(&mut self) {
        for at in 0..self.steps.len() {
            let ((stage, full, _), step) = self.steps[at];
            let instruction = match step {
                Step::Spread(arg) => {
                    let from = match arg {
                        Arg::Value(value) => self.values[value].expect("made before it is read"),
                        Arg::Input(input) => self.input(input),
                    };
                    let size = self.recipe.dtype(arg).size();
                    let to = self.block(size);
                    self.spread.insert((arg, stage), to);
                    Instruction::Spread { size, from, to }
                }
                Step::Gather(input) => {
                    let to = self.block(self.recipe.inputs[input].dtype.size());
                    self.gathered.insert((input, stage), to);
                    self.cursors.push(input);
                    Instruction::Gather {
                        cursor: self.cursors.len() - 1,
                        to,
                    }
                }
                Step::Make(index) => self.make(index, stage, !full, at),
            };
            let written = match step {
                Step::Make(index) if self.streams(index) => Some(self.stream(index)),
                _ => None,
            };
            let stage = &mut self.stages[stage];
            let instructions = if full {
                &mut stage.full
            } else {
                &mut stage.rows
            };
            instructions.push(instruction);
            instructions.extend(written);
        }
    }

    /// Writes the value of an instruction, which is in a register, to the output that it is.
    fn stream(&mut self, index: usize) -> Instruction {
        let output = self.output(index);
        let size = self.recipe.code[index].dtype().size();
        Instruction::Stream {
            size,
            from: self.values[index].expect("a value that was made"),
            to: self.output_place(output, Class::Full, size),
        }
    }

    fn make(&mut self, index: usize, stage: usize, on_rows: bool, at: usize) -> Instruction {
        let make = self.recipe.code[index].clone();
        let mut slots = [0; 3];
        let mut single = [false; 3];
        for (k, &arg) in make.args().iter().enumerate() {
            single[k] = self.stays_single(&make, k, on_rows);
            slots[k] = self.operand(arg, stage, single[k]);
        }
        // An operand that is read for the last time may be overwritten by the result.
        for (k, &arg) in make.args().iter().enumerate() {
            if let Arg::Value(value) = arg
                && self.values[value] == Some(slots[k])
                && self.recipe.class(arg) == Class::Full
            {
                self.retire(Held::Value(value), at, slots[k]);
            }
            if self.spread.get(&(arg, stage)) == Some(&slots[k]) {
                self.retire(Held::Spread(arg, stage), at, slots[k]);
            }
            if let Arg::Input(input) = arg
                && self.gathered.get(&(input, stage)) == Some(&slots[k])
            {
                self.retire(Held::Gathered(input, stage), at, slots[k]);
            }
        }
        match make {
            Make::Map { kernel, .. } => {
                let to = self.target(index);
                self.values[index] = Some(to);
                if self.recipe.code[index].class() == Class::Full
                    && !self.last.contains_key(&Held::Value(index))
                {
                    self.retire(Held::Value(index), at, to);
                }
                Instruction::Map {
                    kernel,
                    call: kernel.call(single),
                    args: slots,
                    single,
                    to,
                }
            }
            Make::Reduce {
                kind,
                dtype,
                class: Class::Row,
                ..
            } => {
                let to = self.target(index);
                self.values[index] = Some(to);
                let partial = match (self.whole_rows(), self.recipe.rows) {
                    (true, _) => 0,
                    (false, 1) => self.room(self.recipe.width.div_ceil(BLOCK) * dtype.size()),
                    (false, _) => {
                        let partial = self.registers;
                        self.registers += aligned(self.recipe.width.div_ceil(BLOCK) * dtype.size());
                        partial
                    }
                };
                self.reductions.push(Reduced {
                    reducer: reducer(kind, dtype),
                    to,
                    partial,
                });
                let reduction = self.reductions.len() - 1;
                self.stages[stage].ends.push(reduction);
                Instruction::Reduce {
                    reduction,
                    from: slots[0],
                }
            }
            Make::Reduce {
                kind,
                dtype,
                class: Class::Single,
                ..
            } => {
                debug_assert!(sums_together(self.recipe.width));
                let elements = self.recipe.rows * self.recipe.width;
                let partial = self.room(elements.div_ceil(BLOCK) * dtype.size());
                self.totals.push(Total {
                    reducer: reducer(kind, dtype),
                    output: self.output(index),
                    partial,
                });
                Instruction::Total {
                    total: self.totals.len() - 1,
                    from: slots[0],
                }
            }
            Make::Reduce { kind, dtype, .. } => {
                let groups = self.recipe.rows.div_ceil(GROUP);
                let bytes = groups * self.recipe.width * dtype.size();
                let partial = (groups > 1).then(|| self.room(bytes));
                self.accumulations.push(Accumulated {
                    reducer: reducer(kind, dtype),
                    output: self.output(index),
                    partial,
                });
                Instruction::Accumulate {
                    accumulation: self.accumulations.len() - 1,
                    from: slots[0],
                }
            }
        }
    }

    /// Room in the working memory of a run.
    fn room(&mut self, bytes: usize) -> usize {
        let start = self.work;
        self.work += aligned(bytes);
        start
    }

    /// The output that an instruction writes, if nothing reads it within the pass.
    fn output(&self, index: usize) -> usize {
        let output = self.recipe.outputs.iter().position(|&o| o == index);
        output.expect("what no instruction reads is written out")
    }

    fn finish(self) -> Pass {
        let overwrites = overwrites(&self.recipe, &self.steps);
        let streams = (0..self.recipe.code.len()).any(|index| self.streams(index));
        let recipe = self.recipe;
        let size = |&index: &usize| {
            let make = &recipe.code[index];
            let len = match make.class() {
                Class::Full => recipe.rows * recipe.width,
                Class::Row => recipe.rows,
                Class::Column => recipe.width,
                Class::Single => 1,
            };
            (make.dtype(), len)
        };
        let sweeps = self.stages.iter().filter(|s| !s.full.is_empty()).count();
        // Several tasks would write a row value that is made before the sweep.
        let early = |&index: &usize| {
            recipe.code[index].class() == Class::Row
                && self.stage_of[index] == 0
                && matches!(recipe.code[index], Make::Map { .. })
        };
        Pass {
            rows: recipe.rows,
            width: recipe.width,
            block_rows: self.block_rows,
            block_width: self.block_width,
            outputs: recipe.outputs.iter().map(size).collect(),
            places: self.places,
            splits_row: recipe.rows == 1
                && self.block_width < recipe.width
                && sweeps == 1
                && !self.stages[0].full.is_empty()
                && self.accumulations.is_empty()
                && !recipe.outputs.iter().any(early),
            streams,
            asks_ahead: sweeps > 1 && recipe.rows > 1 && self.block_width == recipe.width,
            stages: self.stages,
            hoisted: self.hoisted,
            cursors: self.cursors,
            reductions: self.reductions,
            accumulations: self.accumulations,
            totals: self.totals,
            instructions: self.steps.len(),
            registers: self.registers,
            work: self.work,
            overwrites,
            inputs: recipe.inputs,
        }
    }
}
