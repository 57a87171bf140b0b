//! The state of a pool: its tasks, its token and its drains.
//!
//! Invariants
//!
//! 1. A task or reserved slot is counted from before the call that accepts it returns, until it ends. A drain waits
//!    for all of them.
//! 2. A closed pool accepts only tasks for slots that were reserved earlier. Both are checked under one lock.
//!    Otherwise a task could start after a drain has found the pool idle.
//! 3. A task is removed before it releases its slot: there are never more tasks than slots.
//! 4. Memory does not grow with the number of finished tasks.
//! 5. No user code runs under the lock: closures, futures, errors and wakers are called and dropped after its release.
//! 6. An abort reaches every listed task, and every task that is registered later.
//! 7. A task that did not finish is added to `not_finished` before it is removed. Otherwise a drain could return `Ok`.
//!    A task that ended since the token of `stop_with` fired is none of these.
//! 8. If code other than the pool fires the token, the token is replaced before the next task is created: later tasks
//!    are not cancelled by it. After the pool itself, or the token of `stop_with`, has cancelled, its token is not
//!    replaced. A task keeps the token, scope and cancel waker that it was spawned with.
//! 9. The token of the pool is not checked under the lock: the call that fires the token of `stop_with` calls the cancel waker, which
//!    takes the lock. Otherwise both could wait for each other.
//!
//! `pool/state/loom.rs` checks 1, 2, 3, 6, 7 and 8 for every interleaving, `tests/schedules/tests/stop.rs` 1, 2 and 8 for
//! a pool that a token stops.

use std::{
    panic::Location,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::runtime;
use tokio_util::sync::CancellationToken;

use crate::{
    cause::Cause,
    context,
    context::cancel_waker::CancelWaker,
    context::tree::ScopeNode,
    context::tree::{Activity, TaskRecord},
    function::limit::Limit,
    panic::quietly,
    registry::live::LiveTask,
    registry::sharded_list::Registration,
    registry::slab::Key,
    registry::unfinished::{Lines, UnfinishedReason, UnfinishedTask, left},
    registry::{Drain, HasTasks, POOLS},
    sync::{MutexGuard, Notify, atomic::AtomicBool, atomic::Ordering},
    telemetry::events,
};
use crate::{
    pool::options::Options,
    pool::token::{Renewed, Tokens, same},
    pool::unfinished::{NotFinishedTasks, Unlogged},
    tasks::admission::Slots,
    tasks::refused::Closed,
    tasks::set::{Locked, TaskSet},
};

#[cfg(all(test, supervised_loom))]
mod loom;

/// Shared by the handles and the reserved slots of a pool. Dropping the last one cancels and aborts the tasks.
pub(crate) struct Handle {
    pub(crate) shared: Arc<PoolState>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.on_drop();
    }
}

/// The state that the handles and the tasks of a pool share.
pub(crate) struct PoolState {
    /// With the first token, scope and cancel waker. For their replacements see `pool/token.rs`.
    pub(crate) tasks: TaskSet<Inner>,
    pub(crate) limit: Arc<Limit>,
    pub(crate) slots: Slots,
    pub(crate) options: Options,
    /// Fires when the pool closes, also by the token of `stop_with`, which wakes the waiting spawns.
    pub(crate) closing: CancellationToken,
    pub(crate) place: &'static Location<'static>,
    /// Notified when the pool is closed and has no tasks or reserved slots.
    pub(crate) idle: Notify,
    /// Whether the first token has been replaced.
    pub(crate) is_renewed: AtomicBool,
    /// A reference to this state, for cancel wakers and registrations.
    weak: Weak<PoolState>,
    /// Lists the pool for main's drain.
    _registration: Registration<dyn Drain>,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) reserved: usize,
    closed: bool,
    /// The runtime in which the pool was created or first used.
    pub(crate) runtime_id: Option<runtime::Id>,
    /// The last handle was dropped.
    pub(crate) dropped: bool,
    pub(crate) drains: Drains,
    pub(crate) not_finished: NotFinishedTasks,
    pub(crate) tokens: Tokens,
}

type State<'a> = MutexGuard<'a, Locked<Inner, ()>>;

/// The token of a task that is not made yet, and the record of an ended one, if there is one.
pub(crate) type TaskParts = (CancellationToken, Option<Arc<TaskRecord>>);

/// The state that the drains of a pool share.
#[derive(Default)]
pub(crate) struct Drains {
    pub(crate) active: usize,
    pub(crate) has_started: bool,
    /// The tasks that were live when the first drain started, and those that were spawned with reserved slots since.
    pub(crate) tasks: usize,
    /// A drain has cancelled the tasks.
    pub(crate) has_cancelled: bool,
    pub(crate) has_completed: bool,
    /// The grace of the first drain that ended while tasks were still running. Later drains abort nothing.
    pub(crate) grace: Option<Duration>,
}

impl Drains {
    pub(crate) fn is_active(&self) -> bool {
        self.active > 0
    }
}

/// The kind of slot that a new task uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotKind {
    /// Acquired for this spawn.
    New,
    /// Reserved earlier.
    Reserved,
}

impl Locked<Inner, ()> {
    pub(crate) fn is_idle(&self) -> bool {
        self.tasks() + self.reserved == 0
    }

    /// Whether a task that ends logs the unfinished tasks. An active drain logs them itself. If more tasks are about to
    /// end unfinished, the last one logs them all: a runtime that shuts down drops its tasks one after another.
    fn should_log(&self, finished: bool) -> bool {
        let more_expected = !finished && !self.is_idle() && !self.not_finished.is_due();
        !self.drains.is_active() && !more_expected
    }
}

impl PoolState {
    pub(crate) fn new(
        limit: usize,
        place: &'static Location<'static>,
        options: Options,
    ) -> Arc<Self> {
        let limit = Arc::new(Limit::new(limit));
        let token = options.token();
        let scope = ScopeNode::named_root(token.clone(), options.name());
        let inner = Inner { runtime_id: current_runtime(), ..Inner::default() };
        let pool = Arc::new_cyclic(|weak: &Weak<Self>| Self {
            tasks: TaskSet::new(token, scope, inner),
            slots: Slots::of(limit.clone()),
            limit,
            closing: options.token(),
            options,
            place,
            idle: Notify::new(),
            is_renewed: AtomicBool::new(false),
            weak: weak.clone(),
            _registration: POOLS.register(weak.clone()),
        });
        pool.tasks.register(|| pool.weak.clone());
        pool
    }

    /// Returns a token for one more task, and a recycled record if one is available; `None` if the pool is closed and
    /// the slot was not reserved earlier.
    pub(crate) fn task_parts(&self, slot_kind: SlotKind) -> Option<TaskParts> {
        let is_new = slot_kind == SlotKind::New;
        if is_new && self.is_closed_by_token() {
            return None;
        }
        if self.may_be_cancelled() && !(is_new && self.is_closed()) {
            self.renew_if_cancelled();
        }
        let mut state = self.lock();
        if is_new && state.closed {
            return None;
        }
        let (token, record) = state.take_spare();
        let renewed = state.tokens.renewed.clone();
        drop(state);
        Some((token.unwrap_or_else(|| self.current(&renewed).0.clone()), record))
    }

    pub(crate) fn lock(&self) -> State<'_> {
        self.tasks.lock()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed_by_token() || self.lock().closed
    }

    /// Whether the token of `stop_with` has closed the pool, if it has one. Not called under the lock, which the call
    /// that fires that token may wait for.
    #[inline]
    fn is_closed_by_token(&self) -> bool {
        self.options.stop.is_some() && self.closing.is_cancelled()
    }

    /// Whether the token of `stop_with` has fired. Not called under the lock either.
    pub(crate) fn is_stopped(&self) -> bool {
        self.options.stop.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// Whether it has no tasks and no reserved slots, and no result of an earlier use.
    pub(crate) fn is_unused(&self) -> bool {
        let state = self.lock();
        !state.closed && state.is_idle() && state.not_finished.len() == 0
    }

    /// Counts a spawn or a reservation that was refused.
    #[cold]
    pub(crate) fn on_refused(&self) {
        if let Some(name) = &self.options.name {
            name.record_refused();
        }
    }

    /// Starts a drain: the pool accepts no more tasks.
    pub(crate) fn start_drain(&self) {
        let mut state = self.lock();
        state.closed = true;
        let tasks = state.tasks();
        let drains = &mut state.drains;
        drains.active += 1;
        if !std::mem::replace(&mut drains.has_started, true) {
            drains.tasks = tasks;
        }
    }

    /// Closes the pool: it accepts no more tasks, and waiting spawns end.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.log_if_cancelled();
        quietly(|| self.closing.cancel());
    }

    /// Counts a reserved slot.
    pub(crate) fn reserve(&self) -> Result<(), Closed> {
        if self.is_closed_by_token() {
            return Err(Closed::NO_TASK);
        }
        let mut state = self.lock();
        if state.closed {
            return Err(Closed::NO_TASK);
        }
        state.reserved += 1;
        state.runtime_id = state.runtime_id.or_else(current_runtime);
        Ok(())
    }

    /// Removes a reserved slot that was dropped without use.
    pub(crate) fn unreserve(&self) {
        let mut state = self.lock();
        state.reserved -= 1;
        self.wake_drains(state);
    }

    /// Adds a task that is about to be spawned.
    pub(crate) fn register(
        &self,
        record: &Arc<TaskRecord>,
        slot_kind: SlotKind,
    ) -> Result<Key, Closed> {
        if slot_kind == SlotKind::New && self.is_closed_by_token() {
            return Err(Closed::of(record.spec()));
        }
        let mut state = self.lock();
        match slot_kind {
            SlotKind::New if state.closed => return Err(Closed::of(record.spec())),
            SlotKind::New => {}
            SlotKind::Reserved => {
                state.reserved -= 1;
                if state.drains.has_started {
                    state.drains.tasks += 1;
                }
            }
        }
        state.runtime_id = state.runtime_id.or_else(current_runtime);
        Ok(state.insert(record, ()))
    }

    /// Removes a finished task.
    pub(crate) fn finish(&self, key: Key, token: Option<CancellationToken>) {
        let mut state = self.lock();
        let (record, ()) = state.remove(key);
        if state.not_finished.has_unlogged() {
            return self.finish_and_log(state, record);
        }
        let renewed = state.tokens.renewed.clone();
        let (present, scope, _) = self.current(&renewed);
        let surplus = state.recycle(token, record, (present, scope));
        self.wake_drains(state);
        drop(surplus);
    }

    /// Like [`finish`](Self::finish), if there are unfinished tasks to log.
    #[cold]
    fn finish_and_log(&self, mut state: State<'_>, record: Arc<TaskRecord>) {
        let should_log = state.should_log(!record.is_marked_unfinished());
        let unlogged = if should_log { state.not_finished.take_unlogged() } else { None };
        self.wake_drains(state);
        drop(record);
        self.log(unlogged);
    }

    /// Records a task that was dropped because its own grace expired.
    pub(crate) fn on_overdue(&self, record: &Arc<TaskRecord>) {
        let mut state = self.lock();
        // Without a drain or a drop, the code that cancelled the task is responsible for it.
        if state.drains.has_started || state.dropped {
            let why = UnfinishedReason::OwnGrace(record.grace());
            state.not_finished.add(record, why, true);
        }
    }

    /// Records a task that ended as cancelled.
    pub(crate) fn on_cancelled(&self, record: &Arc<TaskRecord>) {
        let mut state = self.lock();
        if state.drains.has_cancelled || state.dropped {
            state.not_finished.add(record, UnfinishedReason::Cancelled, true);
        }
    }

    /// Records a task that was dropped before its run ended.
    #[cold]
    pub(crate) fn on_aborted(&self, record: &Arc<TaskRecord>) {
        let unwinds = std::thread::panicking();
        let why = match record.activity() {
            _ if record.is_aborted() => UnfinishedReason::Aborted,
            // Spawned outside a runtime: the spawn panicked in its caller.
            Activity::NotStarted if unwinds && record.id().is_none() => return,
            _ => UnfinishedReason::RuntimeGone,
        };
        let by_handle = record.control().requests().is_aborted_by_handle();
        let mut state = self.lock();
        // What a handle has aborted was cut by no one else, even if `stop_with` had cancelled it.
        if by_handle && !state.drains.has_cancelled && !state.dropped {
            return;
        }
        let is_closed = state.closed;
        state.not_finished.add(record, why, is_closed);
    }

    /// Records a task whose poll panicked outside every `catch_unwind` of its run.
    #[cold]
    pub(crate) fn on_poll_panicked(&self, record: &Arc<TaskRecord>) {
        let mut state = self.lock();
        let is_closed = state.closed;
        state.not_finished.add(record, UnfinishedReason::PollPanicked, is_closed);
    }

    fn title(&self) -> events::PoolTitle {
        events::PoolTitle { name: self.options.name(), place: self.place }
    }

    /// Logs the tasks that did not finish.
    pub(crate) fn log(&self, unlogged: Option<Unlogged>) {
        let Some(Unlogged { tasks, more }) = unlogged else { return };
        let state = self.lock();
        let (drained, dropped) = (state.drains.has_started, state.dropped);
        drop(state);
        if dropped && !drained {
            return events::pool_dropped(tasks.len(), &left(&tasks), self.title());
        }
        let Lines { count, unfinished, cut } = Lines::of(&tasks, more);
        if drained {
            events::not_drained(count, &unfinished, &cut, self.title());
        } else {
            events::pool_tasks_lost(count, &cut, self.title());
        }
    }

    fn wake_drains(&self, state: State<'_>) {
        let drained = state.closed && state.is_idle();
        drop(state);
        if drained {
            quietly(|| self.idle.notify_waiters());
        }
    }

    /// Cancels the tasks. If they are cancelled already, their first cause is kept.
    pub(crate) fn cancel(&self, cause: Cause) {
        let mut state = self.lock();
        state.tokens.stopped = true;
        let renewed = state.tokens.renewed.clone();
        drop(state);
        let (token, scope, cancel_waker) = self.current(&renewed);
        scope.fire(token, cause, || {
            if let Some(cancel_waker) = cancel_waker {
                cancel_waker.fire();
            }
        });
    }

    /// Cancels and aborts the tasks after the last handle was dropped, unless a drain is active.
    pub(crate) fn on_drop(&self) {
        let mut state = self.lock();
        state.dropped = true;
        if state.drains.is_active() {
            return;
        }
        let drained = state.drains.has_completed;
        // A task whose run has ended is only dropping its value. A task that drops its own pool continues, and is
        // logged if it ends as cancelled.
        let live = state.live().filter(|record| !record.is_finished()).cloned();
        let (own, others): (Vec<_>, Vec<_>) = live.partition(|record| context::is_current(record));
        if !drained {
            // Logged below; marked so that they are not logged again when they end.
            others.iter().for_each(|record| _ = record.mark_unfinished());
        }
        let unlogged = state.not_finished.take_unlogged();
        drop(state);
        self.close();
        self.log(unlogged);
        if drained || own.len() + others.len() == 0 {
            return;
        }
        self.cancel(Cause::ScopeDropped);
        if !others.is_empty() {
            let tasks = others.iter().map(|record| UnfinishedTask {
                task: LiveTask::of(record),
                why: UnfinishedReason::StillRan,
            });
            let tasks: Vec<_> = tasks.collect();
            self.tasks.abort();
            events::pool_dropped(tasks.len(), &left(&tasks), self.title());
        }
    }

    /// Returns the token, scope and cancel waker for new tasks.
    pub(crate) fn current<'a>(
        &'a self,
        renewed: &'a Option<Arc<Renewed>>,
    ) -> (&'a CancellationToken, &'a Arc<ScopeNode>, Option<&'a CancelWaker>) {
        match renewed {
            Some(renewed) => (&renewed.token, &renewed.scope, Some(&renewed.cancel_waker)),
            None => (&self.tasks.token, &self.tasks.scope, self.tasks.cancel_waker()),
        }
    }

    /// Returns the replacement of the first token, if code other than the pool has fired that token.
    #[inline]
    pub(crate) fn renewed(&self) -> Option<Arc<Renewed>> {
        if self.is_renewed.load(Ordering::Acquire) {
            self.lock().tokens.renewed.clone()
        } else {
            None
        }
    }

    /// Whether the current token may have fired. Takes no lock.
    #[inline]
    pub(crate) fn may_be_cancelled(&self) -> bool {
        self.is_renewed.load(Ordering::Acquire)
            || self.tasks.cancel_waker().is_some_and(CancelWaker::fired)
    }

    /// Whether code other than the pool has fired the current token.
    ///
    /// The caller has checked [`is_stopped`](Self::is_stopped) before it took the lock.
    fn is_cancelled_by_another(&self, state: &Inner) -> bool {
        let (_, _, cancel_waker) = self.current(&state.tokens.renewed);
        !state.tokens.stopped && cancel_waker.is_some_and(CancelWaker::fired)
    }

    /// Replaces the token if code other than the pool has fired it.
    #[cold]
    pub(crate) fn renew_if_cancelled(&self) {
        if self.is_stopped() {
            return;
        }
        let state = self.lock();
        if !self.is_cancelled_by_another(&state) {
            return;
        }
        let present = state.tokens.renewed.clone();
        drop(state);
        let before = Renewed::before_next(self.current(&present).0, present.as_deref());
        let token = self.options.token();
        let scope = ScopeNode::renewed(token.clone(), &self.tasks.scope);
        let cancel_waker = CancelWaker::new(&token, &scope, self.weak.clone());
        let fresh = Renewed { cancel_waker, scope, token, before };
        let fresh = Some(Arc::new(fresh));

        let mut state = self.lock();
        let is_present = same(&state.tokens.renewed, &present);
        if !is_present || !self.is_cancelled_by_another(&state) {
            return;
        }
        let replaced = std::mem::replace(&mut state.tokens.renewed, fresh);
        let spares = state.take_spares();
        let logged = std::mem::take(&mut state.tokens.logged);
        // Under the lock, so that a reader that gets the new token also gets the new scope.
        self.is_renewed.store(true, Ordering::Release);
        drop(state);
        drop((replaced, spares));
        if !logged {
            events::pool_cancelled_by_another(self.title());
        }
    }

    /// Logs once that code other than the pool has fired its token. Called at the close, since the pool has no later
    /// spawn that would log it.
    pub(crate) fn log_if_cancelled(&self) {
        if !self.may_be_cancelled() || self.is_stopped() {
            return;
        }
        let mut state = self.lock();
        let logs = self.is_cancelled_by_another(&state) && !state.tokens.logged;
        state.tokens.logged |= logs;
        drop(state);
        if logs {
            events::pool_cancelled_by_another(self.title());
        }
    }
}

impl HasTasks for PoolState {
    fn records(&self, into: &mut Vec<Arc<TaskRecord>>) {
        self.tasks.records(into);
    }
}

fn current_runtime() -> Option<runtime::Id> {
    runtime::Handle::try_current().ok().map(|runtime| runtime.id())
}
