//! Calls that are awaited inline, at each of their steps.

use std::time::Duration;

use futures::join;
use tokio_supervised::{CancellationToken, shield, supervised};

use crate::{
    counters::{Counters, holding},
    load::{Failed, Load, turn},
    steps::at_every_step,
};

#[test]
fn runs_that_wait_for_each_others_permits() {
    #[supervised(name = "inline: limited", limit = 2)]
    async fn limited(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters = Counters::of(&["inline: limited"])
        .limited("inline: limited", 2, |load| holding(limited(CancellationToken::new(), load)));
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            _ = join!(
                limited(&token, loads.turns(4)),
                limited(&token, loads.sleeps(1, 2)),
                limited(&token, loads.panics(3)),
                limited(&token, loads.fails(2)),
                limited(&token, loads.turns(0)),
            );
        })
    });
}

#[test]
fn a_full_function_that_rejects() {
    #[supervised(name = "inline: rejects", limit = 1, on_full = "reject")]
    async fn rejects(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    // Nothing waits for a permit here: once all are taken, the next call is rejected.
    let counters = Counters::of(&["inline: rejects"]);
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            _ = join!(rejects(&token, loads.turns(4)), rejects(&token, loads.turns(1)), async {
                turn().await;
                rejects(&token, loads.turns(1)).await
            },);
            let after = rejects(&token, loads.turns(1)).await;
            assert!(after.is_ok() || token.is_cancelled(), "the permit is free again");
        })
    });
}

#[test]
fn runs_that_time_out_in_their_bodies() {
    #[supervised(name = "inline: timeout", limit = 1, timeout = "4ms")]
    async fn hurried(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters = Counters::of(&["inline: timeout"])
        .limited("inline: timeout", 1, |load| holding(hurried(CancellationToken::new(), load)));
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            _ = join!(
                hurried(&token, loads.sleeps(1, 9)),
                hurried(&token, loads.turns(5)),
                hurried(&token, loads.held()),
            );
        })
    });
}

#[test]
fn bodies_that_exceed_their_grace() {
    #[supervised(name = "inline: grace", limit = 1, grace = "3ms")]
    async fn graceful(token: &CancellationToken, load: Load) -> Result<u32, Failed> {
        token.cancelled().await;
        load.carry().await
    }

    let counters = Counters::of(&["inline: grace"]).limited("inline: grace", 1, |load| {
        Box::pin(async {
            _ = graceful(CancellationToken::new(), load).await;
        })
    });
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            let within = token.child_token();
            _ = join!(
                graceful(&within, loads.turns(2)),
                graceful(&within, loads.sleeps(2, 9)),
                graceful(&token, loads.held()),
                async {
                    for _ in 0..12 {
                        turn().await;
                    }
                    within.cancel();
                    for _ in 0..12 {
                        turn().await;
                    }
                    token.cancel();
                },
            );
        })
    });
}

#[test]
fn calls_between_and_within_their_restarts() {
    #[supervised(
        name = "inline: restarts",
        limit = 1,
        timeout = "5ms",
        restart = "on-failure",
        backoff = "1ms..2ms",
        max_restarts = "2/1h"
    )]
    async fn restarts(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    let counters = Counters::of(&["inline: restarts"])
        .limited("inline: restarts", 1, |load| holding(restarts(CancellationToken::new(), load)));
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            _ = join!(
                restarts(&token, loads.fails(2)),
                restarts(&token, loads.panics(1)),
                restarts(&token, loads.turns(3)),
            );
        })
    });
}

#[test]
fn sections_that_end_in_time_and_too_late() {
    #[supervised(name = "inline: in a section")]
    async fn inside(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }
    #[supervised(name = "inline: around a section", limit = 1, timeout = "30ms")]
    async fn around(before: Load, within: Load, after: Load) -> Result<u32, Failed> {
        before.carry().await?;
        let limit = Duration::from_millis(6);
        _ = shield(limit, |token| inside(token, within)).await;
        after.carry().await
    }

    let counters = Counters::of(&["inline: in a section", "inline: around a section"]).limited(
        "inline: around a section",
        1,
        |load| holding(around(CancellationToken::new(), load.clone(), load.clone(), load)),
    );
    let loads = counters.loads();
    at_every_step(counters, move |token| {
        let loads = loads.clone();
        Box::pin(async move {
            _ = join!(
                around(&token, loads.turns(2), loads.sleeps(1, 2), loads.turns(2)),
                around(&token, loads.turns(1), loads.held(), loads.turns(2)),
                around(&token, loads.turns(1), loads.panics(3), loads.turns(2)),
            );
        })
    });
}
