//! Limits that no test reaches from outside: tags that come around, and the largest tape.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::tags::{GENERATIONS, fresh_tag};
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
    for first in [0, (1 << 25) - 2, (1 << 26) - 1, u32::MAX - 1] {
        GENERATIONS.set((first, first.wrapping_add(8)));
        let tags: Vec<u32> = (0..6).map(|_| fresh_tag(0)).collect();
        assert!(
            tags.iter()
                .all(|&tag| tag != 0 && (tag as usize).is_multiple_of(SLOTS)),
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
    let slot = tape.hold.tag() as usize % SLOTS;
    drop(tape);
    generation(1_000_001);
    let tape = Tape::<f64>::new();
    assert_eq!(tape.hold.tag() as usize % SLOTS, slot);
    assert_eq!(tape.hold.tag(), late.tag());
    let y = tape.vars(&[3.0, 5.0]);
    // The node is beyond those of the tape: as an operand, as a seed, and as one of many.
    let both = late * y[0];
    let many = crate::scalar::sum(&[late, y[0], y[1], both]);
    for broken in [both, many, late] {
        assert!(message(|| tape.gradient_of(broken, &y)).contains("2^25 tapes ago"));
    }
    // What was recorded with it is worthless; the tape is not.
    let mut tape = tape;
    tape.reset();
    let y = tape.vars(&[3.0, 5.0]);
    assert_eq!(tape.gradient_of(y[0] * y[1], &y), [5.0, 3.0]);
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
