//! The command line.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::Parser;

/// Processes a topic of a Kafka cluster, several messages at once, and commits the finished ones.
///
/// The members of a consumer group share the topic's partitions. An offset is committed when the effects of all
/// messages before it are written: each is processed at least once, and exactly once unless the program was
/// killed in between.
#[derive(Parser)]
#[command(name = "kafka_workers", after_help = STOPPING)]
pub(crate) struct Arguments {
    /// The cluster, `HOST:PORT`; several are separated by commas
    #[arg(long, value_name = "BROKERS")]
    pub(crate) brokers: String,

    /// The topic to process
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: String,

    /// The consumer group
    #[arg(long, value_name = "GROUP", default_value = "workers")]
    pub(crate) group: String,

    /// The file that effects are appended to, one on a line
    #[arg(long, value_name = "FILE", default_value = "done.txt")]
    pub(crate) done: PathBuf,

    /// How many messages are processed at once
    #[arg(long, value_name = "N", default_value = "8")]
    pub(crate) workers: NonZeroUsize,

    /// How long the cluster keeps the partitions of a silent member
    #[arg(long, value_name = "MS", default_value = "45000")]
    pub(crate) session_ms: u32,

    /// Demonstration: each message takes this many milliseconds, as a request to a server would
    #[arg(long, value_name = "MS", default_value = "0")]
    work_ms: u64,
}

impl Arguments {
    pub(crate) fn work(&self) -> Duration {
        Duration::from_millis(self.work_ms)
    }
}

const STOPPING: &str = "\
On SIGTERM or Ctrl-C it takes no more messages, finishes those under way, commits them and leaves the group.

Exit codes:
  0  stopped by a signal, and every message that was taken is committed
  1  the effects could not be written, the cluster refused the commit, or a message was still being processed
     20 s after the signal: uncommitted messages are processed by the next owner of the partition
  2  the command line is wrong";
