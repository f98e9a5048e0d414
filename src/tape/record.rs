//! Recording: shapes are checked, a node is appended, nothing is computed.

use super::arena::{Arena, Graph, TapeRef};
use super::node::{Node, Op, View};
use super::operation::{Binary, Elementwise, Operation, Ternary, Unary};
use super::var::{AnyVar, Var};
use crate::element::{AnyNumber, Dtype, Element, Number, Numbers, with_dtype};
use crate::kernel::elementwise::{self, Operand};
use crate::kernel::reduce::Reduction;
use crate::shape::Shape;
use crate::tensor::{Buffer, Tensor};
use smallvec::SmallVec;
use std::panic::Location;
use std::rc::Rc;

impl Graph {
    /// Appends a node.
    #[track_caller]
    fn push(&mut self, op: Op, inputs: &[u32], shape: Shape, dtype: Dtype, tracked: bool) -> u32 {
        let index = self.nodes.len();
        assert!(
            index < u32::MAX as usize,
            "{}: the tape is full: {index} nodes",
            op.name()
        );
        let location = self.attributed.unwrap_or(Location::caller());
        self.nodes.push(Node {
            op,
            inputs: SmallVec::from_slice(inputs),
            shape,
            dtype,
            tracked,
            location,
        });
        self.values.push(None);
        index as u32
    }

    #[inline]
    pub(crate) fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    /// The number that a node holds everywhere, if it is known without computing.
    #[inline]
    pub(crate) fn filled(&self, index: u32) -> Option<AnyNumber> {
        match self.node(index).op {
            Op::Fill(number) => Some(number),
            _ => None,
        }
    }
}

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
        let arena = self.arena("leaf");
        let mut graph = arena.graph.borrow_mut();
        let tracked = tracked && !graph.inference;
        let index = graph.push(Op::Leaf, &[], tensor.shape().clone(), T::DTYPE, tracked);
        graph.values[index as usize] = Some(Buffer::of(tensor));
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
        let arena = self.arena("full");
        let mut graph = arena.graph.borrow_mut();
        let index = graph.push(
            Op::Fill(T::erase::<Numbers>(number)),
            &[],
            shape,
            T::DTYPE,
            false,
        );
        self.var(index).assume()
    }

    /// Records a number: a constant without axes.
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[inline]
    #[track_caller]
    pub fn number<T: Element>(self, number: T) -> Var<T> {
        self.full(Shape::scalar(), number)
    }

    /// The arena that all inputs live in; panics at the caller's line if one lives elsewhere or nowhere.
    #[inline]
    #[track_caller]
    fn shared(self, operation: &str, inputs: &[AnyVar]) -> Rc<Arena> {
        let arena = self.arena(operation);
        for input in inputs {
            if input.tape != self {
                // A variable of a tape that is gone says so rather than that it differs.
                input.tape.arena(operation);
                panic!("{operation}: the variables are of two different tapes");
            }
        }
        arena
    }

    /// Records an elementwise operation; the inputs broadcast.
    #[track_caller]
    pub(crate) fn elementwise(self, op: &'static Elementwise, inputs: &[AnyVar]) -> AnyVar {
        let arena = self.shared(op.name, inputs);
        let mut graph = arena.graph.borrow_mut();
        let mut indices: SmallVec<[u32; 3]> = SmallVec::new();
        let mut tracked = false;
        let mut constant = true;
        let mut shape: Option<Shape> = None;
        let mut fits = true;
        for input in inputs {
            indices.push(input.index);
            let node = graph.node(input.index);
            tracked |= node.tracked;
            constant &= matches!(node.op, Op::Fill(_));
            shape = match shape {
                None => Some(node.shape.clone()),
                Some(shape) if shape == node.shape => Some(shape),
                Some(shape) => match shape.broadcast(&node.shape) {
                    Some(both) => Some(both),
                    None => {
                        fits = false;
                        Some(shape)
                    }
                },
            };
        }
        let shape = shape.unwrap_or_default();
        if !fits {
            let shapes: Vec<String> = indices
                .iter()
                .map(|&i| graph.node(i).shape.to_string())
                .collect();
            panic!(
                "{}: shapes do not broadcast: {}",
                op.name,
                shapes.join(" and ")
            );
        }
        if constant {
            let number = graph.fold(op, &indices);
            return self.var(graph.push(Op::Fill(number), &[], shape, op.output, false));
        }
        let tracked = tracked && op.output.is_float();
        self.var(graph.push(Op::Elementwise(op), &indices, shape, op.output, tracked))
    }

    /// Records a view, a layout of the elements of the input under `shape`.
    #[track_caller]
    pub(crate) fn view(self, view: View, input: AnyVar, shape: Shape) -> AnyVar {
        let arena = self.shared("view", &[input]);
        let mut graph = arena.graph.borrow_mut();
        let node = graph.node(input.index);
        let (dtype, tracked) = (node.dtype, node.tracked);
        // One number everywhere stays that, however it is seen.
        if let Some(number) = graph.filled(input.index) {
            return self.var(graph.push(Op::Fill(number), &[], shape, dtype, false));
        }
        self.var(graph.push(Op::View(view), &[input.index], shape, dtype, tracked))
    }

    /// Records the end of tracking: the same value, of which no gradient is asked.
    #[track_caller]
    pub(crate) fn untracked(self, input: AnyVar) -> AnyVar {
        let arena = self.shared("stop_gradient", &[input]);
        let mut graph = arena.graph.borrow_mut();
        let node = graph.node(input.index);
        if !node.tracked {
            return input;
        }
        let (shape, dtype) = (node.shape.clone(), node.dtype);
        self.var(graph.push(Op::View(View::Alias), &[input.index], shape, dtype, false))
    }

    /// Records a reduction over axes given in ascending order.
    #[track_caller]
    pub(crate) fn reduce(self, reduction: Reduction, input: AnyVar, axes: &[usize]) -> AnyVar {
        let arena = self.shared("reduce", &[input]);
        let mut graph = arena.graph.borrow_mut();
        let node = graph.node(input.index);
        let kept = (0..node.shape.rank()).filter(|a| !axes.contains(a));
        let shape: Shape = kept.map(|a| node.shape[a]).collect();
        let (dtype, tracked) = (node.dtype, node.tracked);
        let op = Op::Reduce(reduction, SmallVec::from_slice(axes));
        self.var(graph.push(op, &[input.index], shape, dtype, tracked))
    }

    /// Records an operation with a kernel of its own.
    ///
    /// # Panics
    /// If the inputs do not fit the operation, are of different tapes, or the tape was reset or dropped.
    #[track_caller]
    pub fn record(self, operation: impl Operation, inputs: &[AnyVar]) -> AnyVar {
        let arena = self.shared(operation.name(), inputs);
        let mut graph = arena.graph.borrow_mut();
        let indices: SmallVec<[u32; 3]> = inputs.iter().map(|v| v.index).collect();
        let outcome = {
            let described: SmallVec<[(Dtype, &Shape); 3]> = indices
                .iter()
                .map(|&i| {
                    let node = graph.node(i);
                    (node.dtype, &node.shape)
                })
                .collect();
            operation.output(&described)
        };
        let (dtype, shape) = match outcome {
            Ok(output) => output,
            Err(message) => panic!("{}: {message}", operation.name()),
        };
        assert!(
            shape.checked_size().is_some(),
            "{}: shape {shape} is too large",
            operation.name()
        );
        let tracked = dtype.is_float() && indices.iter().any(|&i| graph.node(i).tracked);
        self.var(graph.push(
            Op::Call(Rc::new(operation)),
            &indices,
            shape,
            dtype,
            tracked,
        ))
    }
}

impl Graph {
    /// The value of an elementwise operation on numbers.
    fn fold(&mut self, op: &'static Elementwise, inputs: &[u32]) -> AnyNumber {
        let numbers: SmallVec<[AnyNumber; 3]> =
            inputs.iter().filter_map(|&i| self.filled(i)).collect();
        let operands: SmallVec<[Operand<'_>; 3]> = numbers
            .iter()
            .map(|n| Operand::Plain(n.as_slice()))
            .collect();
        with_dtype!(op.output, R => {
            let mut result = [R::ZERO];
            elementwise::run(op.kernel, &operands, R::erase(&mut result[..]), &mut self.workspace);
            R::erase::<Numbers>(result[0])
        })
    }
}

impl<T: Element> Var<T> {
    /// Applies an elementwise operation of one operand.
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[inline]
    #[track_caller]
    pub fn unary<O: Unary<T>>(self) -> Var<O::Output> {
        self.tape
            .elementwise(const { &Elementwise::unary::<T, O>() }, &[self.erase()])
            .assume()
    }

    /// Applies an elementwise operation of two operands, which broadcast.
    ///
    /// # Panics
    /// If the shapes do not broadcast, the variables are of two tapes, or the tape was reset or dropped.
    #[inline]
    #[track_caller]
    pub fn binary<O: Binary<T>>(self, other: Var<T>) -> Var<O::Output> {
        self.tape
            .elementwise(
                const { &Elementwise::binary::<T, O>() },
                &[self.erase(), other.erase()],
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
        let inputs = [self.erase(), b.erase(), c.erase()];
        self.tape
            .elementwise(const { &Elementwise::ternary::<T, U, O>() }, &inputs)
            .assume()
    }

    /// The number that the variable holds everywhere, where that is known without computing.
    #[track_caller]
    pub(crate) fn known(self) -> Option<T> {
        let arena = self.tape.arena("known");
        let graph = arena.graph.borrow();
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
    /// The shape of a variable; panics in the name of `operation` if its tape is gone.
    #[inline]
    #[track_caller]
    pub(crate) fn shape_of(self, operation: &str, variable: AnyVar) -> Shape {
        self.arena(operation)
            .graph
            .borrow()
            .node(variable.index)
            .shape
            .clone()
    }
}
