//! Gradients of each example of a batch, and what is made of them without forming them.

use super::forward::vjp;
use super::functional::Parameters;
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
            let squares = |g: Var<T>| {
                let axes: Vec<isize> = (1..g.rank() as isize).collect();
                g.square().sum_axes(&axes)
            };
            match op::outer_factors(g) {
                Some([a, b]) => squares(a) * squares(b),
                None => squares(g),
            }
        });
        let Some(sum) = each.reduce(|a, b| a + b) else {
            panic!("squared_norms: there are no parameters");
        };
        sum
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
                Some(factors) => sum_of_outer_products(weights, factors).erase(),
                None => {
                    let ones = std::iter::repeat_n(1, g.rank() - 1);
                    let weights =
                        weights.reshape([count].into_iter().chain(ones).collect::<Shape>());
                    (weights * g).sum_axes(0).erase()
                }
            }
        })
    }
}

/// A gradient with an axis of examples.
#[track_caller]
fn of_examples<T: Float>(operation: &str, name: &str, g: AnyVar) -> Var<T> {
    let (dtype, shape) = (g.dtype(), g.shape());
    assert!(
        dtype == T::DTYPE && shape.rank() > 0,
        "{operation}: {name} is {dtype} of shape {shape}, not {} with an axis of examples",
        T::DTYPE
    );
    g.assume()
}

/// The sum over the first axis of products of which at most one factor changes along each other axis, each times a weight.
#[track_caller]
fn sum_of_outer_products<T: Float>(weights: Var<T>, factors: [Var<T>; 2]) -> Var<T> {
    let count = weights.shape()[0];
    let [left, right] = factors.map(|factor| factor.shape());
    // The axes along which the left factor does not change are those of the right one.
    let (of_left, of_right): (Vec<usize>, Vec<usize>) =
        (1..left.rank()).partition(|&axis| right[axis] == 1);
    let rows = |factor: Var<T>, shape: &Shape| {
        let len = shape[1..].iter().product();
        factor.reshape([shape[0], len]).expand([count, len])
    };
    let weighted = rows(factors[0], &left) * weights.unsqueeze(1);
    let sum = weighted.t().matmul(rows(factors[1], &right));
    let sizes = of_left.iter().map(|&axis| left[axis]);
    let sizes = sizes.chain(of_right.iter().map(|&axis| right[axis]));
    let sum = sum.reshape(sizes.collect::<Shape>());
    let behind = |axis| of_left.iter().chain(&of_right).position(|&a| a == axis);
    let order: Vec<isize> = (1..left.rank())
        .filter_map(behind)
        .map(|at| at as isize)
        .collect();
    sum.permute(&order[..])
}
