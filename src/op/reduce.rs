//! Reductions: elements combined along axes.

use super::table::{Domain, Row, Shapes, row};
use crate::element::{Float, Number};
use crate::kernel::reduce::Reduction;
use crate::shape::{Axes, Shape, or_panic, resolve_axes};
use crate::tape::{Pullback, SharedShape, Var};
use smallvec::SmallVec;

/// The rules. A sum passes its cotangent to every element; an extreme to those that attain it, in equal parts.
pub(super) fn vjp<T: Float>(
    reduction: Reduction,
    axes: &[usize],
    pullback: &Pullback<'_>,
) -> Var<T> {
    let (x, ct) = (
        pullback.inputs[0].assume::<T>(),
        pullback.cotangent.assume::<T>(),
    );
    let tape = x.tape();
    let shape = {
        let mut graph = tape.graph_mut("reduce");
        if let (Reduction::Sum, Some(number)) = (reduction, graph.filled(ct.index)) {
            return tape.var(graph.filled_like(number, x.index)).assume();
        }
        graph.node(x.index).shape.clone()
    };
    let kept = kept(&shape, axes);
    let ct = ct.reshape(&kept);
    if reduction == Reduction::Sum {
        return ct.expand(&*shape);
    }
    let y = pullback.output.assume::<T>().reshape(&kept);
    // A NaN equals nothing, itself neither: where the result is one, the NaNs attain it.
    let attains = x.eq(y).or(x.ne(x)).cast::<T>();
    let count = attains.reduced(Reduction::Sum, axes).reshape(kept);
    attains * (ct / count)
}

/// The shape with reduced axes left in at size 1.
fn kept(shape: &Shape, axes: &[usize]) -> Shape {
    shape
        .iter()
        .enumerate()
        .map(|(i, &n)| if axes.contains(&i) { 1 } else { n })
        .collect()
}

impl<T: Number> Var<T> {
    #[track_caller]
    fn reduced(self, reduction: Reduction, axes: &[usize]) -> Self {
        self.tape().reduce(reduction, self.erase(), axes).assume()
    }

    /// The axes of a reduction and the shape before it; panics at the caller's line if they do not fit.
    #[track_caller]
    fn along(self, operation: &str, axes: &impl Axes) -> (SmallVec<[usize; 4]>, SharedShape) {
        let shape = self.tape().shape_of(operation, self.erase());
        let axes = match resolve_axes(axes, shape.rank()) {
            Ok(axes) => axes,
            Err(message) => or_panic(operation, Err(format!("{message} (shape {shape})"))),
        };
        (axes, shape)
    }

    /// As [`along`](Var::along), for a reduction that nothing is the identity of.
    #[track_caller]
    fn along_some(self, operation: &str, axes: &impl Axes) -> (SmallVec<[usize; 4]>, SharedShape) {
        let (axes, shape) = self.along(operation, axes);
        let empty = axes.iter().any(|&a| shape[a] == 0);
        assert!(
            !empty,
            "{operation}: no elements along axes {axes:?} of {shape}, and nothing is the {operation} of none"
        );
        (axes, shape)
    }
}

/// The three forms of a reduction: over all axes, over some, over some that stay with size 1.
macro_rules! forms {
    ($bound:ident: $(
        $(#[$doc:meta])*
        $all:ident, $axes:ident, $keepdim:ident, ($($arg:ident: $kind:ty),*), $some:ident,
        |$x:ident, $named:ident, $shape:ident| $body:expr;
    )*) => {
        impl<T: $bound> Var<T> {$(
            $(#[$doc])*
            ///
            /// # Panics
            /// If the tape was reset or dropped; if there are no elements and the reduction has no value for none.
            #[track_caller]
            pub fn $all(self $(, $arg: $kind)*) -> Self {
                self.$axes(.. $(, $arg)*)
            }

            #[doc = concat!("[`", stringify!($all), "`](Var::", stringify!($all), ") along some axes, which vanish.")]
            ///
            /// # Panics
            /// If an axis is out of range or repeated, or the tape was reset or dropped; if there are no elements along the axes and
            /// the reduction has no value for none.
            #[track_caller]
            pub fn $axes(self, axes: impl Axes $(, $arg: $kind)*) -> Self {
                let $x = self;
                let ($named, $shape) = self.$some(stringify!($all), &axes);
                $body
            }

            #[doc = concat!("[`", stringify!($all), "`](Var::", stringify!($all), ") along some axes, which stay with size 1.")]
            ///
            /// # Panics
            #[doc = concat!("As [`", stringify!($axes), "`](Var::", stringify!($axes), ").")]
            #[track_caller]
            pub fn $keepdim(self, axes: impl Axes $(, $arg: $kind)*) -> Self {
                let (named, shape) = self.along(stringify!($all), &axes);
                self.$axes(axes $(, $arg)*).reshape(kept(&shape, &named))
            }
        )*}
    };
}

forms! { Number:
    /// The sum of all elements; 0 of none.
    ///
    /// # Derivative
    /// 1 for each element.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// assert_eq!(x.sum().value().item(), 10.0);
    /// assert_eq!(x.sum_axes(0).value(), Tensor::from([4.0, 6.0]));
    /// assert_eq!(x.sum_keepdim(-1).value(), Tensor::from([[3.0], [7.0]]));
    /// ```
    sum, sum_axes, sum_keepdim, (), along, |x, axes, _shape| x.reduced(Reduction::Sum, &axes);

    /// The largest of all elements; a NaN if one is.
    ///
    /// # Derivative
    /// 1 for the largest element; if several are equal, each gets an equal part (as `amax` in PyTorch).
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([[1.0, 4.0], [3.0, 4.0]]));
    /// assert_eq!(x.max_axes(1).value(), Tensor::from([4.0, 4.0]));
    /// assert_eq!(x.max().gradient(x).value(), Tensor::from([[0.0, 0.5], [0.0, 0.5]]));
    /// ```
    max, max_axes, max_keepdim, (), along_some, |x, axes, _shape| x.reduced(Reduction::Max, &axes);

    /// The smallest of all elements; a NaN if one is.
    ///
    /// # Derivative
    /// 1 for the smallest element; if several are equal, each gets an equal part (as `amin` in PyTorch).
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([[1.0, 4.0], [3.0, 4.0]]));
    /// assert_eq!(x.min_axes(0).value(), Tensor::from([1.0, 4.0]));
    /// ```
    min, min_axes, min_keepdim, (), along_some, |x, axes, _shape| x.reduced(Reduction::Min, &axes);

    /// The product of all elements; 1 of none.
    ///
    /// # Derivative
    /// For each element the product of the others, right also where elements are 0, to any order: the product is a tree
    /// of products of halves.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([2.0, 0.0, 4.0]));
    /// assert_eq!(x.prod().value().item(), 0.0);
    /// assert_eq!(x.prod().gradient(x).value(), Tensor::from([0.0, 8.0, 0.0]));
    /// ```
    prod, prod_axes, prod_keepdim, (), along, |x, axes, _shape| x.product(&axes);
}

impl<T: Number> Var<T> {
    #[track_caller]
    fn product(self, axes: &[usize]) -> Self {
        let shape = self.shape();
        // The reduced axes as one, last.
        let order: Vec<isize> = (0..shape.rank())
            .filter(|a| !axes.contains(a))
            .chain(axes.iter().copied())
            .map(|a| a as isize)
            .collect();
        let rest: Shape = shape
            .iter()
            .enumerate()
            .filter(|(a, _)| !axes.contains(a))
            .map(|(_, &n)| n)
            .collect();
        let mut count: usize = axes.iter().map(|&a| shape[a]).product();
        if count == 0 {
            return self.tape().full(rest, T::ONE);
        }
        let mut x = self
            .permute(&order)
            .reshape(rest.with_inserted(rest.rank(), count));
        while count > 1 {
            let half = (count / 2) as isize;
            let pairs = x.slice(-1, ..half) * x.slice(-1, half..2 * half);
            x = if count.is_multiple_of(2) {
                pairs
            } else {
                Var::concat(&[pairs, x.slice(-1, 2 * half..)], -1)
            };
            count = count.div_ceil(2);
        }
        x.reshape(rest)
    }
}

forms! { Float:
    /// The mean of all elements; NaN of none.
    ///
    /// Formula: `sum(x) / n`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([[1.0, 2.0], [3.0, 6.0]]));
    /// assert_eq!(x.mean().value().item(), 3.0);
    /// assert_eq!(x.mean_axes(0).value(), Tensor::from([2.0, 4.0]));
    /// ```
    mean, mean_axes, mean_keepdim, (), along, |x, axes, shape| {
        let count: usize = axes.iter().map(|&a| shape[a]).product();
        x.reduced(Reduction::Sum, &axes) / T::of(count as f64)
    };

    /// The variance of all elements. `correction` is subtracted from their number `n`: 1 for the unbiased estimate from a sample
    /// (PyTorch's default), 0 for the variance of a population (NumPy's default).
    ///
    /// Formula: `sum((x - mean(x))^2) / max(n - correction, 0)`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0, 6.0]));
    /// assert_eq!(x.var(0).value().item(), 3.5);
    /// assert_eq!(x.var(1).value().item(), 14.0 / 3.0);
    /// ```
    var, var_axes, var_keepdim, (correction: usize), along, |x, axes, shape| {
        let count: usize = axes.iter().map(|&a| shape[a]).product();
        let n = T::of(count as f64);
        let mean = x.reduced(Reduction::Sum, &axes).reshape(kept(&shape, &axes)) / n;
        let deviation = x - mean;
        (deviation * deviation).reduced(Reduction::Sum, &axes) / T::of(count.saturating_sub(correction) as f64)
    };

    /// The standard deviation of all elements: the square root of [`var`](Var::var).
    ///
    /// # Derivative
    /// 0 where all elements are equal, as in PyTorch.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 3.0]));
    /// assert_eq!(x.std(0).value().item(), 1.0);
    /// ```
    std, std_axes, std_keepdim, (correction: usize), along, |x, axes, _shape| {
        let named: Vec<isize> = axes.iter().map(|&a| a as isize).collect();
        let variance = x.var_axes(&named, correction);
        let (zero, one) = (x.tape().number(T::ZERO), x.tape().number(T::ONE));
        let flat = variance.eq(zero);
        flat.select(zero, flat.select(one, variance).sqrt())
    };

    /// The logarithm of the sum of the exponentials of all elements, without overflow; negative infinity of none.
    ///
    /// Formula: `ln(sum(exp(x - m))) + m` with `m` the largest element.
    ///
    /// # Derivative
    /// `softmax(x)`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1000.0, 1000.0]));
    /// assert_eq!(x.logsumexp().value().item(), 1000.0 + std::f32::consts::LN_2);
    /// ```
    logsumexp, logsumexp_axes, logsumexp_keepdim, (), along, |x, axes, shape| {
        let shift = x.shift(&axes, &kept(&shape, &axes));
        let rest = x.reduced(Reduction::Sum, &axes).shape();
        (x - shift).exp().reduced(Reduction::Sum, &axes).ln() + shift.reshape(rest)
    };
}

impl<T: Float> Var<T> {
    /// What is subtracted before taking exponentials: the largest elements along the axes, as constants (the result does not
    /// depend on them); 0 where they are infinite, or there is none.
    #[track_caller]
    pub(super) fn shift(self, axes: &[usize], kept: &Shape) -> Self {
        let shape = self.shape();
        if axes.iter().any(|&a| shape[a] == 0) {
            return self.tape().full(kept, T::ZERO);
        }
        let largest = self
            .stop_gradient()
            .reduced(Reduction::Max, axes)
            .reshape(kept);
        let infinite = largest.abs().eq(self.tape().number(T::HIGHEST));
        infinite.select(self.tape().number(T::ZERO), largest)
    }
}

const ANY: &[Domain] = &[Domain::Interval(-2.0, 2.0)];
const DISTINCT: &[Domain] = &[Domain::Spaced(0.0)];
const SHAPES: Shapes = Shapes::Given(&[
    &[&[2, 3]],
    &[&[4]],
    &[&[3, 1, 2, 2]],
    &[&[0, 3]],
    &[&[1, 5]],
]);
const FULL: Shapes = Shapes::Given(&[
    &[&[2, 3]],
    &[&[4]],
    &[&[3, 1, 2, 2]],
    &[&[3, 2]],
    &[&[1, 5]],
]);
const PAIRS: Shapes = Shapes::Given(&[&[&[2, 3]], &[&[3, 2, 2]], &[&[2, 2, 1, 2]]]);

/// The rows of this family.
pub(super) const ROWS: &[Row] = &[
    row!("sum", ANY, SHAPES, |x| x[0].sum()),
    row!("sum_axes(0)", ANY, SHAPES, |x| x[0].sum_axes(0)),
    row!("sum_keepdim(-1)", ANY, SHAPES, |x| x[0].sum_keepdim(-1)),
    row!("sum_axes([0, -1])", ANY, PAIRS, |x| x[0].sum_axes([0, -1])),
    row!("max", DISTINCT, FULL, |x| x[0].max()),
    row!("max_axes(0)", DISTINCT, FULL, |x| x[0].max_axes(0)),
    row!("min", DISTINCT, FULL, |x| x[0].min()),
    row!("min_keepdim(-1)", DISTINCT, FULL, |x| x[0].min_keepdim(-1)),
    row!("prod", ANY, SHAPES, |x| x[0].prod()),
    row!("prod_axes(-1)", ANY, SHAPES, |x| x[0].prod_axes(-1)),
    row!("prod_keepdim([0, 1])", ANY, PAIRS, |x| x[0]
        .prod_keepdim([0, 1])),
    row!("mean", ANY, FULL, |x| x[0].mean()),
    row!("mean_axes([-1, 0])", ANY, PAIRS, |x| x[0]
        .mean_axes([-1, 0])),
    row!("mean_keepdim(0)", ANY, FULL, |x| x[0].mean_keepdim(0)),
    row!("var(1)", ANY, FULL, |x| x[0].var(1)),
    row!("var_keepdim(-1, 0)", ANY, FULL, |x| x[0].var_keepdim(-1, 0)),
    row!("std(1)", ANY, FULL, |x| x[0].std(1)),
    row!("std_axes([0, 1], 0)", ANY, PAIRS, |x| x[0]
        .std_axes([0, 1], 0)),
    row!("logsumexp", ANY, FULL, |x| x[0].logsumexp()),
    row!("logsumexp_axes(0)", ANY, FULL, |x| x[0].logsumexp_axes(0)),
    row!("logsumexp_keepdim(-1)", ANY, FULL, |x| x[0]
        .logsumexp_keepdim(-1)),
];
