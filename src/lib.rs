//! Automatic differentiation: record a program on a tape, differentiate it to any order, run it.
//!
//! ```
//! use wengert::prelude::*;
//!
//! let tape = Tape::new();
//! let x = tape.leaf(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
//! let y = (x * x).sum();
//! let dx = y.gradient(x);
//! assert_eq!(dx.value(), Tensor::from([[2.0, 4.0], [6.0, 8.0]]));
//! ```

pub mod data;
mod element;
mod error;
mod kernel;
#[doc(hidden)]
pub mod op;
mod program;
mod random;
mod shape;
mod tape;
mod tensor;
mod transform;

pub use element::{
    Any, AnyNumber, Dtype, Element, Family, Float, Number, Numbers, Slice, SliceMut, Slices,
    SlicesMut,
};
pub use error::{Error, ErrorKind};
pub use op::Operand;
pub use program::Fetch;
pub use random::rng;
pub use shape::{Axes, Layout, Shape};
pub use tape::{
    AnyVar, Binary, Elementwise, Input, Operation, Output, Pullback, Reads, Tape, TapeRef, Ternary,
    Unary, Var,
};
pub use tensor::{AnyTensor, Tensor, Tensors};

/// What most programs need: `use wengert::prelude::*;`
pub mod prelude {
    pub use crate::{
        Dtype, Element, Error, ErrorKind, Float, Number, Shape, Tape, TapeRef, Tensor, Var, rng,
    };
}
