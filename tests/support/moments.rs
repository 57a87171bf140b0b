//! Moments that depend on the progress of a program, not on a clock.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Longer than any program needs, however busy the machine.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Waits until the condition holds: a file does not notify its readers.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < WATCHDOG, "the condition does not hold in time");
        thread::yield_now();
    }
}
