//! Class labels.

use crate::element::Number;
use crate::error::{Error, ErrorKind};
use crate::shape::{or_panic, resolve_size};
use crate::tensor::Tensor;

/// Checks that labels are class numbers: each within `0..classes`.
///
/// # Errors
/// [`ErrorKind::Range`] names the first label that is not, and its index.
///
/// ```
/// use wengert::data::check_labels;
/// use wengert::prelude::*;
/// assert!(check_labels(&Tensor::from([0, 2, 1]), 3).is_ok());
/// let error = check_labels(&Tensor::from([0, 3, 1]), 3).unwrap_err();
/// assert_eq!(error.to_string(), "check_labels: label 3 at [1] is outside 0..3");
/// ```
pub fn check_labels(labels: &Tensor<i64>, classes: usize) -> Result<(), Error> {
    check("check_labels", labels, classes)
}

fn check(operation: &str, labels: &Tensor<i64>, classes: usize) -> Result<(), Error> {
    let is_class = |label: i64| usize::try_from(label).is_ok_and(|label| label < classes);
    let Some(place) = labels.iter().position(|label| !is_class(label)) else {
        return Ok(());
    };
    let mut rest = place;
    let mut index = vec![0; labels.rank()];
    for (i, &size) in index.iter_mut().zip(labels.shape().iter()).rev() {
        *i = rest % size;
        rest /= size;
    }
    let label = labels.iter().nth(place).unwrap_or_default();
    let message = format!("{operation}: label {label} at {index:?} is outside 0..{classes}");
    Err(Error::new(ErrorKind::Range, message))
}

/// Labels as vectors with a 1 at the place of the class and 0 elsewhere: a new last axis of size
/// `classes`.
///
/// # Errors
/// [`ErrorKind::Range`] names the first label outside `0..classes`, and its index.
///
/// # Panics
/// If the result holds more elements than can be addressed.
///
/// ```
/// use wengert::data::one_hot;
/// use wengert::prelude::*;
/// let x = one_hot::<f32>(&Tensor::from([2, 0]), 3)?;
/// assert_eq!(x, Tensor::from([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
/// # Ok::<(), wengert::Error>(())
/// ```
#[track_caller]
pub fn one_hot<T: Number>(labels: &Tensor<i64>, classes: usize) -> Result<Tensor<T>, Error> {
    let shape = labels.shape().with_inserted(labels.rank(), classes);
    or_panic("one_hot", resolve_size(&shape));
    check("one_hot", labels, classes)?;
    let mut vectors = Tensor::zeros(shape);
    if classes > 0 {
        let vectors = vectors.as_mut_slice().chunks_exact_mut(classes);
        for (vector, label) in vectors.zip(labels) {
            vector[label as usize] = T::ONE;
        }
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hot_vectors_of_any_labels() {
        let x = one_hot::<i64>(&Tensor::from([[1, 0], [0, 1]]).slice(1, ..1), 2).unwrap();
        assert_eq!(x, Tensor::from([[[0, 1]], [[1, 0]]]));
        assert_eq!(
            one_hot::<f64>(&Tensor::from(1), 2).unwrap(),
            Tensor::from([0.0, 1.0])
        );
        assert_eq!(
            one_hot::<f32>(&Tensor::from([0, 0]), 1).unwrap(),
            Tensor::ones([2, 1])
        );
        assert_eq!(
            one_hot::<f32>(&Tensor::zeros([0]), 3).unwrap().shape()[..],
            [0, 3]
        );
        assert_eq!(
            one_hot::<f32>(&Tensor::zeros([0]), 0).unwrap().shape()[..],
            [0, 0]
        );
    }

    #[test]
    fn labels_that_are_no_classes_are_errors() {
        let labels = Tensor::from([[0, 1], [2, -1]]);
        let error = one_hot::<f32>(&labels, 3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Range);
        assert_eq!(
            error.to_string(),
            "one_hot: label -1 at [1, 1] is outside 0..3"
        );
        let error = check_labels(&labels.t(), 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "check_labels: label 2 at [0, 1] is outside 0..2"
        );
        assert!(check_labels(&Tensor::from(0), 0).is_err());
        assert!(check_labels(&Tensor::from([i64::MAX, i64::MIN]), usize::MAX).is_err());
        assert!(check_labels(&Tensor::zeros([0]), 0).is_ok());
    }
}
