//! Tensors of random numbers.

use super::Tensor;
use crate::element::{Dtype, Float};
use crate::shape::{Shape, or_panic, resolve_size};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

impl<T: Float> Tensor<T> {
    /// Independent numbers, uniform over `low..high`.
    ///
    /// `high` itself is never drawn, unless `low == high`.
    ///
    /// # Panics
    /// If `low > high`, an end or `high - low` is not finite, or the shape holds more elements than
    /// can be addressed.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::<f32>::uniform([100], -1.0, 1.0, &mut wengert::rng(0));
    /// assert!(x.iter().all(|x| (-1.0..1.0).contains(&x)));
    /// ```
    #[track_caller]
    pub fn uniform(
        shape: impl Into<Shape>,
        low: T,
        high: T,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        let shape = shape.into();
        or_panic("uniform", resolve_size(&shape));
        let width = high - low;
        assert!(
            low <= high && width.is_finite(),
            "uniform: no numbers from {low} to {high}"
        );
        Tensor::written(shape, |out| {
            for slot in out {
                *slot = loop {
                    // As many random bits as the type has: those of an f64 could round up to 1.
                    let unit = match T::DTYPE {
                        Dtype::F32 => T::of(f64::from(rng.random::<f32>())),
                        _ => T::of(rng.random::<f64>()),
                    };
                    let x = low + width * unit;
                    if x < high || low == high {
                        break x;
                    }
                };
            }
        })
    }

    /// Independent numbers, normally distributed with the given mean and standard deviation.
    ///
    /// # Panics
    /// If `std` is negative or not finite, or the shape holds more elements than can be addressed.
    ///
    /// # Source
    /// The ziggurat method (Marsaglia and Tsang, 2000), from `rand_distr`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::<f64>::normal([1000], 3.0, 0.5, &mut wengert::rng(0));
    /// let mean = x.iter().sum::<f64>() / 1000.0;
    /// assert!((mean - 3.0).abs() < 0.1);
    /// ```
    #[track_caller]
    pub fn normal(shape: impl Into<Shape>, mean: T, std: T, rng: &mut (impl Rng + ?Sized)) -> Self {
        let shape = shape.into();
        or_panic("normal", resolve_size(&shape));
        assert!(
            std >= T::ZERO && std.is_finite(),
            "normal: {std} is not a standard deviation"
        );
        Tensor::written(shape, |out| {
            for slot in out {
                let z: f64 = rng.sample(StandardNormal);
                *slot = T::of(mean.as_f64() + std.as_f64() * z);
            }
        })
    }
}

impl Tensor<i64> {
    /// Independent integers, uniform over `low..high`.
    ///
    /// # Panics
    /// If `low >= high`, or the shape holds more elements than can be addressed.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let x = Tensor::randint([100], 0, 6, &mut wengert::rng(0));
    /// assert!(x.iter().all(|x| (0..6).contains(&x)));
    /// ```
    #[track_caller]
    pub fn randint(
        shape: impl Into<Shape>,
        low: i64,
        high: i64,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        let shape = shape.into();
        or_panic("randint", resolve_size(&shape));
        assert!(low < high, "randint: no integers in {low}..{high}");
        Tensor::written(shape, |out| out.fill_with(|| rng.random_range(low..high)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::rng;

    #[test]
    fn uniform_fills_its_range() {
        let x = Tensor::<f64>::uniform([10_000], 2.0, 6.0, &mut rng(1));
        assert!(x.iter().all(|x| (2.0..6.0).contains(&x)));
        let mean = x.iter().sum::<f64>() / 1e4;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e4;
        // Four standard errors: 4/sqrt(12)/100 of the mean.
        assert!((mean - 4.0).abs() < 0.047, "{mean}");
        assert!((variance - 16.0 / 12.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn uniform_never_reaches_its_end() {
        // Two neighbors of f32: half of the draws would round up to the end.
        let next = 1.0f32 + f32::EPSILON;
        let x = Tensor::<f32>::uniform([1000], 1.0, next, &mut rng(2));
        assert!(x.iter().all(|x| x == 1.0));
        assert_eq!(
            Tensor::uniform([2], 3.0f32, 3.0, &mut rng(2)),
            Tensor::from([3.0, 3.0])
        );
    }

    #[test]
    fn normal_has_its_moments() {
        let x = Tensor::<f32>::normal([100, 100], -1.0, 2.0, &mut rng(3));
        let mean = x.iter().map(f64::from).sum::<f64>() / 1e4;
        let moment = |k: i32| x.iter().map(|x| (f64::from(x) - mean).powi(k)).sum::<f64>() / 1e4;
        assert!((mean + 1.0).abs() < 0.08, "{mean}");
        assert!((moment(2) - 4.0).abs() < 0.23, "{}", moment(2));
        assert!(
            (moment(4) / moment(2).powi(2) - 3.0).abs() < 0.2,
            "{}",
            moment(4)
        );
        assert_eq!(
            Tensor::normal([2], 3.0, 0.0, &mut rng(3)),
            Tensor::from([3.0, 3.0])
        );
    }

    #[test]
    fn randint_draws_every_value_evenly() {
        let x = Tensor::randint([6000], -3, 3, &mut rng(4));
        for value in -3..3 {
            let count = x.iter().filter(|&x| x == value).count();
            // Five standard deviations of a binomial count.
            assert!(count.abs_diff(1000) < 145, "{value}: {count}");
        }
        assert_eq!(
            Tensor::randint([], i64::MIN, i64::MIN + 1, &mut rng(4)).item(),
            i64::MIN
        );
    }

    #[test]
    #[should_panic(expected = "randint: no integers in 3..3")]
    fn an_empty_range_panics() {
        Tensor::randint([2], 3, 3, &mut rng(0));
    }

    #[test]
    #[should_panic(expected = "uniform: no numbers from 1 to NaN")]
    fn a_range_without_an_end_panics() {
        Tensor::uniform([2], 1.0, f32::NAN, &mut rng(0));
    }
}
