//! Groups: failures, exits, drops.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio_supervised::{
    CancellationToken, Cause, Group, Outcome, Pool, TaskError, supervised, task,
};

use testkit::{Alive, in_time, poll_once, stats_of, turn};

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("failed")]
    Own,
    #[error(transparent)]
    Task(#[from] TaskError),
}

#[supervised(name = "stop: fail")]
async fn fail(turns: u32) -> Result<(), Failure> {
    for _ in 0..turns {
        turn().await;
    }
    Err(Failure::Own)
}

#[tokio::test]
async fn the_first_failure_is_the_one_that_join_returns() {
    #[supervised(name = "stop: held")]
    async fn hold(alive: Alive) -> Result<(), Failure> {
        let _alive = alive;
        pending().await
    }

    let count = Arc::new(AtomicUsize::new(0));
    let token = CancellationToken::new();
    let group = Group::new(&token);
    for _ in 0..5 {
        let alive = Alive::new(&count);
        group.spawn(move |token| hold(token, alive)).await;
    }
    group.spawn(|token| fail(token, 3)).await;
    assert!(matches!(in_time(group.join()).await, Err(Failure::Own)));
    assert_eq!(count.load(SeqCst), 0, "every task has ended when the join returns");
    assert_eq!(stats_of("stop: held").ended(Outcome::Cancelled), 5);
    assert!(!token.is_cancelled());
}

#[tokio::test]
async fn a_failure_wins_over_the_cancellations_that_it_causes() {
    for _ in 0..200 {
        let group = Group::new(&CancellationToken::new());
        group.spawn(wait).await;
        group.spawn(|token| fail(token, 0)).await;
        group.spawn(wait).await;
        assert!(matches!(in_time(group.join()).await, Err(Failure::Own)));
    }
}

#[supervised(name = "stop: wait")]
async fn wait() -> Result<(), Failure> {
    pending().await
}

#[tokio::test]
async fn a_spawn_into_a_cancelled_group_does_not_call_its_closure() {
    let token = CancellationToken::new();
    token.cancel();
    let group = Group::new(&token);
    in_time(group.spawn(|token| {
        assert!(!token.is_cancelled(), "called with a fired token");
        quick(token)
    }))
    .await;
    let error = in_time(group.join()).await.unwrap_err();
    assert!(matches!(error, Failure::Task(TaskError::Cancelled(_))), "{error}");
}

#[tokio::test]
async fn a_join_reports_refused_spawns() {
    let token = CancellationToken::new();
    let group = Group::new(&token);
    group.spawn(quick).await;
    turn().await;
    token.cancel();
    group.spawn(quick).await;
    let Err(Failure::Task(TaskError::Cancelled(cancelled))) = in_time(group.join()).await else {
        panic!("cancelled")
    };
    assert_eq!(cancelled.cause(), Cause::Token);
}

#[supervised(name = "stop: quick")]
async fn quick() -> Result<(), Failure> {
    Ok(())
}

#[tokio::test]
async fn a_panic_of_the_closure_is_a_failure_like_any_other() {
    let group = Group::new(&CancellationToken::new());
    group.spawn(wait).await;
    group
        .spawn(|token| {
            assert!(token.is_cancelled(), "cannot prepare");
            quick(token)
        })
        .await;
    let error = in_time(group.join()).await.unwrap_err();
    assert!(error.to_string().ends_with("cannot prepare"), "{error}");
}

#[tokio::test]
async fn any_exit_stops_a_group_of_services() {
    #[supervised(name = "stop: service")]
    async fn serve(token: &CancellationToken) -> Result<(), Failure> {
        token.cancelled().await;
        Ok(())
    }

    let group = Group::new(&CancellationToken::new()).until_first_exit();
    group.spawn(serve).await;
    group.spawn(wait).await;
    group.spawn(quick).await;
    assert_eq!(in_time(group.join()).await.unwrap().len(), 2, "the two that returned a value");
}

#[tokio::test]
async fn services_return_a_real_error_after_an_exit() {
    #[supervised(name = "stop: fails late")]
    async fn fails_late(token: &CancellationToken) -> Result<(), Failure> {
        token.cancelled().await;
        turn().await;
        Err(Failure::Own)
    }

    let group = Group::new(&CancellationToken::new()).until_first_exit();
    group.spawn(fails_late).await;
    group.spawn(wait).await;
    group.spawn(quick).await;
    assert!(matches!(in_time(group.join()).await, Err(Failure::Own)));
}

#[tokio::test]
async fn a_join_of_services_reports_an_outside_cancellation() {
    let token = CancellationToken::new();
    let group = Group::new(&token).until_first_exit();
    group.spawn(wait).await;
    turn().await;
    token.cancel();
    let error = in_time(group.join()).await.unwrap_err();
    assert!(matches!(error, Failure::Task(TaskError::Cancelled(_))), "{error}");
}

/// Fails one turn after its token has fired.
#[supervised(name = "stop: fails on cancel")]
async fn fails_on_cancel(token: &CancellationToken) -> Result<(), Failure> {
    token.cancelled().await;
    turn().await;
    Err(Failure::Own)
}

#[tokio::test]
async fn services_return_the_first_error_or_cancellation() {
    let group = Group::new(&CancellationToken::new()).until_first_exit();
    group.spawn(fails_on_cancel).await;
    group.spawn(task!("stop: first", |_| -> Result<(), Failure> { panic!("the first") })).await;
    let error = in_time(group.join()).await.unwrap_err();
    assert!(error.to_string().contains("the first"), "{error}");

    let token = CancellationToken::new();
    let group = Group::new(&token).until_first_exit();
    group.spawn(wait).await;
    group.spawn(task!("stop: later", |token| -> Result<(), Failure> { wait(token).await })).await;
    turn().await;
    token.cancel();
    let error = in_time(group.join()).await.unwrap_err();
    assert!(error.to_string().starts_with("task `stop: wait` was cancelled"), "{error}");
}

#[tokio::test]
async fn a_task_with_another_token_is_the_first_failure() {
    let other = CancellationToken::new();
    let group = Group::new(&CancellationToken::new());
    group.spawn(|_| wait(other.clone())).await;
    group.spawn(fails_on_cancel).await;
    turn().await;
    other.cancel();
    let error = in_time(group.join()).await.unwrap_err();
    assert!(matches!(error, Failure::Task(TaskError::Cancelled(_))), "{error}");
}

#[tokio::test]
async fn a_cancelled_group_of_services_returns_a_real_error() {
    #[supervised(name = "stop: fails on its way down")]
    async fn fails_late(token: &CancellationToken) -> Result<(), Failure> {
        token.cancelled().await;
        for _ in 0..5 {
            turn().await;
        }
        Err(Failure::Own)
    }

    let token = CancellationToken::new();
    let group = Group::new(&token).until_first_exit();
    group.spawn(wait).await;
    group.spawn(fails_late).await;
    turn().await;
    token.cancel();
    assert!(matches!(in_time(group.join()).await, Err(Failure::Own)));
}

#[tokio::test]
async fn a_closure_panic_is_a_failure_for_any_value_and_error_type() {
    #[supervised(name = "stop: without a value")]
    async fn quiet(_number: u32) {}

    fn number() -> u32 {
        "no number".parse().unwrap()
    }

    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| quiet(token, number())).await;
    let error = in_time(group.join()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Panicked);

    let group = Group::new(&CancellationToken::new());
    let spawned = group.spawn(|token| fail(token, number()).err_into::<anyhow::Error>());
    spawned.await;
    let error = in_time(group.join()).await.unwrap_err();
    let Some(Failure::Task(error)) = error.downcast_ref() else { panic!("{error}") };
    assert_eq!(error.outcome(), Outcome::Panicked);
}

#[tokio::test]
async fn a_task_with_another_token_does_not_affect_later_tasks() {
    let (other, token) = (CancellationToken::new(), CancellationToken::new());
    let (group, pool) = (Group::new(&token), Pool::new(1));
    let mut given = Vec::new();
    for _ in 0..3 {
        group.spawn(|_| quick(other.clone())).await;
        pool.spawn(|_| quick(other.clone())).await.unwrap();
        while !pool.is_empty() {
            turn().await;
        }
    }
    other.cancel();
    for _ in 0..3 {
        group.spawn(|token| quick(remembered(token, &mut given))).await;
        pool.spawn(|token| quick(remembered(token, &mut given))).await.unwrap();
    }
    assert_eq!(given, [false; 6]);
    in_time(group.join()).await.unwrap();
}

fn remembered(token: CancellationToken, fired: &mut Vec<bool>) -> CancellationToken {
    fired.push(token.is_cancelled());
    token
}

#[tokio::test]
async fn a_dropped_group_leaves_nothing_running() {
    #[supervised(name = "stop: dropped")]
    async fn stubborn(token: &CancellationToken, alive: Alive) -> Result<(), TaskError> {
        let _alive = alive;
        token.cancelled().await;
        pending().await
    }

    let count = Arc::new(AtomicUsize::new(0));
    let group = Group::new(&CancellationToken::new());
    for _ in 0..10 {
        let alive = Alive::new(&count);
        group.spawn(move |token| stubborn(token, alive)).await;
    }
    turn().await;
    drop(group);
    in_time(async {
        while count.load(SeqCst) > 0 {
            turn().await;
        }
    })
    .await;
    assert_eq!(stats_of("stop: dropped").running, 0);
}

#[tokio::test]
async fn a_dropped_join_leaves_nothing_running() {
    #[supervised(name = "stop: dropped join")]
    async fn hold(alive: Alive) -> Result<(), TaskError> {
        let _alive = alive;
        pending().await
    }

    let count = Arc::new(AtomicUsize::new(0));
    let group = Group::new(&CancellationToken::new());
    let alive = Alive::new(&count);
    group.spawn(move |token| hold(token, alive)).await;
    let mut join = Box::pin(group.join());
    assert!(poll_once(join.as_mut()).is_pending());
    drop(join);
    in_time(async {
        while count.load(SeqCst) > 0 {
            turn().await;
        }
    })
    .await;
}

#[tokio::test]
async fn tasks_of_a_failed_group_name_the_failed_sibling() {
    #[supervised(name = "stop: asks why")]
    async fn ask(token: &CancellationToken) -> Result<(), Failure> {
        token.cancelled().await;
        let why = quick(token).await.unwrap_err();
        let Failure::Task(TaskError::Cancelled(cancelled)) = why else { panic!("cancelled") };
        assert_eq!(cancelled.cause(), Cause::SiblingFailed { task: "stop: fail" });
        Ok(())
    }

    let group = Group::new(&CancellationToken::new());
    group.spawn(ask).await;
    group.spawn(|token| fail(token, 2)).await;
    assert!(matches!(in_time(group.join()).await, Err(Failure::Own)));
    assert_eq!(stats_of("stop: asks why").ended(Outcome::Ok), 1);
}

#[tokio::test]
async fn a_group_that_is_cancelled_from_outside_blames_no_sibling() {
    #[supervised(name = "stop: asks later")]
    async fn ask(token: &CancellationToken) -> Result<Cause, TaskError> {
        token.cancelled().await;
        for _ in 0..5 {
            turn().await;
        }
        match leaf(token).await {
            Err(TaskError::Cancelled(cancelled)) => Ok(cancelled.cause()),
            other => panic!("cancelled: {other:?}"),
        }
    }
    #[supervised(name = "stop: leaf")]
    async fn leaf() -> Result<Cause, TaskError> {
        pending().await
    }

    let token = CancellationToken::new();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let group = Group::new(&token);
    group.spawn(leaf).await;
    group
        .spawn(task!("stop: sends", |token| -> Result<Cause, TaskError> {
            let cause = ask(token).await?;
            sender.send(cause).expect("the test listens");
            Ok(cause)
        }))
        .await;
    turn().await;
    token.cancel();
    in_time(group.join()).await.unwrap_err();
    assert_eq!(receiver.await.unwrap(), Cause::Token);
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped a bomb");
    }
}

#[tokio::test]
async fn values_of_a_dropped_group_may_panic_in_their_drop() {
    #[supervised(name = "stop: bombs")]
    async fn arm() -> Result<Bomb, TaskError> {
        Ok(Bomb)
    }

    let group = Group::new(&CancellationToken::new());
    for _ in 0..3 {
        group.spawn(arm).await;
    }
    turn().await;
    assert_eq!(stats_of("stop: bombs").ended(Outcome::Ok), 3);
    drop(group);
}
