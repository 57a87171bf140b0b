//! Pools: accepted and refused spawns.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio_supervised::{
    CancellationToken, Outcome, Pool, SpawnError, TaskError, TrySpawnError, supervised,
};

use crate::behaviour::gate::{Gate, gate};
use testkit::{Alive, in_time, outcomes_of, poll_once, stats_of, turn};

const SECOND: Duration = Duration::from_secs(1);

#[supervised(name = "pool: gated")]
async fn gated(gate: Gate) -> Result<(), TaskError> {
    gate.pass().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_spawn_waits_for_a_slot_and_len_counts_unfinished_tasks() {
    let (gate, mut keeper) = gate();
    let pool = Pool::new(2);
    assert!(pool.is_empty());
    assert_eq!(pool.limit(), 2);
    for _ in 0..2 {
        pool.spawn(|token| gated(token, gate.clone())).await.unwrap();
    }
    keeper.started(2).await;
    assert_eq!(pool.len(), 2);
    let mut third = Box::pin(pool.spawn(|token| gated(token, gate.clone())));
    assert!(poll_once(third.as_mut()).is_pending());
    keeper.open(1);
    in_time(third).await.unwrap();
    keeper.started(1).await;
    assert_eq!(pool.len(), 2);
    keeper.open(2);
    in_time(pool.drain(SECOND)).await.unwrap();
    assert!(pool.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_full_pool_refuses_without_calling_the_closure() {
    let (gate, mut keeper) = gate();
    let pool = Pool::new(1);
    pool.try_spawn(|token| gated(token, gate.clone())).unwrap();
    keeper.started(1).await;
    let mut called = false;
    let refused = pool.try_spawn(|token| {
        called = true;
        gated(token, gate.clone())
    });
    assert_eq!(refused.map(drop), Err(TrySpawnError::Full));
    assert!(!called);
    keeper.open(1);
    in_time(pool.drain(SECOND)).await.unwrap();
    assert_eq!(
        pool.try_spawn(|token| gated(token, gate.clone())).map(drop),
        Err(TrySpawnError::Closed)
    );
}

#[tokio::test(start_paused = true)]
async fn try_spawn_reports_full_for_a_full_function() {
    #[supervised(limit = 1, name = "pool: waits when full")]
    async fn waits(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }
    #[supervised(limit = 1, on_full = "reject", name = "pool: rejects when full")]
    async fn rejects(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }

    let (gate, mut keeper) = gate();
    let pool = Pool::new(8);
    pool.try_spawn(|token| waits(token, gate.clone())).unwrap();
    pool.try_spawn(|token| rejects(token, gate.clone())).unwrap();
    keeper.started(2).await;
    for _ in 0..3 {
        assert_eq!(
            pool.try_spawn(|token| waits(token, gate.clone())).map(drop),
            Err(TrySpawnError::Full)
        );
        assert_eq!(
            pool.try_spawn(|token| rejects(token, gate.clone())).map(drop),
            Err(TrySpawnError::Full)
        );
    }
    assert_eq!(pool.len(), 2, "the refused spawn took no slot");
    keeper.open(2);
    in_time(pool.drain(SECOND)).await.unwrap();
    for name in ["pool: waits when full", "pool: rejects when full"] {
        assert_eq!(outcomes_of(name), [(Outcome::Ok, 1)]);
        assert_eq!((stats_of(name).started, stats_of(name).waiting), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_spawn_that_is_dropped_while_it_waits_spawns_nothing() {
    let (gate, mut keeper) = gate();
    let pool = Pool::new(1);
    let count = Arc::new(AtomicUsize::new(0));
    #[supervised(name = "pool: carries")]
    async fn carries(_alive: Alive) -> Result<(), TaskError> {
        Ok(())
    }

    pool.spawn(|token| gated(token, gate.clone())).await.unwrap();
    keeper.started(1).await;
    let alive = Alive::new(&count);
    let mut waiting = Box::pin(pool.spawn(|token| carries(token, alive)));
    assert!(poll_once(waiting.as_mut()).is_pending());
    drop(waiting);
    assert_eq!(count.load(SeqCst), 0);
    keeper.open(1);
    in_time(pool.drain(SECOND)).await.unwrap();
    assert_eq!(outcomes_of("pool: carries"), [(Outcome::Dropped, 1)]);
}

#[tokio::test(start_paused = true)]
async fn waiting_spawns_and_reserves_end_when_the_pool_closes() {
    let (gate, mut keeper) = gate();
    let pool = Pool::new(1);
    pool.spawn(|token| gated(token, gate.clone())).await.unwrap();
    keeper.started(1).await;
    let mut spawn = Box::pin(pool.spawn(|token| gated(token, gate.clone())));
    let mut reserve = Box::pin(pool.reserve());
    assert!(poll_once(spawn.as_mut()).is_pending());
    assert!(poll_once(reserve.as_mut()).is_pending());
    let mut drain = Box::pin(pool.drain(SECOND));
    assert!(poll_once(drain.as_mut()).is_pending());
    assert!(matches!(in_time(spawn).await, Err(SpawnError::Closed(_))));
    assert!(matches!(in_time(reserve).await, Err(SpawnError::Closed(_))));
    assert!(matches!(pool.reserve().await, Err(SpawnError::Closed(_))));
    let mut called = false;
    let late = pool.spawn(|token| {
        called = true;
        gated(token, gate.clone())
    });
    assert!(matches!(late.await, Err(SpawnError::Closed(_))));
    assert!(!called);
    keeper.open(1);
    in_time(drain).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_reserved_slot_is_free_again() {
    let pool = Pool::new(1);
    let slot = pool.reserve().await.unwrap();
    let (gate, keeper) = gate();
    let refused = pool.try_spawn(|token| gated(token, gate.clone()));
    assert_eq!(refused.map(drop), Err(TrySpawnError::Full));
    assert_eq!(pool.len(), 0, "a reserved slot is no task yet");
    drop(slot);
    pool.try_spawn(|token| gated(token, gate)).unwrap();
    keeper.open(1);
    in_time(pool.drain(SECOND)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_the_spawn_of_a_reserved_slot() {
    let (gate, mut keeper) = gate();
    let pool = Pool::new(1);
    let slot = pool.reserve().await.unwrap();
    let mut drain = Box::pin(pool.drain(SECOND));
    assert!(poll_once(drain.as_mut()).is_pending());
    slot.spawn(|token| gated(token, gate));
    keeper.started(1).await;
    assert!(poll_once(drain.as_mut()).is_pending());
    keeper.open(1);
    in_time(drain).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_task_of_a_reserved_slot_waits_for_its_own_permit() {
    #[supervised(limit = 1, name = "pool: one at a time")]
    async fn one(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }

    let (gate, mut keeper) = gate();
    let pool = Pool::new(2);
    let slots = [pool.reserve().await.unwrap(), pool.reserve().await.unwrap()];
    for slot in slots {
        let gate = gate.clone();
        slot.spawn(|token| one(token, gate));
    }
    keeper.started(1).await;
    for _ in 0..5 {
        turn().await;
    }
    assert!(keeper.none_has_started());
    assert_eq!((stats_of("pool: one at a time").waiting, pool.len()), (1, 2));
    keeper.open(2);
    in_time(pool.drain(SECOND)).await.unwrap();
    assert_eq!(outcomes_of("pool: one at a time"), [(Outcome::Ok, 2)]);
}

#[tokio::test(start_paused = true)]
async fn set_limit_admits_a_waiting_spawn_and_refuses_zero() {
    let (gate, mut keeper) = gate();
    let pool = Pool::new(1);
    pool.spawn(|token| gated(token, gate.clone())).await.unwrap();
    let mut waiting = Box::pin(pool.spawn(|token| gated(token, gate.clone())));
    assert!(poll_once(waiting.as_mut()).is_pending());
    pool.set_limit(0).unwrap_err();
    assert_eq!(pool.limit(), 1);
    pool.set_limit(2).unwrap();
    in_time(waiting).await.unwrap();
    keeper.started(2).await;
    assert_eq!((pool.len(), pool.limit()), (2, 2));
    keeper.open(2);
    in_time(pool.drain(SECOND)).await.unwrap();
}

#[test]
#[should_panic(expected = "`limit` must not be 0")]
fn a_pool_without_slots_panics() {
    _ = Pool::new(0);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_aborts_tasks_with_a_reason() {
    #[supervised(name = "pool: obeys")]
    async fn obeys(token: &CancellationToken, alive: Alive) -> Result<(), TaskError> {
        let _alive = alive;
        token.cancelled().await;
        pending().await
    }

    let count = Arc::new(AtomicUsize::new(0));
    let pool = Pool::new(2);
    let other = pool.clone();
    let alive = Alive::new(&count);
    pool.spawn(|token| obeys(token, alive)).await.unwrap();
    turn().await;
    drop(pool);
    turn().await;
    assert_eq!((other.len(), count.load(SeqCst)), (1, 1), "another handle exists");
    drop(other);
    turn().await;
    assert_eq!(count.load(SeqCst), 0);
    assert_eq!(outcomes_of("pool: obeys"), [(Outcome::Cancelled, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_spawn_into_the_callers_own_full_pool_is_refused() {
    #[supervised(name = "pool: outer")]
    async fn outer(pool: Pool, gate: Gate) -> anyhow::Result<()> {
        let refused = pool.spawn(|token| gated(token, gate.clone())).await.unwrap_err();
        let SpawnError::Rejected(rejected) = refused else { panic!("{refused}") };
        assert_eq!(rejected.chain(), ["pool: outer", "pool: gated"]);
        Ok(())
    }

    let (gate, _keeper) = gate();
    let pool = Pool::new(1);
    let inside = pool.clone();
    in_time(pool.spawn(|token| outer(token, inside, gate))).await.unwrap();
    in_time(async {
        while !pool.is_empty() {
            turn().await;
        }
    })
    .await;
    in_time(pool.drain(SECOND)).await.unwrap();
    assert_eq!(outcomes_of("pool: outer"), [(Outcome::Ok, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_closed_by_the_closure_still_accepts_its_task() {
    let (gate, mut keeper) = gate();
    let pool = Pool::new(1);
    let closing = pool.clone();
    let accepted = pool.try_spawn(|token| {
        assert!(poll_once(closing.drain(SECOND)).is_pending());
        gated(token, gate)
    });
    assert_eq!(accepted.map(drop), Ok(()));
    keeper.started(1).await;
    keeper.open(1);
    in_time(pool.drain(SECOND)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_panics_takes_no_slot_and_is_no_error() {
    let pool = Pool::new(1);
    #[supervised(name = "pool: never made")]
    async fn never_made(_: u32) -> Result<(), TaskError> {
        Ok(())
    }
    let broken = |token| never_made(token, "no number".parse().unwrap());
    pool.spawn(broken).await.unwrap();
    pool.try_spawn(broken).unwrap();
    pool.reserve().await.unwrap().spawn(broken);
    assert!(pool.is_empty());
    drop(in_time(pool.reserve()).await.unwrap());
    in_time(pool.drain(SECOND)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn values_and_errors_that_panic_are_harmless() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped a bomb");
        }
    }
    struct Unspeakable;
    impl std::fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("it cannot be displayed")
        }
    }
    impl From<TaskError> for Unspeakable {
        fn from(error: TaskError) -> Self {
            assert!(matches!(error, TaskError::TimedOut(_)), "not even made");
            Self
        }
    }
    #[supervised(name = "pool: gives a bomb")]
    async fn returns_a_bomb() -> Result<Bomb, TaskError> {
        Ok(Bomb)
    }
    #[supervised(name = "pool: unspeakable")]
    async fn unspeakable(panics: bool) -> Result<(), Unspeakable> {
        assert!(!panics, "its error cannot be created");
        Err(Unspeakable)
    }

    let pool = Pool::new(4);
    pool.spawn(returns_a_bomb).await.unwrap();
    pool.spawn(|token| unspeakable(token, false)).await.unwrap();
    pool.spawn(|token| unspeakable(token, true)).await.unwrap();
    let unfinished = in_time(pool.drain(SECOND)).await.unwrap_err();
    assert_eq!(unfinished.cut().len(), 1, "its panic could not be converted: {unfinished}");
    assert!(unfinished.to_string().contains("): its poll panicked, "), "{unfinished}");
    assert_eq!(pool.len(), 0);
    assert_eq!(outcomes_of("pool: gives a bomb"), [(Outcome::Ok, 1)]);
    assert_eq!(outcomes_of("pool: unspeakable"), [(Outcome::Error, 1), (Outcome::Panicked, 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panics_in_a_thousand_jobs_leave_the_pool_intact() {
    #[supervised(name = "pool: every fifth")]
    async fn job(n: u32) -> anyhow::Result<u32> {
        turn().await;
        assert!(n % 5 != 0, "every fifth fails");
        Ok(n)
    }
    let pool = Pool::new(16);
    for n in 0..1_000 {
        in_time(pool.spawn(move |token| job(token, n))).await.unwrap();
    }
    in_time(pool.drain(60 * SECOND)).await.unwrap();
    assert_eq!(outcomes_of("pool: every fifth"), [(Outcome::Ok, 800), (Outcome::Panicked, 200)]);
    let stats = stats_of("pool: every fifth");
    assert_eq!((stats.started, stats.running, stats.waiting), (1_000, 0, 0));
}

#[tokio::test]
async fn a_reserved_slot_starts_nothing_after_a_drain() {
    #[supervised(name = "pool: deaf", grace = "none", allow(unused_token))]
    async fn deaf(token: &CancellationToken) -> Result<(), TaskError> {
        _ = token;
        pending().await
    }
    #[supervised(name = "pool: after a drain")]
    async fn late(started: Arc<AtomicUsize>) -> Result<(), TaskError> {
        started.fetch_add(1, SeqCst);
        Ok(())
    }

    let started = Arc::new(AtomicUsize::new(0));
    for others in 0..2 {
        let pool = Pool::new(1 + others);
        for _ in 0..others {
            pool.spawn(deaf).await.unwrap();
        }
        turn().await;
        let slot = pool.reserve().await.unwrap();
        let unfinished = in_time(pool.drain(Duration::ZERO)).await.unwrap_err();
        assert_eq!((unfinished.tasks().len(), unfinished.reserved()), (others, 1));
        slot.spawn(|token| late(token, started.clone()));
        while !pool.is_empty() {
            turn().await;
        }
        let unfinished = in_time(pool.drain(Duration::ZERO)).await.unwrap_err();
        assert_eq!(unfinished.cut()[0].name, "pool: after a drain");
    }
    assert_eq!(started.load(SeqCst), 0);
}
