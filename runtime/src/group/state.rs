//! The state of a group: its tasks, their values and the first failure.
//!
//! Invariants
//!
//! 1. The first failure is recorded before the cancellation that it triggers. Otherwise `join` could return a
//!    sibling's `Cancelled` instead of the error.
//! 2. `pending` counts the tasks and the waiting spawns. When it is 0, or counts only spawns that are not polled
//!    (`group/waiters.rs`), `join` closes the group under the same lock and continues. Nothing is spawned afterwards.
//! 3. No user code runs under the lock. Values, errors and tasks are dropped, and wakers called and cloned, after it
//!    is released.
//! 4. If a waker panics (the joiner's, or one registered with the token), no task and no count is affected.
//!    (`tests/faults/wakers.rs`)
//! 5. A task that is registered while the group is dropped is aborted or refused. (`tasks/set.rs`)
//! 6. The group keeps only the value of a finished task: memory, `tasks()` and the cost of a cancel depend on the
//!    number of live tasks. (the tests below, `tests/spec/composition/life.rs`)
//! 7. Each failure is reported once: returned by `join`, or logged. (`tests/spec/composition/group_reports.rs`)
//! 8. The conversion into the group's error may panic. `join` resumes that panic; a spawn or an abort never does.
//!    (`tests/spec/behaviour/error_panics.rs`)
//!
//! `group/state/loom.rs` checks 1, 2, 5 and 7 for every interleaving.

use std::{
    future::poll_fn,
    num::NonZero,
    panic::Location,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    cause::Cause,
    context,
    context::tree::TaskRecord,
    error::{Cancelled, TaskError},
    function::TaskSpec,
    outcome::Outcome,
    panic,
    panic::{Caught, drop_each_quietly, drop_quietly, quietly},
    registry::HasTasks,
    registry::slab::Key,
    sync::MutexGuard,
    telemetry::events::{self, FailedScope},
    telemetry::span::TaskSpan,
};
use crate::{
    group::waiters::{RESPONSE_TIME, Waiters},
    tasks::admission::Slots,
    tasks::failure::Failure,
    tasks::reorder_buffer::{Index, ReorderBuffer},
    tasks::set::{Locked, TaskSet},
    tasks::timer::Timer,
};

#[cfg(all(test, supervised_loom))]
mod loom;

pub(crate) struct GroupState<T, E> {
    /// Each task with the index of its value.
    pub(crate) tasks: TaskSet<Results<T, E>, Index>,
    /// The span in which the group was created: the parent of its tasks' spans.
    pub(crate) span: TaskSpan,
    pub(crate) slots: Slots,
    pub(crate) grace: Option<Duration>,
    pub(crate) until_first_exit: bool,
    place: &'static Location<'static>,
}

/// The results of a group, and the counts that `join` waits for.
pub(crate) struct Results<T, E> {
    /// In spawn order.
    values: ReorderBuffer<T>,
    pending: usize,
    waiters: Waiters<E>,
    failure: Option<Failure<E>>,
    refused: Refused<E>,
    /// The first panic of an error conversion. There is no `E` to return, so `join` panics.
    conversion_panic: Option<Caught>,
    /// The group cancelled itself because a task finished (`until_first_exit`).
    exited: bool,
    closed: bool,
    /// Closed without a `join`.
    dropped: bool,
    joiner: Option<Waker>,
}

type State<'a, T, E> = MutexGuard<'a, Locked<Results<T, E>, Index>>;

/// Drops the values and errors that were not returned, one at a time: a second panic during the first would abort the
/// process.
impl<T, E> Drop for Results<T, E> {
    fn drop(&mut self) {
        drop_each_quietly(self.values.take());
        drop_quietly(self.failure.take());
        drop_quietly(self.refused.error.take());
    }
}

/// The spawns that the group refused because its token had fired.
struct Refused<E> {
    /// The error that `join` returns if no task has failed.
    error: Option<E>,
    /// The number of refused spawns whose callers got no error.
    spawns: usize,
    /// The task name and the cause of the first of them.
    first: Option<(&'static str, Cause)>,
}

impl<E> Refused<E> {
    const NONE: Self = Self { error: None, spawns: 0, first: None };

    fn log(&self, place: &Location<'_>) {
        if let Some((task, cause)) = self.first {
            events::group_refused(self.spawns, task, cause, place);
        }
    }
}

impl<T, E> GroupState<T, E> {
    pub(crate) fn new(token: CancellationToken, place: &'static Location<'static>) -> Self {
        let results = Results {
            values: ReorderBuffer::new(),
            pending: 0,
            waiters: Waiters::new(),
            failure: None,
            refused: Refused::NONE,
            conversion_panic: None,
            exited: false,
            closed: false,
            dropped: false,
            joiner: None,
        };
        let scope = context::nested_scope(token.clone());
        Self {
            tasks: TaskSet::new(token, scope, results),
            span: TaskSpan::current(),
            slots: Slots::unbounded(),
            grace: None,
            until_first_exit: false,
            place,
        }
    }

    fn lock(&self) -> State<'_, T, E> {
        self.tasks.lock()
    }

    /// Returns a token for one more task, and a recycled record if one is available; `None` if the group accepts no
    /// more tasks.
    pub(crate) fn task_parts(&self) -> Option<(CancellationToken, Option<Arc<TaskRecord>>)> {
        if self.tasks.token.is_cancelled() {
            return None;
        }
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        let (token, record) = state.take_spare();
        drop(state);
        Some((token.unwrap_or_else(|| self.tasks.token.clone()), record))
    }

    /// Counts a spawn that starts waiting. Returns its number.
    pub(crate) fn add_waiter(
        &self,
        spec: &'static TaskSpec,
        error: fn(TaskError) -> E,
    ) -> NonZero<u64> {
        let mut state = self.lock();
        state.pending += 1;
        state.waiters.add(spec, error)
    }

    /// Removes a spawn whose wait has ended.
    pub(crate) fn remove_waiter(&self, number: NonZero<u64>) {
        let mut state = self.lock();
        state.pending -= 1;
        let waiter = state.waiters.remove(number);
        wake_joiner(state);
        drop(waiter);
    }

    /// Adds a task that is about to be spawned; `None` if the group is closed.
    pub(crate) fn register(self: &Arc<Self>, record: &Arc<TaskRecord>) -> Option<Key>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.tasks.register(|| Arc::downgrade(self));
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        state.pending += 1;
        let value = state.values.reserve();
        Some(state.insert(record, value))
    }

    /// Removes a finished task, and records its result: no value if its handle has stopped it.
    pub(crate) fn finish(
        &self,
        key: Key,
        task: &'static str,
        result: Result<Option<T>, Failure<E>>,
        token: Option<CancellationToken>,
    ) {
        // Not under the lock: a `cancel` may hold the token's lock while it calls wakers.
        let fired = self.until_first_exit && self.tasks.token.is_cancelled();
        let mut state = self.lock();
        let (record, place) = state.remove(key);
        let unused = state.recycle(token, record, (&self.tasks.token, &self.tasks.scope));
        let mut state = match result {
            Ok(value) if state.wants_values() && !self.until_first_exit => {
                state.store(place, value);
                state
            }
            result => self.finish_rarely(state, place, task, result, fired),
        };
        state.pending -= 1;
        wake_joiner(state);
        drop(unused);
    }

    /// Records the result of a task that may cancel the group, or whose value may be unwanted. `fired`: the token has
    /// fired before.
    #[cold]
    fn finish_rarely<'a>(
        &'a self,
        mut state: State<'a, T, E>,
        place: Index,
        task: &'static str,
        result: Result<Option<T>, Failure<E>>,
        fired: bool,
    ) -> State<'a, T, E> {
        let dropped = state.dropped;
        let (failure, unwanted) = match result {
            Ok(value) if state.wants_values() => {
                state.store(place, value);
                (None, None)
            }
            // No `join` returns it. It is dropped here: the last reference to the group may be dropped inside a call
            // of `cancel`.
            Ok(value) => (None, value),
            Err(failure) => (Some(failure), None),
        };
        let cause = match &failure {
            Some(_) => Cause::SiblingFailed { task },
            None => Cause::SiblingExited { task },
        };
        let (cancels, surplus) = match failure {
            Some(failure) => self.record_failure(&mut state, failure),
            None => (false, None),
        };
        let exits = self.until_first_exit && !state.exited && !fired;
        state.exited |= exits;
        if cancels || exits || surplus.is_some() || unwanted.is_some() {
            drop(state);
            if cancels || exits {
                self.tasks.cancel(cause);
            }
            self.log_surplus(surplus, dropped);
            // Before the task counts as finished: `join` returns only after everything of a task is dropped.
            drop_quietly(unwanted);
            state = self.lock();
        }
        state
    }

    /// Removes a task whose error conversion panicked.
    pub(crate) fn finish_unconvertible(&self, key: Key, task: &'static str, caught: Caught) {
        let mut state = self.lock();
        let left = state.remove(key);
        let surplus = state.record_conversion_panic(caught);
        drop(state);
        drop(left);
        drop_quietly(surplus);
        self.tasks.cancel(Cause::SiblingFailed { task });
        let mut state = self.lock();
        state.pending -= 1;
        wake_joiner(state);
    }

    /// Records the failure of a spawn: its closure panicked, or its wait would have been a deadlock.
    pub(crate) fn fail(&self, failure: Failure<E>) {
        let task = failure.task.name();
        let mut state = self.lock();
        let dropped = state.dropped;
        let (cancels, surplus) = self.record_failure(&mut state, failure);
        drop(state);
        if cancels {
            self.tasks.cancel(Cause::SiblingFailed { task });
        }
        self.log_surplus(surplus, dropped);
    }

    /// Like [`fail`](Self::fail), if the error conversion panicked.
    pub(crate) fn fail_unconvertible(&self, task: &'static str, caught: Caught) {
        let surplus = self.lock().record_conversion_panic(caught);
        drop_quietly(surplus);
        self.tasks.cancel(Cause::SiblingFailed { task });
    }

    /// Records a spawn that was refused because the token has fired: `join` must return an error. A spawn after the
    /// `join` is ignored. `known` means that the caller of the spawn gets the reason. `Err` is the panic of the error
    /// conversion.
    pub(crate) fn refuse(
        &self,
        task: &'static str,
        cause: Cause,
        error: Result<E, Caught>,
        known: bool,
    ) {
        let mut state = self.lock();
        if !known {
            state.refused.spawns += 1;
            state.refused.first.get_or_insert((task, cause));
        }
        let after = state.exited || state.closed;
        let surplus = match error {
            error if after => Some(error),
            Ok(error) => state.refused.error.replace(error).map(Ok),
            Err(caught) => state.record_conversion_panic(caught).map(Err),
        };
        drop(state);
        drop_quietly(surplus);
    }

    /// Whether `join` has closed the group.
    pub(crate) fn is_joined(&self) -> bool {
        let state = self.lock();
        state.closed && !state.dropped
    }

    /// Records a failure, if it is the first. Returns whether it cancels the group, and the failure that `join` will
    /// not return.
    fn record_failure(
        &self,
        state: &mut Results<T, E>,
        failure: Failure<E>,
    ) -> (bool, Option<Failure<E>>) {
        // With `until_first_exit`, cancellations after the exit are not failures, and an error replaces a recorded
        // cancellation.
        let follows_exit = state.exited && failure.outcome == Outcome::Cancelled;
        let beats = |first: &Failure<E>| {
            self.until_first_exit
                && first.outcome == Outcome::Cancelled
                && failure.outcome != Outcome::Cancelled
        };
        match &state.failure {
            // The group was dropped.
            _ if follows_exit || state.closed => (false, Some(failure)),
            None => {
                state.failure = Some(failure);
                (true, None)
            }
            Some(first) if beats(first) => (false, state.failure.replace(failure)),
            Some(_) => (false, Some(failure)),
        }
    }

    /// Logs a failure that `join` does not return, and drops its error.
    fn log_surplus(&self, surplus: Option<Failure<E>>, dropped: bool) {
        if let Some(failure) = surplus {
            let why = if dropped { "had been dropped" } else { "had failed already" };
            failure.log(&FailedScope::Group(self.place), why);
        }
    }

    /// Waits until only unpolled spawns are pending, and closes the group.
    pub(crate) async fn close_when_finished(&self) {
        let mut timeout = None;
        poll_fn(|cx| {
            if self.close_if_finished(self.lock()) {
                return Poll::Ready(());
            }
            let joiner = cx.waker().clone();
            let mut state = self.lock();
            let before = state.joiner.replace(joiner);
            let ended = self.close_if_finished(state);
            drop(before);
            if ended { Poll::Ready(()) } else { self.poll_waiters(&mut timeout, cx) }
        })
        .await;
    }

    /// Records the poll of a waiting spawn.
    pub(crate) fn waiter_polled(&self, number: NonZero<u64>, cx: &Context<'_>) {
        // Foreign code: not under the lock.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        let before = state.waiters.set_polled(number, waker);
        drop(state);
        drop(before);
    }

    /// Returns `Ready` once only unpolled spawns are pending, after closing the group.
    #[cold]
    pub(crate) fn poll_waiters(
        &self,
        timeout: &mut Option<Timer>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            if !self.lock().only_waiters_left() {
                *timeout = None;
                return Poll::Pending;
            }
            if let Some(timer) = timeout {
                ready!(timer.poll(cx));
                *timeout = None;
                if self.close_if_unpolled() {
                    return Poll::Ready(());
                }
            } else {
                self.wake_waiters();
                *timeout = Timer::start(RESPONSE_TIME);
                if timeout.is_none() {
                    return Poll::Pending;
                }
            }
        }
    }

    fn wake_waiters(&self) {
        let wakers = self.lock().waiters.take_wakers();
        for waker in wakers {
            quietly(|| waker.wake());
        }
    }

    fn close_if_unpolled(&self) -> bool {
        // `join` must return an error if the token has fired; the callers of the spawns get `Joined`.
        let refused = self.tasks.token.is_cancelled().then(|| self.refusal_of_waiter()).flatten();
        let mut state = self.lock();
        let unpolled = state.only_waiters_left() && !state.waiters.any_polled();
        let surplus = match refused {
            Some(Ok(error)) if unpolled && state.refused.error.is_none() => {
                state.refused.error.replace(error).map(Ok)
            }
            Some(Err(caught)) if unpolled => state.record_conversion_panic(caught).map(Err),
            refused => refused,
        };
        state.closed |= unpolled;
        drop(state);
        drop_quietly(surplus);
        unpolled
    }

    fn refusal_of_waiter(&self) -> Option<Result<E, Caught>> {
        let state = self.lock();
        let (spec, error) = state.waiters.first().map(|waiter| (waiter.spec, waiter.error))?;
        drop(state);
        let cause = self.tasks.scope.cause().unwrap_or(Cause::Token);
        let cancelled = TaskError::Cancelled(Cancelled::new(spec, cause));
        Some(panic::catch(|| error(cancelled)))
    }

    fn close_if_finished(&self, mut state: State<'_, T, E>) -> bool {
        let ended = state.pending == 0;
        state.closed |= ended;
        ended
    }

    pub(crate) fn take_results(&self) -> Result<Vec<T>, E> {
        let mut state = self.lock();
        let values = state.values.take();
        let failure = state.failure.take().map(|failure| failure.error);
        let mut refused = std::mem::replace(&mut state.refused, Refused::NONE);
        let conversion_panic = state.conversion_panic.take();
        drop(state);
        refused.log(self.place);
        match (failure, conversion_panic) {
            (None, Some(caught)) => {
                drop_each_quietly(values);
                drop_quietly(refused.error.take());
                caught.resume()
            }
            (failure, conversion_panic) => {
                drop_quietly(conversion_panic);
                match failure.or_else(|| refused.error.take()) {
                    Some(error) => {
                        drop_each_quietly(values);
                        drop_quietly(refused.error.take());
                        Err(error)
                    }
                    None => Ok(values),
                }
            }
        }
    }

    /// Cancels and aborts the tasks of a group that is dropped.
    pub(crate) fn on_drop(&self) {
        let mut state = self.lock();
        // A joined group has no tasks left.
        let joined = state.closed;
        state.dropped = !joined;
        state.closed = true;
        let tasks = state.tasks();
        let values = state.values.take();
        let failure = state.failure.take();
        let conversion_panic = state.conversion_panic.take();
        let mut refused = std::mem::replace(&mut state.refused, Refused::NONE);
        drop(state);
        let was_cancelled = self.tasks.token.is_cancelled();
        if joined {
            // Code outside the tasks may hold a clone or a child of the token.
            quietly(|| self.tasks.token.cancel());
        } else {
            self.tasks.cancel(Cause::ScopeDropped);
            self.tasks.abort();
        }
        drop_each_quietly(values);
        drop_quietly(conversion_panic);
        if tasks > 0 && !was_cancelled {
            events::group_dropped(tasks, self.place);
        }
        if let Some(failure) = failure {
            failure.log(&FailedScope::Group(self.place), "was dropped without a join");
        }
        refused.log(self.place);
        drop_quietly(refused.error.take());
    }
}

impl<T: Send, E: Send> HasTasks for GroupState<T, E> {
    fn records(&self, into: &mut Vec<Arc<TaskRecord>>) {
        self.tasks.records(into);
    }
}

impl<T, E> Results<T, E> {
    /// Whether no task is left. Spawns may still be waiting.
    fn only_waiters_left(&self) -> bool {
        self.pending == self.waiters.len()
    }

    /// Keeps the panic of an error conversion for `join`, unless one is kept already or the group is closed. Returns
    /// the panic if it is not kept.
    fn record_conversion_panic(&mut self, caught: Caught) -> Option<Caught> {
        if self.closed || self.conversion_panic.is_some() {
            return Some(caught);
        }
        self.conversion_panic.replace(caught)
    }

    /// Stores the value of a task, which has none if its handle has stopped it.
    #[inline]
    fn store(&mut self, place: Index, value: Option<T>) {
        match value {
            Some(value) => self.values.put(place, value),
            None => self.values.skip(place),
        }
    }

    /// Whether `join` may still return the values.
    fn wants_values(&self) -> bool {
        !self.closed && self.failure.is_none() && self.conversion_panic.is_none()
    }
}

fn wake_joiner<T, E>(mut state: State<'_, T, E>) {
    if !state.only_waiters_left() {
        return;
    }
    if let Some(joiner) = state.joiner.take() {
        drop(state);
        quietly(|| joiner.wake());
    }
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_spawn_at_the_end_of_the_join_does_not_fail_it() {
        let group: GroupState<u8, &str> =
            GroupState::new(CancellationToken::new(), Location::caller());
        group.close_when_finished().await;
        assert!(group.task_parts().is_none(), "a joined group accepts no tasks");
        group.refuse(
            "late",
            Cause::Token,
            Ok("a spawn through a handle before the results are taken"),
            true,
        );
        assert_eq!(group.take_results(), Ok(vec![]));
    }

    #[tokio::test]
    async fn a_dropped_group_drops_its_results() {
        let payload = Arc::new(());
        let group: GroupState<Arc<()>, Arc<()>> =
            GroupState::new(CancellationToken::new(), Location::caller());
        let caught = panic::catch(|| std::panic::resume_unwind(Box::new(payload.clone())));
        group.lock().conversion_panic = caught.err();
        let place = group.lock().values.reserve();
        group.lock().values.put(place, payload.clone());
        group.refuse("refused", Cause::Token, Ok(payload.clone()), true);
        assert_eq!(Arc::strong_count(&payload), 4);
        group.on_drop();
        assert_eq!(Arc::strong_count(&payload), 1, "the group still exists");
    }
}
