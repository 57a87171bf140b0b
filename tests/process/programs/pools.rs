//! Mains whose bodies leave something in a pool.

#![expect(
    clippy::disallowed_methods,
    reason = "a program to be stopped has tasks that nobody stops"
)]

#[path = "common.rs"]
mod common;

use std::{
    future::pending,
    io::Read,
    process::{ExitCode, Termination},
    sync::LazyLock,
};

use common::{BlockingReport, block, say, wanted};
use tokio_supervised::{CancellationToken, Pool, TaskError, supervised};

static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::new(1));

/// Ends when the test closes stdin, whatever its token says.
#[supervised(name = "finishes", grace = "none", allow(unused_token, detached_spawn))]
async fn finishes(token: &CancellationToken) -> anyhow::Result<()> {
    let _ = token;
    // Reading, before the test is told that it may go on.
    let read = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
    say("READY");
    read.await??;
    say("DONE");
    Ok(())
}

/// Has the token, and does not obey it.
#[supervised(name = "deaf", grace = "none", allow(unused_token))]
async fn deaf(token: &CancellationToken) -> Result<(), TaskError> {
    let _ = token;
    pending().await
}

#[supervised(name = "blocks")]
async fn blocks() -> Result<(), TaskError> {
    say("READY");
    block()
}

#[supervised(name = "never")]
async fn never() -> Result<(), TaskError> {
    pending().await
}

/// Says when the pool has closed, which is full.
fn say_when_it_drains() {
    tokio::spawn(async {
        if POOL.reserve().await.is_err() {
            say("DRAINING");
        }
    });
}

async fn body(token: CancellationToken, wanted: &str) -> anyhow::Result<()> {
    match wanted {
        "finishes" => POOL.spawn(finishes).await?,
        "is idle" => assert!(POOL.is_empty()),
        "is cancelled" => {
            POOL.spawn(finishes).await?;
            never(&token).await?;
        }
        "is deaf" => POOL.spawn(deaf).await?,
        "is deaf, and the body fails" => {
            POOL.spawn(deaf).await?;
            anyhow::bail!("the disk is full");
        }
        "is deaf, and the body fails when it is told" => {
            POOL.spawn(deaf).await?;
            say("READY");
            token.cancelled().await;
            anyhow::bail!("the disk is full");
        }
        "is deaf, and the report blocks" => {
            POOL.spawn(deaf).await?;
            return Err(BlockingReport.into());
        }
        "is deaf, and the body is cancelled" => {
            POOL.spawn(deaf).await?;
            say("READY");
            never(&token).await?;
        }
        "is deaf, and says when it drains" => {
            POOL.spawn(deaf).await?;
            say_when_it_drains();
            say("READY");
            token.cancelled().await;
        }
        "is deaf, and so is the body" => {
            POOL.spawn(deaf).await?;
            say("READY");
            deaf(&token).await?;
        }
        "blocks" => POOL.spawn(blocks).await?,
        "has a thread" => {
            POOL.spawn_blocking("holds", |_| -> anyhow::Result<()> {
                say("READY");
                block()
            })
            .await?;
        }
        "is leaked in a task" => {
            let pool = Pool::new(1);
            pool.spawn(finishes).await?;
            tokio::spawn(async move {
                let _pool = pool;
                pending::<()>().await;
            });
        }
        "is let go while it is drained" => {
            let pool = Pool::new(1);
            pool.spawn(finishes).await?;
            tokio::spawn(async move {
                // It is full, until it closes.
                let closed = pool.reserve().await.is_err();
                drop(pool);
                assert!(closed);
                say("LET GO");
            });
        }
        other => anyhow::bail!("no such body: {other}"),
    }
    Ok(())
}

#[supervised::main(grace = "40s", worker_threads = 2)]
async fn long(token: CancellationToken) -> anyhow::Result<()> {
    body(token, second_half()).await
}

#[supervised::main(grace = "1s", worker_threads = 2)]
async fn short(token: CancellationToken) -> anyhow::Result<()> {
    body(token, second_half()).await
}

#[supervised::main(grace = "40s", flavor = "current_thread")]
async fn long_on_one_thread(token: CancellationToken) -> anyhow::Result<()> {
    body(token, second_half()).await
}

#[supervised::main(grace = "1s", flavor = "current_thread")]
async fn short_on_one_thread(token: CancellationToken) -> anyhow::Result<()> {
    body(token, second_half()).await
}

fn second_half() -> &'static str {
    static WANTED: LazyLock<String> = LazyLock::new(wanted);
    WANTED.split_once(": ").expect("which main, and what its pool does").1
}

fn main() -> ExitCode {
    let wanted = wanted();
    match wanted.split_once(": ").expect("which main, and what its pool does").0 {
        "long" => long().report(),
        "short" => short().report(),
        "long on one thread" => long_on_one_thread().report(),
        "short on one thread" => short_on_one_thread().report(),
        other => panic!("no such main: {other}"),
    }
}
