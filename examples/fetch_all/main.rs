//! Downloads a list of pages, at most 16 at once.
//!
//! ```text
//! cargo run --example fetch_all                                   # a demo that needs no network
//! cargo run --example fetch_all -- --out pages urls.txt
//! grep -o 'http://[^"]*' index.html | cargo run --example fetch_all -- -
//! ```
//!
//! # Before
//!
//! By hand this is a `JoinSet`, and a `Semaphore` that keeps it to 16:
//!
//! ```ignore
//! let permits = Arc::new(Semaphore::new(16));
//! let mut tasks = JoinSet::new();
//! for url in urls {                                  // all are spawned at once, and wait in memory
//!     let (permits, client) = (permits.clone(), client.clone());
//!     tasks.spawn(async move {
//!         let _permit = permits.acquire().await?;
//!         timeout(FIVE_SECONDS, fetch(client, url)).await?
//!     });
//! }
//! while let Some(joined) = tasks.join_next().await {
//!     match joined {                                 // which URL was it? in the order of their ends
//!         Ok(Ok(page)) => pages.push(page),
//!         Ok(Err(error)) => failed += 1,             // failed, or timed out?
//!         Err(join_error) => panicked += 1,          // no place, no backtrace
//!     }
//! }
//! ```
//!
//! It spawns a task for each URL of the list, not only for the 16 that run. Ctrl-C kills it in the middle, without a
//! table. A correct shutdown would need a token in every task, a `select!` around every body, a task that waits for the
//! signal, and a way to end the process as the signal would have. To keep the order, every task would need an index.
//!
//! # After
//!
//! [`fetch`](fetch::fetch) is plain code under one attribute, and [`run`] is one call of `map`. The rest of the program
//! is the list, the table and the files.
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: `fetch` stops at its next `.await` when the token fires, or after
//!   5 s; the demo's server lives in a group that is joined.
//! * 2, registration happens in the parent: `map` and the group count a run before it starts.
//! * 3, loop variables are passed in: URL and number are arguments.
//! * 4, cancellation is threaded through: from the signal, through the root token, to each page, and to
//!   the read of a list that may never end.
//! * 5, panics stop at the task boundary: a page that makes the parser panic is a row in the table.
//! * 6, groups, not counters and channels: `map` gives each page its own end, in the order of the list.
//! * 7, channels for flow, locks for state: the results have one owner; there is no lock here.
//! * 8, no sleeping to synchronise: the demo waits for a count, not for some time.
//! * 10, concurrency is bounded: `limit = 16`, and `map` starts no more than that.
//! * 11, concurrency safety is documented: `Tools` is all that the fetches share.
//!
//! The race detector (9) and the leak check (12) have nothing to do here yet.

mod arguments;
mod demo;
mod fetch;
mod list;
mod progress;
mod report;
mod store;
mod title;

use std::{
    io::{stderr, stdout},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use reqwest::{Client, Url};
use tokio_supervised::{CancellationToken, map, supervised};

use arguments::Arguments;
use fetch::{Tools, fetch};
use list::List;
use progress::Progress;
use report::Report;
use store::Store;

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<ExitCode> {
    let Arguments { sources, out } = Arguments::parse();
    let store = out.as_deref().map(Store::open).transpose()?;
    if sources.is_empty() {
        return demo::show(&token, store).await;
    }
    let List { urls, bad } = List::read(&token, &sources).await?;
    for line in &bad {
        eprintln!("{line}");
    }
    let (client, progress) = (Client::new(), Progress::new(urls.len()));
    let report = run(&token, Arc::new(Tools { client, store, progress }), urls).await;
    let fine = report.all_fetched() && bad.is_empty();
    finish(&token, report, fine)
}

/// Fetches every page, each with its own end.
async fn run(token: &CancellationToken, tools: Arc<Tools>, urls: Vec<Url>) -> Report {
    let numbered = urls.clone().into_iter().zip(1..);
    let shared = tools.clone();
    let ends =
        map(token, numbered, move |token, (url, number)| fetch(token, shared.clone(), number, url))
            .settled()
            .await;
    tools.progress.finish();
    Report::new(urls, ends)
}

/// Prints a summary, and returns how `main` ends: after Ctrl-C, as the signal would have ended it.
fn finish(token: &CancellationToken, report: Report, fine: bool) -> anyhow::Result<ExitCode> {
    report.write_failures(&mut stderr())?;
    report.write_table(&mut stdout())?;
    if token.is_cancelled() {
        report.write_how_far(&mut stderr())?;
        if let Some(cancellation) = report.into_cancellation() {
            return Err(cancellation.into());
        }
    }
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
