//! How a pool ends.

use std::{
    future::pending,
    panic::Location,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use tokio::time::Instant;
use tokio_supervised::{
    CancellationToken, Cause, Outcome, Pool, TaskError, TrySpawnError, Unfinished, supervised,
};

use crate::behaviour::gate::{Gate, gate};
use testkit::{in_hours, in_time, outcomes_of, poll_once, runtime, turn};

const SECOND: Duration = Duration::from_secs(1);

#[supervised(name = "drain: never")]
async fn never() -> Result<(), TaskError> {
    pending().await
}

/// Takes the token and ignores it.
#[supervised(name = "drain: deaf", grace = "none")]
async fn deaf(token: &CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    pending().await
}

#[supervised(name = "drain: sleeps")]
async fn sleeps(time: Duration) -> Result<(), TaskError> {
    tokio::time::sleep(time).await;
    Ok(())
}

fn names(unfinished: &Unfinished) -> Vec<&'static str> {
    unfinished.tasks().iter().map(|task| task.name).collect()
}

#[tokio::test(start_paused = true)]
async fn work_that_ends_before_the_tokens_fire_is_not_cancelled() {
    #[supervised(name = "drain: undisturbed")]
    async fn undisturbed() -> Result<(), TaskError> {
        tokio::time::sleep(4 * SECOND).await;
        Ok(())
    }

    let pool = Pool::new(2);
    pool.spawn(undisturbed).await.unwrap();
    let started = Instant::now();
    in_time(pool.drain(10 * SECOND)).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 4);
    assert_eq!(outcomes_of("drain: undisturbed"), [(Outcome::Ok, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_fires_the_token_five_seconds_before_its_end() {
    type Seen = Arc<Mutex<Option<(Duration, Cause)>>>;
    #[supervised(name = "drain: inner")]
    async fn inner() -> Result<(), TaskError> {
        pending().await
    }
    #[supervised(name = "drain: asked", on_cancel = "cooperate")]
    async fn asked(token: &CancellationToken, seen: Seen) -> Result<(), TaskError> {
        let started = Instant::now();
        if let Err(TaskError::Cancelled(cancelled)) = inner(token).await {
            *seen.lock().unwrap() = Some((started.elapsed(), cancelled.cause()));
        }
        tokio::time::sleep(SECOND).await;
        Ok(())
    }

    let (pool, seen) = (Pool::new(2), Seen::default());
    pool.spawn(|token| asked(token, seen.clone())).await.unwrap();
    turn().await;
    let started = Instant::now();
    in_time(pool.drain(10 * SECOND)).await.unwrap();
    let (after, cause) = seen.lock().unwrap().take().unwrap();
    assert_eq!((after.as_secs(), cause), (5, Cause::Drained));
    assert_eq!(started.elapsed().as_secs(), 6, "the drain ends with the last task");
}

#[tokio::test(start_paused = true)]
async fn tasks_left_at_the_end_of_the_grace_are_aborted_and_named() {
    let pool = Pool::new(4);
    let (here, spawned) = (Location::caller(), pool.spawn(deaf));
    spawned.await.unwrap();
    pool.spawn(|token| sleeps(token, SECOND)).await.unwrap();
    turn().await;
    let started = Instant::now();
    let unfinished = in_time(pool.drain(10 * SECOND)).await.unwrap_err();
    assert_eq!(started.elapsed().as_secs(), 10);
    let [task] = unfinished.tasks() else { panic!("{unfinished}") };
    assert_eq!((task.name, task.state.blocks_thread()), ("drain: deaf", false));
    assert_eq!((task.spawned_at.file(), task.spawned_at.line()), (here.file(), here.line()));
    assert_eq!((unfinished.grace(), unfinished.reserved()), (10 * SECOND, 0));
    let seen = unfinished.to_string();
    let mut lines = seen.lines();
    assert_eq!(lines.next(), Some("1 task did not stop within 10s:"));
    let line = lines.next().unwrap();
    let prefix = format!("  drain: deaf (task {}): stopping, ", task.id.unwrap());
    assert!(line.starts_with(&prefix), "{line}");
    assert!(line.contains(&format!(" spawned at {}", task.spawned_at)), "{line}");
    turn().await;
    assert_eq!(pool.len(), 0, "aborted");
}

#[tokio::test(start_paused = true)]
async fn tasks_run_until_5_s_before_the_end_or_half_of_a_short_grace() {
    for (grace, cancelled) in [(60_000, 55_000), (10_000, 5_000), (6_000, 3_000), (100, 50)] {
        let pool = Pool::new(4);
        pool.spawn(never).await.unwrap();
        let (grace, started) = (Duration::from_millis(grace), Instant::now());
        in_hours(pool.drain(grace)).await.unwrap_err();
        assert_eq!(started.elapsed().as_millis(), cancelled, "{grace:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_dropped_at_its_await_was_cut_short() {
    let pool = Pool::new(4);
    for _ in 0..3 {
        pool.spawn(never).await.unwrap();
    }
    let started = Instant::now();
    let unfinished = in_time(pool.drain(10 * SECOND)).await.unwrap_err();
    assert_eq!(started.elapsed().as_secs(), 5, "nothing is left to wait for");
    assert_eq!((unfinished.tasks().len(), unfinished.cut().len()), (0, 3), "{unfinished}");
    assert_eq!(unfinished.cut()[0].name, "drain: never");
}

#[tokio::test(start_paused = true)]
async fn a_task_dropped_by_its_own_spent_grace_has_not_stopped() {
    #[supervised(name = "drain: own grace", grace = "1s")]
    async fn own_grace(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let pool = Pool::new(4);
    pool.spawn(own_grace).await.unwrap();
    let started = Instant::now();
    let unfinished = in_time(pool.drain(10 * SECOND)).await.unwrap_err();
    assert_eq!(started.elapsed().as_secs(), 6, "half of the grace, then its own");
    assert_eq!(names(&unfinished), ["drain: own grace"]);
    let again = in_time(pool.drain(SECOND)).await.unwrap_err();
    assert_eq!(again.to_string(), unfinished.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_grace_of_zero_cancels_gives_one_turn_and_aborts() {
    let pool = Pool::new(4);
    pool.spawn(never).await.unwrap();
    pool.spawn(deaf).await.unwrap();
    turn().await;
    let unfinished = in_time(pool.drain(Duration::ZERO)).await.unwrap_err();
    assert_eq!(names(&unfinished), ["drain: deaf"], "the other was dropped when it was cancelled");
    assert_eq!(unfinished.cut()[0].name, "drain: never");
    turn().await;
    assert!(pool.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_drain_leaves_the_pool_closed_and_its_work_running() {
    let (gate, mut keeper) = gate();
    #[supervised(name = "drain: twice")]
    async fn gated(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }

    let pool = Pool::new(2);
    pool.spawn(|token| gated(token, gate.clone())).await.unwrap();
    keeper.started(1).await;
    let mut drain = Box::pin(pool.drain(10 * SECOND));
    assert!(poll_once(drain.as_mut()).is_pending());
    drop(drain);
    assert_eq!(
        pool.try_spawn(|token| gated(token, gate.clone())).map(drop),
        Err(TrySpawnError::Closed)
    );
    assert_eq!(pool.len(), 1);
    keeper.open(1);
    in_time(pool.drain(10 * SECOND)).await.unwrap();
    in_time(pool.drain(10 * SECOND)).await.unwrap();
    assert_eq!(outcomes_of("drain: twice"), [(Outcome::Ok, 1)]);
}

#[tokio::test(start_paused = true)]
async fn two_concurrent_drains_both_return_the_aborted_tasks() {
    let pool = Pool::new(2);
    pool.spawn(deaf).await.unwrap();
    turn().await;
    let (short, long) =
        in_time(async { tokio::join!(pool.drain(2 * SECOND), pool.drain(20 * SECOND)) }).await;
    assert_eq!(names(&short.unwrap_err()), ["drain: deaf"]);
    assert_eq!(names(&long.unwrap_err()), ["drain: deaf"]);
    let again = in_time(pool.drain(SECOND)).await.unwrap_err();
    assert_eq!((names(&again), again.grace()), (vec!["drain: deaf"], 2 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_drain_without_a_limit_waits_for_long_tasks() {
    let pool = Pool::new(1);
    let year = 365 * 24 * 3600 * SECOND;
    pool.spawn(|token| sleeps(token, year)).await.unwrap();
    tokio::time::timeout(2 * year, pool.drain(Duration::MAX)).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unused_reserved_slot_is_reported() {
    let pool = Pool::new(2);
    let slot = pool.reserve().await.unwrap();
    let unfinished = in_time(pool.drain(2 * SECOND)).await.unwrap_err();
    assert_eq!((unfinished.tasks().len(), unfinished.reserved()), (0, 1));
    assert_eq!(unfinished.to_string(), "1 reserved slot was not used within 2s");
    drop(slot);
    in_time(pool.drain(2 * SECOND)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_reports_a_task_that_blocks_its_worker() {
    #[supervised(name = "drain: blocks")]
    async fn blocks(
        started: mpsc::Sender<()>,
        until: Arc<Mutex<mpsc::Receiver<()>>>,
    ) -> Result<(), TaskError> {
        started.send(()).unwrap();
        _ = until.lock().unwrap().recv();
        Ok(())
    }

    let (started, has_started) = mpsc::channel();
    let (release, until) = mpsc::channel();
    let until = Arc::new(Mutex::new(until));
    let pool = Pool::new(2);
    pool.spawn(|token| blocks(token, started, until)).await.unwrap();
    tokio::task::spawn_blocking(move || has_started.recv()).await.unwrap().unwrap();
    let drained = in_time(pool.drain(Duration::from_millis(50))).await;
    release.send(()).unwrap();
    let unfinished = drained.unwrap_err();
    let [task] = unfinished.tasks() else { panic!("{unfinished}") };
    assert!(task.state.blocks_thread());
    assert!(unfinished.to_string().contains(" (blocks its worker), "), "{unfinished}");
}

#[test]
fn a_drain_of_an_empty_pool_needs_no_clock() {
    let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
    bare.block_on(Pool::new(1).drain(SECOND)).unwrap();
}

#[test]
fn a_drain_returns_tasks_that_their_runtime_dropped() {
    let (first, second) = (runtime(), runtime());
    let pool = Pool::new(2);
    first.block_on(pool.spawn(never)).unwrap();
    assert_eq!(pool.len(), 1);
    drop(first);
    assert_eq!(pool.len(), 0);
    let unfinished = second.block_on(in_time(pool.drain(SECOND))).unwrap_err();
    assert_eq!(unfinished.cut()[0].name, "drain: never");
}
