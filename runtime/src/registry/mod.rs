//! What lives: the scopes of the process, their tasks, and the pools that are to be drained at its end.
//!
//! A scope lists its tasks itself, under the lock that it takes for them anyway; it is listed here from its
//! first task on. So a spawn pays nothing for being found.

pub(crate) mod age;
#[cfg(all(test, not(supervised_loom)))]
mod cost;
pub(crate) mod live;
pub(crate) mod name;
pub(crate) mod sharded_list;
pub(crate) mod slab;
pub(crate) mod snapshot;
pub(crate) mod tree;
pub(crate) mod unfinished;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::runtime;

use crate::registry::live::LiveTask;
use crate::registry::sharded_list::{Registration, ShardedList};
use crate::registry::unfinished::Unfinished;

use crate::{context::cancel_waker::WakeAll, context::tree::TaskRecord, sync};

/// A group, a pool, a map, a main: what has tasks.
pub(crate) trait HasTasks: Send + Sync {
    /// Adds the records of those that have not ended.
    fn records(&self, into: &mut Vec<Arc<TaskRecord>>);

    /// Wakes what the token of the scope ends: its tasks.
    fn token_fired(&self) {
        let mut records = Vec::new();
        self.records(&mut records);
        for record in records {
            record.wake_tasks();
        }
    }

    /// The limit of some function was changed.
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

/// A pool, for who ends a process and knows no scopes.
pub(crate) trait Drain: Send + Sync {
    /// Takes no more work, and ends what there is within the grace.
    fn drain(self: Arc<Self>, grace: Duration) -> Draining;
    /// Whether it was made, or first used, in that runtime.
    fn belongs_to(&self, runtime: runtime::Id) -> bool;
    /// Its tasks that have not ended, and those that a drain has aborted which has not told of them yet.
    fn remaining(&self) -> Vec<LiveTask>;
}

pub(crate) type Draining = Pin<Box<dyn Future<Output = Result<(), Unfinished>> + Send>>;

sync::global! {
    /// Every pool.
    pub(crate) static POOLS: ShardedList<dyn Drain> = ShardedList::new();
}

/// Lists a scope that has its first task.
pub(crate) fn register<S: HasTasks + 'static>(scope: &Arc<S>) -> Registration<dyn HasTasks> {
    let scope: Weak<S> = Arc::downgrade(scope);
    SCOPES.register(scope)
}
