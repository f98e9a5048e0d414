//! Recording functions of many numbers.

use super::super::real::Real;
use super::recorder::{attach, attached, record, reserve};
use super::refusal::mixed;
use super::{Node, WIDE};

/// An operand: tag (0 of a constant), node, and the partial derivative.
pub(in crate::scalar) type Edge<T> = (u32, u32, T);

/// What came of recording: tag and node, and the weight that the handle of the value has.
pub(in crate::scalar) type Recorded<T> = (u32, u32, T);

/// Records an operation of `n` operands, whose tags are `tags`; `None` if all are constants. `pair` gives the operands `2 i`
/// and `2 i + 1`, and `last` the last one of an odd number: each is asked for once, in order.
#[inline(always)]
#[track_caller]
pub(in crate::scalar) fn record_wide<T: Real>(
    operation: &'static str,
    n: usize,
    tags: impl Fn(usize) -> u32,
    pair: impl Fn(usize) -> [Edge<T>; 2],
    last: impl FnOnce() -> Edge<T>,
) -> Option<Recorded<T>> {
    let tag = (0..n).map(&tags).find(|&tag| tag != 0)?;
    let entries = n.div_ceil(2);
    let (start, place) = reserve::<T>(operation, tag, entries + 1);
    // The node itself stands in for operands that there are not: its adjoint is cleared when they have been served.
    let header = start + entries as u32;
    let mut differing = 0;
    let mut operand = |other: u32, node: u32| {
        differing |= other ^ tag;
        if other == tag { node } else { header }
    };
    for i in 0..n / 2 {
        let [(a, i_a, first), (b, i_b, second)] = pair(i);
        let operands = [operand(a, i_a), operand(b, i_b)];
        // SAFETY: `reserve` made room for as many entries, and the header. Operands are scalars of this crate: what they
        // compute may record on tapes of other number types, and not move these nodes.
        unsafe {
            place.add(i).write(Node {
                operands,
                first,
                second,
            });
        }
    }
    if n % 2 == 1 {
        let (a, i_a, first) = last();
        let operands = [operand(a, i_a), header];
        // SAFETY: as above; this is the last entry.
        unsafe {
            place.add(n / 2).write(Node {
                operands,
                first,
                second: T::zero(),
            });
        }
    }
    if differing == 0 && n > 2 {
        // SAFETY: the header has room after the entries.
        unsafe {
            place.add(entries).write(Node {
                operands: [WIDE, entries as u32],
                first: T::zero(),
                second: T::zero(),
            });
        }
        commit::<T>(operation, tag, header + 1, entries as u32);
        return Some((tag, header, T::one()));
    }
    if differing != 0 {
        for other in (0..n).map(tags) {
            if other != tag && other != 0 {
                mixed(operation, tag, other);
            }
        }
    }
    Some(settle(operation, tag, start, entries, place))
}

/// Makes nodes that are written part of the tape.
#[inline(always)]
#[track_caller]
fn commit<T: Real>(operation: &'static str, tag: u32, len: u32, entries: u32) {
    let at = attached::<T>();
    // Partial derivatives of a type that shares the place may have been recorded meanwhile.
    if at.tag() != tag {
        attach::<T>(operation, tag);
    }
    at.commit(len, entries);
}

/// The rest of [`record_wide`] where there are constants, or one or two operands: constants are left out, and one or two
/// operands are no wide node.
#[inline(never)]
#[track_caller]
fn settle<T: Real>(
    operation: &'static str,
    tag: u32,
    start: u32,
    entries: usize,
    place: *mut Node<T>,
) -> Recorded<T> {
    let header = start + entries as u32;
    // SAFETY: `record_wide` has written as many entries, and nothing else refers to them: they are not part of the tape.
    let written = unsafe { std::slice::from_raw_parts_mut(place, entries) };
    let mut n = 0;
    for from in 0..2 * written.len() {
        let Node {
            operands,
            first,
            second,
        } = written[from / 2];
        let side = from % 2;
        if operands[side] == header {
            continue;
        }
        let to = &mut written[n / 2];
        to.operands[n % 2] = operands[side];
        if n % 2 == 0 {
            to.first = if side == 0 { first } else { second };
        } else {
            to.second = if side == 0 { first } else { second };
        }
        n += 1;
    }
    let Node {
        operands: [i, j],
        first,
        second,
    } = written[0];
    match n {
        1 => return (tag, i, first),
        2 if i == j => return (tag, i, first + second),
        2 => {
            let node = record(operation, tag, [i, j], [first, second]);
            return (tag, node, T::one());
        }
        _ => {}
    }
    let entries = n.div_ceil(2);
    let header = start + entries as u32;
    if n % 2 == 1 {
        written[entries - 1].operands[1] = header;
        written[entries - 1].second = T::zero();
    }
    // SAFETY: `record_wide` reserved room for as many entries or more, and a header.
    unsafe {
        place.add(entries).write(Node {
            operands: [WIDE, entries as u32],
            first: T::zero(),
            second: T::zero(),
        });
    }
    commit::<T>(operation, tag, header + 1, entries as u32);
    (tag, header, T::one())
}
