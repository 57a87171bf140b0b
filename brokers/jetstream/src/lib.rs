//! Workers on NATS JetStream.
//!
//! [`queue`] makes a pull consumer a [`Queue`](tokio_supervised_worker::Queue) of a
//! [`Worker`](tokio_supervised_worker::Worker):
//!
//! ```no_run
//! use std::time::Duration;
//! use async_nats::{ConnectOptions, jetstream::{self, consumer::pull}};
//! use tokio_supervised::{CancellationToken, supervised};
//! use tokio_supervised_jetstream::JetStreamMessage;
//! use tokio_supervised_worker::Worker;
//!
//! /// Handles one order.
//! #[supervised(name = "order", timeout = "10s")]
//! async fn order(_message: JetStreamMessage) -> anyhow::Result<()> {
//!     Ok(())
//! }
//!
//! #[supervised::main]
//! async fn main(token: CancellationToken) -> anyhow::Result<()> {
//!     let options = ConnectOptions::new().retry_on_initial_connect();
//!     let context = jetstream::new(options.connect("nats://127.0.0.1:4222").await?);
//!     let consumer = pull::Config { durable_name: Some("workers".into()), ..Default::default() };
//!     let queue = tokio_supervised_jetstream::queue(context, "ORDERS", consumer);
//!     Worker::new(queue, |token, message| order(token, message))
//!         .dead_letters("orders.dead")
//!         .run(&token)
//!         .await?;
//!     Ok(())
//! }
//! ```
//!
//! # What it does
//!
//! - The **stream** must exist; the worker waits for it. The consumer is created, or updated to this configuration, at each
//!   connection: after a broker has lost it, it is there again.
//! - The **id** of a message is its header `Nats-Msg-Id`, or its stream and position. Its **key** is its subject.
//! - **Requests** are for as many messages as there are free slots, expire after 1 s, and are never given up while the
//!   broker answers: a message that is sent to a closed request is delivered again only after `ack_wait`. A missing heartbeat
//!   (3 s) is how it finds out that the broker was restarted: it knows streams and consumers then, but no requests.
//! - **Settling** waits for the broker's confirmation, and repeats the report until it comes: a repeated report changes
//!   nothing.
//! - A **dead letter** is published to [`dead_letters`](tokio_supervised_worker::Worker::dead_letters) with its id, and
//!   the headers `Reason`, `Delivered` and `Subject`; only then is it removed. A stream must store that subject.
//!
//! # Settings that are compared at the start
//!
//! | setting | rule |
//! |---|---|
//! | `ack_policy` | explicit |
//! | `ack_wait` | at least twice the interval of [`progress`](tokio_supervised_worker::Worker::progress) |
//! | `max_ack_pending` | at least the slots of one process; it should be those of all processes |
//! | `max_deliver` | unlimited, or more than twice the attempts: beyond it a message stays in the stream and is not delivered |
//! | `dead_letters` | a stream stores the subject |
//!
//! # Order
//!
//! JetStream delivers other messages while one waits for its redelivery. If the messages of a key must keep their order,
//! also after a kill, let the broker have one message of them in work: partition the subjects, and run one
//! [`ordered`](tokio_supervised_worker::Worker::ordered) worker for each partition, with a consumer that has its
//! `filter_subject` and `max_ack_pending: 1`.

#![forbid(unsafe_code)]

mod delivery;
mod pulls;
mod queue;

pub use delivery::{JetStreamDelivery, JetStreamMessage};
pub use queue::{JetStreamQueue, queue};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
