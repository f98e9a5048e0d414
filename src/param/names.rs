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

/// Calls a function with each parameter, and the way to it.
struct Each<F> {
    path: Path,
    each: F,
}

impl<'a, F: FnMut(&Path, ParamRef<'a>)> Visitor<'a> for Each<F> {
    fn enter(&mut self, segment: Segment) {
        self.path.push(segment);
    }
    fn leave(&mut self) {
        self.path.pop();
    }
    fn param(&mut self, param: ParamRef<'a>) {
        (self.each)(&self.path, param);
    }
}

impl<'a, F: FnMut(&Path, ParamMut<'a>)> VisitorMut<'a> for Each<F> {
    fn enter(&mut self, segment: Segment) {
        self.path.push(segment);
    }
    fn leave(&mut self) {
        self.path.pop();
    }
    fn param(&mut self, param: ParamMut<'a>) {
        (self.each)(&self.path, param);
    }
}

/// Calls `each` with each parameter of a module, and the way to it.
pub(crate) fn each<'a, M: Module + ?Sized>(module: &'a M, each: impl FnMut(&Path, ParamRef<'a>)) {
    let path = Path::new();
    module.visit(&mut Each { path, each });
}

/// As [`each`], with parameters that can be changed.
pub(crate) fn each_mut<'a, M: Module + ?Sized>(
    module: &'a mut M,
    each: impl FnMut(&Path, ParamMut<'a>),
) {
    let path = Path::new();
    module.visit_mut(&mut Each { path, each });
}

pub(super) fn named<'a, M: Module + ?Sized>(module: &'a M) -> Vec<(String, ParamRef<'a>)> {
    let mut named = Vec::new();
    each(module, |path, param| named.push((join(path), param)));
    named
}

/// The number of elements of all parameters.
pub(super) fn count<M: Module + ?Sized>(module: &M) -> usize {
    let mut count = 0;
    each(module, |_, param| {
        count += with_any!(param, p => p.value().len());
    });
    count
}

/// Lets every parameter be trained, or freezes it.
pub(super) fn train<M: Module + ?Sized>(module: &mut M, trainable: bool) {
    each_mut(module, |_, param| {
        with_any!(param, p => if trainable { p.unfreeze() } else { p.freeze() });
    });
}
