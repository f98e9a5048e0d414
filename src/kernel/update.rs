//! What clipping does to the elements of a gradient, in one pass each.

use super::dispatch::simd;
use crate::element::Float;

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
