//! Misuse panics with a message that explains it.

use std::{
    future::{Future, pending},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use tokio_supervised::{CancellationToken, Group, Pool, TaskError, map, shield, supervised};

use testkit::{in_time, poll_once};

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

/// The message of a panic in `code`.
fn panic_message<R>(code: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(code)).map(drop).expect_err("it panics");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().expect("the payload is a text")).to_owned(),
    }
}

/// The panic message of one more poll after completion.
async fn message_after_the_end<F: Future>(future: F) -> String {
    let mut future = Box::pin(future);
    in_time(&mut future).await;
    panic_message(|| poll_once(&mut future))
}

#[tokio::test]
async fn polling_a_finished_future_panics_and_says_so() {
    let (token, pool) = (CancellationToken::new(), Pool::new(1));
    let group = Group::new(&token);
    let call_again = "a supervised future was polled after completion";
    assert_eq!(message_after_the_end(call(&token)).await, call_again);
    assert_eq!(message_after_the_end(call(&token).err_into::<TaskError>()).await, call_again);
    assert_eq!(message_after_the_end(restarts(&token)).await, call_again);
    let spawn_again = "a spawn was polled after completion";
    assert_eq!(message_after_the_end(group.spawn(call)).await, spawn_again);
    assert_eq!(message_after_the_end(pool.spawn(call)).await, spawn_again);
    group.join().await.unwrap();
    let map_again = "a map was polled after completion";
    let none = || map(&token, 0..0, item);
    assert_eq!(message_after_the_end(none()).await, map_again);
    assert_eq!(message_after_the_end(none().settled()).await, map_again);
    let section = shield(Duration::from_secs(1), |_| async {});
    assert_eq!(message_after_the_end(section).await, "a shield was polled after completion");
}

#[tokio::test]
async fn a_map_that_runs_can_no_longer_be_settled() {
    let mut mapped = Box::pin(map(&CancellationToken::new(), 0..2, item));
    assert!(poll_once(&mut mapped).is_pending());
    let mapped = *std::pin::Pin::into_inner(mapped);
    assert_eq!(
        panic_message(|| mapped.settled()),
        "`settled` called on a map that was already polled"
    );
}

#[test]
fn a_limit_of_zero_is_refused() {
    let token = CancellationToken::new();
    for message in [
        panic_message(|| Group::<(), TaskError>::new(&token).limit(0)),
        panic_message(|| map(&token, 0..1, item).limit(0)),
        panic_message(|| Pool::new(0)),
    ] {
        assert!(message.ends_with("must not be 0: no task could run"), "{message}");
    }
}
