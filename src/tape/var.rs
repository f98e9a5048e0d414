//! Handles of recorded tensors.

use super::arena::{Marker, TapeRef, marker};
use crate::element::{Dtype, Element};
use crate::shape::Shape;
use std::fmt;

/// A recorded tensor: a handle of a node of a [`Tape`](super::Tape).
///
/// It is `Copy`, has no lifetime, and holds no numbers until [`value`](Var::value) asks for them. It is valid until its tape is
/// reset or dropped; using it later panics, as does mixing variables of two tapes. It cannot leave its thread:
///
/// ```compile_fail
/// use wengert::prelude::*;
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from([1.0]));
/// std::thread::spawn(move || x.exp());
/// ```
pub struct Var<T: Element = f32> {
    pub(crate) tape: TapeRef,
    pub(crate) index: u32,
    pub(crate) marker: Marker<T>,
}

impl<T: Element> Clone for Var<T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Element> Copy for Var<T> {}

impl<T: Element> fmt::Debug for Var<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.erase().fmt(f)
    }
}

/// A [`Var`] whose element type is known only at run time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AnyVar {
    pub(crate) tape: TapeRef,
    pub(crate) index: u32,
}

impl fmt::Debug for AnyVar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(arena) = self.tape.live() else {
            return write!(f, "%{} of a tape that is gone", self.index);
        };
        let Ok(graph) = arena.graph.try_borrow() else {
            return write!(f, "%{}", self.index);
        };
        let node = &graph.nodes[self.index as usize];
        write!(
            f,
            "%{} = {}: {}{} ({})",
            self.index,
            node.op.name(),
            node.dtype,
            *node.shape,
            node.location
        )
    }
}

impl<T: Element> Var<T> {
    /// The tape.
    #[inline]
    pub fn tape(self) -> TapeRef {
        self.tape
    }

    /// The size of each axis.
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn shape(self) -> Shape {
        self.erase().shape()
    }

    /// The number of axes.
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn rank(self) -> usize {
        self.tape.graph("rank").node(self.index).shape.rank()
    }

    /// The same handle with the element type known only at run time.
    #[inline]
    pub fn erase(self) -> AnyVar {
        AnyVar {
            tape: self.tape,
            index: self.index,
        }
    }
}

impl AnyVar {
    /// The tape.
    #[inline]
    pub fn tape(self) -> TapeRef {
        self.tape
    }

    /// The size of each axis.
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn shape(self) -> Shape {
        Shape::clone(&self.tape.shape_of("shape", self))
    }

    /// The element type.
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn dtype(self) -> Dtype {
        self.tape.graph("dtype").node(self.index).dtype
    }

    /// The handle with its element type.
    ///
    /// # Panics
    /// If the elements are not of type `T`, or the tape was reset or dropped.
    #[track_caller]
    pub fn typed<T: Element>(self) -> Var<T> {
        let dtype = self.dtype();
        assert!(
            dtype == T::DTYPE,
            "typed: the variable holds {dtype}, not {}",
            T::DTYPE
        );
        self.assume()
    }

    /// The handle with its element type, where that is known already.
    #[inline]
    pub(crate) fn assume<T: Element>(self) -> Var<T> {
        Var {
            tape: self.tape,
            index: self.index,
            marker: marker::<T>(),
        }
    }
}
