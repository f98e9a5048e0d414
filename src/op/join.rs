//! Tensors put together and taken apart: concatenation, stacking, splitting, padding.

use super::table::{Domain, Row, Shapes, row};
use crate::element::{Dtype, Element, Number, with_dtype};
use crate::kernel::place::place;
use crate::shape::{Layout, Shape, or_panic, resolve_axis, resolve_insertion, resolve_split};
use crate::tape::{AnyVar, Batch, Input, Operation, Output, Pullback, Reads, Var, same};

/// Inputs one after another along an axis.
#[derive(Debug, PartialEq)]
struct Concat {
    axis: usize,
}

impl Operation for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let (dtype, first) = inputs[0];
        let mut size = 0;
        for (_, shape) in inputs {
            if shape.rank() != first.rank()
                || shape.with_size(self.axis, first[self.axis]) != *first
            {
                return Err(format!(
                    "{shape} does not fit {first} along axis {}",
                    self.axis
                ));
            }
            size += shape[self.axis];
        }
        Ok((dtype, first.with_size(self.axis, size)))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let first = inputs[0].layout().shape();
        let size = inputs
            .iter()
            .map(|input| input.layout().shape()[self.axis])
            .sum();
        let whole = Layout::contiguous(first.with_size(self.axis, size));
        with_dtype!(output.dtype(), T => {
            let out = output.elements::<T>();
            let mut start = 0;
            for input in inputs {
                let count = input.layout().shape()[self.axis];
                place(input.storage::<T>(), input.layout(), out, &whole.slice(self.axis, start, count, 1));
                start += count;
            }
        });
        Ok(())
    }

    fn vjp(&self, pullback: &Pullback<'_>, k: usize) -> AnyVar {
        let size = |v: &AnyVar| v.shape()[self.axis] as isize;
        let start: isize = pullback.inputs[..k].iter().map(size).sum();
        let range = start..start + size(&pullback.inputs[k]);
        with_dtype!(pullback.dtype, T => {
            pullback.cotangent.assume::<T>().slice(self.axis as isize, range).erase()
        })
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let axis = self.axis + 1;
        let inputs = batch.all();
        Some(inputs[0].tape().record(Concat { axis }, &inputs))
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

/// The input amid zeros: `before`, then the elements `gap` zeros apart, then `after`, along one axis.
#[derive(Debug, PartialEq)]
struct Dilate {
    axis: usize,
    before: usize,
    after: usize,
    gap: usize,
}

impl Dilate {
    fn size(&self, count: usize) -> usize {
        let spread = match count.checked_sub(1) {
            None => 0,
            Some(gaps) => gaps.saturating_mul(self.gap + 1).saturating_add(1),
        };
        // A size that is out of range is refused as too large, not wrapped around.
        spread
            .saturating_add(self.before)
            .saturating_add(self.after)
    }
}

impl Operation for Dilate {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let (dtype, shape) = inputs[0];
        Ok((
            dtype,
            shape.with_size(self.axis, self.size(shape[self.axis])),
        ))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let layout = inputs[0].layout();
        let count = layout.shape()[self.axis];
        let whole = Layout::contiguous(layout.shape().with_size(self.axis, self.size(count)));
        with_dtype!(output.dtype(), T => {
            let out = output.elements::<T>();
            out.fill(T::ZERO);
            let places = whole.slice(self.axis, self.before, count, self.gap as isize + 1);
            place(inputs[0].storage::<T>(), layout, out, &places);
        });
        Ok(())
    }

    fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
        let count = pullback.inputs[0].shape()[self.axis];
        let end = self.before
            + if count == 0 {
                0
            } else {
                (count - 1) * (self.gap + 1) + 1
            };
        with_dtype!(pullback.dtype, T => {
            let ct = pullback.cotangent.assume::<T>();
            ct.slice_step(self.axis as isize, self.before as isize..end as isize, self.gap + 1).erase()
        })
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let behind = Dilate {
            axis: self.axis + 1,
            ..*self
        };
        let input = batch.whole(0);
        Some(input.tape().record(behind, &[input]))
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

impl<T: Element> Var<T> {
    /// Variables one after another along an axis that they have; their other sizes agree.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let a = tape.leaf(&Tensor::from([[1.0, 2.0]]));
    /// let b = tape.leaf(&Tensor::from([[3.0], ]));
    /// assert_eq!(Var::concat(&[a, b], 1).value(), Tensor::from([[1.0, 2.0, 3.0]]));
    /// ```
    ///
    /// # Panics
    /// If there are no variables, the axis is out of range, sizes along other axes differ, the variables are of different
    /// tapes, or the tape was reset or dropped.
    #[track_caller]
    pub fn concat(variables: &[Self], axis: isize) -> Self {
        let [first, rest @ ..] = variables else {
            panic!("concat: there are no variables")
        };
        let rank = first.tape().shape_of("concat", first.erase()).rank();
        let axis = or_panic("concat", resolve_axis(axis, rank));
        if rest.is_empty() {
            return *first;
        }
        let inputs: Vec<AnyVar> = variables.iter().map(|v| v.erase()).collect();
        first.tape().record(Concat { axis }, &inputs).assume()
    }

    /// Variables of one shape, along a new axis before axis `axis`; `-1` puts it last.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let a = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// assert_eq!(Var::stack(&[a, a], 0).value(), Tensor::from([[1.0, 2.0], [1.0, 2.0]]));
    /// ```
    ///
    /// # Panics
    /// If there are no variables, their shapes differ, the axis is out of range, the variables are of different tapes, or the
    /// tape was reset or dropped.
    #[track_caller]
    pub fn stack(variables: &[Self], axis: isize) -> Self {
        let [first, rest @ ..] = variables else {
            panic!("stack: there are no variables")
        };
        let shape = first.tape().shape_of("stack", first.erase());
        for other in rest {
            let (tape, other) = (other.tape(), other.tape().shape_of("stack", other.erase()));
            assert!(
                tape == first.tape(),
                "stack: the variables are of two different tapes"
            );
            assert!(other == shape, "stack: shapes differ: {shape} and {other}");
        }
        or_panic("stack", resolve_insertion(axis, shape.rank()));
        let mut lifted = Vec::with_capacity(variables.len());
        for variable in variables {
            lifted.push(variable.unsqueeze(axis));
        }
        Var::concat(&lifted, axis)
    }

    /// Parts of the given sizes along an axis.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0]));
    /// let parts = x.split(&[1, 2], 0);
    /// assert_eq!(parts[1].value(), Tensor::from([2.0, 3.0]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range, the sizes do not add up to that of the axis, or the tape was reset or dropped.
    #[track_caller]
    pub fn split(self, sizes: &[usize], axis: isize) -> Vec<Self> {
        let shape = self.tape().shape_of("split", self.erase());
        let axis = or_panic("split", resolve_split(sizes, axis, &shape));
        let mut parts = Vec::with_capacity(sizes.len());
        let mut start = 0;
        for &size in sizes {
            let end = start + size as isize;
            parts.push(self.slice(axis as isize, start..end));
            start = end;
        }
        parts
    }

    /// Zeros before and after the elements along an axis.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// assert_eq!(x.pad(0, 1, 2).value(), Tensor::from([0.0, 1.0, 2.0, 0.0, 0.0]));
    /// ```
    ///
    /// # Panics
    /// If the axis is out of range, the result is too large to be addressed, or the tape was reset or dropped.
    #[track_caller]
    pub fn pad(self, axis: isize, before: usize, after: usize) -> Self {
        let shape = self.tape().shape_of("pad", self.erase());
        let axis = or_panic("pad", resolve_axis(axis, shape.rank()));
        self.dilate(axis, before, after, 0)
    }

    /// Zeros before, after and between the elements along an axis: the adjoint of a slice with a step.
    #[track_caller]
    pub(super) fn dilate(self, axis: usize, before: usize, after: usize, gap: usize) -> Self {
        self.tape()
            .record(
                Dilate {
                    axis,
                    before,
                    after,
                    gap,
                },
                &[self.erase()],
            )
            .assume()
    }
}

impl<T: Number> Var<T> {
    /// A number before and after the elements along an axis.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// assert_eq!(x.pad_with(0, 1, 0, 9.0).value(), Tensor::from([9.0, 1.0, 2.0]));
    /// ```
    ///
    /// # Panics
    /// As [`pad`](Var::pad).
    #[track_caller]
    pub fn pad_with(self, axis: isize, before: usize, after: usize, number: T) -> Self {
        let shape = self.tape().shape_of("pad", self.erase());
        let index = or_panic("pad", resolve_axis(axis, shape.rank()));
        let [before, after] = [before, after].map(|size| shape.with_size(index, size));
        let (first, last) = (
            self.tape().full(before, number),
            self.tape().full(after, number),
        );
        Var::concat(&[first, self, last], axis)
    }
}

const ANY: &[Domain] = &[Domain::Interval(-2.0, 2.0)];
const PAIR: &[Domain] = &[Domain::Interval(-2.0, 2.0), Domain::Interval(-2.0, 2.0)];
const ROWS_APART: Shapes =
    Shapes::Given(&[&[&[2, 3], &[1, 3]], &[&[1, 3], &[0, 3]], &[&[2], &[4]]]);
const SAME: Shapes = Shapes::Given(&[
    &[&[2, 3], &[2, 3]],
    &[&[0, 2], &[0, 2]],
    &[&[2, 1, 2], &[2, 1, 2]],
]);
const SOME: Shapes = Shapes::Given(&[&[&[2, 3]], &[&[3, 3, 2]], &[&[0, 3]]]);

/// The rows of this family.
pub(super) const ROWS: &[Row] = &[
    row!("concat", PAIR, ROWS_APART, |x| Var::concat(
        &[x[0], x[1], x[0]],
        0
    )),
    row!("stack", PAIR, SAME, |x| Var::stack(x, 1)),
    row!("split", ANY, SOME, |x| {
        let parts = x[0].split(&[1, 2], 1);
        parts[0] * parts[1]
    }),
    row!("pad", ANY, SOME, |x| x[0].pad(-1, 1, 2)),
    row!("pad_with", ANY, SOME, |x| x[0].pad_with(0, 0, 1, 2.0)),
];
