//! The same tasks in a group.

use tokio_supervised::{CancellationToken, Group, SupervisedFuture, TaskError};

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
