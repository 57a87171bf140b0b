//! The workers of a Kafka topic: an offset is committed after the effect, and a revoked partition is drained first.
//!
//! ```text
//! cargo run -p supervised-kafka -- --brokers 127.0.0.1:9092 --topic jobs      # as often as there are partitions
//! ```
//!
//! # Before
//!
//! By hand it is a loop around the consumer, and a task for each message:
//!
//! ```ignore
//! let consumer: StreamConsumer = config.create()?;             // enable.auto.commit is on
//! loop {
//!     let message = consumer.recv().await?.detach();
//!     tokio::spawn(async move { work(message).await });        // committed five seconds later, done or not
//! }                                                            // rebalanced: two members work on one message
//! ```
//!
//! The automatic commit treats read messages as done. If a task commits by hand, a later message that ends first also
//! commits an earlier one: a commit means "everything before this". A rebalance revokes the partition while its
//! messages are still running, and the next member starts them again.
//!
//! # After
//!
//! [`take`](consume::take) runs on its own thread, since librdkafka calls back on the thread that polls, and waits
//! there until a revoked partition is drained. It acquires a slot of the pool *before* it takes a message.
//! [`Partitions`](partitions::Partitions) tracks the running messages, and from that the safe offset: the first one
//! whose message has not ended. [`handle`](handle::handle) is plain code.
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: the thread checks the token ten times a second, a message has 10 s, the
//!   pool 20 s to drain.
//! * 2, registration happens in the parent: slot and entry exist before the task.
//! * 3, loop variables are passed in: each message is an argument.
//! * 4, cancellation is threaded through, and stops where it should: at the consumer.
//! * 5, panics stop at the task boundary: a poisoned message is a `dead` line, and is committed like any other.
//! * 6, groups, not counters and channels: the pool knows the running messages.
//! * 7, channels for flow, locks for state: one lock around the partitions, one around the file.
//! * 10, concurrency is bounded: by the slots of the pool, and the topic is read no faster.
//! * 11, concurrency safety is documented: `Partitions` and `Done` are the only shared state.

mod arguments;
mod consume;
mod done;
mod handle;
mod partitions;

use std::{io::stderr, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use tokio_supervised::{CancellationToken, Group, Pool, supervised};

use arguments::Arguments;
use done::Done;

/// Less than main's own grace.
const DRAINING: Duration = Duration::from_secs(20);

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(stderr).init();
    let opened = Done::open(&arguments.done);
    let done = opened.with_context(|| format!("cannot open `{}`", arguments.done.display()))?;
    let consumer = Arc::new(consume::join(&arguments).context("cannot make a consumer")?);
    let pool = Pool::new(arguments.workers.get());
    println!("READY");

    let group = Group::new(&token);
    let taken = {
        let (consumer, pool) = (consumer.clone(), pool.clone());
        let (done, work) = (Arc::new(done), arguments.work());
        move |token: CancellationToken| consume::take(&token, &consumer, &pool, &done, work)
    };
    group.spawn_blocking("take", taken).await;
    let took = group.join().await;
    // However the consumer stopped, the messages that it took are finished and committed.
    pool.drain(DRAINING).await?;
    took?;
    consume::leave(&consumer)?;
    Ok(())
}
