//! The failure of a pool's task: returned to who awaits it, or logged once.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio_supervised::{CancellationToken, Group, Pool, TaskError, supervised};
use tracing::Level;

use testkit::{events::Events, in_time, turn};

use crate::listen;

const SECOND: Duration = Duration::from_secs(1);

#[supervised(name = "events: pool task")]
async fn fail(end: oneshot::Receiver<()>) -> anyhow::Result<()> {
    _ = end.await;
    anyhow::bail!("disk full")
}

#[supervised(name = "events: polite pool task")]
async fn polite(token: CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    std::future::pending().await
}

/// The levels of the events that name an outcome.
fn failures(events: &Events) -> Vec<Level> {
    let events = events.lock().unwrap();
    let failed = events.iter().filter(|event| event.fields.contains_key("outcome"));
    failed.map(|event| event.level).collect()
}

#[tokio::test(start_paused = true)]
async fn an_awaited_failure_is_not_logged() {
    let events = listen();
    let (end, ended) = oneshot::channel();
    let pool = Pool::new(1);
    let task = pool.spawn(|token| fail(token, ended)).await.unwrap();
    end.send(()).unwrap();
    assert_eq!(in_time(task).await.unwrap_err().to_string(), "disk full");
    in_time(pool.drain(SECOND)).await.unwrap();
    assert!(failures(&events).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pool_task_dropped_before_the_end_logs_the_failure_once() {
    let events = listen();
    let (end, ended) = oneshot::channel();
    let pool = Pool::new(1);
    let task = pool.spawn(|token| fail(token, ended)).await.unwrap();
    turn().await;
    drop(task);
    assert!(failures(&events).is_empty());
    end.send(()).unwrap();
    in_time(pool.drain(SECOND)).await.unwrap();
    assert_eq!(failures(&events), [Level::ERROR]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_task_dropped_after_the_end_logs_the_failure_once() {
    let events = listen();
    let (end, ended) = oneshot::channel();
    let pool = Pool::new(1);
    let task = pool.spawn(|token| fail(token, ended).label("7")).await.unwrap();
    end.send(()).unwrap();
    in_time(task.handle().ended()).await;
    in_time(pool.drain(SECOND)).await.unwrap();
    drop(pool);
    assert!(failures(&events).is_empty());
    drop(task);
    assert_eq!(failures(&events), [Level::ERROR]);
    let events = events.lock().unwrap();
    let event = events.iter().find(|event| event.level == Level::ERROR).unwrap();
    assert_eq!(event.field("task.name"), "events: pool task");
    assert!(event.fields["message"].contains("[7]"), "{:?}", event.fields);
    assert!(event.fields.values().any(|value| value.contains("disk full")), "{:?}", event.fields);
}

#[tokio::test(start_paused = true)]
async fn a_pool_task_polled_and_dropped_logs_the_failure_once() {
    let events = listen();
    let (end, ended) = oneshot::channel();
    let pool = Pool::new(1);
    let mut task = pool.spawn(|token| fail(token, ended)).await.unwrap();
    assert!(tokio::time::timeout(SECOND, &mut task).await.is_err());
    end.send(()).unwrap();
    in_time(pool.drain(SECOND)).await.unwrap();
    drop(task);
    assert_eq!(failures(&events), [Level::ERROR]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_task_stopped_by_its_handle_is_no_failure() {
    let events = listen();
    let pool = Pool::new(1);
    let handle = pool.spawn(|token| polite(token).grace(SECOND)).await.unwrap().handle();
    turn().await;
    handle.cancel();
    in_time(handle.ended()).await;
    in_time(pool.drain(SECOND)).await.unwrap();
    // The event of the grace is not one of the pool.
    assert!(failures(&events).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_group_logs_nothing_of_a_task_stopped_by_its_handle() {
    #[supervised(name = "events: stopped in a group")]
    async fn wait() -> Result<(), TaskError> {
        std::future::pending().await
    }

    let events = listen();
    let group = Group::new(&CancellationToken::new());
    let first = group.spawn(wait).await;
    let second = group.spawn(wait).await;
    turn().await;
    first.cancel();
    second.abort();
    in_time(group.join()).await.unwrap();
    let events = events.lock().unwrap();
    assert!(events.iter().all(|event| event.level > Level::WARN), "{events:#?}");
}
