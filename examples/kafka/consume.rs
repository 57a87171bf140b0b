//! A member of a consumer group: it takes messages while there is room for them, and commits the finished ones.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use tokio::runtime::Handle;
use tokio_supervised::{CancellationToken, Pool, Slot, SpawnError};

use crate::{arguments::Arguments, done::Done, handle::handle, partitions::Partitions};

/// How often the thread checks its token while no message comes.
const LOOK: Duration = Duration::from_millis(100);

/// How often finished messages are committed if nothing else triggers a commit.
const COMMIT_EVERY: &str = "1000";

/// How long a revoked partition may take to drain, a third of the group's time for a rebalance.
const DRAINING: Duration = Duration::from_secs(15);

/// Callbacks, on the thread that polls.
pub(crate) struct Member {
    topic: String,
    partitions: Arc<Partitions>,
}

pub(crate) type Joined = BaseConsumer<Member>;

impl ClientContext for Member {}

impl ConsumerContext for Member {
    /// Before partitions are revoked, their running messages end and are committed: the next member starts where this
    /// one stopped.
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(revoked) = rebalance else { return };
        let revoked: Vec<_> = revoked.elements().iter().map(|one| one.partition()).collect();
        if !self.partitions.wait_until_idle(&revoked, DRAINING) {
            eprintln!("not drained within {DRAINING:?}: some messages are processed twice");
        }
        if let Err(error) = settle(consumer) {
            eprintln!("the revoked partitions could not be committed: {error}");
        }
        self.partitions.forget(&revoked);
    }
}

pub(crate) fn join(arguments: &Arguments) -> KafkaResult<Joined> {
    let member =
        Member { topic: arguments.topic.clone(), partitions: Arc::new(Partitions::default()) };
    let consumer: Joined = ClientConfig::new()
        .set("bootstrap.servers", &arguments.brokers)
        .set("group.id", &arguments.group)
        .set("session.timeout.ms", arguments.session_ms.to_string())
        .set("heartbeat.interval.ms", (arguments.session_ms / 10).to_string())
        .set("auto.offset.reset", "earliest")
        // Only partitions that move are revoked, while the group is stable: the others continue, and the commit is
        // accepted.
        .set("partition.assignment.strategy", "cooperative-sticky")
        // Reading a message does not mean that it is done.
        .set("enable.auto.offset.store", "false")
        .set("auto.commit.interval.ms", COMMIT_EVERY)
        .create_with_context(member)?;
    consumer.subscribe(&[&arguments.topic])?;
    Ok(consumer)
}

/// Takes messages while there is room for them, on a blocking thread.
pub(crate) fn take(
    token: &CancellationToken,
    consumer: &Joined,
    pool: &Pool,
    done: &Arc<Done>,
    work: Duration,
) -> anyhow::Result<()> {
    let runtime = Handle::current();
    let partitions = &consumer.context().partitions;
    let mut free = None;
    while !token.is_cancelled() {
        let slot = match free.take() {
            Some(slot) => slot,
            None => match reserve(&runtime, token, pool) {
                Some(slot) => slot?,
                None => break,
            },
        };
        match consumer.poll(LOOK) {
            None => free = Some(slot),
            Some(Ok(message)) => {
                let under_way = partitions.start(message.partition(), message.offset());
                let job = message.payload().unwrap_or_default().to_vec();
                let done = done.clone();
                slot.spawn(move |token| handle(token, done, under_way, job, work));
            }
            // The library handles it: it retries.
            Some(Err(error)) => {
                eprintln!("{error}");
                free = Some(slot);
            }
        }
        store(consumer)?;
    }
    Ok(())
}

/// Waits for room, or for the token.
#[expect(clippy::disallowed_methods, reason = "a thread that may block")]
fn reserve(
    runtime: &Handle,
    token: &CancellationToken,
    pool: &Pool,
) -> Option<Result<Slot, SpawnError>> {
    runtime.block_on(token.run_until_cancelled(pool.reserve()))
}

/// Commits finished messages with the next commit.
fn store(consumer: &Joined) -> KafkaResult<()> {
    let Member { topic, partitions } = &**consumer.context();
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions.offsets() {
        list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    }
    consumer.store_offsets(&list)
}

/// Commits finished messages once the group is stable: during a rebalance a commit is refused.
pub(crate) fn leave(consumer: &Joined) -> KafkaResult<()> {
    let start = Instant::now();
    loop {
        match settle(consumer) {
            Err(KafkaError::ConsumerCommit(
                RDKafkaErrorCode::RebalanceInProgress | RDKafkaErrorCode::IllegalGeneration,
            )) if start.elapsed() < DRAINING => {
                // A message that arrives now is not started, and so not committed.
                _ = consumer.poll(LOOK);
            }
            settled => return settled,
        }
    }
}

/// Commits finished messages.
fn settle(consumer: &Joined) -> KafkaResult<()> {
    store(consumer)?;
    match consumer.commit_consumer_state(CommitMode::Sync) {
        // Nothing has ended since the last commit.
        Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => Ok(()),
        settled => settled,
    }
}
