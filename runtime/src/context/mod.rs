//! A group, a `map`, a pool, a main: something that can be cancelled as a whole, for a reason.
//!
//! Invariants
//!
//! 1. A cause is set once, before the token that it explains fires. (for every interleaving: `scope/loom.rs`)
//! 2. A scope knows the runs that it was made in, which wait for it. They may have ended since: what they
//!    held is held only as long as their shields are there. So may the task: it is known by its record.
//! 3. A scope owns nothing of the scopes and the tasks around it: a chain of scopes that were made in each other
//!    would grow with the uptime of the program, and be dropped recursively. (`tests/composition/chains.rs`)
//! 4. So a cause is not looked up in the scopes around, which may be gone: the thread that cancels a scope
//!    publishes the [`Reason`], and every scope whose cancel waker fires inside that call keeps it. What fires inside
//!    the call is, by the tree of tokens, what the call cancels. (`tests/composition/run_truth.rs`)
//! 5. A reason explains nothing that was seen uncancelled after its call had returned.

pub(crate) mod cancel_waker;
pub(crate) mod deadlock;
pub(crate) mod shields;
pub(crate) mod stack;
pub(crate) mod tree;

use std::{
    cell::RefCell,
    sync::{Arc, PoisonError, Weak},
};

use tokio::task::Id;
use tokio_util::sync::CancellationToken;

use crate::{
    cause::Cause,
    function::TaskSpec,
    sync,
    sync::{Mutex, MutexGuard, OnceLock, atomic::AtomicUsize, atomic::Ordering},
};
use crate::{
    context::shields::{RunShields, StackEntry},
    context::tree::TaskRecord,
};

#[cfg(all(test, supervised_loom))]
mod loom;

pub(crate) struct Scope {
    /// Why it was cancelled; `None` if code fired the token without a reason.
    reason: OnceLock<Option<Arc<Reason>>>,
    /// What its tasks are told to stop by.
    token: Option<CancellationToken>,
    /// The token had not fired at that time.
    uncancelled: CancelEpoch,
    parent: Weak<Scope>,
    /// How many scopes were made in each other to come here, modulo 256.
    nesting: u8,
    parent_task: Option<ParentRef>,
    /// The runs of the task that made this scope, the innermost last.
    pub(crate) enclosing_runs: Box<[EnclosingRun]>,
    /// The outermost of them, where it is a task of the scope around: gone, it holds no slot there.
    pub(crate) outermost_run: Option<Weak<RunShields>>,
}

/// Why a scope was cancelled, shared by all scopes that one call cancels.
struct Reason {
    cause: Cause,
    /// The number of the call that cancelled, once it has returned; 0 before.
    returned: AtomicUsize,
}

sync::global! {
    /// How many calls that cancel for a reason have returned.
    static RETURNED: AtomicUsize = AtomicUsize::new(0);
}

sync::thread_local! {
    // Why the tokens are cancelled that this thread is cancelling now.
    static CANCELS_FOR: RefCell<Option<Arc<Reason>>> = const { RefCell::new(None) };
}

/// A moment at which a token was seen that had not fired.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CancelEpoch(usize);

impl CancelEpoch {
    /// At no time.
    pub(crate) const NEVER: Self = Self(0);

    /// To be called before the token is asked.
    #[inline]
    pub(crate) fn now() -> Self {
        Self(RETURNED.load(Ordering::Acquire))
    }
}

impl Reason {
    /// Whether it may explain a token that was seen uncancelled then: see invariant 5.
    fn may_explain(&self, uncancelled: CancelEpoch) -> bool {
        let returned = self.returned.load(Ordering::Acquire);
        returned == 0 || returned > uncancelled.0
    }
}

/// Publishes a reason on this thread until it is dropped.
struct Publish(Option<Arc<Reason>>);

impl Publish {
    fn new(reason: Option<Arc<Reason>>) -> Self {
        Self(CANCELS_FOR.try_with(|reasons| reasons.replace(reason)).ok().flatten())
    }
}

impl Drop for Publish {
    fn drop(&mut self) {
        let before = self.0.take();
        let published = CANCELS_FOR.try_with(|reasons| reasons.replace(before));
        drop(published);
    }
}

/// The task that a scope was made in. It may have ended: its name is known all the same.
pub(crate) struct ParentRef {
    record: Weak<TaskRecord>,
    spec: &'static TaskSpec,
    id: Option<Id>,
}

impl ParentRef {
    fn new(record: &Arc<TaskRecord>) -> Self {
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
    /// There where it held a permit.
    pub(crate) holder: Option<Weak<RunShields>>,
}

sync::global! {
    /// The scopes of the mains that have not returned, the latest last. The latest is around everything, also where a
    /// bare spawn lost the way to it.
    static MAINS: Mutex<Vec<Arc<Scope>>> = Mutex::new(Vec::new());
}

/// The scope of a main that has not returned.
pub(crate) struct MainScope(Arc<Scope>);

impl MainScope {
    pub(crate) fn new() -> Self {
        let scope = Arc::new(Scope::within(None, None));
        mains().push(scope.clone());
        Self(scope)
    }

    /// For the thread that explains it.
    pub(crate) fn scope(&self) -> Arc<Scope> {
        self.0.clone()
    }

    /// What the body of this main is a task of.
    pub(crate) fn of_body(&self, token: CancellationToken) -> Arc<Scope> {
        Arc::new(Scope::within(Some(&self.0), Some(token)))
    }
}

impl Drop for MainScope {
    fn drop(&mut self) {
        mains().retain(|scope| !Arc::ptr_eq(scope, &self.0));
    }
}

fn mains() -> MutexGuard<'static, Vec<Arc<Scope>>> {
    MAINS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scope {
    /// A scope inside the runs of now, which wait for it.
    pub(crate) fn nested(token: CancellationToken) -> Arc<Self> {
        let parent = shields::current_scope();
        let parent_task = shields::current_record(ParentRef::new);
        let (enclosing_runs, outermost_run) = shields::with_entries(|entries| {
            let entries = shields::of_current_task(entries);
            let outermost =
                entries.iter_mut().find_map(StackEntry::shields).filter(|_| parent.is_some());
            let outermost_run = outermost.map(Arc::downgrade);
            (entries.iter_mut().filter_map(EnclosingRun::of).collect(), outermost_run)
        });
        let uncancelled = CancelEpoch::now();
        let uncancelled = if token.is_cancelled() { CancelEpoch::NEVER } else { uncancelled };
        let nesting = parent.as_ref().map_or(0, |parent| parent.nesting.wrapping_add(1));
        let within = Self::within(parent.as_ref(), Some(token));
        Arc::new(Self {
            parent_task,
            enclosing_runs,
            outermost_run,
            uncancelled,
            nesting,
            ..within
        })
    }

    /// A scope inside none: main's cause alone is around it.
    pub(crate) fn root(token: CancellationToken) -> Arc<Self> {
        Arc::new(Self::within(None, Some(token)))
    }

    /// The scope of the later tasks of a pool whose token was replaced: inside the first one, so that a task that would
    /// wait for a slot of its own pool is found.
    pub(crate) fn renewed(token: CancellationToken, first: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self::within(Some(first), Some(token)))
    }

    /// A part of a task that is cancelled for a reason of its own.
    pub(crate) fn section() -> Arc<Self> {
        let parent = shields::current_scope();
        let nesting = parent.as_ref().map_or(0, |parent| parent.nesting);
        Arc::new(Self { nesting, ..Self::within(parent.as_ref(), None) })
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
        }
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
    /// scopes that are made in each other without end, each sixteenth begins anew.
    pub(crate) fn cuts_spans(&self) -> bool {
        const MOST_NESTED: u8 = 16;
        self.nesting % MOST_NESTED == MOST_NESTED - 1
    }

    pub(crate) fn has_token(&self, token: &CancellationToken) -> bool {
        self.token.as_ref() == Some(token)
    }

    /// Whether its tasks have been told to stop. Takes a lock.
    pub(crate) fn is_stopping(&self) -> bool {
        self.token.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// Cancels the scope: `fire` fires its token. The first cause stays.
    pub(crate) fn cancel<R>(&self, cause: Cause, fire: impl FnOnce() -> R) -> R {
        let reason = || Some(Arc::new(Reason { cause, returned: AtomicUsize::new(0) }));
        let Some(reason) = self.reason.get_or_init(reason) else {
            // Its token has fired without a reason.
            return fire();
        };
        let published = Publish::new(Some(reason.clone()));
        let fired = fire();
        drop(published);
        let returned = RETURNED.fetch_add(1, Ordering::AcqRel) + 1;
        _ = reason.returned.compare_exchange(0, returned, Ordering::AcqRel, Ordering::Relaxed);
        fired
    }

    /// Its own token fires now, called by the cancel waker. No token may be asked: their locks may be held.
    pub(crate) fn on_token_fired(&self) {
        self.reason.get_or_init(|| {
            CANCELS_FOR.try_with(|reasons| reasons.borrow().clone()).ok().flatten()
        });
    }

    /// The token of a part of it fires now: it is cancelled itself only if a reason is published.
    pub(crate) fn on_part_fired(&self) {
        let reason = CANCELS_FOR.try_with(|reasons| reasons.borrow().clone()).ok().flatten();
        if reason.is_some() {
            _ = self.reason.set(reason);
        }
    }

    /// Why its token has fired, if there is a reason.
    pub(crate) fn cause(&self) -> Option<Cause> {
        self.cause_of(self.uncancelled)
    }

    /// Why a token has fired in this scope that was seen uncancelled then: the reason of this scope, else of the
    /// nearest one around it, main last.
    pub(crate) fn cause_of(&self, uncancelled: CancelEpoch) -> Option<Cause> {
        let mut passed = Vec::new();
        let mut skipped = false;
        let mut found = self.reason_of(uncancelled, &mut skipped);
        // A run that uses the cancel waker of its scope has not asked its token: the scope has, when it was made.
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
            // Each scope is passed once, however many ask: what has fired is explained for good.
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

    /// The same for code that runs in no scope.
    pub(crate) fn cause_of_main(uncancelled: CancelEpoch) -> Option<Cause> {
        Self::reason_of_main(uncancelled).map(|reason| reason.cause)
    }
}

impl EnclosingRun {
    fn of(entry: &mut StackEntry) -> Option<Self> {
        let holder = entry.holder();
        match entry {
            StackEntry::Run { spec, .. } => Some(Self { spec, holder }),
            StackEntry::Task { .. } | StackEntry::Section { .. } => None,
        }
    }
}
