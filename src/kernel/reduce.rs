//! Sums, maxima and minima along axes.
//!
//! Numbers are combined along a fixed tree. Neighbors: several lanes within a [`block`], and blocks in pairs. Rows: in turn within a
//! group, and groups in pairs. The tree depends on sizes and strides only, never on the processor or the number of threads, so that a sum has the same bits everywhere; its rounding error grows with the
//! logarithm of the number of terms beyond one block (N. J. Higham, "The accuracy of floating point summation", 1993).

mod lanes;
mod rows;

use super::scratch::filled;
use super::threads;
use super::walk::{Walk, assert_within};
use crate::element::Number;
use crate::shape::Layout;
use lanes::{SHORT, run, strided_run};
use rows::{rows, tables};
use smallvec::SmallVec;

pub(crate) use lanes::{BLOCK, Combine, Larger, Plus, Smaller, Tree, runs};
pub(crate) use rows::{GROUP, merge};

/// How numbers are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    /// The sum; 0 of nothing. Integers wrap around.
    Sum,
    /// The largest; a NaN if there is one.
    Max,
    /// The smallest; a NaN if there is one.
    Min,
}

/// Combines the elements along `axes` (ascending). `out` has an element for each index of the other axes, in row-major
/// order; all of it is overwritten. A maximum or minimum of nothing does not exist: the caller rejects it.
pub(crate) fn reduce<T: Number>(
    kind: Reduction,
    source: &[T],
    layout: &Layout,
    axes: &[usize],
    out: &mut [T],
) {
    debug_assert!(axes.is_sorted());
    debug_assert!(kind == Reduction::Sum || out.is_empty() || !layout.shape().contains(&0));
    match kind {
        Reduction::Sum => reduce_by::<T, Plus>(source, layout, axes, out),
        Reduction::Max => reduce_by::<T, Larger>(source, layout, axes, out),
        Reduction::Min => reduce_by::<T, Smaller>(source, layout, axes, out),
    }
}

fn reduce_by<T: Number, F: Combine<T>>(
    source: &[T],
    layout: &Layout,
    axes: &[usize],
    out: &mut [T],
) {
    let shape = layout.shape();
    let rank = shape.rank();
    // Contiguous elements reduced along neighboring axes are three loops: no need to look for them.
    let (first, after) = (
        axes.first().map_or(rank, |&a| a),
        axes.last().map_or(rank, |&a| a + 1),
    );
    if after - first == axes.len() && layout.is_contiguous() {
        let count: usize = shape[first..after].iter().product();
        let width: usize = shape[after..].iter().product();
        let outer: usize = shape[..first].iter().product();
        assert_eq!(out.len(), outer * width);
        if count == 0 || out.is_empty() {
            return out.fill(F::IDENTITY);
        }
        let source = &source[layout.offset()..][..outer * count * width];
        return contiguous::<T, F>(source, count, width, out);
    }
    assert_within(layout, source.len());
    strided::<T, F>(source, layout, axes, out);
}

/// Elements that are worth a thread's while: 2^7 blocks of a run.
const LARGE: usize = BLOCK << 7;

/// About how long it takes to combine so many elements.
fn nanoseconds(elements: usize) -> usize {
    elements / 8
}

/// `source` is `[.., count, width]` in row-major order, without empty axes; the middle axis is reduced.
fn contiguous<T: Number, F: Combine<T>>(source: &[T], count: usize, width: usize, out: &mut [T]) {
    if count == 1 {
        return out.copy_from_slice(source);
    }
    // As many results at a time as there are in a large part; one that is larger itself is cut further.
    let together = (LARGE / (count * width)).max(1);
    let work = nanoseconds(source.len());
    threads::each_chunk(out, together * width, work, |part, out| {
        let size = out.len() * count;
        let source = &source[part * together * count * width..][..size];
        if width > 1 && count <= GROUP && count * width <= LARGE {
            tables::<T, F>(source, count, width, out);
        } else if width > 1 {
            let walk = Walk::new(&[count], [&[width as isize]]);
            for (source, out) in source
                .chunks_exact(count * width)
                .zip(out.chunks_exact_mut(width))
            {
                rows::<T, F>(source, walk.elements([0]), out);
            }
        } else if size >= 2 * LARGE {
            out[0] = long_run::<T, F>(source);
        } else {
            runs::<T, F>(source, count, out);
        }
    });
}

/// A run of any length, on several threads: parts are subtrees of the whole.
fn long_run<T: Number, F: Combine<T>>(source: &[T]) -> T {
    filled(source.len().div_ceil(LARGE), F::IDENTITY, |parts| {
        threads::each_chunk(parts, 1, nanoseconds(source.len()), |i, part| {
            let start = i * LARGE;
            let end = source.len().min(start + LARGE);
            part[0] = run::<T, F>(&source[start..end]);
        });
        let mut tree = Tree::<T, F>::new();
        parts.iter().for_each(|&part| tree.push(part));
        tree.finish()
    })
}

fn strided<T: Number, F: Combine<T>>(source: &[T], layout: &Layout, axes: &[usize], out: &mut [T]) {
    let part = |reduced: bool| -> (SmallVec<[usize; 6]>, SmallVec<[isize; 6]>) {
        let chosen = (0..layout.shape().rank()).filter(|a| axes.contains(a) == reduced);
        chosen
            .map(|a| (layout.shape()[a], layout.strides()[a]))
            .unzip()
    };
    let (sizes, strides) = part(false);
    assert_eq!(out.len(), sizes.iter().product::<usize>());
    let kept = Walk::new(&sizes, [&strides]);
    let (sizes, strides) = part(true);
    let mut reduced = Walk::in_any_order(&sizes, [&strides]);
    if out.is_empty() || reduced.inner().size == 0 {
        return out.fill(F::IDENTITY);
    }
    let across = kept.inner();
    let count: usize = reduced.axes().iter().map(|axis| axis.size).product();
    let work = nanoseconds(out.len().saturating_mul(count));
    let start = [layout.offset()];
    if across.strides == [1] && across.size > 1 {
        let width = across.size;
        let together = (LARGE / (count * width)).max(1);
        threads::each_chunk(out, together * width, work, |part, out| {
            let starts = kept.outer(start).part(part * together, together);
            for (start, out) in starts.zip(out.chunks_exact_mut(width)) {
                rows::<T, F>(source, reduced.elements(start), out);
            }
        });
        return;
    }
    // One axis is reduced run by run: that of contiguous elements unless the runs were short, else the longest.
    let longest = (0..reduced.axes().len()).max_by_key(|&i| reduced.axes()[i].size);
    let along = match longest {
        Some(i) if reduced.inner().strides != [1] || reduced.inner().size < SHORT => {
            reduced.take(i)
        }
        Some(_) => reduced.take(reduced.axes().len() - 1),
        None => reduced.inner(),
    };
    let together = (LARGE / count).max(1);
    threads::each_chunk(out, together, work, |part, out| {
        let starts = kept.elements(start).part(part * together, together);
        for (start, out) in starts.zip(out) {
            let mut tree = Tree::<T, F>::new();
            for [start] in reduced.elements(start) {
                tree.push(match along.strides {
                    [1] if along.size >= 2 * LARGE => {
                        long_run::<T, F>(&source[start..start + along.size])
                    }
                    [1] => run::<T, F>(&source[start..start + along.size]),
                    [stride] => strided_run::<T, F>(source, start, stride, along.size),
                });
            }
            *out = tree.finish();
        }
    });
}

#[cfg(test)]
mod tests;
