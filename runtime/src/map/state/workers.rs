//! The workers of a map: their number, their records, and the queue of workers that wait for the source.

use std::{
    hint,
    sync::{Arc, PoisonError, Weak},
    task::Waker,
};

use crate::{
    context::cancel_waker::{CancelWaker, WakeAll},
    context::tree::TaskRecord,
    function::TaskSpec,
    panic::quietly,
    registry,
    registry::HasTasks,
    registry::slab::{Key, Slab},
    run::future::SupervisedFuture,
    sync::{MutexGuard, atomic::Ordering},
};
use crate::{
    map::growth::{Progress, WorkerLimit},
    map::results::CollectMode,
    map::state::{Borrowed, MapState, wake_map_if},
    map::watch::Watched,
};

/// How often a worker checks for the source before it waits: as often as `std`'s mutex spins. Most iterators have made
/// an item by then.
const SPINS: usize = if cfg!(all(test, supervised_loom)) { 0 } else { 100 };

impl<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>> MapState<I, F, S, K> {
    /// Sets the limit, once the first run was made and its function is known.
    pub(crate) fn set_function(&self, spec: &'static TaskSpec, limit: WorkerLimit) {
        let mut state = self.lock();
        state.spec = Some(spec);
        state.capacity.limit = limit;
        self.may_grow.store(state.has_room() && state.idle() == 0, Ordering::Relaxed);
    }

    /// Takes a place for one more worker, if there is work for it and fewer than `idle` workers are without a run.
    pub(crate) fn grow(&self, idle: usize) -> Option<&'static TaskSpec> {
        if !self.may_grow.load(Ordering::Relaxed) {
            return None;
        }
        self.grow_exactly(idle)
    }

    /// The same, if no other worker may have to repeat the request (invariant 7).
    #[cold]
    pub(crate) fn grow_exactly(&self, idle: usize) -> Option<&'static TaskSpec> {
        let mut state = self.lock();
        let spec = state.spec.filter(|_| state.has_room() && state.idle() < idle)?;
        // If the source is lent, the worker that reads repeats the request.
        let source = state.source.take()?;
        state.borrowed = Borrowed::ToInspect;
        self.source_available.store(false, Ordering::Relaxed);
        drop(state);
        let has_more = source.may_have_more();
        let mut state = self.lock();
        state.capacity.on_hint(has_more);
        // Code that ended the reading meanwhile did not have the source, and could not check whether it has more.
        state.truncated |= state.stopped && has_more;
        let grows = state.has_room();
        if grows {
            state.capacity.add_worker();
        }
        self.put_back(state, source);
        grows.then_some(spec)
    }

    /// Notes that a worker is polled for the first time: it reads an item now.
    pub(crate) fn worker_started(&self) {
        self.lock().capacity.starting -= 1;
    }

    /// Returns how far the map has come, for its own future; `None` if one more worker would have nothing to do. With
    /// `watches` the map counts as watched from now on.
    pub(crate) fn progress(&self, watches: bool) -> Option<Progress> {
        let mut state = self.lock();
        let requested = std::mem::take(&mut state.capacity.requested);
        if state.spec.is_none() || !state.has_room() {
            return None;
        }
        let (items_read, is_idle) = (state.results.values.reserved(), state.idle() > 0);
        let to_watch = watches && !std::mem::replace(&mut state.capacity.is_watched, true);
        Some(Progress { items_read, is_idle, requested, to_watch })
    }

    /// Makes the map's token wake the map's own future when it fires.
    pub(crate) fn register_waker(self: &Arc<Self>)
    where
        Self: Send + Sync + 'static,
    {
        let weak: Weak<Self> = Arc::downgrade(self);
        self.cancel_waker.get_or_init(|| CancelWaker::new(&self.token, &self.scope, weak));
    }

    /// Spins for a moment. Returns whether the source may be back.
    pub(crate) fn spin_until_available(&self) -> bool {
        (0..SPINS).any(|_| {
            hint::spin_loop();
            self.source_available.load(Ordering::Relaxed)
        })
    }

    /// Adds a worker to the queue for the source; false if there is nothing to wait for.
    pub(crate) fn enqueue(&self, key: Key, waker: &Waker) -> bool {
        // A worker's waker is tokio's, but no lock is needed to clone it.
        let waker = waker.clone();
        let mut state = self.lock();
        let waits = state.borrowed != Borrowed::No && !state.stopped;
        if waits {
            state.queue.push_back((key, waker));
        }
        waits
    }

    /// Removes a worker from the queue, if it is still there.
    pub(crate) fn dequeue(&self, key: Key) {
        let mut state = self.lock();
        let at = state.queue.iter().position(|(queued, _)| *queued == key);
        let waited = at.and_then(|at| state.queue.remove(at));
        drop(state);
        drop(waited);
    }

    pub(crate) fn workers(&self) -> MutexGuard<'_, Slab<Arc<TaskRecord>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all workers, and each checks its token: for a `cancel` that has not reached all of their cancel wakers.
    #[cold]
    pub(crate) fn wake_workers(&self) {
        let workers: Vec<_> = self.workers().iter().cloned().collect();
        for worker in workers {
            worker.wake_tasks();
        }
    }

    /// Adds a worker that is about to be spawned.
    pub(crate) fn register(self: &Arc<Self>, record: &Arc<TaskRecord>) -> Key
    where
        Self: Send + Sync + 'static,
    {
        self.registration.get_or_init(|| registry::register(self));
        let key = self.workers().insert(record.clone());
        // Code that aborts all records either finds this one or has closed the map before.
        if self.lock().closed {
            record.abort();
        }
        key
    }

    /// Gives a worker that is listed another record.
    pub(crate) fn replace(&self, key: Key, record: &Arc<TaskRecord>) {
        let before = self.workers().replace(key, record.clone());
        if self.lock().closed || before.is_some_and(|before| before.is_aborted()) {
            record.abort();
        }
    }

    /// Removes a worker that has nothing more to do. It is no longer in the queue: from here on another one may get its
    /// key.
    pub(crate) fn finish(&self, key: Option<Key>) {
        if let Some(key) = key {
            let record = self.workers().remove(key);
            drop(record);
        }
        let mut state = self.lock();
        if state.capacity.workers == 1 && state.source.is_some() {
            // Its runtime drops it: the unread items are not run.
            drop(state);
            self.stop_reading();
            state = self.lock();
        }
        state.capacity.workers -= 1;
        let ends = state.capacity.workers == 0 || state.only_reader_left();
        let map_waker = if ends { state.map_waker.take() } else { None };
        let unwanted = state.abandoned.then(|| std::mem::take(&mut state.results));
        if !state.queue.is_empty() {
            Self::wake_next(state);
        } else {
            drop(state);
        }
        if let Some(map_waker) = map_waker {
            quietly(|| map_waker.wake());
        }
        drop(unwanted);
    }
}

impl<I, F, S, K> HasTasks for MapState<I, F, S, K>
where
    I: Iterator,
    S: SupervisedFuture,
    K: CollectMode<S>,
    Self: Send + Sync,
{
    fn records(&self, into: &mut Vec<Arc<TaskRecord>>) {
        into.extend(self.workers().iter().cloned());
    }

    /// Wakes the map's own future only: each worker has a separate cancel waker.
    fn token_fired(&self) {
        self.wake();
    }

    fn limit_changed(&self) {
        let mut state = self.lock();
        let has_room = state.has_room();
        let requested = state.capacity.on_limit_changed(has_room);
        wake_map_if(requested, state);
    }
}

impl<I, F, S, K> Watched for MapState<I, F, S, K>
where
    I: Iterator,
    S: SupervisedFuture,
    K: CollectMode<S>,
    Self: Send + Sync,
{
    fn check(&self, last_check: &mut usize) -> bool {
        let mut state = self.lock();
        let (has_room, is_idle, items_read) =
            (state.has_room(), state.idle() > 0, state.results.values.reserved());
        let requested = state.capacity.on_check(has_room, is_idle, items_read, last_check);
        wake_map_if(requested == Some(true), state);
        requested.is_some()
    }
}
