//! Looking at cotangents on their way back, and changing them.

use crate::element::Float;
use crate::tape::{Hook, TapeRef, Var, made_at};
use std::rc::Rc;

/// The cotangent of a node after the hook of that node, if it has one.
#[track_caller]
pub(super) fn apply(tape: TapeRef, node: u32, cotangent: u32) -> u32 {
    let Some(hook) = of(tape, node) else {
        return cotangent;
    };
    let cotangent = tape.var(cotangent);
    let changed = made_at(tape, node, &mut || vec![hook(cotangent)])[0];
    let graph = tape.graph("on_cotangent");
    let location = graph.node(node).location;
    assert!(
        changed.tape() == tape,
        "on_cotangent: the hook gave a variable of another tape (recorded at {location})"
    );
    let (given, wanted) = (graph.node(changed.index), graph.node(cotangent.index));
    assert!(
        given.shape == wanted.shape,
        "on_cotangent: the hook gave shape {} for a cotangent of shape {} (recorded at {location})",
        *given.shape,
        *wanted.shape
    );
    changed.index
}

/// The hook of a node.
pub(super) fn of(tape: TapeRef, node: u32) -> Option<Hook> {
    let graph = tape.graph("on_cotangent");
    let hook = graph.hooks.iter().find(|(hooked, _)| *hooked == node);
    hook.map(|(_, hook)| hook.clone())
}

/// Lets the cotangents of a node go through a function.
pub(super) fn set(tape: TapeRef, node: u32, hook: Hook) {
    tape.graph_mut("on_cotangent").hooks.push((node, hook));
}

impl<T: Float> Var<T> {
    /// The same value, whose cotangent goes through a function on its way back: to see it, scale it, clip it, or put another in its
    /// place. The function is called whenever a derivative passes here, with the sum of the cotangents of all uses of the result,
    /// and records like any other; what it records can be differentiated again.
    ///
    /// A hook may hold variables, also those of a function that [`vmap`](crate::transform::vmap()) runs on all examples.
    ///
    /// # Derivative
    /// What `hook` makes of the cotangent.
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, -20.0]));
    /// let clipped = x.on_cotangent(|ct| ct.clamp(-1.0, 1.0));
    /// assert_eq!((clipped * clipped).sum().gradient(x).value(), Tensor::from([1.0, -1.0]));
    ///
    /// // The cotangent of an intermediate value, seen on its way.
    /// let seen = Rc::new(Cell::new(None));
    /// let place = seen.clone();
    /// let y = x.exp().on_cotangent(move |ct| { place.set(Some(ct)); ct });
    /// let dx = (y * 3.0).sum().gradient(x);
    /// assert_eq!(seen.get().unwrap().value(), Tensor::from([3.0, 3.0]));
    /// # assert_eq!(dx.shape(), x.shape());
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped. When a derivative is taken: if the hook gives a variable of another shape or tape, or
    /// panics itself; the tape can be used as before then.
    #[track_caller]
    pub fn on_cotangent(self, hook: impl Fn(Var<T>) -> Var<T> + 'static) -> Var<T> {
        let tape = self.tape();
        if !tape.graph("on_cotangent").node(self.index).tracked {
            return self;
        }
        let hooked = tape.differentiable(self.erase());
        let hook: Hook = Rc::new(move |ct| hook(ct.assume()).erase());
        set(tape, hooked.index, hook);
        hooked.assume()
    }
}
