//! What optimizers do to the elements of a parameter, and clipping does to those of a gradient, in
//! one pass each.
//!
//! The order of operations is that of PyTorch's implementation for a single tensor, so that results
//! agree up to the last bits.

use super::dispatch::simd;
use crate::element::Float;

/// The numbers of one step of SGD.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Momentum<T> {
    /// What is added to the gradient for each unit of the parameter; nothing is if it is 0.
    pub weight_decay: T,
    pub momentum: T,
    /// One minus the dampening.
    pub fresh: T,
    /// Minus the learning rate.
    pub rate: T,
    pub maximize: bool,
    pub nesterov: bool,
}

/// The gradient that a step follows.
#[inline(always)]
fn directed<T: Float>(gradient: T, parameter: T, weight_decay: T, maximize: bool) -> T {
    let gradient = if maximize { -gradient } else { gradient };
    // Not a sum with 0: that would make a NaN of an infinite parameter.
    if weight_decay == T::ZERO {
        gradient
    } else {
        gradient + weight_decay * parameter
    }
}

simd! {
    /// `p = p - rate g`
    pub(crate) fn descend<T: Float>(parameter: &mut [T], gradient: &[T], by: Momentum<T>) {
        for (p, &g) in parameter.iter_mut().zip(gradient) {
            *p += by.rate * directed(g, *p, by.weight_decay, by.maximize);
        }
    }
}

simd! {
    /// As [`descend`], along a running sum of gradients, which starts as the first one (if
    /// `first`).
    pub(crate) fn descend_with_momentum<T: Float>(
        parameter: &mut [T],
        gradient: &[T],
        velocity: &mut [T],
        first: bool,
        by: Momentum<T>,
    ) {
        for ((p, &g), v) in parameter.iter_mut().zip(gradient).zip(velocity) {
            let g = directed(g, *p, by.weight_decay, by.maximize);
            *v = if first { g } else { *v * by.momentum + by.fresh * g };
            let along = if by.nesterov { g + by.momentum * *v } else { *v };
            *p += by.rate * along;
        }
    }
}

/// The numbers of one step of Adam.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments<T> {
    /// What is added to the gradient for each unit of the parameter; nothing is if it is 0.
    pub weight_decay: T,
    /// What the parameter is multiplied with before the step.
    pub shrink: T,
    /// One minus the decay rate of the first moment.
    pub fresh1: T,
    pub beta2: T,
    /// One minus the decay rate of the second moment.
    pub fresh2: T,
    /// The square root of the bias correction of the second moment.
    pub correction2: T,
    pub epsilon: T,
    /// Minus the learning rate, divided by the bias correction of the first moment.
    pub rate: T,
    pub maximize: bool,
}

impl<T: Float> Moments<T> {
    /// Moves the moments towards the gradient and gives the parameter, shrunk.
    #[inline(always)]
    fn observe(&self, p: T, g: T, m: &mut T, v: &mut T) -> T {
        let p = p * self.shrink;
        let g = directed(g, p, self.weight_decay, self.maximize);
        // PyTorch interpolates from the nearer end.
        let difference = g - *m;
        *m = if self.fresh1 < T::of(0.5) {
            *m + self.fresh1 * difference
        } else {
            g - difference * (T::ONE - self.fresh1)
        };
        *v = *v * self.beta2 + self.fresh2 * g * g;
        p
    }

    /// The parameter after the step.
    #[inline(always)]
    fn advance(&self, p: T, m: T, v: T) -> T {
        p + self.rate * m / (v.sqrt() / self.correction2 + self.epsilon)
    }
}

simd! {
    /// `p = p - rate m / (sqrt(v) + epsilon)` with running means `m` of the gradient and `v` of its
    /// square.
    pub(crate) fn adapt<T: Float>(
        parameter: &mut [T],
        gradient: &[T],
        first: &mut [T],
        second: &mut [T],
        by: Moments<T>,
    ) {
        for (((p, &g), m), v) in parameter.iter_mut().zip(gradient).zip(first).zip(second) {
            let shrunk = by.observe(*p, g, m, v);
            *p = by.advance(shrunk, *m, *v);
        }
    }
}

simd! {
    /// As [`adapt`], with the largest `v` so far.
    pub(crate) fn adapt_to_largest<T: Float>(
        parameter: &mut [T],
        gradient: &[T],
        first: &mut [T],
        second: &mut [T],
        largest: &mut [T],
        by: Moments<T>,
    ) {
        let slices = parameter.iter_mut().zip(gradient).zip(first).zip(second).zip(largest);
        for ((((p, &g), m), v), l) in slices {
            let shrunk = by.observe(*p, g, m, v);
            *l = l.larger(*v);
            *p = by.advance(shrunk, *m, *l);
        }
    }
}

simd! {
    /// Multiplies every element.
    pub(crate) fn scale<T: Float>(elements: &mut [T], factor: T) {
        for x in elements {
            *x *= factor;
        }
    }
}

simd! {
    /// Moves every element into `-limit..=limit`; a NaN stays one.
    pub(crate) fn clamp<T: Float>(elements: &mut [T], limit: T) {
        for x in elements {
            *x = x.larger(-limit).smaller(limit);
        }
    }
}

/// Sums that run side by side, so that each addition need not wait for the one before.
const LANES: usize = 16;

simd! {
    /// The sum of the squares.
    pub(crate) fn squares<T: Float>(elements: &[T]) -> f64 {
        let mut sums = [0.0; LANES];
        let (blocks, rest) = elements.as_chunks::<LANES>();
        for block in blocks {
            for (sum, &x) in sums.iter_mut().zip(block) {
                let x = x.as_f64();
                *sum += x * x;
            }
        }
        for (sum, &x) in sums.iter_mut().zip(rest) {
            let x = x.as_f64();
            *sum += x * x;
        }
        sums.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_squares_take_every_element() {
        for len in [0, 1, 15, 16, 17, 100] {
            let elements: Vec<f32> = (1..=len).map(|x| x as f32).collect();
            let n = len as f64;
            assert_eq!(squares(&elements), n * (n + 1.0) * (2.0 * n + 1.0) / 6.0);
        }
    }

    #[test]
    fn clamping_keeps_what_is_not_a_number() {
        let mut elements = [1.0, -5.0, f32::NAN, f32::INFINITY];
        clamp(&mut elements, 2.0);
        assert_eq!((elements[0], elements[1], elements[3]), (1.0, -2.0, 2.0));
        assert!(elements[2].is_nan());
    }
}
