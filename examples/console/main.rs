//! A busy service with some ill-behaved tasks, to watch on its ops page.
//!
//! ```text
//! cargo run --example console                     # then open the address that it prints; Ctrl-C ends it
//! curl http://127.0.0.1:7070/debug/tasks          # the same as text
//! curl http://127.0.0.1:7070/metrics              # for Prometheus
//! cargo run --release --example console -- --sessions 1000000
//! ```
//!
//! # What to watch
//!
//! * `checksum` computes for 2 s without an `.await`, every 8 s: it *blocks its worker*, and is listed first.
//! * `resize` is at its limit of 4, and its callers wait.
//! * `deliver` runs in a pool, and fails sometimes: a failure affects one delivery.
//! * `parse` panics sometimes: the message, the place and the backtrace are at the bottom of the page.
//! * `fetch` times out after 300 ms, which is not always enough.
//! * `subscribe` loses its connection, and is restarted.
//! * `pack` blocks a thread, but one for blocking work: its state is `blocking`, and no worker is blocked.
//! * `session` runs 200 times: alike siblings are one line.
//! * `journal` ignores its token for 3 s. Press Ctrl-C to see which tasks remain.
//!
//! # How it is served
//!
//! [`ops::listen`] has its own thread, so the page is available when every worker is blocked, and until the process
//! ends. It answers only to this machine.
//!
//! # The rules that it follows
//!
//! * 1, every task has an exit story: all stop at their next `.await`, `journal` 3 s after its token fires.
//! * 2, registration happens in the parent: the page knows a task before it runs.
//! * 4, cancellation is threaded through: Ctrl-C reaches each of them.
//! * 5, panics stop at the task boundary: `read`, which calls `parse`, continues.
//! * 6, groups, not counters and channels: the page needs no bookkeeping in the service.
//! * 10, concurrency is bounded: limits, a pool, and groups of a known size.

mod arguments;
mod ill;
mod well;

use std::process::ExitCode;

use clap::Parser;
use tokio_supervised::{CancellationToken, Group, Pool, ops, supervised};

use arguments::Arguments;

fn main() -> ExitCode {
    // The page shows panics.
    std::panic::set_hook(Box::new(|_| {}));
    run()
}

#[supervised::main(grace = "10s")]
async fn run(token: CancellationToken) -> anyhow::Result<()> {
    let Arguments { port, sessions } = Arguments::parse();
    let address = ops::listen(port)?;
    println!("http://{address}/debug/tasks");

    let group = Group::new(&token);
    let pool = Pool::new(16).name("mail");
    for _ in 0..3 {
        group.spawn(well::gallery).await;
    }
    let mail = pool.clone();
    group.spawn(move |token| well::accept(token, mail)).await;
    group.spawn(move |token| well::chat(token, sessions)).await;
    group.spawn(well::archive).await;
    group.spawn(ill::checksums).await;
    group.spawn(ill::read).await;
    group.spawn(ill::poll).await;
    group.spawn(ill::subscribe).await;
    group.spawn(ill::journal).await;

    // Ctrl-C ends them: a cancellation is expected here.
    let ended = group.join().await;
    pool.drain(std::time::Duration::from_secs(1)).await?;
    if token.is_cancelled() { Ok(()) } else { ended.map(drop) }
}
