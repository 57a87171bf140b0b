//! The state that the workers of a map share: the iterator that they read from, and the results.
//!
//! The source (the iterator and `f`) is in the state while no thread uses it. The thread that uses it takes it out and
//! holds no lock meanwhile: an iterator that blocks holds up the thread that reads, and nothing else.
//!
//! Invariants
//!
//! 1. Each item is read by one worker, and its end is stored once.
//! 2. The first failure is recorded before the cancellation that it triggers.
//! 3. The iterator, `f`, their drops, items, errors, payloads and wakers run outside all locks, under [`panic::catch`]
//!    or [`quietly`]. The iterator and `f` run on one thread at a time.
//! 4. A worker that is registered while the map is dropped is aborted. The results are dropped by the code that drops
//!    the map, and by the workers that end later: the last reference may be inside a call of `cancel`, or in
//!    `watch.rs`.
//! 5. A worker that waits for the source is woken: code that puts the source back wakes one of those that wait, and
//!    code that ends the reading wakes all. Otherwise a map whose next item would end the running ones hangs. A worker
//!    is removed from the queue before another one can get its key.
//! 6. A map waits for its runs, not for the iterator: once reading has ended, a worker that is still inside the
//!    iterator does not keep the map from ending.
//! 7. If the source may have more and the limit has room, then either a worker without a run exists, which reads next,
//!    or one more worker will be requested: when a run pends, when a run ends after a while, when the limit is raised,
//!    or when no item was read for a while (`growth.rs`). If a request is refused since another worker reads, the run
//!    of that worker repeats it.
//! 8. A failure is returned by the map or logged, once: those after the first are logged, and all of a map that is
//!    dropped. If a function fails more than 10 times a second, only the number of the others is logged.
//!
//! `map/state/loom.rs` checks 1, 2, 4, 5 and 6 for every interleaving, `tests/composition/decisions.rs` 6 and 7,
//! `tests/composition/locks.rs` 3, `tests/composition/map_truth.rs` 8.

#[cfg(all(test, supervised_loom))]
mod loom;
mod workers;

use std::{
    collections::VecDeque,
    panic::Location,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio_util::sync::CancellationToken;

use crate::{
    cause::Cause,
    context,
    context::cancel_waker::CancelWaker,
    context::tree::ScopeNode,
    context::tree::TaskRecord,
    error::Origin,
    function::TaskSpec,
    outcome::Outcome,
    panic,
    panic::{Caught, drop_each_quietly, drop_quietly, quietly},
    registry::HasTasks,
    registry::sharded_list::Registration,
    registry::slab::{Key, Slab},
    run::future::{SupervisedFuture, TaskCompletion},
    run::output::panicked,
    sync::{Mutex, MutexGuard, OnceLock, atomic::AtomicBool, atomic::Ordering},
    telemetry::events::FailedScope,
    telemetry::span::TaskSpan,
};
use crate::{
    map::growth::Capacity,
    map::item_source::{ItemSource, NextItem, drop_source},
    map::results::{CollectMode, MapResults},
    tasks::cell::error_of_abort,
    tasks::failure::Failure,
    tasks::name::task_name,
    tasks::reorder_buffer::Index,
};

pub(crate) struct MapState<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>> {
    pub(crate) token: CancellationToken,
    pub(crate) scope: Arc<ScopeNode>,
    pub(crate) place: &'static Location<'static>,
    /// The span of the map's caller: the spans of its workers are inside.
    pub(crate) span: TaskSpan,
    /// Under a separate lock, which is taken to list the live tasks.
    workers: Mutex<Slab<Arc<TaskRecord>>>,
    registration: OnceLock<Registration<dyn HasTasks>>,
    /// Wakes the map's own future when the token fires.
    cancel_waker: OnceLock<CancelWaker>,
    /// Whether one more worker would have something to do. False while it matters only if another worker has the duty
    /// to ask later (invariant 7).
    may_grow: AtomicBool,
    /// Whether the source is in the state, or gone: for a worker that spins before it waits. Written under the lock,
    /// together with `borrowed`.
    source_available: AtomicBool,
    /// A copy of `Inner::closed`, for the worker that reads an item without the lock.
    closed: AtomicBool,
    inner: Mutex<Inner<I, F, S, K>>,
}

struct Inner<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>> {
    /// Boxed, since it is moved for each item. `None` while it is lent, and once reading has ended.
    source: Option<Box<ItemSource<I, F>>>,
    borrowed: Borrowed,
    /// No further item is to be read: exhausted, failed, cancelled or dropped.
    stopped: bool,
    /// The token fired before all items were read.
    truncated: bool,
    /// The workers that wait for the source, the longest first.
    queue: Queue,
    results: MapResults<K::Item, S::Error>,
    capacity: Capacity,
    /// The function, once the first run was made.
    spec: Option<&'static TaskSpec>,
    /// The map was dropped, or has ended without its last reader.
    closed: bool,
    /// The map was dropped: its results are not returned.
    abandoned: bool,
    map_waker: Option<Waker>,
}

/// The workers that wait, by their keys.
type Queue = VecDeque<(Key, Waker)>;

/// Whether the source is lent, and will be put back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Borrowed {
    No,
    /// To check whether it has more, or to drop it.
    ToInspect,
    /// To a worker that reads an item, and has no run.
    ToRead,
}

impl<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>> Inner<I, F, S, K> {
    /// Whether there may be work for one more worker, and the limit has room for it.
    fn has_room(&self) -> bool {
        let readable = self.source.is_some() || self.borrowed != Borrowed::No;
        readable && !self.stopped && self.capacity.has_room()
    }

    /// How many workers have no run: they read next.
    fn idle(&self) -> usize {
        self.capacity.starting + self.queue.len() + usize::from(self.borrowed != Borrowed::No)
    }

    /// Whether only one worker is left, which is inside the iterator and whose item would not be run.
    fn only_reader_left(&self) -> bool {
        self.stopped && self.borrowed == Borrowed::ToRead && self.capacity.workers == 1
    }

    /// Ends the reading. Returns the source to drop and the workers to wake, both outside the lock.
    fn close_input(&mut self) -> (Option<Box<ItemSource<I, F>>>, Queue) {
        self.stopped = true;
        (self.source.take(), std::mem::take(&mut self.queue))
    }
}

fn wake_each(queue: Queue) {
    for (_, waker) in queue {
        quietly(|| waker.wake());
    }
}

/// Wakes the map's own future if `wakes`, outside of the lock, which is released.
fn wake_map_if<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>>(
    wakes: bool,
    mut state: MutexGuard<'_, Inner<I, F, S, K>>,
) {
    let map_waker = if wakes { state.map_waker.take() } else { None };
    drop(state);
    if let Some(map_waker) = map_waker {
        quietly(|| map_waker.wake());
    }
}

impl<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>> Drop for Inner<I, F, S, K> {
    fn drop(&mut self) {
        drop_source(self.source.take());
    }
}

/// A run that a worker has driven to its end.
pub(crate) struct FinishedItem<S: SupervisedFuture> {
    pub(crate) task: &'static str,
    pub(crate) index: Index,
    pub(crate) ended: TaskCompletion<S::Value, S::Error>,
}

/// The name of a worker that does not know its function yet.
pub(crate) const UNKNOWN: &str = "map";

impl<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>> MapState<I, F, S, K> {
    pub(crate) fn new(
        token: CancellationToken,
        place: &'static Location<'static>,
        items: I,
        f: F,
    ) -> Self {
        Self {
            scope: context::nested_scope(token.clone()),
            token,
            place,
            span: TaskSpan::current(),
            workers: Mutex::default(),
            registration: OnceLock::new(),
            cancel_waker: OnceLock::new(),
            may_grow: AtomicBool::new(false),
            source_available: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                source: Some(Box::new(ItemSource { items, f })),
                borrowed: Borrowed::No,
                stopped: false,
                truncated: false,
                queue: VecDeque::new(),
                results: MapResults::default(),
                capacity: Capacity::new(),
                spec: None,
                closed: false,
                abandoned: false,
                map_waker: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<I, F, S, K>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the map's own future, which checks its workers.
    pub(crate) fn wake(&self) {
        wake_map_if(true, self.lock());
    }

    pub(crate) fn poll_finished(&self, cx: &Context<'_>) -> Poll<()> {
        let state = self.lock();
        if state.capacity.workers == 0 {
            return Poll::Ready(());
        }
        if state.map_waker.as_ref().is_some_and(|map_waker| map_waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        drop(state);
        // Foreign code: not under the lock.
        let map_waker = cx.waker().clone();
        let mut state = self.lock();
        let before = state.map_waker.replace(map_waker);
        let ended = state.capacity.workers == 0;
        drop(state);
        drop(before);
        if ended { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The results, once the map is over.
    pub(crate) fn take_results(&self) -> Result<Vec<K::Item>, S::Error> {
        let mut state = self.lock();
        let mut results = std::mem::take(&mut state.results);
        let (truncated, spec) = (state.truncated, state.spec);
        drop(state);
        if let Some(failure) = results.failure.take() {
            return Err(failure.error);
        }
        if let Some(caught) = results.conversion_panic.take() {
            drop(results);
            caught.resume()
        }
        let values = results.values.take();
        if truncated { self.append_cancelled(values, spec) } else { Ok(values) }
    }

    /// Ends the results with a cancellation, which stands for the items that were not read.
    #[cold]
    fn append_cancelled(
        &self,
        mut results: Vec<K::Item>,
        spec: Option<&'static TaskSpec>,
    ) -> Result<Vec<K::Item>, S::Error> {
        let origin = spec.map_or_else(|| Origin::from(task_name::<S, F>()), Origin::from);
        let error = error_of_abort(&self.scope, &self.token, origin, S::error);
        match error.map(|error| K::collect(Err(error))) {
            Ok(Ok(item)) => {
                results.push(item);
                Ok(results)
            }
            Ok(Err(error)) => {
                drop_each_quietly(results);
                Err(error)
            }
            Err(caught) => {
                drop_each_quietly(results);
                caught.resume()
            }
        }
    }

    /// The future of the map is dropped.
    pub(crate) fn on_drop(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        let (source, queue) = self.close(&mut state);
        let mut unwanted = std::mem::take(&mut state.results);
        drop(state);
        let workers: Vec<_> = self.workers().iter().cloned().collect();
        self.cancel(Cause::ScopeDropped);
        for worker in workers {
            worker.abort();
        }
        wake_each(queue);
        drop_source(source);
        if let Some(failure) = unwanted.failure.take() {
            failure.log(&FailedScope::Map, "was dropped before it returned");
        }
    }

    fn close(&self, state: &mut Inner<I, F, S, K>) -> (Option<Box<ItemSource<I, F>>>, Queue) {
        state.closed = true;
        self.closed.store(true, Ordering::Relaxed);
        state.close_input()
    }

    /// Whether only the iterator keeps the map from ending. With `give_up` the map ends without it.
    ///
    /// The token has fired.
    pub(crate) fn is_blocked_on_iterator(&self, give_up: bool) -> bool {
        let mut state = self.lock();
        if state.borrowed != Borrowed::ToRead {
            return false;
        }
        let (source, mut queue) = state.close_input();
        let only_reader_left = state.only_reader_left();
        if only_reader_left && give_up {
            state.truncated = true;
            queue.extend(self.close(&mut state).1);
        }
        drop(state);
        wake_each(queue);
        drop_source(source);
        only_reader_left
    }

    /// Stores the result of an item after which no next one is read.
    pub(crate) fn store(&self, FinishedItem { task, index, ended }: FinishedItem<S>) {
        let mut state = self.lock();
        let TaskCompletion { outcome, result, .. } = ended;
        match K::collect(result) {
            Ok(item) => state.results.values.put(index, item),
            Err(error) => self.fail(state, self.failure(task, outcome, error, None)),
        }
    }

    /// Stores a failure that stops the rest, with what its error says.
    #[cold]
    pub(crate) fn store_failure(
        &self,
        task: Origin,
        ended: TaskCompletion<S::Value, S::Error>,
        text: Option<Box<str>>,
    ) {
        if let Err(error) = ended.result {
            self.fail(self.lock(), self.failure(task, ended.outcome, error, text));
        }
    }

    fn failure(
        &self,
        task: impl Into<Origin>,
        outcome: Outcome,
        error: S::Error,
        text: Option<Box<str>>,
    ) -> Failure<S::Error> {
        Failure { task: task.into(), place: self.place, outcome, error, text }
    }

    /// Records a run that has ended with an error whose conversion panicked.
    pub(crate) fn store_unconvertible(&self, task: &'static str, caught: Caught) {
        let mut state = self.lock();
        let surplus = match state.results.conversion_panic {
            Some(_) => Some(caught),
            None => state.results.conversion_panic.replace(caught),
        };
        self.release(state, Some(task));
        drop_quietly(surplus);
    }

    /// Records a failed run: the first one cancels the rest. Releases the lock.
    #[cold]
    fn fail(&self, mut state: MutexGuard<'_, Inner<I, F, S, K>>, failure: Failure<S::Error>) {
        if state.closed || state.results.failure.is_some() {
            let why = if state.closed { "had ended" } else { "had failed already" };
            drop(state);
            return failure.log(&FailedScope::Map, why);
        }
        let task = failure.task.name();
        state.results.failure = Some(failure);
        self.release(state, Some(task));
    }

    /// Cancels the runs. If they are cancelled already, their first cause stays.
    fn cancel(&self, cause: Cause) {
        self.scope.fire(&self.token, cause, || self.wake_workers());
    }

    /// Releases the lock, then does what must not be done under it.
    fn release(&self, mut state: MutexGuard<'_, Inner<I, F, S, K>>, failed: Option<&'static str>) {
        let stopped = failed.map(|task| (task, state.close_input()));
        drop(state);
        if let Some((task, (source, queue))) = stopped {
            self.cancel(Cause::SiblingFailed { task });
            wake_each(queue);
            drop_source(source);
        }
    }

    /// Returns whether to start the first worker. If there is nothing to read, the map is over.
    pub(crate) fn has_work(&self) -> bool {
        let mut state = self.lock();
        let Some(source) = state.source.take() else { return false };
        drop(state);
        let (has_fired, has_more) = (self.token.is_cancelled(), source.may_have_more());
        let mut state = self.lock();
        if has_more && !has_fired {
            state.source = Some(source);
            return true;
        }
        state.stopped = true;
        state.truncated = has_more;
        state.capacity.workers = 0;
        drop(state);
        drop_source(Some(source));
        false
    }

    /// Ends the reading: the token has fired, or the last worker ends.
    #[cold]
    pub(crate) fn stop_reading(&self) {
        let mut state = self.lock();
        let (source, queue) = state.close_input();
        if source.is_some() {
            state.borrowed = Borrowed::ToInspect;
        }
        drop(state);
        wake_each(queue);
        let Some(source) = source else { return };
        let truncated = source.may_have_more();
        drop_source(Some(source));
        let mut state = self.lock();
        state.borrowed = Borrowed::No;
        state.truncated |= truncated;
    }

    /// Puts the source back, which `state` had lent; releases the lock. Returns whether a worker was woken.
    #[inline(always)]
    fn put_back(
        &self,
        mut state: MutexGuard<'_, Inner<I, F, S, K>>,
        source: Box<ItemSource<I, F>>,
    ) -> bool {
        state.borrowed = Borrowed::No;
        self.source_available.store(true, Ordering::Relaxed);
        if state.stopped {
            drop(state);
            drop_source(Some(source));
            return false;
        }
        state.source = Some(source);
        if !state.queue.is_empty() {
            self.may_grow.store(false, Ordering::Relaxed);
            Self::wake_next(state);
            return true;
        }
        // No worker is idle, except those that start.
        let may_grow = state.capacity.starting == 0 && state.capacity.has_room();
        if may_grow != self.may_grow.load(Ordering::Relaxed) {
            self.may_grow.store(may_grow, Ordering::Relaxed);
        }
        false
    }

    /// Wakes a worker that waits for the source, if that is in the state; releases the lock.
    #[cold]
    fn wake_next(mut state: MutexGuard<'_, Inner<I, F, S, K>>) {
        let next = if state.source.is_some() { state.queue.pop_front() } else { None };
        drop(state);
        wake_each(next.into_iter().collect());
    }
}

impl<I, F, S, K> MapState<I, F, S, K>
where
    I: Iterator,
    F: FnMut(CancellationToken, I::Item) -> S,
    S: SupervisedFuture,
    K: CollectMode<S>,
{
    /// Stores what the worker has done, then reads the next item and makes its run, which goes to `put`.
    ///
    /// `token` is called, and its handle dropped, without a lock. `woke` becomes true if another worker was woken.
    #[inline]
    pub(crate) fn complete_and_next(
        &self,
        done: &mut Option<FinishedItem<S>>,
        token: impl FnOnce() -> CancellationToken,
        put: impl FnOnce(S),
        woke: &mut bool,
    ) -> NextRun {
        let mut state = self.lock();
        if let Some(FinishedItem { task, index, ended }) = done.take() {
            let outcome = ended.outcome;
            match K::collect(ended.result) {
                Ok(item) => state.results.values.put(index, item),
                Err(error) => {
                    self.fail(state, self.failure(task, outcome, error, None));
                    state = self.lock();
                }
            }
        }
        let Some(mut source) = state.source.take() else {
            return if state.borrowed != Borrowed::No && !state.stopped {
                NextRun::SourceBorrowed
            } else {
                NextRun::Finished
            };
        };
        state.borrowed = Borrowed::ToRead;
        // Under the lock: a worker that finds the source away and this flag still set would ask again without end,
        // until this thread runs on.
        self.source_available.store(false, Ordering::Relaxed);
        drop(state);
        let next = source.next(token(), || !self.closed.load(Ordering::Relaxed), put);
        let mut state = self.lock();
        match next {
            NextItem::Made if !state.stopped => {
                let index = state.results.values.reserve();
                *woke |= self.put_back(state, source);
                NextRun::Made(index)
            }
            next => self.next_uncommon(state, source, next, woke),
        }
    }

    /// The uncommon cases: no item was read, or the map does not continue.
    #[cold]
    fn next_uncommon<'a>(
        &'a self,
        mut state: MutexGuard<'a, Inner<I, F, S, K>>,
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
            NextItem::Unwanted => (NextRun::Finished, false),
        };
        if !ends && state.stopped {
            // The token fired, or a run failed, while the item was read.
            drop(state);
            let truncated = source.may_have_more();
            state = self.lock();
            state.truncated |= truncated;
        }
        let queue = if ends { state.close_input().1 } else { VecDeque::new() };
        *woke |= self.put_back(state, source);
        wake_each(queue);
        next_run
    }

    /// Stores the error of an item that could not be made; `None` if its conversion panicked.
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

/// What a worker without a run does next.
pub(crate) enum NextRun {
    /// The run that was put.
    Made(Index),
    /// Wait: another worker has the source.
    SourceBorrowed,
    Finished,
    /// Drop the run that was put: the map has ended or was dropped.
    Unwanted,
    /// The item at this place could not be made.
    Panicked(Index, Caught),
}
