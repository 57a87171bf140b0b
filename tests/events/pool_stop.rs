//! What a pool that is stopped with a token logs.

use std::{future::pending, time::Duration};

use tokio_supervised::{CancellationToken, Pool, TaskError, supervised};
use tracing::Level;

use crate::listen;
use testkit::{in_time, turn};

#[supervised(name = "pool stop: never")]
async fn never() -> Result<(), TaskError> {
    pending().await
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_was_asked_for_is_no_warning() {
    let events = listen();
    let token = CancellationToken::new();
    let pool = Pool::new(4).stop_with(&token);
    let slot = pool.reserve().await.unwrap();
    pool.spawn(never).await.unwrap();
    turn().await;
    token.cancel();
    slot.spawn(never);
    pool.spawn(never).await.unwrap_err();
    in_time(pool.drain(Duration::from_secs(10))).await.unwrap();
    drop(pool);
    let events = events.lock().unwrap();
    assert!(events.is_empty(), "{events:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_fires_the_pools_token_is_still_a_warning() {
    let events = listen();
    let token = CancellationToken::new();
    let pool = Pool::new(4).stop_with(&token);
    pool.spawn(|pools| {
        pools.cancel();
        never(pools)
    })
    .await
    .unwrap();
    token.cancel();
    in_time(pool.drain(Duration::from_secs(10))).await.unwrap();
    let events = events.lock().unwrap();
    let [event] = &events[..] else { panic!("one event: {events:#?}") };
    assert_eq!(event.level, Level::WARN);
    assert!(event.fields["message"].contains("was cancelled by something other than the pool"));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_stop_is_named_by_the_drain() {
    #[supervised(name = "pool stop: deaf", grace = "none")]
    async fn deaf(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let events = listen();
    let token = CancellationToken::new();
    let pool = Pool::new(4).stop_with(&token);
    pool.spawn(deaf).await.unwrap();
    pool.spawn(never).await.unwrap();
    turn().await;
    token.cancel();
    in_time(pool.drain(Duration::from_secs(10))).await.unwrap_err();
    let events = events.lock().unwrap();
    let [event] = &events[..] else { panic!("one event: {events:#?}") };
    assert_eq!((event.level, &*event.fields["tasks"]), (Level::WARN, "1"));
    assert!(event.fields["unfinished"].starts_with("pool stop: deaf (task "), "{event:?}");
    assert!(!event.fields.contains_key("cut"), "{event:?}");
}
