//! The `tracing` events: each is logged once.
//!
//! A separate program whose one subscriber is set before any test logs. `tracing` caches for each callsite whether
//! a subscriber is interested: a callsite that is first reached on a thread without a subscriber, while another
//! thread sets one, can be cached as disabled.

#![allow(clippy::unwrap_used, dead_code)]

mod error_text;
mod limits;
mod log_level;
mod pool_stop;
mod pool_tasks;
mod services;
mod spans;

use std::{
    cell::RefCell,
    future::pending,
    sync::{Mutex, Once},
    time::Duration,
};

use tokio::sync::oneshot;
use tokio_supervised::{CancellationToken, Group, Pool, TaskError, supervised};
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt;

use testkit::{
    events::{Capture, Event, Events},
    in_time, poll_once, turn,
};

#[tokio::test]
async fn a_panic_is_one_error_event_with_its_place() {
    #[supervised(name = "events: panic")]
    async fn inner() -> Result<(), TaskError> {
        panic!("boom")
    }
    #[supervised(name = "events: outer")]
    async fn outer(token: &CancellationToken) -> Result<(), TaskError> {
        inner(token).await
    }

    let events = listen();
    outer(&CancellationToken::new()).await.unwrap_err();
    let events = events.lock().unwrap();
    let [event] = &events[..] else { panic!("one event: {events:#?}") };
    assert_eq!(event.level, Level::ERROR);
    assert_eq!(event.fields["task.name"], "events: panic");
    assert_eq!(event.fields["exception.type"], "panic");
    assert_eq!(event.fields["exception.message"], "boom");
    assert!(
        !event.fields.contains_key("exception.stacktrace"),
        "the backtrace is not resolved on a worker"
    );
    assert!(event.fields["code.file.path"].ends_with("events/main.rs"));
    assert!(event.fields.contains_key("code.line.number"));
}

#[tokio::test(start_paused = true)]
async fn a_spent_grace_is_one_warning_that_names_the_task() {
    #[supervised(name = "events: stubborn", grace = "1s")]
    async fn stubborn(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let events = listen();
    let token = CancellationToken::new();
    let (result, ()) = tokio::join!(stubborn(&token), async { token.cancel() });
    result.unwrap_err();
    let events = events.lock().unwrap();
    let [event] = &events[..] else { panic!("one event: {events:#?}") };
    assert_eq!((event.level, &*event.fields["task.name"]), (Level::WARN, "events: stubborn"));
}

#[tokio::test(start_paused = true)]
async fn each_restart_and_giving_up_is_one_warning() {
    #[supervised(
        name = "events: restarts",
        restart = "on-failure",
        backoff = "2s..2s",
        max_restarts = "2/1m"
    )]
    async fn fails() -> anyhow::Result<()> {
        anyhow::bail!("failed as requested")
    }

    let events = listen();
    fails(&CancellationToken::new()).await.unwrap_err();
    let events = events.lock().unwrap();
    let [first, second, last] = &events[..] else { panic!("three events: {events:#?}") };
    for (event, number) in [(first, "1"), (second, "2")] {
        assert_eq!((event.level, event.name()), (Level::WARN, "events: restarts"));
        assert_eq!(event.fields["outcome"], "error");
        assert_eq!(event.fields["restart"], number);
        assert_eq!(event.fields["wait"], "2s");
        assert_eq!(event.fields["error"], "failed as requested");
        let message = format!(
            "task `events: restarts` ended as `error` (failed as requested): restart {number} in 2s"
        );
        assert_eq!(event.fields["message"], message);
    }
    assert_eq!((last.level, last.name()), (Level::WARN, "events: restarts"));
    assert!(!last.fields.contains_key("error"), "the error is returned to the caller: {last:#?}");
    assert_eq!(last.fields["outcome"], "error");
    assert_eq!((&*last.fields["restarts"], &*last.fields["window"]), ("2", "60s"));
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_announced_in_whole_milliseconds() {
    const WAIT: Duration = Duration::from_micros(1_234_567);
    const BACKOFF: std::ops::Range<Duration> = WAIT..WAIT;
    #[supervised(
        name = "events: jittered",
        restart = "on-failure",
        backoff = BACKOFF,
        max_restarts = "1/1m"
    )]
    async fn fails() -> anyhow::Result<()> {
        anyhow::bail!("no")
    }

    let events = listen();
    fails(&CancellationToken::new()).await.unwrap_err();
    let events = events.lock().unwrap();
    let message = "task `events: jittered` ended as `error` (no): restart 1 in 1.234s";
    assert_eq!(events[0].fields["message"], message);
    assert_eq!(events[0].fields["wait"], "1.234567s", "the field is exact");
}

#[tokio::test(start_paused = true)]
async fn a_restart_after_a_panic_is_logged_beside_the_panic() {
    #[supervised(name = "events: panics", restart = "on-failure", max_restarts = "1/1m")]
    async fn panics() {
        panic!("boom")
    }

    let events = listen();
    panics(&CancellationToken::new()).await;
    let events = events.lock().unwrap();
    let logged: Vec<_> =
        events.iter().map(|event| (event.level, event.fields.contains_key("outcome"))).collect();
    let (panic, restart, gave_up) =
        ((Level::ERROR, false), (Level::WARN, true), (Level::WARN, true));
    assert_eq!(logged, [panic, restart, panic, gave_up]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_logs_a_final_restart_failure_once_at_error() {
    #[supervised(
        name = "events: gives up",
        restart = "on-failure",
        backoff = "1s..1s",
        max_restarts = "1/1m"
    )]
    async fn fails() -> anyhow::Result<()> {
        anyhow::bail!("the disk is full")
    }

    let events = listen();
    let pool = Pool::new(1);
    pool.spawn(fails).await.unwrap();
    in_time(pool.drain(Duration::from_secs(10))).await.unwrap();
    let events = events.lock().unwrap();
    let logged: Vec<_> =
        events.iter().map(|event| (event.level, event.fields.contains_key("error"))).collect();
    assert_eq!(logged, [(Level::WARN, true), (Level::WARN, false), (Level::ERROR, true)]);
}

#[test]
fn no_restart_is_announced_in_a_runtime_without_a_timer() {
    #[supervised(name = "events: no timer", restart = "on-failure")]
    async fn fails() -> anyhow::Result<()> {
        anyhow::bail!("the disk is full")
    }

    let events = listen();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(fails(&CancellationToken::new())).unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(TaskError::Panicked(_))), "{error}");
    let events = events.lock().unwrap();
    let [warning, panic] = &events[..] else { panic!("two events: {events:#?}") };
    assert_eq!(warning.level, Level::WARN);
    assert!(!warning.fields.contains_key("restart"), "{warning:#?}");
    assert_eq!(
        warning.fields["message"],
        "task `events: no timer` ended as `error` (the disk is full); it cannot restart because its \
         runtime has no timer: build the runtime with `enable_time`"
    );
    assert_eq!((panic.level, &*panic.fields["exception.type"]), (Level::ERROR, "panic"));
}

#[tokio::test(start_paused = true)]
async fn a_function_without_a_result_logs_its_failures() {
    #[supervised(name = "events: timeout", timeout = "1s")]
    async fn wait() {
        pending().await
    }
    #[supervised(name = "events: rejected", limit = 1, on_full = "reject")]
    async fn full() {
        pending().await
    }

    let events = listen();
    let token = CancellationToken::new();
    wait(&token).await;
    let mut first = Box::pin(full(&token));
    assert!(poll_once(first.as_mut()).is_pending());
    full(&token).await;
    let events = events.lock().unwrap();
    let logged: Vec<_> = events.iter().map(|event| (event.level, event.name())).collect();
    assert_eq!(logged, [(Level::WARN, "events: timeout"), (Level::WARN, "events: rejected")]);
}

#[tokio::test]
async fn an_unjoined_group_warns_unless_its_token_had_fired() {
    #[supervised(name = "events: group")]
    async fn wait() -> Result<(), TaskError> {
        pending().await
    }

    let events = listen();
    let token = CancellationToken::new();
    for fired in [false, true] {
        let group = Group::new(&token);
        group.spawn(wait).await;
        turn().await;
        if fired {
            token.cancel();
        }
        drop(group);
    }
    in_time(turn()).await;
    let events = events.lock().unwrap();
    let [event] = &events[..] else { panic!("one event: {events:#?}") };
    assert_eq!((event.level, &*event.fields["tasks"]), (Level::WARN, "1"));
    assert!(event.fields["message"].contains("events/main.rs"), "says where the group was made");
}

#[tokio::test(start_paused = true)]
async fn only_a_failure_of_a_pool_task_is_one_error_event() {
    #[supervised(name = "events: fails")]
    async fn fails() -> anyhow::Result<()> {
        Err(anyhow::anyhow!("the disk is full").context("saving"))
    }
    #[supervised(name = "events: too slow", timeout = "1s")]
    async fn too_slow() -> anyhow::Result<()> {
        pending().await
    }
    #[supervised(name = "events: stops")]
    async fn stops() -> anyhow::Result<()> {
        pending().await
    }

    let events = listen();
    let pool = Pool::new(4);
    pool.spawn(fails).await.unwrap();
    pool.spawn(too_slow).await.unwrap();
    let stop = CancellationToken::new();
    let own = stop.clone();
    pool.spawn(move |_| stops(own)).await.unwrap();
    turn().await;
    stop.cancel();
    in_time(pool.drain(Duration::from_secs(10))).await.unwrap();
    let events = events.lock().unwrap();
    let logged: Vec<_> = events.iter().map(|event| (event.level, event.name())).collect();
    assert_eq!(logged, [(Level::ERROR, "events: fails"), (Level::ERROR, "events: too slow")]);
    assert_eq!(events[0].fields["outcome"], "error");
    assert_eq!(events[0].fields["error"], "saving: the disk is full");
    assert!(events[0].fields.contains_key("task.id"));
    assert_eq!(events[1].fields["outcome"], "timed_out");
    assert_eq!(events[1].fields["error"], "task `events: too slow` timed out after 1s");
}

#[tokio::test(start_paused = true)]
async fn every_event_of_a_labelled_call_has_the_label() {
    #[supervised(name = "events: labelled", timeout = "1s")]
    async fn late() -> anyhow::Result<()> {
        pending().await
    }
    #[supervised(name = "events: labelled, fails late")]
    async fn fails_late(token: CancellationToken) -> anyhow::Result<()> {
        token.cancelled().await;
        anyhow::bail!("no disk")
    }
    #[supervised(name = "events: labelled panic")]
    async fn breaks() -> Result<(), TaskError> {
        panic!("boom")
    }
    #[supervised(name = "events: labelled, stubborn", grace = "1s")]
    async fn stubborn(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }
    #[supervised(
        name = "events: labelled, restarts",
        restart = "on-failure",
        backoff = "1s..1s",
        max_restarts = "1/1m"
    )]
    async fn fails() -> Result<(), std::io::Error> {
        Err(std::io::Error::other("no disk"))
    }

    let events = listen();
    let token = CancellationToken::new();
    let pool = Pool::new(4);
    pool.spawn(|token| late(token).label("pool")).await.unwrap();
    in_time(pool.drain(Duration::from_secs(10))).await.unwrap();
    breaks(&token).label("panic").await.unwrap_err();
    fails(&token).label("restart").await.unwrap_err();
    let group = Group::new(&token);
    group.spawn(|token| late(token).label("first")).await;
    group.spawn(|token| fails_late(token).label("second")).await;
    in_time(group.join()).await.unwrap_err();
    let fires = async { token.cancel() };
    _ = tokio::join!(stubborn(&token).label("grace"), fires);
    let events = events.lock().unwrap();
    let mut labels = Vec::new();
    for event in events.iter().filter(|event| event.level <= Level::WARN) {
        let label = event.fields.get("task.label").map_or("none", String::as_str);
        assert!(event.fields["message"].contains(&format!("` [{label}]")), "{event:#?}");
        labels.push(label);
    }
    assert_eq!(labels, ["pool", "panic", "restart", "restart", "second", "grace"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_pool_is_logged_once() {
    #[supervised(name = "events: pool panic")]
    async fn breaks(_: u32) -> anyhow::Result<()> {
        panic!("boom in a pool")
    }

    let events = listen();
    let pool = Pool::new(4);
    pool.spawn(|token| breaks(token, 0)).await.unwrap();
    pool.try_spawn(|token| breaks(token, "no number".parse().expect("a number"))).unwrap();
    in_time(pool.drain(Duration::from_secs(10))).await.unwrap();
    let events = events.lock().unwrap();
    let logged: Vec<_> =
        events.iter().map(|event| (event.level, &*event.fields["exception.message"])).collect();
    let [(Level::ERROR, closure), (Level::ERROR, "boom in a pool")] = logged[..] else {
        panic!("two events: {logged:#?}")
    };
    assert!(closure.starts_with("a number"), "{closure}");
}

#[tokio::test(start_paused = true)]
async fn unfinished_tasks_are_one_warning_over_several_drains() {
    #[supervised(name = "events: not drained", grace = "none")]
    async fn deaf(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    #[supervised(name = "events: cut short")]
    async fn cut_short() -> Result<(), TaskError> {
        pending().await
    }

    let events = listen();
    let pool = Pool::new(200);
    pool.spawn(deaf).await.unwrap();
    for _ in 0..100 {
        pool.spawn(cut_short).await.unwrap();
    }
    turn().await;
    let second = Duration::from_secs(1);
    let (first, other) =
        in_time(async { tokio::join!(pool.drain(second), pool.drain(second)) }).await;
    first.unwrap_err();
    other.unwrap_err();
    in_time(pool.drain(second)).await.unwrap_err();
    let events = events.lock().unwrap();
    let [event] = &events[..] else { panic!("one event: {events:#?}") };
    assert_eq!((event.level, &*event.fields["tasks"]), (Level::WARN, "101"));
    assert_eq!(event.fields["unfinished"].matches("events: not drained (task ").count(), 1);
    let cut = &event.fields["cut"];
    assert_eq!(cut.matches("events: cut short (task ").count(), 10, "10 are named: {cut}");
    assert!(
        cut.contains("; … 90 × events: cut short at ") && cut.ends_with(": cancelled"),
        "{cut}"
    );
    assert!(event.fields["message"].contains("events/main.rs"), "says where the pool was made");
}

#[tokio::test(start_paused = true)]
async fn tasks_that_a_dropped_drain_cut_are_one_warning() {
    #[supervised(name = "events: half a drain")]
    async fn wait() -> Result<(), TaskError> {
        pending().await
    }

    let events = listen();
    let pool = Pool::new(4);
    pool.spawn(wait).await.unwrap();
    let drain = pool.drain(Duration::from_secs(4));
    let mut drain = Box::pin(drain);
    tokio::time::timeout(Duration::from_secs(1), drain.as_mut()).await.unwrap_err();
    assert!(poll_once(drain.as_mut()).is_pending());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(poll_once(drain.as_mut()).is_pending(), "its tokens have fired");
    drop(drain);
    in_time(turn()).await;
    let events = events.lock().unwrap();
    let [event] = &events[..] else { panic!("one event: {events:#?}") };
    assert_eq!((event.level, &*event.fields["tasks"]), (Level::WARN, "1"));
    assert!(event.fields["cut"].starts_with("events: half a drain (task "), "{event:?}");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_warns_only_if_tasks_run() {
    #[supervised(name = "events: pool dropped")]
    async fn wait() -> Result<(), TaskError> {
        pending().await
    }

    let events = listen();
    drop(Pool::new(1));
    let drained = Pool::new(1);
    drained.spawn(wait).await.unwrap();
    in_time(drained.drain(Duration::ZERO)).await.unwrap_err();
    events.lock().unwrap().clear();
    drop(drained);
    let pool = Pool::new(1);
    pool.spawn(wait).await.unwrap();
    drop(pool);
    in_time(turn()).await;
    let events = events.lock().unwrap();
    let warnings: Vec<_> = events.iter().filter(|event| event.level == Level::WARN).collect();
    let [event] = &warnings[..] else { panic!("one warning: {events:#?}") };
    assert_eq!(&*event.fields["tasks"], "1");
    assert!(event.fields["message"].contains("events/main.rs"), "says where the pool was made");
    let list = &event.fields["unfinished"];
    assert!(list.starts_with("events: pool dropped (task "), "{list}");
    assert!(list.contains("): waiting, "), "{list}");
}

#[tokio::test]
async fn a_pool_that_is_dropped_with_many_tasks_names_10_of_them() {
    #[supervised(name = "events: of many")]
    async fn wait() -> Result<(), TaskError> {
        pending().await
    }

    let events = listen();
    let pool = Pool::new(76).name("events: named");
    for _ in 0..76 {
        pool.spawn(wait).await.unwrap();
    }
    drop(pool);
    let events = events.lock().unwrap();
    let [event] = &events[..] else { panic!("one warning: {events:#?}") };
    assert_eq!((event.level, &*event.fields["tasks"]), (Level::WARN, "76"));
    let list = &event.fields["unfinished"];
    assert_eq!(list.matches("events: of many (task ").count(), 10, "{list}");
    assert!(list.contains("; … 66 × events: of many, oldest "), "{list}");
    assert_eq!(event.fields["pool"], "events: named");
    let message = &event.fields["message"];
    assert!(message.starts_with("the pool `events: named` created at "), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_pool_counts_the_tasks_that_it_does_not_name() {
    #[supervised(name = "events: one of many")]
    async fn wait() -> Result<(), TaskError> {
        pending().await
    }

    let events = listen();
    for tasks in [11, 12, 13] {
        let pool = Pool::new(tasks);
        for _ in 0..tasks {
            pool.spawn(wait).await.unwrap();
        }
        drop(pool);
    }
    let events = events.lock().unwrap();
    let lists: Vec<_> = events.iter().filter_map(|event| event.fields.get("unfinished")).collect();
    let named = |list: &&String| list.matches("events: one of many (task ").count();
    assert_eq!(lists.iter().map(named).collect::<Vec<_>>(), [11, 10, 10]);
    let more = |list: &&String| Some(list.split_once("; … ")?.1.split_once(',')?.0.to_owned());
    let more: Vec<_> = lists.iter().map(more).collect();
    let counted = |count| Some(format!("{count} × events: one of many"));
    assert_eq!(more, [None, counted(2), counted(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_whose_last_handle_is_its_last_task_does_not_warn() {
    #[supervised(name = "events: own pool")]
    async fn holds(pool: Pool, ends: oneshot::Sender<()>) -> Result<(), TaskError> {
        turn().await;
        drop(pool);
        ends.send(()).unwrap();
        Ok(())
    }

    let events = listen();
    let pool = Pool::new(1);
    let slot = pool.reserve().await.unwrap();
    let (ends, has_ended) = oneshot::channel();
    slot.spawn(|token| holds(token, pool, ends));
    in_time(has_ended).await.unwrap();
    in_time(turn()).await;
    assert!(events.lock().unwrap().is_empty(), "{events:?}");
}

thread_local! {
    /// Where this thread's events go; each test has its own thread.
    static EVENTS: RefCell<Events> = RefCell::default();
}

/// The fields of events that have the number of other events.
const COUNTED: [&str; 2] = ["failures", "times"];

/// The counts of events of all threads: the end of any test's drain logs those of every function.
static COUNTS: Mutex<Vec<Event>> = Mutex::new(Vec::new());

/// Captures the events of this thread from now on.
fn listen() -> Events {
    static SUBSCRIBED: Once = Once::new();
    SUBSCRIBED.call_once(|| {
        let capture = Capture(|event: Event| {
            if COUNTED.iter().any(|count| event.fields.contains_key(count)) {
                COUNTS.lock().unwrap().push(event);
            } else {
                EVENTS.with_borrow(|events| events.lock().unwrap().push(event));
            }
        });
        let subscriber = tracing_subscriber::registry().with(capture).with(spans::Capture);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    let events = Events::default();
    EVENTS.set(events.clone());
    events
}
