//! How long a body that has the token may take to end.

use std::{future::pending, time::Duration};

use tokio::time::Instant;
use tokio_supervised::{CancellationToken, Group, Outcome, TaskError, supervised};

use testkit::{in_time, outcomes_of, turn};

/// Cancels a call after its first poll and returns how long it took to end.
async fn cancelled<F>(token: CancellationToken, call: F) -> (F::Output, Duration)
where
    F: Future<Output: Send> + Send + 'static,
{
    let run = tokio::spawn(call);
    turn().await;
    let started = Instant::now();
    token.cancel();
    (run.await.unwrap(), started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn an_unresponsive_body_is_dropped_after_its_grace() {
    #[supervised(grace = "3s", name = "grace: spent")]
    async fn stubborn(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let token = CancellationToken::new();
    let (result, took) = cancelled(token.clone(), stubborn(token)).await;
    assert!(matches!(result, Err(TaskError::Cancelled(_))));
    assert_eq!(took, Duration::from_secs(3));
    assert_eq!(outcomes_of("grace: spent"), [(Outcome::Cancelled, 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_default_grace_is_twenty_seconds() {
    #[supervised(name = "grace: default")]
    async fn stubborn(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let token = CancellationToken::new();
    let (_, took) = cancelled(token.clone(), stubborn(token)).await;
    assert_eq!(took, Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_checks_its_token_is_dropped_too() {
    #[supervised(grace = "3s", name = "grace: deaf")]
    async fn deaf(token: CancellationToken) -> Result<(), TaskError> {
        pending::<()>().await;
        drop(token);
        Ok(())
    }

    let token = CancellationToken::new();
    let (result, took) = cancelled(token.clone(), deaf(token)).await;
    assert!(matches!(result, Err(TaskError::Cancelled(_))));
    assert_eq!(took, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_a_body_may_run_for_ever() {
    #[supervised(grace = "none", name = "grace: none")]
    async fn slow(token: &CancellationToken) -> Result<&'static str, TaskError> {
        token.cancelled().await;
        tokio::time::sleep(Duration::from_secs(7 * 24 * 3_600)).await;
        Ok("a week later")
    }

    let token = CancellationToken::new();
    let (result, _) = cancelled(token.clone(), slow(token)).await;
    assert_eq!(result.unwrap(), "a week later");
}

#[tokio::test(start_paused = true)]
async fn a_groups_grace_shortens_that_of_its_tasks() {
    #[supervised(grace = "1h", name = "grace: group")]
    async fn stubborn(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let token = CancellationToken::new();
    let group = Group::new(&token).grace(Duration::from_secs(2));
    group.spawn(stubborn).await;
    turn().await;
    let started = Instant::now();
    token.cancel();
    in_time(group.join()).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_tasks_own_grace_is_not_lengthened_by_its_group() {
    #[supervised(grace = "1s", name = "grace: own")]
    async fn stubborn(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let token = CancellationToken::new();
    let group = Group::new(&token).grace(Duration::from_secs(30));
    group.spawn(stubborn).await;
    turn().await;
    let started = Instant::now();
    token.cancel();
    in_time(group.join()).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(1));
}
