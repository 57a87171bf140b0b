//! The tasks of a pool that did not finish, from when that is detected until they are logged and returned.
//!
//! Invariants
//!
//! 1. A task is added once, either by the drain that aborts it or by the task itself at its end.
//! 2. Each is logged once: by the active drain, or else when the pool is idle or a task finishes.
//! 3. They are kept, for each drain to return: all of them if the pool is closed, at most 64 if it is open.
//!
//! `tests/spec/behaviour/drain.rs` and `tests/events/pools.rs` check them, `pool/state/loom.rs` 1 and 3 for two drains.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Ticks,
    context::tree::TaskRecord,
    registry::live::{LiveTask, TaskState},
    registry::unfinished::{UnfinishedReason, UnfinishedTask},
};

/// How many tasks an open pool keeps, since it may stay open forever.
const MAX_WHILE_OPEN: usize = 64;

/// How long the first unlogged task waits for others, while no task finishes.
const LOG_DELAY: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct NotFinishedTasks {
    kept: Vec<UnfinishedTask>,
    /// The number of unfinished tasks that are not kept.
    more: usize,
    logged: usize,
    more_logged: usize,
    /// How many of the kept ones drains have returned to their callers.
    returned: usize,
    /// When the first unlogged one was added.
    since: Option<Ticks>,
}

/// The tasks for one event.
pub(crate) struct Unlogged {
    pub(crate) tasks: Vec<UnfinishedTask>,
    pub(crate) more: usize,
}

impl NotFinishedTasks {
    /// The lock of the pool is held, here and below.
    pub(crate) fn add(&mut self, record: &Arc<TaskRecord>, why: UnfinishedReason, is_closed: bool) {
        // The last run of a task that waits for its restart has ended, and its failure is in the log.
        if record.is_restarting() && why.is_of_pool() {
            return;
        }
        // There may be very many of them: adding one does not search the others.
        if !record.mark_unfinished() {
            return;
        }
        self.since.get_or_insert_with(Ticks::now);
        if !is_closed && self.kept.len() >= MAX_WHILE_OPEN {
            self.more += 1;
            return;
        }
        let mut task = LiveTask::ended(record);
        if matches!(why, UnfinishedReason::OwnGrace(_) | UnfinishedReason::Cancelled) {
            // Its token has fired, and it is between its last poll and its end.
            task.state = TaskState::Stopping;
        }
        self.kept.push(UnfinishedTask { task, why });
    }

    pub(crate) fn has_unlogged(&self) -> bool {
        self.since.is_some()
    }

    /// Whether the unlogged ones have waited for long enough.
    pub(crate) fn is_due(&self) -> bool {
        self.since.is_some_and(|since| u128::from(since.elapsed_nanos()) > LOG_DELAY.as_nanos())
    }

    pub(crate) fn take_unlogged(&mut self) -> Option<Unlogged> {
        self.since.take()?;
        let tasks = self.kept[self.logged..].to_vec();
        let more = self.more - self.more_logged;
        (self.logged, self.more_logged) = (self.kept.len(), self.more);
        Some(Unlogged { tasks, more })
    }

    /// Returns what any drain has found, for the caller of a drain.
    pub(crate) fn all(&self) -> (Vec<UnfinishedTask>, usize) {
        (self.kept.clone(), self.more)
    }

    /// Returns how many there are, for [`mark_returned`](Self::mark_returned).
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Marks the first `kept` ones as returned to the caller of a drain.
    pub(crate) fn mark_returned(&mut self, kept: usize) {
        self.returned = self.returned.max(kept);
    }

    /// Returns the tasks that no drain has returned to its caller.
    pub(crate) fn not_returned(&self) -> &[UnfinishedTask] {
        &self.kept[self.returned..]
    }
}
