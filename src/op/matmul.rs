//! Matrix products.

use super::table::{Domain, Row, Shapes, row};
use crate::element::{Dtype, Number, with_float, with_number};
use crate::kernel::matmul::{Matrix, matmul};
use crate::kernel::walk::Walk;
use crate::shape::{Layout, Shape};
use crate::tape::{AnyVar, Called, Input, Op, Operation, Output, Pullback, Reads, Var, View};

/// The product of matrices in the last two axes; the axes before them broadcast.
#[derive(Debug)]
struct Matmul;

/// The axes before the last two.
fn batch(shape: &Shape) -> Shape {
    Shape::from(&shape[..shape.rank() - 2])
}

/// A shape with other axes before the last two.
fn with_batch(batch: &Shape, shape: &Shape) -> Shape {
    batch
        .iter()
        .chain(&shape[shape.rank() - 2..])
        .copied()
        .collect()
}

impl Operation for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let ((dtype, a), (_, b)) = (inputs[0], inputs[1]);
        let (rows, columns) = (a[a.rank() - 2], b[b.rank() - 1]);
        if a[a.rank() - 1] != b[b.rank() - 2] {
            return Err(format!("inner sizes differ: {a} x {b}"));
        }
        if a.rank() == 2 && b.rank() == 2 {
            return Ok((dtype, Shape::from([rows, columns])));
        }
        let Some(batch) = batch(a).broadcast(&batch(b)) else {
            return Err(format!(
                "the axes before the last two do not broadcast: {a} x {b}"
            ));
        };
        Ok((dtype, with_batch(&batch, &Shape::from([rows, columns]))))
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        with_number!(output.dtype(), T => products::<T>(&inputs[0], &inputs[1], output.elements()));
        Ok(())
    }

    fn vjp(&self, pullback: &Pullback<'_>, k: usize) -> AnyVar {
        with_float!(pullback.cotangent.dtype(), T => {
            let (a, b): (Var<T>, Var<T>) = (pullback.inputs[0].assume(), pullback.inputs[1].assume());
            let ct: Var<T> = pullback.cotangent.assume();
            match k {
                0 => times(ct, b.t()).erase(),
                // The cotangent of what was transposed is transposed once more: computed so, it lies in order.
                _ if b.rank() == 2 && is_transposed(b.erase()) => times(rows(ct).t(), rows(a)).t().erase(),
                // One right side for a batch of left ones: the batch is more rows of the same product.
                _ if b.rank() == 2 && a.rank() > 2 => times(rows(a).t(), rows(ct)).erase(),
                _ => times(a.t(), ct).erase(),
            }
        })
    }

    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// Whether the elements of a variable are those of another with the axes in another order.
fn is_transposed(x: AnyVar) -> bool {
    let arena = x.tape.arena("matmul");
    let graph = arena.graph.borrow();
    matches!(graph.node(x.index).op, Op::View(View::Permute(_)))
}

/// All axes but the last as one.
fn rows<T: Number>(x: Var<T>) -> Var<T> {
    let shape = x.shape();
    if shape.rank() == 2 {
        return x;
    }
    let last = shape[shape.rank() - 1];
    let count = shape[..shape.rank() - 1].iter().product();
    x.reshape([count, last])
}

#[track_caller]
fn times<T: Number>(a: Var<T>, b: Var<T>) -> Var<T> {
    a.tape()
        .call(Called::Static(&Matmul), &[a.erase(), b.erase()])
        .assume()
}

fn products<T: Number>(a: &Input<'_>, b: &Input<'_>, out: &mut [T]) {
    let (x, y) = (a.layout(), b.layout());
    let (m, n) = (
        x.shape()[x.shape().rank() - 2],
        y.shape()[y.shape().rank() - 1],
    );
    if out.is_empty() {
        return;
    }
    if x.shape().rank() == 2 && y.shape().rank() == 2 {
        let (x, y) = (
            matrix(a.storage(), x, x.offset()),
            matrix(b.storage(), y, y.offset()),
        );
        return matmul(x, y, out);
    }
    if x.shape().rank() > 2 && y.shape().rank() == 2 {
        let shape = x.shape();
        let count = shape[..shape.rank() - 1].iter().product();
        if let Some(x) = x.reshape(&Shape::from([count, shape[shape.rank() - 1]])) {
            return matmul(
                matrix(a.storage(), &x, x.offset()),
                matrix(b.storage(), y, y.offset()),
                out,
            );
        }
    }
    let (p, q) = (batch(x.shape()), batch(y.shape()));
    // The recorded shapes were found to broadcast.
    let batch = p.broadcast(&q).unwrap_or_default();
    let (x, y) = (
        x.expand(&with_batch(&batch, x.shape())),
        y.expand(&with_batch(&batch, y.shape())),
    );
    let rank = batch.rank();
    let walk = Walk::new(&batch, [&x.strides()[..rank], &y.strides()[..rank]]);
    for (out, [i, j]) in out
        .chunks_exact_mut(m * n)
        .zip(walk.elements([x.offset(), y.offset()]))
    {
        matmul(matrix(a.storage(), &x, i), matrix(b.storage(), &y, j), out);
    }
}

/// The matrix in the last two axes of a layout that starts at `offset`.
fn matrix<'a, T>(data: &'a [T], layout: &Layout, offset: usize) -> Matrix<'a, T> {
    let (shape, strides) = (layout.shape(), layout.strides());
    let (r, c) = (shape.rank() - 2, shape.rank() - 1);
    Matrix {
        data,
        offset,
        rows: shape[r],
        columns: shape[c],
        row_stride: strides[r],
        column_stride: strides[c],
    }
}

impl<T: Number> Var<T> {
    /// The matrix product, by NumPy's rules: of the last two axes, the axes before them broadcast; a vector on the left is a row, on
    /// the right a column, and its axis vanishes from the result; of two vectors the scalar product.
    ///
    /// Formula: `y[.., i, j] = sum over k of a[.., i, k] b[.., k, j]`.
    ///
    /// # Shapes
    /// `[.., m, k] x [.., k, n] -> [.., m, n]`, `[k] x [.., k, n] -> [.., n]`, `[.., m, k] x [k] -> [.., m]`, `[k] x [k] -> []`.
    ///
    /// # Derivative
    /// With cotangent `c`: `c b^T` and `a^T c`, summed over the axes that were broadcast.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let a = tape.leaf(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let x = tape.leaf(&Tensor::from([1.0, -1.0]));
    /// assert_eq!(a.matmul(x).value(), Tensor::from([-1.0, -1.0]));
    /// assert_eq!(a.matmul(a.t()).value(), Tensor::from([[5.0, 11.0], [11.0, 25.0]]));
    /// ```
    ///
    /// # Panics
    /// If an operand is a scalar, the inner sizes differ, the other axes do not broadcast, the variables are of two tapes, or the
    /// tape was reset or dropped.
    #[track_caller]
    pub fn matmul(self, other: Self) -> Self {
        let a = self.tape().shape_of("matmul", self.erase());
        let b = other.tape().shape_of("matmul", other.erase());
        assert!(
            a.rank() > 0 && b.rank() > 0,
            "matmul: a scalar has no axis to sum over: {a} x {b}"
        );
        assert!(
            self.tape() == other.tape(),
            "matmul: the variables are of two different tapes"
        );
        let inner = (a[a.rank() - 1], b[b.rank().saturating_sub(2)]);
        assert!(inner.0 == inner.1, "matmul: inner sizes differ: {a} x {b}");
        if a.rank() >= 2 && b.rank() >= 2 {
            return times(self, other);
        }
        let left = if a.rank() == 1 {
            self.unsqueeze(0)
        } else {
            self
        };
        let right = if b.rank() == 1 {
            other.unsqueeze(1)
        } else {
            other
        };
        let product = times(left, right);
        let product = if b.rank() == 1 {
            product.squeeze(-1)
        } else {
            product
        };
        if a.rank() == 1 {
            product.squeeze(if b.rank() == 1 { -1 } else { -2 })
        } else {
            product
        }
    }
}

const PAIR: &[Domain] = &[Domain::Interval(-2.0, 2.0), Domain::Interval(-2.0, 2.0)];

/// The rows of this family.
pub(super) const ROWS: &[Row] = &[
    row!(
        "matmul",
        PAIR,
        Shapes::Given(&[
            &[&[2, 3], &[3, 4]],
            &[&[3], &[3]],
            &[&[3], &[3, 2]],
            &[&[2, 3], &[3]],
            &[&[2, 2, 3], &[3, 2]],
            &[&[2, 3], &[2, 3, 2]],
            &[&[3], &[2, 3, 2]],
            &[&[2, 1, 2, 3], &[3, 3, 1]],
            &[&[2, 0], &[0, 3]],
            &[&[0, 2], &[2, 3]],
            &[&[0, 2, 2], &[2, 3]],
        ]),
        |x| x[0].matmul(x[1])
    ),
    row!(
        "matmul of itself",
        &[Domain::Interval(-2.0, 2.0)],
        Shapes::Given(&[&[&[3, 3]], &[&[2, 2, 2]]]),
        |x| { x[0].matmul(x[0]) }
    ),
    row!(
        "matmul with its transpose",
        &[Domain::Interval(-2.0, 2.0)],
        Shapes::Given(&[&[&[2, 3]]]),
        |x| { x[0].matmul(x[0].t()) }
    ),
];
