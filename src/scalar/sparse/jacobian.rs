//! Sparse Jacobians.

use super::super::coloring::{Coloring, color_columns};
use super::super::pattern;
use super::super::patterned::{Link, Patterned, Record};
use super::super::real::Real;
use super::{Coordinates, LANES, are_alike, lane, push_forward, times};

/// Sparse Jacobians of one function at many points: [`jacobian_sparse`](super::jacobian_sparse) in a form that keeps its
/// memory.
///
/// The pattern and the coloring are found again only if a call does other operations than the one before. If it does the
/// same, nothing is allocated.
///
/// ```
/// use wengert::scalar::SparseJacobian;
/// let mut sparse = SparseJacobian::new();
/// for x in [[1.0, 2.0], [3.0, 4.0]] {
///     let (values, jacobian) = sparse.evaluate(|x, y| y.extend([x[0] * x[0], x[1] * 2.0]), &x);
///     assert_eq!(values, [x[0] * x[0], x[1] * 2.0]);
///     assert_eq!(jacobian.values, [2.0 * x[0], 2.0]);
/// }
/// ```
#[derive(Debug)]
pub struct SparseJacobian<T> {
    record: Record<T>,
    /// The record before.
    before: Record<T>,
    results: Vec<Patterned<T>>,
    nodes: Vec<Option<u32>>,
    nodes_before: Vec<Option<u32>>,
    variables: usize,
    /// Of columns, for sweeps forward, or of rows.
    coloring: Coloring,
    is_forward: bool,
    lanes: Vec<[T; LANES]>,
    products: Vec<T>,
    values: Vec<T>,
    jacobian: Coordinates<T>,
}

impl<T: Real> Default for SparseJacobian<T> {
    fn default() -> Self {
        SparseJacobian::new()
    }
}

impl<T: Real> SparseJacobian<T> {
    /// Without a record yet.
    pub fn new() -> Self {
        SparseJacobian {
            record: Record::new(),
            before: Record::new(),
            results: Vec::new(),
            nodes: Vec::new(),
            nodes_before: Vec::new(),
            variables: usize::MAX,
            coloring: Coloring {
                colors: Vec::new(),
                count: 0,
            },
            is_forward: true,
            lanes: Vec::new(),
            products: Vec::new(),
            values: Vec::new(),
            jacobian: Coordinates::new(),
        }
    }

    /// The values and the Jacobian of a function that appends its results to its second argument.
    #[track_caller]
    pub fn evaluate(
        &mut self,
        f: impl FnOnce(&[Patterned<T>], &mut Vec<Patterned<T>>),
        x: &[T],
    ) -> (&[T], &Coordinates<T>) {
        std::mem::swap(&mut self.record, &mut self.before);
        std::mem::swap(&mut self.nodes, &mut self.nodes_before);
        // Of no call, should this one panic: then the coloring is not that of the record.
        let variables = std::mem::replace(&mut self.variables, usize::MAX);
        let results = &mut self.results;
        results.clear();
        self.record.run(x, false, |x| f(x, results));
        self.nodes.clear();
        for &y in &self.results {
            self.nodes.push(self.record.node_of("jacobian_sparse", y));
        }
        let results = &self.results;
        self.values.clear();
        self.values.extend(results.iter().map(|y| y.value()));
        let links = self.record.links();
        let alike = are_alike(links, self.before.links())
            && self.nodes == self.nodes_before
            && variables == x.len();
        self.variables = x.len();
        if !alike {
            let pattern = pattern::of_jacobian(links, x.len(), &self.nodes);
            let columns = color_columns(&pattern);
            let rows = color_columns(&pattern.transposed());
            self.is_forward = columns.count <= rows.count;
            self.coloring = if self.is_forward { columns } else { rows };
            self.jacobian.shape_as(&pattern);
        }
        self.find_products();
        let (products, coloring) = (&self.products, &self.coloring);
        let place = |i: usize, colored: usize| {
            products[i * coloring.count + coloring.colors[colored] as usize]
        };
        if self.is_forward {
            self.jacobian.fill(place);
        } else {
            self.jacobian.fill(|i, j| place(j, i));
        }
        (&self.values, &self.jacobian)
    }

    pub(super) fn into_parts(self) -> (Vec<T>, Coordinates<T>) {
        (self.values, self.jacobian)
    }

    /// The products of the Jacobian with the colors: for each result, or variable, one for each color.
    fn find_products(&mut self) {
        let (links, count) = (self.record.links(), self.coloring.count);
        let (n, results) = (self.variables, &self.nodes);
        let rows = if self.is_forward { results.len() } else { n };
        self.products.clear();
        self.products.resize(rows * count, T::zero());
        for first in (0..count).step_by(LANES) {
            if self.is_forward {
                push_forward(links, n, &self.coloring, first, &mut self.lanes);
            } else {
                pull_back(links, n, results, &self.coloring, first, &mut self.lanes);
            }
            let used = LANES.min(count - first);
            let products = self.products.chunks_exact_mut(count);
            let nodes = (0..rows).map(|i| {
                if self.is_forward {
                    results[i]
                } else {
                    Some(i as u32)
                }
            });
            for (product, node) in products.zip(nodes) {
                if let Some(node) = node {
                    let found = &self.lanes[node as usize][..used];
                    product[first..first + used].copy_from_slice(found);
                }
            }
        }
    }
}

/// Writes the adjoints of all nodes, for the colors of results from `first` on.
fn pull_back<T: Real>(
    links: &[Link<T>],
    variables: usize,
    results: &[Option<u32>],
    coloring: &Coloring,
    first: usize,
    adjoints: &mut Vec<[T; LANES]>,
) {
    adjoints.clear();
    adjoints.resize(links.len(), [T::zero(); LANES]);
    for (i, result) in results.iter().enumerate() {
        if let (Some(node), Some(lane)) = (*result, lane(coloring, i, first)) {
            adjoints[node as usize][lane] += T::one();
        }
    }
    for (node, link) in links.iter().enumerate().skip(variables).rev() {
        let adjoint = adjoints[node];
        for (operand, &partial) in link.edges() {
            for (sum, &a) in adjoints[operand].iter_mut().zip(&adjoint) {
                *sum += times(a, partial);
            }
        }
    }
}
