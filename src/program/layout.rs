//! Where values lie: each takes a region of one memory from the step that writes it to the last that reads it, or the place of a
//! result that is written later.

use super::plan::{Fetched, Given, Kept, Place, Plan, Step, Work};
use crate::element::Dtype;
use crate::kernel::memory::{ALIGNMENT, Region};
use crate::shape::Layout;
use smallvec::SmallVec;
use std::sync::OnceLock;

/// A step whose values have no place yet.
pub(super) struct Draft {
    pub work: Work,
    pub reads: SmallVec<[usize; 4]>,
    pub writes: SmallVec<[usize; 2]>,
    pub nodes: SmallVec<[u32; 4]>,
}

/// A value of a run.
struct Value {
    dtype: Dtype,
    len: usize,
    place: Option<Place>,
    /// The last step that reads it.
    last: usize,
}

/// Smaller values are better off beside each other in the memory, in the cache.
const LENT: usize = 4096;

/// The buffer of a result until it is written.
struct Lent {
    /// The step that writes the result, and as which of its outputs.
    writer: (usize, usize),
    /// The value that lies there.
    value: Option<usize>,
}

/// The steps of a plan, and the values between them.
#[derive(Default)]
pub(super) struct Drafts {
    pub steps: Vec<Draft>,
    values: Vec<Value>,
    /// For each result that is large enough: what lies in its place before it.
    lent: Vec<Option<Lent>>,
    inputs: Vec<Given>,
    results: Vec<Kept>,
    pub fetched: Vec<(u32, usize, Option<Layout>)>,
}

impl Drafts {
    /// A value that is there before the run.
    pub fn input(&mut self, given: Given, dtype: Dtype, len: usize) -> usize {
        self.inputs.push(given);
        let place = Place::Input(self.inputs.len() as u32 - 1);
        self.add(dtype, len, Some(place))
    }

    /// A value that a step will write.
    pub fn value(&mut self, dtype: Dtype, len: usize, keep: bool) -> usize {
        let place = keep.then(|| {
            self.results.push(Kept { dtype, len });
            Place::Result(self.results.len() as u32 - 1)
        });
        self.add(dtype, len, place)
    }

    fn add(&mut self, dtype: Dtype, len: usize, place: Option<Place>) -> usize {
        self.values.push(Value {
            dtype,
            len,
            place,
            last: 0,
        });
        self.values.len() - 1
    }

    /// A value without elements: no step writes it.
    pub fn empty(&mut self, value: usize) {
        let Value { dtype, place, .. } = &mut self.values[value];
        place.get_or_insert(Place::Temporary(Region {
            dtype: *dtype,
            start: 0,
            len: 0,
        }));
    }

    /// Gives every value its place; values within the run may have those of results if `lend`.
    pub fn finish(mut self, lend: bool) -> Plan {
        let drafts = std::mem::take(&mut self.steps);
        self.look(&drafts, lend);
        let (mut numbers, mut truths) = (Heap::default(), Heap::default());
        let mut placed = Vec::with_capacity(drafts.len());
        for (at, draft) in drafts.iter().enumerate() {
            let mut overwritten: SmallVec<[Option<u16>; 4]> =
                SmallVec::from_elem(None, draft.reads.len());
            for (output, &value) in draft.writes.iter().enumerate() {
                if let Some(place) = self.values[value].place {
                    if let Some(lies) = self.lies(place) {
                        // It was put there because it may be overwritten.
                        let input = draft.reads.iter().position(|&read| read == lies);
                        overwritten[input.expect("read for the last time")] = Some(output as u16);
                    }
                    continue;
                }
                let place = self
                    .overwrite(&drafts, at, output, &mut overwritten)
                    .or_else(|| self.borrow(&drafts, at, value));
                let Value { dtype, len, .. } = self.values[value];
                let place = place.unwrap_or_else(|| {
                    let start = heap(dtype, &mut numbers, &mut truths).take(len * dtype.size());
                    Place::Temporary(Region { dtype, start, len })
                });
                if let Place::Result(result) = place
                    && let Some(lent) = &mut self.lent[result as usize]
                {
                    lent.value = Some(value);
                }
                self.values[value].place = Some(place);
            }
            let work = match &draft.work {
                Work::Pass(pass) => pass.work().next_multiple_of(ALIGNMENT),
                _ => 0,
            };
            let work_start = numbers.take(work);
            numbers.give(work_start, work);
            for (k, &value) in draft.reads.iter().chain(&draft.writes).enumerate() {
                let repeated = draft
                    .reads
                    .iter()
                    .chain(&draft.writes)
                    .take(k)
                    .any(|&v| v == value);
                let passed_on = overwritten.get(k).is_some_and(Option::is_some);
                if self.values[value].last == at
                    && !repeated
                    && !passed_on
                    && let Some(Place::Temporary(region)) = self.values[value].place
                {
                    let bytes = region.len * region.dtype.size();
                    heap(region.dtype, &mut numbers, &mut truths).give(region.start, bytes);
                }
            }
            for lent in self.lent.iter_mut().flatten() {
                lent.value = lent.value.filter(|&value| self.values[value].last > at);
            }
            placed.push((overwritten, (work_start, work)));
        }
        let place = |&value: &usize| self.values[value].place.expect("written before it is read");
        let steps = drafts.into_iter().zip(placed);
        let steps = steps.map(|(draft, (overwritten, work_memory))| Step {
            reads: draft.reads.iter().map(place).collect(),
            writes: draft.writes.iter().map(place).collect(),
            work: draft.work,
            overwritten,
            work_memory,
            nodes: draft.nodes,
        });
        let fetched = self.fetched.iter();
        let fetched = fetched.map(|(node, value, layout)| Fetched {
            node: *node,
            place: place(value),
            layout: layout.clone(),
        });
        Plan {
            steps: steps.collect(),
            fetched: fetched.collect(),
            inputs: self.inputs,
            given: Vec::new(),
            results: self.results,
            numbers: numbers.most,
            truths: truths.most,
            named: Vec::new(),
            script: OnceLock::new(),
        }
    }

    /// Finds which step reads each value last, and which writes each result.
    fn look(&mut self, drafts: &[Draft], lend: bool) {
        self.lent.resize_with(self.results.len(), || None);
        for (at, step) in drafts.iter().enumerate() {
            for &value in step.reads.iter().chain(&step.writes) {
                self.values[value].last = at;
            }
            for (output, &value) in step.writes.iter().enumerate() {
                let value = &self.values[value];
                if let Some(Place::Result(result)) = value.place
                    && lend
                    && value.len * value.dtype.size() >= LENT
                {
                    self.lent[result as usize] = Some(Lent {
                        writer: (at, output),
                        value: None,
                    });
                }
            }
        }
    }

    /// The value that lies where a result will be.
    fn lies(&self, place: Place) -> Option<usize> {
        match place {
            Place::Result(result) => self.lent[result as usize].as_ref()?.value,
            _ => None,
        }
    }

    /// The inputs of a step that its output may overwrite: values of the same size that are read for the last time.
    fn overwritable<'d>(
        &'d self,
        draft: &'d Draft,
        at: usize,
        output: usize,
    ) -> impl Iterator<Item = usize> {
        let (pairs, called) = match &draft.work {
            Work::Pass(pass) => (pass.overwrites(), None),
            Work::Call { operation, layouts } => {
                let whole =
                    |&input: &usize| layouts[input].offset() == 0 && layouts[input].is_contiguous();
                (&[][..], operation.overwrites().filter(whole))
            }
            _ => (&[][..], None),
        };
        let inputs = pairs.iter().filter(move |&&(o, _)| o == output);
        inputs
            .map(|&(_, input)| input)
            .chain(called)
            .filter(move |&input| {
                let value = draft.reads[input];
                let read_once = draft.reads.iter().filter(|&&v| v == value).count() == 1;
                let Value { last, len, .. } = self.values[value];
                read_once && last == at && len == self.values[draft.writes[output]].len
            })
    }

    /// The place of a value that is read for the last time by a step, and that its output may overwrite.
    fn overwrite(
        &self,
        drafts: &[Draft],
        at: usize,
        output: usize,
        overwritten: &mut [Option<u16>],
    ) -> Option<Place> {
        let draft = &drafts[at];
        for input in self.overwritable(draft, at, output) {
            let place = match self.values[draft.reads[input]].place {
                place @ Some(Place::Temporary(_)) => place,
                Some(Place::Result(result))
                    if self.fits(drafts, at, draft.writes[output], result as usize) =>
                {
                    Some(Place::Result(result))
                }
                _ => None,
            };
            if place.is_some() && overwritten[input].is_none() {
                overwritten[input] = Some(output as u16);
                return place;
            }
        }
        None
    }

    /// The place of a result that is free until it is written, for a value that is written before.
    fn borrow(&self, drafts: &[Draft], at: usize, value: usize) -> Option<Place> {
        let free = |result: &usize| {
            let lent = self.lent[*result].as_ref();
            lent.is_some_and(|lent| lent.value.is_none()) && self.fits(drafts, at, value, *result)
        };
        let result = (0..self.lent.len()).find(free)?;
        Some(Place::Result(result as u32))
    }

    /// Whether a value that a step writes may lie where a result will be, which must hold as many elements of its type.
    fn fits(&self, drafts: &[Draft], at: usize, value: usize, result: usize) -> bool {
        let (Some(lent), kept) = (&self.lent[result], &self.results[result]) else {
            return false;
        };
        let Value {
            dtype, len, last, ..
        } = self.values[value];
        let (writer, output) = lent.writer;
        if (dtype, len) != (kept.dtype, kept.len) || at >= writer || last > writer {
            return false;
        }
        // The step that writes the result may read it if it overwrites it, and only it.
        let read = |&input: &usize| drafts[writer].reads[input] == value;
        last < writer
            || self
                .overwritable(&drafts[writer], writer, output)
                .any(|k| read(&k))
    }
}

fn heap<'h>(dtype: Dtype, numbers: &'h mut Heap, truths: &'h mut Heap) -> &'h mut Heap {
    if dtype == Dtype::Bool {
        truths
    } else {
        numbers
    }
}

/// Which bytes of a memory are free: the smallest gap that is large enough is taken.
#[derive(Default)]
struct Heap {
    /// Start and length of the gaps, by start.
    gaps: Vec<(usize, usize)>,
    end: usize,
    /// The most bytes at once; `usize::MAX` if they cannot be counted. Then it does not matter where values lie: there is no such
    /// memory, which is found out when the plan is to run.
    most: usize,
}

impl Heap {
    fn take(&mut self, bytes: usize) -> usize {
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        if bytes == 0 || self.most == usize::MAX {
            return 0;
        }
        let fit = (0..self.gaps.len())
            .filter(|&gap| self.gaps[gap].1 >= bytes)
            .min_by_key(|&gap| self.gaps[gap].1);
        if let Some(gap) = fit {
            let (start, len) = self.gaps[gap];
            if len == bytes {
                self.gaps.remove(gap);
            } else {
                self.gaps[gap] = (start + bytes, len - bytes);
            }
            return start;
        }
        // The gap at the end, if there is one, grows.
        let start = match self.gaps.last() {
            Some(&(start, len)) if start + len == self.end => {
                self.gaps.pop();
                start
            }
            _ => self.end,
        };
        let Some(end) = start.checked_add(bytes) else {
            self.most = usize::MAX;
            return 0;
        };
        self.end = end;
        self.most = self.most.max(end);
        start
    }

    fn give(&mut self, start: usize, bytes: usize) {
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        if bytes == 0 || self.most == usize::MAX {
            return;
        }
        let at = self.gaps.partition_point(|&(s, _)| s < start);
        self.gaps.insert(at, (start, bytes));
        if at + 1 < self.gaps.len() && start + bytes == self.gaps[at + 1].0 {
            self.gaps[at].1 += self.gaps.remove(at + 1).1;
        }
        if at > 0 && self.gaps[at - 1].0 + self.gaps[at - 1].1 == start {
            self.gaps[at - 1].1 += self.gaps.remove(at).1;
        }
    }
}
