//! The same tasks in a group and in a pool.

use std::time::Duration;

use tokio_supervised::{CancellationToken, Group, Pool, SupervisedFuture, TaskError};

pub(super) async fn group<S>(
    token: CancellationToken,
    limit: Option<usize>,
    tasks: u64,
    work: fn(CancellationToken) -> S,
) -> Result<(), TaskError>
where
    S: SupervisedFuture<Value = (), Error = TaskError> + Send + 'static,
{
    let mut group = Group::new(&token);
    if let Some(limit) = limit {
        group = group.limit(limit);
    }
    for _ in 0..tasks {
        group.spawn(work).await;
    }
    let results = group.join().await?;
    assert_eq!(results.len() as u64, tasks);
    Ok(())
}

pub(super) async fn pool<S>(limit: usize, tasks: u64, work: fn(CancellationToken) -> S)
where
    S: SupervisedFuture<Value = (), Error = TaskError> + Send + 'static,
{
    let pool = Pool::new(limit);
    for _ in 0..tasks {
        pool.spawn(work).await.expect("the pool is open");
    }
    pool.drain(Duration::from_secs(600)).await.expect("no task is stuck");
}
