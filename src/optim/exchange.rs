//! The storages of a model and its optimizer, lent to a program for the time of a run.

use super::engine::Engine;
use super::rule::Rule;
use super::training::Known;
use crate::element::{Any, Element, Float};
use crate::param::{ParamMut, Segment, VisitorMut};
use crate::program::Results;
use crate::tensor::{AnyStorage, Storage, Storages};
use std::sync::Arc;

/// Exchanges the storages of parameters and their state with those of the program.
pub(super) struct Exchange<'r, R: Rule> {
    pub params: &'r [Known],
    pub engine: &'r mut Engine<R>,
    pub results: &'r mut Results,
    pub spare: &'r mut Vec<AnyStorage>,
    pub held: &'r mut Vec<Option<AnyStorage>>,
    /// Whether the model gets its storages back.
    pub back: bool,
    pub next: usize,
    /// How many storages were exchanged, and how many state buffers of those.
    pub exchanged: usize,
    pub states: usize,
}

impl<'a, R: Rule> VisitorMut<'a> for Exchange<'_, R> {
    fn enter(&mut self, _segment: Segment) {}
    fn leave(&mut self) {}
    fn param(&mut self, param: ParamMut<'a>) {
        match param {
            Any::F32(param) => self.exchange(param),
            Any::F64(param) => self.exchange(param),
            Any::I64(param) => self.show(param),
            Any::Bool(param) => self.show(param),
        }
    }
}

impl<R: Rule> Exchange<'_, R> {
    /// Lets the program read a parameter that it does not train.
    fn show<T: Element>(&mut self, param: &mut crate::Param<T>) {
        if self
            .params
            .get(self.next)
            .is_none_or(|known| known.id != param.id())
        {
            return;
        }
        if self.back {
            self.held[self.next] = None;
        } else {
            param.value_mut().settle();
            self.held[self.next] = Some(T::erase::<Storages>(param.value().storage().clone()));
        }
        self.next += 1;
    }

    fn exchange<T: Float>(&mut self, param: &mut crate::Param<T>) {
        let known = self
            .params
            .get(self.next)
            .filter(|known| known.id == param.id());
        let Some(Known {
            trained: Some(trained),
            id,
        }) = known
        else {
            return self.show(param);
        };
        let slot = self.engine.known(*id, self.next);
        let slot = slot.expect("the slot of a parameter that is trained");
        let len = param.value().len();
        if !self.back {
            param.value_mut().settle();
        }
        let first = self.params.len() + self.states;
        for k in 0..=trained.buffers {
            let (result, in_place) = trained.results[k];
            let held = if k == 0 { self.next } else { first + k - 1 };
            let mut storage: Arc<Storage<T>> = if self.back {
                // What an operation that panicked had taken is lost.
                let storage = self.results[result].take().and_then(T::restore::<Storages>);
                storage.unwrap_or_else(|| Arc::new(Storage::zeroed(len, len)))
            } else {
                if self.spare.len() == self.exchanged {
                    self.spare
                        .push(T::erase::<Storages>(Arc::new(Storage::<T>::zeroed(0, 0))));
                }
                let empty = T::peek_mut::<Storages>(&mut self.spare[self.exchanged]);
                empty.expect("of the type of the parameter").clone()
            };
            if k == 0 {
                param.value_mut().exchange(&mut storage);
            } else {
                std::mem::swap(
                    &mut self.engine.slots[slot].state::<T>()[k - 1],
                    &mut storage,
                );
            }
            if !self.back {
                let storage = T::erase::<Storages>(storage);
                match in_place {
                    true => self.results[result] = Some(storage),
                    false => self.held[held] = Some(storage),
                }
            } else if !in_place {
                self.held[held] = None;
            }
            self.exchanged += 1;
        }
        self.states += trained.buffers;
        self.next += 1;
    }
}
