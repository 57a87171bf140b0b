//! What is told through `tracing`, once each.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    future::pending,
    sync::{Arc, Mutex},
};

use tokio_supervised::{CancellationToken, Group, TaskError, supervised};
use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt};

use crate::support::{in_time, turn};

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

    let (events, _guard) = listen();
    outer(&CancellationToken::new()).await.unwrap_err();
    let events = events.lock().unwrap();
    let [event] = &events[..] else { panic!("one event: {events:#?}") };
    assert_eq!(event.level, Level::ERROR);
    assert_eq!(event.fields["task.name"], "events: panic");
    assert_eq!(event.fields["exception.type"], "panic");
    assert_eq!(event.fields["exception.message"], "boom");
    assert!(event.fields["exception.stacktrace"].contains("inner"));
    assert!(event.fields["code.file.path"].ends_with("events.rs"));
    assert!(event.fields.contains_key("code.line.number"));
}

#[tokio::test(start_paused = true)]
async fn a_spent_grace_is_one_warning_that_names_the_task() {
    #[supervised(name = "events: stubborn", grace = "1s")]
    async fn stubborn(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let (events, _guard) = listen();
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

    let (events, _guard) = listen();
    let token = CancellationToken::new();
    wait(&token).await;
    let mut first = Box::pin(full(&token));
    assert!(crate::support::poll_once(first.as_mut()).is_pending());
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

    let (events, _guard) = listen();
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
    assert!(event.fields["message"].contains("events.rs"), "says where the group was made");
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

/// Captures what this thread's code tells.
fn listen() -> (Events, DefaultGuard) {
    let events = Events::default();
    let subscriber = tracing_subscriber::registry().with(Capture(events.clone()));
    (events, tracing::subscriber::set_default(subscriber))
}

struct Capture(Events);

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "tokio_supervised"
            || *event.metadata().level() > Level::INFO
        {
            return;
        }
        let mut told = Told { level: *event.metadata().level(), fields: BTreeMap::new() };
        event.record(&mut told);
        self.0.lock().unwrap().push(told);
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
