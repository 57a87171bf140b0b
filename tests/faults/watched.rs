//! A test under a watchdog, which fails if the test hangs.

use std::{
    panic::resume_unwind,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

/// Longer than any test takes, however busy the machine.
const LONGEST: Duration = Duration::from_secs(300);

/// Runs a test on another thread, which is abandoned if it hangs.
#[track_caller]
pub(crate) fn watched(test: impl FnOnce() + Send + 'static) {
    let (ends, has_ended) = channel::<()>();
    let running = thread::spawn(move || {
        // Dropped at the end, also by a panic.
        let _ends = ends;
        test();
    });
    if has_ended.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
        panic!("the test ends in time");
    }
    if let Err(panic) = running.join() {
        resume_unwind(panic);
    }
}
