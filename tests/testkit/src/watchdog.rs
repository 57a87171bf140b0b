//! Waits that fail instead of hanging.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

/// Longer than any test or program takes, however busy the machine.
pub const WATCHDOG: Duration = Duration::from_secs(90);

/// For tests of many steps.
const LONGEST: Duration = Duration::from_secs(300);

/// Fails instead of hanging. Under paused time a hang is found at once.
pub async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("the test hangs")
}

/// The same if the paused clock passes hours.
pub async fn in_hours<F: Future>(future: F) -> F::Output {
    let hours = Duration::from_secs(100 * 3_600);
    tokio::time::timeout(hours, future).await.expect("the test hangs")
}

/// Waits until a condition holds that nothing signals, such as the contents of a file.
#[track_caller]
pub fn until(condition: impl FnMut() -> bool) {
    assert!(until_or(WATCHDOG, condition), "the condition never holds");
}

/// The same for at most `limit`. Returns whether the condition holds.
pub fn until_or(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !condition() {
        if started.elapsed() >= limit {
            return false;
        }
        thread::yield_now();
    }
    true
}

/// Runs `body` on a separate thread, and fails if it does not finish: a loop that is always ready blocks every timer of
/// its runtime. The thread of a body that hangs is leaked.
#[track_caller]
pub fn finishes<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    match outcome(body) {
        Ok(result) => result,
        Err(failure) => panic!("the body {failure}"),
    }
}

/// The same. The error says that `body` did not finish, or is the message of its panic.
pub fn outcome<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> Result<R, String> {
    match on_a_thread(WATCHDOG, body) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(payload)) => Err(format!("panicked: {}", message(payload))),
        Err(RecvTimeoutError::Timeout) => Err(format!("does not finish in {WATCHDOG:?}")),
        Err(RecvTimeoutError::Disconnected) => {
            Err("panicked while a panic's payload was dropped".into())
        }
    }
}

/// Runs a test of many steps on a separate thread. Fails if the test hangs; otherwise returns or panics like the test.
#[track_caller]
pub fn watched(test: impl FnOnce() + Send + 'static) {
    match on_a_thread(LONGEST, test) {
        Ok(Ok(())) => {}
        Ok(Err(payload)) => resume_unwind(payload),
        Err(_) => panic!("the test hangs"),
    }
}

fn on_a_thread<R: Send + 'static>(
    limit: Duration,
    body: impl FnOnce() -> R + Send + 'static,
) -> Result<thread::Result<R>, RecvTimeoutError> {
    let (send, receive) = channel();
    thread::spawn(move || _ = send.send(catch_unwind(AssertUnwindSafe(body))));
    receive.recv_timeout(limit)
}

fn message(payload: Box<dyn Any + Send>) -> String {
    let text = match payload.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => match payload.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => "with a payload that is no text (a body's `resume_unwind` escaped)".into(),
        },
    };
    // A payload may have a destructor that panics.
    _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    text
}
