//! A run reports its own causes, states and counts.

use std::{cell::RefCell, future::pending, rc::Rc, sync::Arc, thread, time::Duration};

use tokio::{
    sync::{Notify, oneshot},
    task::{LocalSet, yield_now},
    time::timeout,
};
use tokio_supervised::{
    CancellationToken, Cause, Group, Outcome, Pool, TaskError, map, shield, stats, supervised, task,
};

use testkit::watchdog::WATCHDOG;

#[supervised(name = "run reports: idle")]
async fn idle() -> Result<(), TaskError> {
    pending().await
}

#[supervised(name = "run reports: fails")]
async fn fails() -> Result<(), TaskError> {
    yield_now().await;
    panic!("on purpose")
}

#[track_caller]
fn cause_of<T: std::fmt::Debug>(result: Result<T, TaskError>) -> Cause {
    match result {
        Err(TaskError::Cancelled(cancelled)) => cancelled.cause(),
        other => panic!("it was not cancelled: {other:?}"),
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(WATCHDOG, future).await.expect("it ends")
}

/// A group with an idle task that a task of `starter` created with `token` and handed out.
async fn handed_out(
    starter: &Group<(), TaskError>,
    token: CancellationToken,
) -> Group<(), TaskError> {
    let (send, receive) = oneshot::channel();
    let start = task!("run reports: start", |_| -> Result<(), TaskError> {
        let session: Group<(), TaskError> = Group::new(&token);
        session.spawn(idle).await;
        _ = send.send(session);
        Ok(())
    });
    starter.spawn(start).await;
    receive.await.unwrap()
}

#[tokio::test]
async fn the_join_of_the_outer_group_is_no_cause() {
    let root = CancellationToken::new();
    let starter: Group<(), TaskError> = Group::new(&root);
    let session = handed_out(&starter, root.clone()).await;
    starter.join().await.unwrap();
    root.cancel();
    assert_eq!(cause_of(within(session.join()).await), Cause::Token);
}

#[tokio::test]
async fn a_cause_passes_through_groups_that_have_ended() {
    let outer: Group<(), TaskError> = Group::new(&CancellationToken::new());
    let (send, receive) = oneshot::channel();
    let (leave, left) = oneshot::channel::<()>();
    let middle = task!("run reports: middle", |token| -> Result<(), TaskError> {
        let inner: Group<(), TaskError> = Group::new(&token);
        let session = handed_out(&inner, token.clone()).await;
        inner.join().await?;
        _ = send.send(session);
        _ = left.await;
        Ok(())
    });
    outer.spawn(middle).await;
    let session = receive.await.unwrap();
    // The task that created the scope in between has ended as well.
    leave.send(()).unwrap();
    yield_now().await;
    outer.spawn(fails).await;
    assert!(outer.join().await.is_err());
    let cause = cause_of(within(session.join()).await);
    assert_eq!(cause, Cause::SiblingFailed { task: "run reports: fails" });
}

#[tokio::test]
async fn a_cause_passes_through_every_kind_of_scope() {
    #[supervised(name = "run reports: deep")]
    async fn deep(token: CancellationToken, causes: Arc<std::sync::Mutex<Vec<Cause>>>) {
        let inner: Group<(), TaskError> = Group::new(&token);
        inner.spawn(idle).await;
        let mapped = map(&token, 0..2, |token, _| idle(token)).limit(2);
        let child = token.child_token();
        let ends = futures::future::join3(inner.join(), mapped, idle(&child)).await;
        let ends = [cause_of(ends.0), cause_of(ends.1), cause_of(ends.2)];
        causes.lock().unwrap().extend(ends);
    }

    let causes = Arc::new(std::sync::Mutex::new(Vec::new()));
    let outer: Group<(), TaskError> = Group::new(&CancellationToken::new());
    let into = causes.clone();
    outer.spawn(|token| deep(token, into)).await;
    while causes_unstarted() {
        yield_now().await;
    }
    outer.spawn(fails).await;
    assert!(within(outer.join()).await.is_err());
    let causes = causes.lock().unwrap();
    assert_eq!(causes[..], [Cause::SiblingFailed { task: "run reports: fails" }; 3]);
}

fn causes_unstarted() -> bool {
    let started = |name| stats().iter().filter(|s| s.name == name).map(|s| s.running).sum::<u64>();
    started("run reports: deep") == 0 || started("run reports: idle") < 4
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_scope_is_no_cause_for_another_token() {
    /// Completes after its sibling has failed, with a token that it fires itself.
    #[supervised(name = "run reports: cleanup", grace = "60s")]
    async fn cleanup(
        token: CancellationToken,
        started: oneshot::Sender<()>,
        cause: oneshot::Sender<[Cause; 3]>,
    ) -> Result<(), TaskError> {
        _ = started.send(());
        token.cancelled().await;
        let own = CancellationToken::new();
        let group: Group<(), TaskError> = Group::new(&own);
        group.spawn(idle).await;
        let fires = own.clone();
        let late = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            fires.cancel();
        });
        let mapped = map(&own, 0..2, |token, _| idle(token)).limit(2);
        let (inline, mapped) = futures::future::join(idle(&own), mapped).await;
        let causes = [cause_of(inline), cause_of(mapped), cause_of(group.join().await)];
        late.join().unwrap();
        _ = cause.send(causes);
        Ok(())
    }

    let (send, receive) = oneshot::channel();
    let (started, has_started) = oneshot::channel();
    let group: Group<(), TaskError> = Group::new(&CancellationToken::new());
    group.spawn(|token| cleanup(token, started, send)).await;
    // A task that is cancelled before its first poll never starts its body.
    within(has_started).await.unwrap();
    group.spawn(fails).await;
    assert!(within(group.join()).await.is_err());
    assert_eq!(receive.await.unwrap(), [Cause::Token; 3]);
}

#[tokio::test]
async fn a_scope_with_its_own_token_ignores_the_outer_token() {
    let outer: Group<(), TaskError> = Group::new(&CancellationToken::new());
    let own = CancellationToken::new();
    let session = handed_out(&outer, own.clone()).await;
    outer.spawn(fails).await;
    assert!(outer.join().await.is_err());
    own.cancel();
    assert_eq!(cause_of(within(session.join()).await), Cause::Token);
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_shield_is_the_cause_only_inside_it() {
    let outside = CancellationToken::new();
    let inner = outside.clone();
    let causes = shield(Duration::from_secs(1), |token| async move {
        let group: Group<(), TaskError> = Group::new(&token);
        group.spawn(idle).await;
        let inside = [cause_of(idle(&token).await), cause_of(group.join().await)];
        inner.cancel();
        inside
    });
    assert_eq!(causes.await, [Cause::ShieldLimit; 2]);
    assert_eq!(cause_of(idle(&outside).await), Cause::Token);
}

#[test]
fn a_signal_is_the_cause_behind_scopes_that_have_ended() {
    let stdout = testkit::fixture::child_passes("composition::run_reports::fixture_signal");
    assert!(stdout.contains("the session: Signal(Terminate)"), "{stdout}");
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_signal() {
    #[supervised::main]
    async fn main(root: CancellationToken) {
        let starter: Group<(), TaskError> = Group::new(&root);
        let session = handed_out(&starter, root.clone()).await;
        starter.join().await.unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGTERM)
            .unwrap();
        println!("the cause names the session: {:?}", cause_of(session.join().await));
    }
    _ = main();
}

fn ends_of(name: &str) -> (u64, u64) {
    let all = stats();
    let of: Vec<_> = all.iter().filter(|stats| stats.name == name).collect();
    let cancelled = of.iter().map(|stats| stats.ended(Outcome::Cancelled)).sum();
    (of.iter().map(|stats| stats.started).sum(), cancelled)
}

#[tokio::test]
async fn a_task_aborted_between_refusal_and_end_is_counted() {
    #[supervised(name = "run reports: refused")]
    async fn refused() -> Result<(), TaskError> {
        pending().await
    }

    let token = CancellationToken::new();
    let group: Group<(), TaskError> = Group::new(&token);
    for _ in 0..100 {
        group.spawn(refused).await;
    }
    token.cancel();
    // Each is polled once and has found its token fired.
    yield_now().await;
    drop(group);
    // As many times as it takes to drop all of them.
    for _ in 0..1_000 {
        yield_now().await;
    }
    assert_eq!(ends_of("run reports: refused"), (100, 100));
}

#[tokio::test]
async fn only_a_polled_call_is_counted() {
    #[supervised(name = "run reports: called")]
    async fn called() -> Result<(), TaskError> {
        pending().await
    }

    let token = CancellationToken::new();
    token.cancel();
    drop(called(&token));
    assert_eq!(ends_of("run reports: called"), (0, 0));
    let mut call = Box::pin(called(&token));
    assert!(futures::poll!(call.as_mut()).is_pending());
    drop(call);
    assert_eq!(ends_of("run reports: called"), (1, 1));
}

/// Drives a set of local tasks, which are not part of this run.
#[supervised(name = "run reports: outer", limit = 1)]
async fn outer(set: Rc<LocalSet>, stop: Rc<Notify>) -> Result<(), TaskError> {
    set.run_until(stop.notified()).await;
    Ok(())
}

#[tokio::test]
async fn a_local_task_is_not_part_of_the_run_that_drives_its_set() {
    let token = CancellationToken::new();
    let (set, stop) = (Rc::new(LocalSet::new()), Rc::new(Notify::new()));
    let got = Rc::new(RefCell::new(None));
    let (own, stops, gets) = (token.clone(), stop.clone(), got.clone());
    let done = set.spawn_local(async move {
        yield_now().await;
        stops.notify_one();
        let ready = Rc::new(Notify::new());
        ready.notify_one();
        let called = outer(&own, Rc::new(LocalSet::new()), ready).await;
        *gets.borrow_mut() = Some(called.map_err(|error| error.to_string()));
    });
    outer(&token, set.clone(), stop).await.unwrap();
    within(set.run_until(done)).await.unwrap();
    assert_eq!(*got.borrow(), Some(Ok(())));
}

#[tokio::test]
async fn a_self_deadlock_is_found_on_a_local_set() {
    #[supervised(name = "run reports: local", limit = 1)]
    async fn local(token: &CancellationToken, again: bool) -> Result<(), TaskError> {
        if again { Box::pin(local(token, false)).await } else { Ok(()) }
    }

    let set = LocalSet::new();
    let token = CancellationToken::new();
    let called = set.run_until(async move {
        tokio::task::spawn_local(async move { local(&token, true).await }).await.unwrap()
    });
    assert!(matches!(within(called).await, Err(TaskError::Rejected(_))));
}

#[tokio::test]
async fn a_local_task_holds_nothing_of_the_task_that_drives_its_set() {
    let group: Group<(), TaskError> = Group::new(&CancellationToken::new()).limit(1);
    let (handle, set) = (group.handle(), LocalSet::new());
    let (got, gets) = oneshot::channel();
    let drives = task!("run reports: drives", |_| -> Result<(), TaskError> {
        let set = LocalSet::new();
        let (started, has_started) = oneshot::channel();
        set.spawn_local(async move {
            _ = started.send(());
            // It waits for the slot of the task that drives the set, which ends.
            let next = task!("run reports: next", |_| -> Result<(), TaskError> { Ok(()) });
            handle.spawn(next).await.unwrap();
        });
        set.run_until(async {
            _ = has_started.await;
            yield_now().await;
        })
        .await;
        _ = got.send(set);
        Ok(())
    });
    set.run_until(async move {
        group.spawn_local(drives).await;
        let driven = gets.await.unwrap();
        driven.await;
        within(group.join()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_pool_has_no_cause_of_the_scope_around_its_creation() {
    let outer: Group<(), TaskError> = Group::new(&CancellationToken::new());
    let (send, receive) = oneshot::channel();
    outer
        .spawn(task!("run reports: makes a pool", |_| -> Result<(), TaskError> {
            _ = send.send(Pool::new(1));
            Ok(())
        }))
        .await;
    let pool = receive.await.unwrap();
    outer.spawn(fails).await;
    assert!(outer.join().await.is_err());
    let own = CancellationToken::new();
    let (send, receive) = oneshot::channel();
    let token = own.clone();
    pool.spawn(task!("run reports: in a pool", |_| -> Result<(), TaskError> {
        _ = send.send(idle(&token).await);
        Ok(())
    }))
    .await
    .unwrap();
    yield_now().await;
    own.cancel();
    assert_eq!(cause_of(within(receive).await.unwrap()), Cause::Token);
    pool.drain(WATCHDOG).await.unwrap();
}
