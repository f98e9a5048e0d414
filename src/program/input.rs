//! The inputs of a program: their shapes, and the tensors of a run.

use crate::element::{Dtype, Element, Slice};
use crate::error::{Error, ErrorKind, OutOfMemory};
use crate::shape::Shape;
use crate::tape::{TapeRef, Var};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;

/// The size of an axis of an input: a number, or `None` for the batch axis, which has another size in each run.
pub trait Size {
    /// The size, if it is fixed.
    fn size(self) -> Option<usize>;
}

impl Size for usize {
    fn size(self) -> Option<usize> {
        Some(self)
    }
}

impl Size for Option<usize> {
    fn size(self) -> Option<usize> {
        self
    }
}

/// The sizes of all axes of an input: an array or slice of [`Size`]s, or a tuple, in which numbers and `None` may stand side
/// by side.
pub trait Sizes {
    /// The sizes, `None` where an axis is open.
    fn sizes(self) -> SmallVec<[Option<usize>; 4]>;
}

impl<S: Size, const N: usize> Sizes for [S; N] {
    fn sizes(self) -> SmallVec<[Option<usize>; 4]> {
        self.into_iter().map(S::size).collect()
    }
}

impl Sizes for &[usize] {
    fn sizes(self) -> SmallVec<[Option<usize>; 4]> {
        self.iter().map(|&n| Some(n)).collect()
    }
}

impl Sizes for &Shape {
    fn sizes(self) -> SmallVec<[Option<usize>; 4]> {
        self[..].sizes()
    }
}

macro_rules! sizes {
    ($($s:ident),*) => {
        impl<$($s: Size),*> Sizes for ($($s,)*) {
            #[allow(non_snake_case)]
            fn sizes(self) -> SmallVec<[Option<usize>; 4]> {
                let ($($s,)*) = self;
                SmallVec::from_iter([$($s.size()),*])
            }
        }
    };
}
sizes!();
sizes!(A);
sizes!(A, B);
sizes!(A, B, C);
sizes!(A, B, C, D);
sizes!(A, B, C, D, E);

/// An input of a [`Program`](crate::Program): an element type and a shape, of which one axis, that of the batch, may be open.
///
/// ```
/// use wengert::{Input, ProgramInput};
/// let images = ProgramInput::<f32>::new((None, 784));
/// assert_eq!(images.to_string(), "f32[_, 784]");
/// assert_eq!(ProgramInput::<i64>::new([None]).to_string(), "i64[_]");
/// assert_eq!(ProgramInput::<f32>::new([2, 3]).to_string(), "f32[2, 3]");
/// assert_eq!(ProgramInput::<f32>::batch([784]).to_string(), images.to_string());
/// ```
#[derive(Clone, Debug)]
pub struct Input<T: Element = f32> {
    sizes: SmallVec<[Option<usize>; 4]>,
    element: PhantomData<T>,
}

impl<T: Element> Input<T> {
    /// An input of these sizes, `()` for a scalar; `None` for the batch axis. All open axes of a program have one size, that of the
    /// batch.
    pub fn new(sizes: impl Sizes) -> Self {
        Input {
            sizes: sizes.sizes(),
            element: PhantomData,
        }
    }

    /// An input whose first axis is open: items of this shape, `[]` for scalars.
    ///
    /// ```
    /// use wengert::ProgramInput;
    /// assert_eq!(ProgramInput::<f64>::batch([]).to_string(), "f64[_]");
    /// assert_eq!(ProgramInput::<f64>::batch([2, 3]).to_string(), "f64[_, 2, 3]");
    /// ```
    pub fn batch(item: impl Into<Shape>) -> Self {
        let mut sizes = SmallVec::from_slice(&[None]);
        sizes.extend(item.into().iter().map(|&size| Some(size)));
        Input {
            sizes,
            element: PhantomData,
        }
    }

    /// The shape for a batch of this size.
    fn shape(&self, batch: usize) -> Shape {
        self.sizes
            .iter()
            .map(|size| size.unwrap_or(batch))
            .collect()
    }

    /// The size of the batch that a tensor says.
    fn batch_of(
        &self,
        index: usize,
        shape: &Shape,
        batch: &mut Option<usize>,
    ) -> Result<(), Error> {
        let fits = self.sizes.len() == shape.rank()
            && self
                .sizes
                .iter()
                .zip(shape.iter())
                .all(|(size, n)| size.is_none_or(|size| size == *n));
        if !fits {
            let message =
                format!("program: input {index} has shape {shape}, but {self} was recorded");
            return Err(Error::new(ErrorKind::Shape, message));
        }
        for (size, &n) in self.sizes.iter().zip(shape.iter()) {
            if size.is_none() && *batch.get_or_insert(n) != n {
                let message = format!(
                    "program: input {index} has shape {shape}, but the batch has {} items by what comes before",
                    batch.unwrap_or_default()
                );
                return Err(Error::new(ErrorKind::Shape, message));
            }
        }
        Ok(())
    }
}

impl<T: Element> fmt::Display for Input<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", T::DTYPE)?;
        for (k, size) in self.sizes.iter().enumerate() {
            let comma = if k > 0 { ", " } else { "" };
            match size {
                Some(size) => write!(f, "{comma}{size}")?,
                None => write!(f, "{comma}_")?,
            }
        }
        f.write_str("]")
    }
}

/// The inputs of a program: an array of [`Input`]s of one type, a vector of them, or a tuple of several types.
pub trait Inputs: fmt::Debug + Send + Sync {
    /// What the function that is recorded is given: a variable for each input.
    type Vars;
    /// What a run is given: a tensor for each input.
    type Tensors<'a>;
    /// Element type and sizes of each input.
    #[doc(hidden)]
    fn describe(&self, visit: &mut dyn FnMut(Dtype, &[Option<usize>]));
    /// Records a leaf for each input, for a batch of this size.
    #[doc(hidden)]
    fn leaves(&self, tape: TapeRef, batch: usize, visit: &mut dyn FnMut(u32)) -> Self::Vars;
    /// Begins to record a program: a leaf for each input, which belong to this line, and their indices.
    #[doc(hidden)]
    fn begin(
        &self,
        tape: TapeRef,
        batch: usize,
        location: &'static Location<'static>,
    ) -> (Self::Vars, Vec<u32>) {
        tape.set_recording(true);
        let _line = tape.attribute_to(location);
        let mut leaves = Vec::new();
        let vars = self.leaves(tape, batch, &mut |leaf| leaves.push(leaf));
        (vars, leaves)
    }
    /// Calls `run` with the elements of the tensors, and the size of the batch.
    #[doc(hidden)]
    fn given<R>(
        &self,
        tensors: Self::Tensors<'_>,
        run: impl FnOnce(&[Slice<'_>], Option<usize>) -> Result<R, Error>,
    ) -> Result<R, Error>;
}

fn leaf<T: Element>(
    input: &Input<T>,
    tape: TapeRef,
    batch: usize,
    visit: &mut dyn FnMut(u32),
) -> Var<T> {
    let leaf = tape.awaited(&input.shape(batch));
    visit(leaf.index);
    leaf
}

/// The elements of input `index` in row-major order: those of the tensor, or a copy.
fn row_major<T: Element>(index: usize, tensor: &Tensor<T>) -> Result<Cow<'_, [T]>, Error> {
    if let Some(slice) = tensor.as_slice() {
        return Ok(Cow::Borrowed(slice));
    }
    let mut elements = Vec::new();
    elements.try_reserve_exact(tensor.len()).map_err(|_| {
        let bytes = tensor.len().saturating_mul(T::DTYPE.size());
        let message = format!(
            "program: a copy of input {index}: {}",
            OutOfMemory { bytes }
        );
        Error::new(ErrorKind::Memory, message)
    })?;
    elements.resize(tensor.len(), T::ZERO);
    tensor.copy_into(&mut elements);
    Ok(Cow::Owned(elements))
}

impl<T: Element, const N: usize> Inputs for [Input<T>; N] {
    type Vars = [Var<T>; N];
    type Tensors<'a> = [&'a Tensor<T>; N];

    fn describe(&self, visit: &mut dyn FnMut(Dtype, &[Option<usize>])) {
        self.iter().for_each(|input| visit(T::DTYPE, &input.sizes));
    }

    fn leaves(&self, tape: TapeRef, batch: usize, visit: &mut dyn FnMut(u32)) -> [Var<T>; N] {
        std::array::from_fn(|k| leaf(&self[k], tape, batch, visit))
    }

    fn given<R>(
        &self,
        tensors: [&Tensor<T>; N],
        run: impl FnOnce(&[Slice<'_>], Option<usize>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        of_one_type(self, &tensors, run)
    }
}

impl<T: Element> Inputs for Vec<Input<T>> {
    type Vars = Vec<Var<T>>;
    type Tensors<'a> = &'a [&'a Tensor<T>];

    fn describe(&self, visit: &mut dyn FnMut(Dtype, &[Option<usize>])) {
        self.iter().for_each(|input| visit(T::DTYPE, &input.sizes));
    }

    fn leaves(&self, tape: TapeRef, batch: usize, visit: &mut dyn FnMut(u32)) -> Vec<Var<T>> {
        self.iter()
            .map(|input| leaf(input, tape, batch, visit))
            .collect()
    }

    fn given<R>(
        &self,
        tensors: &[&Tensor<T>],
        run: impl FnOnce(&[Slice<'_>], Option<usize>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        if tensors.len() != self.len() {
            let message = format!(
                "program: {} tensors were given, but it has {} inputs",
                tensors.len(),
                self.len()
            );
            return Err(Error::new(ErrorKind::Shape, message));
        }
        of_one_type(self, tensors, run)
    }
}

fn of_one_type<T: Element, R>(
    inputs: &[Input<T>],
    tensors: &[&Tensor<T>],
    run: impl FnOnce(&[Slice<'_>], Option<usize>) -> Result<R, Error>,
) -> Result<R, Error> {
    let mut batch = None;
    let mut elements: SmallVec<[_; 4]> = SmallVec::new();
    for (k, (input, tensor)) in inputs.iter().zip(tensors).enumerate() {
        input.batch_of(k, tensor.shape(), &mut batch)?;
        elements.push(row_major(k, tensor)?);
    }
    let slices: SmallVec<[Slice<'_>; 4]> = elements.iter().map(|e| T::erase(&e[..])).collect();
    run(&slices, batch)
}

macro_rules! inputs {
    ($($t:ident.$k:tt),*) => {
        impl<$($t: Element),*> Inputs for ($(Input<$t>,)*) {
            type Vars = ($(Var<$t>,)*);
            type Tensors<'a> = ($(&'a Tensor<$t>,)*);

            fn describe(&self, visit: &mut dyn FnMut(Dtype, &[Option<usize>])) {
                $(visit($t::DTYPE, &self.$k.sizes);)*
            }

            fn leaves(&self, tape: TapeRef, batch: usize, visit: &mut dyn FnMut(u32)) -> Self::Vars {
                ($(leaf(&self.$k, tape, batch, visit),)*)
            }

            fn given<R>(
                &self,
                tensors: Self::Tensors<'_>,
                run: impl FnOnce(&[Slice<'_>], Option<usize>) -> Result<R, Error>,
            ) -> Result<R, Error> {
                let mut batch = None;
                $(self.$k.batch_of($k, tensors.$k.shape(), &mut batch)?;)*
                let elements = ($(row_major($k, tensors.$k)?,)*);
                run(&[$($t::erase(&elements.$k[..])),*], batch)
            }
        }
    };
}
inputs!(A.0);
inputs!(A.0, B.1);
inputs!(A.0, B.1, C.2);
inputs!(A.0, B.1, C.2, D.3);
inputs!(A.0, B.1, C.2, D.3, E.4);
inputs!(A.0, B.1, C.2, D.3, E.4, G.5);
