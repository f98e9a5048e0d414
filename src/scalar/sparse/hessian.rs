//! Sparse Hessians.

use super::super::coloring::{Coloring, Pattern, color_symmetric, places_of_symmetric};
use super::super::pattern;
use super::super::patterned::{Patterned, Record};
use super::super::real::Real;
use super::{Coordinates, LANES, are_alike, push_forward, times};

/// Sparse Hessians of one function at many points: [`hessian_sparse`](super::hessian_sparse) in a form that keeps its
/// memory.
///
/// The pattern and the coloring are found again only if a call does other operations than the one before. If it does the
/// same, nothing is allocated.
///
/// ```
/// use wengert::scalar::SparseHessian;
/// let mut sparse = SparseHessian::new();
/// for x in [[1.0, 2.0], [3.0, 4.0]] {
///     let (value, gradient, hessian) = sparse.evaluate(|x| x[0] * x[0] * x[0] + x[1] * x[1], &x);
///     assert_eq!(value, x[0] * x[0] * x[0] + x[1] * x[1]);
///     assert_eq!(gradient, [3.0 * x[0] * x[0], 2.0 * x[1]]);
///     assert_eq!(hessian.values, [6.0 * x[0], 2.0]);
/// }
/// ```
#[derive(Debug)]
pub struct SparseHessian<T> {
    record: Record<T>,
    /// The record before.
    before: Record<T>,
    node: Option<u32>,
    variables: usize,
    pattern: Pattern,
    coloring: Coloring,
    /// Where each entry stands among the products.
    places: Vec<usize>,
    tangents: Vec<[T; LANES]>,
    /// The derivatives of the adjoints along the colors.
    curved: Vec<[T; LANES]>,
    adjoints: Vec<T>,
    products: Vec<T>,
    hessian: Coordinates<T>,
}

impl<T: Real> Default for SparseHessian<T> {
    fn default() -> Self {
        SparseHessian::new()
    }
}

impl<T: Real> SparseHessian<T> {
    /// Without a record yet.
    pub fn new() -> Self {
        SparseHessian {
            record: Record::new(),
            before: Record::new(),
            node: None,
            variables: usize::MAX,
            pattern: Pattern::from_rows(0, []),
            coloring: Coloring {
                colors: Vec::new(),
                count: 0,
            },
            places: Vec::new(),
            tangents: Vec::new(),
            curved: Vec::new(),
            adjoints: Vec::new(),
            products: Vec::new(),
            hessian: Coordinates::new(),
        }
    }

    /// The value, the gradient and the Hessian of a function.
    #[track_caller]
    pub fn evaluate(
        &mut self,
        f: impl FnOnce(&[Patterned<T>]) -> Patterned<T>,
        x: &[T],
    ) -> (T, &[T], &Coordinates<T>) {
        std::mem::swap(&mut self.record, &mut self.before);
        // Of no call, should this one panic: then the pattern is not that of the record.
        let variables = std::mem::replace(&mut self.variables, usize::MAX);
        let y = self.record.run(x, true, f);
        let node = self.record.node_of("hessian_sparse", y);
        let links = self.record.links();
        let alike =
            are_alike(links, self.before.links()) && self.node == node && variables == x.len();
        self.variables = x.len();
        if !alike {
            self.node = node;
            self.pattern = pattern::of_hessian(links, x.len(), self.node);
            self.coloring = color_symmetric(&self.pattern);
            self.places = places_of_symmetric(&self.pattern, &self.coloring);
            self.hessian.shape_as(&self.pattern);
        }
        self.find_adjoints();
        self.find_products();
        let values = self.hessian.values.iter_mut().zip(&self.places);
        values.for_each(|(value, &place)| *value = self.products[place]);
        (y.value(), &self.adjoints[..x.len()], &self.hessian)
    }

    pub(super) fn into_parts(mut self) -> (Vec<T>, Coordinates<T>) {
        self.adjoints.truncate(self.variables);
        (self.adjoints, self.hessian)
    }

    fn find_adjoints(&mut self) {
        let links = self.record.links();
        self.adjoints.clear();
        self.adjoints.resize(links.len(), T::zero());
        if let Some(node) = self.node {
            self.adjoints[node as usize] = T::one();
        }
        for (node, link) in links.iter().enumerate().skip(self.variables).rev() {
            let adjoint = self.adjoints[node];
            for (operand, &partial) in link.edges() {
                self.adjoints[operand] += times(adjoint, partial);
            }
        }
    }

    /// The products of the Hessian with the colors: for each variable, one for each color.
    fn find_products(&mut self) {
        let (links, n) = (self.record.links(), self.variables);
        let (count, curved) = (self.coloring.count, &mut self.curved);
        self.products.clear();
        self.products.resize(n * count, T::zero());
        for first in (0..count).step_by(LANES) {
            push_forward(links, n, &self.coloring, first, &mut self.tangents);
            curved.clear();
            curved.resize(links.len(), [T::zero(); LANES]);
            for (node, link) in links.iter().enumerate().skip(n).rev() {
                let of_node = curved[node];
                for (operand, &partial) in link.edges() {
                    for (sum, &t) in curved[operand].iter_mut().zip(&of_node) {
                        *sum += times(t, partial);
                    }
                }
                // Neither a step without effect nor a second derivative that is 0 whatever the values has a part in it: an infinite
                // tangent must not make a NaN of them.
                let adjoint = self.adjoints[node];
                if link.curved == [false; 3] || adjoint.is_exactly_zero() {
                    continue;
                }
                let seconds = link.seconds.map(|second| adjoint * second);
                let along = |tangent: T, which: usize| {
                    if link.curved[which] {
                        times(tangent, seconds[which])
                    } else {
                        T::zero()
                    }
                };
                let [a, b] = link.operands.map(|operand| operand as usize);
                let (of_a, of_b) = (self.tangents[a], self.tangents[b]);
                for lane in 0..LANES {
                    curved[a][lane] += along(of_a[lane], 0);
                    if link.arity > 1 {
                        curved[a][lane] += along(of_b[lane], 1);
                        curved[b][lane] += along(of_a[lane], 1) + along(of_b[lane], 2);
                    }
                }
            }
            let used = LANES.min(count - first);
            for (i, lanes) in curved[..n].iter().enumerate() {
                let at = i * count + first;
                self.products[at..at + used].copy_from_slice(&lanes[..used]);
            }
        }
    }
}
