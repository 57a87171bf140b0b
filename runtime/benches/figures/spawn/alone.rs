//! Tasks that are only spawned and waited for: what tokio takes of every other program's price.

use std::future::Future;

use tokio::task::JoinSet;
use tokio_supervised::TaskError;
use tokio_util::task::TaskTracker;

/// Joined in the order in which they end, those that have ended on the way.
pub(super) async fn in_a_join_set<F>(tasks: u64, work: fn() -> F)
where
    F: Future<Output = Result<(), TaskError>> + Send + 'static,
{
    let mut all = JoinSet::new();
    for _ in 0..tasks {
        all.spawn(work());
        while let Some(joined) = all.try_join_next() {
            assert!(joined.is_ok(), "no task panics");
        }
    }
    while let Some(joined) = all.join_next().await {
        assert!(joined.is_ok(), "no task panics");
    }
}

pub(super) async fn in_a_tracker<F>(tasks: u64, work: fn() -> F)
where
    F: Future<Output = Result<(), TaskError>> + Send + 'static,
{
    let tracker = TaskTracker::new();
    for _ in 0..tasks {
        tracker.spawn(work());
    }
    tracker.close();
    tracker.wait().await;
}
