//! Pools, at each of their steps.

use std::time::Duration;

use futures::join;
use tokio_supervised::{CancellationToken, Pool, supervised};

use crate::{
    counters::{Counters, holding},
    load::{Failed, Load, turn},
    steps::at_every_step,
};

const SOON: Duration = Duration::from_millis(6);

/// Aborted tasks end by themselves.
async fn until_empty(pool: &Pool) {
    while !pool.is_empty() {
        turn().await;
    }
}

#[test]
fn a_drained_pool_whose_spawns_wait_for_slots_and_permits() {
    #[supervised(name = "pool: limited", limit = 2)]
    async fn limited(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters = Counters::of(&["pool: limited"])
        .limited("pool: limited", 2, |load| holding(limited(CancellationToken::new(), load)));
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            let pool = Pool::new(2);
            let spawned = async {
                for load in [loads.turns(3), loads.sleeps(1, 2), loads.panics(1), loads.fails(2)] {
                    if pool.spawn(|token| limited(token, load)).await.is_err() {
                        break;
                    }
                }
                _ = pool.try_spawn(|token| limited(token, loads.turns(1)));
            };
            tokio::select! {
                biased;
                () = token.cancelled() => {}
                () = spawned => {}
            }
            _ = pool.drain(SOON).await;
            until_empty(&pool).await;
        })
    });
}

#[test]
fn slots_that_are_reserved_used_and_released() {
    #[supervised(name = "pool: reserved", limit = 1)]
    async fn reserved(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters = Counters::of(&["pool: reserved"])
        .limited("pool: reserved", 1, |load| holding(reserved(CancellationToken::new(), load)));
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            let pool = Pool::new(2);
            let one = async {
                let slot = pool.reserve().await?;
                turn().await;
                slot.spawn(|token| reserved(token, loads.turns(3)));
                let released = pool.reserve().await?;
                turn().await;
                drop(released);
                Ok::<_, tokio_supervised::SpawnError>(())
            };
            let other = async {
                let (first, second) = (pool.reserve().await?, pool.reserve().await?);
                first.spawn(|token| reserved(token, loads.panics(1)));
                second.spawn(|token| reserved(token, loads.turns(2)));
                Ok::<_, tokio_supervised::SpawnError>(())
            };
            let closes = async {
                for _ in 0..14 {
                    turn().await;
                }
                pool.drain(SOON).await
            };
            tokio::select! {
                biased;
                () = token.cancelled() => {}
                _ = async { join!(one, other, closes) } => {}
            }
            _ = pool.drain(Duration::ZERO).await;
            let slot = pool.reserve().await;
            assert!(slot.is_err(), "it is closed");
            until_empty(&pool).await;
        })
    });
}

#[test]
fn a_drain_that_has_to_cancel_and_to_abort() {
    #[supervised(name = "pool: deaf", grace = "none", allow(unused_token))]
    async fn deaf(token: &CancellationToken, load: Load) -> Result<u32, Failed> {
        let _ = token;
        load.carry().await
    }
    #[supervised(name = "pool: stops")]
    async fn stops(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters = Counters::of(&["pool: deaf", "pool: stops"]);
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            let pool = Pool::new(4);
            for load in [loads.held(), loads.sleeps(1, 4)] {
                let also = load.clone();
                _ = pool.spawn(|token| deaf(token, load)).await;
                _ = pool.spawn(|token| stops(token, also)).await;
            }
            let grace = if token.is_cancelled() { Duration::ZERO } else { SOON };
            let (first, second) = join!(pool.drain(grace), pool.drain(SOON / 2));
            assert!(first.is_err() && second.is_err(), "two tasks do not stop");
            until_empty(&pool).await;
        })
    });
}

#[test]
fn a_pool_whose_last_handle_is_dropped() {
    #[supervised(name = "pool: dropped", limit = 2)]
    async fn left(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters = Counters::of(&["pool: dropped"])
        .limited("pool: dropped", 2, |load| holding(left(CancellationToken::new(), load)));
    let loads = counters.loads();
    at_every_step(counters, move |_| {
        let loads = loads.clone();
        Box::pin(async move {
            let pool = Pool::new(3);
            let slot = pool.reserve().await.unwrap();
            for load in [loads.turns(5), loads.held()] {
                _ = pool.spawn(|token| left(token, load)).await;
            }
            for _ in 0..4 {
                turn().await;
            }
            drop(pool);
            turn().await;
            slot.spawn(|token| left(token, loads.turns(3)));
        })
    });
}
