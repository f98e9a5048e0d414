//! Matrix products.

use super::table::{Domain, Row, Shapes, row};
use crate::element::{Dtype, Number, with_float, with_number};
use crate::kernel::matmul::{Matrix, Tiny, matmul, matmul_batch};
use crate::shape::{Layout, Shape};
use crate::tape::{
    AnyVar, Batch, Called, Graph, Input, Op, Operation, Output, Pullback, Reads, Var, View, same,
};
use std::cell::Ref;

/// The product of matrices in the last two axes, each transposed first if so said; the axes before them broadcast.
#[derive(Debug, PartialEq)]
struct Matmul {
    transposed: [bool; 2],
}

/// The four products, which all nodes share.
static PRODUCTS: [[Matmul; 2]; 2] = [
    [
        Matmul {
            transposed: [false, false],
        },
        Matmul {
            transposed: [false, true],
        },
    ],
    [
        Matmul {
            transposed: [true, false],
        },
        Matmul {
            transposed: [true, true],
        },
    ],
];

/// An operand of a product: a variable, and whether it is to be transposed.
#[derive(Clone, Copy)]
struct Factor<T: Number> {
    of: Var<T>,
    transposed: bool,
}

impl<T: Number> Factor<T> {
    fn plain(of: Var<T>) -> Self {
        Factor {
            of,
            transposed: false,
        }
    }

    /// An operand; of one that was transposed, the original is the factor.
    #[inline]
    fn of(graph: &Graph, of: Var<T>) -> Self {
        let node = graph.node(of.index);
        if let Op::View(View::Permute(order)) = &node.op
            && order.rank() >= 2
        {
            let rank = order.rank();
            let swapped = |i: usize| if i + 2 < rank { i } else { 2 * rank - 3 - i };
            if order
                .iter()
                .enumerate()
                .all(|(i, &axis)| axis == swapped(i))
            {
                return Factor::plain(of.tape().var(node.inputs[0]).assume()).t();
            }
        }
        Factor::plain(of)
    }

    fn t(self) -> Self {
        Factor {
            transposed: !self.transposed,
            ..self
        }
    }

    /// All axes but the last as one; of a factor that is not transposed.
    fn rows(self) -> Self {
        let shape = self.of.shape();
        let count = shape[..shape.rank() - 1].iter().product();
        Factor::plain(self.of.reshape([count, shape[shape.rank() - 1]]))
    }

    #[track_caller]
    fn times(self, other: Self) -> Var<T> {
        let product = &PRODUCTS[usize::from(self.transposed)][usize::from(other.transposed)];
        let inputs = [self.of.erase(), other.of.erase()];
        self.of
            .tape()
            .call(Called::Static(product), &inputs)
            .assume()
    }
}

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

/// Rows and columns of the matrices in the last two axes.
fn sides(shape: &Shape, transposed: bool) -> [usize; 2] {
    let (rows, columns) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
    if transposed {
        [columns, rows]
    } else {
        [rows, columns]
    }
}

impl Operation for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let ((dtype, a), (_, b)) = (inputs[0], inputs[1]);
        let [rows, inner] = sides(a, self.transposed[0]);
        let [other, columns] = sides(b, self.transposed[1]);
        if inner != other {
            return Err(format!("inner sizes differ: {a} x {b}"));
        }
        if a.rank() == 2 && b.rank() == 2 {
            return Ok((dtype, Shape::from([rows, columns])));
        }
        let product = Shape::from([rows, columns]);
        match batch(a).broadcast(&batch(b)) {
            Some(batch) => Ok((dtype, with_batch(&batch, &product))),
            None => Err(format!(
                "the axes before the last two do not broadcast: {a} x {b}"
            )),
        }
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        with_number!(output.dtype(), T => self.products::<T>(&inputs[0], &inputs[1], output.elements()));
        Ok(())
    }

    fn never_fails(&self) -> bool {
        true
    }

    fn tiny(&self, dtype: Dtype, layouts: &[Layout]) -> Option<Tiny> {
        let [x, y] = layouts else { return None };
        if (x.shape().rank(), y.shape().rank()) != (2, 2) {
            return None;
        }
        let a = matrix(&[], x, x.offset(), self.transposed[0]);
        let b = matrix(&[], y, y.offset(), self.transposed[1]);
        with_number!(dtype, T => Tiny::of::<T>(a, b))
    }

    fn vjp(&self, pullback: &Pullback<'_>, k: usize) -> AnyVar {
        with_float!(pullback.dtype, T => {
            let [x, y] = self.transposed;
            let a = Factor::<T> { of: pullback.inputs[0].assume(), transposed: x };
            let b = Factor::<T> { of: pullback.inputs[1].assume(), transposed: y };
            let ct = Factor::<T>::plain(pullback.cotangent.assume());
            // The cotangents of the factors are c b^T and a^T c; of what was transposed, the transposes of these.
            let cotangent = match k {
                0 if x => b.times(ct.t()),
                0 => ct.times(b.t()),
                // One right side for a batch of left ones: the batch is more rows of the same product.
                _ if !x && a.of.rank() > 2 && b.of.rank() == 2 => {
                    let (a, ct) = (a.rows(), ct.rows());
                    if y { ct.t().times(a) } else { a.t().times(ct) }
                }
                _ if y => ct.t().times(a),
                _ => a.t().times(ct),
            };
            cotangent.erase()
        })
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let dtype = batch.inputs[0].dtype();
        Some(with_number!(dtype, T => self.of_batch::<T>(batch).erase()))
    }

    fn reads(&self) -> Reads {
        Reads::INPUTS
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

impl Matmul {
    /// The products of a batch of factors, or of one factor with a batch of others.
    fn of_batch<T: Number>(&self, batch: &Batch<'_>) -> Var<T> {
        let examples = [batch.example(0), batch.example(1)];
        let ranks = [examples[0].rank(), examples[1].rank()];
        // Sizes of 1 stand between the axis of the batch and those of a factor that has fewer axes than the other.
        let rank = ranks[0].max(ranks[1]);
        let factor = |k: usize| {
            let of = batch.input::<T>(k);
            let aligned = if batch.differs(k) && ranks[k] < rank {
                let ones = std::iter::repeat_n(1, rank - ranks[k]);
                let sizes = [batch.size()].into_iter().chain(ones);
                of.reshape(sizes.chain(examples[k].iter().copied()).collect::<Shape>())
            } else {
                of
            };
            Factor {
                of: aligned,
                transposed: self.transposed[k],
            }
        };
        let (a, b) = (factor(0), factor(1));
        let [rows, inner] = sides(&examples[0], a.transposed);
        let columns = sides(&examples[1], b.transposed)[1];
        if inner == 1 {
            // An outer product has nothing to sum over: elementwise it joins the pass of what reads it, and need not be stored. That
            // is what the gradients of weights are for single examples.
            let side = |of: Var<T>, sizes: [usize; 2]| {
                let front = Shape::from(&of.shape()[..of.rank() - 2]);
                of.reshape(with_batch(&front, &Shape::from(sizes)))
            };
            return side(a.of, [rows, 1]) * side(b.of, [1, columns]);
        }
        match (batch.differs(0), batch.differs(1)) {
            // One right factor for all: the batch is more rows of one product.
            (true, false) if ranks[1] == 2 && (!a.transposed || rows == 1) => {
                let shape = a.of.shape();
                let front = Shape::from(&shape[..shape.rank() - 2]);
                let left = a.of.reshape([front.size() * rows, inner]);
                let product = Factor::plain(left).times(b);
                product.reshape(with_batch(&front, &Shape::from([rows, columns])))
            }
            // One left factor for all columns: they are rows of the transposed product.
            (false, true) if ranks == [2, 2] && columns == 1 => {
                let right = Factor::plain(b.of.reshape([batch.size(), inner]));
                right.times(a.t()).reshape([batch.size(), rows, 1])
            }
            _ => a.times(b),
        }
    }

    fn products<T: Number>(&self, a: &Input<'_>, b: &Input<'_>, out: &mut [T]) {
        if out.is_empty() {
            return;
        }
        let (x, y) = (a.layout(), b.layout());
        let (a, b) = (a.storage(), b.storage());
        let [turned, other] = self.transposed;
        let shape = x.shape();
        if y.shape().rank() == 2 && shape.rank() == 2 {
            let left = matrix(a, x, x.offset(), turned);
            return matmul(left, matrix(b, y, y.offset(), other), out);
        }
        if y.shape().rank() == 2 && !turned {
            let count = shape[..shape.rank() - 1].iter().product();
            if let Some(x) = x.reshape(&Shape::from([count, shape[shape.rank() - 1]])) {
                let left = matrix(a, &x, x.offset(), false);
                return matmul(left, matrix(b, y, y.offset(), other), out);
            }
        }
        // The recorded shapes were found to broadcast.
        let batch = batch(shape)
            .broadcast(&batch(y.shape()))
            .unwrap_or_default();
        let x = x.expand(&with_batch(&batch, shape));
        let y = y.expand(&with_batch(&batch, y.shape()));
        let factors = |i: usize| {
            let (p, q) = (place(&x, &batch, i), place(&y, &batch, i));
            [matrix(a, &x, p, turned), matrix(b, &y, q, other)]
        };
        matmul_batch(batch.size(), &factors, out);
    }
}

/// Where matrix `i` of a batch begins.
fn place(layout: &Layout, batch: &Shape, i: usize) -> usize {
    let axes = batch.iter().zip(layout.strides()).rev();
    let (place, _) = axes.fold((layout.offset(), i), |(place, i), (&n, &stride)| {
        let step = (i % n) as isize * stride;
        (place.wrapping_add_signed(step), i / n)
    });
    place
}

/// The matrix in the last two axes of a layout that starts at `offset`, perhaps transposed.
fn matrix<'a, T>(data: &'a [T], layout: &Layout, offset: usize, transposed: bool) -> Matrix<'a, T> {
    let (shape, strides) = (layout.shape(), layout.strides());
    let (mut r, mut c) = (shape.rank() - 2, shape.rank() - 1);
    if transposed {
        (r, c) = (c, r);
    }
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
        let ([a, b], [left, right]) = {
            let graph = self.beside(other, "matmul");
            let shapes = [self, other].map(|of| graph.node(of.index).shape.clone());
            (shapes, [self, other].map(|of| Factor::of(&graph, of)))
        };
        assert!(
            a.rank() > 0 && b.rank() > 0,
            "matmul: a scalar has no axis to sum over: {a} x {b}"
        );
        let inner = (a[a.rank() - 1], b[b.rank().saturating_sub(2)]);
        assert!(inner.0 == inner.1, "matmul: inner sizes differ: {a} x {b}");
        if a.rank() >= 2 && b.rank() >= 2 {
            return left.times(right);
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
        let product = Factor::plain(left).times(Factor::plain(right));
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

impl<T: Number> Var<T> {
    /// The matrix product with the transpose of `other`, whose last two axes are taken in the other order: `self.matmul(other.t())`.
    /// It is what a linear layer with weights `[out, in]` computes.
    ///
    /// # Shapes
    /// `[.., m, k] x [.., n, k] -> [.., m, n]`, `[k] x [.., n, k] -> [.., n]`.
    ///
    /// # Derivative
    /// With cotangent `c`: `c b` and `c^T a`, summed over the axes that were broadcast.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([[1.0, 2.0]]));
    /// let w = tape.leaf(&Tensor::from([[1.0, 0.0], [0.0, 3.0], [1.0, 1.0]]));
    /// assert_eq!(x.matmul_t(w).value(), Tensor::from([[1.0, 6.0, 3.0]]));
    /// ```
    ///
    /// # Panics
    /// As [`matmul`](Var::matmul), or if `other` has less than two axes.
    #[track_caller]
    pub fn matmul_t(self, other: Self) -> Self {
        let (rank, [left, right]) = {
            let graph = self.beside(other, "matmul_t");
            let (a, b) = (
                &graph.node(self.index).shape,
                &graph.node(other.index).shape,
            );
            assert!(
                b.rank() > 1 && a.last() == b.last(),
                "matmul_t: {a} x the transpose of {b}"
            );
            (a.rank(), [self, other].map(|of| Factor::of(&graph, of)))
        };
        match rank {
            1 => Factor::plain(self.unsqueeze(0))
                .times(right.t())
                .squeeze(-2),
            _ => left.times(right.t()),
        }
    }

    /// The graph that both operands live in.
    #[track_caller]
    fn beside(self, other: Self, operation: &str) -> Ref<'static, Graph> {
        let graph = self.tape().graph(operation);
        if self.tape() != other.tape() {
            other.tape().arena(operation);
            panic!("{operation}: the variables are of two different tapes");
        }
        graph
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
        "matmul_t",
        PAIR,
        Shapes::Given(&[
            &[&[2, 3], &[4, 3]],
            &[&[3], &[2, 3]],
            &[&[2, 2, 3], &[4, 3]],
            &[&[2, 3], &[2, 4, 3]],
            &[&[2, 1, 2, 3], &[3, 1, 3]],
            &[&[0, 3], &[2, 3]],
        ]),
        |x| x[0].matmul_t(x[1])
    ),
    row!(
        "matmul of transposed vectors",
        PAIR,
        Shapes::Given(&[&[&[3], &[3]], &[&[3], &[3, 2]]]),
        |x| x[0].t().matmul(x[1])
    ),
    row!(
        "matmul of transposes",
        PAIR,
        Shapes::Given(&[
            &[&[3, 2], &[4, 3]],
            &[&[2, 3, 2], &[4, 3]],
            &[&[3, 2], &[2, 4, 3]]
        ]),
        |x| x[0].t().matmul(x[1].t())
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
