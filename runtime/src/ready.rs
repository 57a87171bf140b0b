//! Whether a signal has told the process to take no new work.

use std::sync::atomic::{AtomicBool, Ordering};

static READY: AtomicBool = AtomicBool::new(true);

/// False from the first signal that stops a main.
pub(crate) fn accepts_work() -> bool {
    READY.load(Ordering::Relaxed)
}

pub(crate) fn set(ready: bool) {
    READY.store(ready, Ordering::Relaxed);
}
