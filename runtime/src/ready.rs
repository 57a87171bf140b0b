//! Whether the process accepts new work: not after the first signal.

use std::sync::atomic::{AtomicBool, Ordering};

static READY: AtomicBool = AtomicBool::new(true);

/// False from the first signal that stops a main.
pub(crate) fn accepts_work() -> bool {
    READY.load(Ordering::Relaxed)
}

pub(crate) fn set(ready: bool) {
    READY.store(ready, Ordering::Relaxed);
}
