//! The reference executor: one node at a time, elementwise nodes one element at a time, nothing freed, reused or skipped. It is
//! slow and plain, and what the planned executor is tested against.

use super::value::{Fault, evaluate, input, see};
use crate::element::{Element, with_dtype};
use crate::kernel::elementwise::{self, Kernel, Operand, Workspace};
use crate::tape::{Graph, Input, Node, Op};
use crate::tensor::{Buffer, Storage, Storages};
use smallvec::SmallVec;
use std::sync::Arc;

/// Computes `target` apart from every value that the tape holds, but for its leaves.
pub(super) fn evaluate_alone(graph: &Graph, target: u32) -> Result<Buffer, Fault> {
    let mut values: Vec<Option<Buffer>> = Vec::new();
    for index in 0..=target {
        let node = graph.node(index);
        let value = match &node.op {
            Op::Leaf => graph.values[index as usize].clone(),
            _ => Some(compute(graph, node, &values).map_err(|message| Fault::new(index, message))?),
        };
        values.push(value);
    }
    Ok(values
        .pop()
        .flatten()
        .expect("the target was computed last"))
}

fn compute(graph: &Graph, node: &Node, values: &[Option<Buffer>]) -> Result<Buffer, String> {
    let inputs: SmallVec<[Input<'_>; 3]> = node
        .inputs
        .iter()
        .map(|&i| input(graph.node(i), values[i as usize].as_ref()))
        .collect();
    if let Op::View(view) = &node.op
        && let Some(value) = &values[node.inputs[0] as usize]
        && let Some(seen) = see(view, node, graph.node(node.inputs[0]), value)
    {
        return Ok(seen);
    }
    let size = node.shape.size();
    with_dtype!(node.dtype, T => {
        let mut storage = Storage::<T>::zeroed(size, size);
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
            .map(|(input, layout)| Operand::Plain(input.data.range(layout.position(&index), 1)))
            .collect();
        elementwise::run(
            kernel,
            &operands,
            T::erase(element),
            &mut Workspace::default(),
        );
        for (i, &n) in index.iter_mut().zip(&node.shape[..]).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
}
