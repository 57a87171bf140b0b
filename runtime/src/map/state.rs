//! The state that the workers of a map share: the iterator or the stream, and the results.
//!
//! Invariants
//!
//! 1. Each item is read by one worker, and its result is stored once.
//! 2. The first failure is recorded before the cancellation that it triggers. Otherwise the map could return a
//!    sibling's `Cancelled`.
//! 3. The iterator, `f`, their drops, items, errors, payloads and wakers run outside all locks, under [`panic::catch`]
//!    or [`quietly`]. The iterator and `f` run on one thread at a time.
//! 4. A worker that is registered while the map is dropped is aborted. The results are dropped by the code that drops
//!    the map, and by workers that end later: the last reference may be held inside a call of `cancel`, or by
//!    `watch.rs`.
//! 5. No worker waits for the source for ever. Putting the source back wakes one waiting worker, unless reading is
//!    paused; a result that is taken ends the pause and wakes one; ending the reading wakes all. Otherwise a map would hang if its running items end only after the next item is read. A worker is
//!    removed from the queue before its key can be reused.
//! 6. A map waits for its runs, not for the iterator. Once reading has ended, a worker that is still inside the
//!    iterator does not delay the end of the map.
//! 7. If the source may have more items and the limit has room, either a worker without a run exists and reads next, or
//!    one more worker will be requested: when a run pends, when a long run ends, when the limit is raised, or when no
//!    item was read for some time (`growth.rs`). If a request fails because another worker is reading, the run of that
//!    worker repeats it.
//! 8. Each failure is reported once. The map returns the first and logs the others; a dropped map logs all of them.
//!    Beyond 10 failures of a function in one second, only their number is logged.
//! 9. If results are returned one by one, no item is read while as many wait as the limit allows runs: memory would grow
//!    with the input. The consumer is woken at the latest when the poll of the worker ends that stored its next result;
//!    before that, if the worker could block meanwhile. Otherwise the result would wait for the next item.
//!
//! `map/state/loom.rs` checks 1, 2, 4, 5, 6 and 9 for every interleaving, `tests/spec/composition/decisions.rs` 6 and 7,
//! `tests/spec/composition/locks.rs` 3, `tests/spec/composition/map_reports.rs` 8, `tests/spec/behaviour/streams.rs` 9.

#[cfg(all(test, supervised_loom))]
mod loom;

use std::{
    hint,
    panic::Location,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio_util::sync::CancellationToken;

use crate::{
    cause::Cause,
    context,
    context::tree::TaskRecord,
    error::Origin,
    function::TaskSpec,
    outcome::Outcome,
    panic,
    panic::{Caught, drop_quietly, quietly},
    registry::HasTasks,
    registry::slab::Key,
    run::future::{SupervisedFuture, TaskCompletion},
    run::output::panicked,
    sync::{MutexGuard, atomic::AtomicBool, atomic::Ordering},
    telemetry::events::FailedScope,
    telemetry::span::TaskSpan,
};
use crate::{
    map::growth::{Capacity, LONG_RUN, Progress, WorkerLimit},
    map::input::{Borrowed, ClosedInput, Input},
    map::item_source::{ItemSource, MapInput, NextItem, drop_source},
    map::results::{CollectMode, FinishedItem, MapResults, ResultBuffer, StreamBuffer},
    map::watch::Watched,
    tasks::cell::error_of_abort,
    tasks::failure::Failure,
    tasks::name::task_name,
    tasks::reorder_buffer::Index,
    tasks::set::{Locked, TaskSet},
};

/// How often a worker checks for the source before it waits: as often as `std`'s mutex spins. Most iterators return an
/// item within that time.
const SPINS: usize = if cfg!(all(test, supervised_loom)) { 0 } else { 100 };

pub(crate) struct MapState<I: MapInput, F, S: SupervisedFuture, K: CollectMode<S>> {
    /// The workers. The cancel waker of this set wakes the map's future; each worker has a separate one.
    pub(crate) tasks: TaskSet<Inner<I, F, S, K>>,
    pub(crate) place: &'static Location<'static>,
    /// The caller's span: the parent of the workers' spans.
    pub(crate) span: TaskSpan,
    /// Whether one more worker would have work. May be false although it would, but only if another worker must repeat
    /// the request later (invariant 7).
    may_grow: AtomicBool,
    /// Whether the source is in the state, or was dropped. Read by a worker that spins before it waits; written under
    /// the lock, together with `borrowed`.
    source_available: AtomicBool,
    /// The watch thread has left the map, because its input waits. The next worker that reads an item ends that.
    unwatched: AtomicBool,
    /// A copy of `Inner::closed`, for a worker that reads an item without the lock.
    closed: AtomicBool,
}

pub(crate) struct Inner<I: MapInput, F, S: SupervisedFuture, K: CollectMode<S>> {
    input: Input<I, F>,
    /// The token fired before all items were read.
    truncated: bool,
    results: MapResults<K::Buffer, S::Error>,
    capacity: Capacity,
    /// The function, known after the first run is created.
    spec: Option<&'static TaskSpec>,
    /// The map was dropped, or ended without its last reader.
    closed: bool,
    /// The map was dropped, so its results are not returned.
    abandoned: bool,
    map_waker: Option<Waker>,
    /// Whether the map's future waits to be woken. If it does not, its waker may be kept for the next time.
    parked: bool,
}

type State<'a, I, F, S, K> = MutexGuard<'a, Locked<Inner<I, F, S, K>, ()>>;

impl<I: MapInput, F, S: SupervisedFuture, K: CollectMode<S>> Inner<I, F, S, K> {
    /// Whether one more worker may have work, and the limit has room for it.
    fn has_room(&self) -> bool {
        self.input.is_open() && self.capacity.has_room()
    }

    /// The number of workers without a run. They read next.
    fn idle(&self) -> usize {
        self.capacity.starting + self.input.workers()
    }

    /// Whether as many results wait for the consumer as the limit allows.
    fn is_paused(&self) -> bool {
        K::STREAMS
            && self.input.is_open()
            && self.results.values.waiting() >= self.capacity.limit.size()
    }

    /// Whether the consumer of a stream sleeps although its next result is there.
    fn consumer_waits(&self) -> bool {
        K::STREAMS && self.parked && self.map_waker.is_some() && self.results.values.has_next()
    }

    /// Whether no result will be stored any more.
    fn has_ended(&self) -> bool {
        self.capacity.workers == 0 || self.closed
    }

    /// Returns the waker of a worker that waits to read, if an item may be read now.
    fn pop_reader(&mut self) -> Option<Waker> {
        if self.is_paused() { None } else { self.input.pop_next() }
    }

    /// Whether only one worker is left, which is inside the iterator, and whose item would not run.
    fn only_reader_left(&self) -> bool {
        self.input.is_stopped() && self.input.is_being_read() && self.capacity.workers == 1
    }
}

/// Wakes the map's future if `wakes`, after releasing the lock.
fn wake_map_if<I: MapInput, F, S: SupervisedFuture, K: CollectMode<S>>(
    wakes: bool,
    mut state: State<'_, I, F, S, K>,
) {
    let map_waker = if wakes { state.map_waker.take() } else { None };
    drop(state);
    if let Some(map_waker) = map_waker {
        quietly(|| map_waker.wake());
    }
}

/// Wakes the consumer of a stream, if it waits for a result that is there. Releases the lock.
fn wake_consumer<I: MapInput, F, S: SupervisedFuture, K: CollectMode<S>>(
    state: State<'_, I, F, S, K>,
) -> bool {
    let waits = state.consumer_waits();
    wake_map_if(waits, state);
    waits
}

/// The name of a worker whose function is not known yet.
pub(crate) const UNKNOWN: &str = "map";

impl<I: MapInput, F, S: SupervisedFuture, K: CollectMode<S>> MapState<I, F, S, K> {
    pub(crate) fn new(
        token: CancellationToken,
        place: &'static Location<'static>,
        items: I,
        f: F,
    ) -> Self {
        let inner = Inner {
            input: Input::new(items, f),
            truncated: false,
            results: MapResults::default(),
            capacity: Capacity::new(),
            spec: None,
            closed: false,
            abandoned: false,
            map_waker: None,
            parked: false,
        };
        let scope = context::nested_scope(token.clone());
        Self {
            tasks: TaskSet::new(token, scope, inner),
            place,
            span: TaskSpan::current(),
            may_grow: AtomicBool::new(false),
            source_available: AtomicBool::new(true),
            unwatched: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> State<'_, I, F, S, K> {
        self.tasks.lock()
    }

    /// Wakes the map's future, which checks its workers.
    pub(crate) fn wake(&self) {
        wake_map_if(true, self.lock());
    }

    /// Polls for the end of all workers.
    pub(crate) fn poll_finished(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_until(cx, |state| (state.capacity.workers == 0).then_some(()))
    }

    /// Polls until `check` returns a value. Keeps the waker of the map's future meanwhile.
    #[inline]
    fn poll_until<R>(
        &self,
        cx: &Context<'_>,
        mut check: impl FnMut(&mut Inner<I, F, S, K>) -> Option<R>,
    ) -> Poll<R> {
        let mut state = self.lock();
        let checked = check(&mut state);
        state.parked = checked.is_none();
        if let Some(value) = checked {
            return Poll::Ready(value);
        }
        if state.map_waker.as_ref().is_some_and(|map_waker| map_waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        drop(state);
        // Foreign code: not under the lock.
        let map_waker = cx.waker().clone();
        let mut state = self.lock();
        let before = state.map_waker.replace(map_waker);
        let checked = check(&mut state);
        state.parked = checked.is_none();
        drop(state);
        drop(before);
        checked.map_or(Poll::Pending, Poll::Ready)
    }

    /// Returns the number of results that will be returned at least, and the exact number if that is known.
    pub(crate) fn remaining(&self, taken: usize) -> (usize, Option<usize>) {
        let state = self.lock();
        let left = state.results.values.reserved().saturating_sub(taken);
        if state.has_ended() {
            let left = state.results.values.waiting() + usize::from(state.truncated);
            return (left, Some(left));
        }
        (left, None)
    }

    /// Returns the results after the map has ended.
    pub(crate) fn take_results(&self) -> Result<Vec<K::Item>, S::Error> {
        let mut state = self.lock();
        let results = std::mem::take(&mut state.results);
        let (truncated, spec) = (state.truncated, state.spec);
        drop(state);
        results.into_result(|| truncated.then(|| self.cancelled_item(spec)))
    }

    /// Returns the result that represents the items that were not read.
    #[cold]
    fn cancelled_item(
        &self,
        spec: Option<&'static TaskSpec>,
    ) -> Result<Result<K::Item, S::Error>, Caught> {
        let origin = spec.map_or_else(|| Origin::from(task_name::<S, F>()), Origin::from);
        let error = error_of_abort(&self.tasks.scope, &self.tasks.token, origin, S::error);
        error.map(|error| K::collect(Err(error)))
    }

    /// Cancels and aborts the workers when the map's future is dropped.
    pub(crate) fn on_drop(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        self.close(&mut state);
        let input = state.input.close();
        let mut unwanted = std::mem::take(&mut state.results);
        drop(state);
        self.cancel(Cause::ScopeDropped);
        self.tasks.abort();
        input.release();
        if let Some(failure) = unwanted.failure.take() {
            failure.log(&FailedScope::Map, "was dropped before it returned");
        }
    }

    fn close(&self, state: &mut Inner<I, F, S, K>) {
        state.closed = true;
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether the map waits for nothing but the iterator, after the token has fired. With `give_up` the map ends
    /// without it.
    pub(crate) fn is_blocked_on_iterator(&self, give_up: bool) -> bool {
        let mut state = self.lock();
        if !state.input.is_being_read() {
            return false;
        }
        let input = state.input.close();
        let only_reader_left = state.only_reader_left();
        if only_reader_left && give_up {
            state.truncated = true;
            self.close(&mut state);
        }
        drop(state);
        input.release();
        only_reader_left
    }

    /// Stores the result of the last item of a worker. `task` and `text` are the origin and the text of its error, if they
    /// are known. Returns whether the consumer was woken.
    #[cold]
    pub(crate) fn store(
        &self,
        item: FinishedItem<S>,
        task: Option<Origin>,
        text: Option<Box<str>>,
    ) -> bool {
        wake_consumer(self.store_locked(self.lock(), item, task, text))
    }

    /// Wakes the consumer of a stream, if it waits for a result that is there.
    #[cold]
    pub(crate) fn wake_consumer(&self) {
        wake_consumer(self.lock());
    }

    /// Stores the result of an item. Releases the lock to store or log a failure, and takes it again.
    #[inline(always)]
    fn store_locked<'a>(
        &'a self,
        mut state: State<'a, I, F, S, K>,
        FinishedItem { task: name, index, ended }: FinishedItem<S>,
        task: Option<Origin>,
        text: Option<Box<str>>,
    ) -> State<'a, I, F, S, K> {
        let outcome = ended.outcome;
        match K::collect(ended.result) {
            // The buffer of a dropped map starts again at the first item.
            Ok(item) if state.abandoned => {
                drop(state);
                drop_quietly(item);
                self.lock()
            }
            Ok(item) => {
                state.results.values.put(index, item);
                state
            }
            Err(error) => {
                let task = task.unwrap_or_else(|| name.into());
                self.fail(state, Failure { task, place: self.place, outcome, error, text });
                self.lock()
            }
        }
    }

    /// Records a run whose error conversion panicked.
    pub(crate) fn store_unconvertible(&self, task: &'static str, caught: Caught) {
        let mut state = self.lock();
        let surplus = match state.results.conversion_panic {
            Some(_) => Some(caught),
            None => state.results.conversion_panic.replace(caught),
        };
        self.stop(state, task);
        drop_quietly(surplus);
    }

    /// Records a failed run; the first one cancels the others. Releases the lock.
    #[cold]
    fn fail(&self, mut state: State<'_, I, F, S, K>, failure: Failure<S::Error>) {
        if state.closed || state.results.failure.is_some() {
            let why = if state.closed { "had ended" } else { "had failed already" };
            drop(state);
            return failure.log(&FailedScope::Map, why);
        }
        let task = failure.task.name();
        state.results.failure = Some(failure);
        self.stop(state, task);
    }

    /// Cancels the runs. If they are cancelled already, their first cause is kept.
    fn cancel(&self, cause: Cause) {
        self.tasks.scope.fire(&self.tasks.token, cause, || self.tasks.wake());
    }

    /// Stops the map because `task` failed. Releases the lock.
    fn stop(&self, mut state: State<'_, I, F, S, K>, task: &'static str) {
        let input = state.input.close();
        drop(state);
        self.cancel(Cause::SiblingFailed { task });
        input.release();
    }

    /// Returns whether to start the first worker. If there is nothing to read, ends the map.
    pub(crate) fn has_work(&self) -> bool {
        let mut state = self.lock();
        let Some(source) = state.input.borrow(Borrowed::ToInspect) else { return false };
        drop(state);
        let (has_fired, has_more) = (self.tasks.token.is_cancelled(), source.may_have_more());
        let has_work = has_more && !has_fired;
        let mut state = self.lock();
        if !has_work {
            state.truncated = has_more;
            state.capacity.workers = 0;
            // Nothing to release: no worker waits yet, and the source is borrowed.
            _ = state.input.close();
        }
        let unused = state.input.put_back(source);
        drop(state);
        drop_source(unused);
        has_work
    }

    /// Ends the reading, because the token fired or the last worker ends. `lent` is the source that the worker has.
    #[cold]
    pub(crate) fn stop_reading(&self, lent: Option<Box<ItemSource<I, F>>>) {
        let mut state = self.lock();
        let input = state.input.close_to_inspect();
        drop(state);
        let Some(source) = input.wake().or(lent) else { return };
        let truncated = source.may_have_more();
        let mut state = self.lock();
        state.truncated |= truncated;
        let unused = state.input.put_back(source);
        drop(state);
        drop_source(unused);
    }

    /// Returns the borrowed source to `state`, and releases the lock. Returns whether a worker was woken.
    #[inline(always)]
    fn put_back(&self, mut state: State<'_, I, F, S, K>, source: Box<ItemSource<I, F>>) -> bool {
        self.source_available.store(true, Ordering::Relaxed);
        if let Some(source) = state.input.put_back(source) {
            drop(state);
            drop_source(Some(source));
            return false;
        }
        if state.input.has_queue() {
            self.may_grow.store(false, Ordering::Relaxed);
            return Self::wake_next(state);
        }
        // Only workers that are starting can be idle.
        let may_grow = state.capacity.starting == 0 && state.capacity.has_room();
        if may_grow != self.may_grow.load(Ordering::Relaxed) {
            self.may_grow.store(may_grow, Ordering::Relaxed);
        }
        false
    }

    /// Wakes a worker that waits for the source, if the source is in the state and reading is not paused. Releases the
    /// lock.
    #[cold]
    fn wake_next(mut state: State<'_, I, F, S, K>) -> bool {
        let next = state.pop_reader();
        drop(state);
        let wakes = next.is_some();
        next.into_iter().for_each(|waker| _ = quietly(|| waker.wake()));
        wakes
    }

    /// Puts back the source of a worker that is dropped while its stream is pending.
    #[cold]
    pub(crate) fn return_unread(&self, source: Box<ItemSource<I, F>>) {
        self.put_back(self.lock(), source);
    }

    /// Sets the limit, after the first run was created and its function is known.
    pub(crate) fn set_function(&self, spec: &'static TaskSpec, limit: WorkerLimit) {
        let mut state = self.lock();
        state.spec = Some(spec);
        state.capacity.limit = limit;
        self.may_grow.store(state.has_room() && state.idle() == 0, Ordering::Relaxed);
    }

    /// Adds one more worker to the count, if there is work for it and fewer than `idle` workers have no run.
    pub(crate) fn grow(&self, idle: usize) -> Option<&'static TaskSpec> {
        if !self.may_grow.load(Ordering::Relaxed) {
            return None;
        }
        self.grow_exactly(idle)
    }

    /// Like [`grow`](Self::grow), but exact: for a request that no other worker repeats (invariant 7).
    #[cold]
    pub(crate) fn grow_exactly(&self, idle: usize) -> Option<&'static TaskSpec> {
        let mut state = self.lock();
        let spec = state.spec.filter(|_| state.has_room() && state.idle() < idle)?;
        // If the source is borrowed, the worker that reads repeats the request.
        let source = state.input.borrow(Borrowed::ToInspect)?;
        self.source_available.store(false, Ordering::Relaxed);
        drop(state);
        let has_more = source.may_have_more();
        let mut state = self.lock();
        state.capacity.on_hint(has_more);
        // If the reading was ended meanwhile, that code did not have the source to check it for more items.
        state.truncated |= state.input.is_stopped() && has_more;
        let grows = state.has_room();
        if grows {
            state.capacity.add_worker();
        }
        self.put_back(state, source);
        grows.then_some(spec)
    }

    /// Whether the input, or the consumer, may let the map wait for any time.
    const MAY_WAIT: bool = I::MAY_PEND || K::STREAMS;

    /// An item was read: the map's future has it watched again, if it is not. Returns whether that was woken.
    #[inline]
    pub(crate) fn watch_again(&self) -> bool {
        let unwatched = Self::MAY_WAIT && self.unwatched.load(Ordering::Relaxed);
        if unwatched {
            self.unwatched.store(false, Ordering::Relaxed);
            self.wake();
        }
        unwatched
    }

    /// Records the first poll of a worker, which now reads an item.
    pub(crate) fn worker_started(&self) {
        self.lock().capacity.starting -= 1;
    }

    /// Returns the progress of the map, for the map's future; `None` if one more worker would have no work. With
    /// `watches`, marks the map as watched.
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

    /// Spins briefly. Returns whether the source may be available.
    pub(crate) fn spin_until_available(&self) -> bool {
        (0..SPINS).any(|_| {
            hint::spin_loop();
            self.source_available.load(Ordering::Relaxed)
        })
    }

    /// Adds a worker to the queue for the source. Returns false if there is nothing to wait for.
    pub(crate) fn enqueue(&self, key: Key, waker: &Waker) -> bool {
        // A worker's waker is tokio's, so a clone under the lock would be safe; it is just not needed.
        let waker = waker.clone();
        let mut state = self.lock();
        let is_paused = state.is_paused();
        state.input.enqueue(key, waker, is_paused)
    }

    /// Removes a worker from the queue, if it is still queued.
    pub(crate) fn dequeue(&self, key: Key) {
        let waker = self.lock().input.dequeue(key);
        drop(waker);
    }

    /// Adds a worker that is about to be spawned.
    pub(crate) fn register(self: &Arc<Self>, record: &Arc<TaskRecord>) -> Key
    where
        Self: Send + Sync + 'static,
    {
        self.tasks.register(|| Arc::downgrade(self));
        self.lock().insert(record, ())
    }

    /// Replaces the record of a listed worker.
    pub(crate) fn replace(&self, key: Key, record: &Arc<TaskRecord>) {
        let before = self.lock().replace(key, record);
        drop(before);
    }

    /// Removes a worker that has no more work. It must have left the queue: its key may be reused from here on.
    pub(crate) fn finish(&self, key: Option<Key>) {
        let mut state = self.lock();
        let record = key.map(|key| state.remove(key));
        if state.capacity.workers == 1 && state.input.has_source() {
            // The runtime is dropping the worker: the unread items do not run.
            drop(state);
            self.stop_reading(None);
            state = self.lock();
        }
        state.capacity.workers -= 1;
        let ends = state.capacity.workers == 0 || state.only_reader_left();
        let map_waker = if ends { state.map_waker.take() } else { None };
        let unwanted = state.abandoned.then(|| std::mem::take(&mut state.results));
        if state.input.has_queue() {
            Self::wake_next(state);
        } else {
            drop(state);
        }
        if let Some(map_waker) = map_waker {
            quietly(|| map_waker.wake());
        }
        drop((record, unwanted));
    }
}

impl<I, F, S, K> MapState<I, F, S, K>
where
    I: MapInput,
    F: FnMut(CancellationToken, I::Item) -> S,
    S: SupervisedFuture,
    K: CollectMode<S>,
{
    /// Stores the worker's finished item, then reads the next item, creates its run and passes that to `put`.
    ///
    /// `token` is called without the lock. While the stream is pending, `reading` has the source.
    #[inline]
    pub(crate) fn complete_and_next(
        &self,
        done: &mut Option<FinishedItem<S>>,
        reading: &mut Option<Box<ItemSource<I, F>>>,
        cx: &mut Context<'_>,
        token: impl FnOnce() -> CancellationToken,
        put: impl FnOnce(S),
        wakes: &mut Wakes,
    ) -> NextRun {
        let mut state = self.lock();
        if let Some(done) = done.take() {
            // The worker may block: in an iterator, or in a run like the last one.
            let may_block = !I::MAY_PEND || done.ended.nanos >= LONG_RUN;
            state = self.store_locked(state, done, None, None);
            if state.consumer_waits() {
                if may_block && !state.is_paused() {
                    wake_map_if(true, state);
                    wakes.woke = true;
                    return NextRun::Yields;
                }
                wakes.owes_consumer = true;
            }
        }
        if state.is_paused() {
            if let Some(source) = reading.take() {
                self.put_back(state, source);
            }
            return NextRun::Paused;
        }
        let lent = if I::MAY_PEND { reading.take() } else { None };
        let mut source = match lent {
            Some(source) => source,
            None => match state.input.borrow(Borrowed::ToRead) {
                Some(source) => source,
                None if state.input.is_lent() => return NextRun::SourceBorrowed,
                None => return NextRun::Finished,
            },
        };
        // Under the lock. Otherwise a worker could find the source borrowed and this flag still set, and would retry
        // in a loop until this thread continues.
        self.source_available.store(false, Ordering::Relaxed);
        drop(state);
        let next = source.poll_next(cx, token, || !self.closed.load(Ordering::Relaxed), put);
        if I::MAY_PEND && matches!(next, NextItem::Pending) {
            *reading = Some(source);
            return NextRun::SourcePending;
        }
        let mut state = self.lock();
        match next {
            NextItem::Made if !state.input.is_stopped() => {
                let index = state.results.values.reserve();
                wakes.woke |= self.put_back(state, source);
                NextRun::Made(index)
            }
            next => self.next_uncommon(state, source, next, &mut wakes.woke),
        }
    }

    /// Handles the uncommon cases: no item was read, or the map does not continue.
    #[cold]
    fn next_uncommon<'a>(
        &'a self,
        mut state: State<'a, I, F, S, K>,
        source: Box<ItemSource<I, F>>,
        next: NextItem,
        woke: &mut bool,
    ) -> NextRun {
        let (next_run, ends) = match next {
            _ if state.closed => (NextRun::Unwanted, true),
            NextItem::Made => (NextRun::Made(state.results.values.reserve()), false),
            NextItem::Panicked { caught, in_iterator } => {
                (NextRun::Panicked(state.results.values.reserve(), caught), in_iterator)
            }
            NextItem::Exhausted => (NextRun::Finished, true),
            NextItem::Unwanted | NextItem::Pending => (NextRun::Finished, false),
        };
        if !ends && state.input.is_stopped() {
            // While the item was read, the token fired or a run failed.
            drop(state);
            let truncated = source.may_have_more();
            state = self.lock();
            state.truncated |= truncated;
        }
        let ended = ends.then(|| state.input.close());
        *woke |= self.put_back(state, source);
        ended.into_iter().for_each(ClosedInput::release);
        next_run
    }

    /// Returns the error of an item whose iterator or `f` panicked; `None` if the error conversion panicked too.
    #[cold]
    pub(crate) fn item_panicked(&self, index: Index, caught: Caught) -> Option<FinishedItem<S>> {
        let spec = self.lock().spec;
        let task = spec.map_or_else(task_name::<S, F>, TaskSpec::name);
        let error = panicked(spec.map_or_else(|| Origin::from(task), Origin::from), caught);
        match panic::catch(|| S::error(error)) {
            Ok(error) => {
                let outcome = Outcome::Panicked;
                let ended =
                    TaskCompletion { outcome, overdue: false, nanos: 0, result: Err(error) };
                Some(FinishedItem { task, index, ended })
            }
            Err(caught) => {
                self.store_unconvertible(task, caught);
                None
            }
        }
    }
}

impl<I, F, S, K> MapState<I, F, S, K>
where
    I: MapInput,
    S: SupervisedFuture,
    K: CollectMode<S, Buffer: StreamBuffer>,
{
    /// Polls for the next result of a stream; `None` if the map has ended.
    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<K::Item>> {
        let polled = self.poll_until(cx, |state| {
            let ended = state.has_ended();
            match state.results.values.pop(ended) {
                // The pause may have ended with it.
                Some(result) => Some((Some(result), state.pop_reader())),
                None => ended.then_some((None, None)),
            }
        });
        polled.map(|(result, reader)| {
            if let Some(reader) = reader {
                quietly(|| reader.wake());
            }
            result
        })
    }
}

/// What a worker has woken since its poll started, and whom it is to wake.
#[derive(Default)]
pub(crate) struct Wakes {
    /// It has woken or spawned a task.
    pub(crate) woke: bool,
    /// The consumer of a stream is to be woken when the poll ends.
    pub(crate) owes_consumer: bool,
}

/// The next step of a worker without a run.
pub(crate) enum NextRun {
    /// Poll the run that was passed to `put`.
    Made(Index),
    /// Wait: the stream is pending.
    SourcePending,
    /// Wait: too many results wait for the consumer.
    Paused,
    /// The consumer was woken, and may be in tokio's LIFO slot of this thread: let it run.
    Yields,
    /// Wait: another worker has borrowed the source.
    SourceBorrowed,
    Finished,
    /// Drop the run that was passed to `put`: the map has ended or was dropped.
    Unwanted,
    /// The iterator or `f` panicked at the item with this index.
    Panicked(Index, Caught),
}

impl<I, F, S, K> HasTasks for MapState<I, F, S, K>
where
    I: MapInput,
    S: SupervisedFuture,
    K: CollectMode<S>,
    Self: Send + Sync,
{
    fn records(&self, into: &mut Vec<Arc<TaskRecord>>) {
        self.tasks.records(into);
    }

    /// Wakes only the map's future; each worker has a separate cancel waker.
    fn token_fired(&self) {
        self.wake();
    }

    fn limit_changed(&self) {
        let mut state = self.lock();
        let has_room = state.has_room();
        let requested = state.capacity.on_limit_changed(has_room);
        let reader = state.pop_reader();
        wake_map_if(requested, state);
        reader.into_iter().for_each(|reader| _ = quietly(|| reader.wake()));
    }
}

impl<I, F, S, K> Watched for MapState<I, F, S, K>
where
    I: MapInput,
    S: SupervisedFuture,
    K: CollectMode<S>,
    Self: Send + Sync,
{
    fn check(&self, last_check: &mut usize) -> bool {
        let mut state = self.lock();
        let (has_room, is_idle, items_read) =
            (state.has_room(), state.idle() > 0, state.results.values.reserved());
        let requested =
            state.capacity.on_check(has_room, is_idle, Self::MAY_WAIT, items_read, last_check);
        if requested.is_none() && has_room {
            self.unwatched.store(true, Ordering::Relaxed);
        }
        wake_map_if(requested == Some(true), state);
        requested.is_some()
    }
}
