//! Nested calls: forty levels behave like one.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::{sync::Notify, task::LocalSet};
use tokio_supervised::{
    CancellationToken, Cause, Group, Outcome, TaskError, shield, supervised, tasks,
};

use testkit::{in_time, outcomes_of, poll_once};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, TaskError>> + 'a>>;

const DEPTH: usize = 40;

#[supervised(name = "deep: call")]
async fn call<T>(inner: Boxed<'_, T>) -> Result<T, TaskError> {
    inner.await
}

/// The innermost of forty calls.
fn beneath<'a, T: 'a>(
    token: &'a CancellationToken,
    inner: impl Future<Output = Result<T, TaskError>> + 'a,
) -> Boxed<'a, T> {
    (0..DEPTH).fold(Box::pin(inner), |inner, _| Box::pin(call(token, inner)))
}

#[tokio::test]
async fn a_self_deadlock_with_the_outermost_call_lists_all_names() {
    #[supervised(name = "deep: limited", limit = 1)]
    async fn limited(inner: Option<Boxed<'_, ()>>) -> Result<(), TaskError> {
        if let Some(inner) = inner { inner.await } else { Ok(()) }
    }

    let token = CancellationToken::new();
    let inner = beneath(&token, limited(&token, None));
    let error = in_time(limited(&token, Some(inner))).await.unwrap_err();
    let TaskError::Rejected(rejected) = error else { panic!("{error}") };
    let text = rejected.to_string();
    assert_eq!(text.matches("`deep: call` -> ").count(), DEPTH, "{text}");
    assert!(text.contains("(`deep: limited` -> `deep: call`"), "{text}");
}

#[tokio::test]
async fn a_section_protects_every_call_around_it() {
    #[supervised(name = "deep: held")]
    async fn held(inner: Boxed<'_, ()>) -> Result<(), TaskError> {
        inner.await
    }

    let (token, go_on) = (CancellationToken::new(), Notify::new());
    let section = async {
        shield(Duration::from_secs(9), |_| go_on.notified()).await;
        std::future::pending().await
    };
    let inner: Boxed<'_, ()> = Box::pin(section);
    let mut calls = (0..DEPTH).fold(inner, |inner, _| Box::pin(held(&token, inner)));
    assert!(poll_once(&mut calls).is_pending());
    token.cancel();
    assert!(poll_once(&mut calls).is_pending());
    assert_eq!(outcomes_of("deep: held"), []);
    go_on.notify_one();
    let error = in_time(calls).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Cancelled);
    assert_eq!(outcomes_of("deep: held"), [(Outcome::Cancelled, DEPTH as u64)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_in_a_section_has_the_shield_limit_as_its_cause() {
    #[supervised(name = "deep: in a section")]
    async fn inside() -> Result<(), TaskError> {
        std::future::pending().await
    }

    let token = CancellationToken::new();
    let section = beneath(&token, shield(Duration::from_secs(1), inside));
    let error = in_time(section).await.unwrap_err();
    let TaskError::Cancelled(cancelled) = error else { panic!("{error}") };
    assert_eq!(cancelled.cause(), Cause::ShieldLimit);
}

/// While a `LocalSet` is polled, the stack entries of its tasks are above those of its owner.
#[tokio::test]
async fn a_local_task_is_the_parent_of_its_children() {
    #[supervised(name = "deep: child")]
    async fn child(parent: Arc<Notify>) -> Result<(), TaskError> {
        parent.notify_one();
        std::future::pending().await
    }
    #[supervised(name = "deep: local")]
    async fn local(token: &CancellationToken) -> Result<Vec<Option<&'static str>>, TaskError> {
        let (group, started) = (Group::new(token), Arc::new(Notify::new()));
        group.spawn(|token| child(token, started.clone())).await;
        started.notified().await;
        let tasks = tasks();
        let children = tasks.iter().filter(|task| task.name == "deep: child");
        Ok(children.map(|task| task.parent.map(|parent| parent.name)).collect())
    }

    let (token, set) = (CancellationToken::new(), LocalSet::new());
    let parents = beneath(&token, async {
        let group = Group::new(&token);
        set.run_until(async {
            group.spawn_local(local).await;
            group.join().await
        })
        .await
    });
    assert_eq!(in_time(parents).await.unwrap(), [[Some("deep: local")]]);
}
