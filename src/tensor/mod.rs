//! N-dimensional arrays: shared storage, copy on write, strided views.
//!
//! A [`Tensor`] holds data and says how it is laid out; it does no arithmetic. Arithmetic is recorded on a
//! [`Tape`](crate::Tape).

mod buffer;
mod compare;
mod construct;
mod display;
mod index;
mod pool;
mod random;
mod select;
mod storage;
mod view;

use crate::element::{Any, Element, Family};
use crate::shape::{Layout, Shape};
use std::sync::Arc;

pub(crate) use buffer::Buffer;
pub use index::Iter;
pub(crate) use pool::{AnyStorage, Pool, Storages};
pub(crate) use storage::Storage;

/// An n-dimensional array of `f32`, `f64`, `i64` or `bool`.
///
/// A clone and a view (reshape, transpose, slice, ..) share the storage of the original and cost nothing. Changing an element
/// copies the storage first if anyone else can see it.
///
/// ```
/// use wengert::prelude::*;
/// let x = Tensor::<f32>::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
/// let mut column = x.t().row(1);
/// assert_eq!(column, Tensor::from([2.0, 5.0]));
/// column[[0]] = 9.0;
/// assert_eq!(x[[0, 1]], 2.0);
/// ```
#[derive(Clone)]
pub struct Tensor<T: Element = f32> {
    storage: Arc<Storage<T>>,
    layout: Layout,
}

/// Tensors: the family behind [`AnyTensor`].
#[derive(Debug)]
pub struct Tensors;
impl Family for Tensors {
    type Of<T: Element> = Tensor<T>;
}
/// A tensor of any element type.
pub type AnyTensor = Any<Tensors>;

impl<T: Element> Tensor<T> {
    /// A tensor over storage that someone may share.
    pub(crate) fn from_parts(storage: Arc<Storage<T>>, layout: Layout) -> Self {
        Tensor { storage, layout }
    }

    /// Makes the storage hold these elements in row-major order, nothing else, and nobody else see it.
    pub(crate) fn settle(&mut self) {
        let whole = self.layout.offset() == 0
            && self.storage.len() == self.shape().size()
            && self.layout.is_contiguous();
        if !whole || Arc::get_mut(&mut self.storage).is_none() {
            let storage = Arc::new(Storage::copy_of(&self.to_vec()));
            *self = Tensor::from_parts(storage, Layout::contiguous(self.shape().clone()));
        }
    }

    /// Exchanges the storage, which must hold as many elements in row-major order by the time anybody looks.
    pub(crate) fn exchange(&mut self, storage: &mut Arc<Storage<T>>) {
        std::mem::swap(&mut self.storage, storage);
    }

    /// The storage and the layout.
    pub(crate) fn into_parts(self) -> (Arc<Storage<T>>, Layout) {
        (self.storage, self.layout)
    }

    /// The whole storage, in which the elements lie as the layout says.
    pub(crate) fn storage(&self) -> &Arc<Storage<T>> {
        &self.storage
    }

    /// How the elements lie in the storage.
    #[inline]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The size of each axis.
    #[inline]
    pub fn shape(&self) -> &Shape {
        self.layout.shape()
    }
}
