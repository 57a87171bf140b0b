//! Runs jobs, some of which panic, and shows a panic as a structured event, as a counter, and as an error with its
//! backtrace.
//!
//! ```text
//! cargo run --example panics                                      # 1,000 jobs, every fifth panics
//! cargo run --example panics -- --every 100 --backtrace
//! cargo run --example panics -- --log json 2> events.json
//! ```
//!
//! # Before
//!
//! By hand each job is a spawned task that adds to shared totals:
//!
//! ```ignore
//! let averages = Arc::new(Mutex::new(Vec::new()));
//! for batch in batches {
//!     let averages = averages.clone();
//!     tasks.spawn(async move {
//!         averages.lock().unwrap().push(average(&batch));   // a panic in here poisons the lock:
//!     });                                                   // every job after it panics too
//! }
//! while let Some(joined) = tasks.join_next().await {
//!     if let Err(error) = joined {
//!         eprintln!("{error}");                             // "task 14 panicked": which job is 14?
//!     }
//! }
//! ```
//!
//! The place of a panic is printed on standard error, between the lines of other threads. No log collector reads it, no
//! counter moves, and the process that lost every fifth job exits with 0. If the handles are not joined, even the
//! number is lost.
//!
//! # After
//!
//! [`average`](average::average) is the job as it was, under one attribute. A panic in it ends that job: the
//! caller gets `Err(TaskError::Panicked(panic))`, in the order of the jobs, with message, place and
//! backtrace; `stats()` counts it; and one `ERROR` event reports it, as fields. More than
//! ten a second of one function are counted, and logged as one event a second.
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: a job stops at its next `.await`.
//! * 3, loop variables are passed in: a batch is an argument, owned by its job.
//! * 4, cancellation is threaded through: `map` hands the token to each job.
//! * 5, panics stop at the task boundary: the subject of this program.
//! * 6, groups, not counters and channels: `map` gives each job its own end.
//! * 7, channels for flow, locks for state: there is nothing shared that a panic could leave half done.
//! * 10, concurrency is bounded: `limit = 16`, however many jobs there are.

mod arguments;
mod average;
mod events;
mod report;

use std::{io::stdout, process::ExitCode};

use clap::Parser;
use tokio_supervised::{CancellationToken, TaskError, map, supervised};

use arguments::Arguments;
use average::{average, batches};
use report::Report;

fn main() -> ExitCode {
    events::replace_the_print();
    run()
}

#[supervised::main]
async fn run(token: CancellationToken) -> anyhow::Result<ExitCode> {
    let Arguments { jobs, every, log, backtrace, strict } = Arguments::parse();
    events::hear(log);
    let report = Report::new(map(&token, batches(jobs, every), average).settled().await, jobs);

    let to = &mut stdout();
    report.write_table(to)?;
    report.write_places(to)?;
    if backtrace {
        report.write_first_backtrace(to)?;
    }
    anyhow::ensure!(report.adds_up(), "results and counters differ");
    if !report.is_of(jobs) {
        cut_short(&token).await?;
    }
    let fine = !strict || !report.some_panicked();
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The cancellation as an error, for `main` to end as the signal would have ended it: a call whose token has fired
/// never starts its body.
#[supervised]
async fn cut_short() -> Result<(), TaskError> {
    Ok(())
}
