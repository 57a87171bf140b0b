//! The runners of a map: how many there may be, who they are, who waits for the source.

use std::{
    hint,
    sync::{Arc, PoisonError, Weak},
    task::Waker,
};

use super::{
    super::{
        keep::Keep,
        watch::{Seen, Watched},
    },
    Bound, Lent, Shared, Unwanted,
};
use crate::{
    panic::quietly,
    registry::{self, HasTasks, Key, Slab},
    run::{
        SupervisedFuture,
        cancel_waker::{CancelWaker, WakeAll},
        record::TaskRecord,
    },
    spec::TaskSpec,
    sync::{MutexGuard, atomic::Ordering},
};

/// How often a runner looks for the source before it waits: as often as `std`'s mutex does. Most iterators have made
/// an item by then.
const SPINS: usize = if cfg!(all(test, supervised_loom)) { 0 } else { 100 };

impl<I: Iterator, F, S: SupervisedFuture, K: Keep<S>> Shared<I, F, S, K> {
    /// Sets the limit, once the first run was made and its function is known.
    pub(in super::super) fn begin(&self, spec: &'static TaskSpec, limit: Bound) {
        let mut state = self.state();
        state.spec = Some(spec);
        state.limit = limit;
        self.may_grow.store(state.has_room() && state.idle() == 0, Ordering::Relaxed);
    }

    /// Takes a place for one more runner, if there is work for it and fewer than `idle` runners are without a run.
    pub(in super::super) fn grow(&self, idle: usize) -> Option<&'static TaskSpec> {
        if !self.may_grow.load(Ordering::Relaxed) {
            return None;
        }
        self.grow_exactly(idle)
    }

    /// The same where no other runner may have the duty to ask (invariant 7).
    #[cold]
    pub(in super::super) fn grow_exactly(&self, idle: usize) -> Option<&'static TaskSpec> {
        let mut state = self.state();
        let spec = state.spec.filter(|_| state.has_room() && state.idle() < idle)?;
        // Without the source, what reads now asks again.
        let source = state.source.take()?;
        state.lent = Lent::ToAsk;
        self.is_back.store(false, Ordering::Relaxed);
        drop(state);
        let has_more = source.may_have_more();
        let mut state = self.state();
        state.no_more |= !has_more;
        // Whoever stopped the reading meanwhile did not see the source, and could not ask it.
        state.cut |= state.stopped && has_more;
        let grows = state.has_room();
        if grows {
            state.runners += 1;
            state.starting += 1;
        }
        self.put_back(state, source);
        grows.then_some(spec)
    }

    /// A runner has its first poll: it asks for an item now.
    pub(in super::super) fn started(&self) {
        self.state().starting -= 1;
    }

    /// How far the map has come, for its own future; `None` if one more runner would have nothing to do. With
    /// `watches` the map is to be watched from now on, unless it is.
    pub(in super::super) fn progress(&self, watches: bool) -> Option<Progress> {
        let mut state = self.state();
        let wants_more = std::mem::take(&mut state.wants_more);
        if state.spec.is_none() || !state.has_room() {
            return None;
        }
        Some(Progress {
            pulled: state.results.placed(),
            is_idle: state.idle() > 0,
            wants_more,
            to_watch: watches && !std::mem::replace(&mut state.is_watched, true),
        })
    }

    /// Wakes the map's own future when its token fires, from now on.
    pub(in super::super) fn listen(self: &Arc<Self>)
    where
        Self: Send + Sync + 'static,
    {
        let weak: Weak<Self> = Arc::downgrade(self);
        self.cancel_waker.get_or_init(|| CancelWaker::new(&self.token, &self.scope, weak));
    }

    /// Spins for a moment; whether the source may be back.
    pub(in super::super) fn is_back_soon(&self) -> bool {
        (0..SPINS).any(|_| {
            hint::spin_loop();
            self.is_back.load(Ordering::Relaxed)
        })
    }

    /// Enters the queue for the source; false if there is nothing to wait for.
    pub(in super::super) fn wait_for_source(&self, key: Key, waker: &Waker) -> bool {
        // A runner's waker is tokio's, but no lock is needed to clone it.
        let waker = waker.clone();
        let mut state = self.state();
        let waits = state.lent != Lent::No && !state.stopped;
        if waits {
            state.queue.push_back((key, waker));
        }
        waits
    }

    /// The runner waits no more, woken or not.
    pub(in super::super) fn leave_queue(&self, key: Key) {
        let mut state = self.state();
        let at = state.queue.iter().position(|(queued, _)| *queued == key);
        let waited = at.and_then(|at| state.queue.remove(at));
        drop(state);
        drop(waited);
    }

    pub(super) fn runners(&self) -> MutexGuard<'_, Slab<Arc<TaskRecord>>> {
        self.runners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each looks at its token then: for a `cancel` that has not come to all of their cancel wakers.
    #[cold]
    pub(super) fn wake_runners(&self) {
        let runners: Vec<_> = self.runners().iter().cloned().collect();
        for runner in runners {
            runner.wake_tasks();
        }
    }

    /// Enters a runner that is about to be spawned.
    pub(in super::super) fn enter(self: &Arc<Self>, record: &Arc<TaskRecord>) -> Key
    where
        Self: Send + Sync + 'static,
    {
        self.registration.get_or_init(|| registry::register(self));
        let key = self.runners().insert(record.clone());
        // Who aborts all records finds this one, or has closed the map before.
        if self.state().closed {
            record.abort();
        }
        key
    }

    /// Gives a runner that is listed another record.
    pub(in super::super) fn replace(&self, key: Key, record: &Arc<TaskRecord>) {
        let before = self.runners().replace(key, record.clone());
        if self.state().closed || before.is_some_and(|before| before.is_aborted()) {
            record.abort();
        }
    }

    /// A runner has nothing more to do. It has left the queue: from here on another one may get its key.
    pub(in super::super) fn leave(&self, key: Option<Key>) {
        if let Some(key) = key {
            let record = self.runners().remove(key);
            drop(record);
        }
        let mut state = self.state();
        if state.runners == 1 && state.source.is_some() {
            // Its runtime drops it: what is unread is not run.
            drop(state);
            self.stop_reading();
            state = self.state();
        }
        state.runners -= 1;
        let ends = state.runners == 0 || state.only_reads();
        let waiting = if ends { state.waiting.take() } else { None };
        let unwanted = if state.abandoned { Some(state.take_unwanted()) } else { None };
        if !state.queue.is_empty() {
            Self::wake_next(state);
        } else {
            drop(state);
        }
        if let Some(waiting) = waiting {
            quietly(|| waiting.wake());
        }
        unwanted.into_iter().for_each(Unwanted::drop_quietly);
    }
}

impl<I, F, S, K> HasTasks for Shared<I, F, S, K>
where
    I: Iterator,
    S: SupervisedFuture,
    K: Keep<S>,
    Self: Send + Sync,
{
    fn records(&self, into: &mut Vec<Arc<TaskRecord>>) {
        into.extend(self.runners().iter().cloned());
    }

    /// Its runners have cancel wakers of their own.
    fn token_fired(&self) {
        self.wake();
    }

    fn limit_changed(&self) {
        let mut state = self.state();
        state.wants_more = matches!(state.limit, Bound::Own(_)) && state.has_room();
        let waiting = if state.wants_more { state.waiting.take() } else { None };
        drop(state);
        if let Some(waiting) = waiting {
            quietly(|| waiting.wake());
        }
    }
}

impl<I, F, S, K> Watched for Shared<I, F, S, K>
where
    I: Iterator,
    S: SupervisedFuture,
    K: Keep<S>,
    Self: Send + Sync,
{
    fn look(&self, seen: &mut Seen) -> bool {
        let mut state = self.state();
        if !state.has_room() {
            state.is_watched = false;
            return false;
        }
        let pulled = state.results.placed();
        let computes = state.idle() == 0 && pulled == std::mem::replace(&mut seen.pulled, pulled);
        state.wants_more |= computes;
        let waiting = if computes { state.waiting.take() } else { None };
        drop(state);
        if let Some(waiting) = waiting {
            quietly(|| waiting.wake());
        }
        true
    }
}

/// How far a map has come.
pub(in super::super) struct Progress {
    /// How many items have been read.
    pub(in super::super) pulled: usize,
    /// A runner has no run: it reads next.
    pub(in super::super) is_idle: bool,
    /// One more runner was asked for.
    pub(in super::super) wants_more: bool,
    /// The map is to be watched.
    pub(in super::super) to_watch: bool,
}
