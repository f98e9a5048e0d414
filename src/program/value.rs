//! Single steps on values of any element type.

use crate::element::{Any, Slice, SliceMut};
use crate::kernel::copy::copy_strided;
use crate::kernel::reduce::{Reduction, reduce};
use crate::shape::Layout;

/// A reduction along `axes`.
pub(super) fn reduce_any(
    kind: Reduction,
    data: Slice<'_>,
    layout: &Layout,
    axes: &[usize],
    out: SliceMut<'_>,
) -> Result<(), String> {
    match (data, out) {
        (Any::F32(data), Any::F32(out)) => reduce(kind, data, layout, axes, out),
        (Any::F64(data), Any::F64(out)) => reduce(kind, data, layout, axes, out),
        (Any::I64(data), Any::I64(out)) => reduce(kind, data, layout, axes, out),
        (data, _) => return Err(format!("no reduction of {}", data.dtype())),
    }
    Ok(())
}

/// Copies the elements of a layout in row-major order.
pub(super) fn copy(data: Slice<'_>, layout: &Layout, out: SliceMut<'_>) {
    let (shape, strides, offset) = (layout.shape(), layout.strides(), layout.offset());
    match (data, out) {
        (Any::F32(data), Any::F32(out)) => copy_strided(data, shape, strides, offset, out),
        (Any::F64(data), Any::F64(out)) => copy_strided(data, shape, strides, offset, out),
        (Any::I64(data), Any::I64(out)) => copy_strided(data, shape, strides, offset, out),
        (Any::Bool(data), Any::Bool(out)) => copy_strided(data, shape, strides, offset, out),
        (data, out) => unreachable!("a copy of {} to {}", data.dtype(), out.dtype()),
    }
}
