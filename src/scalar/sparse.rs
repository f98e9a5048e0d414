//! Jacobians and Hessians with few entries, from few sweeps.

mod hessian;
mod jacobian;

use super::coloring::{Coloring, Pattern};
use super::patterned::{Link, Patterned};
use super::real::Real;
pub use hessian::SparseHessian;
pub use jacobian::SparseJacobian;

/// How many products are found in one sweep.
const LANES: usize = 8;

/// A sparse matrix as coordinate triples, row by row, columns in ascending order.
///
/// There is an entry for each derivative that may be other than 0, judging from which operations were done; its value may
/// be 0 all the same.
///
/// ```
/// use wengert::scalar;
/// let (_, jacobian) = scalar::jacobian_sparse(|x| vec![x[2] * 3.0, x[0] * x[2]], &[5.0, 6.0, 7.0]);
/// assert_eq!(jacobian.shape, [2, 3]);
/// assert_eq!((jacobian.rows, jacobian.columns), (vec![0, 1, 1], vec![2, 0, 2]));
/// assert_eq!(jacobian.values, [3.0, 7.0, 5.0]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Coordinates<T> {
    /// The number of rows and of columns.
    pub shape: [usize; 2],
    /// The row of each entry.
    pub rows: Vec<usize>,
    /// The column of each entry.
    pub columns: Vec<usize>,
    /// The value of each entry.
    pub values: Vec<T>,
}

impl<T: Real> Coordinates<T> {
    fn new() -> Self {
        Coordinates {
            shape: [0; 2],
            rows: Vec::new(),
            columns: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Takes on a pattern, with zeros.
    fn shape_as(&mut self, pattern: &Pattern) {
        self.shape = [pattern.rows(), pattern.columns()];
        self.rows.clear();
        self.columns.clear();
        for i in 0..pattern.rows() {
            for &j in pattern.row(i) {
                self.rows.push(i);
                self.columns.push(j as usize);
            }
        }
        self.values.clear();
        self.values.resize(self.rows.len(), T::zero());
    }

    /// Sets all values.
    fn fill(&mut self, value: impl Fn(usize, usize) -> T) {
        let places = self.rows.iter().zip(&self.columns);
        for (out, (&i, &j)) in self.values.iter_mut().zip(places) {
            *out = value(i, j);
        }
    }

    /// The full matrix, row by row.
    ///
    /// ```
    /// let (_, jacobian) = wengert::scalar::jacobian_sparse(|x| vec![x[1] * 2.0, x[0] * 3.0], &[1.0, 1.0]);
    /// assert_eq!(jacobian.values, [2.0, 3.0]);
    /// assert_eq!(jacobian.to_dense(), [0.0, 2.0, 3.0, 0.0]);
    /// ```
    pub fn to_dense(&self) -> Vec<T> {
        let mut dense = vec![T::zero(); self.shape[0] * self.shape[1]];
        for ((&i, &j), &value) in self.rows.iter().zip(&self.columns).zip(&self.values) {
            dense[i * self.shape[1] + j] = value;
        }
        dense
    }
}

/// The values of a function, and its Jacobian as coordinate triples: for functions of whose derivatives most are 0.
///
/// The function is recorded once. Which results depend on which variables is read from the record; columns, or rows, that
/// do not meet are found together, one color of a coloring for each sweep, forward or back, whichever takes fewer.
///
/// # Source
/// A. R. Curtis, M. J. D. Powell and J. K. Reid, On the estimation of sparse Jacobian matrices (1974).
///
/// ```
/// use wengert::scalar::jacobian_sparse;
/// let (values, jacobian) = jacobian_sparse(|x| x.windows(2).map(|x| x[1] - x[0] * x[0]).collect(), &[1.0, 2.0, 3.0]);
/// assert_eq!(values, [1.0, -1.0]);
/// assert_eq!(jacobian.rows, [0, 0, 1, 1]);
/// assert_eq!(jacobian.columns, [0, 1, 1, 2]);
/// assert_eq!(jacobian.values, [-2.0, 1.0, -4.0, 1.0]);
/// ```
#[track_caller]
pub fn jacobian_sparse<T: Real>(
    f: impl FnOnce(&[Patterned<T>]) -> Vec<Patterned<T>>,
    x: &[T],
) -> (Vec<T>, Coordinates<T>) {
    let mut sparse = SparseJacobian::new();
    sparse.evaluate(|x, y| *y = f(x), x);
    sparse.into_parts()
}

/// The value of a function, its gradient, and its Hessian as coordinate triples, with both triangles.
///
/// The function is recorded once, with the second derivatives of each step. Which variables meet in a step that is not linear
/// is read from the record; then a forward and a backward sweep find the products of the Hessian with up to eight vectors, one
/// for each color of a star coloring, and entries are read off.
///
/// # Source
/// T. F. Coleman and J. J. Moré, Estimation of sparse Hessian matrices and graph coloring problems (1984).
///
/// ```
/// use wengert::scalar::hessian_sparse;
/// let (value, gradient, hessian) = hessian_sparse(|x| x[0] * x[1] + x[2].powi(3), &[1.0, 2.0, 3.0]);
/// assert_eq!((value, gradient), (29.0, vec![2.0, 1.0, 27.0]));
/// assert_eq!(hessian.rows, [0, 1, 2]);
/// assert_eq!(hessian.columns, [1, 0, 2]);
/// assert_eq!(hessian.values, [1.0, 1.0, 18.0]);
/// ```
#[track_caller]
pub fn hessian_sparse<T: Real>(
    f: impl FnOnce(&[Patterned<T>]) -> Patterned<T>,
    x: &[T],
) -> (T, Vec<T>, Coordinates<T>) {
    let mut sparse = SparseHessian::new();
    let (value, ..) = sparse.evaluate(f, x);
    let (gradient, hessian) = sparse.into_parts();
    (value, gradient, hessian)
}

/// Whether two records have the same operations on the same operands.
fn are_alike<T>(a: &[Link<T>], b: &[Link<T>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_alike(b))
}

/// A product that is 0 if the first factor is: what has no effect has none through an infinite derivative either.
#[inline]
fn times<T: Real>(x: T, derivative: T) -> T {
    if x.is_exactly_zero() {
        T::zero()
    } else {
        x * derivative
    }
}

/// Writes the tangents of all nodes along the colors from `first` on.
fn push_forward<T: Real>(
    links: &[Link<T>],
    variables: usize,
    coloring: &Coloring,
    first: usize,
    tangents: &mut Vec<[T; LANES]>,
) {
    tangents.clear();
    tangents.resize(links.len(), [T::zero(); LANES]);
    for (j, tangents) in tangents[..variables].iter_mut().enumerate() {
        if let Some(lane) = lane(coloring, j, first) {
            tangents[lane] = T::one();
        }
    }
    for (node, link) in links.iter().enumerate().skip(variables) {
        let mut sum = [T::zero(); LANES];
        for (operand, &partial) in link.edges() {
            for (sum, &t) in sum.iter_mut().zip(&tangents[operand]) {
                *sum += times(t, partial);
            }
        }
        tangents[node] = sum;
    }
}

/// Which of the lanes for the colors from `first` on is that of a column.
fn lane(coloring: &Coloring, column: usize, first: usize) -> Option<usize> {
    let lane = (coloring.colors[column] as usize).checked_sub(first)?;
    (lane < LANES).then_some(lane)
}

#[cfg(test)]
mod tests;
