//! Requests for messages.
//!
//! Invariants, checked by `tests/jetstream`
//!
//! 1. There is one request at a time. It is for no more messages than there are free slots, so none waits in this process
//!    while another one idles. (`scaled`)
//! 2. A request is never given up while the broker answers: it ends with its last message, or with the reply that it has
//!    expired. A message that is sent to a closed request is delivered again only after `ack_wait`. (`stopped`)
//! 3. While a request is open, the broker sends messages or heartbeats. If it does not, it has forgotten the request: a
//!    restarted broker knows streams and consumers, but no requests. (`lost`)

use std::{sync::Arc, time::Duration};

use async_nats::{
    Message, StatusCode, Subject, Subscriber,
    jetstream::consumer::{
        Consumer,
        pull::{self, BatchConfig},
    },
};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::timeout;
use tokio_supervised_worker::BoxError;

use crate::{delivery::JetStreamDelivery, queue::Desk};

/// How long a request waits for messages: a worker that stops waits for it.
const WAITING: Duration = Duration::from_secs(1);

/// How often the broker sends a heartbeat meanwhile. It must be below half of the wait.
const HEARTBEAT: Duration = Duration::from_millis(400);

/// How long a broker may take on a busy machine, or with a slow disk, to send the heartbeat or the reply that is due.
const SILENCE: Duration = Duration::from_secs(3);

pub(crate) struct Pulls {
    desk: Arc<Desk>,
    consumer: Consumer<pull::Config>,
    inbox: Subject,
    messages: Subscriber,
    /// How many more messages the open request may deliver.
    open: usize,
}

impl Pulls {
    pub(crate) async fn new(
        desk: Arc<Desk>,
        consumer: Consumer<pull::Config>,
    ) -> Result<Self, BoxError> {
        let inbox = Subject::from(desk.client.new_inbox());
        let messages = desk.client.subscribe(inbox.clone()).await?;
        Ok(Self { desk, consumer, inbox, messages, open: 0 })
    }

    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// Waits for a message, and returns it with those that have arrived beside it. Returns none if the request ends.
    pub(crate) async fn pull(&mut self, room: usize) -> Result<Vec<JetStreamDelivery>, BoxError> {
        if self.open == 0 {
            self.request(room).await?;
        }
        let mut pulled = Vec::new();
        while self.open > 0 && pulled.len() < room {
            let next = self.messages.next();
            let heard = if pulled.is_empty() {
                match timeout(SILENCE, next).await {
                    Ok(heard) => heard,
                    Err(_) => return Err("no heartbeat from the broker".into()),
                }
            } else {
                match next.now_or_never() {
                    Some(heard) => heard,
                    None => break,
                }
            };
            let Some(message) = heard else {
                return Err("the connection to the broker is closed".into());
            };
            pulled.extend(self.receive(message)?);
        }
        Ok(pulled)
    }

    async fn request(&mut self, count: usize) -> Result<(), BoxError> {
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

    fn receive(&mut self, message: Message) -> Result<Option<JetStreamDelivery>, BoxError> {
        match message.status {
            None | Some(StatusCode::OK) => {
                self.open -= 1;
                JetStreamDelivery::new(&self.desk, message).map(Some)
            }
            Some(StatusCode::IDLE_HEARTBEAT) => Ok(None),
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {
                self.open = 0;
                Ok(None)
            }
            Some(status) => {
                let description = message.description.unwrap_or_default();
                Err(format!("the broker says {status}: {description}").into())
            }
        }
    }
}
