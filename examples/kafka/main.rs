//! The workers of a Kafka topic: each message is a number, whose square is appended to a file.
//!
//! ```text
//! BROKERS=127.0.0.1:9092 TOPIC=jobs cargo run -p supervised-kafka      # as often as there are partitions
//! ```
//!
//! # Before
//!
//! By hand it is a loop around the consumer, and a task for each message:
//!
//! ```ignore
//! let consumer: StreamConsumer = config.create()?;             // enable.auto.commit is on
//! loop {
//!     let message = consumer.recv().await?.detach();
//!     tokio::spawn(async move { work(message).await });        // committed five seconds later, done or not
//! }                                                            // rebalanced: two members work on one message
//! ```
//!
//! The automatic commit treats read messages as done. If a task commits by hand, a later message that ends first also
//! commits an earlier one: a commit means "everything before this". A rebalance revokes the partition while its
//! messages are still running, and the next member starts them again.
//!
//! # After
//!
//! [`Worker`] has the loop, and the adapter the offsets: one is committed when all messages before it are done, and a
//! partition is drained before it is given away. Messages of a key are handled in their order. [`square`] is the work.

use std::{io, num::ParseIntError, str::Utf8Error, sync::Arc};

use rdkafka::ClientConfig;
use tokio::{fs::File, io::AsyncWriteExt as _};
use tokio_supervised::{CancellationToken, TaskError, supervised};
use tokio_supervised_kafka::KafkaMessage;
use tokio_supervised_worker::{Class, Worker};

#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error("not text: {0}")]
    Text(#[from] Utf8Error),
    #[error("not a number: {0}")]
    Number(#[from] ParseIntError),
    #[error("the file: {0}")]
    File(#[from] io::Error),
}

impl JobError {
    fn class(&self) -> Class {
        match self {
            Self::Task(_) => Class::Transient,
            Self::Text(_) | Self::Number(_) => Class::Permanent,
            Self::File(_) => Class::External,
        }
    }
}

/// Handles one message. Its effect is one write of one line, which begins with the id of the message.
#[supervised(name = "square", timeout = "10s")]
async fn square(done: Arc<File>, message: KafkaMessage) -> Result<(), JobError> {
    let number: u64 = std::str::from_utf8(message.payload())?.parse()?;
    let line = format!("{} {}\n", message.id, number.wrapping_mul(number));
    let mut done = done.try_clone().await?;
    done.write_all(line.as_bytes()).await?;
    done.flush().await?;
    Ok(())
}

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let done = Arc::new(File::options().create(true).append(true).open("done.txt").await?);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", std::env::var("BROKERS")?).set("group.id", "workers");
    let queue = tokio_supervised_kafka::queue(config, std::env::var("TOPIC")?);
    Worker::new(queue, move |token, message| square(token, done.clone(), message))
        .classify(JobError::class)
        .dead_letters("dead")
        .ordered()
        .run(&token)
        .await?;
    Ok(())
}
