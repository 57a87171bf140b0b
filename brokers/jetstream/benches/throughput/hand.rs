//! A loop by hand: slots, requests, progress, and confirmed acknowledgements. It neither retries nor gives up.

use std::{convert::Infallible, time::Duration};

use async_nats::{
    Client, Message, Subject,
    jetstream::{
        self, AckKind, Context,
        consumer::{Consumer, pull},
    },
};
use futures_util::FutureExt as _;
use tokio::{
    select,
    time::{Instant, interval_at},
};
use tokio_supervised::{CancellationToken, Pool, Slot, SpawnError, shield, supervised};

use crate::{ACK_WAIT, Counter, SLOTS, pulls::Pulls, work};

const SETTLING: Duration = Duration::from_secs(8);

pub(crate) async fn consume(
    token: &CancellationToken,
    context: Context,
    consumer: Consumer<pull::Config>,
    counter: Counter,
) -> anyhow::Result<()> {
    let pool = Pool::new(SLOTS);
    let client = context.client();
    let mut pulls = Pulls::new(client.clone(), consumer).await?;
    while let Some(mut slots) = free(token, &pool).await? {
        pulls.ask(slots.len()).await?;
        while let Some(message) = pulls.next().await? {
            let (client, counter) = (client.clone(), counter.clone());
            let order = Order::new(&context, message)?;
            let slot = slots.pop().expect("no more messages than were asked for");
            slot.spawn(move |token| handle(token, client, order, counter));
        }
    }
    pool.drain(Duration::from_secs(20)).await?;
    Ok(())
}

/// Acquires all free slots, at least one. Returns `None` when it must stop.
async fn free(token: &CancellationToken, pool: &Pool) -> Result<Option<Vec<Slot>>, SpawnError> {
    let Some(first) = token.run_until_cancelled(pool.reserve()).await else { return Ok(None) };
    let mut slots = vec![first?];
    while let Some(next) = pool.reserve().now_or_never() {
        slots.push(next?);
    }
    Ok(Some(slots))
}

struct Order {
    delivered: i64,
    id: String,
    reply: Subject,
}

impl Order {
    fn new(context: &Context, message: Message) -> anyhow::Result<Self> {
        let message = jetstream::Message { message, context: context.clone() };
        let info = message.info().map_err(anyhow::Error::from_boxed)?;
        let (id, delivered) = (format!("at {}", info.stream_sequence), info.delivered);
        let reply = message.message.reply.ok_or_else(|| anyhow::anyhow!("no reply subject"))?;
        Ok(Self { delivered, id, reply })
    }
}

#[supervised(name = "handle", grace = "9s")]
async fn handle(
    token: &CancellationToken,
    client: Client,
    order: Order,
    counter: Counter,
) -> anyhow::Result<()> {
    anyhow::ensure!(order.delivered < 10, "{} was never handled", order.id);
    select! {
        worked = work(token, counter) => worked?,
        never = report_progress(&client, &order) => match never {},
    }
    shield(SETTLING, |token| acknowledge(token, client, order.reply)).await
}

async fn report_progress(client: &Client, order: &Order) -> Infallible {
    let often = ACK_WAIT / 3;
    let mut due = interval_at(Instant::now() + often, often);
    loop {
        due.tick().await;
        _ = client.publish(order.reply.clone(), AckKind::Progress.into()).await;
    }
}

#[supervised(name = "acknowledge", timeout = "2s", restart = "on-failure", backoff = "50ms..500ms")]
async fn acknowledge(client: Client, message: Subject) -> anyhow::Result<()> {
    client.request(message, AckKind::Ack.into()).await?;
    Ok(())
}
