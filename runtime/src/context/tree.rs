//! One live task, as others see it.
//!
//! Invariants
//!
//! 1. A record is listed before its task is given to tokio, and until the task has ended or was dropped:
//!    there is nothing to forget, and no moment at which a live task is missing.
//! 2. Its own task alone writes the times; who looks at them may see one poll late.
//! 3. Who aborts it says so before they ask for its waker; the task keeps its waker before it asks whether it
//!    is aborted. One of the two finds the other.
//!
//! `record/loom.rs` checks 3 for every interleaving, `group/state/loom.rs` what 1 says of an abort.

use std::{
    panic::Location,
    sync::{Arc, OnceLock, PoisonError},
    task::Waker,
    time::Duration,
};

use tokio::{
    runtime::{self, Handle},
    task::Id,
};

use crate::{
    clock::{AtomicTicks, Ticks},
    function::TaskSpec,
    panic::quietly,
    sync::{Mutex, MutexGuard, atomic::AtomicBool, atomic::Ordering},
};
use crate::{
    context::cancel_waker::WakeAll,
    context::{ParentRef, Scope, shields},
};

#[cfg(all(test, supervised_loom))]
pub(crate) mod loom;

pub(crate) struct TaskRecord {
    spec: &'static TaskSpec,
    spawned_at: &'static Location<'static>,
    scope: Arc<Scope>,
    thread: OnThread,
    /// Of the spawn; where a task drives one run after another, of the run under way.
    since: AtomicTicks,
    /// Of the poll under way.
    polled_since: AtomicTicks,
    started: AtomicBool,
    /// The run has begun, and has no permit: it waits for one, or for its restart.
    waiting: AtomicBool,
    /// The run has been told to stop, by its own token or by that of its scope.
    stopping: AtomicBool,
    /// The run has ended; the task is about to report that.
    finished: AtomicBool,
    /// Whether its pool has entered it as one that did not finish.
    unfinished: AtomicBool,
    /// To be dropped by its next poll.
    aborted: AtomicBool,
    /// Of the task, once it has been pending.
    waker: Mutex<Option<Waker>>,
    /// Arrives after the spawn.
    id: OnceLock<Id>,
    /// Known where someone looks for leaks.
    runtime: Option<runtime::Id>,
}

/// The thread that a task has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnThread {
    /// A worker of the runtime.
    Worker,
    /// The one that spawned it.
    Local,
    /// One for work that blocks.
    Blocking,
    /// That of the body of a `main` or a test, which tokio knows as no task.
    Entry,
}

/// What a task does with its thread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Nothing yet: it has not been polled, since no thread was free for it.
    NotStarted,
    /// It waits for a permit, or for its restart.
    Waiting,
    /// It is pending at an `.await`.
    Pending,
    /// It has been polled for so long.
    Polled(Duration),
}

impl TaskRecord {
    /// The same, in the record of a task of the same scope that has ended, if that has let go of it.
    pub(crate) fn recycle_or_new(
        spare: Option<Arc<Self>>,
        spec: &'static TaskSpec,
        spawned_at: &'static Location<'static>,
        scope: &Arc<Scope>,
        thread: OnThread,
    ) -> Arc<Self> {
        let Some(mut spare) = spare else {
            return Arc::new(Self::new(spec, spawned_at, scope.clone(), thread));
        };
        match Arc::get_mut(&mut spare) {
            // Its scope stays: to count a reference more and less is what all threads would fight for.
            Some(record) => {
                record.spec = spec;
                record.spawned_at = spawned_at;
                record.thread = thread;
                record.since = AtomicTicks::new(Ticks::now());
                record.polled_since = AtomicTicks::new(Ticks::NEVER);
                record.started = AtomicBool::new(false);
                record.waiting = AtomicBool::new(false);
                record.stopping = AtomicBool::new(false);
                record.finished = AtomicBool::new(false);
                record.unfinished = AtomicBool::new(false);
                record.aborted = AtomicBool::new(false);
                record.waker = Mutex::new(None);
                record.id = OnceLock::new();
                record.runtime = watch::runtime();
                spare
            }
            None => Arc::new(Self::new(spec, spawned_at, scope.clone(), thread)),
        }
    }

    /// A task that is about to be spawned.
    pub(crate) fn new(
        spec: &'static TaskSpec,
        spawned_at: &'static Location<'static>,
        scope: Arc<Scope>,
        thread: OnThread,
    ) -> Self {
        Self {
            spec,
            spawned_at,
            scope,
            thread,
            since: AtomicTicks::new(Ticks::now()),
            polled_since: AtomicTicks::new(Ticks::NEVER),
            started: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            unfinished: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            waker: Mutex::new(None),
            id: OnceLock::new(),
            runtime: watch::runtime(),
        }
    }

    pub(crate) fn spec(&self) -> &'static TaskSpec {
        self.spec
    }

    pub(crate) fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    pub(crate) fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// The task that its scope was made in.
    pub(crate) fn parent(&self) -> Option<&ParentRef> {
        self.scope.parent_task()
    }

    pub(crate) fn thread(&self) -> OnThread {
        self.thread
    }

    pub(crate) fn runtime(&self) -> Option<runtime::Id> {
        self.runtime
    }

    pub(crate) fn id(&self) -> Option<Id> {
        self.id.get().copied()
    }

    /// For an order: the older, the less.
    pub(crate) fn since(&self) -> Ticks {
        self.since.load()
    }

    pub(crate) fn age(&self) -> Duration {
        Duration::from_nanos(self.since.load().elapsed_nanos())
    }

    pub(crate) fn set_id(&self, id: Id) {
        _ = self.id.set(id);
    }

    /// Drops the task, at its next `.await`: as an abort of tokio's does, without a handle for each task.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
        self.wake_tasks();
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// The task is pending for the first time. Who wakes it from now on finds it; who was to wake it before did
    /// not: the caller has to look.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        let before = self.waker().replace(waker.clone());
        drop(before);
    }

    /// The task has ended: its waker would keep its memory.
    pub(crate) fn clear_waker(&self) {
        let waker = self.waker().take();
        drop(waker);
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reading of the clock, and whether it is the first poll.
    pub(crate) fn enter_poll(&self) -> (Ticks, bool) {
        let now = Ticks::now();
        self.polled_since.store(now);
        let started = self.started.load(Ordering::Relaxed);
        if !started {
            self.started.store(true, Ordering::Relaxed);
        }
        (now, !started)
    }

    pub(crate) fn exit_poll(&self) {
        self.polled_since.store(Ticks::NEVER);
    }

    /// The task drives another run from now on. Read off the poll under way, since a clock costs.
    pub(crate) fn reset_clock(&self) {
        self.since.store(self.polled_since.load());
        self.stopping.store(false, Ordering::Relaxed);
    }

    /// The run that the task is has begun to wait for a permit or a restart, or waits no more.
    pub(crate) fn set_waiting(&self, now: bool) {
        self.waiting.store(now, Ordering::Relaxed);
    }

    /// The run that the task is has been told to stop.
    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the run has been told to stop, or is about to be.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed) || self.scope.is_stopping()
    }

    /// Whether tokio polls, or drops, this task now, as far as its id is known: what runs on top of a `LocalSet` that
    /// the task drives is another task.
    pub(crate) fn is_current_tokio_task(&self) -> bool {
        match (self.id(), tokio::task::try_id()) {
            (Some(own), Some(now)) => own == now,
            // The body of a main is no task to tokio; the id of any other may still be on its way.
            (None, Some(_)) => self.thread != OnThread::Entry,
            (_, None) => true,
        }
    }

    /// Whether the code that runs now is this task's.
    pub(crate) fn is_current(&self) -> bool {
        shields::current_record(|record| std::ptr::eq(Arc::as_ptr(record), self)).unwrap_or(false)
    }

    /// The run has ended, and what it returned may be dropped before the task leaves its scope.
    pub(crate) fn set_finished(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    /// True where it was not in the list yet. The lock of its pool is held, here and below.
    pub(crate) fn mark_unfinished(&self) -> bool {
        !self.unfinished.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn is_marked_unfinished(&self) -> bool {
        self.unfinished.load(Ordering::Relaxed)
    }

    pub(crate) fn activity(&self) -> Activity {
        let since = self.polled_since.load();
        if !since.is_never() {
            return Activity::Polled(Duration::from_nanos(since.elapsed_nanos()));
        }
        if !self.started.load(Ordering::Relaxed) {
            return Activity::NotStarted;
        }
        if self.waiting.load(Ordering::Relaxed) { Activity::Waiting } else { Activity::Pending }
    }
}

impl WakeAll for TaskRecord {
    fn wake_tasks(&self) {
        // A waker is foreign code: not under the lock.
        let waker = self.waker().clone();
        if let Some(waker) = waker {
            // That of who polls a `LocalSet` may be anybody's.
            quietly(|| waker.wake());
        }
    }
}

/// Whether records keep their runtime, which costs each spawn a little: only who looks for leaks asks.
pub(crate) mod watch {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{Handle, runtime};

    static WATCHED: AtomicBool = AtomicBool::new(false);

    /// From now on, in the whole process.
    pub(crate) fn start() {
        WATCHED.store(true, Ordering::Relaxed);
    }

    pub(crate) fn runtime() -> Option<runtime::Id> {
        if !WATCHED.load(Ordering::Relaxed) {
            return None;
        }
        Handle::try_current().ok().map(|runtime| runtime.id())
    }
}
