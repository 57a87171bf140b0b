//! One run inside the caller's task, its body ready at once: rows 1 and 2.
//!
//! All contenders are awaited in one loop of one task on a current-thread runtime. Those that spend tokio's
//! cooperative budget give their thread back every 128 runs, which is part of their price.

use std::{hint::black_box, io, panic::AssertUnwindSafe, sync::LazyLock, time::Instant};

use futures::FutureExt as _;
use tokio::{runtime::Builder, sync::Semaphore};
use tokio_metrics::TaskMonitor;
use tokio_supervised::{CancellationToken, TaskError, supervised};
use tracing_subscriber::{Registry, fmt, layer::SubscriberExt as _};

use crate::{
    allocations,
    contest::{self, Contender, Goal},
    settings::Settings,
};

/// What every contender runs.
async fn bare(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

#[supervised]
async fn ours(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

/// Why a run by hand gave nothing.
#[derive(Debug)]
enum Failure {
    Panicked,
    Cancelled,
    Failed,
}

/// Bounded, cancellable, its panics caught, its duration known.
async fn by_hand(permits: &Semaphore, token: &CancellationToken, n: u64) -> Result<u64, Failure> {
    let permit = permits.acquire().await.map_err(|_| Failure::Cancelled)?;
    let ended = by_hand_without_limit(token, n).await;
    drop(permit);
    ended
}

async fn by_hand_without_limit(token: &CancellationToken, n: u64) -> Result<u64, Failure> {
    let begin = Instant::now();
    let run = AssertUnwindSafe(bare(n)).catch_unwind();
    let ended = token.run_until_cancelled(run).await;
    // Where a program would add it to a histogram.
    black_box(begin.elapsed());
    match ended {
        Some(Ok(Ok(value))) => Ok(value),
        Some(Ok(Err(_))) => Err(Failure::Failed),
        Some(Err(_)) => Err(Failure::Panicked),
        None => Err(Failure::Cancelled),
    }
}

static MONITOR: LazyLock<TaskMonitor> = LazyLock::new(TaskMonitor::new);

async fn with_tokio_metrics(n: u64) -> Result<u64, TaskError> {
    MONITOR.instrument(bare(n)).await
}

#[autometrics::autometrics]
async fn with_autometrics(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

#[tracing::instrument(skip_all)]
async fn with_tracing(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

/// One round: `calls` awaits of what `$call` makes of a number, in one task.
macro_rules! calls {
    ($runtime:expr, $calls:expr, |$n:ident| $call:expr) => {
        $runtime.block_on(async {
            for at in 0..$calls {
                let $n = black_box(at);
                _ = black_box($call.await);
            }
        })
    };
}

pub(crate) fn run(settings: &Settings) {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = &runtime.expect("the operating system gives a runtime");
    let calls = settings.calls;
    let token = &CancellationToken::new();
    let permits = &Semaphore::new(64);
    let registry = tracing::Dispatch::new(Registry::default());
    let formatting = Registry::default().with(fmt::layer().with_writer(io::sink));
    let formatting = tracing::Dispatch::new(formatting);
    let within = |subscriber: &tracing::Dispatch, code: &dyn Fn()| {
        tracing::dispatcher::with_default(subscriber, code);
    };

    let contenders = vec![
        Contender::new("bare", || calls!(runtime, calls, |n| bare(n))),
        Contender::new("ours", || calls!(runtime, calls, |n| ours(token, n))),
        Contender::new("hand", || calls!(runtime, calls, |n| by_hand(permits, token, n))),
        Contender::new("hand, no semaphore", || {
            calls!(runtime, calls, |n| by_hand_without_limit(token, n));
        }),
        Contender::new("tokio-metrics", || calls!(runtime, calls, |n| with_tokio_metrics(n))),
        Contender::new("autometrics", || calls!(runtime, calls, |n| with_autometrics(n))),
        Contender::new("tracing, registry", || {
            within(&registry, &|| calls!(runtime, calls, |n| with_tracing(n)));
        }),
        Contender::new("tracing, fmt", || {
            within(&formatting, &|| calls!(runtime, calls, |n| with_tracing(n)));
        }),
    ];
    let times = contest::hold(contenders, 3 * settings.rounds, calls);

    println!("\n1  one inline run, no limit, body ready at once");
    contest::print_nanos("bare", &times.nanos("bare"));
    contest::print_nanos("supervised, over bare", &times.over("ours", "bare"));
    contest::print_nanos(
        "semaphore + token + catch_unwind + clock by hand, over bare",
        &times.over("hand", "bare"),
    );
    contest::print_nanos(
        "the same without the semaphore, over bare",
        &times.over("hand, no semaphore", "bare"),
    );
    contest::print_ratio(
        "supervised to by hand, both over bare",
        &times.ratio_over("ours", "hand", "bare"),
        &Goal::AtMost { goal: 0.2, aim: 0.15 },
    );
    let allocations = runtime.block_on(async {
        // Entered anew, the runtime allocates once, when the first budget is spent.
        for at in 0..1_000 {
            _ = black_box(ours(token, at).await);
        }
        let before = allocations::of_this_thread();
        for at in 0..1_000 {
            _ = black_box(ours(token, at).await);
        }
        allocations::of_this_thread() - before
    });
    let verdict = if allocations == 0 { "met" } else { "NOT MET" };
    println!("  * {:<58} {allocations:>8}     goal 0: {verdict}", "allocations in 1000 runs");

    println!("\n2  the same against instrumentation that neither stops nor catches");
    for other in ["tokio-metrics", "autometrics", "tracing, registry", "tracing, fmt"] {
        contest::print_nanos(&format!("{other}, over bare"), &times.over(other, "bare"));
        contest::print_ratio(
            &format!("supervised to {other}, both over bare"),
            &times.ratio_over("ours", other, "bare"),
            &Goal::Below(1.0),
        );
    }
}
