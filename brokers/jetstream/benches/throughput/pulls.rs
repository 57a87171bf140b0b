//! Requests messages from the broker, one request at a time.

use std::time::Duration;

use anyhow::{Context as _, bail};
use async_nats::{
    Client, Message, StatusCode, Subject, Subscriber,
    jetstream::consumer::{
        Consumer,
        pull::{self, BatchConfig},
    },
};
use futures_util::StreamExt as _;
use tokio::time::timeout;

/// How long a request waits for messages: a cancelled worker stops after this time at most.
const WAITING: Duration = Duration::from_secs(1);

/// How often the broker sends a heartbeat meanwhile; it must be below half of the wait.
const HEARTBEAT: Duration = Duration::from_millis(400);

/// The same as in the worker.
const SILENCE: Duration = Duration::from_secs(3);

pub(crate) struct Pulls {
    consumer: Consumer<pull::Config>,
    inbox: Subject,
    messages: Subscriber,
    /// How many more messages the open request may deliver.
    open: usize,
}

impl Pulls {
    pub(crate) async fn new(
        client: Client,
        consumer: Consumer<pull::Config>,
    ) -> anyhow::Result<Self> {
        let inbox = Subject::from(client.new_inbox());
        let messages = client.subscribe(inbox.clone()).await?;
        Ok(Self { consumer, inbox, messages, open: 0 })
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
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        while self.open > 0 {
            let heard = timeout(SILENCE, self.messages.next()).await;
            let message = heard.context("no heartbeat from the broker")?;
            let message = message.context("the connection to the broker is closed")?;
            match message.status {
                None | Some(StatusCode::OK) => {
                    self.open -= 1;
                    return Ok(Some(message));
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
