//! Elements chosen by indices that are data: gather, scatter, selection of rows, one-hot rows.

use super::table::{Domain, Row, Shapes, row};
use crate::element::{
    Any as AnyOf, Dtype, Element, Float, Number, with_dtype, with_float, with_number,
};
use crate::kernel::copy::copy_strided;
use crate::kernel::index;
use crate::shape::{Shape, or_panic, resolve_axis};
use crate::tape::{AnyVar, Batch, Input, Op, Operation, Output, Pullback, Reads, Var, same};
use crate::tensor::Tensor;
use std::any::Any;

/// `y[i][j][k] = x[index[i][j][k]][j][k]` for axis 0, and likewise for the others.
#[derive(Debug, PartialEq)]
struct Gather {
    axis: usize,
}

impl Operation for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let ((dtype, source), (_, index)) = (inputs[0], inputs[1]);
        if !covered(index, source, Some(self.axis)) {
            return Err(format!(
                "the index {index} reaches beyond {source} outside axis {}",
                self.axis
            ));
        }
        Ok((dtype, index.clone()))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let (x, i) = (&inputs[0], &inputs[1]);
        with_dtype!(output.dtype(), T => {
            index::gather::<T>(x.storage(), x.layout(), self.axis, i.storage(), i.layout(), output.elements())
        })
    }

    fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
        let shape = pullback.inputs[0].shape();
        with_float!(pullback.dtype, T => {
            let ct = pullback.cotangent.assume::<T>();
            let zeros = ct.tape().full(shape, T::ZERO);
            zeros.scatter_add(self.axis as isize, pullback.inputs[1].assume(), ct).erase()
        })
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let axis = self.axis + 1;
        let inputs = batch.all();
        Some(inputs[0].tape().record(Gather { axis }, &inputs))
    }

    fn is_differentiable(&self, k: usize) -> bool {
        k == 0
    }

    fn reads(&self) -> Reads {
        Reads::INPUTS
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

/// `y = x`, then `y[index[i][j][k]][j][k] += source[i][j][k]` for axis 0, and likewise for the others.
#[derive(Debug, PartialEq)]
struct ScatterAdd {
    axis: usize,
}

impl Operation for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let ((dtype, x), (_, index), (_, source)) = (inputs[0], inputs[1], inputs[2]);
        if !covered(index, x, Some(self.axis)) {
            return Err(format!(
                "the index {index} reaches beyond {x} outside axis {}",
                self.axis
            ));
        }
        if !covered(index, source, None) {
            return Err(format!(
                "the index {index} reaches beyond the source {source}"
            ));
        }
        Ok((dtype, x.clone()))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let [x, i, source] = inputs else {
            unreachable!("three inputs are recorded")
        };
        with_number!(output.dtype(), T => {
            let overwrites = output.overwrites();
            let out = output.elements::<T>();
            let (shape, layout) = (x.layout().shape(), x.layout());
            if !overwrites {
                copy_strided(x.storage::<T>(), shape, layout.strides(), layout.offset(), out);
            }
            let (indices, values) = (i.storage(), source.storage());
            index::scatter_add::<T>(out, shape, self.axis, indices, i.layout(), values, source.layout())
        })
    }

    fn overwrites(&self) -> Option<usize> {
        Some(0)
    }

    fn vjp(&self, pullback: &Pullback<'_>, k: usize) -> AnyVar {
        if k == 0 {
            return pullback.cotangent;
        }
        let shape = pullback.inputs[2].shape();
        with_float!(pullback.dtype, T => {
            let ct = pullback.cotangent.assume::<T>();
            let used = ct.gather(self.axis as isize, pullback.inputs[1].assume());
            // A source that is larger than the index is not read beyond it.
            let read = used.shape();
            (0..shape.rank())
                .filter(|&a| read[a] < shape[a])
                .fold(used, |ct, a| ct.pad(a as isize, 0, shape[a] - read[a]))
                .erase()
        })
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let axis = self.axis + 1;
        let inputs = batch.all();
        Some(inputs[0].tape().record(ScatterAdd { axis }, &inputs))
    }

    fn is_differentiable(&self, k: usize) -> bool {
        k != 1
    }

    fn reads(&self) -> Reads {
        Reads::INPUTS
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

/// `y[i] = x[index[i]]` along an axis.
#[derive(Debug, PartialEq)]
struct IndexSelect {
    axis: usize,
}

impl Operation for IndexSelect {
    fn name(&self) -> &'static str {
        "index_select"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let ((dtype, source), (_, index)) = (inputs[0], inputs[1]);
        match index[..] {
            [count] => Ok((dtype, source.with_size(self.axis, count))),
            _ => Err(format!("the index {index} must have one axis")),
        }
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let (x, i) = (&inputs[0], &inputs[1]);
        with_dtype!(output.dtype(), T => {
            index::index_select::<T>(x.storage(), x.layout(), self.axis, i.storage(), i.layout(), output.elements())
        })
    }

    fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
        let size = pullback.inputs[0].shape()[self.axis];
        let adjoint = IndexAdd {
            axis: self.axis,
            size,
        };
        pullback
            .cotangent
            .tape
            .record(adjoint, &[pullback.cotangent, pullback.inputs[1]])
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let axis = self.axis + 1;
        let source = batch.whole(0);
        let tape = source.tape();
        if !batch.differs(1) {
            return Some(tape.record(IndexSelect { axis }, &[source, batch.inputs[1]]));
        }
        let count = batch.example(1)[0];
        let index = along(batch.input(1), axis, &source.shape().with_size(axis, count));
        Some(tape.record(Gather { axis }, &[source, index]))
    }

    fn is_differentiable(&self, k: usize) -> bool {
        k == 0
    }

    fn reads(&self) -> Reads {
        Reads::INPUTS
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

/// The adjoint of [`IndexSelect`]: `y = 0`, then `y[index[i]] += x[i]` along an axis.
#[derive(Debug, PartialEq)]
struct IndexAdd {
    axis: usize,
    size: usize,
}

impl Operation for IndexAdd {
    fn name(&self) -> &'static str {
        "index_add"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let ((dtype, source), (_, index)) = (inputs[0], inputs[1]);
        if index.rank() != 1 || index[0] != source[self.axis] {
            return Err(format!(
                "the index {index} does not name each part of {source} along axis {}",
                self.axis
            ));
        }
        Ok((dtype, source.with_size(self.axis, self.size)))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let (x, i) = (&inputs[0], &inputs[1]);
        with_number!(output.dtype(), T => {
            let out = output.elements::<T>();
            out.fill(T::ZERO);
            let (indices, values) = (i.storage(), x.storage());
            index::index_add::<T>(out, self.size, self.axis, indices, i.layout(), values, x.layout())
        })
    }

    fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
        let adjoint = IndexSelect { axis: self.axis };
        pullback
            .cotangent
            .tape
            .record(adjoint, &[pullback.cotangent, pullback.inputs[1]])
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let axis = self.axis + 1;
        let source = batch.whole(0);
        let (tape, shape) = (source.tape(), source.shape());
        if !batch.differs(1) {
            let behind = IndexAdd { axis, ..*self };
            return Some(tape.record(behind, &[source, batch.inputs[1]]));
        }
        let index = along(batch.input(1), axis, &shape);
        let sizes = shape.with_size(axis, self.size);
        let zeros = with_number!(source.dtype(), T => {
            tape.full(sizes, <T as Element>::ZERO).erase()
        });
        Some(tape.record(ScatterAdd { axis }, &[zeros, index, source]))
    }

    fn is_differentiable(&self, k: usize) -> bool {
        k == 0
    }

    fn reads(&self) -> Reads {
        Reads::INPUTS
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

/// Rows of zeros with a one at the index.
#[derive(Debug, PartialEq)]
struct OneHot {
    classes: usize,
    dtype: Dtype,
}

impl Operation for OneHot {
    fn name(&self) -> &'static str {
        "one_hot"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let (_, shape) = inputs[0];
        Ok((self.dtype, shape.with_inserted(shape.rank(), self.classes)))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let i = &inputs[0];
        with_dtype!(output.dtype(), T => {
            index::one_hot::<T>(i.storage(), i.layout(), self.classes, output.elements())
        })
    }

    fn vjp(&self, _pullback: &Pullback<'_>, _k: usize) -> AnyVar {
        unreachable!("an index has no cotangent")
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let index = batch.whole(0);
        let (classes, dtype) = (self.classes, self.dtype);
        Some(index.tape().record(OneHot { classes, dtype }, &[index]))
    }

    fn is_differentiable(&self, _k: usize) -> bool {
        false
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

/// One list of indices for each example of a batch, as an index of each element of `shape` along `axis`.
fn along(index: Var<i64>, axis: usize, shape: &Shape) -> AnyVar {
    let size = |a: usize| if a == 0 || a == axis { shape[a] } else { 1 };
    let sizes: Shape = (0..shape.rank()).map(size).collect();
    index.reshape(sizes).expand(shape).erase()
}

/// Whether `index` lies within `shape` along every axis, but perhaps one.
fn covered(index: &Shape, shape: &Shape, except: Option<usize>) -> bool {
    index.rank() == shape.rank()
        && (0..index.rank()).all(|a| Some(a) == except || index[a] <= shape[a])
}

impl Var<i64> {
    /// Panics at the caller's line if an index that is known already is out of range for an axis of `size`.
    #[track_caller]
    pub(crate) fn assert_indices(self, operation: &str, axis: usize, size: usize) {
        let known: Option<Tensor<i64>> = self.given();
        if let Some(known) = known {
            or_panic(
                operation,
                index::check(known.storage(), known.layout(), axis, size),
            );
        }
    }

    /// Rows of zeros with a one at each index, along a new last axis of size `classes`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let labels = tape.constant(&Tensor::from([2, 0]));
    /// assert_eq!(labels.one_hot(3).value(), Tensor::from([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped, or an index is not in `0..classes`: here where the indices are given, when the value is
    /// computed where they are computed.
    #[track_caller]
    pub fn one_hot<T: Number>(self, classes: usize) -> Var<T> {
        let rank = self.tape().shape_of("one_hot", self.erase()).rank();
        self.assert_indices("one_hot", rank, classes);
        self.tape()
            .record(
                OneHot {
                    classes,
                    dtype: T::DTYPE,
                },
                &[self.erase()],
            )
            .assume()
    }
}

impl<T: Element> Var<T> {
    /// The tensor of a variable that was given to the tape, not computed.
    #[track_caller]
    fn given(self) -> Option<Tensor<T>> {
        self.tape()
            .leaf_value(self.erase())
            .and_then(|(value, shape)| value.into_tensor(&shape))
    }

    /// Elements at indices along an axis; along the others, those at the same place.
    ///
    /// Formula: for axis 0 of three, `y[i][j][k] = x[index[i][j][k]][j][k]`.
    ///
    /// # Shapes
    /// The index has as many axes, and is not larger along the others; the result has its shape.
    ///
    /// # Derivative
    /// The cotangent is added up where the elements came from.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let index = tape.constant(&Tensor::from([[1], [0]]));
    /// assert_eq!(x.gather(1, index).value(), Tensor::from([[2.0], [3.0]]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range, the shapes do not fit, the variables are of two tapes, or the tape was reset or dropped; if an
    /// index is out of range: here where the indices are given, when the value is computed where they are computed.
    #[track_caller]
    pub fn gather(self, axis: isize, index: Var<i64>) -> Self {
        let shape = self.tape().shape_of("gather", self.erase());
        let axis = or_panic("gather", resolve_axis(axis, shape.rank()));
        index.assert_indices("gather", axis, shape[axis]);
        self.tape()
            .record(Gather { axis }, &[self.erase(), index.erase()])
            .assume()
    }

    /// The parts at indices along an axis: rows of a table, for axis 0.
    ///
    /// # Shapes
    /// The index has one axis; its size replaces that of the axis.
    ///
    /// # Derivative
    /// The cotangent is added up where the parts came from.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let rows = tape.constant(&Tensor::from([1, 1, 0]));
    /// let y = x.index_select(0, rows);
    /// assert_eq!(y.value(), Tensor::from([[3.0, 4.0], [3.0, 4.0], [1.0, 2.0]]));
    /// assert_eq!(y.sum().gradient(x).value(), Tensor::from([[1.0, 1.0], [2.0, 2.0]]));
    /// ```
    ///
    /// # Panics
    /// As [`gather`](Var::gather).
    #[track_caller]
    pub fn index_select(self, axis: isize, index: Var<i64>) -> Self {
        let shape = self.tape().shape_of("index_select", self.erase());
        let axis = or_panic("index_select", resolve_axis(axis, shape.rank()));
        index.assert_indices("index_select", axis, shape[axis]);
        self.tape()
            .record(IndexSelect { axis }, &[self.erase(), index.erase()])
            .assume()
    }
}

impl<T: Number> Var<T> {
    /// These elements, with those of `source` added at indices along an axis; along the others, at the same place. Where indices
    /// repeat, all are added, in order.
    ///
    /// Formula: for axis 0 of three, `y = x`, then `y[index[i][j][k]][j][k] += source[i][j][k]`.
    ///
    /// # Shapes
    /// The index has as many axes as this, is not larger along the others, and not larger than the source.
    ///
    /// # Derivative
    /// The cotangent `c` for this; `c.gather(axis, index)` for the source.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// let index = tape.constant(&Tensor::from([1, 1, 0]));
    /// let source = tape.leaf(&Tensor::from([10.0, 20.0, 30.0]));
    /// assert_eq!(x.scatter_add(0, index, source).value(), Tensor::from([31.0, 32.0]));
    /// ```
    ///
    /// # Panics
    /// As [`gather`](Var::gather).
    #[track_caller]
    pub fn scatter_add(self, axis: isize, index: Var<i64>, source: Self) -> Self {
        let shape = self.tape().shape_of("scatter_add", self.erase());
        let axis = or_panic("scatter_add", resolve_axis(axis, shape.rank()));
        index.assert_indices("scatter_add", axis, shape[axis]);
        self.tape()
            .record(
                ScatterAdd { axis },
                &[self.erase(), index.erase(), source.erase()],
            )
            .assume()
    }
}

/// The sum of two cotangents, of which `scattered` is zero but at indices: those elements are added to the others, so that the
/// table of zeros is never made. `None` if it is anything else.
pub(super) fn added_to(scattered: AnyVar, others: AnyVar) -> Option<AnyVar> {
    let operands = {
        let arena = scattered.tape.live()?;
        let graph = arena.graph.borrow();
        let node = graph.node(scattered.index);
        let Op::Call(operation) = &node.op else {
            return None;
        };
        let &ScatterAdd { axis } = (&**operation as &dyn Any).downcast_ref()?;
        let (base, index, source) = (node.inputs[0], node.inputs[1], node.inputs[2]);
        let is_zero = matches!(
            graph.node(base).op,
            Op::Fill(AnyOf::F32(0.0) | AnyOf::F64(0.0))
        );
        is_zero.then_some((axis, index, source))
    };
    let (axis, index, source) = operands?;
    let tape = scattered.tape;
    let inputs = [others, tape.var(index), tape.var(source)];
    Some(tape.record(ScatterAdd { axis }, &inputs))
}

/// The remainder of counting by `stride`, as an index of a shape into an axis of `size`.
fn pattern<T: Float>(like: Var<T>, shape: &[usize], size: usize) -> Var<i64> {
    let count: usize = shape.iter().product();
    let indices = (0..count).map(|i| (i * 5 % size) as i64).collect();
    match Tensor::from_vec(shape, indices) {
        Ok(index) => like.tape().constant(&index),
        Err(error) => unreachable!("{error}"),
    }
}

const ANY: &[Domain] = &[Domain::Interval(-2.0, 2.0)];
const PAIR: &[Domain] = &[Domain::Interval(-2.0, 2.0), Domain::Interval(-2.0, 2.0)];
const TABLES: Shapes = Shapes::Given(&[&[&[3, 2]], &[&[4, 3]]]);

/// The rows of this family.
pub(super) const ROWS: &[Row] = &[
    row!("gather(0)", ANY, TABLES, |x| x[0]
        .gather(0, pattern(x[0], &[5, 2], 3))),
    row!("gather(-1)", ANY, TABLES, |x| x[0]
        .gather(-1, pattern(x[0], &[2, 4], 2))),
    row!("gather of none", ANY, TABLES, |x| x[0]
        .gather(0, pattern(x[0], &[0, 2], 3))),
    row!("index_select(0)", ANY, TABLES, |x| x[0]
        .index_select(0, pattern(x[0], &[4], 3))),
    row!(
        "index_select(1)",
        ANY,
        Shapes::Given(&[&[&[2, 3, 2]], &[&[0, 3, 2]]]),
        |x| { x[0].index_select(1, pattern(x[0], &[4], 3)) }
    ),
    row!(
        "scatter_add(0)",
        PAIR,
        Shapes::Given(&[&[&[3, 2], &[4, 2]]]),
        |x| { x[0].scatter_add(0, pattern(x[0], &[4, 2], 3), x[1]) }
    ),
    row!(
        "scatter_add of part",
        PAIR,
        Shapes::Given(&[&[&[3, 4], &[3, 5]]]),
        |x| { x[0].scatter_add(1, pattern(x[0], &[2, 3], 4), x[1]) }
    ),
];
