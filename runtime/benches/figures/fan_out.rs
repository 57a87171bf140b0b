//! Many items, sixteen at once, results in their order: row 3.

use std::{future::Future, hint::black_box, panic::AssertUnwindSafe, sync::Arc};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinSet, yield_now},
};
use tokio_supervised::{CancellationToken, TaskError, map, supervised};

use crate::{
    contest::{self, Contender, Goal},
    settings::Settings,
};

const LIMIT: usize = 16;

async fn ready(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

async fn yielding(n: u64) -> Result<u64, TaskError> {
    yield_now().await;
    Ok(black_box(n))
}

#[supervised]
async fn supervised_ready(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

#[supervised]
async fn supervised_yielding(n: u64) -> Result<u64, TaskError> {
    yield_now().await;
    Ok(black_box(n))
}

/// Why a fan-out by hand gave nothing.
#[derive(Debug)]
enum Failure {
    Failed,
    Panicked,
    Cancelled,
}

type Joined = Result<(usize, Result<u64, Failure>), JoinError>;

/// A task for each item; the first failure stops the rest; finished tasks are joined on the way, so that
/// memory grows with the limit.
async fn by_hand<F>(
    token: CancellationToken,
    items: u64,
    work: impl Fn(u64) -> F,
) -> Result<Vec<u64>, Failure>
where
    F: Future<Output = Result<u64, TaskError>> + Send + 'static,
{
    let token = token.child_token();
    let permits = Arc::new(Semaphore::new(LIMIT));
    let mut tasks = JoinSet::new();
    let mut results = Vec::new();
    let mut failure = None;
    let mut keep = |results: &mut Vec<Option<u64>>, joined: Joined| match joined {
        Ok((index, Ok(value))) => results[index] = Some(value),
        Ok((_, Err(error))) => {
            failure.get_or_insert(error);
            token.cancel();
        }
        Err(_) => {
            failure.get_or_insert(Failure::Panicked);
            token.cancel();
        }
    };
    for (index, item) in (0..items).enumerate() {
        let acquired = token.run_until_cancelled(permits.clone().acquire_owned()).await;
        let Some(Ok(permit)) = acquired else { break };
        while let Some(joined) = tasks.try_join_next() {
            keep(&mut results, joined);
        }
        results.push(None);
        let run = AssertUnwindSafe(work(item)).catch_unwind();
        let token = token.clone();
        tasks.spawn(async move {
            let ended = token.run_until_cancelled(run).await;
            drop(permit);
            let ended = match ended {
                Some(Ok(Ok(value))) => Ok(value),
                Some(Ok(Err(_))) => Err(Failure::Failed),
                Some(Err(_)) => Err(Failure::Panicked),
                None => Err(Failure::Cancelled),
            };
            (index, ended)
        });
    }
    while let Some(joined) = tasks.join_next().await {
        keep(&mut results, joined);
    }
    match failure {
        Some(error) => Err(error),
        None if token.is_cancelled() => Err(Failure::Cancelled),
        None => Ok(results.into_iter().flatten().collect()),
    }
}

/// What `futures` offers: everything in the caller's task. It catches nothing and has no token.
async fn buffered<F>(items: u64, work: impl Fn(u64) -> F) -> Result<Vec<u64>, TaskError>
where
    F: Future<Output = Result<u64, TaskError>>,
{
    stream::iter(0..items).map(work).buffered(LIMIT).try_collect().await
}

/// One round, in a task of the runtime: there the hand-written program is quickest. The results are
/// looked at, so that none can have gone missing.
fn round<E: std::fmt::Debug + Send + 'static>(
    settings: &Settings,
    runtime: &tokio::runtime::Runtime,
    fan_out: impl Future<Output = Result<Vec<u64>, E>> + Send + 'static,
) {
    let joined = runtime.block_on(runtime.spawn(fan_out));
    let results = joined.expect("a fan-out does not panic").expect("no item fails");
    assert_eq!(results.len() as u64, settings.items);
    assert!(results.windows(2).all(|pair| pair[0] + 1 == pair[1]), "results are out of order");
}

pub(crate) fn run(settings: &Settings) {
    let runtime = &settings.all_cores();
    let token = &CancellationToken::new();
    let items = settings.items;
    println!(
        "\n3  fan-out, limit {LIMIT}, {items} items, results in order, panics caught, cancellable"
    );

    let times = contest::hold(
        vec![
            Contender::new("ours", || {
                let token = token.clone();
                round(settings, runtime, async move {
                    map(&token, 0..items, supervised_ready).limit(LIMIT).await
                });
            }),
            Contender::new("hand", || {
                round(settings, runtime, by_hand(token.clone(), items, ready));
            }),
            Contender::new("buffered", || round(settings, runtime, buffered(items, ready))),
        ],
        settings.rounds,
        items,
    );
    print("ready at once", &times, &Goal::AtMost { goal: 0.08, aim: 0.06 });

    let times = contest::hold(
        vec![
            Contender::new("ours", || {
                let token = token.clone();
                round(settings, runtime, async move {
                    map(&token, 0..items, supervised_yielding).limit(LIMIT).await
                });
            }),
            Contender::new("hand", || {
                round(settings, runtime, by_hand(token.clone(), items, yielding));
            }),
            Contender::new("buffered", || round(settings, runtime, buffered(items, yielding))),
        ],
        settings.rounds,
        items,
    );
    print("each yields once", &times, &Goal::AtMost { goal: 0.25, aim: 0.2 });
}

fn print(items: &str, times: &contest::Times, goal: &Goal) {
    contest::print_nanos(&format!("{items}: map"), &times.nanos("ours"));
    contest::print_nanos(
        &format!("{items}: JoinSet + Semaphore + token + catch_unwind"),
        &times.nanos("hand"),
    );
    contest::print_nanos(&format!("{items}: futures buffered"), &times.nanos("buffered"));
    contest::print_ratio(&format!("{items}: map to by hand"), &times.ratio("ours", "hand"), goal);
    contest::print_ratio(
        &format!("{items}: map to futures buffered"),
        &times.ratio("ours", "buffered"),
        &Goal::Below(1.0),
    );
}
