//! Tasks that succeed or fail together, as one writes them.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use futures::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_supervised::{CancellationToken, TaskError};
use tokio_util::task::TaskTracker;

/// Why a task by hand failed.
#[derive(Debug)]
pub(super) enum Failure {
    Failed,
    Panicked,
    Cancelled,
}

/// State shared by the tasks of a group.
struct Shared {
    token: CancellationToken,
    failure: OnceLock<Failure>,
}

/// Bounded, cancellable, panics caught, the first failure stops the rest and is what returns. It keeps no
/// results, since the tasks have none.
pub(super) async fn group<F>(
    token: CancellationToken,
    limit: Option<usize>,
    tasks: u64,
    work: fn() -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), TaskError>> + Send + 'static,
{
    let shared = Arc::new(Shared { token: token.child_token(), failure: OnceLock::new() });
    let permits = limit.map(|limit| Arc::new(Semaphore::new(limit)));
    let tracker = TaskTracker::new();
    for _ in 0..tasks {
        let permit = match &permits {
            None => None,
            Some(permits) => {
                let acquire = permits.clone().acquire_owned();
                match shared.token.run_until_cancelled(acquire).await {
                    Some(Ok(permit)) => Some(permit),
                    _ => break,
                }
            }
        };
        tracker.spawn(one(shared.clone(), permit, work()));
    }
    tracker.close();
    tracker.wait().await;
    let cancelled = shared.token.is_cancelled();
    match Arc::into_inner(shared).and_then(|shared| shared.failure.into_inner()) {
        Some(failure) => Err(failure),
        None if cancelled => Err(Failure::Cancelled),
        None => Ok(()),
    }
}

async fn one(
    shared: Arc<Shared>,
    permit: Option<OwnedSemaphorePermit>,
    work: impl Future<Output = Result<(), TaskError>>,
) {
    let run = AssertUnwindSafe(work).catch_unwind();
    let ended = shared.token.run_until_cancelled(run).await;
    drop(permit);
    if let Some(failure) = failure(ended) {
        _ = shared.failure.set(failure);
        shared.token.cancel();
    }
}

/// The failure of a run that must stop with the token, and must not panic.
pub(super) fn failure(
    ended: Option<std::thread::Result<Result<(), TaskError>>>,
) -> Option<Failure> {
    match ended {
        Some(Ok(Ok(()))) => None,
        Some(Ok(Err(_))) => Some(Failure::Failed),
        Some(Err(_)) => Some(Failure::Panicked),
        None => Some(Failure::Cancelled),
    }
}
