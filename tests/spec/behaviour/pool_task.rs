//! The results of a pool's tasks: each `PoolTask` ends, however its task does.

use std::{
    future::pending,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{task::LocalSet, time::timeout};
use tokio_supervised::{Cause, Outcome, Pool, PoolTask, TaskError, supervised};

use crate::behaviour::gate::{Gate, gate};
use testkit::{Alive, in_time, outcomes_of, poll_once, runtime, turn};

const SECOND: Duration = Duration::from_secs(1);

#[supervised(name = "pool task: gated")]
async fn gated(gate: Gate) -> anyhow::Result<u32> {
    gate.pass().await;
    Ok(7)
}

#[supervised(name = "pool task: fails")]
async fn fails() -> anyhow::Result<u32> {
    anyhow::bail!("the disk is full")
}

#[supervised(name = "pool task: endless")]
async fn endless() -> Result<(), TaskError> {
    pending().await
}

fn cause(error: TaskError) -> Cause {
    let TaskError::Cancelled(cancelled) = error else { panic!("{error}") };
    cancelled.cause()
}

#[tokio::test(start_paused = true)]
async fn each_way_to_spawn_returns_the_result() {
    let (gate, keeper) = gate();
    keeper.open(3);
    let pool = Pool::new(4);
    let spawned = pool.spawn(|token| gated(token, gate.clone())).await.unwrap();
    let tried = pool.try_spawn(|token| gated(token, gate.clone())).unwrap();
    let reserved = pool.reserve().await.unwrap().spawn(|token| gated(token, gate.clone()));
    for task in [spawned, tried, reserved] {
        assert_eq!(in_time(task).await.unwrap(), 7);
    }
    let blocking = pool.spawn_blocking("pool task: blocking", |_| Ok::<_, TaskError>("done"));
    assert_eq!(blocking.await.unwrap().await.unwrap(), "done");
    in_time(pool.drain(SECOND)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_local_task_returns_a_value_that_is_not_send() {
    #[supervised(name = "pool task: local")]
    async fn local(value: Rc<str>) -> Result<Rc<str>, TaskError> {
        Ok(value)
    }

    LocalSet::new()
        .run_until(async {
            let pool = Pool::new(1);
            let task = pool.spawn_local(|token| local(token, "here".into())).await.unwrap();
            assert_eq!(&*in_time(task).await.unwrap(), "here");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_returned_to_who_awaits_it() {
    let pool = Pool::new(1);
    let task = pool.spawn(fails).await.unwrap();
    assert_eq!(in_time(task).await.unwrap_err().to_string(), "the disk is full");
}

#[tokio::test(start_paused = true)]
async fn a_result_waits_to_be_awaited() {
    let pool = Pool::new(1);
    let failed = pool.spawn(fails).await.unwrap();
    in_time(pool.drain(SECOND)).await.unwrap();
    assert!(failed.handle().is_finished());
    drop(pool);
    assert_eq!(in_time(failed).await.unwrap_err().to_string(), "the disk is full");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_pool_task_lets_its_task_continue() {
    let (gate, mut keeper) = gate();
    let pool = Pool::new(1);
    let task = pool.spawn(|token| gated(token, gate.clone())).await.unwrap();
    let handle = task.handle();
    keeper.started(1).await;
    assert!(timeout(SECOND, task).await.is_err(), "the client has left");
    assert!(!handle.is_finished());
    keeper.open(1);
    assert_eq!(in_time(handle.ended()).await, Outcome::Ok);
}

#[tokio::test(start_paused = true)]
async fn an_abort_is_a_cancellation_by_the_handle() {
    let pool = Pool::new(1);
    let task = pool.spawn(endless).await.unwrap();
    turn().await;
    task.handle().abort();
    assert_eq!(cause(in_time(task).await.unwrap_err()), Cause::Handle);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_pool_cancels_what_is_awaited() {
    let pool = Pool::new(1);
    let task = pool.spawn(endless).await.unwrap();
    turn().await;
    drop(pool);
    assert_eq!(cause(in_time(task).await.unwrap_err()), Cause::ScopeDropped);
}

#[tokio::test(start_paused = true)]
async fn a_drain_cancels_what_is_awaited() {
    let pool = Pool::new(1);
    let task = pool.spawn(endless).await.unwrap();
    turn().await;
    let (drained, ended) = in_time(async { tokio::join!(pool.drain(SECOND), task) }).await;
    assert!(drained.is_err());
    assert_eq!(cause(ended.unwrap_err()), Cause::Drained);
}

#[test]
fn a_runtime_that_is_gone_cancels_what_is_awaited() {
    let (first, second) = (runtime(), runtime());
    let pool = Pool::new(2);
    let (polled, unpolled) = first.block_on(async {
        let polled = pool.spawn(endless).await.unwrap();
        turn().await;
        (polled, pool.spawn(endless).await.unwrap())
    });
    drop(first);
    for task in [polled, unpolled] {
        let error = second.block_on(in_time(task)).unwrap_err();
        assert_eq!(cause(error), Cause::RuntimeGone);
    }
}

#[test]
fn an_awaited_task_on_another_runtime_ends_with_that_runtime() {
    let (first, second) = (runtime(), runtime());
    let pool = Pool::new(1);
    let task = first.block_on(pool.spawn(endless)).unwrap();
    let waits = second.spawn(task);
    second.block_on(turn());
    drop(first);
    let error = second.block_on(in_time(waits)).unwrap().unwrap_err();
    assert_eq!(cause(error), Cause::RuntimeGone);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_returned_as_an_error() {
    #[supervised(name = "pool task: panics")]
    async fn panics() -> Result<(), TaskError> {
        panic!("boom")
    }

    let pool = Pool::new(1);
    let body = pool.spawn(panics).await.unwrap();
    assert_eq!(in_time(body).await.unwrap_err().outcome(), Outcome::Panicked);
    let closure = pool
        .spawn(|token| {
            assert!(token.is_cancelled(), "in the closure");
            panics(token)
        })
        .await
        .unwrap();
    assert!(closure.handle().is_refused());
    assert_eq!(in_time(closure).await.unwrap_err().outcome(), Outcome::Panicked);
    in_time(pool.drain(SECOND)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_error_conversion_reaches_who_awaits() {
    #[derive(Debug)]
    struct Unconvertible;
    impl From<TaskError> for Unconvertible {
        fn from(error: TaskError) -> Self {
            panic!("cannot convert: {error}")
        }
    }
    impl std::fmt::Display for Unconvertible {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("never shown")
        }
    }
    #[supervised(name = "pool task: unconvertible")]
    async fn panics() -> Result<(), Unconvertible> {
        panic!("boom")
    }

    let pool = Pool::new(1);
    let task = pool.spawn(panics).await.unwrap();
    let handle = task.handle();
    let joined = in_time(tokio::spawn(task)).await;
    assert!(joined.unwrap_err().is_panic());
    assert_eq!(in_time(handle.ended()).await, Outcome::Panicked);
    assert!(in_time(pool.drain(SECOND)).await.is_err());
}

#[tokio::test(start_paused = true)]
#[should_panic = "a `PoolTask` was polled after completion"]
async fn a_poll_after_completion_panics() {
    let pool = Pool::new(1);
    let mut task = pool.spawn(fails).await.unwrap();
    assert!(in_time(&mut task).await.is_err());
    _ = poll_once(&mut task);
}

#[tokio::test(start_paused = true)]
async fn a_handle_outlives_the_result() {
    let pool = Pool::new(1);
    let mut task = pool.spawn(|token| fails(token).label("x")).await.unwrap();
    let before = task.handle();
    assert!(in_time(&mut task).await.is_err());
    let after = task.handle();
    assert_eq!((after.id(), after.label()), (before.id(), Some("x")));
    assert_eq!(in_time(after.ended()).await, Outcome::Error);
}

#[tokio::test(start_paused = true)]
async fn an_unawaited_value_is_dropped_before_its_task_has_ended() {
    #[supervised(name = "pool task: value")]
    async fn value(alive: Alive) -> Result<Alive, TaskError> {
        Ok(alive)
    }

    let alive = Arc::new(AtomicUsize::new(0));
    let pool = Pool::new(1);
    let kept = pool.spawn(|token| value(token, Alive::new(&alive))).await.unwrap();
    in_time(kept.handle().ended()).await;
    assert_eq!(alive.load(SeqCst), 1);
    let handle = kept.handle();
    drop(kept);
    assert_eq!(alive.load(SeqCst), 0, "dropped with its `PoolTask`");
    assert!(handle.is_finished());
    pool.spawn(|token| value(token, Alive::new(&alive))).await.unwrap();
    in_time(pool.drain(SECOND)).await.unwrap();
    assert_eq!(alive.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_restarting_task_returns_the_result_of_its_last_run() {
    #[supervised(name = "pool task: restarts", restart = "on-failure", backoff = "1s..2s")]
    async fn restarts(runs: Arc<AtomicUsize>) -> anyhow::Result<usize> {
        let run = runs.fetch_add(1, SeqCst);
        anyhow::ensure!(run == 2, "not yet");
        Ok(run)
    }

    let pool = Pool::new(1);
    let runs = Arc::new(AtomicUsize::new(0));
    let task = pool.spawn(|token| restarts(token, runs)).await.unwrap();
    assert_eq!(in_time(task).await.unwrap(), 2);
    let failed = outcomes_of("pool task: restarts");
    assert_eq!(failed, [(Outcome::Ok, 1), (Outcome::Error, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_task_may_own_its_pool_and_be_awaited() {
    #[supervised(name = "pool task: owns its pool")]
    async fn owns(pool: Pool, gate: Gate) -> Result<u32, TaskError> {
        gate.pass().await;
        drop(pool);
        Ok(3)
    }

    let (gate, keeper) = gate();
    let pool = Pool::new(1);
    let owned = pool.clone();
    let task = pool.spawn(|token| owns(token, owned, gate)).await.unwrap();
    drop(pool);
    keeper.open(1);
    assert_eq!(in_time(task).await.unwrap(), 3, "it finishes its poll");
}

/// A result that a loop awaits and drops keeps nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_results_is_taken_or_dropped_once() {
    #[supervised(name = "pool task: many")]
    async fn many(alive: Alive, n: usize) -> anyhow::Result<Alive> {
        if n % 2 == 0 {
            tokio::task::yield_now().await;
        }
        anyhow::ensure!(n % 3 != 0, "a third fails");
        Ok(alive)
    }

    let alive = Arc::new(AtomicUsize::new(0));
    let pool = Pool::new(8);
    for n in 0..5_000 {
        let task = pool.spawn(|token| many(token, Alive::new(&alive), n)).await.unwrap();
        match n % 5 {
            0 | 1 => drop(task),
            2 => assert_eq!(in_time(task).await.is_err(), n % 3 == 0),
            3 => _ = tokio::spawn(task),
            _ => {
                task.handle().ended().await;
                drop(task);
            }
        }
    }
    in_time(pool.drain(10 * SECOND)).await.unwrap();
    testkit::until(|| alive.load(SeqCst) == 0);
}

const _: () = {
    const fn sent<T: Send + Unpin + std::fmt::Debug + 'static>() {}
    sent::<PoolTask<u32, anyhow::Error>>();
};

#[test]
fn debug_needs_no_debug_of_the_values() {
    struct Opaque;
    #[supervised(name = "pool task: opaque")]
    async fn opaque() -> Result<Opaque, TaskError> {
        Ok(Opaque)
    }

    runtime().block_on(async {
        let pool = Pool::new(1);
        let task = pool.spawn(opaque).await.unwrap();
        let text = format!("{task:?}");
        assert!(text.contains("PoolTask") && text.contains("pool task: opaque"), "{text}");
    });
}
