//! Nodes are appended: what is recorded, once it is known to be of this tape.

use super::arena::{Graph, KnownNumber, NUMBERS, SHAPES};
use super::elementwise::Elementwise;
use super::node::{Node, NodeInputs, Op, SharedShape, View};
use crate::element::{Any, AnyNumber, Dtype, Element, Numbers, Slice, with_dtype};
use crate::kernel::elementwise;
use crate::shape::Shape;
use crate::tensor::{Buffer, Tensor};
use smallvec::SmallVec;
use std::panic::Location;

/// 2^64 over the golden ratio (Fibonacci hashing): the high bits of a product with it depend on all bits of the other factor.
const HASH: u64 = 0x9E37_79B9_7F4A_7C15;

/// The value of an elementwise operation on one or two numbers, from their [`bits`] to its own; `None` where only its kernel
/// has it.
// As bits, numbers stay in registers. Right after an enum was written in parts, reading it as a whole waits for memory.
pub(super) type Single = Option<fn(u64, u64) -> u64>;

/// The bits of a number.
#[inline]
pub(super) fn bits(number: AnyNumber) -> u64 {
    match number {
        Any::F32(x) => u64::from(x.to_bits()),
        Any::F64(x) => x.to_bits(),
        Any::I64(x) => x as u64,
        Any::Bool(x) => u64::from(x),
    }
}

/// The number that has some bits.
#[inline]
pub(super) fn number(bits: u64, dtype: Dtype) -> AnyNumber {
    match dtype {
        Dtype::F32 => Any::F32(f32::from_bits(bits as u32)),
        Dtype::F64 => Any::F64(f64::from_bits(bits)),
        Dtype::I64 => Any::I64(bits as i64),
        Dtype::Bool => Any::Bool(bits != 0),
    }
}

/// The place of a number in the table of those that were recorded.
#[inline]
fn number_slot(bits: u64) -> usize {
    (bits.wrapping_mul(HASH) >> 32) as usize % NUMBERS
}

/// The place of a shape in the table of those that were recorded.
#[inline]
fn shape_slot(sizes: &[usize]) -> usize {
    let next = |hash: u64, n: usize| (hash ^ n as u64).wrapping_mul(HASH);
    let hash = match *sizes {
        [] => 0,
        [n] => next(1, n),
        [m, n] => next(next(2, m), n),
        _ => sizes
            .iter()
            .fold(sizes.len() as u64, |hash, &n| next(hash, n)),
    };
    (hash >> 32) as usize % SHAPES
}

/// Whether two shapes are the same: a few sizes are compared faster in line than by a call.
#[inline]
fn same(known: &[usize], sizes: &[usize]) -> bool {
    match (known, sizes) {
        ([], []) => true,
        ([a], [x]) => a == x,
        ([a, b], [x, y]) => a == x && b == y,
        _ => known == sizes,
    }
}

/// Tells the compiler that the next `push` cannot fail. What is pushed is put together in its place then; else it would lie in
/// memory in parts, for the case that the push fails, and copying these as a whole would wait for them.
#[inline(always)]
fn there_is_room<T>(all: &Vec<T>) {
    if all.len() >= all.capacity() {
        // Never, as room was made before. A panic would be one more way to fail, with what is to be pushed in memory.
        std::process::abort();
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn full(operation: &str) -> ! {
    panic!("{operation}: the tape is full: {} nodes", u32::MAX)
}

impl Graph {
    /// Appends a node.
    #[inline]
    #[track_caller]
    pub(super) fn push(
        &mut self,
        op: Op,
        inputs: NodeInputs,
        shape: SharedShape,
        dtype: Dtype,
        tracked: bool,
    ) -> u32 {
        self.push_with(op.name(), || op, inputs, shape, dtype, tracked)
    }

    /// Appends a node of the operation that `op` makes.
    #[inline(always)]
    #[track_caller]
    pub(super) fn push_with(
        &mut self,
        name: &'static str,
        op: impl FnOnce() -> Op,
        inputs: NodeInputs,
        shape: SharedShape,
        dtype: Dtype,
        tracked: bool,
    ) -> u32 {
        let index = self.nodes.len();
        if index >= u32::MAX as usize {
            full(name);
        }
        let (location, derived) = self.attributed.unwrap_or((Location::caller(), false));
        if index == self.nodes.capacity() || self.values.len() == self.values.capacity() {
            self.grow();
        }
        there_is_room(&self.nodes);
        self.nodes.push(Node {
            op: op(),
            inputs,
            shape,
            dtype,
            tracked,
            derived,
            location,
        });
        there_is_room(&self.values);
        self.values.push(None);
        index as u32
    }

    /// Makes room for more nodes.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        self.nodes.reserve(1);
        self.values.reserve(1);
    }

    /// Records an elementwise operation; the inputs broadcast.
    #[inline(always)]
    #[track_caller]
    pub(super) fn elementwise<const N: usize>(
        &mut self,
        op: &'static Elementwise,
        single: Single,
        inputs: [u32; N],
    ) -> u32 {
        let nodes = &self.nodes[..];
        let first = &nodes[inputs[0] as usize];
        let mut tracked = first.tracked;
        let mut constant = matches!(first.op, Op::Fill(_));
        let mut shape = &first.shape;
        let mut fits = true;
        for &input in &inputs[1..] {
            let node = &nodes[input as usize];
            tracked |= node.tracked;
            constant &= matches!(node.op, Op::Fill(_));
            if node.shape != *shape && node.shape.rank() > 0 {
                fits &= shape.rank() == 0;
                shape = &node.shape;
            }
        }
        let shape = if fits {
            shape.clone()
        } else {
            self.broadcast(op, &inputs)
        };
        self.applied(op, single, inputs, shape, tracked, constant)
    }

    /// Records an elementwise operation of a node and a number, on the left if `first`.
    #[inline(always)]
    #[track_caller]
    pub(super) fn elementwise_number(
        &mut self,
        op: &'static Elementwise,
        single: Single,
        input: u32,
        (bits, dtype): (u64, Dtype),
        first: bool,
    ) -> u32 {
        let number = self.known_number(bits, dtype);
        let node = self.node(input);
        let (shape, tracked) = (node.shape.clone(), node.tracked);
        let constant = matches!(node.op, Op::Fill(_));
        let inputs = if first {
            [number, input]
        } else {
            [input, number]
        };
        self.applied(op, single, inputs, shape, tracked, constant)
    }

    /// Records an elementwise operation whose result has a shape, and is tracked if one of the inputs is; `constant` if all
    /// of these are numbers.
    #[inline(always)]
    #[track_caller]
    fn applied<const N: usize>(
        &mut self,
        op: &'static Elementwise,
        single: Single,
        inputs: [u32; N],
        shape: SharedShape,
        tracked: bool,
        constant: bool,
    ) -> u32 {
        if constant {
            return self.folded(op, single, &inputs, shape);
        }
        let tracked = tracked && op.output.is_float();
        let inputs = NodeInputs::few(inputs);
        let node = || Op::Elementwise(op);
        self.push_with(op.name, node, inputs, shape, op.output, tracked)
    }

    /// Records the number that an elementwise operation on numbers gives.
    #[inline(never)]
    #[track_caller]
    fn folded(
        &mut self,
        op: &'static Elementwise,
        single: Single,
        inputs: &[u32],
        shape: SharedShape,
    ) -> u32 {
        let known = |input: &u32| match &self.node(*input).op {
            Op::Fill(number) => bits(*number),
            op => unreachable!("{} is no number", op.name()),
        };
        let result = match (single, inputs) {
            (Some(single), [a]) => single(known(a), 0),
            (Some(single), [a, b]) => single(known(a), known(b)),
            _ => bits(self.fold(op, inputs)),
        };
        self.fill(result, op.output, shape)
    }

    /// The shape that the inputs broadcast to.
    #[inline(never)]
    #[track_caller]
    fn broadcast(&mut self, op: &Elementwise, inputs: &[u32]) -> SharedShape {
        let mut shape = self.node(inputs[0]).shape.clone();
        for &input in &inputs[1..] {
            let more = &self.node(input).shape;
            if more.broadcasts_to(&shape) {
                continue;
            }
            if shape.broadcasts_to(more) {
                shape = more.clone();
                continue;
            }
            let Some(both) = shape.broadcast(more) else {
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
            shape = self.share(&both);
        }
        shape
    }

    /// Records a view.
    #[track_caller]
    pub(super) fn view(&mut self, view: View, input: u32, shape: &[usize]) -> u32 {
        let shape = self.share(shape);
        let node = self.node(input);
        let (dtype, tracked) = (node.dtype, node.tracked);
        // One number everywhere stays that, however it is seen.
        if let Op::Fill(number) = node.op {
            return self.fill(bits(number), dtype, shape);
        }
        let inputs = NodeInputs::one(input);
        self.push(Op::View(view), inputs, shape, dtype, tracked)
    }

    /// A shape for a node; one that was recorded lately is used again.
    pub(crate) fn share(&mut self, sizes: &[usize]) -> SharedShape {
        let [last, before] = &mut self.shapes[shape_slot(sizes)];
        for known in [&*last, &*before].into_iter().flatten() {
            if same(known, sizes) {
                return known.clone();
            }
        }
        *before = last.take();
        last.insert(SharedShape::new(Shape::from(sizes))).clone()
    }

    /// The node of a number; one that was recorded lately is used again.
    #[inline]
    #[track_caller]
    pub(super) fn known_number(&mut self, bits: u64, dtype: Dtype) -> u32 {
        let slot = number_slot(bits);
        if let Some(known) = self.numbers[slot]
            && known.bits == bits
            && known.dtype == dtype
        {
            return known.index;
        }
        self.new_number(bits, dtype)
    }

    #[inline(never)]
    #[track_caller]
    fn new_number(&mut self, bits: u64, dtype: Dtype) -> u32 {
        let shape = self.share(&[]);
        let index = self.fill(bits, dtype, shape);
        self.numbers[number_slot(bits)] = Some(KnownNumber { bits, dtype, index });
        index
    }

    /// Records one number everywhere in a shape.
    #[inline]
    #[track_caller]
    pub(crate) fn fill(&mut self, bits: u64, dtype: Dtype, shape: SharedShape) -> u32 {
        let node = || Op::Fill(number(bits, dtype));
        let none = NodeInputs::NONE;
        self.push_with("fill", node, none, shape, dtype, false)
    }

    /// Records one number everywhere in the shape of a node.
    #[inline]
    #[track_caller]
    pub(crate) fn filled_like(&mut self, number: AnyNumber, shaped: u32) -> u32 {
        let shape = self.node(shaped).shape.clone();
        self.fill(bits(number), number.dtype(), shape)
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

impl Graph {
    #[track_caller]
    pub(super) fn given<T: Element>(&mut self, tensor: &Tensor<T>, tracked: bool) -> u32 {
        let tracked = tracked && !self.inference;
        let shape = self.share(tensor.shape());
        let none = NodeInputs::NONE;
        let index = self.push_with("leaf", || Op::Leaf, none, shape, T::DTYPE, tracked);
        self.values[index as usize] = Some(Buffer::of(tensor));
        index
    }

    /// The value of an elementwise operation on numbers, as its kernel computes it.
    #[inline(never)]
    fn fold(&self, op: &'static Elementwise, inputs: &[u32]) -> AnyNumber {
        let number = |&input: &u32| match &self.nodes[input as usize].op {
            Op::Fill(number) => number.as_slice(),
            op => unreachable!("{} is no number", op.name()),
        };
        let operands: SmallVec<[Slice<'_>; 3]> = inputs.iter().map(number).collect();
        with_dtype!(op.output, R => {
            let mut result = [R::ZERO];
            elementwise::apply(&op.kernel, &operands, R::erase(&mut result[..]));
            R::erase::<Numbers>(result[0])
        })
    }
}
