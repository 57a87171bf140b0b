//! The environment of a test: a broker, a database, and a client of each.

use std::{
    collections::BTreeSet,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::Client;

use crate::{
    broker::{Broker, Dead, Kept},
    child::pause,
    database::Database,
    tool::Tools,
};

/// A test that measures runs alone.
static MACHINE: RwLock<()> = RwLock::new(());

pub(crate) struct Place {
    // The folder is dropped last.
    pub(crate) broker: Broker,
    pub(crate) database: Database,
    kept: Kept,
    client: Client,
    runtime: Runtime,
    pub(crate) tools: Tools,
    pub(crate) folder: TempDir,
    _beside: Option<RwLockReadGuard<'static, ()>>,
    _alone: Option<RwLockWriteGuard<'static, ()>>,
}

impl Place {
    /// Starts both servers.
    pub(crate) fn new() -> Self {
        let tools = Tools::find();
        let beside = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
        Self::start(tools, Some(beside), None)
    }

    /// Like [`new`](Self::new), without other tests in parallel.
    pub(crate) fn alone() -> Self {
        let tools = Tools::find();
        let alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
        Self::start(tools, None, Some(alone))
    }

    fn start(
        tools: Tools,
        beside: Option<RwLockReadGuard<'static, ()>>,
        alone: Option<RwLockWriteGuard<'static, ()>>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::start(&tools, folder.path());
        let database = Database::start(&tools, folder.path());
        let runtime = runtime();
        let (kept, client) = runtime.block_on(async {
            let (kept, client) = (Kept::connect(&broker).await, database.connect().await);
            (kept, client)
        });
        Self {
            broker,
            database,
            kept,
            client,
            runtime,
            tools,
            folder,
            _beside: beside,
            _alone: alone,
        }
    }

    /// Connects to the restarted database.
    pub(crate) fn reconnect(&mut self) {
        self.client = self.runtime.block_on(self.database.connect());
    }

    /// Returns the number of recorded orders; 0 if the table does not exist yet.
    pub(crate) fn recorded(&self) -> usize {
        let rows = self.client.query_one("select sum(orders)::bigint from totals", &[]);
        self.runtime.block_on(rows).map_or(0, |row| row.get::<_, i64>(0).try_into().unwrap())
    }

    /// Returns the recorded orders with their prices.
    pub(crate) fn prices(&self) -> Vec<(String, i64)> {
        let rows = self.client.query("select id, cents from prices order by order_number", &[]);
        let rows = self.runtime.block_on(rows).unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Returns the orders in the order in which they were recorded.
    pub(crate) fn recorded_in_order(&self) -> Vec<i64> {
        let rows = self.client.query("select order_number from prices order by recorded", &[]);
        let rows = self.runtime.block_on(rows).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Returns the ids of the recorded orders.
    pub(crate) fn ids(&self) -> Vec<String> {
        let rows = self.client.query("select id from prices order by id", &[]);
        let rows = self.runtime.block_on(rows).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Returns the number of effects, and their sum.
    pub(crate) fn totals(&self) -> (i64, i64) {
        let rows = "select sum(orders)::bigint, sum(cents)::bigint from totals";
        let row = self.runtime.block_on(self.client.query_one(rows, &[])).unwrap();
        (row.get(0), row.get(1))
    }

    pub(crate) fn dead(&self) -> Vec<Dead> {
        self.runtime.block_on(self.kept.dead())
    }

    /// Returns the ids of the dead letters. Fails if one occurs twice.
    pub(crate) fn dead_ids(&self) -> BTreeSet<String> {
        let dead = self.dead();
        let ids: BTreeSet<_> = dead.iter().map(|dead| dead.id.clone()).collect();
        assert_eq!(ids.len(), dead.len(), "duplicate dead letters: {dead:#?}");
        ids
    }

    /// Returns the number of deliveries, including redeliveries.
    pub(crate) fn delivered(&self) -> u64 {
        self.runtime.block_on(self.kept.delivered()).expect("the broker answers")
    }

    /// Waits until the queue is empty.
    pub(crate) fn until_empty(&self, limit: Duration) {
        if !self.within(limit, || self.waiting() == Some(0)) {
            panic!("the queue did not become empty: {}", self.runtime.block_on(self.kept.state()));
        }
    }

    /// Waits up to `limit` until `jobs` orders are recorded or given up, then up to `settling` until the broker has no
    /// unacknowledged message. Returns the number of missing orders.
    pub(crate) fn until_done(&self, jobs: usize, limit: Duration, settling: Duration) -> usize {
        let missed = || {
            let given_up = self.runtime.block_on(self.kept.given_up())?;
            Some(jobs.saturating_sub(self.recorded() + given_up as usize))
        };
        self.within(limit, || missed() == Some(0));
        self.within(settling, || self.runtime.block_on(self.kept.unsettled()) == Some(0));
        missed().expect("the broker answers")
    }

    fn within(&self, limit: Duration, is_so: impl Fn() -> bool) -> bool {
        let started = Instant::now();
        while started.elapsed() < limit {
            if is_so() {
                return true;
            }
            pause(Duration::from_millis(20));
        }
        false
    }

    /// Publishes one order.
    pub(crate) fn publish(&self, order: usize) {
        let order = format!("{order} 2 20");
        self.runtime.block_on(self.kept.publish("orders.new", &order)).unwrap();
    }

    /// Returns the number of orders in the queue; `None` while the broker does not answer.
    pub(crate) fn waiting(&self) -> Option<u64> {
        self.runtime.block_on(self.kept.waiting())
    }

    /// Deletes the consumer, so the broker delivers the whole queue again.
    pub(crate) fn forget_consumer(&self) {
        self.runtime.block_on(self.kept.forget_consumer());
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
