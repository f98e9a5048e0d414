//! The parameters of programs.

use crate::element::{Element, with_any};
use crate::error::{Error, ErrorKind};
use crate::param::{Module, each, join};
use crate::program::{Inputs, Outputs, Program};
use crate::tensor::{AnyStorage, Storage, Storages};
use std::sync::Arc;

/// The elements of a tensor in row-major order.
fn storage<T: Element>(tensor: &crate::Tensor<T>) -> AnyStorage {
    let layout = tensor.layout();
    let whole = layout.offset() == 0 && layout.is_contiguous();
    T::erase::<Storages>(if whole {
        tensor.storage().clone()
    } else {
        Arc::new(Storage::copy_of(&tensor.to_vec()))
    })
}

impl<I: Inputs, O: Outputs, F: Fn(I::Vars) -> O> Program<I, O, F> {
    /// Takes the values of the parameters that the program reads from a model: the one it was recorded with, or a clone that was
    /// trained since. Runs that are under way go on with the values they began with.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// # fn main() -> Result<(), Error> {
    /// let mut model = Linear::new(2, 1, &mut wengert::rng(0));
    /// let recorded = model.clone();
    /// let program = Program::record([ProgramInput::batch([2])], move |[x]| recorded.forward(x))?;
    /// let x = Tensor::from([[1.0, 2.0]]);
    /// let before = program.run([&x])?;
    ///
    /// let step = value_and_grad(&model, |model, tape| model.forward(tape.constant(&x)).sum());
    /// Sgd::new(0.1).step(&mut model, &step);
    /// assert_eq!(program.run([&x])?, before);
    /// program.set_parameters(&model)?;
    /// assert_ne!(program.run([&x])?, before);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If a parameter has another shape than was recorded, or one that the program reads is not in the model; then the program
    /// stays as it was.
    pub fn set_parameters<M: Module + ?Sized>(&self, model: &M) -> Result<(), Error> {
        let wanted = self.bound();
        let mut found: Vec<(u64, AnyStorage)> = Vec::new();
        let mut fault = None;
        each(model, |path, param| {
            with_any!(param, param => {
                // The parameter itself, or the first of those with its origin that has no value yet.
                let mut free = wanted.iter().filter(|bound| found.iter().all(|f| f.0 != bound.id));
                let same = wanted.iter().find(|bound| bound.id == param.id());
                let Some(bound) = same.or_else(|| free.find(|bound| bound.origin == param.origin())) else {
                    return;
                };
                if *param.shape() != bound.shape {
                    fault.get_or_insert_with(|| format!(
                        "program: {} has shape {}, but was recorded with {}",
                        join(path),
                        param.shape(),
                        bound.shape
                    ));
                }
                found.push((bound.id, storage(param.value())));
            });
        });
        if let Some(message) = fault {
            return Err(Error::new(ErrorKind::Shape, message));
        }
        let missing = wanted
            .iter()
            .filter(|bound| found.iter().all(|f| f.0 != bound.id));
        let missing = missing.count();
        if missing > 0 {
            let message = format!(
                "program: {missing} of the {} parameters that it reads are not in the model",
                wanted.len()
            );
            return Err(Error::new(ErrorKind::Missing, message));
        }
        self.replace_parameters(found);
        Ok(())
    }
}
