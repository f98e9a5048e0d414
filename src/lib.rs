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

pub mod activation;
pub mod check;
pub mod data;
mod element;
mod error;
mod kernel;
pub mod loss;
pub mod nn;
#[doc(hidden)]
pub mod op;
pub mod optim;
mod param;
mod program;
mod random;
pub mod scalar;
mod shape;
mod tape;
mod tensor;
pub mod transform;

pub use element::{
    Any, AnyNumber, Dtype, Element, Family, Float, Number, Numbers, Slice, SliceMut, Slices,
    SlicesMut,
};
pub use error::{Error, ErrorKind};
pub use nn::{Layer, Linear, Sequential};
pub use op::Operand;
pub use optim::{Adam, AdamW, Optimizer, Sgd, TrainingProgram};
pub use param::{
    Module, Param, ParamMut, ParamMuts, ParamRef, ParamRefs, Segment, Visitor, VisitorMut,
};
pub use program::{
    Explanation, Fetch, Input as ProgramInput, Inputs, KernelTime, LineTime, NonFinite, Observed,
    Outputs, Profile, Program, Recorder, Size, Sizes,
};
pub use random::rng;
pub use shape::{Axes, Layout, Shape};
pub use tape::{
    AnyVar, Batch, Binary, Elementwise, Input, Operation, Output, Pullback, Reads, Tape, TapeRef,
    Ternary, Unary, Var, seed_at,
};
pub use tensor::{AnyTensor, Iter, Tensor, Tensors};
pub use transform::{
    ArrayFunction, Gradients, ScalarFunction, Step, TensorFunction, Through, value_and_grad,
    value_and_grad_with,
};

/// What most programs need: `use wengert::prelude::*;`
pub mod prelude {
    pub use crate::nn::init;
    pub use crate::{
        Adam, AdamW, Dtype, Element, Error, ErrorKind, Float, Layer, Linear, Module, Number,
        Optimizer, Param, Program, ProgramInput, Sequential, Sgd, Shape, Step, Tape, TapeRef,
        Tensor, TrainingProgram, Var, activation, loss, rng, seed_at, value_and_grad,
        value_and_grad_with,
    };
}

/// The programs of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The programs of the page on the scalar tape, as tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/scalar.md")]
struct ScalarPage;
