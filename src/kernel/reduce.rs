//! Sums, maxima and minima along axes.
//!
//! Numbers are combined along a fixed tree: several lanes within blocks, and blocks in pairs. The tree depends on sizes and
//! strides only, never on the processor, so that a sum has the same bits everywhere; its rounding error grows with the
//! logarithm of the number of terms beyond one block (N. J. Higham, "The accuracy of floating point summation", 1993).

use super::dispatch::simd;
use super::walk::{Places, Walk, assert_within};
use crate::element::Number;
use crate::shape::Layout;
use smallvec::SmallVec;

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

/// An associative operation with an identity.
pub(super) trait Combine<T> {
    const IDENTITY: T;
    fn combine(a: T, b: T) -> T;
}

macro_rules! combine {
    ($name:ident, $identity:ident, $combine:ident) => {
        pub(super) struct $name;
        impl<T: Number> Combine<T> for $name {
            const IDENTITY: T = T::$identity;
            #[inline(always)]
            fn combine(a: T, b: T) -> T {
                a.$combine(b)
            }
        }
    };
}
combine!(Plus, ZERO, plus);
combine!(Larger, LOWEST, larger);
combine!(Smaller, HIGHEST, smaller);

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

/// `source` is `[.., count, width]` in row-major order, without empty axes; the middle axis is reduced.
fn contiguous<T: Number, F: Combine<T>>(source: &[T], count: usize, width: usize, out: &mut [T]) {
    if count == 1 {
        out.copy_from_slice(source);
    } else if width == 1 {
        runs::<T, F>(source, count, out);
    } else {
        for (source, out) in source
            .chunks_exact(count * width)
            .zip(out.chunks_exact_mut(width))
        {
            table::<T, F>(source, count, width, out);
        }
    }
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
    if across.strides == [1] && across.size > 1 {
        let mut partial = Vec::new();
        for ([start], out) in kept
            .outer([layout.offset()])
            .zip(out.chunks_exact_mut(across.size))
        {
            rows::<T, F>(source, reduced.elements([start]), out, &mut partial);
        }
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
    for ([start], out) in kept.elements([layout.offset()]).zip(out) {
        let mut tree = Tree::<T, F>::new();
        for [start] in reduced.elements([start]) {
            tree.push(match along.strides {
                [1] => run::<T, F>(&source[start..start + along.size]),
                [stride] => strided_run::<T, F>(source, start, stride, along.size),
            });
        }
        *out = tree.finish();
    }
}

/// Numbers that are combined in pairs, pairs of pairs, and so on, as they come.
pub(super) struct Tree<T, F> {
    /// The subtrees that are complete, largest first: one for each bit that is set in `count`.
    partial: SmallVec<[T; 8]>,
    count: usize,
    combine: std::marker::PhantomData<F>,
}

impl<T: Number, F: Combine<T>> Tree<T, F> {
    #[inline(always)]
    pub fn new() -> Self {
        Tree {
            partial: SmallVec::new(),
            count: 0,
            combine: std::marker::PhantomData,
        }
    }

    #[inline(always)]
    pub fn push(&mut self, mut x: T) {
        for _ in 0..self.count.trailing_ones() {
            x = F::combine(self.partial.pop().unwrap_or(F::IDENTITY), x);
        }
        self.partial.push(x);
        self.count += 1;
    }

    #[inline(always)]
    pub fn finish(mut self) -> T {
        let last = self.partial.pop().unwrap_or(F::IDENTITY);
        self.partial
            .iter()
            .rev()
            .fold(last, |sum, &x| F::combine(x, sum))
    }
}

/// Runs of fewer elements are combined one after the other.
const SHORT: usize = 16;
/// Terms that are combined lane by lane before blocks are combined in pairs.
pub(crate) const BLOCK: usize = 512;

simd! {
    /// Each of the runs of `count` elements that `source` consists of, into an element of `out`.
    pub(super) fn runs<T: Number, F: Combine<T>>(source: &[T], count: usize, out: &mut [T]) {
        if count >= SHORT {
            for (run, out) in source.chunks_exact(count).zip(out) {
                *out = run_body::<T, F>(run);
            }
            return;
        }
        // A short run has no room for lanes: several runs side by side hide the latency of an addition instead.
        let (eights, rest) = out.as_chunks_mut::<8>();
        let (many, few) = source.split_at(8 * eights.len() * count);
        for (many, out) in many.chunks_exact(8 * count).zip(eights) {
            let runs: [&[T]; 8] = std::array::from_fn(|i| &many[i * count..][..count]);
            let mut sums = [F::IDENTITY; 8];
            for i in 0..count {
                for (sum, run) in sums.iter_mut().zip(runs) {
                    *sum = F::combine(*sum, run[i]);
                }
            }
            *out = sums;
        }
        for (run, out) in few.chunks_exact(count).zip(rest) {
            *out = run_body::<T, F>(run);
        }
    }
}

simd! {
    fn run<T: Number, F: Combine<T>>(source: &[T]) -> T {
        run_body::<T, F>(source)
    }
}

#[inline(always)]
fn run_body<T: Number, F: Combine<T>>(source: &[T]) -> T {
    if source.len() <= BLOCK {
        return block::<T, F>(source);
    }
    let mut tree = Tree::<T, F>::new();
    for part in source.chunks(BLOCK) {
        tree.push(block::<T, F>(part));
    }
    tree.finish()
}

/// One block. The lanes fill four of the widest vectors that most processors have, to hide the latency of an addition.
#[inline(always)]
fn block<T: Number, F: Combine<T>>(source: &[T]) -> T {
    match source.len() {
        0..SHORT => source
            .iter()
            .fold(F::IDENTITY, |sum, &x| F::combine(sum, x)),
        SHORT..32 => lanes::<T, F, 4>(source),
        _ if size_of::<T>() == 4 => lanes::<T, F, 32>(source),
        _ => lanes::<T, F, 16>(source),
    }
}

#[inline(always)]
fn lanes<T: Number, F: Combine<T>, const N: usize>(source: &[T]) -> T {
    let mut lanes = [F::IDENTITY; N];
    let (chunks, rest) = source.as_chunks::<N>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = F::combine(*lane, x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = F::combine(*lane, x);
    }
    fold_lanes::<T, F, N>(lanes)
}

#[inline(always)]
fn fold_lanes<T: Number, F: Combine<T>, const N: usize>(mut lanes: [T; N]) -> T {
    let mut half = N / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = F::combine(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// `count` elements that lie `stride` apart.
fn strided_run<T: Number, F: Combine<T>>(
    source: &[T],
    start: usize,
    stride: isize,
    count: usize,
) -> T {
    let mut tree = Tree::<T, F>::new();
    let at = |i: usize| source[start.wrapping_add_signed(i as isize * stride)];
    for first in (0..count).step_by(BLOCK) {
        let end = count.min(first + BLOCK);
        let mut lanes = [F::IDENTITY; 4];
        let mut i = first;
        while i + 4 <= end {
            for (j, lane) in lanes.iter_mut().enumerate() {
                *lane = F::combine(*lane, at(i + j));
            }
            i += 4;
        }
        for (lane, i) in lanes.iter_mut().zip(i..end) {
            *lane = F::combine(*lane, at(i));
        }
        tree.push(fold_lanes::<T, F, 4>(lanes));
    }
    tree.finish()
}

/// Narrow tables are read as if several rows were one, of about this width and less than twice as wide.
const WIDE: usize = 64;

/// The `count` rows of a row-major table, combined into one row of `width` elements.
fn table<T: Number, F: Combine<T>>(source: &[T], count: usize, width: usize, out: &mut [T]) {
    if count <= SHORT && count * width <= 16 * SHORT {
        let (first, others) = source.split_at(width);
        out.copy_from_slice(first);
        for row in others.chunks_exact(width) {
            for (x, &y) in out.iter_mut().zip(row) {
                *x = F::combine(*x, y);
            }
        }
        return;
    }
    let at_once = 1;
    let wide = at_once * width;
    let mut partial = Vec::new();
    let in_rows =
        |first: usize, count: usize, width: usize, out: &mut [T], partial: &mut Vec<T>| {
            let walk = Walk::new(&[count], [&[width as isize]]);
            rows::<T, F>(source, walk.elements([first]), out, partial);
        };
    if at_once == 1 || count < 2 * at_once {
        return in_rows(0, count, width, out, &mut partial);
    }
    let mut sums = [F::IDENTITY; 2 * WIDE];
    in_rows(0, count / at_once, wide, &mut sums[..wide], &mut partial);
    let mut half = wide / 2;
    while half >= width {
        for i in 0..half {
            sums[i] = F::combine(sums[i], sums[i + half]);
        }
        half /= 2;
    }
    let rest = count % at_once;
    if rest == 0 {
        out.copy_from_slice(&sums[..width]);
    } else {
        in_rows((count - rest) * width, rest, width, out, &mut partial);
        for (out, &sum) in out.iter_mut().zip(&sums) {
            *out = F::combine(sum, *out);
        }
    }
}

/// Columns that are worked on at once, so that their partial results stay in the nearest cache.
const PANEL: usize = 512;
/// Rows that are combined in turn before such groups are combined in pairs.
const GROUP: usize = 64;
/// Rows that are read together.
const TOGETHER: usize = 8;

/// Rows of as many contiguous elements as `out` has, which begin at `places`, combined into `out`. `partial` is room for
/// intermediate results, kept from call to call.
fn rows<T: Number, F: Combine<T>>(
    source: &[T],
    places: Places<'_, 1>,
    out: &mut [T],
    partial: &mut Vec<T>,
) {
    let groups = places.len().div_ceil(GROUP);
    for (panel, out) in out.chunks_mut(PANEL).enumerate() {
        let source = &source[panel * PANEL..];
        let width = out.len();
        let mut places = places.clone().map(|[place]| place);
        if groups <= 1 {
            group::<T, F>(source, &next_group(&mut places), out);
            continue;
        }
        // As in `Tree`, with rows for numbers: one complete subtree for each bit that is set in the number of groups.
        partial.resize(width * (groups.ilog2() as usize + 2), F::IDENTITY);
        let mut depth = 0;
        for done in 0..groups {
            group::<T, F>(
                source,
                &next_group(&mut places),
                &mut partial[depth * width..][..width],
            );
            for _ in 0..done.trailing_ones() {
                depth -= 1;
                merge::<T, F>(&mut partial[depth * width..][..2 * width]);
            }
            depth += 1;
        }
        while depth > 1 {
            depth -= 1;
            merge::<T, F>(&mut partial[(depth - 1) * width..][..2 * width]);
        }
        out.copy_from_slice(&partial[..width]);
    }
}

/// The next places, at most `GROUP` of them.
fn next_group(places: &mut impl Iterator<Item = usize>) -> SmallVec<[usize; GROUP]> {
    places.take(GROUP).collect()
}

simd! {
    /// Combines the rows that begin at `places`, of which there is at least one, into `out`.
    fn group<T: Number, F: Combine<T>>(source: &[T], places: &[usize], out: &mut [T]) {
        let width = out.len();
        let row = |place: usize| &source[place..place + width];
        let (eights, rest) = places.as_chunks::<TOGETHER>();
        let mut begun = false;
        for &eight in eights {
            let eight = eight.map(row);
            if begun {
                for (i, x) in out.iter_mut().enumerate() {
                    *x = eight.iter().fold(*x, |sum, row| F::combine(sum, row[i]));
                }
            } else {
                for (i, x) in out.iter_mut().enumerate() {
                    *x = eight[1..].iter().fold(eight[0][i], |sum, row| F::combine(sum, row[i]));
                }
            }
            begun = true;
        }
        for &place in rest {
            if begun {
                for (x, &y) in out.iter_mut().zip(row(place)) {
                    *x = F::combine(*x, y);
                }
            } else {
                out.copy_from_slice(row(place));
            }
            begun = true;
        }
    }
}

#[inline(always)]
fn column<T: Number, F: Combine<T>>(rows: &[&[T]; TOGETHER], i: usize) -> T {
    fold_lanes::<T, F, TOGETHER>(rows.map(|row| row[i]))
}

simd! {
    /// Combines the second half of `rows` into the first.
    pub(super) fn merge<T: Number, F: Combine<T>>(rows: &mut [T]) {
        let (first, second) = rows.split_at_mut(rows.len() / 2);
        for (x, &y) in first.iter_mut().zip(second.iter()) {
            *x = F::combine(*x, y);
        }
    }
}

#[cfg(test)]
mod tests;
