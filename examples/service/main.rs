//! An HTTP server, the consumer of its queue and the flusher of the numbers, in one program.
//!
//! ```text
//! cargo run --example service -- --faults --work 0.5
//! curl -i -d 'a job' http://127.0.0.1:8080/jobs
//! curl -i -X POST http://127.0.0.1:8080/fail/consumer              # and read metrics.txt
//! ```
//!
//! # Before
//!
//! By hand each component is a spawned task, and `main` waits for the first that ends:
//!
//! ```ignore
//! let server = tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(sigterm()).into_future());
//! let consumer = tokio::spawn(async move {
//!     while let Some(job) = jobs.recv().await {
//!         work(job).await.unwrap();                  // a panic: the server still answers 202
//!     }
//! });
//! let flusher = tokio::spawn(async move {
//!     loop {
//!         write(&metrics).await.ok();                // failures are ignored
//!         sleep(SECOND).await;                       // no end: the last second's numbers are lost
//!     }
//! });
//! select! {                                          // the first to end drops the others where they are,
//!     _ = server => {}                               // what is queued included; its error is lost, and
//!     _ = consumer => {}                             // the exit code is 0
//!     _ = flusher => {}
//! }
//! ```
//!
//! # After
//!
//! A [`row`] of places: each component has a `Group` and its own token, which fires when every component before it has
//! ended. A signal and a failure stop components in the same order: readiness, server, consumer, flusher. The joins
//! return the failure, if there was one.
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: after a signal, the server ends within 5 s, the consumer within 8, the
//!   flusher within 3; each grace starts when that component's token fires.
//! * 2, registration happens in the parent: its group lists a component before it starts, and the server is
//!   spawned when its dependencies run.
//! * 3, loop variables are passed in: a component owns what it works with.
//! * 4, cancellation is threaded through: from the signal to the first place, from each place to the next.
//! * 5, panics stop at the task boundary: a component that panics is its group's failure like any other.
//! * 6, groups, not counters and channels: no channel carries errors here, and no flag is polled.
//! * 7, channels for flow, locks for state: jobs go through a channel; the numbers are atomics.
//! * 8, no sleeping to synchronise: its sleeps are what `--work`, `--every` and `--linger` ask for.
//! * 10, concurrency is bounded: four tasks, a queue of `--queue` jobs; more is refused.
//! * 11, concurrency safety is documented: `Numbers` and `Place` say who shares them.

mod arguments;
mod consumer;
mod faults;
mod flusher;
mod numbers;
mod row;
mod server;

use std::{io::stderr, sync::Arc};

use anyhow::Context as _;
use clap::Parser;
use tokio::{net::TcpListener, sync::mpsc, time::sleep};
use tokio_supervised::{CancellationToken, supervised, task};

use arguments::Arguments;
use consumer::{Done, Work, consume};
use faults::Fault;
use flusher::{Metrics, flush};
use numbers::Numbers;
use row::{in_a_row, join, start};
use server::{Queue, router};

/// Linger, server, consumer and flusher have 5, 5, 8 and 3 s of it.
#[supervised::main(grace = "25s")]
async fn main(token: CancellationToken) -> anyhow::Result<()> {
    let Arguments { listen, done, metrics, every, queue, work, linger, faults } =
        Arguments::parse();
    tracing_subscriber::fmt().with_writer(stderr).init();
    let done = Done::open(&done).await?;
    let bound = TcpListener::bind(listen).await;
    let listener = bound.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    let numbers = Arc::new(Numbers::default());
    let (sender, jobs) = mpsc::channel(queue.into());
    let [server_fails, consumer_fails, flusher_fails] =
        ["server", "consumer", "flusher"].map(Fault::of);
    let all_faults = [&server_fails, &consumer_fails, &flusher_fails].map(Fault::clone);

    let [announcing, serving, consuming, flushing] =
        in_a_row(&token, ["readiness", "server", "consumer", "flusher"]);

    // They start in reverse order of stopping: no component uses one that does not run yet.
    let metrics = Metrics { path: metrics, every, numbers: numbers.clone(), fault: flusher_fails };
    let flusher = start(flushing, |stop, place| flush(stop, place, metrics)).await;

    let work = Work { jobs, done, takes: work, numbers: numbers.clone(), fault: consumer_fails };
    let consumer = start(consuming, |stop, place| consume(stop, place, work)).await;

    let faults = if faults { all_faults.to_vec() } else { Vec::new() };
    let app = router(Queue { jobs: sender, numbers: numbers.clone(), faults });
    let server = start(serving, |stop, mut place| {
        task!("server", grace = "5s", |token| -> anyhow::Result<()> {
            place.begun();
            let server = axum::serve(listener, app).with_graceful_shutdown(token.cancelled_owned());
            tokio::select! {
                served = server.into_future() => served.context("the server failed"),
                error = server_fails.strikes() => Err(error),
            }
        })(stop)
    })
    .await;

    let readiness = start(announcing, |stop, mut place| {
        task!("readiness", |token| -> anyhow::Result<()> {
            let ready = numbers.ready();
            place.begun();
            println!("READY {address}");
            token.cancelled().await;
            drop(ready);
            sleep(linger).await;
            Ok(())
        })(stop)
    })
    .await;

    join([readiness, server, consumer, flusher]).await
}
