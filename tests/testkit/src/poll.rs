//! Polls by hand, and what counts its own drops.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

/// Polls once, with a waker that does nothing.
pub fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Ready at the second poll, having woken its task at the first.
pub async fn turn() {
    tokio::task::yield_now().await;
}

/// Counts itself out when it is dropped.
#[derive(Debug)]
pub struct Alive(pub Arc<AtomicUsize>);

impl Alive {
    /// Counts itself in.
    pub fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count.clone())
    }

    /// One more with the same count.
    pub fn another(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// A runtime that the test can shut down while something runs.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
