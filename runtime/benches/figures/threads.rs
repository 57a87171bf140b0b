//! One function on many threads at once: row 8.
//!
//! Each thread has its own runtime and loop. A cache line that two of them write would move between them at every run,
//! which takes longer than the whole run: a loop around one shared counter shows it.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio_supervised::{CancellationToken, TaskError, supervised};

use crate::{
    contest::{self, Contender, Times},
    on_threads::on_threads,
    report::{self, Goal},
    settings::Settings,
};

#[supervised]
async fn counted(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

/// The cost of a run without sharing, if the machine has two full cores.
async fn alone(n: u64) -> u64 {
    let mut sum = black_box(n);
    for _ in 0..64 {
        sum = black_box(sum.wrapping_mul(3));
    }
    sum
}

static SHARED: AtomicU64 = AtomicU64::new(0);

async fn shared(n: u64) -> u64 {
    SHARED.fetch_add(black_box(n), Relaxed)
}

macro_rules! times {
    ($calls:expr, |$n:ident| $call:expr) => {
        for $n in 0..$calls {
            _ = black_box($call.await);
        }
    };
}

/// On one thread, and on all of them.
const OURS: [&str; 2] =
    ["supervised, a token for each thread", "supervised, a token for each, many"];
const LENT: [&str; 2] =
    ["supervised, one token borrowed by all", "supervised, one token borrowed, many"];
const ALONE: [&str; 2] = ["a loop that shares nothing", "a loop that shares nothing, many"];
const SHARED_LINE: [&str; 2] = ["a loop around one counter", "a loop around one counter, many"];

pub(crate) fn run(settings: &Settings) {
    let threads = settings.cores.max(2);
    // Long enough that starting the threads is negligible.
    let calls = 5 * settings.calls;
    report::row(
        8,
        &format!("counters on {threads} threads at once (many) against one, for each run"),
    );
    let lent = &CancellationToken::new();
    let contenders = [1, threads].into_iter().enumerate().flat_map(|(at, threads)| {
        [
            Contender::new(OURS[at], "", move || {
                on_threads(threads, || async {
                    let own = CancellationToken::new();
                    times!(calls, |n| counted(&own, n));
                });
            }),
            Contender::new(LENT[at], "", move || {
                on_threads(threads, || async { times!(calls, |n| counted(lent, n)) });
            }),
            Contender::new(ALONE[at], "", move || {
                on_threads(threads, || async { times!(calls, |n| alone(n)) });
            }),
            Contender::new(SHARED_LINE[at], "", move || {
                on_threads(threads, || async { times!(calls, |n| shared(n)) });
            }),
        ]
    });
    let contenders = contenders.collect();
    print(&contest::hold(settings, "threads", contenders, settings.rounds, calls));
}

fn print(times: &Times) {
    let all = [OURS, LENT, ALONE, SHARED_LINE];
    for name in all.into_iter().flatten() {
        times.print(name, name);
    }
    for [one, many] in all {
        report::ratio_alone(&format!("{one}: many to one"), &times.ratio(many, one));
    }
    // Nothing that is counted can be slower on many threads than the machine is. The rest is for the noise:
    // one line that two threads write makes a run several times as long, as the counter shows.
    let [one, many] = OURS;
    let [alone_one, alone_many] = ALONE;
    report::ratio(
        "slower on many threads than what shares nothing",
        &times.ratio_of_ratios([many, one], [alone_many, alone_one]),
        Goal::AtMost(1.2),
    );
}
