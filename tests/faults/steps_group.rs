//! Groups, at each of their steps.

use futures::join;
use tokio_supervised::{CancellationToken, Group, GroupHandle, supervised};

use crate::{
    counters::{Counters, holding},
    load::{Failed, Load, Loads, turn},
    steps::at_every_step,
};

#[test]
fn a_group_whose_spawns_wait_for_slots_and_permits() {
    #[supervised(name = "group: limited", limit = 2)]
    async fn limited(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters = Counters::of(&["group: limited"])
        .limited("group: limited", 2, |load| holding(limited(CancellationToken::new(), load)));
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            let (group, other) = (Group::new(&token).limit(2), Group::new(&token).limit(1));
            for turns in [3, 1, 4] {
                let load = loads.turns(turns);
                let in_the_other = loads.sleeps(turns, 1);
                join!(
                    group.spawn(|token| limited(token, load)),
                    other.spawn(|token| limited(token, in_the_other)),
                );
            }
            _ = join!(group.join(), other.join());
        })
    });
}

#[test]
fn a_group_whose_tasks_spawn_siblings() {
    #[supervised(name = "group: parent")]
    async fn parent(siblings: GroupHandle<u32, Failed>, load: Load) -> Result<u32, Failed> {
        let sibling = load.clone();
        _ = siblings.spawn(|token| child(token, sibling)).await;
        load.carry().await
    }
    #[supervised(name = "group: child", limit = 1)]
    async fn child(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters =
        Counters::of(&["group: parent", "group: child"])
            .limited("group: child", 1, |load| holding(child(CancellationToken::new(), load)));
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            let group = Group::new(&token).limit(4);
            for turns in [2, 3] {
                let (handle, load) = (group.handle(), loads.turns(turns));
                group.spawn(|token| parent(token, handle, load)).await;
            }
            _ = group.join().await;
        })
    });
}

#[supervised(name = "group: fails")]
async fn fails(load: Load) -> Result<u32, Failed> {
    load.carry().await
}

/// Spawns tasks that end in these ways, and joins them.
async fn ends(group: Group<u32, Failed>, loads: Vec<Load>) {
    for load in loads {
        group.spawn(|token| fails(token, load)).await;
    }
    _ = group.join().await;
}

fn in_all_ways(loads: &Loads) -> Vec<Load> {
    vec![loads.turns(1), loads.sleeps(2, 50), loads.held(), loads.fails(4), loads.panics(5)]
}

#[test]
fn a_group_that_fails() {
    let counters = Counters::of(&["group: fails"]);
    let loads = counters.loads();
    at_every_step(counters, move |token| Box::pin(ends(Group::new(&token), in_all_ways(&loads))));
}

#[test]
fn a_group_of_services() {
    #[supervised(name = "group: services", grace = "2ms")]
    async fn serves(token: &CancellationToken, load: Load) -> Result<u32, Failed> {
        tokio::select! {
            ended = load.clone().carry() => ended,
            () = token.cancelled() => load.carry().await,
        }
    }

    let counters = Counters::of(&["group: services"]);
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            let group = Group::new(&token).until_first_exit();
            for load in [loads.sleeps(1, 40), loads.turns(6), loads.held()] {
                group.spawn(|token| serves(token, load)).await;
            }
            _ = group.join().await;
        })
    });
}

#[test]
fn a_group_that_is_dropped_unjoined() {
    #[supervised(name = "group: unjoined", limit = 2)]
    async fn left(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters = Counters::of(&["group: unjoined"])
        .limited("group: unjoined", 2, |load| holding(left(CancellationToken::new(), load)));
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            let group = Group::new(&token).limit(3);
            for load in [loads.turns(3), loads.sleeps(1, 3), loads.held(), loads.turns(1)] {
                tokio::select! {
                    biased;
                    _ = group.spawn(|token| left(token, load)) => {}
                    () = turns(9) => {}
                }
            }
            turns(4).await;
            drop(group);
        })
    });
}

async fn turns(count: u32) {
    for _ in 0..count {
        turn().await;
    }
}
