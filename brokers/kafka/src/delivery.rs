//! One delivery of a message.

use std::{fmt, sync::Arc, time::Instant};

use rdkafka::{
    ClientConfig, Message as _,
    error::KafkaResult,
    message::{Header, OwnedHeaders, OwnedMessage},
    producer::{FutureProducer, FutureRecord},
};
use tokio_supervised_worker::{BoxError, Delivery, Disposition};

use crate::partitions::Running;

/// What the function of a worker gets. A clone is cheap.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KafkaMessage {
    /// `TOPIC:PARTITION:OFFSET`: the same for each delivery, and a key for the effect.
    pub id: Arc<str>,
    /// The client's message, with its key, headers and timestamp.
    pub message: Arc<OwnedMessage>,
    /// How often it was delivered in this process, this time included.
    pub delivered: u32,
}

impl KafkaMessage {
    pub(crate) fn new(message: OwnedMessage) -> Self {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        let id = format!("{topic}:{partition}:{offset}").into();
        Self { id, message: Arc::new(message), delivered: 1 }
    }

    /// The payload; empty if there is none.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.message.payload().unwrap_or_default()
    }

    pub(crate) fn partition(&self) -> i32 {
        self.message.partition()
    }

    pub(crate) fn offset(&self) -> i64 {
        self.message.offset()
    }

    #[cfg(test)]
    pub(crate) fn test(partition: i32, offset: i64) -> Self {
        let timestamp = rdkafka::Timestamp::NotAvailable;
        let topic = "topic".to_owned();
        Self::new(OwnedMessage::new(None, None, topic, timestamp, partition, offset, None))
    }
}

/// Produces dead letters.
pub(crate) struct Graveyard {
    producer: FutureProducer,
    topic: Arc<str>,
}

impl Graveyard {
    pub(crate) fn new(config: &ClientConfig, topic: Arc<str>) -> KafkaResult<Self> {
        Ok(Self { producer: config.create()?, topic })
    }

    /// Produces a dead letter, and waits until it is stored.
    async fn bury(&self, message: &KafkaMessage, reason: &str) -> Result<(), BoxError> {
        let delivered = message.delivered.to_string();
        let headers = OwnedHeaders::new()
            .insert(Header { key: "Id", value: Some(&*message.id) })
            .insert(Header { key: "Reason", value: Some(reason) })
            .insert(Header { key: "Delivered", value: Some(&delivered) });
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.topic).headers(headers);
        record.key = message.message.key();
        record.payload = message.message.payload();
        let stored = self.producer.send_result(record).map_err(|(error, _)| error)?;
        stored.await?.map_err(|(error, _)| error)?;
        Ok(())
    }
}

/// A delivery of a [`KafkaQueue`](crate::KafkaQueue). Its body is a [`KafkaMessage`].
pub struct KafkaDelivery {
    message: KafkaMessage,
    running: Running,
    graveyard: Option<Arc<Graveyard>>,
}

impl KafkaDelivery {
    pub(crate) fn new(
        message: KafkaMessage,
        running: Running,
        graveyard: Option<Arc<Graveyard>>,
    ) -> Self {
        Self { message, running, graveyard }
    }
}

impl Delivery for KafkaDelivery {
    type Body = KafkaMessage;

    fn id(&self) -> &str {
        &self.message.id
    }

    fn key(&self) -> Option<&[u8]> {
        self.message.message.key()
    }

    fn delivered(&self) -> u32 {
        self.message.delivered
    }

    fn body(&mut self) -> Result<KafkaMessage, BoxError> {
        Ok(self.message.clone())
    }

    /// Does nothing: the client sends heartbeats for all messages.
    async fn progress(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Passes the end on to the offset of its partition, which is committed within a second.
    async fn settle(mut self, how: Disposition) -> Result<(), BoxError> {
        match how {
            Disposition::Done => self.running.end(),
            Disposition::Requeue => self.running.again(Instant::now()),
            Disposition::RetryAfter(wait) => self.running.again(Instant::now() + wait),
            Disposition::DeadLetter(reason) => {
                if let Some(graveyard) = &self.graveyard {
                    graveyard.bury(&self.message, &reason).await?;
                }
                self.running.end();
            }
            other => return Err(format!("unknown disposition: {other:?}").into()),
        }
        Ok(())
    }
}

impl fmt::Debug for KafkaDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaDelivery").field("message", &self.message).finish_non_exhaustive()
    }
}
