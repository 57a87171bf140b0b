//! The events that the crate logs, captured.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
    thread,
};

use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt};

/// One captured event.
#[derive(Debug)]
pub struct Event {
    /// Its level.
    pub level: Level,
    /// Its fields, formatted.
    pub fields: BTreeMap<&'static str, String>,
}

impl Event {
    /// A field, or an empty string.
    pub fn field(&self, name: &str) -> String {
        self.fields.get(name).cloned().unwrap_or_default()
    }

    /// The name of the task that the event is about.
    #[track_caller]
    pub fn name(&self) -> &str {
        &self.fields["task.name"]
    }
}

/// A list that grows while the tasks run.
pub type Events = Arc<Mutex<Vec<Event>>>;

/// Captures what this process logs above `DEBUG`, for a process that has one test.
pub fn listen() -> Events {
    let events = Events::default();
    let list = events.clone();
    let capture = Capture(move |event| list.lock().unwrap().push(event));
    let subscriber = tracing_subscriber::registry().with(capture);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    events
}

/// A layer that passes each event of the crate above `DEBUG` to a function.
#[derive(Debug)]
pub struct Capture<F>(pub F);

impl<S: Subscriber, F: Fn(Event) + 'static> Layer<S> for Capture<F> {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target() != "tokio_supervised" || *metadata.level() > Level::INFO {
            return;
        }
        let mut captured = Event { level: *metadata.level(), fields: BTreeMap::new() };
        event.record(&mut captured);
        (self.0)(captured);
    }
}

impl Visit for Event {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

/// Waits for the event that counts the failures that were not logged one by one, and returns it. Fails unless ten were
/// logged and all others counted once.
#[track_caller]
pub fn assert_ten_logged(mut logged: impl FnMut() -> Vec<Event>, others: usize) -> Event {
    let is_count = |event: &Event| event.fields.contains_key("failures");
    let mut events = logged();
    while !events.iter().any(is_count) {
        thread::yield_now();
        events.extend(logged());
    }
    let (mut counts, alone): (Vec<_>, Vec<_>) = events.into_iter().partition(is_count);
    let counted: Vec<_> = counts.iter().map(|event| event.field("failures")).collect();
    assert_eq!((alone.len(), counted), (10, vec![others.to_string()]), "{alone:#?}, {counts:#?}");
    counts.remove(0)
}
