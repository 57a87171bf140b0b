//! The runners of a map: how many there may be, who they are, and how far they have come.

use std::sync::{Arc, PoisonError};

use super::{
    super::{keep::Keep, source::Source},
    Bound, Shared,
};
use crate::{
    panic::quietly,
    registry::{self, HasTasks, Key, Slab},
    run::{
        SupervisedFuture,
        alarm::Wakes,
        row::{Activity, Row},
    },
    spec::TaskSpec,
    sync::{MutexGuard, atomic::Ordering},
};

impl<I: Iterator, F, S: SupervisedFuture, K: Keep<S>> Shared<I, F, S, K> {
    /// Sets the limit, once the first run has told its function.
    pub(in super::super) fn begin(&self, spec: &'static TaskSpec, limit: Bound) {
        let mut state = self.state();
        state.spec = Some(spec);
        state.limit = limit;
        self.may_grow.store(state.may_grow(), Ordering::Relaxed);
    }

    /// Takes a place for one more runner, if there is work for it.
    pub(in super::super) fn grow(&self) -> Option<&'static TaskSpec> {
        if !self.may_grow.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.state();
        let has_more = state.source.as_ref().is_some_and(Source::may_have_more);
        let grows = state.spec.filter(|_| has_more && state.may_grow());
        state.runners += usize::from(grows.is_some());
        self.may_grow.store(state.may_grow(), Ordering::Relaxed);
        grows
    }

    /// How many items have been pulled, and whether all that is known to run is being polled at this moment;
    /// `None` where one more runner would have nothing to do.
    pub(in super::super) fn progress(&self) -> Option<Progress> {
        if !self.may_grow.load(Ordering::Relaxed) {
            return None;
        }
        let pulled = self.state().results.placed();
        let mut progress = Progress { pulled, begun: true, polled: true };
        for runner in self.runners().iter() {
            match runner.activity() {
                Activity::NotBegun => progress.begun = false,
                Activity::Polled(_) => {}
                Activity::Pending | Activity::WaitsToRun => progress.polled = false,
            }
        }
        Some(progress)
    }

    pub(super) fn runners(&self) -> MutexGuard<'_, Slab<Arc<Row>>> {
        self.runners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each looks at its token then: for a `cancel` that has not come to all of their alarms.
    #[cold]
    pub(super) fn wake_runners(&self) {
        let runners: Vec<_> = self.runners().iter().cloned().collect();
        for runner in runners {
            runner.wake_tasks();
        }
    }

    /// Enters a runner that is about to be spawned.
    pub(in super::super) fn enter(self: &Arc<Self>, row: &Arc<Row>) -> Key
    where
        Self: Send + Sync + 'static,
    {
        self.listed.get_or_init(|| registry::list(self));
        let key = self.runners().insert(row.clone());
        // Who aborts all rows finds this one, or has closed the map before.
        if self.state().closed {
            row.abort();
        }
        key
    }

    /// A runner has nothing more to do.
    pub(in super::super) fn leave(&self, key: Option<Key>) {
        if let Some(key) = key {
            let row = self.runners().remove(key);
            drop(row);
        }
        let mut state = self.state();
        state.runners -= 1;
        if state.runners > 0 {
            return;
        }
        if let Some(waiting) = state.waiting.take() {
            drop(state);
            quietly(|| waiting.wake());
        }
    }
}

impl<I, F, S, K> HasTasks for Shared<I, F, S, K>
where
    I: Iterator,
    S: SupervisedFuture,
    K: Keep<S>,
    Self: Send + Sync,
{
    fn rows(&self, into: &mut Vec<Arc<Row>>) {
        into.extend(self.runners().iter().cloned());
    }
}

/// How far a map has come.
pub(in super::super) struct Progress {
    pub(in super::super) pulled: usize,
    /// Every runner has had a thread.
    pub(in super::super) begun: bool,
    /// None waits at an `.await`.
    pub(in super::super) polled: bool,
}
