//! A pool that a token stops, against spawns and a drain.

use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::{sync::Arc, time::Duration};

use tokio::schedule::all_ended;
use tokio_supervised::{CancellationToken, Outcome, Pool, SpawnError, TrySpawnError, supervised};

use crate::{
    explore::{any, below},
    record::{Act, Failed, Seen, Since, act, some_turns},
};

/// Longer than any schedule lasts.
const LONG: Duration = Duration::from_secs(1_000_000);

/// Most end only if the token fires.
const ACTS: &[Act] = &[Act::ok(1), Act::error(1), Act::ON_CANCEL, Act::ON_CANCEL, Act::ON_CANCEL];

/// Counts the accepted tasks that have not ended. A run that is refused drops it before the spawn returns.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, SeqCst);
        Self(alive.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[supervised(name = "stop: task")]
async fn task(
    token: &CancellationToken,
    what: Act,
    seen: Arc<Seen>,
    _alive: Alive,
) -> Result<usize, Failed> {
    act(token, 0, what, seen).await
}

/// Spawns with every method. Once the token is known to have fired, nothing is accepted.
async fn feed(
    pool: Pool,
    token: CancellationToken,
    seen: Arc<Seen>,
    alive: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
) {
    for _ in 0..1 + below(3) {
        let (what, seen, alive) = (any(ACTS), seen.clone(), Alive::new(&alive));
        let has_fired = token.is_cancelled();
        let taken = match below(3) {
            0 => match pool.spawn(|token| task(token, what, seen, alive)).await {
                Ok(_) => true,
                Err(SpawnError::Closed(_)) => false,
                Err(error) => panic!("{error}"),
            },
            1 => match pool.try_spawn(|token| task(token, what, seen, alive)) {
                Ok(_) => true,
                Err(TrySpawnError::Full) => {
                    assert!(!has_fired, "a stopped pool is closed");
                    false
                }
                Err(_) => false,
            },
            _ => match pool.reserve().await {
                Ok(slot) => {
                    assert!(!has_fired, "a stopped pool reserves nothing");
                    some_turns().await;
                    slot.spawn(|token| task(token, what, seen, alive));
                    accepted.fetch_add(1, SeqCst);
                    continue;
                }
                Err(_) => false,
            },
        };
        assert!(!(has_fired && taken), "a stopped pool accepts nothing");
        accepted.fetch_add(usize::from(taken), SeqCst);
    }
}

in_many_orders! {
    async fn a_stopped_pool_accepts_and_loses_nothing() {
        let since = Since::now("stop: task");
        let seen = Arc::new(Seen::default());
        let (alive, accepted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let token = CancellationToken::new();
        let pool = Pool::new(1 + below(3)).stop_with(&token);
        let feeders: Vec<_> = (0..2)
            .map(|_| {
                let (pool, token, seen) = (pool.clone(), token.clone(), seen.clone());
                tokio::spawn(feed(pool, token, seen, alive.clone(), accepted.clone()))
            })
            .collect();
        let fires = token.clone();
        let stops = tokio::spawn(async move {
            some_turns().await;
            fires.cancel();
        });
        some_turns().await;
        // Sometimes before the token fires, and sometimes beside another drain.
        let other = pool.clone();
        let other =
            (below(4) == 0).then(|| tokio::spawn(async move { other.drain(LONG).await.unwrap() }));
        let drained = pool.drain(LONG).await.unwrap();
        seen.all_over();
        stops.await.unwrap();
        for feeder in feeders {
            feeder.await.unwrap();
        }
        assert!(pool.is_empty());
        if let Some(other) = other {
            assert_eq!(other.await.unwrap(), drained);
        }
        all_ended().await;
        assert_eq!(alive.load(SeqCst), 0, "a task is lost");
        let done = since.all_ended();
        let ran = [Outcome::Ok, Outcome::Error].map(|end| done.ended(end));
        assert!(seen.started() <= accepted.load(SeqCst), "started, but not accepted");
        assert_eq!(ran.iter().sum::<u64>(), seen.started() as u64, "{done:?}");
    }
}

in_many_orders! {
    async fn a_stop_ends_the_tasks_of_a_pool_without_a_drain() {
        let since = Since::now("stop: task");
        let seen = Arc::new(Seen::default());
        let (alive, accepted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let token = CancellationToken::new();
        let pool = Pool::new(2).stop_with(&token);
        let feeder = {
            let (pool, token, seen) = (pool.clone(), token.clone(), seen.clone());
            tokio::spawn(feed(pool, token, seen, alive.clone(), accepted.clone()))
        };
        // A closure may fire the pool's own token meanwhile: the pool replaces that, and still stops.
        let (fires, of_task) = (Alive::new(&alive), seen.clone());
        let spawned = pool.try_spawn(|pools| {
            if below(2) == 0 {
                pools.cancel();
            }
            task(pools, any(ACTS), of_task, fires)
        });
        accepted.fetch_add(usize::from(spawned.is_ok()), SeqCst);
        some_turns().await;
        token.cancel();
        feeder.await.unwrap();
        all_ended().await;
        seen.all_over();
        assert!(pool.is_empty());
        assert_eq!(alive.load(SeqCst), 0, "a task is lost");
        since.all_ended();
        assert!(pool.reserve().await.is_err());
    }
}
