//! The four stages, and how they are joined.
//!
//! 1. Every line that `read` has taken is written, however the pipeline stops, except lines after a failure,
//!    and lines in a stage that used up its grace.
//! 2. A stage ends when the channel before it is closed and empty, or the next stage has ended: the end of the input,
//!    an interrupt and a failure all pass through the pipeline in the order of the stages.
//! 3. A stage whose next stage has ended is silent: the stage that failed reports the reason.
//! 4. At most `3 * CAPACITY` lines are in the channels, and one in each stage.
//!
//! `tests.rs` checks all four.

mod parse;
mod read;
mod sum;
#[cfg(test)]
mod tests;
mod write;

use std::{
    io,
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio_supervised::{CancellationToken, Group, TaskError};

use crate::inlet::{AllStarted, channel};

/// Lines between two stages: enough to keep both busy, and few enough to be written soon.
const CAPACITY: usize = 64;

/// The longest line that is taken, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Progress, read by `main` when all stages have ended.
#[derive(Default)]
pub(crate) struct Progress {
    read: AtomicU64,
    written: AtomicU64,
}

impl Progress {
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// Lines that have left the process for certain: not those in a buffer.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }
}

/// A line as it was read, with its number, from 1.
struct Line {
    number: u64,
    bytes: Vec<u8>,
}

/// A line with its two cells; the tab between them is at `tab`.
struct Record {
    bytes: Vec<u8>,
    tab: usize,
}

/// Reads, parses, sums and writes, until the input ends, a stage fails, or `token` fires.
///
/// # Errors
///
/// The first failure; the cancellation, if the token fired first. Every stage has ended then.
pub(crate) async fn run(
    token: &CancellationToken,
    from: impl AsyncBufRead + Send + Unpin + 'static,
    to: impl AsyncWrite + Send + Unpin + 'static,
    progress: &Arc<Progress>,
) -> Result<(), PipelineError> {
    let (starting, all_started) = AllStarted::new();
    let (to_parse, lines) = channel(CAPACITY, &starting);
    let (to_sum, records) = channel(CAPACITY, &starting);
    let (to_write, results) = channel(CAPACITY, &starting);
    drop(starting);

    let group = Group::new(token);
    let (reads, writes) = (progress.clone(), progress.clone());
    group.spawn(move |token| read::read(token, all_started, from, to_parse, reads)).await;
    group.spawn(move |token| parse::parse(token, lines, to_sum)).await;
    group.spawn(move |token| sum::sum(token, records, to_write)).await;
    group.spawn(move |token| write::write(token, results, to, writes)).await;
    group.join().await.map(drop)
}

/// The reason why some lines were not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PipelineError {
    /// Errors of a stage's boundary: a panic, the cancellation.
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error("the table cannot be read")]
    Read(#[source] io::Error),
    #[error("line {number}: {reason}")]
    Line { number: u64, reason: &'static str },
    #[error("the result cannot be written")]
    Write(#[source] io::Error),
}
