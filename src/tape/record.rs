//! Recording: shapes are checked, a node is appended, nothing is computed.

use super::append::{Single, bits, number};
use super::arena::{Graph, TapeRef};
use super::elementwise::{Binary, Elementwise, Ternary, Unary};
use super::node::{Called, NodeInputs, Op, SharedShape, View};
use super::operation::Operation;
use super::var::{AnyVar, Var};
use crate::element::{Dtype, Element, Number, Numbers};
use crate::kernel::reduce::Reduction;
use crate::shape::{Shape, few};
use crate::tensor::{Buffer, Tensor};
use smallvec::SmallVec;
use std::cell::RefMut;
use std::sync::Arc;

impl TapeRef {
    /// The variable of a node of this tape.
    #[inline]
    pub(crate) fn var(self, index: u32) -> AnyVar {
        AnyVar { tape: self, index }
    }

    /// Records a tensor that gradients may be asked for. The tensor is shared, not copied.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// assert_eq!(x.shape(), Shape::from([2, 2]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn leaf<T: Element>(self, tensor: &Tensor<T>) -> Var<T> {
        self.given(tensor, T::DTYPE.is_float())
    }

    /// Records a tensor that gradients will not be asked for: data, labels, masks. The tensor is shared, not copied.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let labels = tape.constant(&Tensor::from([0, 2, 1]));
    /// assert_eq!(labels.value(), Tensor::from([0, 2, 1]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn constant<T: Element>(self, tensor: &Tensor<T>) -> Var<T> {
        self.given(tensor, false)
    }

    #[track_caller]
    fn given<T: Element>(self, tensor: &Tensor<T>, tracked: bool) -> Var<T> {
        let mut graph = self.graph_mut("leaf");
        self.var(graph.given(tensor, tracked)).assume()
    }

    /// The leaf of a parameter, by its identity (and that of its origin): recorded at its first use, tracked or not as `trainable` says.
    #[track_caller]
    pub(crate) fn parameter<T: Element>(
        self,
        (id, origin): (u64, u64),
        value: &Tensor<T>,
        trainable: bool,
    ) -> Var<T> {
        let mut graph = self.graph_mut("parameter");
        let bound = graph.bindings.iter().find(|&&(bound, _)| bound == id);
        let index = match bound {
            Some(&(_, index)) => index,
            None => {
                let index = graph.given(value, trainable && T::DTYPE.is_float());
                graph.bindings.push((id, index));
                graph.origins.push(origin);
                index
            }
        };
        self.var(index).assume()
    }

    /// Records a tensor that is there only when the program runs: on the tape it has no value.
    #[track_caller]
    pub(crate) fn awaited<T: Element>(self, shape: &Shape) -> Var<T> {
        let arena = self.arena("leaf");
        let mut graph = arena.graph.borrow_mut();
        let tracked = T::DTYPE.is_float() && !graph.inference;
        let shape = graph.share(shape);
        let index = graph.push(Op::Leaf, NodeInputs::NONE, shape, T::DTYPE, tracked);
        self.var(index).assume()
    }

    /// Records one number everywhere in a shape. No memory is used for it unless its value is asked for.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// assert_eq!(tape.full([2], 0.5).value(), Tensor::from([0.5, 0.5]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped, or the shape is too large to be addressed.
    #[track_caller]
    pub fn full<T: Element>(self, shape: impl Into<Shape>, number: T) -> Var<T> {
        let shape = shape.into();
        assert!(
            shape.checked_size().is_some(),
            "full: shape {shape} is too large"
        );
        let mut graph = self.graph_mut("full");
        let shape = graph.share(&shape);
        self.var(graph.fill(bits_of(number), T::DTYPE, shape))
            .assume()
    }

    /// Records a number: a constant without axes.
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[inline]
    #[track_caller]
    pub fn number<T: Element>(self, number: T) -> Var<T> {
        let index = self
            .graph_mut("number")
            .known_number(bits_of(number), T::DTYPE);
        self.var(index).assume()
    }

    /// The graph that all inputs live in, to be changed; panics at the caller's line if one lives elsewhere or nowhere.
    #[inline]
    #[track_caller]
    pub(crate) fn shared(self, operation: &str, inputs: &[AnyVar]) -> RefMut<'static, Graph> {
        let arena = self.arena(operation);
        for input in inputs {
            if input.tape != self {
                foreign(operation, *input);
            }
        }
        arena.graph.borrow_mut()
    }

    /// Records a view, a layout of the elements of the input under `shape`.
    #[track_caller]
    pub(crate) fn view(self, view: View, input: AnyVar, shape: &[usize]) -> AnyVar {
        let mut graph = self.shared("view", &[input]);
        self.var(graph.view(view, input.index, shape))
    }

    /// Records the axes in another order. An order that undoes the one before leads back to what that was applied to.
    #[track_caller]
    pub(crate) fn permute(self, input: AnyVar, order: &[usize]) -> AnyVar {
        let mut graph = self.shared("permute", &[input]);
        let node = graph.node(input.index);
        if let Op::View(View::Permute(before)) = &node.op
            && order.iter().enumerate().all(|(i, &axis)| before[axis] == i)
        {
            return self.var(node.inputs[0]);
        }
        let shape = few(order.iter().map(|&axis| node.shape[axis]));
        let order = graph.share(order);
        self.var(graph.view(View::Permute(order), input.index, &shape))
    }

    /// Records the end of tracking: the same value, of which no gradient is asked.
    #[track_caller]
    pub(crate) fn untracked(self, input: AnyVar) -> AnyVar {
        let mut graph = self.shared("stop_gradient", &[input]);
        let node = graph.node(input.index);
        if !node.tracked {
            return input;
        }
        let (shape, dtype) = (node.shape.clone(), node.dtype);
        self.var(graph.push(
            Op::View(View::Alias),
            NodeInputs::one(input.index),
            shape,
            dtype,
            false,
        ))
    }

    /// Records a reduction over axes given in ascending order. Of single elements, that is their view in another shape.
    #[track_caller]
    pub(crate) fn reduce(self, reduction: Reduction, input: AnyVar, axes: &[usize]) -> AnyVar {
        let mut graph = self.shared("reduce", &[input]);
        let node = graph.node(input.index);
        let (dtype, tracked) = (node.dtype, node.tracked);
        let shape = if axes.len() == node.shape.rank() {
            graph.share(&[])
        } else {
            let kept = (0..node.shape.rank()).filter(|a| !axes.contains(a));
            let sizes = few(kept.map(|a| node.shape[a]));
            graph.share(&sizes)
        };
        let single = |&axis: &usize| graph.node(input.index).shape[axis] == 1;
        if !axes.is_empty() && axes.iter().all(single) {
            return self.var(graph.view(View::Reshape, input.index, &shape));
        }
        let axes = graph.share(axes);
        let (op, inputs) = (|| Op::Reduce(reduction, axes), NodeInputs::one(input.index));
        self.var(graph.push_with("reduce", op, inputs, shape, dtype, tracked))
    }

    /// Records an operation with a kernel of its own.
    ///
    /// # Panics
    /// If the inputs do not fit the operation, are of different tapes, or the tape was reset or dropped.
    #[track_caller]
    pub fn record(self, operation: impl Operation, inputs: &[AnyVar]) -> AnyVar {
        self.record_kept(operation, false, inputs)
    }

    /// As [`record`](TapeRef::record); an operation that is `light` has nothing to free but a shape.
    #[track_caller]
    pub(crate) fn record_kept(
        self,
        operation: impl Operation,
        light: bool,
        inputs: &[AnyVar],
    ) -> AnyVar {
        let operation = match self.live() {
            Some(arena) => arena.graph.borrow_mut().operations.called(operation, light),
            None => Called::Shared(Arc::new(operation)),
        };
        self.call(operation, inputs)
    }

    /// As [`record`](TapeRef::record), for an operation without arguments.
    #[track_caller]
    pub(crate) fn call(self, operation: Called, inputs: &[AnyVar]) -> AnyVar {
        let mut graph = self.shared(operation.name(), inputs);
        let outcome = {
            let describe = |input: &AnyVar| {
                let node = graph.node(input.index);
                (node.dtype, &*node.shape)
            };
            match inputs {
                [a] => operation.output(&[describe(a)]),
                [a, b] => operation.output(&[describe(a), describe(b)]),
                _ => operation.output(&inputs.iter().map(describe).collect::<SmallVec<[_; 8]>>()),
            }
        };
        let (dtype, shape) = match &outcome {
            Ok((dtype, shape)) => (*dtype, shape),
            Err(message) => panic!("{}: {message}", operation.name()),
        };
        assert!(
            shape.checked_size().is_some(),
            "{}: shape {shape} is too large",
            operation.name()
        );
        let leads = |(k, i): (usize, &AnyVar)| {
            graph.node(i.index).tracked && operation.is_differentiable(k)
        };
        let tracked = dtype.is_float() && inputs.iter().enumerate().any(leads);
        let shape = graph.share(shape);
        let inputs = match *inputs {
            [a, b] => NodeInputs::few([a.index, b.index]),
            _ => inputs.iter().map(|input| input.index).collect(),
        };
        let (name, op) = (operation.name(), || Op::Call(operation));
        self.var(graph.push_with(name, op, inputs, shape, dtype, tracked))
    }
}

/// Panics at the caller's line because an input is not of the tape that it should be of.
#[cold]
#[inline(never)]
#[track_caller]
fn foreign(operation: &str, input: AnyVar) -> ! {
    // A variable of a tape that is gone says so rather than that it differs.
    input.tape.arena(operation);
    panic!("{operation}: the variables are of two different tapes")
}

/// Records an elementwise operation of one operand.
#[track_caller]
fn elementwise1(op: &'static Elementwise, single: Single, a: AnyVar) -> AnyVar {
    let mut graph = a.tape.graph_mut(op.name);
    a.tape.var(graph.elementwise(op, single, [a.index]))
}

/// Records an elementwise operation of two operands.
#[track_caller]
fn elementwise2(op: &'static Elementwise, single: Single, a: AnyVar, b: AnyVar) -> AnyVar {
    let mut graph = a.tape.shared(op.name, &[b]);
    a.tape
        .var(graph.elementwise(op, single, [a.index, b.index]))
}

/// Records an elementwise operation of three operands.
#[track_caller]
fn elementwise3(op: &'static Elementwise, inputs: [AnyVar; 3]) -> AnyVar {
    let tape = inputs[0].tape;
    let mut graph = tape.shared(op.name, &inputs[1..]);
    tape.var(graph.elementwise(op, None, inputs.map(|input| input.index)))
}

/// Records an elementwise operation of a variable and a number.
#[track_caller]
fn elementwise_number(
    op: &'static Elementwise,
    single: Single,
    a: AnyVar,
    bits: u64,
    dtype: Dtype,
) -> AnyVar {
    let mut graph = a.tape.graph_mut(op.name);
    a.tape
        .var(graph.elementwise_number(op, single, a.index, (bits, dtype), false))
}

/// Records an elementwise operation of a number and a variable.
#[track_caller]
fn number_elementwise(
    op: &'static Elementwise,
    single: Single,
    bits: u64,
    dtype: Dtype,
    b: AnyVar,
) -> AnyVar {
    let mut graph = b.tape.graph_mut(op.name);
    b.tape
        .var(graph.elementwise_number(op, single, b.index, (bits, dtype), true))
}

/// The bits of a number of a type that is known.
#[inline]
fn bits_of<T: Element>(number: T) -> u64 {
    bits(T::erase::<Numbers>(number))
}

/// The number of a type that is known.
#[inline]
fn number_of<T: Element>(bits: u64) -> T {
    match T::restore::<Numbers>(number(bits, T::DTYPE)) {
        Some(number) => number,
        None => unreachable!("made of that type"),
    }
}

/// The value of an operation of one operand, where that is a few instructions: others are computed by their kernel, which
/// may round otherwise than the same formula here.
const fn single1<T: Element, O: Unary<T>>() -> Single {
    if !(O::WIDE && O::EXACT) {
        return None;
    }
    Some(|x, _| bits_of(O::eval(number_of(x))))
}

/// As [`single1`], of two operands.
const fn single2<T: Element, O: Binary<T>>() -> Single {
    if !(O::WIDE && O::EXACT) {
        return None;
    }
    Some(|x, y| bits_of(O::eval(number_of(x), number_of(y))))
}

impl<T: Element> Var<T> {
    /// Applies an elementwise operation of one operand.
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[inline]
    #[track_caller]
    pub fn unary<O: Unary<T>>(self) -> Var<O::Output> {
        elementwise1(O::described(), const { single1::<T, O>() }, self.erase()).assume()
    }

    /// Applies an elementwise operation of two operands, which broadcast.
    ///
    /// # Panics
    /// If the shapes do not broadcast, the variables are of two tapes, or the tape was reset or dropped.
    #[inline]
    #[track_caller]
    pub fn binary<O: Binary<T>>(self, other: Var<T>) -> Var<O::Output> {
        let single = const { single2::<T, O>() };
        elementwise2(O::described(), single, self.erase(), other.erase()).assume()
    }

    /// Applies an elementwise operation of this and a number.
    #[inline]
    #[track_caller]
    pub(crate) fn binary_number<O: Binary<T>>(self, number: T) -> Var<O::Output> {
        let single = const { single2::<T, O>() };
        elementwise_number(
            O::described(),
            single,
            self.erase(),
            bits_of(number),
            T::DTYPE,
        )
        .assume()
    }

    /// Applies an elementwise operation of a number and this.
    #[inline]
    #[track_caller]
    pub(crate) fn number_binary<O: Binary<T>>(self, number: T) -> Var<O::Output> {
        let single = const { single2::<T, O>() };
        number_elementwise(
            O::described(),
            single,
            bits_of(number),
            T::DTYPE,
            self.erase(),
        )
        .assume()
    }

    /// Applies an elementwise operation of three operands, which broadcast; `self` is the first.
    ///
    /// # Panics
    /// If the shapes do not broadcast, the variables are of different tapes, or the tape was reset or dropped.
    #[inline]
    #[track_caller]
    pub fn ternary<U: Element, O: Ternary<T, U>>(self, b: Var<U>, c: Var<U>) -> Var<U> {
        elementwise3(O::described(), [self.erase(), b.erase(), c.erase()]).assume()
    }

    /// The number that the variable holds everywhere, where that is known without computing.
    #[track_caller]
    pub(crate) fn known(self) -> Option<T> {
        let graph = self.tape.graph("known");
        graph.filled(self.index).and_then(T::restore::<Numbers>)
    }

    /// Whether the variable is `number` everywhere, where that is known without computing.
    #[track_caller]
    pub(crate) fn is_known(self, number: f64) -> bool
    where
        T: Number,
    {
        self.known().is_some_and(|x| x.as_f64() == number)
    }
}

impl TapeRef {
    /// Value and shape of a variable that was given, not computed.
    #[track_caller]
    pub(crate) fn leaf_value(self, variable: AnyVar) -> Option<(Buffer, Shape)> {
        let graph = variable.tape.graph("leaf_value");
        let node = graph.node(variable.index);
        match node.op {
            Op::Leaf => Some((
                graph.values[variable.index as usize].clone()?,
                Shape::clone(&node.shape),
            )),
            _ => None,
        }
    }

    /// The shape of a variable; panics in the name of `operation` if its tape is gone.
    #[inline]
    #[track_caller]
    pub(crate) fn shape_of(self, operation: &str, variable: AnyVar) -> SharedShape {
        self.graph(operation).node(variable.index).shape.clone()
    }
}
