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
//! A [`Services`]: each component has its own token, which fires after every later component has ended. A signal
//! and a failure stop them in the same order: readiness, server, consumer, flusher. `run` returns the failure, if there
//! was one.
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: once its token fires, the server ends within 5 s, the consumer within 8, the
//!   flusher within 3; each grace starts when that component's token fires.
//! * 2, registration happens in the parent: `run` lists a service before its task starts.
//! * 3, loop variables are passed in: a component owns what it works with.
//! * 4, cancellation is threaded through: from the signal to the last service, from each service to the one before it.
//! * 5, panics stop at the task boundary: a component that panics is a failure like any other.
//! * 6, groups, not counters and channels: no channel carries errors here, and no flag is polled.
//! * 7, channels for flow, locks for state: jobs go through a channel; the numbers are atomics.
//! * 8, no sleeping to synchronise: its sleeps are what `--work`, `--every` and `--linger` ask for.
//! * 10, concurrency is bounded: four tasks, a queue of `--queue` jobs; more is refused.
//! * 11, concurrency safety is documented: `Numbers` says who shares it.

mod arguments;
mod consumer;
mod faults;
mod flusher;
mod numbers;
mod server;

use std::{io::stderr, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use tokio::{net::TcpListener, sync::mpsc, time::sleep};
use tokio_supervised::{CancellationToken, Services, supervised};

use arguments::Arguments;
use consumer::{Done, Work, consume};
use faults::Fault;
use flusher::{Metrics, flush};
use numbers::Numbers;
use server::{Queue, serve};

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

    let faults = if faults { all_faults.to_vec() } else { Vec::new() };
    let metrics = Metrics { path: metrics, every, numbers: numbers.clone(), fault: flusher_fails };
    let work = Work { jobs, done, takes: work, numbers: numbers.clone(), fault: consumer_fails };
    let queue = Queue { jobs: sender, numbers, faults };

    // A component starts when those that it needs have started, and stops before them.
    Services::new(&token)
        .service_with_ready("flusher", |token, ready| flush(token, ready, metrics))
        .service("consumer", |token| consume(token, work))
        .service("server", |token| serve(token, listener, queue, server_fails))
        .service("readiness", |token| announce(token, address, linger))
        .run()
        .await?;
    Ok(())
}

/// Says that all components have started, and holds their stop until a load balancer has seen that they are not ready.
#[supervised(name = "readiness")]
async fn announce(
    token: &CancellationToken,
    address: SocketAddr,
    linger: Duration,
) -> anyhow::Result<()> {
    println!("READY {address}");
    token.cancelled().await;
    sleep(linger).await;
    Ok(())
}
