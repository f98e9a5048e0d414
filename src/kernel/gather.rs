//! Reading the elements of a strided layout in row-major order, a block at a time.

use crate::shape::Layout;
use smallvec::SmallVec;

/// A place in the row-major walk over a layout.
pub(crate) struct Cursor {
    /// As [`Layout::merged_axes`] says; at least one.
    axes: SmallVec<[(usize, isize); 6]>,
    index: SmallVec<[usize; 6]>,
    /// The place of the next element.
    position: isize,
}

impl Cursor {
    /// At the first element.
    pub fn new(layout: &Layout) -> Self {
        let mut axes = layout.merged_axes();
        if axes.is_empty() {
            axes.push((1, 1));
        }
        let index = SmallVec::from_elem(0, axes.len());
        Cursor {
            axes,
            index,
            position: layout.offset() as isize,
        }
    }

    /// At the element with number `element`.
    pub fn at(layout: &Layout, element: usize) -> Self {
        let mut cursor = Cursor::new(layout);
        let mut rest = element;
        for (index, &(size, stride)) in cursor.index.iter_mut().zip(&cursor.axes) {
            *index = rest % size;
            rest /= size;
            cursor.position += *index as isize * stride;
        }
        cursor
    }

    /// Fills `out` with the next elements; there must be as many.
    pub fn read<T: Copy>(&mut self, source: &[T], mut out: &mut [T]) {
        let (inner, step) = self.axes[0];
        while !out.is_empty() {
            let run = (inner - self.index[0]).min(out.len());
            let (now, rest) = out.split_at_mut(run);
            let first = self.position as usize;
            match step {
                1 => now.copy_from_slice(&source[first..first + run]),
                0 => now.fill(source[first]),
                _ => {
                    let mut position = self.position;
                    for out in now {
                        *out = source[position as usize];
                        position += step;
                    }
                }
            }
            out = rest;
            self.advance(run);
        }
    }

    fn advance(&mut self, run: usize) {
        self.index[0] += run;
        self.position += run as isize * self.axes[0].1;
        let mut k = 0;
        while self.index[k] == self.axes[k].0 && k + 1 < self.axes.len() {
            self.position -= self.axes[k].0 as isize * self.axes[k].1;
            self.index[k] = 0;
            k += 1;
            self.index[k] += 1;
            self.position += self.axes[k].1;
        }
    }
}
