//! Stores what is posted to it, in the background: 202 where there is a slot for the body, else 503.
//!
//! ```text
//! cargo run --example http_saver -- --directory saved --slots 2 --delay 5
//! curl -i --data-binary @photo.jpg http://127.0.0.1:8080/save        # the third within 5 s gets 503
//! ```
//!
//! # Before
//!
//! By hand the handler spawns, and answers:
//!
//! ```ignore
//! async fn save(State(app): State<App>, body: Bytes) -> StatusCode {
//!     let _slot = app.slots.acquire().await;         // full: waits until the client times out and retries
//!     let token = app.token.child_token();
//!     tokio::spawn(async move {                      // the slot stays in the handler: nothing is bounded
//!         select! {
//!             _ = token.cancelled() => {}            // SIGTERM: what was answered with 202 is dropped
//!             result = write(body) => result.unwrap(), // the disk is full: a panic that is never reported
//!         }
//!     });
//!     StatusCode::ACCEPTED
//! }
//! axum::serve(listener, app).with_graceful_shutdown(sigterm()).await?; // exits with the tasks half way
//! ```
//!
//! A correct shutdown would need a tracker for the tasks, a way to close it against late requests, a deadline, and a
//! list of unfinished tasks.
//!
//! # After
//!
//! [`accept`](server::accept) takes the slot and the body at once with `try_spawn`, or refuses. A client that asks for
//! it waits for the result of the save, which goes on without it if it leaves. [`main`] stops
//! in order: readiness, the server and its requests, the pool. [`Accepted`](store::Accepted) is what a 202
//! promises: it is on disk when it is dropped, or named on standard error.
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: the server stops within 5 s, a body arrives within 10 s, a save stops early
//!   when its token fires, and is dropped and named when the pool's grace has passed.
//! * 2, registration happens in the parent: the slot is taken before the answer is given.
//! * 3, loop variables are passed in: a save owns its body.
//! * 4, cancellation is threaded through, and each task has the right token: a save has the pool's, not its request's.
//! * 5, panics stop at the task boundary: a panic costs one save, and is logged.
//! * 6, groups, not counters and channels: a group for the server, a pool for the saves.
//! * 7, channels for flow, locks for state: two counters are shared, and a body has one owner.
//! * 8, no sleeping to synchronise: the one `sleep` is what `--delay` asks for.
//! * 10, concurrency is bounded: `--slots` saves, 256 bodies being read, 1 MiB each; more is refused.
//! * 11, concurrency safety is documented: `Saver` and `Store` say who shares them.

mod arguments;
mod server;
mod store;

use std::{io::stderr, sync::Arc};

use anyhow::{Context as _, ensure};
use clap::Parser;
use tokio::{net::TcpListener, time::sleep};
use tokio_supervised::{CancellationToken, Group, Pool, supervised, task};

use arguments::Arguments;
use server::{Saver, router};
use store::Store;

/// Linger, server and pool have 5, 5 and 14 s of it.
#[supervised::main(grace = "25s")]
async fn main(stopping: CancellationToken) -> anyhow::Result<()> {
    let Arguments { listen, directory, slots, delay, linger, grace } = Arguments::parse();
    tracing_subscriber::fmt().with_writer(stderr).init();
    let store = Arc::new(Store::open(&directory)?);
    let pool = Pool::new(slots.into());
    let bound = TcpListener::bind(listen).await;
    let listener = bound.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;

    // Its token is no child of main's: the server continues while readiness is down, until either of the two ends.
    let server = Group::new(&CancellationToken::new()).until_first_exit();
    let saver = (pool.clone(), store.clone(), stopping.clone());
    server
        .spawn(task!("readiness", |_| async move {
            stopping.cancelled().await;
            sleep(linger).await;
            Ok(())
        }))
        .await;
    server
        .spawn(task!("http", grace = "5s", |closing| {
            let (pool, store, stopping) = saver;
            let saver = Saver { pool, store, delay, stopping, closing: closing.clone() };
            axum::serve(listener, router(saver)).with_graceful_shutdown(closing.cancelled_owned())
        }))
        .await;
    println!("READY {address}");

    // However the server ended, its accepted bodies are saved first.
    let served = server.join().await;
    let drained = pool.drain(grace).await;
    served.context("the server failed")?;
    drained?;
    let not_saved = store.not_saved();
    ensure!(not_saved == 0, "{not_saved} accepted bodies were not saved");
    Ok(())
}
