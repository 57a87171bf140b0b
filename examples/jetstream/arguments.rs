//! The command line.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

/// Processes a queue of orders in NATS JetStream, with any number of processes.
///
/// The price of one item of each order goes into a PostgreSQL database, once for each order, however often
/// its message is delivered.
#[derive(Parser)]
#[command(name = "jetstream", after_help = ENDS)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// The broker's address; the broker may be unavailable at the start, and later
    #[arg(long, global = true, value_name = "URL", default_value = "nats://127.0.0.1:4222")]
    pub(crate) broker: String,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Takes orders from the queue and processes them until a signal arrives
    Work(Box<Work>),
    /// Publishes orders: lines of `ORDER ITEMS CENTS`, each stored once for each ORDER
    Publish {
        /// The file of lines [default: standard input]
        file: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct Work {
    /// How to reach the database, in libpq's syntax
    #[arg(long, value_name = "WORDS", default_value = "host=127.0.0.1 user=postgres")]
    pub(crate) database: tokio_postgres::Config,

    /// How many orders this process handles at once; it never holds more
    #[arg(long, value_name = "N", default_value = "8")]
    pub(crate) slots: NonZeroUsize,

    /// How often an order may fail before it is given up; also after twice as many deliveries without an end
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) attempts: u32,

    /// How long the broker waits for progress on an order before it redelivers it
    #[arg(long, value_name = "MS", default_value = "30000", value_parser = clap::value_parser!(u64).range(100..))]
    ack_wait_ms: u64,

    /// How long a failed order waits for its second attempt; twice as long for each further one
    #[arg(long, value_name = "MS", default_value = "1000")]
    retry_ms: u64,

    /// How long running orders may continue after the signal, before they are returned to the queue
    #[arg(long, value_name = "MS", default_value = "10000", value_parser = clap::value_parser!(u64).range(..=10_000))]
    finish_ms: u64,

    /// Demonstration: each order takes this many milliseconds more, as a request to a server would
    #[arg(long, value_name = "MS", default_value = "0")]
    work_ms: u64,
}

impl Work {
    pub(crate) fn ack_wait(&self) -> Duration {
        Duration::from_millis(self.ack_wait_ms)
    }

    pub(crate) fn retry(&self) -> Duration {
        Duration::from_millis(self.retry_ms)
    }

    pub(crate) fn deliveries(&self) -> i64 {
        2 * i64::from(self.attempts)
    }

    /// The length of a drain: the time for orders to finish, and 5 s for the cancelled ones, or as much as the former
    /// if that is less.
    pub(crate) fn draining(&self) -> Duration {
        let finish = Duration::from_millis(self.finish_ms);
        finish + finish.min(Duration::from_secs(5))
    }

    pub(crate) fn work(&self) -> Duration {
        Duration::from_millis(self.work_ms)
    }
}

const ENDS: &str = "\
On the broker:
  stream ORDERS       what is to be done; a message is gone when it is acknowledged
  stream ORDERS_DEAD  what was given up, with its reason; it is kept
  consumer `workers`  which order is with a worker, and since when: one for all workers, as the last of them
                      to start has set it
In the database:
  table prices        a row for each order that is done
  table totals        how many, and their sum

Exit codes:
  0  every order that was taken is done, given up, or back in the queue; also after Ctrl-C or SIGTERM.
     Of `publish`: every line is stored
  1  the outcome of some order could not be reported to the broker in time: it is redelivered after the
     wait, and not recorded twice. Of `publish`: not every line is stored; publish them again
  2  the command line is wrong
  75 some order did not stop in time: it is redelivered after the wait
A second signal exits at once; the broker gives what was under way to another after the wait.";
