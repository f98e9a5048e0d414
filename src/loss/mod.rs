//! Losses: how far predictions are from targets.
//!
//! Each comes in three forms: the mean over all items as a function of this module, the sum in
//! [`sum`], and one number for each item in [`item`]. Prediction and target must have the same
//! shape: a target of shape `[n]` for a prediction of shape `[n, 1]` is an error, where
//! broadcasting would compare all pairs.

mod binary;
mod cross_entropy;
mod regression;
#[cfg(test)]
mod tests;

pub use cross_entropy::Target;

use crate::element::Float;
use crate::tape::Var;

/// Panics at the caller's line unless two shapes are equal.
#[track_caller]
fn same_shape<T: Float>(loss: &str, prediction: Var<T>, target: Var<T>) {
    let p = prediction.tape().shape_of(loss, prediction.erase());
    let t = target.tape().shape_of(loss, target.erase());
    assert!(
        p == t,
        "{loss}: the prediction has shape {p}, the target {t}"
    );
}

/// The three forms of losses, from the function that gives a number for each item.
macro_rules! losses {
    ($(
        $(#[$doc:meta])*
        $mean:ident, $name:ident <$t:ident $(, $generic:ident: $bound:path)?>
        ($($arg:ident: $type:ty),*) example $example:literal = $body:path;
    )*) => {
        $(
            $(#[$doc])*
            #[track_caller]
            pub fn $mean<$t: Float $(, $generic: $bound)?>($($arg: $type),*) -> Var<$t> {
                $body($($arg),*).mean()
            }
        )*

        /// The losses as sums over all items.
        pub mod sum {
            use super::*;
            $(
                #[doc = concat!("The sum of [`", stringify!($name), "`](super::item::", stringify!($name), ") over all items.")]
                ///
                /// ```
                /// use wengert::prelude::*;
                /// let tape = Tape::new();
                /// let x = tape.leaf(&Tensor::from([[0.5, 0.25], [0.125, 0.75]]));
                /// let y = tape.constant(&Tensor::from([[0.0, 1.0], [1.0, 0.0]]));
                #[doc = concat!("let sum = loss::sum::", stringify!($name), $example, ".value().item();")]
                #[doc = concat!("let items = loss::item::", stringify!($name), $example, ".value();")]
                /// assert!((sum - items.iter().sum::<f32>()).abs() < 1e-6);
                /// ```
                ///
                /// # Panics
                #[doc = concat!("As [`", stringify!($mean), "`](super::", stringify!($mean), ").")]
                #[track_caller]
                pub fn $name<$t: Float $(, $generic: $bound)?>($($arg: $type),*) -> Var<$t> {
                    $body($($arg),*).sum()
                }
            )*
        }

        /// The losses as one number for each item.
        pub mod item {
            use super::*;
            $(
                #[doc = concat!("What [`", stringify!($mean), "`](super::", stringify!($mean), ") is the mean of: a number for each item.")]
                ///
                /// ```
                /// use wengert::prelude::*;
                /// let tape = Tape::new();
                /// let x = tape.leaf(&Tensor::from([[0.5, 0.25], [0.125, 0.75]]));
                /// let y = tape.constant(&Tensor::from([[0.0, 1.0], [1.0, 0.0]]));
                #[doc = concat!("let items = loss::item::", stringify!($name), $example, ";")]
                #[doc = concat!("assert_eq!(items.mean().value(), loss::", stringify!($mean), $example, ".value());")]
                /// ```
                ///
                /// # Panics
                #[doc = concat!("As [`", stringify!($mean), "`](super::", stringify!($mean), ").")]
                #[track_caller]
                pub fn $name<$t: Float $(, $generic: $bound)?>($($arg: $type),*) -> Var<$t> {
                    $body($($arg),*)
                }
            )*
        }
    };
}

losses! {
    /// The mean of the squared differences of prediction and target.
    ///
    /// Formula: `mean((p - y)^2)`.
    ///
    /// # Derivative
    /// `2 (p - y) / n` for `n` elements; the negative of that for the target.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let p = tape.leaf(&Tensor::from([1.0, 4.0]));
    /// let y = tape.constant(&Tensor::from([2.0, 2.0]));
    /// assert_eq!(loss::mean_squared_error(p, y).value().item(), 2.5);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ, the variables are of two tapes, or the tape was reset or dropped.
    mean_squared_error, squared_error<T>(prediction: Var<T>, target: Var<T>)
        example "(x, y)" = regression::squared_error;

    /// The mean of the absolute differences of prediction and target; the L1 loss.
    ///
    /// Formula: `mean(|p - y|)`.
    ///
    /// # Derivative
    /// `sign(p - y) / n` for `n` elements, which is 0 where they are equal; the negative of that
    /// for the target.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let p = tape.leaf(&Tensor::from([1.0, 4.0]));
    /// let y = tape.constant(&Tensor::from([2.0, 2.0]));
    /// assert_eq!(loss::mean_absolute_error(p, y).value().item(), 1.5);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ, the variables are of two tapes, or the tape was reset or dropped.
    #[doc(alias = "l1")]
    mean_absolute_error, absolute_error<T>(prediction: Var<T>, target: Var<T>)
        example "(x, y)" = regression::absolute_error;

    /// The mean of a loss that is quadratic up to a difference of `delta` and linear beyond.
    ///
    /// Formula: `(p - y)^2 / 2` where `|p - y| <= delta`, else `delta (|p - y| - delta / 2)`.
    ///
    /// # Derivative
    /// `clamp(p - y, -delta, delta) / n` for `n` elements; the negative of that for the target.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let p = tape.leaf(&Tensor::from([1.0, 6.0]));
    /// let y = tape.constant(&Tensor::from([2.0, 2.0]));
    /// assert_eq!(loss::item::huber(p, y, 1.0).value(), Tensor::from([0.5, 3.5]));
    /// assert_eq!(loss::huber(p, y, 1.0).value().item(), 2.0);
    /// ```
    ///
    /// # Source
    /// P. Huber: Robust estimation of a location parameter, 1964.
    ///
    /// # Panics
    /// If `delta` is not above 0, the shapes differ, the variables are of two tapes, or the tape
    /// was reset or dropped.
    huber, huber<T>(prediction: Var<T>, target: Var<T>, delta: f64)
        example "(x, y, 0.5)" = regression::huber;

    /// The mean of the cross-entropy of probabilities of one of two classes.
    ///
    /// Formula: `-(y max(ln p, -100) + (1 - y) max(ln(1 - p), -100))`, with the bounds of PyTorch.
    /// A probability outside `0..=1` gives a NaN. Where there are logits,
    /// [`binary_cross_entropy_with_logits`] is more exact.
    ///
    /// # Derivative
    /// For `p`, as in PyTorch: `(p - y) / max(p (1 - p), 1e-12) / n` for `n` elements, which is
    /// finite at 0 and 1. For `y`: `(max(ln(1 - p), -100) - max(ln p, -100)) / n`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let p = tape.leaf(&Tensor::from([0.5, 0.0]));
    /// let y = tape.constant(&Tensor::from([1.0, 1.0]));
    /// let items = loss::item::binary_cross_entropy(p, y).value();
    /// assert_eq!(items, Tensor::from([std::f32::consts::LN_2, 100.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes differ, the variables are of two tapes, or the tape was reset or dropped.
    binary_cross_entropy, binary_cross_entropy<T>(prediction: Var<T>, target: Var<T>)
        example "(x, y)" = binary::binary_cross_entropy;

    /// The mean of the cross-entropy of probabilities of one of two classes, given by their logits
    /// `z = ln(p / (1 - p))`.
    ///
    /// Formula: `max(z, 0) - z y + ln(1 + exp(-|z|))`, which is exact where the loss is tiny and
    /// where a logit is huge.
    ///
    /// # Derivative
    /// For `z`: `(sigmoid(z) - y) / n` for `n` elements. For `y`: `-z / n`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let z = tape.leaf(&Tensor::from([0.0, 1000.0]));
    /// let y = tape.constant(&Tensor::from([1.0, 0.0]));
    /// let items = loss::item::binary_cross_entropy_with_logits(z, y).value();
    /// assert_eq!(items, Tensor::from([std::f32::consts::LN_2, 1000.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes differ, the variables are of two tapes, or the tape was reset or dropped.
    binary_cross_entropy_with_logits, binary_cross_entropy_with_logits<T>(logits: Var<T>, target: Var<T>)
        example "(x, y)" = binary::binary_cross_entropy_with_logits;

    /// The mean of the cross-entropy of probabilities of several classes, given by their logits,
    /// which lie along the **last** axis. (PyTorch takes axis 1, which is the same for matrices
    /// only.)
    ///
    /// The target is a class for each item, as `Var<i64>`, or a row of probabilities for each item.
    ///
    /// Formula: `-log_softmax(z)[class]`, or `-sum over classes of y log_softmax(z)`.
    ///
    /// # Shapes
    /// Logits `[.., classes]`; target `[..]` or `[.., classes]`; one item for each row.
    ///
    /// # Derivative
    /// For `z`: `(softmax(z) - y) / n` for `n` items, where `y` is 1 for the class and 0 for the
    /// others.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let logits = tape.leaf(&Tensor::from([[0.0, 0.0], [1000.0, 0.0]]));
    /// let classes = tape.constant(&Tensor::from([1, 0]));
    /// let items = loss::item::cross_entropy(logits, classes).value();
    /// assert_eq!(items, Tensor::from([std::f32::consts::LN_2, 0.0]));
    /// let rows = tape.constant(&Tensor::from([[0.5, 0.5], [1.0, 0.0]]));
    /// assert_eq!(loss::item::cross_entropy(logits, rows).value(), items);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit; if the classes are known when this is recorded and one is out of
    /// range; if the variables are of two tapes, or the tape was reset or dropped.
    cross_entropy, cross_entropy<T, Y: Target<T>>(logits: Var<T>, target: Y)
        example "(x, y)" = cross_entropy::cross_entropy;
}
