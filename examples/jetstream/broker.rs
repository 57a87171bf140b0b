//! The broker: its streams and their names.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::{
    Client, ConnectOptions, Subject,
    jetstream::{
        self, AckKind, Context,
        consumer::{AckPolicy, Consumer, pull},
        context::PublishAckFuture,
        message::PublishMessage,
        stream,
    },
};
use tokio::time::timeout;

const ORDERS: &str = "ORDERS";
const NEW: &str = "orders.new";
const DEAD: &str = "orders.dead";
const WORKERS: &str = "workers";

/// More than the slots of all workers together: beyond it the broker delivers nothing.
const MAX_ACK_PENDING: i64 = 1_000;

/// More orders than this are refused: the publisher has to wait.
const MAX_ORDERS: i64 = 1_000_000;

/// A message that is published again within this time is recognised by its id, and not stored again.
const DUPLICATES: Duration = Duration::from_secs(120);

/// Above the deliveries that a worker counts: a backstop if even giving up fails. A message that uses up these too
/// stays in the stream and is not delivered; the broker reports it in an advisory.
const SPARE_DELIVERIES: i64 = 20;

/// How long one exchange with the broker may take.
const EXCHANGE: Duration = Duration::from_secs(2);

/// The longest wait of the client before it tries to connect again.
const RECONNECT: Duration = Duration::from_millis(500);

/// A connection that reconnects by itself; its clones share it.
#[derive(Clone)]
pub(crate) struct Broker {
    client: Client,
    context: Context,
}

impl Broker {
    /// Connects in the background, with retries: the broker may start later.
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        let options = ConnectOptions::new()
            .retry_on_initial_connect()
            .request_timeout(Some(EXCHANGE))
            .reconnect_delay_callback(|tried| {
                RECONNECT.min(Duration::from_millis(10) * u32::try_from(tried).unwrap_or(u32::MAX))
            });
        let client = options.connect(url).await.with_context(|| format!("cannot use `{url}`"))?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(EXCHANGE);
        Ok(Self { client, context })
    }

    /// Creates the missing streams: the queue, and the dead-letter stream.
    pub(crate) async fn streams(&self) -> anyhow::Result<stream::Stream> {
        let dead = stream::Config {
            name: "ORDERS_DEAD".into(),
            subjects: vec![DEAD.into()],
            storage: stream::StorageType::File,
            duplicate_window: DUPLICATES,
            ..Default::default()
        };
        self.context.get_or_create_stream(dead).await?;
        let orders = stream::Config {
            name: ORDERS.into(),
            subjects: vec![NEW.into()],
            retention: stream::RetentionPolicy::WorkQueue,
            storage: stream::StorageType::File,
            discard: stream::DiscardPolicy::New,
            max_messages: MAX_ORDERS,
            duplicate_window: DUPLICATES,
            ..Default::default()
        };
        Ok(self.context.get_or_create_stream(orders).await?)
    }

    /// The one consumer of all workers, created or updated.
    pub(crate) async fn consumer(
        &self,
        ack_wait: Duration,
        deliveries: i64,
    ) -> anyhow::Result<Consumer<pull::Config>> {
        let config = pull::Config {
            durable_name: Some(WORKERS.into()),
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            max_ack_pending: MAX_ACK_PENDING,
            max_deliver: deliveries + SPARE_DELIVERIES,
            ..Default::default()
        };
        Ok(self.streams().await?.create_consumer(config).await?)
    }

    /// Sends an order; the future waits until it is stored.
    pub(crate) async fn send(&self, order: PublishMessage) -> anyhow::Result<PublishAckFuture> {
        Ok(self.context.send_publish(NEW, order).await?)
    }

    /// Stores a message in the dead-letter stream. One that is already stored is not stored again.
    pub(crate) async fn send_dead(&self, message: PublishMessage) -> anyhow::Result<()> {
        self.context.send_publish(DEAD, message).await?.await?;
        Ok(())
    }

    /// Acknowledges a message, and waits until the broker has confirmed that.
    ///
    /// A request instead of the client's `double_ack`, which accepts any answer, even "no responders".
    pub(crate) async fn acknowledge(&self, message: Subject, what: AckKind) -> anyhow::Result<()> {
        self.client.request(message, what.into()).await?;
        Ok(())
    }

    /// Reports progress on a message, which restarts its time. A lost report is repeated.
    pub(crate) async fn report_progress(&self, message: Subject) -> anyhow::Result<()> {
        Ok(self.client.publish(message, AckKind::Progress.into()).await?)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends pending messages, as far as possible.
    pub(crate) async fn close(&self, limit: Duration) {
        _ = timeout(limit, self.client.flush()).await;
    }
}
