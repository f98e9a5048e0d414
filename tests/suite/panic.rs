//! Catching a panic with its message and the line that it blames.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// What a panic said.
#[derive(Clone, Debug)]
pub struct Panic {
    pub message: String,
    pub file: String,
    pub line: u32,
}

thread_local! {
    /// The last panic, while this thread waits for one.
    static AWAITED: RefCell<Option<Option<Panic>>> = const { RefCell::new(None) };
}

/// Runs a function that must panic.
pub fn caught<R>(f: impl FnOnce() -> R) -> Panic {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let taken = AWAITED.with_borrow_mut(|awaited| match awaited {
                Some(slot) => {
                    let location = info.location().expect("a location");
                    let payload = info.payload();
                    let text = match payload.downcast_ref::<String>() {
                        Some(text) => text.as_str(),
                        None => payload.downcast_ref::<&str>().copied().unwrap_or_default(),
                    };
                    *slot = Some(Panic {
                        message: text.to_string(),
                        file: location.file().to_string(),
                        line: location.line(),
                    });
                    true
                }
                None => false,
            });
            if !taken {
                others(info);
            }
        }));
    });
    AWAITED.set(Some(None));
    let outcome = panic::catch_unwind(AssertUnwindSafe(f));
    let panic = AWAITED.take().flatten();
    match (outcome, panic) {
        (Err(_), Some(panic)) => panic,
        _ => panic!("nothing panicked"),
    }
}
