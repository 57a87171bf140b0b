//! The shields that a run counts, and the part of a running run that other code can see.
//!
//! Invariants
//!
//! 1. A run gets [`RunShields`] when other code first has to refer to it, and drops them when it ends: a dead weak
//!    reference means that the run holds neither a permit nor a slot. Otherwise a scope that outlives the run would
//!    report a false deadlock. (`tests/spec/composition/run_reports.rs`)
//! 2. A run that must end is woken when its last shield ends, on any thread. Otherwise it would stay until its grace
//!    has passed. (`context/shields/loom.rs`)
//! 3. A run that must end waits at most for the deadlines that it counts: a shield that is no longer polled cannot
//!    delay it further. (`tests/spec/behaviour/shield_edges.rs`)
//! 4. A waker is cloned, called and dropped outside the lock: it is foreign code.

use std::{sync::PoisonError, task::Waker};

use tokio::{task::Id, time::Instant};

use crate::{
    panic::quietly,
    sync::{Mutex, MutexGuard},
};

#[cfg(all(test, supervised_loom))]
mod loom;

/// The shields that a run counts.
#[derive(Default)]
pub(crate) struct RunShields(Mutex<Pending>);

#[derive(Default)]
struct Pending {
    deadlines: Vec<Instant>,
    /// Set when the run is to end: the tokio task that it is polled in.
    ending: Option<Option<Id>>,
    /// Wakes a run that is to end.
    waiting: Option<Waker>,
}

impl Pending {
    fn until(&self) -> Option<Instant> {
        let latest = self.deadlines.iter().max().copied();
        latest.filter(|until| *until > Instant::now())
    }
}

impl RunShields {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, deadline: Instant) {
        self.pending().deadlines.push(deadline);
    }

    pub(crate) fn remove(&self, deadline: Instant) {
        let mut pending = self.pending();
        if let Some(index) = pending.deadlines.iter().position(|other| *other == deadline) {
            pending.deadlines.swap_remove(index);
        }
        if !pending.deadlines.is_empty() {
            return;
        }
        let waiting = pending.waiting.take();
        drop(pending);
        if let Some(waiting) = waiting {
            quietly(|| waiting.wake());
        }
    }

    /// Marks the run as ending: it starts no further section. Returns whether a shield still protects it.
    pub(crate) fn mark_ending(&self) -> bool {
        let mut pending = self.pending();
        pending.ending = Some(tokio::task::try_id());
        pending.until().is_some()
    }

    /// Whether the run is ending and is polled in the current tokio task. Other tasks that it polls, on a `LocalSet`,
    /// go on after it.
    pub(crate) fn is_ending_here(&self) -> bool {
        self.pending().ending == Some(tokio::task::try_id())
    }

    /// Returns until when the run is protected, if it is, and wakes the task when its last shield ends.
    pub(crate) fn until_or_wake(&self, waker: &Waker) -> Option<Instant> {
        // Foreign code: not under the lock.
        let waker = waker.clone();
        let mut pending = self.pending();
        let before = pending.waiting.replace(waker);
        let until = pending.until();
        drop(pending);
        drop(before);
        until
    }
}
