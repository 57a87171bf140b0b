//! A runtime of several threads that is shut down while its tasks run, at arbitrary moments.
//!
//! `steps.rs` does the same at each step of one thread.

use std::{pin::pin, time::Duration};

use tokio::runtime::{Builder, Runtime};
use tokio_supervised::{CancellationToken, Group, Pool, map, supervised};

use crate::{
    counters::{Counters, holding},
    load::{Failed, Load, turn},
};
use testkit::watched;

#[supervised(name = "shut down: work", limit = 3)]
async fn work(load: Load) -> Result<u32, Failed> {
    load.carry().await
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

const ROUNDS: u32 = 150;

#[test]
fn groups_pools_and_maps_end_with_the_runtime_of_their_tasks() {
    watched(|| {
        let counters = Counters::of(&["shut down: work"])
            .limited("shut down: work", 3, |load| holding(work(CancellationToken::new(), load)));
        for round in 0..ROUNDS {
            let (loads, token) = (counters.loads(), CancellationToken::new());
            let (first, second) = (runtime(), runtime());
            let (group, pool) = (Group::new(&token), Pool::new(2));
            let loads_of_the_map = loads.clone();
            let items = (0..100_000).map(move |n| loads_of_the_map.turns(n % 3));
            let mut mapped = pin!(map(&token, items, work));
            first.block_on(async {
                for turns in 0..round % 4 {
                    let (load, other) = (loads.turns(turns), loads.held());
                    group.spawn(|token| work(token, load)).await;
                    _ = pool.try_spawn(|token| work(token, other));
                }
                tokio::select! {
                    biased;
                    _ = mapped.as_mut() => unreachable!("the map has many items left"),
                    () = async { for _ in 0..round { turn().await } } => {}
                }
            });
            if round % 2 == 0 {
                drop(first)
            } else {
                first.shutdown_background()
            }
            second.block_on(async {
                let patience = Duration::from_secs(60);
                let ended = tokio::time::timeout(patience, mapped).await;
                // A thread that is still in a poll lets it continue in the other runtime until it ends.
                if let Ok(results) = ended.expect("the map ends in time") {
                    assert_eq!(results.len(), 100_000, "a cancelled item is an error");
                }
                let joined = tokio::time::timeout(patience, group.join()).await;
                _ = joined.expect("the join ends in time");
                let drained = tokio::time::timeout(patience, pool.drain(Duration::ZERO)).await;
                _ = drained.expect("the drain ends in time");
                // A background thread may still be in a poll.
                while counters.complaint().is_some() {
                    tokio::task::yield_now().await;
                }
            });
            drop(second);
            counters.must_balance(&format!("round {round}"));
        }
    });
}
