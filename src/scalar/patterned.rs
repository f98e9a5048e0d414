//! The number that records what a sparse derivative needs: a graph, and derivatives of each step up to second order.

mod record;

use super::dual::Dual;
use super::number::names::*;
use super::parts::{log_sum_exp, real_by_parts};
use super::recordings::within;
use record::RECORDINGS;
pub(super) use record::{Link, Record};

/// The number that [`jacobian_sparse`](super::jacobian_sparse) and [`hessian_sparse`](super::hessian_sparse) hand to their
/// functions. It records each step with its derivatives, and which of them are 0 whatever the values.
///
/// ```
/// use wengert::scalar::{self, Patterned};
/// fn differences(x: &[Patterned<f64>]) -> Vec<Patterned<f64>> {
///     x.windows(2).map(|pair| pair[1].exp() - pair[0]).collect()
/// }
/// let (_, jacobian) = scalar::jacobian_sparse(differences, &[0.0; 4]);
/// assert_eq!(jacobian.values, [-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]);
/// ```
///
/// # Panics
/// An operation panics on numbers of two calls at once, after the call has returned, and in another thread.
#[derive(Clone, Copy)]
pub struct Patterned<T> {
    value: T,
    node: u32,
    /// The recording; 0 for a constant.
    tag: u64,
}

impl<T: Real> Patterned<T> {
    /// A number that does not depend on anything.
    ///
    /// ```
    /// use wengert::scalar::Patterned;
    /// assert_eq!((Patterned::constant(2.0) * 3.0).value(), 6.0);
    /// ```
    #[inline]
    pub fn constant(value: T) -> Self {
        Patterned {
            value,
            node: 0,
            tag: 0,
        }
    }

    /// The value.
    ///
    /// ```
    /// use wengert::scalar;
    /// let (values, _) = scalar::jacobian_sparse(|x| vec![x[0] * x[0].value()], &[3.0]);
    /// assert_eq!(values, [9.0]);
    /// ```
    #[inline]
    pub fn value(self) -> T {
        self.value
    }

    /// A function with known derivatives: its value, the partial derivative by each input, and the second ones. `second(i, j)` is
    /// the one by inputs `i` and `j`, `None` where it is 0 whatever the values; it is asked for `i <= j`, and by
    /// [`hessian_sparse`](super::hessian_sparse) only.
    ///
    /// ```
    /// use wengert::scalar::{self, Patterned};
    /// // x y^2, as if it came from elsewhere.
    /// fn known(x: Patterned<f64>, y: Patterned<f64>) -> Patterned<f64> {
    ///     let (a, b) = (x.value(), y.value());
    ///     Patterned::custom(&[x, y], a * b * b, &[b * b, 2.0 * a * b], |i, j| match (i, j) {
    ///         (0, 0) => None,
    ///         (0, 1) => Some(2.0 * b),
    ///         _ => Some(2.0 * a),
    ///     })
    /// }
    /// let (value, gradient, hessian) = scalar::hessian_sparse(|x| known(x[0], x[1]), &[3.0, 5.0]);
    /// assert_eq!((value, gradient), (75.0, vec![25.0, 30.0]));
    /// assert_eq!(hessian.to_dense(), [0.0, 10.0, 10.0, 6.0]);
    /// assert_eq!(hessian.values.len(), 3);
    /// ```
    ///
    /// # Panics
    /// If there is not one partial for each input, or as any operation.
    #[track_caller]
    pub fn custom(
        inputs: &[Self],
        value: T,
        partials: &[T],
        second: impl Fn(usize, usize) -> Option<T>,
    ) -> Self {
        assert!(
            inputs.len() == partials.len(),
            "custom: {} inputs and {} partials",
            inputs.len(),
            partials.len()
        );
        Self::check_all("custom", inputs.len(), |i| inputs[i]);
        let (zero, one) = (T::zero(), T::one());
        let Some(first) = inputs.iter().find(|x| x.tag != 0) else {
            return Patterned::constant(value);
        };
        // A linear function of the inputs, and a bilinear one of each pair, which at this place is 0 and has no slope.
        let mut sum = Patterned::constant(value);
        for (&x, &partial) in inputs.iter().zip(partials).filter(|(x, _)| x.tag != 0) {
            sum = Self::binary(Binary::Add, value, (sum, one), (x, partial));
        }
        if !first.wants_seconds("custom") {
            return sum;
        }
        for (i, &a) in inputs.iter().enumerate().filter(|(_, x)| x.tag != 0) {
            for (j, &b) in inputs.iter().enumerate().skip(i) {
                let Some(by_both) = (b.tag != 0).then(|| second(i, j)).flatten() else {
                    continue;
                };
                let bilinear = if a.node == b.node {
                    // By one number twice: once for itself, and once in either order.
                    let times = if i == j { one } else { one + one };
                    a.of_one("custom", zero, zero, true, || times * by_both)
                } else {
                    let link = Link {
                        arity: 2,
                        curved: [false, true, false],
                        operands: [a.node, b.node],
                        partials: [zero; 2],
                        seconds: [zero; 3],
                    };
                    a.append("custom", zero, link, || [zero, by_both, zero])
                };
                sum = Self::binary(Binary::Add, value, (sum, one), (bilinear, one));
            }
        }
        sum
    }

    fn has_no_effect(self) -> bool {
        self.tag == 0 && self.value.is_exactly_zero()
    }

    fn is_same(self, other: Self) -> bool {
        self.tag == other.tag && self.node == other.node && self.value.is_identical(other.value)
    }

    /// Whether its recording is one of second derivatives.
    #[track_caller]
    fn wants_seconds(self, operation: &'static str) -> bool {
        match within(&RECORDINGS, self.tag, |recording| recording.seconds) {
            Some(wanted) => wanted,
            None => panic!(
                "{operation}: a number of a sparse derivative is used after the call has returned, or in another thread"
            ),
        }
    }

    /// Appends a step; `seconds` is asked only if they are wanted.
    #[track_caller]
    fn append(
        self,
        operation: &'static str,
        value: T,
        link: Link<T>,
        seconds: impl FnOnce() -> [T; 3],
    ) -> Self {
        let tag = self.tag;
        // Derivatives of a nested number record, too: before anything is borrowed.
        let seconds = if self.wants_seconds(operation) && link.curved != [false; 3] {
            seconds()
        } else {
            [T::zero(); 3]
        };
        let node = within(&RECORDINGS, tag, |recording| {
            let links = recording.links.downcast_mut::<Vec<Link<T>>>()?;
            let node = u32::try_from(links.len()).ok()?;
            links.push(Link { seconds, ..link });
            Some(node)
        });
        match node.flatten() {
            Some(node) => Patterned { value, node, tag },
            None => panic!("{operation}: more than 2^32 steps"),
        }
    }

    #[track_caller]
    fn of_one(
        self,
        operation: &'static str,
        value: T,
        partial: T,
        curved: bool,
        second: impl FnOnce() -> T,
    ) -> Self {
        let zero = T::zero();
        let link = Link {
            arity: 1,
            curved: [curved, false, false],
            operands: [self.node; 2],
            partials: [partial, zero],
            seconds: [zero; 3],
        };
        self.append(operation, value, link, || [second(), zero, zero])
    }
}

#[track_caller]
fn mixed(operation: &'static str) -> ! {
    panic!("{operation}: numbers of two sparse derivatives")
}

fn is_linear(function: Unary) -> bool {
    use Unary::{Abs, Fract, Neg, Powi, ToDegrees, ToRadians};
    matches!(
        function,
        Neg | Abs | Fract | ToDegrees | ToRadians | Powi(0 | 1)
    )
}

/// Which second derivatives of a function of two numbers may be other than 0.
fn curvature(function: Binary) -> [bool; 3] {
    match function {
        Binary::Add | Binary::Sub | Binary::Rem | Binary::Max | Binary::Min => [false; 3],
        Binary::Mul => [false, true, false],
        Binary::Div => [false, true, true],
        Binary::Powf | Binary::Atan2 | Binary::Hypot => [true; 3],
    }
}

/// The second derivatives of a function of two numbers: the first derivatives on numbers with tangents.
fn seconds_of<T: Real>(function: Binary, a: T, b: T, value: T, partials: [T; 2]) -> [T; 3] {
    let (zero, one) = (T::zero(), T::one());
    let (x, y): (Dual<T, 2>, Dual<T, 2>) = (Dual::new(a, [one, zero]), Dual::new(b, [zero, one]));
    let v = Dual::new(value, partials);
    let (by_a, by_b) = match function {
        Binary::Add | Binary::Sub | Binary::Rem | Binary::Max | Binary::Min => return [zero; 3],
        Binary::Mul => return [zero, one, zero],
        Binary::Div => (y.recip(), -(v / y)),
        Binary::Powf => (powf_by_base(x, y), powf_by_exponent(x, y, v)),
        Binary::Atan2 => {
            // Not divided by a square, which overflows and vanishes early.
            let r = x.hypot(y);
            (y / r / r, -(x / r / r))
        }
        Binary::Hypot if value.primal().is_zero() => return [zero; 3],
        Binary::Hypot => (x / v, y / v),
    };
    [by_a.tangents()[0], by_a.tangents()[1], by_b.tangents()[1]]
}

impl<T: Real> Number for Patterned<T> {
    type Inner = T;

    #[inline]
    fn lift(value: T) -> Self {
        Patterned::constant(value)
    }
    #[inline]
    fn inner(self) -> T {
        self.value
    }
    #[inline]
    fn is_lifted(self) -> bool {
        self.tag == 0
    }
    #[track_caller]
    fn unary(self, function: Unary, value: T, partial: T) -> Self {
        if self.tag == 0 {
            return Patterned::constant(value);
        }
        let curved = !is_linear(function);
        self.of_one(function.name(), value, partial, curved, || {
            let x = Dual::variable(self.value);
            function.partial(x, Dual::new(value, [partial])).tangent()
        })
    }
    #[track_caller]
    fn binary(function: Binary, value: T, (a, da): (Self, T), (b, db): (Self, T)) -> Self {
        let curved = curvature(function);
        let name = function.name();
        let seconds = || seconds_of(function, a.value, b.value, value, [da, db]);
        match (a.tag, b.tag) {
            (0, 0) => Patterned::constant(value),
            (_, 0) => a.of_one(name, value, da, curved[0], || {
                // The constant has no part in it: a power of a negative number has no derivative by the exponent.
                let fixed = Dual::constant(b.value);
                match function {
                    Binary::Powf => powf_by_base(Dual::variable(a.value), fixed).tangent(),
                    _ => seconds()[0],
                }
            }),
            (0, _) => b.of_one(name, value, db, curved[2], || seconds()[2]),
            (first, second) if first != second => mixed(name),
            _ if a.node == b.node => {
                let curved = curved != [false; 3];
                a.of_one(name, value, da + db, curved, || {
                    let [aa, ab, bb] = seconds();
                    aa + ab + ab + bb
                })
            }
            _ => {
                let link = Link {
                    arity: 2,
                    curved,
                    operands: [a.node, b.node],
                    partials: [da, db],
                    seconds: [T::zero(); 3],
                };
                a.append(name, value, link, seconds)
            }
        }
    }
    #[track_caller]
    fn wide(_: &str, value: T, _: usize, _: impl Fn(usize) -> (Self, T)) -> Self {
        unreachable!("functions of many numbers are taken apart: {value}")
    }
    #[track_caller]
    fn multiply_add(self, a: Self, b: Self, value: T) -> Self {
        Self::check_all("mul_add", 3, |i| [self, a, b][i]);
        let one = T::one();
        Self::binary(Binary::Add, value, (self * a, one), (b, one))
    }
    #[track_caller]
    fn check_all(operation: &'static str, n: usize, term: impl Fn(usize) -> Self) {
        let mut active = (0..n).map(term).filter(|x| x.tag != 0);
        let Some(first) = active.next() else {
            return;
        };
        first.wants_seconds(operation);
        if active.any(|x| x.tag != first.tag) {
            mixed(operation);
        }
    }
}

impl<T: Debug> Debug for Patterned<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patterned")
            .field("value", &self.value)
            .field("node", &(self.tag != 0).then_some(self.node))
            .finish()
    }
}

number!([T: Real] Patterned<T>, T);
real_by_parts! {
    [T: Real] Patterned<T>, T;
    #[track_caller]
    fn norm_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
        Self::check_all("norm", n, &term);
        // As for the other number types, there is no derivative at the origin.
        if (0..n).all(|i| term(i).primal().is_zero()) {
            return Self::zero();
        }
        let sizes = (0..n).map(|i| num_traits::Float::abs(term(i).primal()));
        let scale = Self::plain(scale_of(sizes.fold(Zero::zero(), num_traits::Float::max)));
        let squares = Self::sum_by(n, |i| {
            let x = term(i) * scale;
            x * x
        });
        squares.sqrt() / scale
    }
    #[track_caller]
    fn log_sum_exp_by(n: usize, term: impl Fn(usize) -> Self) -> Self {
        Self::check_all("log_sum_exp", n, &term);
        log_sum_exp(n, term)
    }
}
