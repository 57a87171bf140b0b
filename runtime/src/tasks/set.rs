//! The live tasks of one scope. Groups, pools and maps each consist of a [`TaskSet`] and of state under the same lock.
//!
//! Invariants
//!
//! 1. The scope is listed in the registry before its first task. Otherwise a live task would be missing from `tasks()`
//!    and from a leak check. (`tests/spec/behaviour/tasks.rs`)
//! 2. A task is listed from before its spawn until it ends, even after an abort: the task may continue despite the
//!    abort, and a drop or a drain must find it. (`tests/spec/composition/life.rs`)
//! 3. An abort reaches every listed task, and every task that is listed later. Otherwise a task that is registered
//!    during a drop would continue without an owner. (`set/loom.rs`)
//! 4. The cause is recorded before the token fires, and the first cause is kept. Otherwise a task would be cancelled
//!    without a cause. If a foreign waker panics inside `cancel`, the tasks are woken nevertheless.
//!    (`tests/faults/wakers.rs`)
//! 5. No user code runs under the lock. An abort calls wakers after the lock is released. Surplus tokens and records
//!    are returned, and dropped outside. (`tests/spec/composition/locks.rs`)
//! 6. A record is reused only if nothing else refers to it, and only in its own scope. Otherwise an abort of the ended
//!    task would abort the next one. (`set/loom.rs`)
//!
//! Tokens are recycled because cloning and dropping one takes the token's lock, for which all threads of a scope would
//! contend. Records are recycled because threads contend in the allocator if one frees what another has allocated. Both
//! are moved under the lock that each task takes anyway.

use std::{
    collections::VecDeque,
    ops::{Deref, DerefMut},
    sync::{Arc, PoisonError, Weak},
};

use tokio_util::sync::CancellationToken;

use crate::{
    cause::Cause,
    context::cancel_waker::{CancelWaker, WakeAll},
    context::tree::{ScopeNode, TaskRecord},
    registry,
    registry::HasTasks,
    registry::sharded_list::Registration,
    registry::slab::{Key, Slab},
    sync::{Mutex, MutexGuard, OnceLock},
};

#[cfg(all(test, supervised_loom))]
mod loom;

/// The tasks of a scope. `S` is the state of the owner, under the same lock; `X` is the owner's data for each task.
pub(crate) struct TaskSet<S, X = ()> {
    pub(crate) token: CancellationToken,
    pub(crate) scope: Arc<ScopeNode>,
    registered: OnceLock<Registered>,
    locked: Mutex<Locked<S, X>>,
}

/// The parts that need a reference to the owner.
struct Registered {
    /// Wakes the tasks when the token fires.
    cancel_waker: CancelWaker,
    _registration: Registration<dyn HasTasks>,
}

/// The part of a [`TaskSet`] that is under its lock.
pub(crate) struct Locked<S, X> {
    live: Slab<Member<X>>,
    spares: Spares,
    /// Later tasks are aborted when they are inserted.
    aborted: bool,
    owner: S,
}

struct Member<X> {
    record: Arc<TaskRecord>,
    extra: X,
}

/// The tokens and records of ended tasks, for later ones.
#[derive(Default)]
pub(crate) struct Spares {
    tokens: Vec<CancellationToken>,
    /// Oldest first: the oldest is the least likely to be referred to elsewhere.
    records: VecDeque<Arc<TaskRecord>>,
}

/// The maximum number of spares of each kind: enough for the tasks that usually end at the same time.
const MOST_SPARES: usize = 128;

impl<S, X> TaskSet<S, X> {
    pub(crate) fn new(token: CancellationToken, scope: Arc<ScopeNode>, owner: S) -> Self {
        let locked = Locked { live: Slab::new(), spares: Spares::default(), aborted: false, owner };
        Self { token, scope, registered: OnceLock::new(), locked: Mutex::new(locked) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Locked<S, X>> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists the owner in the registry, and makes the token wake its tasks. Does nothing if it is listed already.
    #[inline]
    pub(crate) fn register<O: HasTasks + 'static>(&self, owner: impl FnOnce() -> Weak<O>) {
        self.registered.get_or_init(|| {
            let owner = owner();
            let cancel_waker = CancelWaker::new(&self.token, &self.scope, owner.clone());
            Registered { cancel_waker, _registration: registry::register(owner) }
        });
    }

    /// Returns the waker that wakes the tasks when the token fires; `None` before the owner is registered.
    #[inline]
    pub(crate) fn cancel_waker(&self) -> Option<&CancelWaker> {
        self.registered.get().map(|registered| &registered.cancel_waker)
    }

    /// Cancels the tasks. If they are cancelled already, their first cause is kept.
    pub(crate) fn cancel(&self, cause: Cause) {
        self.scope.fire(&self.token, cause, || {
            self.cancel_waker().into_iter().for_each(CancelWaker::fire);
        });
    }

    /// Aborts all listed tasks, and tasks that are listed later.
    pub(crate) fn abort(&self) {
        let mut locked = self.lock();
        locked.aborted = true;
        let records: Vec<_> = locked.live().cloned().collect();
        drop(locked);
        for record in records {
            record.abort();
        }
    }

    /// Wakes the tasks, which then check their token. Used if a `cancel` has not reached all of their cancel wakers.
    #[cold]
    pub(crate) fn wake(&self) {
        let mut records = Vec::new();
        self.records(&mut records);
        records.iter().for_each(|record| record.wake_tasks());
    }

    /// Appends the records of the live tasks.
    pub(crate) fn records(&self, into: &mut Vec<Arc<TaskRecord>>) {
        into.extend(self.lock().live().cloned());
    }
}

impl<S, X> Locked<S, X> {
    /// Returns the number of live tasks.
    pub(crate) fn tasks(&self) -> usize {
        self.live.len()
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &Arc<TaskRecord>> {
        self.live.iter().map(|member| &member.record)
    }

    /// Lists a task that is about to be spawned.
    #[inline]
    pub(crate) fn insert(&mut self, record: &Arc<TaskRecord>, extra: X) -> Key {
        if self.aborted {
            record.abort();
        }
        self.live.insert(Member { record: record.clone(), extra })
    }

    /// Removes a finished task.
    #[inline]
    pub(crate) fn remove(&mut self, key: Key) -> (Arc<TaskRecord>, X) {
        let Member { record, extra } = self.live.remove(key).expect("a task leaves once");
        (record, extra)
    }

    /// Returns the token and the record of a finished task, if there are any, for the next one.
    #[inline]
    pub(crate) fn take_spare(&mut self) -> (Option<CancellationToken>, Option<Arc<TaskRecord>>) {
        (self.spares.tokens.pop(), self.spares.records.pop_front())
    }

    /// Keeps the token and the record of a finished task for a later task with the same token and scope. Returns the
    /// rest, to be dropped outside the lock.
    #[inline]
    pub(crate) fn recycle(
        &mut self,
        token: Option<CancellationToken>,
        record: Arc<TaskRecord>,
        (of, scope): (&CancellationToken, &Arc<ScopeNode>),
    ) -> (Option<CancellationToken>, Option<Arc<TaskRecord>>) {
        let (mut token, mut record) = (token, Some(record));
        let Spares { tokens, records } = &mut self.spares;
        if tokens.len() < MOST_SPARES && token.as_ref() == Some(of) {
            tokens.extend(token.take());
        }
        let is_of_scope = record.as_ref().is_some_and(|record| Arc::ptr_eq(record.scope(), scope));
        if records.len() < MOST_SPARES && is_of_scope {
            records.extend(record.take());
        }
        (token, record)
    }

    /// Returns all spares of a token that is replaced, to be dropped outside the lock.
    pub(crate) fn take_spares(&mut self) -> Spares {
        std::mem::take(&mut self.spares)
    }
}

impl<S> Locked<S, ()> {
    /// Replaces the record of a listed task. Returns the previous one, to be dropped outside the lock.
    pub(crate) fn replace(
        &mut self,
        key: Key,
        record: &Arc<TaskRecord>,
    ) -> Option<Arc<TaskRecord>> {
        let member = Member { record: record.clone(), extra: () };
        let before = self.live.replace(key, member)?.record;
        if self.aborted || before.is_aborted() {
            record.abort();
        }
        Some(before)
    }
}

impl<S, X> Deref for Locked<S, X> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.owner
    }
}

impl<S, X> DerefMut for Locked<S, X> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.owner
    }
}
