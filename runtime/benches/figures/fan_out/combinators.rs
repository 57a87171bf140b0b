//! The combinators: everything in the caller's task, on one core. A panic unwinds through the caller, and running items
//! are dropped only with the whole.

use std::{future::Future, num::NonZeroUsize};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use futures_concurrency::prelude::*;
use tokio_supervised::TaskError;

use super::LIMIT;

/// Results in order; it stops pulling at the first failure.
pub(super) async fn buffered<F>(items: u64, work: impl Fn(u64) -> F) -> Result<Vec<u64>, TaskError>
where
    F: Future<Output = Result<u64, TaskError>>,
{
    stream::iter(0..items).map(work).buffered(LIMIT).try_collect().await
}

/// Results in the order in which they end; it stops pulling at the first failure.
pub(super) async fn buffer_unordered<F>(
    items: u64,
    work: impl Fn(u64) -> F,
) -> Result<Vec<u64>, TaskError>
where
    F: Future<Output = Result<u64, TaskError>>,
{
    stream::iter(0..items).map(work).buffer_unordered(LIMIT).try_collect().await
}

/// In the order in which they end, and without results: a failure is seen by the closure alone.
pub(super) async fn for_each_concurrent<F>(items: u64, work: impl Fn(u64) -> F)
where
    F: Future<Output = Result<u64, TaskError>>,
{
    let each = |n| {
        let run = work(n);
        async { drop(run.await) }
    };
    stream::iter(0..items).for_each_concurrent(LIMIT, each).await;
}

/// In the order in which they end, and without results; the first failure ends it. (`collect` takes no
/// notice of the limit.)
pub(super) async fn co_stream<F>(
    items: u64,
    work: impl Fn(u64) -> F + Clone,
) -> Result<(), TaskError>
where
    F: Future<Output = Result<u64, TaskError>>,
{
    let each = move |n| {
        let run = work(n);
        async { run.await.map(drop) }
    };
    stream::iter(0..items).co().limit(NonZeroUsize::new(LIMIT)).try_for_each(each).await
}
