//! Rounding errors made visible: values disturbed by a unit in the last place, and what becomes of them.

use super::numerics::elements;
use crate::element::{Any, Float, with_any};
use crate::kernel::reduce::Reduction;
use crate::shape::Shape;
use crate::tape::{Node, Op};
use crate::tensor::{AnyTensor, Tensor, Tensors};
use rand::Rng;
use std::collections::HashSet;

/// The values of a node over several runs.
pub(super) struct Seen {
    shape: Shape,
    /// Those of the first run.
    value: Vec<f64>,
    least: Vec<f64>,
    most: Vec<f64>,
}

impl Seen {
    /// What a first run gave; `None` for a type without fractions.
    pub fn of(value: &AnyTensor) -> Option<Self> {
        let shape = with_any!(value, value => value.shape().clone());
        let value = elements(value)?;
        Some(Seen {
            shape,
            least: value.clone(),
            most: value.clone(),
            value,
        })
    }

    /// Takes note of what another run gave.
    pub fn again(&mut self, value: &AnyTensor) {
        let bounds = self.least.iter_mut().zip(&mut self.most);
        for ((least, most), x) in bounds.zip(elements(value).unwrap_or_default()) {
            (*least, *most) = (least.min(x), most.max(x));
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Whether an element of the first run is a NaN.
    pub fn is_nan(&self, k: usize) -> bool {
        self.value[k].is_nan()
    }

    /// Whether an element of the first run is infinite.
    pub fn is_infinite(&self, k: usize) -> bool {
        self.value[k].is_infinite()
    }

    /// Whether the runs differ at an element by half of its size or more: it is nothing but rounding errors.
    pub fn is_lost(&self, k: usize) -> bool {
        let (least, most) = (self.least[k], self.most[k]);
        let spread = most - least;
        spread > 0.0 && spread.is_finite() && spread >= 0.5 * most.abs().max(least.abs())
    }

    /// The position of the element that an elementwise operation reads for the one at position `k` of its
    /// result.
    pub fn place(&self, result: &Shape, mut k: usize) -> usize {
        let (mut place, mut stride) = (0, 1);
        for (i, &n) in result.iter().rev().enumerate() {
            let own = self.shape.iter().rev().nth(i).copied().unwrap_or(1);
            if own > 1 {
                place += k % n * stride;
            }
            stride *= own;
            k /= n;
        }
        place
    }

    /// The smallest and the largest finite element of the first run.
    pub fn range(&self) -> Option<(f64, f64)> {
        let finite = self.value.iter().copied().filter(|x| x.is_finite());
        finite.fold(None, |range, x| match range {
            None => Some((x, x)),
            Some((least, most)) => Some((least.min(x), most.max(x))),
        })
    }
}

/// Moves each element that was rounded by a unit in the last place, up or down at random.
pub(super) fn disturb(
    node: &Node,
    inputs: &[&AnyTensor],
    value: &mut AnyTensor,
    rng: &mut impl Rng,
) {
    match value {
        Any::F32(value) => disturb_as(node, inputs, value, rng),
        Any::F64(value) => disturb_as(node, inputs, value, rng),
        _ => {}
    }
}

fn disturb_as<T: Float>(
    node: &Node,
    inputs: &[&AnyTensor],
    value: &mut Tensor<T>,
    rng: &mut impl Rng,
) {
    let operands: Vec<Option<&Tensor<T>>> = inputs
        .iter()
        .map(|input| T::peek::<Tensors>(input))
        .collect();
    let operand = |k: usize| {
        let expanded = operands[k].map(|operand| operand.expand(&*node.shape));
        expanded.map(|operand| operand.to_vec())
    };
    let exact: Box<dyn Fn(usize, T) -> bool> = match &node.op {
        Op::Leaf | Op::Fill(_) | Op::View(_) => return,
        Op::Reduce(Reduction::Max | Reduction::Min, _) => return,
        Op::Elementwise(_) => {
            let operands: Vec<Option<Vec<T>>> = (0..operands.len()).map(operand).collect();
            let name = node.op.name();
            Box::new(move |at, y| {
                let given = |k: usize| operands.get(k)?.as_ref().map(|operand| operand[at]);
                match (name, given(0), given(1)) {
                    ("add", Some(a), Some(b)) => sum_is_exact(a, b),
                    ("sub", Some(a), Some(b)) => sum_is_exact(a, -b),
                    ("mul", Some(a), Some(b)) => a.mul_add(b, -y) == T::ZERO,
                    ("div", Some(a), Some(b)) => y.mul_add(b, -a) == T::ZERO,
                    // One of the operands, or its magnitude: `neg`, `relu`, `maximum`, `select`, ..
                    _ => (0..operands.len()).any(|k| given(k).is_some_and(|x| same_size(x, y))),
                }
            })
        }
        // What moves elements about, as `gather` does, gives elements of its inputs.
        Op::Reduce(..) | Op::Call(_) => {
            let all = operands.iter().flatten().flat_map(|operand| operand.iter());
            let given: HashSet<u64> = all.map(|x| x.magnitude().as_f64().to_bits()).collect();
            Box::new(move |_, y| given.contains(&y.magnitude().as_f64().to_bits()))
        }
    };
    let mut disturbed = value.contiguous();
    for (at, y) in disturbed.as_mut_slice().iter_mut().enumerate() {
        if *y == T::ZERO || !y.is_finite() || exact(at, *y) {
            continue;
        }
        let up = rng.next_u64() & 1 == 0;
        let unit = if up { T::epsilon() } else { -T::epsilon() };
        *y = y.mul_add(unit, *y);
    }
    *value = disturbed;
}

fn same_size<T: Float>(a: T, b: T) -> bool {
    a.magnitude() == b.magnitude()
}

/// Whether a sum is not rounded: by the error of a sum, which is a number (D. E. Knuth, The Art of
/// Computer Programming 2, 4.2.2).
fn sum_is_exact<T: Float>(a: T, b: T) -> bool {
    let sum = a + b;
    let b_seen = sum - a;
    let a_seen = sum - b_seen;
    (a - a_seen) + (b - b_seen) == T::ZERO
}
