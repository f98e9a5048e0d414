//! Threads that help those who are of no pool.
//!
//! Work is posted on a board, where whoever is idle finds it, for as long as its owner is at it. To ask rayon's threads instead takes
//! a new allocation each time, since `rayon::spawn` boxes what it is given; they help within a pool, where `rayon::join` keeps it on
//! the stack. The threads start when work is posted for the first time, and sleep while there is none.

use super::team::Parts;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

/// How often an idle thread looks for work before it sleeps: some ten microseconds, as long as there is between two kernels.
const LOOKS: usize = 64;

/// Work that is posted, in the frame of its owner.
struct Posted<'a> {
    parts: &'a Parts<'a>,
    /// How many helpers are at it.
    helping: AtomicUsize,
    /// What the first helper that panicked did so with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// A place for a number of helpers.
struct Notice {
    work: *const Posted<'static>,
    places: usize,
}
// SAFETY: what `work` points to is `Sync`, and is there as long as the notice is on the board or somebody helps, see `take`.
unsafe impl Send for Notice {}

struct Board {
    notices: Vec<Notice>,
    /// How many threads there are, and how many of them sleep.
    threads: usize,
    sleeping: usize,
}

static BOARD: Mutex<Board> = Mutex::new(Board {
    notices: Vec::new(),
    threads: 0,
    sleeping: 0,
});
/// Places on the board, for those who look without the lock.
static PLACES: AtomicUsize = AtomicUsize::new(0);
static BELL: Condvar = Condvar::new();

fn board() -> MutexGuard<'static, Board> {
    // Nothing panics while it has the board.
    BOARD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of processors that this program may use.
pub(super) fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let count = || std::thread::available_parallelism().map_or(1, usize::from);
    *PROCESSORS.get_or_init(count)
}

/// Takes parts on this thread and, as they come, on up to `helpers` others. Returns when nobody is at a part any more, and then
/// panics if a part has.
pub(super) fn take(parts: &Parts<'_>, helpers: usize) {
    let posted = Posted {
        parts,
        helping: AtomicUsize::new(0),
        panic: Mutex::new(None),
    };
    let work: *const Posted<'_> = &raw const posted;
    board().post(Notice {
        work: work.cast(),
        places: helpers,
    });
    let own = catch_unwind(AssertUnwindSafe(|| parts.take(0)));
    board().take_down(work.cast());
    // From here on nobody new comes: to help one has to find the notice, under the lock.
    let mut waited = 0;
    while posted.helping.load(Ordering::Acquire) > 0 {
        // A helper may have to wait for a processor.
        if waited < 1 << 10 {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
        waited += 1;
    }
    let theirs = posted.panic.into_inner();
    let theirs = theirs.unwrap_or_else(PoisonError::into_inner);
    if let Some(panic) = own.err().or(theirs) {
        resume_unwind(panic);
    }
}

impl Board {
    fn post(&mut self, notice: Notice) {
        while self.threads < notice.places {
            let number = self.threads + 1;
            let thread = std::thread::Builder::new().name("wengert".into());
            // Without a thread nobody helps, and the owner does it all.
            if thread.spawn(move || help(number)).is_err() {
                break;
            }
            self.threads += 1;
        }
        PLACES.fetch_add(notice.places, Ordering::Relaxed);
        self.notices.push(notice);
        self.ring();
    }

    fn take_down(&mut self, work: *const Posted<'static>) {
        let at = self.notices.iter().position(|n| n.work == work);
        let notice = self.notices.swap_remove(at.expect("it was posted"));
        PLACES.fetch_sub(notice.places, Ordering::Relaxed);
    }

    /// Wakes one of those who sleep, if there is a place; it wakes the next.
    fn ring(&self) {
        if self.sleeping > 0 && PLACES.load(Ordering::Relaxed) > 0 {
            BELL.notify_one();
        }
    }

    /// A place with work to do, which is taken. Where there is nothing left to do, there are no places any more.
    fn place(&mut self) -> Option<*const Posted<'static>> {
        for notice in self.notices.iter_mut().filter(|n| n.places > 0) {
            // SAFETY: a notice is taken down before its work is gone.
            let posted = unsafe { &*notice.work };
            if posted.parts.are_left() {
                notice.places -= 1;
                PLACES.fetch_sub(1, Ordering::Relaxed);
                // The owner sees it, since it takes the notice down under the same lock.
                posted.helping.fetch_add(1, Ordering::Relaxed);
                return Some(notice.work);
            }
            PLACES.fetch_sub(notice.places, Ordering::Relaxed);
            notice.places = 0;
        }
        None
    }
}

impl Posted<'_> {
    /// Takes parts for somebody else.
    ///
    /// # Safety
    /// A place of this work was taken, and is not given back before this returns.
    unsafe fn help(this: *const Self, thread: usize) {
        // SAFETY: the owner waits until `helping` is zero, which the last line of this makes it.
        let this = unsafe { &*this };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| this.parts.take(thread))) {
            let first = this.panic.lock();
            let mut first = first.unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(panic);
        }
        this.helping.fetch_sub(1, Ordering::Release);
    }
}

/// What a thread of the crew does, which has a number.
fn help(number: usize) {
    let mut looks = 0;
    loop {
        if looks < LOOKS && PLACES.load(Ordering::Relaxed) == 0 {
            looks += 1;
            std::thread::yield_now();
            continue;
        }
        let mut board = board();
        if let Some(work) = board.place() {
            board.ring();
            drop(board);
            // SAFETY: the owner waits until nobody helps any more.
            unsafe { Posted::help(work, number) };
            looks = 0;
        } else if looks == LOOKS {
            board.sleeping += 1;
            let mut board = BELL.wait(board).unwrap_or_else(PoisonError::into_inner);
            board.sleeping -= 1;
            looks = 0;
        }
    }
}
