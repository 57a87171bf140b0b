//! Many items, sixteen at once, results in their order: row 3.

mod by_hand;
mod combinators;

use std::{fmt::Debug, future::Future, hint::black_box};

use futures::{TryStreamExt as _, stream};
use tokio::{runtime::Runtime, task::yield_now};
use tokio_supervised::{
    CancellationToken, SupervisedFuture, TaskError, map, map_stream, supervised,
};

use crate::{
    contest::{self, Contender, Times},
    report::{self, Goal},
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

/// One round, in a task of the runtime: there the hand-written program is quickest.
fn round<T: Send + 'static>(
    runtime: &Runtime,
    fan_out: impl Future<Output = T> + Send + 'static,
) -> T {
    runtime.block_on(runtime.spawn(fan_out)).expect("a fan-out does not panic")
}

/// The results are checked, so none can have been lost.
fn look_at<E: Debug>(results: Result<Vec<u64>, E>, items: u64) {
    let results = results.expect("no item fails");
    assert_eq!(results.len() as u64, items);
    assert!(results.windows(2).all(|pair| pair[0] + 1 == pair[1]), "results are out of order");
}

pub(crate) fn run(settings: &Settings) {
    report::row(
        3,
        &format!(
            "fan-out, limit {LIMIT}, {} items, results in order, panics caught, cancellable",
            settings.items
        ),
    );
    let times = hold(settings, ready, supervised_ready);
    print("ready", &times, &Goal::AtMost { goal: 0.08, aim: 0.06 });
    let times = hold(settings, yielding, supervised_yielding);
    print("each yields once", &times, &Goal::AtMost { goal: 0.25, aim: 0.2 });
}

fn hold<F, S>(
    settings: &Settings,
    work: fn(u64) -> F,
    supervised: fn(CancellationToken, u64) -> S,
) -> Times
where
    F: Future<Output = Result<u64, TaskError>> + Send + 'static,
    S: SupervisedFuture<Value = u64, Error = TaskError> + Send + 'static,
{
    let runtime = &settings.all_cores();
    let token = &CancellationToken::new();
    let items = settings.items;
    let contenders = vec![
        Contender::new("ours", "", || {
            let token = token.clone();
            let fan_out = async move { map(&token, 0..items, supervised).limit(LIMIT).await };
            look_at(round(runtime, fan_out), items);
        }),
        Contender::new("results", "", || {
            let token = token.clone();
            let results = async move {
                let items = map_stream(&token, stream::iter(0..items), supervised).limit(LIMIT);
                items.results().try_collect().await
            };
            look_at::<TaskError>(round(runtime, results), items);
        }),
        Contender::new("unordered", "results in their order", || {
            let token = token.clone();
            let unordered = async move {
                let items = map_stream(&token, stream::iter(0..items), supervised).limit(LIMIT);
                items.unordered().try_collect().await
            };
            let results: Result<Vec<u64>, TaskError> = round(runtime, unordered);
            assert_eq!(results.expect("no item fails").len() as u64, items);
        }),
        Contender::new("of_iter", "", || {
            let token = token.clone();
            let results = async move {
                map(&token, 0..items, supervised).limit(LIMIT).results().try_collect().await
            };
            look_at::<TaskError>(round(runtime, results), items);
        }),
        Contender::new("hand", "metrics, name, backtrace", || {
            look_at(round(runtime, by_hand::by_hand(token.clone(), items, work)), items);
        }),
        Contender::new("buffered", "token, panics, metrics, second core", || {
            look_at(round(runtime, combinators::buffered(items, work)), items);
        }),
        Contender::new(
            "unordered_fut",
            "token, panics, metrics, results in their order, second core",
            || {
                let results = round(runtime, combinators::buffer_unordered(items, work));
                assert_eq!(results.expect("no item fails").len() as u64, items);
            },
        ),
        Contender::new("for_each", "token, panics, metrics, results, failure, second core", || {
            round(runtime, combinators::for_each_concurrent(items, work))
        }),
        Contender::new("co", "token, panics, metrics, results, second core", || {
            round(runtime, combinators::co_stream(items, work)).expect("no item fails");
        }),
    ];
    contest::hold(contenders, settings.rounds, items)
}

fn print(items: &str, times: &Times, goal: &Goal) {
    times.print("ours", &format!("{items}: map"));
    times.print("results", &format!("{items}: map_stream, results"));
    times.print("of_iter", &format!("{items}: map, results"));
    times.print("unordered", &format!("{items}: map_stream, unordered"));
    times.print("hand", &format!("{items}: JoinSet + Semaphore + token + catch_unwind"));
    times.print("buffered", &format!("{items}: futures buffered"));
    times.print("unordered_fut", &format!("{items}: futures buffer_unordered"));
    times.print("for_each", &format!("{items}: futures for_each_concurrent"));
    times.print("co", &format!("{items}: futures-concurrency ConcurrentStream"));
    report::ratio(&format!("{items}: map to by hand"), &times.ratio("ours", "hand"), goal);
    report::ratio(
        &format!("{items}: map to futures buffered"),
        &times.ratio("ours", "buffered"),
        &Goal::Below(1.0),
    );
    for (of, reference, goal) in [
        ("results", "ours", 1.1),
        ("of_iter", "ours", 1.1),
        ("unordered", "ours", 1.1),
        ("results", "buffered", 1.0),
        ("unordered", "unordered_fut", 1.0),
    ] {
        report::ratio(
            &format!("{items}: {of} to {reference}"),
            &times.ratio(of, reference),
            &Goal::Below(goal),
        );
    }
}
