//! Tasks of which each stands for itself, as one writes them.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use tokio::sync::Semaphore;
use tokio_supervised::{CancellationToken, TaskError};
use tokio_util::task::TaskTracker;

use super::group_by_hand::failure;

/// Bounded, cancellable, panics caught; a failure is logged and affects no other task. Ends when all have ended.
pub(super) async fn pool<F>(token: CancellationToken, limit: usize, tasks: u64, work: fn() -> F)
where
    F: Future<Output = Result<(), TaskError>> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(limit));
    let tracker = TaskTracker::new();
    for _ in 0..tasks {
        let acquire = permits.clone().acquire_owned();
        let Some(Ok(permit)) = token.run_until_cancelled(acquire).await else { break };
        let token = token.clone();
        let run = AssertUnwindSafe(work()).catch_unwind();
        tracker.spawn(async move {
            if let Some(failure) = failure(token.run_until_cancelled(run).await) {
                tracing::error!(?failure, "a task failed");
            }
            drop(permit);
        });
    }
    tracker.close();
    tracker.wait().await;
}
