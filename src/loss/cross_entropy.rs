//! Losses of several classes.

use crate::element::Float;
use crate::shape::Shape;
use crate::tape::Var;
use crate::tensor::Tensor;

mod sealed {
    pub trait Sealed {}
    impl<T: crate::Element> Sealed for crate::Var<T> {}
}

/// What [`cross_entropy`](super::cross_entropy) compares with: a class for each item (`Var<i64>`),
/// or a row of probabilities for each item. Sealed.
pub trait Target<T: Float>: sealed::Sealed + Copy {
    /// The loss of each item, given the logarithms of the probabilities. `shape` is that of the
    /// logits.
    #[doc(hidden)]
    #[track_caller]
    fn entropy(self, shape: &Shape, logits: Var<T>) -> Var<T>;
}

impl<T: Float> Target<T> for Var<i64> {
    #[track_caller]
    fn entropy(self, shape: &Shape, logits: Var<T>) -> Var<T> {
        let items = self.shape();
        assert!(
            items[..] == shape[..shape.rank() - 1],
            "cross_entropy: the logits have shape {shape}, so the classes must have shape {}, not {items}",
            Shape::from(&shape[..shape.rank() - 1])
        );
        let classes = shape[shape.rank() - 1];
        if let Some(labels) = given(self) {
            within(&labels, classes);
        }
        // Not `log_softmax` and then the elements at the labels: its derivative would be a table of zeros but for one element of
        // each row, which is read twice.
        let largest = logits.largest("cross_entropy", -1);
        let chosen = logits.gather(-1, self.unsqueeze(-1)) - largest;
        (logits - largest).exp().sum_axes(-1).ln() - chosen.squeeze(-1)
    }
}

impl<T: Float> Target<T> for Var<T> {
    #[track_caller]
    fn entropy(self, shape: &Shape, logits: Var<T>) -> Var<T> {
        let rows = self.shape();
        assert!(
            rows == *shape,
            "cross_entropy: the logits have shape {shape}, the rows of probabilities {rows}"
        );
        -(self * logits.log_softmax(-1)).sum_axes(-1)
    }
}

#[track_caller]
pub(super) fn cross_entropy<T: Float, Y: Target<T>>(logits: Var<T>, target: Y) -> Var<T> {
    let shape = logits.shape();
    assert!(
        shape.rank() > 0,
        "cross_entropy: the logits are a scalar, but need an axis of classes"
    );
    target.entropy(&shape, logits)
}

/// The value of a variable, where it is there without computing.
fn given(labels: Var<i64>) -> Option<Tensor<i64>> {
    let arena = labels.tape.live()?;
    let graph = arena.graph.borrow();
    // Those of a program that is being recorded come when it runs.
    if graph.recording {
        return None;
    }
    let value = graph.values[labels.index as usize].clone()?;
    value.into_tensor(&graph.node(labels.index).shape)
}

/// Panics at the caller's line if a label is not one of `classes`.
#[track_caller]
fn within(labels: &Tensor<i64>, classes: usize) {
    let is_class = |label: i64| usize::try_from(label).is_ok_and(|label| label < classes);
    let Some((flat, label)) = labels.iter().enumerate().find(|&(_, x)| !is_class(x)) else {
        return;
    };
    let mut place = vec![0; labels.rank()];
    let mut rest = flat;
    for (i, &size) in labels.shape().iter().enumerate().rev() {
        place[i] = rest % size;
        rest /= size;
    }
    panic!("cross_entropy: label {label} at {place:?} is outside 0..{classes}");
}
