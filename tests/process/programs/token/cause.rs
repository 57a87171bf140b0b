//! Why a supervised function was cancelled, wherever it runs.

use std::future::pending;

use tokio_supervised::{CancellationToken, Group, TaskError, map, supervised};

use crate::common::say;

#[supervised]
async fn never(_: usize) -> Result<(), TaskError> {
    say("READY");
    pending().await
}

pub(crate) async fn body(place: &str, token: &CancellationToken) -> anyhow::Result<()> {
    let result = match place {
        "cause in main" => never(token, 0).await,
        "cause in a group" => {
            let group = Group::new(token);
            group.spawn(|token| never(token, 0)).await;
            group.join().await.map(drop)
        }
        "cause in map" => map(token, [0], never).await.map(drop),
        "cause in a bare task" => tokio::spawn(never(token.clone(), 0)).await?,
        _ => anyhow::bail!("no such place: {place}"),
    };
    match result {
        Err(TaskError::Cancelled(cancelled)) => say(&format!("{:?}", cancelled.cause())),
        other => say(&format!("{other:?}")),
    }
    Ok(())
}
