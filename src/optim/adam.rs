//! Adam, and its form with decoupled weight decay.

use super::engine::Engine;
use super::not_negative;
use super::operation::{add_quotient, deviation, lerp};
use super::rule::{Form, Numbers, Rule, Updated};
use crate::element::Float;
use crate::tape::Var;
use smallvec::smallvec;

/// The options of [`Adam`] and [`AdamW`], for a [group](Adam::group) of parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamOptions {
    learning_rate: f64,
    betas: (f64, f64),
    epsilon: f64,
    weight_decay: f64,
    /// Whether weight decay acts on the parameter itself rather than through its gradient.
    decoupled: bool,
    amsgrad: bool,
    maximize: bool,
}

/// Adam: steps in proportion to a running mean of the gradient and in inverse proportion to the
/// root of one of its square. The update rule is that of `torch.optim.Adam`.
///
/// Formula, with gradient `g`, learning rate `r`, decay rates `b1` and `b2`, weight decay `w`, at
/// step `t` counted from 1:
///
/// ```text
/// g = g + w p
/// m = b1 m + (1 - b1) g
/// v = b2 v + (1 - b2) g^2
/// p = p - r / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + epsilon)
/// ```
///
/// ```
/// use wengert::prelude::*;
/// let mut w = Param::new(Tensor::from([1.0, -1.0]));
/// let mut adam = Adam::new(0.1);
/// let step = value_and_grad(&w, |w, tape| (w.on(tape) * w.on(tape)).sum());
/// adam.step(&mut w, &step);
/// // The first step goes by the learning rate, however large the gradient.
/// assert!(w.value().all_close(&Tensor::from([0.9, -0.9]), 1e-6, 0.0));
/// ```
///
/// # Source
/// D. Kingma, J. Ba: Adam: a method for stochastic optimization, 2015, algorithm 1. AMSGrad: S.
/// Reddi, S. Kale, S. Kumar: On the convergence of Adam and beyond, 2018; as in PyTorch, the
/// largest `v` is taken before its bias is corrected.
#[derive(Clone, Debug)]
pub struct Adam {
    engine: Engine<AdamOptions>,
}

/// [`Adam`] with decoupled weight decay: the parameter itself is multiplied by `1 - r w` before
/// each step, whatever its gradient. The update rule is that of `torch.optim.AdamW`; the weight
/// decay is 0.01 by default.
///
/// ```
/// use wengert::prelude::*;
/// let mut w = Param::new(Tensor::from([1.0]));
/// let mut adam = AdamW::new(0.1).weight_decay(0.5);
/// let step = value_and_grad(&w, |w, tape| (w.on(tape) * w.on(tape)).sum());
/// adam.step(&mut w, &step);
/// assert!(w.value().all_close(&Tensor::from([0.95 - 0.1]), 1e-6, 0.0));
/// ```
///
/// # Source
/// I. Loshchilov, F. Hutter: Decoupled weight decay regularization, 2019, algorithm 2.
#[derive(Clone, Debug)]
pub struct AdamW {
    engine: Engine<AdamOptions>,
}

/// The values that the paper proposes.
const DEFAULT: AdamOptions = AdamOptions {
    learning_rate: 1e-3,
    betas: (0.9, 0.999),
    epsilon: 1e-8,
    weight_decay: 0.0,
    decoupled: false,
    amsgrad: false,
    maximize: false,
};

impl Adam {
    /// Adam with decay rates 0.9 and 0.999, epsilon 1e-8 and no weight decay.
    ///
    /// # Panics
    /// If the learning rate is negative or NaN.
    #[track_caller]
    #[must_use]
    pub fn new(learning_rate: f64) -> Self {
        Adam {
            engine: Engine::new(DEFAULT.learning_rate(learning_rate)),
        }
    }
}

impl AdamW {
    /// AdamW with decay rates 0.9 and 0.999, epsilon 1e-8 and weight decay 0.01.
    ///
    /// # Panics
    /// If the learning rate is negative or NaN.
    #[track_caller]
    #[must_use]
    pub fn new(learning_rate: f64) -> Self {
        let options = AdamOptions {
            weight_decay: 1e-2,
            decoupled: true,
            ..DEFAULT
        };
        AdamW {
            engine: Engine::new(options.learning_rate(learning_rate)),
        }
    }
}

super::optimizer! {
    Adam, AdamOptions,
    "let optimizer = Adam::new(1e-2).group(\"hidden.\", |options| options.learning_rate(1e-4));",
    betas(first: f64, second: f64);
    epsilon(epsilon: f64);
    weight_decay(weight_decay: f64);
    amsgrad(amsgrad: bool);
    maximize(maximize: bool);
}

super::optimizer! {
    AdamW, AdamOptions,
    "let optimizer = AdamW::new(1e-2).group(\"hidden.\", |options| options.learning_rate(1e-4));",
    betas(first: f64, second: f64);
    epsilon(epsilon: f64);
    weight_decay(weight_decay: f64);
    amsgrad(amsgrad: bool);
    maximize(maximize: bool);
}

impl AdamOptions {
    /// The length of a step.
    ///
    /// # Panics
    /// If it is negative or NaN.
    #[track_caller]
    #[must_use]
    pub fn learning_rate(mut self, rate: f64) -> Self {
        not_negative("Adam", "the learning rate", rate);
        self.learning_rate = rate;
        self
    }

    /// The decay rates of the running means of the gradient and of its square; 0.9 and 0.999 by
    /// default.
    ///
    /// # Panics
    /// If one is not in `0..1`.
    #[track_caller]
    #[must_use]
    pub fn betas(mut self, first: f64, second: f64) -> Self {
        for beta in [first, second] {
            assert!(
                (0.0..1.0).contains(&beta),
                "Adam: a decay rate is {beta}, but must be in 0..1"
            );
        }
        self.betas = (first, second);
        self
    }

    /// What is added to the denominator; 1e-8 by default.
    ///
    /// # Panics
    /// If it is negative or NaN.
    #[track_caller]
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        not_negative("Adam", "epsilon", epsilon);
        self.epsilon = epsilon;
        self
    }

    /// For [`Adam`], the multiple of the parameter that is added to its gradient, 0 by default; for
    /// [`AdamW`], the part of the parameter that a step with learning rate 1 would take away, 0.01
    /// by default.
    ///
    /// # Panics
    /// If it is negative or NaN.
    #[track_caller]
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        not_negative("Adam", "the weight decay", weight_decay);
        self.weight_decay = weight_decay;
        self
    }

    /// Whether the largest mean of the square so far takes the place of the present one; it does
    /// not by default.
    #[must_use]
    pub fn amsgrad(mut self, amsgrad: bool) -> Self {
        self.amsgrad = amsgrad;
        self
    }

    /// Whether the loss is made larger instead of smaller.
    #[must_use]
    pub fn maximize(mut self, maximize: bool) -> Self {
        self.maximize = maximize;
        self
    }
}

/// How an update of [`Adam`] or [`AdamW`] makes parameters smaller.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Decay {
    Not,
    ThroughGradient,
    OfParameter,
}

/// What the update of [`Adam`] or [`AdamW`] is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamForm {
    decay: Decay,
    /// Whether the running mean of the gradient is nearer to what it was than to the gradient.
    keeps: bool,
    amsgrad: bool,
    maximize: bool,
}

impl Rule for AdamOptions {
    const NAME: &'static str = "Adam";
    type Form = AdamForm;

    fn fault(&self) -> Option<&'static str> {
        None
    }
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }
    fn set_learning_rate(&mut self, rate: f64) {
        self.learning_rate = rate;
    }
    fn form(&self) -> AdamForm {
        AdamForm {
            decay: match self.decoupled {
                _ if self.weight_decay == 0.0 => Decay::Not,
                false => Decay::ThroughGradient,
                true => Decay::OfParameter,
            },
            keeps: 1.0 - self.betas.0 < 0.5,
            amsgrad: self.amsgrad,
            maximize: self.maximize,
        }
    }
    fn buffers(&self) -> usize {
        if self.amsgrad { 3 } else { 2 }
    }
    fn numbers(&self, time: u64) -> Numbers {
        let time = time as f64;
        let correction1 = correction(self.betas.0, time);
        let correction2 = correction(self.betas.1, time);
        let decay = if self.decoupled {
            1.0 - self.learning_rate * self.weight_decay
        } else {
            self.weight_decay
        };
        let fresh1 = 1.0 - self.betas.0;
        smallvec![
            -(self.learning_rate / correction1),
            decay,
            if fresh1 < 0.5 { fresh1 } else { 1.0 - fresh1 },
            self.betas.1,
            1.0 - self.betas.1,
            correction2.sqrt(),
            self.epsilon
        ]
    }
}

/// `1 - beta^time`, the part of a running mean that is there already. Once the power is less than half the distance to the number
/// before 1, which takes less than `38 / (1 - beta)` steps, this is 1.
fn correction(beta: f64, time: f64) -> f64 {
    // (1 - x)^n <= exp(-n x), and exp(-38) < 2^-54
    if (1.0 - beta) * time > 38.0 {
        1.0
    } else {
        1.0 - beta.powf(time)
    }
}

impl Form for AdamForm {
    fn update<T: Float>(
        self,
        parameter: Var<T>,
        gradient: Var<T>,
        state: &[Var<T>],
        numbers: &[Var<T>],
    ) -> Updated<T> {
        let &[rate, decay, weight1, beta2, fresh2, correction2, epsilon] = numbers else {
            unreachable!("the numbers of this rule");
        };
        let (mut p, mut g) = (parameter, gradient);
        if self.maximize {
            g = -g;
        }
        match self.decay {
            Decay::Not => {}
            Decay::ThroughGradient => g += decay * p,
            Decay::OfParameter => p *= decay,
        }
        // From the nearer end, as in PyTorch.
        let m = if self.keeps {
            lerp(state[0], g, weight1)
        } else {
            lerp(g, state[0], weight1)
        };
        let v = state[1] * beta2 + fresh2 * g * g;
        let mut updated = smallvec![m, v];
        let mut spread = v;
        if self.amsgrad {
            spread = state[2].maximum(v);
            updated.push(spread);
        }
        Updated {
            parameter: add_quotient(p, rate * m, deviation(spread, correction2, epsilon)),
            state: updated,
        }
    }
}
