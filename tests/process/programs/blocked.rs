//! Mains whose tasks block the threads that poll them, until a line comes on standard input.

use std::{
    io::BufRead,
    process::ExitCode,
    time::{Duration, Instant},
};

use super::{
    common::{bodies_run, body_runs, say, wanted},
    events::Lines,
};
use tokio_supervised::{CancellationToken, Main, Pool, TaskError, stats, supervised};

/// Blocks its thread until a line comes.
fn read() {
    _ = std::io::stdin().lock().read_line(&mut String::new());
}

/// Blocks the thread that polls it.
#[supervised(name = "reader")]
async fn reads() -> Result<(), TaskError> {
    say("READY");
    tokio::task::yield_now().await;
    read();
    Ok(())
}

/// Blocks the thread that polls it, for at least three times the limit.
#[supervised(name = "spinner")]
async fn spins() -> Result<(), TaskError> {
    let started = Instant::now();
    while started.elapsed() < 3 * LIMIT {
        std::hint::spin_loop();
    }
    Ok(())
}

const LIMIT: Duration = Duration::from_millis(200);

fn slow_polls() -> String {
    let slow: Vec<_> = stats().iter().map(|task| (task.name, task.slow_polls)).collect();
    let slow = slow.iter().filter(|(_, polls)| *polls > 0);
    format!("slow: {:?}", slow.collect::<Vec<_>>())
}

#[supervised]
async fn app(token: CancellationToken) -> anyhow::Result<()> {
    let pool = Pool::new(2);
    match wanted().as_str() {
        "a read" => {
            pool.spawn(|token| reads(token).label("stdin")).await?;
        }
        "a closure on its own thread" => {
            pool.spawn_blocking("holds", |_| -> anyhow::Result<()> {
                body_runs();
                read();
                Ok(())
            })
            .await?;
            bodies_run(1).await;
            spins(&token).await?;
            say("SPUN");
        }
        "nothing is watched" => spins(&token).await?,
        "stopped" => reads(&token).await?,
        other => anyhow::bail!("no such body: {other}"),
    }
    pool.drain(Duration::from_secs(20)).await?;
    say(&slow_polls());
    Ok(())
}

/// Its own body blocks its only thread.
#[supervised::main(warn_blocked = "100ms", flavor = "current_thread")]
async fn attribute() {
    say("READY");
    read();
    say(&slow_polls());
}

/// The same, without a report.
#[supervised::main(warn_blocked = "off")]
async fn off(token: CancellationToken) -> Result<(), TaskError> {
    spins(&token).await?;
    say(&slow_polls());
    Ok(())
}

pub(crate) fn main() -> ExitCode {
    tracing::subscriber::set_global_default(Lines).expect("it is the first");
    match wanted().as_str() {
        "attribute" => return attribute(),
        "off" => return off(),
        _ => {}
    }
    let limit = match wanted().as_str() {
        "nothing is watched" => None,
        "stopped" => Some(Duration::from_secs(2)),
        _ => Some(LIMIT),
    };
    Main::new()
        .warn_blocked(limit)
        .on_blocked(|task| {
            say(&format!("CALLED {task}"));
            panic!("the callback is broken");
        })
        .run(app)
}
