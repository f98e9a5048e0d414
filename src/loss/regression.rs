//! Losses of predicted numbers.

use super::same_shape;
use crate::element::Float;
use crate::tape::Var;

#[track_caller]
pub(super) fn squared_error<T: Float>(prediction: Var<T>, target: Var<T>) -> Var<T> {
    same_shape("squared_error", prediction, target);
    let difference = prediction - target;
    difference * difference
}

#[track_caller]
pub(super) fn absolute_error<T: Float>(prediction: Var<T>, target: Var<T>) -> Var<T> {
    same_shape("absolute_error", prediction, target);
    (prediction - target).abs()
}

#[track_caller]
pub(super) fn huber<T: Float>(prediction: Var<T>, target: Var<T>, delta: f64) -> Var<T> {
    same_shape("huber", prediction, target);
    assert!(delta > 0.0, "huber: delta is {delta}, but must be above 0");
    let distance = (prediction - target).abs();
    let near = distance.minimum(T::of(delta));
    near * (distance - near * T::of(0.5))
}

#[cfg(test)]
mod tests {
    use crate::{Tape, Tensor, loss};

    #[test]
    fn values_and_gradients_are_those_of_the_formulas() {
        let tape = Tape::new();
        let p = tape.leaf(&Tensor::from([[1.0, 2.0], [-3.0, 0.5]]));
        let y = tape.leaf(&Tensor::from([[1.0, 0.0], [1.0, 1.0]]));
        type Loss = fn(crate::Var<f64>, crate::Var<f64>) -> crate::Var<f64>;
        let huber: Loss = |p, y| loss::item::huber(p, y, 2.0);
        // Differences 0, 2, -4, -0.5; the second at the corner of huber.
        let cases: [(Loss, [f64; 4], [f64; 4]); 3] = [
            (
                loss::item::squared_error,
                [0.0, 4.0, 16.0, 0.25],
                [0.0, 4.0, -8.0, -1.0],
            ),
            (
                loss::item::absolute_error,
                [0.0, 2.0, 4.0, 0.5],
                [0.0, 1.0, -1.0, -1.0],
            ),
            (huber, [0.0, 2.0, 6.0, 0.125], [0.0, 2.0, -2.0, -0.5]),
        ];
        for (loss, values, slopes) in cases {
            let item = loss(p, y);
            let [dp, dy] = item.sum().gradients([p, y]);
            assert_eq!(item.value().to_vec(), values);
            assert_eq!(dp.value().to_vec(), slopes);
            assert_eq!(dy.value().to_vec(), slopes.map(|x| -x));
        }
        assert_eq!(loss::mean_squared_error(p, y).value().item(), 20.25 / 4.0);
        assert_eq!(loss::sum::absolute_error(p, y).value().item(), 6.5);
    }

    #[test]
    fn extreme_numbers() {
        let tape = Tape::new();
        let p = tape.leaf(&Tensor::from([1e30f32, -1e30, f32::INFINITY]));
        let y = tape.constant(&Tensor::from([0.0f32, 0.0, 0.0]));
        let huber = loss::item::huber(p, y, 1.0);
        assert_eq!(huber.value(), Tensor::from([1e30, 1e30, f32::INFINITY]));
        assert_eq!(
            huber.sum().gradient(p).value(),
            Tensor::from([1.0, -1.0, 1.0])
        );
    }

    #[test]
    #[should_panic(expected = "squared_error: the prediction has shape [2, 1], the target [2]")]
    fn nothing_is_broadcast() {
        let tape = Tape::new();
        let p = tape.leaf(&Tensor::<f32>::ones([2, 1]));
        loss::mean_squared_error(p, tape.constant(&Tensor::ones([2])));
    }

    #[test]
    #[should_panic(expected = "huber: delta is 0")]
    fn huber_needs_a_corner() {
        let tape = Tape::new();
        let p = tape.leaf(&Tensor::<f32>::ones([2]));
        loss::huber(p, p, 0.0);
    }
}
