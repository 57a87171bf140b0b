//! Errors whose `From<TaskError>` panics: on what it did not expect, or always.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio_supervised::{CancellationToken, Group, TaskError, map, supervised};

use crate::support::{in_time, turn};

/// Knows panics, and did not expect anything else.
#[derive(Debug, PartialEq)]
struct Picky(String);

impl From<TaskError> for Picky {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Panicked(panic) => Self(panic.message().into()),
            _ => panic!("unexpected"),
        }
    }
}

/// Expects nothing at all.
#[derive(Debug)]
struct Never;

impl From<TaskError> for Never {
    fn from(_: TaskError) -> Self {
        panic!("never")
    }
}

#[supervised(name = "error panics: picky")]
async fn picky(_n: u32) -> Result<u32, Picky> {
    std::future::pending().await
}

#[supervised(name = "error panics: never")]
async fn never(n: u32) -> Result<u32, Never> {
    turn().await;
    if n == 1 {
        panic!("the body");
    }
    Ok(n)
}

fn fired() -> CancellationToken {
    let token = CancellationToken::new();
    token.cancel();
    token
}

#[tokio::test]
async fn a_conversion_that_panics_becomes_the_error_of_the_call() {
    assert_eq!(picky(fired(), 1).await, Err(Picky("unexpected".into())));
}

#[tokio::test]
async fn a_conversion_that_panics_becomes_the_failure_of_a_group() {
    let token = CancellationToken::new();
    let group = Group::new(&token);
    group.spawn(|token| picky(token, 1)).await;
    turn().await;
    token.cancel();
    assert_eq!(in_time(group.join()).await, Err(Picky("unexpected".into())));
}

#[tokio::test]
async fn a_conversion_that_panics_becomes_the_failure_of_a_map() {
    let failed = in_time(map(&fired(), 0..3, picky)).await;
    assert_eq!(failed, Err(Picky("unexpected".into())));
}

#[tokio::test]
async fn an_error_that_cannot_be_made_panics_in_the_join() {
    let group = Group::new(&CancellationToken::new());
    for n in 0..3 {
        group.spawn(move |token| never(token, n)).await;
    }
    let join = AssertUnwindSafe(in_time(group.join())).catch_unwind();
    assert_eq!(join.await.unwrap_err().downcast_ref(), Some(&"never"));
}

#[tokio::test]
async fn an_error_that_cannot_be_made_panics_in_the_map() {
    let map = in_time(map(&CancellationToken::new(), 0..3, never));
    let panic = AssertUnwindSafe(map).catch_unwind().await.unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"never"));
}

#[tokio::test]
async fn an_error_that_cannot_be_made_of_the_closures_panic_panics_in_the_map() {
    let closure = |token, n| if n == 2 { panic!("the closure") } else { never(token, 0) };
    let map = in_time(map(&CancellationToken::new(), 0..5, closure).settled());
    let panic = AssertUnwindSafe(map).catch_unwind().await.unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"never"));
}
