//! Workers on Kafka topics.
//!
//! [`queue`] makes a topic a [`Queue`](tokio_supervised_worker::Queue) of a
//! [`Worker`](tokio_supervised_worker::Worker), as a member of a consumer group:
//!
//! ```no_run
//! use rdkafka::ClientConfig;
//! use tokio_supervised::{CancellationToken, supervised};
//! use tokio_supervised_kafka::KafkaMessage;
//! use tokio_supervised_worker::Worker;
//!
//! /// Handles one order.
//! #[supervised(name = "order", timeout = "10s")]
//! async fn order(_message: KafkaMessage) -> anyhow::Result<()> {
//!     Ok(())
//! }
//!
//! #[supervised::main]
//! async fn main(token: CancellationToken) -> anyhow::Result<()> {
//!     let mut config = ClientConfig::new();
//!     config.set("bootstrap.servers", "127.0.0.1:9092").set("group.id", "workers");
//!     let queue = tokio_supervised_kafka::queue(config, "orders");
//!     Worker::new(queue, |token, message| order(token, message))
//!         .ordered()
//!         .dead_letters("orders.dead")
//!         .run(&token)
//!         .await?;
//!     Ok(())
//! }
//! ```
//!
//! # What it does
//!
//! - **Offsets.** The committed offset of a partition is that of its first message that is not settled: a commit says
//!   that everything before it is done. Offsets are committed every second (`auto.commit.interval.ms`), before a partition
//!   is given away, and at the end. After a kill, at most the work since the last commit is repeated.
//! - **Rebalances.** Before a partition is given away, its running messages end and are committed, for at most the drain of
//!   the worker. With `cooperative-sticky`, which is the default here, the other partitions continue.
//! - **Retries.** Kafka has no redelivery: a message that waits for its next attempt is kept in this process, without a
//!   slot, and holds the offset of its partition. A partition with 1,000 messages behind its first unsettled one pauses.
//! - A **dead letter** is produced to [`dead_letters`](tokio_supervised_worker::Worker::dead_letters) with its key, its
//!   payload and the headers `Id`, `Reason` and `Delivered`; only then does the offset pass it.
//! - The **id** of a message is `TOPIC:PARTITION:OFFSET`, its **key** is Kafka's.
//! - A dedicated thread polls, since librdkafka calls back on it. It also polls while all slots are busy, so
//!   `max.poll.interval.ms` limits the drain of a rebalance, not the work.
//!
//! # What it does not
//!
//! Kafka does not count deliveries. [`delivered`](tokio_supervised_worker::Delivery::delivered) counts those in this
//! process: a message that kills its worker is delivered to the next one as a first delivery, and is not given up.
//!
//! # Settings that are compared at the start
//!
//! | setting | rule |
//! |---|---|
//! | `max.poll.interval.ms` | above the drain: nothing else is polled while a revoked partition drains |
//! | `enable.auto.offset.store` | not `true`: a message that was read is not done |
//! | `enable.auto.commit` | not `false`: it commits what is done |
//! | `group.id` | set |
//! | `dead_letters` | another topic |
//!
//! # Order
//!
//! With [`ordered`](tokio_supervised_worker::Worker::ordered), messages of one key have their effects in their order, also
//! after kills and rebalances, if each effect has a key that suppresses a repetition: a key's partition has one member,
//! and a new one starts at the committed offset.

#![forbid(unsafe_code)]

mod delivery;
mod member;
mod partitions;
mod queue;

pub use delivery::{KafkaDelivery, KafkaMessage};
pub use queue::{KafkaQueue, queue};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
