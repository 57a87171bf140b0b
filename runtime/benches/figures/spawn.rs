//! Tasks of their own, of a future with ten states: row 4.

use std::{
    future::Future,
    hint::black_box,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use futures::FutureExt as _;
use tokio::{
    runtime::Runtime,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::yield_now,
};
use tokio_supervised::{CancellationToken, Group, SupervisedFuture, TaskError, supervised};
use tokio_util::task::TaskTracker;

use crate::{
    contest::{self, Contender, Goal, Times},
    settings::Settings,
};

const LIMIT: usize = 64;

/// A body with ten states: `$step` is awaited in each.
macro_rules! ten_states {
    ($step:expr) => {{
        let kept = black_box([7_u64; 4]);
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        $step.await;
        black_box(kept);
        Ok(())
    }};
}

/// An await that is ready, which the compiler cannot know.
async fn ready() {
    black_box(());
}

async fn at_once() -> Result<(), TaskError> {
    ten_states!(ready())
}

async fn yielding() -> Result<(), TaskError> {
    ten_states!(yield_now())
}

#[supervised]
async fn supervised_at_once() -> Result<(), TaskError> {
    ten_states!(ready())
}

#[supervised]
async fn supervised_yielding() -> Result<(), TaskError> {
    ten_states!(yield_now())
}

/// Why a group by hand failed.
#[derive(Debug)]
enum Failure {
    Failed,
    Panicked,
    Cancelled,
}

/// What the tasks of a group by hand share.
struct Shared {
    token: CancellationToken,
    failure: OnceLock<Failure>,
}

/// Bounded, cancellable, panics caught, the first failure stops the rest and is what returns. It keeps no
/// results, since the tasks have none.
async fn by_hand<F>(
    token: CancellationToken,
    limit: Option<usize>,
    tasks: u64,
    work: fn() -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), TaskError>> + Send + 'static,
{
    let shared = Arc::new(Shared { token: token.child_token(), failure: OnceLock::new() });
    let permits = limit.map(|limit| Arc::new(Semaphore::new(limit)));
    let tracker = TaskTracker::new();
    for _ in 0..tasks {
        let permit = match &permits {
            None => None,
            Some(permits) => {
                let acquire = permits.clone().acquire_owned();
                match shared.token.run_until_cancelled(acquire).await {
                    Some(Ok(permit)) => Some(permit),
                    _ => break,
                }
            }
        };
        tracker.spawn(one_by_hand(shared.clone(), permit, work()));
    }
    tracker.close();
    tracker.wait().await;
    let cancelled = shared.token.is_cancelled();
    match Arc::into_inner(shared).and_then(|shared| shared.failure.into_inner()) {
        Some(failure) => Err(failure),
        None if cancelled => Err(Failure::Cancelled),
        None => Ok(()),
    }
}

async fn one_by_hand(
    shared: Arc<Shared>,
    permit: Option<OwnedSemaphorePermit>,
    work: impl Future<Output = Result<(), TaskError>>,
) {
    let run = AssertUnwindSafe(work).catch_unwind();
    let failure = match shared.token.run_until_cancelled(run).await {
        Some(Ok(Ok(()))) => None,
        Some(Ok(Err(_))) => Some(Failure::Failed),
        Some(Err(_)) => Some(Failure::Panicked),
        None => Some(Failure::Cancelled),
    };
    drop(permit);
    if let Some(failure) = failure {
        _ = shared.failure.set(failure);
        shared.token.cancel();
    }
}

async fn grouped<S>(
    token: CancellationToken,
    limit: Option<usize>,
    tasks: u64,
    work: fn(CancellationToken) -> S,
) -> Result<(), TaskError>
where
    S: SupervisedFuture<Value = (), Error = TaskError> + Send + 'static,
{
    let mut group = Group::new(&token);
    if let Some(limit) = limit {
        group = group.limit(limit);
    }
    for _ in 0..tasks {
        group.spawn(work).await;
    }
    let results = group.join().await?;
    assert_eq!(results.len() as u64, tasks);
    Ok(())
}

/// One round, in a task of the runtime: there the hand-written program is quickest.
fn round<E: std::fmt::Debug + Send + 'static>(
    runtime: &Runtime,
    group: impl Future<Output = Result<(), E>> + Send + 'static,
) {
    let joined = runtime.block_on(runtime.spawn(group));
    joined.expect("a group does not panic").expect("no task fails");
}

pub(crate) fn run(settings: &Settings) {
    let runtime = &settings.all_cores();
    println!("\n4  {} spawns of a future with ten states", settings.tasks);
    for (limit, bound) in [(Some(LIMIT), format!("limit {LIMIT}")), (None, "no limit".to_owned())] {
        let times = hold(settings, runtime, limit, at_once, supervised_at_once);
        print(&format!("ten awaits, ready, {bound}"), &times);
        let times = hold(settings, runtime, limit, yielding, supervised_yielding);
        print(&format!("ten awaits, each yields once, {bound}"), &times);
    }
}

fn hold<F, S>(
    settings: &Settings,
    runtime: &Runtime,
    limit: Option<usize>,
    work: fn() -> F,
    supervised: fn(CancellationToken) -> S,
) -> Times
where
    F: Future<Output = Result<(), TaskError>> + Send + 'static,
    S: SupervisedFuture<Value = (), Error = TaskError> + Send + 'static,
{
    let token = &CancellationToken::new();
    let tasks = settings.tasks;
    contest::hold(
        vec![
            Contender::new("ours", || {
                round(runtime, grouped(token.clone(), limit, tasks, supervised));
            }),
            Contender::new("hand", || {
                round(runtime, by_hand(token.clone(), limit, tasks, work));
            }),
        ],
        settings.rounds,
        tasks,
    )
}

fn print(what: &str, times: &Times) {
    contest::print_nanos(&format!("{what}: Group"), &times.nanos("ours"));
    contest::print_nanos(&format!("{what}: TaskTracker by hand"), &times.nanos("hand"));
    contest::print_ratio(
        &format!("{what}: Group to by hand"),
        &times.ratio("ours", "hand"),
        &Goal::AtMost { goal: 0.8, aim: 0.8 },
    );
}
