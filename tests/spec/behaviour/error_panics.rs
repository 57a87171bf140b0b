//! Errors whose `From<TaskError>` panics: always, or for unexpected variants.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use tokio_supervised::{
    CancellationToken, Group, GroupHandle, Outcome, SpawnError, TaskError, map, supervised,
};

use testkit::{in_time, outcomes_of, turn};

/// Accepts panics only.
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

/// Accepts nothing.
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
async fn a_failed_conversion_panics_in_the_join() {
    let group = Group::new(&CancellationToken::new());
    for n in 0..3 {
        group.spawn(move |token| never(token, n)).await;
    }
    let join = AssertUnwindSafe(in_time(group.join())).catch_unwind();
    assert_eq!(join.await.unwrap_err().downcast_ref(), Some(&"never"));
}

#[tokio::test]
async fn a_failed_conversion_panics_in_the_map() {
    let map = in_time(map(&CancellationToken::new(), 0..3, never));
    let panic = AssertUnwindSafe(map).catch_unwind().await.unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"never"));
}

#[tokio::test]
async fn a_failed_conversion_of_a_closure_panic_panics_in_the_map() {
    let closure = |token, n| if n == 2 { panic!("the closure") } else { never(token, 0) };
    let map = in_time(map(&CancellationToken::new(), 0..5, closure).settled());
    let panic = AssertUnwindSafe(map).catch_unwind().await.unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"never"));
}

/// Awaits the join, which must resume the panic of the conversion.
async fn join_panics(group: Group<u32, Never>) {
    let join = AssertUnwindSafe(in_time(group.join())).catch_unwind();
    assert_eq!(join.await.unwrap_err().downcast_ref(), Some(&"never"));
}

#[tokio::test]
async fn an_error_of_a_refused_spawn_panics_in_the_join() {
    let group = Group::new(&fired());
    group.spawn(|token| never(token, 0)).await;
    assert!(matches!(
        group.handle().spawn(|token| never(token, 0)).await,
        Err(SpawnError::Cancelled(_))
    ));
    join_panics(group).await;
}

#[tokio::test]
async fn an_error_of_a_spawn_after_the_join_panics_nowhere() {
    let group = Group::<u32, Never>::new(&CancellationToken::new());
    let handle = group.handle();
    assert!(group.join().await.unwrap().is_empty());
    assert_eq!(handle.spawn(|token| never(token, 0)).await.map(drop), Err(SpawnError::Joined));

    let group = Group::<u32, Never>::new(&CancellationToken::new());
    let handle = group.handle();
    drop(group);
    assert!(matches!(handle.spawn(|token| never(token, 0)).await, Err(SpawnError::Cancelled(_))));
}

#[tokio::test]
async fn an_error_of_a_closure_that_panics_panics_in_the_join() {
    let group = Group::new(&CancellationToken::new());
    group
        .spawn(|token| if token.is_cancelled() { never(token, 0) } else { panic!("the closure") })
        .await;
    assert!(group.token().is_cancelled(), "a failure stops the group");
    join_panics(group).await;
}

#[tokio::test]
async fn an_error_of_a_spawn_that_waits_panics_in_the_join() {
    let token = CancellationToken::new();
    let group = Group::new(&token).limit(1);
    group.spawn(|token| never(token, 0)).await;
    let mut spawn = Box::pin(group.spawn(|token| never(token, 0)));
    assert!(futures::poll!(&mut spawn).is_pending());
    token.cancel();
    // The task has not been polled yet, so its slot is still taken.
    assert!(futures::poll!(&mut spawn).is_ready());
    drop(spawn);
    join_panics(group).await;
}

#[tokio::test]
async fn an_error_of_a_self_deadlock_panics_in_the_join() {
    #[supervised(name = "error panics: itself")]
    async fn itself(group: Arc<Group<u32, Never>>) -> Result<u32, Never> {
        group.spawn(|token| never(token, 0)).await;
        Ok(1)
    }
    let group = Arc::new(Group::new(&CancellationToken::new()).limit(1));
    let full = group.clone();
    group.spawn(|token| itself(token, full)).await;
    in_time(async {
        while Arc::strong_count(&group) > 1 {
            turn().await;
        }
    })
    .await;
    assert!(group.token().is_cancelled(), "a failure stops the group");
    assert_eq!(outcomes_of("error panics: itself"), [(Outcome::Ok, 1)], "not its spawn");
    join_panics(Arc::into_inner(group).unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_of_an_unpolled_spawn_panics_in_the_join() {
    #[supervised(name = "error panics: held", limit = 1)]
    async fn held(token: &CancellationToken) -> Result<u32, Never> {
        token.cancelled().await;
        Ok(1)
    }
    let token = CancellationToken::new();
    let alone = CancellationToken::new();
    let first = tokio::spawn(held(alone.clone()));
    turn().await;
    let group: Group<u32, Never> = Group::new(&token);
    let handle: GroupHandle<u32, Never> = group.handle();
    let mut spawn = Box::pin(handle.spawn(held));
    assert!(futures::poll!(&mut spawn).is_pending());
    token.cancel();
    join_panics(group).await;
    // The panic of the conversion does not prevent the join from closing the group.
    assert_eq!(spawn.await.map(drop), Err(SpawnError::Joined));
    alone.cancel();
    assert_eq!(first.await.unwrap().unwrap(), 1);
}
