//! Counts lines and words in many files at once, into one set of statistics.
//!
//! ```text
//! cargo run --example stats -- README.md Cargo.lock
//! find . -name '*.rs' | xargs cargo run --example stats -- --kept atomics
//! seq 1000000 | cargo run --example stats -- --watch 50
//! ```
//!
//! # Before
//!
//! By hand every number gets its own lock as it is needed, and every file a task:
//!
//! ```ignore
//! let (lines, words) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
//! for file in files {                                    // all are opened at once
//!     let (lines, words) = (lines.clone(), words.clone());
//!     tokio::spawn(async move {                          // never joined, and its error is lost
//!         let text = tokio::fs::read_to_string(file).await.unwrap();
//!         for line in text.lines() {
//!             *lines.lock().unwrap() += 1;
//!             *words.lock().unwrap() += line.split_whitespace().count();
//!         }
//!     });
//! }
//! let mean = *words.lock().unwrap() / *lines.lock().unwrap(); // of which lines?
//! ```
//!
//! Two locks are no lock around both: the mean divides the words of some lines by the number of others, and by zero at
//! first. One panic poisons a lock, and each `unwrap` after it panics too. Nothing reports when the tasks are done.
//! Replacing the locks by atomics makes it faster, but not correct.
//!
//! # After
//!
//! [`count`](count::count) is plain code under one attribute, bounded and joined by `map`. What it counts
//! into is one type with two methods, [`Statistics`](statistics::Statistics), kept in two ways whose
//! difference is written where they are, and checked: `Send + Sync` by the compiler, the totals by four
//! threads against the sequential answer, the whole and the torn summary by a test each.
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: a count stops at its next `.await`; the watcher when its token fires.
//! * 3, loop variables are passed in: each file is an argument.
//! * 4, cancellation is threaded through: a standard input that stays silent does not hold the end.
//! * 6, groups, not counters and channels: `map` knows when all files are read, and how each one ended.
//! * 7, channels for flow, locks for state: the statistics are state, shared behind one lock or as atomics.
//! * 10, concurrency is bounded: at most 16 files are open, and 64 KiB of each are in memory.
//! * 11, concurrency safety is documented, in `statistics/mod.rs`, and asserted.

mod arguments;
mod count;
mod statistics;

use std::{
    ffi::OsString,
    io::{self, stdout},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use tokio_supervised::{CancellationToken, Group, TaskError, map, supervised};

use arguments::Arguments;
use count::count;
use statistics::Statistics;

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let statistics = arguments.kept.open();
    let sources = arguments.sources();
    let ends = match arguments.watch {
        Some(every) => count_watched(&token, &statistics, sources.clone(), every).await?,
        None => count_all(&token, &statistics, sources.clone()).await,
    };
    statistics.summary().write(&mut stdout())?;
    let mut fine = true;
    // Files that were not started when a signal came have no end.
    let mut all_ended = ends.len() == sources.len();
    for (source, end) in sources.iter().zip(ends) {
        match end {
            Ok(()) => {}
            Err(error) if is_cancellation(&error) => all_ended = false,
            Err(error) => {
                eprintln!("{}: {error}", source.to_string_lossy());
                fine = false;
            }
        }
    }
    if !all_ended {
        cut_short(&token).await?;
    }
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The cancellation as an error, for `main` to end as the signal would have ended it: a call whose token has fired
/// never starts its body.
#[supervised]
async fn cut_short() -> Result<(), TaskError> {
    Ok(())
}

fn is_cancellation(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(TaskError::Cancelled(_)))
}

/// Counts every file, each with its own end.
async fn count_all(
    token: &CancellationToken,
    statistics: &Arc<dyn Statistics>,
    sources: Vec<OsString>,
) -> Vec<io::Result<()>> {
    let shared = statistics.clone();
    map(token, sources, move |token, source| count(token, shared.clone(), source)).settled().await
}

/// The same, while another task reports progress.
async fn count_watched(
    token: &CancellationToken,
    statistics: &Arc<dyn Statistics>,
    sources: Vec<OsString>,
    every: Duration,
) -> Result<Vec<io::Result<()>>, TaskError> {
    let counting = token.child_token();
    let watching = Group::new(&counting);
    let shared = statistics.clone();
    watching.spawn(move |token| watch(token, shared).interval(every)).await;
    let ends = count_all(token, statistics, sources).await;
    counting.cancel();
    watching.join().await?;
    Ok(ends)
}

/// Prints a summary at intervals. Behind a mutex its numbers are consistent; as atomics each is exact, but the line
/// that is being recorded may be in only some of them.
#[supervised(name = "watch", every = "1s")]
async fn watch(statistics: Arc<dyn Statistics>) -> Result<(), TaskError> {
    eprintln!("{}", statistics.summary().short());
    Ok(())
}
