//! What is made of gradients of examples, without forming those that are outer products.

use super::ExampleGradients;
use super::outer::{Outer, rows};
use crate::element::Float;
use crate::shape::Shape;
use crate::tape::Var;
use crate::transform::functional::Parameters;

/// The gradients of examples for one parameter.
enum Gradient<T: Float> {
    Outer(Outer<T>),
    Whole(Var<T>),
}

impl ExampleGradients {
    /// The squared norm of each example's gradient over all parameters: shape `[batch]`.
    ///
    /// Formula: `n[b] = sum over parameters and i.. of g[b, i..]^2`, which of an outer product `g[b, i, j] = u[b, i] v[b, j]` is
    /// `(sum of u[b, i]^2) (sum of v[b, j]^2)`. To clip, give each example the weight that the norm of its gradient allows in
    /// [`weighted_sum`](Self::weighted_sum).
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
    /// If there are no parameters; if one is not of type `T`.
    ///
    /// # Source
    /// I. Goodfellow, "Efficient per-example gradient computations", 2015.
    #[track_caller]
    pub fn squared_norms<T: Float>(&self) -> Var<T> {
        let _line = self.attributed();
        let each = self
            .each("squared_norms")
            .map(|(_, gradient)| match gradient {
                Gradient::Outer(outer) => outer.squared_norms(),
                Gradient::Whole(g) => behind_first(g.square()),
            });
        total("squared_norms", each)
    }

    /// The sum of the gradients of all examples, each times a weight: for a parameter of shape `[w..]` a variable of that shape.
    ///
    /// Formula: `s[i..] = sum over b of weights[b] g[b, i..]`. Of outer products it is one product of matrices,
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
    /// If a parameter is not of type `T`; if there are not as many weights as examples; if the weights are of another tape or have
    /// more axes than one.
    #[track_caller]
    pub fn weighted_sum<T: Float>(&self, weights: Var<T>) -> Parameters {
        let (shape, examples) = (weights.shape(), self.examples);
        assert!(
            shape == Shape::from([examples]),
            "weighted_sum: the weights have shape {shape}, but must have shape [{examples}]"
        );
        let _line = self.attributed();
        let mut each = self.each("weighted_sum");
        self.whole.map_each(|_, _| match each.next() {
            Some((_, Gradient::Outer(outer))) => outer.weighted_sum(weights).erase(),
            Some((_, Gradient::Whole(g))) => {
                let ones = std::iter::repeat_n(1, g.rank() - 1);
                let weights =
                    weights.reshape([examples].into_iter().chain(ones).collect::<Shape>());
                (weights * g).sum_axes(0).erase()
            }
            None => unreachable!("each parameter has gradients"),
        })
    }

    /// The inner product of each example's gradient and a direction over all parameters: the derivative of its loss along that
    /// direction. Shape `[batch]`.
    ///
    /// Formula: `p[b] = sum over parameters and i.. of g[b, i..] d[i..]`, which of an outer product is
    /// `sum over j of (sum over i of u[b, i] d[i, j]) v[b, j]`.
    ///
    /// The influence of an example on another loss is such a product, and so is half of a product with the matrix of curvature
    /// that is the sum of `g g^T`; the other half is [`weighted_sum`](Self::weighted_sum):
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::{Parameters, per_example_gradients};
    /// let model = Linear::<f32>::new(2, 1, &mut wengert::rng(0));
    /// let tape = Tape::new();
    /// let x = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let loss = |x: Var| model.forward(x.unsqueeze(0)).sum();
    /// let (_, gradients) = per_example_gradients(&model, loss, x);
    /// let ones = Parameters::on(&model, *tape).map_each(|_, w| tape.full(w.shape(), 1.0f32).erase());
    /// // By both weights and the bias.
    /// let along: Var = gradients.inner_products(&ones);
    /// assert_eq!(along.value(), Tensor::from([1.0 + 2.0 + 1.0, 3.0 + 4.0 + 1.0]));
    /// let curvature = tape.run(gradients.weighted_sum(along));
    /// assert_eq!(curvature.get(&model.weight).unwrap(), &Tensor::from([[4.0 + 24.0, 8.0 + 32.0]]));
    /// ```
    ///
    /// # Panics
    /// If there are no parameters; if one is not of type `T`; if the direction is of other parameters, types or shapes.
    #[track_caller]
    pub fn inner_products<T: Float>(&self, direction: &Parameters) -> Var<T> {
        let _line = self.attributed();
        let directions = self.whole.matching("inner_products", direction);
        let wanted = self.whole.iter().map(|(_, g)| g.shape().without(0));
        let each = self.each("inner_products").zip(directions).zip(wanted);
        // A loop, as closures do not know the line of the caller.
        let mut products = Vec::new();
        for (((name, gradient), d), wanted) in each {
            let (dtype, shape) = (d.dtype(), d.shape());
            assert!(
                dtype == T::DTYPE && shape == wanted,
                "inner_products: the direction of {name} is {dtype} of shape {shape}, not {} of shape {wanted}",
                T::DTYPE
            );
            let d = d.assume::<T>();
            products.push(match gradient {
                Gradient::Outer(outer) => outer.inner_products(d),
                Gradient::Whole(g) => behind_first(g * d),
            });
        }
        total("inner_products", products.into_iter())
    }

    /// The inner products of the gradients of any two examples over all parameters: shape `[batch, batch]`. Of the gradients of a
    /// model's output it is the neural tangent kernel.
    ///
    /// Formula: `k[a, b] = sum over parameters and i.. of g[a, i..] g[b, i..]`, which of outer products is
    /// `(u[a] . u[b]) (v[a] . v[b])`.
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
    /// If there are no parameters; if one is not of type `T`.
    ///
    /// # Source
    /// A. Jacot, F. Gabriel and C. Hongler, "Neural tangent kernel: convergence and generalization in neural networks", 2018.
    #[track_caller]
    pub fn gram<T: Float>(&self) -> Var<T> {
        let _line = self.attributed();
        let each = self.each("gram").map(|(_, gradient)| match gradient {
            Gradient::Outer(outer) => outer.gram(),
            Gradient::Whole(g) => {
                let rows = rows(g);
                rows.matmul(rows.t())
            }
        });
        total("gram", each)
    }

    /// The gradients for each parameter, by name.
    #[track_caller]
    fn each<T: Float>(&self, operation: &str) -> impl Iterator<Item = (&str, Gradient<T>)> {
        for (name, g) in self.whole.iter() {
            let dtype = g.dtype();
            assert!(
                dtype == T::DTYPE,
                "{operation}: {name} is {dtype}, not {}",
                T::DTYPE
            );
        }
        let each = self.whole.iter().zip(&self.factors);
        each.map(|((name, g), factors)| match factors[..] {
            [a, b] => (name, Gradient::Outer(Outer::of([a.assume(), b.assume()]))),
            _ => (name, Gradient::Whole(g.assume())),
        })
    }
}

/// The sums over all axes but the first.
#[track_caller]
fn behind_first<T: Float>(of: Var<T>) -> Var<T> {
    let axes: Vec<isize> = (1..of.rank() as isize).collect();
    of.sum_axes(&axes)
}

/// The sum over parameters.
#[track_caller]
fn total<T: Float>(operation: &str, each: impl Iterator<Item = Var<T>>) -> Var<T> {
    match each.reduce(|a, b| a + b) {
        Some(sum) => sum,
        None => panic!("{operation}: there are no parameters"),
    }
}
