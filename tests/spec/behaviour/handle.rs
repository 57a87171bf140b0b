//! The handles of tasks: what each call does to its task, and to no other.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use tokio::{sync::oneshot, task::LocalSet, time::Instant};
use tokio_supervised::{
    CancellationToken, Cause, Group, LiveTask, Outcome, Pool, SpawnError, TaskError, TaskHandle,
    TaskState, supervised, task, tasks, within,
};

use crate::behaviour::gate::{Gate, gate};
use testkit::{Alive, in_time, outcomes_of, poll_once, runtime, stats_of, turn};

const SECOND: Duration = Duration::from_secs(1);

type Tasks<T = u32> = Group<T, TaskError>;

fn group<T: Send + 'static>() -> Tasks<T> {
    Group::new(&CancellationToken::new())
}

/// Its line among the live tasks.
fn live(handle: &TaskHandle) -> LiveTask {
    let found = (&tasks()).into_iter().find(|task| task.id == handle.id()).cloned();
    found.expect("a live task is listed")
}

/// Returns its number once its token has fired.
#[supervised(name = "handle: polite")]
async fn polite(token: CancellationToken, number: u32) -> Result<u32, TaskError> {
    token.cancelled().await;
    Ok(number)
}

/// Waits for its gate, without a token.
#[supervised(name = "handle: gated")]
async fn gated(gate: Gate) -> Result<u32, TaskError> {
    gate.pass().await;
    Ok(7)
}

#[tokio::test(start_paused = true)]
async fn a_handle_knows_its_task() {
    let (gate, mut keeper) = gate();
    let group = group();
    let handle = group.spawn(|token| gated(token, gate.clone()).label("first")).await;
    keeper.started(1).await;
    assert_eq!((handle.name(), handle.label()), ("handle: gated", Some("first")));
    let id = handle.id().expect("a spawned task has an id");
    assert_eq!(live(&handle).label(), Some("first"));
    assert!(!handle.is_finished() && !handle.is_refused());
    keeper.open(1);
    assert_eq!(in_time(handle.ended()).await, Outcome::Ok);
    assert!(handle.is_finished());
    assert_eq!((handle.id(), handle.label()), (Some(id), Some("first")), "also after its end");
    assert_eq!(in_time(group.join()).await.unwrap(), [7]);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_fires_the_token_of_one_body_alone() {
    let group = group();
    let first = group.spawn(|token| polite(token, 1)).await;
    let second = group.spawn(|token| polite(token, 2)).await;
    turn().await;
    first.cancel();
    assert_eq!(in_time(first.ended()).await, Outcome::Ok);
    assert!(!second.is_finished() && !group.token().is_cancelled());
    second.cancel();
    assert_eq!(in_time(group.join()).await.unwrap(), [1, 2], "they returned by themselves");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_is_no_failure_and_has_no_value() {
    let (gate, mut keeper) = gate();
    let group = group();
    let mut handles = Vec::new();
    for _ in 0..5 {
        handles.push(group.spawn(|token| gated(token, gate.clone())).await);
    }
    keeper.started(5).await;
    for handle in [&handles[0], &handles[2], &handles[4]] {
        handle.cancel();
        assert_eq!(in_time(handle.ended()).await, Outcome::Cancelled);
    }
    assert!(!group.token().is_cancelled());
    keeper.open(2);
    assert_eq!(in_time(group.join()).await.unwrap(), [7, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_before_the_first_poll_never_starts_the_body() {
    #[supervised(name = "handle: never starts")]
    async fn never(token: CancellationToken, started: Arc<AtomicBool>) -> Result<(), TaskError> {
        started.store(true, SeqCst);
        token.cancelled().await;
        Ok(())
    }
    #[supervised(name = "handle: never starts, without a token")]
    async fn without(started: Arc<AtomicBool>) -> Result<(), TaskError> {
        started.store(true, SeqCst);
        Ok(())
    }

    let started = Arc::new(AtomicBool::new(false));
    let pool = Pool::new(4);
    let with = pool.spawn(|token| never(token, started.clone())).await.unwrap();
    let without = pool.spawn(|token| without(token, started.clone())).await.unwrap();
    with.handle().cancel();
    without.handle().cancel();
    for spawned in [with, without] {
        let error = in_time(spawned).await.unwrap_err();
        let TaskError::Cancelled(cancelled) = error else { panic!("{error}") };
        assert_eq!(cancelled.cause(), Cause::Handle);
    }
    assert!(!started.load(SeqCst));
    assert_eq!(outcomes_of("handle: never starts"), [(Outcome::Cancelled, 1)]);
    in_time(pool.drain(SECOND)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_cause_of_a_cancel_is_the_handle_also_deep_inside() {
    #[supervised(name = "handle: inner")]
    async fn inner() -> Result<(), TaskError> {
        pending().await
    }
    #[supervised(name = "handle: in a group", on_cancel = "drop")]
    async fn in_group(token: CancellationToken) -> Result<(), TaskError> {
        pending::<()>().await;
        drop(token);
        Ok(())
    }
    #[supervised(name = "handle: nests")]
    async fn nests(token: CancellationToken, way: u32) -> Result<(), TaskError> {
        match way {
            0 => inner(&token).await,
            1 => within(&token, 60 * SECOND, async |token| inner(&token).await).await,
            _ => {
                let group = Group::new(&token);
                group.spawn(in_group).await;
                group.join().await.map(drop)
            }
        }
    }

    let pool = Pool::new(4);
    for way in 0..3 {
        let spawned = pool.spawn(|token| nests(token, way)).await.unwrap();
        turn().await;
        spawned.handle().cancel();
        let error = in_time(spawned).await.unwrap_err();
        let TaskError::Cancelled(cancelled) = error else { panic!("{way}: {error}") };
        assert_eq!(cancelled.cause(), Cause::Handle, "{way}");
    }
    in_time(pool.drain(SECOND)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_shares_its_token_is_dropped_after_its_grace() {
    #[supervised(name = "handle: shares", grace = "3s", on_cancel = "cooperate")]
    async fn shares(alive: Alive) -> Result<(), TaskError> {
        let _alive = alive;
        pending().await
    }

    let (alive, shared) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let group = group();
    let spawned = shared.clone();
    let handle = group.spawn(|_| shares(spawned, Alive::new(&alive))).await;
    turn().await;
    let cancelled = Instant::now();
    handle.cancel();
    turn().await;
    assert_eq!(alive.load(SeqCst), 1, "it has its grace");
    assert_eq!(live(&handle).state, TaskState::Stopping);
    assert_eq!(in_time(handle.ended()).await, Outcome::Cancelled);
    assert_eq!((alive.load(SeqCst), cancelled.elapsed()), (0, 3 * SECOND));
    assert!(!shared.is_cancelled(), "others may share it");
    assert_eq!(in_time(group.join()).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_run_is_cancelled_by_its_handle() {
    #[supervised(name = "handle: limited", limit = 1)]
    async fn limited(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }

    let (gate, mut keeper) = gate();
    let pool = Pool::new(4);
    pool.reserve().await.unwrap().spawn(|token| limited(token, gate.clone()));
    keeper.started(1).await;
    let waits = pool.reserve().await.unwrap().spawn(|token| limited(token, gate.clone()));
    turn().await;
    assert_eq!(stats_of("handle: limited").waiting, 1);
    waits.handle().cancel();
    assert_eq!(in_time(waits).await.unwrap_err().outcome(), Outcome::Cancelled);
    assert_eq!(stats_of("handle: limited").waiting, 0);
    keeper.open(1);
    in_time(pool.drain(SECOND)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handle_is_that_of_all_runs_of_a_restarting_task() {
    #[supervised(name = "handle: restarts", restart = "always", backoff = "10s..10s")]
    async fn restarts() -> Result<(), TaskError> {
        Ok(())
    }
    #[supervised(name = "handle: periodic", every = "10s")]
    async fn periodic() -> Result<(), TaskError> {
        Ok(())
    }

    let group = group();
    let restarting = group.spawn(restarts).await;
    let shared = CancellationToken::new();
    let ticking = group.spawn(|_| periodic(shared)).await;
    tokio::time::sleep(11 * SECOND).await;
    let before = Instant::now();
    for handle in [&restarting, &ticking] {
        assert!(!handle.is_finished());
        handle.cancel();
    }
    assert_eq!(in_time(restarting.ended()).await, Outcome::Cancelled);
    assert_eq!(in_time(ticking.ended()).await, Outcome::Ok, "its last run succeeded");
    assert_eq!(before.elapsed(), Duration::ZERO, "no other run starts");
    assert_eq!(in_time(group.join()).await.unwrap(), [()]);
}

#[tokio::test(start_paused = true)]
async fn an_abort_drops_one_task_without_a_grace() {
    #[supervised(name = "handle: aborted", grace = "60s")]
    async fn stubborn(token: &CancellationToken, alive: Alive) -> Result<u32, TaskError> {
        let _alive = alive;
        token.cancelled().await;
        pending().await
    }

    let alive = Arc::new(AtomicUsize::new(0));
    let group = group();
    let first = group.spawn(|token| stubborn(token, Alive::new(&alive))).await;
    let second = group.spawn(|token| polite(token, 2)).await;
    turn().await;
    let before = Instant::now();
    first.abort();
    assert_eq!(in_time(first.ended()).await, Outcome::Dropped);
    assert_eq!((alive.load(SeqCst), before.elapsed()), (0, Duration::ZERO));
    assert_eq!(outcomes_of("handle: aborted"), [(Outcome::Dropped, 1)]);
    second.cancel();
    assert_eq!(in_time(group.join()).await.unwrap(), [2]);
}

#[tokio::test(start_paused = true)]
async fn an_aborted_task_in_its_grace_has_ended_as_cancelled() {
    #[supervised(name = "handle: in its grace", grace = "60s")]
    async fn stubborn(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let group = group();
    let handle = group.spawn(stubborn).await;
    turn().await;
    handle.cancel();
    turn().await;
    handle.abort();
    assert_eq!(in_time(handle.ended()).await, Outcome::Cancelled);
    assert_eq!(outcomes_of("handle: in its grace"), [(Outcome::Cancelled, 1)]);
    assert_eq!(in_time(group.join()).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn an_aborted_body_whose_drop_panics_has_ended_as_panicked() {
    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("in the drop");
        }
    }
    #[supervised(name = "handle: panics in its drop")]
    async fn body() -> Result<(), TaskError> {
        let _panics = PanicsInDrop;
        pending().await
    }

    let group = group();
    let handle = group.spawn(body).await;
    turn().await;
    handle.abort();
    assert_eq!(in_time(handle.ended()).await, Outcome::Panicked);
    assert_eq!(outcomes_of("handle: panics in its drop"), [(Outcome::Panicked, 1)]);
    assert_eq!(in_time(group.join()).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_cancelled_task_is_a_failure() {
    #[supervised(name = "handle: fails to stop")]
    async fn fails(token: CancellationToken) -> anyhow::Result<()> {
        token.cancelled().await;
        anyhow::bail!("cannot flush")
    }

    let group = Group::new(&CancellationToken::new());
    let handle = group.spawn(fails).await;
    turn().await;
    handle.cancel();
    assert_eq!(in_time(handle.ended()).await, Outcome::Error);
    assert_eq!(in_time(group.join()).await.unwrap_err().to_string(), "cannot flush");
}

#[tokio::test(start_paused = true)]
async fn a_task_of_a_cancelled_group_keeps_its_cause() {
    #[supervised(name = "handle: keeps its cause", grace = "1s")]
    async fn slow(token: CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let token = CancellationToken::new();
    let group = Group::new(&token);
    let handle = group.spawn(slow).await;
    turn().await;
    token.cancel();
    handle.cancel();
    let error = in_time(group.join()).await.unwrap_err();
    let TaskError::Cancelled(cancelled) = error else { panic!("{error}") };
    assert_eq!(cancelled.cause(), Cause::Token);
}

#[tokio::test(start_paused = true)]
async fn requests_after_the_end_change_nothing() {
    let group = group();
    let (gate, keeper) = gate();
    let first = group.spawn(|token| gated(token, gate.clone())).await;
    keeper.open(1);
    assert_eq!(in_time(first.ended()).await, Outcome::Ok);
    // Its record could serve the next tasks.
    for _ in 0..200 {
        let next = group.spawn(|token| gated(token, gate.clone())).await;
        first.cancel();
        first.abort();
        keeper.open(1);
        assert_eq!(in_time(next.ended()).await, Outcome::Ok);
        assert_ne!(next.id(), first.id());
    }
    assert_eq!(in_time(first.ended()).await, Outcome::Ok);
    assert_eq!(in_time(group.join()).await.unwrap().len(), 201);
}

#[tokio::test(start_paused = true)]
async fn each_waiter_for_the_end_is_woken() {
    let group = group();
    let handle = group.spawn(|token| polite(token, 1)).await;
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.ended().await })
        })
        .collect();
    turn().await;
    // One that is dropped takes no wake-up from the others.
    assert!(poll_once(handle.ended()).is_pending());
    handle.cancel();
    for waiter in waiters {
        assert_eq!(in_time(waiter).await.unwrap(), Outcome::Ok);
    }
    drop(group);
}

#[tokio::test(start_paused = true)]
async fn an_ended_task_has_left_its_pool_and_dropped_its_values() {
    #[supervised(name = "handle: has values")]
    async fn values(alive: Alive, gate: Gate) -> Result<(), TaskError> {
        let _alive = alive;
        gate.pass().await;
        Ok(())
    }

    let (gate, keeper) = gate();
    let alive = Arc::new(AtomicUsize::new(0));
    let pool = Pool::new(1);
    for _ in 0..20 {
        let spawned = pool.try_spawn(|token| values(token, Alive::new(&alive), gate.clone()));
        let handle = spawned.expect("the slot is free").handle();
        keeper.open(1);
        assert_eq!(in_time(handle.ended()).await, Outcome::Ok);
        assert_eq!((pool.len(), alive.load(SeqCst)), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_spawn_has_a_finished_handle() {
    let token = CancellationToken::new();
    token.cancel();
    let group: Tasks = Group::new(&token);
    let handle = group.spawn(|token| polite(token, 1)).await;
    assert!(handle.is_refused() && handle.is_finished());
    assert_eq!((handle.id(), handle.name(), handle.label()), (None, "polite", None));
    handle.cancel();
    handle.abort();
    assert_eq!(in_time(handle.ended()).await, Outcome::Cancelled);
    let refused = in_time(group.handle().spawn(|token| polite(token, 1))).await;
    assert!(matches!(refused, Err(SpawnError::Cancelled(_))));
    assert!(in_time(group.join()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_spawn_whose_closure_panics_has_a_refused_handle() {
    let group: Tasks = group();
    let handle = group
        .spawn(|token| {
            assert!(token.is_cancelled(), "in the closure");
            polite(token, 1)
        })
        .await;
    assert!(handle.is_refused());
    assert_eq!(in_time(handle.ended()).await, Outcome::Panicked);
    assert_eq!(in_time(group.join()).await.unwrap_err().outcome(), Outcome::Panicked);
}

#[tokio::test(start_paused = true)]
async fn a_handle_of_a_group_returns_a_handle() {
    let group = group();
    let handle = group.handle();
    let spawned = handle.spawn(|token| polite(token, 3)).await.unwrap();
    turn().await;
    spawned.cancel();
    assert_eq!(in_time(spawned.ended()).await, Outcome::Ok);
    let blocking = handle.spawn_blocking("handle: blocking", |_| Ok(4)).await.unwrap();
    assert_eq!(blocking.ended().await, Outcome::Ok);
    assert_eq!(in_time(group.join()).await.unwrap(), [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_local_task_has_a_handle() {
    let local = LocalSet::new();
    let joined = local.run_until(async {
        let group = group();
        let first = group.spawn_local(|token| polite(token, 1)).await;
        let second = group.spawn_local(|token| polite(token, 2)).await;
        turn().await;
        first.abort();
        assert_eq!(in_time(first.ended()).await, Outcome::Dropped);
        second.cancel();
        in_time(group.join()).await.unwrap()
    });
    assert_eq!(joined.await, [2]);
}

#[tokio::test]
async fn a_cancel_reaches_a_closure_that_blocks_its_thread() {
    let group = group();
    let handle = group
        .spawn_blocking("handle: polls its token", |token| {
            while !token.is_cancelled() {
                thread::yield_now();
            }
            Ok(5)
        })
        .await;
    handle.cancel();
    in_time(handle.ended()).await;
    assert!(in_time(group.join()).await.unwrap().len() <= 1, "it may never have started");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_reaches_a_body_that_blocks_its_worker() {
    let (started, wait) = oneshot::channel();
    let group = group();
    let handle = group
        .spawn(task!("handle: blocks its worker", |token| -> Result<u32, TaskError> {
            _ = started.send(());
            while !token.is_cancelled() {
                thread::yield_now();
            }
            Ok(6)
        }))
        .await;
    in_time(wait).await.unwrap();
    handle.cancel();
    assert_eq!(in_time(handle.ended()).await, Outcome::Ok);
    assert_eq!(in_time(group.join()).await.unwrap(), [6]);
}

#[test]
fn a_task_whose_runtime_is_gone_has_ended() {
    let (first, second) = (runtime(), runtime());
    let group = group();
    let handle: TaskHandle = first.block_on(async { group.spawn(|token| polite(token, 1)).await });
    drop(first);
    assert_eq!(second.block_on(in_time(handle.ended())), Outcome::Dropped);
    drop(group);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_group_ends_the_tasks_of_its_handles() {
    let group = group();
    let handle = group.spawn(|token| polite(token, 1)).await;
    turn().await;
    drop(group);
    in_time(handle.ended()).await;
    assert!(handle.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_its_handle_stopped_is_not_cut_by_a_drain() {
    #[supervised(name = "handle: not cut", grace = "1s")]
    async fn slow(token: CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let pool = Pool::new(4);
    let mut handles = Vec::new();
    for _ in 0..3 {
        handles.push(pool.spawn(slow).await.unwrap().handle());
    }
    turn().await;
    handles[0].cancel();
    handles[1].abort();
    let third = handles[2].clone();
    let drain = pool.drain(60 * SECOND);
    let cancel = async {
        turn().await;
        third.cancel();
    };
    let (drained, ()) = in_time(async { tokio::join!(drain, cancel) }).await;
    drained.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stopped_tasks_of_a_long_lived_group_cost_no_memory() {
    #[supervised(name = "handle: large")]
    async fn large() -> Result<[u64; 64], TaskError> {
        pending().await
    }

    let group: Group<[u64; 64], TaskError> = group();
    for _ in 0..10_000 {
        let handle = group.spawn(large).await;
        handle.abort();
        assert_eq!(in_time(handle.ended()).await, Outcome::Dropped);
    }
    assert!(in_time(group.join()).await.unwrap().is_empty());
}

const _: () = {
    const fn shared<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}
    shared::<TaskHandle>();
};
