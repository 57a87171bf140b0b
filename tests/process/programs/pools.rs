//! Mains whose bodies leave work in a pool.

#![expect(clippy::disallowed_methods, reason = "the program leaves detached tasks on purpose")]

use std::{
    future::pending,
    io::Read,
    process::{ExitCode, Termination},
    sync::LazyLock,
    time::Duration,
};

use super::common::{BlockingReport, block, bodies_run, body_runs, say, wanted};
use anyhow::Context as _;
use tokio_supervised::{CancellationToken, Pool, TaskError, Unfinished, supervised};

static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::new(1));
static ANOTHER: LazyLock<Pool> = LazyLock::new(|| Pool::new(8));

/// Ends when the test closes stdin, and ignores its token.
#[supervised(name = "finishes", grace = "none", allow(unused_token, detached_spawn))]
async fn finishes(token: &CancellationToken) -> anyhow::Result<()> {
    let _ = token;
    // It reads before the test may continue.
    let read = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
    say("READY");
    read.await??;
    say("DONE");
    Ok(())
}

/// Takes the token and ignores it.
#[supervised(name = "deaf", grace = "none", allow(unused_token))]
async fn deaf(token: &CancellationToken) -> Result<(), TaskError> {
    let _ = token;
    body_runs();
    pending().await
}

#[supervised(name = "blocks")]
async fn blocks() -> Result<(), TaskError> {
    say("READY");
    block()
}

/// Finishes, and leaves a task that is in no pool.
#[supervised(name = "finishes first", allow(detached_spawn))]
async fn leaves_a_task_that_blocks() -> Result<(), TaskError> {
    tokio::spawn(blocks(CancellationToken::new()));
    Ok(())
}

#[supervised(name = "never")]
async fn never() -> Result<(), TaskError> {
    pending().await
}

/// Waits until main drains, then uses a pool for the first time.
#[supervised(name = "uses another")]
async fn uses_another() -> anyhow::Result<()> {
    closed().await;
    ANOTHER.spawn(finishes).await?;
    say("ACCEPTED");
    Ok(())
}

/// Returns when the full pool has closed.
async fn closed() {
    _ = POOL.reserve().await;
}

/// Spawns on drop, which happens with its runtime.
struct SpawnsWhenDropped(tokio::runtime::Handle);

impl Drop for SpawnsWhenDropped {
    fn drop(&mut self) {
        let _inside = self.0.enter();
        ANOTHER.try_spawn(never).expect("the pool is open");
    }
}

/// Reports when the full pool has closed.
fn report_drain() {
    tokio::spawn(async {
        if POOL.reserve().await.is_err() {
            say("DRAINING");
        }
    });
}

async fn body(token: CancellationToken, wanted: &str) -> anyhow::Result<()> {
    match wanted {
        "finishes" => drop(POOL.spawn(finishes).await?),
        "is idle" => assert!(POOL.is_empty()),
        "is cancelled" => {
            POOL.spawn(finishes).await?;
            never(&token).await?;
        }
        "is deaf" => {
            POOL.spawn(deaf).await?;
            bodies_run(1).await;
        }
        "is deaf, and the body fails" => {
            POOL.spawn(deaf).await?;
            bodies_run(1).await;
            anyhow::bail!("the disk is full");
        }
        "is deaf, and the body fails on cancel" => {
            POOL.spawn(deaf).await?;
            bodies_run(1).await;
            say("READY");
            token.cancelled().await;
            anyhow::bail!("the disk is full");
        }
        "is deaf, and the report blocks" => {
            POOL.spawn(deaf).await?;
            bodies_run(1).await;
            return Err(BlockingReport.into());
        }
        "is deaf, and the body is cancelled" => {
            POOL.spawn(deaf).await?;
            bodies_run(1).await;
            say("READY");
            never(&token).await?;
        }
        "is deaf, and says when it drains" => {
            POOL.spawn(deaf).await?;
            bodies_run(1).await;
            report_drain();
            say("READY");
            token.cancelled().await;
        }
        "is deaf, and so is the body" => {
            POOL.spawn(deaf).await?;
            bodies_run(1).await;
            let ready = async {
                bodies_run(1).await;
                say("READY");
            };
            tokio::join!(deaf(&token), ready).0?;
        }
        "is deaf, and drained by the body" => {
            POOL.spawn(deaf).await?;
            bodies_run(1).await;
            POOL.drain(Duration::from_millis(200)).await?;
        }
        "is deaf, and drained by a body that adds to the error" => {
            POOL.spawn(deaf).await?;
            bodies_run(1).await;
            POOL.drain(Duration::from_millis(200)).await.context("saving")?;
        }
        "is deaf, and drained by a body that makes do" => {
            POOL.spawn(deaf).await?;
            bodies_run(1).await;
            POOL.drain(Duration::from_millis(200)).await.expect_err("it ignores its token");
        }
        "is deaf, and drained after the signal" => {
            POOL.spawn(deaf).await?;
            bodies_run(1).await;
            say("READY");
            token.cancelled().await;
            POOL.drain(Duration::from_secs(60)).await?;
        }
        "is deaf, and drained when the signal comes" => {
            POOL.spawn(deaf).await?;
            bodies_run(1).await;
            report_drain();
            POOL.drain(Duration::from_secs(60)).await?;
        }
        "uses another" => {
            POOL.spawn(uses_another).await?;
        }
        "is used by a drop with the runtime" => {
            let guard = SpawnsWhenDropped(tokio::runtime::Handle::current());
            tokio::spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            // It has been polled, and is dropped with its guard.
            tokio::task::yield_now().await;
        }
        "blocks" => drop(POOL.spawn(blocks).await?),
        "finishes, and a task blocks the thread" => {
            drop(POOL.spawn(leaves_a_task_that_blocks).await?)
        }
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
        "is dropped while it drains" => {
            let pool = Pool::new(1);
            pool.spawn(finishes).await?;
            tokio::spawn(async move {
                // It is full until it closes.
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

/// The attribute can inspect this error type, in either way.
#[supervised::main(grace = "1s", worker_threads = 2)]
async fn boxed() -> Result<(), Box<dyn std::error::Error>> {
    POOL.spawn(deaf).await?;
    bodies_run(1).await;
    POOL.drain(Duration::from_millis(200)).await?;
    Ok(())
}

#[supervised::main(grace = "1s", worker_threads = 2)]
async fn io() -> std::io::Result<()> {
    POOL.spawn(deaf).await.map_err(std::io::Error::other)?;
    bodies_run(1).await;
    POOL.drain(Duration::from_millis(200)).await?;
    Ok(())
}

/// Its chain hides the contained error, and shows only the sources of that.
#[derive(Debug)]
struct Transparent(Unfinished);

impl std::fmt::Display for Transparent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Transparent {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

#[supervised::main(grace = "1s", worker_threads = 2)]
async fn transparent() -> Result<(), Transparent> {
    POOL.spawn(deaf).await.expect("the pool is open");
    bodies_run(1).await;
    POOL.drain(Duration::from_millis(200)).await.map(drop).map_err(Transparent)
}

#[supervised::main(grace = "1s", worker_threads = 2)]
async fn plain() -> Result<(), Unfinished> {
    POOL.spawn(deaf).await.expect("the pool is open");
    bodies_run(1).await;
    POOL.drain(Duration::from_millis(200)).await.map(drop)
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

pub(crate) fn main() -> ExitCode {
    let wanted = wanted();
    match wanted.split_once(": ").expect("which main, and what its pool does").0 {
        "long" => long().report(),
        "short" => short().report(),
        "long on one thread" => long_on_one_thread().report(),
        "short on one thread" => short_on_one_thread().report(),
        "boxed" => boxed().report(),
        "io" => io().report(),
        "plain" => plain().report(),
        "transparent" => transparent().report(),
        other => panic!("no such main: {other}"),
    }
}
