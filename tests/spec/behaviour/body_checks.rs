//! Bodies that resemble refused ones but are accepted.

use tokio_supervised::{CancellationToken, TaskError, supervised, task};

/// `#[tracing::instrument]` inserts a loop that never runs in front of the body.
#[tracing::instrument(skip_all)]
#[supervised]
async fn instrumented_above(token: &CancellationToken, n: u32) -> Result<u32, TaskError> {
    instrumented_below(token, n).await
}

#[supervised]
#[tracing::instrument(skip_all)]
async fn instrumented_below(n: u32) -> Result<u32, TaskError> {
    std::future::ready(Ok(n + 1)).await
}

#[tokio::test]
async fn a_function_may_be_instrumented_above_and_below() {
    assert_eq!(instrumented_above(&CancellationToken::new(), 1).await.unwrap(), 2);
}

#[supervised(allow(detached_spawn, blocking_sleep, block_on, no_exit, unused_token))]
async fn does_all_that_is_refused(_token: &CancellationToken, how: u32) -> Result<u32, TaskError> {
    if how == 0 {
        tokio::spawn(async {});
        tokio::task::spawn_blocking(|| {});
        std::thread::sleep(std::time::Duration::from_nanos(1));
        return Ok(1);
    }
    tokio::runtime::Handle::current().block_on(async {});
    loop {
        std::hint::spin_loop();
    }
}

#[tokio::test]
async fn allowed_code_runs_as_written() {
    let token = CancellationToken::new();
    assert_eq!(does_all_that_is_refused(&token, 0).await.unwrap(), 1);
    let task = task!("allowed", allow(detached_spawn), |_| async {
        tokio::spawn(async {});
        Ok::<_, TaskError>(1)
    });
    assert_eq!(task(token).await.unwrap(), 1);
}

#[supervised]
async fn works_elsewhere(n: u32) -> Result<u32, TaskError> {
    let doubled = tokio::task::spawn_blocking(move || {
        // Runs on a thread that is not a worker.
        std::thread::sleep(std::time::Duration::from_nanos(1));
        n * 2
    })
    .await;
    Ok(doubled.unwrap_or_default())
}

#[tokio::test]
async fn blocking_work_runs_on_a_blocking_thread() {
    assert_eq!(works_elsewhere(&CancellationToken::new(), 2).await.unwrap(), 4);
}
