//! Four stages over bounded channels: read lines, parse them, sum them, write them in order.
//!
//! ```text
//! printf 'a\t1\nb\t2\n' | cargo run --example pipeline
//! cargo run --example pipeline -- table.tsv --out summed.tsv
//! ```
//!
//! # Before
//!
//! By hand every stage is a spawned task, and the last handle is awaited:
//!
//! ```ignore
//! let (to_parse, mut lines) = mpsc::unbounded_channel();      // a slow writer: the whole file in memory
//! let (to_write, mut records) = mpsc::unbounded_channel();
//! tokio::spawn(async move {
//!     while let Some(line) = input.next_line().await.unwrap() { // a failed read: a panic that is never reported
//!         to_parse.send(line).unwrap();
//!     }
//! });
//! tokio::spawn(async move {
//!     while let Some(line) = lines.recv().await {
//!         to_write.send(parse(&line)?).unwrap();              // a bad line: the stage ends, its error is lost,
//!     }                                                       // and the exit code is 0
//!     Ok::<_, Error>(())
//! });
//! while let Some(record) = records.recv().await {
//!     output.write_all(&record).await?;                       // Ctrl-C: the contents of the channels are lost
//! }
//! ```
//!
//! To the next stage, a stage that fails looks like the end of the input: half a result, and success.
//!
//! # After
//!
//! Each stage is plain code under one attribute: a loop from one channel into the next. [`run`](stages::run) spawns
//! them in a `Group` and joins them. The join returns the first failure; by then the failure has stopped the source,
//! and everything before it has been written. Ctrl-C does the same: the source is the only stage that checks the token.
//! The others continue until their channel is closed and empty (`on_cancel = "cooperate"`), for 5 s at most (`grace`).
//! A stage that has not started when the token fires never does, so nothing is read before all have: see [`inlet`].
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: the source stops at its next line, each stage behind the one before
//!   it, and all within 5 s of the token.
//! * 2, registration happens in the parent: the group knows all stages before a line is read.
//! * 3, loop variables are passed in: a stage owns its two ends of channels, so that its end closes them.
//! * 4, cancellation is threaded through: from the signal to the read that waits for a line.
//! * 5, panics stop at the task boundary: a stage that panics is the group's failure like any other.
//! * 6, groups, not counters and channels: no channel carries errors here.
//! * 7, channels for flow, locks for state: lines are owned by one stage at a time; two counters are shared.
//! * 8, no sleeping to synchronise: its tests run on paused time, and end as soon as nothing moves.
//! * 10, concurrency is bounded: four tasks, 64 lines in a channel, 1 MiB in a line.
//! * 12, leaks are detected: each of its tests checks for leaked tasks.

mod arguments;
mod checksum;
mod inlet;
mod stages;

use std::{path::Path, pin::Pin, sync::Arc};

use anyhow::Context as _;
use clap::Parser;
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncWrite, BufReader, stdin, stdout},
};
use tokio_supervised::{CancellationToken, supervised};

use arguments::Arguments;
use stages::{Progress, run};

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<()> {
    let Arguments { table, out } = Arguments::parse();
    let from = open(table.as_deref()).await?;
    let to = create(out.as_deref()).await?;
    let progress = Arc::new(Progress::default());
    let result = run(&token, BufReader::new(from), to, &progress).await;
    if token.is_cancelled() {
        let (read, written) = (progress.read(), progress.written());
        eprintln!("Interrupted: {read} lines had been read, {written} of them are written.");
    }
    Ok(result?)
}

async fn open(table: Option<&Path>) -> anyhow::Result<Pin<Box<dyn AsyncRead + Send>>> {
    let input: Pin<Box<dyn AsyncRead + Send>> = match table {
        Some(path) if path != Path::new("-") => {
            let file = File::open(path).await;
            Box::pin(file.with_context(|| format!("`{}` cannot be read", path.display()))?)
        }
        _ => Box::pin(stdin()),
    };
    Ok(input)
}

async fn create(out: Option<&Path>) -> anyhow::Result<Pin<Box<dyn AsyncWrite + Send>>> {
    let output: Pin<Box<dyn AsyncWrite + Send>> = match out {
        Some(path) => {
            let file = File::create(path).await;
            Box::pin(file.with_context(|| format!("`{}` cannot be written", path.display()))?)
        }
        None => Box::pin(stdout()),
    };
    Ok(output)
}
