//! A bounded, cancellable call whose panics are caught, as one writes it.

use std::{future::Future, hint::black_box, panic::AssertUnwindSafe, time::Instant};

use futures::FutureExt as _;
use tokio::sync::Semaphore;
use tokio_supervised::{CancellationToken, TaskError};

/// Why a run by hand gave nothing.
#[derive(Debug)]
pub(super) enum Failure {
    Panicked,
    Cancelled,
    Failed,
}

/// Bounded, cancellable, its panics caught, its duration known.
pub(super) async fn bounded(
    permits: &Semaphore,
    token: &CancellationToken,
    body: impl Future<Output = Result<u64, TaskError>>,
) -> Result<u64, Failure> {
    let permit = permits.acquire().await.map_err(|_| Failure::Cancelled)?;
    let ended = unbounded(token, body).await;
    drop(permit);
    ended
}

pub(super) async fn unbounded(
    token: &CancellationToken,
    body: impl Future<Output = Result<u64, TaskError>>,
) -> Result<u64, Failure> {
    let begin = Instant::now();
    let run = AssertUnwindSafe(body).catch_unwind();
    let ended = token.run_until_cancelled(run).await;
    // Where a program would add it to a histogram.
    black_box(begin.elapsed());
    match ended {
        Some(Ok(Ok(value))) => Ok(value),
        Some(Ok(Err(_))) => Err(Failure::Failed),
        Some(Err(_)) => Err(Failure::Panicked),
        None => Err(Failure::Cancelled),
    }
}
