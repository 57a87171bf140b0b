//! The scopes of the process with their tasks, and its pools.
//!
//! A scope lists its own tasks, under the lock that it takes for them anyway, and is listed here from its first task on.
//! So a spawn pays nothing for being listed.

pub(crate) mod age;
#[cfg(all(test, not(supervised_loom)))]
mod cost;
pub(crate) mod fold;
pub(crate) mod live;
pub(crate) mod name;
#[cfg(any(
    feature = "axum",
    feature = "metrics",
    feature = "opentelemetry",
    feature = "prometheus"
))]
pub(crate) mod pool_status;
pub(crate) mod pools;
pub(crate) mod services;
pub(crate) mod sharded_list;
pub(crate) mod slab;
pub(crate) mod snapshot;
pub(crate) mod tree;
pub(crate) mod unfinished;
pub(crate) mod waits;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::runtime;

use crate::{
    context::cancel_waker::WakeAll,
    context::tree::TaskRecord,
    registry::live::LiveTask,
    registry::sharded_list::{Registration, ShardedList},
    registry::unfinished::Unfinished,
    sync,
};

/// A scope that has tasks: a group, a pool, a map, the body of a main.
pub(crate) trait HasTasks: Send + Sync {
    /// Adds the records of the tasks that have not ended.
    fn records(&self, into: &mut Vec<Arc<TaskRecord>>);

    /// Wakes the tasks that the token of the scope cancels.
    fn token_fired(&self) {
        let mut records = Vec::new();
        self.records(&mut records);
        for record in records {
            record.wake_tasks();
        }
    }

    /// Reacts to a change of the limit of a function.
    fn limit_changed(&self) {}
}

impl<S: HasTasks> WakeAll for S {
    fn wake_tasks(&self) {
        self.token_fired();
    }
}

sync::global! {
    /// Every scope that has had a task.
    pub(crate) static SCOPES: ShardedList<dyn HasTasks> = ShardedList::new();
}

/// A pool, as the end of a process and the exporters need it.
pub(crate) trait Drain: Send + Sync {
    /// Closes the pool, and finishes or aborts its tasks within the grace.
    fn drain(self: Arc<Self>, grace: Duration) -> Draining;
    /// Whether it was made, or first used, in that runtime.
    fn belongs_to(&self, runtime: runtime::Id) -> bool;
    /// Returns the tasks that have not ended, and the tasks that an unfinished drain has aborted.
    fn remaining(&self) -> Vec<LiveTask>;
    /// Returns its name and its slots, if it has a name.
    #[cfg(any(
        feature = "axum",
        feature = "metrics",
        feature = "opentelemetry",
        feature = "prometheus"
    ))]
    fn usage(&self) -> Option<(&'static str, PoolUsage)>;
}

/// The slots of one pool.
#[cfg(any(
    feature = "axum",
    feature = "metrics",
    feature = "opentelemetry",
    feature = "prometheus"
))]
#[derive(Clone, Copy)]
pub(crate) struct PoolUsage {
    pub(crate) slots: usize,
    /// The slots of tasks, and the reserved ones.
    pub(crate) in_use: usize,
    /// Spawns and reservations that wait for a slot.
    pub(crate) waiting: usize,
}

pub(crate) type Draining = Pin<Box<dyn Future<Output = Result<(), Unfinished>> + Send>>;

sync::global! {
    /// Every pool.
    pub(crate) static POOLS: ShardedList<dyn Drain> = ShardedList::new();
}

/// Lists a scope, at its first task.
pub(crate) fn register<S: HasTasks + 'static>(scope: Weak<S>) -> Registration<dyn HasTasks> {
    SCOPES.register(scope)
}
