//! Gradients of a loss with respect to the parameters of a model, checked.

use super::problem::Point;
use super::report::{Failure, Report};
use super::settings::Check;
use crate::element::{Any, Element, Float, with_any, with_float};
use crate::param::{Module, ParamRef};
use crate::tape::{AnyVar, TapeRef, Var};
use crate::tensor::{AnyTensor, Tensors};

/// Compares first and second derivatives of a loss with respect to the trainable parameters of a
/// model by reverse mode with differences and with forward mode, with the settings of
/// [`Check::default`].
///
/// The model is not changed. Parameters appear in the report by name. Check a model of `f64`
/// parameters where there is the choice: differences of `f32` are good to three digits.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::check;
/// let model = Linear::<f64>::new(3, 2, &mut wengert::rng(0));
/// let (x, y) = (Tensor::from([[0.5, -1.0, 2.0]]), Tensor::from([[1.0, 0.0]]));
/// let report = check::model(&model, |model, tape| {
///     loss::mean_squared_error(model.forward(tape.constant(&x)), tape.constant(&y))
/// })?;
/// assert_eq!(report.comparisons()[0].name.len() > 3, true); // "weight" or "bias"
/// # Ok::<(), check::Failure>(())
/// ```
///
/// # Errors
/// As [`gradients`](super::gradients()).
///
/// # Panics
/// As [`gradients`](super::gradients()).
#[track_caller]
pub fn model<M: Module + ?Sized, T: Float>(
    model: &M,
    loss: impl Fn(&M, TapeRef) -> Var<T>,
) -> Result<Report, Failure> {
    Check::default().model(model, loss)
}

/// Whether gradients with respect to a parameter are taken.
pub(super) fn is_trainable(param: &ParamRef<'_>) -> bool {
    with_any!(param, param => param.is_trainable())
}

/// Puts a parameter on a tape, with another value than it has.
fn bind(tape: TapeRef, param: &ParamRef<'_>, value: &AnyTensor) -> AnyVar {
    let ids = with_any!(param, param => (param.id(), param.origin()));
    with_float!(value.dtype(), T => {
        match T::peek::<Tensors>(value) {
            Some(value) => tape.parameter(ids, value, true).erase(),
            None => unreachable!("of that type"),
        }
    })
}

impl Check {
    /// Compares derivatives of a loss with respect to the trainable parameters of a model:
    /// [`model`], with these settings.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::check::Check;
    /// let model = Linear::<f32>::new(2, 1, &mut wengert::rng(0));
    /// let report = Check::new().order(1).model(&model, |m, tape| m.forward(tape.full([2], 0.5)).sum())?;
    /// assert_eq!(report.comparisons()[0].order, 1);
    /// # Ok::<(), wengert::check::Failure>(())
    /// ```
    ///
    /// # Errors
    /// As [`gradients`](super::gradients()).
    ///
    /// # Panics
    /// As [`gradients`](super::gradients()).
    #[track_caller]
    pub fn model<M: Module + ?Sized, T: Float>(
        &self,
        model: &M,
        loss: impl Fn(&M, TapeRef) -> Var<T>,
    ) -> Result<Report, Failure> {
        let mut params: Vec<(String, ParamRef<'_>)> = model.named_parameters();
        params.retain(|(_, param)| is_trainable(param));
        let record = |tape: TapeRef, values: &[AnyTensor]| {
            // A tape knows a parameter by its identity: bound first, it has the value given here.
            let bound = params.iter().zip(values);
            let leaves = bound.map(|((_, param), value)| bind(tape, param, value));
            let leaves: Vec<AnyVar> = leaves.collect();
            (loss(model, tape).erase(), leaves)
        };
        let value = |param: &ParamRef<'_>| match param {
            Any::F32(param) => Any::F32(param.value().clone()),
            Any::F64(param) => Any::F64(param.value().clone()),
            other => unreachable!("a trainable parameter of type {}", other.dtype()),
        };
        let points = params.iter().map(|(name, param)| Point {
            name: match name.as_str() {
                "" => "parameter".to_string(),
                name => name.to_string(),
            },
            value: value(param),
        });
        let points = points.collect();
        self.compare(&record, points, Vec::new())
    }
}
