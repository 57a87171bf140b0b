//! The program that the tests start several times, kill, stop and count: the example, with settings.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _, stderr, stdout},
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::Parser;
use rdkafka::{ClientConfig, Message as _};
use tokio::{task::spawn_blocking, time::sleep};
use tokio_supervised::{CancellationToken, Ready, Services, TaskError, supervised, task};
use tokio_supervised_kafka::KafkaMessage;
use tokio_supervised_worker::{Class, Worker};

#[derive(Parser)]
struct Arguments {
    #[arg(long)]
    brokers: String,
    #[arg(long)]
    topic: String,
    /// The file that effects are appended to, one on a line.
    #[arg(long)]
    done: PathBuf,
    #[arg(long, default_value = "8")]
    slots: NonZeroUsize,
    #[arg(long, default_value = "6000")]
    session_ms: u32,
    /// Each message takes this long.
    #[arg(long)]
    work_ms: u64,
    #[arg(long)]
    ordered: bool,
}

#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error("the file: {0}")]
    File(#[from] io::Error),
}

impl JobError {
    fn class(&self) -> Class {
        match self {
            Self::Task(_) => Class::Transient,
            Self::File(_) => Class::External,
        }
    }
}

/// Works on one message. It trusts a message to be a number, and panics if it is not.
#[supervised(name = "square", timeout = "10s")]
async fn square(
    done: Arc<Mutex<File>>,
    message: KafkaMessage,
    work: Duration,
) -> Result<(), JobError> {
    if !work.is_zero() {
        sleep(work).await;
    }
    let text = std::str::from_utf8(message.payload()).expect("it is text");
    let number: u64 = text.parse().expect("it is a number");
    let (partition, offset) = (message.message.partition(), message.message.offset());
    let key = message.message.key().map(String::from_utf8_lossy).unwrap_or_default();
    let line = format!("{partition} {offset} {} {key} {number}\n", number.wrapping_mul(number));
    // In one write: several programs may append to one file.
    let write =
        move || done.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    spawn_blocking(write).await.map_err(io::Error::other)??;
    Ok(())
}

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(stderr).with_ansi(false).init();
    let done = OpenOptions::new().create(true).append(true).open(&arguments.done)?;
    let (done, work) = (Arc::new(Mutex::new(done)), Duration::from_millis(arguments.work_ms));
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &arguments.brokers)
        .set("group.id", "workers")
        .set("session.timeout.ms", arguments.session_ms.to_string())
        .set("heartbeat.interval.ms", (arguments.session_ms / 10).to_string());
    let queue = tokio_supervised_kafka::queue(config, &arguments.topic);
    let worker =
        Worker::new(queue, move |token, message| square(token, done.clone(), message, work))
            .slots(arguments.slots.get())
            .attempts(3)
            .retry(Duration::from_millis(20)..Duration::from_secs(1))
            .classify(JobError::class)
            .drain(Duration::from_secs(15))
            .dead_letters("dead");
    let worker = if arguments.ordered { worker.ordered() } else { worker };
    Services::new(&token)
        .start_timeout(Duration::from_secs(60))
        .service_with_ready(
            "worker",
            task!("worker", grace = "none", |token, ready: Ready| -> anyhow::Result<()> {
                Ok(worker.ready(ready).run(&token).await?)
            }),
        )
        .background("announce", task!("announce", |_| async { writeln!(stdout(), "READY") }))
        .run()
        .await?;
    Ok(())
}
