//! A program that systemd could have started.

use std::{io::Read, time::Duration};

use super::common::{say, wanted};
use tokio_supervised::{CancellationToken, Pool, Ready, Services, TaskError, supervised, systemd};

#[supervised::main(grace = "7s", worker_threads = 1)]
pub(crate) async fn main(token: CancellationToken) -> anyhow::Result<()> {
    match wanted().as_str() {
        "serves" => {
            say("BEGUN");
            tokio::task::spawn_blocking(until_stdin_ends).await?;
            systemd::ready()?;
            say("READY");
            token.cancelled().await;
        }
        "services" => {
            Services::new(&token)
                .service_with_ready("server", serve)
                .service("last", idle)
                .run()
                .await?;
        }
        "leaves work in a pool" => {
            let pool: &'static Pool = Box::leak(Box::new(Pool::new(1)));
            pool.spawn(late).await?;
        }
        "blocks its worker" => {
            let pool = Pool::new(1);
            pool.spawn(blocks).await?;
            token.cancelled().await;
        }
        _ => anyhow::bail!("unknown body"),
    }
    Ok(())
}

fn until_stdin_ends() {
    _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Is ready when stdin ends.
#[supervised]
async fn serve(token: &CancellationToken, ready: Ready) -> anyhow::Result<()> {
    say("BEGUN");
    tokio::task::spawn_blocking(until_stdin_ends).await?;
    ready.set();
    token.cancelled().await;
    Ok(())
}

#[supervised]
async fn idle(token: &CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    Ok(())
}

/// Work that continues after the body of `main` has returned.
#[supervised]
async fn late() -> Result<(), TaskError> {
    say("READY");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    Ok(())
}

#[supervised]
async fn blocks() -> Result<(), TaskError> {
    say("BLOCKED");
    until_stdin_ends();
    say("FREE");
    Ok(())
}
