//! The events of services: starts and stops, and each failure that no one receives.

use std::{future::pending, time::Duration};

use tokio::time::sleep;
use tokio_supervised::{CancellationToken, Services, TaskError, supervised};
use tracing::Level;

use testkit::{events::Events, in_time, poll_once, turn};

use crate::listen;

const SECOND: Duration = Duration::from_secs(1);

#[supervised(name = "events: service")]
async fn wait() -> Result<(), TaskError> {
    pending().await
}

#[supervised(name = "events: failing service")]
async fn fail() -> anyhow::Result<()> {
    sleep(SECOND).await;
    anyhow::bail!("the first")
}

#[supervised(name = "events: service that fails to stop")]
async fn fail_to_stop(token: &CancellationToken) -> anyhow::Result<()> {
    token.cancelled().await;
    anyhow::bail!("cannot flush")
}

fn messages(events: &Events, level: Level) -> Vec<String> {
    let events = events.lock().unwrap();
    let events = events.iter().filter(|event| event.level == level);
    events.map(|event| event.fields["message"].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn starts_and_stops_are_events_and_so_is_each_later_failure() {
    let events = listen();
    let token = CancellationToken::new();
    let services = Services::new(&token).service("a", fail_to_stop).service("b", fail);
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(error.service(), "b");
    assert_eq!(
        messages(&events, Level::INFO),
        [
            "service `a` has started",
            "service `b` has started",
            "service `b` has stopped",
            "service `a` has stopped",
        ]
    );
    assert_eq!(
        messages(&events, Level::WARN),
        ["service `a` ended as error: cannot flush; `run` returns an earlier failure"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_warns_unless_its_token_had_fired() {
    let events = listen();
    let token = CancellationToken::new();
    for fired in [false, true] {
        let mut running = Box::pin(Services::new(&token).service("a", wait).run());
        assert!(poll_once(running.as_mut()).is_pending());
        turn().await;
        if fired {
            token.cancel();
        }
        drop(running);
    }
    in_time(turn()).await;
    let warnings = messages(&events, Level::WARN);
    let [warning] = &warnings[..] else { panic!("one warning: {warnings:#?}") };
    assert!(warning.contains("events/services.rs") && warning.contains("with 1 of them running"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_a_dropped_run_is_a_warning() {
    let events = listen();
    let token = CancellationToken::new();
    let mut running = Box::pin(Services::new(&token).service("a", fail).service("b", wait).run());
    assert!(poll_once(running.as_mut()).is_pending());
    // It is not polled again, and does not learn of the failure.
    sleep(2 * SECOND).await;
    drop(running);
    let warnings = messages(&events, Level::WARN);
    let failure = "service `a` ended as error: the first; their `run` was dropped";
    assert!(warnings.iter().any(|warning| warning == failure), "{warnings:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_aborts_what_a_shield_holds() {
    #[supervised(name = "events: shielded service")]
    async fn shielded() -> anyhow::Result<()> {
        tokio_supervised::shield(5 * SECOND, |_| sleep(SECOND)).await;
        anyhow::bail!("too late")
    }

    let events = listen();
    let token = CancellationToken::new();
    let mut running = Box::pin(Services::new(&token).service("a", shielded).run());
    assert!(poll_once(running.as_mut()).is_pending());
    turn().await;
    drop(running);
    in_time(sleep(3 * SECOND)).await;
    // An abort drops it at its `.await`: a shield does not outlive its task.
    assert_eq!(messages(&events, Level::WARN).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_failure_of_a_stop_that_was_dropped_is_a_warning() {
    let events = listen();
    let token = CancellationToken::new();
    let services = Services::new(&token).service("a", fail_to_stop);
    let handle = services.handle();
    let operate = async {
        turn().await;
        let mut stop = Box::pin(handle.stop("a"));
        assert!(poll_once(stop.as_mut()).is_pending());
        drop(stop);
        sleep(SECOND).await;
        token.cancel();
    };
    let (ran, ()) = in_time(async { tokio::join!(services.run(), operate) }).await;
    ran.unwrap();
    assert_eq!(
        messages(&events, Level::WARN),
        ["service `a` ended as error: cannot flush; the call of `stop` was dropped"]
    );
}
