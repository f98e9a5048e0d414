//! The tape in the hand.

mod custom;

use std::fmt;
use std::marker::PhantomData;

use super::active::Scalar;
use super::adjoints::{Adjoints, Found, NOT_A_VARIABLE};
use super::arena::{Hold, Rule};
use super::number::Number;
use super::real::Real;

pub use custom::custom_vjp;

/// A record of operations on [`Scalar`]s, to be swept back for derivatives.
///
/// Several tapes may be alive at once in a thread. A tape stays in its thread; dropping it keeps its memory for the next
/// one of the same type of number. [`gradient`](super::gradient) and the like make tapes themselves.
///
/// ```
/// use wengert::scalar::Tape;
/// let tape = Tape::new();
/// let x = tape.vars(&[1.0, 2.0, 3.0]);
/// let product = x[0] * x[1] * x[2];
/// let sum = x[0] + x[1] + x[2];
/// assert_eq!(tape.gradient_of(product, &x), [6.0, 3.0, 2.0]);
/// assert_eq!(tape.gradient_of(sum, &x), [1.0, 1.0, 1.0]);
/// ```
pub struct Tape<T: Real = f64> {
    pub(super) hold: Hold<T>,
    _stays_in_its_thread: PhantomData<*const ()>,
}

impl<T: Real> Tape<T> {
    /// An empty tape.
    ///
    /// # Panics
    /// If 64 tapes of the type of number are alive in the thread. A process has room for 128 tapes in a thread, which stays with the types of
    /// number that were first to need it; if there is none left for this type.
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// assert_eq!(Tape::<f64>::new().nodes(), 0);
    /// ```
    #[track_caller]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Tape {
            hold: Hold::new(),
            _stays_in_its_thread: PhantomData,
        }
    }

    /// A variable: a number whose derivatives a sweep finds.
    ///
    /// # Panics
    /// If the tape is full, with 2^32 - 2 nodes.
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// let x = tape.var(3.0);
    /// assert_eq!(tape.gradient_of(x * x, &[x]), [6.0]);
    /// ```
    #[inline]
    #[track_caller]
    pub fn var(&self, value: T) -> Scalar<T> {
        Scalar::active(value, self.hold.leaf(value), self.hold.tag())
    }

    /// Variables, one for each value.
    ///
    /// # Panics
    /// As [`var`](Tape::var).
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// assert_eq!(tape.vars(&[1.0, 2.0])[1].value(), 2.0);
    /// assert_eq!(tape.nodes(), 2);
    /// ```
    #[track_caller]
    pub fn vars(&self, values: &[T]) -> Vec<Scalar<T>> {
        let mut vars = Vec::new();
        self.vars_into(values, &mut vars);
        vars
    }

    /// Variables, written into a buffer that is cleared first.
    ///
    /// # Panics
    /// As [`var`](Tape::var).
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// let mut x = Vec::new();
    /// tape.vars_into(&[1.0, 2.0], &mut x);
    /// assert_eq!(x.len(), 2);
    /// ```
    #[track_caller]
    pub fn vars_into(&self, values: &[T], vars: &mut Vec<Scalar<T>>) {
        vars.clear();
        let variables = (self.hold.leaf_all(values)..).zip(values);
        vars.extend(variables.map(|(node, &value)| Scalar::active(value, node, self.hold.tag())));
    }

    /// An intermediate result whose derivative can be asked for, as that of a variable can.
    ///
    /// Go on with the scalar returned: what is computed from `x` itself does not pass through it.
    ///
    /// # Panics
    /// If `x` is of another tape.
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// let x = tape.var(3.0);
    /// let square = tape.watch(x * x);
    /// let y = square * 2.0 + x;
    /// assert_eq!(tape.gradient_of(y, &[x, square]), [13.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn watch(&self, x: Scalar<T>) -> Scalar<T> {
        if x.is_constant() {
            return self.var(x.value());
        }
        self.hold.own("watch", x.tag());
        let node = self.hold.watch(x.node(), x.weight(), x.value());
        Scalar::active(x.value(), node, self.hold.tag())
    }

    /// A function with known derivatives, as one node: its value and the partial derivative by each input.
    ///
    /// # Panics
    /// If there is not one partial for each input, or an input is of another tape.
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// let x = tape.var(0.5_f64);
    /// let y = tape.custom(&[x], 0.5_f64.sin(), &[0.5_f64.cos()]) * 2.0;
    /// assert_eq!(tape.gradient_of(y, &[x]), [2.0 * 0.5_f64.cos()]);
    /// ```
    #[track_caller]
    pub fn custom(&self, inputs: &[Scalar<T>], value: T, partials: &[T]) -> Scalar<T> {
        assert!(
            inputs.len() == partials.len(),
            "custom: {} inputs and {} partials",
            inputs.len(),
            partials.len()
        );
        self.own_all("custom", inputs);
        Scalar::wide("custom", value, inputs.len(), |i| (inputs[i], partials[i]))
    }

    /// A function of many results, with its rule: `rule(cotangents, out)` turns the cotangents of the results into those of
    /// the inputs. `out` comes as zeros. It is called once in a sweep, if a result has had an effect.
    ///
    /// # Panics
    /// If an input is of another tape. A sweep panics if its rule records on the tape or sweeps it.
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// let [a, b] = [tape.var(3.0), tape.var(2.0)];
    /// let swapped = tape.custom_vjp(&[a, b], &[2.0, 3.0], |cotangents, out| {
    ///     out.copy_from_slice(&[cotangents[1], cotangents[0]]);
    /// });
    /// assert_eq!(tape.gradient_of(swapped[0] * 5.0 + swapped[1], &[a, b]), [1.0, 5.0]);
    /// ```
    #[track_caller]
    pub fn custom_vjp(
        &self,
        inputs: &[Scalar<T>],
        outputs: &[T],
        rule: impl Fn(&[T], &mut [T]) + 'static,
    ) -> Vec<Scalar<T>> {
        self.own_all("custom_vjp", inputs);
        // A constant takes part with weight 0, at any node.
        let edges = inputs
            .iter()
            .map(|x| {
                if x.is_constant() {
                    None
                } else {
                    Some((x.node(), x.weight()))
                }
            })
            .collect::<Vec<_>>();
        let active: Vec<usize> = (0..edges.len()).filter(|&i| edges[i].is_some()).collect();
        let inputs: Vec<(u32, T)> = edges.iter().copied().flatten().collect();
        let n = edges.len();
        let rule: Rule<T> = if active.len() == n {
            Box::new(rule)
        } else {
            Box::new(move |cotangents, out| {
                let mut all = vec![T::zero(); n];
                rule(cotangents, &mut all);
                for (to, &i) in out.iter_mut().zip(&active) {
                    *to = all[i];
                }
            })
        };
        let first = self.hold.call(inputs, outputs.len() as u32, rule);
        (first..)
            .zip(outputs)
            .map(|(node, &value)| Scalar::active(value, node, self.hold.tag()))
            .collect()
    }

    /// The derivatives of `y` by all variables and watched results.
    ///
    /// # Panics
    /// If `y` is of another tape, or of one that was reset.
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// let (x, y) = (tape.var(3.0), tape.var(4.0));
    /// let adjoints = tape.gradient(x * y);
    /// assert_eq!((adjoints.of(x), adjoints.of(y)), (4.0, 3.0));
    /// ```
    #[track_caller]
    pub fn gradient(&self, y: Scalar<T>) -> Adjoints<T> {
        self.adjoints("gradient", &[y], &[T::one()])
    }

    /// The derivatives of a weighted sum of results, by all variables and watched results.
    ///
    /// # Panics
    /// If there is not one seed for each result, or a result is of another tape.
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// let x = tape.var(3.0);
    /// assert_eq!(tape.vjp(&[x * x, x * 5.0], &[1.0, 10.0]).of(x), 56.0);
    /// ```
    #[track_caller]
    pub fn vjp(&self, ys: &[Scalar<T>], seeds: &[T]) -> Adjoints<T> {
        self.adjoints("vjp", ys, seeds)
    }

    #[track_caller]
    fn adjoints(&self, operation: &'static str, ys: &[Scalar<T>], seeds: &[T]) -> Adjoints<T> {
        self.check_seeds(operation, ys, seeds);
        let node = |node: u32| (node, self.hold.kept_value(node).unwrap_or_default());
        let (first, kept) = (0..self.hold.leaves(), self.hold.kept());
        let variables = first.chain(kept).map(node);
        let mut found: Vec<Found<T>> = variables
            .map(|(node, value)| Found {
                node,
                value,
                adjoint: T::zero(),
            })
            .collect();
        self.hold.sweep(seeded(ys, seeds), |adjoints| {
            for found in &mut found {
                found.adjoint = adjoints[found.node as usize];
            }
        });
        Adjoints::new(found, self.hold.tag())
    }

    /// The derivatives of `y` by variables or watched results.
    ///
    /// # Panics
    /// If a scalar is of another tape, or one of `xs` is not a variable or watched result.
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// let x = tape.vars(&[3.0, 4.0]);
    /// assert_eq!(tape.gradient_of(x[0] * x[1], &x), [4.0, 3.0]);
    /// ```
    #[track_caller]
    pub fn gradient_of(&self, y: Scalar<T>, xs: &[Scalar<T>]) -> Vec<T> {
        let mut gradient = vec![T::zero(); xs.len()];
        self.sweep_into("gradient_of", &[y], &[T::one()], xs, &mut gradient);
        gradient
    }

    /// The derivatives of `y` by variables or watched results, into a buffer.
    ///
    /// # Panics
    /// If the buffer is not as long as `xs`, or as [`gradient_of`](Tape::gradient_of).
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// let x = tape.vars(&[3.0, 4.0]);
    /// let mut gradient = [0.0; 2];
    /// tape.gradient_into(x[0] * x[1], &x, &mut gradient);
    /// assert_eq!(gradient, [4.0, 3.0]);
    /// ```
    #[track_caller]
    pub fn gradient_into(&self, y: Scalar<T>, xs: &[Scalar<T>], gradient: &mut [T]) {
        self.sweep_into("gradient_into", &[y], &[T::one()], xs, gradient);
    }

    /// The derivatives of a weighted sum of results, by variables or watched results, into a buffer.
    ///
    /// # Panics
    /// As [`gradient_into`](Tape::gradient_into), or if there is not one seed for each result.
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// let x = tape.var(3.0);
    /// let mut gradient = [0.0];
    /// tape.vjp_into(&[x * x, x * 5.0], &[1.0, 10.0], &[x], &mut gradient);
    /// assert_eq!(gradient, [56.0]);
    /// ```
    #[track_caller]
    pub fn vjp_into(&self, ys: &[Scalar<T>], seeds: &[T], xs: &[Scalar<T>], gradient: &mut [T]) {
        self.sweep_into("vjp_into", ys, seeds, xs, gradient);
    }

    /// The derivatives of results by variables or watched results, row by row: that of result `i` by number `j` of `n` goes
    /// to `i * n + j`. Results are served by sweeps of several at once.
    ///
    /// # Panics
    /// If the buffer has not one place for each pair, or as [`gradient_of`](Tape::gradient_of).
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// let x = tape.vars(&[3.0, 4.0]);
    /// let mut jacobian = [0.0; 4];
    /// tape.jacobian_into(&[x[0] * x[1], x[0] - x[1]], &x, &mut jacobian);
    /// assert_eq!(jacobian, [4.0, 3.0, 1.0, -1.0]);
    /// ```
    #[track_caller]
    pub fn jacobian_into(&self, ys: &[Scalar<T>], xs: &[Scalar<T>], jacobian: &mut [T]) {
        const OPERATION: &str = "jacobian_into";
        assert!(
            jacobian.len() == ys.len() * xs.len(),
            "{OPERATION}: {} results, {} variables and room for {} derivatives",
            ys.len(),
            xs.len(),
            jacobian.len()
        );
        self.own_all(OPERATION, ys);
        self.check_variables(OPERATION, xs);
        self.rows(
            ys,
            xs.len(),
            |j| Some(xs[j]).filter(|x| !x.is_constant()).map(Scalar::node),
            jacobian,
        );
    }

    /// Rows of a Jacobian, by the nodes of `n` variables. The results are of this tape.
    #[track_caller]
    pub(super) fn rows(
        &self,
        ys: &[Scalar<T>],
        n: usize,
        node: impl Fn(usize) -> Option<u32> + Copy,
        jacobian: &mut [T],
    ) {
        const LANES: usize = 4;
        if n == 0 {
            return;
        }
        let chunks = ys.chunks(LANES).zip(jacobian.chunks_mut(LANES * n));
        for (ys, rows) in chunks {
            match ys.len() {
                1 => self.lanes::<1>(ys, n, node, rows),
                2 => self.lanes::<2>(ys, n, node, rows),
                _ => self.lanes::<LANES>(ys, n, node, rows),
            }
        }
    }

    /// [`rows`](Tape::rows) of at most `L` results, by one sweep.
    #[track_caller]
    fn lanes<const L: usize>(
        &self,
        ys: &[Scalar<T>],
        n: usize,
        node: impl Fn(usize) -> Option<u32>,
        rows: &mut [T],
    ) {
        let seeds = ys.iter().enumerate().filter(|(_, y)| !y.is_constant());
        let seeds = seeds.map(|(lane, y)| {
            let mut seed = [T::zero(); L];
            seed[lane] = y.weight();
            (y.node(), seed)
        });
        self.hold.sweep_lanes(seeds, |adjoints: &[[T; L]]| {
            for j in 0..n {
                let adjoint = match node(j) {
                    Some(node) => adjoints[node as usize],
                    None => [T::zero(); L],
                };
                for (row, adjoint) in rows.chunks_exact_mut(n).zip(adjoint) {
                    row[j] = adjoint;
                }
            }
        });
    }

    #[track_caller]
    fn sweep_into(
        &self,
        operation: &'static str,
        ys: &[Scalar<T>],
        seeds: &[T],
        xs: &[Scalar<T>],
        gradient: &mut [T],
    ) {
        self.check_seeds(operation, ys, seeds);
        assert!(
            xs.len() == gradient.len(),
            "{operation}: {} variables and room for {} derivatives",
            xs.len(),
            gradient.len()
        );
        let run = self.hold.run_of_leaves(xs);
        if run.is_none() {
            self.check_variables(operation, xs);
        }
        self.hold.sweep(seeded(ys, seeds), |adjoints| {
            if let Some(first) = run {
                return gradient.copy_from_slice(&adjoints[first..][..xs.len()]);
            }
            for (to, x) in gradient.iter_mut().zip(xs) {
                *to = if x.is_constant() {
                    T::zero()
                } else {
                    adjoints[x.node() as usize]
                };
            }
        });
    }

    /// As [`vjp_into`](Tape::vjp_into) by the first variables of the tape.
    #[track_caller]
    pub(super) fn vjp_of_first(
        &self,
        operation: &'static str,
        ys: &[Scalar<T>],
        seeds: &[T],
        gradient: &mut [T],
    ) {
        self.check_seeds(operation, ys, seeds);
        self.hold.sweep(seeded(ys, seeds), |adjoints| {
            gradient.copy_from_slice(&adjoints[..gradient.len()]);
        });
    }

    /// Forgets what was recorded and keeps the memory. Its scalars can no longer be used.
    ///
    /// # Panics
    /// In the middle of a sweep, in a rule.
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let mut tape = Tape::new();
    /// for k in 1..4 {
    ///     tape.reset();
    ///     let x = tape.var(f64::from(k));
    ///     assert_eq!(tape.gradient_of(x * x, &[x]), [2.0 * f64::from(k)]);
    /// }
    /// ```
    #[track_caller]
    pub fn reset(&mut self) {
        self.hold.reset();
    }

    /// The number of nodes: variables and recorded operations.
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// let x = tape.vars(&[3.0, 4.0]);
    /// // Of these only the product is recorded: the others are functions of one number.
    /// let y = (x[0].sin() * 2.0) * x[1].exp();
    /// assert_eq!((tape.nodes(), y.is_constant()), (3, false));
    /// ```
    pub fn nodes(&self) -> usize {
        self.hold.nodes()
    }

    /// The bytes that the record takes, without spare room and without adjoints.
    ///
    /// ```
    /// use wengert::scalar::Tape;
    /// let tape = Tape::new();
    /// let x = tape.vars(&[3.0, 4.0]);
    /// let _ = x[0] * x[1];
    /// assert_eq!(tape.bytes(), 3 * 24);
    /// ```
    pub fn bytes(&self) -> usize {
        self.hold.bytes()
    }

    #[track_caller]
    fn own_all(&self, operation: &'static str, xs: &[Scalar<T>]) {
        for x in xs {
            if !x.is_constant() {
                self.hold.own(operation, x.tag());
            }
        }
    }

    #[track_caller]
    fn check_seeds(&self, operation: &'static str, ys: &[Scalar<T>], seeds: &[T]) {
        assert!(
            ys.len() == seeds.len(),
            "{operation}: {} results and {} seeds",
            ys.len(),
            seeds.len()
        );
        self.own_all(operation, ys);
    }

    #[track_caller]
    fn check_variables(&self, operation: &'static str, xs: &[Scalar<T>]) {
        if self.hold.keeps_all(xs) {
            return;
        }
        self.own_all(operation, xs);
        panic!("{operation}: {NOT_A_VARIABLE}");
    }
}

fn seeded<T: Real>(ys: &[Scalar<T>], seeds: &[T]) -> impl Iterator<Item = (u32, T)> + Clone {
    ys.iter()
        .zip(seeds)
        .filter(|(y, seed)| !y.is_constant() && !seed.is_exactly_zero())
        .map(|(y, &seed)| (y.node(), seed * y.weight()))
}

impl<T: Real> fmt::Debug for Tape<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape")
            .field("nodes", &self.nodes())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
