//! What is told through `tracing`, once each.
//!
//! A program of its own, with one subscriber for all its tests, set before any of them tells a thing: `tracing`
//! remembers for each place whether anyone listens, and a place that is first reached on a thread without a
//! subscriber, while another thread sets its own, can be remembered as unheard.

#![allow(clippy::unwrap_used, dead_code)]

#[path = "../behaviour/support.rs"]
mod support;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Debug,
    future::pending,
    sync::{Arc, Mutex, Once},
};

use tokio_supervised::{CancellationToken, Group, TaskError, supervised};
use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt};

use crate::support::{in_time, poll_once, turn};

#[tokio::test]
async fn a_panic_is_one_error_event_with_its_place_and_backtrace() {
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
    assert!(event.fields["exception.stacktrace"].contains("inner"));
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
        let subscriber = tracing_subscriber::registry().with(Capture);
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
