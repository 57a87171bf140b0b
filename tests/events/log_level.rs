//! `log`: the level of a failure that no one awaits.

use std::{future::pending, time::Duration};

use tokio_supervised::{CancellationToken, Pool, TaskError, supervised, task};
use tracing::Level;

use crate::{COUNTS, listen};
use testkit::{events::Event, in_time, turn};

async fn drain(pool: &Pool) {
    in_time(pool.drain(Duration::from_secs(10))).await.unwrap();
}

fn failure() -> anyhow::Error {
    anyhow::anyhow!("as it was asked to")
}

fn levels(events: &[Event]) -> Vec<(Level, &str)> {
    events.iter().map(|event| (event.level, event.name())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pool_logs_a_failure_at_the_level_of_its_function() {
    #[supervised(name = "log: warn", log = "warn")]
    async fn warns() -> anyhow::Result<()> {
        Err(failure())
    }
    #[supervised(name = "log: info", log = "info", timeout = "1s")]
    async fn informs() -> anyhow::Result<()> {
        pending().await
    }
    #[supervised(name = "log: error", log = "error")]
    async fn fails() -> anyhow::Result<()> {
        Err(failure())
    }
    #[supervised(name = "log: debug", log = "debug")]
    async fn debugs() -> anyhow::Result<()> {
        Err(failure())
    }
    #[supervised(name = "log: off", log = "off")]
    async fn silent() -> anyhow::Result<()> {
        Err(failure())
    }

    let events = listen();
    let pool = Pool::new(1);
    pool.spawn(warns).await.unwrap();
    pool.spawn(informs).await.unwrap();
    pool.spawn(fails).await.unwrap();
    pool.spawn(debugs).await.unwrap();
    pool.spawn(silent).await.unwrap();
    pool.spawn(task!("log: task", log = "warn", |_| -> anyhow::Result<()> { Err(failure()) }))
        .await
        .unwrap();
    drain(&pool).await;
    let events = events.lock().unwrap();
    let expected = [
        (Level::WARN, "log: warn"),
        (Level::INFO, "log: info"),
        (Level::ERROR, "log: error"),
        (Level::WARN, "log: task"),
    ];
    assert_eq!(levels(&events), expected);
    assert_eq!(events[1].fields["outcome"], "timed_out");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_error_and_a_cancellation_is_none_at_any_level() {
    #[supervised(name = "log: panics", log = "off")]
    async fn panics() -> anyhow::Result<()> {
        panic!("boom")
    }
    #[supervised(name = "log: stops", log = "error")]
    async fn stops() -> anyhow::Result<()> {
        pending().await
    }

    let events = listen();
    let pool = Pool::new(2);
    pool.spawn(panics).await.unwrap();
    let stop = CancellationToken::new();
    let own = stop.clone();
    pool.spawn(move |_| stops(own)).await.unwrap();
    turn().await;
    stop.cancel();
    drain(&pool).await;
    let events = events.lock().unwrap();
    let errors: Vec<_> =
        levels(&events).into_iter().filter(|(level, _)| *level == Level::ERROR).collect();
    assert_eq!(errors, [(Level::ERROR, "log: panics")]);
    assert!(!levels(&events).iter().any(|(_, name)| *name == "log: stops"));
}

#[tokio::test(start_paused = true)]
async fn many_failures_are_one_line_at_their_level() {
    #[supervised(name = "log: many", log = "info")]
    async fn fails() -> Result<(), TaskError> {
        let token = CancellationToken::new();
        token.cancel();
        #[supervised]
        async fn cancelled() -> Result<(), TaskError> {
            Ok(())
        }
        cancelled(&token).await
    }

    let events = listen();
    let pool = Pool::new(1);
    for _ in 0..25 {
        pool.spawn(fails).await.unwrap();
    }
    drain(&pool).await;
    assert_eq!(levels(&events.lock().unwrap()), [(Level::INFO, "log: many"); 10]);
    // Each drain of another test may have taken a part of the count, and may still log it.
    let counted = || {
        let counts = COUNTS.lock().unwrap();
        let of_many = counts.iter().filter(|event| event.name() == "log: many");
        let count = |event: &Event| {
            assert_eq!(event.level, Level::INFO);
            event.fields["failures"].parse::<u32>().unwrap()
        };
        of_many.map(count).sum::<u32>()
    };
    let all_are_counted = async {
        while counted() < 15 {
            turn().await;
        }
    };
    in_time(all_are_counted).await;
    assert_eq!(counted(), 15);
}
