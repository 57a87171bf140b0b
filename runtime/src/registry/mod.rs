//! What lives: the scopes of the process, their tasks, and the pools that are to be drained at its end.
//!
//! A scope lists its tasks itself, under the lock that it takes for them anyway; it is listed here from its
//! first task on. So a spawn pays nothing for being found.

mod age;
#[cfg(all(test, not(supervised_loom)))]
mod cost;
mod live;
mod name;
mod sharded_list;
mod slab;
mod snapshot;
mod tree;
mod unfinished;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::runtime;

pub(crate) use age::Age;
pub use live::{LiveTask, ParentTask, TaskState};
#[cfg(all(feature = "axum", any(test, fuzzing)))]
pub(crate) use name::MOST_CHARACTERS;
pub(crate) use name::Name;
pub(crate) use sharded_list::{Registration, ShardedList};
pub(crate) use slab::{Key, Slab};
pub use snapshot::Tasks;
pub(crate) use snapshot::{live, tasks, tree_of};
#[cfg(feature = "axum")]
pub(crate) use tree::{TreeLine, fold_alike};
pub use unfinished::Unfinished;
pub(crate) use unfinished::{Lines, UnfinishedReason, UnfinishedTask};

use crate::{
    run::{cancel_waker::WakeAll, record::TaskRecord},
    sync,
};

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
