//! A pool, its drains and main report exactly what happened.

use std::{
    fmt::Debug,
    future::pending,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};
use tokio_supervised::{
    CancellationToken, Drained, Group, Outcome, Pool, TaskError, Unfinished, stats, supervised,
};
use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt};

use testkit::{finishes, fixture::child_passes};

const SECOND: Duration = Duration::from_secs(1);

#[supervised(name = "pool reports: save")]
async fn save(takes: Duration) -> Result<(), TaskError> {
    sleep(takes).await;
    Ok(())
}

/// Stops when its token fires, and returns a result.
#[supervised(name = "pool reports: obeys", grace = "none")]
async fn obeys(token: &CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    Ok(())
}

#[supervised(name = "pool reports: stuck", grace = "none")]
async fn stuck(token: &CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    pending().await
}

/// A drain that uses its whole grace can be distinguished from a hang only under paused time.
async fn drain(pool: &Pool, grace: Duration) -> Result<Drained, Unfinished> {
    timeout(100_000 * SECOND, pool.drain(grace)).await.expect("the drain ends")
}

fn ended(name: &str, outcome: Outcome) -> u64 {
    let stats = stats().into_iter().find(|task| task.name == name);
    stats.map_or(0, |task| task.ended(outcome))
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_cut_a_task_is_an_error() {
    let pool = Pool::new(8);
    pool.spawn(|token| save(token, 1200 * SECOND / 1000)).await.unwrap();
    let text = drain(&pool, 2 * SECOND).await.expect_err("the save was cancelled").to_string();
    assert!(text.starts_with("1 task was cut short:\n  pool reports: save (task "), "{text}");
    assert!(text.contains("): cancelled, "), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_drain_of_tasks_that_finish_when_asked_to_is_ok() {
    let pool = Pool::new(8);
    pool.spawn(obeys).await.unwrap();
    pool.spawn(|token| save(token, SECOND)).await.unwrap();
    let started = Instant::now();
    drain(&pool, 60 * SECOND).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 55, "5 s before the end, not at half of it");
}

#[tokio::test(start_paused = true)]
async fn a_second_drain_returns_the_result_of_the_first() {
    let pool = Pool::new(8);
    pool.spawn(|token| save(token, 9 * SECOND)).await.unwrap();
    pool.spawn(stuck).await.unwrap();
    let first = drain(&pool, 2 * SECOND).await.unwrap_err();
    let second = drain(&pool, 8 * SECOND).await.unwrap_err();
    assert_eq!(first.to_string(), second.to_string());
    assert_eq!(first.to_string().lines().count(), 4, "{first}");
}

#[tokio::test(start_paused = true)]
async fn tasks_that_a_dropped_drain_cut_are_returned_by_the_next() {
    let pool = Pool::new(8);
    pool.spawn(|token| save(token, 9 * SECOND)).await.unwrap();
    pool.spawn(stuck).await.unwrap();
    timeout(5 * SECOND, pool.drain(8 * SECOND)).await.unwrap_err();
    assert_eq!(pool.len(), 1, "the save was cancelled");
    let text = drain(&pool, 2 * SECOND).await.unwrap_err().to_string();
    assert!(text.contains("pool reports: save"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn work_that_is_too_late_for_its_slot_is_returned() {
    let pool = Pool::new(8);
    pool.spawn(stuck).await.unwrap();
    let slot = pool.reserve().await.unwrap();
    drain(&pool, 2 * SECOND).await.unwrap_err();
    slot.spawn(|token| save(token, SECOND));
    let text = drain(&pool, 2 * SECOND).await.unwrap_err().to_string();
    assert!(text.contains("pool reports: save"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_names_the_graces_that_applied() {
    #[supervised(name = "pool reports: own grace", grace = "500ms")]
    async fn conn(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let (pool, server) = (Pool::new(8), CancellationToken::new());
    let own = server.clone();
    pool.spawn(move |_| conn(own)).await.unwrap();
    sleep(SECOND).await;
    server.cancel();
    let started = Instant::now();
    let unfinished = drain(&pool, 10 * SECOND).await.unwrap_err();
    assert!(started.elapsed() < SECOND);
    let text = unfinished.to_string();
    assert!(text.starts_with("1 task did not stop within its own grace:\n"), "{text}");
    assert!(text.contains("): dropped after its grace of 500ms, "), "{text}");
    assert!(!text.contains("10s") && !text.contains("running"), "{text}");
    assert_eq!(format!("{unfinished:?}"), text, "a main that returns it prints `Debug`");
    assert_eq!(io::Error::other(unfinished).to_string(), text);
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_has_the_state_of_a_task_that_waits() {
    #[supervised(name = "pool reports: waits", limit = 1)]
    async fn waits() -> Result<(), TaskError> {
        pending().await
    }
    #[supervised(name = "pool reports: awaits", on_cancel = "cooperate", grace = "none")]
    async fn awaits(token: &CancellationToken) -> Result<(), TaskError> {
        _ = waits(token).await;
        pending().await
    }

    let pool = Pool::new(8);
    pool.spawn(awaits).await.unwrap();
    let text = drain(&pool, 2 * SECOND).await.unwrap_err().to_string();
    assert!(text.starts_with("1 task did not stop within 2s:\n"), "{text}");
    assert!(text.contains("): stopping, "), "{text}");
}

#[test]
fn a_drain_includes_tasks_that_their_runtime_dropped() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let pool = Pool::new(2);
    first.block_on(pool.spawn(|token| save(token, SECOND))).unwrap();
    drop(first);
    let text = second.block_on(pool.drain(SECOND)).unwrap_err().to_string();
    assert!(text.contains("): dropped with its runtime, "), "{text}");
}

/// The events of a fixture that runs alone in its process: level, message and fields.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

impl Log {
    fn capture() -> Self {
        let log = Self::default();
        let subscriber = tracing_subscriber::registry().with(log.clone());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log
    }

    /// The messages at `WARN` and above.
    fn warnings(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let loud = events.iter().filter(|(level, _)| *level <= Level::WARN);
        loud.map(|(level, message)| format!("{level}: {message}")).collect()
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        self.0.lock().unwrap().push((*event.metadata().level(), message.0));
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.0.insert_str(0, &text);
        } else {
            self.0.push_str(&format!(" {}={text}", field.name()));
        }
    }
}

#[test]
fn the_last_handle_in_a_task_of_its_pool_is_reported_truly() {
    child_passes("composition::pool_reports::fixture_last_handle");
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_last_handle() {
    #[supervised(name = "goes_on")]
    async fn goes_on(pool: Pool) -> Result<(), TaskError> {
        drop(pool);
        sleep(SECOND).await;
        Ok(())
    }
    #[supervised(name = "gives")]
    async fn gives(pool: Pool) -> Result<Pool, TaskError> {
        sleep(SECOND).await;
        Ok(pool)
    }
    #[supervised(name = "lets_go")]
    async fn lets_go(pool: Pool) -> Result<(), TaskError> {
        sleep(SECOND).await;
        drop(pool);
        Ok(())
    }
    #[supervised(name = "fails")]
    async fn fails(pool: Pool) -> Result<(), Holds> {
        sleep(SECOND).await;
        Err(Holds(Some(pool)))
    }
    struct Holds(#[expect(dead_code, reason = "held for its drop")] Option<Pool>);
    impl std::fmt::Display for Holds {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("it holds its pool")
        }
    }
    impl From<TaskError> for Holds {
        fn from(_: TaskError) -> Self {
            Self(None)
        }
    }

    let log = Log::capture();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let pool = Pool::new(4);
        let handle = pool.clone();
        pool.spawn(move |token| gives(token, handle)).await.unwrap();
        drop(pool);
        let pool = Pool::new(4);
        let handle = pool.clone();
        pool.spawn(move |token| lets_go(token, handle)).await.unwrap();
        drop(pool);
        sleep(2 * SECOND).await;
        assert!(log.warnings().is_empty(), "both ended by themselves: {:?}", log.warnings());

        let pool = Pool::new(4);
        let handle = pool.clone();
        pool.spawn(move |token| fails(token, handle)).await.unwrap();
        drop(pool);
        sleep(2 * SECOND).await;
        let [failed] = &log.warnings()[..] else { panic!("expected one: {:?}", log.warnings()) };
        assert!(failed.contains("it holds its pool"), "{failed}");

        let pool = Pool::new(4);
        let handle = pool.clone();
        pool.spawn(move |token| goes_on(token, handle)).await.unwrap();
        drop(pool);
        sleep(2 * SECOND).await;
        let done = ended("goes_on", Outcome::Ok) == 1;
        let warnings = log.warnings();
        let logged = warnings.iter().filter(|line| line.contains("goes_on (task ")).count();
        assert!(done || logged == 1, "cancelled, and not reported: {warnings:?}");
    });
}

#[test]
fn a_second_main_does_not_report_the_signal_of_the_first() {
    child_passes("composition::pool_reports::fixture_two_mains");
}

#[supervised(name = "pool reports: waits for main")]
async fn waits() -> Result<(), TaskError> {
    pending().await
}

type Seen = Mutex<Vec<String>>;
static SEEN: Seen = Mutex::new(Vec::new());

fn seen(joined: Result<Vec<()>, TaskError>) {
    SEEN.lock().unwrap().push(joined.unwrap_err().to_string());
}

#[supervised::main]
async fn first(token: CancellationToken) -> Result<(), TaskError> {
    let group: Group<(), TaskError> = Group::new(&token);
    group.spawn(waits).await;
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM).unwrap();
    seen(group.join().await);
    Ok(())
}

#[supervised::main]
async fn second() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    let group: Group<(), TaskError> = Group::new(&token);
    group.spawn(waits).await;
    token.cancel();
    seen(group.join().await);
    Ok(())
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_two_mains() {
    let started = std::time::Instant::now();
    _ = first();
    _ = second();
    // Without a main there is no signal either.
    let token = CancellationToken::new();
    token.cancel();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(waits(&token)).unwrap_err();
    assert!(started.elapsed() < 20 * SECOND);
    let seen = SEEN.lock().unwrap();
    assert!(seen[0].ends_with("the process received SIGTERM"), "{seen:?}");
    assert!(seen[1].ends_with("its token fired"), "{seen:?}");
    assert!(error.to_string().ends_with("its token fired"), "{error}");
}

#[test]
fn tasks_that_nothing_can_run_are_reported_with_the_true_cause() {
    child_passes("composition::pool_reports::fixture_nothing_can_run");
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_nothing_can_run() {
    #[supervised(name = "slow", timeout = "10s")]
    async fn slow() -> Result<(), TaskError> {
        tokio::task::yield_now().await;
        Ok(())
    }

    std::panic::set_hook(Box::new(|_| {}));
    let log = Log::capture();
    finishes({
        let log = log.clone();
        move || {
            let untimed =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
            untimed.block_on(async {
                let pool = Pool::new(1);
                pool.spawn(slow).await.unwrap();
                while !pool.is_empty() {
                    tokio::task::yield_now().await;
                }
                // A run that cannot get its timer ends with a panic.
                pool.drain(SECOND).await.unwrap();
            });
            let [logged] = &log.warnings()[..] else {
                panic!("expected one: {:?}", log.warnings())
            };
            assert!(
                logged.contains("ERROR") && logged.contains("task `slow` panicked"),
                "{logged}"
            );
        }
    });
    log.0.lock().unwrap().clear();

    let gone = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pool = Pool::new(200);
    gone.block_on(async {
        for _ in 0..100 {
            pool.spawn(|token| save(token, 60 * SECOND)).await.unwrap();
        }
        // Each of them waits.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    });
    drop(gone);
    let [logged] = &log.warnings()[..] else { panic!("expected one: {:?}", log.warnings()) };
    assert!(logged.contains("lost 100 of its tasks"), "{logged}");
    assert_eq!(logged.matches("dropped with its runtime").count(), 11, "{logged}");
    assert!(logged.contains("; … 54 × pool reports: save at "), "{logged}");
    assert!(logged.contains("; and 36 more"), "{logged}");
    assert_eq!(pool.len(), 0);
}

#[test]
fn failures_are_errors_and_a_storm_of_them_is_counted() {
    child_passes("composition::pool_reports::fixture_storm");
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_storm() {
    const TASKS: u32 = 500;
    #[supervised(name = "storm")]
    async fn storm() -> anyhow::Result<()> {
        anyhow::bail!("no route to the host")
    }

    let log = Log::capture();
    let started = std::time::Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = Pool::new(8);
        for _ in 0..TASKS {
            pool.spawn(storm).await.unwrap();
        }
        pool.drain(60 * SECOND).await.unwrap();
    });
    let windows = started.elapsed().as_secs() + 1;
    let lines = log.warnings();
    assert!(lines.iter().all(|line| line.contains("ERROR")), "{lines:?}");
    let one_by_one = lines.iter().filter(|line| line.contains("no route to the host")).count();
    let counted: u64 = lines
        .iter()
        .filter_map(|line| {
            line.split_once(" of a pool failed ")?.1.split(' ').next()?.parse::<u64>().ok()
        })
        .sum();
    assert_eq!(one_by_one as u64 + counted, u64::from(TASKS), "no failure is lost: {lines:?}");
    assert!(one_by_one as u64 <= 10 * (windows + 1), "{one_by_one} in {windows} s");
}
