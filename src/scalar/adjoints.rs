//! What a sweep found.

use super::active::Scalar;
use super::real::Real;

pub(super) const NOT_A_VARIABLE: &str =
    "derivative by an intermediate result; pass it through `Tape::watch` first";

/// A variable or watched result, and the derivative by it.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    pub(super) node: u32,
    pub(super) value: T,
    pub(super) adjoint: T,
}

/// The derivatives that a sweep of a [`Tape`](super::Tape) found, by all its variables and watched results.
///
/// They are kept apart from the tape, which may be swept again.
///
/// ```
/// use wengert::scalar::Tape;
/// let tape = Tape::new();
/// let [x, y] = [tape.var(3.0), tape.var(4.0)];
/// let (product, quotient) = (tape.gradient(x * y), tape.gradient(x / y));
/// assert_eq!((product.of(x), quotient.of(x)), (4.0, 0.25));
/// ```
#[derive(Clone, Debug)]
pub struct Adjoints<T> {
    /// In order of nodes.
    found: Vec<Found<T>>,
    tag: u32,
}

impl<T: Real> Adjoints<T> {
    pub(super) fn new(found: Vec<Found<T>>, tag: u32) -> Self {
        Adjoints { found, tag }
    }

    /// The derivative by a variable or a watched result. That by a constant is 0.
    ///
    /// # Panics
    /// If `x` is of another tape, was recorded after the sweep, or is neither a variable nor a watched result.
    ///
    /// ```
    /// use wengert::scalar::{Scalar, Tape};
    /// let tape = Tape::new();
    /// let x = tape.var(3.0);
    /// let adjoints = tape.gradient(x.powi(2));
    /// assert_eq!((adjoints.of(x), adjoints.of(Scalar::constant(1.0))), (6.0, 0.0));
    /// ```
    #[track_caller]
    pub fn of(&self, x: Scalar<T>) -> T {
        if x.is_constant() {
            return T::zero();
        }
        assert!(
            x.tag() == self.tag,
            "of: the scalar is of another tape, or of one that was reset"
        );
        let found = self
            .found
            .binary_search_by_key(&x.node(), |found| found.node);
        match found.map(|i| &self.found[i]) {
            Ok(found)
                if found.value.is_identical(x.value()) && x.weight().is_identical(T::one()) =>
            {
                found.adjoint
            }
            _ => panic!("of: {NOT_A_VARIABLE}"),
        }
    }
}
