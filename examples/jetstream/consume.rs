//! Takes orders from the queue while there is room for them.

use std::{
    io::{Write, stdout},
    sync::Arc,
};

use futures_util::FutureExt as _;
use tokio_supervised::{CancellationToken, Pool, Slot, SpawnError, supervised};
use tracing::warn;

use crate::{
    arguments::Work, broker::Broker, desk::Desk, handle::handle, pulls::Pulls, sink::Sink,
};

/// The connections that a run needs, and recreates.
#[derive(Clone)]
pub(crate) struct Session {
    broker: Broker,
    arguments: Arc<Work>,
    connections: Pool,
}

impl Session {
    /// Connections to the database: of this session, and of those before it that tasks still hold.
    pub(crate) const CONNECTIONS: usize = 8;

    pub(crate) fn new(broker: Broker, arguments: Box<Work>, connections: Pool) -> Self {
        Self { broker, arguments: arguments.into(), connections }
    }

    /// The database first: no order is taken that could not be recorded.
    async fn start(&self) -> anyhow::Result<(Arc<Desk>, Pulls)> {
        let arguments = &self.arguments;
        let desk = Desk {
            sink: Sink::connect(&arguments.database, &self.connections).await?,
            broker: self.broker.clone(),
            attempts: arguments.attempts.into(),
            deliveries: arguments.deliveries(),
            ack_wait: arguments.ack_wait(),
            retry: arguments.retry(),
            work: arguments.work(),
        };
        let consumer = self.broker.consumer(desk.ack_wait, desk.deliveries).await?;
        let pulls = Pulls::new(&self.broker, consumer).await?;
        Ok((Arc::new(desk), pulls))
    }
}

/// Takes orders until the token fires, and then only orders that it has already requested.
///
/// Losing the broker, the stream, the consumer or the database ends a run of it; the next one recreates them. It gives
/// up only if it fails at once, each time, for a minute.
#[supervised(
    name = "consume",
    grace = "5s",
    restart = "on-failure",
    backoff = "100ms..2s",
    max_restarts = "120/1m"
)]
pub(crate) async fn consume(
    token: &CancellationToken,
    session: Session,
    pool: &Pool,
) -> anyhow::Result<()> {
    let ended = take(token, session, pool).await;
    // The boundary logs the restart, but of the error it only knows the text.
    ended.inspect_err(|error| warn!(error = format!("{error:#}"), "the session is over"))
}

async fn take(token: &CancellationToken, session: Session, pool: &Pool) -> anyhow::Result<()> {
    let (desk, mut pulls) = session.start().await?;
    writeln!(stdout(), "ready")?;
    while let Some(mut slots) = free(token, pool).await? {
        desk.sink.still_there()?;
        pulls.ask(slots.len()).await?;
        while let Some(order) = pulls.next().await? {
            let desk = desk.clone();
            let slot = slots.pop().expect("no more messages than were asked for");
            slot.spawn(move |token| handle(token, desk, order));
        }
    }
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
