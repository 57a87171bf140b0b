//! The end of a pool whose tasks do not stop by themselves, while time passes.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::schedule::all_ended;
use tokio_supervised::{CancellationToken, LiveTask, Outcome, Pool, supervised};

use crate::{
    explore::{any, below},
    record::{Act, Clock, Failed, Seen, Since, act, some_turns},
};

const GRACE: Duration = Duration::from_secs(2);

/// Bodies that end by themselves, that stop when cancelled, and that must be aborted.
const ACTS: &[Act] = &[Act::ok(1), Act::ok(3), Act::error(2), Act::ON_CANCEL, Act::NEVER];

#[supervised(name = "drain: cooperating")]
async fn cooperating(
    token: &CancellationToken,
    what: Act,
    seen: Arc<Seen>,
) -> Result<usize, Failed> {
    act(token, 0, what, seen).await
}

#[supervised(name = "drain: dropped")]
async fn dropped(seen: Arc<Seen>) -> Result<usize, Failed> {
    let _running = seen.enter();
    pending().await
}

in_many_orders! {
    async fn a_drain_ends_with_its_grace_and_leaks_nothing() {
        let (since, since_dropped) =
            (Since::now("drain: cooperating"), Since::now("drain: dropped"));
        let seen = Arc::new(Seen::default());
        let pool = Pool::new(3);
        let mut hangs = false;
        for _ in 0..1 + below(2) {
            let (what, seen) = (any(ACTS), seen.clone());
            hangs |= what == Act::NEVER;
            pool.spawn(|token| cooperating(token, what, seen)).await.unwrap();
        }
        let of_dropped = seen.clone();
        pool.spawn(|token| dropped(token, of_dropped)).await.unwrap();
        // A spawn that may wait for a slot, and is refused when the pool closes.
        let (waiting, of_waiting) = (pool.clone(), seen.clone());
        let waiting = tokio::spawn(async move {
            waiting.spawn(|token| dropped(token, of_waiting)).await.is_ok()
        });
        let clock = Clock::steps(GRACE / 20);
        let drained = pool.drain(GRACE).await;
        let unfinished = drained.expect_err("unfinished tasks were cancelled");
        let is_dropped = |task: &&LiveTask| task.name == "drain: dropped";
        let dropped = unfinished.cut().iter().chain(unfinished.tasks()).filter(is_dropped);
        assert!(dropped.count() > 0, "{unfinished}");
        assert!(!hangs || !unfinished.tasks().is_empty(), "the body did not stop: {unfinished}");
        let accepted = waiting.await.unwrap();
        clock.stop().await;
        all_ended().await;
        assert!(pool.is_empty());
        seen.all_over();
        since.all_ended();
        let done = since_dropped.all_ended();
        let ended = done.ended(Outcome::Cancelled) + done.ended(Outcome::Dropped);
        assert_eq!(ended, done.started, "{done:?}");
        assert!(done.started > u64::from(accepted), "{done:?}");
    }
}

in_many_orders! {
    async fn a_drain_without_a_grace_ends_at_once() {
        let since = Since::now("drain: cooperating");
        let seen = Arc::new(Seen::default());
        let pool = Pool::new(3);
        for _ in 0..1 + below(3) {
            let (what, seen) = (any(ACTS), seen.clone());
            pool.spawn(|token| cooperating(token, what, seen)).await.unwrap();
        }
        some_turns().await;
        let drained = pool.drain(Duration::ZERO).await;
        if drained.is_ok() {
            seen.all_over();
        }
        all_ended().await;
        assert!(pool.is_empty());
        seen.all_over();
        since.all_ended();
    }
}
