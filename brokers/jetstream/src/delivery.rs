//! One delivery of a message.

use std::{fmt, sync::Arc, time::Duration};

use async_nats::{
    HeaderMap, Message, Subject,
    header::NATS_MESSAGE_ID,
    jetstream::{self, AckKind, message::PublishMessage},
};
use bytes::Bytes;
use tokio::time::{sleep, timeout};
use tokio_supervised_worker::{BoxError, Delivery, Disposition};
use tracing::debug;

use crate::queue::{Desk, EXCHANGE};

/// The waits between two reports of one end.
const AGAIN: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(500)];

/// What the function of a worker gets. A clone is cheap.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JetStreamMessage {
    /// The header `Nats-Msg-Id`, or the stream and the position in it: the same for each delivery, and a key for the
    /// effect.
    pub id: Arc<str>,
    /// The subject that it was published to.
    pub subject: Subject,
    /// Its headers.
    pub headers: Option<Arc<HeaderMap>>,
    /// What was published.
    pub payload: Bytes,
    /// How often it was delivered, this time included.
    pub delivered: u32,
}

/// A delivery of a [`JetStreamQueue`](crate::JetStreamQueue). Its body is a [`JetStreamMessage`].
pub struct JetStreamDelivery {
    desk: Arc<Desk>,
    message: JetStreamMessage,
    /// Where its end is reported.
    reply: Subject,
}

impl JetStreamDelivery {
    pub(crate) fn new(desk: &Arc<Desk>, mut message: Message) -> Result<Self, BoxError> {
        let payload = std::mem::take(&mut message.payload);
        let id = message.headers.as_ref().and_then(|headers| headers.get(NATS_MESSAGE_ID));
        let id = id.map(ToString::to_string);
        let message = jetstream::Message { message, context: desk.context.clone() };
        let info = message.info()?;
        // If the publisher gives none: the position, which detects no message that was published twice.
        let id = id.unwrap_or_else(|| format!("{}:{}", info.stream, info.stream_sequence)).into();
        let delivered = u32::try_from(info.delivered).unwrap_or(u32::MAX);
        let Message { subject, reply, headers, .. } = message.message;
        let reply = reply.ok_or("a message without a reply subject")?;
        let headers = headers.map(Arc::new);
        let message = JetStreamMessage { id, subject, headers, payload, delivered };
        Ok(Self { desk: desk.clone(), message, reply })
    }

    /// Reports the end, and waits for the confirmation.
    ///
    /// A request instead of the client's `double_ack`, which accepts any answer, even "no responders".
    async fn report(&self, end: AckKind) -> Result<(), BoxError> {
        let request = self.desk.client.request(self.reply.clone(), end.into());
        timeout(EXCHANGE, request).await??;
        Ok(())
    }

    /// Stores the message as a dead letter. One that is already stored is not stored again.
    async fn bury(&self, subject: &str, reason: &str) -> Result<(), BoxError> {
        let JetStreamMessage { id, subject: from, payload, delivered, .. } = &self.message;
        let message = PublishMessage::build()
            .message_id(id)
            .header("Reason", reason)
            .header("Delivered", delivered.to_string())
            .header("Subject", from.as_str())
            .payload(payload.clone());
        let stored =
            async { self.desk.context.send_publish(subject.to_owned(), message).await?.await };
        timeout(EXCHANGE, stored).await??;
        Ok(())
    }

    async fn end(&self, how: &Disposition) -> Result<(), BoxError> {
        match how {
            Disposition::Done => self.report(AckKind::Ack).await,
            Disposition::Requeue => self.report(AckKind::Nak(None)).await,
            Disposition::RetryAfter(wait) => self.report(AckKind::Nak(Some(*wait))).await,
            Disposition::DeadLetter(reason) => {
                // If the process is killed in between, it is stored again, under the same id.
                if let Some(subject) = &self.desk.dead_letters {
                    self.bury(subject, reason).await?;
                }
                self.report(AckKind::Term).await
            }
            other => Err(format!("unknown disposition: {other:?}").into()),
        }
    }
}

impl Delivery for JetStreamDelivery {
    type Body = JetStreamMessage;

    fn id(&self) -> &str {
        &self.message.id
    }

    fn key(&self) -> Option<&[u8]> {
        Some(self.message.subject.as_bytes())
    }

    fn delivered(&self) -> u32 {
        self.message.delivered
    }

    fn body(&mut self) -> Result<JetStreamMessage, BoxError> {
        Ok(self.message.clone())
    }

    async fn progress(&self) -> Result<(), BoxError> {
        let report = self.desk.client.publish(self.reply.clone(), AckKind::Progress.into());
        Ok(report.await?)
    }

    /// Repeats the report until the broker confirms it. The worker bounds it.
    async fn settle(self, how: Disposition) -> Result<(), BoxError> {
        let [mut wait, longest] = AGAIN;
        loop {
            let Err(error) = self.end(&how).await else { return Ok(()) };
            debug!(
                id = self.id(),
                error = error.to_string(),
                "the end of a message was not confirmed"
            );
            sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
    }
}

impl fmt::Debug for JetStreamDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamDelivery").field("message", &self.message).finish_non_exhaustive()
    }
}
