//! Services. What the tests share is here.

mod handles;
mod nesting;
mod start;
mod stop;

use std::{
    error::Error as _,
    future::{pending, ready},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};
use tokio_supervised::{
    CancellationToken, Cause, Group, Ready, ServiceState, Services, ServicesError, ServicesHandle,
    ServicesHandleError, TaskError, Unfinished, is_cancelled, shield, supervised, task, tasks,
};

use testkit::{in_time, poll_once};

const SECOND: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(30);

/// The events, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Runs until its token fires, and takes a while to stop.
#[supervised(name = "services: run", grace = "10s")]
async fn run(
    token: &CancellationToken,
    log: Log,
    name: &'static str,
    takes: Duration,
) -> anyhow::Result<()> {
    log.add(format!("start {name}"));
    token.cancelled().await;
    sleep(takes).await;
    log.add(format!("stop {name}"));
    Ok(())
}

/// Returns `Ok` after a while.
#[supervised(name = "services: return")]
async fn return_after(log: Log, name: &'static str, takes: Duration) -> anyhow::Result<()> {
    log.add(format!("start {name}"));
    sleep(takes).await;
    log.add(format!("end {name}"));
    Ok(())
}

#[supervised(name = "services: fail")]
async fn fail_after(takes: Duration, text: &'static str) -> anyhow::Result<()> {
    sleep(takes).await;
    anyhow::bail!(text)
}

/// Fails once it is asked to stop.
#[supervised(name = "services: fail to stop")]
async fn fail_to_stop(token: &CancellationToken, text: &'static str) -> anyhow::Result<()> {
    token.cancelled().await;
    anyhow::bail!(text)
}

/// Ignores its token for longer than a test lasts.
#[supervised(name = "services: stubborn", grace = "1h")]
async fn stubborn(token: &CancellationToken) -> anyhow::Result<()> {
    token.cancelled().await;
    pending().await
}

/// Exceeds the grace of its function.
#[supervised(name = "services: overdue", grace = "2s")]
async fn overdue(token: &CancellationToken) -> anyhow::Result<()> {
    token.cancelled().await;
    pending().await
}

#[derive(Clone, Default)]
struct Causes(Arc<Mutex<Vec<Cause>>>);

impl Causes {
    fn get(&self) -> Vec<Cause> {
        self.0.lock().unwrap().clone()
    }
}

/// Notes why it was cancelled.
#[supervised(name = "services: note the cause")]
async fn note_cause(token: &CancellationToken, causes: Causes) -> anyhow::Result<()> {
    #[supervised(name = "services: cause")]
    async fn wait() -> Result<(), TaskError> {
        pending().await
    }

    let Err(TaskError::Cancelled(cancelled)) = wait(token).await else { panic!("it waits") };
    causes.0.lock().unwrap().push(cancelled.cause());
    Ok(())
}

fn stop_after(token: &CancellationToken, after: Duration) {
    let token = token.clone();
    tokio::spawn(async move {
        sleep(after).await;
        token.cancel();
    });
}

fn unfinished(error: &ServicesError) -> &Unfinished {
    error.source().and_then(|source| source.downcast_ref()).expect("an `Unfinished`")
}
