//! A script with what it works on.

use super::{Bases, NUMBERS, Needed, OUTSIDE, Place, Script, Work, base};
use crate::element::{Dtype, Element, Slice, SliceMut, with_dtype};
use crate::kernel::memory::Memory;
use crate::kernel::pass::{Line, Span};
use smallvec::SmallVec;
use std::marker::PhantomData;

impl Script {
    /// The script with what it works on: the values outside are those that are only read, and then those that may be written.
    ///
    /// # Panics
    /// If the values outside are not what the script needs, or there is no [room](Script::reserve) in the memory.
    pub fn frame<'r, 'w: 'r>(
        &'r self,
        memory: &'r mut Memory,
        read: impl Iterator<Item = Slice<'r>>,
        written: impl Iterator<Item = SliceMut<'w>>,
    ) -> Frame<'r> {
        let mut lending = self.lend(memory);
        // Asked for one by one, iterators in a chain would look each time which of them is at work.
        read.for_each(|slice| lending.read(slice));
        written.for_each(|slice| lending.write(slice));
        lending.frame()
    }

    /// The script, to be given what it works on value by value, in the order of [`frame`](Script::frame).
    ///
    /// # Panics
    /// If there is no [room](Script::reserve) in the memory.
    #[inline]
    pub fn lend<'r>(&'r self, memory: &'r mut Memory) -> Lending<'r> {
        assert!(
            memory.has_room(self.numbers, self.truths),
            "no room for the run"
        );
        let Memory {
            numbers,
            truths,
            bases,
        } = memory;
        let bases = &mut bases.0;
        bases.clear();
        bases.push(Span {
            first: numbers.as_mut_ptr().cast(),
            len: self.numbers,
        });
        bases.push(Span {
            first: truths.as_mut_ptr().cast(),
            len: self.truths,
        });
        Lending {
            script: self,
            needed: self.outside.iter(),
            bases,
            lives: PhantomData,
        }
    }
}

/// A script that is given what it works on.
pub(crate) struct Lending<'r> {
    script: &'r Script,
    needed: std::slice::Iter<'r, Needed>,
    bases: &'r mut Vec<Span>,
    lives: PhantomData<&'r mut [u8]>,
}

impl<'r> Lending<'r> {
    #[inline(always)]
    fn admit(&mut self, first: *mut u8, len: usize, dtype: Dtype, may_write: bool) {
        let fits = |needed: &Needed| {
            needed.dtype.is_none_or(|needed| needed == dtype)
                && len >= needed.len
                && (may_write || !needed.written)
        };
        assert!(
            self.needed.next().is_some_and(fits),
            "a value that does not fit the run"
        );
        self.bases.push(Span { first, len });
    }

    /// Lends a value that is only read.
    #[inline(always)]
    pub fn read(&mut self, slice: Slice<'r>) {
        let (dtype, first, len) = slice.parts();
        self.admit(first.cast_mut(), len, dtype, false);
    }

    /// Lends a value that may be written.
    #[inline(always)]
    pub fn write<'w: 'r>(&mut self, slice: SliceMut<'w>) {
        let (dtype, first, len) = slice.into_parts();
        self.admit(first, len, dtype, true);
    }

    /// The script with all it needs.
    #[inline(always)]
    pub fn frame(mut self) -> Frame<'r> {
        assert!(self.needed.next().is_none(), "values that the run lacks");
        Frame {
            script: self.script,
            bases: self.bases,
            lives: PhantomData,
        }
    }
}

/// A script with what it works on, borrowed for `'r`.
pub(crate) struct Frame<'r> {
    script: &'r Script,
    /// The memory of numbers, that of truth values, and the values outside.
    bases: &'r [Span],
    lives: PhantomData<&'r mut [u8]>,
}

impl Frame<'_> {
    fn span(&self, place: &Place) -> Span {
        match *place {
            Place::Memory(region) => Span {
                first: self.bases[base(region.dtype) as usize]
                    .first
                    .wrapping_add(region.start),
                len: region.len,
            },
            Place::Outside(k, _) => self.bases[OUTSIDE as usize + k],
            Place::Element(k, dtype, element) => Span {
                first: self.bases[OUTSIDE as usize + k]
                    .first
                    .wrapping_add(element * dtype.size()),
                len: 1,
            },
        }
    }

    /// Runs a step, unless it is one that somebody else does.
    #[inline]
    pub fn run(&mut self, step: usize) -> bool {
        let step = &self.script.steps[step];
        match &step.work {
            Work::Linked(links) => {
                let bases = Bases(self.bases);
                for link in links {
                    // SAFETY: the pass was linked to places that were checked then; the values outside were checked when
                    // the frame was made; and the frame has borrowed the memory and all values.
                    unsafe { link.run(bases) };
                }
            }
            Work::Pass { pass, work } => {
                let mut inputs: SmallVec<[Span; 16]> = SmallVec::new();
                for place in &step.reads {
                    inputs.push(self.span(place));
                }
                let mut outputs: SmallVec<[Span; 8]> = SmallVec::new();
                for place in &step.writes {
                    outputs.push(self.span(place));
                }
                let work = self.bases[NUMBERS as usize].first.wrapping_add(*work);
                // SAFETY: as above.
                unsafe { pass.run(&inputs, &outputs, work.cast::<Line>()) };
            }
            Work::Other { .. } => return false,
        }
        true
    }

    /// What a step reads and writes.
    ///
    /// # Panics
    /// If it is a pass: that may read what it overwrites.
    pub fn borrow(
        &mut self,
        step: usize,
    ) -> (SmallVec<[Slice<'_>; 4]>, SmallVec<[SliceMut<'_>; 2]>) {
        let step = &self.script.steps[step];
        let Work::Other { overwritten } = &step.work else {
            panic!("a pass is run, not lent")
        };
        let mut reads: SmallVec<[Slice<'_>; 4]> = SmallVec::new();
        for (place, overwritten) in step.reads.iter().zip(overwritten) {
            reads.push(match overwritten {
                None => self.value(place),
                Some(_) => with_dtype!(place.dtype(), T => T::erase(&[][..])),
            });
        }
        let mut writes: SmallVec<[SliceMut<'_>; 2]> = SmallVec::new();
        for place in &step.writes {
            let span = self.span(place);
            writes.push(with_dtype!(place.dtype(), T => {
                // SAFETY: as in `value`; it may be written, and nothing else that the step has meets it: that was checked when
                // the script was written.
                T::erase(unsafe { std::slice::from_raw_parts_mut(span.first.cast::<T>(), span.len) })
            }));
        }
        (reads, writes)
    }

    /// What the step writes as its output number `output`, once it has run.
    pub fn written(&self, step: usize, output: usize) -> Slice<'_> {
        self.value(&self.script.steps[step].writes[output])
    }

    fn value(&self, place: &Place) -> Slice<'_> {
        let span = self.span(place);
        with_dtype!(place.dtype(), T => {
            // SAFETY: a region lies within the memory and is aligned to a cache line, and its bytes are initialized and valid
            // elements (any bytes are numbers, truth values have a memory of their own); a value outside is of this
            // type and has so many elements. The frame has borrowed both.
            T::erase(unsafe { std::slice::from_raw_parts(span.first.cast::<T>(), span.len) })
        })
    }
}
