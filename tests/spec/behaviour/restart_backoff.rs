//! How long a call waits before it restarts, and when it stops restarting. Time is paused.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tokio_supervised::{CancellationToken, TaskError, supervised};

use testkit::{in_hours, in_time, poll_once, stats_of};

const SECOND: Duration = Duration::from_secs(1);

/// When each run started, and how long each shall last; shared by all clones.
#[derive(Clone)]
struct Script(Arc<Mutex<(Vec<Instant>, Vec<u32>)>>);

impl Script {
    /// The durations of the runs, in seconds; one more run fails at once.
    fn new(seconds: &[u32]) -> Self {
        Self(Arc::new(Mutex::new((Vec::new(), seconds.iter().rev().copied().collect()))))
    }

    /// Executes the next run.
    async fn fail(&self) -> anyhow::Result<()> {
        let seconds = {
            let mut script = self.0.lock().unwrap();
            script.0.push(Instant::now());
            script.1.pop().unwrap_or(0)
        };
        sleep(seconds * SECOND).await;
        anyhow::bail!("failure {}", self.0.lock().unwrap().0.len())
    }

    /// Between the end of each run and the start of the next, in milliseconds.
    fn waits(&self, seconds: &[u32]) -> Vec<u128> {
        let started = &self.0.lock().unwrap().0;
        let lengths = seconds.iter().copied().chain(std::iter::repeat(0));
        let pairs = started.windows(2).zip(lengths);
        pairs.map(|(pair, length)| (pair[1] - pair[0] - length * SECOND).as_millis()).collect()
    }
}

/// Asserts that each wait is within its bounds, in milliseconds. A timer may be late by 1 ms.
#[track_caller]
fn assert_within(waits: &[u128], bounds: &[(u128, u128)]) {
    assert_eq!(waits.len(), bounds.len(), "{waits:?}");
    for (wait, (lower, upper)) in waits.iter().zip(bounds) {
        assert!((*lower..=upper + 1).contains(wait), "{waits:?} against {bounds:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_waits_double_between_the_bounds() {
    #[supervised(
        restart = "on-failure",
        backoff = "1s..10s",
        max_restarts = "6/1h",
        name = "backoff: doubles"
    )]
    async fn work(script: Script) -> anyhow::Result<()> {
        script.fail().await
    }

    let script = Script::new(&[]);
    in_hours(work(&CancellationToken::new(), script.clone())).await.unwrap_err();
    let upper = (5_000, 10_000);
    let bounds = [(1_000, 2_000), (2_000, 4_000), (4_000, 8_000), upper, upper, upper];
    assert_within(&script.waits(&[]), &bounds);
}

#[tokio::test(start_paused = true)]
async fn the_waits_of_calls_that_fail_together_differ() {
    #[supervised(
        restart = "on-failure",
        backoff = "1h..24h",
        max_restarts = "1/1s",
        name = "backoff: jitter"
    )]
    async fn work(script: Script) -> anyhow::Result<()> {
        script.fail().await
    }

    let mut waits = Vec::new();
    for _ in 0..10 {
        let script = Script::new(&[]);
        let token = CancellationToken::new();
        let stop = async {
            sleep(3 * 3_600 * SECOND).await;
            token.cancel();
        };
        let (result, ()) = tokio::join!(work(&token, script.clone()), stop);
        result.unwrap_err();
        waits.push(script.waits(&[])[0]);
    }
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 1, "an hour of jitter gave the same wait ten times: {waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_outlived_the_upper_bound_resets_the_waits() {
    #[supervised(
        restart = "on-failure",
        backoff = "1s..8s",
        max_restarts = "5/1h",
        name = "backoff: reset"
    )]
    async fn work(script: Script) -> anyhow::Result<()> {
        script.fail().await
    }

    // The third run lasts as long as the upper bound, which does not exceed it; the fifth run does.
    let lengths = [0, 0, 8, 0, 9, 0];
    let script = Script::new(&lengths);
    in_hours(work(&CancellationToken::new(), script.clone())).await.unwrap_err();
    let bounds = [(1_000, 2_000), (2_000, 4_000), (4_000, 8_000), (4_000, 8_000), (1_000, 2_000)];
    assert_within(&script.waits(&lengths), &bounds);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_permit_is_no_stable_run() {
    #[supervised(
        restart = "on-failure",
        backoff = "1s..4s",
        max_restarts = "3/1h",
        limit = 1,
        name = "backoff: permit"
    )]
    async fn work(script: Script) -> anyhow::Result<()> {
        script.fail().await
    }

    let token = CancellationToken::new();
    let script = Script::new(&[]);
    let mut call = Box::pin(work(&token, script.clone()));
    assert!(poll_once(call.as_mut()).is_pending(), "it has failed");
    let mut long = Box::pin(work(&token, Script::new(&[1_000])));
    assert!(poll_once(long.as_mut()).is_pending(), "it has the permit");
    let (first, second) = in_hours(async { tokio::join!(call, long) }).await;
    first.and(second).unwrap_err();
    // Between the second run, which waited long, and the third.
    let wait = script.waits(&[])[1];
    assert!(wait >= 2_000, "{wait} ms is the bound of a first wait");
}

#[tokio::test(start_paused = true)]
async fn the_failure_after_the_last_restart_is_the_result() {
    #[supervised(
        restart = "on-failure",
        backoff = "1s..1s",
        max_restarts = "2/1m",
        name = "backoff: gives up"
    )]
    async fn work(script: Script) -> anyhow::Result<()> {
        script.fail().await
    }

    let script = Script::new(&[]);
    let started = Instant::now();
    let error = in_time(work(&CancellationToken::new(), script.clone())).await.unwrap_err();
    assert_eq!(error.to_string(), "failure 3");
    assert_eq!(started.elapsed(), 2 * SECOND, "no wait after the last failure");
    let stats = stats_of("backoff: gives up");
    assert_eq!((stats.started, stats.restarts), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn the_window_slides() {
    #[supervised(
        restart = "on-failure",
        backoff = "1s..1s",
        max_restarts = "2/10s",
        name = "backoff: window"
    )]
    async fn work(script: Script) -> anyhow::Result<()> {
        script.fail().await
    }

    // Failures at 0, 5, 10 (the one at 0 has left the window), 15 and 17: the third since 10.
    let script = Script::new(&[0, 4, 4, 4, 1, 100]);
    let started = Instant::now();
    let error = in_time(work(&CancellationToken::new(), script.clone())).await.unwrap_err();
    assert_eq!(error.to_string(), "failure 5");
    assert_eq!(started.elapsed(), 17 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_default_is_five_restarts_in_a_minute_from_100_ms() {
    #[supervised(restart = "on-failure", name = "backoff: default")]
    async fn work(script: Script) -> anyhow::Result<()> {
        script.fail().await
    }

    let script = Script::new(&[]);
    in_time(work(&CancellationToken::new(), script.clone())).await.unwrap_err();
    let bounds = [(100, 200), (200, 400), (400, 800), (800, 1_600), (1_600, 3_200)];
    assert_within(&script.waits(&[]), &bounds);
}

#[tokio::test(start_paused = true)]
async fn the_bounds_may_be_constants() {
    const WAITS: std::ops::Range<Duration> = SECOND..SECOND;

    #[supervised(restart = "on-failure", backoff = WAITS, max_restarts = "1/1m", name = "backoff: constant")]
    async fn named(script: Script) -> anyhow::Result<()> {
        script.fail().await
    }
    #[supervised(restart = "on-failure", backoff = SECOND..Duration::from_secs(1), max_restarts = "1/1m", name = "backoff: range")]
    async fn written(script: Script) -> anyhow::Result<()> {
        script.fail().await
    }

    let (token, started) = (CancellationToken::new(), Instant::now());
    in_time(named(&token, Script::new(&[]))).await.unwrap_err();
    in_time(written(&token, Script::new(&[]))).await.unwrap_err();
    assert_eq!(started.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_success_counts_against_the_restarts_of_always() {
    #[supervised(
        restart = "always",
        backoff = "1s..1s",
        max_restarts = "3/1m",
        name = "backoff: always"
    )]
    async fn work() -> Result<u32, TaskError> {
        Ok(1)
    }

    assert_eq!(in_time(work(&CancellationToken::new())).await.unwrap(), 1);
    assert_eq!(stats_of("backoff: always").started, 4);
}
