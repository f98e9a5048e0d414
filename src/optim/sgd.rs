//! Stochastic gradient descent.

use super::engine::Engine;
use super::not_negative;
use super::rule::{Form, Numbers, Rule, Updated};
use crate::element::Float;
use crate::tape::Var;
use smallvec::smallvec;

/// The options of [`Sgd`], for a [group](Sgd::group) of parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdOptions {
    learning_rate: f64,
    momentum: f64,
    dampening: f64,
    nesterov: bool,
    weight_decay: f64,
    maximize: bool,
}

/// Stochastic gradient descent, with momentum if asked for. The update rule is that of
/// `torch.optim.SGD`.
///
/// Formula, with gradient `g`, learning rate `r`, momentum `u`, dampening `d`, weight decay `w`:
///
/// ```text
/// g = g + w p
/// v = g at the first step, then u v + (1 - d) g        (with momentum only)
/// g = g + u v with Nesterov, v without                  (with momentum only)
/// p = p - r g
/// ```
///
/// ```
/// use wengert::prelude::*;
/// let mut w = Param::new(Tensor::from([1.0]));
/// let mut sgd = Sgd::new(0.1);
/// let step = value_and_grad(&w, |w, tape| (w.on(tape) * 3.0).sum());
/// sgd.step(&mut w, &step);
/// assert!(w.value().all_close(&Tensor::from([0.7]), 1e-6, 0.0));
/// ```
///
/// # Source
/// Momentum: B. Polyak, 1964. Nesterov momentum in this form, and the values it is used with: I.
/// Sutskever, J. Martens, G. Dahl, G. Hinton: On the importance of initialization and momentum in
/// deep learning, 2013; PyTorch multiplies with the learning rate where `v` is applied, not where
/// it is updated.
#[derive(Clone, Debug)]
pub struct Sgd {
    engine: Engine<SgdOptions>,
}

impl Sgd {
    /// Plain gradient descent.
    ///
    /// # Panics
    /// If the learning rate is negative or NaN.
    #[track_caller]
    #[must_use]
    pub fn new(learning_rate: f64) -> Self {
        not_negative("Sgd", "the learning rate", learning_rate);
        Sgd {
            engine: Engine::new(SgdOptions {
                learning_rate,
                momentum: 0.0,
                dampening: 0.0,
                nesterov: false,
                weight_decay: 0.0,
                maximize: false,
            }),
        }
    }
}

super::optimizer! {
    Sgd, SgdOptions,
    "let optimizer = Sgd::new(1e-2).group(\"hidden.\", |options| options.learning_rate(1e-4));",
    momentum(momentum: f64);
    dampening(dampening: f64);
    nesterov(nesterov: bool);
    weight_decay(weight_decay: f64);
    maximize(maximize: bool);
}

impl SgdOptions {
    /// The factor of the gradient in a step.
    ///
    /// # Panics
    /// If it is negative or NaN.
    #[track_caller]
    #[must_use]
    pub fn learning_rate(mut self, rate: f64) -> Self {
        not_negative("Sgd", "the learning rate", rate);
        self.learning_rate = rate;
        self
    }

    /// The part of the running sum of gradients that stays at each step; 0 by default, which is
    /// plain descent.
    ///
    /// # Panics
    /// If it is negative or NaN.
    #[track_caller]
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        not_negative("Sgd", "the momentum", momentum);
        self.momentum = momentum;
        self
    }

    /// The part of each gradient after the first that does not enter the running sum; 0 by default.
    #[must_use]
    pub fn dampening(mut self, dampening: f64) -> Self {
        self.dampening = dampening;
        self
    }

    /// Whether the step looks ahead along the momentum; it does not by default. Needs momentum and
    /// no dampening.
    #[must_use]
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.nesterov = nesterov;
        self
    }

    /// The multiple of the parameter that is added to its gradient: the derivative of
    /// `weight_decay / 2` times its square; 0 by default.
    ///
    /// # Panics
    /// If it is negative or NaN.
    #[track_caller]
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        not_negative("Sgd", "the weight decay", weight_decay);
        self.weight_decay = weight_decay;
        self
    }

    /// Whether the loss is made larger instead of smaller.
    #[must_use]
    pub fn maximize(mut self, maximize: bool) -> Self {
        self.maximize = maximize;
        self
    }
}

/// What the update of [`Sgd`] is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdForm {
    momentum: bool,
    nesterov: bool,
    weight_decay: bool,
    maximize: bool,
}

impl Rule for SgdOptions {
    const NAME: &'static str = "Sgd";
    type Form = SgdForm;

    fn fault(&self) -> Option<&'static str> {
        let contradiction = self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0);
        contradiction.then_some("Nesterov momentum needs a momentum above 0 and no dampening")
    }
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }
    fn set_learning_rate(&mut self, rate: f64) {
        self.learning_rate = rate;
    }
    fn form(&self) -> SgdForm {
        SgdForm {
            momentum: self.momentum != 0.0,
            nesterov: self.nesterov,
            weight_decay: self.weight_decay != 0.0,
            maximize: self.maximize,
        }
    }
    fn buffers(&self) -> usize {
        usize::from(self.momentum != 0.0)
    }
    fn numbers(&self, time: u64) -> Numbers {
        // The first gradient is the first running sum, which until then is 0.
        let (kept, fresh) = match time {
            1 => (0.0, 1.0),
            _ => (self.momentum, 1.0 - self.dampening),
        };
        smallvec![
            -self.learning_rate,
            self.weight_decay,
            kept,
            fresh,
            self.momentum
        ]
    }
}

impl Form for SgdForm {
    fn update<T: Float>(
        self,
        parameter: Var<T>,
        gradient: Var<T>,
        state: &[Var<T>],
        numbers: &[Var<T>],
    ) -> Updated<T> {
        let &[rate, weight_decay, kept, fresh, momentum] = numbers else {
            unreachable!("the numbers of this rule");
        };
        let mut g = gradient;
        if self.maximize {
            g = -g;
        }
        // Not a sum with 0: that would make a NaN of an infinite parameter.
        if self.weight_decay {
            g += weight_decay * parameter;
        }
        match *state {
            [velocity] => {
                let velocity = velocity * kept + fresh * g;
                let along = if self.nesterov {
                    g + momentum * velocity
                } else {
                    velocity
                };
                Updated {
                    parameter: parameter + rate * along,
                    state: smallvec![velocity],
                }
            }
            _ => Updated {
                parameter: parameter + rate * g,
                state: smallvec![],
            },
        }
    }
}
