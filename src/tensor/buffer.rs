//! A computed value: a storage and, unless it is read in row-major order from the start, how.

use super::Tensor;
use super::pool::{AnyStorage, Storages};
use crate::element::Element;
use crate::shape::{Layout, Shape};

/// The value of a node. Its shape is that of the node.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    pub storage: AnyStorage,
    /// `None`: row-major from the start of the storage.
    pub layout: Option<Box<Layout>>,
}

impl Buffer {
    /// A value in row-major order from the start of its storage.
    #[inline]
    pub fn plain(storage: AnyStorage) -> Self {
        Buffer {
            storage,
            layout: None,
        }
    }

    /// A value seen through a layout.
    pub fn viewed(storage: AnyStorage, layout: Layout) -> Self {
        let plain = layout.offset() == 0 && layout.is_contiguous();
        Buffer {
            storage,
            layout: (!plain).then(|| Box::new(layout)),
        }
    }

    /// The value of a tensor.
    #[inline]
    pub fn of<T: Element>(tensor: &Tensor<T>) -> Self {
        let storage = T::erase::<Storages>(tensor.storage().clone());
        let layout = tensor.layout();
        let plain = layout.offset() == 0 && layout.is_contiguous();
        Buffer {
            storage,
            layout: (!plain).then(|| Box::new(layout.clone())),
        }
    }

    /// The layout, given the shape of the node.
    pub fn layout_for(&self, shape: &Shape) -> Layout {
        match &self.layout {
            Some(layout) => (**layout).clone(),
            None => Layout::contiguous(shape.clone()),
        }
    }

    /// The value as a tensor; `None` if the elements are of another type.
    pub fn into_tensor<T: Element>(self, shape: &Shape) -> Option<Tensor<T>> {
        let layout = match self.layout {
            Some(layout) => *layout,
            None => Layout::contiguous(shape.clone()),
        };
        Some(Tensor::from_parts(T::restore(self.storage)?, layout))
    }
}
