//! Limits that no test reaches from outside: tags that come around, and the largest tape.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::tags::{GENERATIONS, fresh_tag, slot_of, tag_of};
use super::*;
use crate::scalar::Tape;

fn message<R>(f: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("nothing panicked"),
        Err(payload) => match payload.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .unwrap_or_default(),
        },
    }
}

#[test]
fn tags_come_around_and_are_never_that_of_constants() {
    for first in [0, (1 << 24) - 2, (1 << 25) - 1, u32::MAX - 1] {
        GENERATIONS.set((first, first.wrapping_add(8)));
        let tags: Vec<u32> = (0..6).map(|_| fresh_tag(0)).collect();
        assert!(
            tags.iter()
                .all(|&tag| tag != 0 && slot_of(tag) == 0 && tag % 2 == 0),
            "{tags:?}"
        );
        let mut distinct = tags.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), tags.len());
    }
    // With no generations left there are others.
    GENERATIONS.set((7, 7));
    assert_ne!(fresh_tag(3), fresh_tag(3));
}

#[test]
fn a_stale_scalar_whose_tag_came_around_is_no_danger() {
    let generation = |n: u32| GENERATIONS.set((n, n + 1));
    generation(1_000_001);
    let tape = Tape::<f64>::new();
    let x = tape.vars(&[2.0; 20]);
    let late = x[18] * x[19];
    let slot = slot_of(tape.hold.tag());
    drop(tape);
    generation(1_000_001);
    let tape = Tape::<f64>::new();
    assert_eq!(slot_of(tape.hold.tag()), slot);
    assert_eq!(tape.hold.tag(), late.tag());
    let y = tape.vars(&[3.0, 5.0]);
    // The node is beyond those of the tape: as an operand, left and right, as one of many, and as a seed.
    let constant = Scalar::constant(1.0);
    let panics = [
        message(|| late * y[0]),
        message(|| y[0] * late),
        message(|| crate::scalar::sum(&[late, y[0], y[1]])),
        message(|| crate::scalar::sum(&[y[0], y[1], y[0], late])),
        message(|| crate::scalar::sum(&[constant, y[1], y[0], late])),
        message(|| tape.gradient_of(late, &y)),
    ];
    for (text, name) in panics
        .iter()
        .zip(["mul", "mul", "sum", "sum", "sum", "sweep"])
    {
        assert_eq!(
            *text,
            format!("{name}: a scalar of a tape that was reset 2^24 tapes ago was used")
        );
    }
    // Nothing of that was recorded.
    assert_eq!(tape.nodes(), 2);
    assert_eq!(tape.gradient_of(y[0] * y[1], &y), [5.0, 3.0]);
}

/// A tag tells its tape from the one with the slot and generation next to it, whatever the nodes.
#[test]
fn nodes_of_a_tape_are_told_from_all_others() {
    let tags: Vec<u32> = [0, 1, (1 << 24) - 1]
        .into_iter()
        .flat_map(|generation| [0, 1, SLOTS - 1].map(|slot| tag_of(slot, generation)))
        .collect();
    let nodes = [0, 1, 6, 7, 8, 1 << 31, MAX_NODES - 1, MAX_NODES];
    for &own in &tags {
        for next in nodes {
            for &tag in &tags {
                for node in nodes {
                    let seen = are_below(below(id(own, next), id(tag, node)));
                    assert_eq!(
                        seen,
                        own == tag && node < next,
                        "{own} {next}, {tag} {node}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_full_tape_panics_and_names_the_operation() {
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(2.0), tape.var(3.0));
    let set = |len, capacity| {
        tape.hold.slot(|slot| {
            slot.len.set(len);
            slot.capacity.set(capacity);
        });
    };
    let (len, capacity) = tape.hold.slot(|slot| (slot.len.get(), slot.capacity.get()));
    set(MAX_NODES, MAX_NODES);
    let panics = [
        message(|| x * y),
        message(|| x.hypot(y)),
        message(|| tape.var(1.0)),
        message(|| crate::scalar::norm(&[x, y, x])),
    ];
    // Before anything can fail, the tape is as it was: what is there is not written.
    set(len, capacity);
    for (text, name) in panics.iter().zip(["mul", "hypot", "var", "norm"]) {
        assert_eq!(
            *text,
            format!("{name}: a tape holds at most 2^32 - 2 nodes")
        );
    }
    assert_eq!(tape.gradient_of(x * y, &[x, y]), [3.0, 2.0]);
}
