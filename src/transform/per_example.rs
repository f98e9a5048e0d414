//! Gradients of each example of a batch, and what is made of them without forming them.

use super::forward::vjp;
use super::functional::Parameters;
use super::outer::{self, Outer};
use super::vars::{Vars, flat};
use super::vmap::Vmap;
use crate::element::Float;
use crate::op;
use crate::param::Module;
use crate::shape::Shape;
use crate::tape::{AnyVar, Var};

/// The losses of a batch of examples, and the gradient of each with respect to the trainable parameters of a model: for a parameter
/// of shape `[w..]` a variable of shape `[batch, w..]`.
///
/// `loss` is written for one example; the first axis of each input counts them. For training with differential privacy, influence
/// functions, curvature.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::per_example_gradients;
/// let model = Linear::new(2, 1, &mut wengert::rng(0));
/// let tape = Tape::new();
/// let x = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
/// let loss = |x: Var| model.forward(x.unsqueeze(0)).sum();
/// let (losses, gradients) = tape.run(per_example_gradients(&model, loss, x));
/// assert_eq!(losses.shape(), &Shape::from([3]));
/// let weight = gradients.get(&model.weight).unwrap();
/// assert_eq!(weight, &Tensor::from([[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]]));
/// ```
///
/// # Panics
/// As [`vmap`](super::vmap()); if the loss is not a scalar.
#[track_caller]
pub fn per_example_gradients<M, X, T>(
    model: &M,
    loss: impl FnOnce(X) -> Var<T>,
    batch: X,
) -> (Var<T>, Parameters)
where
    M: Module + ?Sized,
    X: Vars,
    T: Float,
{
    let given = flat(&batch);
    let Some(first) = given.first() else {
        panic!("per_example_gradients: there are no inputs");
    };
    let parameters = Parameters::on(model, first.tape());
    let one = |x: X| {
        let (y, back) = vjp(|p: Parameters| p.bound(|| loss(x)), parameters);
        let shape = y.shape();
        assert!(
            shape.rank() == 0,
            "per_example_gradients: the loss of an example has shape {shape}, but must be a scalar"
        );
        (y, back(y.tape().full(shape, T::ONE)))
    };
    Vmap::new().apply(one, batch)
}

impl Parameters {
    /// The squared norm of each example's gradient over all parameters, of what [`per_example_gradients`] gave: shape `[batch]`.
    ///
    /// Formula: `n[b] = sum over parameters and i.. of g[b, i..]^2`. The gradient of a weight that a function uses once is an outer
    /// product of two vectors for each example, `g[b, i, j] = u[b, i] v[b, j]`; of those it is `(sum of u[b, i]^2) (sum of v[b, j]^2)`,
    /// so that no product is formed. To clip, give each example the weight that the norm of its gradient allows in
    /// [`weighted_sum`](Parameters::weighted_sum).
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::per_example_gradients;
    /// let model = Linear::new(2, 1, &mut wengert::rng(0));
    /// let tape = Tape::new();
    /// let x = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let loss = |x: Var| model.forward(x.unsqueeze(0)).sum();
    /// let (_, gradients) = per_example_gradients(&model, loss, x);
    /// // That of the bias is 1.
    /// let norms: Var = gradients.squared_norms();
    /// assert_eq!(norms.value(), Tensor::from([1.0 + 4.0 + 1.0, 9.0 + 16.0 + 1.0]));
    /// ```
    ///
    /// # Panics
    /// If there are no parameters; if one is not of type `T` or has no axis; if they are of different numbers of examples.
    ///
    /// # Source
    /// I. Goodfellow, "Efficient per-example gradient computations", 2015.
    #[track_caller]
    pub fn squared_norms<T: Float>(&self) -> Var<T> {
        let each = self.iter().map(|(name, g)| {
            let g = of_examples::<T>("squared_norms", name, g);
            let squares = |g: Var<T>| g.square().sum_axes(&behind_first(g));
            match op::outer_factors(g) {
                Some([a, b]) => squares(a) * squares(b),
                None => squares(g),
            }
        });
        total("squared_norms", each)
    }

    /// The sum of the gradients of all examples, each times a weight, of what [`per_example_gradients`] gave: for a parameter of shape
    /// `[w..]` a variable of that shape.
    ///
    /// Formula: `s[i..] = sum over b of weights[b] g[b, i..]`. Gradients that are outer products (see
    /// [`squared_norms`](Parameters::squared_norms)) are not formed: their sum is one product of matrices,
    /// `s[i, j] = sum over b of (weights[b] u[b, i]) v[b, j]`, as in an ordinary backward pass.
    ///
    /// # Shapes
    /// `[batch]` weights.
    ///
    /// # Derivative
    /// That of the formula, with respect to the weights and to what the gradients depend on.
    ///
    /// A step of training with differential privacy takes gradients whose norms are at most `c`:
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::per_example_gradients;
    /// let model = Linear::new(2, 1, &mut wengert::rng(0));
    /// let tape = Tape::new();
    /// let x = tape.constant(&Tensor::from([[3.0, 4.0], [0.3, 0.4]]));
    /// let loss = |x: Var| model.forward(x.unsqueeze(0)).sum();
    /// let (_, gradients) = per_example_gradients(&model, loss, x);
    /// let c = 2.0;
    /// let norms = gradients.squared_norms::<f32>().sqrt();
    /// let clipped = gradients.weighted_sum(c / norms.maximum(c));
    /// let weight = tape.run(clipped).get(&model.weight).unwrap().clone();
    /// // The norm of the first gradient is the root of 1 + 9 + 16, that of the second one is less than 2.
    /// let first = 2.0 / 26.0_f32.sqrt();
    /// let expected = Tensor::from([[3.0 * first + 0.3, 4.0 * first + 0.4]]);
    /// assert!(weight.all_close(&expected, 1e-6, 0.0));
    /// ```
    ///
    /// # Panics
    /// If a parameter is not of type `T`; if it has no axis of as many examples as there are weights; if the weights are of
    /// another tape or have more axes than one.
    #[track_caller]
    pub fn weighted_sum<T: Float>(&self, weights: Var<T>) -> Self {
        let shape = weights.shape();
        assert!(
            shape.rank() == 1,
            "weighted_sum: the weights have shape {shape}, but must have one axis"
        );
        self.map_each(|name, g| {
            let g = of_examples::<T>("weighted_sum", name, g);
            let count = g.shape()[0];
            assert!(
                count == shape[0],
                "weighted_sum: {name} has gradients of {count} examples, and there are {} weights",
                shape[0]
            );
            match op::outer_factors(g) {
                Some(factors) => Outer::of(factors).weighted_sum(weights).erase(),
                None => {
                    let ones = std::iter::repeat_n(1, g.rank() - 1);
                    let weights =
                        weights.reshape([count].into_iter().chain(ones).collect::<Shape>());
                    (weights * g).sum_axes(0).erase()
                }
            }
        })
    }

    /// The inner product of each example's gradient and a direction over all parameters, of what [`per_example_gradients`] gave: the
    /// derivative of its loss along that direction. Shape `[batch]`.
    ///
    /// Formula: `p[b] = sum over parameters and i.. of g[b, i..] d[i..]`. Gradients that are outer products (see
    /// [`squared_norms`](Parameters::squared_norms)) are not formed: of those it is `sum over j of (sum over i of u[b, i] d[i, j]) v[b, j]`.
    ///
    /// The influence of an example on another loss is such a product, and so is half of a product with the matrix of curvature
    /// that is the sum of `g g^T`; the other half is [`weighted_sum`](Parameters::weighted_sum):
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::per_example_gradients;
    /// let model = Linear::new(2, 1, &mut wengert::rng(0));
    /// let tape = Tape::new();
    /// let x = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let loss = |x: Var| model.forward(x.unsqueeze(0)).sum();
    /// let (_, gradients) = per_example_gradients(&model, loss, x);
    /// let ones = gradients.map_each(|_, g| tape.full(&g.shape()[1..], 1.0f32).erase());
    /// // By both weights and the bias.
    /// let along: Var = gradients.inner_products(&ones);
    /// assert_eq!(along.value(), Tensor::from([1.0 + 2.0 + 1.0, 3.0 + 4.0 + 1.0]));
    /// let curvature = tape.run(gradients.weighted_sum(along));
    /// assert_eq!(curvature.get(&model.weight).unwrap(), &Tensor::from([[4.0 + 24.0, 8.0 + 32.0]]));
    /// ```
    ///
    /// # Panics
    /// If there are no parameters; if one is not of type `T` or has no axis of examples; if the direction is of other parameters,
    /// types or shapes; if they are of different numbers of examples.
    #[track_caller]
    pub fn inner_products<T: Float>(&self, direction: &Parameters) -> Var<T> {
        let each = self.iter().zip(self.matching("inner_products", direction));
        let each = each.map(|((name, g), d)| {
            let g = of_examples::<T>("inner_products", name, g);
            let (wanted, dtype, shape) = (g.shape().without(0), d.dtype(), d.shape());
            assert!(
                dtype == T::DTYPE && shape == wanted,
                "inner_products: the direction of {name} is {dtype} of shape {shape}, not {} of shape {wanted}",
                T::DTYPE
            );
            let d = d.assume::<T>();
            match op::outer_factors(g) {
                Some(factors) => Outer::of(factors).inner_products(d),
                None => (g * d).sum_axes(&behind_first(g)),
            }
        });
        total("inner_products", each)
    }

    /// The inner products of the gradients of any two examples over all parameters, of what [`per_example_gradients`] gave: shape
    /// `[batch, batch]`. Of the gradients of a model's output it is the neural tangent kernel.
    ///
    /// Formula: `k[a, b] = sum over parameters and i.. of g[a, i..] g[b, i..]`. Gradients that are outer products (see
    /// [`squared_norms`](Parameters::squared_norms)) are not formed: of those it is `(u[a] . u[b]) (v[a] . v[b])`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::per_example_gradients;
    /// let model = Linear::new(2, 1, &mut wengert::rng(0));
    /// let tape = Tape::new();
    /// let x = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let output = |x: Var| model.forward(x.unsqueeze(0)).sum();
    /// let (_, gradients) = per_example_gradients(&model, output, x);
    /// // The weights give x x^T, the bias gives 1.
    /// let kernel: Var = gradients.gram();
    /// assert_eq!(kernel.value(), Tensor::from([[6.0, 12.0], [12.0, 26.0]]));
    /// ```
    ///
    /// # Panics
    /// If there are no parameters; if one is not of type `T` or has no axis of examples; if they are of different numbers of
    /// examples.
    ///
    /// # Source
    /// A. Jacot, F. Gabriel and C. Hongler, "Neural tangent kernel: convergence and generalization in neural networks", 2018.
    #[track_caller]
    pub fn gram<T: Float>(&self) -> Var<T> {
        let each = self.iter().map(|(name, g)| {
            let g = of_examples::<T>("gram", name, g);
            match op::outer_factors(g) {
                Some(factors) => Outer::of(factors).gram(),
                None => {
                    let rows = outer::rows(g, g.shape()[0]);
                    rows.matmul(rows.t())
                }
            }
        });
        total("gram", each)
    }
}

/// All axes but the first.
fn behind_first<T: Float>(of: Var<T>) -> Vec<isize> {
    (1..of.rank() as isize).collect()
}

/// The sum over parameters.
#[track_caller]
fn total<T: Float>(operation: &str, each: impl Iterator<Item = Var<T>>) -> Var<T> {
    match each.reduce(|a, b| a + b) {
        Some(sum) => sum,
        None => panic!("{operation}: there are no parameters"),
    }
}

/// A gradient with an axis of examples.
#[track_caller]
pub(super) fn of_examples<T: Float>(operation: &str, name: &str, g: AnyVar) -> Var<T> {
    let (dtype, shape) = (g.dtype(), g.shape());
    assert!(
        dtype == T::DTYPE && shape.rank() > 0,
        "{operation}: {name} is {dtype} of shape {shape}, not {} with an axis of examples",
        T::DTYPE
    );
    g.assume()
}
