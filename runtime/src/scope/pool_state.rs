//! What a pool knows of its tasks.
//!
//! Invariants
//!
//! 1. What was accepted, a task or a reserved slot, is counted before the accepting call returns, and until
//!    it has ended: a drain waits for all of it.
//! 2. Nothing is accepted after the pool has closed, but what a reserved slot was for. Both are decided
//!    under one lock.
//! 3. A task leaves before it gives its slot back: there are never more tasks than slots.
//! 4. Nothing grows with the number of tasks that have ended.
//! 5. No user code runs under the lock: closures, futures, errors and wakers are called and dropped outside.
//! 6. What there is when all is aborted is aborted, and so is what is entered later.
//! 7. A task that did not finish is entered in `not_finished` before it leaves: no drain returns `Ok` for it.
//! 8. A token that something other than the pool has fired is replaced before the next task is made: later tasks are
//!    not cancelled by it. Once the pool has stopped, its token has fired and stays. A task keeps the token, scope and
//!    cancel waker that it was launched with.
//!
//! `pool_state/loom.rs` checks 1, 2, 3, 6, 7 and 8 for every interleaving.

use std::{
    panic::Location,
    sync::{Arc, PoisonError, Weak},
};

use tokio::runtime::{self, Handle};
use tokio_util::sync::CancellationToken;

use super::{
    drain::Drains,
    pool_token::Tokens,
    pool_unfinished::{NotFinishedTasks, Unlogged},
    refused::Closed,
    slots::Slots,
    spares::{Spare, Spares},
};
use crate::{
    Cause, LiveTask, events,
    limit::Limit,
    panic::quietly,
    registry::{self, Drain, HasTasks, Key, Lines, POOLS, Registration, Slab, UnfinishedReason},
    run::{
        cancel_waker::CancelWaker,
        record::{Activity, TaskRecord},
        scope::Scope,
    },
    sync::{Mutex, MutexGuard, Notify, OnceLock, atomic::AtomicBool},
};

#[cfg(all(test, supervised_loom))]
mod loom;

/// What the handles and the tasks of a pool share.
pub(super) struct Shared {
    /// The first one, as are the scope and the cancel waker: see `pool_token`.
    pub(super) token: CancellationToken,
    pub(super) scope: Arc<Scope>,
    pub(super) limit: Arc<Limit>,
    pub(super) slots: Slots,
    /// Fires when the pool closes: wakes the spawns that wait.
    pub(super) closing: CancellationToken,
    pub(super) place: &'static Location<'static>,
    /// Told when nothing is left of a closed pool.
    pub(super) idle: Notify,
    /// Whether tasks have another token than the first one by now.
    pub(super) is_renewed: AtomicBool,
    seen: OnceLock<Seen>,
    state: Mutex<State>,
}

/// What a pool has since it was made.
struct Seen {
    weak: Weak<Shared>,
    /// Wakes its tasks when its token fires.
    cancel_waker: CancelWaker,
    /// With its tasks.
    _registration: Registration<dyn HasTasks>,
    /// To be drained.
    _to_drain: Registration<dyn Drain>,
}

#[derive(Default)]
pub(super) struct State {
    records: Slab<Arc<TaskRecord>>,
    pub(super) reserved: usize,
    closed: bool,
    /// The runtime that it was made or first used in.
    pub(super) home: Option<runtime::Id>,
    /// What there was has been aborted: so is what arrives.
    aborted: bool,
    /// There is no handle any more.
    pub(super) abandoned: bool,
    pub(super) drains: Drains,
    pub(super) not_finished: NotFinishedTasks,
    pub(super) tokens: Tokens,
    pub(super) spares: Spares,
}

/// What a task is accepted with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ticket {
    /// A slot that was free a moment ago.
    New,
    /// A reserved one.
    Reserved,
}

impl State {
    /// How many tasks have not ended.
    pub(super) fn tasks(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.tasks() + self.reserved == 0
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Arc<TaskRecord>> {
        self.records.iter()
    }

    /// Whether the task that leaves logs what did not finish: a drain that is under way does it by itself, and of the
    /// tasks of a runtime that is gone more will come.
    fn logs_now(&self, finished: bool) -> bool {
        let more_will_come = !finished && !self.is_idle() && !self.not_finished.is_due();
        !self.drains.under_way() && !more_will_come
    }
}

impl Shared {
    pub(super) fn new(limit: usize, place: &'static Location<'static>) -> Self {
        let limit = Arc::new(Limit::new(limit));
        let token = CancellationToken::new();
        Self {
            scope: Scope::root(token.clone()),
            token,
            seen: OnceLock::new(),
            slots: Slots::of(limit.clone()),
            limit,
            closing: CancellationToken::new(),
            place,
            idle: Notify::new(),
            is_renewed: AtomicBool::new(false),
            state: Mutex::new(State { home: current_runtime(), ..State::default() }),
        }
    }

    /// Puts it into the lists of the process.
    pub(super) fn list(self: &Arc<Self>) {
        let weak: Weak<Self> = Arc::downgrade(self);
        self.seen.get_or_init(|| Seen {
            cancel_waker: CancelWaker::new(&self.token, &self.scope, weak.clone()),
            _registration: registry::register(self),
            _to_drain: POOLS.register(weak.clone()),
            weak,
        });
    }

    /// A handle on the token for one more task, and a record if there is one to spare.
    pub(super) fn token(&self) -> (CancellationToken, Option<Arc<TaskRecord>>) {
        if self.may_be_cancelled() {
            self.renew_if_cancelled();
        }
        let mut state = self.state();
        let Spare { token, record } = state.spares.take();
        let renewed = state.tokens.renewed();
        drop(state);
        (token.unwrap_or_else(|| self.current(&renewed).0.clone()), record)
    }

    /// Wakes the tasks that have the first token.
    #[inline]
    pub(super) fn first_cancel_waker(&self) -> Option<&CancelWaker> {
        self.seen.get().map(|seen| &seen.cancel_waker)
    }

    pub(super) fn weak(&self) -> Option<Weak<Self>> {
        self.seen.get().map(|seen| seen.weak.clone())
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Takes nothing more, and ends the spawns that wait.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.log_if_cancelled();
        quietly(|| self.closing.cancel());
    }

    /// A slot was taken for work to come.
    pub(super) fn reserve(&self) -> Result<(), Closed> {
        let mut state = self.state();
        if state.closed {
            return Err(Closed);
        }
        state.reserved += 1;
        state.home = state.home.or_else(current_runtime);
        Ok(())
    }

    /// A reserved slot was dropped.
    pub(super) fn unreserve(&self) {
        let mut state = self.state();
        state.reserved -= 1;
        self.wake_drains(state);
    }

    /// Enters a task that is about to be spawned.
    pub(super) fn enter(&self, record: &Arc<TaskRecord>, ticket: Ticket) -> Result<Key, Closed> {
        let mut state = self.state();
        match ticket {
            Ticket::New if state.closed => return Err(Closed),
            Ticket::New => {}
            Ticket::Reserved => state.reserved -= 1,
        }
        state.home = state.home.or_else(current_runtime);
        if state.aborted {
            record.abort();
        }
        Ok(state.records.insert(record.clone()))
    }

    /// A task has ended.
    pub(super) fn leave(&self, key: Key, token: Option<CancellationToken>) {
        let mut state = self.state();
        let record = state.records.remove(key);
        if state.not_finished.has_unlogged() {
            return self.leave_and_log(state, record);
        }
        let surplus = state.keep(Spare { token, record }, &self.token);
        self.wake_drains(state);
        drop(surplus);
    }

    /// The same where tasks did not finish.
    #[cold]
    fn leave_and_log(&self, mut state: MutexGuard<'_, State>, record: Option<Arc<TaskRecord>>) {
        let finished = record.as_ref().is_some_and(|record| !record.is_marked_unfinished());
        let logs_now = state.logs_now(finished);
        let unlogged = if logs_now { state.not_finished.take_unlogged() } else { None };
        self.wake_drains(state);
        drop(record);
        self.log(unlogged);
    }

    /// A task was dropped since it had not stopped within its own grace, which is logged.
    pub(super) fn overdue(&self, record: &Arc<TaskRecord>) {
        let mut state = self.state();
        // Without a drain that is the business of who cancelled it.
        if state.drains.has_begun() || state.abandoned {
            let why = UnfinishedReason::OwnGrace(record.spec().grace());
            state.not_finished.enter(record, why, true);
        }
    }

    /// A task has ended as cancelled.
    pub(super) fn cancelled(&self, record: &Arc<TaskRecord>) {
        let mut state = self.state();
        if state.drains.has_cancelled() || state.abandoned {
            state.not_finished.enter(record, UnfinishedReason::Cancelled, true);
        }
    }

    /// A task was dropped before its run had ended.
    #[cold]
    pub(super) fn aborted(&self, record: &Arc<TaskRecord>) {
        let unwinds = std::thread::panicking();
        let why = match record.activity() {
            _ if record.is_aborted() => UnfinishedReason::Aborted,
            // Its spawn panicked, outside of a runtime, which the caller has.
            Activity::NotStarted if unwinds && record.id().is_none() => return,
            _ => UnfinishedReason::RuntimeGone,
        };
        let mut state = self.state();
        let is_closed = state.closed;
        state.not_finished.enter(record, why, is_closed);
    }

    /// A poll of a task panicked outside of all boundaries.
    #[cold]
    pub(super) fn unwound(&self, record: &Arc<TaskRecord>) {
        let mut state = self.state();
        let is_closed = state.closed;
        state.not_finished.enter(record, UnfinishedReason::PollPanicked, is_closed);
    }

    /// Logs tasks that did not finish.
    pub(super) fn log(&self, unlogged: Option<Unlogged>) {
        let Some(Unlogged { tasks, more }) = unlogged else { return };
        let state = self.state();
        let (drained, abandoned) = (state.drains.has_begun(), state.abandoned);
        drop(state);
        if abandoned && !drained {
            return events::pool_dropped(&tasks, self.place);
        }
        let Lines { count, unfinished, cut } = Lines::of(&tasks, more);
        if drained {
            events::not_drained(count, &unfinished, &cut, self.place);
        } else {
            events::pool_tasks_lost(count, &cut, self.place);
        }
    }

    fn wake_drains(&self, state: MutexGuard<'_, State>) {
        let drained = state.closed && state.is_idle();
        drop(state);
        if drained {
            quietly(|| self.idle.notify_waiters());
        }
    }

    /// Cancels what runs; where it is cancelled already, that has a cause of its own.
    pub(super) fn stop(&self, cause: Cause) {
        let mut state = self.state();
        state.tokens.stop();
        let renewed = state.tokens.renewed();
        drop(state);
        let (token, scope, cancel_waker) = self.current(&renewed);
        if !token.is_cancelled() {
            let fired = scope.cancel(cause, || quietly(|| token.cancel()));
            if let (false, Some(cancel_waker)) = (fired, cancel_waker) {
                cancel_waker.fire();
            }
        }
    }

    /// Aborts what runs, and what is being spawned.
    pub(super) fn abort(&self) {
        let mut state = self.state();
        state.aborted = true;
        let records: Vec<_> = state.live().cloned().collect();
        drop(state);
        for record in records {
            record.abort();
        }
    }

    /// The last handle is gone. What is being drained is left to the drain.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.abandoned = true;
        if state.drains.under_way() {
            return;
        }
        let drained = state.drains.came_to_an_end();
        // A task whose run has ended drops what it returned. One that drops its own pool goes on: it is logged if it
        // ends as cancelled.
        let live = state.live().filter(|record| !record.is_finished()).cloned();
        let (own, others): (Vec<_>, Vec<_>) = live.partition(|record| record.is_current());
        if !drained {
            // Logged below, and not once more at their ends.
            others.iter().for_each(|record| _ = record.mark_unfinished());
        }
        let unlogged = state.not_finished.take_unlogged();
        drop(state);
        self.close();
        self.log(unlogged);
        if drained || own.len() + others.len() == 0 {
            return;
        }
        self.stop(Cause::ScopeDropped);
        if !others.is_empty() {
            let told = others.iter().map(|record| LiveTask::of(record)).collect::<Vec<_>>();
            self.abort();
            events::pool_dropped(&told, self.place);
        }
    }
}

impl HasTasks for Shared {
    fn records(&self, into: &mut Vec<Arc<TaskRecord>>) {
        into.extend(self.state().live().cloned());
    }
}

fn current_runtime() -> Option<runtime::Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}
