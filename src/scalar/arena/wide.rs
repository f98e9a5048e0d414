//! Recording functions of many numbers.

use super::super::real::Real;
use super::refusal::{mixed, reused_tag};
use super::slots::{are_below, below, id};
use super::{Node, Room, WIDE};

/// An operand: tag (0 of a constant) and node in one number, and the partial derivative.
pub(in crate::scalar) type Edge<T> = (u64, T);

/// What came of recording: tag and node, and the weight that the handle of the value has.
pub(in crate::scalar) type Recorded<T> = (u64, T);

/// Records an operation of `n` operands, whose tags are `tags`; `None` if all are constants. `pair` gives the operands `2 i`
/// and `2 i + 1`, and `last` the last one of an odd number: each is asked for once, in order.
///
/// What gives the operands is only called in line, on rare ways too: else they would have to lie in memory, where a caller
/// has just brought together a few.
#[inline(always)]
#[track_caller]
pub(in crate::scalar) fn record_wide<T: Real>(
    operation: &'static str,
    n: usize,
    tags: impl Fn(usize) -> u32,
    pair: impl Fn(usize) -> [Edge<T>; 2],
    last: impl FnOnce() -> Edge<T>,
) -> Option<Recorded<T>> {
    // The first is looked at by itself: it hardly ever is a constant.
    let mut tag = if n == 0 { 0 } else { tags(0) };
    let mut at = 1;
    while tag == 0 {
        if at >= n {
            return None;
        }
        tag = tags(at);
        at += 1;
    }
    let entries = n.div_ceil(2);
    let mut room = Room::reserve(operation, tag, entries + 1);
    // The node itself stands in for operands that there are not: its adjoint is cleared when they have been served.
    let header = room.next + entries as u64;
    // Operands that are no nodes of the tape are looked for after all are written.
    let (next, mut joined) = (room.next, u64::MAX);
    room.fill(n / 2, |i| {
        let [(a, first), (b, second)] = pair(i);
        joined &= below(next, a) & below(next, b);
        Node {
            operands: [a as u32, b as u32],
            first,
            second,
        }
    });
    if n % 2 == 1 {
        let (a, first) = last();
        joined &= below(next, a);
        room.put([a as u32, header as u32], [first, T::zero()]);
    }
    let own = are_below(joined);
    if own && n > 2 {
        room.put([WIDE, entries as u32], [T::zero(); 2]);
        room.commit(entries as u32);
        return Some((header, T::one()));
    }
    if !own {
        for at in 0..n {
            let other = tags(at);
            if other == 0 {
                room.nodes()[at / 2].operands[at % 2] = header as u32;
            } else if other != tag {
                mixed(operation, tag, other);
            }
        }
    }
    Some(settle(room, header as u32))
}

/// The rest of [`record_wide`] where there are constants, or one or two operands: constants are left out, and one or two
/// operands are no wide node.
#[inline(never)]
#[track_caller]
fn settle<T: Real>(mut room: Room<T>, header: u32) -> Recorded<T> {
    let (next, operation) = (room.next, room.operation);
    let start = next as u32;
    let own = |node: u32| id((next >> 32) as u32, node);
    let entries = room.nodes();
    let mut n = 0;
    for from in 0..2 * entries.len() {
        let Node {
            operands,
            first,
            second,
        } = entries[from / 2];
        let side = from % 2;
        if operands[side] == header {
            continue;
        }
        if operands[side] >= start {
            reused_tag(operation);
        }
        let to = &mut entries[n / 2];
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
    } = entries[0];
    match n {
        1 => return (own(i), first),
        2 if i == j => return (own(i), first + second),
        2 => {
            room.filled = 1;
            room.commit(0);
            return (next, T::one());
        }
        _ => {}
    }
    let kept = n.div_ceil(2);
    let header = start + kept as u32;
    if n % 2 == 1 {
        let last = &mut entries[kept - 1];
        last.operands[1] = header;
        last.second = T::zero();
    }
    room.filled = kept;
    room.put([WIDE, kept as u32], [T::zero(); 2]);
    room.commit(kept as u32);
    (own(header), T::one())
}
