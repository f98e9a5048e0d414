//! What a checked run says of a value that is not finite.

use super::execute::{Fault, unique};
use super::lower;
use super::needed::Targets;
use super::plan::{Form, Given, Place};
use super::value::copy;
use crate::element::{Any, Dtype, Element, Slice, with_dtype};
use crate::kernel::memory::Memory;
use crate::shape::{Layout, Shape};
use crate::tape::{Graph, Op};
use crate::tensor::{Pool, Storage, Storages};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// A value as a checked run saw it.
#[derive(Clone, Debug)]
pub struct Observed {
    name: &'static str,
    dtype: Dtype,
    shape: Shape,
    location: &'static Location<'static>,
    range: Option<(f64, f64)>,
    nans: usize,
    infinite: usize,
    first: Option<usize>,
}

impl Observed {
    /// The name of the operation that computed it; `leaf` for a tensor that was given, `fill` for a number.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The element type.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The size of each axis.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The line that recorded it.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// The smallest and the largest finite element; `None` if there is none. Truth values count as 0 and 1.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.range
    }

    /// How many elements are NaN.
    pub fn nans(&self) -> usize {
        self.nans
    }

    /// How many elements are infinite.
    pub fn infinite(&self) -> usize {
        self.infinite
    }

    fn new(graph: &Graph, node: u32, data: Slice<'_>, layout: &Layout) -> Self {
        let this = graph.node(node);
        let mut observed = Observed {
            name: this.op.name(),
            dtype: this.dtype,
            shape: Shape::clone(&this.shape),
            location: this.location,
            range: None,
            nans: 0,
            infinite: 0,
            first: None,
        };
        in_order(data, layout, |elements| match elements {
            Any::F32(elements) => observed.look(elements, f64::from),
            Any::F64(elements) => observed.look(elements, |x| x),
            Any::I64(elements) => observed.look(elements, |x| x as f64),
            Any::Bool(elements) => observed.look(elements, |x| f64::from(u8::from(x))),
        });
        observed
    }

    fn look<T: Copy>(&mut self, elements: &[T], number: impl Fn(T) -> f64) {
        for (at, &element) in elements.iter().enumerate() {
            let x = number(element);
            if x.is_finite() {
                let (least, most) = self.range.unwrap_or((x, x));
                self.range = Some((least.min(x), most.max(x)));
            } else {
                self.nans += usize::from(x.is_nan());
                self.infinite += usize::from(x.is_infinite());
                self.first.get_or_insert(at);
            }
        }
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}, ", self.name, self.dtype, self.shape)?;
        match self.range {
            Some((least, most)) => write!(f, "from {least:?} to {most:?}")?,
            None if self.shape.size() == 0 => write!(f, "no elements")?,
            None => write!(f, "nothing finite")?,
        }
        if self.nans + self.infinite > 0 {
            write!(f, ", {} NaN and {} infinite", self.nans, self.infinite)?;
        }
        write!(f, " (recorded at {})", self.location)
    }
}

/// The first value of a run, in the order of recording, that is not finite: what [`run_checked`](crate::TapeRef::run_checked) found.
#[derive(Clone, Debug)]
pub struct NonFinite(Box<Found>);

#[derive(Clone, Debug)]
struct Found {
    output: Observed,
    first: Vec<usize>,
    inputs: Vec<Observed>,
}

impl NonFinite {
    /// The name of the operation; `leaf` for a tensor that was given.
    pub fn operation(&self) -> &'static str {
        self.0.output.name
    }

    /// The line that recorded the operation, or gave the tensor.
    pub fn location(&self) -> &'static Location<'static> {
        self.0.output.location
    }

    /// The value.
    pub fn output(&self) -> &Observed {
        &self.0.output
    }

    /// The index of its first element, in row-major order, that is not finite.
    pub fn first(&self) -> &[usize] {
        &self.0.first
    }

    /// What the operation was given.
    pub fn inputs(&self) -> &[Observed] {
        &self.0.inputs
    }
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found {
            output,
            first,
            inputs,
        } = &*self.0;
        write!(
            f,
            "{}: {} NaN and {} infinite among the {} elements of {} {}, the first at {first:?} (recorded at {})",
            output.name,
            output.nans,
            output.infinite,
            output.shape.size(),
            output.dtype,
            output.shape,
            output.location
        )?;
        for (k, input) in inputs.iter().enumerate() {
            write!(f, "\n  input {k}: {input}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NonFinite {}

/// Calls `each` with the elements of a layout in row-major order.
pub(super) fn in_order(data: Slice<'_>, layout: &Layout, each: impl FnOnce(Slice<'_>)) {
    let size = layout.shape().size();
    if size == 0 {
        return;
    }
    if layout.is_contiguous() {
        return each(data.range(layout.offset(), size));
    }
    with_dtype!(data.dtype(), T => {
        let mut elements = Storage::<T>::zeroed(size, size);
        copy(data, layout, T::erase(&mut elements[..]));
        each(T::erase::<Storages>(Arc::new(elements)).as_slice());
    });
}

/// Whether all elements are finite.
pub(super) fn all_finite(data: Slice<'_>) -> bool {
    // Without a way out within a chunk, so that the loop vectorizes.
    fn all<T: Copy>(elements: &[T], finite: impl Fn(T) -> bool) -> bool {
        let mut chunks = elements.chunks(1024);
        chunks.all(|chunk| chunk.iter().fold(true, |all, &x| all & finite(x)))
    }
    match data {
        Any::F32(elements) => all(elements, f32::is_finite),
        Any::F64(elements) => all(elements, f64::is_finite),
        Any::I64(_) | Any::Bool(_) => true,
    }
}

impl Graph {
    /// Says what a node whose value is not finite is, and what it is given.
    pub(super) fn found(&self, node: u32) -> Result<NonFinite, Fault> {
        let mut looked: Targets = self.node(node).inputs.iter().copied().collect();
        looked.push(node);
        let mut observed = self.observe(&looked)?;
        let Some(output) = observed.pop() else {
            unreachable!("the node itself was looked at");
        };
        let mut rest = output.first.unwrap_or_default();
        let sizes = output.shape.iter().rev();
        let mut first: Vec<usize> = sizes
            .map(|&size| {
                let at = rest % size.max(1);
                rest /= size.max(1);
                at
            })
            .collect();
        first.reverse();
        Ok(NonFinite(Box::new(Found {
            output,
            first,
            inputs: observed,
        })))
    }

    /// Looks at values, after computing those that are not there, which are not kept.
    fn observe(&self, nodes: &[u32]) -> Result<Vec<Observed>, Fault> {
        let missing = |&node: &u32| {
            self.values[node as usize].is_none() && !matches!(self.node(node).op, Op::Fill(_))
        };
        let missing: Targets = nodes.iter().copied().filter(missing).collect();
        let needed = self.needed(&missing);
        let plan = lower::plan(
            self,
            &needed.order,
            |node| missing.contains(&node),
            Form::Fused,
        );
        let mut memory = Memory::default();
        let mut results = plan.room(&mut Pool::default(), &mut memory)?;
        let inputs = plan.inputs.iter().map(|given| self.read(given));
        let written = results.iter_mut().map(unique);
        plan.execute(inputs, written, &mut memory)?;
        let look = |&node: &u32| {
            let shape = &self.node(node).shape;
            let plain = || Layout::contiguous(Shape::clone(shape));
            let fetched = plan.fetched.iter().find(|fetched| fetched.node == node);
            if let Some(fetched) = fetched {
                let data = match fetched.place {
                    Place::Input(input) => self.read(&plan.inputs[input as usize]),
                    Place::Result(result) => match &results[result as usize] {
                        Some(storage) => storage.as_slice(),
                        None => unreachable!("a result that was written"),
                    },
                    Place::Temporary(_) => {
                        unreachable!("a value that is kept has storage of its own")
                    }
                };
                let layout = fetched.layout.clone().unwrap_or_else(plain);
                return Observed::new(self, node, data, &layout);
            }
            match &self.values[node as usize] {
                Some(value) => Observed::new(
                    self,
                    node,
                    value.storage.as_slice(),
                    &value.layout_for(shape),
                ),
                None => {
                    let number = Layout::contiguous(Shape::scalar()).expand(shape);
                    Observed::new(self, node, self.read(&Given::Number(node)), &number)
                }
            }
        };
        Ok(nodes.iter().map(look).collect())
    }
}
