//! The derivative of a loss with respect to the parameters of a model.

use super::gradient::pull_back_each;
use super::step::{Entry, Gradients, Step, spare_entries, unreached};
use crate::element::{Float, with_any, with_float};
use crate::op;
use crate::param::{Module, ParamRef, Segment, Visitor};
use crate::program::Fetch;
use crate::tape::{AnyVar, Arena, Tape, TapeRef, Var};
use crate::tensor::Tensors;
use std::cell::Cell;

/// Lists of what is known of the parameters of a model.
#[derive(Default)]
struct Lists {
    ids: Vec<u64>,
    leaves: Vec<AnyVar>,
    gradients: Vec<Option<AnyVar>>,
}

thread_local! {
    /// Empty lists, kept for the next step.
    static SPARE: Cell<Lists> = const {
        Cell::new(Lists { ids: Vec::new(), leaves: Vec::new(), gradients: Vec::new() })
    };
}

/// The leaves of the trainable parameters that were used on a tape, in the order of the visit.
struct Leaves {
    tape: TapeRef,
    arena: &'static Arena,
    lists: Lists,
    /// Trainable parameters, used or not.
    trainable: usize,
}

impl<'a> Visitor<'a> for Leaves {
    fn enter(&mut self, _segment: Segment) {}
    fn leave(&mut self) {}
    fn param(&mut self, param: ParamRef<'a>) {
        let (id, trainable) = with_any!(param, p => (p.id(), p.is_trainable()));
        if !trainable {
            return;
        }
        let graph = self.arena.graph.borrow();
        // Most often parameters are used in the order of the visit.
        let bound = match graph.bindings.get(self.trainable) {
            Some(&(first, index)) if first == id => Some(index),
            _ => graph.bindings.iter().find(|b| b.0 == id).map(|b| b.1),
        };
        self.trainable += 1;
        if let Some(index) = bound {
            self.lists.ids.push(id);
            self.lists.leaves.push(self.tape.var(index));
        }
    }
}

/// Everything that a step computes, in one run.
struct Wanted<'s, T: Float, A> {
    loss: Var<T>,
    aux: A,
    ids: &'s [u64],
    gradients: &'s [Option<AnyVar>],
}

impl<T: Float, A: Fetch> Fetch for Wanted<'_, T, A> {
    type Values = (T, A::Values, Vec<Entry>);

    fn indices(&self, visit: &mut dyn FnMut(TapeRef, u32)) {
        self.loss.indices(visit);
        self.aux.indices(visit);
        for gradient in self.gradients.iter().flatten() {
            visit(gradient.tape, gradient.index);
        }
    }

    fn values(&self) -> Self::Values {
        let mut entries = spare_entries();
        for (&id, gradient) in self.ids.iter().zip(self.gradients) {
            if let Some(variable) = gradient {
                let gradient = with_float!(variable.dtype(), U => {
                    <U as crate::Element>::erase::<Tensors>(variable.assume::<U>().computed())
                });
                entries.push(Entry { id, gradient });
            }
        }
        (self.loss.computed().item(), self.aux.values(), entries)
    }
}

/// The value of a loss and its gradients with respect to the trainable parameters of a model.
///
/// `loss` records the loss on the tape that it is given, for instance with
/// [`Layer::forward`](crate::Layer::forward); it is differentiated and run, and the tape is
/// forgotten. What the optimizers take is the [`Step`] that comes out.
///
/// ```
/// use wengert::prelude::*;
/// let mut model = Linear::new(2, 1, &mut wengert::rng(0));
/// let (x, y) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([[1.0], [0.0]]));
/// let mut sgd = Sgd::new(0.01);
/// let mut losses = Vec::new();
/// for _ in 0..10 {
///     let step = value_and_grad(&model, |model, tape| {
///         loss::mean_squared_error(model.forward(tape.constant(&x)), tape.constant(&y))
///     });
///     sgd.step(&mut model, &step);
///     losses.push(step.value());
/// }
/// assert!(losses.is_sorted_by(|a, b| a > b));
/// ```
///
/// # Panics
/// If the loss is not a scalar or is a variable of another tape; wherever `loss` does.
#[track_caller]
pub fn value_and_grad<M, T, F>(model: &M, loss: F) -> Step<T>
where
    M: Module + ?Sized,
    T: Float,
    F: FnOnce(&M, TapeRef) -> Var<T>,
{
    let nothing: [Var<T>; 0] = [];
    value_and_grad_with(model, |model, tape| (loss(model, tape), nothing)).0
}

/// As [`value_and_grad`], with further values that the same run computes: predictions, parts of the
/// loss.
///
/// ```
/// use wengert::prelude::*;
/// let model = Linear::new(2, 1, &mut wengert::rng(0));
/// let (x, y) = (Tensor::from([[1.0, 2.0]]), Tensor::from([[1.0]]));
/// let (step, prediction) = value_and_grad_with(&model, |model, tape| {
///     let prediction = model.forward(tape.constant(&x));
///     (loss::mean_squared_error(prediction, tape.constant(&y)), prediction)
/// });
/// assert_eq!(prediction.shape(), &Shape::from([1, 1]));
/// assert_eq!(step.value(), (prediction.item() - 1.0) * (prediction.item() - 1.0));
/// ```
///
/// # Panics
/// As [`value_and_grad`]; if a further variable is of another tape.
#[track_caller]
pub fn value_and_grad_with<M, T, A, F>(model: &M, loss: F) -> (Step<T>, A::Values)
where
    M: Module + ?Sized,
    T: Float,
    A: Fetch,
    F: FnOnce(&M, TapeRef) -> (Var<T>, A),
{
    let tape = Tape::new();
    let (loss, aux) = loss(model, *tape);
    assert!(
        loss.tape == *tape,
        "value_and_grad: the loss is a variable of another tape"
    );
    if loss.rank() != 0 {
        let shape = loss.shape();
        panic!("value_and_grad: the loss has shape {shape}, but must be a scalar: take its mean");
    }
    let mut found = Leaves {
        tape: *tape,
        arena: tape.arena("value_and_grad"),
        lists: SPARE.take(),
        trainable: 0,
    };
    model.visit(&mut found);
    let mut lists = found.lists;
    if !lists.leaves.is_empty() {
        let loss = loss.erase();
        let mut push = |gradient| lists.gradients.push(gradient);
        pull_back_each(&[(loss, op::seed(loss))], &lists.leaves, &mut push);
    }
    let (value, aux, entries) = tape.run(Wanted {
        loss,
        aux,
        ids: &lists.ids,
        gradients: &lists.gradients,
    });
    lists.ids.clear();
    lists.leaves.clear();
    lists.gradients.clear();
    SPARE.set(lists);
    let unreached = if entries.len() < found.trainable {
        unreached(model, &entries)
    } else {
        Vec::new()
    };
    let gradients = Gradients {
        entries,
        unreached,
        unreached_allowed: false,
    };
    (Step { value, gradients }, aux)
}
