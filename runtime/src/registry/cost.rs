//! The cost that observability adds to a spawn: its record, its clock readings, and a span without a subscriber.
//!
//! `cargo test --release -p tokio-supervised --lib -- --ignored --nocapture being_seen`

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::{
    hint::black_box,
    panic::Location,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    context::tree::ScopeNode,
    context::tree::{OnThread, TaskRecord},
    error::TaskError,
    function::{Policy, TaskSpec},
    group::Group,
    run::future::supervise,
    run::output::{SupervisedOutput as _, output},
    telemetry::events,
    telemetry::span::TaskSpan,
};

static SPEC: TaskSpec = TaskSpec::new("cost", Policy::DEFAULT);

const TASKS: u32 = 20_000;
const ROUNDS: usize = 25;

/// A task that waits once, as most do.
async fn spawns(tasks: u32) -> Duration {
    let group: Group<(), TaskError> = Group::new(&CancellationToken::new());
    let started = Instant::now();
    for _ in 0..tasks {
        let body = |token| {
            let body = async {
                tokio::task::yield_now().await;
                Ok::<_, TaskError>(())
            };
            supervise(&SPEC, token, output(Result::<(), TaskError>::by_shape), body)
        };
        group.spawn(body).await;
    }
    group.join().await.unwrap();
    started.elapsed()
}

/// All that such a task does for others to see it, in the order in which it does it.
fn seen(tasks: u32) -> Duration {
    let (scope, made_in) = (ScopeNode::root(CancellationToken::new()), TaskSpan::none());
    let place = Location::caller();
    let list = Mutex::new(Vec::new());
    let started = Instant::now();
    for _ in 0..tasks {
        let record = Arc::new(TaskRecord::new(&SPEC, place, scope.clone(), OnThread::Worker));
        list.lock().unwrap().push(record.clone());
        let span = events::task_span(&made_in, scope.cuts_spans(), SPEC.name(), None);
        for _ in 0..2 {
            let _inside = span.enter();
            if record.enter_poll().1 {
                events::task_started(&span);
            }
            black_box(&record).exit_poll();
        }
        drop(black_box(span));
        let first = list.lock().unwrap().pop();
        drop(black_box((first, record)));
    }
    started.elapsed()
}

/// The median over the rounds of the share that observability adds to a spawn.
fn ratio() -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let spawn = runtime.block_on(spawns(TASKS)).as_secs_f64();
            let seen = seen(TASKS).as_secs_f64();
            // The spawn holds it, too.
            seen / (spawn - seen)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ROUNDS / 2]
}

#[test]
#[ignore = "long: a measurement"]
fn being_listed_costs_a_small_part_of_a_spawn() {
    let unheard = ratio();
    println!("row and span add {unheard:.3} of a spawn (goal: at most 0.15)");
    let subscriber = tracing_subscriber::registry();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    println!("with a subscriber that keeps spans: {:.3}, most of it the subscriber's", ratio());
    assert!(unheard <= 0.15, "{unheard}");
}
