//! Processes a queue of orders in NATS JetStream, with any number of processes.
//!
//! ```text
//! apt-get install --no-install-recommends nats-server postgresql
//! nats-server -a 127.0.0.1 -js -sd queue &
//! nats stream add ORDERS --subjects 'orders.new' --retention work --defaults
//! nats stream add ORDERS_DEAD --subjects 'orders.dead' --defaults
//! nats publish orders.new --header Nats-Msg-Id:{{Count}} --count 20000 '{{Count}} 2 600'
//! export BROKER=nats://127.0.0.1:4222 DATABASE='host=127.0.0.1 user=postgres'
//! cargo run -p supervised-jetstream          # in several terminals; Ctrl-C, kill, again
//! ```
//!
//! A message is `ORDER ITEMS CENTS`. The price of one item goes into a PostgreSQL database, once for each order, however
//! often its message is delivered: its id is the key of the row.
//!
//! # Before
//!
//! By hand it is the client's stream of messages, and a task for each:
//!
//! ```ignore
//! let mut messages = consumer.messages().await?;            // some hundred are fetched in advance: the other
//! while let Some(message) = messages.next().await {         // workers idle, and a kill delays all of them
//!     let message = message?;                               // a heartbeat missed: the worker ends
//!     let permit = permits.clone().acquire_owned().await?;
//!     tokio::spawn(async move {
//!         let price = price(&message.payload)?;             // a panic: it comes again, and again, and again
//!         insert(&price).await?;                            // longer than `ack_wait`: two workers insert
//!         message.ack().await?;                             // sent, and perhaps never received
//!         drop(permit);
//!         anyhow::Ok(())
//!     });
//! }                                                         // SIGTERM: all that was fetched waits for `ack_wait`
//! ```
//!
//! # After
//!
//! [`Worker`] requests as many messages as it has slots, reports progress, settles each message after its effect, retries
//! it, gives it up with its reason, connects again, and drains on a signal. [`order`] is the work.

use std::sync::Arc;

use async_nats::{
    ConnectOptions,
    jetstream::{self, consumer::pull::Config},
};
use tokio_postgres::{Client, NoTls};
use tokio_supervised::{CancellationToken, Group, supervised, task};
use tokio_supervised_jetstream::JetStreamMessage;
use tokio_supervised_worker::{Class, Queue as _, Worker};

const SCHEMA: &str =
    "create table if not exists prices (id text primary key, cents bigint not null)";
const RECORD: &str = "insert into prices values ($1, $2) on conflict do nothing";

struct Order {
    id: Arc<str>,
    items: i64,
    cents: i64,
}

/// Reads an order. A message that is none becomes a dead letter.
fn read(message: JetStreamMessage) -> anyhow::Result<Order> {
    let numbers = std::str::from_utf8(&message.payload)?.split_whitespace().map(str::parse);
    match numbers.collect::<Result<Vec<_>, _>>()?[..] {
        [_, items, cents] => Ok(Order { id: message.id, items, cents }),
        _ => anyhow::bail!("not three numbers"),
    }
}

/// Without the database other orders would fail too; a panic and a timeout may pass.
fn class(error: &anyhow::Error) -> Class {
    if error.is::<tokio_postgres::Error>() { Class::External } else { Class::Transient }
}

/// Handles one order. It trusts the order to have items: one without panics, and becomes a dead letter.
#[supervised(name = "order", timeout = "10s")]
async fn order(database: Arc<Client>, order: Order) -> anyhow::Result<()> {
    database.execute(RECORD, &[&&*order.id, &(order.cents / order.items)]).await?;
    Ok(())
}

/// One session with the database. If it is lost, the worker stops, and the next run connects again.
// A grace would cut the drain; main's grace bounds it.
#[supervised(
    name = "work",
    grace = "none",
    restart = "on-failure",
    backoff = "100ms..5s",
    max_restarts = "60/1m"
)]
async fn work(token: &CancellationToken, broker: jetstream::Context) -> anyhow::Result<()> {
    let (database, connection) =
        tokio_postgres::connect(&std::env::var("DATABASE")?, NoTls).await?;
    let group = Group::<(), anyhow::Error>::new(token);
    // Ends with the worker, which still needs it when the token has fired.
    let connected =
        task!("database", on_cancel = "cooperate", grace = "none", |_| -> anyhow::Result<()> {
            Ok(connection.await?)
        });
    group.spawn(connected).await;
    database.batch_execute(SCHEMA).await?;
    let database = Arc::new(database);
    let consumer = Config { durable_name: Some("workers".into()), ..Config::default() };
    let queue = tokio_supervised_jetstream::queue(broker, "ORDERS", consumer).decode(read);
    let worker = Worker::new(queue, move |token, it| order(token, database.clone(), it));
    let worker = worker.classify(class).dead_letters("orders.dead");
    let run = task!("worker", grace = "none", |token| -> anyhow::Result<()> {
        Ok(worker.run(&token).await?)
    });
    group.spawn(run).await;
    group.join().await?;
    Ok(())
}

#[supervised::main]
async fn main(token: CancellationToken) -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let options = ConnectOptions::new().retry_on_initial_connect();
    let broker = jetstream::new(options.connect(std::env::var("BROKER")?).await?);
    work(&token, broker).await
}
