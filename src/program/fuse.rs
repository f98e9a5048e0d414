//! Which nodes run together: groups of elementwise nodes and reductions over one iteration space.
//!
//! Nodes are placed from the last to the first, each into the group of its readers if that does not make a group wait for
//! itself: so what a backward pass computes from values that are there anyway is computed where it is used, not stored where it
//! could first be known. Then groups that read the same large values run together, if they can.

use super::access::{Reading, reading};
use super::along::{Along, along};
use crate::kernel::pass::{Class, LONGEST_ROW, sums_together};
use crate::shape::Layout;
use crate::tape::{Graph, Op};
use smallvec::SmallVec;

/// No unit: a value that was there before, or a number.
pub(super) const OUTSIDE: u32 = u32::MAX;

/// The longest single row whose reduction may be followed by another sweep: no other thread can help with it.
const LONGEST_SINGLE: usize = 1 << 14;

/// Groups that read the same value of so many elements are joined to read it once.
const LARGE: usize = 4096;

/// The most nodes of a group.
const MOST: usize = 16_384;

/// An element count above which scalars that follow a sum are not worth a restriction of its group.
const SMALL: usize = 4096;

/// Where the elements of a node are: those of `base` (a node that is no view), in row-major order or as a layout says.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub base: u32,
    pub layout: Option<Layout>,
}

/// Nodes that run as one step.
#[derive(Debug)]
pub(super) struct Unit {
    pub nodes: SmallVec<[u32; 4]>,
    /// Whether it is a group of elementwise nodes and reductions, which others may join.
    pub group: bool,
    /// Elements of the iteration space.
    pub size: usize,
    /// Elements of a row, once that is settled.
    pub width: Option<usize>,
    /// Whether it combines rows.
    pub combines_rows: bool,
    /// Whether it combines everything.
    pub combines_all: bool,
    /// The units that it reads.
    reads: SmallVec<[u32; 4]>,
    visited: u32,
}

/// The nodes of a run, and how they run together.
pub(super) struct Fusion<'g> {
    pub graph: &'g Graph,
    /// The nodes to compute, in order.
    pub needed: &'g [u32],
    /// For each node: where its elements are.
    pub seen: Vec<Option<Seen>>,
    /// For each node that is no view: its unit.
    unit_of: Vec<u32>,
    /// For each member of a group: which elements it has.
    pub class: Vec<Class>,
    /// For each node that is no view: the nodes that read it (or views of it), and as which operand.
    pub readers: Vec<SmallVec<[(u32, u8); 2]>>,
    pub units: Vec<Unit>,
    /// The unit that each was joined to.
    joined: Vec<u32>,
    visit: u32,
}

/// Whether a group of this many elements that combines all of them can have rows of this width.
fn divides(size: usize, width: Option<usize>) -> bool {
    width.is_none_or(|width| width == size || sums_together(width))
}

impl<'g> Fusion<'g> {
    /// Decides which of the nodes to compute run together.
    pub fn new(graph: &'g Graph, needed: &'g [u32], fuse: bool) -> Self {
        let count = graph.nodes.len();
        let mut fusion = Fusion {
            graph,
            needed,
            seen: vec![None; count],
            unit_of: vec![OUTSIDE; count],
            class: vec![Class::Full; count],
            readers: vec![SmallVec::new(); count],
            units: Vec::new(),
            joined: Vec::new(),
            visit: 0,
        };
        fusion.look();
        for &node in needed.iter().rev() {
            let is_base = fusion.seen(node).base == node;
            if is_base && !matches!(graph.nodes[node as usize].op, Op::Fill(_)) {
                fusion.put(node, fuse);
            }
        }
        if fuse {
            fusion.join_readers_of_one_value();
        }
        fusion
    }

    pub fn seen(&self, node: u32) -> &Seen {
        self.seen[node as usize]
            .as_ref()
            .expect("a node that is looked at")
    }

    /// The unit that computes a node which is no view.
    pub fn unit(&self, node: u32) -> u32 {
        match self.unit_of[node as usize] {
            OUTSIDE => OUTSIDE,
            unit => self.find(unit),
        }
    }

    fn find(&self, mut unit: u32) -> u32 {
        while self.joined[unit as usize] != unit {
            unit = self.joined[unit as usize];
        }
        unit
    }

    /// Finds where the elements of each node are.
    fn look(&mut self) {
        for &node in self.needed {
            for k in 0..self.graph.nodes[node as usize].inputs.len() {
                let input = self.graph.nodes[node as usize].inputs[k];
                if self.seen[input as usize].is_none() {
                    // It was there before the run, so it is no matter how it was computed.
                    let value = self.graph.values[input as usize].as_ref();
                    let layout = value.and_then(|v| v.layout.as_deref().cloned());
                    self.seen[input as usize] = Some(Seen {
                        base: input,
                        layout,
                    });
                }
            }
            let seen = self.graph.seen_through(node, |source| self.seen(source));
            if seen.base == node {
                for (k, &input) in self.graph.nodes[node as usize].inputs.iter().enumerate() {
                    let base = self.seen(input).base;
                    self.readers[base as usize].push((node, k as u8));
                }
            }
            self.seen[node as usize] = Some(seen);
        }
    }

    /// How `reader` reads its operand `k`.
    pub fn reading(&self, reader: u32, k: usize) -> Reading {
        let node = &self.graph.nodes[reader as usize];
        let input = node.inputs[k];
        let shape = &self.graph.nodes[input as usize].shape;
        let space = match node.op {
            Op::Reduce(..) => shape,
            _ => &node.shape,
        };
        reading(self.seen(input).layout.as_ref(), shape, space)
    }

    /// Whether a node can be in a group at all.
    fn can_group(&self, node: u32) -> bool {
        let this = &self.graph.nodes[node as usize];
        match &this.op {
            Op::Elementwise(_) => this.shape.size() > 0,
            Op::Reduce(_, axes) => {
                let shape = &self.graph.nodes[this.inputs[0] as usize].shape;
                shape.size() > 1
                    && along(shape, axes) != Along::Other
                    && matches!(self.reading(node, 0), Reading::Flat { .. })
            }
            _ => false,
        }
    }

    /// How the reduction of a node lies in its operand.
    fn along(&self, node: u32) -> Option<(Along, usize)> {
        let this = &self.graph.nodes[node as usize];
        let Op::Reduce(_, axes) = &this.op else {
            return None;
        };
        let shape = &self.graph.nodes[this.inputs[0] as usize].shape;
        Some((along(shape, axes), shape.size()))
    }

    /// Places a node whose readers are placed.
    fn put(&mut self, node: u32, fuse: bool) {
        let mut readers: SmallVec<[u32; 4]> = SmallVec::new();
        for &(reader, _) in &self.readers[node as usize] {
            let unit = self.unit(reader);
            if !readers.contains(&unit) {
                readers.push(unit);
            }
        }
        let groups = fuse && self.can_group(node);
        let mut home = None;
        if groups {
            home = readers
                .iter()
                .copied()
                .find(|&unit| self.join(node, unit, &readers));
        }
        let home = home.unwrap_or_else(|| self.begin(node, groups));
        self.unit_of[node as usize] = home;
        for &reader in &readers {
            if reader != home {
                let reads = &mut self.units[reader as usize].reads;
                if !reads.contains(&home) {
                    reads.push(home);
                }
            }
        }
        if self.units[home as usize].group {
            for &reader in &readers {
                let (home, reader) = (self.find(home), self.find(reader));
                if home != reader && self.units[reader as usize].group {
                    self.merge(home, reader);
                }
            }
        }
    }

    /// A unit of its own for a node.
    fn begin(&mut self, node: u32, group: bool) -> u32 {
        let this = &self.graph.nodes[node as usize];
        let (mut size, mut width, mut class) = (this.shape.size(), None, Class::Full);
        let mut combines_rows = false;
        let along = self.along(node).filter(|_| group);
        if let Some((along, elements)) = along {
            size = elements;
            class = Class::Row;
            match along {
                // Across rows of one element: that is everything.
                Along::Columns(columns) => {
                    width = Some(columns);
                    class = Class::Column;
                }
                Along::Rows(columns) => {
                    width = Some(columns);
                    combines_rows = true;
                }
                _ => {}
            }
        }
        self.class[node as usize] = class;
        self.units.push(Unit {
            nodes: SmallVec::from_slice(&[node]),
            group,
            size,
            width,
            combines_rows,
            combines_all: matches!(along, Some((Along::All, _))),
            reads: SmallVec::new(),
            visited: 0,
        });
        let unit = (self.units.len() - 1) as u32;
        self.joined.push(unit);
        unit
    }

    /// Whether `unit` must wait for `other`, directly or (if `beyond` is not `OUTSIDE`) by a way that does not begin with a
    /// step to `beyond`.
    fn waits_for(&mut self, unit: u32, other: u32, beyond: u32) -> bool {
        self.visit += 1;
        let mut open: SmallVec<[u32; 32]> = SmallVec::from_slice(&[unit]);
        while let Some(at) = open.pop() {
            for k in 0..self.units[at as usize].reads.len() {
                let next = self.find(self.units[at as usize].reads[k]);
                if at == unit && next == beyond {
                    continue;
                }
                if next == other {
                    return true;
                }
                if self.units[next as usize].visited != self.visit {
                    self.units[next as usize].visited = self.visit;
                    open.push(next);
                }
            }
        }
        false
    }

    /// The elements that a member of a group of the given space and width reads of another member through operand `k`, and the width
    /// that this settles; `None` if it cannot.
    fn passed(
        &self,
        reader: u32,
        k: usize,
        size: usize,
        width: Option<usize>,
    ) -> Option<(Class, Option<usize>)> {
        let reading = self.reading(reader, k);
        let on_rows = self.class[reader as usize] == Class::Row
            && matches!(self.graph.nodes[reader as usize].op, Op::Elementwise(_));
        match reading {
            Reading::Flat { offset: 0 } if on_rows => Some((Class::Row, width)),
            Reading::Flat { offset: 0 } => Some((Class::Full, width)),
            Reading::Row {
                width: columns,
                offset: 0,
            } if !on_rows => {
                let settled = width.is_none_or(|w| w == columns) && columns <= LONGEST_ROW;
                settled.then_some((Class::Row, Some(columns)))
            }
            Reading::Single { offset: 0 } if size <= LONGEST_SINGLE || on_rows => {
                if size == 1 {
                    return Some((Class::Full, width));
                }
                width
                    .is_none_or(|w| w == size)
                    .then_some((Class::Row, Some(size)))
            }
            _ => None,
        }
    }

    /// Tries to make `node` a member of the group of some of its readers.
    fn join(&mut self, node: u32, unit: u32, readers: &[u32]) -> bool {
        let Unit {
            group,
            size,
            width,
            combines_all,
            ref nodes,
            ..
        } = self.units[unit as usize];
        if !group || nodes.len() >= MOST {
            return false;
        }
        let mut width = width;
        let mut class = None;
        for at in 0..self.readers[node as usize].len() {
            let (reader, k) = self.readers[node as usize][at];
            if self.unit(reader) != unit {
                continue;
            }
            match self.passed(reader, k as usize, size, width) {
                Some((passed, settled)) if class.is_none_or(|c| c == passed) => {
                    class = Some(passed);
                    width = settled;
                }
                _ => return self.absorb(node, unit, readers),
            }
        }
        let Some(class) = class else {
            return false;
        };
        if !self.fits(node, class, size, width) || (combines_all && !divides(size, width)) {
            return self.absorb(node, unit, readers);
        }
        if readers
            .iter()
            .any(|&other| other != unit && self.waits_for(unit, other, OUTSIDE))
        {
            return false;
        }
        self.class[node as usize] = class;
        let combines = self.along(node).is_some();
        let group = &mut self.units[unit as usize];
        group.nodes.push(node);
        group.width = width;
        group.combines_rows |= combines;
        true
    }

    /// Whether a node has the elements that its readers in a group read of it.
    fn fits(&self, node: u32, class: Class, size: usize, width: Option<usize>) -> bool {
        let this = &self.graph.nodes[node as usize];
        match (self.along(node), class) {
            (None, Class::Full) => this.shape.size() == size,
            (None, _) => {
                // What is computed for each row reads what lies as the rows do.
                let plain = |k| {
                    matches!(
                        self.reading(node, k),
                        Reading::Flat { .. } | Reading::Single { .. }
                    )
                };
                width.is_some_and(|w| this.shape.size() * w == size)
                    && (0..this.inputs.len()).all(plain)
            }
            (Some((along, elements)), Class::Row) => {
                let columns = match along {
                    Along::All => elements,
                    Along::Rows(columns) => columns,
                    _ => return false,
                };
                let longest = if columns == size {
                    LONGEST_SINGLE
                } else {
                    LONGEST_ROW
                };
                elements == size && width == Some(columns) && columns <= longest
            }
            _ => false,
        }
    }

    /// Tries to make what is computed from a sum over everything, one number each, a part of the group of the sum.
    fn absorb(&mut self, node: u32, unit: u32, readers: &[u32]) -> bool {
        let Some((Along::All, elements)) = self.along(node) else {
            return false;
        };
        let group = &self.units[unit as usize];
        let singles = group.size == 1 && group.width.is_none();
        if !singles || elements == 1 || elements > SMALL {
            return false;
        }
        if readers
            .iter()
            .any(|&other| other != unit && self.waits_for(unit, other, OUTSIDE))
        {
            return false;
        }
        let members = self.units[unit as usize].nodes.clone();
        for member in members {
            self.class[member as usize] = Class::Row;
        }
        self.class[node as usize] = Class::Row;
        let group = &mut self.units[unit as usize];
        group.nodes.push(node);
        group.size = elements;
        group.width = Some(elements);
        group.combines_rows = true;
        true
    }

    /// Tries to make two groups one.
    fn merge(&mut self, a: u32, b: u32) {
        let (first, second) = (&self.units[a as usize], &self.units[b as usize]);
        let width = match (first.width, second.width) {
            (Some(x), Some(y)) if x != y => return,
            (x, y) => x.or(y),
        };
        let combines = first.combines_rows || second.combines_rows;
        let combines_all = first.combines_all || second.combines_all;
        if first.size != second.size || first.nodes.len() + second.nodes.len() > MOST {
            return;
        }
        let size = first.size;
        let Some(width) = self
            .passes_between(a, b, width)
            .and_then(|w| self.passes_between(b, a, w))
        else {
            return;
        };
        let longest = if width.is_none_or(|w| w == size) {
            LONGEST_SINGLE
        } else {
            LONGEST_ROW
        };
        if combines && width.unwrap_or(size) > longest || combines_all && !divides(size, width) {
            return;
        }
        if self.waits_for(a, b, b) || self.waits_for(b, a, a) {
            return;
        }
        let second = std::mem::take(&mut self.units[b as usize].nodes);
        let reads = std::mem::take(&mut self.units[b as usize].reads);
        self.joined[b as usize] = a;
        let first = &mut self.units[a as usize];
        first.nodes.extend(second);
        first.width = width;
        first.combines_rows |= combines;
        first.combines_all |= combines_all;
        for unit in reads {
            if !first.reads.contains(&unit) {
                first.reads.push(unit);
            }
        }
        let reads = std::mem::take(&mut self.units[a as usize].reads);
        self.units[a as usize].reads = reads
            .into_iter()
            .filter(|&unit| self.find(unit) != a)
            .collect();
    }

    /// Whether what members of `to` read of members of `from` can stay in the group: the width that this settles.
    fn passes_between(&self, from: u32, to: u32, width: Option<usize>) -> Option<Option<usize>> {
        let size = self.units[from as usize].size;
        let mut width = width;
        for &reader in &self.units[to as usize].nodes {
            for (k, &input) in self.graph.nodes[reader as usize].inputs.iter().enumerate() {
                let base = self.seen(input).base;
                if self.unit(base) != from {
                    continue;
                }
                match self.passed(reader, k, size, width) {
                    Some((class, settled)) if class == self.class[base as usize] => width = settled,
                    _ => return None,
                }
                // A sum over everything is there for the other members only if it is that of the only row.
                let all = matches!(self.along(base), Some((Along::All, _)));
                if all && width != Some(size) {
                    return None;
                }
            }
        }
        Some(width)
    }

    /// Joins groups that read the same large value from memory.
    fn join_readers_of_one_value(&mut self) {
        for base in 0..self.readers.len() {
            let large = self.graph.nodes[base].shape.size() >= LARGE;
            if !large || self.readers[base].len() < 2 {
                continue;
            }
            let mut units: SmallVec<[u32; 4]> = SmallVec::new();
            for at in 0..self.readers[base].len() {
                let (reader, k) = self.readers[base][at];
                let unit = self.unit(reader);
                // Others than groups read as they like, in any shape.
                if !self.units[unit as usize].group || units.contains(&unit) {
                    continue;
                }
                if matches!(self.reading(reader, k as usize), Reading::Flat { .. }) {
                    units.push(unit);
                }
            }
            for i in 1..units.len() {
                for j in 0..i {
                    let (a, b) = (self.find(units[j]), self.find(units[i]));
                    if a != b {
                        self.merge(a, b);
                    }
                }
            }
        }
    }

    /// The units in an order in which each comes after those it reads, otherwise in that in which their nodes were recorded.
    pub fn order(&mut self) -> Vec<u32> {
        use std::cmp::Reverse;
        let live = (0..self.units.len() as u32).filter(|&unit| self.find(unit) == unit);
        let live: Vec<u32> = live.collect();
        let mut waiting = vec![0usize; self.units.len()];
        let mut readers: Vec<SmallVec<[u32; 4]>> = vec![SmallVec::new(); self.units.len()];
        let mut last = vec![0; self.units.len()];
        for &unit in &live {
            let mut reads: SmallVec<[u32; 8]> = SmallVec::new();
            for &read in &self.units[unit as usize].reads {
                let read = self.find(read);
                if read != unit && !reads.contains(&read) {
                    reads.push(read);
                }
            }
            waiting[unit as usize] = reads.len();
            for read in reads {
                readers[read as usize].push(unit);
            }
            self.units[unit as usize].nodes.sort_unstable();
            last[unit as usize] = *self.units[unit as usize].nodes.last().expect("a node");
        }
        let mut ready: std::collections::BinaryHeap<Reverse<(u32, u32)>> = live
            .iter()
            .filter(|&&unit| waiting[unit as usize] == 0)
            .map(|&unit| Reverse((last[unit as usize], unit)))
            .collect();
        let mut order = Vec::with_capacity(live.len());
        while let Some(Reverse((_, unit))) = ready.pop() {
            order.push(unit);
            for &reader in &readers[unit as usize] {
                waiting[reader as usize] -= 1;
                if waiting[reader as usize] == 0 {
                    ready.push(Reverse((last[reader as usize], reader)));
                }
            }
        }
        debug_assert_eq!(order.len(), live.len(), "units that wait for each other");
        order
    }
}
