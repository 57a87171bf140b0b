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
    let times = hold(settings, "fan-out, ready", ready, supervised_ready);
    print("ready", &times, [0.08, 0.8]);
    let times = hold(settings, "fan-out, yields", yielding, supervised_yielding);
    print("each yields once", &times, [0.2, 0.7]);
}

fn hold<F, S>(
    settings: &Settings,
    contest: &str,
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
        Contender::new(
            "JoinSet",
            "token, end at a failure, metrics, results in their order",
            || {
                let results = round(runtime, by_hand::join_set(items, work));
                assert_eq!(results.len() as u64, items);
            },
        ),
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
    contest::hold(settings, contest, contenders, settings.rounds, items)
}

/// `goals` are of the ratios to by hand and to `buffered`.
fn print(items: &str, times: &Times, goals: [f64; 2]) {
    times.print("ours", &format!("{items}: map"));
    times.print("results", &format!("{items}: map_stream, results"));
    times.print("of_iter", &format!("{items}: map, results"));
    times.print("unordered", &format!("{items}: map_stream, unordered"));
    times.print("hand", &format!("{items}: JoinSet + Semaphore + token + catch_unwind"));
    times.print("JoinSet", &format!("{items}: JoinSet + Semaphore alone"));
    times.print("buffered", &format!("{items}: futures buffered"));
    times.print("unordered_fut", &format!("{items}: futures buffer_unordered"));
    times.print("for_each", &format!("{items}: futures for_each_concurrent"));
    times.print("co", &format!("{items}: futures-concurrency ConcurrentStream"));
    for ((what, reference), goal) in
        [("by hand", "hand"), ("futures buffered", "buffered")].into_iter().zip(goals)
    {
        let ratio = times.ratio("ours", reference);
        report::ratio(&format!("{items}: map to {what}"), &ratio, Goal::AtMost(goal));
    }
    for (what, reference) in [
        ("JoinSet + Semaphore alone", "JoinSet"),
        ("futures buffer_unordered", "unordered_fut"),
        ("futures for_each_concurrent", "for_each"),
        ("futures-concurrency ConcurrentStream", "co"),
    ] {
        report::ratio_alone(&format!("{items}: map to {what}"), &times.ratio("ours", reference));
    }
    for (what, of, reference, goal) in [
        ("map_stream, results, to map", "results", "ours", 1.1),
        ("map, results, to map", "of_iter", "ours", 1.1),
        ("map_stream, unordered, to map", "unordered", "ours", 1.1),
        ("map_stream, results, to futures buffered", "results", "buffered", 1.0),
        ("map_stream, unordered, to buffer_unordered", "unordered", "unordered_fut", 1.0),
    ] {
        let ratio = times.ratio(of, reference);
        report::ratio(&format!("{items}: {what}"), &ratio, Goal::Below(goal));
    }
}
