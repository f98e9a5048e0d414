//! Layers one after another.

use crate::element::Float;
use crate::param::Layer;
use crate::param::{Module, Segment, Visitor, VisitorMut};
use crate::tape::Var;
use std::fmt;

/// What a [`Sequential`] is made of: any layer that is also a [`Module`] and can be cloned, printed
/// and sent to another thread. Implemented for all that are.
pub trait Block<T: Float>: Layer<T> + Module + fmt::Debug + Send + Sync {
    /// A clone; its parameters have identities of their own.
    fn duplicate(&self) -> Box<dyn Block<T>>;
}

impl<T, B> Block<T> for B
where
    T: Float,
    B: Layer<T> + Module + Clone + fmt::Debug + Send + Sync + 'static,
{
    fn duplicate(&self) -> Box<dyn Block<T>> {
        Box::new(self.clone())
    }
}

/// Layers one after another: the output of each is the input of the next. Parameters are named by
/// position: `0.weight`.
///
/// ```
/// use wengert::prelude::*;
/// let rng = &mut wengert::rng(0);
/// let model = wengert::sequential![
///     Linear::new(2, 4, rng),
///     activation::Relu,
///     Linear::new(4, 1, rng),
/// ];
/// assert_eq!(model.parameter_names(), ["0.weight", "0.bias", "2.weight", "2.bias"]);
/// let tape = Tape::inference();
/// let y = model.forward(tape.constant(&Tensor::<f32>::ones([5, 2])));
/// assert_eq!(y.shape(), Shape::from([5, 1]));
/// ```
pub struct Sequential<T: Float = f32> {
    blocks: Vec<Box<dyn Block<T>>>,
}

impl<T: Float> Sequential<T> {
    /// No layers: the output is the input.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let model = Sequential::<f32>::new();
    /// assert!(model.is_empty());
    /// ```
    pub fn new() -> Self {
        Sequential { blocks: Vec::new() }
    }

    /// The same with one more layer at the end.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let rng = &mut wengert::rng(0);
    /// let model = Sequential::<f32>::new().then(Linear::new(2, 4, rng)).then(activation::Tanh);
    /// assert_eq!(model.len(), 2);
    /// ```
    #[must_use]
    pub fn then(mut self, layer: impl Block<T> + 'static) -> Self {
        self.blocks.push(Box::new(layer));
        self
    }

    /// The number of layers.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there is no layer.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

impl<T: Float> Default for Sequential<T> {
    fn default() -> Self {
        Sequential::new()
    }
}

impl<T: Float> Clone for Sequential<T> {
    fn clone(&self) -> Self {
        Sequential {
            blocks: self.blocks.iter().map(|b| (**b).duplicate()).collect(),
        }
    }
}

impl<T: Float> fmt::Debug for Sequential<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sequential ")?;
        f.debug_list().entries(&self.blocks).finish()
    }
}

impl<T: Float> Layer<T> for Sequential<T> {
    #[track_caller]
    fn forward(&self, x: Var<T>) -> Var<T> {
        let mut x = x;
        for block in &self.blocks {
            x = block.applied(x);
        }
        x
    }
}

impl<T: Float> Module for Sequential<T> {
    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        for (i, block) in self.blocks.iter().enumerate() {
            visitor.enter(Segment::Index(i));
            block.visit(visitor);
            visitor.leave();
        }
    }
    fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>) {
        for (i, block) in self.blocks.iter_mut().enumerate() {
            visitor.enter(Segment::Index(i));
            block.visit_mut(visitor);
            visitor.leave();
        }
    }
}

/// A [`Sequential`](crate::nn::Sequential) of the given layers.
///
/// ```
/// use wengert::prelude::*;
/// let model: Sequential = wengert::sequential![activation::Relu, activation::Softmax { axis: -1 }];
/// assert_eq!(model.len(), 2);
/// ```
#[macro_export]
macro_rules! sequential {
    ($($layer:expr),* $(,)?) => {
        $crate::nn::Sequential::new()$(.then($layer))*
    };
}

#[cfg(test)]
mod tests {
    use crate::{Module, Tape, Tensor, activation, nn::*};

    fn model() -> Sequential<f64> {
        let rng = &mut crate::rng(3);
        let inner = crate::sequential![activation::Tanh, Linear::new(3, 2, rng)];
        crate::sequential![Linear::new(2, 3, rng), inner, Flatten]
    }

    #[test]
    fn nested_names() {
        let names = ["0.weight", "0.bias", "1.1.weight", "1.1.bias"];
        assert_eq!(model().parameter_names(), names);
        assert_eq!(model().parameter_count(), 6 + 3 + 6 + 2);
    }

    #[test]
    fn a_clone_computes_the_same_with_parameters_of_its_own() {
        let (mut one, two) = (model(), model().clone());
        let x = Tensor::from([[0.5, -1.0]]);
        let run = |model: &Sequential<f64>| {
            let tape = Tape::new();
            model.forward(tape.constant(&x)).value()
        };
        let before = run(&two);
        assert_eq!(run(&one), before);
        let step = crate::value_and_grad(&one, |m, tape| m.forward(tape.constant(&x)).sum());
        crate::Optimizer::step(&mut crate::Sgd::new(0.1), &mut one, &step);
        assert_ne!(run(&one), before);
        assert_eq!(run(&two), before);
    }

    #[test]
    fn models_can_be_shared_between_threads() {
        fn shared<M: Send + Sync>(_: &M) {}
        shared(&model());
    }

    #[test]
    fn debug_lists_the_layers() {
        let text = format!("{:?}", model());
        assert!(text.starts_with("Sequential [Linear {"), "{text}");
        assert!(text.ends_with("Flatten]"), "{text}");
    }
}
