//! Pools.

use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::{sync::Arc, time::Duration};

use tokio::{schedule::all_ended, task::yield_now};
use tokio_supervised::{CancellationToken, Outcome, Pool, TrySpawnError, supervised};

use crate::{
    explore::{any, below},
    record::{Act, Failed, Seen, Since, act, every_permit_is_back, every_slot_is_back, some_turns},
};

/// Longer than any schedule lasts.
const LONG: Duration = Duration::from_secs(1_000_000);

/// Bodies that end by themselves.
const ACTS: &[Act] = &[Act::ok(0), Act::ok(1), Act::ok(2), Act::error(1), Act::panic(1)];

#[supervised(name = "pool: task", limit = 2)]
async fn task(
    token: &CancellationToken,
    number: usize,
    what: Act,
    seen: Arc<Seen>,
) -> Result<usize, Failed> {
    act(token, number, what, seen).await
}

/// Spawns with every method, and counts the accepted tasks.
async fn feed(pool: Pool, seen: Arc<Seen>, accepted: Arc<AtomicUsize>) {
    for number in 0..1 + below(3) {
        let (what, seen) = (any(ACTS), seen.clone());
        let taken = match below(4) {
            0 => pool.spawn(|token| task(token, number, what, seen)).await.is_ok(),
            1 => match pool.try_spawn(|token| task(token, number, what, seen)) {
                Ok(_) => true,
                Err(TrySpawnError::Full | TrySpawnError::Closed) => false,
                Err(error) => panic!("{error}"),
            },
            way => match pool.reserve().await {
                Ok(slot) if way == 2 => {
                    some_turns().await;
                    slot.spawn(|token| task(token, number, what, seen));
                    true
                }
                Ok(slot) => {
                    drop(slot);
                    false
                }
                Err(_) => false,
            },
        };
        accepted.fetch_add(usize::from(taken), SeqCst);
    }
}

/// Changes the limit a few times, up to 3.
async fn change_limit(pool: Pool) {
    for _ in 0..below(4) {
        pool.set_limit(1 + below(3)).unwrap();
        yield_now().await;
    }
}

in_many_orders! {
    async fn accepted_tasks_have_ended_when_the_drain_returns() {
        let since = Since::now("pool: task");
        let (seen, accepted) = (Arc::new(Seen::default()), Arc::new(AtomicUsize::new(0)));
        let pool = Pool::new(1 + below(3));
        let feeders: Vec<_> = (0..2)
            .map(|_| tokio::spawn(feed(pool.clone(), seen.clone(), accepted.clone())))
            .chain([tokio::spawn(change_limit(pool.clone()))])
            .collect();
        some_turns().await;
        // Sometimes two at once.
        let other = pool.clone();
        let other =
            (below(4) == 0).then(|| tokio::spawn(async move { other.drain(LONG).await.is_ok() }));
        pool.drain(LONG).await.unwrap();
        seen.all_over();
        assert!(pool.is_empty());
        if let Some(other) = other {
            assert!(other.await.unwrap());
        }
        for feeder in feeders {
            feeder.await.unwrap();
        }
        let done = since.all_ended();
        assert_eq!(seen.started(), accepted.load(SeqCst), "started and accepted");
        let ran = [Outcome::Ok, Outcome::Error, Outcome::Panicked].map(|end| done.ended(end));
        assert_eq!(ran.iter().sum::<u64>(), seen.started() as u64, "{done:?}");
        assert!(seen.peak() <= 2, "{} at once", seen.peak());
        every_permit_is_back(2, |seen| task(CancellationToken::new(), 0, Act::NEVER, seen)).await;
    }
}

in_many_orders! {
    async fn an_idle_pool_has_all_its_slots() {
        let since = Since::now("pool: task");
        let (seen, accepted) = (Arc::new(Seen::default()), Arc::new(AtomicUsize::new(0)));
        let pool = Pool::new(1 + below(3));
        let feeders: Vec<_> = (0..2)
            .map(|_| tokio::spawn(feed(pool.clone(), seen.clone(), accepted.clone())))
            .chain([tokio::spawn(change_limit(pool.clone()))])
            .collect();
        for feeder in feeders {
            feeder.await.unwrap();
        }
        all_ended().await;
        assert!(pool.is_empty());
        assert_eq!(seen.started(), accepted.load(SeqCst));
        since.all_ended();
        every_slot_is_back(&pool).await;
        pool.drain(LONG).await.unwrap();
    }
}

in_many_orders! {
    async fn a_pool_whose_last_handle_is_dropped_leaks_nothing() {
        let since = Since::now("pool: task");
        let (seen, accepted) = (Arc::new(Seen::default()), Arc::new(AtomicUsize::new(0)));
        let pool = Pool::new(2);
        let feeder = tokio::spawn(feed(pool.clone(), seen.clone(), accepted));
        for number in 0..2 {
            let seen = seen.clone();
            _ = pool.try_spawn(|token| task(token, number, Act::NEVER, seen));
        }
        some_turns().await;
        if below(2) == 0 {
            feeder.abort();
        }
        drop(pool);
        // With both slots taken for ever, the feeder holds a handle: only the abort ends its wait.
        feeder.abort();
        _ = feeder.await;
        all_ended().await;
        seen.all_over();
        since.all_ended();
        every_permit_is_back(2, |seen| task(CancellationToken::new(), 0, Act::NEVER, seen)).await;
    }
}
