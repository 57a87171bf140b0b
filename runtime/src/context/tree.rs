//! The tree of scopes and tasks: a [`TaskRecord`] is one live task as others see it, a [`ScopeNode`] one group, `map`,
//! pool or main, which can be cancelled as a whole. They are in one file because they refer to each other: a record
//! holds its scope, and a scope knows, weakly, the task that it was made in.
//!
//! Invariants of records
//!
//! 1. A record is listed before its task is given to tokio, and until the task has ended or was dropped. Otherwise a
//!    live task would be missing for a moment, and an abort could miss it. (`group/state/loom.rs`)
//! 2. Only its own task writes the times; a reader may see them one poll late.
//! 3. An abort or a cancel sets its flag before it takes the waker; the task stores its waker before it checks the flags.
//!    So one of the two sees the other. Otherwise an aborted task could sleep forever. (`context/tree/loom.rs`)
//! 4. A task that has a handle stores the token of its body, or finds itself cancelled, under one lock with the cancel of
//!    its handle. Otherwise a body that starts at that moment would miss the cancel. (`context/tree/loom.rs`) Without a
//!    handle nothing fires that token by the record.
//!
//! Invariants of scopes
//!
//! 5. A cause is set once, before the token that it explains fires. (`context/loom.rs`)
//! 6. A scope knows the runs that it was made in, which wait for it. They may have ended since: they hold a permit or a
//!    slot only as long as their [`RunShields`] are alive. So may the task have ended: it is known by its record.
//! 7. A scope owns no enclosing scope or task: a chain of nested scopes would grow with the uptime of the program, and
//!    be dropped recursively. (`tests/spec/composition/chains.rs`) So a cause is published, not read from the enclosing
//!    scopes: see `reason.rs`.

use std::{
    panic::Location,
    sync::{Arc, PoisonError, Weak},
    task::Waker,
    time::Duration,
};

use tokio::{
    runtime::{self, Handle},
    task::Id,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    cause::Cause,
    clock::{AtomicTicks, Ticks},
    context::{
        control::Control, lines::Frames, reason::CancelEpoch, reason::Reason, service::ServiceNode,
        shields::RunShields,
    },
    error::Origin,
    function::TaskSpec,
    outcome::Outcome,
    panic::quietly,
    sync,
    sync::{Mutex, MutexGuard, OnceLock, atomic::AtomicBool, atomic::Ordering},
    tuning::{Label, Tuning},
};

#[cfg(all(test, supervised_loom))]
pub(crate) mod loom;

/// One live task, as others see it.
pub(crate) struct TaskRecord {
    spec: &'static TaskSpec,
    spawned_at: &'static Location<'static>,
    scope: Arc<ScopeNode>,
    thread: OnThread,
    /// The options of its call, if it has some. The worker of a map changes them with each run.
    tuning: Mutex<Option<Arc<Tuning>>>,
    /// The lines at which its runs wait.
    frames: Frames,
    state: RecordState,
}

/// The part of a record that is reset when the record is recycled.
struct RecordState {
    /// The time of the spawn, or of the start of the current run, if the task drives one run after another.
    since: AtomicTicks,
    /// The start of the current poll.
    polled_since: AtomicTicks,
    started: AtomicBool,
    /// The run has started and has no permit: it waits for one, or for its restart.
    waiting: AtomicBool,
    /// The last run has failed, and the task waits for its restart.
    restarting: AtomicBool,
    /// The run was cancelled, by its own token or by that of its scope.
    stopping: AtomicBool,
    /// The run has ended; the task is about to report that.
    finished: AtomicBool,
    /// Its pool has listed it as unfinished.
    unfinished: AtomicBool,
    /// What the owner and the handles of the task have requested, and how it ended.
    control: Control,
    links: Mutex<Links>,
    /// Set if someone checks for leaks.
    runtime: Option<runtime::Id>,
}

/// What reaches a task from outside.
#[derive(Default)]
struct Links {
    /// Kept from the first poll that was pending.
    waker: Option<Waker>,
    /// Set after the spawn.
    id: Option<Id>,
    /// The token of its body, from the first poll until the end, if the body takes one and the task may have handles.
    token: Option<CancellationToken>,
}

/// The kind of thread that runs a task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnThread {
    /// A worker of the runtime.
    Worker,
    /// The thread that spawned it.
    Local,
    /// A thread for blocking work.
    Blocking,
    /// The thread of the body of a `main` or a test, which is not a tokio task.
    Entry,
}

/// How a task uses its thread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Not polled yet: no thread was free.
    NotStarted,
    /// It waits for a permit, or for its restart.
    Waiting,
    /// It is pending at an `.await`.
    Pending,
    /// It is being polled, for this long.
    Polled(Duration),
}

impl TaskRecord {
    /// Returns the record of a task that is about to be spawned. Reuses `spare`, the record of an ended task of the
    /// same scope, if nothing else refers to it.
    pub(crate) fn recycle_or_new(
        spare: Option<Arc<Self>>,
        spec: &'static TaskSpec,
        spawned_at: &'static Location<'static>,
        scope: &Arc<ScopeNode>,
        thread: OnThread,
    ) -> Arc<Self> {
        let Some(mut spare) = spare else {
            return Arc::new(Self::new(spec, spawned_at, scope.clone(), thread));
        };
        match Arc::get_mut(&mut spare) {
            // The scope stays: all threads would contend for its count of references.
            Some(record) => {
                record.spec = spec;
                record.spawned_at = spawned_at;
                record.thread = thread;
                let tuning = record.tuning.get_mut().unwrap_or_else(PoisonError::into_inner);
                if tuning.is_some() {
                    *tuning = None;
                }
                record.frames.clear();
                record.state = RecordState::new();
                spare
            }
            None => Arc::new(Self::new(spec, spawned_at, scope.clone(), thread)),
        }
    }

    /// A task that is about to be spawned.
    pub(crate) fn new(
        spec: &'static TaskSpec,
        spawned_at: &'static Location<'static>,
        scope: Arc<ScopeNode>,
        thread: OnThread,
    ) -> Self {
        let tuning = Mutex::new(None);
        let (frames, state) = (Frames::new(), RecordState::new());
        Self { spec, spawned_at, scope, thread, tuning, frames, state }
    }

    pub(crate) fn spec(&self) -> &'static TaskSpec {
        self.spec
    }

    /// Sets the options of the call that the task drives.
    pub(crate) fn set_tuning(&self, tuning: Option<Arc<Tuning>>) {
        let before = std::mem::replace(&mut *self.tuning(), tuning);
        drop(before);
    }

    fn tuning(&self) -> MutexGuard<'_, Option<Arc<Tuning>>> {
        self.tuning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The label of the call.
    pub(crate) fn label(&self) -> Option<Label> {
        self.tuning().as_ref().and_then(|tuning| tuning.label.clone())
    }

    /// The grace of the call, else that of the function.
    pub(crate) fn grace(&self) -> Option<Duration> {
        self.tuning().as_ref().and_then(|tuning| tuning.grace).or(self.spec.grace())
    }

    /// The function and the label of the call, for an error.
    pub(crate) fn origin(&self) -> Origin {
        Origin::of_call(self.spec, self.label().as_ref())
    }

    pub(crate) fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    pub(crate) fn scope(&self) -> &Arc<ScopeNode> {
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
        self.state.runtime
    }

    pub(crate) fn id(&self) -> Option<Id> {
        self.links().id
    }

    /// An ordering key: an older task has a smaller one.
    pub(crate) fn since(&self) -> Ticks {
        self.state.since.load()
    }

    pub(crate) fn age(&self) -> Duration {
        Duration::from_nanos(self.state.since.load().elapsed_nanos())
    }

    pub(crate) fn set_id(&self, id: Id) {
        self.links().id = Some(id);
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.state.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the owner and the handles of the task have requested, and how it ended.
    pub(crate) fn control(&self) -> &Control {
        &self.state.control
    }

    /// Drops the task at its next `.await`, as an abort of tokio does, but without a handle for each task.
    pub(crate) fn abort(&self) {
        self.state.control.abort();
        self.wake();
    }

    /// The same for a handle of the task, which stops no other.
    pub(crate) fn abort_by_handle(&self) {
        if self.state.control.abort_by_handle(self.scope.is_stopping()) {
            self.wake();
        }
    }

    /// Cancels the task alone, for its handle. The cause of an earlier cancellation stays.
    pub(crate) fn cancel_by_handle(&self) {
        if self.is_stopping() {
            return;
        }
        let links = self.links();
        let cancelled = self.state.control.cancel_by_handle();
        let token = links.token.clone();
        drop(links);
        if !cancelled {
            return;
        }
        if let Some(token) = token {
            fire_by_handle(&token);
        }
        self.wake();
    }

    /// Keeps the token of the body that is about to start, which a cancel of the handle fires. If that has come first,
    /// the token fires here, and the body never starts.
    pub(crate) fn set_token(&self, token: &CancellationToken) {
        let kept = token.clone();
        let mut links = self.links();
        links.token = Some(kept);
        let requests = self.state.control.keep_token();
        drop(links);
        if requests.is_cancelled() {
            fire_by_handle(token);
        }
    }

    /// Records that the task has ended, and that nothing is left of it. Wakes those that wait for that.
    #[inline]
    pub(crate) fn set_ended(&self, outcome: Outcome) {
        if self.state.control.set_ended(outcome) {
            let token = self.links().token.take();
            // Outside the lock: it takes those of the tokens around.
            drop(token);
        }
    }

    /// The same for a task that was dropped before its run had ended.
    #[cold]
    pub(crate) fn set_dropped(&self) {
        let default = if self.is_stopping() { Outcome::Cancelled } else { Outcome::Dropped };
        self.set_ended(self.state.control.dropped_as().unwrap_or(default));
    }

    /// Wakes the task, if it has kept its waker.
    pub(super) fn wake(&self) {
        // A waker is foreign code: called without the lock.
        let waker = self.links().waker.clone();
        if let Some(waker) = waker {
            // Its panic must not reach the caller.
            quietly(|| waker.wake());
        }
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.state.control.requests().is_aborted()
    }

    /// Keeps the waker of a task that is pending for the first time. A wake before that was lost: the caller checks for
    /// requests afterwards.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        let waker = waker.clone();
        let before = self.links().waker.replace(waker);
        drop(before);
    }

    /// Drops the waker of a task that has ended, which would keep the memory of the task.
    pub(crate) fn clear_waker(&self) {
        let waker = self.links().waker.take();
        drop(waker);
    }

    /// Returns the time, and whether this is the first poll.
    pub(crate) fn enter_poll(&self) -> (Ticks, bool) {
        let now = Ticks::now();
        self.state.polled_since.store(now);
        let started = self.state.started.load(Ordering::Relaxed);
        if !started {
            self.state.started.store(true, Ordering::Relaxed);
        }
        (now, !started)
    }

    pub(crate) fn exit_poll(&self) {
        self.state.polled_since.store(Ticks::NEVER);
    }

    /// The task drives another run from now on. Takes the time of the current poll, since reading the clock is
    /// expensive.
    pub(crate) fn reset_clock(&self) {
        self.state.since.store(self.state.polled_since.load());
        self.frames.clear();
        self.state.stopping.store(false, Ordering::Relaxed);
    }

    /// Sets whether the run that the task drives waits for a permit or a restart.
    pub(crate) fn set_waiting(&self, now: bool) {
        self.state.waiting.store(now, Ordering::Relaxed);
    }

    /// Sets whether the last run that the task drove has failed, and the next one has not started.
    pub(crate) fn set_restarting(&self, now: bool) {
        self.state.restarting.store(now, Ordering::Relaxed);
    }

    /// Whether the task waits for its restart: no run is live.
    pub(crate) fn is_restarting(&self) -> bool {
        self.state.restarting.load(Ordering::Relaxed)
    }

    /// The run that the task drives was cancelled.
    pub(crate) fn set_stopping(&self) {
        self.state.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the run was cancelled, or its scope was.
    pub(crate) fn is_stopping(&self) -> bool {
        self.state.stopping.load(Ordering::Relaxed)
            || self.state.control.requests().is_cancelled()
            || self.scope.is_stopping()
    }

    /// Whether tokio polls, or drops, this task now, as far as its id is known. What a `LocalSet` that the task drives
    /// polls is another task.
    pub(crate) fn is_current_tokio_task(&self) -> bool {
        match (self.id(), tokio::task::try_id()) {
            (Some(own), Some(now)) => own == now,
            // The body of a main is no tokio task; the id of any other may not be set yet.
            (None, Some(_)) => self.thread != OnThread::Entry,
            (_, None) => true,
        }
    }

    /// Records that the run has ended. The task may still drop its value before it leaves its scope.
    pub(crate) fn set_finished(&self) {
        self.state.finished.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.state.finished.load(Ordering::Relaxed)
    }

    /// Returns whether it was not marked yet. The lock of its pool is held, here and below.
    pub(crate) fn mark_unfinished(&self) -> bool {
        !self.state.unfinished.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn is_marked_unfinished(&self) -> bool {
        self.state.unfinished.load(Ordering::Relaxed)
    }

    /// The lines at which the runs of the task wait, as far as they are known.
    pub(crate) fn frames(&self) -> &Frames {
        &self.frames
    }

    /// The start of the current poll.
    pub(crate) fn polled_since(&self) -> Ticks {
        self.state.polled_since.load()
    }

    pub(crate) fn activity(&self) -> Activity {
        let since = self.state.polled_since.load();
        if !since.is_never() {
            return Activity::Polled(Duration::from_nanos(since.elapsed_nanos()));
        }
        if !self.state.started.load(Ordering::Relaxed) {
            return Activity::NotStarted;
        }
        if self.state.waiting.load(Ordering::Relaxed) {
            Activity::Waiting
        } else {
            Activity::Pending
        }
    }
}

/// Fires the token of a body. A foreign waker that panics changes nothing: the task is woken as well, and checks its flag.
#[cold]
fn fire_by_handle(token: &CancellationToken) {
    Reason::new(Cause::Handle).publish(|| quietly(|| token.cancel()));
}

impl RecordState {
    #[inline]
    fn new() -> Self {
        Self {
            since: AtomicTicks::new(Ticks::now()),
            polled_since: AtomicTicks::new(Ticks::NEVER),
            started: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            restarting: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            unfinished: AtomicBool::new(false),
            control: Control::new(),
            links: Mutex::new(Links::default()),
            runtime: watch::runtime(),
        }
    }
}

/// A group, a `map`, a pool or a main: what can be cancelled as a whole, for a reason.
pub(crate) struct ScopeNode {
    /// Why it was cancelled; `None` if code fired the token without a reason.
    reason: OnceLock<Option<Arc<Reason>>>,
    /// The token that cancels its tasks.
    token: Option<CancellationToken>,
    /// When the token was last seen uncancelled.
    uncancelled: CancelEpoch,
    parent: Weak<ScopeNode>,
    /// The depth of the scope among nested ones, modulo 256.
    nesting: u8,
    parent_task: Option<ParentRef>,
    /// The runs of the task that made this scope, the innermost last.
    pub(crate) enclosing_runs: Box<[EnclosingRun]>,
    /// The outermost of them, if it is a task of the scope around. Once it is dead, it holds no slot there.
    pub(crate) outermost_run: Option<Weak<RunShields>>,
    /// The service whose task it is for.
    service: Option<Arc<ServiceNode>>,
    /// The nearest deadline of the code inside.
    deadline: Option<Instant>,
    /// The shields that a section with a deadline counts.
    shields: Option<Arc<RunShields>>,
    /// The name that its tasks are listed under.
    name: Option<&'static str>,
}

/// The task in which a scope was created. Its name stays available after its end.
pub(crate) struct ParentRef {
    record: Weak<TaskRecord>,
    spec: &'static TaskSpec,
    id: Option<Id>,
}

impl ParentRef {
    pub(super) fn new(record: &Arc<TaskRecord>) -> Self {
        Self { record: Arc::downgrade(record), spec: record.spec(), id: record.id() }
    }

    /// The record of the task, to be compared only: the task may have ended.
    pub(crate) fn record(&self) -> *const TaskRecord {
        self.record.as_ptr()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.spec.name()
    }

    pub(crate) fn id(&self) -> Option<Id> {
        // It arrives after the spawn, which may be after the scope was made.
        self.id.or_else(|| self.record.upgrade()?.id())
    }
}

/// A run that a scope was made in.
pub(crate) struct EnclosingRun {
    pub(crate) spec: &'static TaskSpec,
    /// The run, if it held a permit.
    pub(crate) holder: Option<Weak<RunShields>>,
}

sync::global! {
    /// The scopes of the mains that have not returned, the latest last. The latest is around everything, even if a
    /// bare `tokio::spawn` has cut the way to it.
    static MAINS: Mutex<Vec<Arc<ScopeNode>>> = Mutex::new(Vec::new());
}

/// The scope of a main that has not returned.
pub(crate) struct MainScope(Arc<ScopeNode>);

impl MainScope {
    pub(crate) fn new() -> Self {
        let scope = Arc::new(ScopeNode::within(None, None));
        mains().push(scope.clone());
        Self(scope)
    }

    /// For the thread that explains it.
    pub(crate) fn scope(&self) -> Arc<ScopeNode> {
        self.0.clone()
    }

    /// Makes the scope in which the body of this main is a task.
    pub(crate) fn of_body(&self, token: CancellationToken) -> Arc<ScopeNode> {
        Arc::new(ScopeNode::within(Some(&self.0), Some(token)))
    }
}

impl Drop for MainScope {
    fn drop(&mut self) {
        mains().retain(|scope| !Arc::ptr_eq(scope, &self.0));
    }
}

fn mains() -> MutexGuard<'static, Vec<Arc<ScopeNode>>> {
    MAINS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ScopeNode {
    /// A scope inside `parent` and the runs that wait for it: see [`nested_scope`](crate::context::nested_scope).
    pub(super) fn nested(
        token: CancellationToken,
        parent: Option<&Arc<Self>>,
        parent_task: Option<ParentRef>,
        (enclosing_runs, outermost_run): (Box<[EnclosingRun]>, Option<Weak<RunShields>>),
        deadline: Option<Instant>,
        service: Option<Arc<ServiceNode>>,
    ) -> Arc<Self> {
        let uncancelled = CancelEpoch::now();
        let uncancelled = if token.is_cancelled() { CancelEpoch::NEVER } else { uncancelled };
        let nesting = parent.map_or(0, |parent| parent.nesting.wrapping_add(1));
        let within = Self::within(parent, Some(token));
        Arc::new(Self {
            parent_task,
            enclosing_runs,
            outermost_run,
            deadline,
            service,
            uncancelled,
            nesting,
            ..within
        })
    }

    /// A scope without a parent. Only main's cause applies to it.
    pub(crate) fn root(token: CancellationToken) -> Arc<Self> {
        Self::named_root(token, None)
    }

    /// Like [`root`](Self::root). Its tasks are listed under `name`.
    pub(crate) fn named_root(token: CancellationToken, name: Option<&'static str>) -> Arc<Self> {
        Arc::new(Self { name, ..Self::within(None, Some(token)) })
    }

    /// Makes the scope of the later tasks of a pool whose token was replaced. It is inside the first one: otherwise a
    /// task that would wait for a slot of the pool that it is in is not detected.
    pub(crate) fn renewed(token: CancellationToken, first: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self { name: first.name, ..Self::within(Some(first), Some(token)) })
    }

    /// Makes the scope of a section: see [`section_scope`](crate::context::section_scope).
    pub(super) fn section(
        parent: Option<&Arc<Self>>,
        deadline: Option<Instant>,
        shields: Option<Arc<RunShields>>,
    ) -> Arc<Self> {
        let nesting = parent.map_or(0, |parent| parent.nesting);
        Arc::new(Self { nesting, deadline, shields, ..Self::within(parent, None) })
    }

    fn within(parent: Option<&Arc<Self>>, token: Option<CancellationToken>) -> Self {
        Self {
            reason: OnceLock::new(),
            token,
            uncancelled: CancelEpoch::NEVER,
            parent: parent.map_or_else(Weak::new, Arc::downgrade),
            nesting: 0,
            parent_task: None,
            enclosing_runs: Box::default(),
            outermost_run: None,
            deadline: None,
            shields: None,
            name: None,
            service: None,
        }
    }

    /// The nearest deadline of the code inside: of the section, or of the code that the scope was made in.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The shields that a section with a deadline counts.
    pub(crate) fn shields(&self) -> Option<&Arc<RunShields>> {
        self.shields.as_ref()
    }

    /// The service whose task it is for.
    pub(crate) fn service(&self) -> Option<&Arc<ServiceNode>> {
        self.service.as_ref()
    }

    /// The name that its tasks are listed under, if it has one.
    pub(crate) fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// The scope that it was made in, if that is live.
    pub(crate) fn parent(&self) -> Option<Arc<Self>> {
        self.parent.upgrade()
    }

    /// The task that it was made in.
    pub(crate) fn parent_task(&self) -> Option<&ParentRef> {
        self.parent_task.as_ref()
    }

    /// Whether the spans of its tasks are roots. A span keeps those around it, and closes them recursively: among
    /// scopes that are made in each other without end, each sixteenth starts a new root.
    pub(crate) fn cuts_spans(&self) -> bool {
        const MOST_NESTED: u8 = 16;
        self.nesting % MOST_NESTED == MOST_NESTED - 1
    }

    pub(crate) fn has_token(&self, token: &CancellationToken) -> bool {
        self.token.as_ref() == Some(token)
    }

    /// Whether its tasks are cancelled. Takes a lock.
    pub(crate) fn is_stopping(&self) -> bool {
        self.token.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// Cancels the scope: `fire` fires its token. The first cause stays.
    pub(crate) fn cancel<R>(&self, cause: Cause, fire: impl FnOnce() -> R) -> R {
        match self.reason.get_or_init(|| Some(Reason::new(cause))) {
            Some(reason) => reason.publish(fire),
            // Its token has fired without a reason.
            None => fire(),
        }
    }

    /// Fires the token of the scope for a reason, unless it has fired. A foreign waker that panics may prevent the
    /// scope's cancel wakers from firing: then `wake_tasks` is called.
    #[cold]
    pub(crate) fn fire(&self, token: &CancellationToken, cause: Cause, wake_tasks: impl FnOnce()) {
        if !token.is_cancelled() && !self.cancel(cause, || quietly(|| token.cancel())) {
            wake_tasks();
        }
    }

    /// Its own token fires now, called by the cancel waker. No token may be checked here: `cancel` may hold their locks.
    pub(super) fn on_token_fired(&self) {
        self.reason.get_or_init(Reason::published);
    }

    /// The token of a part of it fires now: the scope itself is cancelled only if a reason is published.
    pub(super) fn on_part_fired(&self) {
        let reason = Reason::published();
        if reason.is_some() {
            _ = self.reason.set(reason);
        }
    }

    /// Why its token has fired, if there is a reason.
    pub(crate) fn cause(&self) -> Option<Cause> {
        self.cause_of(self.uncancelled)
    }

    /// Why this scope or one around it, up to `outer`, was cancelled.
    pub(super) fn cause_within(&self, outer: &Arc<Self>) -> Option<Cause> {
        let own = |scope: &Self| Some(scope.reason.get()?.as_ref()?.cause);
        let mut found = own(self);
        let mut above = self.parent();
        while let (None, Some(scope)) = (found, above.filter(|scope| !Arc::ptr_eq(scope, outer))) {
            found = own(&scope);
            above = scope.parent();
        }
        found
    }

    /// Why a token has fired in this scope that was seen uncancelled then: the reason of this scope, else of the
    /// nearest one around it, main last.
    pub(crate) fn cause_of(&self, uncancelled: CancelEpoch) -> Option<Cause> {
        let mut passed = Vec::new();
        let mut skipped = false;
        let mut found = self.reason_of(uncancelled, &mut skipped);
        // A run that uses the cancel waker of its scope has not checked its token: the scope has, when it was made.
        let uncancelled =
            if self.is_stopping() { uncancelled.max(self.uncancelled) } else { uncancelled };
        let mut above = self.parent();
        while let (None, Some(scope)) = (&found, above) {
            found = scope.reason_of(uncancelled, &mut skipped);
            above = scope.parent();
            passed.push(scope);
        }
        let found = found.unwrap_or_else(|| Self::reason_of_main(uncancelled));
        if !skipped {
            // Each scope is passed once, however many tasks ask: a fired token keeps its reason.
            for scope in passed.iter().map(|scope| &**scope).chain([self]) {
                if scope.reason.get().is_none() && scope.is_stopping() {
                    _ = scope.reason.set(found.clone());
                }
            }
        }
        found.map(|reason| reason.cause)
    }

    /// The reason of this scope alone, if it may explain a token that was seen uncancelled then.
    fn reason_of(
        &self,
        uncancelled: CancelEpoch,
        skipped: &mut bool,
    ) -> Option<Option<Arc<Reason>>> {
        match self.reason.get()? {
            Some(reason) if !reason.may_explain(uncancelled) => {
                *skipped = true;
                None
            }
            reason => Some(reason.clone()),
        }
    }

    fn reason_of_main(uncancelled: CancelEpoch) -> Option<Arc<Reason>> {
        let main = mains().last().cloned()?;
        main.reason_of(uncancelled, &mut false).flatten()
    }

    /// Returns the cause of main's cancellation, for code that runs in no scope.
    pub(crate) fn cause_of_main(uncancelled: CancelEpoch) -> Option<Cause> {
        Self::reason_of_main(uncancelled).map(|reason| reason.cause)
    }
}

/// Whether records keep their runtime, which costs each spawn a little: only checks for leaks need it.
pub(crate) mod watch {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{Handle, runtime};

    static WATCHED: AtomicBool = AtomicBool::new(false);

    /// Enables it for the whole process from now on.
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
