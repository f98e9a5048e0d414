//! Runs of neighboring elements: lane by lane within blocks, and blocks in pairs.

use crate::element::Number;
use crate::kernel::dispatch::simd;
use smallvec::{Array, SmallVec};
use std::marker::PhantomData;

/// An associative operation with an identity.
pub(crate) trait Combine<T>: Send + Sync + 'static {
    /// What changes nothing.
    const IDENTITY: T;
    /// Both combined.
    fn combine(a: T, b: T) -> T;
}

macro_rules! combine {
    ($(#[$doc:meta] $name:ident, $identity:ident, $combine:ident;)*) => {$(
        #[$doc]
        #[derive(Debug)]
        pub(crate) struct $name;
        impl<T: Number> Combine<T> for $name {
            const IDENTITY: T = T::$identity;
            #[inline(always)]
            fn combine(a: T, b: T) -> T {
                a.$combine(b)
            }
        }
    )*};
}
combine! {
    /// Sums.
    Plus, ZERO, plus;
    /// Maxima.
    Larger, LOWEST, larger;
    /// Minima.
    Smaller, HIGHEST, smaller;
}

/// Numbers that are combined in pairs, pairs of pairs, and so on, as they come. The last ones are combined with as many as
/// there are, so that the tree of a number of parts, each of which is the tree of a power of two of numbers (the last one of no
/// more), is the tree of all these numbers.
#[derive(Debug)]
pub(crate) struct TreeOf<T, F, A: Array<Item = T>> {
    /// The subtrees that are complete, largest first: one for each bit that is set in `count`.
    partial: SmallVec<A>,
    count: usize,
    combine: PhantomData<F>,
}

/// A tree of any number of numbers, which allocates nothing.
pub(crate) type Tree<T, F> = TreeOf<T, F, [T; 64]>;
/// One of less than 2^8 numbers: small enough to be made for every short run.
type LowTree<T, F> = TreeOf<T, F, [T; 8]>;

impl<T: Number, F: Combine<T>, A: Array<Item = T>> TreeOf<T, F, A> {
    /// Nothing yet.
    #[inline(always)]
    pub fn new() -> Self {
        TreeOf {
            partial: SmallVec::new(),
            count: 0,
            combine: PhantomData,
        }
    }

    /// Adds the next number.
    #[inline(always)]
    pub fn push(&mut self, mut x: T) {
        for _ in 0..self.count.trailing_ones() {
            x = F::combine(self.partial.pop().unwrap_or(F::IDENTITY), x);
        }
        self.partial.push(x);
        self.count += 1;
    }

    /// All numbers combined.
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
pub(super) const SHORT: usize = 16;
/// Terms that are combined lane by lane before blocks are combined in pairs.
pub(crate) const BLOCK: usize = 512;

#[cfg(test)]
simd! {
    /// Combines the elements of one block: at most [`BLOCK`] of them. Blocks of a longer run are combined by a [`Tree`].
    pub(crate) fn block<T: Number, F: Combine<T>>(source: &[T]) -> T {
        debug_assert!(source.len() <= BLOCK);
        block_body::<T, F>(source)
    }
}

simd! {
    /// Combines the elements of a run of any length.
    pub(super) fn run<T: Number, F: Combine<T>>(source: &[T]) -> T {
        run_body::<T, F>(source)
    }
}

simd! {
    /// Each of the runs of `count` elements that `source` consists of, into an element of `out`.
    pub(crate) fn runs<T: Number, F: Combine<T>>(source: &[T], count: usize, out: &mut [T]) {
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

#[inline(always)]
fn run_body<T: Number, F: Combine<T>>(source: &[T]) -> T {
    if source.len() <= BLOCK {
        return block_body::<T, F>(source);
    }
    let mut tree = LowTree::<T, F>::new();
    for part in source.chunks(BLOCK) {
        tree.push(block_body::<T, F>(part));
    }
    tree.finish()
}

/// One block. The lanes fill four of the widest vectors that most processors have, to hide the latency of an addition.
#[inline(always)]
fn block_body<T: Number, F: Combine<T>>(source: &[T]) -> T {
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
    // What is done with the lanes afterwards must not decide in which vectors the loop keeps them: with wide ones, the compiler
    // otherwise tears them up to suit the pairs below.
    let mut lanes = std::hint::black_box(lanes);
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
pub(super) fn strided_run<T: Number, F: Combine<T>>(
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
