//! Mains of every kind, with a grace of a second, for storms of signals.

use std::{
    future::pending,
    process::{ExitCode, Termination},
    time::Duration,
};

use super::common::{block, bodies_run, body_runs, say, wanted};
use anyhow::bail;
use tokio::sync::mpsc;
use tokio_supervised::{CancellationToken, Group, Pool, TaskError, map, shield, supervised};

#[supervised(name = "step", limit = 3)]
async fn step(n: u64) -> Result<u64, TaskError> {
    tokio::time::sleep(Duration::from_millis(n % 5)).await;
    Ok(n)
}

/// Takes the token and ignores it.
#[supervised(name = "deaf", grace = "none", allow(unused_token))]
async fn deaf(token: &CancellationToken) -> Result<(), TaskError> {
    let _ = token;
    body_runs();
    pending().await
}

/// One section after the other, of various lengths.
#[supervised(name = "commit")]
async fn commit(takes: Duration, started: mpsc::Sender<()>) -> Result<(), TaskError> {
    loop {
        let section = shield(takes * 2, |_| async {
            // The receivers of later signals are gone.
            _ = started.try_send(());
            tokio::time::sleep(takes).await;
        });
        section.await;
        tokio::task::yield_now().await;
    }
}

async fn in_a_group(token: &CancellationToken, takes: Duration) -> anyhow::Result<()> {
    let group = Group::new(token);
    let (started, mut has_started) = mpsc::channel(1);
    group.spawn(|token| commit(token, takes, started)).await;
    // `None` if the token had fired before.
    if has_started.recv().await.is_some() {
        say("READY");
    }
    group.join().await?;
    Ok(())
}

async fn works(token: &CancellationToken) -> anyhow::Result<()> {
    say("READY");
    loop {
        map(token, 0..20, step).await?;
    }
}

// One of the kinds needs a detached task.
#[supervised::main(grace = "1s", worker_threads = 2, allow(detached_spawn))]
async fn with_a_token(token: CancellationToken) -> anyhow::Result<()> {
    match wanted().as_str() {
        "cooperates" => {
            let works = works(&token).await;
            assert!(token.is_cancelled(), "{works:?}");
            Ok(())
        }
        "hands on its cancellation" => works(&token).await,
        "ignores its token" => {
            say("READY");
            pending().await
        }
        "blocks its worker" => {
            say("READY");
            block()
        }
        "panics on cancel" => {
            say("READY");
            token.cancelled().await;
            panic!("the flush is broken")
        }
        "fails on cancel" => {
            say("READY");
            token.cancelled().await;
            bail!("the flush failed")
        }
        "returns quickly" => {
            say("READY");
            Ok(())
        }
        "leaves a blocking thread" => {
            tokio::task::spawn_blocking(|| block());
            say("READY");
            token.cancelled().await;
            Ok(())
        }
        "drains a pool" => {
            let pool = Pool::new(4);
            say("READY");
            while !token.is_cancelled() {
                pool.spawn(|token| step(token, 4)).await?;
            }
            pool.drain(Duration::from_millis(700)).await?;
            Ok(())
        }
        "leaves a pool" => {
            let pool = Box::leak(Box::new(Pool::new(4)));
            say("READY");
            while !token.is_cancelled() {
                pool.spawn(|token| step(token, 3)).await?;
            }
            Ok(())
        }
        "leaves a deaf pool" => {
            let pool = Box::leak(Box::new(Pool::new(1)));
            pool.spawn(deaf).await?;
            bodies_run(1).await;
            say("READY");
            token.cancelled().await;
            Ok(())
        }
        "is in sections" => in_a_group(&token, Duration::from_millis(150)).await,
        "is in long sections" => in_a_group(&token, Duration::from_secs(3600)).await,
        other => bail!("no such shape: {other}"),
    }
}

#[supervised::main(grace = "1s", flavor = "current_thread")]
async fn without_a_token() {
    say("READY");
    loop {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn main() -> ExitCode {
    match wanted().as_str() {
        "has no token" => without_a_token().report(),
        _ => with_a_token().report(),
    }
}
