//! The elements of a model's parameters and of their state, lent to a program for the time of a run.

use super::engine::{Slot, find};
use super::training::Known;
use crate::element::{Any, Element, Float, Slice, SliceMut, Slices, SlicesMut};
use crate::param::{Param, ParamMut, Segment, VisitorMut};
use crate::tensor::{AnyStorage, Storages};
use smallvec::SmallVec;
use std::sync::Arc;

/// The slots of an optimizer, each of which is lent once.
type Slots<'a> = SmallVec<[Option<&'a mut Slot>; 16]>;

fn take<'a>(slots: &mut Slots<'a>, id: u64, expected: usize) -> &'a mut Slot {
    let at = find(slots, expected, Some(id), |slot| {
        slot.as_ref().map(|slot| slot.id())
    });
    let slot = at.and_then(|at| slots[at].take());
    slot.expect("the slot of a parameter that is trained")
}

/// What a run reads and writes of a model and its optimizer.
pub(super) struct Lent<'r, 'a> {
    params: &'r [Known],
    slots: Slots<'a>,
    /// What is read: the parameters, in the order of the visit, and then their state; nothing of what is overwritten.
    read: &'r mut [Slice<'a>],
    /// What is overwritten, by the number of the result.
    written: &'r mut [Option<SliceMut<'a>>],
    /// The next parameter, and where its state is read.
    next: usize,
    state: usize,
}

impl<'r, 'a> Lent<'r, 'a> {
    pub fn new(
        params: &'r [Known],
        slots: &'a mut [Slot],
        read: &'r mut [Slice<'a>],
        written: &'r mut [Option<SliceMut<'a>>],
    ) -> Self {
        Lent {
            params,
            slots: slots.iter_mut().map(Some).collect(),
            read,
            written,
            next: 0,
            state: params.len(),
        }
    }

    /// Whether the next parameter of the program is this one.
    fn is_next<T: Element>(&self, param: &Param<T>) -> bool {
        let known = self.params.get(self.next);
        known.is_some_and(|known| known.id == param.id())
    }

    /// Lends a parameter that is only read.
    fn show<T: Element>(&mut self, param: &'a mut Param<T>) {
        if self.is_next(param) {
            param.value_mut().settle();
            let elements: &'a [T] = &param.value().storage()[..];
            self.read[self.next] = T::erase::<Slices<'a>>(elements);
            self.next += 1;
        }
    }

    fn lend<T: Float>(&mut self, param: &'a mut Param<T>) {
        let known = self.params.get(self.next).filter(|_| self.is_next(param));
        let Some((id, trained)) = known.and_then(|known| Some((known.id, known.trained.as_ref()?)))
        else {
            return self.show(param);
        };
        let slot = take(&mut self.slots, id, self.next);
        let (result, in_place) = trained.results[0];
        if in_place {
            let elements = param.value_mut().as_mut_slice();
            self.written[result] = Some(T::erase::<SlicesMut<'a>>(elements));
            self.next += 1;
        } else {
            self.show(param);
        }
        let buffers = slot.state::<T>().iter_mut();
        for (buffer, &(result, in_place)) in buffers.zip(&trained.results[1..]) {
            if in_place {
                // A clone of the optimizer shares it until one of the two goes on.
                let elements = &mut Arc::make_mut(buffer)[..];
                self.written[result] = Some(T::erase::<SlicesMut<'a>>(elements));
            } else {
                self.read[self.state] = T::erase::<Slices<'a>>(&buffer[..]);
            }
            self.state += 1;
        }
    }
}

impl<'a> VisitorMut<'a> for Lent<'_, 'a> {
    fn enter(&mut self, _segment: Segment) {}
    fn leave(&mut self) {}
    fn param(&mut self, param: ParamMut<'a>) {
        match param {
            Any::F32(param) => self.lend(param),
            Any::F64(param) => self.lend(param),
            Any::I64(param) => self.show(param),
            Any::Bool(param) => self.show(param),
        }
    }
}

/// Exchanges what could not be overwritten with the results of a run.
pub(super) struct Exchange<'r, 'a> {
    params: &'r [Known],
    slots: Slots<'a>,
    results: &'r mut [Option<AnyStorage>],
    next: usize,
}

impl<'r, 'a> Exchange<'r, 'a> {
    pub fn new(
        params: &'r [Known],
        slots: &'a mut [Slot],
        results: &'r mut [Option<AnyStorage>],
    ) -> Self {
        Exchange {
            params,
            slots: slots.iter_mut().map(Some).collect(),
            results,
            next: 0,
        }
    }

    fn exchange<T: Float>(&mut self, param: &mut Param<T>) {
        let known = self.params.get(self.next);
        let Some(known) = known.filter(|known| known.id == param.id()) else {
            return;
        };
        if let Some(trained) = &known.trained {
            let slot = take(&mut self.slots, known.id, self.next);
            for (k, &(result, in_place)) in trained.results.iter().enumerate() {
                let fresh = self.results[result].as_mut();
                if in_place {
                    continue;
                }
                let fresh = fresh.and_then(|storage| T::peek_mut::<Storages>(storage));
                let fresh = fresh.expect("a result of the type of the parameter");
                match k {
                    0 => param.value_mut().exchange(fresh),
                    _ => std::mem::swap(&mut slot.state::<T>()[k - 1], fresh),
                }
            }
        }
        self.next += 1;
    }
}

impl<'a> VisitorMut<'a> for Exchange<'_, '_> {
    fn enter(&mut self, _segment: Segment) {}
    fn leave(&mut self) {}
    fn param(&mut self, param: ParamMut<'a>) {
        match param {
            Any::F32(param) => self.exchange(param),
            Any::F64(param) => self.exchange(param),
            Any::I64(param) => self.skip(param),
            Any::Bool(param) => self.skip(param),
        }
    }
}

impl Exchange<'_, '_> {
    fn skip<T: Element>(&mut self, param: &mut Param<T>) {
        let known = self.params.get(self.next);
        self.next += usize::from(known.is_some_and(|known| known.id == param.id()));
    }
}
