//! One step of an optimizer over a model.

use super::engine::{Engine, find};
use super::rule::{Numbers, Rule};
use crate::element::{Any, Float};
use crate::param::{Param, Path, each_mut, join};
use crate::tensor::Tensors;
use crate::transform::Gradients;

impl<R: Rule> Engine<R> {
    /// Changes every trainable parameter of a model that has a gradient.
    #[track_caller]
    pub fn step(&mut self, model: &mut dyn crate::Module, gradients: &Gradients) {
        let name = R::NAME;
        if let Some(fault) = self.fault() {
            panic!("{name}: {fault}");
        }
        if !gradients.unreached.is_empty() && !gradients.unreached_allowed {
            panic!(
                "{name}: the loss does not depend on {}: freeze what is not to be trained, or call allow_unreached() on the step",
                gradients.unreached.join(", ")
            );
        }
        let mut pass = Pass {
            engine: self,
            gradients,
            gradient: 0,
            slot: 0,
            updated: 0,
            prepared: None,
        };
        let mut outcome = Ok(());
        each_mut(model, |path, param| {
            if outcome.is_ok() {
                outcome = match param {
                    Any::F32(param) => pass.update(path, param),
                    Any::F64(param) => pass.update(path, param),
                    _ => Ok(()),
                };
            }
        });
        if let Err(fault) = outcome {
            panic!("{name}: {fault}");
        }
        assert!(
            pass.updated > 0 || gradients.entries.is_empty(),
            "{name}: the step is of another model: none of its {} gradients belongs to a parameter of this one",
            gradients.entries.len()
        );
    }
}

/// One step over a model.
struct Pass<'s, R: Rule> {
    engine: &'s mut Engine<R>,
    gradients: &'s Gradients,
    /// Where the next gradient and the next slot are expected.
    gradient: usize,
    slot: usize,
    updated: usize,
    /// The numbers that were used last, and for which group and time.
    prepared: Option<((Option<usize>, u64), Numbers)>,
}

impl<R: Rule> Pass<'_, R> {
    fn update<T: Float>(&mut self, path: &Path, param: &mut Param<T>) -> Result<(), String> {
        let id = param.id();
        if !param.is_trainable() {
            return Ok(());
        }
        let entries = &self.gradients.entries;
        let Some(at) = find(entries, self.gradient, id, |entry| entry.id) else {
            return Ok(());
        };
        self.gradient = at + 1;
        let Some(gradient) = T::peek::<Tensors>(&entries[at].gradient) else {
            return Ok(());
        };
        if gradient.shape() != param.shape() {
            return Err(format!(
                "{} has shape {}, its gradient {}",
                join(path),
                param.shape(),
                gradient.shape()
            ));
        }
        let engine = &mut *self.engine;
        let slot = engine.slot(param, path, self.slot)?;
        self.slot = slot + 1;
        self.updated += 1;
        // Most often all parameters of a group have made equally many steps.
        let moment = engine.moment(slot);
        let (_, numbers) = match &mut self.prepared {
            Some(prepared) if prepared.0 == moment => prepared,
            prepared => prepared.insert((moment, engine.numbers(slot))),
        };
        let elements = param.value_mut().as_mut_slice();
        match gradient.as_slice() {
            Some(gradient) => engine.advance(slot, numbers, elements, gradient),
            None => engine.advance(slot, numbers, elements, &gradient.to_vec()),
        }
        Ok(())
    }
}
