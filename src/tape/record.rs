//! Recording: shapes are checked, a node is appended, nothing is computed.

use super::arena::{Arena, Graph, NUMBERS, SHAPES, TapeRef};
use super::node::{Called, Node, NodeInputs, Op, SharedShape, View};
use super::operation::{Binary, Elementwise, Operation, Ternary, Unary};
use super::var::{AnyVar, Var};
use crate::element::{Any, AnyNumber, Dtype, Element, Number, Numbers, with_dtype};
use crate::kernel::elementwise::{self, OPERANDS, Operand};
use crate::kernel::reduce::Reduction;
use crate::shape::Shape;
use crate::tensor::{Buffer, Tensor};
use smallvec::{SmallVec, smallvec};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// 2^64 over the golden ratio (Fibonacci hashing): the high bits of a product with it depend on all bits of the other factor.
const HASH: u64 = 0x9E37_79B9_7F4A_7C15;

impl Graph {
    /// Appends a node.
    #[inline(always)]
    #[track_caller]
    fn push(
        &mut self,
        op: Op,
        inputs: NodeInputs,
        shape: SharedShape,
        dtype: Dtype,
        tracked: bool,
    ) -> u32 {
        let index = self.nodes.len();
        assert!(
            index < u32::MAX as usize,
            "{}: the tape is full: {index} nodes",
            op.name()
        );
        let location = self.attributed.unwrap_or(Location::caller());
        self.nodes.push(Node {
            op,
            inputs,
            shape,
            dtype,
            tracked,
            location,
        });
        self.values.push(None);
        index as u32
    }

    /// Records an elementwise operation; the inputs broadcast.
    #[inline]
    #[track_caller]
    fn elementwise<const N: usize>(&mut self, op: &'static Elementwise, inputs: [u32; N]) -> u32 {
        let first = self.node(inputs[0]);
        let mut tracked = first.tracked;
        let mut constant = matches!(first.op, Op::Fill(_));
        let mut shape = first.shape.clone();
        for &input in &inputs[1..] {
            let node = self.node(input);
            tracked |= node.tracked;
            constant &= matches!(node.op, Op::Fill(_));
            if node.shape != shape && node.shape.rank() > 0 {
                shape = self.broadcast(op, shape, &inputs, input);
            }
        }
        if constant {
            let number = self.fold(op, &inputs);
            return self.push(Op::Fill(number), SmallVec::new(), shape, op.output, false);
        }
        let mut buffer = [0; 3];
        buffer[..N].copy_from_slice(&inputs);
        let inputs = SmallVec::from_buf_and_len(buffer, N);
        self.push(
            Op::Elementwise(op),
            inputs,
            shape,
            op.output,
            tracked && op.output.is_float(),
        )
    }

    /// The shape that the inputs so far and one more broadcast to.
    #[track_caller]
    fn broadcast(
        &mut self,
        op: &Elementwise,
        shape: SharedShape,
        inputs: &[u32],
        more: u32,
    ) -> SharedShape {
        if shape.rank() == 0 {
            return self.node(more).shape.clone();
        }
        let Some(both) = shape.broadcast(&self.node(more).shape) else {
            let shapes: Vec<String> = inputs
                .iter()
                .map(|&i| self.node(i).shape.to_string())
                .collect();
            panic!(
                "{}: shapes do not broadcast: {}",
                op.name,
                shapes.join(" and ")
            );
        };
        assert!(
            both.checked_size().is_some(),
            "{}: shape {both} is too large",
            op.name
        );
        self.share(&both)
    }

    /// Records a view.
    #[track_caller]
    fn view(&mut self, view: View, input: u32, shape: &Shape) -> u32 {
        let shape = self.share(shape);
        let node = self.node(input);
        let (dtype, tracked) = (node.dtype, node.tracked);
        // One number everywhere stays that, however it is seen.
        if let Op::Fill(number) = node.op {
            return self.push(Op::Fill(number), SmallVec::new(), shape, dtype, false);
        }
        self.push(Op::View(view), smallvec![input], shape, dtype, tracked)
    }

    /// A shape for a node; one that was recorded lately is used again.
    pub(crate) fn share(&mut self, shape: &Shape) -> SharedShape {
        let hash = shape.iter().fold(shape.rank() as u64, |hash, &n| {
            (hash ^ n as u64).wrapping_mul(HASH)
        });
        let known = &mut self.shapes[(hash >> 32) as usize % SHAPES];
        match known {
            Some(known) if **known == *shape => known.clone(),
            _ => known.insert(SharedShape::new(shape.clone())).clone(),
        }
    }

    /// The node of a number; one that was recorded lately is used again.
    #[track_caller]
    fn number(&mut self, number: AnyNumber) -> u32 {
        let bits = match number {
            Any::F32(x) => u64::from(x.to_bits()),
            Any::F64(x) => x.to_bits(),
            Any::I64(x) => x as u64,
            Any::Bool(x) => u64::from(x),
        };
        let slot = (bits.wrapping_mul(HASH) >> 32) as usize % NUMBERS;
        if let Some((known, dtype, index)) = self.numbers[slot]
            && known == bits
            && dtype == number.dtype()
        {
            return index;
        }
        let dtype = number.dtype();
        let shape = self.share(&Shape::scalar());
        let index = self.push(Op::Fill(number), SmallVec::new(), shape, dtype, false);
        self.numbers[slot] = Some((bits, dtype, index));
        index
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
        let shape = graph.share(tensor.shape());
        let index = graph.push(Op::Leaf, SmallVec::new(), shape, T::DTYPE, tracked);
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
        let shape = graph.share(&shape);
        let index = graph.push(
            Op::Fill(T::erase::<Numbers>(number)),
            SmallVec::new(),
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
        let arena = self.arena("number");
        let index = arena.graph.borrow_mut().number(T::erase::<Numbers>(number));
        self.var(index).assume()
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

    /// Records an elementwise operation of one operand.
    #[track_caller]
    fn elementwise1(self, op: &'static Elementwise, inputs: [AnyVar; 1]) -> AnyVar {
        self.elementwise(op, inputs)
    }

    /// Records an elementwise operation of two operands.
    #[track_caller]
    fn elementwise2(self, op: &'static Elementwise, inputs: [AnyVar; 2]) -> AnyVar {
        self.elementwise(op, inputs)
    }

    /// Records an elementwise operation of three operands.
    #[track_caller]
    fn elementwise3(self, op: &'static Elementwise, inputs: [AnyVar; 3]) -> AnyVar {
        self.elementwise(op, inputs)
    }

    #[inline(always)]
    #[track_caller]
    fn elementwise<const N: usize>(self, op: &'static Elementwise, inputs: [AnyVar; N]) -> AnyVar {
        let arena = self.shared(op.name, &inputs);
        self.var(
            arena
                .graph
                .borrow_mut()
                .elementwise(op, inputs.map(|input| input.index)),
        )
    }

    /// Records an elementwise operation of a variable and a number, on the left if `first`.
    #[track_caller]
    fn elementwise_number(
        self,
        op: &'static Elementwise,
        variable: AnyVar,
        number: AnyNumber,
        first: bool,
    ) -> AnyVar {
        let arena = self.arena(op.name);
        let mut graph = arena.graph.borrow_mut();
        let number = graph.number(number);
        let inputs = if first {
            [number, variable.index]
        } else {
            [variable.index, number]
        };
        self.var(graph.elementwise(op, inputs))
    }

    /// Records a view, a layout of the elements of the input under `shape`.
    #[track_caller]
    pub(crate) fn view(self, view: View, input: AnyVar, shape: Shape) -> AnyVar {
        let arena = self.shared("view", &[input]);
        self.var(arena.graph.borrow_mut().view(view, input.index, &shape))
    }

    /// Records the axes in another order. An order that undoes the one before leads back to what that was applied to.
    #[track_caller]
    pub(crate) fn permute(self, input: AnyVar, order: &[usize]) -> AnyVar {
        let arena = self.shared("permute", &[input]);
        let mut graph = arena.graph.borrow_mut();
        let node = graph.node(input.index);
        if let Op::View(View::Permute(before)) = &node.op
            && order.iter().enumerate().all(|(i, &axis)| before[axis] == i)
        {
            return self.var(node.inputs[0]);
        }
        let shape: Shape = order.iter().map(|&axis| node.shape[axis]).collect();
        let order = graph.share(&Shape::from(order));
        self.var(graph.view(View::Permute(order), input.index, &shape))
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
        self.var(graph.push(
            Op::View(View::Alias),
            smallvec![input.index],
            shape,
            dtype,
            false,
        ))
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
        let op = Op::Reduce(reduction, graph.share(&Shape::from(axes)));
        let shape = graph.share(&shape);
        self.var(graph.push(op, smallvec![input.index], shape, dtype, tracked))
    }

    /// Records an operation with a kernel of its own.
    ///
    /// # Panics
    /// If the inputs do not fit the operation, are of different tapes, or the tape was reset or dropped.
    #[track_caller]
    pub fn record(self, operation: impl Operation, inputs: &[AnyVar]) -> AnyVar {
        self.call(Called::Shared(Arc::new(operation)), inputs)
    }

    /// As [`record`](TapeRef::record), for an operation without arguments.
    #[track_caller]
    pub(crate) fn call(self, operation: Called, inputs: &[AnyVar]) -> AnyVar {
        let arena = self.shared(operation.name(), inputs);
        let mut graph = arena.graph.borrow_mut();
        let mut indices = NodeInputs::new();
        inputs.iter().for_each(|input| indices.push(input.index));
        let outcome = {
            let mut described: SmallVec<[(Dtype, &Shape); 3]> = SmallVec::new();
            for &i in &indices {
                let node = graph.node(i);
                described.push((node.dtype, &node.shape));
            }
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
        let shape = graph.share(&shape);
        self.var(graph.push(Op::Call(operation), indices, shape, dtype, tracked))
    }
}

impl Graph {
    /// The value of an elementwise operation on numbers.
    fn fold(&mut self, op: &'static Elementwise, inputs: &[u32]) -> AnyNumber {
        let Graph {
            nodes, workspace, ..
        } = self;
        let mut operands = [Operand::Overwritten; OPERANDS];
        for (operand, &input) in operands.iter_mut().zip(inputs) {
            if let Op::Fill(number) = &nodes[input as usize].op {
                *operand = Operand::Single(number.as_slice());
            }
        }
        with_dtype!(op.output, R => {
            let mut result = [R::ZERO];
            elementwise::run(&op.kernel, &operands[..inputs.len()], R::erase(&mut result[..]), workspace);
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
            .elementwise1(O::described(), [self.erase()])
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
            .elementwise2(O::described(), [self.erase(), other.erase()])
            .assume()
    }

    /// Applies an elementwise operation of this and a number.
    #[inline]
    #[track_caller]
    pub(crate) fn binary_number<O: Binary<T>>(self, number: T) -> Var<O::Output> {
        let op = O::described();
        self.tape
            .elementwise_number(op, self.erase(), T::erase::<Numbers>(number), false)
            .assume()
    }

    /// Applies an elementwise operation of a number and this.
    #[inline]
    #[track_caller]
    pub(crate) fn number_binary<O: Binary<T>>(self, number: T) -> Var<O::Output> {
        let op = O::described();
        self.tape
            .elementwise_number(op, self.erase(), T::erase::<Numbers>(number), true)
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
        self.tape.elementwise3(O::described(), inputs).assume()
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
    /// Value and shape of a variable that was given, not computed.
    #[track_caller]
    pub(crate) fn leaf_value(self, variable: AnyVar) -> Option<(Buffer, Shape)> {
        let arena = variable.tape.arena("leaf_value");
        let graph = arena.graph.borrow();
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
        self.arena(operation)
            .graph
            .borrow()
            .node(variable.index)
            .shape
            .clone()
    }
}
