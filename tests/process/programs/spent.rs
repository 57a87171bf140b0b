//! A main with a short grace.

use std::{future::pending, time::Duration};

use super::common::{BlockingReport, block, bodies_run, body_runs, say, wanted};
use tokio_supervised::{CancellationToken, Group, TaskError, map, shield, supervised};

/// Ignores its token, but yields.
#[supervised(name = "deaf", grace = "none", allow(unused_token))]
async fn deaf(token: &CancellationToken) -> Result<(), TaskError> {
    let _ = token;
    body_runs();
    pending().await
}

/// In a section that lasts longer than the grace of main.
#[supervised(name = "shielded")]
async fn shielded() -> Result<(), TaskError> {
    shield(Duration::from_secs(3600), |_| {
        body_runs();
        pending()
    })
    .await
}

#[supervised(name = "step")]
async fn step(n: u64) -> Result<u64, TaskError> {
    tokio::time::sleep(Duration::from_millis(n % 3)).await;
    Ok(n)
}

#[supervised::main(grace = "1s", worker_threads = 2)]
pub(crate) async fn main(token: CancellationToken) -> anyhow::Result<()> {
    match wanted().as_str() {
        "two are deaf" => {
            let group = Group::new(&token);
            group.spawn(deaf).await;
            group.spawn(deaf).await;
            bodies_run(2).await;
            say("READY");
            group.join().await?;
            Ok(())
        }
        "a call is deaf" => {
            let ready = async {
                bodies_run(1).await;
                say("READY");
            };
            Ok(tokio::join!(deaf(&token), ready).0?)
        }
        "blocks" => {
            say("READY");
            block()
        }
        "shielded for longer" => {
            let group = Group::new(&token);
            group.spawn(shielded).await;
            bodies_run(1).await;
            say("READY");
            group.join().await?;
            Ok(())
        }
        "reports for ever" => {
            say("READY");
            token.cancelled().await;
            Err(BlockingReport.into())
        }
        "storm" => {
            say("READY");
            for round in 0..40 {
                map(&token, round..round + 20, step).await?;
                step(&token, round).await?;
            }
            Ok(())
        }
        other => anyhow::bail!("no such body: {other}"),
    }
}
