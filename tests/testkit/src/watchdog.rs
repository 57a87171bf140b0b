//! Moments that are not those of a clock, but of what a program has done so far.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Longer than any program needs, however busy the machine.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Waits until it is so: a file has no way to tell who reads it.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < WATCHDOG, "it never comes to it");
        thread::yield_now();
    }
}
