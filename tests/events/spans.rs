//! The spans of spawned tasks: made at the spawn, entered at each poll, closed with the task.

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
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::support::{in_time, turn};

#[supervised(name = "spans: tells")]
async fn tells(line: &'static str) -> Result<(), TaskError> {
    tracing::info!(target: "spans", "{line}");
    turn().await;
    tracing::info!(target: "spans", "{line}");
    Ok(())
}

#[tokio::test]
async fn a_group_s_task_has_one_span_inside_that_of_its_group() {
    let told = capture();
    let request = tracing::info_span!(target: "spans", "request");
    let id = {
        let _inside = request.enter();
        let group = Group::new(&CancellationToken::new());
        let spawn = group.spawn(|token| tells(token, "hello"));
        in_time(spawn).await;
        group
    };
    drop(request);
    id.join().await.unwrap();
    let told = told.lock().unwrap();
    let [request, task] = &told.spans[..] else { panic!("two spans: {told:#?}") };
    assert_eq!((request.name, task.name), ("request", "task"));
    assert_eq!(task.fields["task.name"], "spans: tells");
    assert_eq!(task.parent.as_ref(), Some(&request.id));
    assert!(task.follows.is_empty());
    assert!(task.closed, "with the task");
    assert!(task.fields["task.id"].parse::<u64>().is_ok(), "{task:?}");
    let names: Vec<_> = task.fields.keys().copied().collect();
    assert_eq!(names, ["task.id", "task.name"], "nothing of the arguments");
    let inside: Vec<_> = told.events.iter().map(|event| event.inside.clone()).collect();
    assert_eq!(inside, [Some(task.id.clone()), Some(task.id.clone())], "in each poll");
}

#[tokio::test]
async fn the_span_of_a_labelled_task_has_the_label() {
    let told = capture();
    let (group, pool) = (Group::new(&CancellationToken::new()), Pool::new(1));
    in_time(group.spawn(|token| tells(token, "hello").label("10.0.0.7"))).await;
    group.join().await.unwrap();
    pool.spawn(|token| tells(token, "hello").label("10.0.0.8").boxed()).await.unwrap();
    pool.drain(Duration::from_secs(10)).await.unwrap();
    let told = told.lock().unwrap();
    let labels: Vec<_> = told.spans.iter().map(|span| &*span.fields["task.label"]).collect();
    assert_eq!(labels, ["10.0.0.7", "10.0.0.8"]);
}

#[tokio::test]
async fn a_group_s_task_follows_from_a_spawner_that_is_not_where_the_group_was_made() {
    let told = capture();
    let group = Group::new(&CancellationToken::new());
    let request = tracing::info_span!(target: "spans", "request");
    {
        let _inside = request.enter();
        let spawn = group.spawn(|token| tells(token, "hello"));
        in_time(spawn).await;
    }
    group.join().await.unwrap();
    let told = told.lock().unwrap();
    let [request, task] = &told.spans[..] else { panic!("two spans: {told:#?}") };
    assert_eq!(task.parent, None, "as the group");
    assert_eq!(task.follows, std::slice::from_ref(&request.id));
}

#[tokio::test]
async fn a_pool_s_task_has_a_span_of_its_own_that_follows_from_its_spawner_s() {
    let told = capture();
    let pool = Pool::new(1);
    let request = tracing::info_span!(target: "spans", "request");
    {
        let _inside = request.enter();
        pool.try_spawn(|token| tells(token, "hello")).unwrap();
    }
    in_time(pool.drain(Duration::from_secs(60))).await.unwrap();
    let told = told.lock().unwrap();
    let [request, task] = &told.spans[..] else { panic!("two spans: {told:#?}") };
    assert_eq!(task.parent, None);
    assert_eq!(task.follows, std::slice::from_ref(&request.id));
    assert!(task.closed && !request.closed);
}

#[tokio::test]
async fn a_runner_of_a_map_has_a_span_inside_that_of_who_called_the_map() {
    let told = capture();
    let request = tracing::info_span!(target: "spans", "request");
    let mapped = {
        let token = CancellationToken::new();
        let mut mapped = Box::pin(map(&token, ["a", "b", "c"], tells).limit(2));
        let _inside = request.enter();
        assert!(crate::poll_once(mapped.as_mut()).is_pending());
        mapped
    };
    in_time(mapped).await.unwrap();
    let told = told.lock().unwrap();
    let (request, tasks) = told.spans.split_first().expect("spans");
    assert_eq!(tasks.len(), 2, "one for each worker: {told:#?}");
    for task in tasks {
        assert_eq!((task.name, task.parent.as_ref()), ("task", Some(&request.id)));
    }
}

#[tokio::test]
async fn what_the_boundary_tells_is_told_inside_the_task_s_span() {
    #[supervised(name = "spans: panics")]
    async fn panics() -> Result<(), TaskError> {
        panic!("boom")
    }
    #[supervised(name = "spans: fails")]
    async fn fails() -> anyhow::Result<()> {
        anyhow::bail!("no")
    }
    struct TellsAtDrop;
    impl Drop for TellsAtDrop {
        fn drop(&mut self) {
            tracing::info!(target: "spans", "let go");
        }
    }
    #[supervised(name = "spans: dropped")]
    async fn dropped(held: TellsAtDrop) -> Result<(), TaskError> {
        let _held = held;
        pending().await
    }

    let told = capture();
    let pool = Pool::new(3);
    pool.try_spawn(panics).unwrap();
    pool.try_spawn(fails).unwrap();
    pool.try_spawn(|token| dropped(token, TellsAtDrop)).unwrap();
    turn().await;
    drop(pool);
    in_time(async {
        while told.lock().unwrap().events.len() < 4 {
            turn().await;
        }
    })
    .await;
    let told = told.lock().unwrap();
    let inside = |message: &str| {
        let event = told.events.iter().find(|event| event.message.contains(message));
        let id = event.and_then(|event| event.inside.clone()).expect("an event inside a span");
        let span = told.spans.iter().find(|span| span.id == id).expect("the span is known");
        span.fields["task.name"].clone()
    };
    assert_eq!(inside("boom"), "spans: panics");
    assert_eq!(inside("of a pool ended as error"), "spans: fails");
    assert_eq!(inside("let go"), "spans: dropped");
}

#[tokio::test]
async fn a_run_that_is_awaited_where_it_is_called_has_no_span() {
    let told = capture();
    tells(&CancellationToken::new(), "inline").await.unwrap();
    assert!(told.lock().unwrap().spans.is_empty());
}

#[derive(Debug)]
struct Told {
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
pub(crate) struct Heard {
    spans: Vec<Told>,
    events: Vec<Event>,
}

type Shared = Arc<Mutex<Heard>>;

thread_local! {
    /// Each test has a thread of its own.
    static HEARD: RefCell<Shared> = RefCell::default();
}

/// Captures the spans of this thread, and what is told inside them, from now on.
fn capture() -> Shared {
    crate::listen();
    let heard = Shared::default();
    HEARD.set(heard.clone());
    heard
}

pub(crate) struct Capture;

fn is_ours(target: &str) -> bool {
    matches!(target, "tokio_supervised" | "spans")
}

fn with_heard(look: impl FnOnce(&mut Heard)) {
    HEARD.with_borrow(|heard| look(&mut heard.lock().unwrap()));
}

fn with_span(id: &Id, look: impl FnOnce(&mut Told)) {
    with_heard(|heard| {
        if let Some(span) = heard.spans.iter_mut().find(|span| span.id == *id) {
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
        let told =
            Told { id: id.clone(), name, parent, follows: Vec::new(), fields, closed: false };
        with_heard(|heard| heard.spans.push(told));
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
        with_heard(|heard| heard.events.push(Event { message, inside }));
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
