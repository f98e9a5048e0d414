//! What differentiating a loss over a model gives: its value, and the gradient of each parameter.

use crate::element::{Any, Element, Float, with_any};
use crate::kernel::update;
use crate::param::{Module, Param, ParamRef, each, join};
use crate::tape;
use crate::tensor::{AnyTensor, Storages, Tensor, Tensors};
use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// The gradient of one parameter.
pub(crate) struct Entry {
    /// The identity of the parameter.
    pub id: u64,
    pub gradient: AnyTensor,
}

/// The gradients of a loss with respect to the trainable parameters of a model, in the order of a
/// visit.
///
/// A [`Step`] holds one and stands for it wherever one is asked for.
#[derive(Default)]
pub struct Gradients {
    pub(crate) entries: Vec<Entry>,
    pub(crate) unreached: Vec<String>,
    pub(crate) unreached_allowed: bool,
}

/// The value of a loss and its gradients: what [`value_and_grad`](crate::value_and_grad) gives and
/// an [`Optimizer`](crate::Optimizer) takes.
///
/// Dropping it gives its memory to the next step.
#[derive(Debug)]
pub struct Step<T: Float = f32> {
    pub(crate) value: T,
    pub(crate) gradients: Gradients,
}

impl<T: Float> Step<T> {
    /// The value of the loss.
    #[inline]
    pub fn value(&self) -> T {
        self.value
    }
}

impl<T: Float> Deref for Step<T> {
    type Target = Gradients;
    #[inline]
    fn deref(&self) -> &Gradients {
        &self.gradients
    }
}

impl<T: Float> DerefMut for Step<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Gradients {
        &mut self.gradients
    }
}

impl Gradients {
    /// The gradient with respect to a parameter; `None` if it is frozen, the loss does not depend
    /// on it, or it is of another model.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let model = [Param::new(Tensor::from([1.0, 2.0])), Param::new(Tensor::from([3.0]))];
    /// let step = value_and_grad(&model, |m, tape| (m[0].on(tape) * m[1].on(tape)).sum());
    /// assert_eq!(step.gradient(&model[0]), Some(&Tensor::from([3.0, 3.0])));
    /// assert_eq!(step.gradient(&model[1].clone()), None);
    /// ```
    pub fn gradient<T: Element>(&self, param: &Param<T>) -> Option<&Tensor<T>> {
        let entry = self.entries.iter().find(|entry| entry.id == param.id())?;
        T::peek::<Tensors>(&entry.gradient)
    }

    /// The gradients, in the order in which a visit of the model shows the parameters.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let model = [Param::new(Tensor::from([1.0, 2.0])), Param::new(Tensor::from([3.0]))];
    /// let step = value_and_grad(&model, |m, tape| (m[0].on(tape) * m[1].on(tape)).sum());
    /// assert_eq!(step.gradients().len(), 2);
    /// ```
    pub fn gradients(&self) -> impl ExactSizeIterator<Item = &AnyTensor> {
        self.entries.iter().map(|entry| &entry.gradient)
    }

    /// The gradients with the names that `model` gives to their parameters.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let model = Linear::<f32>::new(2, 1, &mut wengert::rng(0));
    /// let x = Tensor::from([[1.0, 2.0]]);
    /// let step = value_and_grad(&model, |m, tape| m.forward(tape.constant(&x)).sum());
    /// for (name, gradient) in step.named_gradients(&model) {
    ///     println!("{name} {gradient:?}");
    /// }
    /// ```
    pub fn named_gradients<M: Module + ?Sized>(&self, model: &M) -> Vec<(String, &AnyTensor)> {
        let named = |(name, param): (String, ParamRef<'_>)| {
            let id = with_any!(param, p => p.id());
            let entry = self.entries.iter().find(|entry| entry.id == id)?;
            Some((name, &entry.gradient))
        };
        model
            .named_parameters()
            .into_iter()
            .filter_map(named)
            .collect()
    }

    /// The names of the trainable parameters that the loss does not depend on. Training would miss
    /// them, so an optimizer refuses such a step unless they are
    /// [allowed](Gradients::allow_unreached).
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let model = [Param::new(Tensor::from([1.0])), Param::new(Tensor::from([3.0]))];
    /// let step = value_and_grad(&model, |m, tape| m[1].on(tape).sum());
    /// assert_eq!(step.unreached(), ["0"]);
    /// ```
    pub fn unreached(&self) -> &[String] {
        &self.unreached
    }

    /// Says that it is meant that the loss depends on a part of the parameters only: optimizers
    /// pass the others by.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let mut model = [Param::new(Tensor::from([1.0])), Param::new(Tensor::from([3.0]))];
    /// let mut step = value_and_grad(&model, |m, tape| m[1].on(tape).sum());
    /// step.allow_unreached();
    /// Sgd::new(1.0).step(&mut model, &step);
    /// assert_eq!(model[0].value(), &Tensor::from([1.0]));
    /// assert_eq!(model[1].value(), &Tensor::from([2.0]));
    /// ```
    pub fn allow_unreached(&mut self) -> &mut Self {
        self.unreached_allowed = true;
        self
    }

    /// Moves every element of every gradient into `-limit..=limit`. A NaN stays one.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let w = Param::new(Tensor::from([3.0, -0.5]));
    /// let mut step = value_and_grad(&w, |w, tape| (w.on(tape) * w.on(tape)).sum());
    /// step.clip_value(2.0);
    /// assert_eq!(step.gradient(&w), Some(&Tensor::from([2.0, -1.0])));
    /// ```
    ///
    /// # Panics
    /// If the limit is negative or NaN.
    #[track_caller]
    pub fn clip_value(&mut self, limit: f64) {
        assert!(limit >= 0.0, "clip_value: {limit} is not a limit");
        for entry in &mut self.entries {
            match &mut entry.gradient {
                Any::F32(gradient) => update::clamp(gradient.as_mut_slice(), limit as f32),
                Any::F64(gradient) => update::clamp(gradient.as_mut_slice(), limit),
                _ => {}
            }
        }
    }

    /// Scales all gradients together so that their norm is at most `limit`, and gives the norm that
    /// they had.
    ///
    /// Formula, as PyTorch's `clip_grad_norm_`: `g = g min(1, limit / (norm + 1e-6))` with `norm`
    /// the square root of the sum of the squares of all elements. If the norm is infinite or NaN,
    /// so is what comes out: see the norm that is returned.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let w = Param::new(Tensor::from([3.0, 4.0]));
    /// let mut step = value_and_grad(&w, |w, tape| (w.on(tape) * w.on(tape)).sum());
    /// assert_eq!(step.clip_norm(1.0), 10.0);
    /// assert!(step.gradient(&w).unwrap().all_close(&Tensor::from([0.6, 0.8]), 1e-6, 0.0));
    /// ```
    ///
    /// # Source
    /// R. Pascanu, T. Mikolov, Y. Bengio: On the difficulty of training recurrent neural networks,
    /// 2013, algorithm 1.
    ///
    /// # Panics
    /// If the limit is negative or NaN.
    #[track_caller]
    pub fn clip_norm(&mut self, limit: f64) -> f64 {
        assert!(limit >= 0.0, "clip_norm: {limit} is not a limit");
        let norm = self.norm();
        // `f64::min` would turn a coefficient that is not a number into 1.
        let coefficient = limit / (norm + 1e-6);
        if coefficient >= 1.0 {
            return norm;
        }
        for entry in &mut self.entries {
            match &mut entry.gradient {
                Any::F32(gradient) => update::scale(gradient.as_mut_slice(), coefficient as f32),
                Any::F64(gradient) => update::scale(gradient.as_mut_slice(), coefficient),
                _ => {}
            }
        }
        norm
    }

    /// The square root of the sum of the squares of all elements of all gradients.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let w = Param::new(Tensor::from([3.0, 4.0]));
    /// let step = value_and_grad(&w, |w, tape| (w.on(tape) * w.on(tape)).sum());
    /// assert_eq!(step.norm(), 10.0);
    /// ```
    pub fn norm(&self) -> f64 {
        let squares = self.entries.iter().map(|entry| match &entry.gradient {
            Any::F32(gradient) => squares(gradient),
            Any::F64(gradient) => squares(gradient),
            _ => 0.0,
        });
        squares.sum::<f64>().sqrt()
    }
}

/// The sum of the squares of the elements. The order of the sum does not depend on how they lie.
fn squares<T: Float>(tensor: &Tensor<T>) -> f64 {
    match tensor.as_slice() {
        Some(elements) => update::squares(elements),
        None => update::squares(&tensor.to_vec()),
    }
}

impl Drop for Gradients {
    fn drop(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let mut entries = std::mem::take(&mut self.entries);
        tape::recycle(entries.drain(..).map(|entry| match entry.gradient {
            Any::F32(tensor) => Any::<Storages>::F32(tensor.into_parts().0),
            Any::F64(tensor) => Any::F64(tensor.into_parts().0),
            Any::I64(tensor) => Any::I64(tensor.into_parts().0),
            Any::Bool(tensor) => Any::Bool(tensor.into_parts().0),
        }));
        // While the thread ends, the place may be gone already.
        let _ = SPARE.try_with(|spare| spare.set(entries));
    }
}

thread_local! {
    /// The list of the gradients that were dropped last, empty, kept for the next step.
    static SPARE: Cell<Vec<Entry>> = const { Cell::new(Vec::new()) };
}

/// An empty list for gradients.
pub(super) fn spare_entries() -> Vec<Entry> {
    SPARE.take()
}

impl fmt::Debug for Gradients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<String> = self
            .gradients()
            .map(|g| with_any!(g, g => g.shape().to_string()))
            .collect();
        f.debug_struct("Gradients")
            .field("shapes", &shapes)
            .field("unreached", &self.unreached)
            .finish()
    }
}

/// The names of the trainable parameters that have no gradient.
pub(crate) fn unreached<M: Module + ?Sized>(model: &M, reached: &[Entry]) -> Vec<String> {
    let mut names = Vec::new();
    each(model, |path, param| {
        let (id, trainable) = with_any!(param, p => (p.id(), p.is_trainable()));
        if trainable && !reached.iter().any(|entry| entry.id == id) {
            names.push(join(path));
        }
    });
    names
}
