//! Where values lie: each takes a region of one memory from the step that writes it to the last that reads it.

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

/// The steps of a plan, and the values between them.
#[derive(Default)]
pub(super) struct Drafts {
    pub steps: Vec<Draft>,
    values: Vec<Value>,
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

    /// Gives every value its place.
    pub fn finish(mut self) -> Plan {
        for (at, step) in self.steps.iter().enumerate() {
            for &value in step.reads.iter().chain(&step.writes) {
                self.values[value].last = at;
            }
        }
        let (mut numbers, mut truths) = (Heap::default(), Heap::default());
        let mut steps = Vec::with_capacity(self.steps.len());
        for (at, draft) in std::mem::take(&mut self.steps).into_iter().enumerate() {
            let mut overwritten: SmallVec<[Option<u16>; 4]> =
                SmallVec::from_elem(None, draft.reads.len());
            for (output, &value) in draft.writes.iter().enumerate() {
                if self.values[value].place.is_some() {
                    continue;
                }
                let region = self.overwrite(&draft, at, output, &mut overwritten);
                let Value { dtype, len, .. } = self.values[value];
                let region = region.unwrap_or_else(|| Region {
                    dtype,
                    start: heap(dtype, &mut numbers, &mut truths).take(len * dtype.size()),
                    len,
                });
                self.values[value].place = Some(Place::Temporary(region));
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
            let place =
                |&value: &usize| self.values[value].place.expect("written before it is read");
            steps.push(Step {
                reads: draft.reads.iter().map(place).collect(),
                writes: draft.writes.iter().map(place).collect(),
                work: draft.work,
                overwritten,
                work_memory: (work_start, work),
                nodes: draft.nodes,
            });
        }
        let fetched = std::mem::take(&mut self.fetched)
            .into_iter()
            .map(|(node, value, layout)| Fetched {
                node,
                place: self.values[value].place.expect("a value that was written"),
                layout,
            });
        Plan {
            steps,
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

    /// The region of a value that is read for the last time by a step, and that its output may overwrite.
    fn overwrite(
        &self,
        draft: &Draft,
        at: usize,
        output: usize,
        overwritten: &mut [Option<u16>],
    ) -> Option<Region> {
        let Work::Pass(pass) = &draft.work else {
            return None;
        };
        for &(o, input) in pass.overwrites() {
            let value = draft.reads[input];
            let read_once = draft.reads.iter().filter(|&&v| v == value).count() == 1;
            if o == output
                && overwritten[input].is_none()
                && read_once
                && self.values[value].last == at
                && self.values[value].len == self.values[draft.writes[output]].len
                && let Some(Place::Temporary(region)) = self.values[value].place
            {
                overwritten[input] = Some(output as u16);
                return Some(region);
            }
        }
        None
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
    most: usize,
}

impl Heap {
    fn take(&mut self, bytes: usize) -> usize {
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        if bytes == 0 {
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
        self.end = start + bytes;
        self.most = self.most.max(self.end);
        start
    }

    fn give(&mut self, start: usize, bytes: usize) {
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        if bytes == 0 {
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
