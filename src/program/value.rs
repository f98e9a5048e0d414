//! The value of one node from the values of its inputs: what both executors share.

use crate::element::{Any, Slice, SliceMut};
use crate::kernel::copy::copy_strided;
use crate::kernel::reduce::reduce;
use crate::shape::{Layout, Shape};
use crate::tape::{Graph, Input, Node, Op, Output, View};
use crate::tensor::Buffer;

/// Why a run could not compute a node.
#[derive(Debug)]
pub(crate) struct Fault {
    node: u32,
    message: String,
}

impl Fault {
    pub fn new(node: u32, message: String) -> Self {
        Fault { node, message }
    }

    /// Says which operation failed, and the line that recorded it.
    pub fn describe(&self, graph: &Graph) -> String {
        let node = graph.node(self.node);
        format!(
            "{}: {} (recorded at {})",
            node.op.name(),
            self.message,
            node.location
        )
    }
}

/// An input as a kernel sees it. A number that is the same everywhere has no buffer: it is read from its node.
pub(super) fn input<'a>(node: &'a Node, value: Option<&'a Buffer>) -> Input<'a> {
    match (&node.op, value) {
        (_, Some(value)) => Input {
            data: value.storage.as_slice(),
            layout: value.layout_for(&node.shape),
        },
        (Op::Fill(number), None) => Input {
            data: number.as_slice(),
            layout: Layout::contiguous(Shape::scalar()).expand(&node.shape),
        },
        (op, None) => unreachable!("{} is read before it is computed", op.name()),
    }
}

/// The value of a view as a layout of the storage of its input; `None` where no layout can say it.
pub(super) fn see(view: &View, node: &Node, source: &Node, value: &Buffer) -> Option<Buffer> {
    if value.layout.is_none() && matches!(view, View::Alias | View::Reshape) {
        return Some(value.clone());
    }
    let layout = value.layout_for(&source.shape);
    let seen = match view {
        View::Alias => layout,
        View::Reshape => layout.reshape(&node.shape)?,
        View::Permute(order) => layout.permute(order),
        View::Slice { axis, start, step } => layout.slice(*axis, *start, node.shape[*axis], *step),
        View::Expand => layout.expand(&node.shape),
    };
    Some(Buffer::viewed(value.storage.clone(), seen))
}

/// Computes a node with a buffer of its own; not for leaves, nor for elementwise nodes.
pub(super) fn evaluate(
    node: &Node,
    inputs: &[Input<'_>],
    mut out: SliceMut<'_>,
) -> Result<(), String> {
    match &node.op {
        Op::Fill(number) => copy(
            number.as_slice(),
            &Layout::contiguous(Shape::scalar()).expand(&node.shape),
            out,
        ),
        // A view that no layout of the input's storage can express: a copy in row-major order.
        Op::View(_) => copy(inputs[0].data, &inputs[0].layout, out),
        Op::Reduce(reduction, axes) => {
            let Input { data, layout } = &inputs[0];
            match (data, &mut out) {
                (Any::F32(data), Any::F32(out)) => reduce(*reduction, data, layout, axes, out),
                (Any::F64(data), Any::F64(out)) => reduce(*reduction, data, layout, axes, out),
                (Any::I64(data), Any::I64(out)) => reduce(*reduction, data, layout, axes, out),
                _ => return Err(format!("no reduction of {}", data.dtype())),
            }
        }
        Op::Call(operation) => return operation.forward(inputs, Output { data: out }),
        Op::Leaf | Op::Elementwise(_) => unreachable!("{} is not computed here", node.op.name()),
    }
    Ok(())
}

/// Copies the elements of a layout in row-major order.
fn copy(data: Slice<'_>, layout: &Layout, out: SliceMut<'_>) {
    let (shape, strides, offset) = (layout.shape(), layout.strides(), layout.offset());
    match (data, out) {
        (Any::F32(data), Any::F32(out)) => copy_strided(data, shape, strides, offset, out),
        (Any::F64(data), Any::F64(out)) => copy_strided(data, shape, strides, offset, out),
        (Any::I64(data), Any::I64(out)) => copy_strided(data, shape, strides, offset, out),
        (Any::Bool(data), Any::Bool(out)) => copy_strided(data, shape, strides, offset, out),
        (data, out) => unreachable!("a copy of {} to {}", data.dtype(), out.dtype()),
    }
}
