//! Arrangements of variables: what the functions take and give that transforms are applied to.

use crate::element::Element;
use crate::tape::{AnyVar, TapeRef, Var};
use smallvec::SmallVec;

/// Variables that a function takes or gives together: one, an array, a vector, or a tuple of any of these.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::gradient;
/// let tape = Tape::new();
/// let a = tape.constant(&Tensor::from([1.0, 2.0]));
/// let b = tape.constant(&Tensor::from(3.0));
/// let (da, [db]) = gradient(|(a, [b])| (a * a * b).sum(), (a, [b]));
/// assert_eq!(da.value(), Tensor::from([6.0, 12.0]));
/// assert_eq!(db.value().item(), 5.0);
/// ```
pub trait Vars: Clone {
    /// The same arrangement of something else: `Hessian` blocks, for instance.
    type Each<Y>;
    /// What `f` makes of each variable, in the same arrangement.
    #[doc(hidden)]
    fn each<Y>(&self, f: &mut dyn FnMut(AnyVar) -> Y) -> Self::Each<Y>;
    /// Other variables of the same element types in the same arrangement.
    #[doc(hidden)]
    fn map(&self, f: &mut dyn FnMut(AnyVar) -> AnyVar) -> Self;
}

impl<T: Element> Vars for Var<T> {
    type Each<Y> = Y;
    fn each<Y>(&self, f: &mut dyn FnMut(AnyVar) -> Y) -> Y {
        f(self.erase())
    }
    fn map(&self, f: &mut dyn FnMut(AnyVar) -> AnyVar) -> Self {
        f(self.erase()).assume()
    }
}

impl<V: Vars, const N: usize> Vars for [V; N] {
    type Each<Y> = [V::Each<Y>; N];
    fn each<Y>(&self, f: &mut dyn FnMut(AnyVar) -> Y) -> Self::Each<Y> {
        std::array::from_fn(|i| self[i].each(f))
    }
    fn map(&self, f: &mut dyn FnMut(AnyVar) -> AnyVar) -> Self {
        std::array::from_fn(|i| self[i].map(f))
    }
}

impl<V: Vars> Vars for Vec<V> {
    type Each<Y> = Vec<V::Each<Y>>;
    fn each<Y>(&self, f: &mut dyn FnMut(AnyVar) -> Y) -> Self::Each<Y> {
        self.iter().map(|v| v.each(f)).collect()
    }
    fn map(&self, f: &mut dyn FnMut(AnyVar) -> AnyVar) -> Self {
        self.iter().map(|v| v.map(f)).collect()
    }
}

macro_rules! tuple {
    ($($v:ident.$i:tt),*) => {
        impl<$($v: Vars),*> Vars for ($($v,)*) {
            type Each<Y> = ($($v::Each<Y>,)*);
            fn each<Y>(&self, f: &mut dyn FnMut(AnyVar) -> Y) -> Self::Each<Y> {
                ($(self.$i.each(f),)*)
            }
            fn map(&self, f: &mut dyn FnMut(AnyVar) -> AnyVar) -> Self {
                ($(self.$i.map(f),)*)
            }
        }
    };
}
tuple!(A.0);
tuple!(A.0, B.1);
tuple!(A.0, B.1, C.2);
tuple!(A.0, B.1, C.2, D.3);

/// The variables one after another.
pub(crate) fn flat<V: Vars>(variables: &V) -> SmallVec<[AnyVar; 4]> {
    let mut all = SmallVec::new();
    variables.each(&mut |v| all.push(v));
    all
}

/// The tape of variables, `None` of no variables; panics at the caller's line if they are of two tapes, or of one that is gone.
#[track_caller]
pub(super) fn tape_of(operation: &str, variables: &[AnyVar]) -> Option<TapeRef> {
    let tape = variables.first()?.tape();
    drop(tape.shared(operation, variables));
    Some(tape)
}

/// Variables in an arrangement, taken one after another.
pub(crate) fn arranged<V: Vars>(like: &V, variables: &[AnyVar]) -> V {
    let mut next = variables.iter();
    like.map(&mut |_| *next.next().expect("as many as there are places"))
}
