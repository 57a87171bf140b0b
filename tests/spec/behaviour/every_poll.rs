//! Runs that are cancelled, dropped or timed out before each of their polls.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    task::Poll,
};

use tokio_supervised::{CancellationToken, Group, Outcome, TaskError, map, supervised};

use testkit::{Alive, in_time, outcomes_of, poll_once, stats_of, turn};

/// Ready at poll `TURNS + 1`.
const TURNS: u32 = 5;

#[supervised(limit = 1, name = "every poll: inline")]
async fn inline(alive: Alive) -> Result<u32, TaskError> {
    let _alive = alive;
    for _ in 0..TURNS {
        turn().await;
    }
    Ok(TURNS)
}

#[test]
fn an_unpolled_run_that_is_cancelled_or_dropped_leaks_nothing() {
    let alive = Arc::new(AtomicUsize::new(0));
    for fired in [true, false] {
        for before in 0..=TURNS + 1 {
            let token = CancellationToken::new();
            let mut run = Box::pin(inline(&token, Alive::new(&alive)));
            let mut polled = Poll::Pending;
            for _ in 0..before {
                polled = poll_once(run.as_mut());
            }
            match polled {
                Poll::Ready(value) => assert_eq!((before, value.unwrap()), (TURNS + 1, TURNS)),
                Poll::Pending if fired => {
                    token.cancel();
                    if before == 0 {
                        assert!(poll_once(run.as_mut()).is_pending());
                    }
                    let Poll::Ready(Err(TaskError::Cancelled(_))) = poll_once(run.as_mut()) else {
                        panic!("not cancelled at poll {before}");
                    };
                }
                Poll::Pending => {}
            }
            drop(run);
            let stats = stats_of_if_run("every poll: inline");
            assert_eq!(stats, (0, 0));
            assert_eq!(alive.load(std::sync::atomic::Ordering::SeqCst), 0);
        }
    }
    assert_eq!(
        outcomes_of("every poll: inline"),
        [
            (Outcome::Ok, 2),
            (Outcome::Cancelled, u64::from(TURNS) + 1),
            (Outcome::Dropped, u64::from(TURNS)),
        ]
    );
}

fn stats_of_if_run(name: &str) -> (u64, u64) {
    let stats = stats_of(name);
    (stats.running, stats.waiting)
}

#[supervised(limit = 2, name = "every poll: spawned")]
async fn spawned(n: u32) -> Result<u32, TaskError> {
    for _ in 0..n % 3 {
        turn().await;
    }
    Ok(n)
}

async fn both(token: CancellationToken) -> Result<(), TaskError> {
    let group = Group::new(&token).limit(2);
    for n in 0..4 {
        group.spawn(move |token| spawned(token, n)).await;
    }
    assert_eq!(map(&token, 0..6, spawned).await?, [0, 1, 2, 3, 4, 5]);
    assert_eq!(group.join().await?, [0, 1, 2, 3]);
    Ok(())
}

#[tokio::test]
async fn groups_and_maps_stopped_at_any_turn_leak_nothing() {
    let mut finished = 0;
    for fired in [true, false] {
        for after in 0..40 {
            let token = CancellationToken::new();
            let work = tokio::spawn(both(token.clone()));
            for _ in 0..after {
                turn().await;
            }
            if fired {
                token.cancel();
            } else {
                work.abort();
            }
            match in_time(work).await {
                Ok(Ok(())) => finished += 1,
                Ok(Err(error)) => assert!(matches!(error, TaskError::Cancelled(_)), "{error}"),
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            }
            // An abort takes effect at the next poll of the task.
            for _ in 0..3 {
                turn().await;
            }
            if after > 0 {
                assert_eq!(stats_of_if_run("every poll: spawned"), (0, 0), "turn {after}");
            }
        }
    }
    assert!(finished > 0, "40 turns are enough to finish");
    assert_eq!(in_time(map(&CancellationToken::new(), 0..2, spawned)).await.unwrap(), [0, 1]);
}
