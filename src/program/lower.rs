//! From units to steps: the recipe of each group, and what each step reads and writes.

use super::access::Reading;
use super::along::{Along, along};
use super::fuse::{Fusion, OUTSIDE};
use super::layout::{Draft, Drafts};
use super::plan::{Form, Given, Named, Plan, Work};
use crate::kernel::pass::{Access, Arg, Class, Make, Recipe, Source};
use crate::shape::{Layout, Shape};
use crate::tape::{Graph, Op};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// Makes the plan of computing `needed` (in order), of which `kept` are to outlive the run.
pub(super) fn plan(graph: &Graph, needed: &[u32], kept: impl Fn(u32) -> bool, form: Form) -> Plan {
    let mut fusion = Fusion::new(graph, needed, form != Form::Apart);
    let order = fusion.order();
    let mut lowering = Lowering {
        keeps: vec![false; graph.nodes.len()],
        value_of: vec![None; graph.nodes.len()],
        numbers: HashMap::new(),
        drafts: Drafts::default(),
        fusion,
    };
    let fetched: Vec<u32> = needed.iter().copied().filter(|&node| kept(node)).collect();
    for &node in &fetched {
        let base = lowering.fusion.seen(node).base;
        lowering.keeps[base as usize] = true;
    }
    for &node in &fetched {
        if matches!(graph.nodes[node as usize].op, Op::Fill(_)) {
            lowering.filled(node);
        }
    }
    for unit in order {
        if lowering.fusion.units[unit as usize].group {
            lowering.group(unit);
        } else {
            let node = lowering.fusion.units[unit as usize].nodes[0];
            lowering.alone(node);
        }
    }
    for &node in &fetched {
        let seen = lowering.fusion.seen(node).clone();
        let value = match graph.nodes[node as usize].op {
            Op::Fill(_) => lowering.value_of[node as usize].expect("a filled value"),
            _ => lowering.value(seen.base),
        };
        lowering.drafts.fetched.push((node, value, seen.layout));
    }
    let size = |&node: &u32| graph.nodes[node as usize].shape.size();
    let named = |&node: &u32| {
        let this = &graph.nodes[node as usize];
        Named {
            node,
            name: this.op.name(),
            dtype: this.dtype,
            shape: Shape::clone(&this.shape),
            location: this.location,
            extent: this.inputs.iter().map(size).fold(size(&node), usize::max),
        }
    };
    let mut plan = lowering.drafts.finish(form == Form::Fused);
    plan.given = plan
        .inputs
        .iter()
        .map(|given| named(&given.node()))
        .collect();
    plan.named = needed.iter().map(named).collect();
    plan
}

struct Lowering<'g> {
    fusion: Fusion<'g>,
    /// Whether the value of a node outlives the run.
    keeps: Vec<bool>,
    /// The value of each node that is written or was there before.
    value_of: Vec<Option<usize>>,
    numbers: HashMap<u32, usize>,
    drafts: Drafts,
}

impl Lowering<'_> {
    /// The value of a node that is no view and no number.
    fn value(&mut self, base: u32) -> usize {
        if let Some(value) = self.value_of[base as usize] {
            return value;
        }
        let node = &self.fusion.graph.nodes[base as usize];
        let value = if self.fusion.unit(base) == OUTSIDE {
            self.drafts
                .input(Given::Value(base), node.dtype, node.shape.size())
        } else {
            self.drafts
                .value(node.dtype, node.shape.size(), self.keeps[base as usize])
        };
        self.value_of[base as usize] = Some(value);
        value
    }

    /// The number that a node holds everywhere.
    fn number(&mut self, node: u32) -> usize {
        let dtype = self.fusion.graph.nodes[node as usize].dtype;
        let drafts = &mut self.drafts;
        *self
            .numbers
            .entry(node)
            .or_insert_with(|| drafts.input(Given::Number(node), dtype, 1))
    }

    /// What is read as an operand: a value, and how its elements lie for a reader that sees them in the shape of the operand.
    fn operand(&mut self, input: u32) -> (usize, Layout) {
        let node = &self.fusion.graph.nodes[input as usize];
        if let (Op::Fill(_), None) = (&node.op, &self.fusion.graph.values[input as usize]) {
            let layout = Layout::contiguous(Shape::scalar()).expand(&node.shape);
            return (self.number(input), layout);
        }
        let seen = self.fusion.seen(input).clone();
        let layout = seen
            .layout
            .unwrap_or_else(|| Layout::contiguous(Shape::clone(&node.shape)));
        (self.value(seen.base), layout)
    }

    /// Writes out a number that is kept.
    fn filled(&mut self, node: u32) {
        let this = &self.fusion.graph.nodes[node as usize];
        let number = self.number(node);
        let to = self.drafts.value(this.dtype, this.shape.size(), true);
        self.value_of[node as usize] = Some(to);
        self.drafts.steps.push(Draft {
            work: Work::Copy {
                layout: Layout::contiguous(Shape::scalar()).expand(&this.shape),
            },
            reads: SmallVec::from_slice(&[number]),
            writes: SmallVec::from_slice(&[to]),
            nodes: SmallVec::from_slice(&[node]),
        });
    }

    /// A node with a step of its own.
    fn alone(&mut self, node: u32) {
        let this = &self.fusion.graph.nodes[node as usize];
        let to = self.value(node);
        if this.shape.size() == 0 {
            return self.drafts.empty(to);
        }
        let operands: SmallVec<[(usize, Layout); 3]> = this
            .inputs
            .iter()
            .map(|&input| self.operand(input))
            .collect();
        let reads = operands.iter().map(|&(value, _)| value).collect();
        let mut layouts = operands.into_iter().map(|(_, layout)| layout);
        let work = match &this.op {
            Op::Reduce(kind, axes) => Work::Reduce {
                kind: *kind,
                axes: Shape::clone(axes),
                layout: layouts.next().expect("an operand"),
            },
            Op::View(_) => {
                // The elements of the source in row-major order, which are those of the view.
                let layout = layouts.next().expect("an operand");
                Work::Copy { layout }
            }
            Op::Call(operation) => Work::Call {
                operation: operation.clone(),
                layouts: layouts.collect(),
            },
            Op::Elementwise(_) => return self.pass(&[node]),
            op @ (Op::Leaf | Op::Fill(_)) => unreachable!("{} is not computed", op.name()),
        };
        self.drafts.steps.push(Draft {
            work,
            reads,
            writes: SmallVec::from_slice(&[to]),
            nodes: SmallVec::from_slice(&[node]),
        });
    }

    fn group(&mut self, unit: u32) {
        let nodes = self.fusion.units[unit as usize].nodes.clone();
        match nodes[..] {
            // The kernel for reductions knows more ways to go over its operand.
            [node] if matches!(self.fusion.graph.nodes[node as usize].op, Op::Reduce(..)) => {
                self.alone(node);
            }
            _ => self.pass(&nodes),
        }
    }

    /// The width of the rows of a group, if it was not settled by its members: that of the rows of an input.
    fn width(&self, nodes: &[u32]) -> usize {
        let graph = self.fusion.graph;
        let size = graph.nodes[nodes[0] as usize].shape.size();
        let mut width = size;
        for &node in nodes {
            let this = &graph.nodes[node as usize];
            match &this.op {
                Op::Reduce(_, axes) => {
                    // A sum over everything is one over a single row.
                    let shape = &graph.nodes[this.inputs[0] as usize].shape;
                    debug_assert_eq!(along(shape, axes), Along::All);
                    return shape.size();
                }
                _ => {
                    for k in 0..this.inputs.len() {
                        if let Reading::Row { width: w, .. } | Reading::Column { width: w, .. } =
                            self.fusion.reading(node, k)
                            && width == size
                        {
                            width = w;
                        }
                    }
                }
            }
        }
        width
    }

    /// A fused pass over the nodes of a group.
    fn pass(&mut self, nodes: &[u32]) {
        let graph = self.fusion.graph;
        let unit = self.fusion.unit(nodes[0]);
        let group = &self.fusion.units[unit as usize];
        let size = group.size;
        let width = group.width.unwrap_or_else(|| self.width(nodes));
        let mut inputs = Inputs::default();
        let mut code: Vec<Make> = Vec::new();
        let mut outputs: Vec<usize> = Vec::new();
        let mut writes: SmallVec<[usize; 2]> = SmallVec::new();
        let mut made: HashMap<u32, usize> = HashMap::new();
        for &node in nodes {
            let this = &graph.nodes[node as usize];
            let mut class = self.fusion.class[node as usize];
            let mut args: SmallVec<[Arg; 3]> = SmallVec::new();
            for (k, &input) in this.inputs.iter().enumerate() {
                let base = self.fusion.seen(input).base;
                args.push(match made.get(&base) {
                    Some(&value) => Arg::Value(value),
                    None => self.input(node, k, class, width, &mut inputs),
                });
            }
            let make = match &this.op {
                Op::Elementwise(op) => Make::Map {
                    kernel: op.kernel,
                    args,
                    class,
                },
                Op::Reduce(kind, axes) => {
                    let shape = &graph.nodes[this.inputs[0] as usize].shape;
                    if along(shape, axes) == Along::All {
                        class = if width == size {
                            Class::Row
                        } else {
                            Class::Single
                        };
                    }
                    Make::Reduce {
                        kind: *kind,
                        dtype: this.dtype,
                        arg: args[0],
                        class,
                    }
                }
                op => unreachable!("{} in a group", op.name()),
            };
            made.insert(node, code.len());
            let read_elsewhere = || {
                let readers = &self.fusion.readers[node as usize];
                readers
                    .iter()
                    .any(|&(reader, _)| self.fusion.unit(reader) != unit)
            };
            if self.keeps[node as usize]
                || matches!(class, Class::Column | Class::Single)
                || read_elsewhere()
            {
                outputs.push(code.len());
                writes.push(self.value(node));
            }
            code.push(make);
        }
        if size == 1 {
            // No element is there for others too: nothing is repeated, and all may be overwritten.
            let single = |source: &&mut Source| source.access == Access::Single;
            for source in inputs.sources.iter_mut().filter(single) {
                source.access = Access::Flat;
            }
        }
        let recipe = Recipe {
            rows: size / width,
            width,
            inputs: inputs.sources,
            code,
            outputs,
        };
        self.drafts.steps.push(Draft {
            work: Work::Pass(Arc::new(recipe.compile())),
            reads: inputs.values,
            writes,
            nodes: SmallVec::from_slice(nodes),
        });
    }

    /// Operand `k` of a member of a group, which comes from outside.
    fn input(
        &mut self,
        node: u32,
        k: usize,
        class: Class,
        width: usize,
        inputs: &mut Inputs,
    ) -> Arg {
        let graph = self.fusion.graph;
        let this = &graph.nodes[node as usize];
        let operand = this.inputs[k];
        let (value, layout) = self.operand(operand);
        let dtype = graph.nodes[operand as usize].dtype;
        let is_number = matches!(graph.nodes[operand as usize].op, Op::Fill(_))
            && graph.values[operand as usize].is_none();
        let (access, offset) = if is_number {
            (Access::Single, 0)
        } else {
            let on_rows = class == Class::Row && matches!(this.op, Op::Elementwise(_));
            match self.fusion.reading(node, k) {
                Reading::Flat { offset } if on_rows => (Access::Row, offset),
                reading => reading.access(width, || match this.op {
                    Op::Elementwise(_) => layout.expand(&this.shape),
                    _ => layout,
                }),
            }
        };
        inputs.add(
            value,
            Source {
                dtype,
                access,
                offset,
            },
        )
    }
}

/// The inputs of a pass.
#[derive(Default)]
struct Inputs {
    sources: Vec<Source>,
    values: SmallVec<[usize; 4]>,
}

impl Inputs {
    fn add(&mut self, value: usize, source: Source) -> Arg {
        let same = |(v, s): (&usize, &Source)| {
            *v == value && s.access == source.access && s.offset == source.offset
        };
        let known = self.values.iter().zip(&self.sources).position(same);
        Arg::Input(known.unwrap_or_else(|| {
            self.values.push(value);
            self.sources.push(source);
            self.sources.len() - 1
        }))
    }
}
