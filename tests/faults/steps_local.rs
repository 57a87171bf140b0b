//! Futures that are not `Send`, and tasks without a supervised function, at each of their steps.

use std::{rc::Rc, time::Duration};

use futures::join;
use tokio_supervised::{CancellationToken, Group, Pool, supervised, task};

use crate::{
    counters::{Counters, holding},
    load::{Failed, Load, Loads},
    steps::at_every_step,
};

/// Holds a value that is not `Send` across each of its steps.
async fn carry_here(load: Rc<Load>) -> Result<u32, Failed> {
    (*load).clone().carry().await
}

#[test]
fn a_group_and_a_pool_of_futures_that_stay_on_their_thread() {
    #[supervised(name = "local: here", timeout = "20ms")]
    async fn here(load: Rc<Load>) -> Result<u32, Failed> {
        carry_here(load).await
    }

    let counters = Counters::of(&["local: here"]);
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            let (group, pool) = (Group::new(&token).limit(2), Pool::new(1));
            for load in [loads.turns(2), loads.sleeps(1, 2), loads.panics(1)] {
                let (load, background) = (Rc::new(load), Rc::new(loads.turns(1)));
                let (_, spawned) = join!(
                    group.spawn_local(|token| here(token, load)),
                    pool.spawn_local(|token| here(token, background)),
                );
                spawned.expect("the gate or pool is open");
            }
            _ = group.join().await;
            _ = pool.drain(Duration::from_millis(5)).await;
        })
    });
}

#[test]
fn a_group_of_tasks_that_are_no_functions() {
    #[supervised(name = "local: in a task", limit = 1)]
    async fn inner(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    async fn several(token: CancellationToken, loads: Loads) {
        let group = Group::new(&token).limit(2);
        for turns in [1, 3, 2] {
            let (load, sleeps) = (loads.turns(turns), loads.sleeps(1, 2));
            group
                .spawn(task!("local: a task", on_cancel = "cooperate", |token| async move {
                    inner(&token, load).await?;
                    sleeps.carry().await
                }))
                .await;
        }
        _ = group.join().await;
    }

    let counters = Counters::of(&["local: a task", "local: in a task"]).limited(
        "local: in a task",
        1,
        |load| holding(inner(CancellationToken::new(), load)),
    );
    let loads = counters.loads();
    at_every_step(counters, move |token| Box::pin(several(token, loads.clone())));
}
