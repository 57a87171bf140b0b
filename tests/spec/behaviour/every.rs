//! Periodic calls: when a run starts, and how the call ends.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tokio_supervised::{CancellationToken, Group, Outcome, TaskError, supervised};

use testkit::{in_hours, outcomes_of, poll_once, stats_of};

const SECOND: Duration = Duration::from_secs(1);

/// The seconds at which runs started, counted from when it was made.
#[derive(Clone)]
struct Starts {
    origin: Instant,
    seconds: Arc<Mutex<Vec<u64>>>,
}

impl Starts {
    fn new() -> Self {
        Self { origin: Instant::now(), seconds: Arc::default() }
    }

    /// Records a start. Returns how many there were.
    fn record(&self) -> usize {
        let mut seconds = self.seconds.lock().unwrap();
        seconds.push(self.origin.elapsed().as_secs());
        seconds.len()
    }

    fn seconds(&self) -> Vec<u64> {
        self.seconds.lock().unwrap().clone()
    }
}

fn failure() -> anyhow::Error {
    anyhow::anyhow!("as it was asked to")
}

/// Cancels the token at that second.
async fn cancel_at(token: &CancellationToken, second: u64) {
    sleep(Duration::from_secs(second)).await;
    token.cancel();
}

#[tokio::test(start_paused = true)]
async fn the_first_run_starts_at_once_and_the_next_at_each_tick() {
    #[supervised(every = "30s", name = "every: ticks")]
    async fn work(starts: Starts) -> Result<(), TaskError> {
        starts.record();
        Ok(())
    }

    let (token, starts) = (CancellationToken::new(), Starts::new());
    let (result, ()) =
        in_hours(async { tokio::join!(work(&token, starts.clone()), cancel_at(&token, 100)) })
            .await;
    result.unwrap();
    assert_eq!(starts.seconds(), [0, 30, 60, 90]);
    let stats = stats_of("every: ticks");
    assert_eq!((stats.started, stats.restarts, stats.running), (4, 0, 0));
    assert_eq!(outcomes_of("every: ticks"), [(Outcome::Ok, 4)]);
}

#[tokio::test(start_paused = true)]
async fn ticks_are_counted_from_the_first_poll() {
    #[supervised(every = "10s")]
    async fn work(starts: Starts) {
        starts.record();
    }

    let (token, starts) = (CancellationToken::new(), Starts::new());
    let call = work(&token, starts.clone());
    sleep(3 * SECOND).await;
    in_hours(async { tokio::join!(call, cancel_at(&token, 25)) }).await;
    assert_eq!(starts.seconds(), [3, 13, 23]);
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_falls_into_a_run_is_skipped() {
    #[supervised(every = "10s")]
    async fn work(starts: Starts) -> Result<(), TaskError> {
        let takes = [4, 25, 10, 1][starts.record() - 1];
        sleep(Duration::from_secs(takes)).await;
        Ok(())
    }

    let (token, starts) = (CancellationToken::new(), Starts::new());
    let (result, ()) =
        in_hours(async { tokio::join!(work(&token, starts.clone()), cancel_at(&token, 65)) }).await;
    result.unwrap();
    // The runs lasted until 4, 35, 50 and 61.
    assert_eq!(starts.seconds(), [0, 10, 40, 60]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_fires_in_a_run_cancels_the_call() {
    #[supervised(every = "10s", name = "every: cancelled")]
    async fn work(starts: Starts) -> Result<(), TaskError> {
        if starts.record() == 2 {
            pending::<()>().await;
        }
        Ok(())
    }

    let (token, starts) = (CancellationToken::new(), Starts::new());
    let (result, ()) =
        in_hours(async { tokio::join!(work(&token, starts.clone()), cancel_at(&token, 15)) }).await;
    assert!(matches!(result, Err(TaskError::Cancelled(_))), "{result:?}");
    let outcomes = [(Outcome::Ok, 1), (Outcome::Cancelled, 1)];
    assert_eq!(outcomes_of("every: cancelled"), outcomes);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_fires_before_a_tick_has_its_permit_cuts_no_work() {
    #[supervised(every = "10s", limit = 1)]
    async fn work(starts: Starts, takes: Duration) -> Result<(), TaskError> {
        starts.record();
        sleep(takes).await;
        Ok(())
    }

    let (token, starts) = (CancellationToken::new(), Starts::new());
    let other = CancellationToken::new();
    let holder = async {
        sleep(5 * SECOND).await;
        work(&other, Starts::new(), 8 * SECOND).await
    };
    let waiting = async {
        let result = work(&token, starts.clone(), SECOND).await;
        other.cancel();
        result
    };
    let (result, held, ()) =
        in_hours(async { tokio::join!(waiting, holder, cancel_at(&token, 12)) }).await;
    result.unwrap();
    assert!(held.is_err());
    assert_eq!(starts.seconds(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_had_fired_starts_no_run() {
    #[supervised(every = "10s")]
    async fn work(starts: Starts) -> Result<(), TaskError> {
        starts.record();
        Ok(())
    }

    let (token, starts) = (CancellationToken::new(), Starts::new());
    token.cancel();
    let result = in_hours(work(&token, starts.clone())).await;
    assert!(matches!(result, Err(TaskError::Cancelled(_))), "{result:?}");
    assert_eq!(starts.seconds(), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_ends_the_call() {
    #[supervised(every = "10s", name = "every: failed")]
    async fn work(starts: Starts) -> anyhow::Result<()> {
        if starts.record() == 3 { Err(failure()) } else { Ok(()) }
    }

    let starts = Starts::new();
    let error = in_hours(work(&CancellationToken::new(), starts.clone())).await.unwrap_err();
    assert_eq!(error.to_string(), "as it was asked to");
    assert_eq!(starts.seconds(), [0, 10, 20]);
    assert_eq!(stats_of("every: failed").restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_timeout_end_the_call() {
    #[supervised(every = "10s", timeout = "2s")]
    async fn work(starts: Starts, panics: bool) -> Result<(), TaskError> {
        match (starts.record(), panics) {
            (1, _) => Ok(()),
            (_, true) => panic!("as it was asked to"),
            (_, false) => pending().await,
        }
    }

    let token = CancellationToken::new();
    let result = in_hours(work(&token, Starts::new(), true)).await;
    assert!(matches!(result, Err(TaskError::Panicked(_))), "{result:?}");
    let result = in_hours(work(&token, Starts::new(), false)).await;
    assert!(matches!(result, Err(TaskError::TimedOut(_))), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_waits_for_the_later_of_backoff_and_tick() {
    #[supervised(
        every = "10s",
        restart = "on-failure",
        backoff = "13s..13s",
        name = "every: later"
    )]
    async fn work(starts: Starts) -> anyhow::Result<()> {
        if starts.record() == 2 { Err(failure()) } else { Ok(()) }
    }

    let (token, starts) = (CancellationToken::new(), Starts::new());
    let (result, ()) =
        in_hours(async { tokio::join!(work(&token, starts.clone()), cancel_at(&token, 45)) }).await;
    result.unwrap();
    // The run at 10 fails: its backoff ends at 23, after the tick at 20.
    assert_eq!(starts.seconds(), [0, 10, 23, 30, 40]);
    assert_eq!(stats_of("every: later").restarts, 1);

    #[supervised(every = "10s", restart = "on-failure", backoff = "1s..1s")]
    async fn soon(starts: Starts) -> anyhow::Result<()> {
        if starts.record() == 2 { Err(failure()) } else { Ok(()) }
    }

    let (token, starts) = (CancellationToken::new(), Starts::new());
    let (result, ()) =
        in_hours(async { tokio::join!(soon(&token, starts.clone()), cancel_at(&token, 35)) }).await;
    result.unwrap();
    assert_eq!(starts.seconds(), [0, 10, 20, 30]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_fires_before_a_restart_cancels_the_call() {
    #[supervised(every = "10s", restart = "on-failure")]
    async fn work(starts: Starts) -> anyhow::Result<()> {
        starts.record();
        Err(failure())
    }

    let (token, starts) = (CancellationToken::new(), Starts::new());
    let (result, ()) =
        in_hours(async { tokio::join!(work(&token, starts.clone()), cancel_at(&token, 5)) }).await;
    let error = result.unwrap_err();
    assert!(tokio_supervised::is_cancelled(error.as_ref()), "{error}");
    assert_eq!(starts.seconds(), [0]);
}

#[tokio::test(start_paused = true)]
async fn successful_runs_do_not_count_as_restarts() {
    #[supervised(
        every = "1s",
        restart = "always",
        backoff = "1ms..1ms",
        max_restarts = "1/1h",
        name = "every: always"
    )]
    async fn work(starts: Starts) -> anyhow::Result<()> {
        if starts.record() == 50 { Err(failure()) } else { Ok(()) }
    }

    let (token, starts) = (CancellationToken::new(), Starts::new());
    let (result, ()) =
        in_hours(async { tokio::join!(work(&token, starts.clone()), cancel_at(&token, 99)) }).await;
    result.unwrap();
    assert_eq!((starts.seconds().len(), stats_of("every: always").restarts), (99, 1));
}

#[tokio::test(start_paused = true)]
async fn a_successful_run_resets_the_backoff() {
    #[supervised(every = "1s", restart = "on-failure", backoff = "4s..1m", max_restarts = "100/1h")]
    async fn work(starts: Starts) -> anyhow::Result<()> {
        if starts.record() % 2 == 0 { Err(failure()) } else { Ok(()) }
    }

    let (token, starts) = (CancellationToken::new(), Starts::new());
    let (result, ()) =
        in_hours(async { tokio::join!(work(&token, starts.clone()), cancel_at(&token, 200)) })
            .await;
    drop(result);
    let seconds = starts.seconds();
    // The first wait is at most twice the lower bound.
    let longest = seconds.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!((4..=9).contains(&longest), "{seconds:?}");
}

#[tokio::test(start_paused = true)]
async fn the_interval_of_a_call_replaces_that_of_the_attribute() {
    #[supervised(every = "30s")]
    async fn work(starts: Starts) {
        starts.record();
    }

    #[supervised(restart = "on-failure")]
    async fn restarts(starts: Starts) -> anyhow::Result<()> {
        starts.record();
        Ok(())
    }

    let (token, starts, others) = (CancellationToken::new(), Starts::new(), Starts::new());
    let call = work(&token, starts.clone()).interval(2 * SECOND);
    let other = restarts(&token, others.clone()).interval(2 * SECOND);
    in_hours(async { tokio::join!(call, other, cancel_at(&token, 5)) }).await.1.unwrap();
    assert_eq!(starts.seconds(), [0, 2, 4]);
    assert_eq!(others.seconds(), [0, 2, 4]);
}

#[tokio::test(start_paused = true)]
#[should_panic = "`interval` must be longer than 0"]
async fn an_interval_of_zero_panics() {
    #[supervised(every = "30s")]
    async fn work() {}

    drop(work(CancellationToken::new()).interval(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_one_call_applies_to_each_run() {
    #[supervised(every = "30s", name = "every: timeout of the call")]
    async fn work(starts: Starts) -> Result<(), TaskError> {
        if starts.record() == 3 {
            pending::<()>().await;
        }
        Ok(())
    }

    let (token, starts) = (CancellationToken::new(), Starts::new());
    let call = work(&token, starts.clone()).interval(10 * SECOND).timeout(SECOND);
    let error = in_hours(call).await.unwrap_err();
    assert!(matches!(error, TaskError::TimedOut(_)), "{error}");
    assert_eq!(starts.seconds(), [0, 10, 20]);
    assert_eq!(starts.origin.elapsed(), 21 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_run_acquires_a_permit_and_a_pause_holds_none() {
    #[supervised(every = "10s", limit = 1)]
    async fn work(starts: Starts, takes: u64) -> Result<(), TaskError> {
        starts.record();
        sleep(Duration::from_secs(takes)).await;
        Ok(())
    }

    let (token, starts, others) = (CancellationToken::new(), Starts::new(), Starts::new());
    let later = async {
        sleep(SECOND).await;
        work(&token, others.clone(), 1).await
    };
    let (first, second, ()) = in_hours(async {
        tokio::join!(work(&token, starts.clone(), 4), later, cancel_at(&token, 18))
    })
    .await;
    first.unwrap();
    second.unwrap();
    assert_eq!(starts.seconds(), [0, 10]);
    // Its ticks are at 1 and 11, and it waits for the permit.
    assert_eq!(others.seconds(), [4, 14]);
}

#[tokio::test(start_paused = true)]
async fn a_periodic_task_of_a_group_ends_with_it() {
    #[supervised(every = "10s")]
    async fn work(token: CancellationToken, starts: Starts) -> anyhow::Result<()> {
        assert!(!token.is_cancelled());
        starts.record();
        Ok(())
    }

    #[supervised]
    async fn fails() -> anyhow::Result<()> {
        sleep(25 * SECOND).await;
        Err(failure())
    }

    let starts = Starts::new();
    let group = Group::new(&CancellationToken::new());
    let periodic = starts.clone();
    group.spawn(|token| work(token, periodic)).await;
    group.spawn(fails).await;
    let error = in_hours(group.join()).await.unwrap_err();
    assert_eq!(error.to_string(), "as it was asked to");
    assert_eq!(starts.seconds(), [0, 10, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_in_a_pause_counts_nothing_more() {
    #[supervised(every = "10s", name = "every: dropped")]
    async fn work() {}

    {
        let mut call = Box::pin(work(CancellationToken::new()));
        assert!(poll_once(call.as_mut()).is_pending());
    }
    assert_eq!(outcomes_of("every: dropped"), [(Outcome::Ok, 1)]);
}

#[test]
fn a_runtime_without_a_timer_ends_the_call_as_panicked() {
    #[supervised(every = "10s", name = "every: no timer")]
    async fn work() -> Result<(), TaskError> {
        Ok(())
    }

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let result = runtime.block_on(work(CancellationToken::new()));
    assert!(matches!(result, Err(TaskError::Panicked(_))), "{result:?}");
    assert_eq!(outcomes_of("every: no timer"), [(Outcome::Ok, 1)]);
}
