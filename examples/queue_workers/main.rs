//! Processes a queue of orders, eight at once, and survives being stopped anywhere.
//!
//! ```text
//! seq 100000 | awk '{ print $1, $1 % 5, 600 }' > orders         # every fifth has no items
//! cargo run --example queue_workers -- orders --work-ms 1       # Ctrl-C, kill it, start it again
//! wc -l orders.done orders.dead                                 # 80000 and 20000 in the end
//! ```
//!
//! # Before
//!
//! By hand it is a loop around the queue, and a task for each message:
//!
//! ```ignore
//! let permits = Arc::new(Semaphore::new(8));
//! while let Some(message) = queue.take().await? {           // taken, and no worker is free
//!     queue.acknowledge(message.offset).await?;             // "at most once", by accident
//!     let permit = permits.clone().acquire_owned().await?;
//!     tokio::spawn(async move {
//!         let price = item_price(&message.text).await;      // a panic: the message is lost, unreported
//!         output.append(&price?).await?;                    // an error: the same
//!         drop(permit);
//!         anyhow::Ok(())
//!     });
//! }                                                         // SIGTERM: running work is lost
//! ```
//!
//! If it is acknowledged before it is done, a message is lost with the process. If it is acknowledged in the spawned
//! task, stopping the task may split its end in two. And the loop has taken one message more than it can do. A correct
//! shutdown would need the signal in the loop, a count of the tasks, and a wait for them.
//!
//! # After
//!
//! [`produce`] acquires a slot of the pool *before* it takes a message: every message that it has taken is done,
//! wherever the producer stops. [`handle`](handle::handle) is plain code: the work, whose panic is an `Err` like any
//! other, and then the acknowledgement, inside a [`shield`](tokio_supervised::shield). The signal reaches only the
//! producer; the pool has its own token, and is drained after it.
//!
//! The effect of a message is written before its acknowledgement. So each message is processed at least once, wherever
//! the process is killed: running messages are repeated, at most one for each worker. "Written" means that the kernel
//! has it: that survives the process, not a power failure. `--sync` waits for the disk, twice for each message.
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: the producer stops at its next `.await`, a message after 10 s of work,
//!   the pool after 20 s of draining.
//! * 2, registration happens in the parent: a slot is taken before there is a task, or even work for it.
//! * 3, loop variables are passed in: each message is an argument.
//! * 4, cancellation is threaded through, and stops where it should: at the producer.
//! * 5, panics stop at the task boundary: a poisoned message is a line in the dead-letter file.
//! * 6, groups, not counters and channels: the pool knows the running messages, and counts them.
//! * 7, channels for flow, locks for state: a lock around each file, for one line at a time.
//! * 10, concurrency is bounded: by the slots of the pool, and the queue is read no faster.
//! * 11, concurrency safety is documented: `Journal` is all that the workers share.

mod arguments;
mod handle;
mod journal;
mod queue;
mod records;
mod report;

use std::{
    io::{Write, stdout},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser;
use tokio_supervised::{CancellationToken, Pool, TaskError, supervised};

use arguments::Arguments;
use handle::handle;
use journal::Journal;
use queue::Queue;
use report::Report;

/// Less than main's own grace. A message may use all of it except the last 5 s; then the work is cancelled.
const DRAINING: Duration = Duration::from_secs(20);

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let paths = arguments.paths();
    let (journal, acknowledged) = Journal::open(&paths, arguments.sync)?;
    writeln!(stdout(), "ready: {} acknowledged before", acknowledged.len())?;
    let queue = Queue::open(&paths.queue, acknowledged, arguments.follow).await;
    let queue = queue.with_context(|| format!("cannot open `{}`", paths.queue.display()))?;

    let pool = Pool::new(arguments.workers());
    let produced = produce(&token, queue, &pool, Arc::new(journal), arguments.work()).await;
    let drained = pool.drain(DRAINING).await;

    let report = Report::now();
    writeln!(stdout(), "{report}")?;
    drained?;
    match produced {
        // This is how a producer stops.
        Err(error) if matches!(error.downcast_ref(), Some(TaskError::Cancelled(_))) => {}
        produced => produced?,
    }
    Ok(if report.all_acknowledged() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Takes messages while there is room for them.
///
/// It may be dropped at either `.await`: there is none between taking a message and its spawn.
#[supervised(name = "produce")]
async fn produce(
    mut queue: Queue,
    pool: &Pool,
    journal: Arc<Journal>,
    work: Duration,
) -> anyhow::Result<()> {
    loop {
        let slot = pool.reserve().await?;
        let Some(message) = queue.take().await? else { return Ok(()) };
        let journal = journal.clone();
        slot.spawn(move |token| handle(token, journal, message, work));
    }
}
