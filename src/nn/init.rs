//! What weights start as.

use crate::element::Float;
use crate::shape::Shape;
use crate::tensor::Tensor;
use rand::Rng;

/// A way to make the first value of a parameter, for any shape.
///
/// ```
/// use wengert::nn::init::Nonlinearity;
/// use wengert::prelude::*;
/// let init = init::kaiming_uniform(Nonlinearity::Relu, init::Fan::In);
/// let weight: Tensor = init.tensor([64, 96], &mut wengert::rng(0));
/// let bound = (6.0f32 / 96.0).sqrt();
/// assert!(weight.iter().all(|x| x.abs() <= bound));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Init(Kind);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Constant(f64),
    Uniform {
        low: f64,
        high: f64,
    },
    Normal {
        mean: f64,
        std: f64,
    },
    /// With mean 0 and a standard deviation of `gain` over the root of a number of connections.
    Scaled {
        gain: f64,
        fan: Fan,
        uniform: bool,
    },
}

/// The number of connections that a [`kaiming_uniform`] or [`kaiming_normal`] weight is scaled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fan {
    /// Those into a unit: keeps the variance in the forward pass.
    In,
    /// Those out of a unit: keeps the variance in the backward pass.
    Out,
    /// The mean of both, as Glorot and Bengio do.
    Mean,
}

/// What follows a layer, for [`gain`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nonlinearity {
    /// Nothing.
    Linear,
    /// The logistic function.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `x`, times this number where it is negative.
    LeakyRelu(f64),
    /// The self-normalizing unit.
    Selu,
}

/// The factor by which weights before a nonlinearity are larger so that variance is kept:
/// `torch.nn.init.calculate_gain`.
///
/// ```
/// use wengert::nn::init::{Nonlinearity, gain};
/// assert_eq!(gain(Nonlinearity::Tanh), 5.0 / 3.0);
/// assert_eq!(gain(Nonlinearity::LeakyRelu(1.0)), 1.0);
/// ```
pub fn gain(nonlinearity: Nonlinearity) -> f64 {
    match nonlinearity {
        Nonlinearity::Linear | Nonlinearity::Sigmoid => 1.0,
        Nonlinearity::Tanh => 5.0 / 3.0,
        Nonlinearity::Relu => 2f64.sqrt(),
        Nonlinearity::LeakyRelu(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
        Nonlinearity::Selu => 3.0 / 4.0,
    }
}

/// The numbers of connections into and out of a unit of a layer with a weight of the given shape:
/// `[out, in, ...]`, where further axes are places that each connection is repeated at.
///
/// ```
/// use wengert::prelude::*;
/// assert_eq!(init::fan_in_out([5, 3]), (3, 5));
/// assert_eq!(init::fan_in_out([8, 4, 3, 3]), (36, 72));
/// ```
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn fan_in_out(shape: impl Into<Shape>) -> (usize, usize) {
    let shape = shape.into();
    assert!(
        shape.rank() >= 2,
        "fan_in_out: shape {shape} has fewer than two axes, so nothing is in or out"
    );
    let places: usize = shape[2..].iter().product();
    (shape[1] * places, shape[0] * places)
}

/// Zeros.
///
/// ```
/// use wengert::prelude::*;
/// let x: Tensor = init::zeros().tensor([2], &mut wengert::rng(0));
/// assert_eq!(x, Tensor::from([0.0, 0.0]));
/// ```
pub fn zeros() -> Init {
    constant(0.0)
}

/// Ones.
///
/// ```
/// use wengert::prelude::*;
/// let x: Tensor = init::ones().tensor([2], &mut wengert::rng(0));
/// assert_eq!(x, Tensor::from([1.0, 1.0]));
/// ```
pub fn ones() -> Init {
    constant(1.0)
}

/// The same number everywhere.
///
/// ```
/// use wengert::prelude::*;
/// let x: Tensor = init::constant(0.5).tensor([2], &mut wengert::rng(0));
/// assert_eq!(x, Tensor::from([0.5, 0.5]));
/// ```
pub fn constant(number: f64) -> Init {
    Init(Kind::Constant(number))
}

/// Uniform over `low..high`.
///
/// ```
/// use wengert::prelude::*;
/// let x: Tensor = init::uniform(2.0, 3.0).tensor([100], &mut wengert::rng(0));
/// assert!(x.iter().all(|x| (2.0..3.0).contains(&x)));
/// ```
pub fn uniform(low: f64, high: f64) -> Init {
    Init(Kind::Uniform { low, high })
}

/// Normal.
///
/// ```
/// use wengert::prelude::*;
/// let x: Tensor = init::normal(5.0, 0.1).tensor([100], &mut wengert::rng(0));
/// assert!(x.iter().all(|x| (4.0..6.0).contains(&x)));
/// ```
pub fn normal(mean: f64, std: f64) -> Init {
    Init(Kind::Normal { mean, std })
}

/// Uniform with standard deviation `gain sqrt(2 / (in + out))`: over `-b..b` with
/// `b = gain sqrt(6 / (in + out))`.
///
/// ```
/// use wengert::prelude::*;
/// let x: Tensor = init::xavier_uniform(1.0).tensor([2, 4], &mut wengert::rng(0));
/// assert!(x.iter().all(|x| x.abs() <= 1.0));
/// ```
///
/// # Source
/// X. Glorot, Y. Bengio: Understanding the difficulty of training deep feedforward neural networks,
/// 2010, equation 16.
pub fn xavier_uniform(gain: f64) -> Init {
    Init(Kind::Scaled {
        gain,
        fan: Fan::Mean,
        uniform: true,
    })
}

/// Normal with standard deviation `gain sqrt(2 / (in + out))`.
///
/// ```
/// use wengert::prelude::*;
/// let x: Tensor = init::xavier_normal(1.0).tensor([2, 4], &mut wengert::rng(0));
/// assert_eq!(x.shape(), &Shape::from([2, 4]));
/// ```
///
/// # Source
/// X. Glorot, Y. Bengio: Understanding the difficulty of training deep feedforward neural networks,
/// 2010, equation 12.
pub fn xavier_normal(gain: f64) -> Init {
    Init(Kind::Scaled {
        gain,
        fan: Fan::Mean,
        uniform: false,
    })
}

/// Uniform with standard deviation `gain / sqrt(fan)`: over `-b..b` with `b = gain sqrt(3 / fan)`.
///
/// ```
/// use wengert::nn::init::Nonlinearity;
/// use wengert::prelude::*;
/// let init = init::kaiming_uniform(Nonlinearity::Relu, init::Fan::In);
/// let x: Tensor = init.tensor([4, 6], &mut wengert::rng(0));
/// assert!(x.iter().all(|x| x.abs() <= 1.0));
/// ```
///
/// # Source
/// K. He, X. Zhang, S. Ren, J. Sun: Delving deep into rectifiers, 2015, equations 10 and 14.
pub fn kaiming_uniform(nonlinearity: Nonlinearity, fan: Fan) -> Init {
    Init(Kind::Scaled {
        gain: gain(nonlinearity),
        fan,
        uniform: true,
    })
}

/// Normal with standard deviation `gain / sqrt(fan)`.
///
/// ```
/// use wengert::nn::init::Nonlinearity;
/// use wengert::prelude::*;
/// let init = init::kaiming_normal(Nonlinearity::LeakyRelu(0.1), init::Fan::Out);
/// let x: Tensor<f64> = init.tensor([4, 6], &mut wengert::rng(0));
/// assert_eq!(x.shape(), &Shape::from([4, 6]));
/// ```
///
/// # Source
/// K. He, X. Zhang, S. Ren, J. Sun: Delving deep into rectifiers, 2015, equations 10 and 14.
pub fn kaiming_normal(nonlinearity: Nonlinearity, fan: Fan) -> Init {
    Init(Kind::Scaled {
        gain: gain(nonlinearity),
        fan,
        uniform: false,
    })
}

impl Init {
    /// A tensor of this kind.
    ///
    /// # Panics
    /// If the numbers make no distribution, or the kind needs a weight of two axes or more and the
    /// shape has fewer.
    #[track_caller]
    pub fn tensor<T: Float>(
        self,
        shape: impl Into<Shape>,
        rng: &mut (impl Rng + ?Sized),
    ) -> Tensor<T> {
        let shape = shape.into();
        match self.0 {
            Kind::Constant(number) => Tensor::full(shape, T::of(number)),
            Kind::Uniform { low, high } => Tensor::uniform(shape, T::of(low), T::of(high), rng),
            Kind::Normal { mean, std } => Tensor::normal(shape, T::of(mean), T::of(std), rng),
            Kind::Scaled { gain, fan, uniform } => {
                let (inputs, outputs) = fan_in_out(shape.clone());
                let connections = match fan {
                    Fan::In => inputs as f64,
                    Fan::Out => outputs as f64,
                    Fan::Mean => (inputs + outputs) as f64 / 2.0,
                };
                if connections == 0.0 {
                    // A unit without connections has no weight to scale.
                    return Tensor::zeros(shape);
                }
                let std = gain / connections.sqrt();
                if uniform {
                    let bound = T::of(3f64.sqrt() * std);
                    Tensor::uniform(shape, -bound, bound, rng)
                } else {
                    Tensor::normal(shape, T::ZERO, T::of(std), rng)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean, standard deviation and largest magnitude of a large tensor.
    fn moments(init: Init, shape: [usize; 3]) -> (f64, f64, f64) {
        let x: Tensor<f64> = init.tensor(shape, &mut crate::rng(1));
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let largest = x.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
        (mean, variance.sqrt(), largest)
    }

    #[test]
    fn moments_are_those_of_the_papers() {
        // [out, in, places]: 300 connections in, 1200 out.
        let shape = [400, 100, 3];
        let he = |f: fn(Nonlinearity, Fan) -> Init, fan| f(Nonlinearity::Relu, fan);
        let cases = [
            (xavier_uniform(1.5), 1.5 * (2f64 / 1500.0).sqrt(), true),
            (xavier_normal(1.5), 1.5 * (2f64 / 1500.0).sqrt(), false),
            (he(kaiming_uniform, Fan::In), (2f64 / 300.0).sqrt(), true),
            (he(kaiming_normal, Fan::In), (2f64 / 300.0).sqrt(), false),
            (he(kaiming_uniform, Fan::Out), (2f64 / 1200.0).sqrt(), true),
            (he(kaiming_normal, Fan::Out), (2f64 / 1200.0).sqrt(), false),
            (uniform(-1.0, 1.0), (1f64 / 3.0).sqrt(), true),
            (normal(0.0, 0.3), 0.3, false),
        ];
        for (init, std, bounded) in cases {
            let (mean, found, largest) = moments(init, shape);
            // 120,000 numbers: five standard errors of mean and deviation.
            assert!(mean.abs() < 5.0 * std / 346.0, "{init:?}: mean {mean}");
            assert!(
                (found / std - 1.0).abs() < 5.0 / 490.0,
                "{init:?}: std {found}, not {std}"
            );
            let bound = 3f64.sqrt() * std;
            if bounded {
                assert!(
                    largest <= bound && largest > 0.999 * bound,
                    "{init:?}: {largest}"
                );
            } else {
                assert!(largest > 1.5 * bound, "{init:?}: {largest}");
            }
        }
    }

    #[test]
    fn gains_are_those_of_pytorch() {
        assert_eq!(gain(Nonlinearity::Linear), 1.0);
        assert_eq!(gain(Nonlinearity::Sigmoid), 1.0);
        assert_eq!(gain(Nonlinearity::Tanh), 1.6666666666666667);
        assert_eq!(gain(Nonlinearity::Relu), std::f64::consts::SQRT_2);
        assert!((gain(Nonlinearity::LeakyRelu(0.01)) - 1.4141428569978354).abs() < 1e-15);
        assert_eq!(gain(Nonlinearity::Selu), 0.75);
    }

    #[test]
    fn empty_weights_are_made() {
        let x: Tensor = xavier_uniform(1.0).tensor([0, 0], &mut crate::rng(0));
        assert!(x.is_empty());
    }

    #[test]
    #[should_panic(expected = "fan_in_out: shape [3] has fewer than two axes")]
    fn a_vector_has_no_fan() {
        let _: Tensor = kaiming_normal(Nonlinearity::Relu, Fan::In).tensor([3], &mut crate::rng(0));
    }
}
