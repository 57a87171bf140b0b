//! Timeouts.

use std::{future::pending, pin::pin, sync::mpsc, thread, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_supervised::{CancellationToken, Outcome, TaskError, supervised};

use testkit::{outcomes_of, poll_once, turn};

#[tokio::test(start_paused = true)]
async fn a_run_ends_at_its_timeout() {
    #[supervised(timeout = "10s", name = "timeout: gives up")]
    async fn wait() -> Result<(), TaskError> {
        pending().await
    }

    let started = Instant::now();
    let error = wait(&CancellationToken::new()).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(10));
    assert_eq!(error.to_string(), "task `timeout: gives up` timed out after 10s");
    assert_eq!(error.outcome(), Outcome::TimedOut);
}

/// The body reaches its first `.await` after a while, during which it blocks the thread.
async fn takes_its_time() {
    thread::sleep(Duration::from_millis(30));
    pending().await
}

#[tokio::test(start_paused = true)]
async fn in_paused_time_wall_time_does_not_count_for_a_timeout() {
    #[supervised(timeout = "10s", name = "timeout: paused")]
    async fn wait() -> Result<(), TaskError> {
        takes_its_time().await;
        Ok(())
    }

    let started = Instant::now();
    wait(&CancellationToken::new()).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(10));
}

#[tokio::test]
async fn a_timeout_counts_from_the_start_of_the_run() {
    #[supervised(timeout = "60s", name = "timeout: from the start")]
    async fn wait(sender: mpsc::Sender<Instant>) -> Result<(), TaskError> {
        _ = sender.send(Instant::now());
        takes_its_time().await;
        Ok(())
    }

    let (token, (sender, started)) = (CancellationToken::new(), mpsc::channel());
    let mut run = pin!(wait(&token, sender));
    assert!(poll_once(run.as_mut()).is_pending());
    // The rest of the minute passes at once, and no more than that.
    tokio::time::pause();
    let started = started.recv().unwrap();
    tokio::time::advance(Duration::from_secs(60).saturating_sub(started.elapsed())).await;
    tokio::time::timeout(Duration::from_millis(10), run).await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_in_time_does_not_time_out() {
    const MINUTE: Duration = Duration::from_secs(60);

    #[supervised(timeout = MINUTE, name = "timeout: in time")]
    async fn nap() -> Result<u32, TaskError> {
        sleep(Duration::from_secs(59)).await;
        Ok(1)
    }

    assert_eq!(nap(&CancellationToken::new()).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_permit_is_not_part_of_the_run() {
    #[supervised(timeout = "10s", limit = 1, name = "timeout: permit")]
    async fn nap() -> Result<(), TaskError> {
        sleep(Duration::from_secs(9)).await;
        Ok(())
    }

    let token = CancellationToken::new();
    let (first, second) = tokio::join!(nap(&token), nap(&token));
    first.and(second).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cooperating_body_is_dropped_at_its_timeout_too() {
    #[supervised(timeout = "2s", grace = "1h", name = "timeout: cooperating")]
    async fn stubborn(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let token = CancellationToken::new();
    let started = Instant::now();
    let run = tokio::spawn(stubborn(token.clone()));
    turn().await;
    token.cancel();
    assert!(matches!(run.await.unwrap(), Err(TaskError::TimedOut(_))));
    assert_eq!(started.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_spends_its_budget_cannot_starve_its_timeout() {
    #[supervised(timeout = "10ms", name = "timeout: budget")]
    async fn busy() -> Result<(), TaskError> {
        loop {
            // Spends the budget at once; only the passing of real time ends the loop around it.
            tokio::task::consume_budget().await;
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }

    assert!(matches!(busy(&CancellationToken::new()).await, Err(TaskError::TimedOut(_))));
}

#[tokio::test(start_paused = true)]
async fn a_function_without_a_result_just_ends() {
    #[supervised(timeout = "1s", name = "timeout: unit")]
    async fn wait() {
        pending().await
    }

    wait(&CancellationToken::new()).await;
    assert_eq!(outcomes_of("timeout: unit"), [(Outcome::TimedOut, 1)]);
}
