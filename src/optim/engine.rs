//! What all optimizers share: groups, the state of parameters, and the updates that were compiled.

use super::rule::{Form, Numbers, Rule, Updated};
use crate::element::{Any, Dtype, Element, Family, Float};
use crate::param::{Param, Path, join};
use crate::program::Update;
use crate::tape::Var;
use crate::tensor::Storage;
use smallvec::SmallVec;
use std::sync::Arc;

/// Running values: the family behind the state of a parameter.
#[derive(Debug)]
struct Buffers;
impl Family for Buffers {
    type Of<T: Element> = Vec<Arc<Storage<T>>>;
}

/// What is remembered for a parameter.
#[derive(Clone, Debug)]
pub struct Slot {
    id: u64,
    /// Its group; `None` for the options that hold for all others.
    group: Option<usize>,
    /// The number of steps it has made.
    pub time: u64,
    state: Any<Buffers>,
    /// Where its update was found last.
    update: usize,
}

impl Slot {
    /// The identity of the parameter.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The running values, each with as many elements as the parameter.
    pub fn state<T: Float>(&mut self) -> &mut Vec<Arc<Storage<T>>> {
        match T::peek_mut::<Buffers>(&mut self.state) {
            Some(state) => state,
            None => unreachable!("a parameter keeps its element type"),
        }
    }
}

/// Parameters that have options of their own.
#[derive(Clone, Debug)]
struct Group<R> {
    prefix: String,
    rule: R,
    /// Whether the learning rate is its own, too.
    own_rate: bool,
}

/// An update, and what it was compiled for.
#[derive(Clone, Debug)]
struct Compiled<F> {
    form: F,
    dtype: Dtype,
    len: usize,
    update: Update,
}

/// An optimizer, but for the rule.
#[derive(Clone, Debug)]
pub struct Engine<R: Rule> {
    pub rule: R,
    groups: Vec<Group<R>>,
    /// The parameters seen so far.
    pub(super) slots: Vec<Slot>,
    updates: Vec<Compiled<R::Form>>,
}

/// The element whose identity is `id`: most often the one at `expected`.
pub(super) fn find<T, K: PartialEq>(
    elements: &[T],
    expected: usize,
    id: K,
    of: impl Fn(&T) -> K,
) -> Option<usize> {
    match elements.get(expected) {
        Some(element) if of(element) == id => Some(expected),
        _ => elements.iter().position(|element| of(element) == id),
    }
}

impl<R: Rule> Engine<R> {
    pub fn new(rule: R) -> Self {
        Engine {
            rule,
            groups: Vec::new(),
            slots: Vec::new(),
            updates: Vec::new(),
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

    /// Why no step can be made with the options.
    pub fn fault(&self) -> Option<&'static str> {
        let rules = self.groups.iter().map(|group| &group.rule);
        rules.chain([&self.rule]).find_map(R::fault)
    }

    fn rule(&self, group: Option<usize>) -> &R {
        match group {
            Some(group) => &self.groups[group].rule,
            None => &self.rule,
        }
    }

    /// The slot of a parameter, most often the one at `expected`; it is made if the parameter is
    /// seen for the first time.
    pub fn slot<T: Float>(
        &mut self,
        param: &Param<T>,
        path: &Path,
        expected: usize,
    ) -> Result<usize, String> {
        self.slot_of::<T>(param.id(), param.value().len(), path, expected)
    }

    /// As [`slot`](Engine::slot), for a parameter of this identity and so many elements.
    pub(super) fn slot_of<T: Float>(
        &mut self,
        id: u64,
        len: usize,
        path: &Path,
        expected: usize,
    ) -> Result<usize, String> {
        let at = match find(&self.slots, expected, id, |slot| slot.id) {
            Some(at) => at,
            None => self.remember::<T>(id, path),
        };
        let buffers = self.rule(self.slots[at].group).buffers();
        let state = self.slots[at].state::<T>();
        if let Some(buffer) = state.iter().find(|buffer| buffer.len() != len) {
            return Err(format!(
                "{} has {len} elements, but its state is for {}: reset the state",
                join(path),
                buffer.len()
            ));
        }
        // Options that came after the first step may want other running values.
        if state.len() != buffers {
            state.resize_with(buffers, || Arc::new(Storage::zeroed(len, len)));
        }
        Ok(at)
    }

    /// Makes the slot of a parameter.
    #[cold]
    fn remember<T: Float>(&mut self, id: u64, path: &Path) -> usize {
        let name = join(path);
        let groups = self.groups.iter().enumerate();
        let group = groups
            .filter(|(_, group)| name.starts_with(&group.prefix))
            .max_by_key(|(_, group)| group.prefix.len())
            .map(|(i, _)| i);
        self.slots.push(Slot {
            id,
            group,
            time: 0,
            state: T::erase::<Buffers>(Vec::new()),
            update: 0,
        });
        self.slots.len() - 1
    }

    /// The slot of the parameter with this identity, most often the one at `expected`.
    pub(super) fn known(&self, id: u64, expected: usize) -> Option<usize> {
        find(&self.slots, expected, id, |slot| slot.id)
    }

    /// What the numbers of a slot's next step depend on, besides the options: its group and the
    /// time.
    pub fn moment(&self, slot: usize) -> (Option<usize>, u64) {
        let Slot { group, time, .. } = self.slots[slot];
        (group, time + 1)
    }

    /// The numbers of the next step of a slot.
    pub fn numbers(&self, slot: usize) -> Numbers {
        let (group, time) = self.moment(slot);
        self.rule(group).numbers(time)
    }

    /// What is recorded for a slot.
    pub fn form(&self, slot: usize) -> R::Form {
        self.rule(self.slots[slot].group).form()
    }

    /// Records the update of the parameter of a slot, which may have any shape; see
    /// [`Form::update`].
    pub fn record<T: Float>(
        &self,
        slot: usize,
        parameter: Var<T>,
        gradient: Var<T>,
        state: &[Var<T>],
        numbers: &[Var<T>],
    ) -> Updated<T> {
        self.form(slot).update(parameter, gradient, state, numbers)
    }

    /// The compiled update of a slot.
    fn update<T: Float>(&mut self, slot: usize, len: usize, numbers: usize) -> usize {
        let form = self.form(slot);
        let serves = |compiled: &Compiled<R::Form>| {
            compiled.len == len && compiled.dtype == T::DTYPE && compiled.form == form
        };
        let expected = self.slots[slot].update;
        if self.updates.get(expected).is_some_and(serves) {
            return expected;
        }
        let known = self.updates.iter().position(serves);
        let at = known.unwrap_or_else(|| self.compile::<T>(slot, len, numbers));
        self.slots[slot].update = at;
        at
    }

    #[cold]
    fn compile<T: Float>(&mut self, slot: usize, len: usize, numbers: usize) -> usize {
        let buffers = self.slots[slot].state::<T>().len();
        let update =
            Update::record::<T>(len, 1 + buffers, 1, numbers, |vectors, others, numbers| {
                let updated = self.record(slot, vectors[0], others[0], &vectors[1..], numbers);
                let mut all = updated.state;
                all.insert(0, updated.parameter);
                all
            });
        self.updates.push(Compiled {
            form: self.form(slot),
            dtype: T::DTYPE,
            len,
            update,
        });
        self.updates.len() - 1
    }

    /// Makes a step of the parameter of a slot, given its [numbers](Engine::numbers).
    pub fn advance<T: Float>(
        &mut self,
        slot: usize,
        numbers: &[f64],
        parameter: &mut [T],
        gradient: &[T],
    ) {
        if !parameter.is_empty() {
            let update = self.update::<T>(slot, parameter.len(), numbers.len());
            // One by one: collected, each would be another call.
            let mut rounded: SmallVec<[T; 8]> = SmallVec::new();
            for &number in numbers {
                rounded.push(T::of(number));
            }
            let mut vectors: SmallVec<[&mut [T]; 4]> = SmallVec::new();
            vectors.push(parameter);
            for buffer in self.slots[slot].state::<T>() {
                // A clone of the optimizer shares them until one of the two goes on.
                vectors.push(&mut Arc::make_mut(buffer)[..]);
            }
            self.updates[update]
                .update
                .run(&mut vectors, &[gradient], &rounded);
        }
        self.slots[slot].time += 1;
    }
}
