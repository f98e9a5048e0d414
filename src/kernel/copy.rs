//! Strided elements, visited and copied in row-major order.

use super::threads;
use smallvec::SmallVec;

/// Axes as pairs of size and stride.
pub(crate) type Axes = SmallVec<[(usize, isize); 4]>;

/// The same elements in the same order over the fewest axes: axes of size 1 are dropped, and
/// neighbors that lie as one axis would are merged.
pub(crate) fn coalesce(shape: &[usize], strides: &[isize]) -> Axes {
    let mut axes = Axes::new();
    for (&size, &stride) in shape.iter().zip(strides).filter(|&(&size, _)| size != 1) {
        match axes.last_mut() {
            Some(outer) if outer.1 == stride * size as isize => *outer = (outer.0 * size, stride),
            _ => axes.push((size, stride)),
        }
    }
    axes
}

/// The positions of strided elements in row-major order.
#[derive(Clone, Debug)]
pub(crate) struct Positions {
    outer: Axes,
    index: SmallVec<[usize; 4]>,
    inner: (usize, isize),
    position: isize,
    /// What is left of the current line along the inner axis.
    inner_left: usize,
    /// The lines after the current one.
    lines_left: usize,
}

impl Positions {
    pub(crate) fn new(mut axes: Axes, offset: usize) -> Self {
        let inner = axes.pop().unwrap_or((1, 0));
        let lines: usize = axes.iter().map(|&(size, _)| size).product();
        Positions {
            index: SmallVec::from_elem(0, axes.len()),
            outer: axes,
            inner,
            position: offset as isize,
            inner_left: if lines == 0 { 0 } else { inner.0 },
            lines_left: lines.saturating_sub(1),
        }
    }

    #[inline(never)]
    fn next_line(&mut self) -> Option<()> {
        self.lines_left = self.lines_left.checked_sub(1)?;
        let (size, stride) = self.inner;
        self.position -= stride * size as isize;
        for (index, &(size, stride)) in self.index.iter_mut().zip(&self.outer).rev() {
            *index += 1;
            self.position += stride;
            if *index < size {
                break;
            }
            *index = 0;
            self.position -= stride * size as isize;
        }
        self.inner_left = size;
        (size > 0).then_some(())
    }
}

impl Iterator for Positions {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.inner_left == 0 {
            self.next_line()?;
        }
        self.inner_left -= 1;
        let current = self.position as usize;
        self.position += self.inner.1;
        Some(current)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.inner_left + self.lines_left * self.inner.0;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Positions {}

/// The side of the square tiles that a transposition goes by: a cache line of `f32`, two of `f64`.
const TILE: usize = 16;

/// Copies strided elements of `source` into `out` in row-major order.
///
/// Element `[i, j, ..]` of the copy is `source[offset + i * strides[0] + j * strides[1] + ..]`, and
/// `out` has room for exactly as many elements as `shape` says.
pub(crate) fn copy_strided<T: Copy + Send + Sync>(
    source: &[T],
    shape: &[usize],
    strides: &[isize],
    offset: usize,
    out: &mut [T],
) {
    assert_eq!(out.len(), shape.iter().product::<usize>());
    if out.is_empty() {
        return;
    }
    copy_axes(source, coalesce(shape, strides), offset, out);
}

/// Elements that are worth a thread's while.
const LARGE: usize = 1 << 15;

/// Copies in parts along the first axis, or those after it, if there is much to copy.
fn copy_axes<T: Copy + Send + Sync>(source: &[T], axes: Axes, offset: usize, out: &mut [T]) {
    let (Some(&(size, stride)), Some(&(_, last))) = (axes.first(), axes.last()) else {
        return copy_part(source, axes, offset, out);
    };
    // Along an axis whose elements lie closer together than those of the last, tiles stay whole.
    let near = stride != 0 && stride.unsigned_abs() < last.unsigned_abs();
    let slice = out.len() / size;
    let together = (LARGE / slice)
        .max(1)
        .next_multiple_of(if near { TILE } else { 1 });
    if out.len() < 2 * LARGE || together >= size {
        return copy_part(source, axes, offset, out);
    }
    threads::each_chunk(out, together * slice, out.len() / 4, |i, out| {
        let start = (i * together) as isize * stride;
        let offset = offset.wrapping_add_signed(start);
        let mut axes = axes.clone();
        if together == 1 {
            axes.remove(0);
            return copy_axes(source, axes, offset, out);
        }
        axes[0].0 = out.len() / slice;
        copy_part(source, axes, offset, out);
    });
}

fn copy_part<T: Copy>(source: &[T], mut axes: Axes, offset: usize, out: &mut [T]) {
    let Some((count, stride)) = axes.pop() else {
        out[0] = source[offset];
        return;
    };
    let nearest = axes
        .iter()
        .enumerate()
        .filter(|&(_, &(size, s))| s != 0 && size >= TILE / 2)
        .min_by_key(|&(_, &(_, s))| s.unsigned_abs())
        .filter(|&(_, &(_, s))| s.unsigned_abs() < stride.unsigned_abs());
    match (stride, nearest) {
        (0, _) => {
            for (row, start) in out
                .chunks_exact_mut(count)
                .zip(Positions::new(axes, offset))
            {
                row.fill(source[start]);
            }
        }
        (1, _) => {
            for (row, start) in out
                .chunks_exact_mut(count)
                .zip(Positions::new(axes, offset))
            {
                row.copy_from_slice(&source[start..start + count]);
            }
        }
        (_, Some((nearest, _))) => {
            axes.push((count, stride));
            copy_transposed(source, axes, nearest, offset, out);
        }
        _ => {
            for (row, start) in out
                .chunks_exact_mut(count)
                .zip(Positions::new(axes, offset))
            {
                let mut position = start as isize;
                for slot in row {
                    *slot = source[position as usize];
                    position += stride;
                }
            }
        }
    }
}

/// Copies where the elements of axis `near`, not those of the last axis, lie closest together.
///
/// Each plane of the two axes goes by square tiles, through a buffer: cache lines of `source` are
/// read whole and those of `out` written whole, whatever the strides. (Without the buffer, strides
/// that are powers of two map all lines of a tile to the same few sets of the cache.)
fn copy_transposed<T: Copy>(
    source: &[T],
    mut axes: Axes,
    near: usize,
    offset: usize,
    out: &mut [T],
) {
    let mut out_axes = axes.clone();
    let mut out_stride = 1;
    for axis in out_axes.iter_mut().rev() {
        axis.1 = out_stride;
        out_stride *= axis.0 as isize;
    }
    let (last, near_out) = (axes.len() - 1, out_axes[near].1 as usize);
    let (columns, column_stride) = axes.remove(last);
    let (rows, row_stride) = axes.remove(near);
    out_axes.remove(last);
    out_axes.remove(near);

    let mut tile = [source[offset]; TILE * TILE];
    for (from, to) in Positions::new(axes, offset).zip(Positions::new(out_axes, 0)) {
        for i in (0..rows).step_by(TILE) {
            let height = TILE.min(rows - i);
            for j in (0..columns).step_by(TILE) {
                let width = TILE.min(columns - j);
                let corner = from as isize + i as isize * row_stride + j as isize * column_stride;
                for (k, line) in tile.chunks_exact_mut(TILE).take(width).enumerate() {
                    let start = corner + k as isize * column_stride;
                    if row_stride == 1 {
                        let start = start as usize;
                        line[..height].copy_from_slice(&source[start..start + height]);
                    } else {
                        for (l, slot) in line[..height].iter_mut().enumerate() {
                            *slot = source[(start + l as isize * row_stride) as usize];
                        }
                    }
                }
                for l in 0..height {
                    let start = to + (i + l) * near_out + j;
                    for (slot, line) in out[start..start + width]
                        .iter_mut()
                        .zip(tile.chunks_exact(TILE))
                    {
                        *slot = line[l];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Element by element, with division: the definition.
    fn reference(source: &[u32], shape: &[usize], strides: &[isize], offset: usize) -> Vec<u32> {
        let size: usize = shape.iter().product();
        (0..size)
            .map(|flat| {
                let (mut rest, mut position) = (flat, offset as isize);
                for (&n, &s) in shape.iter().zip(strides).rev() {
                    position += (rest % n) as isize * s;
                    rest /= n;
                }
                source[position as usize]
            })
            .collect()
    }

    fn check(shape: &[usize], strides: &[isize], offset: usize) {
        let source: Vec<u32> = (0..20_000).map(|i| i * 7 + 1).collect();
        let mut out = vec![0; shape.iter().product()];
        copy_strided(&source, shape, strides, offset, &mut out);
        assert_eq!(
            out,
            reference(&source, shape, strides, offset),
            "{shape:?} {strides:?}"
        );
    }

    #[test]
    fn every_path_agrees_with_the_definition() {
        check(&[], &[], 5);
        check(&[3, 4], &[4, 1], 2);
        check(&[3, 4], &[10, 1], 0);
        check(&[7], &[3], 1);
        check(&[7], &[-1], 6);
        check(&[5, 6], &[-6, -1], 29);
        check(&[4, 5], &[1, 0], 0);
        check(&[4, 5], &[0, 1], 0);
        check(&[4, 5], &[0, 0], 9);
        check(&[3, 1, 4], &[8, 77, 2], 0);
        check(&[2, 0, 3], &[1, 1, 1], 0);
    }

    #[test]
    fn transpositions_of_any_size_agree_with_the_definition() {
        for (rows, columns) in [(1, 40), (16, 16), (17, 33), (8, 100), (100, 7), (31, 64)] {
            check(&[rows, columns], &[1, rows as isize], 3);
            check(&[rows, columns], &[-1, rows as isize], rows - 1);
            check(&[rows, columns], &[2, 2 * rows as isize], 0);
            check(
                &[rows, columns],
                &[1, -(rows as isize)],
                (columns - 1) * rows,
            );
        }
        // The near axis first, in the middle, and beside a broadcast one.
        check(&[20, 5, 18], &[1, 20, 100], 0);
        check(&[5, 20, 18], &[20, 1, 100], 0);
        check(&[3, 20, 18], &[0, 1, 20], 4);
        check(&[2, 3, 17, 19], &[969, 323, 1, 17], 0);
    }

    /// On one thread and on several: the parts are the same.
    #[test]
    fn large_copies_agree_with_the_definition() {
        for (shape, order) in [
            (&[300_000][..], &[0][..]),
            (&[500, 700], &[1, 0]),
            (&[20, 20_000], &[1, 0]),
            (&[20_000, 20], &[1, 0]),
            (&[3, 100_000], &[1, 0]),
            (&[2, 300, 400], &[0, 2, 1]),
            (&[40, 90, 70], &[2, 0, 1]),
        ] {
            let len: usize = shape.iter().product();
            let source: Vec<u32> = (0..2 * len as u32).collect();
            let mut strides = vec![0; shape.len()];
            let mut step = 2;
            for &axis in order.iter().rev() {
                strides[axis] = step;
                step *= shape[axis] as isize;
            }
            for halved in [1, 2] {
                let strides: Vec<isize> = strides.iter().map(|s| s / halved).collect();
                let mut out = vec![0; len];
                copy_strided(&source, shape, &strides, 1, &mut out);
                assert!(
                    out == reference(&source, shape, &strides, 1),
                    "{shape:?} {strides:?}"
                );
            }
        }
    }

    #[test]
    fn axes_that_lie_as_one_are_merged() {
        assert_eq!(coalesce(&[2, 3, 4], &[12, 4, 1])[..], [(24, 1)]);
        assert_eq!(coalesce(&[2, 1, 4], &[4, 99, 1])[..], [(8, 1)]);
        assert_eq!(
            coalesce(&[2, 3, 4], &[12, 1, 3])[..],
            [(2, 12), (3, 1), (4, 3)]
        );
        assert_eq!(coalesce(&[2, 3], &[0, 0])[..], [(6, 0)]);
        assert!(coalesce(&[1], &[5])[..].is_empty());
        let positions: Vec<_> = Positions::new(coalesce(&[2, 2], &[1, 10]), 3).collect();
        assert_eq!(positions, [3, 13, 4, 14]);
        assert_eq!(Positions::new(Axes::new(), 3).collect::<Vec<_>>(), [3]);
        for empty in [[(0, 1), (2, 1)], [(2, 1), (0, 1)]] {
            let mut positions = Positions::new(empty.into_iter().collect(), 3);
            assert_eq!(
                (positions.len(), positions.next(), positions.next()),
                (0, None, None)
            );
        }
    }
}
