//! Rows combined into one: in turn within groups, and groups in pairs.

use super::lanes::Combine;
use super::{LARGE, nanoseconds};
use crate::element::Number;
use crate::kernel::dispatch::simd;
use crate::kernel::scratch::filled;
use crate::kernel::threads;
use crate::kernel::walk::Places;
use std::marker::PhantomData;

/// Rows that are combined in turn before such groups are combined in pairs.
pub(crate) const GROUP: usize = 64;
/// Columns that are worked on at once, so that their partial results stay in the nearest cache.
const PANEL: usize = 512;
/// Rows that are read together.
const TOGETHER: usize = 8;

/// Rows that are combined in pairs, pairs of pairs, and so on, as they come: a [`Tree`](super::Tree) with rows for numbers.
#[derive(Debug)]
pub(super) struct RowTree<'p, T, F> {
    /// The subtrees that are complete, one row after the other, largest first; and room for one more.
    partial: &'p mut [T],
    width: usize,
    /// The rows that were combined so far.
    count: usize,
    combine: PhantomData<F>,
}

impl<T: Number, F: Combine<T>> RowTree<'_, T, F> {
    /// Calls `f` with a tree of no rows yet: there will be `count` at most, each of at most `width` elements.
    pub fn with<R>(count: usize, width: usize, f: impl FnOnce(&mut RowTree<'_, T, F>) -> R) -> R {
        let subtrees = (usize::BITS - count.leading_zeros()) as usize;
        filled((subtrees + 1) * width, F::IDENTITY, |partial| {
            f(&mut RowTree {
                partial,
                width,
                count: 0,
                combine: PhantomData,
            })
        })
    }

    /// Forgets all rows; the next ones have `width` elements, no more than those that the tree was made for.
    pub fn begin(&mut self, width: usize) {
        (self.width, self.count) = (width, 0);
    }

    /// Adds the next row, which `write` leaves in the place that it is given.
    #[inline]
    pub fn push(&mut self, write: impl FnOnce(&mut [T])) {
        let width = self.width;
        let mut depth = self.count.count_ones() as usize;
        write(&mut self.partial[depth * width..][..width]);
        for _ in 0..self.count.trailing_ones() {
            depth -= 1;
            merge::<T, F>(&mut self.partial[depth * width..][..2 * width]);
        }
        self.count += 1;
    }

    /// All rows combined, of which there must be one. Then the tree can [`begin`](RowTree::begin) anew.
    pub fn finish(&mut self) -> &[T] {
        let width = self.width;
        for depth in (1..self.count.count_ones() as usize).rev() {
            merge::<T, F>(&mut self.partial[(depth - 1) * width..][..2 * width]);
        }
        self.count = 0;
        &self.partial[..width]
    }
}

/// Rows of as many contiguous elements as `out` has, which begin at `places`, combined into `out`.
pub(super) fn rows<T: Number, F: Combine<T>>(source: &[T], places: Places<'_, 1>, out: &mut [T]) {
    let (count, width) = (places.len(), out.len());
    let work = nanoseconds(count * width);
    // A power of two of groups, so that their trees are subtrees of the whole.
    let part = GROUP * (LARGE / (GROUP * width)).next_power_of_two();
    if count * width < 2 * LARGE {
        panels::<T, F>(source, places, out);
    } else if count <= part || width >= 16 * PANEL {
        threads::each_chunk(out, 4 * PANEL, work, |panel, out| {
            panels::<T, F>(&source[4 * PANEL * panel..], places.clone(), out);
        });
    } else {
        let parts = count.div_ceil(part);
        filled(parts * width, F::IDENTITY, |partial| {
            threads::each_chunk(partial, width, work, |i, out| {
                let places = places.clone().part(i * part, part);
                panels::<T, F>(source, places, out);
            });
            RowTree::<T, F>::with(parts, width, |tree| {
                for row in partial.chunks_exact(width) {
                    tree.push(|place| place.copy_from_slice(row));
                }
                out.copy_from_slice(tree.finish());
            });
        });
    }
}

/// As [`rows`], on this thread.
fn panels<T: Number, F: Combine<T>>(source: &[T], places: Places<'_, 1>, out: &mut [T]) {
    let mut next = [0; GROUP];
    let width = PANEL.min(out.len());
    let panels = out.chunks_mut(PANEL).enumerate();
    if places.len() <= GROUP {
        for (panel, out) in panels {
            let count = places.clone().fill(&mut next);
            group::<T, F>(&source[panel * PANEL..], &next[..count], out);
        }
        return;
    }
    RowTree::<T, F>::with(places.len().div_ceil(GROUP), width, |tree| {
        for (panel, out) in panels {
            let mut places = places.clone();
            tree.begin(out.len());
            while places.len() > 0 {
                let count = places.fill(&mut next);
                tree.push(|row| group::<T, F>(&source[panel * PANEL..], &next[..count], row));
            }
            out.copy_from_slice(tree.finish());
        }
    });
}

/// Calls a function for rows of a few elements, whose number the compiler then knows, or else another expression.
macro_rules! by_width {
    ($width:expr, $f:ident($($arg:expr),*), $others:block) => {
        match $width {
            2 => $f::<T, F, 2>($($arg),*),
            3 => $f::<T, F, 3>($($arg),*),
            4 => $f::<T, F, 4>($($arg),*),
            5 => $f::<T, F, 5>($($arg),*),
            6 => $f::<T, F, 6>($($arg),*),
            7 => $f::<T, F, 7>($($arg),*),
            8 => $f::<T, F, 8>($($arg),*),
            _ => $others,
        }
    };
}

simd! {
    /// Each of the tables of `count` rows that `source` consists of, at most [`GROUP`], into a row of `out`.
    pub(super) fn tables<T: Number, F: Combine<T>>(
        source: &[T],
        count: usize,
        width: usize,
        out: &mut [T],
    ) {
        by_width!(width, narrow_tables(source, count, out), {
            for (table, out) in source
                .chunks_exact(count * width)
                .zip(out.chunks_exact_mut(width))
            {
                let (first, others) = table.split_at(width);
                out.copy_from_slice(first);
                for row in others.chunks_exact(width) {
                    for (x, &y) in out.iter_mut().zip(row) {
                        *x = F::combine(*x, y);
                    }
                }
            }
        })
    }
}

#[inline(always)]
fn narrow_tables<T: Number, F: Combine<T>, const W: usize>(
    source: &[T],
    count: usize,
    out: &mut [T],
) {
    let (rows, out) = (source.as_chunks::<W>().0, out.as_chunks_mut::<W>().0);
    for (table, out) in rows.chunks_exact(count).zip(out) {
        let mut sums = table[0];
        for row in &table[1..] {
            sums = std::array::from_fn(|i| F::combine(sums[i], row[i]));
        }
        *out = sums;
    }
}

simd! {
    /// Combines the rows that begin at `places`, of which there is at least one, in turn into `out`.
    fn group<T: Number, F: Combine<T>>(source: &[T], places: &[usize], out: &mut [T]) {
        let width = out.len();
        by_width!(width, narrow_group(source, places, out), {
            let row = |place: usize| &source[place..place + width];
            let (&first, others) = places.split_first().unwrap_or((&0, &[]));
            out.copy_from_slice(row(first));
            let (eights, rest) = others.as_chunks::<TOGETHER>();
            for &eight in eights {
                let eight = eight.map(row);
                for (i, x) in out.iter_mut().enumerate() {
                    *x = eight.iter().fold(*x, |sum, row| F::combine(sum, row[i]));
                }
            }
            for &place in rest {
                for (x, &y) in out.iter_mut().zip(row(place)) {
                    *x = F::combine(*x, y);
                }
            }
        })
    }
}

#[inline(always)]
fn narrow_group<T: Number, F: Combine<T>, const W: usize>(
    source: &[T],
    places: &[usize],
    out: &mut [T],
) {
    let row = |place: usize| -> [T; W] {
        let row = &source[place..place + W];
        std::array::from_fn(|i| row[i])
    };
    let (&first, others) = places.split_first().unwrap_or((&0, &[]));
    let mut sums = row(first);
    for &place in others {
        let row = row(place);
        sums = std::array::from_fn(|i| F::combine(sums[i], row[i]));
    }
    out.copy_from_slice(&sums);
}

simd! {
    /// Combines the second half of `rows` into the first.
    pub(crate) fn merge<T: Number, F: Combine<T>>(rows: &mut [T]) {
        let (first, second) = rows.split_at_mut(rows.len() / 2);
        for (x, &y) in first.iter_mut().zip(second.iter()) {
            *x = F::combine(*x, y);
        }
    }
}
