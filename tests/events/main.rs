//! What is told through `tracing`, once each.
//!
//! A program of its own, with one subscriber for all its tests, set before any of them tells a thing: `tracing`
//! remembers for each place whether anyone listens, and a place that is first reached on a thread without a
//! subscriber, while another thread sets its own, can be remembered as unheard.

#![allow(clippy::unwrap_used, dead_code)]

mod error_text;
mod services;
mod spans;
#[path = "../behaviour/support.rs"]
mod support;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Debug,
    future::pending,
    sync::{Arc, Mutex, Once},
    time::Duration,
};

use tokio::sync::oneshot;
use tokio_supervised::{CancellationToken, Group, Pool, TaskError, supervised};
use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt};

use crate::support::{in_time, poll_once, turn};

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
    assert!(!event.fields.contains_key("exception.stacktrace"), "no worker symbolises it");
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
        anyhow::bail!("as it was asked to")
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
        assert_eq!(event.fields["error"], "as it was asked to");
        let message = format!(
            "task `events: restarts` ended as `error` (as it was asked to): restart {number} in 2s"
        );
        assert_eq!(event.fields["message"], message);
    }
    assert_eq!((last.level, last.name()), (Level::WARN, "events: restarts"));
    assert!(!last.fields.contains_key("error"), "the caller has it: {last:#?}");
    assert_eq!(last.fields["outcome"], "error");
    assert_eq!((&*last.fields["restarts"], &*last.fields["window"]), ("2", "60s"));
}

#[tokio::test(start_paused = true)]
async fn a_restart_after_a_panic_is_told_beside_the_panic() {
    #[supervised(name = "events: panics", restart = "on-failure", max_restarts = "1/1m")]
    async fn panics() {
        panic!("boom")
    }

    let events = listen();
    panics(&CancellationToken::new()).await;
    let events = events.lock().unwrap();
    let told: Vec<_> =
        events.iter().map(|event| (event.level, event.fields.contains_key("outcome"))).collect();
    let (panic, restart, gave_up) =
        ((Level::ERROR, false), (Level::WARN, true), (Level::WARN, true));
    assert_eq!(told, [panic, restart, panic, gave_up]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_reports_a_call_that_gave_up_once_at_error() {
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
    let told: Vec<_> =
        events.iter().map(|event| (event.level, event.fields.contains_key("error"))).collect();
    assert_eq!(told, [(Level::WARN, true), (Level::WARN, false), (Level::ERROR, true)]);
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
        "task `events: no timer` ended as `error` (the disk is full): it cannot restart, since its \
         runtime has no timer"
    );
    assert_eq!((panic.level, &*panic.fields["exception.type"]), (Level::ERROR, "panic"));
}

#[tokio::test(start_paused = true)]
async fn a_function_without_a_result_tells_what_it_cannot_return() {
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
    let told: Vec<_> = events.iter().map(|event| (event.level, event.name())).collect();
    assert_eq!(told, [(Level::WARN, "events: timeout"), (Level::WARN, "events: rejected")]);
}

#[tokio::test]
async fn a_group_that_is_dropped_unjoined_warns_unless_its_token_had_fired() {
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
async fn a_failure_of_a_pools_task_is_one_error_and_a_cancellation_is_none() {
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
    let told: Vec<_> = events.iter().map(|event| (event.level, event.name())).collect();
    assert_eq!(told, [(Level::ERROR, "events: fails"), (Level::ERROR, "events: too slow")]);
    assert_eq!(events[0].fields["outcome"], "error");
    assert_eq!(events[0].fields["error"], "saving: the disk is full");
    assert!(events[0].fields.contains_key("task.id"));
    assert_eq!(events[1].fields["outcome"], "timed_out");
    assert_eq!(events[1].fields["error"], "task `events: too slow` timed out after 1s");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_pool_is_told_once_of_a_task_and_of_a_closure() {
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
    let told: Vec<_> =
        events.iter().map(|event| (event.level, &*event.fields["exception.message"])).collect();
    let [(Level::ERROR, closure), (Level::ERROR, "boom in a pool")] = told[..] else {
        panic!("two events: {told:#?}")
    };
    assert!(closure.starts_with("a number"), "{closure}");
}

#[tokio::test(start_paused = true)]
async fn what_did_not_finish_is_one_warning_however_often_the_pool_is_drained() {
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
    assert_eq!(cut.matches("events: cut short (task ").count(), 63, "64 are named: {cut}");
    assert!(cut.ends_with("; and 37 more"), "{cut}");
    assert!(event.fields["message"].contains("events/main.rs"), "says where the pool was made");
}

#[tokio::test(start_paused = true)]
async fn what_a_dropped_drain_cut_is_a_warning_without_another_drain() {
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
async fn a_pool_whose_last_handle_is_dropped_warns_only_where_something_runs() {
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
async fn a_pool_that_is_dropped_with_many_tasks_names_64_of_them() {
    #[supervised(name = "events: of many")]
    async fn wait() -> Result<(), TaskError> {
        pending().await
    }

    let events = listen();
    let pool = Pool::new(76);
    for _ in 0..76 {
        pool.spawn(wait).await.unwrap();
    }
    drop(pool);
    let events = events.lock().unwrap();
    let [event] = &events[..] else { panic!("one warning: {events:#?}") };
    assert_eq!((event.level, &*event.fields["tasks"]), (Level::WARN, "76"));
    let list = &event.fields["unfinished"];
    assert_eq!(list.matches("events: of many (task ").count(), 64, "{list}");
    assert!(list.ends_with("; and 12 more"), "{list}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_pool_counts_the_tasks_that_it_does_not_name() {
    #[supervised(name = "events: one of many")]
    async fn wait() -> Result<(), TaskError> {
        pending().await
    }

    let events = listen();
    for tasks in [64, 65, 66] {
        let pool = Pool::new(tasks);
        for _ in 0..tasks {
            pool.spawn(wait).await.unwrap();
        }
        drop(pool);
    }
    let events = events.lock().unwrap();
    let lists: Vec<_> = events.iter().filter_map(|event| event.fields.get("unfinished")).collect();
    let named = |list: &&String| list.matches("events: one of many (task ").count();
    assert_eq!(lists.iter().map(named).collect::<Vec<_>>(), [64, 64, 64]);
    let more = |list: &&String| list.split_once("; and ").map(|(_, more)| more.to_owned());
    let more: Vec<_> = lists.iter().map(more).collect();
    assert_eq!(more, [None, Some("1 more".to_owned()), Some("2 more".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_whose_last_handle_is_its_last_task_warns_nobody() {
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

#[derive(Debug)]
struct Told {
    level: Level,
    fields: BTreeMap<&'static str, String>,
}

impl Told {
    fn name(&self) -> &str {
        &self.fields["task.name"]
    }
}

type Events = Arc<Mutex<Vec<Told>>>;

thread_local! {
    /// Where this thread's events go: each test has a thread of its own.
    static HEARD: RefCell<Events> = RefCell::default();
}

/// Captures what this thread's code tells from now on.
fn listen() -> Events {
    static SUBSCRIBED: Once = Once::new();
    SUBSCRIBED.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Capture).with(spans::Capture);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    let events = Events::default();
    HEARD.set(events.clone());
    events
}

struct Capture;

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target() != "tokio_supervised" || *metadata.level() > Level::INFO {
            return;
        }
        let mut told = Told { level: *metadata.level(), fields: BTreeMap::new() };
        event.record(&mut told);
        HEARD.with_borrow(|events| events.lock().unwrap().push(told));
    }
}

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}
