//! Classes.

use crate::tensor::Tensor;
use proptest::collection::{SizeRange, vec};
use proptest::strategy::Strategy;

/// As many labels as `counts` says, each a class from 0 to `classes - 1`. They shrink to few, of class 0.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::{check, loss};
///
/// proptest! {
///     # fn hidden(_ in 0..1) {}
///     fn my_loss(x in check::tensors([4, 3], -3.0..3.0), y in check::labels(4, 3)) {
///         check::gradients(|[x]| loss::cross_entropy(x, x.tape().constant(&y)), [&x])?;
///     }
/// }
/// my_loss();
/// ```
///
/// # Panics
/// If there are no classes.
#[track_caller]
pub fn labels(counts: impl Into<SizeRange>, classes: usize) -> impl Strategy<Value = Tensor<i64>> {
    assert!(classes > 0, "labels: there are no classes");
    vec(0..classes as i64, counts)
        .prop_map(|labels| Tensor::from_fn([labels.len()], |i| labels[i[0]]))
}

/// As [`labels`], as rows that are 1 at the class and 0 elsewhere: shape `[count, classes]`.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::check;
///
/// proptest! {
///     # fn hidden(_ in 0..1) {}
///     fn rows_sum_to_one(y in check::one_hot(1..5, 3)) {
///         prop_assert!(y.rows().all(|row| row.iter().sum::<f64>() == 1.0));
///     }
/// }
/// rows_sum_to_one();
/// ```
///
/// # Panics
/// If there are no classes.
#[track_caller]
pub fn one_hot(counts: impl Into<SizeRange>, classes: usize) -> impl Strategy<Value = Tensor<f64>> {
    labels(counts, classes).prop_map(move |labels| {
        Tensor::from_fn([labels.len(), classes], |i| {
            f64::from(u8::from(labels[[i[0]]] == i[1] as i64))
        })
    })
}
