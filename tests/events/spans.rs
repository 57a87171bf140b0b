//! The spans of spawned tasks: created at the spawn, entered at each poll, closed with the task.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Debug,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio_supervised::{CancellationToken, Group, Pool, TaskError, map, supervised};
use tracing::{
    Instrument, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use testkit::{in_time, turn};

#[supervised(name = "spans: logs")]
async fn logs(line: &'static str) -> Result<(), TaskError> {
    tracing::info!(target: "spans", "{line}");
    turn().await;
    tracing::info!(target: "spans", "{line}");
    Ok(())
}

#[tokio::test]
async fn a_task_of_a_group_has_one_span_inside_that_of_its_group() {
    let log = capture();
    let request = tracing::info_span!(target: "spans", "request");
    let id = {
        let _inside = request.enter();
        let group = Group::new(&CancellationToken::new());
        let spawn = group.spawn(|token| logs(token, "hello"));
        in_time(spawn).await;
        group
    };
    drop(request);
    id.join().await.unwrap();
    let log = log.lock().unwrap();
    let [request, task] = &log.spans[..] else { panic!("two spans: {log:#?}") };
    assert_eq!((request.name, task.name), ("request", "task"));
    assert_eq!(task.fields["task.name"], "spans: logs");
    assert_eq!(task.parent.as_ref(), Some(&request.id));
    assert!(task.follows.is_empty());
    assert!(task.closed, "the span closes with the task");
    assert!(task.fields["task.id"].parse::<u64>().is_ok(), "{task:?}");
    let names: Vec<_> = task.fields.keys().copied().collect();
    assert_eq!(names, ["task.id", "task.name"], "the arguments are not recorded");
    let inside: Vec<_> = log.events.iter().map(|event| event.inside.clone()).collect();
    assert_eq!(
        inside,
        [Some(task.id.clone()), Some(task.id.clone())],
        "the span is entered at each poll"
    );
}

#[tokio::test]
async fn the_span_of_a_labelled_task_has_the_label() {
    let log = capture();
    let (group, pool) = (Group::new(&CancellationToken::new()), Pool::new(1));
    in_time(group.spawn(|token| logs(token, "hello").label("10.0.0.7"))).await;
    group.join().await.unwrap();
    pool.spawn(|token| logs(token, "hello").label("10.0.0.8").boxed()).await.unwrap();
    pool.drain(Duration::from_secs(10)).await.unwrap();
    let log = log.lock().unwrap();
    let labels: Vec<_> = log.spans.iter().map(|span| &*span.fields["task.label"]).collect();
    assert_eq!(labels, ["10.0.0.7", "10.0.0.8"]);
}

#[tokio::test]
async fn a_task_of_a_group_follows_from_a_foreign_spawner() {
    let log = capture();
    let group = Group::new(&CancellationToken::new());
    let request = tracing::info_span!(target: "spans", "request");
    {
        let _inside = request.enter();
        let spawn = group.spawn(|token| logs(token, "hello"));
        in_time(spawn).await;
    }
    group.join().await.unwrap();
    let log = log.lock().unwrap();
    let [request, task] = &log.spans[..] else { panic!("two spans: {log:#?}") };
    assert_eq!(task.parent, None, "the same as for the group");
    assert_eq!(task.follows, std::slice::from_ref(&request.id));
}

#[tokio::test]
async fn a_task_of_a_pool_has_a_span_that_follows_from_its_spawner() {
    let log = capture();
    let pool = Pool::new(1);
    let request = tracing::info_span!(target: "spans", "request");
    {
        let _inside = request.enter();
        pool.try_spawn(|token| logs(token, "hello")).unwrap();
    }
    in_time(pool.drain(Duration::from_secs(60))).await.unwrap();
    let log = log.lock().unwrap();
    let [request, task] = &log.spans[..] else { panic!("two spans: {log:#?}") };
    assert_eq!(task.parent, None);
    assert_eq!(task.follows, std::slice::from_ref(&request.id));
    assert!(task.closed && !request.closed);
}

#[tokio::test]
async fn a_worker_of_a_map_has_a_span_inside_that_of_the_caller() {
    let log = capture();
    let request = tracing::info_span!(target: "spans", "request");
    let mapped = {
        let token = CancellationToken::new();
        let mut mapped = Box::pin(map(&token, ["a", "b", "c"], logs).limit(2));
        let _inside = request.enter();
        assert!(crate::poll_once(mapped.as_mut()).is_pending());
        mapped
    };
    in_time(mapped).await.unwrap();
    let log = log.lock().unwrap();
    let (request, tasks) = log.spans.split_first().expect("spans");
    assert_eq!(tasks.len(), 2, "one for each worker: {log:#?}");
    for task in tasks {
        assert_eq!((task.name, task.parent.as_ref()), ("task", Some(&request.id)));
    }
}

#[tokio::test]
async fn events_of_a_task_are_logged_inside_its_span() {
    #[supervised(name = "spans: panics")]
    async fn panics() -> Result<(), TaskError> {
        panic!("boom")
    }
    #[supervised(name = "spans: fails")]
    async fn fails() -> anyhow::Result<()> {
        anyhow::bail!("no")
    }
    struct LogsOnDrop;
    impl Drop for LogsOnDrop {
        fn drop(&mut self) {
            tracing::info!(target: "spans", "let go");
        }
    }
    #[supervised(name = "spans: dropped")]
    async fn dropped(held: LogsOnDrop) -> Result<(), TaskError> {
        let _held = held;
        pending().await
    }

    let log = capture();
    let pool = Pool::new(3);
    pool.try_spawn(panics).unwrap();
    pool.try_spawn(fails).unwrap();
    pool.try_spawn(|token| dropped(token, LogsOnDrop)).unwrap();
    turn().await;
    drop(pool);
    in_time(async {
        while log.lock().unwrap().events.len() < 4 {
            turn().await;
        }
    })
    .await;
    let log = log.lock().unwrap();
    let inside = |message: &str| {
        let event = log.events.iter().find(|event| event.message.contains(message));
        let id = event.and_then(|event| event.inside.clone()).expect("an event inside a span");
        let span = log.spans.iter().find(|span| span.id == id).expect("the span is known");
        span.fields["task.name"].clone()
    };
    assert_eq!(inside("boom"), "spans: panics");
    assert_eq!(inside("of a pool ended as error"), "spans: fails");
    assert_eq!(inside("let go"), "spans: dropped");
}

#[tokio::test]
async fn a_count_of_failures_is_logged_outside_of_any_span() {
    #[supervised(name = "spans: counted")]
    async fn fails() -> anyhow::Result<()> {
        anyhow::bail!("no")
    }

    capture();
    let request = tracing::info_span!(target: "spans", "request");
    let pool = Pool::new(20);
    for _ in 0..20 {
        pool.try_spawn(fails).unwrap();
    }
    let drain = async {
        turn().await;
        pool.drain(Duration::from_secs(10)).await.unwrap();
    };
    in_time(drain.instrument(request)).await;
    let is_ours = |event: &&Event| event.message.contains("`spans: counted` of a pool failed");
    let counts = COUNTS.lock().unwrap();
    let inside: Vec<_> = counts.iter().filter(is_ours).map(|event| &event.inside).collect();
    assert!(!inside.is_empty() && inside.iter().all(|inside| inside.is_none()), "{inside:?}");
}

#[tokio::test]
async fn a_run_that_is_awaited_inline_has_no_span() {
    let log = capture();
    logs(&CancellationToken::new(), "inline").await.unwrap();
    assert!(log.lock().unwrap().spans.is_empty());
}

#[derive(Debug)]
struct Span {
    id: Id,
    name: &'static str,
    parent: Option<Id>,
    follows: Vec<Id>,
    fields: BTreeMap<&'static str, String>,
    closed: bool,
}

#[derive(Debug)]
struct Event {
    message: String,
    inside: Option<Id>,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    spans: Vec<Span>,
    events: Vec<Event>,
}

type Shared = Arc<Mutex<Log>>;

thread_local! {
    /// Each test has its own thread.
    static LOG: RefCell<Shared> = RefCell::default();
}

/// The counts of events of all threads: the end of any test's drain logs those of every function.
static COUNTS: Mutex<Vec<Event>> = Mutex::new(Vec::new());

/// Captures the spans of this thread, and the events inside them, from now on.
fn capture() -> Shared {
    crate::listen();
    let log = Shared::default();
    LOG.set(log.clone());
    log
}

pub(crate) struct Capture;

fn is_ours(target: &str) -> bool {
    matches!(target, "tokio_supervised" | "spans")
}

fn with_log(look: impl FnOnce(&mut Log)) {
    LOG.with_borrow(|log| look(&mut log.lock().unwrap()));
}

fn with_span(id: &Id, look: impl FnOnce(&mut Span)) {
    with_log(|log| {
        if let Some(span) = log.spans.iter_mut().find(|span| span.id == *id) {
            look(span);
        }
    });
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !is_ours(attributes.metadata().target()) {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = context.span(id).and_then(|span| span.parent()).map(|parent| parent.id());
        let name = attributes.metadata().name();
        let fields = fields.0;
        let span =
            Span { id: id.clone(), name, parent, follows: Vec::new(), fields, closed: false };
        with_log(|log| log.spans.push(span));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        with_span(id, |span| {
            let mut fields = Fields::default();
            values.record(&mut fields);
            span.fields.extend(fields.0);
        });
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _: Context<'_, S>) {
        with_span(id, |span| span.follows.push(follows.clone()));
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        with_span(&id, |span| span.closed = true);
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        if !is_ours(event.metadata().target()) {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.0.remove("message").unwrap_or_default();
        let inside = context.event_span(event).map(|span| span.id());
        let logged = Event { message, inside };
        if crate::COUNTED.iter().any(|count| fields.0.contains_key(count)) {
            COUNTS.lock().unwrap().push(logged);
        } else {
            with_log(|log| log.events.push(logged));
        }
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}
