//! The database, which records the effect of each order once.

use std::time::Duration;

use tokio_postgres::{Client, Config, Connection, Error, NoTls, Socket, tls::NoTlsStream};

const CONNECTING: Duration = Duration::from_secs(2);

/// How many rows the totals are spread over: transactions that add to the same row wait for each other.
const TOTALS: i64 = 16;

/// One at a time: two workers that create the same table at once disturb each other. The last line checks that the
/// database accepts changes.
const SCHEMA: &str = "
    select pg_advisory_xact_lock(7263548);
    create table if not exists prices (id text primary key, order_number bigint not null, cents bigint not null,
        recorded bigint generated always as identity);
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
        insert into prices (id, order_number, cents) values ($1, $2, $3) on conflict (id) do nothing returning order_number, cents
    )
    update totals set orders = orders + 1, cents = totals.cents + fresh.cents
    from fresh where place = abs(fresh.order_number % $4)
";

/// One connection for all orders of a session: their statements are pipelined to the server.
pub(crate) struct Sink {
    client: Client,
}

impl Sink {
    pub(crate) async fn connect(
        config: &Config,
    ) -> Result<(Self, Connection<Socket, NoTlsStream>), Error> {
        let mut config = config.clone();
        config.connect_timeout(CONNECTING);
        let (client, connection) = config.connect(NoTls).await?;
        Ok((Self { client }, connection))
    }

    pub(crate) async fn prepare(&self) -> Result<(), Error> {
        self.client.batch_execute(SCHEMA).await
    }

    /// Records the price of an order; `false` if it was already recorded.
    pub(crate) async fn record(&self, id: &str, order: i64, cents: i64) -> Result<bool, Error> {
        Ok(self.client.execute(RECORD, &[&id, &order, &cents, &TOTALS]).await? == 1)
    }
}
