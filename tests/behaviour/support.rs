//! Helpers that the tests share.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio_supervised::{Outcome, TaskStats, stats};

/// Fails instead of hanging. Under paused time it detects a hang at once.
pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("the test ends in time")
}

/// The same for tests in which the paused clock advances by hours.
pub(crate) async fn in_hours<F: Future>(future: F) -> F::Output {
    let hours = Duration::from_secs(100 * 3_600);
    tokio::time::timeout(hours, future).await.expect("the test ends in time")
}

/// The counters of a function. Each test uses unique function names.
pub(crate) fn stats_of(name: &str) -> TaskStats {
    stats().into_iter().find(|task| task.name == name).expect("the function has run")
}

/// The outcomes whose count is not zero.
pub(crate) fn outcomes_of(name: &str) -> Vec<(Outcome, u64)> {
    let stats = stats_of(name);
    let all = Outcome::ALL.iter().map(|outcome| (*outcome, stats.ended(*outcome)));
    all.filter(|(_, count)| *count > 0).collect()
}

/// Polls once with a no-op waker.
pub(crate) fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Pending once after it has woken its task, then ready.
pub(crate) async fn turn() {
    tokio::task::yield_now().await;
}

/// Decrements the counter when it is dropped.
pub(crate) struct Alive(pub(crate) std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl Alive {
    pub(crate) fn new(count: &std::sync::Arc<std::sync::atomic::AtomicUsize>) -> Self {
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Self(count.clone())
    }

    pub(crate) fn another(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    }
}

/// A separate runtime, which a test can shut down while tasks run.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be created")
}
