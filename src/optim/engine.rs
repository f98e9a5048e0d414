//! What all optimizers share: parameters, groups and state are brought together here.

use crate::element::{Any, Element, Family, Float};
use crate::param::{Param, ParamMut, Path, Segment, VisitorMut, join};
use crate::tensor::{Storage, Tensors};
use crate::transform::Gradients;
use std::fmt;

/// An update rule: the options of an optimizer, and what they do to a parameter.
pub(super) trait Rule: Clone + fmt::Debug {
    /// The name of the optimizer in messages.
    const NAME: &'static str;
    /// Numbers that are the same for all parameters with these options after equally many steps.
    type Prepared: Copy;

    /// Why no step can be made with these options.
    fn fault(&self) -> Option<&'static str>;
    fn learning_rate(&self) -> f64;
    fn set_learning_rate(&mut self, rate: f64);
    /// How many running values it keeps for each element.
    fn buffers(&self) -> usize;
    /// The numbers for step `time`, counted from 1.
    fn prepare(&self, time: u64) -> Self::Prepared;
    fn update<T: Float>(
        &self,
        prepared: Self::Prepared,
        parameter: &mut [T],
        gradient: &[T],
        buffers: &mut [Storage<T>],
    );
}

/// Running values: the family behind the state of a parameter.
#[derive(Debug)]
struct Buffers;
impl Family for Buffers {
    type Of<T: Element> = Vec<Storage<T>>;
}

/// What is remembered for a parameter.
#[derive(Clone, Debug)]
struct Slot {
    id: u64,
    /// Its group; `None` for the options that hold for all others.
    group: Option<usize>,
    /// The number of steps it has made.
    time: u64,
    buffers: Any<Buffers>,
}

/// Parameters that have options of their own.
#[derive(Clone, Debug)]
struct Group<R> {
    prefix: String,
    rule: R,
    /// Whether the learning rate is its own, too.
    own_rate: bool,
}

/// An optimizer, but for the rule.
#[derive(Clone, Debug)]
pub(super) struct Engine<R> {
    pub rule: R,
    groups: Vec<Group<R>>,
    slots: Vec<Slot>,
}

impl<R: Rule> Engine<R> {
    pub fn new(rule: R) -> Self {
        Engine {
            rule,
            groups: Vec::new(),
            slots: Vec::new(),
        }
    }

    #[track_caller]
    pub fn group(&mut self, prefix: &str, options: impl FnOnce(R) -> R) {
        assert!(
            self.slots.is_empty(),
            "{}: group {prefix:?} comes after the first step",
            R::NAME
        );
        let rule = options(self.rule.clone());
        self.groups.retain(|group| group.prefix != prefix);
        self.groups.push(Group {
            prefix: prefix.to_owned(),
            own_rate: rule.learning_rate() != self.rule.learning_rate(),
            rule,
        });
    }

    pub fn set_learning_rate(&mut self, rate: f64) {
        self.rule.set_learning_rate(rate);
        for group in self.groups.iter_mut().filter(|group| !group.own_rate) {
            group.rule.set_learning_rate(rate);
        }
    }

    #[track_caller]
    fn named(&self, prefix: &str) -> usize {
        match self.groups.iter().position(|g| g.prefix == prefix) {
            Some(group) => group,
            None => panic!("{}: there is no group {prefix:?}", R::NAME),
        }
    }

    #[track_caller]
    pub fn group_learning_rate(&self, prefix: &str) -> f64 {
        self.groups[self.named(prefix)].rule.learning_rate()
    }

    #[track_caller]
    pub fn set_group_learning_rate(&mut self, prefix: &str, rate: f64) {
        let at = self.named(prefix);
        self.groups[at].rule.set_learning_rate(rate);
        self.groups[at].own_rate = true;
    }

    pub fn reset_state(&mut self) {
        self.slots.clear();
    }

    #[track_caller]
    pub fn step(&mut self, model: &mut dyn crate::Module, gradients: &Gradients) {
        let name = R::NAME;
        let rules = self.groups.iter().map(|group| &group.rule);
        for rule in rules.chain([&self.rule]) {
            if let Some(fault) = rule.fault() {
                panic!("{name}: {fault}");
            }
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
            path: Path::new(),
            gradient: 0,
            slot: 0,
            updated: 0,
            prepared: None,
            fault: None,
        };
        model.visit_mut(&mut pass);
        if let Some(fault) = pass.fault {
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
    path: Path,
    /// Where the next gradient and the next slot are expected.
    gradient: usize,
    slot: usize,
    updated: usize,
    /// What was prepared last, and for which group and time.
    prepared: Option<(Option<usize>, u64, R::Prepared)>,
    fault: Option<String>,
}

/// The element whose identity is `id`: most often the one at `expected`.
fn find<T>(elements: &[T], expected: usize, id: u64, of: impl Fn(&T) -> u64) -> Option<usize> {
    match elements.get(expected) {
        Some(element) if of(element) == id => Some(expected),
        _ => elements.iter().position(|element| of(element) == id),
    }
}

impl<'a, R: Rule> VisitorMut<'a> for Pass<'_, R> {
    fn enter(&mut self, segment: Segment) {
        self.path.push(segment);
    }
    fn leave(&mut self) {
        self.path.pop();
    }
    fn param(&mut self, param: ParamMut<'a>) {
        match param {
            Any::F32(param) => self.update(param),
            Any::F64(param) => self.update(param),
            _ => {}
        }
    }
}

impl<R: Rule> Pass<'_, R> {
    fn update<T: Float>(&mut self, param: &mut Param<T>) {
        let id = param.id();
        if !param.is_trainable() || self.fault.is_some() {
            return;
        }
        let entries = &self.gradients.entries;
        let Some(at) = find(entries, self.gradient, id, |entry| entry.id) else {
            return;
        };
        self.gradient = at + 1;
        let Some(gradient) = T::peek::<Tensors>(&entries[at].gradient) else {
            return;
        };
        if gradient.shape() != param.shape() {
            self.fault = Some(format!(
                "{} has shape {}, its gradient {}",
                join(&self.path),
                param.shape(),
                gradient.shape()
            ));
            return;
        }
        let slot = match find(&self.engine.slots, self.slot, id, |slot| slot.id) {
            Some(slot) => slot,
            None => self.remember(param),
        };
        self.slot = slot + 1;
        self.updated += 1;

        let slot = &mut self.engine.slots[slot];
        slot.time += 1;
        let rule = match slot.group {
            Some(group) => &self.engine.groups[group].rule,
            None => &self.engine.rule,
        };
        let prepared = match self.prepared {
            Some((group, time, prepared)) if group == slot.group && time == slot.time => prepared,
            _ => rule.prepare(slot.time),
        };
        self.prepared = Some((slot.group, slot.time, prepared));
        let Some(buffers) = T::peek_mut::<Buffers>(&mut slot.buffers) else {
            return;
        };
        let elements = param.value_mut().as_mut_slice();
        match gradient.as_slice() {
            Some(gradient) => rule.update(prepared, elements, gradient, buffers),
            None => rule.update(prepared, elements, &gradient.to_vec(), buffers),
        }
    }

    /// Makes the slot of a parameter that is seen for the first time.
    #[cold]
    fn remember<T: Float>(&mut self, param: &Param<T>) -> usize {
        let name = join(&self.path);
        let groups = self.engine.groups.iter().enumerate();
        let group = groups
            .filter(|(_, group)| name.starts_with(&group.prefix))
            .max_by_key(|(_, group)| group.prefix.len())
            .map(|(i, _)| i);
        let rule = match group {
            Some(group) => &self.engine.groups[group].rule,
            None => &self.engine.rule,
        };
        let len = param.value().len();
        let buffers = (0..rule.buffers())
            .map(|_| Storage::<T>::zeroed(len, len))
            .collect();
        self.engine.slots.push(Slot {
            id: param.id(),
            group,
            time: 0,
            buffers: T::erase::<Buffers>(buffers),
        });
        self.engine.slots.len() - 1
    }
}
