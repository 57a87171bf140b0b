//! The member of the consumer group, on its own thread: librdkafka calls back on the thread that polls, and a callback
//! may wait until a revoked partition is drained.
//!
//! Invariants, checked by `tests/kafka`
//!
//! 1. The thread polls at least every second, also while nothing is requested: a rebalance does not wait for a slot, and
//!    `max.poll.interval.ms` does not pass. (`a_busy_member_takes_part_in_a_rebalance`)
//! 2. What a poll returns without a request is kept until the next one, and its partitions are paused: at most some
//!    messages are kept.
//! 3. Offsets are stored before each commit, never ahead of a message that has not ended.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use tokio::sync::oneshot;
use tracing::{debug, warn};

use crate::{
    delivery::{Graveyard, KafkaDelivery, KafkaMessage},
    partitions::Partitions,
};

/// How long the thread waits for one thing while another may happen.
const LOOK: Duration = Duration::from_millis(50);

/// How long no slot is free before partitions are paused: what was fetched of a paused partition is fetched again.
const IDLE: Duration = Duration::from_millis(500);

/// How long a request waits for a message.
const WAITING: Duration = Duration::from_secs(1);

/// How long the cluster may take to describe the topic.
const METADATA: Duration = Duration::from_secs(5);

/// How long a commit may be refused because the group is being rebalanced.
const LEAVING: Duration = Duration::from_secs(8);

type Pulled = Result<Vec<KafkaDelivery>, KafkaError>;

pub(crate) enum Command {
    Pull(usize, oneshot::Sender<Pulled>),
    /// Commits and leaves the group.
    Close(oneshot::Sender<KafkaResult<()>>),
}

/// What the callbacks need.
pub(crate) struct Context {
    topic: String,
    partitions: Arc<Partitions>,
    /// How long a revoked partition may drain.
    drain: Duration,
}

type Joined = BaseConsumer<Context>;

impl ClientContext for Context {}

impl ConsumerContext for Context {
    /// Before partitions are given away, their running messages end and are committed: the next member starts where this
    /// one stopped.
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(revoked) = rebalance else { return };
        let revoked: Vec<_> = revoked.elements().iter().map(|one| one.partition()).collect();
        if !self.partitions.wait_until_idle(&revoked, self.drain) {
            let limit = self.drain;
            warn!(?revoked, ?limit, "not drained in time: some messages are handled twice");
        }
        if let Err(error) = settle(consumer) {
            let error = error.to_string();
            warn!(?revoked, error, "the offsets of revoked partitions could not be committed");
        }
        self.partitions.forget(&revoked);
    }
}

/// Joins the group, and checks that the cluster has the topic.
pub(crate) fn join(config: &ClientConfig, topic: &str, drain: Duration) -> KafkaResult<Joined> {
    let context =
        Context { topic: topic.to_owned(), partitions: Arc::new(Partitions::default()), drain };
    let consumer: Joined = config.create_with_context(context)?;
    let metadata = consumer.fetch_metadata(Some(topic), METADATA)?;
    if let Some(error) = metadata.topics().iter().find_map(|topic| topic.error()) {
        return Err(KafkaError::MetadataFetch(error.into()));
    }
    consumer.subscribe(&[topic])?;
    Ok(consumer)
}

/// Serves requests until the queue is closed or dropped.
pub(crate) fn serve(
    consumer: Joined,
    commands: &Receiver<Command>,
    graveyard: Option<Arc<Graveyard>>,
) {
    let mut member = Member { consumer, graveyard, kept: VecDeque::new(), is_paused: false };
    let mut requested = Instant::now();
    loop {
        match commands.recv_timeout(LOOK) {
            Ok(Command::Pull(room, reply)) => {
                // If no one waits for them any more, they are dropped, and delivered again.
                _ = reply.send(member.pull(room));
                requested = Instant::now();
            }
            Ok(Command::Close(reply)) => {
                _ = reply.send(leave(&member.consumer));
                return;
            }
            Err(RecvTimeoutError::Timeout) => {
                let is_idle = requested.elapsed() >= IDLE;
                let served =
                    if is_idle { member.idle(Duration::ZERO) } else { store(&member.consumer) };
                if let Err(error) = served {
                    warn!(error = error.to_string(), "the member of the group");
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

struct Member {
    consumer: Joined,
    graveyard: Option<Arc<Graveyard>>,
    /// Messages that were read without a request.
    kept: VecDeque<KafkaMessage>,
    is_paused: bool,
}

impl Member {
    fn partitions(&self) -> &Arc<Partitions> {
        &self.consumer.context().partitions
    }

    fn pull(&mut self, room: usize) -> Pulled {
        let (mut pulled, end) = (Vec::new(), Instant::now() + WAITING);
        loop {
            let now = Instant::now();
            while pulled.len() < room {
                let Some(message) = self.partitions().due(now).or_else(|| self.kept.pop_front())
                else {
                    break;
                };
                pulled.push(self.deliver(message));
            }
            if pulled.len() == room {
                return Ok(pulled);
            }
            let may_wait = pulled.is_empty() && now < end;
            if self.partitions().is_full() {
                // The callbacks are served all the same.
                self.idle(if may_wait { LOOK } else { Duration::ZERO })?;
                if may_wait {
                    continue;
                }
                return Ok(pulled);
            }
            let due = self.partitions().next_due().map(|due| due.saturating_duration_since(now));
            let wait =
                if may_wait { due.map_or(LOOK, |due| due.min(LOOK)) } else { Duration::ZERO };
            match self.read(wait)? {
                Some(message) => pulled.push(self.deliver(message)),
                None if may_wait => {}
                None => return Ok(pulled),
            }
        }
    }

    fn deliver(&self, message: KafkaMessage) -> KafkaDelivery {
        let running = self.partitions().start(message.clone());
        KafkaDelivery::new(message, running, self.graveyard.clone())
    }

    /// Reads the next message.
    fn read(&mut self, wait: Duration) -> KafkaResult<Option<KafkaMessage>> {
        if self.is_paused {
            self.consumer.resume(&self.consumer.assignment()?)?;
            self.is_paused = false;
        }
        let read = self.poll(wait);
        store(&self.consumer)?;
        read
    }

    /// Serves the callbacks, and reads nothing more than what is already there.
    fn idle(&mut self, wait: Duration) -> KafkaResult<()> {
        if !self.is_paused {
            self.pause()?;
        }
        if let Some(message) = self.poll(wait)? {
            self.kept.push_back(message);
            // Of a partition that was assigned meanwhile.
            self.pause()?;
        }
        store(&self.consumer)
    }

    fn pause(&mut self) -> KafkaResult<()> {
        self.is_paused = true;
        self.consumer.pause(&self.consumer.assignment()?)
    }

    fn poll(&mut self, wait: Duration) -> KafkaResult<Option<KafkaMessage>> {
        let polled = match self.consumer.poll(wait) {
            None => None,
            Some(Ok(message)) => Some(KafkaMessage::new(message.detach())),
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
            // The library handles it: it retries.
            Some(Err(error)) => {
                warn!(error = error.to_string(), "the cluster");
                None
            }
        };
        // What was kept of partitions that the callback has given away is the next member's.
        if !self.kept.is_empty() {
            let assigned = self.consumer.assignment()?;
            let topic = &self.consumer.context().topic;
            self.kept.retain(|it| assigned.find_partition(topic, it.partition()).is_some());
        }
        Ok(polled)
    }
}

/// Commits finished messages with the next commit.
fn store(consumer: &Joined) -> KafkaResult<()> {
    let Context { topic, partitions, .. } = &**consumer.context();
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions.offsets() {
        list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    }
    if list.count() == 0 {
        return Ok(());
    }
    consumer.store_offsets(&list)
}

/// Commits finished messages now.
fn settle(consumer: &Joined) -> KafkaResult<()> {
    store(consumer)?;
    match consumer.commit_consumer_state(CommitMode::Sync) {
        // Nothing has ended since the last commit.
        Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => Ok(()),
        settled => settled,
    }
}

/// Commits finished messages once the group is stable: during a rebalance a commit is refused.
fn leave(consumer: &Joined) -> KafkaResult<()> {
    let start = Instant::now();
    loop {
        match settle(consumer) {
            Err(KafkaError::ConsumerCommit(
                RDKafkaErrorCode::RebalanceInProgress | RDKafkaErrorCode::IllegalGeneration,
            )) if start.elapsed() < LEAVING => {
                debug!("the group is being rebalanced");
                // A message that arrives now is not started, and so not committed.
                _ = consumer.poll(LOOK);
            }
            settled => return settled,
        }
    }
}
