//! The leaks of the tests, and helpers that read the reports.

use std::{
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tokio_supervised::{Pool, TaskError, supervised};

/// Waits for ever.
#[supervised]
pub(crate) async fn wait_for_ever() -> Result<(), TaskError> {
    pending().await
}

/// Leaks a value without its drop.
pub(crate) fn keep<T>(kept: T) {
    std::mem::forget(kept);
}

/// A pool that is neither drained nor dropped.
pub(crate) fn kept_pool() -> Pool {
    let pool = Pool::new(64);
    keep(pool.clone());
    pool
}

/// Blocks its thread, and nothing else, until the process ends.
pub(crate) fn block_for_ever() {
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    keep(sender);
    _ = receiver.recv();
}

/// The message of a failing test.
pub(crate) fn failure_of(test: fn()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(test)).expect_err("it fails");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => {
            (*payload.downcast_ref::<&str>().expect("the payload is a text")).to_owned()
        }
    }
}
