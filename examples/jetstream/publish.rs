//! Publishes orders.

use std::{
    io::{Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use async_nats::jetstream::message::PublishMessage;
use tokio_supervised::{CancellationToken, map, supervised};

use crate::broker::Broker;

/// Publishes each line, and waits until all of them are stored.
pub(crate) async fn publish(
    token: &CancellationToken,
    broker: Broker,
    file: Option<PathBuf>,
) -> anyhow::Result<ExitCode> {
    prepare(token, broker.clone()).await?;
    let lines = lines(file).await?;
    let sent = map(token, lines, move |token, line| send(token, broker.clone(), line)).await?;
    let known = sent.iter().filter(|is_known| **is_known).count();
    writeln!(stdout(), "{} published: {known} known, the others new", sent.len())?;
    Ok(ExitCode::SUCCESS)
}

async fn lines(file: Option<PathBuf>) -> anyhow::Result<Vec<String>> {
    let text = tokio::task::spawn_blocking(move || match file {
        Some(file) => std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read `{}`", file.display())),
        None => Ok(std::io::read_to_string(std::io::stdin())?),
    });
    Ok(text.await??.lines().map(str::to_owned).collect())
}

/// An unavailable broker is awaited for some time.
#[supervised(
    name = "prepare",
    restart = "on-failure",
    backoff = "50ms..1s",
    max_restarts = "60/5m"
)]
async fn prepare(broker: Broker) -> anyhow::Result<()> {
    broker.streams().await?;
    Ok(())
}

/// Sends one line until it is stored, and returns whether it was a duplicate.
///
/// If the broker's confirmation is lost, the line is sent again. Its first word, the number of the order, is its id for
/// the broker.
#[supervised(
    name = "send",
    limit = 128,
    timeout = "5s",
    restart = "on-failure",
    backoff = "50ms..1s",
    max_restarts = "60/5m"
)]
async fn send(broker: Broker, line: String) -> anyhow::Result<bool> {
    let message = PublishMessage::build().payload(line.clone().into());
    let message = match line.split_ascii_whitespace().next() {
        Some(order) => message.message_id(order),
        None => message,
    };
    Ok(broker.send(message).await?.await?.duplicate)
}
