//! One message of the queue.

use anyhow::Context as _;
use async_nats::{Message, Subject, header::NATS_MESSAGE_ID, jetstream};
use bytes::Bytes;

#[derive(Clone)]
pub(crate) struct Order {
    /// The same for each delivery, and for each published copy: the key of the effect.
    pub(crate) id: String,
    pub(crate) text: Bytes,
    /// The number of this delivery, counted over all workers.
    pub(crate) delivered: i64,
    /// The broker connection that its end is reported to.
    pub(crate) reply: Subject,
}

impl Order {
    pub(crate) fn new(context: &jetstream::Context, mut message: Message) -> anyhow::Result<Self> {
        let text = std::mem::take(&mut message.payload);
        let id = message.headers.as_ref().and_then(|headers| headers.get(NATS_MESSAGE_ID));
        let id = id.map(ToString::to_string);
        let message = jetstream::Message { message, context: context.clone() };
        let info = message.info().map_err(anyhow::Error::from_boxed)?;
        // If the publisher gives none: the position in the stream, which does not detect duplicates.
        let id = id.unwrap_or_else(|| format!("at {}", info.stream_sequence));
        let delivered = info.delivered;
        let reply = message.message.reply.context("a message without a reply subject")?;
        Ok(Self { id, text, delivered, reply })
    }
}
