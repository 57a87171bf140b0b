//! The program that the tests start several times, kill, stop and count: the example, with settings.

mod sink;

use std::{
    io::{Write, stderr, stdout},
    num::{NonZeroUsize, ParseIntError},
    str::Utf8Error,
    sync::Arc,
    time::Duration,
};

use async_nats::{
    ConnectOptions,
    jetstream::{self, Context, consumer::pull},
};
use clap::Parser;
use tokio::time::sleep;
use tokio_supervised::{CancellationToken, Group, Ready, Services, TaskError, supervised, task};
use tokio_supervised_jetstream::JetStreamMessage;
use tokio_supervised_worker::{Class, Worker};
use tracing::{info, warn};

use sink::Sink;

#[derive(Parser)]
struct Arguments {
    #[arg(long)]
    broker: String,
    #[arg(long)]
    database: tokio_postgres::Config,
    #[arg(long)]
    slots: NonZeroUsize,
    #[arg(long)]
    attempts: u32,
    #[arg(long)]
    ack_wait_ms: u64,
    #[arg(long)]
    retry_ms: u64,
    /// Each order takes this long.
    #[arg(long)]
    work_ms: u64,
    #[arg(long)]
    drain_ms: u64,
    /// Handles only the orders of this partition, in their order.
    #[arg(long)]
    partition: Option<u32>,
}

/// Why an order has no price.
#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error("missing field: {0}")]
    Missing(&'static str),
    #[error(transparent)]
    Number(#[from] ParseIntError),
    #[error(transparent)]
    Text(#[from] Utf8Error),
    #[error("the database: {0}")]
    Database(#[from] tokio_postgres::Error),
}

impl OrderError {
    fn class(&self) -> Class {
        match self {
            Self::Task(_) => Class::Transient,
            Self::Missing(_) | Self::Number(_) | Self::Text(_) => Class::Permanent,
            Self::Database(_) => Class::External,
        }
    }
}

/// The price of one item of an order: `17 3 600` gives 200 for the order 17. An order without items panics.
#[supervised(name = "item price", timeout = "10s")]
async fn item_price(message: &[u8], work: Duration) -> Result<(i64, i64), OrderError> {
    if !work.is_zero() {
        sleep(work).await;
    }
    let mut numbers = std::str::from_utf8(message)?.split_ascii_whitespace().map(str::parse::<i64>);
    let mut number = |what| numbers.next().ok_or(OrderError::Missing(what));
    let (order, items, cents) = (number("order")??, number("items")??, number("cents")??);
    Ok((order, cents / items))
}

#[supervised(name = "order", on_cancel = "cooperate")]
async fn order(
    token: &CancellationToken,
    sink: Arc<Sink>,
    message: JetStreamMessage,
    work: Duration,
) -> Result<(), OrderError> {
    let (order, cents) = item_price(token, &message.payload, work).await?;
    if !sink.record(&message.id, order, cents).await? {
        info!(id = &*message.id, "recorded before");
    }
    Ok(())
}

#[supervised(
    name = "work",
    grace = "none",
    restart = "on-failure",
    backoff = "100ms..2s",
    max_restarts = "120/1m"
)]
async fn work(
    token: &CancellationToken,
    broker: Context,
    arguments: Arc<Arguments>,
    ready: Ready,
) -> anyhow::Result<()> {
    let ended = session(token, broker, &arguments, ready).await;
    // The boundary logs the restart, but of the error it only knows the text.
    ended.inspect_err(|error| warn!(error = format!("{error:#}"), "the session is over"))
}

/// One connection to the database. If it is lost, the worker stops, and the next session connects again.
async fn session(
    token: &CancellationToken,
    broker: Context,
    arguments: &Arguments,
    ready: Ready,
) -> anyhow::Result<()> {
    let (sink, connection) = Sink::connect(&arguments.database).await?;
    let group = Group::<(), anyhow::Error>::new(token);
    // Ends with the worker, which still needs it when the token has fired.
    let connected =
        task!("database", on_cancel = "cooperate", grace = "none", |_| -> anyhow::Result<()> {
            Ok(connection.await?)
        });
    group.spawn(connected).await;
    sink.prepare().await?;
    let (sink, of) = (Arc::new(sink), arguments.partition);
    let consumer = pull::Config {
        durable_name: Some(of.map_or("workers".into(), |of| format!("workers-{of}"))),
        filter_subject: of.map_or(String::new(), |of| format!("orders.new.{of}")),
        ack_wait: Duration::from_millis(arguments.ack_wait_ms),
        max_ack_pending: if of.is_some() { 1 } else { 1_000 },
        ..Default::default()
    };
    let queue = tokio_supervised_jetstream::queue(broker, "ORDERS", consumer);
    let working = Duration::from_millis(arguments.work_ms);
    let worker =
        Worker::new(queue, move |token, message| order(token, sink.clone(), message, working))
            .slots(arguments.slots.get())
            .attempts(arguments.attempts)
            .retry(Duration::from_millis(arguments.retry_ms)..Duration::from_secs(60))
            .progress(Duration::from_millis(arguments.ack_wait_ms) / 3)
            .drain(Duration::from_millis(arguments.drain_ms))
            .classify(OrderError::class)
            .dead_letters("orders.dead")
            .ready(ready);
    let worker = if of.is_some() { worker.ordered() } else { worker };
    let run = task!("worker", grace = "none", |token| -> anyhow::Result<()> {
        Ok(worker.run(&token).await?)
    });
    group.spawn(run).await;
    group.join().await?;
    Ok(())
}

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<()> {
    let arguments = Arc::new(Arguments::parse());
    tracing_subscriber::fmt().with_writer(stderr).with_ansi(false).init();
    let reconnect = |tried| Duration::from_millis(10 * u64::try_from(tried).unwrap_or(50).min(50));
    let options =
        ConnectOptions::new().retry_on_initial_connect().reconnect_delay_callback(reconnect);
    let broker = jetstream::new(options.connect(&arguments.broker).await?);
    Services::new(&token)
        .start_timeout(Duration::from_secs(600))
        .service_with_ready("worker", |token, ready| work(token, broker, arguments, ready))
        .background("announce", task!("announce", |_| async { writeln!(stdout(), "ready") }))
        .run()
        .await?;
    Ok(())
}
