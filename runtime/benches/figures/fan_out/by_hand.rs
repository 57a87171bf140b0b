//! A task for each item, as one writes it: bounded, cancellable, panics caught, results in order.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinSet},
};
use tokio_supervised::{CancellationToken, TaskError};

use super::LIMIT;

/// Why a fan-out by hand gave nothing.
#[derive(Debug)]
pub(super) enum Failure {
    Failed,
    Panicked,
    Cancelled,
}

type Joined = Result<(usize, Result<u64, Failure>), JoinError>;

/// A task for each item; the first failure stops the rest; finished tasks are joined on the way, so that
/// memory grows with the limit.
pub(super) async fn by_hand<F>(
    token: CancellationToken,
    items: u64,
    work: impl Fn(u64) -> F,
) -> Result<Vec<u64>, Failure>
where
    F: Future<Output = Result<u64, TaskError>> + Send + 'static,
{
    let token = token.child_token();
    let permits = Arc::new(Semaphore::new(LIMIT));
    let mut tasks = JoinSet::new();
    let mut results = Vec::new();
    let mut failure = None;
    let mut keep = |results: &mut Vec<Option<u64>>, joined: Joined| match joined {
        Ok((index, Ok(value))) => results[index] = Some(value),
        Ok((_, Err(error))) => {
            failure.get_or_insert(error);
            token.cancel();
        }
        Err(_) => {
            failure.get_or_insert(Failure::Panicked);
            token.cancel();
        }
    };
    for (index, item) in (0..items).enumerate() {
        let acquired = token.run_until_cancelled(permits.clone().acquire_owned()).await;
        let Some(Ok(permit)) = acquired else { break };
        while let Some(joined) = tasks.try_join_next() {
            keep(&mut results, joined);
        }
        results.push(None);
        let run = AssertUnwindSafe(work(item)).catch_unwind();
        let token = token.clone();
        tasks.spawn(async move {
            let ended = token.run_until_cancelled(run).await;
            drop(permit);
            let ended = match ended {
                Some(Ok(Ok(value))) => Ok(value),
                Some(Ok(Err(_))) => Err(Failure::Failed),
                Some(Err(_)) => Err(Failure::Panicked),
                None => Err(Failure::Cancelled),
            };
            (index, ended)
        });
    }
    while let Some(joined) = tasks.join_next().await {
        keep(&mut results, joined);
    }
    match failure {
        Some(error) => Err(error),
        None if token.is_cancelled() => Err(Failure::Cancelled),
        None => Ok(results.into_iter().flatten().collect()),
    }
}

/// A task for each item in a `JoinSet`, bounded by a semaphore. Results in the order in which they end.
pub(super) async fn join_set<F>(items: u64, work: impl Fn(u64) -> F) -> Vec<u64>
where
    F: Future<Output = Result<u64, TaskError>> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(LIMIT));
    let mut tasks = JoinSet::new();
    let mut results = Vec::new();
    let mut keep = |joined: Result<_, JoinError>| results.extend(joined.ok().and_then(Result::ok));
    for item in 0..items {
        let permit = permits.clone().acquire_owned().await;
        while let Some(joined) = tasks.try_join_next() {
            keep(joined);
        }
        let run = work(item);
        tasks.spawn(async move {
            let ended = run.await;
            drop(permit);
            ended
        });
    }
    while let Some(joined) = tasks.join_next().await {
        keep(joined);
    }
    results
}
