//! Pools under concurrent closes, drops, resizes, drains and spawns.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    sync::{Barrier, oneshot},
    time::Instant,
};
use tokio_supervised::{
    CancellationToken, Group, Outcome, Pool, SpawnError, TaskError, TrySpawnError, set_limit,
    stats, supervised,
};

use crate::behaviour::gate::{Gate, gate};
use testkit::{in_time, outcomes_of, poll_once, runtime, stats_of, turn};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_accepted_during_the_close_end_before_the_drain() {
    #[supervised(name = "races: accepted")]
    async fn counts(ended: Arc<AtomicUsize>) -> Result<(), TaskError> {
        turn().await;
        ended.fetch_add(1, SeqCst);
        Ok(())
    }

    for _ in 0..200 {
        let pool = Pool::new(3);
        let (accepted, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let barrier = Arc::new(Barrier::new(4));
        let mut spawners = tokio::task::JoinSet::new();
        for way in 0..3 {
            let (pool, accepted, ended, barrier) =
                (pool.clone(), accepted.clone(), ended.clone(), barrier.clone());
            spawners.spawn(async move {
                barrier.wait().await;
                for _ in 0..8 {
                    let taken = match way {
                        0 => pool.spawn(|token| counts(token, ended.clone())).await.is_ok(),
                        1 => pool.try_spawn(|token| counts(token, ended.clone())).is_ok(),
                        _ => match pool.reserve().await {
                            Ok(slot) => {
                                turn().await;
                                slot.spawn(|token| counts(token, ended.clone()));
                                true
                            }
                            Err(_) => false,
                        },
                    };
                    accepted.fetch_add(usize::from(taken), SeqCst);
                }
            });
        }
        barrier.wait().await;
        in_time(pool.drain(60 * SECOND)).await.unwrap();
        let at_the_end = ended.load(SeqCst);
        in_time(spawners.join_all()).await;
        assert_eq!((accepted.load(SeqCst), ended.load(SeqCst)), (at_the_end, at_the_end));
        assert!(pool.is_empty());
    }
    let stats = stats_of("races: accepted");
    assert_eq!((stats.running, stats.waiting), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn resizing_under_load_loses_no_slot_and_no_permit() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    #[supervised(name = "races: limits", limit = 4)]
    async fn counted() -> Result<(), TaskError> {
        MOST.fetch_max(NOW.fetch_add(1, SeqCst) + 1, SeqCst);
        turn().await;
        NOW.fetch_sub(1, SeqCst);
        Ok(())
    }

    let pool = Pool::new(3);
    let mut spawners = tokio::task::JoinSet::new();
    for way in 0..4 {
        let pool = pool.clone();
        spawners.spawn(async move {
            for n in 0..1_000 {
                match way {
                    0 => _ = pool.try_spawn(counted),
                    // Dropped while it is queued.
                    1 if n % 3 == 0 => {
                        tokio::select! {
                            biased;
                            _ = pool.spawn(counted) => {}
                            () = turn() => {}
                        }
                    }
                    2 if n % 3 == 0 => drop(pool.reserve().await.unwrap()),
                    2 => drop(pool.reserve().await.unwrap().spawn(counted)),
                    _ => drop(pool.spawn(counted).await.unwrap()),
                }
            }
        });
    }
    let resizer = tokio::spawn({
        let pool = pool.clone();
        async move {
            for n in 0..2_000 {
                pool.set_limit(n % 5 + 1).unwrap();
                _ = set_limit("races: limits", n % 3 + 1);
                turn().await;
            }
            pool.set_limit(3).unwrap();
            set_limit("races: limits", 2).unwrap();
        }
    });
    in_time(spawners.join_all()).await;
    in_time(resizer).await.unwrap();
    while !pool.is_empty() {
        turn().await;
    }
    assert!(MOST.load(SeqCst) <= 4, "{}", MOST.load(SeqCst));
    let slots: Vec<_> = (0..3).map(|_| poll_once(pool.reserve())).collect();
    assert!(slots.iter().all(std::task::Poll::is_ready), "each slot is free");
    assert!(poll_once(pool.reserve()).is_pending(), "no slot is duplicated");
    drop(slots);
    let token = CancellationToken::new();
    let (mut first, mut second) = (Box::pin(counted(&token)), Box::pin(counted(&token)));
    assert!(poll_once(first.as_mut()).is_pending() && poll_once(second.as_mut()).is_pending());
    assert_eq!(stats_of("races: limits").running, 2, "each permit is free");
    drop((first, second));
    let stats = stats_of("races: limits");
    let ended: u64 = Outcome::ALL.iter().map(|outcome| stats.ended(*outcome)).sum();
    assert_eq!((stats.running, stats.waiting, stats.started), (0, 0, ended));
    in_time(pool.drain(SECOND)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_spawn_dropped_at_any_poll_leaves_slot_and_permit_free() {
    #[supervised(name = "races: any poll", limit = 1)]
    async fn gated(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }

    for polls in 0..4 {
        let (pool, (gate, mut keeper)) = (Pool::new(1), gate());
        pool.spawn(|token| gated(token, gate.clone())).await.unwrap();
        keeper.started(1).await;
        let mut waits = Box::pin(pool.spawn(|token| gated(token, gate.clone())));
        for poll in 0..polls {
            assert!(poll_once(waits.as_mut()).is_pending());
            if poll == 1 {
                // Permit and slot are granted to a spawn that is dropped before its next poll.
                keeper.open(1);
                while !pool.is_empty() {
                    turn().await;
                }
                break;
            }
        }
        drop(waits);
        keeper.open(2);
        in_time(pool.spawn(|token| gated(token, gate))).await.unwrap();
        in_time(pool.drain(10 * SECOND)).await.unwrap();
        assert_eq!(
            (stats_of("races: any poll").running, stats_of("races: any poll").waiting),
            (0, 0)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_in_its_backoff_has_finished_when_a_drain_cancels_it() {
    #[supervised(
        name = "races: restarts",
        restart = "always",
        backoff = "1h..1h",
        max_restarts = "1000/1m"
    )]
    async fn fails() -> Result<(), TaskError> {
        panic!("each time")
    }

    let pool = Pool::new(1);
    pool.spawn(fails).await.unwrap();
    turn().await;
    let started = Instant::now();
    let drained = in_time(pool.drain(10 * SECOND)).await.unwrap();
    assert_eq!((started.elapsed(), drained.tasks), (5 * SECOND, 1));
    assert_eq!(outcomes_of("races: restarts"), [(Outcome::Panicked, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_drains_its_own_pool_is_cancelled() {
    #[supervised(name = "races: drains itself")]
    async fn drains(pool: Pool) -> Result<(), TaskError> {
        pool.drain(10 * SECOND).await.unwrap();
        Ok(())
    }

    let pool = Pool::new(1);
    let (again, started) = (pool.clone(), Instant::now());
    pool.spawn(|token| drains(token, again)).await.unwrap();
    while !pool.is_empty() {
        tokio::time::sleep(SECOND / 10).await;
    }
    assert_eq!(started.elapsed().as_secs(), 5);
    let unfinished = in_time(pool.drain(SECOND)).await.unwrap_err();
    assert_eq!(unfinished.cut()[0].name, "races: drains itself");
    assert_eq!(outcomes_of("races: drains itself"), [(Outcome::Cancelled, 1)]);
}

#[test]
fn two_runtimes_share_a_pool_and_its_limit() {
    #[supervised(name = "races: shared")]
    async fn never() -> Result<(), TaskError> {
        pending().await
    }

    let (first, second) = (runtime(), runtime());
    let pool = Pool::new(2);
    first.block_on(pool.spawn(never)).unwrap();
    second.block_on(pool.spawn(never)).unwrap();
    assert_eq!(
        second.block_on(async { pool.try_spawn(never) }).map(drop),
        Err(TrySpawnError::Full)
    );
    drop(first);
    assert_eq!(pool.len(), 1);
    second.block_on(async {
        pool.try_spawn(never).unwrap();
        let unfinished = in_time(pool.drain(Duration::from_secs(1))).await.unwrap_err();
        assert_eq!(unfinished.cut().len(), 3, "one by the end of its runtime: {unfinished}");
    });
    assert!(pool.is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_tasks_that_do_not_stop_are_listed_within_the_grace() {
    #[supervised(name = "races: many", grace = "none")]
    async fn deaf(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    const TASKS: usize = 50_000;
    let pool = Pool::new(TASKS);
    for _ in 0..TASKS {
        pool.spawn(deaf).await.unwrap();
    }
    let started = std::time::Instant::now();
    let unfinished = pool.drain(Duration::ZERO).await.unwrap_err();
    assert_eq!(unfinished.tasks().len(), TASKS);
    // Comparing all pairs would take much longer than one pass over them.
    assert!(started.elapsed() < 5 * SECOND, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_group_that_outlives_its_maker_may_wait_for_the_makers_pool() {
    #[supervised(name = "races: maker")]
    async fn maker(
        token: &CancellationToken,
        give: oneshot::Sender<Group<(), TaskError>>,
    ) -> Result<(), TaskError> {
        assert!(give.send(Group::new(&token.clone())).is_ok());
        Ok(())
    }
    #[supervised(name = "races: holder")]
    async fn holder(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }
    #[supervised(name = "races: visitor")]
    async fn visitor(pool: Pool, gate: Gate) -> Result<(), TaskError> {
        let spawned = pool.spawn(|token| holder(token, gate)).await;
        spawned.map(drop).map_err(|error| match error {
            SpawnError::Rejected(rejected) => TaskError::Rejected(rejected),
            error => panic!("{error}"),
        })
    }

    let (pool, (gate, mut keeper)) = (Pool::new(1), gate());
    let (give, given) = oneshot::channel();
    pool.spawn(|token| maker(token, give)).await.unwrap();
    let group = in_time(given).await.unwrap();
    while !pool.is_empty() {
        turn().await;
    }
    pool.spawn(|token| holder(token, gate.clone())).await.unwrap();
    keeper.started(1).await;
    let again = pool.clone();
    group.spawn(|token| visitor(token, again, gate)).await;
    while stats().iter().all(|task| task.name != "races: holder" || task.waiting == 0) {
        assert_eq!(outcome_of("races: visitor"), None, "no self-deadlock");
        turn().await;
    }
    keeper.open(2);
    in_time(group.join()).await.unwrap();
    in_time(pool.drain(SECOND)).await.unwrap();
}

fn outcome_of(name: &str) -> Option<Outcome> {
    let stats = stats().into_iter().find(|task| task.name == name)?;
    Outcome::ALL.iter().copied().find(|outcome| stats.ended(*outcome) > 0)
}

#[tokio::test(start_paused = true)]
async fn the_last_task_of_a_pool_may_be_its_last_handle() {
    #[supervised(name = "pool races: last handle")]
    async fn holds(pool: Pool, ends: oneshot::Sender<()>) -> Result<(), TaskError> {
        turn().await;
        drop(pool);
        ends.send(()).unwrap();
        Ok(())
    }

    let pool = Pool::new(1);
    let slot = pool.reserve().await.unwrap();
    let (ends, has_ended) = oneshot::channel();
    slot.spawn(|token| holds(token, pool, ends));
    in_time(has_ended).await.unwrap();
    assert_eq!(outcomes_of("pool races: last handle"), [(Outcome::Ok, 1)]);
}
