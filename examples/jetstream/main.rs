//! Processes a queue of orders in NATS JetStream, with any number of processes.
//!
//! ```text
//! apt-get install --no-install-recommends nats-server postgresql
//! nats-server -a 127.0.0.1 -js -sd queue &
//! seq 20000 | awk '{ print $1, $1 % 500, 600 }' |                # every 500th has no items
//!   cargo run -p supervised-jetstream -- publish                 # again: each is known, and stored once
//! cargo run -p supervised-jetstream -- work --work-ms 20         # in several terminals; Ctrl-C, kill, again
//! ```
//!
//! # Before
//!
//! By hand it is the client's stream of messages, and a task for each:
//!
//! ```ignore
//! let mut messages = consumer.messages().await?;            // some hundred are fetched in advance: the other
//! while let Some(message) = messages.next().await {         // workers idle, and a kill delays all of them
//!     let message = message?;                               // a heartbeat missed: the worker ends
//!     let permit = permits.clone().acquire_owned().await?;
//!     tokio::spawn(async move {
//!         let price = item_price(&message.payload).await?;  // a panic: it comes again, and again, and again
//!         insert(&price).await?;                            // longer than `ack_wait`: two workers insert
//!         message.ack().await?;                             // sent, and perhaps never received
//!         drop(permit);
//!         anyhow::Ok(())
//!     });
//! }                                                         // SIGTERM: all that was fetched waits for `ack_wait`
//! ```
//!
//! # After
//!
//! [`consume`](consume::consume) acquires slots of the pool *before* it asks the broker, for as many messages as it has
//! slots: other workers get the rest. It restarts with a backoff when the broker or the database is lost, which it
//! detects by missing heartbeats, and recreates its connections. [`handle`](handle::handle) is the work, during which
//! progress is reported to the broker, and then its end, inside a [`shield`](tokio_supervised::shield): the price is
//! recorded, then the message is acknowledged, and the broker confirms it. On a signal it requests no more messages,
//! finishes the ones that were delivered, and drains the pool.
//!
//! # Exactly once
//!
//! Only the effect in the database. A message is delivered at least once: again, if a worker was killed, the broker
//! lost an acknowledgement, or a confirmation came too late. The row that records an order has the order's number as
//! its key, and other changes that must happen once are made in the same transaction (see [`sink`]). So the work itself
//! may run twice, and must be harmless then. It is a database server because several processes write at once and all of
//! them must check the key.
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: the consumer stops when its last request has ended, an order after 10 s
//!   of work, the pool after 15 s of draining at most.
//! * 2, registration happens in the parent: a slot is taken before there is a task, or even work for it.
//! * 4, cancellation is threaded through, and stops where it should: at the consumer.
//! * 5, panics stop at the task boundary: an order that panics is retried, then dead-lettered.
//! * 6, groups, not counters and channels: the pool knows the running orders, and counts them.
//! * 8, no sleeping to synchronise: a failed order waits in the broker, not in a slot.
//! * 10, concurrency is bounded: by the slots of each process, and by the broker for all of them.
//! * 11, concurrency safety is documented: `Desk` is all that the tasks share.

mod arguments;
mod broker;
mod consume;
mod desk;
mod handle;
mod order;
mod publish;
mod pulls;
mod report;
mod settle;
mod sink;

use std::{
    io::{IsTerminal, Write, stderr, stdout},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use tokio_supervised::{CancellationToken, Pool, supervised};
use tracing::warn;

use arguments::{Arguments, Command, Work};
use broker::Broker;
use consume::{Session, consume};
use report::Report;

/// The part of main's grace, after a drain of twenty seconds, for the last messages to the broker and the database.
const CLOSING: Duration = Duration::from_secs(1);

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(stderr).with_ansi(stderr().is_terminal()).init();
    let broker = Broker::connect(&arguments.broker).await?;
    match arguments.command {
        Command::Work(arguments) => work(&token, broker, arguments).await,
        Command::Publish { file } => publish::publish(&token, broker, file).await,
    }
}

/// Runs a worker from start to end.
async fn work(
    token: &CancellationToken,
    broker: Broker,
    arguments: Box<Work>,
) -> anyhow::Result<ExitCode> {
    let pool = Pool::new(arguments.slots.get());
    let connections = Pool::new(Session::CONNECTIONS);
    let draining = arguments.draining();
    let session = Session::new(broker.clone(), arguments, connections.clone());
    let consumed = consume(token, session, &pool).await;
    let drained = pool.drain(draining).await;

    // The tasks were the last owners of the connections.
    if let Err(unfinished) = connections.drain(CLOSING).await {
        warn!("{unfinished}");
    }
    broker.close(CLOSING).await;
    let report = Report::now();
    writeln!(stdout(), "{report}")?;
    // A cancelled order is back in the queue, or the report says that it is not.
    if let Err(unfinished) = drained
        && !unfinished.tasks().is_empty()
    {
        return Err(unfinished.into());
    }
    match consumed {
        // The broker or the database was unavailable just then: only the orders' ends matter.
        Err(error) if token.is_cancelled() => {
            warn!(error = format!("{error:#}"), "stopped in trouble")
        }
        consumed => consumed?,
    }
    Ok(if report.all_settled() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
