//! Workers on message brokers: a loop that takes messages, runs a supervised function for each, and settles them.
//!
//! ```
//! use std::time::Duration;
//! use tokio_supervised::{CancellationToken, TaskError, supervised};
//! use tokio_supervised_worker::{MemoryQueue, Worker};
//!
//! /// Handles one order.
//! #[supervised(name = "order", timeout = "10s")]
//! async fn order(_text: String) -> Result<(), TaskError> {
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let queue = MemoryQueue::new();
//! queue.push("1", "two apples".to_owned());
//!
//! let token = CancellationToken::new();
//! let worker = Worker::new(queue.clone(), |token, text| order(token, text))
//!     .slots(8)
//!     .attempts(5)
//!     .retry(Duration::from_secs(1)..Duration::from_secs(60))
//!     .dead_letters("orders.dead");
//! # let (stop, empty) = (token.clone(), queue.clone());
//! # let (ran, ()) = tokio::join!(worker.run(&token), async move { empty.emptied().await; stop.cancel() });
//! # ran?;
//! # let worker = Worker::new(queue.clone(), |token, text| order(token, text));
//! worker.run(&token).await?; // until `token` fires and the last message is settled
//! assert!(queue.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! [`Worker`] works on any [`Queue`]: NATS JetStream (`tokio-supervised-jetstream`), Kafka
//! (`tokio-supervised-kafka`), [`MemoryQueue`] for tests, or your own.
//!
//! # What the loop does
//!
//! - **A slot before a message.** It acquires free slots, then asks the queue for as many messages. A process never holds
//!   a message that it has no slot for.
//! - **Settled after the effect.** A message is settled when its function has returned, inside a
//!   [`shield`](tokio_supervised::shield()): cancellation does not interrupt it. A process that is killed in between
//!   gets the message again, so delivery is at least once. Give the effect a key, such as
//!   the id of the message, to make it exactly once.
//! - **Progress** is reported to the broker while the function runs, so work may take longer than the broker's timeout.
//!   Give the function a `timeout`: without one, a message whose function hangs is kept for ever.
//! - **Attempts.** A failure is [transient, permanent or external](Class). A transient one is retried with a backoff,
//!   and becomes a dead letter after [`attempts`](Worker::attempts). A permanent one becomes a dead letter at once. An
//!   external one (the database is away) is not the message's fault: it waits in its slot and is tried again.
//! - **A message that kills its worker** is given up without another start once it was delivered more than twice as
//!   often as `attempts` allows. Deliveries that a drain ended count too. It is removed only if
//!   [`dead_letters`](Worker::dead_letters) is set.
//! - **Reconnects** with a backoff, for as long as the broker is away.
//! - **Drains.** When the token fires, it requests no more messages, finishes those that it has, and returns the others
//!   to the queue.
//!
//! In [`tasks()`](tokio_supervised::tasks) each message is a task `message` with its id as label.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `metrics` | `messaging.client.consumed.messages` and `messaging.process.duration`, by OpenTelemetry's conventions, for the recorder of the [`metrics`](https://docs.rs/metrics) facade |
//! | `conformance` | `conformance::check`, the cases that every [`Queue`] passes |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
#[cfg(feature = "conformance")]
pub mod conformance;
mod decoded;
mod error;
mod memory;
mod message;
mod meter;
mod order;
mod progress;
mod queue;
mod run;
mod worker;

pub use decoded::{Decoded, DecodedDelivery};
pub use error::{SettingError, WorkerError};
pub use memory::{DeadLetter, Disconnected, LeaseExpired, MemoryDelivery, MemoryQueue};
pub use queue::{BoxError, Delivery, Disposition, Queue, Settings};
pub use worker::{Class, Worker};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
