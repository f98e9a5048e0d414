//! Reading and adding at places that integers name.
//!
//! Every index is looked at before anything is written: either all of them are in range, or `out` stays as it was. Negative
//! indices are out of range, as in PyTorch. Where an index is repeated, terms are added in row-major order of the index.

use super::threads;
use super::walk::{Axis, Walk, assert_within};
use crate::element::{Element, Number};
use crate::shape::{Layout, Shape};
use smallvec::SmallVec;

/// Elements that are worth a thread's while.
const LARGE: usize = 1 << 14;

/// Checks that every index lies in `0..size`.
///
/// # Errors
///
/// The first one in row-major order that does not, where it stands, and the axis it was meant for.
pub(crate) fn check(
    index: &[i64],
    layout: &Layout,
    axis: usize,
    size: usize,
) -> Result<(), String> {
    assert_within(layout, index.len());
    let walk = Walk::new(layout.shape(), [layout.strides()]);
    let inner = walk.inner();
    let inside = |x: i64| (0..size as i64).contains(&x);
    let sound = walk
        .outer([layout.offset()])
        .all(|[start]| match inner.strides {
            [1] => index[start..start + inner.size].iter().all(|&x| inside(x)),
            [stride] => (0..inner.size)
                .all(|i| inside(index[start.wrapping_add_signed(i as isize * stride)])),
        });
    if sound {
        return Ok(());
    }
    let order = Layout::contiguous(layout.shape().clone());
    let mut places = walk.elements([layout.offset()]).enumerate();
    match places.find(|&(_, [place])| !inside(index[place])) {
        Some((flat, [place])) => {
            let at: SmallVec<[usize; 6]> = order
                .strides()
                .iter()
                .zip(layout.shape().iter())
                .map(|(&s, &n)| flat / s as usize % n)
                .collect();
            let x = index[place];
            Err(format!(
                "index {x} at {:?} is out of range for axis {axis} of size {size}",
                &at[..]
            ))
        }
        None => Ok(()),
    }
}

/// The strides with that of one axis set to 0: the places of the first element along that axis.
fn without_steps(strides: &[isize], axis: usize) -> SmallVec<[isize; 6]> {
    strides
        .iter()
        .enumerate()
        .map(|(a, &s)| if a == axis { 0 } else { s })
        .collect()
}

/// `out[i, j, k] = source[i, index[i, j, k], k]` for `axis` 1, and likewise for others. `out` is row-major of the shape of
/// the index, which is nowhere larger than that of the source but along `axis`.
pub(crate) fn gather<T: Element>(
    source: &[T],
    source_layout: &Layout,
    axis: usize,
    index: &[i64],
    index_layout: &Layout,
    out: &mut [T],
) -> Result<(), String> {
    assert_covered(index_layout.shape(), source_layout.shape(), Some(axis));
    assert_eq!(out.len(), index_layout.shape().size());
    assert_within(source_layout, source.len());
    check(index, index_layout, axis, source_layout.shape()[axis])?;
    let strides = without_steps(source_layout.strides(), axis);
    let walk = Walk::new(index_layout.shape(), [index_layout.strides(), &strides]);
    let (inner, along) = (walk.inner(), source_layout.strides()[axis]);
    let offsets = [index_layout.offset(), source_layout.offset()];
    let read = |[mut i, mut s]: [usize; 2], out: &mut [T]| {
        for x in out {
            *x = source[s.wrapping_add_signed(index[i] as isize * along)];
            i = i.wrapping_add_signed(inner.strides[0]);
            s = s.wrapping_add_signed(inner.strides[1]);
        }
    };
    if out.is_empty() {
        return Ok(());
    }
    if inner.size > LARGE {
        for (start, out) in walk.outer(offsets).zip(out.chunks_exact_mut(inner.size)) {
            threads::each_chunk(out, LARGE, inner.size, |part, out| {
                let turns = (part * LARGE) as isize;
                let at = |n: usize| start[n].wrapping_add_signed(turns * inner.strides[n]);
                read([at(0), at(1)], out);
            });
        }
    } else {
        let together = LARGE / inner.size;
        let work = out.len();
        threads::each_chunk(out, together * inner.size, work, |part, out| {
            let starts = walk.outer(offsets).part(part * together, together);
            for (start, out) in starts.zip(out.chunks_exact_mut(inner.size)) {
                read(start, out);
            }
        });
    }
    Ok(())
}

/// `out[i, index[i, j, k], k] += source[i, j, k]` for `axis` 1, and likewise for others. `out` is row-major of the given
/// shape. The index is nowhere larger than the source, nor than `out` but along `axis`.
pub(crate) fn scatter_add<T: Number>(
    out: &mut [T],
    out_shape: &Shape,
    axis: usize,
    index: &[i64],
    index_layout: &Layout,
    source: &[T],
    source_layout: &Layout,
) -> Result<(), String> {
    assert_covered(index_layout.shape(), source_layout.shape(), None);
    assert_covered(index_layout.shape(), out_shape, Some(axis));
    assert_eq!(out.len(), out_shape.size());
    assert_within(source_layout, source.len());
    check(index, index_layout, axis, out_shape[axis])?;
    let out_layout = Layout::contiguous(out_shape.clone());
    let strides = without_steps(out_layout.strides(), axis);
    let walk = Walk::new(
        index_layout.shape(),
        [index_layout.strides(), source_layout.strides(), &strides],
    );
    let (inner, along) = (walk.inner(), out_layout.strides()[axis]);
    for [mut i, mut s, mut o] in walk.outer([index_layout.offset(), source_layout.offset(), 0]) {
        for _ in 0..inner.size {
            let x = &mut out[o.wrapping_add_signed(index[i] as isize * along)];
            *x = x.plus(source[s]);
            i = i.wrapping_add_signed(inner.strides[0]);
            s = s.wrapping_add_signed(inner.strides[1]);
            o = o.wrapping_add_signed(inner.strides[2]);
        }
    }
    Ok(())
}

/// Asserts that `index` is nowhere larger than `shape`, but perhaps along one axis.
fn assert_covered(index: &Shape, shape: &Shape, but: Option<usize>) {
    let fits = index.rank() == shape.rank()
        && (0..index.rank()).all(|a| Some(a) == but || index[a] <= shape[a]);
    assert!(fits, "an index of shape {index} reaches beyond {shape}");
}

/// The slices of `source` along `axis` that a list of integers names: `out[i, p, k] = source[i, index[p], k]` for `axis` 1.
/// `out` is row-major.
pub(crate) fn index_select<T: Element>(
    source: &[T],
    source_layout: &Layout,
    axis: usize,
    index: &[i64],
    index_layout: &Layout,
    out: &mut [T],
) -> Result<(), String> {
    assert_eq!(index_layout.shape().rank(), 1);
    assert_eq!(
        out.len(),
        source_layout
            .shape()
            .with_size(axis, index_layout.shape()[0])
            .size()
    );
    assert_within(source_layout, source.len());
    check(index, index_layout, axis, source_layout.shape()[axis])?;
    let (shape, strides) = (source_layout.shape(), source_layout.strides());
    let before = Walk::new(&shape[..axis], [&strides[..axis]]);
    let after = Walk::new(&shape[axis + 1..], [&strides[axis + 1..]]);
    let (inner, count) = (after.inner(), index_layout.shape()[0]);
    let width: usize = shape[axis + 1..].iter().product();
    if out.is_empty() {
        return Ok(());
    }
    let together = (LARGE / width).max(1);
    let work = out.len() / 2;
    threads::each_chunk(out, together * width, work, |part, out| {
        // Slice `p` of those chosen, in group `n` of the axes before.
        let (n, p) = (part * together / count, part * together % count);
        let mut starts = before
            .elements([source_layout.offset()])
            .part(n, usize::MAX);
        let mut slices = out.chunks_exact_mut(width);
        let mut skip = p;
        while slices.len() > 0 {
            let Some([start]) = starts.next() else { break };
            for chosen in list(index, index_layout).skip(skip) {
                let Some(slice) = slices.next() else { break };
                let s = start.wrapping_add_signed(chosen as isize * strides[axis]);
                for ([s], out) in after.outer([s]).zip(slice.chunks_exact_mut(inner.size)) {
                    copy_run(source, s, inner, out);
                }
            }
            skip = 0;
        }
    });
    Ok(())
}

/// Copies a run of elements.
#[inline(always)]
fn copy_run<T: Element>(source: &[T], start: usize, run: Axis<1>, out: &mut [T]) {
    let [stride] = run.strides;
    if stride == 1 && run.size >= 8 {
        return out.copy_from_slice(&source[start..start + run.size]);
    }
    for (k, x) in out.iter_mut().enumerate() {
        *x = source[start.wrapping_add_signed(k as isize * stride)];
    }
}

/// Adds slices to those along `axis` that a list of integers names: `out[i, index[p], k] += source[i, p, k]` for `axis` 1.
/// `out` is row-major, of the shape of the source but for `axis`, along which it has `size` slices.
pub(crate) fn index_add<T: Number>(
    out: &mut [T],
    size: usize,
    axis: usize,
    index: &[i64],
    index_layout: &Layout,
    source: &[T],
    source_layout: &Layout,
) -> Result<(), String> {
    let shape = source_layout.shape();
    assert_eq!(&index_layout.shape()[..], &shape[axis..=axis]);
    assert_eq!(out.len(), shape.with_size(axis, size).size());
    assert_within(source_layout, source.len());
    check(index, index_layout, axis, size)?;
    let strides = source_layout.strides();
    let before = Walk::new(&shape[..axis], [&strides[..axis]]);
    let after = Walk::new(&shape[axis + 1..], [&strides[axis + 1..]]);
    let inner = after.inner();
    let width: usize = shape[axis + 1..].iter().product();
    if out.is_empty() {
        return Ok(());
    }
    // Each part owns some slices of the result and adds what belongs to them, in order: how many there are changes nothing but
    // the number of times that the indices are looked at.
    let work = shape.size() / 2;
    let together = if threads::worthwhile(work) {
        size.div_ceil(PARTS).max(LARGE / width)
    } else {
        size
    };
    let starts = before.elements([source_layout.offset()]);
    for ([start], out) in starts.zip(out.chunks_exact_mut(size * width)) {
        threads::each_chunk(out, together * width, work, |part, out| {
            let owned = part * together..(part + 1) * together;
            for (p, chosen) in list(index, index_layout).enumerate() {
                if !owned.contains(&chosen) {
                    continue;
                }
                let s = start.wrapping_add_signed(p as isize * strides[axis]);
                let slice = &mut out[(chosen - owned.start) * width..][..width];
                for ([s], out) in after.outer([s]).zip(slice.chunks_exact_mut(inner.size)) {
                    add_run(source, s, inner, out);
                }
            }
        });
    }
    Ok(())
}

/// Parts that slices of a result are cut in, at most.
const PARTS: usize = 16;

/// Adds a run of elements.
#[inline(always)]
fn add_run<T: Number>(source: &[T], start: usize, run: Axis<1>, out: &mut [T]) {
    let [stride] = run.strides;
    if stride == 1 {
        for (x, &y) in out.iter_mut().zip(&source[start..start + run.size]) {
            *x = x.plus(y);
        }
        return;
    }
    for (k, x) in out.iter_mut().enumerate() {
        *x = x.plus(source[start.wrapping_add_signed(k as isize * stride)]);
    }
}

/// The elements of a list of indices that have been checked.
fn list<'a>(index: &'a [i64], layout: &Layout) -> impl Iterator<Item = usize> + Clone + use<'a> {
    let (start, stride) = (layout.offset(), layout.strides()[0]);
    (0..layout.shape()[0])
        .map(move |p| index[start.wrapping_add_signed(p as isize * stride)] as usize)
}

/// A row of `classes` elements for each index: one at its place, zeros elsewhere.
pub(crate) fn one_hot<T: Element>(
    index: &[i64],
    index_layout: &Layout,
    classes: usize,
    out: &mut [T],
) -> Result<(), String> {
    assert_eq!(out.len(), index_layout.shape().size() * classes);
    check(index, index_layout, index_layout.shape().rank(), classes)?;
    out.fill(T::ZERO);
    let walk = Walk::new(index_layout.shape(), [index_layout.strides()]);
    for ([place], row) in walk
        .elements([index_layout.offset()])
        .zip(out.chunks_exact_mut(classes.max(1)))
    {
        row[index[place] as usize] = T::ONE;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
