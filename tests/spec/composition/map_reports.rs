//! A map loses no failure and names what failed.

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use tokio_supervised::{CancellationToken, Outcome, TaskError, map, supervised, task};
use tracing::Level;

use testkit::{
    events::{Event, assert_ten_logged, listen},
    fixture::child_passes,
};

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("disk {0} is full")]
    Full(u32),
    #[error(transparent)]
    Task(#[from] TaskError),
}

/// Disk 1 fails at once, 2 when the token fires, 3 some time after that; 4 panics when the token fires.
#[supervised(grace = "60s")]
async fn store(token: &CancellationToken, disk: u32) -> Result<u32, Failure> {
    if disk == 1 {
        tokio::task::yield_now().await;
        return Err(Failure::Full(1));
    }
    token.cancelled().await;
    if disk == 3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(disk != 4, "disk 4 is broken");
    Err(Failure::Full(disk))
}

#[test]
fn failures_are_logged_unless_the_map_returns_them() {
    child_passes("composition::map_reports::fixture_failures");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
#[ignore = "fixture of another test"]
async fn fixture_failures() {
    let events = listen();
    let logged = || std::mem::take(&mut *events.lock().unwrap());
    let errors = |events: &[Event]| {
        let mut errors: Vec<_> =
            events.iter().map(|event| (event.level, event.field("error"))).collect();
        errors.sort_by(|a, b| a.1.cmp(&b.1));
        errors
    };
    let full = |disk: u32| (Level::WARN, format!("disk {disk} is full"));
    let token = CancellationToken::new();

    // The map returns the first failure.
    let error = map(&token, [1, 2, 3], store).limit(3).await.unwrap_err();
    assert!(matches!(error, Failure::Full(1)), "{error}");
    let events_of = logged();
    assert_eq!(errors(&events_of), [full(2), full(3)], "{events_of:#?}");
    assert!(events_of.iter().all(|event| event.field("task.name") == "store"));
    let message = events_of[0].field("message");
    assert!(
        message.contains("of a map created at tests/spec/composition/map_reports.rs:"),
        "{message}"
    );

    // The failures of a dropped map are not returned.
    {
        let mut all = pin!(map(&token, [1, 3], store).limit(2));
        std::future::poll_fn(|cx| {
            assert!(all.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(logged().is_empty());
    }
    let events_of = logged();
    assert_eq!(errors(&events_of), [full(1)], "{events_of:#?}");

    // A panic is logged when it is caught.
    map(&token, [1, 4], store).limit(2).await.unwrap_err();
    let levels: Vec<_> = logged().iter().map(|event| event.level).collect();
    assert_eq!(levels, [Level::ERROR]);

    // Each is a result.
    let fails = |token, disk| store(token, disk);
    let ends = map(&token, [1, 1], fails).settled().await;
    assert!(ends.iter().all(Result::is_err));
    let events_of = logged();
    assert!(events_of.is_empty(), "{events_of:#?}");

    // Of many in a second, ten per function are logged and the others are counted.
    #[supervised]
    async fn fails_often(token: &CancellationToken, disk: u32) -> Result<u32, Failure> {
        if disk == 1 {
            tokio::task::yield_now().await;
        } else {
            token.cancelled().await;
        }
        Err(Failure::Full(disk))
    }
    let disks = (0..31).map(|n| if n == 30 { 1 } else { 2 });
    map(&token, disks, fails_often).limit(31).await.unwrap_err();
    let count = assert_ten_logged(logged, 20);
    assert!(count.field("message").contains("`fails_often` of a map failed"));
}

#[tokio::test]
async fn an_unmade_item_is_named_after_its_function() {
    #[supervised(name = "the function")]
    async fn work(n: u32) -> Result<u32, TaskError> {
        Ok(n)
    }

    let token = CancellationToken::new();
    let panics = |bad: u32| {
        move |token, n: u32| {
            assert!(n != bad, "cannot prepare {bad}");
            work(token, n)
        }
    };
    // The name in the attribute is not known before the first run.
    for (bad, name) in [(0, "work"), (1, "the function")] {
        let error = map(&token, 0..3, panics(bad)).limit(1).await.unwrap_err();
        assert_eq!((error.task(), error.outcome()), (name, Outcome::Panicked));
        let items = (0..3).inspect(move |n| assert!(*n != bad, "item {bad} fails"));
        let error = map(&token, items, work).limit(1).await.unwrap_err();
        assert_eq!((error.task(), error.outcome()), (name, Outcome::Panicked));
    }

    let foreign =
        task!("named", |token, n: u32| -> Result<u32, TaskError> { work(token, n).await });
    let items = (0..3).inspect(|_| panic!("the item fails"));
    let error = map(&token, items, foreign).await.unwrap_err();
    assert!(error.task().contains("composition::map_reports::an_unmade_item"), "{error}");

    token.cancel();
    let error = map(&token, 0..3, work).await.unwrap_err();
    assert_eq!(error.task(), "work", "{error}");
}
