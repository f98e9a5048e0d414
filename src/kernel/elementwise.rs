//! Elementwise passes: one function over blocks of the operands.
//!
//! A function is compiled for slices of equal length and for each level of the CPU; everything else (broadcasting, strides,
//! overwriting an operand) is done by bringing the operands block by block into that form, in the first-level cache.

use super::dispatch::simd;
use super::gather::Cursor;
use crate::element::{Any, Dtype, Element, Slice, SliceMut, Slices, SlicesMut};
use crate::shape::Layout;

/// A function over slices of equal length whose element types are those it was made for.
pub type BlockKernel = fn(inputs: &[Slice<'_>], output: SliceMut<'_>);

/// Elements of a block: three operands and a result of `f64` fill half of a first-level cache.
const BLOCK: usize = 512;

/// The most operands of an elementwise function.
pub(crate) const OPERANDS: usize = 3;

/// The operand that is not there.
fn nothing<'a>() -> Slice<'a> {
    Any::Bool(&[] as &[bool])
}

/// A function of one element.
pub trait Map1<A: Element> {
    /// The type of the result.
    type Output: Element;
    /// The value of the function.
    fn eval(a: A) -> Self::Output;
}

/// A function of two elements.
pub trait Map2<A: Element, B: Element> {
    /// The type of the result.
    type Output: Element;
    /// The value of the function.
    fn eval(a: A, b: B) -> Self::Output;
}

/// A function of three elements.
pub trait Map3<A: Element, B: Element, C: Element> {
    /// The type of the result.
    type Output: Element;
    /// The value of the function.
    fn eval(a: A, b: B, c: C) -> Self::Output;
}

#[inline]
fn read<'a, T: Element>(slice: Slice<'a>) -> &'a [T] {
    T::restore::<Slices<'a>>(slice).expect("an operand of the type that was recorded")
}

#[inline]
fn write<'a, T: Element>(slice: SliceMut<'a>) -> &'a mut [T] {
    T::restore::<SlicesMut<'a>>(slice).expect("a result of the type that was recorded")
}

simd! {
    fn pass1<A: Element, F: Map1<A>>(a: &[A], out: &mut [F::Output]) {
        for (out, &a) in out.iter_mut().zip(a) {
            *out = F::eval(a);
        }
    }
}

simd! {
    fn pass2<A: Element, B: Element, F: Map2<A, B>>(a: &[A], b: &[B], out: &mut [F::Output]) {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = F::eval(a, b);
        }
    }
}

simd! {
    fn pass3<A: Element, B: Element, C: Element, F: Map3<A, B, C>>(a: &[A], b: &[B], c: &[C], out: &mut [F::Output]) {
        for (((out, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
            *out = F::eval(a, b, c);
        }
    }
}

/// The block kernel of a function of one element.
pub fn kernel1<A: Element, F: Map1<A>>(inputs: &[Slice<'_>], output: SliceMut<'_>) {
    pass1::<A, F>(read(inputs[0]), write(output));
}

/// The block kernel of a function of two elements.
pub fn kernel2<A: Element, B: Element, F: Map2<A, B>>(inputs: &[Slice<'_>], output: SliceMut<'_>) {
    pass2::<A, B, F>(read(inputs[0]), read(inputs[1]), write(output));
}

/// The block kernel of a function of three elements.
pub fn kernel3<A: Element, B: Element, C: Element, F: Map3<A, B, C>>(
    inputs: &[Slice<'_>],
    output: SliceMut<'_>,
) {
    pass3::<A, B, C, F>(
        read(inputs[0]),
        read(inputs[1]),
        read(inputs[2]),
        write(output),
    );
}

/// Where the elements of an operand come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand<'a> {
    /// As many elements as the result has, in its order.
    Plain(Slice<'a>),
    /// One element for all.
    Single(Slice<'a>),
    /// Elements at the places that a layout of the shape of the result says.
    Strided(Slice<'a>, &'a Layout),
    /// What the result holds before it is overwritten.
    Overwritten,
}

/// Scratch blocks, kept from pass to pass: one for each operand and one for the result.
#[derive(Default)]
pub(crate) struct Workspace {
    blocks: [Block; OPERANDS + 1],
}

#[derive(Default)]
struct Block {
    f32: Vec<f32>,
    f64: Vec<f64>,
    i64: Vec<i64>,
    bool: Vec<bool>,
}

impl Block {
    fn get(&mut self, dtype: Dtype, len: usize) -> SliceMut<'_> {
        fn sized<T: Element>(block: &mut Vec<T>, len: usize) -> &mut [T] {
            if block.is_empty() {
                block.resize(BLOCK, T::ZERO);
            }
            &mut block[..len]
        }
        match dtype {
            Dtype::F32 => Any::F32(sized(&mut self.f32, len)),
            Dtype::F64 => Any::F64(sized(&mut self.f64, len)),
            Dtype::I64 => Any::I64(sized(&mut self.i64, len)),
            Dtype::Bool => Any::Bool(sized(&mut self.bool, len)),
        }
    }

    fn look(&self, dtype: Dtype, len: usize) -> Slice<'_> {
        match dtype {
            Dtype::F32 => Any::F32(&self.f32[..len]),
            Dtype::F64 => Any::F64(&self.f64[..len]),
            Dtype::I64 => Any::I64(&self.i64[..len]),
            Dtype::Bool => Any::Bool(&self.bool[..len]),
        }
    }
}

fn copy(from: Slice<'_>, to: SliceMut<'_>) {
    match (from, to) {
        (Any::F32(from), Any::F32(to)) => to.copy_from_slice(from),
        (Any::F64(from), Any::F64(to)) => to.copy_from_slice(from),
        (Any::I64(from), Any::I64(to)) => to.copy_from_slice(from),
        (Any::Bool(from), Any::Bool(to)) => to.copy_from_slice(from),
        _ => unreachable!("blocks of different element types"),
    }
}

fn fill(from: Slice<'_>, to: SliceMut<'_>) {
    match (from, to) {
        (Any::F32(from), Any::F32(to)) => to.fill(from[0]),
        (Any::F64(from), Any::F64(to)) => to.fill(from[0]),
        (Any::I64(from), Any::I64(to)) => to.fill(from[0]),
        (Any::Bool(from), Any::Bool(to)) => to.fill(from[0]),
        _ => unreachable!("blocks of different element types"),
    }
}

fn gather(cursor: &mut Cursor, from: Slice<'_>, to: SliceMut<'_>) {
    match (from, to) {
        (Any::F32(from), Any::F32(to)) => cursor.read(from, to),
        (Any::F64(from), Any::F64(to)) => cursor.read(from, to),
        (Any::I64(from), Any::I64(to)) => cursor.read(from, to),
        (Any::Bool(from), Any::Bool(to)) => cursor.read(from, to),
        _ => unreachable!("blocks of different element types"),
    }
}

/// Runs a block kernel over operands of any form into a result in row-major order.
pub(crate) fn run(
    kernel: BlockKernel,
    operands: &[Operand<'_>],
    mut out: SliceMut<'_>,
    work: &mut Workspace,
) {
    let len = out.len();
    let count = operands.len();
    let mut inputs: [Slice<'_>; OPERANDS] = [nothing(); OPERANDS];
    let mut plain = true;
    for (input, operand) in inputs.iter_mut().zip(operands) {
        match operand {
            Operand::Plain(slice) => *input = slice.range(0, len),
            _ => plain = false,
        }
    }
    if plain {
        return kernel(&inputs[..count], out);
    }

    let mut cursors: [Option<Cursor>; OPERANDS] = [const { None }; OPERANDS];
    let [block0, block1, block2, result] = &mut work.blocks;
    let blocks = [block0, block1, block2];
    let mut overwrites = false;
    for (k, operand) in operands.iter().enumerate() {
        match operand {
            Operand::Single(slice) => fill(*slice, blocks[k].get(slice.dtype(), len.min(BLOCK))),
            Operand::Strided(_, layout) => cursors[k] = Some(Cursor::new(layout)),
            Operand::Overwritten => overwrites = true,
            Operand::Plain(_) => {}
        }
    }
    let dtype = out.dtype();
    let mut start = 0;
    while start < len {
        let n = BLOCK.min(len - start);
        for k in 0..count {
            if let (Operand::Strided(slice, _), Some(cursor)) = (operands[k], &mut cursors[k]) {
                gather(cursor, slice, blocks[k].get(slice.dtype(), n));
            }
        }
        if overwrites {
            let inputs = block_inputs(operands, &blocks, Some(out.range(start, n)), start, n);
            kernel(&inputs[..count], result.get(dtype, n));
            copy(result.look(dtype, n), out.range_mut(start, n));
        } else {
            let inputs = block_inputs(operands, &blocks, None, start, n);
            kernel(&inputs[..count], out.range_mut(start, n));
        }
        start += n;
    }
}

/// The operands of one block, as slices.
fn block_inputs<'data: 'block, 'block>(
    operands: &[Operand<'data>],
    blocks: &'block [&mut Block; OPERANDS],
    overwritten: Option<Slice<'block>>,
    start: usize,
    n: usize,
) -> [Slice<'block>; OPERANDS] {
    let mut inputs = [nothing(); OPERANDS];
    for (k, operand) in operands.iter().enumerate() {
        inputs[k] = match operand {
            Operand::Plain(slice) => slice.range(start, n),
            Operand::Single(slice) | Operand::Strided(slice, _) => blocks[k].look(slice.dtype(), n),
            Operand::Overwritten => overwritten.unwrap_or(nothing()),
        };
    }
    inputs
}
