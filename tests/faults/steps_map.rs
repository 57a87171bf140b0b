//! Maps, at each of their steps.

use tokio_supervised::{CancellationToken, map, supervised};

use crate::{
    counters::{Counters, holding},
    load::{Failed, Load, Loads},
    steps::at_every_step,
};

fn loads_for(loads: &Loads) -> Vec<Load> {
    vec![
        loads.turns(2),
        loads.sleeps(1, 3),
        loads.turns(0),
        loads.turns(0),
        loads.turns(5),
        loads.sleeps(0, 1),
        loads.turns(1),
    ]
}

#[test]
fn a_map_with_the_limit_of_its_function() {
    #[supervised(name = "map: limited", limit = 2)]
    async fn limited(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters = Counters::of(&["map: limited"])
        .limited("map: limited", 2, |load| holding(limited(CancellationToken::new(), load)));
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let items = loads_for(&loads);
        Box::pin(async move {
            _ = map(&token, items, limited).await;
        })
    });
}

#[test]
fn a_map_with_more_runners_than_permits() {
    #[supervised(name = "map: crowded", limit = 1)]
    async fn crowded(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters = Counters::of(&["map: crowded"])
        .limited("map: crowded", 1, |load| holding(crowded(CancellationToken::new(), load)));
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let items = loads_for(&loads);
        Box::pin(async move {
            _ = map(&token, items, crowded).limit(3).await;
        })
    });
}

#[test]
fn a_map_that_fails() {
    #[supervised(name = "map: fails")]
    async fn fails(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters = Counters::of(&["map: fails"]);
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let mut items = loads_for(&loads);
        items.extend([loads.held(), loads.panics(3), loads.fails(1)]);
        items.extend(loads_for(&loads));
        Box::pin(async move {
            let failed = map(&token, items, fails).limit(3).await;
            failed.unwrap_err();
        })
    });
}

#[test]
fn a_settled_map_whose_closure_and_iterator_panic() {
    #[supervised(name = "map: settled", limit = 3)]
    async fn settles(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters = Counters::of(&["map: settled"])
        .limited("map: settled", 3, |load| holding(settles(CancellationToken::new(), load)));
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let mut items = loads_for(&loads);
        items.extend([loads.panics(1), loads.fails(2), loads.turns(1), loads.turns(1)]);
        let items = items.into_iter().enumerate().map(|(at, load)| {
            assert!(at < 10, "the iterator");
            (at, load)
        });
        Box::pin(async move {
            let settled = map(&token, items, |token, (at, load)| {
                assert!(at != 4, "the closure");
                settles(token, load)
            });
            let settled = settled.limit(2).settled().await;
            assert!(settled.len() == 11 || token.is_cancelled(), "{}", settled.len());
        })
    });
}
