//! The database, which records the effect of each order once.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use tokio_postgres::{Client, Config, Connection, NoTls, Socket, Statement, tls::NoTlsStream};
use tokio_supervised::{CancellationToken, Pool, supervised};

use crate::handle::Price;

/// In this process: orders that had been recorded before.
pub(crate) static KNOWN: AtomicU64 = AtomicU64::new(0);

const CONNECTING: Duration = Duration::from_secs(2);

/// How many rows the totals are spread over: transactions that add to the same row wait for each other.
const TOTALS: i64 = 16;

/// One at a time: two workers that create the same table at once disturb each other. The last line checks that the
/// database accepts changes.
const SCHEMA: &str = "
    select pg_advisory_xact_lock(7263548);
    create table if not exists prices (id text primary key, order_number bigint not null, cents bigint not null);
    create table if not exists totals (place bigint primary key, orders bigint not null, cents bigint not null);
    insert into totals select place, 0, 0 from generate_series(0, 15) as place on conflict do nothing;
    update totals set orders = orders where place = 0;
";

/// One statement, so one transaction: the order is in `prices` and in its total, or in neither.
///
/// Adding to a total is not idempotent; the key of `prices` makes it happen once. A transaction that inserts the same
/// key at the same time waits for the other, and then does nothing.
const RECORD: &str = "
    with fresh as (
        insert into prices values ($1, $2, $3) on conflict (id) do nothing returning order_number, cents
    )
    update totals set orders = orders + 1, cents = totals.cents + fresh.cents
    from fresh where place = abs(fresh.order_number % $4)
";

/// One connection for all tasks of a session: their statements are pipelined to the server.
pub(crate) struct Sink {
    client: Client,
    record: Statement,
    /// A record failed: enough reason to restart before more orders are taken.
    failed: AtomicBool,
}

impl Sink {
    pub(crate) async fn connect(config: &Config, connections: &Pool) -> anyhow::Result<Self> {
        let mut config = config.clone();
        config.connect_timeout(CONNECTING);
        let connected = config.connect(NoTls).await.context("no connection to the database");
        let (client, connection) = connected?;
        connections.spawn(move |token| drive(token, connection)).await?;
        client.batch_execute(SCHEMA).await?;
        let record = client.prepare(RECORD).await?;
        Ok(Self { client, record, failed: AtomicBool::new(false) })
    }

    /// Fails if orders could not be recorded.
    pub(crate) fn still_there(&self) -> anyhow::Result<()> {
        ensure!(!self.client.is_closed(), "the connection to the database is closed");
        ensure!(!self.failed.load(Ordering::Relaxed), "the database has not recorded an order");
        Ok(())
    }

    /// Records the price of an order; `false` if it was already recorded.
    pub(crate) async fn record(
        &self,
        token: &CancellationToken,
        id: &str,
        price: &Price,
    ) -> anyhow::Result<bool> {
        let recorded = record(token, self, id, price).await;
        let is_new = recorded.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?;
        if !is_new {
            KNOWN.fetch_add(1, Ordering::Relaxed);
        }
        Ok(is_new)
    }

    /// Whether an order has been recorded.
    pub(crate) async fn knows(&self, token: &CancellationToken, id: &str) -> anyhow::Result<bool> {
        look(token, self, id).await
    }
}

/// If it is dropped in the middle, it may have happened or not: the order is redelivered, and the database decides.
#[supervised(name = "record", timeout = "5s")]
async fn record(sink: &Sink, id: &str, price: &Price) -> anyhow::Result<bool> {
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&id, &price.order, &price.cents, &TOTALS];
    Ok(sink.client.execute(&sink.record, &values).await? == 1)
}

#[supervised(name = "look", timeout = "5s")]
async fn look(sink: &Sink, id: &str) -> anyhow::Result<bool> {
    Ok(sink.client.query_opt("select from prices where id = $1", &[&id]).await?.is_some())
}

/// Drives a connection; ends when nothing uses it any more.
#[supervised(name = "database")]
async fn drive(connection: Connection<Socket, NoTlsStream>) -> anyhow::Result<()> {
    Ok(connection.await?)
}
