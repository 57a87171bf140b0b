//! Clocks that jump. `steps.rs` jumps before each step of code that waits for a clock.

use std::time::Duration;

use tokio::{runtime::Builder, time::Instant};
use tokio_supervised::{CancellationToken, Group, Outcome, TaskError, stats, supervised, tasks};

use crate::{
    counters::{Counters, holding},
    load::{Failed, Load, turn},
};
use testkit::watched;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn in_paused_time(test: impl Future<Output = ()>) {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(test);
}

#[test]
fn ages_and_durations_ignore_paused_time() {
    #[supervised(name = "clock: old")]
    async fn old(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    watched(|| {
        let counters = Counters::of(&["clock: old"]);
        let loads = counters.loads();
        let started = std::time::Instant::now();
        in_paused_time(async {
            let token = CancellationToken::new();
            let group = Group::new(&token);
            group.spawn(|token| old(token, loads.held())).await;
            turn().await;
            tokio::time::advance(300 * YEAR).await;
            let age = tasks().iter().find(|task| task.name == "clock: old").unwrap().age;
            assert!(age <= started.elapsed(), "{age:?}");
            token.cancel();
            group.join().await.unwrap_err();
        });
        let stats = stats().into_iter().find(|task| task.name == "clock: old").unwrap();
        assert!(stats.durations.sum() <= started.elapsed(), "{:?}", stats.durations.sum());
        counters.must_balance("an old task");
    });
}

#[test]
fn a_timeout_of_years_ends_after_those_years() {
    #[supervised(name = "clock: years", timeout = "87600h")]
    async fn patient(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    watched(|| {
        let counters = Counters::of(&["clock: years"]);
        let loads = counters.loads();
        in_paused_time(async {
            let started = Instant::now();
            let ended = patient(&CancellationToken::new(), loads.held()).await.unwrap_err();
            assert!(matches!(ended, Failed::Task(TaskError::TimedOut(_))), "{ended}");
            assert_eq!(started.elapsed().as_secs() / YEAR.as_secs(), 10);
        });
        counters.must_balance("years");
    });
}

#[test]
fn a_timeout_beyond_the_clock_never_ends() {
    #[supervised(name = "clock: for ever", timeout = Duration::MAX, grace = Duration::MAX)]
    async fn endless(token: &CancellationToken, load: Load) -> Result<u32, Failed> {
        token.cancelled().await;
        load.carry().await
    }

    watched(|| {
        let counters = Counters::of(&["clock: for ever"]);
        let loads = counters.loads();
        in_paused_time(async {
            let token = CancellationToken::new();
            let mut run = Box::pin(endless(&token, loads.sleeps(0, 1)));
            for _ in 0..3 {
                tokio::select! {
                    biased;
                    ended = run.as_mut() => panic!("{ended:?}"),
                    () = turn() => {}
                }
                tokio::time::advance(5 * YEAR).await;
            }
            token.cancel();
            run.await.unwrap();
        });
        counters.must_balance("for ever");
    });
}

#[test]
fn timers_due_after_a_long_sleep_fire_once_and_together() {
    #[supervised(name = "clock: due", limit = 2, timeout = "1s")]
    async fn due(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    watched(|| {
        let counters = Counters::of(&["clock: due"])
            .limited("clock: due", 2, |load| holding(due(CancellationToken::new(), load)));
        let loads = counters.loads();
        in_paused_time(async {
            let token = CancellationToken::new();
            let (mut one, mut other) =
                (Box::pin(due(&token, loads.held())), Box::pin(due(&token, loads.held())));
            let mut waits = Box::pin(due(&token, loads.turns(1)));
            tokio::select! {
                biased;
                _ = one.as_mut() => unreachable!(),
                _ = other.as_mut() => unreachable!(),
                _ = waits.as_mut() => unreachable!("it has no permit"),
                () = turn() => {}
            }
            tokio::time::advance(20 * YEAR).await;
            let (one, other, waits) = tokio::join!(one, other, waits);
            assert!(one.is_err() && other.is_err());
            assert_eq!(waits.unwrap(), 1, "its timeout starts with its permit");
        });
        let stats = stats().into_iter().find(|task| task.name == "clock: due").unwrap();
        assert_eq!((stats.ended(Outcome::TimedOut), stats.ended(Outcome::Ok)), (2, 1));
        counters.must_balance("all at once");
    });
}
