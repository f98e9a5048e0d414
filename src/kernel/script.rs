//! What the steps of a run read and write, checked once and run often.
//!
//! A step of a small model takes less time than it takes to check that it may have what it asks for. So a [`Script`] is checked when
//! it is written: each step stays within its regions, and writes none that it reads. A [`Frame`] is a script with a memory and
//! the values outside of it, whose types and sizes are looked at once for the whole run.

mod frame;

use super::matmul::Tiny;
use super::memory::{ALIGNMENT, Memory, Region};
use super::pass::{Link, Pass, Span};
use crate::element::Dtype;
use crate::error::OutOfMemory;
pub(crate) use frame::Frame;
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;

/// Where the memories of a run begin, and the values outside of it.
#[derive(Clone, Copy)]
pub(super) struct Bases<'f>(&'f [Span]);

impl Bases<'_> {
    /// Where a spot is.
    ///
    /// # Safety
    /// It must be a spot of the script that they are the bases of.
    #[inline(always)]
    pub unsafe fn at(self, spot: &Spot) -> *mut u8 {
        // Read and written within the value only: that was checked when the script was written, and the value when the
        // frame was made.
        // SAFETY: a frame has a base for each value of its script.
        let base = unsafe { self.0.get_unchecked(spot.base as usize) };
        base.first.wrapping_add(spot.offset)
    }
}

/// Where a step finds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the memory of the run.
    Memory(Region),
    /// The value outside of it with this number.
    Outside(usize, Dtype),
    /// An element of a value outside that is only read.
    Element(usize, Dtype, usize),
}

impl Place {
    /// The type of the elements.
    pub fn dtype(&self) -> Dtype {
        match *self {
            Place::Memory(region) => region.dtype,
            Place::Outside(_, dtype) | Place::Element(_, dtype, _) => dtype,
        }
    }

    fn spot(&self) -> Spot {
        match *self {
            Place::Memory(region) => Spot {
                base: base(region.dtype),
                offset: region.start,
            },
            Place::Outside(k, _) => Spot {
                base: OUTSIDE + k as u32,
                offset: 0,
            },
            Place::Element(k, dtype, element) => Spot {
                base: OUTSIDE + k as u32,
                offset: element * dtype.size(),
            },
        }
    }

    /// The number of the value outside, if it is one or an element of one.
    fn outside(&self) -> Option<usize> {
        match *self {
            Place::Memory(_) => None,
            Place::Outside(k, _) | Place::Element(k, ..) => Some(k),
        }
    }

    /// Whether what one is given can change with the other.
    fn meets(&self, other: &Place) -> bool {
        match (self, other) {
            (Place::Memory(a), Place::Memory(b)) => a.meets(b),
            (a, b) => a.outside().is_some() && a.outside() == b.outside(),
        }
    }
}

/// What a value outside must be.
#[derive(Clone, Copy, Debug)]
struct Needed {
    /// `None` if no step reads or writes it.
    dtype: Option<Dtype>,
    /// The fewest elements.
    len: usize,
    written: bool,
}

/// A number of bytes from where a value, or the memory, begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    base: u32,
    offset: usize,
}

impl Spot {
    /// So many bytes behind it.
    pub fn after(self, bytes: usize) -> Spot {
        Spot {
            offset: self.offset + bytes,
            ..self
        }
    }
}

const NUMBERS: u32 = 0;
const TRUTHS: u32 = 1;
const OUTSIDE: u32 = 2;

#[derive(Clone, Debug)]
enum Work {
    /// A pass of one block, as a list of calls.
    Linked(Vec<Link>),
    Pass {
        pass: Arc<Pass>,
        work: usize,
    },
    /// What somebody else does.
    Other {
        overwritten: SmallVec<[Option<u16>; 4]>,
    },
}

#[derive(Clone, Debug)]
struct Step {
    work: Work,
    reads: SmallVec<[Place; 4]>,
    writes: SmallVec<[Place; 2]>,
}

/// The steps of a run.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Bytes of numbers: first those of regions, from `registers` on those of linked passes.
    numbers: usize,
    truths: usize,
    registers: usize,
    outside: Vec<Needed>,
    steps: Vec<Step>,
}

impl Script {
    /// A script without steps, whose regions lie in so many bytes of numbers and truth values, and which is given so many values
    /// from outside.
    pub fn new(numbers: usize, truths: usize, outside: usize) -> Self {
        let registers = numbers.next_multiple_of(ALIGNMENT);
        let needed = Needed {
            dtype: None,
            len: 0,
            written: false,
        };
        Script {
            numbers: registers,
            truths,
            registers,
            outside: vec![needed; outside],
            steps: Vec::new(),
        }
    }

    /// Adds a step that runs a pass. For an input that an output overwrites, `overwritten` has the output; `work` are bytes of
    /// the memory that the step may work in.
    ///
    /// # Panics
    /// If the values are not what the pass was compiled for, or one that is written meets another.
    pub fn pass(
        &mut self,
        pass: &Arc<Pass>,
        reads: &[Place],
        overwritten: &[Option<u16>],
        writes: &[Place],
        work: Range<usize>,
    ) {
        assert_eq!((reads.len(), writes.len()), pass.arity());
        let mut places: SmallVec<[Place; 8]> = SmallVec::new();
        let mut others: SmallVec<[Place; 8]> = SmallVec::new();
        for (k, (read, overwritten)) in reads.iter().zip(overwritten).enumerate() {
            match overwritten {
                None => {
                    places.push(*read);
                    others.push(*read);
                }
                &Some(output) => {
                    assert!(
                        pass.overwrites().contains(&(output as usize, k)),
                        "an input that must not be overwritten"
                    );
                    places.push(writes[output as usize]);
                }
            }
        }
        assert!(work.len() >= pass.work());
        let work_region = Place::Memory(Region {
            dtype: Dtype::I64,
            start: work.start,
            len: work.len().div_ceil(8),
        });
        assert!(work.end <= self.registers && work.start.is_multiple_of(ALIGNMENT));
        others.push(work_region);
        self.check(&others, writes);
        assert!(
            !others[..others.len() - 1]
                .iter()
                .any(|read| read.meets(&work_region))
        );
        for (k, place) in places.iter().enumerate() {
            let (dtype, len) = pass.needs(k);
            self.require(place, dtype, len);
        }
        for (k, place) in writes.iter().enumerate() {
            let (dtype, len) = pass.makes(k);
            self.require(place, dtype, len);
            if let Place::Memory(region) = place {
                assert_eq!(region.len, len, "an output that does not fit its pass");
            }
        }
        let room = |place: &Place| match place {
            Place::Memory(region) if region.dtype != Dtype::Bool => {
                region.bytes().len().next_multiple_of(ALIGNMENT)
            }
            _ => 0,
        };
        let spots = |places: &[Place]| -> Vec<(Spot, usize)> {
            places
                .iter()
                .map(|place| (place.spot(), room(place)))
                .collect()
        };
        let registers = |offset: usize| Spot {
            base: NUMBERS,
            offset: self.registers + offset,
        };
        let work = match pass.link(&spots(&places), &spots(writes), &registers) {
            Some((links, bytes)) => {
                self.numbers = self.numbers.max(self.registers + bytes);
                Work::Linked(links)
            }
            None => Work::Pass {
                pass: pass.clone(),
                work: work.start,
            },
        };
        self.steps.push(Step {
            work,
            reads: places.into_iter().collect(),
            writes: writes.into(),
        });
    }

    /// Adds a step that multiplies tiny matrices.
    ///
    /// # Panics
    /// As [`pass`](Script::pass).
    pub fn product(&mut self, tiny: Tiny, factors: [Place; 2], to: Place) {
        self.check(&factors, &[to]);
        for (factor, len) in factors.iter().zip(tiny.needs()) {
            self.require(factor, to.dtype(), len);
        }
        self.require(&to, to.dtype(), tiny.makes());
        let link = Link::Product {
            tiny: Box::new(tiny),
            factors: factors.map(|factor| factor.spot()),
            to: to.spot(),
        };
        self.steps.push(Step {
            work: Work::Linked(vec![link]),
            reads: factors.into_iter().collect(),
            writes: SmallVec::from_slice(&[to]),
        });
    }

    /// Adds a step that somebody else does, with what [`Frame::borrow`] lends. A value that is overwritten is lent as the output
    /// alone.
    ///
    /// # Panics
    /// If a value that is written meets another.
    pub fn other(&mut self, reads: &[Place], overwritten: &[Option<u16>], writes: &[Place]) {
        let kept = reads.iter().zip(overwritten).filter(|(_, o)| o.is_none());
        let kept: SmallVec<[Place; 4]> = kept.map(|(read, _)| *read).collect();
        self.check(&kept, writes);
        for place in reads.iter().chain(writes) {
            self.require(place, place.dtype(), 0);
        }
        self.steps.push(Step {
            work: Work::Other {
                overwritten: overwritten.into(),
            },
            reads: reads.into(),
            writes: writes.into(),
        });
    }

    /// Checks where values lie, and notes what is written outside.
    fn check(&mut self, reads: &[Place], writes: &[Place]) {
        for place in reads.iter().chain(writes) {
            if let Place::Memory(region) = place {
                let size = match region.dtype {
                    Dtype::Bool => self.truths,
                    _ => self.registers,
                };
                assert!(
                    region.bytes().end <= size && region.start.is_multiple_of(ALIGNMENT),
                    "a region outside of the memory"
                );
            }
        }
        for (k, place) in writes.iter().enumerate() {
            let mut others = writes[k + 1..].iter().chain(reads);
            assert!(!others.any(|other| other.meets(place)), "values that meet");
            match *place {
                Place::Memory(_) => {}
                Place::Outside(k, _) => self.outside[k].written = true,
                Place::Element(..) => panic!("an element of a value is only read"),
            }
        }
    }

    /// Notes that a value must be of this type and have so many elements.
    fn require(&mut self, place: &Place, dtype: Dtype, len: usize) {
        assert_eq!(place.dtype(), dtype, "a value of another type");
        let (k, len) = match *place {
            Place::Memory(region) => {
                assert!(region.len >= len, "a value that does not fit its pass");
                return;
            }
            Place::Outside(k, _) => (k, len),
            Place::Element(k, _, element) => {
                assert!(len <= 1, "an element that does not fit its pass");
                (k, element + 1)
            }
        };
        let needed = &mut self.outside[k];
        assert!(needed.dtype.is_none_or(|known| known == dtype));
        needed.dtype = Some(dtype);
        needed.len = needed.len.max(len);
    }

    /// Makes room for the values of the script and what it works in.
    pub fn reserve(&self, memory: &mut Memory) -> Result<(), OutOfMemory> {
        memory.reserve(self.numbers, self.truths)
    }
}

fn base(dtype: Dtype) -> u32 {
    match dtype {
        Dtype::Bool => TRUTHS,
        _ => NUMBERS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(start: usize, len: usize) -> Place {
        Place::Memory(Region {
            dtype: Dtype::F32,
            start,
            len,
        })
    }

    #[test]
    fn what_is_written_is_found() {
        let mut script = Script::new(256, 0, 2);
        script.other(&[Place::Outside(0, Dtype::F32)], &[None], &[region(64, 3)]);
        script.other(&[region(64, 3)], &[None], &[Place::Outside(1, Dtype::F32)]);
        let (input, mut output) = ([1.0f32, 2.0, 3.0], [0.0f32; 3]);
        let mut memory = Memory::default();
        script.reserve(&mut memory).unwrap();
        {
            let mut frame = script.frame(
                &mut memory,
                [crate::element::Any::F32(&input[..])].into_iter(),
                [crate::element::Any::F32(&mut output[..])].into_iter(),
            );
            for step in 0..2 {
                assert!(!frame.run(step));
                let (reads, mut writes) = frame.borrow(step);
                let (crate::element::Any::F32(from), crate::element::Any::F32(to)) =
                    (reads[0], writes.pop().unwrap())
                else {
                    unreachable!()
                };
                to.copy_from_slice(from);
            }
        }
        assert_eq!(output, input);
    }

    #[test]
    #[should_panic(expected = "values that meet")]
    fn nothing_is_read_and_written() {
        Script::new(256, 0, 0).other(&[region(0, 17)], &[None], &[region(64, 1)]);
    }

    #[test]
    #[should_panic(expected = "a region outside of the memory")]
    fn regions_lie_in_the_memory() {
        Script::new(256, 0, 0).other(&[], &[], &[region(64, 49)]);
    }

    #[test]
    #[should_panic(expected = "a value that does not fit the run")]
    fn what_is_written_must_be_writable() {
        let mut script = Script::new(0, 0, 1);
        script.other(&[], &[], &[Place::Outside(0, Dtype::F32)]);
        let input = [1.0f32];
        let mut memory = Memory::default();
        script.frame(
            &mut memory,
            [crate::element::Any::F32(&input[..])].into_iter(),
            std::iter::empty(),
        );
    }
}
