//! Scopes in scopes, at each of their steps.

use std::time::Duration;

use tokio_supervised::{CancellationToken, Group, Pool, map, shield, supervised};

use crate::{
    counters::{Counters, holding},
    load::{Failed, Load, Loads},
    steps::at_every_step,
};

#[supervised(name = "nested: leaf", limit = 2, timeout = "20ms")]
async fn leaf(load: Load) -> Result<u32, Failed> {
    load.carry().await
}

#[supervised(name = "nested: in a section", grace = "2ms")]
async fn commit(token: &CancellationToken, load: Load) -> Result<u32, Failed> {
    shield(Duration::from_millis(5), |token| leaf(token, load.clone())).await?;
    token.cancelled().await;
    load.carry().await
}

#[supervised(
    name = "nested: restarts",
    restart = "on-failure",
    backoff = "1ms..2ms",
    max_restarts = "1/1h"
)]
async fn again(token: &CancellationToken, load: Load) -> Result<u32, Failed> {
    leaf(token, load).await
}

/// A group of restarting calls and of sections, which the first end stops.
#[supervised(name = "nested: group")]
async fn grouped(token: &CancellationToken, loads: Loads) -> Result<u32, Failed> {
    let group = Group::new(token).limit(2).until_first_exit();
    let (first, second) = (loads.turns(2), loads.panics(2));
    group.spawn(|token| commit(token, first)).await;
    group.spawn(|token| again(token, second)).await;
    let ended = group.join().await;
    ended.map(|values| values.len() as u32)
}

/// A map of groups, and a pool that outlives them.
#[supervised(name = "nested: map")]
async fn mapped(token: &CancellationToken, loads: Loads, pool: Pool) -> Result<u32, Failed> {
    let background = loads.sleeps(1, 2);
    _ = pool.spawn(|token| leaf(token, background)).await;
    let items = [loads.clone(), loads.clone(), loads];
    let ended = map(token, items, grouped).limit(2).settled().await;
    Ok(ended.len() as u32)
}

#[test]
fn a_pool_beside_a_map_of_groups_of_sections_and_restarts() {
    let names = &[
        "nested: leaf",
        "nested: in a section",
        "nested: restarts",
        "nested: group",
        "nested: map",
    ];
    let counters = Counters::of(names)
        .limited("nested: leaf", 2, |load| holding(leaf(CancellationToken::new(), load)));
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            let pool = Pool::new(1);
            _ = mapped(&token, loads, pool.clone()).await;
            _ = pool.drain(Duration::from_millis(8)).await;
        })
    });
}
