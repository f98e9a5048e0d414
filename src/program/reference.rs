//! The reference executor: one node at a time, elementwise nodes one element at a time, nothing freed, reused or skipped. It is
//! slow and plain, and what the planned executor is tested against.

use super::execute::Fault;
use super::needed::see;
use super::value::{copy, reduce_any};
use crate::element::{Element, Slice, SliceMut, with_dtype};
use crate::kernel::elementwise::{self, Kernel};
use crate::shape::{Layout, Shape};
use crate::tape::{Graph, Input, Node, Op, Output};
use crate::tensor::{AnyTensor, Buffer, Storage, Storages, Tensors};
use smallvec::SmallVec;
use std::sync::Arc;

/// Computes `target` apart from every value that the tape holds, but for its leaves.
pub(super) fn evaluate_alone(graph: &Graph, target: u32) -> Result<Buffer, Fault> {
    let mut values: Vec<Option<Buffer>> = Vec::new();
    // Nodes that the target does not depend on may have no value at all: those that stand for others.
    let mut needed = vec![false; target as usize + 1];
    needed[target as usize] = true;
    for index in (0..=target).rev() {
        if needed[index as usize] {
            for &input in &graph.node(index).inputs {
                needed[input as usize] = true;
            }
        }
    }
    for index in 0..=target {
        let node = graph.node(index);
        let value = match &node.op {
            _ if !needed[index as usize] => None,
            Op::Leaf => graph.values[index as usize].clone(),
            _ => Some(compute(graph, node, &values).map_err(|message| Fault {
                node: index,
                message,
            })?),
        };
        values.push(value);
    }
    Ok(values
        .pop()
        .flatten()
        .expect("the target was computed last"))
}

/// What is shown each value: the number of the node, and the value, which it may change.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&Graph, u32, &mut AnyTensor);

impl Graph {
    /// Computes what `targets` depend on, apart from every value that the tape holds but for its leaves,
    /// in the order of recording. What `each` makes of a value is what the nodes after it read.
    pub(crate) fn each_value(&self, targets: &[u32], each: Each<'_>) -> Result<(), String> {
        let last = targets.iter().copied().max();
        let mut needed = vec![false; last.map_or(0, |last| last as usize + 1)];
        targets.iter().for_each(|&t| needed[t as usize] = true);
        for at in (0..needed.len()).rev() {
            if needed[at] {
                let inputs = self.node(at as u32).inputs.iter();
                inputs.for_each(|&input| needed[input as usize] = true);
            }
        }
        let mut values: Vec<Option<Buffer>> = Vec::new();
        for (at, &needed) in needed.iter().enumerate() {
            let node = self.node(at as u32);
            let value = match &node.op {
                _ if !needed => None,
                Op::Leaf => self.values[at].clone(),
                _ => {
                    let computed = compute(self, node, &values);
                    let place = |fault| format!("{}: {fault} ({})", node.op.name(), node.location);
                    Some(computed.map_err(place)?)
                }
            };
            let shown = value.map(|value| {
                with_dtype!(node.dtype, T => {
                    let tensor = value.into_tensor::<T>(&node.shape);
                    let tensor = tensor.expect("the type that was recorded");
                    let mut tensor = T::erase::<Tensors>(tensor);
                    each(self, at as u32, &mut tensor);
                    let tensor = T::restore::<Tensors>(tensor);
                    Buffer::of(&tensor.expect("the type that it was"))
                })
            });
            values.push(shown);
        }
        Ok(())
    }
}

fn compute(graph: &Graph, node: &Node, values: &[Option<Buffer>]) -> Result<Buffer, String> {
    let read: SmallVec<[(Slice<'_>, Layout); 3]> = node
        .inputs
        .iter()
        .map(|&i| input(graph.node(i), values[i as usize].as_ref()))
        .collect();
    let inputs: SmallVec<[Input<'_>; 3]> = read
        .iter()
        .map(|(data, layout)| Input {
            data: data.briefly(),
            layout,
        })
        .collect();
    if let Op::View(view) = &node.op
        && let Some(value) = &values[node.inputs[0] as usize]
        && let source = graph.node(node.inputs[0])
        && let Some(seen) = see(view, &node.shape, &value.layout_for(&source.shape))
    {
        return Ok(Buffer::viewed(value.storage.clone(), seen));
    }
    let size = node.shape.size();
    with_dtype!(node.dtype, T => {
        let storage = Storage::<T>::try_zeroed(size, size);
        let mut storage = storage.map_err(|error| error.to_string())?;
        match &node.op {
            Op::Elementwise(op) => one_by_one(&op.kernel, node, &inputs, &mut storage),
            _ => evaluate(node, &inputs, T::erase(&mut storage[..]))?,
        }
        Ok(Buffer::plain(T::erase::<Storages>(Arc::new(storage))))
    })
}

/// Applies a kernel to slices of one element, found by counting through the index space.
fn one_by_one<T: Element>(kernel: &Kernel, node: &Node, inputs: &[Input<'_>], out: &mut [T]) {
    let layouts: SmallVec<[_; 3]> = inputs
        .iter()
        .map(|input| input.layout.expand(&node.shape))
        .collect();
    let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, node.shape.rank());
    for element in out.chunks_exact_mut(1) {
        let operands: SmallVec<[_; 3]> = inputs
            .iter()
            .zip(&layouts)
            .map(|(input, layout)| input.data.range(layout.position(&index), 1))
            .collect();
        elementwise::apply(kernel, &operands, T::erase(element));
        for (i, &n) in index.iter_mut().zip(&node.shape[..]).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
}

/// An input as a kernel sees it. A number that is the same everywhere has no buffer: it is read from its node.
fn input<'a>(node: &'a Node, value: Option<&'a Buffer>) -> (Slice<'a>, Layout) {
    match (&node.op, value) {
        (_, Some(value)) => (value.storage.as_slice(), value.layout_for(&node.shape)),
        (Op::Fill(number), None) => (
            number.as_slice(),
            Layout::contiguous(Shape::scalar()).expand(&node.shape),
        ),
        (op, None) => unreachable!("{} is read before it is computed", op.name()),
    }
}

/// Computes a node with a buffer of its own; not for leaves, nor for elementwise nodes.
fn evaluate(node: &Node, inputs: &[Input<'_>], out: SliceMut<'_>) -> Result<(), String> {
    match &node.op {
        Op::Fill(number) => copy(
            number.as_slice(),
            &Layout::contiguous(Shape::scalar()).expand(&node.shape),
            out,
        ),
        // A view that no layout of the input's storage can express: a copy in row-major order.
        Op::View(_) => copy(inputs[0].data, inputs[0].layout, out),
        Op::Reduce(kind, axes) => {
            return reduce_any(*kind, inputs[0].data, inputs[0].layout, axes, out);
        }
        Op::Call(operation) => {
            return operation.forward(
                inputs,
                Output {
                    data: out,
                    overwrites: false,
                },
            );
        }
        Op::Leaf | Op::Elementwise(_) => unreachable!("{} is not computed here", node.op.name()),
    }
    Ok(())
}
