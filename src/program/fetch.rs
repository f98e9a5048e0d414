//! Asking for values.

use super::needed::Targets;
use super::reference;
use crate::element::Element;
use crate::tape::{Arena, TapeRef, Var};
use crate::tensor::{AnyTensor, Tensor, Tensors};

/// Variables whose values are asked for together: one, an array, a vector or slice, or a tuple of any of these.
pub trait Fetch {
    /// The tensors, in the same arrangement.
    type Values;
    /// Calls `visit` with tape and index of each variable.
    #[doc(hidden)]
    fn indices(&self, visit: &mut dyn FnMut(TapeRef, u32));
    /// Takes the values that were computed.
    #[doc(hidden)]
    fn values(&self) -> Self::Values;
}

/// What a [`Program`](crate::Program) can compute: the same arrangements of variables.
pub trait Outputs: Fetch {
    /// The arrangement without the variables.
    type Arrangement: Send + Sync;
    /// The arrangement.
    #[doc(hidden)]
    fn arrangement(&self) -> Self::Arrangement;
    /// Tensors in this arrangement, taken one after the other.
    #[doc(hidden)]
    fn assemble(
        arrangement: &Self::Arrangement,
        next: &mut dyn FnMut() -> AnyTensor,
    ) -> Self::Values;
}

impl<T: Element> Outputs for Var<T> {
    type Arrangement = ();
    fn arrangement(&self) {}
    fn assemble(_arrangement: &(), next: &mut dyn FnMut() -> AnyTensor) -> Tensor<T> {
        T::restore::<Tensors>(next()).expect("the type that was recorded")
    }
}

impl<O: Outputs, const N: usize> Outputs for [O; N] {
    type Arrangement = [O::Arrangement; N];
    fn arrangement(&self) -> Self::Arrangement {
        std::array::from_fn(|i| self[i].arrangement())
    }
    fn assemble(
        arrangement: &Self::Arrangement,
        next: &mut dyn FnMut() -> AnyTensor,
    ) -> Self::Values {
        std::array::from_fn(|i| O::assemble(&arrangement[i], next))
    }
}

impl<O: Outputs> Outputs for Vec<O> {
    type Arrangement = Vec<O::Arrangement>;
    fn arrangement(&self) -> Self::Arrangement {
        self.iter().map(O::arrangement).collect()
    }
    fn assemble(
        arrangement: &Self::Arrangement,
        next: &mut dyn FnMut() -> AnyTensor,
    ) -> Self::Values {
        arrangement.iter().map(|a| O::assemble(a, next)).collect()
    }
}

impl<T: Element> Fetch for Var<T> {
    type Values = Tensor<T>;
    fn indices(&self, visit: &mut dyn FnMut(TapeRef, u32)) {
        visit(self.tape, self.index);
    }
    fn values(&self) -> Tensor<T> {
        self.computed()
    }
}

impl<F: Fetch, const N: usize> Fetch for [F; N] {
    type Values = [F::Values; N];
    fn indices(&self, visit: &mut dyn FnMut(TapeRef, u32)) {
        self.iter().for_each(|f| f.indices(visit));
    }
    fn values(&self) -> [F::Values; N] {
        std::array::from_fn(|i| self[i].values())
    }
}

impl<F: Fetch> Fetch for &[F] {
    type Values = Vec<F::Values>;
    fn indices(&self, visit: &mut dyn FnMut(TapeRef, u32)) {
        self.iter().for_each(|f| f.indices(visit));
    }
    fn values(&self) -> Vec<F::Values> {
        self.iter().map(F::values).collect()
    }
}

impl<F: Fetch> Fetch for Vec<F> {
    type Values = Vec<F::Values>;
    fn indices(&self, visit: &mut dyn FnMut(TapeRef, u32)) {
        self.as_slice().indices(visit);
    }
    fn values(&self) -> Vec<F::Values> {
        self.as_slice().values()
    }
}

macro_rules! tuple {
    ($($f:ident.$i:tt),*) => {
        impl<$($f: Fetch),*> Fetch for ($($f,)*) {
            type Values = ($($f::Values,)*);
            fn indices(&self, visit: &mut dyn FnMut(TapeRef, u32)) {
                $(self.$i.indices(visit);)*
            }
            fn values(&self) -> Self::Values {
                ($(self.$i.values(),)*)
            }
        }

        impl<$($f: Outputs),*> Outputs for ($($f,)*) {
            type Arrangement = ($($f::Arrangement,)*);
            fn arrangement(&self) -> Self::Arrangement {
                ($(self.$i.arrangement(),)*)
            }
            fn assemble(
                arrangement: &Self::Arrangement,
                next: &mut dyn FnMut() -> AnyTensor,
            ) -> Self::Values {
                ($($f::assemble(&arrangement.$i, next),)*)
            }
        }
    };
}
tuple!(A.0, B.1);
tuple!(A.0, B.1, C.2);
tuple!(A.0, B.1, C.2, D.3);

impl TapeRef {
    /// Computes several values in one run: what they have in common is computed once, and every intermediate value is freed at
    /// its last use.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// let y = (x * x).sum();
    /// let dx = y.gradient(x);
    /// let (y, [dx]) = tape.run((y, [dx]));
    /// assert_eq!((y.item(), dx), (5.0, Tensor::from([2.0, 4.0])));
    /// ```
    ///
    /// # Panics
    /// If a variable is of another tape, the tape was reset or dropped, or an index that an operation was given at run time
    /// is out of range. If values are checked ([`check_values`](TapeRef::check_values)), also if one is not finite.
    #[track_caller]
    pub fn run<F: Fetch>(self, variables: F) -> F::Values {
        let (arena, targets) = self.asked("run", &variables);
        let outcome = {
            let mut graph = arena.graph.borrow_mut();
            if graph.checked {
                let outcome = graph.execute_checked(&targets);
                outcome.map_err(|trouble| trouble.describe(&graph))
            } else {
                let outcome = graph.execute(&targets);
                outcome.map_err(|fault| graph.describe(&fault))
            }
        };
        if let Err(message) = outcome {
            panic!("{message}");
        }
        variables.values()
    }

    /// The arena, and the nodes of variables, which must be of this tape.
    #[track_caller]
    pub(super) fn asked<F: Fetch>(
        self,
        operation: &str,
        variables: &F,
    ) -> (&'static Arena, Targets) {
        let mut targets = Targets::new();
        let mut foreign = None;
        variables.indices(&mut |tape, index| {
            if tape == self {
                targets.push(index);
            } else {
                foreign = Some(tape);
            }
        });
        let arena = self.arena(operation);
        if let Some(tape) = foreign {
            tape.arena(operation);
            panic!("{operation}: a variable is of another tape");
        }
        assert!(
            !arena.graph.borrow().recording,
            "{operation}: a program is being recorded: its inputs have no values yet"
        );
        (arena, targets)
    }
}

impl<T: Element> Var<T> {
    /// The value: runs what it needs and was not yet computed.
    ///
    /// Values that a later gradient will need are kept if none was recorded yet. To compute several values for little memory, ask
    /// for them together: [`TapeRef::run`].
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 4.0, 9.0]));
    /// assert_eq!(x.sqrt().value(), Tensor::from([1.0, 2.0, 3.0]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped, or an index that an operation was given at run time is out of range.
    #[track_caller]
    pub fn value(self) -> Tensor<T> {
        self.tape.run(self)
    }

    /// The value, computed anew by the reference executor: one node at a time, nothing reused. It is there to test the planned
    /// executor against.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 4.0]));
    /// assert_eq!(x.sqrt().reference_value(), x.sqrt().value());
    /// ```
    ///
    /// # Panics
    /// As [`value`](Var::value).
    #[track_caller]
    pub fn reference_value(self) -> Tensor<T> {
        let (arena, _) = self.tape.asked("reference_value", &self);
        let graph = arena.graph.borrow();
        match reference::evaluate_alone(&graph, self.index) {
            Ok(value) => value
                .into_tensor(&graph.node(self.index).shape)
                .expect("the type that was recorded"),
            Err(fault) => panic!("{}", graph.describe(&fault)),
        }
    }

    /// A value that was computed.
    pub(crate) fn computed(self) -> Tensor<T> {
        let arena = self.tape.arena("value");
        let graph = arena.graph.borrow();
        let value = graph.values[self.index as usize]
            .clone()
            .expect("a target that was computed");
        value
            .into_tensor(&graph.node(self.index).shape)
            .expect("the type that was recorded")
    }
}
