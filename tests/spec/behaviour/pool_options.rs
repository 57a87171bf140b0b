//! A pool that is stopped with a token, and the other options of a pool.

use std::{
    future::pending,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use tokio::time::Instant;
use tokio_supervised::{
    CancellationToken, Cause, Group, LiveTask, Outcome, Pool, SpawnError, TaskError, TrySpawnError,
    supervised, tasks,
};

use crate::behaviour::gate::{Gate, gate};
use testkit::{in_hours, in_time, outcomes_of, poll_once, turn};

const SECOND: Duration = Duration::from_secs(1);

#[supervised(name = "pool options: never")]
async fn never() -> Result<(), TaskError> {
    pending().await
}

/// Returns its own result when its token fires.
#[supervised(name = "pool options: polite")]
async fn polite(token: &CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    Ok(())
}

/// Takes the token and ignores it.
#[supervised(name = "pool options: deaf", grace = "none")]
async fn deaf(token: &CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    pending().await
}

fn closed<T>(spawned: Result<T, SpawnError>) {
    assert!(matches!(spawned, Err(SpawnError::Closed(_))));
}

#[tokio::test(start_paused = true)]
async fn the_token_stops_the_tasks_and_closes_the_pool() {
    let token = CancellationToken::new();
    let pool = Pool::new(3).stop_with(&token);
    pool.spawn(never).await.unwrap();
    pool.spawn(polite).await.unwrap();
    turn().await;
    assert_eq!(pool.len(), 2);
    token.cancel();
    turn().await;
    assert_eq!(pool.len(), 0, "both have ended without a drain");
    closed(pool.spawn(never).await);
    closed(pool.reserve().await);
    assert_eq!(pool.try_spawn(never).err(), Some(TrySpawnError::Closed));
    assert!(format!("{pool:?}").contains("closed: true"));
}

#[tokio::test(start_paused = true)]
async fn the_token_ends_waiting_spawns_and_reserves() {
    let token = CancellationToken::new();
    let pool = Pool::new(1).stop_with(&token);
    pool.spawn(deaf).await.unwrap();
    let mut spawn = Box::pin(pool.spawn(never));
    let mut reserve = Box::pin(pool.reserve());
    assert!(poll_once(spawn.as_mut()).is_pending() && poll_once(reserve.as_mut()).is_pending());
    token.cancel();
    closed(in_time(spawn).await);
    closed(in_time(reserve).await);
}

#[tokio::test(start_paused = true)]
async fn a_spawn_that_was_made_before_the_token_fired_is_refused() {
    let token = CancellationToken::new();
    let pool = Pool::new(1).stop_with(&token);
    let spawn = pool.spawn(|task| {
        token.cancel();
        never(task)
    });
    closed(spawn.await);
    assert!(pool.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reserved_slot_that_is_used_after_the_token_starts_nothing() {
    #[supervised(name = "pool options: late")]
    async fn late() -> Result<(), TaskError> {
        Ok(())
    }

    let token = CancellationToken::new();
    let pool = Pool::new(1).stop_with(&token);
    let slot = pool.reserve().await.unwrap();
    token.cancel();
    slot.spawn(late);
    assert_eq!(in_time(pool.drain(10 * SECOND)).await.unwrap().tasks, 1);
    assert_eq!(outcomes_of("pool options: late"), [(Outcome::Cancelled, 1)]);
}

#[tokio::test(start_paused = true)]
async fn tasks_see_the_cause_of_the_token() {
    type Seen = Arc<Mutex<Option<Cause>>>;
    #[supervised(name = "pool options: asks", on_cancel = "cooperate")]
    async fn asks(token: &CancellationToken, seen: Seen) -> Result<(), TaskError> {
        if let Err(TaskError::Cancelled(cancelled)) = never(token).await {
            *seen.lock().unwrap() = Some(cancelled.cause());
        }
        Ok(())
    }
    #[supervised(name = "pool options: fails")]
    async fn fails() -> anyhow::Result<()> {
        anyhow::bail!("failed as requested")
    }

    let group: Group<(), anyhow::Error> = Group::new(&CancellationToken::new());
    let (pool, seen) = (Pool::new(1).stop_with(group.token()), Seen::default());
    pool.spawn(|token| asks(token, seen.clone())).await.unwrap();
    turn().await;
    group.spawn(fails).await;
    in_time(group.join()).await.unwrap_err();
    in_time(pool.drain(10 * SECOND)).await.unwrap();
    let cause = seen.lock().unwrap().take();
    assert_eq!(cause, Some(Cause::SiblingFailed { task: "pool options: fails" }));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_fired_closes_the_pool_at_once() {
    let token = CancellationToken::new();
    token.cancel();
    let pool = Pool::new(1).stop_with(&token).name("pool options: fired");
    closed(pool.spawn(never).await);
    closed(pool.reserve().await);
    assert_eq!(pool.try_spawn(never).err(), Some(TrySpawnError::Closed));
    assert_eq!(in_time(pool.drain(10 * SECOND)).await.unwrap().tasks, 0);
}

#[tokio::test(start_paused = true)]
async fn a_pool_outlives_the_token_it_is_stopped_with() {
    let (gate, mut keeper) = gate();
    #[supervised(name = "pool options: outlives")]
    async fn gated(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }

    let pool = Pool::new(2).stop_with(&CancellationToken::new());
    pool.spawn(|token| gated(token, gate.clone())).await.unwrap();
    keeper.started(1).await;
    keeper.open(1);
    in_time(pool.drain(10 * SECOND)).await.unwrap();
    assert_eq!(outcomes_of("pool options: outlives"), [(Outcome::Ok, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_fires_the_pools_token_does_not_stop_the_pool() {
    let token = CancellationToken::new();
    let pool = Pool::new(4).stop_with(&token);
    pool.spawn(polite).await.unwrap();
    turn().await;
    pool.spawn(|pools| {
        pools.cancel();
        polite(pools)
    })
    .await
    .unwrap();
    turn().await;
    assert!(!token.is_cancelled());
    pool.spawn(never).await.unwrap();
    turn().await;
    assert_eq!(pool.len(), 2, "the tasks with the new token run");
    token.cancel();
    turn().await;
    assert!(pool.is_empty(), "the token fires the new one");
    closed(pool.spawn(never).await);
}

#[tokio::test]
async fn a_blocking_closure_sees_that_the_token_has_fired() {
    let (started, has_started) = mpsc::channel();
    let token = CancellationToken::new();
    let pool = Pool::new(1).stop_with(&token);
    let closure = move |token: CancellationToken| -> Result<(), TaskError> {
        started.send(()).unwrap();
        while !token.is_cancelled() {
            std::thread::yield_now();
        }
        Ok(())
    };
    pool.spawn_blocking("pool options: blocking", closure).await.unwrap();
    tokio::task::spawn_blocking(move || has_started.recv()).await.unwrap().unwrap();
    token.cancel();
    in_time(pool.drain(30 * SECOND)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn tasks_that_the_token_ended_count_as_finished() {
    // Stops late, and after the drain has fired the tokens itself.
    #[supervised(name = "pool options: slow", on_cancel = "cooperate", grace = "none")]
    async fn slow(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        tokio::time::sleep(8 * SECOND).await;
        never(token).await
    }

    let token = CancellationToken::new();
    let pool = Pool::new(4).stop_with(&token);
    pool.spawn(never).await.unwrap();
    pool.spawn(slow).await.unwrap();
    turn().await;
    token.cancel();
    let started = Instant::now();
    assert_eq!(in_time(pool.drain(10 * SECOND)).await.unwrap().tasks, 2);
    assert_eq!(started.elapsed().as_secs(), 8);
    assert_eq!(outcomes_of("pool options: slow"), [(Outcome::Cancelled, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ignores_the_token_is_aborted_by_the_drain() {
    let token = CancellationToken::new();
    let pool = Pool::new(4).stop_with(&token);
    pool.spawn(deaf).await.unwrap();
    turn().await;
    token.cancel();
    let unfinished = in_time(pool.drain(10 * SECOND)).await.unwrap_err();
    let [task] = unfinished.tasks() else { panic!("{unfinished}") };
    assert_eq!((task.name, unfinished.cut().len()), ("pool options: deaf", 0));
}

#[tokio::test(start_paused = true)]
async fn tasks_that_a_drain_cut_before_the_token_fired_are_unfinished() {
    let token = CancellationToken::new();
    let pool = Pool::new(4).stop_with(&token);
    pool.spawn(never).await.unwrap();
    let unfinished = in_time(pool.drain(10 * SECOND)).await.unwrap_err();
    token.cancel();
    assert_eq!(unfinished.cut().len(), 1);
    let again = in_time(pool.drain(SECOND)).await.unwrap_err();
    assert_eq!(again.to_string(), unfinished.to_string());
}

#[tokio::test(start_paused = true)]
async fn stopping_sets_when_the_tokens_fire() {
    for (stopping, grace, cancelled) in
        [(1, 20, 19), (8, 20, 12), (0, 6, 6), (20, 20, 0), (30, 20, 0)]
    {
        let pool = Pool::new(4).stopping(stopping * SECOND);
        pool.spawn(never).await.unwrap();
        turn().await;
        let started = Instant::now();
        let drained = in_hours(pool.drain(grace * SECOND)).await;
        assert_eq!(started.elapsed().as_secs(), cancelled, "{stopping} s of {grace} s");
        assert!(drained.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_drain_returns_what_the_first_returned() {
    let pool = Pool::new(4);
    pool.spawn(polite).await.unwrap();
    pool.spawn(polite).await.unwrap();
    let slot = pool.reserve().await.unwrap();
    let mut drain = Box::pin(pool.drain(10 * SECOND));
    assert!(poll_once(drain.as_mut()).is_pending());
    slot.spawn(polite);
    let first = in_time(drain).await.unwrap();
    assert_eq!(first.tasks, 3);
    assert_eq!(in_time(pool.drain(SECOND)).await.unwrap(), first);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_its_restart_has_finished() {
    #[supervised(name = "pool options: restarts", restart = "on-failure", backoff = "1h..1h")]
    async fn restarts() -> anyhow::Result<()> {
        anyhow::bail!("failed as requested")
    }

    for grace in [Duration::ZERO, 10 * SECOND] {
        let pool = Pool::new(4);
        pool.spawn(restarts).await.unwrap();
        turn().await;
        assert_eq!(pool.len(), 1, "it waits");
        assert_eq!(in_time(pool.drain(grace)).await.unwrap().tasks, 1, "{grace:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_for_its_permit_is_cut_short() {
    #[supervised(name = "pool options: one", limit = 1)]
    async fn one() -> Result<(), TaskError> {
        pending().await
    }

    let pool = Pool::new(4);
    pool.spawn(one).await.unwrap();
    pool.reserve().await.unwrap().spawn(one);
    turn().await;
    let unfinished = in_time(pool.drain(10 * SECOND)).await.unwrap_err();
    assert_eq!(unfinished.cut().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_closed_pool_names_the_function() {
    #[supervised(name = "pool options: refused")]
    async fn refused() -> Result<(), TaskError> {
        pending().await
    }
    let task = |spawned: Result<(), SpawnError>| TaskError::from(spawned.unwrap_err());

    let pool = Pool::new(1);
    let slot = pool.reserve().await.unwrap();
    let mut waits = Box::pin(pool.spawn(refused));
    assert!(poll_once(waits.as_mut()).is_pending());
    let made = pool.spawn(refused);
    drop(slot);
    pool.drain(Duration::ZERO).await.unwrap();
    // The last closure is not called: its function is known by its path alone.
    for (error, name) in [
        (task(waits.await.map(drop)), "pool options: refused"),
        (task(made.await.map(drop)), "pool options: refused"),
        (task(pool.spawn(refused).await.map(drop)), "refused"),
    ] {
        assert_eq!(error.task(), name);
        let text = "was rejected: the pool is closed and accepts no more tasks";
        assert_eq!(error.to_string(), format!("task `{name}` {text}"));
    }
    let blocking = pool.spawn_blocking("pool options: blocks", |_| Ok::<_, TaskError>(()));
    assert_eq!(task(blocking.await.map(drop)).task(), "pool options: blocks");
    let reserved = TaskError::from(pool.reserve().await.unwrap_err());
    assert_eq!(reserved.task(), "unknown", "a reservation is for no function");
}

#[tokio::test(start_paused = true)]
async fn the_tree_shows_a_named_pool_above_its_tasks() {
    #[supervised(name = "pool options: in the tree")]
    async fn child() -> Result<(), TaskError> {
        pending().await
    }
    #[supervised(name = "pool options: with a child")]
    async fn parent(token: &CancellationToken) -> Result<(), TaskError> {
        let group = Group::new(token);
        group.spawn(child).await;
        group.join().await.map(drop)
    }

    let pool = Pool::new(4).name("pool options: tree");
    pool.spawn(parent).await.unwrap();
    // The pool replaces its token: the new one is for the same pool.
    pool.spawn(|token| {
        token.cancel();
        polite(token)
    })
    .await
    .unwrap();
    turn().await;
    pool.spawn(parent).await.unwrap();
    turn().await;
    let tree = tasks();
    let is_own = |task: &&LiveTask| task.pool == Some("pool options: tree");
    let own: Vec<_> = tree.iter().filter(is_own).map(|task| (task.name, task.depth)).collect();
    assert_eq!(own, [("pool options: polite", 0), ("pool options: with a child", 0)]);
    let text = tree.to_string();
    let is_above = |line: &&str| line.starts_with("pool options: tree (pool) ");
    let lines: Vec<_> = text.lines().skip_while(|line| !is_above(line)).collect();
    assert!(lines[0].ends_with(" 2 tasks"), "{text}");
    assert!(lines[1].starts_with("├─ pool options: polite (task "), "{text}");
    assert!(lines[2].starts_with("└─ pool options: with a child (task "), "{text}");
    assert!(lines[3].starts_with("   └─ pool options: in the tree (task "), "{text}");
    in_time(pool.drain(Duration::ZERO)).await.unwrap_err();
}

#[tokio::test]
#[should_panic(expected = "a `Pool` must be configured before it is used")]
async fn a_pool_with_two_handles_cannot_be_configured() {
    let pool = Pool::new(1);
    let _other = pool.clone();
    _ = pool.name("pool options: too late");
}

#[tokio::test]
#[should_panic(expected = "a `Pool` must be configured before it is used")]
async fn a_pool_with_tasks_cannot_be_configured() {
    let pool = Pool::new(1);
    pool.spawn(never).await.unwrap();
    _ = pool.stopping(SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_task_aborted_by_its_handle_after_the_stop_was_not_cut() {
    let token = CancellationToken::new();
    let pool = Pool::new(1).stop_with(&token);
    let handle = pool.spawn(deaf).await.unwrap().handle();
    turn().await;
    token.cancel();
    turn().await;
    handle.abort();
    assert_eq!(in_time(handle.ended()).await, Outcome::Cancelled);
    in_time(pool.drain(SECOND)).await.unwrap();
}
