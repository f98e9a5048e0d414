//! Outer products of two vectors for each example, without forming them.

use crate::element::Float;
use crate::shape::Shape;
use crate::tape::Var;

/// A gradient of each example that is a product `g[b, i, j] = u[b, i] v[b, j]`, where `i` and `j` each stand for some of the axes of a
/// parameter.
pub(super) struct Outer<T: Float> {
    /// `u`, of shape `[batch, m]`, or `[1, m]` if all examples share it.
    left: Var<T>,
    /// `v`, of shape `[batch, n]`, or `[1, n]`: not both are shared by several examples.
    right: Var<T>,
    /// The axes of the parameter along which `u` changes, then those of `v`.
    axes: Vec<isize>,
    /// The sizes of the parameter along these.
    sizes: Shape,
}

/// A row for each example, or one for all.
pub(super) fn rows<T: Float>(of: Var<T>) -> Var<T> {
    let shape = of.shape();
    let len = shape[1..].iter().product();
    of.reshape([shape[0], len])
}

impl<T: Float> Outer<T> {
    /// Of factors of which at most one changes along each axis but the first, the axis of examples.
    pub(super) fn of([left, right]: [Var<T>; 2]) -> Self {
        let shapes = [left, right].map(|factor| factor.shape());
        let rank = shapes[0].rank();
        // The axes along which the left factor does not change are those of the right one.
        let (of_left, of_right): (Vec<usize>, Vec<usize>) =
            (1..rank).partition(|&axis| shapes[1][axis] == 1);
        let sizes = of_left.iter().map(|&axis| shapes[0][axis]);
        let sizes = sizes.chain(of_right.iter().map(|&axis| shapes[1][axis]));
        Outer {
            left: rows(left),
            right: rows(right),
            sizes: sizes.collect(),
            axes: of_left
                .into_iter()
                .chain(of_right)
                .map(|axis| axis as isize - 1)
                .collect(),
        }
    }

    /// `(sum of u[b, i]^2) (sum of v[b, j]^2)`
    #[track_caller]
    pub(super) fn squared_norms(&self) -> Var<T> {
        let [left, right] = [self.left, self.right].map(|rows| rows.square().sum_axes(1));
        left * right
    }

    /// `sum over b of weights[b] u[b, i] v[b, j]`, of the shape of the parameter.
    #[track_caller]
    pub(super) fn weighted_sum(&self, weights: Var<T>) -> Var<T> {
        let (examples, n) = (weights.shape()[0], self.right.shape()[1]);
        let left = self.left * weights.unsqueeze(1);
        let sum = left.t().matmul(self.right.expand([examples, n]));
        let at = |axis| self.axes.iter().position(|&a| a == axis);
        let order: Vec<isize> = (0..self.axes.len() as isize)
            .filter_map(at)
            .map(|at| at as isize)
            .collect();
        sum.reshape(&self.sizes).permute(&order[..])
    }

    /// `sum over j of (sum over i of u[b, i] d[i, j]) v[b, j]` for a direction of the shape of the parameter.
    #[track_caller]
    pub(super) fn inner_products(&self, direction: Var<T>) -> Var<T> {
        let [m, n] = [self.left, self.right].map(|factor| factor.shape()[1]);
        let direction = direction.permute(&self.axes[..]).reshape([m, n]);
        (self.left.matmul(direction) * self.right).sum_axes(1)
    }

    /// `(u[a] . u[b]) (v[a] . v[b])`
    #[track_caller]
    pub(super) fn gram(&self) -> Var<T> {
        let [left, right] = [self.left, self.right].map(|rows| rows.matmul(rows.t()));
        left * right
    }
}
