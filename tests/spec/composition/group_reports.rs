//! A group loses no failure and reports only what happened.
//!
//! Log output is asserted in separate processes, in which one subscriber receives all of it.

use std::{
    backtrace::BacktraceStatus,
    fmt::Debug,
    future::{Future, pending},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Poll, Waker},
    time::Duration,
};

use tokio::sync::oneshot;
use tokio_supervised::{
    CancellationToken, Group, Outcome, SpawnError, TaskError, map, recent_panics, stats,
    supervised, task,
};
use tracing::Level;

use testkit::{
    events::{assert_ten_logged, listen},
    finishes,
    fixture::{child_passes, child_with, passed},
};

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("disk {0} is full")]
    Full(u32),
    #[error(transparent)]
    Task(#[from] TaskError),
}

#[supervised]
async fn store(disk: u32) -> Result<u32, Failure> {
    if disk == 0 { Ok(0) } else { Err(Failure::Full(disk)) }
}

/// Fails as soon as its token fires.
#[supervised]
async fn fails_late(token: &CancellationToken, disk: u32) -> Result<u32, Failure> {
    token.cancelled().await;
    Err(Failure::Full(disk))
}

#[supervised]
async fn waits() -> Result<u32, Failure> {
    pending().await
}

#[supervised(timeout = "10s")]
async fn timed() -> Result<(), TaskError> {
    pending().await
}

/// A runtime without a timer.
fn untimed() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap()
}

#[test]
fn without_a_timer_a_run_reports_the_panic() {
    #[supervised(timeout = "10s", name = "group reports: untimed")]
    async fn slow() -> Result<(), TaskError> {
        tokio::task::yield_now().await;
        Ok(())
    }

    finishes(|| {
        untimed().block_on(async {
            let group: Group<(), TaskError> = Group::new(&CancellationToken::new());
            group.spawn(slow).await;
            let error = group.join().await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Panicked, "{error}");
            let error = map(&CancellationToken::new(), [()], |token, ()| slow(token)).await;
            assert_eq!(error.unwrap_err().outcome(), Outcome::Panicked);
            let error = slow(&CancellationToken::new()).await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Panicked);
        });
        let stats = stats().into_iter().find(|stats| stats.name == "group reports: untimed");
        assert_eq!(stats.unwrap().ended(Outcome::Panicked), 3);
        let panics = recent_panics();
        assert!(panics.iter().any(|panic| panic.task() == "group reports: untimed"));
    });
}

#[test]
fn a_shut_down_runtime_is_not_reported_as_a_dropped_scope() {
    finishes(|| {
        let gone = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = gone.handle().clone();
        drop(gone);
        let _entered = handle.enter();
        let group: Group<(), TaskError> = Group::new(&CancellationToken::new());
        block_on(group.spawn(timed));
        let error = block_on(group.join()).unwrap_err();
        assert!(
            error.to_string().ends_with("its runtime or `LocalSet` was dropped or shut down"),
            "{error}"
        );
        let token = CancellationToken::new();
        let mapped = map(&token, [()], |token, ()| timed(token));
        let error = block_on(mapped).unwrap_err();
        assert!(
            error.to_string().ends_with("its runtime or `LocalSet` was dropped or shut down"),
            "{error}"
        );
    });
}

/// Polls a future outside of a runtime until it is ready.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = std::task::Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_refused_task_is_named_after_its_function() {
    let token = CancellationToken::new();
    token.cancel();
    let group = Group::new(&token);
    group.spawn(|token| store(token, 0)).await;
    let error = group.join().await.unwrap_err();
    assert_eq!(error.to_string(), "task `store` was cancelled: its token fired");

    let group: Group<(), TaskError> = Group::new(&token);
    group.spawn_blocking("compress", |_| Ok(())).await;
    assert_eq!(group.join().await.unwrap_err().task(), "compress");

    // Neither the name nor the function is known before the closure is called.
    let group = Group::new(&token);
    group.spawn(task!("named", |token| -> Result<u32, Failure> { waits(token).await })).await;
    let Failure::Task(error) = group.join().await.unwrap_err() else { panic!("refused") };
    assert!(error.task().contains("composition::group_reports::a_refused_task"), "{error}");
}

#[tokio::test]
async fn an_unmade_task_is_named_after_its_function() {
    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| store(token, "no number".parse().unwrap())).await;
    let Failure::Task(error) = group.join().await.unwrap_err() else { panic!("panicked") };
    assert_eq!((error.task(), error.outcome()), ("store", Outcome::Panicked));
}

#[tokio::test]
async fn a_handle_returns_why_nothing_was_spawned() {
    let group = Group::new(&CancellationToken::new());
    let handle = group.handle();
    handle.spawn(|token| store(token, 0)).await.unwrap();
    assert_eq!(group.join().await.unwrap(), [0]);
    assert_eq!(handle.spawn(|token| store(token, 0)).await.map(drop), Err(SpawnError::Joined));
    assert_eq!(handle.spawn_blocking("late", |_| Ok(1)).await.map(drop), Err(SpawnError::Joined));

    let group: Group<u32, Failure> = Group::new(&CancellationToken::new());
    let handle = group.handle();
    drop(group);
    let refused = handle.spawn(|token| store(token, 0)).await.unwrap_err();
    let text = "task `store` was cancelled: its scope was dropped";
    assert_eq!(refused.to_string(), text);

    let group = Group::new(&CancellationToken::new());
    let handle = group.handle();
    group.spawn(|token| store(token, 1)).await;
    handle.token().cancelled().await;
    let refused = handle.spawn(|token| store(token, 0)).await.unwrap_err();
    assert_eq!(refused.to_string(), "task `store` was cancelled: its sibling `store` failed");
    let refused = handle.spawn_blocking("sum", |_| Ok(1)).await.unwrap_err();
    assert_eq!(refused.to_string(), "task `sum` was cancelled: its sibling `store` failed");
    assert!(matches!(group.join().await, Err(Failure::Full(1))));
}

#[tokio::test]
async fn a_producer_stops_when_its_group_fails() {
    let (items, mut rx) = tokio::sync::mpsc::channel(16);
    let source = tokio::spawn(async move {
        let mut sent = 0;
        while items.send(sent).await.is_ok() {
            sent += 1;
        }
        sent
    });
    let group = Group::new(&CancellationToken::new()).limit(4);
    let mut taken = 0;
    while let Some(Some(n)) = group.token().run_until_cancelled(rx.recv()).await {
        taken += 1;
        group.spawn(move |token| store(token, u32::from(n == 3))).await;
    }
    drop(rx);
    assert!(matches!(group.join().await, Err(Failure::Full(1))));
    let sent = source.await.unwrap();
    assert!(taken < 100 && sent < 200, "{taken} of {sent} items were taken");
}

#[test]
fn failures_are_logged_unless_a_join_returns_them() {
    child_passes("composition::group_reports::fixture_failures");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
#[ignore = "fixture of another test"]
async fn fixture_failures() {
    let events = listen();
    let logged = || std::mem::take(&mut *events.lock().unwrap());
    let turn = || tokio::time::sleep(Duration::from_millis(1));

    // The join returns the first failure; the others are logged; a cancellation is no failure.
    let group = Group::new(&CancellationToken::new());
    for disk in [2, 3] {
        group.spawn(move |token| fails_late(token, disk)).await;
    }
    group.spawn(waits).await;
    group.spawn(|token| store(token, 1)).await;
    assert!(matches!(group.join().await, Err(Failure::Full(1))));
    let events_of = logged();
    let mut texts: Vec<_> =
        events_of.iter().map(|event| (event.level, event.field("error"))).collect();
    // Each task has another token, since the order of wake-ups is not specified.
    texts.sort_by(|a, b| a.1.cmp(&b.1));
    let full = |disk: u32| (Level::WARN, format!("disk {disk} is full"));
    assert_eq!(texts, [full(2), full(3)], "{events_of:#?}");
    assert!(events_of.iter().all(|event| event.field("task.name") == "fails_late"));

    // A group that is dropped without a join.
    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| store(token, 1)).await;
    turn().await;
    drop(group);
    let events_of = logged();
    let [event] = &events_of[..] else { panic!("one event: {events_of:#?}") };
    assert_eq!((event.level, event.field("task.name")), (Level::WARN, "store".to_owned()));
    assert!(event.field("message").contains("disk 1 is full"), "{event:?}");

    // A group whose join was dropped.
    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| fails_late(token, 1)).await;
    group.spawn(|token| store(token, 2)).await;
    turn().await;
    drop(group.join());
    let errors: Vec<_> = logged().iter().map(|event| event.field("error")).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");

    // A panic is logged when it is caught.
    let group = Group::new(&CancellationToken::new());
    let late = task!("panics late", |token| -> Result<u32, Failure> {
        token.cancelled().await;
        panic!("boom")
    });
    group.spawn(late).await;
    group.spawn(task!("panics", |_| -> Result<u32, Failure> { panic!("boom") })).await;
    turn().await;
    drop(group);
    let levels: Vec<_> = logged().iter().map(|event| event.level).collect();
    assert_eq!(levels, [Level::ERROR; 2]);

    // Of many in a second, ten per function are logged and the others are counted.
    #[supervised]
    async fn fails_often(token: &CancellationToken) -> Result<u32, Failure> {
        token.cancelled().await;
        Err(Failure::Full(9))
    }
    let group = Group::new(&CancellationToken::new());
    for _ in 0..30 {
        group.spawn(fails_often).await;
    }
    group.spawn(|token| store(token, 1)).await;
    group.join().await.unwrap_err();
    assert_ten_logged(logged, 20);

    // Cancellations that the owner requested are no failures.
    let token = CancellationToken::new();
    let group = Group::new(&token);
    group.spawn(waits).await;
    turn().await;
    token.cancel();
    turn().await;
    drop(group);
    let events_of = logged();
    assert!(events_of.is_empty(), "{events_of:#?}");
}

#[test]
fn a_test_logs_counted_failures_before_it_ends() {
    let fixture = "composition::group_reports::fixture_test_end";
    passed(fixture, &child_with(fixture, "1"));
}

#[test]
#[ignore = "fixture of another test"]
#[allow(unnameable_test_items)]
fn fixture_test_end() {
    #[supervised]
    async fn fails(token: &CancellationToken) -> Result<u32, Failure> {
        token.cancelled().await;
        Err(Failure::Full(9))
    }
    #[supervised::test]
    async fn has_failures() {
        let group = Group::new(&CancellationToken::new());
        for _ in 0..30 {
            group.spawn(fails).await;
        }
        group.spawn(task!("panics", |_| -> Result<u32, Failure> { panic!("boom") })).await;
        group.join().await.unwrap_err();
        for n in 0..30 {
            let error = panics_often(&CancellationToken::new()).await.unwrap_err();
            let Failure::Task(TaskError::Panicked(panic)) = error else { panic!("{error}") };
            // It has none if that of another panic is being symbolised.
            if panic.backtrace().unwrap().status() == BacktraceStatus::Captured && n < 10 {
                CAPTURED.fetch_add(1, SeqCst);
            }
        }
    }
    /// The backtraces of the panics that are logged one by one.
    static CAPTURED: AtomicUsize = AtomicUsize::new(0);
    #[supervised]
    async fn panics_often() -> Result<u32, Failure> {
        panic!("often")
    }

    let events = listen();
    has_failures();
    let events = std::mem::take(&mut *events.lock().unwrap());
    assert!(events.iter().any(|event| event.field("failures") == "20"), "{events:#?}");
    assert!(events.iter().any(|event| event.fields.contains_key("exception.stacktrace")));
    // Panics are treated like failures.
    let often = events.iter().filter(|event| event.field("task.name") == "panics_often");
    let (errors, backtraces): (Vec<_>, Vec<_>) =
        often.partition(|event| event.level == Level::ERROR);
    assert_eq!((errors.len(), backtraces.len()), (11, CAPTURED.load(SeqCst)), "{errors:#?}");
    assert!(errors.iter().any(|event| event.field("panics") == "20"), "{errors:#?}");
}

#[test]
fn refused_spawns_are_one_warning_at_the_join_or_drop() {
    child_passes("composition::group_reports::fixture_refused");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
#[ignore = "fixture of another test"]
async fn fixture_refused() {
    let events = listen();
    let turn = || tokio::time::sleep(Duration::from_millis(1));
    for joins in [true, false] {
        let group = Group::new(&CancellationToken::new()).limit(1);
        group.spawn(|token| store(token, 1)).await;
        turn().await;
        for _ in 0..1_000 {
            group.spawn(|token| store(token, 0)).await;
        }
        assert!(events.lock().unwrap().is_empty());
        if joins {
            assert!(matches!(group.join().await, Err(Failure::Full(1))));
        } else {
            drop(group);
        }
        let events = std::mem::take(&mut *events.lock().unwrap());
        let refused: Vec<_> =
            events.iter().filter(|event| event.fields.contains_key("refused")).collect();
        let [event] = refused[..] else { panic!("one event: {events:#?}") };
        assert_eq!((event.level, event.field("refused")), (Level::WARN, "1000".to_owned()));
        let message = event.field("message");
        assert!(message.contains("its sibling `store` failed"), "{message}");
    }
}

/// A value whose drop takes a while.
struct Slow(Arc<AtomicBool>);

impl Drop for Slow {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(50));
        self.0.store(true, SeqCst);
    }
}

#[test]
fn a_failed_join_returns_after_the_drop_of_each_value() {
    #[supervised]
    async fn returns_late(
        token: &CancellationToken,
        dropped: Arc<AtomicBool>,
        started: oneshot::Sender<()>,
    ) -> Result<Slow, Failure> {
        _ = started.send(());
        token.cancelled().await;
        Ok(Slow(dropped))
    }

    #[supervised]
    async fn fails() -> Result<Slow, Failure> {
        Err(Failure::Full(1))
    }

    finishes(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let group = Group::new(&CancellationToken::new());
            let dropped = Arc::new(AtomicBool::new(false));
            let given = dropped.clone();
            let (started, has_started) = oneshot::channel();
            group.spawn(|token| returns_late(token, given, started)).await;
            // A body whose token fires before its first poll produces no value.
            has_started.await.unwrap();
            group.spawn(fails).await;
            assert!(matches!(group.join().await, Err(Failure::Full(1))));
            assert!(dropped.load(SeqCst), "the join returned before the value was dropped");
        });
    });
}
