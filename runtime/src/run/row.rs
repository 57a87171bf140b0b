//! One live task, as others see it.
//!
//! Invariants
//!
//! 1. A row is listed before its task is given to tokio, and until the task has ended or was dropped:
//!    there is nothing to forget, and no moment at which a live task is missing.
//! 2. Its own task alone writes the times; who looks at them may see one poll late.
//! 3. Who aborts it says so before they ask for its waker; the task keeps its waker before it asks whether it
//!    is aborted. One of the two finds the other.
//!
//! `row/loom.rs` checks 3 for every interleaving, `scope/ledger/loom.rs` what 1 says of an abort.

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

use super::{
    alarm::Wakes,
    frame,
    scope::{MadeBy, Scope},
};
use crate::{
    clock::{AtomicTicks, Ticks},
    panic::quietly,
    spec::TaskSpec,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

#[cfg(all(test, supervised_loom))]
mod loom;
#[cfg(all(test, supervised_loom))]
pub(crate) use self::loom::row as model_row;

pub(crate) struct Row {
    spec: &'static TaskSpec,
    place: &'static Location<'static>,
    scope: Arc<Scope>,
    thread: OnThread,
    /// Of the spawn; where a task drives one run after another, of the run under way.
    born: AtomicTicks,
    /// Of the poll under way.
    polled_since: AtomicTicks,
    begun: AtomicBool,
    /// The run has begun, and has no permit: it waits for one, or for its restart.
    waits: AtomicBool,
    /// The run has been told to stop, by its own token or by that of its scope.
    stopping: AtomicBool,
    /// The run has ended; the task is about to report that.
    ended: AtomicBool,
    /// Whether its pool has entered it as one that did not finish.
    listed: AtomicBool,
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
    NotBegun,
    /// It waits for a permit, or for its restart.
    WaitsToRun,
    /// It is pending at an `.await`.
    Pending,
    /// It has been polled for so long.
    Polled(Duration),
}

impl Row {
    /// The same, in the row of a task of the same scope that has ended, if that has let go of it.
    pub(crate) fn anew(
        spare: Option<Arc<Self>>,
        spec: &'static TaskSpec,
        place: &'static Location<'static>,
        scope: &Arc<Scope>,
        thread: OnThread,
    ) -> Arc<Self> {
        let Some(mut spare) = spare else {
            return Arc::new(Self::new(spec, place, scope.clone(), thread));
        };
        match Arc::get_mut(&mut spare) {
            // Its scope stays: to count a reference more and less is what all threads would fight for.
            Some(row) => {
                row.spec = spec;
                row.place = place;
                row.thread = thread;
                row.born = AtomicTicks::new(Ticks::now());
                row.polled_since = AtomicTicks::new(Ticks::NEVER);
                row.begun = AtomicBool::new(false);
                row.waits = AtomicBool::new(false);
                row.stopping = AtomicBool::new(false);
                row.ended = AtomicBool::new(false);
                row.listed = AtomicBool::new(false);
                row.aborted = AtomicBool::new(false);
                row.waker = Mutex::new(None);
                row.id = OnceLock::new();
                row.runtime = watch::runtime();
                spare
            }
            None => Arc::new(Self::new(spec, place, scope.clone(), thread)),
        }
    }

    /// A task that is about to be spawned.
    pub(crate) fn new(
        spec: &'static TaskSpec,
        place: &'static Location<'static>,
        scope: Arc<Scope>,
        thread: OnThread,
    ) -> Self {
        Self {
            spec,
            place,
            scope,
            thread,
            born: AtomicTicks::new(Ticks::now()),
            polled_since: AtomicTicks::new(Ticks::NEVER),
            begun: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            listed: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            waker: Mutex::new(None),
            id: OnceLock::new(),
            runtime: watch::runtime(),
        }
    }

    pub(crate) fn spec(&self) -> &'static TaskSpec {
        self.spec
    }

    pub(crate) fn place(&self) -> &'static Location<'static> {
        self.place
    }

    pub(crate) fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// The task that its scope was made in.
    pub(crate) fn parent(&self) -> Option<&MadeBy> {
        self.scope.made_by()
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
    pub(crate) fn born(&self) -> Ticks {
        self.born.load()
    }

    pub(crate) fn age(&self) -> Duration {
        Duration::from_nanos(self.born.load().elapsed_nanos())
    }

    pub(crate) fn spawned(&self, id: Id) {
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
    pub(crate) fn keep_waker(&self, waker: &Waker) {
        let before = self.waker().replace(waker.clone());
        drop(before);
    }

    /// The task has ended: its waker would keep its memory.
    pub(crate) fn forget_waker(&self) {
        let waker = self.waker().take();
        drop(waker);
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reading of the clock, and whether it is the first poll.
    pub(crate) fn poll_begins(&self) -> (Ticks, bool) {
        let now = Ticks::now();
        self.polled_since.store(now);
        let begun = self.begun.load(Ordering::Relaxed);
        if !begun {
            self.begun.store(true, Ordering::Relaxed);
        }
        (now, !begun)
    }

    pub(crate) fn poll_ends(&self) {
        self.polled_since.store(Ticks::NEVER);
    }

    /// The task drives another run from now on. Read off the poll under way, since a clock costs.
    pub(crate) fn begins_anew(&self) {
        self.born.store(self.polled_since.load());
        self.stopping.store(false, Ordering::Relaxed);
    }

    /// The run that the task is has begun to wait for a permit or a restart, or waits no more.
    pub(super) fn waits(&self, now: bool) {
        self.waits.store(now, Ordering::Relaxed);
    }

    /// The run that the task is has been told to stop.
    pub(super) fn stops(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the run has been told to stop, or is about to be.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed) || self.scope.is_stopping()
    }

    /// Whether tokio polls, or drops, this task now, as far as its id is known: what runs on top of a `LocalSet` that
    /// the task drives is another task.
    pub(super) fn is_current(&self) -> bool {
        match (self.id(), tokio::task::try_id()) {
            (Some(own), Some(now)) => own == now,
            // The body of a main is no task to tokio; the id of any other may still be on its way.
            (None, Some(_)) => self.thread != OnThread::Entry,
            (_, None) => true,
        }
    }

    /// Whether the code that runs now is this task's.
    pub(crate) fn runs_here(&self) -> bool {
        frame::current_row(|row| std::ptr::eq(Arc::as_ptr(row), self)).unwrap_or(false)
    }

    /// The run has ended, and what it returned may be dropped before the task leaves its scope.
    pub(crate) fn ends(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// True where it was not in the list yet. The lock of its pool is held, here and below.
    pub(crate) fn enlist(&self) -> bool {
        !self.listed.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn is_enlisted(&self) -> bool {
        self.listed.load(Ordering::Relaxed)
    }

    pub(crate) fn activity(&self) -> Activity {
        let since = self.polled_since.load();
        if !since.is_never() {
            return Activity::Polled(Duration::from_nanos(since.elapsed_nanos()));
        }
        if !self.begun.load(Ordering::Relaxed) {
            return Activity::NotBegun;
        }
        if self.waits.load(Ordering::Relaxed) { Activity::WaitsToRun } else { Activity::Pending }
    }
}

impl Wakes for Row {
    fn wake_tasks(&self) {
        // A waker is foreign code: not under the lock.
        let waker = self.waker().clone();
        if let Some(waker) = waker {
            // That of who polls a `LocalSet` may be anybody's.
            quietly(|| waker.wake());
        }
    }
}

/// Whether rows keep their runtime, which costs each spawn a little: only who looks for leaks asks.
pub(crate) mod watch {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{Handle, runtime};

    static WATCHED: AtomicBool = AtomicBool::new(false);

    /// From now on, in the whole process.
    pub(crate) fn begin() {
        WATCHED.store(true, Ordering::Relaxed);
    }

    pub(super) fn runtime() -> Option<runtime::Id> {
        if !WATCHED.load(Ordering::Relaxed) {
            return None;
        }
        Handle::try_current().ok().map(|runtime| runtime.id())
    }
}
