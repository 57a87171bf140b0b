//! Collects lines in memory and flushes them to a file at intervals. No line is lost, however the program ends.
//!
//! ```text
//! seq 1000000 | cargo run --example flusher -- --output numbers
//! vmstat 1 | cargo run --example flusher -- --output load --every 5s --verbose           # Ctrl-C
//! vmstat 1 | cargo run --example flusher -- --output load --every 2s --panic-on 2,4      # and on it goes
//! ```
//!
//! # Before
//!
//! By hand it is a buffer behind a lock, and a task that is never joined:
//!
//! ```ignore
//! tokio::spawn(async move {
//!     let mut ticker = interval(every);
//!     loop {
//!         ticker.tick().await;
//!         let batch = std::mem::take(&mut *buffer.lock().unwrap());
//!         file.write_all(&batch).await.unwrap();    // a full disk: the batch is gone, the task too,
//!     }                                             // and the lines pile up in memory from now on
//! });
//! while let Some(line) = lines.next_line().await? {
//!     buffer.lock().unwrap().push_str(&line);
//! }
//! Ok(())                                            // what the last tick has not flushed is lost
//! ```
//!
//! Nothing reports that the loop has ended: the program reads on, and appears healthy. SIGTERM kills it with a full
//! buffer, or in the middle of a flush.
//!
//! # After
//!
//! [`flush_every`] is the same loop under `restart`: a panic or an error ends one run of it and is counted, and the
//! next run continues after a wait, with the data that is still in the buffer. If that does not help, it gives up and
//! stops the reader too: a group [`until_first_exit`](tokio_supervised::Group::until_first_exit) ends as a whole. A
//! [`shield`] lets a running flush finish when the token fires. Then [`flush_rest`] writes the rest, with a token that
//! has not fired.
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: reader and loop stop at their next `.await`, which is never inside of
//!   a flush; a flush that hangs loses its protection after 5 s.
//! * 2, registration happens in the parent: the group knows both before they run.
//! * 4, cancellation is threaded through: the signal reaches both, but not the last flush.
//! * 5, panics stop at the task boundary: a panic costs a run of the loop, and no line.
//! * 6, groups, not counters and channels: if either ends, both end, and main gets the result.
//! * 7, channels for flow, locks for state: the buffer is state, shared by two.
//! * 8, no sleeping to synchronise: the ticker is the program's purpose; nothing waits for it.
//! * 10, concurrency is bounded: a full buffer stops the reader, before it takes another line.
//! * 11, concurrency safety is documented: in `buffer.rs`.

mod arguments;
mod buffer;
mod report;
mod store;

use std::{
    io::{Write, stdout},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser;
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    select,
    time::{MissedTickBehavior, interval},
};
use tokio_supervised::{CancellationToken, Group, shield, supervised};

use arguments::Arguments;
use report::Report;
use store::Store;

/// How long a flush is protected from cancellation.
const FLUSHING: Duration = Duration::from_secs(5);

/// How long the last flush may take, including its restarts. With the one before it, less than main's grace.
const LAST: Duration = Duration::from_secs(15);

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let every = arguments.every;
    let store = Arc::new(Store::open(&arguments)?);
    writeln!(stdout(), "ready")?;

    let group = Group::new(&token).until_first_exit();
    let (reads, flushes) = (store.clone(), store.clone());
    group.spawn(|token| read(token, reads)).await;
    group.spawn(move |token| flush_every(token, every, flushes)).await;
    let ended = group.join().await;
    // The task's own token has fired, but this one has not.
    let rest = shield(LAST, |token| flush_rest(token, store.clone())).await;

    let report = Report::of(&store);
    writeln!(stdout(), "{report}")?;
    rest.context("what is left in memory is lost")?;
    // A loop that was cancelled may have panicked once more: its error is stale.
    if !token.is_cancelled() && !store.buffer.is_complete() {
        ended.with_context(|| format!("gave up after {} restarts", report.restarts()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads lines while there is room for them.
///
/// It may be dropped at either `.await`: a line that was read is in the buffer before the next one.
#[supervised(name = "read")]
async fn read(store: Arc<Store>) -> anyhow::Result<()> {
    let mut input = BufReader::new(stdin());
    let mut line = Vec::new();
    loop {
        store.buffer.has_room().await;
        let read = input.read_until(b'\n', &mut line).await;
        if read.context("cannot read the standard input")? == 0 {
            store.buffer.complete();
            return Ok(());
        }
        store.buffer.add(&line);
        line.clear();
    }
}

/// Flushes at every tick, and when the buffer is full. Continues after a failed flush.
#[supervised(name = "flush", restart = "on-failure", backoff = "10ms..1s", max_restarts = "5/1m")]
async fn flush_every(every: Duration, store: Arc<Store>) -> anyhow::Result<()> {
    let mut ticker = interval(every);
    // After a slow flush, the next one is not due at once.
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        select! {
            _ = ticker.tick() => {}
            () = store.buffer.is_full() => {}
        }
        shield(FLUSHING, |_| store.flush()).await?;
    }
}

/// The same for the rest, when reading has ended.
#[supervised(
    name = "last flush",
    restart = "on-failure",
    backoff = "10ms..1s",
    max_restarts = "5/1m"
)]
async fn flush_rest(store: Arc<Store>) -> anyhow::Result<()> {
    store.flush().await
}
