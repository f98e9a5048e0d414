//! Where a parameter is in a model, and the names made from that.

use super::module::{Module, Segment, Visitor, VisitorMut};
use super::{ParamMut, ParamRef};
use crate::element::with_any;
use smallvec::SmallVec;
use std::fmt::Write;

/// The way from a model to the place that is being visited.
pub(crate) type Path = SmallVec<[Segment; 8]>;

/// The name that a path is written as: `layers.0.weight`.
pub(crate) fn join(path: &[Segment]) -> String {
    let mut name = String::new();
    for (i, segment) in path.iter().enumerate() {
        let dot = if i > 0 { "." } else { "" };
        // Writing to a string cannot fail.
        let _ = match segment {
            Segment::Field(field) => write!(name, "{dot}{field}"),
            Segment::Index(index) => write!(name, "{dot}{index}"),
        };
    }
    name
}

/// Collects parameters with their names.
#[derive(Default)]
struct Named<'a> {
    path: Path,
    found: Vec<(String, ParamRef<'a>)>,
}

impl<'a> Visitor<'a> for Named<'a> {
    fn enter(&mut self, segment: Segment) {
        self.path.push(segment);
    }
    fn leave(&mut self) {
        self.path.pop();
    }
    fn param(&mut self, param: ParamRef<'a>) {
        self.found.push((join(&self.path), param));
    }
}

pub(super) fn named<'a, M: Module + ?Sized>(module: &'a M) -> Vec<(String, ParamRef<'a>)> {
    let mut named = Named::default();
    module.visit(&mut named);
    named.found
}

/// Adds up the numbers of elements.
struct Count(usize);

impl<'a> Visitor<'a> for Count {
    fn enter(&mut self, _segment: Segment) {}
    fn leave(&mut self) {}
    fn param(&mut self, param: ParamRef<'a>) {
        self.0 += with_any!(param, p => p.value().len());
    }
}

pub(super) fn count<M: Module + ?Sized>(module: &M) -> usize {
    let mut count = Count(0);
    module.visit(&mut count);
    count.0
}

/// Freezes, or the reverse.
struct Train(bool);

impl<'a> VisitorMut<'a> for Train {
    fn enter(&mut self, _segment: Segment) {}
    fn leave(&mut self) {}
    fn param(&mut self, param: ParamMut<'a>) {
        with_any!(param, p => if self.0 { p.unfreeze() } else { p.freeze() });
    }
}

pub(super) fn train<M: Module + ?Sized>(module: &mut M, trainable: bool) {
    module.visit_mut(&mut Train(trainable));
}
