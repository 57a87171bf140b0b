//! Tasks that are only spawned and waited for: what tokio takes of every other program's price.

use std::future::Future;

use tokio_supervised::TaskError;
use tokio_util::task::TaskTracker;

pub(super) async fn spawned<F>(tasks: u64, work: fn() -> F)
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
