//! The command line.

use std::{ffi::OsString, num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::Parser;

/// Processes a queue of orders, several at once, and survives being stopped anywhere.
///
/// The queue is a file of lines, `ORDER ITEMS CENTS` each, that publishers append to. The price of one item goes to the
/// output. A message is acknowledged by its offset when its end is recorded, so the next start continues with the
/// others: each is processed at least once, and exactly once unless the program was killed in between.
#[derive(Parser)]
#[command(name = "queue_workers", after_help = FILES)]
pub(crate) struct Arguments {
    /// The file of lines; a last line without a line end is still being written, and is not taken
    queue: PathBuf,

    /// How many messages are processed at once
    #[arg(long, value_name = "N", default_value = "8")]
    workers: NonZeroUsize,

    /// Where the results go [default: QUEUE.done]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Wait for more lines at the end of the queue, until a signal comes
    #[arg(long)]
    pub(crate) follow: bool,

    /// Sync every record to disk before continuing: needed against a power failure, not against a kill
    #[arg(long)]
    pub(crate) sync: bool,

    /// Demonstration: each message takes this many milliseconds more, as a request to a server would
    #[arg(long, value_name = "MS", default_value = "0")]
    work_ms: u64,
}

/// The paths of the program's files.
pub(crate) struct Paths {
    pub(crate) queue: PathBuf,
    pub(crate) done: PathBuf,
    pub(crate) dead: PathBuf,
    pub(crate) acknowledged: PathBuf,
}

impl Arguments {
    pub(crate) fn workers(&self) -> usize {
        self.workers.get()
    }

    pub(crate) fn work(&self) -> Duration {
        Duration::from_millis(self.work_ms)
    }

    pub(crate) fn paths(&self) -> Paths {
        let beside = |ending: &str| {
            let mut name = OsString::from(&self.queue);
            name.push(ending);
            PathBuf::from(name)
        };
        Paths {
            queue: self.queue.clone(),
            done: self.output.clone().unwrap_or_else(|| beside(".done")),
            dead: beside(".dead"),
            acknowledged: beside(".acknowledged"),
        }
    }
}

const FILES: &str = "\
Files:
  QUEUE               the messages, a line each; it is only read, and may only grow
  QUEUE.done          the results, `ORDER CENTS-PER-ITEM`
  QUEUE.dead          what no worker survived: offset, reason and message, between tabs
  QUEUE.acknowledged  the offsets of the messages that are in one of the two; delete all three to start over
One process may work on a queue at a time.

Exit codes:
  0  every message that was taken is acknowledged; also after Ctrl-C or SIGTERM
  1  a file could not be read or written, or some message was still being processed 20 s after the signal:
     what is not acknowledged is processed at the next start
  2  the command line is wrong
A second signal exits at once; the next start goes on as after a kill.";
