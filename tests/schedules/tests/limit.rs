//! The limit and the timeout of a function, without a scope.

use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::{sync::Arc, time::Duration};

use tokio::task::yield_now;
use tokio_supervised::{
    CancellationToken, Group, GroupHandle, Outcome, TaskError, set_limit, supervised,
};

use crate::{
    explore::{any, below},
    record::{Act, Clock, Failed, Seen, Since, act, every_permit_is_back, some_turns},
};

const ACTS: &[Act] = &[Act::ok(0), Act::ok(1), Act::ok(3), Act::error(1), Act::panic(1)];

#[supervised(name = "limit: run", limit = 2)]
async fn run(token: &CancellationToken, what: Act, seen: Arc<Seen>) -> Result<usize, Failed> {
    act(token, 0, what, seen).await
}

#[supervised(name = "limit: timed", limit = 1, timeout = "1s")]
async fn timed(token: &CancellationToken, what: Act, seen: Arc<Seen>) -> Result<usize, Failed> {
    act(token, 0, what, seen).await
}

in_many_orders! {
    async fn every_waiter_gets_a_permit_while_the_limit_changes() {
        let since = Since::now("limit: run");
        let seen = Arc::new(Seen::default());
        let token = CancellationToken::new();
        let runs: Vec<_> = (0..4)
            .map(|_| {
                let (token, what, seen) = (token.clone(), any(ACTS), seen.clone());
                tokio::spawn(async move { run(&token, what, seen).await.is_ok() })
            })
            .collect();
        let changes = tokio::spawn(async {
            for _ in 0..1 + below(3) {
                set_limit("limit: run", 1 + below(3)).unwrap();
                yield_now().await;
            }
        });
        // Some are dropped while they wait or run.
        some_turns().await;
        for run in &runs {
            if below(4) == 0 {
                run.abort();
            }
        }
        if below(4) == 0 {
            token.cancel();
        }
        for run in runs {
            _ = run.await;
        }
        changes.await.unwrap();
        seen.all_over();
        let done = since.all_ended();
        assert!(seen.peak() <= 3, "{} at once", seen.peak());
        assert!(done.started <= 4, "{done:?}");
        set_limit("limit: run", 2).unwrap();
        every_permit_is_back(2, |seen| run(CancellationToken::new(), Act::NEVER, seen)).await;
    }
}

in_many_orders! {
    async fn a_run_ends_once_when_its_token_and_its_timeout_meet() {
        let since = Since::now("limit: timed");
        let (seen, timed_out) = (Arc::new(Seen::default()), Arc::new(AtomicUsize::new(0)));
        let token = CancellationToken::new();
        let is_cancelled = below(2) == 0;
        let runs: Vec<_> = (0..3)
            .map(|_| {
                let what = any(&[Act::ok(2), Act::error(1), Act::ON_CANCEL, Act::NEVER]);
                let (token, seen, timed_out) = (token.clone(), seen.clone(), timed_out.clone());
                tokio::spawn(async move {
                    match timed(&token, what, seen).await {
                        Err(Failed::Task(TaskError::TimedOut(_))) => timed_out.fetch_add(1, SeqCst),
                        _ => 0,
                    };
                })
            })
            .collect();
        let clock = Clock::steps(Duration::from_millis(500));
        some_turns().await;
        if is_cancelled {
            token.cancel();
        }
        for run in runs {
            run.await.unwrap();
        }
        clock.stop().await;
        seen.all_over();
        let done = since.all_ended();
        assert_eq!(done.ended(Outcome::TimedOut), timed_out.load(SeqCst) as u64, "{done:?}");
        assert_eq!(done.started, 3);
        assert!(seen.peak() <= 1);
        every_permit_is_back(1, |seen| timed(CancellationToken::new(), Act::NEVER, seen)).await;
    }
}

#[supervised(name = "limit: hot", limit = 1)]
async fn hot(turns: usize, into: Option<GroupHandle<(), TaskError>>) -> Result<(), TaskError> {
    for turn in 0..turns {
        yield_now().await;
        if let Some(into) = &into {
            // It has the permit, and waits for a slot.
            _ = into.spawn(move |token| cold(token, turn)).await;
        }
    }
    Ok(())
}

#[supervised(name = "limit: cold")]
async fn cold(turns: usize) -> Result<(), TaskError> {
    for _ in 0..turns {
        yield_now().await;
    }
    Ok(())
}

in_many_orders! {
    async fn a_spawn_that_needs_slot_and_permit_is_overtaken_rarely() {
        let token = CancellationToken::new();
        let group: Group<(), TaskError> = Group::new(&token).limit(1);
        let clock = Clock::steps(Duration::from_millis(5));
        let (admitted, overtaken) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let others: Vec<_> = (0..4)
            .map(|other| {
                let (token, into, turns) = (token.clone(), group.handle(), 1 + below(3));
                let (admitted, overtaken) = (admitted.clone(), overtaken.clone());
                let feeds = below(4) == 0;
                tokio::spawn(async move {
                    while admitted.load(SeqCst) == 0 {
                        if other % 2 == 0 {
                            hot(&token, turns, feeds.then(|| into.clone())).await.unwrap();
                        } else {
                            into.spawn(move |token| cold(token, turns)).await.unwrap();
                        }
                        overtaken.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        some_turns().await;
        let before = overtaken.load(SeqCst);
        group.spawn(|token| hot(token, 1, None)).await;
        admitted.store(1, SeqCst);
        let times = overtaken.load(SeqCst) - before;
        for other in others {
            other.await.unwrap();
        }
        group.join().await.unwrap();
        clock.stop().await;
        assert!(times < 1_000, "overtaken {times} times");
        set_limit("limit: hot", 1).unwrap();
    }
}
