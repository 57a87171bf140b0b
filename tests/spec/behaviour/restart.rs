//! Calls of several runs: what is restarted, and what ends the call.

use std::{
    cell::Cell,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tokio_supervised::{CancellationToken, Outcome, TaskError, supervised};

use testkit::{in_time, outcomes_of, poll_once, stats_of};

/// A counter that is shared by all clones.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU32>);

impl Count {
    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn so_far(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

fn failure() -> anyhow::Error {
    anyhow::anyhow!("failed as requested")
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_is_restarted_until_one_succeeds() {
    #[supervised(restart = "on-failure", name = "restart: third time")]
    async fn work(count: Count) -> anyhow::Result<u32> {
        match count.next() {
            3 => Ok(3),
            _ => Err(failure()),
        }
    }

    assert_eq!(in_time(work(&CancellationToken::new(), Count::default())).await.unwrap(), 3);
    let stats = stats_of("restart: third time");
    assert_eq!((stats.started, stats.restarts, stats.running), (3, 2, 0));
    assert_eq!(outcomes_of("restart: third time"), [(Outcome::Ok, 1), (Outcome::Error, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_fails_restarts_nothing() {
    #[supervised(restart = "on-failure", name = "restart: never")]
    async fn work() -> Result<u32, TaskError> {
        Ok(1)
    }

    let started = Instant::now();
    assert_eq!(work(&CancellationToken::new()).await.unwrap(), 1);
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!((stats_of("restart: never").started, stats_of("restart: never").restarts), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn panics_and_timeouts_are_failures_and_each_run_has_a_timeout() {
    #[supervised(restart = "on-failure", timeout = "10s", name = "restart: all failures")]
    async fn work(count: Count) -> anyhow::Result<u32> {
        tokio::time::sleep(Duration::from_secs(9)).await;
        match count.next() {
            1 => panic!("failed as requested"),
            2 => pending().await,
            3 => Err(failure()),
            n => Ok(n),
        }
    }

    let call = work(CancellationToken::new(), Count::default());
    assert_eq!(in_time(call).await.unwrap(), 4);
    let each = [Outcome::Ok, Outcome::Error, Outcome::Panicked, Outcome::TimedOut];
    assert_eq!(outcomes_of("restart: all failures"), each.map(|outcome| (outcome, 1)));
}

#[tokio::test(start_paused = true)]
async fn always_restarts_after_success_until_the_token_fires() {
    #[supervised(
        restart = "always",
        backoff = "1s..1s",
        max_restarts = "100/1s",
        name = "restart: always"
    )]
    async fn work(token: &CancellationToken, count: Count) -> Result<u32, TaskError> {
        let n = count.next();
        if n == 4 {
            token.cancel();
        }
        Ok(n)
    }

    let started = Instant::now();
    let last = in_time(work(&CancellationToken::new(), Count::default())).await;
    assert_eq!(last.unwrap(), 4, "the result of the run in which the token fired");
    assert_eq!(started.elapsed(), Duration::from_secs(3));
    assert_eq!(outcomes_of("restart: always"), [(Outcome::Ok, 4)]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_the_token_has_fired_is_not_restarted() {
    #[supervised(restart = "on-failure", name = "restart: stopped")]
    async fn work(token: &CancellationToken, count: Count) -> anyhow::Result<u32> {
        token.cancel();
        Err(anyhow::anyhow!("failure {}", count.next()))
    }

    let error = in_time(work(&CancellationToken::new(), Count::default())).await.unwrap_err();
    assert_eq!(error.to_string(), "failure 1");
    assert_eq!(outcomes_of("restart: stopped"), [(Outcome::Error, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_by_another_token_is_restarted() {
    #[supervised(name = "restart: inner")]
    async fn inner() -> Result<(), TaskError> {
        pending().await
    }
    #[supervised(restart = "on-failure", name = "restart: foreign")]
    async fn outer(count: Count) -> Result<u32, TaskError> {
        let other = CancellationToken::new();
        other.cancel();
        let n = count.next();
        if n < 3 {
            inner(&other).await?;
        }
        Ok(n)
    }

    assert_eq!(in_time(outer(&CancellationToken::new(), Count::default())).await.unwrap(), 3);
    assert_eq!(outcomes_of("restart: foreign"), [(Outcome::Ok, 1), (Outcome::Error, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_token_fired_during_a_backoff_starts_and_counts_nothing() {
    #[supervised(restart = "on-failure", backoff = "1h..1h", name = "restart: backoff")]
    async fn work(failed: Arc<Notify>) -> anyhow::Result<()> {
        failed.notify_one();
        Err(failure())
    }

    let (token, failed) = (CancellationToken::new(), Arc::new(Notify::new()));
    let started = Instant::now();
    let (result, ()) = in_time(async {
        tokio::join!(work(&token, failed.clone()), async {
            failed.notified().await;
            token.cancel();
        })
    })
    .await;
    let error: TaskError = result.unwrap_err().downcast().unwrap();
    assert!(matches!(error, TaskError::Cancelled(_)), "{error}");
    assert_eq!(error.task(), "restart: backoff");
    assert_eq!(started.elapsed(), Duration::ZERO, "the token wakes the call");
    assert_eq!(outcomes_of("restart: backoff"), [(Outcome::Error, 1)]);
    assert_eq!(stats_of("restart: backoff").restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_fires_as_the_backoff_ends_wins() {
    #[supervised(restart = "on-failure", backoff = "1s..1s", name = "restart: tie")]
    async fn work() -> anyhow::Result<()> {
        Err(failure())
    }

    let token = CancellationToken::new();
    let mut call = Box::pin(work(&token));
    assert!(poll_once(call.as_mut()).is_pending());
    tokio::time::advance(Duration::from_secs(2)).await;
    token.cancel();
    call.await.unwrap_err();
    assert_eq!(stats_of("restart: tie").started, 1);
}

#[tokio::test]
async fn a_fired_token_starts_no_body() {
    #[supervised(restart = "always", name = "restart: refused")]
    async fn work(count: Count) -> anyhow::Result<u32> {
        Ok(count.next())
    }

    let (token, count) = (CancellationToken::new(), Count::default());
    token.cancel();
    in_time(work(&token, count.clone())).await.unwrap_err();
    assert_eq!(count.so_far(), 0);
    assert_eq!(outcomes_of("restart: refused"), [(Outcome::Cancelled, 1)]);
}

#[tokio::test(start_paused = true)]
async fn no_permit_is_held_during_a_backoff() {
    #[supervised(restart = "on-failure", backoff = "1h..1h", limit = 1, name = "restart: permit")]
    async fn work(fails: bool, count: Count) -> anyhow::Result<()> {
        if count.next() == 1 && fails { Err(failure()) } else { Ok(()) }
    }

    let token = CancellationToken::new();
    let mut first = Box::pin(work(&token, true, Count::default()));
    assert!(poll_once(first.as_mut()).is_pending(), "it waits an hour");
    let started = Instant::now();
    in_time(work(&token, false, Count::default())).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO, "the permit was free");
    first.await.unwrap();
    assert_eq!(stats_of("restart: permit").started, 3);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_no_failure_of_the_body() {
    #[supervised(restart = "on-failure", limit = 1, on_full = "reject", name = "restart: rejected")]
    async fn work() -> Result<(), TaskError> {
        pending().await
    }

    let token = CancellationToken::new();
    let mut first = Box::pin(work(&token));
    assert!(poll_once(first.as_mut()).is_pending());
    let error = in_time(work(&token)).await.unwrap_err();
    assert!(matches!(error, TaskError::Rejected(_)), "{error}");
    assert_eq!(stats_of("restart: rejected").restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn each_run_starts_with_fresh_clones() {
    #[supervised(restart = "on-failure", name = "restart: clones")]
    async fn work(mut lines: Vec<u32>, (count, _): (Count, &str)) -> anyhow::Result<Vec<u32>> {
        let n = count.next();
        lines.push(n);
        anyhow::ensure!(n == 3, "once more");
        Ok(lines)
    }

    let token = CancellationToken::new();
    let lines = in_time(work(&token, vec![0], (Count::default(), "borrowed"))).await.unwrap();
    assert_eq!(lines, [0, 3], "clones do not contain what earlier runs pushed");
}

#[derive(Clone)]
struct Worker {
    name: String,
    runs: Count,
}

impl Worker {
    #[supervised(restart = "on-failure", name = "restart: self by value")]
    async fn work(mut self, suffix: &str) -> anyhow::Result<String> {
        self.name.push_str(suffix);
        anyhow::ensure!(self.runs.next() == 3, "{self}: once more");
        Ok(format!("{self}"))
    }

    #[supervised(restart = "on-failure", name = "restart: self shared")]
    async fn shared(self: Arc<Self>, token: CancellationToken) -> anyhow::Result<u32> {
        let n = self.runs.next();
        anyhow::ensure!(n == 2 && !token.is_cancelled(), "once more");
        Ok(n)
    }

    #[supervised(restart = "on-failure", name = "restart: self lent")]
    async fn lent(&self, token: &CancellationToken) -> anyhow::Result<u32> {
        let n = self.runs.next();
        anyhow::ensure!(n == 2 && !token.is_cancelled(), "once more");
        Ok(n)
    }
}

impl std::fmt::Display for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

#[tokio::test(start_paused = true)]
async fn every_receiver_that_can_be_cloned_is() {
    let token = CancellationToken::new();
    let worker = || Worker { name: "a".to_owned(), runs: Count::default() };
    assert_eq!(in_time(worker().work(&token, "b")).await.unwrap(), "ab");
    assert_eq!(in_time(Arc::new(worker()).shared(token.clone())).await.unwrap(), 2);
    assert_eq!(in_time(worker().lent(&token)).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_send_restarts_on_its_thread() {
    #[supervised(restart = "on-failure", name = "restart: not Send")]
    async fn work(runs: std::rc::Rc<Cell<u32>>) -> Result<u32, anyhow::Error> {
        runs.set(runs.get() + 1);
        anyhow::ensure!(runs.get() == 2, "once more");
        Ok(runs.get())
    }

    assert_eq!(in_time(work(&CancellationToken::new(), Default::default())).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_between_two_runs_counts_no_further_run() {
    #[supervised(restart = "on-failure", name = "restart: dropped between")]
    async fn work() -> anyhow::Result<()> {
        Err(failure())
    }

    let token = CancellationToken::new();
    let mut call = Box::pin(work(&token));
    assert!(poll_once(call.as_mut()).is_pending());
    drop(call);
    assert_eq!(outcomes_of("restart: dropped between"), [(Outcome::Error, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_while_it_runs_drops_its_run() {
    #[supervised(restart = "on-failure", limit = 1, name = "restart: dropped within")]
    async fn work() -> anyhow::Result<()> {
        pending().await
    }

    let token = CancellationToken::new();
    for _ in 0..2 {
        let mut call = Box::pin(work(&token));
        assert!(poll_once(call.as_mut()).is_pending());
        assert_eq!(stats_of("restart: dropped within").running, 1, "the permit was released");
    }
    assert_eq!(outcomes_of("restart: dropped within"), [(Outcome::Dropped, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_function_without_a_result_restarts_after_panics() {
    #[supervised(restart = "on-failure", name = "restart: unit")]
    async fn work(count: Count) {
        assert_eq!(count.next(), 2);
    }

    in_time(work(&CancellationToken::new(), Count::default())).await;
    assert_eq!(outcomes_of("restart: unit"), [(Outcome::Ok, 1), (Outcome::Panicked, 1)]);
}

#[test]
fn a_call_shows_its_task() {
    #[supervised(restart = "on-failure", name = "restart: debug")]
    async fn work() -> Result<(), TaskError> {
        Ok(())
    }

    let shown = format!("{:?}", work(CancellationToken::new()));
    assert_eq!(shown, "Restarting { task: \"restart: debug\", .. }");
}
