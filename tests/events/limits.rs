//! Of the warnings of one function, at most 10 a second are logged one by one.

use std::{future::pending, time::Duration};

use tokio::time::timeout;
use tokio_supervised::{CancellationToken, Pool, TaskError, supervised};

use crate::{COUNTS, listen};

/// How many runs warn in each test.
const RUNS: usize = 30;

/// Runs a loop, and returns how many of its warnings were logged one by one, and how many were counted.
async fn warnings(name: &str, warn: impl AsyncFnOnce(&CancellationToken)) -> (usize, usize) {
    let events = listen();
    warn(&CancellationToken::new()).await;
    // The end of any drain logs the counts.
    Pool::new(1).drain(Duration::ZERO).await.unwrap();
    let logged = events.lock().unwrap().iter().filter(|event| event.name() == name).count();
    let counts = COUNTS.lock().unwrap();
    let counted = counts.iter().filter(|event| event.name() == name);
    (logged, counted.map(|event| event.fields["times"].parse::<usize>().unwrap()).sum())
}

#[track_caller]
fn are_limited((logged, counted): (usize, usize)) {
    assert_eq!(logged + counted, RUNS, "each is logged or counted");
    assert!(counted > 0 && logged >= 10, "{logged} logged, {counted} counted");
}

#[tokio::test(start_paused = true)]
async fn restarts_are_counted_above_ten_a_second() {
    #[supervised(
        name = "limits: restarts",
        restart = "on-failure",
        backoff = "1ms..1ms",
        max_restarts = "29/1m"
    )]
    async fn fails() -> anyhow::Result<()> {
        anyhow::bail!("no")
    }

    // And a warning of the last run.
    let limited = warnings("limits: restarts", async |token| {
        fails(token).await.unwrap_err();
    });
    are_limited(limited.await);
}

#[tokio::test(start_paused = true)]
async fn last_runs_are_counted_above_ten_a_second() {
    #[supervised(name = "limits: last runs", restart = "on-failure", max_restarts = "1/1m")]
    async fn fails() -> anyhow::Result<()> {
        anyhow::bail!("no")
    }

    let limited = warnings("limits: last runs", async |token| {
        // Each has one restart, and one last run.
        for _ in 0..RUNS / 2 {
            fails(token).await.unwrap_err();
        }
    });
    are_limited(limited.await);
}

#[tokio::test(start_paused = true)]
async fn timeouts_without_a_caller_are_counted_above_ten_a_second() {
    #[supervised(name = "limits: discarded", timeout = "1ms")]
    async fn waits() {
        pending().await
    }

    let limited = warnings("limits: discarded", async |token| {
        for _ in 0..RUNS {
            waits(token).await;
        }
    });
    are_limited(limited.await);
}

#[tokio::test(start_paused = true)]
async fn spent_graces_are_counted_above_ten_a_second() {
    #[supervised(name = "limits: overdue", grace = "1ms")]
    async fn stays(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let limited = warnings("limits: overdue", async |_| {
        for _ in 0..RUNS {
            let token = CancellationToken::new();
            let fires = async {
                timeout(Duration::from_millis(1), pending::<()>()).await.unwrap_err();
                token.cancel();
            };
            tokio::join!(stays(&token), fires).0.unwrap_err();
        }
    });
    are_limited(limited.await);
}
