//! Reductions on elements whose type is known only at run time.

use crate::element::{Dtype, Number, with_number};
use crate::kernel::dispatch::simd;
use crate::kernel::reduce::{BLOCK, Combine, Larger, Plus, Reduction, Smaller, Tree, merge, runs};

/// The loops of one reduction of one element type.
///
/// # Safety
/// Pointers must be aligned and valid for as many elements as each function says.
#[derive(Debug)]
pub(super) struct Reducer {
    pub size: usize,
    /// `(from, rows, width, to)`: each of `rows` runs of `width` elements into an element of `to`.
    pub runs: unsafe fn(*const u8, usize, usize, *mut u8),
    /// `(from, len, to, first)`: each block of `len` elements, the last of which may be shorter, into an element of `to` from
    /// number `first` on.
    pub blocks: unsafe fn(*const u8, usize, *mut u8, usize),
    /// `(from, count, to)`: the results of `count` blocks into one element.
    pub tree: unsafe fn(*const u8, usize, *mut u8),
    /// `(from, rows, width, to, begun)`: `rows` rows of `width` elements, one after
    /// the other into `to`, which holds the rows before them if `begun`.
    pub accumulate: unsafe fn(*const u8, usize, usize, *mut u8, bool),
    /// `(groups, count, width, to)`: the results of `count` groups of rows into one row; overwrites them.
    pub groups: unsafe fn(*mut u8, usize, usize, *mut u8),
}

impl Reducer {
    const fn of<T: Number, F: Combine<T>>() -> Reducer {
        Reducer {
            size: size_of::<T>(),
            runs: |from, rows, width, to| {
                // SAFETY: by the contract of `Reducer`.
                let (from, to) = unsafe {
                    (
                        std::slice::from_raw_parts(from.cast::<T>(), rows * width),
                        std::slice::from_raw_parts_mut(to.cast::<T>(), rows),
                    )
                };
                runs::<T, F>(from, width, to)
            },
            blocks: |from, len, to, first| {
                // SAFETY: by the contract of `Reducer`.
                let (from, to) = unsafe {
                    let to = to.cast::<T>().add(first);
                    (
                        std::slice::from_raw_parts(from.cast::<T>(), len),
                        std::slice::from_raw_parts_mut(to, len.div_ceil(BLOCK)),
                    )
                };
                let (whole, last) = from.split_at(len - len % BLOCK);
                let (blocks, end) = to.split_at_mut(len / BLOCK);
                runs::<T, F>(whole, BLOCK, blocks);
                if !last.is_empty() {
                    runs::<T, F>(last, last.len(), end);
                }
            },
            tree: |from, count, to| {
                let mut tree = Tree::<T, F>::new();
                // SAFETY: by the contract of `Reducer`.
                let from = unsafe { std::slice::from_raw_parts(from.cast::<T>(), count) };
                from.iter().for_each(|&x| tree.push(x));
                // SAFETY: as above.
                unsafe { to.cast::<T>().write(tree.finish()) }
            },
            accumulate: |from, rows, width, to, begun| {
                // SAFETY: by the contract of `Reducer`.
                let (from, to) = unsafe {
                    (
                        std::slice::from_raw_parts(from.cast::<T>(), rows * width),
                        std::slice::from_raw_parts_mut(to.cast::<T>(), width),
                    )
                };
                accumulate::<T, F>(from, to, begun)
            },
            groups: |groups, count, width, to| {
                // SAFETY: by the contract of `Reducer`.
                let (groups, to) = unsafe {
                    (
                        std::slice::from_raw_parts_mut(groups.cast::<T>(), count * width),
                        std::slice::from_raw_parts_mut(to.cast::<T>(), width),
                    )
                };
                in_pairs::<T, F>(groups, count, width);
                to.copy_from_slice(&groups[..width]);
            },
        }
    }
}

simd! {
    /// Combines rows of as many elements as `to` has into it, one after the other.
    fn accumulate<T: Number, F: Combine<T>>(from: &[T], to: &mut [T], begun: bool) {
        let mut rows = from.chunks_exact(to.len());
        if !begun && let Some(row) = rows.next() {
            to.copy_from_slice(row);
        }
        for row in rows {
            for (x, &y) in to.iter_mut().zip(row) {
                *x = F::combine(*x, y);
            }
        }
    }
}

/// Combines rows as [`Tree`] combines numbers; the result is in the first.
fn in_pairs<T: Number, F: Combine<T>>(rows: &mut [T], count: usize, width: usize) {
    let mut depth = 0;
    for done in 0..count {
        rows.copy_within(done * width..(done + 1) * width, depth * width);
        for _ in 0..done.trailing_ones() {
            depth -= 1;
            merge::<T, F>(&mut rows[depth * width..][..2 * width]);
        }
        depth += 1;
    }
    while depth > 1 {
        depth -= 1;
        merge::<T, F>(&mut rows[(depth - 1) * width..][..2 * width]);
    }
}

/// The loops for a reduction of an element type.
pub(super) fn reducer(kind: Reduction, dtype: Dtype) -> &'static Reducer {
    with_number!(dtype, T => match kind {
        Reduction::Sum => const { &Reducer::of::<T, Plus>() },
        Reduction::Max => const { &Reducer::of::<T, Larger>() },
        Reduction::Min => const { &Reducer::of::<T, Smaller>() },
    })
}
