//! Passes of a single block, as lists of calls: where everything lies is known before the run.

use super::{Access, Base, Instruction, Pass};
use crate::element::Dtype;
use crate::kernel::elementwise::{CHUNK, Call, OPERANDS};
use crate::kernel::matmul::Tiny;
use crate::kernel::reduce::GROUP;
use crate::kernel::script::{Bases, Spot};

/// A call of a kernel.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    Map {
        call: Call,
        args: [Spot; OPERANDS],
        to: Spot,
        n: usize,
    },
    /// `len` elements that repeat the first `period`.
    Fill {
        size: usize,
        from: Spot,
        period: usize,
        to: Spot,
        len: usize,
    },
    Spread {
        size: usize,
        from: Spot,
        rows: usize,
        columns: usize,
        to: Spot,
    },
    Reduce {
        runs: unsafe fn(*const u8, usize, usize, *mut u8),
        from: Spot,
        rows: usize,
        columns: usize,
        to: Spot,
    },
    Product {
        /// Apart, so that the others lie close together.
        tiny: Box<Tiny>,
        factors: [Spot; 2],
        to: Spot,
    },
    Accumulate {
        accumulate: unsafe fn(*const u8, usize, usize, *mut u8, bool),
        from: Spot,
        rows: usize,
        columns: usize,
        to: Spot,
    },
}

impl Link {
    /// Calls the kernel.
    ///
    /// # Safety
    /// They must be the bases of a frame of the script that the pass was linked for.
    #[inline]
    pub unsafe fn run(&self, bases: Bases<'_>) {
        // SAFETY: types and sizes were checked when the pass was linked; a value that is written is another than those read, or
        // the very same elements.
        unsafe {
            match self {
                Link::Map { call, args, to, n } => {
                    let [a, b, c] = args;
                    let operands = [bases.at(a), bases.at(b), bases.at(c)];
                    call(operands.map(<*mut u8>::cast_const), bases.at(to), *n);
                }
                Link::Fill {
                    size,
                    from,
                    period,
                    to,
                    len,
                } => {
                    let (from, to) = (bases.at(from), bases.at(to));
                    match size {
                        1 => super::machine::fill::<u8>(from, *period, to, *len),
                        4 => super::machine::fill::<u32>(from, *period, to, *len),
                        _ => super::machine::fill::<u64>(from, *period, to, *len),
                    }
                }
                Link::Spread {
                    size,
                    from,
                    rows,
                    columns,
                    to,
                } => super::machine::spread(*size, bases.at(from), bases.at(to), *rows, *columns),
                Link::Reduce {
                    runs,
                    from,
                    rows,
                    columns,
                    to,
                } => runs(bases.at(from), *rows, *columns, bases.at(to)),
                Link::Product { tiny, factors, to } => {
                    let factors = factors.each_ref().map(|spot| bases.at(spot).cast_const());
                    tiny.run(factors, bases.at(to));
                }
                Link::Accumulate {
                    accumulate,
                    from,
                    rows,
                    columns,
                    to,
                } => accumulate(bases.at(from), *rows, *columns, bases.at(to), false),
            }
        }
    }
}

impl Pass {
    /// The pass as a list of calls on values at the given spots, each with so many bytes from there on that may be read and
    /// written without harm, and registers that begin at `registers(0)`; and the bytes of those. `None` if it has several blocks.
    pub(in crate::kernel) fn link(
        &self,
        inputs: &[(Spot, usize)],
        outputs: &[(Spot, usize)],
        registers: &impl Fn(usize) -> Spot,
    ) -> Option<(Vec<Link>, usize)> {
        let (rows, columns) = (self.rows, self.width);
        if rows * columns == 0 {
            return Some((Vec::new(), 0));
        }
        let one_block = rows <= self.block_rows && columns <= self.block_width && rows <= GROUP;
        if !one_block || !self.cursors.is_empty() {
            return None;
        }
        let spot = |slot: u16| -> (Spot, usize) {
            let place = self.places[slot as usize];
            match place.base {
                // Registers begin and end at cache lines.
                Base::Register(offset) => (registers(offset), place.room),
                Base::Input(input, 0) => inputs[input],
                Base::Input(input, offset) => (inputs[input].0.after(offset), 0),
                Base::Output(output) => outputs[output],
            }
        };
        let mut links = Vec::new();
        for hoisted in &self.hoisted {
            let source = &self.inputs[hoisted.input];
            let size = source.dtype.size();
            links.push(Link::Fill {
                size,
                from: inputs[hoisted.input].0.after(source.offset * size),
                period: match source.access {
                    Access::Column => columns,
                    _ => 1,
                },
                to: spot(hoisted.to).0,
                len: self.block_rows * self.block_width,
            });
        }
        for stage in &self.stages {
            let on_rows = stage.rows.iter().map(|instruction| (instruction, rows, 1));
            let full = stage.full.iter().map(|i| (i, rows, columns));
            for (instruction, rows, columns) in on_rows.chain(full) {
                let n = rows * columns;
                links.push(match instruction {
                    Instruction::Map {
                        kernel,
                        call,
                        args,
                        single,
                        to,
                    } => {
                        let used = kernel.operands();
                        let arg = |k: usize| spot(args[if k < used.len() { k } else { 0 }]).0;
                        // A whole chunk is faster than a part of one, and takes no harm from what lies behind the elements.
                        let padded = n.next_multiple_of(CHUNK);
                        let fits = |slot: u16, dtype: Dtype| {
                            dtype.is_float() && spot(slot).1 >= padded * dtype.size()
                        };
                        let pads = fits(*to, kernel.output())
                            && used.iter().enumerate().all(|(k, &dtype)| {
                                single[k] && dtype.is_float() || fits(args[k], dtype)
                            });
                        Link::Map {
                            call: *call,
                            args: [arg(0), arg(1), arg(2)],
                            to: spot(*to).0,
                            n: if pads { padded } else { n },
                        }
                    }
                    Instruction::Spread { size, from, to } => Link::Spread {
                        size: *size,
                        from: spot(*from).0,
                        rows,
                        columns,
                        to: spot(*to).0,
                    },
                    Instruction::Gather { .. } => unreachable!("a pass without cursors"),
                    Instruction::Stream { .. } => unreachable!("a pass of one block"),
                    Instruction::Reduce { reduction, from } => {
                        let reduced = &self.reductions[*reduction];
                        Link::Reduce {
                            runs: reduced.reducer.runs,
                            from: spot(*from).0,
                            rows,
                            columns,
                            to: spot(reduced.to).0,
                        }
                    }
                    Instruction::Total { total, from } => {
                        let total = &self.totals[*total];
                        Link::Reduce {
                            runs: total.reducer.runs,
                            from: spot(*from).0,
                            rows: 1,
                            columns: n,
                            to: outputs[total.output].0,
                        }
                    }
                    Instruction::Accumulate { accumulation, from } => {
                        let accumulated = &self.accumulations[*accumulation];
                        Link::Accumulate {
                            accumulate: accumulated.reducer.accumulate,
                            from: spot(*from).0,
                            rows,
                            columns,
                            to: outputs[accumulated.output].0,
                        }
                    }
                });
            }
        }
        Some((links, self.registers))
    }
}
