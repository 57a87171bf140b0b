//! Whether the process takes new work.

use std::sync::atomic::{AtomicBool, Ordering};

static READY: AtomicBool = AtomicBool::new(true);

/// Returns whether the process accepts new work: false from the first signal that stops `#[supervised::main]`, before
/// its token fires. For a readiness probe.
///
/// The process continues to serve for `linger` after that, since a load balancer takes a while to notice. Without
/// `#[supervised::main]` it is always true. Callable from any thread, and costs one load.
///
/// ```
/// assert!(tokio_supervised::is_ready());
/// ```
#[must_use]
pub fn is_ready() -> bool {
    READY.load(Ordering::Relaxed)
}

pub(crate) fn set(ready: bool) {
    READY.store(ready, Ordering::Relaxed);
}
