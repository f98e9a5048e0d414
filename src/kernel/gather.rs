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
            if self.index[0] == 0 && out.len() >= inner && self.axes.len() > 1 {
                // Whole rows, as many as follow each other along the next axis.
                let (size, stride) = self.axes[1];
                let rows = (size - self.index[1]).min(out.len() / inner);
                let (now, rest) = out.split_at_mut(rows * inner);
                for row in now.chunks_exact_mut(inner) {
                    read_run(source, self.position, step, row);
                    self.position += stride;
                }
                out = rest;
                self.index[1] += rows;
                self.carry(1);
            } else {
                let run = (inner - self.index[0]).min(out.len());
                let (now, rest) = out.split_at_mut(run);
                read_run(source, self.position, step, now);
                out = rest;
                self.index[0] += run;
                self.position += run as isize * step;
                self.carry(0);
            }
        }
    }

    /// Goes on along the axis after `k`, and so on, where an axis is at its end.
    #[inline]
    fn carry(&mut self, mut k: usize) {
        while self.index[k] == self.axes[k].0 && k + 1 < self.axes.len() {
            self.position -= self.axes[k].0 as isize * self.axes[k].1;
            self.index[k] = 0;
            k += 1;
            self.index[k] += 1;
            self.position += self.axes[k].1;
        }
    }
}

/// So few elements are copied one by one: a call would take longer.
const FEW: usize = 8;

/// Elements at equal distances.
#[inline(always)]
fn read_run<T: Copy>(source: &[T], mut position: isize, step: isize, out: &mut [T]) {
    let first = position as usize;
    match step {
        1 if out.len() > FEW => out.copy_from_slice(&source[first..first + out.len()]),
        0 => out.fill(source[first]),
        _ => {
            for out in out {
                *out = source[position as usize];
                position += step;
            }
        }
    }
}
