//! What cannot be meant panics with a sentence that says so.

use std::{
    future::{Future, pending},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use tokio_supervised::{CancellationToken, Group, Pool, TaskError, map, shield, supervised};

use crate::support::{in_time, poll_once};

#[supervised(name = "misuse: call")]
async fn call() -> Result<(), TaskError> {
    Ok(())
}

#[supervised(name = "misuse: restarts", restart = "on-failure")]
async fn restarts() -> Result<(), TaskError> {
    Ok(())
}

#[supervised(name = "misuse: item")]
async fn item(_item: u32) -> Result<u32, TaskError> {
    pending().await
}

/// What a panic of the code says.
fn said_by<R>(code: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(code)).map(drop).expect_err("it panics");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().expect("a panic with a text")).to_owned(),
    }
}

/// What one more poll says, after the end.
async fn said_after_the_end<F: Future>(future: F) -> String {
    let mut future = Box::pin(future);
    in_time(&mut future).await;
    said_by(|| poll_once(&mut future))
}

#[tokio::test]
async fn a_future_that_has_ended_says_so_when_it_is_polled_again() {
    let (token, pool) = (CancellationToken::new(), Pool::new(1));
    let group = Group::new(&token);
    let call_again = "a supervised future was polled after completion";
    assert_eq!(said_after_the_end(call(&token)).await, call_again);
    assert_eq!(said_after_the_end(call(&token).err_into::<TaskError>()).await, call_again);
    assert_eq!(said_after_the_end(restarts(&token)).await, call_again);
    let spawn_again = "a spawn was polled after completion";
    assert_eq!(said_after_the_end(group.spawn(call)).await, spawn_again);
    assert_eq!(said_after_the_end(pool.spawn(call)).await, spawn_again);
    group.join().await.unwrap();
    let map_again = "a map was polled after completion";
    let none = || map(&token, 0..0, item);
    assert_eq!(said_after_the_end(none()).await, map_again);
    assert_eq!(said_after_the_end(none().settled()).await, map_again);
    let section = shield(Duration::from_secs(1), |_| async {});
    assert_eq!(said_after_the_end(section).await, "a shield was polled after completion");
}

#[tokio::test]
async fn a_map_that_runs_cannot_be_settled_any_more() {
    let mut mapped = Box::pin(map(&CancellationToken::new(), 0..2, item));
    assert!(poll_once(&mut mapped).is_pending());
    let mapped = *std::pin::Pin::into_inner(mapped);
    assert_eq!(said_by(|| mapped.settled()), "`settled` called on a map that was already polled");
}

#[test]
fn a_limit_of_nothing_is_refused() {
    let token = CancellationToken::new();
    for said in [
        said_by(|| Group::<(), TaskError>::new(&token).limit(0)),
        said_by(|| map(&token, 0..1, item).limit(0)),
        said_by(|| Pool::new(0)),
    ] {
        assert!(said.ends_with("must not be 0: no task could run"), "{said}");
    }
}
