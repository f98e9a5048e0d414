//! Gradients of each example of a batch.

mod outer;
mod sums;
mod values;

use super::forward::vjp_of;
use super::functional::Parameters;
use super::vars::{Vars, flat};
use super::vmap::Vmap;
use crate::element::{Element, Float, with_float};
use crate::op;
use crate::param::{Module, Param};
use crate::program::Fetch;
use crate::tape::{AnyVar, Attribution, TapeRef, Var};
use smallvec::{SmallVec, smallvec};
use std::panic::Location;
pub use values::ExampleGradientValues;

/// The losses of a batch of examples, and the gradient of each with respect to the trainable parameters of a model.
///
/// `loss` is written for one example; the first axis of each input counts them. For training with differential privacy, influence
/// functions, curvature.
///
/// The gradient of a weight that a function uses once is an outer product of two vectors for each example, and is kept as these:
/// see [`ExampleGradients`].
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
/// assert_eq!(gradients.example(1).get(&model.weight).unwrap(), &Tensor::from([[3.0, 4.0]]));
/// let of_all = gradients.get(&model.weight).unwrap();
/// assert_eq!(of_all, Tensor::from([[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]]));
/// ```
///
/// # Panics
/// As [`vmap`](super::vmap()); if the loss is not a scalar.
#[track_caller]
pub fn per_example_gradients<M, X, T>(
    model: &M,
    loss: impl FnOnce(X) -> Var<T>,
    batch: X,
) -> (Var<T>, ExampleGradients)
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
    let location = Location::caller();
    let one = |x: X| {
        let caller = ("per_example_gradients", location);
        let (y, back) = vjp_of(caller, |p: Parameters| p.bound(|| loss(x)), parameters);
        let _line = y.tape().attribute_to(location);
        (y, back(y.tape().full(y.shape(), T::ONE)))
    };
    let (losses, gradients) = Vmap::new().apply(one, batch);
    let shape = losses.shape();
    assert!(
        shape.rank() == 1,
        "per_example_gradients: the loss of an example has shape {}, but must be a scalar",
        shape.without(0)
    );
    let examples = shape[0];
    (losses, ExampleGradients::of_examples(gradients, examples))
}

/// The gradients of each example of a batch, as variables: what [`per_example_gradients`] gives.
///
/// For a parameter of shape `[w..]` they are a variable of shape `[batch, w..]`, in [`whole`](Self::whole). Most of these are outer
/// products, `g[b, i, j] = u[b, i] v[b, j]`, and are never formed unless they are asked for: the values of these variables
/// ([`ExampleGradientValues`]) are the factors, and so is what norms, sums and inner products are computed from. The gradients of
/// 128 examples of a network 784-512-512-10 are 343 MB of numbers, and 2 MB of factors.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::per_example_gradients;
/// let model = Linear::new(300, 200, &mut wengert::rng(0));
/// let tape = Tape::new();
/// let x = tape.constant(&Tensor::uniform([16, 300], -1.0, 1.0, &mut wengert::rng(1)));
/// let loss = |x: Var| model.forward(x.unsqueeze(0)).square().sum();
/// let (_, gradients) = per_example_gradients(&model, loss, x);
/// let (kept, whole) = tape.run((gradients.clone(), gradients.whole()));
/// let weight = whole.get(&model.weight).unwrap();
/// assert!(kept.bytes() < weight.len() * 4 / 50);
/// // The same numbers: of one example, or of all.
/// assert_eq!(kept.example(3).get(&model.weight).unwrap(), &weight.row(3));
/// assert_eq!(&kept.get(&model.weight).unwrap(), weight);
/// ```
#[derive(Clone, Debug)]
pub struct ExampleGradients {
    whole: Parameters,
    /// For each parameter its gradients, or the two factors of them.
    factors: Vec<SmallVec<[AnyVar; 2]>>,
    examples: usize,
}

impl ExampleGradients {
    /// Of variables whose first axis counts the examples: gradients that [`vmap`](super::vmap()) gave, for instance, or were changed.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::{ExampleGradients, per_example_gradients};
    /// let model = Linear::new(2, 1, &mut wengert::rng(0));
    /// let tape = Tape::new();
    /// let x = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let loss = |x: Var| model.forward(x.unsqueeze(0)).sum();
    /// let (_, gradients) = per_example_gradients(&model, loss, x);
    /// let noisy = gradients.whole().map_each(|_, g| (g.typed::<f32>() + 1.0).erase());
    /// let norms: Var = ExampleGradients::of(noisy).squared_norms();
    /// assert_eq!(norms.value(), Tensor::from([4.0 + 9.0 + 4.0, 16.0 + 25.0 + 4.0]));
    /// ```
    ///
    /// # Panics
    /// If there are no parameters; if one is not of a type that has derivatives, or has no axis of examples; if they are of different
    /// numbers of examples.
    #[track_caller]
    pub fn of(gradients: Parameters) -> Self {
        let first = gradients.iter().next().map(|(_, g)| g.shape());
        let Some(shape) = first else {
            panic!("ExampleGradients: there are no parameters");
        };
        let examples = shape.first().copied().unwrap_or(0);
        Self::of_examples(gradients, examples)
    }

    #[track_caller]
    fn of_examples(whole: Parameters, examples: usize) -> Self {
        // A loop, as closures do not know the line of the caller.
        let mut factors = Vec::new();
        for (name, g) in whole.iter() {
            let (dtype, shape) = (g.dtype(), g.shape());
            assert!(
                dtype.is_float() && shape.rank() > 0,
                "ExampleGradients: {name} is {dtype} of shape {shape}, not gradients with an axis of examples"
            );
            assert!(
                shape[0] == examples,
                "ExampleGradients: {name} has gradients of {} examples, and others have {examples}",
                shape[0]
            );
            factors.push(
                with_float!(dtype, T => match op::outer_factors(g.assume::<T>()) {
                    Some([a, b]) => smallvec![a.erase(), b.erase()],
                    None => smallvec![g],
                }),
            );
        }
        ExampleGradients {
            whole,
            factors,
            examples,
        }
    }

    /// Attributes what is recorded as long as the result lives to the caller's line.
    #[track_caller]
    fn attributed(&self) -> Option<Attribution> {
        let (_, first) = self.whole.iter().next()?;
        Some(first.tape().attribute_to(Location::caller()))
    }

    /// The number of examples.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// The gradients of all examples for a parameter, of shape `[batch, w..]` for one of shape `[w..]`; `None` if it is not trainable
    /// or not of the model.
    pub fn get<T: Element>(&self, param: &Param<T>) -> Option<Var<T>> {
        self.whole.get(param)
    }

    /// The gradients of all examples for all parameters, to compute with; their values are written out, every number of them.
    pub fn whole(&self) -> Parameters {
        self.whole.clone()
    }

    /// The square of each element, for sums of squares over the examples. The square of an outer product is one of squares.
    ///
    /// The mean over examples drawn from a model is the diagonal of Fisher's information matrix; with the mean of the gradients it
    /// gives their variance.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::per_example_gradients;
    /// let model = Linear::new(2, 1, &mut wengert::rng(0));
    /// let tape = Tape::new();
    /// let x = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// let loss = |x: Var| model.forward(x.unsqueeze(0)).sum();
    /// let (_, gradients) = per_example_gradients(&model, loss, x);
    /// let means = gradients.squares().weighted_sum(tape.full([2], 0.5f32));
    /// let means = tape.run(means);
    /// assert_eq!(means.get(&model.weight).unwrap(), &Tensor::from([[5.0, 10.0]]));
    /// ```
    ///
    /// # Source
    /// F. Dangel, F. Kunstner and P. Hennig, "BackPACK: packing more into backprop", 2020, section 2.2.
    #[track_caller]
    pub fn squares(&self) -> Self {
        let _line = self.attributed();
        let square = |v: AnyVar| with_float!(v.dtype(), T => v.assume::<T>().square().erase());
        ExampleGradients {
            whole: self.whole.map_each(|_, g| square(g)),
            factors: self
                .factors
                .iter()
                .map(|factors| factors.iter().map(|&v| square(v)).collect())
                .collect(),
            examples: self.examples,
        }
    }
}

impl Fetch for ExampleGradients {
    type Values = ExampleGradientValues;
    fn indices(&self, visit: &mut dyn FnMut(TapeRef, u32)) {
        let all = self.factors.iter().flatten();
        all.for_each(|v| visit(v.tape, v.index));
    }
    fn values(&self) -> ExampleGradientValues {
        let named = self.whole.named().zip(&self.factors);
        ExampleGradientValues::of(named, self.examples)
    }
}
