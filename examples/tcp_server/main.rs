//! A TCP server without a framework: one task for each connection, a bounded number of them.
//!
//! ```text
//! cargo run --example tcp_server -- --connections 2 --idle 10
//! nc 127.0.0.1 7000        # each line comes back in upper case; the third client waits
//! ```
//!
//! # Before
//!
//! ```ignore
//! loop {
//!     let (stream, _) = listener.accept().await?;  // out of file descriptors: the server exits
//!     tokio::spawn(async move {                    // unbounded; a panic is printed and forgotten
//!         let mut lines = BufReader::new(stream).lines();
//!         while let Ok(Some(line)) = lines.next_line().await {} // a silent client stays for ever
//!     });
//! }                                                // SIGTERM: every answer under way is lost
//! ```
//!
//! # After
//!
//! [`accept`] reserves a slot of the pool before it accepts, so that a full server leaves clients in the backlog.
//! The pool is stopped with main's token: on a signal each [`connection`](connection::connection) finishes its line and
//! closes. `drain` waits for all of them. The operator ends one by its peer, with the handle of its task: see [`operator`].
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: a connection ends with its client, after `--idle`, or on a signal.
//! * 2, registration happens in the parent: the slot is reserved before there is a connection.
//! * 4, cancellation is threaded through: main's token reaches the listener and the pool.
//! * 5, panics stop at the task boundary: a panic closes one connection.
//! * 6, groups, not counters and channels: the pool knows the connections.
//! * 10, concurrency is bounded: `--connections` tasks, 8 KiB for each line.

mod arguments;
mod connection;
mod operator;

use std::{io::stderr, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use tokio::{net::TcpListener, time::sleep};
use tokio_supervised::{CancellationToken, Pool, supervised};

use arguments::Arguments;
use connection::connection;
use operator::{Connections, end_named, named_peers};

/// Longer than the grace of a connection, shorter than the grace of main (25 s).
const DRAIN: Duration = Duration::from_secs(15);

/// The pause after a failed `accept`, for example if the process has no file descriptor left.
const RETRY: Duration = Duration::from_millis(100);

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<()> {
    let Arguments { listen, connections, idle, work } = Arguments::parse();
    tracing_subscriber::fmt().with_writer(stderr).init();
    let bound = TcpListener::bind(listen).await;
    let listener = bound.with_context(|| format!("cannot listen on {listen}"))?;
    println!("READY {}", listener.local_addr()?);

    let pool = Pool::new(connections.into()).stop_with(&token).name("connections");
    let connections = Connections::default();
    let (accepted, ()) = tokio::join!(
        accept(&token, listener, &pool, &connections, idle, work),
        end_named(&token, named_peers(), &connections),
    );
    pool.drain(DRAIN).await?;
    accepted
}

/// Reserves a slot, then accepts a connection, until the token fires.
#[supervised]
async fn accept(
    token: &CancellationToken,
    listener: TcpListener,
    pool: &Pool,
    connections: &Connections,
    idle: Duration,
    work: Duration,
) -> anyhow::Result<()> {
    while let Ok(slot) = pool.reserve().await {
        match token.run_until_cancelled(listener.accept()).await {
            Some(Ok((stream, peer))) => {
                let task =
                    slot.spawn(move |token| connection(token, stream, idle, work).label(peer));
                connections.add(peer, task.handle());
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot accept a connection");
                token.run_until_cancelled(sleep(RETRY)).await;
            }
            None => break,
        }
    }
    Ok(())
}
