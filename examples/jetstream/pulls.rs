//! Requests messages from the broker.
//!
//! 1. There is one request at a time, and it is for no more messages than there are free slots.
//! 2. A request is never given up while the broker answers: it ends with the last message that it asked for, or with
//!    the broker's reply that it has expired. A message that is sent to a closed request is redelivered only after
//!    `ack_wait`.
//! 3. While a request is open, the broker sends messages or heartbeats. If it does not, it has forgotten the request: a
//!    restarted broker knows streams and consumers, but no requests.

use std::time::Duration;

use anyhow::{Context as _, bail};
use async_nats::{
    StatusCode, Subject, Subscriber,
    jetstream::{
        self,
        consumer::{
            Consumer,
            pull::{self, BatchConfig},
        },
    },
};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::{broker::Broker, order::Order};

/// How long a request waits for messages: a cancelled worker stops after this time at most.
const WAITING: Duration = Duration::from_secs(1);

/// How often the broker sends a heartbeat meanwhile; it must be below half of the wait.
const HEARTBEAT: Duration = Duration::from_millis(400);

/// Two heartbeats missed, on a busy machine.
const SILENCE: Duration = Duration::from_millis(1_500);

pub(crate) struct Pulls {
    consumer: Consumer<pull::Config>,
    context: jetstream::Context,
    inbox: Subject,
    messages: Subscriber,
    /// How many more messages the open request may deliver.
    open: usize,
}

impl Pulls {
    pub(crate) async fn new(
        broker: &Broker,
        consumer: Consumer<pull::Config>,
    ) -> anyhow::Result<Self> {
        let inbox = Subject::from(broker.client().new_inbox());
        let messages = broker.client().subscribe(inbox.clone()).await?;
        let context = jetstream::new(broker.client().clone());
        Ok(Self { consumer, context, inbox, messages, open: 0 })
    }

    /// Requests messages, after the previous request has ended.
    pub(crate) async fn ask(&mut self, count: usize) -> anyhow::Result<()> {
        debug_assert_eq!(self.open, 0, "one request at a time");
        let request = BatchConfig {
            batch: count,
            expires: Some(WAITING),
            idle_heartbeat: HEARTBEAT,
            ..Default::default()
        };
        self.consumer.request_batch(request, self.inbox.clone()).await?;
        self.open = count;
        Ok(())
    }

    /// The next message; `None` when the request has ended.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Order>> {
        while self.open > 0 {
            let heard = timeout(SILENCE, self.messages.next()).await;
            let message = heard.context("no heartbeat from the broker")?;
            let message = message.context("the connection to the broker is closed")?;
            match message.status {
                None | Some(StatusCode::OK) => {
                    self.open -= 1;
                    return Order::new(&self.context, message).map(Some);
                }
                Some(StatusCode::IDLE_HEARTBEAT) => {}
                Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => self.open = 0,
                Some(status) => {
                    bail!("the broker says {status}: {}", message.description.unwrap_or_default())
                }
            }
        }
        Ok(None)
    }
}
