//! Functions that restart in groups, maps and tasks.

use std::{
    future::pending,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tokio_supervised::{CancellationToken, Cause, Group, Outcome, TaskError, map, supervised};

use crate::support::{in_hours, in_time, outcomes_of, stats_of, turn};

#[supervised(restart = "on-failure", name = "restart scopes: second")]
async fn second(n: u32, runs: Arc<AtomicU32>) -> Result<u32, TaskError> {
    assert!(runs.fetch_add(1, Ordering::SeqCst) > 0, "the first run fails");
    Ok(n)
}

#[tokio::test(start_paused = true)]
async fn a_call_is_spawned() {
    let call = tokio::spawn(second(CancellationToken::new(), 1, Arc::default()));
    assert_eq!(in_time(call).await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_map_gets_the_result_of_the_last_run() {
    let token = CancellationToken::new();
    let map = map(&token, 0..100, |token, n| second(token, n, Arc::default())).limit(4);
    assert_eq!(in_time(map).await.unwrap(), (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_followed_by_another_run_cancels_no_sibling() {
    #[supervised(name = "restart scopes: sibling")]
    async fn sibling() -> Result<u32, TaskError> {
        tokio::time::sleep(Duration::from_secs(9)).await;
        Ok(2)
    }

    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| second(token, 1, Arc::default())).await;
    group.spawn(sibling).await;
    assert_eq!(in_time(group.join()).await.unwrap(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_converted_for_the_group() {
    #[supervised(restart = "on-failure", name = "restart scopes: io")]
    async fn read() -> io::Result<u32> {
        Ok(1)
    }

    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| read(token).err_into()).await;
    let numbers: anyhow::Result<Vec<u32>> = in_time(group.join()).await;
    assert_eq!(numbers.unwrap(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_cancelled_during_a_backoff_knows_why() {
    #[supervised(restart = "on-failure", backoff = "1h..1h", name = "restart scopes: waits")]
    async fn waits() -> Result<(), TaskError> {
        panic!("it restarts in an hour")
    }
    #[supervised(name = "restart scopes: fails")]
    async fn fails() -> Result<(), TaskError> {
        turn().await;
        panic!("it fails for good")
    }
    #[supervised(name = "restart scopes: outer")]
    async fn outer(
        token: &CancellationToken,
        seen: Arc<Mutex<Option<Cause>>>,
    ) -> Result<(), TaskError> {
        let result = waits(token).await;
        if let Err(TaskError::Cancelled(cancelled)) = &result {
            *seen.lock().unwrap() = Some(cancelled.cause());
        }
        result
    }

    let seen = Arc::new(Mutex::new(None));
    let group = Group::new(&CancellationToken::new());
    group
        .spawn({
            let seen = seen.clone();
            |token| outer(token, seen)
        })
        .await;
    group.spawn(fails).await;
    let begun = Instant::now();
    let error = in_time(group.join()).await.unwrap_err();
    assert_eq!(error.task(), "restart scopes: fails");
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waits an hour");
    let cause = *seen.lock().unwrap();
    assert_eq!(cause, Some(Cause::SiblingFailed { task: "restart scopes: fails" }));
    assert_eq!(outcomes_of("restart scopes: waits"), [(Outcome::Panicked, 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_permit_of_the_spawn_is_the_first_runs_alone() {
    #[supervised(
        restart = "on-failure",
        backoff = "1h..1h",
        limit = 1,
        name = "restart scopes: permit"
    )]
    async fn work(fails: bool, runs: Arc<AtomicU32>) -> Result<u32, TaskError> {
        let n = runs.fetch_add(1, Ordering::SeqCst);
        assert!(n > 0 || !fails, "the first run fails");
        Ok(n)
    }

    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| work(token, true, Arc::default())).await;
    let begun = Instant::now();
    // Waits for the permit until the first run of the first task has ended.
    group.spawn(|token| work(token, false, Arc::default())).await;
    assert_eq!(begun.elapsed(), Duration::ZERO, "no permit is held during the backoff");
    assert_eq!(in_hours(group.join()).await.unwrap(), [1, 0]);
    assert_eq!(stats_of("restart scopes: permit").started, 3);
}

#[tokio::test(start_paused = true)]
async fn the_grace_of_the_group_holds_for_every_run() {
    #[supervised(
        restart = "on-failure",
        backoff = "1s..1s",
        grace = "1h",
        name = "restart scopes: grace"
    )]
    async fn work(token: &CancellationToken, runs: Arc<AtomicU32>) -> Result<u32, TaskError> {
        assert!(runs.fetch_add(1, Ordering::SeqCst) > 0, "the first run fails");
        token.cancelled().await;
        pending().await
    }

    let token = CancellationToken::new();
    let group = Group::new(&token).grace(Duration::from_secs(2));
    group.spawn(|token| work(token, Arc::default())).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let begun = Instant::now();
    token.cancel();
    in_time(group.join()).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    let ended = [(Outcome::Panicked, 1), (Outcome::Cancelled, 1)];
    assert_eq!(outcomes_of("restart scopes: grace"), ended);
}
