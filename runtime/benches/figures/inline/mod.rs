//! One run inside the caller's task, its body ready at once or pending once: rows 1 and 2.
//!
//! All contenders are awaited in one loop of one task on a current-thread runtime. Those that spend tokio's
//! cooperative budget give their thread back every 128 runs, which is part of their price.

mod by_hand;
mod instrumented;
mod no_allocation;
mod parts;

use std::{hint::black_box, io};

use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
    task::yield_now,
};
use tokio_supervised::{CancellationToken, TaskError, supervised};
use tracing_subscriber::{Registry, fmt, layer::SubscriberExt as _};

use crate::{
    contest::{self, Contender, Times},
    report::{self, Goal},
    settings::{Profile, Settings},
};

/// The work of every contender.
async fn bare(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

/// The same, pending once.
async fn yielding(n: u64) -> Result<u64, TaskError> {
    yield_now().await;
    Ok(black_box(n))
}

#[supervised]
async fn ours_yielding(n: u64) -> Result<u64, TaskError> {
    yield_now().await;
    Ok(black_box(n))
}

#[supervised]
async fn ours(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

#[supervised(limit = 64)]
async fn limited(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

/// One round: `calls` awaits of the future that `$call` returns for a number, in one task.
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
    let recorder = instrumented::install_metrics();
    let registry = tracing::Dispatch::new(Registry::default());
    let formatting = Registry::default().with(fmt::layer().with_writer(io::sink));
    let formatting = tracing::Dispatch::new(formatting);
    let traced = |subscriber: &tracing::Dispatch| {
        tracing::dispatcher::with_default(subscriber, || {
            calls!(runtime, calls, |n| instrumented::with_tracing(n));
        });
    };

    let contenders = vec![
        Contender::new("bare", "token, panics, bound, metrics", || {
            calls!(runtime, calls, |n| bare(n));
        }),
        Contender::new("ours", "bound (none asked for)", || {
            calls!(runtime, calls, |n| ours(token, n));
        }),
        Contender::new("limited", "", || calls!(runtime, calls, |n| limited(token, n))),
        Contender::new("hand", "metrics (a clock alone), name, backtrace", || {
            calls!(runtime, calls, |n| by_hand::bounded(permits, token, bare(n)));
        }),
        Contender::new("unbounded", "bound, metrics (a clock alone), name, backtrace", || {
            calls!(runtime, calls, |n| by_hand::unbounded(token, bare(n)));
        }),
        Contender::new("clock", "anything else", || calls!(runtime, calls, |n| parts::clock(n))),
        Contender::new("std clock", "anything else", || {
            calls!(runtime, calls, |n| parts::std_clock(n));
        }),
        Contender::new("token", "anything else", || {
            calls!(runtime, calls, |n| parts::token(token, n));
        }),
        Contender::new("budget", "anything else", || {
            calls!(runtime, calls, |n| parts::budget(n));
        }),
        Contender::new("tokio-metrics", "token, panics, bound, outcomes", || {
            calls!(runtime, calls, |n| instrumented::with_tokio_metrics(n));
        }),
        Contender::new("autometrics", "token, panics, bound", || {
            calls!(runtime, calls, |n| instrumented::with_autometrics(n));
        }),
        // Its histogram keeps every value until someone collects them, which an exporter's own task does.
        Contender::new("metrics", "token, panics, bound, outcomes", || {
            calls!(runtime, calls, |n| instrumented::with_metrics(n));
        })
        .tidied_by(|| recorder.run_upkeep()),
        Contender::new("tracing, registry", "token, panics, bound, metrics", || traced(&registry)),
        Contender::new("tracing, fmt", "token, panics, bound, metrics", || traced(&formatting)),
    ];
    let times = contest::hold(settings, "inline", contenders, 3 * settings.rounds, calls);

    report::row(1, "one inline run");
    print_by_hand(&times);
    pending_once(settings, runtime);
    let allocations = no_allocation::in_1000_runs(runtime, token);
    report::count("allocations in 1000 runs", Some(allocations as f64), Goal::AtMost(0.0));
    report::row(2, "the same against instrumentation that neither stops nor catches");
    for other in ["tokio-metrics", "autometrics", "metrics", "tracing, registry", "tracing, fmt"] {
        times.print_over(other, "bare", &format!("{other}, over bare"));
        report::ratio(
            &format!("supervised to {other}, both over bare"),
            &times.ratio_over("ours", other, "bare"),
            Goal::Below(1.0),
        );
    }
}

fn print_by_hand(times: &Times) {
    times.print("bare", "bare");
    times.print_over("ours", "bare", "supervised, over bare");
    times.print_over("limited", "bare", "supervised with a limit of 64, over bare");
    let by_hand = "semaphore + token + catch_unwind + clock by hand, over bare";
    times.print_over("hand", "bare", by_hand);
    times.print_over("unbounded", "bare", "the same without the semaphore, over bare");
    let profile = Profile::of_this_program();
    let goal = match profile {
        Profile::Default => 0.22,
        Profile::Lto => 0.15,
    };
    let what = "supervised to by hand, both over bare";
    report::ratio(what, &times.ratio_over("ours", "hand", "bare"), Goal::AtMost(goal));
    let what = "supervised with a limit to by hand, both over bare";
    let limited = times.ratio_over("limited", "hand", "bare");
    match profile {
        // The goal is that of the other profile.
        Profile::Default => report::ratio_alone(what, &limited),
        Profile::Lto => report::ratio(what, &limited, Goal::AtMost(0.28)),
    }
    for (part, what) in [
        ("clock", "two readings of the clock alone, over bare"),
        ("std clock", "the same with std's clock, over bare"),
        ("budget", "a unit of the cooperative budget alone, over bare"),
        ("token", "checking a token alone, over bare"),
    ] {
        times.print_over(part, "bare", what);
    }
    report::ratio_alone(
        "two readings of the clock alone to by hand, both over bare",
        &times.ratio_over("clock", "hand", "bare"),
    );
}

/// The same with a body that is pending once: beside the run, a turn of the runtime.
fn pending_once(settings: &Settings, runtime: &Runtime) {
    let calls = settings.calls / 4;
    let (token, permits) = (&CancellationToken::new(), &Semaphore::new(64));
    let contenders = vec![
        Contender::new("bare", "token, panics, bound, metrics", || {
            calls!(runtime, calls, |n| yielding(n));
        }),
        Contender::new("ours", "bound (none asked for)", || {
            calls!(runtime, calls, |n| ours_yielding(token, n));
        }),
        Contender::new("hand", "metrics (a clock alone), name, backtrace", || {
            calls!(runtime, calls, |n| by_hand::bounded(permits, token, yielding(n)));
        }),
    ];
    let times =
        contest::hold(settings, "inline, pending once", contenders, 3 * settings.rounds, calls);
    times.print("bare", "pending once: bare");
    times.print_over("ours", "bare", "pending once: supervised, over bare");
    times.print_over("hand", "bare", "pending once: by hand, over bare");
    let what = "pending once: supervised to by hand, both over bare";
    report::ratio(what, &times.ratio_over("ours", "hand", "bare"), Goal::AtMost(0.8));
}
