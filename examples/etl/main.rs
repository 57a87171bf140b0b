//! Reads lines from a file, looks each one up over HTTP, and writes the results as they complete.
//!
//! ```text
//! cargo run --example etl                                    # 2,000 lines of a demo, and a server for them
//! cargo run --release --example etl -- --lines 1000000       # in the same memory
//! cargo run --example etl -- --input orders.csv --server http://prices:8080 --out priced.csv
//! ```
//!
//! # Before
//!
//! By hand this is a stream and `buffer_unordered`:
//!
//! ```ignore
//! let mut priced = lines.map(|line| price(client.clone(), line)).buffer_unordered(64);
//! while let Some(row) = priced.next().await {
//!     out.write_all(row?.as_bytes()).await?;          // meanwhile no request makes progress
//! }                                                   // one bad line ends everything
//! ```
//!
//! The requests are polled only inside `next`. While a row is written, answers wait in the kernel, timeouts run, and idle
//! connections are closed. One failure, or one panic, ends the loop and drops what is in progress. Retries, a deadline and
//! Ctrl-C are further layers.
//!
//! # After
//!
//! [`price`](lookup::price) handles one line; its attribute has the limit, the timeout of an attempt, and the retries
//! of errors that may pass. [`run`] is a loop over the results of `map_stream`, inside a deadline.
//!
//! The exit code is 0 if each line was priced, 2 if some were not, and 1 if the input was not handled as a whole: the
//! deadline passed, or a file could not be read or written. After a signal the program ends as the signal would have ended it.
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: a lookup stops at its next `.await`; the server stops when its token fires.
//! * 4, cancellation is threaded through: from the signal and the deadline to each lookup.
//! * 5, panics stop at the task boundary: a line that makes the parser panic is one of those that failed.
//! * 6, groups, not counters and channels: `map_stream` gives each line its own result.
//! * 10, concurrency is bounded: `limit = 64`, and no line is read that cannot be looked up.
//! * 11, concurrency safety is documented: `Tools` is all that the lookups share.

mod arguments;
mod lookup;
mod row;
mod server;

use std::{io, path::Path, process::ExitCode, sync::Arc, time::Instant};

use anyhow::Context as _;
use clap::Parser;
use futures::{Stream, stream};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, BufWriter},
};
use tokio_supervised::{CancellationToken, TaskError, map_stream, supervised, within};

use arguments::Arguments;
use lookup::{PriceError, Tools, price};
use row::Line;

/// How many failures are printed.
const PRINTED: usize = 5;

/// Some lines were not priced.
const SOME_FAILED: u8 = 2;

#[derive(Default)]
struct Counts {
    priced: usize,
    failed: usize,
}

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let demo = server::Demo::start(&token, &arguments).await?;
    let (input, out) = (demo.input(&arguments), arguments.out.clone());
    let tools = Arc::new(Tools::new(demo.server(&arguments))?);
    let (started, limit) = (Instant::now(), arguments.within);
    let counts =
        within(&token, limit, async move |token| run(&token, tools, &input, &out).await).await;
    demo.stop().await?;
    let Counts { priced, failed } = counts.with_context(|| format!("within {limit:?}"))?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{priced} lines priced, {failed} failed, in {seconds:.1} s{}", memory());
    Ok(if failed > 0 { ExitCode::from(SOME_FAILED) } else { ExitCode::SUCCESS })
}

/// Prices each line, and writes the rows as they complete.
async fn run(
    token: &CancellationToken,
    tools: Arc<Tools>,
    input: &Path,
    out: &Path,
) -> anyhow::Result<Counts> {
    let file = File::open(input).await.with_context(|| input.display().to_string())?;
    let bar = bar(file.metadata().await?.len());
    let mut out =
        BufWriter::new(File::create(out).await.with_context(|| out.display().to_string())?);
    let priced =
        map_stream(token, lines(file), move |token, line| price(token, tools.clone(), line));
    let mut rows = priced.unordered();
    let mut counts = Counts::default();
    while let Some(row) = rows.next().await {
        match row {
            Ok(row) => {
                out.write_all(row.text.as_bytes()).await?;
                bar.inc(row.read as u64);
                counts.priced += 1;
            }
            Err(PriceError::Task(error @ TaskError::Cancelled(_))) => {
                // What was written stays.
                out.flush().await?;
                return Err(error).context(format!("{} lines priced", counts.priced));
            }
            Err(PriceError::Read(error)) => return Err(error).context("cannot be read"),
            Err(error) => {
                counts.failed += 1;
                if counts.failed <= PRINTED {
                    bar.suspend(|| eprintln!("{error}"));
                }
            }
        }
    }
    out.flush().await?;
    bar.finish_and_clear();
    Ok(counts)
}

/// The lines of a file, with their numbers. An error is the last item.
fn lines(file: File) -> impl Stream<Item = Result<Line, Arc<io::Error>>> + Send {
    let lines = BufReader::new(file).lines();
    stream::unfold((Some(lines), 1), async |(lines, number)| {
        let mut lines = lines?;
        match lines.next_line().await {
            Ok(Some(text)) => Some((Ok(Line { number, text }), (Some(lines), number + 1))),
            Ok(None) => None,
            Err(error) => Some((Err(Arc::new(error)), (None, number))),
        }
    })
}

/// The bar hides itself if standard error is not a terminal.
fn bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let template = "{bar:40} {percent} % {elapsed} of about {duration}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// The peak memory of the process, if the system reports it.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map(|peak| format!(", at most {} of memory", peak.trim())).unwrap_or_default()
}
