//! A main with a token and enough grace to react.

#![expect(clippy::disallowed_methods, reason = "the program leaves detached tasks on purpose")]

mod cause;
mod hostile;

use std::future::pending;

use super::common::{block, say, wanted};
use anyhow::{Context, bail};
use tokio_supervised::{CancellationToken, TaskError, supervised};

#[supervised]
async fn never() -> Result<(), TaskError> {
    pending().await
}

#[supervised]
async fn returns() -> Result<(), TaskError> {
    Ok(())
}

// Some of the tests need detached work.
#[supervised::main(grace = "20s", worker_threads = 2, allow(detached_spawn))]
pub(crate) async fn main(token: CancellationToken) -> anyhow::Result<()> {
    match wanted().as_str() {
        "ok" => Ok(()),
        "error" => bail!("the disk is full"),
        "panic" => panic!("the body is broken"),
        "panics beside its runs" => {
            let thread = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                _ = runtime.expect("a runtime can be created").block_on(returns(&token));
                panic!("beside");
            });
            thread.join().expect_err("it panics");
            Ok(())
        }
        "obeys" => {
            say("READY");
            token.cancelled().await;
            Ok(())
        }
        "cancelled" => {
            say("READY");
            print!("half a line");
            Ok(never(&token).await?)
        }
        "cancelled with context" => {
            say("READY");
            never(&token).await.context("while serving").context("in main")
        }
        "fails on its way down" => {
            say("READY");
            token.cancelled().await;
            bail!("the flush failed")
        }
        "panics on its way down" => {
            say("READY");
            token.cancelled().await;
            panic!("the flush is broken")
        }
        "cancels itself" => {
            token.cancel();
            Ok(never(&token).await?)
        }
        "cancels its child token" => {
            let child = token.child_token();
            child.cancel();
            Ok(never(&child).await?)
        }
        "never stops" => {
            say("READY");
            token.cancelled().await;
            say("CANCELLED");
            pending().await
        }
        "leaves a blocking thread" => {
            let (began, has_started) = tokio::sync::oneshot::channel();
            tokio::task::spawn_blocking(|| {
                _ = began.send(());
                block()
            });
            has_started.await?;
            say("READY");
            Ok(())
        }
        "leaves a task" => {
            tokio::spawn(pending::<()>());
            say("READY");
            Ok(())
        }
        "leaves a task that blocks its worker" => {
            let (began, has_started) = tokio::sync::oneshot::channel();
            tokio::spawn(async {
                _ = began.send(());
                block()
            });
            has_started.await?;
            say("READY");
            Ok(())
        }
        body if body.starts_with("cause in ") => cause::body(body, &token).await,
        body => hostile::body(body, &token).await,
    }
}
