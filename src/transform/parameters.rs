//! The parameters of programs.

use crate::element::{Element, with_any};
use crate::error::{Error, ErrorKind};
use crate::param::{Module, ParamRef, Path, Segment, Visitor, join};
use crate::program::{Bound, Inputs, Outputs, Program};
use crate::tensor::{AnyStorage, Storage, Storages};
use std::sync::Arc;

/// Collects the values of the parameters that a program reads.
struct Values<'s> {
    path: Path,
    wanted: &'s [Bound],
    found: Vec<(u64, AnyStorage)>,
    fault: Option<String>,
}

impl<'a> Visitor<'a> for Values<'_> {
    fn enter(&mut self, segment: Segment) {
        self.path.push(segment);
    }
    fn leave(&mut self) {
        self.path.pop();
    }
    fn param(&mut self, param: ParamRef<'a>) {
        with_any!(param, param => {
            // The parameter itself, or the first of those with its origin that has no value yet.
            let free = |bound: &&Bound| self.found.iter().all(|(id, _)| *id != bound.id);
            let same = self.wanted.iter().find(|bound| bound.id == param.id());
            let kin = || self.wanted.iter().filter(free).find(|bound| bound.origin == param.origin());
            let Some(bound) = same.or_else(kin) else {
                return;
            };
            if *param.shape() != bound.shape {
                let name = join(&self.path);
                self.fault.get_or_insert(format!(
                    "program: {name} has shape {}, but was recorded with {}",
                    param.shape(),
                    bound.shape
                ));
            }
            self.found.push((bound.id, storage(param.value())));
        });
    }
}

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
        let mut values = Values {
            path: Path::new(),
            wanted: &wanted,
            found: Vec::new(),
            fault: None,
        };
        model.visit(&mut values);
        if let Some(message) = values.fault {
            return Err(Error::new(ErrorKind::Shape, message));
        }
        let missing = wanted
            .iter()
            .filter(|bound| values.found.iter().all(|(found, _)| *found != bound.id));
        let missing = missing.count();
        if missing > 0 {
            let message = format!(
                "program: {missing} of the {} parameters that it reads are not in the model",
                wanted.len()
            );
            return Err(Error::new(ErrorKind::Missing, message));
        }
        self.replace_parameters(values.found);
        Ok(())
    }
}
