//! Spans, scopes, causes and records form no chain that grows with uptime.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
};
use tokio_supervised::{
    CancellationToken, Group, GroupHandle, LiveTask, TaskError, map, supervised, task, tasks,
};
use tracing::{Subscriber, span};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

use testkit::{fixture::child_passes, memory::resident_kilobytes};

/// Records the maximum nesting depth of spans.
struct Deepest(Arc<AtomicUsize>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Deepest {
    fn on_new_span(&self, _: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let depth = context.span_scope(id).map_or(0, Iterator::count);
        self.0.fetch_max(depth, Ordering::Relaxed);
    }
}

fn listen_globally() -> Arc<AtomicUsize> {
    let deepest = Arc::new(AtomicUsize::new(0));
    let subscriber = tracing_subscriber::registry().with(Deepest(deepest.clone()));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    deepest
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn two_workers() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

type Boxed = Pin<Box<dyn Future<Output = Result<(), TaskError>> + Send>>;

fn session(into: GroupHandle<(), TaskError>, left: u32) -> Boxed {
    Box::pin(async move {
        tracing::info!("connected");
        if left > 0 {
            let next = into.clone();
            into.spawn(task!("session", |_| -> Result<(), TaskError> {
                session(next, left - 1).await
            }))
            .await
            .unwrap();
        }
        Ok(())
    })
}

#[test]
fn the_spans_of_successors_do_not_nest() {
    let deepest = Arc::new(AtomicUsize::new(0));
    let subscriber = tracing_subscriber::registry().with(Deepest(deepest.clone()));
    tracing::subscriber::with_default(subscriber, || {
        current_thread().block_on(async {
            let group: Group<(), TaskError> = Group::new(&CancellationToken::new());
            let handle = group.handle();
            group
                .spawn(task!("session", |_| -> Result<(), TaskError> {
                    session(handle, 200).await
                }))
                .await;
            assert_eq!(group.join().await.unwrap().len(), 201);
        });
    });
    assert_eq!(
        deepest.load(Ordering::Relaxed),
        1,
        "each span is inside that of the group, which has none"
    );
}

/// Where a task stores the next group, which becomes its sibling.
#[derive(Default)]
struct Next {
    root: CancellationToken,
    group: Mutex<Option<Group<(), TaskError>>>,
}

/// Creates the next group and hands it out: directly, or from inside a map, which adds one more scope.
#[supervised(name = "chains: step")]
async fn step(token: &CancellationToken, next: Arc<Next>, mapped: bool) -> Result<(), TaskError> {
    if mapped {
        map(token, [next], hands_out).await.map(drop)
    } else {
        hands_out(token, next).await
    }
}

#[supervised(name = "chains: hands out")]
async fn hands_out(next: Arc<Next>) -> Result<(), TaskError> {
    *next.group.lock().unwrap() = Some(Group::new(&next.root));
    Ok(())
}

/// Hands on `steps` groups, each created by a task of the previous one, and returns the growth over the last half.
/// Each is joined only after `overlap` later ones exist.
async fn hand_on(steps: u32, overlap: usize, mapped: bool) -> usize {
    let next = Arc::new(Next::default());
    let mut group: Group<(), TaskError> = Group::new(&next.root);
    let mut before = std::collections::VecDeque::new();
    let mut half = 0;
    for at in 0..steps {
        let into = next.clone();
        group
            .spawn(task!("chains: handed on", |token| -> Result<(), TaskError> {
                step(&token, into, mapped).await
            }))
            .await;
        while next.group.lock().unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        before.push_back(group);
        if before.len() > overlap {
            before.pop_front().unwrap().join().await.unwrap();
        }
        group = next.group.lock().unwrap().take().unwrap();
        if at == steps / 2 {
            half = resident_kilobytes();
        }
    }
    let growth = resident_kilobytes().saturating_sub(half);
    drop(group);
    growth
}

fn handed_on_is_flat(overlap: usize, mapped: bool) {
    let steps = std::env::var("STEPS").map_or(40_000, |steps| steps.parse().unwrap());
    let growth = current_thread().block_on(hand_on(steps, overlap, mapped));
    println!("{growth} kB more");
    assert!(growth < 1_024, "{growth} kB are leaked");
}

#[test]
fn groups_that_are_handed_on_leak_nothing() {
    child_passes("composition::chains::fixture_handed_on");
}

#[test]
fn groups_that_are_handed_on_while_others_live_leak_nothing() {
    child_passes("composition::chains::fixture_handed_on_overlapping");
}

#[test]
fn groups_that_are_handed_on_out_of_a_map_leak_nothing() {
    child_passes("composition::chains::fixture_handed_on_by_a_map");
}

#[test]
fn groups_that_are_handed_on_leak_no_spans() {
    child_passes("composition::chains::fixture_handed_on_with_spans");
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_handed_on() {
    handed_on_is_flat(0, false);
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_handed_on_overlapping() {
    handed_on_is_flat(3, false);
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_handed_on_by_a_map() {
    handed_on_is_flat(0, true);
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_handed_on_with_spans() {
    let deepest = listen_globally();
    handed_on_is_flat(0, false);
    let deepest = deepest.load(Ordering::Relaxed);
    assert!(deepest <= 16, "{deepest}");
}

/// The kind of the nested scopes: groups or maps.
#[derive(Clone, Copy)]
enum Nest {
    Groups,
    Maps,
}

#[supervised(name = "chains: level")]
async fn level(
    token: CancellationToken,
    depth: u32,
    of: Nest,
    bottom: Arc<Notify>,
) -> Result<(), TaskError> {
    nest(token, depth, of, bottom).await
}

fn nest(token: CancellationToken, depth: u32, of: Nest, bottom: Arc<Notify>) -> Boxed {
    Box::pin(async move {
        if depth == 0 {
            bottom.notify_one();
            token.cancelled().await;
            return Err(TaskError::Cancelled(idle(&token).await.unwrap_err()));
        }
        match of {
            Nest::Groups => {
                let group: Group<(), TaskError> = Group::new(&token);
                group.spawn(move |token| level(token, depth - 1, of, bottom)).await;
                group.join().await.map(drop)
            }
            Nest::Maps => {
                let next = move |token, ()| level(token, depth - 1, of, bottom.clone());
                map(&token, [()], next).await.map(drop)
            }
        }
    })
}

/// Ends when its token fires.
async fn idle(token: &CancellationToken) -> Result<(), tokio_supervised::Cancelled> {
    #[supervised(name = "chains: idle")]
    async fn idle() -> Result<(), TaskError> {
        std::future::pending().await
    }
    match idle(token).await {
        Err(TaskError::Cancelled(cancelled)) => Err(cancelled),
        other => panic!("{other:?}"),
    }
}

/// Deep enough that a quadratic step is slow and a recursive one overflows.
const DEEP: u32 = 20_000;

/// A nest of scopes whose innermost task has started, and the token around it.
async fn nested(depth: u32, of: Nest) -> (Group<(), TaskError>, CancellationToken) {
    let (root, bottom) = (CancellationToken::new(), Arc::new(Notify::new()));
    let group: Group<(), TaskError> = Group::new(&root);
    let reached = bottom.clone();
    group.spawn(move |token| level(token, depth, of, reached)).await;
    bottom.notified().await;
    (group, root)
}

async fn all_have_ended() {
    while !tasks().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How long it takes to cancel, drop, shut down and draw a nest.
fn ends_of_a_nest(depth: u32, of: Nest) -> Duration {
    let started = Instant::now();
    let runtime = two_workers();
    runtime.block_on(async {
        let (group, root) = nested(depth, of).await;
        root.cancel();
        assert!(group.join().await.is_err());
        all_have_ended().await;

        let (group, _root) = nested(depth, of).await;
        drop(group);
        all_have_ended().await;

        let (group, _root) = nested(depth, of).await;
        let tasks = tasks();
        assert_eq!(tasks.len(), depth as usize + 1);
        let text = tasks.to_string();
        assert!(text.len() < tasks.len() * 256, "{}", text.len());
        std::mem::forget(group);
    });
    drop(runtime);
    started.elapsed()
}

fn is_linear(of: Nest) {
    // The first one pays for one-time initialisation.
    ends_of_a_nest(DEEP / 100, of);
    let short = ends_of_a_nest(DEEP / 8, of);
    let long = ends_of_a_nest(DEEP, of);
    println!("{short:?} for {}, {long:?} for {DEEP}", DEEP / 8);
    assert!(long < 32 * short, "eight times the depth takes {long:?} instead of {short:?}");
}

#[test]
fn a_deep_nest_of_groups_ends_in_linear_time() {
    child_passes("composition::chains::fixture_nested_groups");
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_nested_groups() {
    is_linear(Nest::Groups);
}

#[test]
fn a_deep_nest_of_maps_ends_in_linear_time() {
    child_passes("composition::chains::fixture_nested_maps");
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_nested_maps() {
    is_linear(Nest::Maps);
}

#[test]
fn a_deep_nest_with_spans_ends() {
    child_passes("composition::chains::fixture_nested_with_spans");
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_nested_with_spans() {
    let deepest = listen_globally();
    ends_of_a_nest(DEEP / 4, Nest::Groups);
    ends_of_a_nest(DEEP / 4, Nest::Maps);
    let deepest = deepest.load(Ordering::Relaxed);
    assert!(deepest <= 16, "{deepest}");
}

#[test]
fn a_task_with_a_long_name_is_shown() {
    let name: &'static str = Box::leak("ñ".repeat(65_600).into_boxed_str());
    current_thread().block_on(async {
        let group: Group<(), TaskError> = Group::new(&CancellationToken::new());
        let (started, has_started) = std::sync::mpsc::channel();
        group
            .spawn_blocking(name, move |token| {
                started.send(()).unwrap();
                while !token.is_cancelled() {
                    std::thread::yield_now();
                }
                Ok(())
            })
            .await;
        has_started.recv().unwrap();
        let tasks = tasks();
        let text = tasks.to_string();
        assert!(text.lines().all(|line| line.chars().count() < 1_024));
        let task = tasks.iter().find(|task| task.name == name).map(LiveTask::to_string);
        assert!(task.is_some_and(|line| line.chars().count() < 1_024));
        drop(group);
    });
}
