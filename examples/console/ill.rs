//! The ill-behaved tasks.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_supervised::{CancellationToken, supervised};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Checks what is stored.
#[supervised(on_cancel = "drop")]
pub(crate) async fn checksums(token: &CancellationToken) -> anyhow::Result<()> {
    for round in 0_u64.. {
        sleep(ms(6000)).await;
        checksum(token, round).await;
    }
    Ok(())
}

/// Computes for 2 s without an `.await`: it should be a `spawn_blocking`.
#[supervised]
async fn checksum(round: u64) {
    let started = Instant::now();
    let mut sum = round;
    while started.elapsed() < ms(2000) {
        sum = std::hint::black_box(sum.rotate_left(5) ^ 0x5bd1_e995);
    }
}

/// Reads records, and skips unreadable ones.
#[supervised(on_cancel = "drop")]
pub(crate) async fn read(token: &CancellationToken) -> anyhow::Result<()> {
    for record in 0_usize.. {
        sleep(ms(25)).await;
        // The boundary counts its panics and shows them on the page.
        _ = parse(token, record).await;
    }
    Ok(())
}

/// Reads one record. Every hundred and fiftieth has fewer fields than it says.
#[supervised]
async fn parse(record: usize) -> anyhow::Result<u32> {
    let fields = ["7", "11", "13"];
    let chosen = if record % 150 == 120 { 3 + record % 7 } else { record % 3 };
    Ok(fields[chosen].parse()?)
}

/// Sends requests to another service.
#[supervised(on_cancel = "drop")]
pub(crate) async fn poll(token: &CancellationToken) -> anyhow::Result<()> {
    for request in 0_u64.. {
        sleep(ms(60)).await;
        _ = fetch(token, request).await;
    }
    Ok(())
}

/// One response: one in eleven arrives too late.
#[supervised(timeout = "300ms", limit = 16)]
async fn fetch(request: u64) -> anyhow::Result<()> {
    let takes = if request % 11 == 7 { 900 } else { 10 + request % 9 * 8 };
    sleep(ms(takes)).await;
    Ok(())
}

/// Receives events until the connection is lost.
#[supervised(restart = "on-failure", backoff = "200ms..1s", max_restarts = "1000/1m")]
pub(crate) async fn subscribe() -> anyhow::Result<()> {
    sleep(ms(2500)).await;
    anyhow::bail!("the connection was reset")
}

/// Takes 3 s to stop after its token fires.
#[supervised]
pub(crate) async fn journal(token: &CancellationToken) -> anyhow::Result<()> {
    token.cancelled().await;
    sleep(ms(3000)).await;
    Ok(())
}
