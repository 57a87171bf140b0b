//! The end of an order: it is done, retried, or given up.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Subject,
    jetstream::{AckKind, message::PublishMessage},
};
use tokio_supervised::{CancellationToken, supervised};
use tracing::{info, warn};

use crate::{
    broker::Broker,
    desk::Desk,
    handle::{Price, WorkError},
    order::Order,
};

/// The longest wait for another attempt.
const LONGEST: Duration = Duration::from_secs(60);

/// The effect first, then the acknowledgement, never in the opposite order: if the process is killed in between, the
/// order is redelivered, and the database has it.
#[supervised(name = "settle")]
pub(crate) async fn settle(
    token: &CancellationToken,
    desk: Arc<Desk>,
    order: Order,
    end: Result<Price, WorkError>,
) -> anyhow::Result<()> {
    match end {
        Ok(price) => match desk.sink.record(token, &order.id, &price).await {
            Ok(is_new) => {
                if !is_new {
                    info!(id = order.id, "recorded before");
                }
                report(token, desk.broker.clone(), order.reply, AckKind::Ack).await
            }
            // Not the order's fault, and not counted against it: another worker may succeed.
            Err(error) => {
                put_back(token, desk.clone(), order, desk.retry).await?;
                Err(error)
            }
        },
        Err(error) if error.may_pass() && order.delivered < desk.attempts => {
            let doubled = 1 << (order.delivered - 1).clamp(0, 16);
            let after = desk.retry.saturating_mul(doubled).min(LONGEST);
            warn!(id = order.id, delivered = order.delivered, ?after, "fails, and is tried again");
            put_back(token, desk, order, after).await
        }
        // Another worker may have recorded its end and then failed to report it.
        Err(_) if desk.sink.knows(token, &order.id).await? => {
            info!(id = order.id, "recorded before");
            report(token, desk.broker.clone(), order.reply, AckKind::Ack).await
        }
        Err(error) => bury(token, desk, order, error).await,
    }
}

/// Returns an order to the queue, for any worker after a delay.
#[supervised(name = "put back")]
pub(crate) async fn put_back(
    token: &CancellationToken,
    desk: Arc<Desk>,
    order: Order,
    after: Duration,
) -> anyhow::Result<()> {
    let after = (!after.is_zero()).then_some(after);
    report(token, desk.broker.clone(), order.reply, AckKind::Nak(after)).await
}

/// Gives an order up: stores it in the dead-letter stream, then removes it from the queue. If the process is killed in
/// between, it is stored again, under the same id.
#[supervised(name = "bury", on_cancel = "cooperate")]
async fn bury(
    token: &CancellationToken,
    desk: Arc<Desk>,
    order: Order,
    error: WorkError,
) -> anyhow::Result<()> {
    let reason = error.to_string().replace(|c: char| c.is_control(), " ");
    warn!(id = order.id, delivered = order.delivered, reason, "given up");
    let message = PublishMessage::build()
        .message_id(&order.id)
        .header("Reason", reason.as_str())
        .header("Delivered", order.delivered.to_string())
        .payload(order.text);
    desk.broker.send_dead(message).await?;
    report(token, desk.broker.clone(), order.reply, AckKind::Term).await
}

/// Reports to the broker until it confirms: a repeated report changes nothing.
#[supervised(
    name = "report",
    timeout = "2s",
    restart = "on-failure",
    backoff = "50ms..500ms",
    max_restarts = "100/1m"
)]
async fn report(broker: Broker, message: Subject, what: AckKind) -> anyhow::Result<()> {
    broker.acknowledge(message, what).await
}
