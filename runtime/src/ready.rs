//! Whether the process takes new work.

use std::sync::atomic::{AtomicBool, Ordering};

static READY: AtomicBool = AtomicBool::new(true);

/// Whether the process takes new work: false from the first signal on that tells `#[supervised::main]` to
/// stop, before its token fires. What a readiness probe asks.
///
/// Serving goes on for `linger` after that, since a load balancer takes a while to hear of it. Without
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
